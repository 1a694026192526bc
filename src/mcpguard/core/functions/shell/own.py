"""Programs whose arguments a function reads, in addition to their line in the table: find and others.

Law of this file: a program here has to show that it is given no code; where an argument is not known it is
taken for the worst one. Sources: the programs' manuals; find(1) of GNU findutils, of BusyBox and of FreeBSD.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import cycle

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.programs import SHELL_SETTINGS, is_local
from mcpguard.core.functions.shell.reading import LineReading
from mcpguard.core.functions.shell.scripts import AWK
from mcpguard.core.functions.shell.words import UNKNOWN, Word, is_number, unknown
from mcpguard.core.tables import names

_NUMERIC = names("-eq -ne -lt -le -gt -ge")
_TESTS = names("""
    = == != =~ < > ! ( ) -a -o -b -c -d -e -f -g -G -h -k -L -n -N -O -p -r -s -S -t -u -w -x -z -ef -nt -ot
""")
"""Operators of `test` that evaluate nothing but, to zsh, the operand of `-t`."""
EVALUATING = _NUMERIC | {"-t", "-v", "-R"}
"""Operators of `[[` with which some shell evaluates an operand, so that it could run something."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LIMIT = re.compile(r"-[A-Za-z]+|unlimited|soft|hard", re.ASCII)
_READ = re.compile(r"-[A-Za-z]+\d*|[\w ?:.,!/()'-]*", re.ASCII)
"""Options, numbers, names of variables and plain prompts of `read`."""
_SETTING = re.compile(rf"-[eufx]+|(?:-[eufx]*o)?(?:{'|'.join(SHELL_SETTINGS)})|-[eufx]*o")
_FORMAT = re.compile(r"(?:[^%]|%%|%[-+ 0#]*(?:\*|\d*)(?:\.(?:\*|\d*))?[A-Za-z])*", re.ASCII | re.DOTALL)
_TAKES = re.compile(r"%%|%([-+ 0#*.\d]*)([A-Za-z])", re.ASCII)
_AS_TEXT, _AS_NUMBER = "bcqs", "aAdeEfFgGioxXu"
_CHARACTER = re.compile(r"['\"].", re.DOTALL)
_STACK = re.compile(r"(?:[+-]\d*)?", re.ASCII)
_ELSEWHERE = re.compile(r"^[/~]|(?:^|/)\.\.(?:/|$)")
_SENT_FILE = re.compile(r"(?:[^@<=]*=|[\w.-]+(?=@))?[@<](.+)", re.DOTALL)
_OWN_SERVER = re.compile(
    r"(?:https?://)?(?:[^/@]*@)?(?:localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\])(?::\d+)?/([^?#]+)",
    re.I | re.ASCII,
)
_LOCAL_URL = re.compile(r"file:(?://[^/]*)?(.*)", re.IGNORECASE | re.DOTALL)

Texts = Sequence[Word]


def _code(reading: LineReading, given: bool) -> None:
    reading.code = reading.code or given


def _awk(reading: LineReading, args: Texts, texts: Texts) -> None:
    """To gawk a file below /inet is a connection, and the members of ARGV are the files that awk reads."""
    _code(reading, any("/inet" in word.text for word in args))
    reading.indirect = reading.indirect or any("ARG" in word.text for word in texts)


def _date(reading: LineReading, _args: Texts, texts: Texts) -> None:
    """A time that is not an option's sets the clock."""
    _code(reading, not all(word.text.startswith("+") for word in texts))


def _test(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """-v and -R evaluate a subscript; zsh and ksh evaluate what they compare as numbers, and zsh the operand
    of -t. A word that is not known could be such an operator, unless it stands between others."""
    for word in args:
        if _ELSEWHERE.search(word.text):
            reading.read(word)
    args = args[:-1] if args and args[-1].text == "]" else args
    unknown = any(
        word.text.startswith("-") and word.text not in _TESTS | _NUMERIC and not is_number(word)
        for word in args
    )
    odd = any(
        not is_number(one) and (word.text in EVALUATING or one.text not in _TESTS)
        for at, word in enumerate(args)
        for one in _operands(args, at)
    )
    _code(reading, any(not word.single for word in args) or unknown or odd)


def _operands(args: Texts, at: int) -> Texts:
    """What the word at `at` would have evaluated if it is an operator, or could be one."""
    word, behind = args[at], args[at + 1 : at + 2]
    if word.text == "-t":
        return behind
    operator = word.text in EVALUATING or not (word.fixed or is_number(word))
    return (*args[max(at - 1, 0) : at], *behind) if operator else ()


def _number(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """zsh evaluates the number of exit, logout, return, shift, break and continue."""
    _code(reading, not all(map(is_number, args)))


def _limit(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """ksh evaluates the number of ulimit."""
    _code(reading, not all(is_number(word) or _LIMIT.fullmatch(word.text) for word in args))


def _printf(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """-v evaluates a subscript; zsh and ksh evaluate what is formatted as a number; %n sets a variable."""
    ended = bool(args) and args[0].text == "--"
    given, *operands = args[ended:] or [Word("")]
    kinds = _conversions(given)
    texts = kinds is not None and all(kind in _AS_TEXT for kind in kinds)
    aligned = kinds and all(word.single for word in operands)
    known = aligned and all(
        kind in _AS_TEXT or (kind in _AS_NUMBER and (is_number(word) or _CHARACTER.fullmatch(word.text)))
        for word, kind in zip(operands, cycle(kinds or ()))
    )
    option = not given.fixed or (given.text.startswith("-") and not ended)
    _code(reading, option or bool(operands and not (texts or known)))


def _conversions(given: Word) -> str | None:
    """The letters of the conversions in a format, one for each operand that it takes, or None if that is not
    known."""
    if not (given.literal and _FORMAT.fullmatch(given.text)):
        return None
    return "".join("d" * found[1].count("*") + found[2] for found in _TAKES.finditer(given.text) if found[2])


def _set(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """Other settings change how what follows is read: of bash `!`, of zsh nearly anything."""
    _code(reading, not all(word.literal and _SETTING.fullmatch(word.text) for word in args))


def _read(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """It sets variables, of which a program gets what the command line shows; others could be obeyed."""
    given = [word.text for word in args if word.text != "-r"]
    if all(word.literal for word in args) and all(map(is_local, given)):
        reading.taken.update(given)
        return
    reading.changes.add("read")
    for word in args:
        found = _NAME.match(word.text)
        if found:
            reading.assign(found[0])
        _code(reading, not (word.literal and _READ.fullmatch(word.text)))


def _cd(reading: LineReading, _args: Texts, texts: Texts) -> None:
    """What stands behind it runs in another folder; if that is nothing, it matters only where it leads if all
    went well. To zsh, `+1` and two words mean a folder that they do not name."""
    plain = len(texts) == 1 and texts[0].literal and not _STACK.fullmatch(texts[0].text)
    if plain and not (reading.repeats or reading.redefined):
        if reading.ends:
            reading.places.here = {reading.places.latest}
        reading.read(texts[0])
        if not reading.ends:
            reading.places.enter(texts[0].text)
    else:
        reading.places.lose()


def _pushd(reading: LineReading, _args: Texts, _texts: Texts) -> None:
    reading.places.lose()


def _dd(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """`of=FILE` is written."""
    for word in args:
        name, _, value = word.text.partition("=")
        if not word.fixed or name == "of":
            reading.write(Word(value, word.literal))
        elif name == "if":
            reading.read(Word(value, word.literal))


def _curl(reading: LineReading, args: Texts, _texts: Texts) -> None:
    """Files that `@` and `<` name, those of file: addresses, and what a server of this machine shows."""
    for word in args:
        found = _SENT_FILE.fullmatch(word.text) or _LOCAL_URL.fullmatch(word.text)
        if found:
            reading.read(Word(found[1], word.literal))
        served = _OWN_SERVER.match(word.text)
        if served:
            reading.selected.add(served[1])


OWN: dict[str, Callable[[LineReading, Texts, Texts], None]] = {
    **dict.fromkeys(AWK, _awk),
    **dict.fromkeys(("date", "gdate"), _date),
    **dict.fromkeys(("test", "["), _test),
    **dict.fromkeys(("exit", "logout", "return", "shift", "break", "continue"), _number),
    "ulimit": _limit,
    "printf": _printf,
    "read": _read,
    "set": _set,
    "cd": _cd,
    **dict.fromkeys(("pushd", "popd"), _pushd),
    "dd": _dd,
    "curl": _curl,
}
"""By the name of the program: what is called with all of its arguments, and with those that are texts."""


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


def read_find(reading: LineReading, args: Sequence[Word]) -> list[list[Word]]:
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
            _find_test(reading, word, rest, starts)
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


def _find_test(reading: LineReading, word: Word, rest: list[Word], starts: list[Word]) -> None:
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
