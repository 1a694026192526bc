"""Scripts of sed, awk and jq in an argument: text -> whether they only turn their input into another text.

Law of this file: positive lists decide. A script is read to its end, and each construct, function and
variable in it has to be known (`scripts.txt`) or bound by the script itself; anything else may run, write or
open something. Where two implementations could end a string or a regular expression at different places, the
script is not known. Sources: POSIX.1-2024, XCU sed and awk; the manuals of gawk, mawk, BusyBox and jq.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

from msgspec import Struct

from mcpguard.core.functions.shell.words import Word
from mcpguard.core.tables import names, sections

AWK = names("awk gawk mawk nawk original-awk")
SED = names("sed gsed")


class Token(Struct, frozen=True):
    """A token of a script. `kind` is "name", "string", "number", "regex" or "mark"; `call` is the function in
    whose brackets it stands, `glued` whether nothing stands between it and the token before."""

    kind: str
    text: str
    call: str = ""
    glued: bool = False


_START = Token("mark", "\n")


@cache
def _lists() -> dict[str, frozenset[str]]:
    return {name: names(words) for name, words in sections(__package__, "scripts.txt").items()}


def harmless(name: str, args: Sequence[Word], scripts: Sequence[Word]) -> bool:
    """Whether the program `name` is given `scripts` that are known to have no effect but their output."""
    if not scripts or not all(word.literal for word in scripts):
        return False
    texts = [word.text for word in scripts]
    if name in SED:
        return _plain_sed("\n".join(texts))
    plain: Callable[[str, Sequence[Word]], bool] = _plain_awk if name in AWK else _plain_jq
    return all(plain(text, args) for text in texts)


# --- sed -----------------------------------------------------------------------------------------

_BRACKETS = r"\[\^?\]?(?:\[:[a-z]+:\]|[^\[\]\\DELIMITER\n])*\]"
_BODY = r"(?:[^\\\[DELIMITER\n]|\\[^c\n]|" + _BRACKETS + ")*"
_REPLACEMENT = r"(?:[^\\DELIMITER\n]|\\[^c\n])*"


def _sed_command() -> re.Pattern[str]:
    """A command with its addresses. `s` may have no flag that runs (`e`) or writes (`w`) something."""
    regex = "/" + _BODY.replace("DELIMITER", "/") + "/I?"
    address = rf"(?:\d+(?:~\d+)?|\$|{regex})"
    substitutions = [
        f"[sy]{one}{(_BODY + one + _REPLACEMENT).replace('DELIMITER', one)}{one}[0-9gpIiM]*"
        for one in (re.escape(char) for char in "/,|#:@!%")
    ]
    # The text of `a`, `i` and `c` is the rest of the line, or the next line.
    text = r"[aci](?:[ \t]*\\\n?|[ \t]+)[^\\\n]+"
    commands = "|".join(("[=dDgGhHnNpPxz{}]", r"[qQl]\d*", r":\w+|[bt]\w*", text, *substitutions))
    return re.compile(rf"(?:{address}(?:,(?:{address}|[+~]\d+))?[ \t]*!?[ \t]*)?(?:{commands})", re.ASCII)


_SED_COMMAND = _sed_command()
_SED_BETWEEN = re.compile(r"[ \t\n;]*")
_SED_END = re.compile(r"[ \t]*(?:[;\n}]|$)")


def _plain_sed(script: str) -> bool:
    at = 0
    while (at := _skip(script, at)) < len(script):
        found = _SED_COMMAND.match(script, at)
        if not found or not (found[0].endswith("{") or _SED_END.match(script, found.end())):
            return False
        at = found.end()
    return True


def _skip(script: str, at: int) -> int:
    found = _SED_BETWEEN.match(script, at)
    return found.end() if found else at


# --- awk -----------------------------------------------------------------------------------------

_AWK_BLANK = re.compile(r"(?:[ \t]|#[^\n]*(?<!\\)(?=\n|\Z))+")
_AWK_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\[^\n])*")'
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>\*\*=?|[-+*%^=!<>]=|\+\+|--|&&|\|\||!~|[-+*%^=!<>~?:,;$()\[\]{}\n])"
)
_AWK_REGEX = re.compile(r"/((?:[^\\/\n]|\\[^\n])+)/")
_AWK_PATTERN = re.compile(r"(?:[^\\\[]|\\.|\[\^?\]?(?:\[:[a-z]+:\]|\\.|[^\[\]\\])*\])+")
"""A regular expression whose brackets end in it: to some, a `/` in brackets does not end it."""
_AWK_GIVEN = re.compile(r"(?:-v|--assign=)?([A-Za-z_][A-Za-z0-9_]*)=", re.ASCII)
_OPERANDS = names(") ] ++ --")
_HEADERS = ("function", "func")
_ASSIGNS = names("= += -= *= /= %= ^= **= ++ -- [")
_MINE = re.compile(r"[A-Z]|[A-Za-z_0-9]*[a-z][A-Za-z_0-9]*", re.ASCII)
"""Names that no awk has for a variable of its own: those are in capitals."""


def _plain_awk(script: str, args: Sequence[Word]) -> bool:
    tokens = _awk_tokens(script)
    if tokens is None or _redirects(tokens):
        return False
    given = {found[1] for word in args if (found := _AWK_GIVEN.match(word.text))}
    bound, defined = given | _bound(tokens), _defined(tokens)
    return all(_known_name(*named, bound, defined) for named in _names(tokens))


def _names(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token, Token]]:
    """Each name, with the tokens before and after it."""
    found = zip(tokens, [_START, *tokens], [*tokens[1:], _START], strict=False)
    return (three for three in found if three[0].kind == "name")


def _awk_tokens(script: str) -> list[Token] | None:
    """None for a text that is not all of known tokens, or that two awks could read differently."""
    tokens: list[Token] = []
    calls: list[str] = []
    at = 0
    while at < len(script):
        blank = _AWK_BLANK.match(script, at)
        at = blank.end() if blank else at
        if at == len(script):
            break
        last = tokens[-1] if tokens else _START
        found = _slash(script, at, last) if script[at] == "/" else _awk_token(script, at)
        if found is None:
            return None
        kind, text = found
        if text == "(" and kind == "mark":
            header = len(tokens) > 1 and tokens[-2].text in _HEADERS
            calls.append("function" if header else last.text if last.kind == "name" else "")
        elif text == ")" and kind == "mark" and not (calls and calls.pop() is not None):
            return None
        tokens.append(Token(kind, text, calls[-1] if calls else "", not blank))
        at += len(text)
    return tokens


def _awk_token(script: str, at: int) -> tuple[str, str] | None:
    found = _AWK_TOKEN.match(script, at)
    return (str(found.lastgroup), found[0]) if found else None


def _slash(script: str, at: int, last: Token) -> tuple[str, str] | None:
    """A regular expression, or a division where one is the only thing that can follow `last`."""
    line = script[at + 1 :].partition("\n")[0]
    certain = last.kind in ("number", "string") or (last.kind == "mark" and last.text == "]")
    certain = certain or (last.kind == "name" and last.text not in _lists()["AWK_KEYWORDS"] | {"length"})
    either = last.kind == "regex" or last.text == "length" or (last.kind == "mark" and last.text in _OPERANDS)
    if certain or (either and "/" not in line):
        return "mark", "/=" if script.startswith("/=", at) else "/"
    found = None if either else _AWK_REGEX.match(script, at)
    return ("regex", found[0]) if found and _AWK_PATTERN.fullmatch(found[1]) else None


def _redirects(tokens: Sequence[Token]) -> bool:
    """Whether a `>` could be a redirect of print, rather than compare: it is in no brackets of its own."""
    depth, last = -1, _START
    for token in tokens:
        mark = token.text if token.kind == "mark" else ""
        if token.kind == "name" and token.text in ("print", "printf"):
            depth = 0
        elif mark in (";", "}") or (mark == "\n" and (last.kind != "mark" or last.text in _OPERANDS)):
            depth = -1
        elif mark in ("(", ")") and depth >= 0:
            depth += 1 if mark == "(" else -1
        elif mark == ">" and depth == 0:
            return True
        last = token
    return False


def _defined(tokens: Sequence[Token]) -> set[str]:
    """The functions that the script defines."""
    return {
        name.text
        for word, name in pairwise(tokens)
        if word.text in _HEADERS and word.kind == name.kind == "name"
    }


def _bound(tokens: Sequence[Token]) -> set[str]:
    """The variables that the script sets, so that none of them is a keyword."""
    sets = _lists()["AWK_SETS"]
    return {
        token.text
        for token, before, after in _names(tokens)
        if (after.kind == "mark" and after.text in _ASSIGNS)
        or (before.kind == "name" and before.text in ("in", "delete"))
        or (before.kind == "mark" and before.text in ("++", "--"))
        or (after.text == "in" and token.call == "for")
        or token.call == "function"
        or (token.call in sets and before.text == "," and after.text in (",", ")"))
    }


def _known_name(token: Token, before: Token, after: Token, bound: set[str], defined: set[str]) -> bool:
    lists, name = _lists(), token.text
    opens = after.kind == "mark" and after.text == "("
    if name in lists["AWK_FUNCTIONS"]:
        return opens or name == "length"
    if name in lists["AWK_KEYWORDS"] | lists["AWK_VARIABLES"]:
        return True
    if name in _AWK_ELSE or not _MINE.fullmatch(name):
        return False
    return name in defined if (opens and after.glued) or before.text in _HEADERS else name in bound


_AWK_ELSE = names("getline system")
"""Words that mean something else wherever they stand, so that no script can bind them."""


# --- jq ------------------------------------------------------------------------------------------

_JQ_BLANK = re.compile(r"(?:[ \t\n]|#[^\n\\]*(?=\n|\Z))+")
_JQ_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<variable>\$[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<format>@[A-Za-z0-9_]+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>\?//=?|//=?|\|=|[-+*/%=!<>]=|\.\.|:(?!:)|[-+*/%|,.;()\[\]{}<>=?\"])"
)
_JQ_STRING = re.compile(r'(?:[^"\\]|\\[^(])*("|\\\()')
_JQ_GIVES = names("--arg --argjson --slurpfile --rawfile")
_PAIRS = {"(": ")", "[": "]", "{": "}", "\\(": ")"}


def _plain_jq(script: str, args: Sequence[Word]) -> bool:
    tokens = list(_jq_tokens(script))
    lists = _lists()
    given = {f"${name.text}" for option, name in pairwise(args) if option.text in _JQ_GIVES}
    known = {
        "name": lists["JQ_FUNCTIONS"] | lists["JQ_KEYWORDS"],
        "variable": lists["JQ_VARIABLES"] | ((_jq_bound(tokens) | given) - {"$ENV"}),
        "format": lists["JQ_FORMATS"],
    }
    return all(
        token.kind != "unknown" and (token.kind not in known or token.text in known[token.kind])
        for token in tokens
    )


def _jq_tokens(script: str) -> Iterator[Token]:
    """The tokens but for keys of objects; one of the kind "unknown" is the last where the text is not all of
    known ones."""
    opened: list[str] = []
    last = _START
    at = 0
    while at < len(script):
        blank = _JQ_BLANK.match(script, at)
        at = blank.end() if blank else at
        if at == len(script):
            continue
        found = _JQ_TOKEN.match(script, at)
        if found is None:
            break
        text, at = found[0], found.end()
        if text in (")", "]", "}"):
            if not opened or _PAIRS[innermost := opened.pop()] != text:
                break
            text = '"' if innermost == "\\(" else text
        if text == '"':
            string = _JQ_STRING.match(script, at)
            if string is None:
                break
            at, text = string.end(), string[1]
        if text in _PAIRS:
            opened.append(text)
        token = Token("key" if _is_key(opened, last, found) else str(found.lastgroup), text)
        yield token
        last = token
    else:
        if not opened:
            return
    yield Token("unknown", "")


def _is_key(opened: list[str], last: Token, found: re.Match[str]) -> bool:
    """Whether a name is one of a member of an object, as in `{env: 1}` and `{env}`."""
    return found.lastgroup == "name" and opened[-1:] == ["{"] and last.text in ("{", ",")


def _jq_bound(tokens: Sequence[Token]) -> set[str]:
    """The variables that `as` and `label` bind."""
    bound, pattern, last = set(), False, _START
    for token in tokens:
        if token.kind == "name":
            pattern = token.text == "as"
        elif token.text in ("|", "("):
            pattern = False
        elif token.kind == "variable" and (pattern or last.text == "label"):
            bound.add(token.text)
        last = token
    return bound
