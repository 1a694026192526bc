"""`mcpguard approve`: let a call go on that waits for a person."""

import argparse
import time

from mcpguard.cli.operating.approvals import answer
from mcpguard.cli.parser import add_config, number
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import Lasting, Ticket, TicketAnswer, latest_end

EXAMPLES = (
    "mcpguard approve 4f1c09aa7d31",
    "mcpguard approve 4f1c09aa7d31 --for-session",
    "mcpguard approve 4f1c09aa7d31 --minutes 30 --any branch",
    "mcpguard approve 4f1c09aa7d31 --always --any title",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "ticket", metavar="TICKET", help="the ticket of the waiting call, as listed by `mcpguard approvals`"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--for-session", action="store_true", help="approve the same call for the rest of the agent's session"
    )
    length.add_argument(
        "--minutes",
        metavar="N",
        type=number(1, 480),
        default=0,
        help="approve the same call for N minutes, at most 480",
    )
    length.add_argument(
        "--always",
        action="store_true",
        help="approve the same call permanently: shows the rule and its tests, and writes them to your "
        "policy",
    )
    parser.add_argument(
        "--any",
        metavar="ARGUMENT",
        action="append",
        default=[],
        help="allow any value for this argument, with --for-session, --minutes or --always (may be repeated)",
    )
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0 where it goes on, 1 where the person does not say so, 2 where there is nothing to approve."""
    free = tuple(dict.fromkeys(args.any))
    if free and not (args.always or args.minutes or args.for_session):
        raise SessionError("`--any` needs --for-session, --minutes or --always")

    def said(ticket: Ticket, by: str, groups: tuple[str, ...]) -> TicketAnswer:
        lasts: Lasting = "time" if args.minutes else "session" if args.for_session else "once"
        until, now = 0.0, time.time()
        if lasts != "once":
            until = now + 60 * args.minutes if args.minutes else latest_end(ticket, lasts, now)
        open_to = () if args.always else free
        return TicketAnswer("approved", by, "terminal", groups, lasts=lasts, until=until, free=open_to)

    return answer(args, said, free if args.always else None)
