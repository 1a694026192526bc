"""The table of methods: what is done with each message, by name and by the side that it comes from.

Law of this file: a method without a row is refused (a notification without one is dropped), never
relayed. A new method is one row here plus its handler in `gateway.py`.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Treatment(Enum):
    """What happens to a message."""

    LOCAL = "answered by mcpguard itself"
    DECIDED = "decided by policy, sent on, the answer inspected"
    FILTERED = "collected from the upstreams, inspected, filtered by policy"
    PROTOCOL = "sent to each upstream that runs, and to the others when they start; always allowed, recorded"
    CORRELATED = "matched to the request that it belongs to, inspected, passed on"
    INSPECTED = "inspected and passed on"
    RELISTED = "the upstream is listed anew, then passed on"
    SUBSCRIBED = "passed on, inspected, where this client subscribed to that URI of that upstream"
    TOLD = "passed on to each legacy upstream that runs, without its params"
    DROPPED = "known, and not passed on"


class Era(Enum):
    """In which revisions of the protocol a method is there."""

    BOTH = "both"
    LEGACY = "legacy"
    MODERN = "modern"


class Method(Struct, frozen=True):
    """One row. `request` tells requests from notifications. `inspected` says what of it is looked
    through before it leaves, `refusal` what a no looks like."""

    name: str
    request: bool
    treatment: Treatment
    inspected: str = "-"
    refusal: str = "-"
    era: Era = Era.BOTH


_ERROR = "JSON-RPC error"
_HIDDEN = "the entry is not in the list"
_TOOL = "unknown tool (-32602) where it is not listed, else a result with isError"
_FACTS = (
    "as for one that does not exist where it is not listed, else a JSON-RPC error with the facts in `data`"
)
_FACTS_TASK = "JSON-RPC error with the facts in `data`"
_OWN = "only tasks of this client are in the list"
_UNHEARD = "the URI is not in the acknowledgment"
_PARAMS = "the whole params"
_ALL = "the whole result or error"
_TO_SERVER = "JSON-RPC error to the upstream"
_ASKED = "the whole params; the client's answer goes to that upstream only"

LEGACY, MODERN = Era.LEGACY, Era.MODERN

FROM_CLIENT: dict[str, Method] = {
    row.name: row
    for row in (
        Method("initialize", True, Treatment.LOCAL, "-", _ERROR, LEGACY),
        Method("server/discover", True, Treatment.LOCAL, "-", _ERROR, MODERN),
        Method("ping", True, Treatment.LOCAL, era=LEGACY),
        Method("tools/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("prompts/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("resources/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("resources/templates/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("tools/call", True, Treatment.DECIDED, _ALL, _TOOL),
        Method("prompts/get", True, Treatment.DECIDED, _ALL, _FACTS),
        Method("resources/read", True, Treatment.DECIDED, _ALL, _FACTS),
        Method("completion/complete", True, Treatment.DECIDED, _ALL, _FACTS),
        Method("resources/subscribe", True, Treatment.DECIDED, _ALL, _FACTS, LEGACY),
        Method("resources/unsubscribe", True, Treatment.LOCAL, "-", _ERROR, LEGACY),
        Method("subscriptions/listen", True, Treatment.LOCAL, "-", _UNHEARD, MODERN),
        Method("tasks/get", True, Treatment.DECIDED, _ALL, _FACTS_TASK),
        Method("tasks/result", True, Treatment.DECIDED, _ALL, _FACTS_TASK, LEGACY),
        Method("tasks/update", True, Treatment.DECIDED, _ALL, _FACTS_TASK, MODERN),
        Method("tasks/cancel", True, Treatment.DECIDED, _ALL, _FACTS_TASK),
        Method("tasks/list", True, Treatment.FILTERED, _ALL, _OWN, LEGACY),
        Method("logging/setLevel", True, Treatment.PROTOCOL, "-", _ERROR, LEGACY),
        Method("notifications/initialized", False, Treatment.LOCAL, era=LEGACY),
        Method("notifications/cancelled", False, Treatment.CORRELATED),
        Method("notifications/progress", False, Treatment.DROPPED),
        Method("notifications/roots/list_changed", False, Treatment.TOLD, era=LEGACY),
    )
}

FROM_UPSTREAM: dict[str, Method] = {
    row.name: row
    for row in (
        Method("ping", True, Treatment.LOCAL, era=LEGACY),
        Method("sampling/createMessage", True, Treatment.DECIDED, _ASKED, _TO_SERVER),
        Method("elicitation/create", True, Treatment.DECIDED, _ASKED, _TO_SERVER),
        Method("roots/list", True, Treatment.DECIDED, _ASKED, _TO_SERVER),
        Method("notifications/progress", False, Treatment.CORRELATED, _PARAMS),
        Method("notifications/message", False, Treatment.INSPECTED, _PARAMS),
        Method("notifications/tools/list_changed", False, Treatment.RELISTED),
        Method("notifications/prompts/list_changed", False, Treatment.RELISTED),
        Method("notifications/resources/list_changed", False, Treatment.RELISTED),
        Method("notifications/resources/updated", False, Treatment.SUBSCRIBED, _PARAMS),
        Method("notifications/tasks/status", False, Treatment.INSPECTED, _PARAMS, era=LEGACY),
        Method("notifications/elicitation/complete", False, Treatment.INSPECTED, _PARAMS, era=LEGACY),
        Method("notifications/cancelled", False, Treatment.CORRELATED),
    )
}
