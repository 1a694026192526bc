"""What every verb shares to read its command line."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any


def examples(*commands: str) -> str:
    """The `epilog` of a verb: its examples, one a line."""
    return "examples:\n" + "\n".join(f"  {command}" for command in commands)


class Parser(ArgumentParser):
    """Keeps the line breaks of its epilog and takes no abbreviated options, in its sub-commands too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": RawDescriptionHelpFormatter, "allow_abbrev": False, **options})
