"""How a refusal looks on the wire: a failed call with a reason for the model, and a code for programs.

Law of this file: a refusal says which rule, the author's message and the invocation id; never CEL
source, an argument or a secret, and never more than `tools/list` already shows.
"""

from mcpguard.core.evidence.records import Decided
from mcpguard.core.model import Cause, Deny, Invocation, Json
from mcpguard.protocol.eras import LEGACY_NOT_FOUND, capability
from mcpguard.protocol.jsonrpc import INVALID_PARAMS, REFUSED

META_KEY = "mcpguard/decision"


def denied_result(deny: Deny) -> dict[str, Json]:
    """A `tools/call` result (specification: server/tools, error handling) that the model can read."""
    return {
        "content": [{"type": "text", "text": _sentence(deny)}],
        "isError": True,
        "_meta": {META_KEY: _details(deny)},
    }


_NO_RULE = "no rule allows {}. The owner of the policy can add one. {}"


def _refused(deny: Deny) -> str:
    """What was refused: a call, or what a server asks of its client."""
    method = deny.invocation.method
    return f"this question ({method})" if capability(method) else "this call"


def _more(deny: Deny) -> str:
    """What helps where no author says what would pass: a person can be told, and the model can say so."""
    call = deny.invocation
    return f"{call.principal.operator} can see why with `mcpguard explain {call.id}`."


def _sentence(deny: Deny) -> str:
    rules = ", ".join(deny.rules)
    if deny.cause is Cause.NO_RULE:
        reason = f": {deny.message or _NO_RULE.format(_refused(deny), _more(deny))}"
    elif deny.cause in (Cause.ARGUMENTS, Cause.CREDENTIAL, Cause.PLACEHOLDER):
        reason = f": {deny.message}"
    elif deny.cause is Cause.ERROR and not rules:
        # No rule is to blame: the state of the session cannot be read, say.
        reason = f": {deny.message or _more(deny)}"
    elif deny.cause is Cause.ERROR:
        said = deny.message or _more(deny)
        reason = f" ({rules}): the rule could not be evaluated for this call, so it refuses. {said}"
    else:
        # A person may have refused a call for which no rule asks any more.
        by = f" ({rules})" if rules else ""
        reason = f"{by}: {deny.message or f'{_refused(deny)} is not allowed. {_more(deny)}'}"
    return f"Refused by mcpguard{reason.rstrip()} [invocation {deny.invocation.id}]"


def withheld_result(deny: Deny) -> dict[str, Json]:
    """The result in place of one that a rule withholds, as `denied_result`."""
    return {
        "content": [{"type": "text", "text": _withheld(deny)}],
        "isError": True,
        "_meta": {META_KEY: {**_details(deny), "effect": "withhold"}},
    }


def withheld_error(deny: Deny) -> dict[str, Json]:
    """The error in place of a result that a rule withholds, for methods other than `tools/call`."""
    return error(REFUSED, _withheld(deny), {**_details(deny), "effect": "withhold"})


def _withheld(deny: Deny) -> str:
    by = f" ({', '.join(deny.rules)})" if deny.rules else ""
    if deny.cause is Cause.ERROR:
        reason = f"the rule could not be evaluated for it. {deny.message}".rstrip()
    else:
        reason = deny.message or f"this result is not allowed. {_more(deny)}"
    said = f"The call was made, but mcpguard withheld its result{by}: {reason}"
    return f"{said} [invocation {deny.invocation.id}]"


def _details(deny: Deny) -> dict[str, Json]:
    return {
        "effect": "deny",
        "cause": deny.cause.value,
        "rules": list(deny.rules),
        "invocation": deny.invocation.id,
    }


def denied_error(deny: Deny) -> dict[str, Json]:
    """The JSON-RPC error of a refused method other than `tools/call`: the same details in `data`."""
    return error(REFUSED, _sentence(deny), _details(deny))


_NAMES = {"tool": "tool", "prompt": "prompt", "task": "task", "extension": "method of an extension"}


def unknown(kind: str, name: str, modern: bool, advice: str) -> dict[str, Json]:
    """The JSON-RPC error for what is not there, or what this principal cannot see: the same. A resource
    that is not there has a code of its own up to revision 2025-11-25 (server/resources, error handling)."""
    shown = name[:128]
    if kind in ("resource", "template"):
        return error(INVALID_PARAMS if modern else LEGACY_NOT_FOUND, "Resource not found", {"uri": shown})
    return error(INVALID_PARAMS, f"Unknown {_NAMES[kind]}: {shown}{'. ' + advice if advice else ''}")


def unavailable(reason: str, invocation: Invocation | Decided) -> dict[str, Json]:
    """The JSON-RPC error for an upstream that cannot answer."""
    return error(REFUSED, reason, {"cause": "unavailable", "invocation": invocation.id})


def withheld(reason: str, invocation: Invocation) -> dict[str, Json]:
    """The JSON-RPC error for an answer that exists and may not leave."""
    return error(
        REFUSED,
        f"The answer was withheld by mcpguard: {reason}. A smaller answer may pass. "
        f"{invocation.principal.operator} can see why with `mcpguard explain {invocation.id}`.",
        {"cause": "withheld", "invocation": invocation.id},
    )


def error(code: int, message: str, data: dict[str, Json] | None = None) -> dict[str, Json]:
    """A JSON-RPC error object."""
    body: dict[str, Json] = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return body
