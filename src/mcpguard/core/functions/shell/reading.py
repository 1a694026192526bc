"""What was found out about a command line, while it is read.

Law of this file: facts are only ever added, so reading more can make a guard only tighter. A program is
known by each name that a guard could mean: the path as written, its last part, and that in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.folders import Folders
from mcpguard.core.functions.shell.named import Command, obeyed, secrets
from mcpguard.core.functions.shell.names import RESERVED, ZSH_VARIABLES
from mcpguard.core.functions.shell.words import Word
from mcpguard.core.model import Json

DEPTH = 4
"""How deep commands may be given to commands: `sh -c "sh -c ls"` is two."""

TEXTS = 32
"""How many command lines may be given to commands."""

TEXTS_LIMIT = 4096
"""The longest that those may be together, in characters."""

NO_BREAK = "\u00a0"
"""What stands in a `line` for a blank within a word, and for an empty word. shell() refuses text with it."""

_UNBROKEN = str.maketrans(dict.fromkeys(" \t\n", NO_BREAK))
_PROGRAM = re.compile(r"\[|[A-Za-z0-9_./:][A-Za-z0-9_./+:,@-]*", re.ASCII)
_SYSTEM = re.compile(r"/(?:usr/|usr/local/|opt/homebrew/)?s?bin/[^/]+", re.ASCII)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*|LANG|LC_[A-Z]+|TZ|TERM|COLUMNS|LINES|NO_COLOR|CI|DEBUG|VERBOSE")
_GLOB = re.compile(r"[*?\[]")
_NETWORK = re.compile(r"/+dev/+(?:tcp|udp)(?:/|$)|!", re.ASCII | re.IGNORECASE)


class Reading:
    """The facts so far, and `texts`: (depth, text) of command lines that are still to be read.
    `repeats`: what is read now may run several times, or at another time."""

    def __init__(self, text: str, folder: str = "") -> None:
        self.texts: list[tuple[int, str]] = [(0, text)]
        self.given = self.given_characters = 0
        self.places = Folders(folder)
        self.programs: set[str] = set()
        self.unknown: set[str] = set()
        self.obeys: set[str] = set()
        self.sends: set[str] = set()
        self.changes: set[str] = set()
        self.commands: list[Json] = []
        self.ran: list[Command] = []
        self.redirects: list[Json] = []
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.selected: set[str] = set()
        self.assignments: set[str] = set()
        self.functions: set[str] = set()
        self.pipes = self.substitutions = self.background = self.code = self.indirect = False
        self.patterns = self.expansions = self.repeats = False

    def read_later(self, depth: int, text: str) -> None:
        """Raises FunctionError for commands in commands that are too deep, or too many."""
        self.given += 1
        self.given_characters += len(text)
        if depth > DEPTH or self.given > TEXTS or self.given_characters > TEXTS_LIMIT:
            raise FunctionError(f"shell() reads {TEXTS} commands in commands, to a depth of {DEPTH}")
        self.texts.append((depth, text))

    def see(self, word: Word) -> Word:
        """Note what a word alone tells. A subscript with a command in it runs where numbers are read."""
        self.patterns = self.patterns or word.pattern
        self.expansions = self.expansions or not (word.literal or word.pattern)
        subscript = word.text.partition("[")[2]
        self.code = self.code or "$(" in subscript or "`" in subscript
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
        words = [one.text for one in args]
        line = " ".join(one.translate(_UNBROKEN) or NO_BREAK for one in (path, *words))
        self.commands.append({"program": base, "args": words, "path": path, "line": line})
        self.ran.append((base, tuple(args)))
        return base, path if elsewhere else base

    def obey(self, name: str) -> None:
        """Note a program that obeys files of the folder that it runs in. In another folder than the first,
        whose files a guard does not know, that counts as code."""
        self.obeys.add(name)
        self.code = self.code or not self.places.at_start

    def assign(self, name: str) -> None:
        """Note a variable. Which ones make a program run something is not known: few count as harmless."""
        self.assignments.add(name)
        harmless = bool(_PLAIN_NAME.fullmatch(name)) and name not in ZSH_VARIABLES and "proxy" not in name
        self.code = self.code or not harmless

    def redirect(self, operator: str, target: Word) -> None:
        """Note a redirect to or from a file. Raises FunctionError for a target that is not known."""
        self.see(target)
        if not target.literal or not target.text:
            raise FunctionError("shell() cannot determine which file a redirect means")
        if _NETWORK.match(target.text):
            raise FunctionError("shell() does not read a redirect to the network, or to `!`")
        self.redirects.append({"operator": operator, "target": target.text})
        if "<" in operator:
            self.read(target)
        if ">" in operator:
            self.write(target)

    def read(self, word: Word) -> None:
        """Note a file that is read, unless it only stands for what a program gets anyway."""
        self._file(self.reads, word)

    def write(self, word: Word) -> None:
        """Note a file that is written."""
        self._file(self.writes, word)

    def _file(self, files: set[str], word: Word) -> None:
        name = _glob_folder(word.text) if word.pattern else word.text
        if name not in ("", "-", "/dev/null"):
            files |= self.places.files(name)
        self.indirect = self.indirect or not (word.literal or word.pattern)

    def result(self) -> dict[str, Json]:
        """The map that shell() gives."""
        self.indirect = self.indirect or self.places.unknown
        self.code = self.code or (self.places.unknown and bool(self.obeys))
        odd = self.substitutions or self.expansions or self.background or self.code or self.indirect
        acts = self.unknown or self.changes or self.sends or self.writes or self.assignments or self.functions
        changing = frozenset(name for name, _ in self.ran) if self.code else frozenset(self.changes)
        return {
            "programs": sorted(self.programs),
            "unknown": sorted(self.unknown),
            "commands": self.commands,
            "redirects": self.redirects,
            "reads": sorted(self.reads),
            "writes": sorted(self.writes),
            "outside": sorted(one for one in self.reads | self.writes if not self.places.holds(one)),
            "indirect": self.indirect,
            "secrets": secrets(self.reads | self.writes, self.ran, self.selected, self.code),
            "obeyed": obeyed(self.writes, self.ran, changing),
            "folders": sorted(self.places.entered),
            "obeys": sorted(self.obeys),
            "sends": sorted(self.sends),
            "changes": sorted(self.changes),
            "pipes": self.pipes,
            "substitutions": self.substitutions,
            "expansions": self.expansions or self.patterns,
            "background": self.background,
            "assignments": sorted(self.assignments),
            "functions": sorted(self.functions),
            "code": self.code,
            "simple": not (odd or acts) and bool(self.commands),
        }


def _glob_folder(text: str) -> str:
    """The folder that a glob looks in; the glob itself if it could lead out of that."""
    found = _GLOB.search(text)
    if not found or ".." in text[found.start() :].split("/"):
        return text
    return text[: found.start()].rpartition("/")[0] or ("/" if text.startswith("/") else ".")
