"""`mcpguard run`: serve the configured tool servers over standard input and output."""

from __future__ import annotations

import argparse
import os

EXAMPLES = ("mcpguard run --config ~/.config/mcpguard/mcpguard.yaml",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder)",
    )


def execute(args: argparse.Namespace) -> int:
    """Serve until the client ends. Raises ConfigError, PolicyError or AuditError before it serves."""
    from mcpguard.app import serve, settings_from
    from mcpguard.config import find_config, load_config

    settings = settings_from(load_config(find_config(args.config, os.environ)))
    # A keychain that waits for a person must not keep a process that has served alive, so no interpreter
    # shutdown waits for its thread; everything that must be closed was closed by `serve`.
    os._exit(serve(settings))
