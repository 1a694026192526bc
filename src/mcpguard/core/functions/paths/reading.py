"""Paths as conditions read them, a text -> its normal form; and `pathWithin()`: whether paths are one of the
folders or below one.

Law of this file: a path is read as the kernel of a POSIX system would read it, and only if it consists of
what no program on the way there (a shell, a library that expands variables, a decoder, another platform)
turns into a path elsewhere. Where other readings remain, `PathName` knows them. Symbolic links cannot be seen
here. Where a path is in no folder as it stands, but would be in one for some program or file system (case,
globs, what stands behind a `#`), there is no answer.
"""

from __future__ import annotations

import re
import unicodedata

from msgspec import Struct

from mcpguard.core.functions.function import Function, FunctionError, Parameter, as_list, check_size, of_each
from mcpguard.core.tables import names

LIMIT = 4096
"""Characters and bytes of a path (PATH_MAX of Linux)."""

LONGEST = 255
"""Bytes of a name (NAME_MAX of Linux)."""

# What no program replaces, wherever it stands in a name; letters and digits besides.
_PLAIN = re.compile(r"[A-Za-z0-9 ._+,@=&:;#()\[\]{}/-]*", re.ASCII)
# `backup~`. Elsewhere a tilde is a home folder: at the start of a name, and in shells behind `:` and `=`.
_BACKUP = re.compile(r"(?<=[A-Za-z0-9_])~(?=/|\Z)")
# `100%.txt`. Before anything else it can be an escape, a variable (`%TEMP%`) or a format (`%d`).
_PERCENT = re.compile(r"%(?=[ .,)\]]|/|\Z)")
# What only shells replace, take away or act on, but for the beginning of `${x}` and `$(x)`.
_FOR_SHELLS = re.compile(r"[!'\"?^|<>]|\$(?![({])")
# In names of files, as macOS gives them to screenshots: a space to whoever trims or compares.
_SPACES = {0xA0: " ", 0x202F: " "}
# Joins two pictures into one, or says how one is drawn.
_IN_A_PICTURE = re.compile("[\u200d\ufe0f]")
# What people mean as a folder, and quotes that servers take away.
_TAKEN_AWAY = re.compile(r"\A[$'\"]|['\"]\Z")
_BARE = re.compile(r"[!'\"]|\$\w*", re.ASCII)
SPELLING = Parameter("spelling", "string", optional=True, choices=("literal",))
"""How paths are spelled: "literal" where no shell reads them, else in any way that a program may expand."""
# Beyond ASCII: letters, marks, digits, brackets, quotes, dashes, currencies and pictures, by their categories
# of Unicode, and other characters that are accepted. Points and mathematical signs can look like a dot, a
# slash or a backslash.
_CATEGORIES = names("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Ps Pe Pi Pf Pd Sc Sk So")
_SIGNS = frozenset("\u00a1\u00a7\u00b1\u00b6\u00b7\u00bf\u00d7\u00f7\u2020\u2021\u2022\u2192\u3001\u30fb")
# Of those categories, what looks like a dot or a slash, or turns into one under some code page.
_LOOK_ALIKES = frozenset("\u00a5\u20a9\u2571\u2572\ua4f8\U0001d16d")
# What is drawn as nothing (Default_Ignorable_Code_Point of Unicode), where its category does not tell.
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_BEYOND = re.compile(r"[^\x00-\x7f]")
# What a glob or the braces of a shell could turn into two dots: `[.][.]`, `.{.}`, `{..,x}`, `+(.)`.
_GROUPS = re.compile(r"[@+]?\(|[){}]")
_TWO_ATOMS = re.compile(r"(?:[.?]|\[\]?(?:\[[:.=][^]]*[:.=]\]|[^]])*\]){2}|[\[\].?]+")
_DOTTED = re.compile(r"\{.*(?:\.\.|,)|[@+]\([^)]*[.\[]")
_PAIR = re.compile(r"\{[^{}]*\}|\([^()]*\)")
_PATTERN = re.compile(r"[\[({?]")
_CUT = re.compile("[ \xa0\u202f#;,:&$'\"!?^|<>]")
_UNPAIRED = re.compile(r"[{}()]")
# Names of the kernel that lead to whatever a process has open, and devices of bash.
_MAGIC = re.compile(
    r"/(?:proc/(?:self|thread-self|[0-9]+)|dev/(?:fd|stdin|stdout|stderr|tcp|udp)|\.vol|\.file|\.nofollow"
    r"|\.resolve)(?:/|\Z)",
    re.IGNORECASE,
)


class PathName(Struct, frozen=True):
    """One name of a path.

    `pattern`: a program that expands globs or braces could take it for any other name, as in `[s]ecret`.
    """

    name: str

    @property
    def pattern(self) -> bool:
        return _PATTERN.search(self.name) is not None

    @property
    def plain(self) -> bool:
        """Whether all programs read it as it stands: it is not a pattern, and nothing in it is cut off by
        those that take a path for part of a URL, of a list or of a command line."""
        return not self.pattern and _CUT.search(self.name) is None

    def could_be(self, other: str) -> bool:
        """Whether some program, or a file system that ignores case or how a letter is composed, could take it
        for the name `other`."""
        if self.pattern:
            return True
        return _folded(other) in (_folded(self.name), _folded(_CUT.split(self.name, maxsplit=1)[0]))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class PurePath(Struct, frozen=True):
    """A path in normal form. `steps` are its names, without `.`, `..` and empty ones."""

    absolute: bool
    steps: tuple[PathName, ...]


HERE = PurePath(False, ())
"""The folder in which relative paths start, where nobody says which it is."""


def read_path(name: str, text: str, base: PurePath = HERE, *, literal: bool = False) -> PurePath:
    """Read one path for the function called `name`; `.`, `..` and `//` are resolved as text, and a relative
    path begins in `base`. `literal`: no shell reads it, so `$`, `!`, `?`, `|`, `<`, `>`, `^` and quotes are
    characters of a name, as are no-break spaces, letters with their marks apart (NFD) and pictures of several
    characters.

    Raises FunctionError for what is empty or too long; for characters that are not in the lists above, such
    as those of variables, quotes, escapes and URLs; for globs and braces that could make `..`; for
    characters that cannot be seen, that look like others or that Unicode normalisation changes; for names
    that begin with a space, or end with a space, a dot or another mark that separates paths; for `..` behind
    a name that is not plain; for what leads through /proc/self, /dev/fd and the like; for a relative path
    that leaves a `base` that is not known.
    """
    check_size(name, text, LIMIT)
    seen = "/".join(map(_normal, text.split("/"))) if literal else text
    _check_characters(seen)
    _check_shape(_FOR_SHELLS.sub("", seen) if literal and not _TAKEN_AWAY.search(seen) else seen)
    for one in seen.split("/"):
        _check_name(one)
    names = text.split("/")
    start = PurePath(True, ()) if text.startswith("/") else base
    steps = list(start.steps)
    for one in names:
        if one == "..":
            _leave(steps, start.absolute)
        elif one not in ("", "."):
            steps.append(PathName(one))
            _check_magic(steps, start.absolute)
    return PurePath(start.absolute, tuple(steps))


def _normal(name: str) -> str:
    """A name that no shell reads, as whoever composes letters or trims it has it."""
    joined = _IN_A_PICTURE.sub(_without_joiner, name).translate(_SPACES)
    composed = unicodedata.normalize("NFC", joined)
    return composed if unicodedata.normalize("NFD", composed) == joined else joined


def _without_joiner(found: re.Match[str]) -> str:
    before = found.string[found.start() - 1 : found.start()]
    return "" if before == "\ufe0f" or unicodedata.category(before or " ") in ("So", "Sk") else found[0]


def _leave(steps: list[PathName], absolute: bool) -> None:
    if not steps and not absolute:
        raise FunctionError("a relative path must not leave the folder that it starts in")
    if steps and not steps.pop().plain:
        raise FunctionError(
            "a path must not go back by `..` from a name with a space or one of `#;,:&$!?^|<>'\"[({`"
        )


def _check_characters(text: str) -> None:
    for one in _BEYOND.findall(text):
        known = unicodedata.category(one) in _CATEGORIES or one in _SIGNS
        if not known or one in _LOOK_ALIKES:
            raise FunctionError("a path has a character that is invisible or looks like another")
    if UNSEEN.search(text):
        raise FunctionError("a path has an invisible character")
    if unicodedata.normalize("NFKC", text) != text:
        raise FunctionError("a path has a character that Unicode normalisation replaces")
    if not text.isascii() and len(text.encode()) > LIMIT:
        raise FunctionError(f"a path has at most {LIMIT:,} bytes")


def _check_shape(text: str) -> None:
    if not text:
        raise FunctionError("a path must not be empty")
    if text.startswith("~"):
        raise FunctionError("`~` is not expanded: write out the folder that it stands for, from its `/` on")
    known = _BEYOND.sub("", _BACKUP.sub("", _PERCENT.sub("", text)))
    if not _PLAIN.fullmatch(known):
        raise FunctionError(
            "a path has a character that some programs replace, such as `$`, `*`, `~`, `!`, a quote, a "
            "backslash or an escape with `%`"
        )
    if text.count("%") > 1:
        raise FunctionError("a path must not contain two `%`, since a variable could stand between them")
    if text.startswith(("//", "-", "=", ":", ";", ",", "&")):
        raise FunctionError("a path must not begin with `//` or one of `-=:;,&`")
    if not text.startswith("/") and ":" in text.partition("/")[0]:
        raise FunctionError("a relative path with `:` in its first name could be a drive, a host or a URL")


def _check_name(name: str) -> None:
    if name in ("", ".", ".."):
        return
    if len(name.encode()) > LONGEST:
        raise FunctionError(f"a name in a path has at most {LONGEST} bytes")
    if name.startswith(" ") or name.endswith((" ", ".", ",", ";", ":", "&")):
        raise FunctionError(
            "a name in a path must not begin with a space, nor end with a space or one of `.,;:&`"
        )
    if _UNPAIRED.search(_PAIR.sub("", _PAIR.sub("", name))):
        raise FunctionError("a name in a path must not begin braces or parentheses that it does not end")
    bare = _GROUPS.sub("", _BARE.sub("", name))
    if _CUT.split(name, maxsplit=1)[0] in (".", "..") or _TWO_ATOMS.fullmatch(bare) or _DOTTED.search(name):
        raise FunctionError("a name in a path could be taken for `..`, or is a list in braces")


def _check_magic(steps: list[PathName], absolute: bool) -> None:
    if absolute and len(steps) <= 2 and _MAGIC.match("/" + "/".join(one.name for one in steps)):
        raise FunctionError("a path leads to the open files of a process, which no text can determine")


def is_literal(name: str, spelling: str | None) -> bool:
    """Whether no shell reads the paths. Raises FunctionError for a spelling that does not exist."""
    if spelling not in (None, *SPELLING.choices):
        raise FunctionError(f"{name}() accepts as `spelling`: {', '.join(SPELLING.choices)}")
    return spelling is not None


def path_within(
    paths: str | list[str], folders: str | list[str], base: str | None = None, spelling: str | None = None
) -> bool:
    """Whether a path, or each of a list, is one of `folders` or below one; relative ones, of both, begin in
    `base`. With the `spelling` "literal" no shell reads the paths. Raises FunctionError for a path or a
    folder as `read_path` does, for a folder with `..`, for a `base` that is not absolute, for a mix of
    relative and absolute paths without one, where a folder holds a path only by another reading of it, and
    for a list as `of_each` does."""
    start, literal = HERE if base is None else _base(base), is_literal("pathWithin", spelling)
    holders = [_folder(one, start) for one in as_list(folders)]
    return of_each(
        paths, lambda path: _within(read_path("pathWithin", path, start, literal=literal), holders)
    )


def _within(inner: PurePath, holders: list[PurePath]) -> bool:
    if any(holder.absolute != inner.absolute for holder in holders):
        raise FunctionError(
            "pathWithin() compares a relative path with an absolute folder only if its third argument is the "
            "folder in which relative paths start"
        )
    if any(inner.steps[: len(holder.steps)] == holder.steps for holder in holders):
        return True
    if any(_could_hold(holder, inner) for holder in holders):
        raise FunctionError(
            "a path is in a folder only if case or the form of accents is ignored, brackets are expanded, or "
            "a space or `#` ends it"
        )
    return False


def _could_hold(folder: PurePath, path: PurePath) -> bool:
    return len(folder.steps) <= len(path.steps) and all(
        step.could_be(other.name) for step, other in zip(path.steps, folder.steps, strict=False)
    )


def _folder(text: str, base: PurePath = HERE) -> PurePath:
    if ".." in text.split("/"):
        raise FunctionError("a folder must be written without `..`")
    return read_path("pathWithin", text, base)


def _base(text: str) -> PurePath:
    if not text.startswith("/"):
        raise FunctionError("the folder in which relative paths start must be absolute")
    return _folder(text)


PATH_WITHIN = Function(
    name="pathWithin",
    parameters=(
        Parameter("paths", "strings"),
        Parameter("folders", "strings", check=_folder),
        Parameter("base", "string", optional=True, check=_base),
        SPELLING,
    ),
    call=path_within,
)
