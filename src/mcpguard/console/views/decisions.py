"""What was decided, the newest first, with a filter."""

import time
from urllib.parse import urlencode

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from mcpguard.adapters.system.terminal import plain
from mcpguard.console.desk import Desk
from mcpguard.console.evidence import SeenCall
from mcpguard.console.pages import page

SINCE = {"": 0, "15m": 900, "1h": 3_600, "1d": 86_400, "7d": 604_800}
EFFECTS = ("", "allowed", "approved", "asked", "denied", "unanswered", "observed", "withheld")
STEP, MOST = 150, 1_200


class DecisionFilter(Struct, frozen=True):
    """What is looked for; "" for anything."""

    text: str = ""
    server: str = ""
    effect: str = ""
    principal: str = ""
    actor: str = ""
    since: str = ""
    lists: bool = False
    """Requests for lists too."""
    most: int = STEP

    @property
    def query(self) -> str:
        """The same as the query of an address."""
        given = {"q": self.text}
        given |= {key: getattr(self, key) for key in ("server", "effect", "principal", "actor", "since")}
        given["lists"] = "1" if self.lists else ""
        return urlencode({name: value for name, value in given.items() if value})

    def fits(self, call: SeenCall, now: float) -> bool:
        """Whether a call is among them."""
        one = call.decision
        if call.lists and not self.lists:
            return False
        if self.since and call.at.timestamp() < now - SINCE[self.since]:
            return False
        if self.server not in ("", one.server):
            return False
        if self.principal not in ("", one.principal) or self.actor not in ("", one.actor):
            return False
        if self.effect and self.effect != effect_of(call):
            return False
        return not self.text or all(word in _text(call) for word in self.text.casefold().split())


def filter_of(request: Request) -> DecisionFilter:
    """The filter in the query of an address; what is not known there is left out."""
    asked = request.query_params
    since, effect, most = asked.get("since", ""), asked.get("effect", ""), asked.get("most", "")
    return DecisionFilter(
        text=asked.get("q", "")[:200].strip(),
        server=asked.get("server", "")[:200],
        effect=effect if effect in EFFECTS else "",
        principal=asked.get("principal", "")[:500],
        actor=asked.get("actor", "")[:500],
        since=since if since in SINCE else "",
        lists=asked.get("lists") == "1",
        most=min(MOST, int(most)) if most.isdecimal() and len(most) < 5 else STEP,
    )


def decisions(desk: Desk, request: Request) -> Response:
    """Those that fit the filter."""
    wanted, now = filter_of(request), time.time()
    with desk.lock:
        desk.evidence.poll()
        known = list(desk.evidence.newest())
        found: list[SeenCall] = []
        more = False
        for call in known:
            if wanted.fits(call, now):
                if len(found) == wanted.most:
                    more = True
                    break
                found.append(call)
    return page(
        desk,
        request,
        "decisions",
        calls=found,
        more=more and wanted.most < MOST,
        step=min(MOST, wanted.most * 2),
        wanted=wanted,
        servers=_choices({call.decision.server for call in known if call.decision.server}),
        principals=_choices({call.decision.principal for call in known}),
        actors=_choices({call.decision.actor for call in known if call.decision.actor}),
        since=desk.evidence.since,
        known=len(known),
        effect_of=effect_of,
    )


def _choices(names: set[str]) -> list[tuple[str, str]]:
    """What may be chosen, each with how it is shown."""
    return [(name, plain(name)) for name in sorted(names)]


def effect_of(call: SeenCall) -> str:
    """The outcome of a call, in one word."""
    one = call.decision
    if one.effect != "allow":
        return "asked" if one.effect == "ask" else "unanswered" if call.unanswered else "denied"
    if call.outcome is not None and call.outcome.status == "withheld":
        return "withheld"
    if one.observed is not None or (call.outcome is not None and call.outcome.observed is not None):
        return "observed"
    return "approved" if one.approval else "allowed"


def _text(call: SeenCall) -> str:
    one, outcome = call.decision, call.outcome
    parts = [one.id, one.principal, one.human, one.actor, one.agent or "", one.method, one.server, one.tool]
    parts += [one.subject, one.cause, *one.rules, *one.credentials, one.approval, effect_of(call)]
    parts += [] if one.observed is None else [one.observed.cause, *one.observed.rules]
    if outcome is not None:
        parts += [outcome.status, *outcome.findings]
    return " ".join(parts).casefold()
