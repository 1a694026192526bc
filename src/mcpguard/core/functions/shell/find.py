"""find: its tests and actions -> what it reads, runs, writes and deletes.

Law of this file: a test or an action that is not in a list here counts as code. Sources: find(1) of GNU
findutils, of BusyBox and of FreeBSD.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.names import names
from mcpguard.core.functions.shell.reading import Reading
from mcpguard.core.functions.shell.words import UNKNOWN, Word, unknown

_ACTIONS = 8
_RUNS = names("-exec -execdir -ok -okdir")
_WRITES = names("-fprint -fprint0 -fls -fprintf")
_READS = names("-newer -anewer -cnewer -samefile -neweraa -newerac -neweram -newerca -newercc -newercm")
_TEXTS = names("""
    -amin -atime -cmin -ctime -mmin -mtime -used -fstype -gid -group -ilname -iname -inum -ipath -iregex
    -iwholename -links -lname -maxdepth -mindepth -name -path -perm -printf -regex -regextype -size -type -uid
    -user -wholename -xtype -newermt -newerat -newerct -flags -Bmin -Btime -context
""")
_FLAGS = names("""
    -H -L -P -E -X -d -depth -f -s -x -O0 -O1 -O2 -O3 -a -and -o -or -not -daystart -empty -executable
    -readable -writable -false -true -follow -ignore_readdir_race -noignore_readdir_race -ls -mount -nogroup
    -noleaf -nouser -nowarn -warn -print -print0 -prune -quit -xdev -delete
""")
_PUNCTUATION = names("( ) ! , ;")
_OR = names("-o -or ,")
_CHOICES = names("-name -iname -path -ipath -wholename -iwholename -regex -iregex")


def read_find(reading: Reading, args: Sequence[Word]) -> list[list[Word]]:
    """Note what find does. Returns the commands that it runs, or could run if an argument is an action; its
    -delete counts as rm. Raises FunctionError where they are not known."""
    if not all(word.fixed for word in args):
        raise FunctionError("shell() cannot determine what find runs: an argument is not literal")
    if sum(word.text in _RUNS for word in args) > _ACTIONS:
        raise FunctionError(f"shell() reads at most {_ACTIONS} commands of find")
    found: list[list[Word]] = []
    starts: list[Word] = []
    chosen = _Names()
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word.text in _RUNS:
            found.append(_command(rest, _below(starts, chosen.here)))
            if word.text in ("-execdir", "-okdir"):
                reading.places.lose()
        elif word.text == "-delete":
            found.append([Word("rm"), *_below(starts, chosen.here)])
        elif word.text in _WRITES:
            reading.code = True
            reading.redirect(">", rest.pop(0) if rest else UNKNOWN)
            if word.text == "-fprintf" and rest:
                rest.pop(0)
        else:
            chosen.see(word.text, rest[0].text if rest else "")
            _test(reading, word, rest, starts)
    if any(command[0].text != "rm" for command in found):
        reading.selected |= chosen.all
    return found


class _Names:
    """Which names a file has that an action is reached with: `here`, those of the `-name` before it, or None
    for any name. `all`: what files are chosen by, unless by a `!`."""

    def __init__(self) -> None:
        self.here: frozenset[str] | None = None
        self.all: set[str] = set()
        self._outer: frozenset[str] | None = None
        self._arms: list[frozenset[str] | None] = []
        self._open: list[tuple[frozenset[str] | None, list[frozenset[str] | None], bool]] = []
        self._negated = False

    def see(self, text: str, argument: str) -> None:
        """Note a test, or what joins tests."""
        if text in ("!", "-not"):
            self._negated = True
            return
        if text == "(":
            self._open.append((self._outer, self._arms, self._negated))
            self._outer, self._arms = self.here, []
        elif text == ")" and self._open:
            self._close()
        elif text in _OR:
            self._arms.append(self.here)
            self.here = self._outer
        elif text in _CHOICES and not self._negated:
            self.all.add(_glob(argument) if "regex" in text else argument)
            if self.here is None and text in ("-name", "-iname"):
                self.here = frozenset([argument])
        self._negated = False

    def _close(self) -> None:
        arms, before = [*self._arms, self.here], self._outer
        self._outer, self._arms, negated = self._open.pop()
        found = frozenset[str]().union(*(arm for arm in arms if arm is not None))
        self.here = before if negated or None in arms else found


def _glob(regex: str) -> str:
    """A regular expression as a glob, as far as it is an ordinary one."""
    bare = regex.replace(".*", "*").replace("\\", "")
    return bare.translate(str.maketrans("(|)", "{,}"))


def _below(starts: Sequence[Word], names: frozenset[str] | None) -> list[Word]:
    """What find finds: paths that begin with a folder where it starts, and end with one of `names`."""
    return [
        Word(
            f"{one.text}/{name}", literal=False, single=False, pattern=one.literal or one.pattern, found=True
        )
        if one.text
        else UNKNOWN
        for one in starts or [Word(".")]
        for name in sorted(names or ["*"])
    ]


def _test(reading: Reading, word: Word, rest: list[Word], starts: list[Word]) -> None:
    """Note a test, an option or a folder. What is named as an action is not an argument of a test."""
    if word.text in _READS and rest:
        reading.read(rest.pop(0))
    elif word.text in _TEXTS:
        if rest and rest[0].text not in _RUNS | _WRITES | {"-delete"}:
            rest.pop(0)
    elif word.text == "-files0-from":
        reading.indirect = True
        starts.append(UNKNOWN)
    elif word.text.startswith("-") and word.text not in _FLAGS:
        reading.code = True
    elif word.text not in _FLAGS | _PUNCTUATION:
        reading.read(word)
        starts.append(word)


def _command(rest: list[Word], found: Sequence[Word]) -> list[Word]:
    """What stands before `;`, or before the `+` that follows a `{}`; find puts what is `found` for each `{}`.
    To BusyBox any `+` ends it, so what stands behind one stays in `rest`."""
    command: list[Word] = []
    last, ended = "", False
    for word in tuple(rest):
        if not ended:
            rest.pop(0)
        if word.text == ";" or (word.text == "+" and last == "{}"):
            break
        last, ended = word.text, ended or word.text == "+"
        if word.text == "{}" and command:
            command += found
        else:
            command.append(unknown(word.text) if "{}" in word.text else word)
    if not command:
        raise FunctionError("shell() cannot determine what find runs: there is no command")
    return command
