"""The commands of mcpguard as data, read off the parsers: completions and the manual page come from it."""

import argparse
from collections.abc import Iterator
from importlib import import_module

from msgspec import Struct

from mcpguard.cli import VERBS
from mcpguard.cli.parser import Parser

_PATHS = ("FILE", "FOLDER", "PATH")


class Option(Struct, frozen=True):
    """`names` are its spellings, none for a positional argument; `value` is what stands for its value, "" for
    a flag. `choices` are all values that it takes, () where they are not a short list."""

    names: tuple[str, ...]
    value: str
    summary: str
    choices: tuple[str, ...] = ()

    @property
    def path(self) -> bool:
        return any(word in self.value for word in _PATHS)


class Command(Struct, frozen=True):
    """`words` lead to it, `mcpguard` among them; `options` has positional arguments too."""

    words: tuple[str, ...]
    summary: str
    options: tuple[Option, ...]
    commands: tuple["Command", ...] = ()
    examples: tuple[str, ...] = ()

    def all(self) -> Iterator["Command"]:
        """This one and all below it, as they are listed."""
        yield self
        for one in self.commands:
            yield from one.all()


def tree() -> Command:
    """`mcpguard` with all its verbs. Imports every verb."""
    verbs = []
    for verb, (place, summary) in VERBS.items():
        module = import_module(f"mcpguard.cli.{place}")
        parser = Parser(prog=f"mcpguard {verb}", description=summary)
        module.add_arguments(parser)
        verbs.append(_command(("mcpguard", verb), summary, parser, module.EXAMPLES))
    own = (
        Option(("-h", "--help"), "", "list the verbs"),
        Option(("-V", "--version"), "", "print the version"),
    )
    return Command(("mcpguard",), "an enforcing proxy for the Model Context Protocol", own, tuple(verbs))


def _command(
    words: tuple[str, ...], summary: str, parser: argparse.ArgumentParser, examples: tuple[str, ...] = ()
) -> Command:
    options, commands = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, one in action.choices.items():
                commands.append(_command((*words, name), said.get(name, ""), one))
        elif action.help != argparse.SUPPRESS:
            options.append(_option(action))
    return Command(words, summary, tuple(options), tuple(commands), examples)


def _option(action: argparse.Action) -> Option:
    choices = tuple(map(str, action.choices or ()))
    value = action.metavar or "|".join(choices) or action.dest.upper()
    if action.nargs == 0:
        value = ""
    summary = " ".join((action.help or "").split())
    return Option(tuple(action.option_strings), str(value), summary, choices)
