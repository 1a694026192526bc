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
    DECIDED = "decided by policy, sent upstream, result inspected"
    FILTERED = "collected from the upstreams, inspected, filtered by policy"
    PROTOCOL = "sent to each upstream that runs, and to the others when they start; always allowed, recorded"
    CORRELATED = "matched to the request that it belongs to, inspected, passed on"
    INSPECTED = "inspected and passed on"
    RELISTED = "the upstream is listed anew, then passed on"
    DROPPED = "known, and not passed on in this version"


class Method(Struct, frozen=True):
    """One row. `request` tells requests from notifications. `refusal` says what a no looks like."""

    name: str
    request: bool
    treatment: Treatment
    refusal: str = "-"


_ERROR = "JSON-RPC error"
_UNKNOWN_OR_RESULT = "unknown tool (-32602) where it is not listed, else a result with isError"

FROM_CLIENT: dict[str, Method] = {
    row.name: row
    for row in (
        Method("initialize", True, Treatment.LOCAL, _ERROR),
        Method("ping", True, Treatment.LOCAL),
        Method("tools/list", True, Treatment.FILTERED, "the tool is not in the list"),
        Method("tools/call", True, Treatment.DECIDED, _UNKNOWN_OR_RESULT),
        Method("logging/setLevel", True, Treatment.PROTOCOL, _ERROR),
        Method("notifications/initialized", False, Treatment.LOCAL),
        Method("notifications/cancelled", False, Treatment.CORRELATED),
        Method("notifications/progress", False, Treatment.DROPPED),
        Method("notifications/roots/list_changed", False, Treatment.DROPPED),
    )
}

FROM_UPSTREAM: dict[str, Method] = {
    row.name: row
    for row in (
        Method("ping", True, Treatment.LOCAL),
        Method("notifications/progress", False, Treatment.CORRELATED),
        Method("notifications/message", False, Treatment.INSPECTED),
        Method("notifications/tools/list_changed", False, Treatment.RELISTED),
        Method("notifications/cancelled", False, Treatment.DROPPED),
        Method("notifications/prompts/list_changed", False, Treatment.DROPPED),
        Method("notifications/resources/list_changed", False, Treatment.DROPPED),
        Method("notifications/resources/updated", False, Treatment.DROPPED),
    )
}
