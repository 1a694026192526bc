"""The table of methods: how each message is handled, by name and by the side that sends it.

Law of this file: a method without a row is refused (a notification without one is dropped), never
relayed. A new method is one row here plus its handler in `gateway/gateway.py`.
"""

from enum import Enum

from msgspec import Struct


class Treatment(Enum):
    """What happens to a message."""

    LOCAL = "answered by mcpguard itself"
    DECIDED = "decided by policy, sent on, the answer inspected"
    FILTERED = "collected from the upstreams, inspected, filtered by policy"
    OWNED = "collected from the upstreams where this client has tasks, inspected; always allowed, recorded"
    LISTENED = "served by mcpguard itself; each URI in it is decided as `resources/subscribe`, and recorded"
    RELEASED = (
        "answered by mcpguard itself; the upstream is notified of the last one; always allowed, recorded"
    )
    PROTOCOL = "sent to each upstream that runs, and to the others when they start; always allowed, recorded"
    ASKED = (
        "decided by policy, inspected, passed to the client; its answer goes to that upstream only, unchanged"
    )
    CORRELATED = "matched to the request that it belongs to, inspected, passed on"
    ENDED = "ends the request that it names; the other side is notified in mcpguard's own words"
    INSPECTED = "inspected and passed on"
    RELISTED = "the upstream is listed again, then passed on without its params"
    SUBSCRIBED = "passed on, inspected, where this client subscribed to that URI of that upstream"
    TOLD = "passed on to each legacy upstream that runs, without its params"
    DROPPED = "recognised, but not passed on"


class Era(Enum):
    """In which revisions of the protocol a method is there."""

    BOTH = "both"
    LEGACY = "legacy"
    MODERN = "modern"


class Method(Struct, frozen=True):
    """One row. `request` tells requests from notifications. `inspected` says what of it is looked
    through before it leaves, or "nothing: " and why; `refusal` what a no looks like, or "none: " and why
    there is none. `where` says to whom alone a notification goes, if that is not its treatment's to say."""

    name: str
    request: bool
    treatment: Treatment
    inspected: str
    refusal: str
    era: Era = Era.BOTH
    where: str = ""


_ERROR = "JSON-RPC error"
_HIDDEN = "the entry is not in the list"
_TOOL = "unknown tool (-32602) if it is not listed, else a result with isError"
_FACTS = (
    "as for one that does not exist if it is not listed, else a JSON-RPC error with the details in `data`"
)
_FACTS_TASK = "JSON-RPC error with the details in `data`"
_OWN = "a task that this client did not start is not in the list"
_UNHEARD = "what is refused is left out of the acknowledgment; `taskIds` always are"
_PARAMS = "the whole params"
_WITHHELD = "what cannot be inspected is withheld, with a record"
_ALL = "the whole result or error"
_HELLO = "the whole answer, with the instructions of upstreams"
_TO_SERVER = "JSON-RPC error to the upstream"
_EMPTY = "nothing: the answer is empty"
_STREAM = "what arrives on its stream, as described in its row"
_NEW_LIST = "the new list; the params are dropped"
_NOWHERE = "nothing: it is dropped"
_NO_PARAMS = "nothing: its params are dropped"
_NO_ANSWER = "none: a notification has no answer"

LEGACY, MODERN = Era.LEGACY, Era.MODERN
_PASSED = Treatment.INSPECTED

FROM_CLIENT: dict[str, Method] = {
    row.name: row
    for row in (
        Method("initialize", True, Treatment.LOCAL, _HELLO, _ERROR, LEGACY),
        Method("server/discover", True, Treatment.LOCAL, _HELLO, _ERROR, MODERN),
        Method("ping", True, Treatment.LOCAL, _EMPTY, _ERROR, LEGACY),
        Method("tools/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("prompts/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("resources/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("resources/templates/list", True, Treatment.FILTERED, _ALL, _HIDDEN),
        Method("tools/call", True, Treatment.DECIDED, _ALL, _TOOL),
        Method("prompts/get", True, Treatment.DECIDED, _ALL, _FACTS),
        Method("resources/read", True, Treatment.DECIDED, _ALL, _FACTS),
        Method("completion/complete", True, Treatment.DECIDED, _ALL, _FACTS),
        Method("resources/subscribe", True, Treatment.DECIDED, _ALL, _FACTS, LEGACY),
        Method("resources/unsubscribe", True, Treatment.RELEASED, _EMPTY, _ERROR, LEGACY),
        Method("subscriptions/listen", True, Treatment.LISTENED, _STREAM, _UNHEARD, MODERN),
        Method("tasks/get", True, Treatment.DECIDED, _ALL, _FACTS_TASK),
        Method("tasks/result", True, Treatment.DECIDED, _ALL, _FACTS_TASK, LEGACY),
        Method("tasks/update", True, Treatment.DECIDED, _ALL, _FACTS_TASK, MODERN),
        Method("tasks/cancel", True, Treatment.DECIDED, _ALL, _FACTS_TASK),
        Method("tasks/list", True, Treatment.OWNED, _ALL, _OWN, LEGACY),
        Method("logging/setLevel", True, Treatment.PROTOCOL, _EMPTY, _ERROR, LEGACY),
        Method("notifications/initialized", False, Treatment.DROPPED, _NOWHERE, _NO_ANSWER, LEGACY),
        Method("notifications/cancelled", False, Treatment.ENDED, _NO_PARAMS, _NO_ANSWER),
        Method("notifications/progress", False, Treatment.DROPPED, _NOWHERE, _NO_ANSWER),
        Method("notifications/roots/list_changed", False, Treatment.TOLD, _NO_PARAMS, _NO_ANSWER, LEGACY),
    )
}

_TO_STARTER = "where this client started that task at that upstream"
_TO_VISITOR = "where that upstream asked this client for that visit"
_TO_READER = "to a modern client only for a request that asked for its level"

FROM_UPSTREAM: dict[str, Method] = {
    row.name: row
    for row in (
        Method("ping", True, Treatment.LOCAL, _EMPTY, _TO_SERVER, LEGACY),
        Method("sampling/createMessage", True, Treatment.ASKED, _PARAMS, _TO_SERVER),
        Method("elicitation/create", True, Treatment.ASKED, _PARAMS, _TO_SERVER),
        Method("roots/list", True, Treatment.ASKED, _PARAMS, _TO_SERVER),
        Method("notifications/progress", False, Treatment.CORRELATED, _PARAMS, _WITHHELD),
        Method("notifications/message", False, _PASSED, _PARAMS, _WITHHELD, where=_TO_READER),
        Method("notifications/tools/list_changed", False, Treatment.RELISTED, _NEW_LIST, _NO_ANSWER),
        Method("notifications/prompts/list_changed", False, Treatment.RELISTED, _NEW_LIST, _NO_ANSWER),
        Method("notifications/resources/list_changed", False, Treatment.RELISTED, _NEW_LIST, _NO_ANSWER),
        Method("notifications/resources/updated", False, Treatment.SUBSCRIBED, _PARAMS, _WITHHELD),
        Method("notifications/tasks/status", False, _PASSED, _PARAMS, _WITHHELD, LEGACY, _TO_STARTER),
        # It carries results and questions (extension io.modelcontextprotocol/tasks): see decision 0011.
        Method("notifications/tasks", False, Treatment.DROPPED, _NOWHERE, _NO_ANSWER, MODERN),
        Method("notifications/elicitation/complete", False, _PASSED, _PARAMS, _WITHHELD, LEGACY, _TO_VISITOR),
        Method("notifications/cancelled", False, Treatment.ENDED, _NO_PARAMS, _NO_ANSWER),
    )
}
