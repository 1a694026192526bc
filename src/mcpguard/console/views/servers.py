"""The configured servers: how they are, what was used of them, and what each principal can reach."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from mcpguard.adapters.telemetry.status_file import TROUBLE, Status, running
from mcpguard.authoring.explain.hypothesis import listed
from mcpguard.authoring.explain.reach import Reach, offered, reach
from mcpguard.config.loading import Server
from mcpguard.config.servers import viewers
from mcpguard.config.urls import literal_host
from mcpguard.console.desk import Desk
from mcpguard.console.pages import page
from mcpguard.console.rendering.diffs import DiffLine
from mcpguard.console.rendering.texts import marked
from mcpguard.console.views.decisions import effect_of
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Invocation, Principal, split_principal
from mcpguard.core.policy.pins import HeldPin, Pin, held_now
from mcpguard.gateway.ports import Health
from mcpguard.serve.interventions import pins_of

MOST_THINGS = 200
"""Tools, prompts and resources of a server on the page."""


MOST_HELD = 50
"""Of its definitions that are held."""


class SeenThing(Struct, frozen=True):
    """A tool, a prompt or a resource: how often it was asked for, with what outcome, and whether it can be
    reached, None where there are no policies to tell by."""

    kind: str
    name: str
    asked: Counter[str]
    reach: Reach | None


class HeldThing(Struct, frozen=True):
    """A definition that is held back, and what is different in it."""

    pin: Pin
    lines: list[DiffLine]


class ServerCard(Struct, frozen=True):
    """A server. `how` says what it is; `healths` are those in running processes, with their process
    and how many are alike there; `seen_by` are the clients that see it."""

    server: Server
    how: str
    healths: list[tuple[Status, Health, int]]
    held: list[HeldThing]
    more_held: int
    things: list[SeenThing]
    more: int
    seen_by: list[str]


def servers(desk: Desk, request: Request) -> Response:
    """All of the configuration, for one principal."""
    desk.rulebook.refresh()
    with desk.lock:
        desk.evidence.poll()
        counts, principals = _counted(desk)
    asked = request.query_params.get("principal", "")
    known = sorted({desk.person, *principals})
    principal = asked if asked in known else desk.person
    path = desk.config.path.resolve()
    mine = [one for one in running() if one.config and Path(one.config).resolve() == path]
    pins, unread = _pins(desk)
    return page(
        desk,
        request,
        "servers",
        cards=[_card(desk, one, mine, counts, principal, pins) for one in desk.config.servers.values()],
        unread=unread,
        said=SAID.get(request.query_params.get("said", ""), ""),
        since=desk.evidence.since,
        principals=known,
        principal=principal,
        processes=mine,
        problem=desk.rulebook.problem,
        with_clients=bool(desk.config.clients),
        trouble=TROUBLE,
    )


SAID = {"accepted": "The definition is accepted. Calls pass again where rules allow them."}
"""What the page may be asked to say first."""


def _pins(desk: Desk) -> tuple[list[HeldPin], str]:
    """The definitions that are held, and why they cannot be read."""
    try:
        return held_now(pins_of(desk.config, desk.store, open_only=True)), ""
    except SessionError as problem:
        return [], str(problem)


Counts = dict[tuple[str, str, str], Counter[str]]


def _counted(desk: Desk) -> tuple[Counts, set[str]]:
    """How often each thing of each server was asked for, by outcome and by whom."""
    counts: Counts = {}
    principals: set[str] = set()
    for call in desk.evidence.calls:
        one = call.decision
        principals.add(one.principal)
        name = one.tool or one.subject
        if one.server and name and one.cause != "unknown":
            kind = "tool" if one.tool else "prompt" if one.method.startswith("prompts/") else "resource"
            counts.setdefault((one.server, kind, name), Counter())[effect_of(call)] += 1
    return counts, principals


def _line(said: str) -> DiffLine:
    if said[0] == "+" or said[0] == "-":
        return DiffLine("+" if said[0] == "+" else "-", marked(said[1:]))
    return DiffLine("@", said)


def _card(
    desk: Desk, server: Server, mine: list[Status], counts: Counts, principal: str, pins: list[HeldPin]
) -> ServerCard:
    healths = [
        (status, one, count) for status in mine for one, count in status.alike() if one.name == server.name
    ]
    seen = {(kind, name): count for (of, kind, name), count in counts.items() if of == server.name}
    held = [one for one in pins if one.pin.server == server.name]
    policies = desk.rulebook.policies
    named: set[tuple[str, str]] = set()
    if policies is not None:
        named = {(one.kind, one.name) for one in offered(policies, (server.name,), None)}
    names = sorted({*seen, *named}, key=lambda one: (one[0] != "tool", one[0], one[1]))
    things = [
        SeenThing(
            kind, name, seen.get((kind, name), Counter()), _reach(desk, server.name, kind, name, principal)
        )
        for kind, name in names[:MOST_THINGS]
    ]
    return ServerCard(
        server,
        _how(server),
        healths,
        [HeldThing(one.pin, [*map(_line, one.changes)]) for one in held[:MOST_HELD]],
        max(0, len(held) - MOST_HELD),
        things,
        max(0, len(names) - MOST_THINGS),
        viewers(desk.config.clients, server.name),
    )


def _reach(desk: Desk, server: str, kind: str, name: str, who: str) -> Reach | None:
    """What `who` can do with it, as far as that can be told without asking the server what it says of it."""
    entry = {"uri": name, "name": name} if kind == "resource" else {"name": name}
    found = listed(server, kind, [entry])
    if desk.rulebook.policies is None or not found:
        return None
    source, identity = split_principal(who)
    principal = Principal(identity, source)
    asking = Invocation("console", "", principal, datetime.now(UTC), desk.config.agent)
    return reach(desk.rulebook.policies, asking, found[0])


def _how(server: Server) -> str:
    """What it is, without anything that could be a credential."""
    if server.url is None:
        return Path(server.command).name
    host = literal_host("${}".join(server.url.texts))
    return host or "a remote server"
