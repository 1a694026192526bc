"""Paths as conditions read them: a text -> its normal form.

Law of this file: a path is read as the kernel of a POSIX system would read it, and only if nothing on the
way there (a shell, a glob, a decoder, Unicode normalisation, another platform) could make another of it.
Symbolic links cannot be seen here.
"""

from __future__ import annotations

import re
import unicodedata

from msgspec import Struct

from mcpguard.core.functions.function import FunctionError, check_size

LIMIT = 4096
"""Characters and bytes of a path (PATH_MAX of Linux)."""

LONGEST = 255
"""Bytes of a name (NAME_MAX of Linux)."""

# What looks like a dot, a slash or a backslash, or turns into one under some code page.
_LOOK_ALIKES = frozenset(
    "\u00a5\u0589\u05c3\u06d4\u0701\u0702\u1735\u2024\u2027\u2044\u20a9\u2215\u2216\u2219\u22c5\u2571\u2572\u29f5\u29f8"
    "\u29f9\u2cf9\u2e4a\u2e31\u3002\ua60e\ua4f8\U00010a50\U0001d16d"
)
# What is drawn as nothing (Default_Ignorable_Code_Point of Unicode), where its category does not tell.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_BEYOND = re.compile(r"[^\x20-\x7e]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# What a glob or the braces of a shell could turn into two dots.
_TWO_ATOMS = re.compile(r"(?:\.|\[[!^]?\]?(?:\[[:.=][^]]*[:.=]\]|[^]])*\]){2}")
_DOTTED = re.compile(r"\{.*\.\.|[@+!]\([^()]*\.[^()]*\)")
# Names of the kernel that lead to whatever a process has open, and devices of bash.
_MAGIC = re.compile(
    r"/(?:proc/(?:self|thread-self|[0-9]+)|dev/(?:fd|stdin|stdout|stderr|tcp|udp)|\.vol|\.file|\.nofollow"
    r"|\.resolve)(?:/|\Z)",
    re.IGNORECASE,
)


class PurePath(Struct, frozen=True):
    """A path in normal form. `steps` are its names, without `.`, `..` and empty ones."""

    absolute: bool
    steps: tuple[str, ...]


def read_path(name: str, text: str) -> PurePath:
    """Read one path for the function called `name`; `.`, `..` and `//` are resolved as text.

    Raises FunctionError for what is empty or too long; for `~`, escapes with `%`, backslashes, globs that
    could match `..`, URLs, drives and shares; for characters that cannot be seen, that look like others or
    that Unicode normalisation changes; for names that begin with a space or end with a space or a dot; for
    what leads through /proc/self, /dev/fd and the like; for a relative path that leaves where it starts.
    """
    check_size(name, text, LIMIT)
    _check_characters(text)
    _check_shape(text)
    names = text.split("/")
    for one in names:
        _check_name(one)
    absolute = text.startswith("/")
    steps: list[str] = []
    for one in names:
        if one == "..":
            if not steps and not absolute:
                raise FunctionError("a relative path must not leave the folder that it starts in")
            del steps[-1:]
        elif one not in ("", "."):
            steps.append(one)
            _check_magic(steps, absolute)
    return PurePath(absolute, tuple(steps))


def _check_characters(text: str) -> None:
    for one in _BEYOND.findall(text):
        if unicodedata.category(one)[0] in "CZ" or one in _LOOK_ALIKES:
            raise FunctionError("a path has a character that is invisible or looks like another")
    if _UNSEEN.search(text):
        raise FunctionError("a path has an invisible character")
    if unicodedata.normalize("NFKC", text) != text:
        raise FunctionError("a path has a character that Unicode normalisation replaces")
    if not text.isascii() and len(text.encode()) > LIMIT:
        raise FunctionError(f"a path has at most {LIMIT:,} bytes")


def _check_shape(text: str) -> None:
    if not text:
        raise FunctionError("a path must not be empty")
    if any(one in text for one in "\\%*?"):
        raise FunctionError("a path must not contain a backslash, `%`, `*` or `?`")
    if text.startswith(("//", "-")):
        raise FunctionError("a path must not begin with `//` or `-`")
    if _SCHEME.match(text):
        raise FunctionError("a path must not begin with a drive or the scheme of a URL")
    _, brace, rest = text.partition("{")
    if brace and "," in rest:
        raise FunctionError("a path must not contain braces that a shell would expand")


def _check_name(name: str) -> None:
    if name in ("", ".", ".."):
        return
    if len(name.encode()) > LONGEST:
        raise FunctionError(f"a name in a path has at most {LONGEST} bytes")
    if name.startswith(("~", " ")) or name.endswith((" ", ".")):
        raise FunctionError(
            "a name in a path must not begin with `~` or a space, nor end with a space or dot"
        )
    if name.partition(";")[0] in (".", "..") or _TWO_ATOMS.fullmatch(name) or _DOTTED.search(name):
        raise FunctionError("a name in a path could be taken for `..`")


def _check_magic(steps: list[str], absolute: bool) -> None:
    if absolute and len(steps) <= 2 and _MAGIC.match("/" + "/".join(steps)):
        raise FunctionError("a path leads to the open files of a process, which no text can determine")
