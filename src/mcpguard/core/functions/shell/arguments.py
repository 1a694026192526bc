"""The arguments of a program that `programs.txt` has -> what it does with them, as facts of a Reading.

Law of this file: an argument is a flag, a file or a text only where the program's line says so; anything else
counts as code. Where an argument is not known, it counts as the worst one that it could be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from mcpguard.core.functions.shell.programs import Usage
from mcpguard.core.functions.shell.reading import LineReading
from mcpguard.core.functions.shell.words import Word

_HELP = ("--help", "--version")
_ELSEWHERE = re.compile(r"^[/~]|\.\.")
_REVISION = re.compile(r"\^?\w[\w/.-]*(?:[~^]\d*|@\{[^{}/]*\})+", re.ASCII)
_PAST = re.compile(r"(?:HEAD|@)(?:[~^]\d*|@\{\w[^{}/]*\})+", re.ASCII)
_UNTRACKED = re.compile(r"(?:refs/)?stash(?:@\{[^{}]*\})?\^3", re.ASCII)
"""Of a stash, what was in no commit before: `git stash -u`."""
_RANGE = re.compile(r"[\w/.@{}^~-]*[\w}^~]\.\.\.?[\w/@{}^~-]*", re.ASCII)
_EXCLUDED = re.compile(r":(?:[!^]|\([^()]*\bexclude\b[^()]*\))")
_MAGIC = re.compile(r"\A:\([^()]*\)")
_TYPE = re.compile(r"\A\w+:")
_VALUE = re.compile(r"(--[a-z0-9-]+)=(.+)", re.DOTALL)


class TextArguments(Struct, frozen=True):
    """The arguments that are texts for a program. `lists`: they only choose what it lists."""

    words: list[Word]
    lists: bool = False


def read_arguments(reading: LineReading, name: str, program: Usage, args: Sequence[Word]) -> TextArguments:
    """Note what `args` make the program `name` read, write or run."""
    if program.roles == "T":
        return TextArguments(list(args))
    return _Arguments(reading, name, program, args).read()


class _Arguments:
    def __init__(self, reading: LineReading, name: str, program: Usage, args: Sequence[Word]) -> None:
        self.reading = reading
        self.name = name
        self.program = program
        self.rest = list(args)
        self.operands: list[Word] = []
        self.texts: list[Word] = []
        self.ended = 0
        self.replaced = self.elsewhere = self.lists = False

    def read(self) -> TextArguments:
        ended = False
        if "a" in self.program.roles and any(not one.fixed or one.text.startswith("@") for one in self.rest):
            self.reading.code = True
        while self.rest:
            word = self.rest.pop(0)
            if ended or (word.fixed and (word.text == "-" or not word.text.startswith("-"))):
                self.operands.append(word)
            elif not word.fixed:
                self.expanded(word)
            elif self.operands and self.program.roles == "rw":
                # Where options end at the first operand, this is the file that is written: `xxd a -u`.
                self.operands.append(word)
            elif word.text == "--":
                ended = True
                self.ended = len(self.operands)
            elif word.text.startswith("--"):
                self.long(word.text)
            else:
                self.cluster(word.text)
        if not ended:
            self.ended = len(self.operands)
        self.assign_roles()
        return TextArguments(self.texts, self.lists)

    def expanded(self, word: Word) -> None:
        """A word that stands for others: any, but for a glob in the value of an option that takes a text."""
        found = _VALUE.fullmatch(word.text) if word.pattern else None
        role = self.program.long.get(found[1]) if found else None
        if found and role in (":", "%"):
            self.take(role, Word(found[2], literal=False, pattern=True))
        else:
            self.unknown()
            self.operands.append(word)

    def unknown(self) -> None:
        """An argument that could be any option."""
        if not self.program.complete:
            self.reading.code = True
        for role in (*self.program.short.values(), *self.program.long.values()):
            self.act(role)
            self.reading.indirect = self.reading.indirect or ">" in role

    def act(self, role: str) -> None:
        """Note what an option does, apart from what it does with its argument."""
        if "!" in role or (">" in role and "changes" not in self.program.traits):
            self.reading.code = True
        if "^" in role:
            self.reading.changes.add(self.name)
        if "@" in role or "&" in role:
            self.reading.indirect = True
        self.replaced = self.replaced or "~" in role
        self.elsewhere = self.elsewhere or ">" in role
        self.lists = self.lists or "+" in role

    def long(self, text: str) -> None:
        name, equals, value = text.partition("=")
        role = self.program.long.get(name)
        if role is None:
            self.reading.code = self.reading.code or not (self.program.complete and text in _HELP)
        elif equals:
            self.reading.code = self.reading.code or role[:1] not in tuple(":?<>@%!")
            self.option(role, Word(value))
        else:
            self.option(role, None)

    def cluster(self, text: str) -> None:
        """Options of one letter each; the first that takes an argument takes the rest, too."""
        for at, letter in enumerate(text[1:], 2):
            role = self.program.short.get(letter)
            if role is None and letter.isdecimal() and self.program.number:
                continue
            if role is None:
                self.reading.code = True
                return
            takes = role[:1] in tuple(":?<>@%")
            self.option(role, Word(text[at:]) if takes and text[at:] else None)
            if takes:
                return

    def option(self, role: str, value: Word | None) -> None:
        self.act(role)
        for kind in role:
            if kind in ":<>@%":
                value = value or self.following()
                self.take(kind, value)
                value = None

    def following(self) -> Word:
        """The next word, as the argument of an option."""
        if not self.rest:
            self.reading.code = True
            return Word("")
        word = self.rest.pop(0)
        if not word.single:
            self.unknown()
        if self.operands and _ELSEWHERE.search(word.text):
            # Where options end at the first operand, this word is one, too.
            self.reading.read(word)
        return word

    def take(self, kind: str, value: Word) -> None:
        if kind in "<@":
            self.reading.read(value)
        elif kind == ">":
            self.reading.write(value)
        elif kind == "%" and not value.text.startswith("!"):
            self.reading.selected.add(_TYPE.sub("", value.text))
        elif self.replaced:
            self.texts.append(value)

    def assign_roles(self) -> None:
        roles = self.program.roles
        if self.replaced and len(roles) > 1 and roles[0] == "t":
            roles = roles[1:]
        last = len(self.operands) - 1
        certain = True
        for at, word in enumerate(self.operands):
            certain = certain and word.single
            mine = roles[at : at + 1] or roles[-1:]
            if roles.endswith("W") and at == last:
                mine = "W"
            if not certain:
                mine = roles[min(at, len(roles) - 1) :] if roles else ""
            if self.name == "git":
                mine = mine.replace("g", "r") if at >= self.ended else mine
            self.operand(mine, word, at == last)

    def operand(self, roles: str, word: Word, last: bool) -> None:
        if self.name == "git" and roles in tuple("grw"):
            if _EXCLUDED.match(word.text):
                return
            word = self.pathspec(word)
        for role in roles or "x":
            if role == "t":
                self.texts.append(word)
            elif role == "g":
                self.revision(word)
            elif role in "raW":
                self.reading.read(word)
            if (role == "w" or (role == "W" and last and not self.elsewhere)) and not (
                self.name == "git" and _PAST.fullmatch(word.text)
            ):
                self.write(word)
            if role == "x":
                self.reading.code = True

    def revision(self, word: Word) -> None:
        """A revision, a path, or a path in a revision: what could be a path counts as a file."""
        revision, colon, path = word.text.partition(":")
        if _UNTRACKED.fullmatch(revision):
            self.reading.selected.add(".*")
        named = _REVISION.fullmatch(word.text) or _RANGE.fullmatch(word.text)
        if not named or "/../" in word.text:
            self.reading.read(Word(path, word.literal, pattern=word.pattern) if colon and revision else word)

    def pathspec(self, word: Word) -> Word:
        """A word of git, which expands globs itself, without what stands before some: `:(glob)*.py`."""
        if not (word.literal or word.pattern):
            return word
        text = _MAGIC.sub("", word.text)
        if not any(char in text for char in "*?["):
            return Word(text)
        self.reading.selected.add(text)
        return Word(text, literal=False, pattern=True)

    def write(self, word: Word) -> None:
        self.reading.write(word)
        self.reading.code = self.reading.code or "changes" not in self.program.traits
