"""A command's words -> which programs run: itself, and whatever its arguments make it run.

Law of this file: a program that is known to run others is looked through to the last one, or refused. Nothing
is skipped that could be the name of a program. An option that does not stand in `WRAPPERS` is refused, since
it could take an argument and so move where the inner command begins. Sources: GNU coreutils, findutils and
procps manuals, sudo(8), doas(1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.arguments import read_arguments
from mcpguard.core.functions.shell.forms import OTHER, READS
from mcpguard.core.functions.shell.git import read_git
from mcpguard.core.functions.shell.own import OWN, read_find
from mcpguard.core.functions.shell.programs import DECLARING, SHELL_SETTINGS, SHELLS, Usage, known
from mcpguard.core.functions.shell.reading import LineReading
from mcpguard.core.functions.shell.scripts import harmless
from mcpguard.core.functions.shell.words import UNKNOWN, Word, unknown
from mcpguard.core.model import Json
from mcpguard.core.tables import names

INNER = 16
"""How many commands one command may run by its arguments."""

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=", re.ASCII)
_FOLDER_CHANGES = names("cd pushd popd")
_STAY_IN_SHELL = names("command builtin noglob nocorrect")
"""Wrappers that run a command of the shell itself, not a program of its name."""
_TRANSPARENT = names("command builtin noglob nocorrect time timeout gtimeout nice stdbuf")
"""Wrappers that run a command as it would run without them: once, in the foreground, with these arguments."""
_VERSIONS = {
    "--version": names("python pypy perl ruby node lua php java julia tar vim nvim emacs ffmpeg sqlite3 gpg"),
    "-V": names("python pypy ssh"),
    "-v": names("node perl ruby lua php"),
}
"""Options that make these only print their version, without reading anything of the folder."""


def launch(reading: LineReading, words: Sequence[Word], depth: int) -> None:
    """Note the command `words`, and those inside it. Raises FunctionError where one cannot be determined."""
    waiting, count, child = [list(words)], 0, False
    first, given, opaque = len(reading.commands), reading.given, list[dict[str, Json]]()
    while waiting:
        words, count = waiting.pop(), count + 1
        if count > INNER or len(waiting) > INNER:
            raise FunctionError(f"shell() follows at most {INNER} commands that run others")
        if not words:
            continue
        args = words[1:]
        base, called = reading.run(words[0], args)
        name = base.lower()
        with reading.of_program(words[0].text, args):
            _effects(reading, called, known(called), args)
            _lose_folder(reading, child, name)
            waiting += _inner(reading, name, args, depth)
        child = child or (name in WRAPPERS and name not in _STAY_IN_SHELL)
        opaque += [reading.commands[-1]] if name in WRAPPERS and name not in _TRANSPARENT else []
    if reading.given > given or any(one["kind"] != READS for one in reading.commands[first:]):
        for one in opaque:
            one["kind"] = OTHER


def _inner(reading: LineReading, name: str, args: Sequence[Word], depth: int) -> list[list[Word]]:
    """Note what programs that have a language of their own do. Returns the commands that they run."""
    if wrapper := WRAPPERS.get(name):
        inner = _unwrap(reading, wrapper, args, depth)
        if name == "env" and not inner:
            reading.discloses.add(name)
        return [inner]
    if name in SHELLS:
        _shell(reading, args, depth)
    elif name in ("find", "gfind"):
        return read_find(reading, args)
    elif name == "git":
        read_git(reading, args)
    elif name == "alias":
        reading.functions |= {one.text.partition("=")[0] for one in args}
    elif name in DECLARING:
        reading.declare(name, args)
    return []


def _lose_folder(reading: LineReading, child: bool, name: str) -> None:
    """Run as a program (a `child`), `cd` changes nothing but reports success, so the folder of what follows
    is not known. Some systems have such a program."""
    if child and name in _FOLDER_CHANGES:
        reading.places.lose()


def _effects(reading: LineReading, name: str, program: Usage | None, args: Sequence[Word]) -> None:
    """Note what the table of programs says about one, `None` for one that is not in it."""
    if program is None:
        _run_unknown(reading, name)
        return
    if "obeys" in program.traits:
        reading.obey(name)
    elif _asks_version(name, args):
        return
    if "sends" in program.traits:
        reading.sends.add(name)
    if "changes" in program.traits:
        reading.changes.add(name)
    if "discloses" in program.traits:
        reading.discloses.add(name)
    if "code" in program.traits:
        reading.code = True
    if "inner" not in program.traits:
        _arguments(reading, name, program, args)
    if "sets" in program.traits:
        reading.resets = reading.resets or "inner" in program.traits or reading.code


def _arguments(reading: LineReading, name: str, program: Usage, args: Sequence[Word]) -> None:
    texts = read_arguments(reading, name, program, args)
    if "own" in program.traits:
        OWN[name](reading, args, texts.words)
    if "script" in program.traits and not harmless(name, args, texts.words):
        _run_unknown(reading, name)


def _run_unknown(reading: LineReading, name: str) -> None:
    """A program that nobody listed, or one that is given a script with something that nobody listed."""
    reading.unknown.add(name)
    reading.code = True


def _asks_version(name: str, args: Sequence[Word]) -> bool:
    asked = _VERSIONS.get(args[0].text, frozenset()) if len(args) == 1 else frozenset()
    return name.rpartition("/")[2].rstrip("0123456789.") in asked


def _unwrap(reading: LineReading, wrapper: Wrapper, args: Sequence[Word], depth: int) -> list[Word]:
    """The inner command of a wrapper; nothing if there is none, or where it is read later."""
    if wrapper.needs and not args:
        raise FunctionError("shell() cannot determine what runs: a command that runs another has none")
    marks: list[str] = []
    rest = _after_options(reading, wrapper, args, marks)
    if any(not word.literal for word in rest[: wrapper.operands]):
        raise FunctionError("shell() cannot determine which program runs: a word before it is not literal")
    rest = rest[wrapper.operands :]
    while wrapper.assigns and rest and (found := _ASSIGNMENT.match(rest[0].text)):
        if not rest[0].fixed:
            raise FunctionError(
                "shell() cannot determine which program runs: a word before it is not literal"
            )
        reading.assign(found[1], Word(rest[0].text[found.end() :]), exported=True)
        rest = rest[1:]
    if wrapper.joined and rest:
        if not all(word.literal for word in rest):
            raise FunctionError("shell() cannot determine what runs: a text for a shell is not literal")
        reading.read_later(depth + 1, " ".join(word.text for word in rest))
        return []
    reading.indirect = reading.indirect or wrapper.appends
    if wrapper.appends and rest:
        return [*_marked(rest, marks), UNKNOWN]
    return list(rest)


def _after_options(
    reading: LineReading, wrapper: Wrapper, args: Sequence[Word], marks: list[str]
) -> list[Word]:
    """What follows the options. Appends to `marks` what is replaced. Raises FunctionError."""
    rest = list(args)
    while rest and rest[0].text.startswith("-"):
        option = rest.pop(0)
        if not option.literal:
            raise FunctionError("shell() cannot determine which program runs: an option is not literal")
        if option.text == "--":
            break
        takes = _long(wrapper, option.text) if option.text.startswith("--") else None
        letter, value = ("", "") if takes is not None else _short(wrapper, option.text)
        if letter and letter in wrapper.quiet:
            return []
        if takes or (letter and not value and letter + ":" in wrapper.short):
            value = _argument(rest)
        if (letter or option.text[2:].partition("=")[0]) in wrapper.reads:
            reading.read(Word(value or option.text.partition("=")[2]))
        if letter and letter in wrapper.marks:
            marks.append(value)
        reading.code = reading.code or (bool(letter) and letter in wrapper.renames)
        if (letter or option.text[2:].partition("=")[0]) in wrapper.moves:
            reading.places.lose()
    return rest


def _argument(rest: list[Word]) -> str:
    if not rest or not rest[0].literal:
        raise FunctionError("shell() cannot determine which program runs: an option is not literal")
    return rest.pop(0).text


def _long(wrapper: Wrapper, text: str) -> bool:
    """Whether the next word is the option's argument."""
    name, equals, _ = text[2:].partition("=")
    if name + "=" in wrapper.long:
        return not equals
    if equals or name not in wrapper.long:
        raise FunctionError("shell() does not know an option of a program that runs another")
    return False


def _short(wrapper: Wrapper, text: str) -> tuple[str, str]:
    """The last letter that counts in a cluster of options, and the argument that is joined to it."""
    for at, letter in enumerate(text[1:], 1):
        known = letter != ":" and letter in wrapper.short
        if not known:
            break
        if letter + ":" in wrapper.short or letter in wrapper.quiet:
            return letter, text[at + 1 :]
    else:
        if len(text) > 1:
            return "", ""
    raise FunctionError("shell() does not know an option of a program that runs another")


def _marked(rest: Sequence[Word], marks: Sequence[str]) -> list[Word]:
    """The inner command with what will be replaced marked as unknown. Raises FunctionError."""
    if any(mark not in ("{}", "%", "@") for mark in marks):
        raise FunctionError("shell() knows {}, % and @ as what an option replaces")
    return [unknown(word.text) if any(mark in word.text for mark in marks) else word for word in rest]


def _shell(reading: LineReading, args: Sequence[Word], depth: int) -> None:
    """A shell that is given a text is read; one that is given a script, or nothing, is given code."""
    rest, given = list(args), False
    while rest and rest[0].text[:1] in ("-", "+"):
        option = rest.pop(0).text
        if option == "--":
            break
        if option == "-":
            break
        known = re.fullmatch(f"-[{SHELL_OPTIONS}]*(o?)", option)
        named = known and known[1] and rest and rest.pop(0)
        if not known or (known[1] and not (named and named.literal and named.text in SHELL_SETTINGS)):
            raise FunctionError("shell() does not know an option of a shell")
        given = given or "c" in option
    if not given:
        reading.code = True
        return
    if not rest or not rest[0].literal:
        raise FunctionError("shell() cannot determine what runs: a text for a shell is not literal")
    reading.read_later(depth + 1, rest[0].text)


class Wrapper(Struct, frozen=True):
    """How to find the inner command: after the options and then `operands` words.

    `short` is as for getopt: each letter an option, with a colon when it takes an argument. `long` likewise,
    with an equals sign. `assigns`: NAME=value may precede the command. `joined`: the rest is a text for
    a shell. `appends`: arguments that are not here will follow. `needs`: it may
    not stand alone (with a redirect, zsh runs cat then). `quiet`: short options with which nothing
    runs. `marks`: short options whose argument is replaced in the command. `moves`: options that change the
    folder in which it runs. `reads`: options whose argument is a file to read. `renames`: short options that
    give it another name, by which a program that is many in one, such as BusyBox, chooses what it does.
    """

    short: str = ""
    long: tuple[str, ...] = ()
    operands: int = 0
    assigns: bool = False
    joined: bool = False
    appends: bool = False
    needs: bool = False
    quiet: str = ""
    marks: str = ""
    moves: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    renames: str = ""


WRAPPERS: dict[str, Wrapper] = {
    "env": Wrapper("iu:C:", ("ignore-environment", "unset=", "chdir="), assigns=True, moves=("C", "chdir")),
    "sudo": Wrapper(
        "EHnSPbu:g:p:C:D:",
        ("user=", "group=", "non-interactive", "set-home", "stdin", "preserve-env", "chdir=", "prompt="),
        assigns=True,
        moves=("D", "chdir"),
    ),
    "doas": Wrapper("nu:"),
    "nohup": Wrapper(),
    "nice": Wrapper("n:", ("adjustment=",)),
    "ionice": Wrapper("c:n:t", ("class=", "classdata=", "ignore")),
    "timeout": Wrapper(
        "k:s:v", ("kill-after=", "signal=", "preserve-status", "foreground", "verbose"), operands=1
    ),
    "gtimeout": Wrapper("k:s:v", ("kill-after=", "signal=", "preserve-status", "foreground"), operands=1),
    "time": Wrapper("p", assigns=True, needs=True),
    "stdbuf": Wrapper("i:o:e:", ("input=", "output=", "error=")),
    "setsid": Wrapper("cfw", ("ctty", "fork", "wait")),
    "exec": Wrapper("cla:", renames="a"),
    "command": Wrapper("pvV", needs=True, quiet="vV"),
    "builtin": Wrapper(needs=True),
    "noglob": Wrapper(needs=True),
    "nocorrect": Wrapper(needs=True),
    "busybox": Wrapper(),
    "toybox": Wrapper(),
    "unbuffer": Wrapper("p"),
    "caffeinate": Wrapper("disu"),
    "xargs": Wrapper(
        "0rtxn:L:P:d:E:s:I:a:",
        ("null", "no-run-if-empty", "verbose", "exit", "max-args=", "max-procs=", "delimiter=", "arg-file="),
        appends=True,
        marks="I",
        reads=("a", "arg-file"),
    ),
    "watch": Wrapper("n:tdbegc", ("interval=", "no-title", "beep", "errexit", "color"), joined=True),
    "eval": Wrapper(joined=True),
}
"""By the name of the program."""

SHELL_OPTIONS = "cefnuxl"
"""Short options of all `SHELLS` that take no argument."""
