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


def read_find(reading: Reading, args: Sequence[Word]) -> list[list[Word]]:
    """Note what find does. Returns the commands that it runs, or could run if an argument is an action; its
    -delete counts as rm. Raises FunctionError where they are not known."""
    if not all(word.fixed for word in args):
        raise FunctionError("shell() cannot determine what find runs: an argument is not literal")
    if sum(word.text in _RUNS for word in args) > _ACTIONS:
        raise FunctionError(f"shell() reads at most {_ACTIONS} commands of find")
    found: list[list[Word]] = []
    starts: list[Word] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word.text in _RUNS:
            found.append(_command(rest, _below(starts)))
            if word.text in ("-execdir", "-okdir"):
                reading.places.lose()
        elif word.text == "-delete":
            found.append([Word("rm"), *_below(starts)])
        elif word.text in _WRITES:
            reading.code = True
            reading.redirect(">", rest.pop(0) if rest else UNKNOWN)
            if word.text == "-fprintf" and rest:
                rest.pop(0)
        else:
            _test(reading, word, rest, starts)
    return found


def _below(starts: Sequence[Word]) -> list[Word]:
    """What find finds: paths that begin with a folder where it starts."""
    return [
        Word(f"{one.text}/*", literal=False, single=False, pattern=one.literal or one.pattern, found=True)
        if one.text
        else UNKNOWN
        for one in starts or [Word(".")]
    ]


def _test(reading: Reading, word: Word, rest: list[Word], starts: list[Word]) -> None:
    """Note a test, an option or a folder. What is named as an action is no argument of a test."""
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
