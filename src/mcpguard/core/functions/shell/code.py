"""Which commands make a program run or change what its name does not say: interpreters and known options.

Law of this file: a program in a table here has to show that it is given no code; where an argument is not
known it is taken for the worst one. Sources: the programs' manuals, and https://gtfobins.github.io.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mcpguard.core.functions.shell.names import (
    BUILDERS,
    BUILTINS,
    GIT_OPTIONS,
    GIT_PLAIN,
    INTERPRETERS,
    STARTERS,
    names,
)
from mcpguard.core.functions.shell.words import Word

ALWAYS = INTERPRETERS | BUILTINS | STARTERS | BUILDERS
"""Programs whose every run counts as code, unless they are only asked for their version."""

_ASKS = (["--version"], ["--help"], ["-V"])

_SAFE_SED = re.compile(
    r"\d+(?:,\d+|,\$)?[pdq]|\$[pdq]|/[\w .-]+/[pd]|s([/|,#])[\w .=:-]*\1[\w .=:-]*\1[gpI]*", re.ASCII
)
_UNSAFE_AWK = re.compile(r"[|>@\\]|system|getline|\n", re.ASCII)

_GIT_SHORT = re.compile(r"-[A-Za-z0-9]*[OcuSX]")
_GIT_PUSH_SHORT = re.compile(r"-[A-Za-z0-9]*[OcSX]")
_GIT_MERGE_SHORT = re.compile(r"-[A-Za-z0-9]*[OcuSXs]")
_GIT_SHORTS = {
    **dict.fromkeys(("push", "commit", "add", "diff", "status", "branch"), _GIT_PUSH_SHORT),
    # -s names a program git-merge-..., and signs a tag.
    **dict.fromkeys(("merge", "pull", "tag"), _GIT_MERGE_SHORT),
}
_GIT_ADDRESS = re.compile(r"(?:ext|fd)::|.*[a-z]::", re.IGNORECASE)

_OPTIONS: dict[str, tuple[str, str]] = {
    "sort": ("oT", "--output --compress-program --temporary-directory"),
    "tree": ("oR", "--output"),
    "curl": (
        "oOKcDTJ",
        "--output --remote --config --cookie-jar --dump-header --trace --stderr --libcurl --engine",
    ),
    "rg": ("z", "--pre --hostname-bin --search-zip"),
    "fd": ("xX", "--exec"),
    "fdfind": ("xX", "--exec"),
    "date": ("s", "--set"),
    "diff": ("l", "--paginate"),
    "file": ("CzZ", "--compile --uncompress-noreport"),
    "iconv": ("o", "--output"),
    "shuf": ("o", "--output"),
    "bat": ("", "--pager"),
}
"""Short letters and long options (with their abbreviations) that run or write something."""

_NUMERIC = names("-eq -ne -lt -le -gt -ge")
_NUMBER = re.compile(r"-?\d+|\"?\$[?#]\"?", re.ASCII)
_TEXT_FORMAT = re.compile(r"(?:[^%]|%%|%-?\d*s)*", re.ASCII | re.DOTALL)


def gives_code(name: str, args: Sequence[Word]) -> bool:
    """Whether the program `name` (lower case, without its path) is given code by `args`. Never raises."""
    bare = _bare(name)
    if bare in ALWAYS or name in ALWAYS:
        return [word.text for word in args] not in _ASKS
    check = _CHECKS.get(bare) or _CHECKS.get(name)
    if check and check(args):
        return True
    options = _OPTIONS.get(bare) or _OPTIONS.get(name)
    return options is not None and any(_is_option(word, *options) for word in args)


def _bare(name: str) -> str:
    """`python3.11` is python."""
    return name.rstrip("0123456789.") or name


def _is_option(word: Word, letters: str, longs: str) -> bool:
    text = word.text
    if not word.fixed:
        return True
    if text.startswith("--"):
        return any(text.startswith(long) or long.startswith(text.partition("=")[0]) for long in longs.split())
    return text.startswith("-") and bool(set(text) & set(letters))


def _awk(args: Sequence[Word]) -> bool:
    """A program of awk that neither starts another nor writes; before it only a separator or a variable."""
    rest = list(args)
    while rest and rest[0].text.startswith("-"):
        option = rest.pop(0)
        if option.text[:2] not in ("-F", "-v") or not option.literal:
            return True
        if len(option.text) == 2 and rest and not rest.pop(0).single:
            return True
    operands_fixed = all(word.fixed and not word.text.startswith("-") for word in rest[1:])
    return not rest or not rest[0].literal or bool(_UNSAFE_AWK.search(rest[0].text)) or not operands_fixed


def _sed(args: Sequence[Word]) -> bool:
    """One plain command of sed: it can also run programs (`e`) and write files (`w`, -i)."""
    rest = list(args)
    while rest and rest[0].text in ("-n", "-E", "-r", "-nE", "-nr", "-e"):
        rest.pop(0)
    if not rest or not rest[0].literal or not _SAFE_SED.fullmatch(rest[0].text):
        return True
    return any(not word.fixed or word.text.startswith("-") for word in rest[1:])


def _git(args: Sequence[Word]) -> bool:
    """Plain subcommands without options that name a program, a configuration or a file to write."""
    rest = list(args)
    if any(not word.fixed for word in rest):
        return True
    texts = [word.text for word in rest]
    while texts and texts[0].startswith("-"):
        option = texts.pop(0)
        if option == "-C" and texts:
            texts.pop(0)
        elif option not in ("--no-pager", "-P", "--version", "--no-optional-locks"):
            return True
    if not texts:
        return False
    short = _GIT_SHORTS.get(texts[0], _GIT_SHORT)
    return texts[0] not in GIT_PLAIN or any(_git_option(text, short) for text in texts[1:])


def _git_option(text: str, short: re.Pattern[str]) -> bool:
    if text.startswith("--") and len(text) > 2:
        name = text.partition("=")[0]
        return any(long.startswith(name) for long in GIT_OPTIONS)
    return bool(short.match(text) or _GIT_ADDRESS.match(text))


def _second_operand(args: Sequence[Word]) -> bool:
    """The second file of uniq and xxd is written; `-` is a file, and so is all that stands behind `--`."""
    texts = [word.text for word in args]
    options = texts[: texts.index("--")] if "--" in texts else texts
    files = texts[len(options) + 1 :] + [text for text in options if text == "-" or not text.startswith("-")]
    return any(not word.fixed for word in args) or len(files) > 1


def _test(args: Sequence[Word]) -> bool:
    """-v evaluates a subscript; zsh evaluates what it compares as numbers."""
    if any(not word.single or word.text == "-v" for word in args):
        return True
    if not any(word.text in _NUMERIC for word in args):
        return False
    return any(not word.literal and not _NUMBER.fullmatch(word.text) for word in args)


def _number(args: Sequence[Word]) -> bool:
    """zsh evaluates the number of exit, return, shift, break and continue."""
    return any(not _NUMBER.fullmatch(word.text) for word in args)


def _date(args: Sequence[Word]) -> bool:
    """A time that is no option's sets the clock."""
    before = ["", *(word.text for word in args)]
    options = ("-d", "--date", "-r", "--reference", "-f", "--file")
    return any(
        word.text[:1].isdigit() and last not in options for last, word in zip(before, args, strict=False)
    )


def _printf(args: Sequence[Word]) -> bool:
    """-v evaluates a subscript; zsh evaluates what is formatted as a number."""
    if args and args[0].text.startswith("-"):
        return True
    unknown = any(not word.literal for word in args)
    return unknown and not (args[0].literal and _TEXT_FORMAT.fullmatch(args[0].text))


_CHECKS: dict[str, Callable[[Sequence[Word]], bool]] = {
    "awk": _awk,
    "gawk": _awk,
    "mawk": _awk,
    "nawk": _awk,
    "original-awk": _awk,
    "sed": _sed,
    "gsed": _sed,
    "git": _git,
    "date": _date,
    "uniq": _second_operand,
    "xxd": _second_operand,
    "test": _test,
    "[": _test,
    "exit": _number,
    "return": _number,
    "shift": _number,
    "break": _number,
    "continue": _number,
    "printf": _printf,
}
"""Programs that need a look at all of their arguments."""
