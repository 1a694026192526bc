"""What every verb shares to read its command line."""

from __future__ import annotations

import os
import sys
from argparse import (
    Action,
    ArgumentError,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
    _StoreAction,
    _SubParsersAction,
)
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

from mcpguard.adapters.system.terminal import at_terminal, broken, plain
from mcpguard.core.advised import completed
from mcpguard.core.errors import SessionError, did_you_mean

if TYPE_CHECKING:
    from mcpguard.config.loading import Config


def examples(*commands: str) -> str:
    """The `epilog` of a verb: its examples, each with the note that follows it after two spaces, if any."""
    lines = ["examples:"]
    for example in commands:
        command, _, note = example.partition("  ")
        *before, last = _continued(f"  {command}")
        note = note.strip()
        fits = not note or len(f"{last}  {note}") <= _WIDTH
        lines += [*before, f"{last}  {note}".rstrip()] if fits else [*before, last, f"      {note}"]
    return "\n".join(lines)


_WIDTH = 80


def _continued(line: str) -> list[str]:
    """A command as lines that a shell reads as one."""
    at = line.rfind(" -", 0, _WIDTH - 2)
    if len(line) <= _WIDTH or at < 0 or not line[:at].strip():
        return [line]
    return [f"{line[:at]} \\", *_continued(f"     {line[at:]}")]


class _Help(RawDescriptionHelpFormatter):
    """As wide as the terminal. One is made for each option, so the width is not asked of `shutil`, which
    brings three compressors along."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """What `shutil.get_terminal_size` says."""
    with suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns
    with suppress(OSError):
        return os.get_terminal_size(1).columns or _WIDTH
    return _WIDTH


class _StoreOnce(_StoreAction):
    """Refuses an option that is given again, of which argparse would take the last value and drop the rest
    without a word."""

    given = False

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        if option_string is not None and self.given:
            raise ArgumentError(self, "it is given twice, and takes one value")
        self.given = True
        super().__call__(parser, namespace, values, option_string)


class Parser(ArgumentParser):
    """Keeps the line breaks of its epilog, and takes no abbreviated options and none twice, in its
    sub-commands too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _Help, "allow_abbrev": False, **options})
        self.register("action", None, _StoreOnce)

    def _check_value(self, action: Action, value: Any) -> None:
        choices = [*(action.choices or (value,))]
        if value in choices:
            return
        if near := did_you_mean(value, choices):
            raise ArgumentError(action, f"{plain(value)!r} is not one of them: {near}")
        raise ArgumentError(action, f"expected {_any(choices)}, not {plain(value)!r}")

    def error(self, message: str) -> NoReturn:
        """Ends with the usage and `message`; what argparse only names as missing is explained."""
        _, missing, names = message.partition("arguments are required: ")
        if missing:
            wanted = [one for one in self._actions if _name_of(one) in names.split(", ")]
            message = "; ".join(map(_said_of_missing, wanted))
        self.print_usage(sys.stderr)
        try:
            self.exit(2, broken(f"{self.prog}: error: {message}", sys.stderr) + "\n")
        except SystemExit as end:
            end.add_note(f"{self.prog}: {message}")
            raise

    def refuse(self, word: str, words: Iterable[str]) -> NoReturn:
        """Ends with what is wrong with `word`, which no option and no argument takes, in the usage of the
        command that `words` name. The rest of it may be a credential that somebody tried to pass."""
        parser = _chosen(self, iter(words))
        options = [one for action in parser._actions for one in action.option_strings]
        takes_command = any(one.metavar == "COMMAND" for one in parser._actions)
        dashes = "put `--` before the command, if it is an option of that" if takes_command else ""
        option = word.partition("=")[0]
        if option.startswith("--"):
            # Without dashes, which would make any two options similar.
            known = [one.lstrip("-") for one in options if one.startswith("--")]
            near = did_you_mean(option.lstrip("-"), known).replace("`", "`--", 1) or dashes
            parser.error(f"unknown option {option}{near and f': {near}'}")
        if word.startswith("-"):
            parser.error(f"unknown option {word[:2]}{dashes and f': {dashes}'}")
        hints = [one for one in ("--policy FILE", "--config FILE") if one.split()[0] in options]
        is_file = word.endswith((".yaml", ".yml")) and hints
        parser.error("too many arguments" + (f": name the file as {' or '.join(hints)}" if is_file else ""))


def _any(words: Sequence[str]) -> str:
    """One, two or more words as a choice: "a, b or c"."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _name_of(action: Action) -> str:
    """What argparse calls an argument."""
    return str(action.metavar or action.dest)


def _said_of_missing(action: Action) -> str:
    if action.choices:
        return f"expected {_any(list(action.choices))}"
    return f"{_name_of(action)} is missing" + (f": {action.help}" if action.help else "")


def _chosen(parser: ArgumentParser, words: Iterator[str]) -> ArgumentParser:
    """The sub-command of `parser` that `words` name, or `parser` itself."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            return next(
                (_chosen(action.choices[one], words) for one in words if one in action.choices), parser
            )
    return parser


class OneOf:
    """The `type` of an argument that is one of many `names`: an error names the nearest or all. Others pass
    where it is one of `names` only as a rule."""

    def __init__(self, what: str, names: Collection[str], *, as_a_rule: bool = False) -> None:
        self.names = names
        self._what = what
        self._as_a_rule = as_a_rule

    def __call__(self, text: str) -> str:
        if text in self.names or self._as_a_rule:
            return text
        hint = did_you_mean(text, self.names) or f"there are {', '.join(self.names)}"
        raise ArgumentTypeError(f"no {self._what} is called {plain(text)!r}: {hint}")


def add_client(parser: ArgumentParser, name: str, said: str, **options: Any) -> None:
    """The argument `name` that is a client; `options` are those of `add_argument`."""
    from mcpguard.onboarding.discovery.clients import CLIENTS

    kind = OneOf("client", [one.name for one in CLIENTS])
    parser.add_argument(name, type=kind, metavar="CLIENT", help=f"{said}, such as vscode", **options)


def add_config(parser: ArgumentParser, then: str = "") -> None:
    """`--config FILE`; `then` says where else the configuration is looked for."""
    where = f"$MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder{then}"
    parser.add_argument("--config", metavar="FILE", help=f"the configuration (default: {where})")


def configured(option: str | None) -> Config:
    """The configuration that `--config` names, or that is found without it. Raises ConfigError."""
    from mcpguard.config.loading import find_config, load_config

    path = find_config(option, os.environ)
    if not (option or os.environ.get("MCPGUARD_CONFIG") or os.path.lexists(path)):
        _say_which_is_in_use(path)
    return load_config(path)


def same_config(option: str | None) -> str:
    """` --config FILE` where a command needs it to use the configuration that `option` names, else ""."""
    from mcpguard.config.loading import config_option, find_config

    return config_option(find_config(option, os.environ).absolute(), os.environ)


def completed_for(option: str | None) -> Callable[[str], str]:
    """What completes the commands in a sentence, where `--config` is `option` (`advised.completed`)."""
    return lambda text: completed(text, lambda: same_config(option))


def _say_which_is_in_use(missing: Path) -> None:
    """Raises ConfigError where mcpguard runs with other configurations than the one that is `missing`."""
    from mcpguard.adapters.telemetry.status_file import running
    from mcpguard.core.errors import ConfigError, Problem

    used = dict.fromkeys(one.config for one in running() if one.config)
    if str(missing) in used:
        said = "no longer exists, although a running mcpguard uses it: stop mcpguard, or restore the file"
        raise ConfigError([Problem(str(missing), 0, 0, said)])
    if used:
        others = " or ".join(f"`--config {quote(one)}`" for one in used)
        said = f"does not exist: add {others}, with which mcpguard runs"
        raise ConfigError([Problem(str(missing), 0, 0, said)])


def configured_if_any(option: str | None) -> Config | None:
    """The configuration, or None if none is named and the default file does not exist. Raises ConfigError."""
    from mcpguard.config.loading import find_config, load_config

    path = find_config(option, os.environ)
    there = option or os.environ.get("MCPGUARD_CONFIG") or path.exists()
    return load_config(path) if there else None


def person_for(what: str) -> str:
    """Who is at the terminal, as "SOURCE:ID". Raises SessionError where nobody is, since `what` is for a
    person."""
    from mcpguard.adapters.system.own_process import operating_system_user

    if not at_terminal():
        raise SessionError(f"{what} is for a person, so it needs a terminal")
    return operating_system_user().text


def typed(question: str, read: Callable[[str], str] | None = None) -> str:
    """What the person at the terminal types; "" where the input ends."""
    try:
        return (read or input)(question)
    except EOFError:
        print()
        return ""


def hidden(question: str) -> str:
    """The same, without showing it."""
    from getpass import getpass

    return typed(question, getpass)


def confirmed(question: str) -> bool:
    """Whether the person at the terminal says yes."""
    return typed(question).strip().lower() in ("y", "yes")


def to_stderr(text: str) -> None:
    """Print a line of ours to standard error."""
    print(f"mcpguard: {text}", file=sys.stderr)


def expect_a_client() -> None:
    """Tell a person who starts what clients start that it waits for a client."""
    if sys.stdin.isatty():
        said = "waiting for an MCP client on standard input (clients normally start this command themselves)"
        to_stderr(f"{said}; Ctrl-D ends it")


def number(least: int, most: int) -> Callable[[str], int]:
    """The `type` of an argument that is a whole number."""

    def read(text: str) -> int:
        if text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most:
            return int(text)
        raise ArgumentTypeError(f"must be a whole number from {least} to {most}")

    return read


WHEN = "a date or a time in ISO 8601 (UTC unless it says otherwise), or an age such as 30m, 2h, 3d or 2w"
"""What `moment` takes, for the help of an option."""


def moment(text: str) -> datetime:
    """The type of `--since` and `--until`."""
    from mcpguard.authoring.asking.question import time_of

    try:
        return datetime.fromtimestamp(time_of(text, datetime.now(UTC)) / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        raise ArgumentTypeError(
            "expected a date or a time such as 2026-01-02T03:04Z, or an age such as 30m, 2h, 3d or 2w"
        ) from None


def add_since(parser: ArgumentParser, default: str | None) -> None:
    """`--since TIME`."""
    said = f"only calls since then: {WHEN} (default: {default or 'all'})"
    parser.add_argument("--since", metavar="TIME", type=moment, default=default, help=said)


def add_snapshot(parser: ArgumentParser) -> None:
    """`--snapshot FILE`."""
    said = "what the servers offer, from `mcpguard snapshot`"
    parser.add_argument("--snapshot", metavar="FILE", type=Path, help=said)


def add_log_format(parser: ArgumentParser) -> None:
    """`--log-format`, for what serves."""
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="the format of lines on standard error: text, or one JSON object per line, with `time`, "
        "`level`, `message` and, if known, `server`, `session`, `principal`, `method`, `tool`, "
        "`rules` and `invocation`",
    )
