"""What the names in a path say: `secretName()` and `obeyedFile()` find kinds of files, each known by globs,
which `secret_names.txt` and `obeyed_files.txt` have with their examples.

Law of this file: a path is searched in every reading that some file system or program may give it, and one
that finds a kind is enough. A glob or a variable means "no" only where nothing in its place could be of a
kind; otherwise there is no answer. A list of names can never be complete, so "no" is "not known".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote

import re2
from msgspec import Struct

from mcpguard.core.functions.function import Function, FunctionError, Parameter, check_size, of_each
from mcpguard.core.functions.paths.reading import LIMIT, LONGEST, SPELLING, UNSEEN, is_literal
from mcpguard.core.tables import entries

GLOBS = 64
"""The most characters of a name that is a glob, names of a path that are, and paths that braces stand for."""

MOST_COMPARED = 20_000
"""Pairs of a glob of ours and a name that one call compares, where globs stand in paths: some 30 ms."""
_OF_A_PATH = 50
"""What it takes to look at a path that braces stand for, in such pairs."""

_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
# What copies, editors and archives append.
_TAIL = re.compile(
    r"(?:[._ -](?:bak|backup|old|orig|original|saved?|copy|prev|previous|tmp|temp|sw[a-p]|rej|gz|bz2|xz|zst"
    r"|zip|tar|tgz)|[._ -]?[0-9]+|[._ -]?\([^()]*\)|[~#+])\Z"
)
_TAILS = 8
# Some programs take the quotes around a path away.
_AROUND = " \"'`"
# What editors put before the name of a copy, such as `.#a` and `#a#`.
_HEAD = re.compile(r"\A[.#~$]+(?=.)")
# Where a part of a URL, a list or a remark begins.
_CUT = re.compile(r"(?!\A)[#;,?& ].*", re.DOTALL)
_MARKED = re.compile(r"[*?\[({$`%]")
_BRACKETED = r"\$\{[^}]*\}|\$\(.*\)|`[^`]*`|%\w+%"
_VARIABLE = re.compile(rf"{_BRACKETED}|\$\w+|\$(?=.)", re.DOTALL)
_LITERAL_VARIABLE = re.compile(_BRACKETED, re.DOTALL)
# What stands for it could make an escape of it, such as `%*e` with a 2.
_HALF_ESCAPE = re.compile(r"%[0-9A-Fa-f]?[*?\[({$`]")
_RANGE = re.compile(r"(0|[1-9]\d{0,4})\.\.(0|[1-9]\d{0,4})", re.ASCII)
_BRACES = re.compile(r"\{([^{}]*(?:,|\.\.)[^{}]*)\}")
_ATOM = re.compile(r"([@+!*?]\([^()]*\)|\*)|(\[\]?(?:\[[:.=][^]]*[:.=]\]|[^]])*\]|\?)|.", re.DOTALL)
_TEXT, _ONE = "\0text", "\0one"


TAKEN = ("file", "folder")
"""What a path may stand for: itself alone, or itself with all that is in it."""
PARAMETERS = (
    Parameter("paths", "strings"),
    Parameter("taken", "string", optional=True, choices=TAKEN),
    SPELLING,
)


class FileKind(Struct, frozen=True):
    """One kind of files.

    `what` names it and `why` says what makes it special, both for the reference. `names` are globs, separated
    by blanks: `*` is any text in a name, `?` one character (such as a blank), `a/b` a name in a folder. They
    are in lower case and NFKC, and mean a file, or a folder with all that is in it. `but` are globs of what
    is not meant. `hits` and `misses` are paths, from which tests and the reference are made.
    """

    what: str
    why: str
    names: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    but: str = ""


def kinds_in(name: str) -> tuple[FileKind, ...]:
    """The kinds in a table of this package, by `what`; `hits` and `misses` have commas between them."""
    found = []
    for what, parts in entries(__package__, name).items():
        hits, misses = (tuple(parts.pop(key).split(", ")) for key in ("hits", "misses"))
        found.append(FileKind(what, hits=hits, misses=misses, **parts))
    return tuple(found)


class KindFinder:
    """Finds `kinds` in paths, for the function called `name`.

    A file whose name ends in one of `plain`, such as `.py`, and begins with no dot, is found by names without
    `*` alone. Where a kind is a name in a folder, a path that may be a folder finds it as well, if a
    name on its way begins with a dot or it is one of `folders`: others, such as aws, mostly mean something
    else.
    """

    def __init__(
        self, name: str, kinds: Iterable[FileKind], plain: tuple[str, ...] = (), folders: str = ""
    ) -> None:
        self._name = name
        self._plain = plain
        self._of_kinds = tuple(kinds)
        self._folders = folders.split()
        self._all = [glob for kind in self._of_kinds for glob in kind.names.split()]
        self._all_exact = [glob for glob in self._all if "*" not in glob]

    # Compiled when the first path is looked at: that takes longer than to import all other functions, and
    # whoever only checks a policy looks at none.

    @cached_property
    def _any(self) -> Any:
        return _automaton(self._all)

    @cached_property
    def _exact(self) -> Any:
        return _automaton(self._all_exact)

    @cached_property
    def _kinds(self) -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
        return [(_union(kind.names.split()), _union(kind.but.split())) for kind in self._of_kinds]

    @cached_property
    def _globs(self) -> list[tuple[_Glob, ...]]:
        return _split(self._all)

    @cached_property
    def _exact_globs(self) -> list[tuple[_Glob, ...]]:
        return _split(self._all_exact)

    @cached_property
    def _holders(self) -> re.Pattern[str]:
        return _holders(self._all, self._folders)

    def of(self, paths: str | list[str], taken: str = "file", spelling: str | None = None) -> bool:
        """The answer for all of `paths`; `taken` is "file", or "folder" for those that may be folders with
        all that is in them, and with the `spelling` "literal" no shell reads them."""
        if taken not in TAKEN:
            raise FunctionError(f"{self._name}() takes a path as: {', '.join(TAKEN)}")
        whole, literal = taken == "folder", is_literal(self._name, spelling)
        left = _Comparisons()
        return of_each(paths, lambda path: self.finds(path, whole=whole, literal=literal, left=left))

    def finds(
        self, path: str, *, whole: bool = False, literal: bool = False, left: _Comparisons | None = None
    ) -> bool:
        """Whether a name in `path` is of one of the kinds, or with `whole` is the folder of one. `literal`:
        `$x` in it stands for itself. `left` is what may be compared for this path and others.
        Raises FunctionError for a path that is empty or longer than a path can be, where it depends on a
        glob, braces or a variable, and where these need more than is left."""
        left = _Comparisons() if left is None else left
        check_size(self._name, path, LIMIT)
        if not path:
            raise FunctionError("a path must not be empty")
        readings = [one for text in _readings(path) for one in dict.fromkeys((text, text.replace(":", "/")))]
        forms = [text for reading in readings for text in _forms(_names(reading))]
        if any(map(self._in, forms)):
            return True
        if whole and any(map(self._holders.search, forms)):
            return True
        variable = _LITERAL_VARIABLE if literal else _VARIABLE
        for reading in filter(_MARKED.search, readings):
            if _HALF_ESCAPE.search(reading):
                raise FunctionError("a path must not have a glob or a variable within an escape")
            for text in _expanded(variable.sub("*", reading)):
                for names in dict.fromkeys(zip(*map(_variants, _names(text)), strict=True)):
                    self._check(list(names), left)
        return False

    def _in(self, text: str) -> bool:
        if not self._any.search(text):
            return False
        while self._is_plain(text.rpartition("/")[2]):
            if self._exact.search(text):
                return True
            text = text.rpartition("/")[0]
        return any(names.search(but.sub("/", text)) for names, but in self._kinds)

    def _is_plain(self, name: str) -> bool:
        return bool(self._plain) and name.endswith(self._plain) and not name.startswith(".")

    def _check(self, names: list[str], left: _Comparisons) -> None:
        tokens = [_tokens(name) for name in names]
        globs = [one for one in tokens if _TEXT in one or _ONE in one]
        if len(globs) > GLOBS or any(len(one) > GLOBS for one in globs):
            raise FunctionError(f"{self._name}() reads globs of at most {GLOBS} characters")
        if not globs:
            left.take(_OF_A_PATH + len(tokens))
            could = any(self._in(text) for text in _forms(names))
        elif self._is_plain(names[-1]):
            left.take(len(self._exact_globs))
            could = any(_meets(steps, tokens[-len(steps) :]) for steps in self._exact_globs)
        else:
            left.take(len(self._globs) * len(tokens))
            could = any(_meets(steps, tokens[at:]) for steps in self._globs for at in range(len(tokens)))
        if could:
            raise FunctionError("the answer depends on what a glob, braces or a variable stand for")


class _Comparisons:
    """What is left of MOST_COMPARED in one call."""

    def __init__(self) -> None:
        self._left = MOST_COMPARED

    def take(self, pairs: int) -> None:
        """Raises FunctionError where fewer are left."""
        self._left -= pairs
        if self._left < 0:
            raise FunctionError("there are too many globs, braces or variables in the paths of one call")


class _Glob:
    """One step of a glob of ours, as an automaton that reads another glob: a set of states is an integer."""

    def __init__(self, text: str) -> None:
        self._after: dict[str, int] = {}
        self._loops = 0
        self._length = 0
        self._open = 0
        for char in text:
            if char == "*":
                self._loops |= 1 << self._length
                continue
            bit = 1 << self._length
            if char == "?":
                self._open |= bit
            else:
                self._after[char] = self._after.get(char, 0) | bit
            self._length += 1

    def meets(self, tokens: list[str]) -> bool:
        """Whether some name is meant by both."""
        whole = (1 << self._length + 1) - 1
        states = 1
        for token in tokens:
            if token is _TEXT:
                states = whole & -(states & -states)
            else:
                taken = whole if token is _ONE else self._after.get(token, 0) | self._open
                states = ((states & taken) << 1 | states & self._loops) & whole
            if not states:
                return False
        return bool(states >> self._length)


def _split(globs: Iterable[str]) -> list[tuple[_Glob, ...]]:
    return [tuple(_Glob(step) for step in glob.split("/")) for glob in globs]


def _meets(steps: tuple[_Glob, ...], names: list[list[str]]) -> bool:
    return len(names) >= len(steps) and all(
        step.meets(tokens) for step, tokens in zip(steps, names, strict=False)
    )


def _automaton(globs: Iterable[str]) -> Any:
    """Finds any of hundreds of globs as whole names of a path, in linear time."""
    return re2.compile(f"(?:^|/)(?:{_each(globs)})(?:/|$)")


def _each(globs: Iterable[str]) -> str:
    return "|".join(re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for glob in globs)


def _holders(globs: Iterable[str], folders: list[str]) -> re.Pattern[str]:
    """Finds a path that ends with a folder in which a kind is a name."""
    found = {
        "/".join(steps[:end]) for steps in (one.split("/") for one in globs) for end in range(1, len(steps))
    }
    named = [one for one in sorted(found) if re.search(r"(?:^|/)\.", one) or one in folders]
    return re.compile(f"(?:^|/)(?:{_each(named) or '(?!)'})$")


def _union(globs: Iterable[str]) -> re.Pattern[str]:
    """Finds any of `globs` as whole names of a path, the longest first; nothing, where there are none."""
    longest = sorted(globs, key=lambda glob: -glob.count("/"))
    return re.compile(f"(?:^|/)(?:{_each(longest) or '(?!)'})(?=/|$)")


def _readings(path: str) -> Iterator[str]:
    """`path` as it stands, and decoded where it has escapes; with `/` alone, and without what file systems
    ignore."""
    for _ in range(3):
        yield _folded(path)
        if not _ESCAPE.search(path):
            return
        path = unquote(path, errors="replace")
    raise FunctionError("a path must not have escapes within escapes")


def _folded(path: str) -> str:
    if not path.isascii():
        seen = "".join(one for one in UNSEEN.sub("", path) if unicodedata.category(one) != "Cf")
        path = unicodedata.normalize("NFKC", seen).encode(errors="replace").decode()
    return path.replace("\\", "/").casefold()


def _names(path: str) -> list[str]:
    names = [name if name.strip(". ") == "" else name.strip(_AROUND).rstrip(". ") for name in path.split("/")]
    if any(len(name.encode()) > LONGEST for name in names):
        raise FunctionError(f"a name in a path has at most {LONGEST} bytes")
    return [name for name in names if name.strip(" ") not in ("", ".")]


def _forms(names: list[str]) -> Iterable[str]:
    """The path as it stands and with `..` resolved, with its names whole and without what copies add."""
    walks = [names] if ".." not in names else [[name for name in names if name != ".."], _resolved(names)]
    return dict.fromkeys(
        "/".join(form) for steps in walks for form in zip(*map(_variants, steps), strict=True)
    )


def _resolved(names: list[str]) -> list[str]:
    steps: list[str] = []
    for name in names:
        if name != "..":
            steps.append(name)
        elif steps:
            steps.pop()
    return steps


@lru_cache(maxsize=4096)
def _variants(name: str) -> tuple[str, ...]:
    """A name as it stands, without what copies add to its end, without a stream, and without their mark
    before it."""
    bare = _bare(name)
    return name, bare, _bare(_CUT.sub("", name)), _HEAD.sub("", bare)


def _bare(name: str) -> str:
    for _ in range(_TAILS):
        shorter = _TAIL.sub("", name)
        if shorter in (name, ""):
            break
        name = shorter
    return name


def _expanded(text: str) -> Iterator[str]:
    """The paths that the braces of a shell stand for."""
    waiting, made = [text], 0
    while waiting:
        one = waiting.pop()
        braces = _BRACES.search(one)
        if braces is None:
            yield one
            continue
        inner = braces[1].split(",") if "," in braces[1] else _counted(braces[1])
        made += len(inner)
        if made > GLOBS:
            raise FunctionError(f"braces in a path stand for more than {GLOBS} paths")
        waiting += [one[: braces.start()] + part + one[braces.end() :] for part in inner]


def _counted(text: str) -> list[str]:
    """What `1..3` in braces stands for, or anything."""
    found = _RANGE.fullmatch(text)
    first, last = sorted(map(int, found.groups())) if found else (0, 0)
    return [str(one) for one in range(first, last + 1)] if found else ["*"]


def _tokens(name: str) -> list[str]:
    return [_TEXT if atom[1] else _ONE if atom[2] else atom[0] for atom in _ATOM.finditer(name)]


SECRET_KINDS = kinds_in("secret_names.txt")
"""All kinds of files that hold secrets. Sources: the manuals of the programs that write them."""

PLAIN = (
    ".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte", ".go",
    ".rs", ".java", ".kt", ".scala", ".clj", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".fs", ".rb", ".php",
    ".pl", ".pm", ".lua", ".swift", ".m", ".dart", ".ex", ".exs", ".erl", ".hs", ".ml", ".r", ".jl", ".zig",
    ".nim", ".sol", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".sql", ".css", ".scss", ".less", ".html",
    ".htm", ".md", ".mdx", ".rst", ".adoc", ".tex", ".tf", ".proto", ".graphql",
)  # fmt: skip
"""Endings of source code and of texts about it: there a word such as `secret` is what they are about."""

SECRETS = KindFinder("secretName", SECRET_KINDS, PLAIN, "secrets group_vars host_vars")
"""Reads paths for `secretName`."""

SECRET_NAME = Function(
    name="secretName",
    parameters=PARAMETERS,
    call=SECRETS.of,
)


OBEYED_KINDS = kinds_in("obeyed_files.txt")
"""All kinds of files that act without being asked. Sources: the manuals of the programs that obey them."""

OBEYED = KindFinder("obeyedFile", OBEYED_KINDS, folders="node_modules venv")
"""Reads paths for `obeyedFile`."""

OBEYED_FILE = Function(
    name="obeyedFile",
    parameters=PARAMETERS,
    call=OBEYED.of,
)
