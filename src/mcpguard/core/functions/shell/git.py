"""git: its subcommands, with the options of each -> what it reads, writes, changes and sends.

Law of this file: a subcommand, a form of one or an option that is not in `git.txt` counts as code. Any run of
git obeys the configuration, attributes and hooks of its repository. Source: the manual of git.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from msgspec.structs import replace

from mcpguard.core.functions.shell.arguments import read_arguments
from mcpguard.core.functions.shell.forms import OTHER, SETTING, kind_of
from mcpguard.core.functions.shell.programs import Usage, lines, parse
from mcpguard.core.functions.shell.reading import LineReading
from mcpguard.core.functions.shell.words import Word
from mcpguard.core.tables import names, read_table

_READING_FORMS = {
    "remote": ("", "get-url"),
    "stash": ("list", "show"),
    "reflog": ("", "show", "exists", "list", "HEAD"),
    "worktree": ("list",),
    "notes": ("", "list", "show"),
    "submodule": ("", "status", "summary"),
    "bisect": ("log",),
}
"""What the first operand is where a subcommand reads."""

_CHANGING_FORMS = {
    "remote": ("add", "remove", "rm", "rename", "set-url", "set-head", "set-branches"),
    "stash": ("", "push", "save", "pop", "apply", "drop", "clear", "store", "create", "branch"),
}
"""And where it changes something; `git remote update`, `show` and `prune` use the network as well."""

_SHOWS_UNTRACKED = re.compile(r"--include-untracked|-[A-Za-z]*u")
_VERIFIES = re.compile(r"%[-+ ]?G|%\(\*?signature")
"""Placeholders for which git runs the program that checks signatures."""
_UNSTAGES = names("--staged -S --quiet -q --")
"""Options of `git restore` with which it changes no file."""
_CONNECTING = ("remote", "submodule")
"""Subcommands that keep or use an address, besides those that use the network."""
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*\..+", re.DOTALL)
"""A setting, as `git config` reads it."""
_SETS = names(
    "--global --local --system --worktree --add --replace-all --unset --unset-all --bool --int --type"
)
"""Options with which `git config` sets something and prints nothing."""


@cache
def subcommands() -> dict[str, Usage]:
    """Each subcommand by its name."""
    found: dict[str, Usage] = {}
    shared: dict[str, str] = {}
    for line in lines(read_table(__package__, "git.txt")):
        name, *parts = line.split()
        words = [shared.get(part, part) for part in parts]
        if name.startswith("*"):
            shared[name] = " ".join(words)
        else:
            names, program = parse(" ".join([name, *words]))
            found.update(dict.fromkeys(names, program))
    return found


def read_git(reading: LineReading, args: Sequence[Word]) -> None:
    """Note what a command line of git does. Never raises."""
    reading.obey("git")
    rest = list(args)
    while rest and rest[0].fixed and rest[0].text.startswith("-"):
        option = rest.pop(0).text
        if option == "-C":
            _elsewhere(reading, rest.pop(0) if rest else Word(""))
        elif option not in ("--no-pager", "-P", "--version", "--no-optional-locks", "--no-replace-objects"):
            reading.code = True
            if any("discloses" in subcommands().get(word.text, Usage()).traits for word in rest):
                reading.discloses.add("git")
            return
    if not rest:
        return
    command = rest.pop(0)
    program = subcommands().get(command.text) if command.literal else None
    if program is None:
        reading.code = True
        return
    if "sends" in program.traits or command.text in _CONNECTING:
        # `x::y` makes git run the program git-remote-x.
        reading.code = reading.code or any("::" in word.text or not word.literal for word in rest)
    _subcommand(reading, command.text, program, rest)


def _elsewhere(reading: LineReading, folder: Word) -> None:
    """`-C`: git runs in another folder, unless that is the first one again."""
    reading.read(folder)
    if not folder.literal or reading.places.elsewhere(folder.text):
        reading.code = True


def _subcommand(reading: LineReading, name: str, program: Usage, rest: list[Word]) -> None:
    if "sends" in program.traits:
        reading.sends.add("git")
    if "changes" in program.traits:
        reading.changes.add("git")
    if name == "restore" and _only_unstages(rest):
        program = replace(program, roles="r")
    texts = read_arguments(reading, "git", program, rest)
    operands = texts.words
    if name in ("branch", "tag") and operands and not texts.lists:
        reading.changes.add("git")
    reading.code = reading.code or any(_VERIFIES.search(word.text) for word in rest)
    if any(word.text == "--no-index" for word in rest):
        for word in rest:
            reading.show_all(word)
    if name in _READING_FORMS:
        _form(reading, name, operands, rest)
    if name == "config" and not _reads_setting([word.text for word in operands], rest):
        reading.code = True
    if (
        "discloses" in program.traits
        and kind_of("git", [Word(name), *rest]) == OTHER
        and not _sets_setting(operands, rest)
    ):
        reading.discloses.add("git")


def _only_unstages(rest: Sequence[Word]) -> bool:
    options = {word.text for word in rest if not word.fixed or word.text.startswith("-")}
    return not options.isdisjoint(("--staged", "-S")) and options <= _UNSTAGES


def _reads_setting(operands: list[str], rest: Sequence[Word]) -> bool:
    """Whether `git config` shows one setting, or those that its options choose."""
    if operands[:1] == ["get"]:
        return len(operands) == 2
    by_pattern = any(word.text == "--get-regexp" for word in rest)
    return operands in ([], ["list"]) or (
        len(operands) == 1 and (by_pattern or bool(_KEY.fullmatch(operands[0])))
    )


def _sets_setting(operands: Sequence[Word], rest: Sequence[Word]) -> bool:
    """Whether `git config` certainly sets or removes a setting that holds no secret, and prints nothing."""
    options = {word.text.partition("=")[0] for word in rest if word.text.startswith("-")}
    subcommand = [word.text for word in operands[:1]] in (["set"], ["unset"])
    setting = operands[subcommand : subcommand + 1]
    sets = subcommand or len(operands) == 2 or "--unset" in options
    known = options <= _SETS and all(word.literal for word in rest)
    return sets and known and any(SETTING.fullmatch(word.text) for word in setting)


def _form(reading: LineReading, name: str, operands: Sequence[Word], rest: Sequence[Word]) -> None:
    """A subcommand whose first operand says what it does."""
    form = operands[0].text if operands else ""
    if form in _READING_FORMS[name]:
        if form == "show" and any(_SHOWS_UNTRACKED.match(word.text) for word in rest):
            reading.selected.add(".*")
        return
    reading.changes.add("git")
    if name == "remote" and form in ("update", "show", "prune"):
        reading.sends.add("git")
    elif form not in _CHANGING_FORMS.get(name, ()):
        reading.code = True
