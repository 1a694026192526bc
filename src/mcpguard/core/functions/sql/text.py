"""SQL text -> tokens, by the lexical rules of one database, and the same text without its comments.

Law of this file: where two servers, two modes of one server, or the parser behind us could end a string, a
name or a comment at different places, the text is refused. So a backslash before a quote is refused but in
`E'...'` of PostgreSQL (standard_conforming_strings, NO_BACKSLASH_ESCAPES), a comment in a comment (they nest
in PostgreSQL only), MySQL's executable comments and hints, strings side by side, a number with a letter
behind it and each character that some server takes for a space and another for a letter. Comments are gone
before the parser reads.
Sources: PostgreSQL 4.1, MySQL 11.1 and 11.7, SQLite `lang_comment` and `lang_keywords`, T-SQL identifiers.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from msgspec import Struct

from mcpguard.core.functions.function import FunctionError, check_size

TEXT_LIMIT = 16_384
"""The longest text, in characters."""

TOKEN_LIMIT = 800
"""The most tokens of a text: what a parser takes 100 ms for."""

DEPTH_LIMIT = 16
"""How deep parentheses and brackets may nest."""

OPERATOR_LIMIT = 6
"""The most signs or NOTs in a row; the parser calls itself for each."""


class SqlToken(Struct, frozen=True):
    """One token. `kind` is "word", "name" (a quoted name), "string", "number" or "mark"; `text` is lower
    case for a word and without its quotes for a name; `start` and `end` are offsets in `Source.text`."""

    kind: str
    text: str
    start: int
    end: int


class Source(Struct, frozen=True):
    """`text` without comments, and all of its tokens."""

    text: str
    tokens: list[SqlToken]


class DialectTokens(Struct, frozen=True):
    """What one database has besides the common tokens. `quotes` are the signs that names stand in, `prefixes`
    the letters that may precede a string, `marks` more signs of operators, `dollars` whether
    `$a$text$a$` is a string, `escapes` whether a backslash takes the next sign along in `E'...'`, in all
    modes."""

    quotes: str
    prefixes: str = ""
    marks: str = "@"
    line_comment: str = r"--[^\n]*+"
    string_quotes: str = "'"
    hex_numbers: bool = False
    parameters: bool = False
    dollars: bool = False
    escapes: bool = False
    letters: bool = False


LEXIS: dict[str, DialectTokens] = {
    "bigquery": DialectTokens("`", string_quotes="'\"", hex_numbers=True),
    "duckdb": DialectTokens('"', "eE", parameters=True, letters=True),
    "mysql": DialectTokens(
        "`", "nNxXbB", line_comment=r"(?:--(?=[ \t\n]|\r\n|\Z)|#)[^\n]*+", hex_numbers=True
    ),
    "postgres": DialectTokens('"', "xXbB", "@#", parameters=True, dollars=True, escapes=True, letters=True),
    "snowflake": DialectTokens('"', "xX", "", line_comment=r"(?:--|//)[^\n]*+"),
    "sqlite": DialectTokens('"`[', "xX", hex_numbers=True, letters=True),
    "tsql": DialectTokens('"[', "nN", "@#", hex_numbers=True),
}
"""By the name that a condition gives. A database that is not here is not read at all."""

_NAMES = {'"': r'"(?:[^"\\]|"")++"', "`": r"`(?:[^`\\]|``)++`", "[": r"\[[^\[\]\\]++\]"}
_STRINGS = {"'": r"'(?:[^'\\]|''|\\(?!'))*+'", '"': r'"(?:[^"\\]|\\(?!"))*+"'}
_ESCAPES = r"[eE]'(?:[^'\\]|''|\\(?s:.))*+'"
_DOLLARS = r"\$(?P<tag>(?:[A-Za-z_][A-Za-z0-9_]*+)?+)\$(?s:.*?)\$(?P=tag)\$"
_OPEN, _CLOSE = "([", ")]"
_SIGNS = frozenset("+-~@!#")


@cache
def _pattern(dialect: str) -> re.Pattern[str]:
    lexis = LEXIS[dialect]
    apart = r"(?![\w'\"`$])"
    strings = "|".join(_STRINGS[quote] for quote in lexis.string_quotes)
    prefix = f"[{lexis.prefixes}]?" if lexis.prefixes else ""
    dollars = rf"|{_DOLLARS}" if lexis.dollars else ""
    escapes = f"{_ESCAPES}|" if lexis.escapes else ""
    # `5.` and `.5`, too; behind a name, MySQL takes `.5` for a column.
    number = r"(?:[0-9]++(?:\.[0-9]*+)?+|(?<![\w`\"\])])\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+(?!\.)"
    parts = (
        ("space", r"(?:[ \t\n]|\r\n)++"),
        ("comment", rf"{lexis.line_comment}|/\*(?![!+]|M!)(?:[^*/]|\*(?!/)|/(?!\*))*+\*/"),
        ("string", rf"(?:{escapes}{prefix}(?:{strings}){dollars}){apart}"),
        ("name", "(?:" + "|".join(_NAMES[quote] for quote in lexis.quotes) + f"){apart}"),
        ("number", ("(?:0x[0-9a-fA-F]++|" if lexis.hex_numbers else "(?:") + number + ")" + apart),
        ("word", r"[^\W\d]\w*+(?!['\"`$])"),
        ("parameter", r"\$[0-9]++" + apart if lexis.parameters else r"(?!)"),
        ("mark", rf"(?!--|/\*|\|>|//)[()\[\],.;:+\-*/%<>=!|&^~?{lexis.marks}]"),
    )
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in parts))


def read(text: str, dialect: str) -> Source:
    """Raises FunctionError for what is too long, too deep or not certain."""
    check_size("sql", text, TEXT_LIMIT)
    _check_characters(text)
    pattern = _pattern(dialect)
    pieces: list[str] = []
    tokens: list[SqlToken] = []
    at = place = 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise FunctionError("sql() found a sign, a quote or a comment that databases read differently")
        kind, piece, at = str(match.lastgroup), match.group(), match.end()
        if kind == "comment":
            piece = " "
        elif kind != "space":
            tokens.append(_token(kind, piece, place, dialect))
            if len(tokens) > TOKEN_LIMIT:
                raise FunctionError(f"sql() reads at most {TOKEN_LIMIT} words and signs")
        pieces.append(piece)
        place += len(piece)
    _check_order(tokens)
    return Source("".join(pieces), tokens)


def _check_characters(text: str) -> None:
    if "\r" in text.replace("\r\n", ""):
        raise FunctionError("sql() does not read a carriage return without a line feed")
    if text.isascii() and text.isprintable():
        return
    for char in set(text):
        if char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise FunctionError("sql() does not read control characters")


def _token(kind: str, piece: str, place: int, dialect: str) -> SqlToken:
    end = place + len(piece)
    if kind == "word":
        _check_letters(piece, dialect)
        return SqlToken("word", ascii_lower(piece), place, end)
    if kind == "name":
        quote = "]" if piece[0] == "[" else piece[0]
        _check_letters(piece, dialect)
        return SqlToken("name", piece[1:-1].replace(quote * 2, quote), place, end)
    return SqlToken("number" if kind == "parameter" else kind, piece, place, end)


def _check_letters(name: str, dialect: str) -> None:
    if name.isascii():
        return
    # The parser folds case by Unicode, where a Kelvin sign is a k and a long s an S; no database does.
    folded = (
        (name.upper(), name.lower(), unicodedata.normalize("NFKC", name)) if name[0] not in _NAMES else ()
    )
    if not LEXIS[dialect].letters or any(_ascii_letters(one) != _ascii_letters(name) for one in folded):
        raise FunctionError("sql() found a letter in a name that databases read differently")
    if any(unicodedata.category(char)[0] not in "LMNPSZ" or char == "\u00a0" for char in name):
        raise FunctionError("sql() found an invisible character in a name")


def _ascii_letters(text: str) -> int:
    return sum(char.isascii() for char in text)


def _check_order(tokens: list[SqlToken]) -> None:
    """What no statement has: unbalanced or deep brackets, strings side by side, a dot before its name."""
    depth = signs = 0
    last = SqlToken("mark", ";", 0, 0)
    expected: list[str] = []
    for token in tokens:
        text = token.text if token.kind == "mark" else ""
        if text and text in _OPEN:
            expected.append(_CLOSE[_OPEN.index(text)])
            depth = max(depth, len(expected))
        elif text and text in _CLOSE and (not expected or expected.pop() != text):
            raise FunctionError("sql() found unbalanced brackets")
        elif text == ";" and expected:
            raise FunctionError("sql() found a semicolon within brackets")
        _check_pair(last, token)
        signs = signs + 1 if text in _SIGNS or token.text == "not" else 0
        if depth > DEPTH_LIMIT or signs > OPERATOR_LIMIT:
            raise FunctionError("sql() cannot read anything nested this deeply")
        last = token
    if expected:
        raise FunctionError("sql() found unbalanced brackets")


def _check_pair(last: SqlToken, token: SqlToken) -> None:
    if token.kind == "string" and last.kind == "string":
        raise FunctionError("sql() found two adjacent strings, which databases read differently")
    named = last.kind in ("word", "name") or last.text in (")", "]")
    if token.kind == "mark" and token.text == "." and not named:
        raise FunctionError("sql() found a dot without a name before it")
    if last.text == "&" and token.kind in ("string", "name") and last.end == token.start:
        raise FunctionError("sql() does not read names and strings with Unicode escapes")


def ascii_lower(text: str) -> str:
    """Lower case of the letters A to Z only, as databases fold names."""
    return text.lower() if text.isascii() else re.sub("[A-Z]+", lambda match: match.group().lower(), text)


def statements(tokens: list[SqlToken]) -> list[list[SqlToken]]:
    """The tokens between semicolons, without the empty ones."""
    found: list[list[SqlToken]] = [[]]
    for token in tokens:
        if token.kind == "mark" and token.text == ";":
            found.append([])
        else:
            found[-1].append(token)
    return [one for one in found if one]
