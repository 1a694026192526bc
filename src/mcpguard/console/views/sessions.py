"""What each principal with each agent has done so far, and what it is kept from."""

import time

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from mcpguard.adapters.store.sessions import KnownSession
from mcpguard.console.desk import Desk
from mcpguard.console.pages import page
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.session import stated_under
from mcpguard.core.policy.tickets import Ticket
from mcpguard.serve.interventions import other_config, void_answer

MOST_TOOLS = 8
MOST_SESSIONS = 60


class UsedLimit(Struct, frozen=True):
    """A limit: its rule, how much of it is used in its window, and of how much where the rule is known."""

    rule: str
    unit: str
    window: str
    used: int
    most: int | None


class SessionCard(Struct, frozen=True):
    """A session. `tools` are the most used of its tools with the number of calls, and `others` counts the
    calls of the rest."""

    session: KnownSession
    limits: list[UsedLimit]
    tools: list[tuple[str, int]]
    others: int
    refused: tuple[str, ...]
    """Rules that read labels, by whose words they are; empty where policies cannot be read."""


def sessions(desk: Desk, request: Request) -> Response:
    """All that have not ended."""
    problem = ""
    known: list[KnownSession] = []
    approvals: list[Ticket] = []
    try:
        known = desk.store.known()
        approvals = desk.store.approved()
    except SessionError as failure:
        problem = str(failure)
    check = desk.check()
    said = request.query_params.get("said", "")
    return page(
        desk,
        request,
        "sessions",
        cards=[_card(desk, one) for one in known[:MOST_SESSIONS]],
        more=len(known) - MOST_SESSIONS,
        problem=problem,
        said=SAID.get(said, ""),
        approvals=approvals[:MOST_SESSIONS],
        void=check.void,
        void_answer=void_answer,
        stated_under=stated_under,
        other=lambda one: other_config(desk.config, one),
    )


SAID = {
    "cleared": "The label was cleared.",
    "freed": "The limit was reset to zero.",
    "ended": "The session has ended; its next call starts a new one.",
    "withdrawn": "The approval has ended; the next such call needs a new approval.",
}
"""What the page may be asked to say first."""


def _card(desk: Desk, one: KnownSession) -> SessionCard:
    kept = one.state
    if kept is None:
        return SessionCard(one, [], [], 0, ())
    tools = sorted(kept.tools.items(), key=lambda item: (-item[1], item[0]))
    return SessionCard(
        one,
        [_limit(desk, key, used) for key, used in kept.used(time.time()).items()],
        tools[:MOST_TOOLS],
        sum(count for _, count in tools[MOST_TOOLS:]),
        _readers(desk) if kept.labels else (),
    )


def _limit(desk: Desk, key: str, used: int) -> UsedLimit:
    """The key of a limit is its rule, its unit and its window (`core/policy/obligations.py`)."""
    words = key.split(" ")
    rule, unit, window = words[0], words[1] if len(words) > 2 else "", words[-1]
    policies = desk.rulebook.policies
    found = next((one for one in policies.rules if one.name == rule), None) if policies else None
    limit = found.written.limit if found else None
    return UsedLimit(rule, unit, window, used, getattr(limit, unit, None) if limit else None)


def _readers(desk: Desk) -> tuple[str, ...]:
    policies = desk.rulebook.policies
    if policies is None:
        return ()
    return tuple(rule.name for rule in policies.rules if "session.labels" in (rule.when or ""))
