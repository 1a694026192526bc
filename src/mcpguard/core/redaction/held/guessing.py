"""How a value could be guessed by somebody who may try: a word, a host, a number, a short one.

Law of this file: a value is hard to guess only if it positively looks so, and the sentence about it does not
say how long it is. Held, one that is easy to guess vanishes from ordinary texts, and what vanishes says
what the value is.
"""

import re
from collections.abc import Sequence

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.shapes import (
    LEET,
    is_address,
    is_known_to_all,
    is_path,
    looks_random,
)
from mcpguard.core.redaction.held.parts import parts

FEWEST_DIGITS = 12
"""Fewer digits and nothing else are all tried in one text."""
_SHORT = 10
_LONG = 20
_WORDS = 4

_REGION = expression(
    r"(?:[a-z]{2,12}-)?(?:gov-|iso[a-z]?-)?(?:north|south|east|west|central|northeast|southeast|northwest|southwest)"
    r"(?:us|eu|europe|asia|uk)?-?[0-9]{0,2}[a-z]?|(?:east|west|north|south|central)(?:us|europe|asia)[0-9]?"
)
_NAME = (
    r"(?:(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+(?:[a-z]{2,4}|internal|local(?:domain|host)?|example|invalid|cloud|tech"
    r"|online|systems|network|services)|localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3})"
)
_HOST = expression(
    rf"(?i){_NAME}(?::[0-9]{{1,5}})?(?:/[0-9]{{1,3}})?|\[?(?=.*::|(?:[^:]*:){{7}})[0-9a-f]{{0,4}}(?::[0-9a-f]{{0,4}}){{2,7}}\]?"
)
_ADDRESS = expression(
    rf"(?i)(?:mailto:|[^<>]{{0,80}}<)?[\w.+-]{{1,64}}@(?:[\w-]{{1,63}}\.){{1,9}}[a-z]{{2,24}}(?::[\w./~-]{{1,190}})?>?|{_NAME}(?::[0-9]{{1,5}})?/\S*"
)
_DATE = expression(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{4,12}(?:Z|[+-][0-9:]{4,5})?)?")
_WORD = expression(r"[^\W\d_]+")
_BETWEEN = expression(r"[-_ ./:]")
_AFTER = expression(r"[-_:. ]?[0-9]{0,6}[!@#$%*?.]{0,2}$")
_ROWS = "abcdefghijklmnopqrstuvwxyz 0123456789abcdef 1234567890abcdef qwertyuiopasdfghjklzxcvbnm"
_NAMES = {
    "is a date": _DATE,
    "is the name of a region": _REGION,
    "is the name of a host": _HOST,
    "is the name of a resource": expression(r"arn:[\w-]*:.*"),
}
_CHARACTERS = (str.islower, str.isupper, str.isdigit)


def guessed(value: str, members: Sequence[str] | None = None) -> str:
    """How `value`, or one of its `members` that are secret by themselves, can be guessed, as what follows
    "it"; "" where that is hard."""
    members = parts(value) if members is None else members
    text = value.strip()
    # Only of an address the members count: a host with a port, say, has none.
    if (named := _named(text)) and not (members and is_address(text)):
        return named
    return next((said for one in members or (text,) if (said := _said(one.strip()))), "")


def _named(text: str) -> str:
    """What it is the name of, if no piece of it is random."""
    if any(map(looks_random, re.split(r"[\s/?&=:@#.<>]", text))):
        return ""
    if said := next((said for said, names in _NAMES.items() if names.fullmatch(text)), ""):
        return said
    if is_path(text):
        return "is a path"
    return "is an address" if _ADDRESS.fullmatch(text) or is_address(text) else ""


def _said(text: str) -> str:
    if text.isdigit():
        return "is only digits, and too few" if len(text) < _LONG else ""
    stem = _AFTER.sub("", text, count=1)
    if is_known_to_all(text) or text.lower() in _ROWS or _is_known(stem.translate(LEET)):
        return "is an example, or one that everybody tries first"
    if len(set(text)) < _WORDS:
        return "has few different characters"
    return "" if looks_random(text) else _said_of_words(text, stem)


def _is_known(word: str) -> bool:
    return word.isalpha() and is_known_to_all(word)


def _said_of_words(text: str, stem: str) -> str:
    words = _WORD.findall(text)
    if "".join(words) == _BETWEEN.sub("", text):
        few = len(text) < _LONG if len(words) == 1 else len(words) < _WORDS
        return ("is a word" if len(words) == 1 else "is made of a few words") if few else ""
    if _WORD.fullmatch(stem):
        return "is a word and a number"
    if "".join(words) == _BETWEEN.sub("", stem) and len(words) < _WORDS:
        return "is made of a few words and a number"
    if len(text) < _SHORT:
        return "is short"
    kinds = sum(any(map(kind, text)) for kind in _CHARACTERS) + (not text.isalnum())
    return "" if len(text) >= _LONG or (len(text) > _SHORT and kinds > 2) else "does not look random"
