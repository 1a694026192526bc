"""How a value could be guessed by somebody who may try: a word, a host, a number, a short one.

Law of this file: a value is hard to guess only if it positively looks so, and what is said of it does not
say how long it is. Held, one that is easy to guess vanishes from ordinary texts, and what vanishes says
what the value is.
"""

import re
from collections.abc import Callable

from mcpguard.core.redaction.detectors.shapes import is_address, is_known_to_all, is_path, looks_random
from mcpguard.core.redaction.parts import parts

FEWEST_DIGITS = 12
"""Fewer digits and nothing else are all tried in one text."""
_SHORT = 10
_LONG = 20
_WORDS = 4

_REGION = re.compile(
    r"(?:[a-z]{2,12}-)?(?:gov-|iso[a-z]?-)?(?:north|south|east|west|central|northeast|southeast|northwest|southwest)"
    r"(?:us|eu|europe|asia|uk)?-?[0-9]{0,2}[a-z]?|(?:east|west|north|south|central)(?:us|europe|asia)[0-9]?"
)
_HOST = re.compile(
    r"(?i)(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+[a-z]{2,24}(?::[0-9]{1,5})?|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
)
_WORD = re.compile(r"[A-Za-z]+")
_NUMBERED = re.compile(r"[A-Za-z]+[0-9]{0,4}[!@#$%*?.]{0,2}")
_NAMES: dict[str, Callable[[str], object]] = {
    "is one that everybody tries first": is_known_to_all,
    "is the name of a region": _REGION.fullmatch,
    "is the name of a host": _HOST.fullmatch,
    "is a path": is_path,
    "is an address": is_address,
}
_CHARACTERS = (str.islower, str.isupper, str.isdigit)


def guessed(value: str) -> str:
    """How `value`, or a member of it that is secret by itself, can be guessed, as what follows "it"; "" where
    that is hard."""
    members = parts(value)
    return next((said for one in members or (value,) if (said := _said(one.strip()))), "")


def _said(text: str) -> str:
    if text.isdigit():
        return "is only digits, and too few" if len(text) < _LONG else ""
    for said, is_one in _NAMES.items():
        if is_one(text):
            return said
    if len(set(text)) < _WORDS:
        return "has few different characters"
    return _said_of_words(text)


def _said_of_words(text: str) -> str:
    random = looks_random(text)
    words = _WORD.findall(text)
    if "".join(words) == re.sub(r"[-_ .]", "", text) and not random:
        few = len(text) < _LONG if len(words) == 1 else len(words) < _WORDS
        return ("is a word" if len(words) == 1 else "is made of a few words") if few else ""
    if _NUMBERED.fullmatch(text) and not random:
        return "is a word and a number"
    if len(text) < _SHORT:
        return "is short"
    kinds = sum(any(map(kind, text)) for kind in _CHARACTERS) + (not text.isalnum())
    hard = random or len(text) >= _LONG or (len(text) > _SHORT and kinds > 2)
    return "" if hard else "does not look random"
