"""What was found out about a command line, while it is read: facts, and the folders that its commands could
run in.

Law of this file: facts are only ever added, so reading more can make a guard only tighter. A program is
known by each name that a guard could mean: the path as written, its last part, and that in lower case. A
folder is forgotten only where a command runs for certain in another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.paths.reading import path_within
from mcpguard.core.functions.shell.files import DATA, Command, obeyed, secrets
from mcpguard.core.functions.shell.forms import OTHER, READS, SHOWS, kind_of
from mcpguard.core.functions.shell.programs import EXPORTING, RESERVED, WHERE_AND_WHO, ZSH_VARIABLES
from mcpguard.core.functions.shell.words import Word, is_number
from mcpguard.core.model import Json
from mcpguard.core.tables import names

MOST = 8
"""How many folders are followed."""

DEPTH = 4
"""How deep commands may be given to commands: `sh -c "sh -c ls"` is two."""

TEXTS = 32
"""How many command lines may be given to commands."""

REPEATS = 8192
"""How many characters of loop bodies may be read again, once for each value of a variable."""

TEXTS_LIMIT = 4096
"""The longest that those may be together, in characters."""

NO_BREAK = "\u00a0"
"""What stands in a `line` for a blank within a word, and for an empty word. shell() refuses text with it."""

_UNBROKEN = str.maketrans(dict.fromkeys(" \t\n", NO_BREAK))
_PROGRAM = re.compile(r"\[|[A-Za-z0-9_./:][A-Za-z0-9_./+:,@-]*", re.ASCII)
_SYSTEM = re.compile(r"/(?:usr/|usr/local/|opt/homebrew/)?s?bin/[^/]+", re.ASCII)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_OBEYED_AS_NUMBER = names("COLUMNS LINES")
"""zsh and mksh evaluate what these are set to."""
_OBEYED_AS_TEXT = re.compile(
    r"(?:LANG|LC_[A-Z]+|TZ|TERM|CI|DEBUG|VERBOSE|(?:NODE|RAILS|RACK|APP|FLASK|MIX)_ENV"
    r"|(?:NO|FORCE|CLI|CARGO_TERM)_?COLOR|RUST_LOG|RUST_BACKTRACE|LOG_LEVEL|PYTHONUNBUFFERED"
    r"|PYTHONDONTWRITEBYTECODE)"
)
_GLOB = re.compile(r"[*?\[]")
_VALUE = re.compile(r"--?[\w.-]+=(.+)", re.DOTALL)
_CLUSTER = re.compile(r"-\w{1,5}", re.ASCII)
_PARENT = re.compile(r"(?:.*/)?\.\.?[*?\[].*", re.DOTALL)
"""A glob that to dash and BusyBox could mean the folder above, as `.*` does."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DECLARED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\+?=|\Z)", re.ASCII)
_DECLARING_OPTION = re.compile(r"-[fgprvx]+|--")
_NUMBERS = names("integer float")
_QUIET = names("export readonly unset integer float")
"""Builtins that print nothing where they are given a name; zsh prints the variable for others."""
_ENVIRONMENT = re.compile(
    r"(?i:(?<![\w./-])env(?![\w/=:-]| +[a-z]+(?: |$)))"  # Not `poetry env use`.
    r"|(?i:\b(?:printenv|getenv|environb?|process\.env|meta\.env|show-?env(?:ironment)?)\b|[$]_?ENV\b)"
    r"|(?<![\w-])ENV\b(?!=)|\bSYMTAB\b"
    r"|(?: |,)(?:inspect|(?:\S+,)?secrets?)(?:[/, ]|$)",
    re.ASCII,
)
"""Words by which a program that could do anything says that it prints the environment or secrets."""
_MACHINE = names("""
    /etc/debian_version /etc/issue /etc/lsb-release /etc/os-release /proc/cpuinfo /proc/loadavg /proc/meminfo
    /proc/uptime /proc/version
""")
"""Files outside of any folder that say what the machine is, and nothing of who uses it."""
_DEVICE = re.compile(r"/+dev(?:/.*)?|!.*", re.IGNORECASE | re.DOTALL)
_KNOWN_DEVICE = re.compile(r"/dev/(?:null|zero|u?random|full|tty|stdin|stdout|stderr|fd/[0-9]+)", re.ASCII)
"""To bash, others are connections."""


class LineReading:
    """The facts so far, and `texts`: (depth, text, folders in which it runs) of command lines that are still
    to be read. `repeats`: what is read now may run several times, or at another time. `unrolled`: the body of
    a loop was read for each value of its variable. `resets`: a command may set any variable, nobody knows
    when. `redefined`: a name may be that of a function, so it is not known what `cat` prints, where `cd`
    leads and what a variable of a loop is. `taken`: variables that `read` sets. `quoted` and `bare`: those
    that are expanded, within double quotes or not. `ends`: nothing runs behind the command now read."""

    def __init__(self, text: str, folder: str = "", *, redefined: bool = False) -> None:
        self.given = self.given_characters = self.repeated = 0
        self.places = Folders(folder)
        self.texts = [(0, text, self.places.here)]
        self.programs: set[str] = set()
        self.unknown: set[str] = set()
        self.obeys: set[str] = set()
        self.sends: set[str] = set()
        self.changes: set[str] = set()
        self.discloses: set[str] = set()
        self.commands: list[dict[str, Json]] = []
        self.ran: list[Command] = []
        self.redirects: list[Json] = []
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.selected: set[str] = set()
        self.assignments: set[str] = set()
        self.taken: set[str] = set()
        self.quoted: set[str] = set()
        self.bare: set[str] = set()
        self.functions: set[str] = set()
        self.pipes = self.substitutions = self.background = self.indirect = False
        self.code = self.code_within = False
        self.patterns = self.expansions = self.repeats = False
        self.redefined = redefined
        self.unrolled = self.resets = self.ends = False

    def read_later(self, depth: int, text: str) -> None:
        """Raises FunctionError for commands in commands that are too deep, or too many."""
        self.given += 1
        self.given_characters += len(text)
        if depth > DEPTH or self.given > TEXTS or self.given_characters > TEXTS_LIMIT:
            raise FunctionError(f"shell() reads {TEXTS} commands in commands, to a depth of {DEPTH}")
        self.texts.append((depth, text, self.places.here))

    @contextmanager
    def of_program(self, path: str, args: Sequence[Word]) -> Iterator[None]:
        """What is noted within is what the last of `commands` does by itself. Its kind follows from that, or
        from its words if it does more than read. A variable that is set for it may change what these mean."""
        one, outer = self.commands[-1], (self.code, self.changes, self.sends)
        self.code, self.changes, self.sends = False, set(), set()
        disclosed, self.discloses = self.discloses, set()
        yield
        acts = self.code or self.changes or self.sends or self.discloses
        code, changes, sends = outer
        one["kind"] = OTHER if code else kind_of(path, args, self.places.start) if acts else READS
        if self.code and _ENVIRONMENT.search(str(one["line"])):
            self.discloses.add(str(one["program"]))
        self.discloses = disclosed | (self.discloses if one["kind"] == OTHER else set())
        self.code, self.changes, self.sends = self.code or code, self.changes | changes, self.sends | sends

    @contextmanager
    def of_command(self) -> Iterator[None]:
        """What is read within is one command: code that is found in it does not count for others."""
        outer, self.code, first, given = self.code, False, len(self.commands), self.given
        yield
        for one in self.commands[first:]:
            # A text that it runs is read only later.
            one["code"] = None if self.given > given else self.code
        self.code, self.code_within = outer, self.code_within or self.code

    def repeat(self, characters: int) -> bool:
        """Count characters of a loop body that is read again; false if there are more than REPEATS in all."""
        self.repeated += characters
        return self.repeated <= REPEATS

    def see(self, word: Word, *, printed: bool = False) -> Word:
        """Note what a word alone tells. A glob lists its folder. Of a word that is only `printed` it does not
        matter what it stands for, but for the variables in it."""
        if word.choices:
            self.patterns = True
            for one in word.choices:
                self.see(one)
            return word
        if word.pattern:
            self.patterns = True
            self.read(word)
        known = word.literal or word.pattern or word.stream or printed
        self.expansions = self.expansions or not known
        return word

    def run(self, word: Word, args: Sequence[Word]) -> tuple[str, str]:
        """Note a command. Returns the name of its program without the path, and the name by which it can be
        known: the same, or the path if that leads out of the system's folders."""
        path = word.text
        if not word.literal:
            raise FunctionError("shell() cannot determine which program runs: its name is not literal")
        if not _PROGRAM.fullmatch(path) or path in RESERVED or path.endswith("/"):
            raise FunctionError("shell() does not accept this as the name of a program")
        base = path.rpartition("/")[2]
        self.programs |= {base, base.lower()}
        elsewhere = "/" in path and not _SYSTEM.fullmatch(path)
        if elsewhere:
            self.programs.add(path)
            if not path.startswith("/"):
                self.read(word)
        words = [one.text for one in args]
        line = " ".join(one.translate(_UNBROKEN) or NO_BREAK for one in (path, *words))
        self.commands.append({"program": base, "args": words, "path": path, "line": line, "code": False})
        joined = [value for one in words for value in _joined(one)] if base != "git" else []
        self.ran.append((base, (*args, *map(Word, joined))))
        return base, path if elsewhere else base

    def obey(self, name: str) -> None:
        """Note a program that obeys files of the folder that it runs in. In another folder than the first,
        whose files a guard does not know, that counts as code."""
        self.obeys.add(name)
        self.code = self.code or not self.places.at_start

    def assign(self, name: str, value: Word | None = None, *, exported: bool = False) -> None:
        """Note a variable, and its value if that is known; `exported`: programs that run get it. Which ones
        make a program run something is not known: few count as harmless, and those in lower case only within
        the shell."""
        self.assignments.add(name)
        inner = not exported and _PLAIN_NAME.fullmatch(name) and name not in ZSH_VARIABLES
        number = name in _OBEYED_AS_NUMBER and value and is_number(value)
        harmless = number or _OBEYED_AS_TEXT.fullmatch(name) or (inner and "proxy" not in name)
        self.code = self.code or not harmless

    def declare(self, program: str, words: Sequence[Word]) -> None:
        """Note a builtin that sets variables, and what it is given besides their values. It evaluates the
        subscript of a name, and the value of what it makes a number; an option may make two names one."""
        fixed = all(word.fixed for word in words)
        plain = all(_DECLARED.match(word.text) or _DECLARING_OPTION.fullmatch(word.text) for word in words)
        for word in words:
            name = _NAME.match(word.text)
            if name:
                value = word.text.partition("=")[2]
                self.assign(name[0], Word(value or "0"), exported=program in EXPORTING)
        self.code = self.code or not (fixed and plain) or program in _NUMBERS
        prints = (one.text[:1] == "-" or not ("=" in one.text or program in _QUIET) for one in words)
        if not (fixed and words) or any(prints):
            self.discloses.add(program)

    def redirect(self, operator: str, target: Word) -> None:
        """Note a redirect to or from a file. Raises FunctionError for a target that is not known."""
        self.see(target)
        if target.stream and operator == "<":
            self.redirects.append({"operator": operator, "target": target.text})
            return
        if not target.literal or not target.text:
            raise FunctionError("shell() cannot determine which file a redirect means")
        if _DEVICE.fullmatch(target.text) and not _KNOWN_DEVICE.fullmatch(target.text):
            raise FunctionError("shell() does not read a redirect to a device, the network, or `!`")
        self.redirects.append({"operator": operator, "target": target.text})
        if "<" in operator:
            self.read(target)
        if ">" in operator:
            self.write(target)

    def read(self, word: Word) -> None:
        """Note a file that is read, unless it only stands for what a program gets anyway."""
        if not word.stream:
            self._file(self.reads, word)

    def show_all(self, word: Word) -> None:
        """Note what is shown with all that is in it, hidden files too, unless its ending says that it is a
        file."""
        if not word.text.startswith("-") and word.text.rpartition(".")[2] not in DATA | {"/dev/null"}:
            self.selected.add(f"{word.text.rstrip('/')}/.*")

    def write(self, word: Word) -> None:
        """Note a file that is written."""
        self._file(self.writes, word)

    def _file(self, files: set[str], word: Word) -> None:
        name = _glob_folder(word.text) if word.pattern else word.text
        if name not in ("", "-", "/dev/null"):
            files |= self.places.files(name)
        self.indirect = self.indirect or not (word.literal or word.pattern)

    def _variables(self) -> set[str]:
        return (self.bare | (self.quoted - self.taken)) - WHERE_AND_WHO

    def _acts(self) -> bool:
        """Whether a command does more than read or show, or the shell writes, sets or defines something."""
        looking = {str(one["program"]) for one in self.commands}
        looking -= {str(one["program"]) for one in self.commands if one["kind"] not in (READS, SHOWS)}
        loud = {name for name in self.assignments - _OBEYED_AS_NUMBER if not _OBEYED_AS_TEXT.fullmatch(name)}
        acting = (self.unknown | self.changes | self.sends) - looking
        others = any(one["kind"] not in (READS, SHOWS) for one in self.commands)
        return others or bool(acting | self.writes | loud | self.functions)

    def result(self) -> dict[str, Json]:
        """The map that shell() gives."""
        self.indirect = self.indirect or self.places.unknown
        self.code = self.code or (self.places.unknown and bool(self.obeys))
        outside, self.code = self.code, self.code or self.code_within
        variables = self._variables()
        for one in self.commands:
            one["code"] = outside or (self.code if one["code"] is None else one["code"])
            one["kind"] = OTHER if (outside and one["kind"] == READS) or variables else one["kind"]
        odd = self.substitutions or self.expansions or self.background or self.indirect or variables
        changing = frozenset(name for name, _ in self.ran) if self.code else frozenset(self.changes)
        return {
            "programs": sorted(self.programs),
            "unknown": sorted(self.unknown),
            "commands": list(self.commands),
            "redirects": self.redirects,
            "reads": sorted(self.reads),
            "writes": sorted(self.writes),
            "outside": sorted(
                one for one in (self.reads - _MACHINE) | self.writes if not self.places.holds(one)
            ),
            "indirect": self.indirect,
            "secrets": secrets(self.reads | self.writes, self.ran, self.selected, self.code),
            "obeyed": obeyed(self.writes, self.ran, changing),
            "folders": sorted(self.places.entered),
            "obeys": sorted(self.obeys),
            "sends": sorted(self.sends),
            "changes": sorted(self.changes),
            "discloses": sorted(self.discloses),
            "pipes": self.pipes,
            "substitutions": self.substitutions,
            "expansions": self.expansions or self.patterns or bool(self.quoted | self.bare),
            "variables": sorted(variables),
            "background": self.background,
            "assignments": sorted(self.assignments),
            "functions": sorted(self.functions),
            "code": self.code,
            "kinds": sorted({str(one["kind"]) for one in self.commands}),
            "simple": bool(self.commands) and not odd and not self._acts(),
        }


def _joined(text: str) -> list[str]:
    """What could be the argument that is joined to an option: `-o=FILE`, or `-xzfFILE` of one letter each."""
    value, cluster = _VALUE.fullmatch(text), _CLUSTER.match(text)
    joined = [text[at:] for at in range(2, cluster.end() + 1)] if cluster else []
    return [one for one in (value[1] if value else "", *joined) if one]


def _glob_folder(text: str) -> str:
    """The folder that a glob looks in; the glob itself if it could lead out of that."""
    found = _GLOB.search(text)
    if not found or ".." in text[found.start() :].split("/") or _PARENT.fullmatch(text):
        return text
    return text[: found.start()].rpartition("/")[0] or ("/" if text.startswith("/") else ".")


_NO_BRACES = str.maketrans("{}", "__")
"""What a program gets with braces in it has them in its name: no shell is left to expand them."""


class Folders:
    """`entered`: all folders but the first. `unknown`: whether there may be others, not known which.
    `latest`: where a line is if no `cd` fails."""

    def __init__(self, folder: str = "") -> None:
        if folder and not folder.startswith("/"):
            raise FunctionError("shell() needs `folder` to be an absolute path")
        self.start = self.latest = folder.rstrip("/") or folder
        self.here = {self.start}
        self.seen = {self.start}
        self.entered: set[str] = set()
        self.unknown = False
        self.divided = False

    @property
    def at_start(self) -> bool:
        """Whether a command can run in no other folder than the first."""
        return not self.unknown and self.here == {self.start}

    def files(self, name: str) -> set[str]:
        """`name` as it is called from the first folder, once for each folder that it could be in."""
        return {_join(folder, name) for folder in self.here}

    def holds(self, name: str) -> bool:
        """Whether a file is certainly the first folder, or below it."""
        try:
            return path_within(name.translate(_NO_BRACES), self.start or ".")
        except FunctionError:
            return False

    def enter(self, name: str) -> None:
        """A command of the line changes the folder; it may fail."""
        self.latest = _join(self.latest, name.rstrip("/") or name)
        found = {_join(folder, name.rstrip("/") or name) for folder in self.here}
        self.here = {self.start if folder in (".", self.start) else folder for folder in found}
        self.seen |= self.here
        self.entered |= self.here - {self.start}
        if self.divided:
            self.anywhere()
        self.unknown = self.unknown or len(self.seen) > MOST

    def elsewhere(self, name: str) -> bool:
        """Whether a program that is told to work in the folder `name` does so in another than the first."""
        found = {_join(folder, name.rstrip("/") or name) for folder in self.here} - {".", self.start}
        self.entered |= found
        return bool(found)

    def lose(self) -> None:
        """A command of the line changes the folder to one that is not known."""
        self.unknown = True

    def divide(self) -> None:
        """From here on, and in what stands before, `cd` may have changed the folder only of what it is in."""
        self.divided = True
        self.anywhere()

    def anywhere(self) -> None:
        """What follows does not depend on whether the folder was changed."""
        self.here = set(self.seen)


def _join(folder: str, name: str) -> str:
    if name.startswith("/") or not folder:
        return name
    return folder if name == "." else f"{folder.rstrip('/')}/{name}"
