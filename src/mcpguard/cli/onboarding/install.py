"""`mcpguard install`: add mcpguard to a client that has no servers yet."""

import argparse
import os
from pathlib import Path

from mcpguard.adapters.system.terminal import plain
from mcpguard.cli.parser import add_client, add_config, completed_for, configured
from mcpguard.onboarding import disk
from mcpguard.onboarding.journal import MoveJournal, default_folder
from mcpguard.onboarding.vault import vault_for

EXAMPLES = (
    "mcpguard install claude-desktop",
    "mcpguard install zed --server github --server files",
    "mcpguard install cursor --config mcpguard.yaml",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_client(parser, "client", "its name")
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME",
        help="a server of the configuration that the client is to see (may be repeated); needed where "
        "`clients` in the configuration does not name the client yet",
    )
    add_config(parser)
    parser.add_argument(
        "--to",
        choices=("keyring", "file"),
        help="where to store the key that encrypts the original file (see `--to` of `mcpguard import`)",
    )


def execute(args: argparse.Namespace) -> int:
    """0 where the client has mcpguard now, or had it. Raises ConfigError where the configuration cannot be
    served, and McpGuardError where a step cannot be taken."""
    from mcpguard.onboarding.discovery.reading import here
    from mcpguard.onboarding.installing import install
    from mcpguard.onboarding.moves import recover

    config = configured(args.config)
    journal = MoveJournal(default_folder())
    with disk.locked(journal.lock):
        for said in recover(journal):
            print(f"note: {said}")
        vault = vault_for(args.to or journal.last_vault, config.path)
        places = here(os.environ, Path.cwd())
        complete = completed_for(args.config)
        for line in install(args.client, config, args.server, places, journal, vault):
            print(plain(complete(line)))
    return 0
