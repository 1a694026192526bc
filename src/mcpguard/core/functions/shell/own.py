"""Programs whose arguments need a look of their own, beside their line in the table.

Law of this file: a program here has to show that it is given no code; where an argument is not known it is
taken for the worst one. Sources: the programs' manuals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mcpguard.core.functions.shell.names import names
from mcpguard.core.functions.shell.reading import Reading
from mcpguard.core.functions.shell.scripts import awk_chooses_files, plain_awk, plain_jq, plain_sed
from mcpguard.core.functions.shell.words import Word

_NUMERIC = names("-eq -ne -lt -le -gt -ge")
_NUMBER = re.compile(r"-?\d+|\"?\$[?#]\"?", re.ASCII)
_TEXT_FORMAT = re.compile(r"(?:[^%]|%%|%-?\d*s)*", re.ASCII | re.DOTALL)
_STACK = re.compile(r"(?:[+-]\d*)?", re.ASCII)
_ELSEWHERE = re.compile(r"^[/~]|(?:^|/)\.\.(?:/|$)")
_SENT_FILE = re.compile(r"(?:[^@<=]*=)?[@<](.+)", re.DOTALL)
_LOCAL_URL = re.compile(r"file:(?://[^/]*)?(.*)", re.IGNORECASE | re.DOTALL)

Texts = Sequence[Word]


def _code(reading: Reading, given: bool) -> None:
    reading.code = reading.code or given


def _awk(reading: Reading, args: Texts, texts: Texts) -> None:
    """A program that only edits text; to gawk a file below /inet is a connection."""
    _code(reading, any("/inet" in word.text for word in args))
    _code(reading, not texts or not (texts[0].literal and plain_awk(texts[0].text)))
    reading.indirect = reading.indirect or any(awk_chooses_files(word.text) for word in texts)


def _sed(reading: Reading, _args: Texts, texts: Texts) -> None:
    script = "\n".join(word.text for word in texts)
    _code(reading, not texts or not all(word.literal for word in texts) or not plain_sed(script))


def _jq(reading: Reading, _args: Texts, texts: Texts) -> None:
    _code(reading, not all(word.literal and plain_jq(word.text) for word in texts))


def _date(reading: Reading, _args: Texts, texts: Texts) -> None:
    """A time that is not an option's sets the clock."""
    _code(reading, not all(word.text.startswith("+") for word in texts))


def _test(reading: Reading, args: Texts, _texts: Texts) -> None:
    """-v evaluates a subscript; zsh evaluates what it compares as numbers."""
    for word in args:
        if _ELSEWHERE.search(word.text):
            reading.read(word)
    numeric = any(word.text in _NUMERIC for word in args)
    odd = any(not word.literal and not _NUMBER.fullmatch(word.text) for word in args)
    _code(reading, any(not word.single or word.text == "-v" for word in args) or (numeric and odd))


def _number(reading: Reading, args: Texts, _texts: Texts) -> None:
    """zsh evaluates the number of exit, return, shift, break and continue."""
    _code(reading, not all(_NUMBER.fullmatch(word.text) for word in args))


def _printf(reading: Reading, args: Texts, _texts: Texts) -> None:
    """-v evaluates a subscript; zsh evaluates what is formatted as a number."""
    unknown = any(not word.literal for word in args)
    formats = bool(args) and args[0].literal and bool(_TEXT_FORMAT.fullmatch(args[0].text))
    _code(reading, (bool(args) and args[0].text.startswith("-")) or (unknown and not formats))


def _cd(reading: Reading, _args: Texts, texts: Texts) -> None:
    """What stands behind it runs in another folder. To zsh `+1` and two words are none that they name."""
    plain = len(texts) == 1 and texts[0].literal and not _STACK.fullmatch(texts[0].text)
    if plain and not reading.repeats:
        reading.read(texts[0])
        reading.places.enter(texts[0].text)
    else:
        reading.places.lose()


def _pushd(reading: Reading, _args: Texts, _texts: Texts) -> None:
    reading.places.lose()


def _dd(reading: Reading, args: Texts, _texts: Texts) -> None:
    """`of=FILE` is written."""
    for word in args:
        name, _, value = word.text.partition("=")
        if not word.fixed or name == "of":
            reading.write(Word(value, word.literal))
        elif name == "if":
            reading.read(Word(value, word.literal))


def _curl(reading: Reading, args: Texts, _texts: Texts) -> None:
    """Files that `@` and `<` name, and those of file: addresses."""
    for word in args:
        found = _SENT_FILE.fullmatch(word.text) or _LOCAL_URL.fullmatch(word.text)
        if found:
            reading.read(Word(found[1], word.literal))


OWN: dict[str, Callable[[Reading, Texts, Texts], None]] = {
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "original-awk"), _awk),
    **dict.fromkeys(("sed", "gsed"), _sed),
    **dict.fromkeys(("jq", "gojq", "jaq"), _jq),
    **dict.fromkeys(("date", "gdate"), _date),
    **dict.fromkeys(("test", "["), _test),
    **dict.fromkeys(("exit", "return", "shift", "break", "continue"), _number),
    "printf": _printf,
    "cd": _cd,
    **dict.fromkeys(("pushd", "popd"), _pushd),
    "dd": _dd,
    "curl": _curl,
}
"""By the name of the program: what is called with all of its arguments, and with those that are texts."""
