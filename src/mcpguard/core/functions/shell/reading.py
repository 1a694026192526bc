"""What was found out about a command line, while it is read.

Law of this file: facts are only ever added, so reading more can make a guard only tighter. A program is
known by each name that a guard could mean: the path as written, its last part, and that in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.names import RESERVED, ZSH_VARIABLES
from mcpguard.core.functions.shell.words import Word
from mcpguard.core.model import Json

DEPTH = 4
"""How deep commands may be given to commands: `sh -c "sh -c ls"` is two."""

TEXTS = 32
"""How many command lines may be given to commands."""

TEXTS_LIMIT = 4096
"""The longest that those may be together, in characters."""

_PROGRAM = re.compile(r"\[|[A-Za-z0-9_./:][A-Za-z0-9_./+:,@-]*", re.ASCII)
_SYSTEM = re.compile(r"/(?:usr/|usr/local/|opt/homebrew/)?s?bin/[^/]+", re.ASCII)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*|LANG|LC_[A-Z]+|TZ|TERM|COLUMNS|LINES|NO_COLOR|CI|DEBUG|VERBOSE")
_NETWORK = re.compile(r"/+dev/+(?:tcp|udp)(?:/|$)|!", re.ASCII | re.IGNORECASE)


class Reading:
    """The facts so far, and `texts`: (depth, text) of command lines that are still to be read."""

    def __init__(self, text: str) -> None:
        self.texts: list[tuple[int, str]] = [(0, text)]
        self.given = self.given_characters = 0
        self.programs: set[str] = set()
        self.commands: list[Json] = []
        self.redirects: list[Json] = []
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.assignments: set[str] = set()
        self.functions: set[str] = set()
        self.pipes = self.substitutions = self.expansions = self.background = self.code = False

    def read_later(self, depth: int, text: str) -> None:
        """Raises FunctionError for commands in commands that are too deep, or too many."""
        self.given += 1
        self.given_characters += len(text)
        if depth > DEPTH or self.given > TEXTS or self.given_characters > TEXTS_LIMIT:
            raise FunctionError(f"shell() reads {TEXTS} commands in commands, to a depth of {DEPTH}")
        self.texts.append((depth, text))

    def see(self, word: Word) -> Word:
        """Note what a word alone tells. A subscript with a command in it runs where numbers are read."""
        self.expansions = self.expansions or not word.literal
        subscript = word.text.partition("[")[2]
        self.code = self.code or "$(" in subscript or "`" in subscript
        return word

    def run(self, word: Word, args: Sequence[Word]) -> str:
        """Note a command. Returns the name of its program, in lower case and without the path."""
        path = word.text
        if not word.literal:
            raise FunctionError("shell() cannot determine which program runs: its name is not literal")
        if not _PROGRAM.fullmatch(path) or path in RESERVED or path.endswith("/"):
            raise FunctionError("shell() does not accept this as the name of a program")
        base = path.rpartition("/")[2]
        self.programs |= {base, base.lower()}
        if "/" in path and not _SYSTEM.fullmatch(path):
            self.programs.add(path)
        self.commands.append({"program": base, "args": [one.text for one in args], "path": path})
        return base.lower()

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
            raise FunctionError("shell() reads no redirect to the network, or to `!`")
        self.redirects.append({"operator": operator, "target": target.text})
        if "<" in operator:
            self.reads.add(target.text)
        if ">" in operator:
            self.writes.add(target.text)

    def result(self) -> dict[str, Json]:
        """The map that shell() gives."""
        quiet = not (self.pipes or self.substitutions or self.expansions or self.background or self.code)
        bare = not (self.redirects or self.assignments or self.functions)
        return {
            "programs": sorted(self.programs),
            "commands": self.commands,
            "redirects": self.redirects,
            "reads": sorted(self.reads),
            "writes": sorted(self.writes),
            "pipes": self.pipes,
            "substitutions": self.substitutions,
            "expansions": self.expansions,
            "background": self.background,
            "assignments": sorted(self.assignments),
            "functions": sorted(self.functions),
            "code": self.code,
            "simple": quiet and bare and len(self.commands) == 1,
        }
