"""What every verb shares to read its command line."""

from __future__ import annotations

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcpguard.config.loading import Config


def examples(*commands: str) -> str:
    """The `epilog` of a verb: its examples, one a line."""
    return "examples:\n" + "\n".join(f"  {command}" for command in commands)


class Parser(ArgumentParser):
    """Keeps the line breaks of its epilog and takes no abbreviated options, in its sub-commands too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": RawDescriptionHelpFormatter, "allow_abbrev": False, **options})


def add_config(parser: ArgumentParser, then: str = "") -> None:
    """`--config FILE`; `then` says where else the configuration is looked for."""
    where = f"$MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder{then}"
    parser.add_argument("--config", metavar="FILE", help=f"the configuration (default: {where})")


def configured(option: str | None) -> Config:
    """The configuration that `--config` names, or that is found without it. Raises ConfigError."""
    from mcpguard.config.loading import find_config, load_config

    return load_config(find_config(option, os.environ))
