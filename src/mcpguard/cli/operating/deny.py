"""`mcpguard deny`: refuse a waiting call for a person."""

import argparse

from mcpguard.cli.operating.approvals import answer
from mcpguard.cli.parser import add_config
from mcpguard.core.policy.tickets import Ticket, TicketAnswer

EXAMPLES = ('mcpguard deny 4f1c09aa7d31 --reason "Use the staging database."',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "ticket", metavar="TICKET", help="the ticket of the waiting call, as listed by `mcpguard approvals`"
    )
    parser.add_argument("--reason", metavar="TEXT", default="", help="the reason that the model receives")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0 where it is refused, 1 where the person does not say so, 2 where there is nothing to refuse."""

    def said(_ticket: Ticket, by: str, groups: tuple[str, ...]) -> TicketAnswer:
        return TicketAnswer("denied", by, "terminal", groups, args.reason)

    return answer(args, said)
