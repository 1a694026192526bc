"""What the author of a condition probably meant: engines say what they do not know, not what to write."""

import re
from difflib import get_close_matches

from mcpguard.core.conditions.cel_text import CelToken, tokens_of
from mcpguard.core.conditions.names import NAMES
from mcpguard.core.functions import PLACES

_OF_CEL = (
    *("all", "exists", "exists_one", "filter", "map", "has", "size", "matches", "contains", "startsWith"),
    *("endsWith", "int", "uint", "double", "string", "bool", "bytes", "type", "duration", "timestamp", "dyn"),
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"),
    *("getMinutes", "getSeconds", "getMilliseconds"),
)
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_UNKNOWN = re.compile(r"undeclared reference to '(\w+)[\w.]*'")


def advised(text: str, mistakes: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """`mistakes` in the condition `text`, (offset, sentence), with what to write where that is plain."""
    syntax = _syntax(text)
    found = []
    for offset, sentence in mistakes:
        unknown = _UNKNOWN.search(sentence)
        hint = _near(unknown[1]) if unknown else syntax if sentence.startswith("Syntax error") else ""
        found.append((offset, f"{sentence}; {hint}" if hint else sentence))
    return found


def _near(name: str) -> str:
    known = [*_OF_CEL, *NAMES, *PLACES]
    same = [one for one in known if one.lower() == name.lower()]
    head = re.match(r"[a-z]*", name)
    alike = [one for one in PLACES if head and len(head[0]) > 3 and one.startswith(head[0])]
    near = same or get_close_matches(name, known, n=1, cutoff=0.7) or alike
    return f"did you mean `{near[0]}`?" if near else ""


def _syntax(text: str) -> str:
    tokens = tokens_of(text)
    for at, token in enumerate(tokens):
        if token.text == "=" and not _joined(tokens, at):
            return "write `==` to compare"
        if token.kind == "name" and token.text in _WORDS and (at == 0 or tokens[at - 1].text != "."):
            return f"write `{_WORDS[token.text]}` for `{token.text}`"
        if token.kind == "other" and token.text in ("'", '"'):
            return "a text is not closed, or has a quote in it that needs a backslash"
    return ""


def _joined(tokens: list[CelToken], at: int) -> bool:
    """Whether the `=` at `at` is a part of `==`, `!=`, `<=` or `>=`."""
    start = tokens[at].start
    before, after = tokens[at - 1], tokens[at + 1]
    left = at > 0 and before.start == start - 1 and before.text in ("=", "!", "<", ">")
    return left or (after.start == start + 1 and after.text == "=")
