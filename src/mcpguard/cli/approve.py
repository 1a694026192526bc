"""`mcpguard approve`: let a call go on that waits for a person."""

import argparse

from mcpguard.cli.approvals import answer
from mcpguard.cli.parser import add_config

EXAMPLES = ("mcpguard approve 4f1c09aa7d31",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("ticket", metavar="TICKET", help="as listed by `mcpguard approvals`")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0 where it goes on, 1 where the person does not say so, 2 where there is nothing to approve."""
    return answer(args, "approved")
