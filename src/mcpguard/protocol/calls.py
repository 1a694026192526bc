"""The params of `tools/call`, read in one way (specification: server/tools, calling tools)."""

from __future__ import annotations

from msgspec import Struct

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json
from mcpguard.protocol.jsonrpc import INVALID_PARAMS

_TRACE = ("traceparent", "tracestate")


class Call(Struct, frozen=True):
    """One asked call: the exposed name, the arguments and what the client's `_meta` may carry on."""

    name: str
    args: dict[str, Json]
    progress_token: int | str | None
    meta: dict[str, Json]


def read_call(params: dict[str, Json]) -> Call:
    """Raises MessageError where a member is of the wrong type or is not served.

    A member that the policy does not see is refused, not carried along (law 4). Of `_meta` only the
    progress token and the trace context travel; the rest is a claim that nobody judged.
    """
    name, args, meta = params.get("name"), params.get("arguments", {}), params.get("_meta", {})
    if type(name) is not str or not name:
        raise MessageError(INVALID_PARAMS, "tools/call needs `name`, a string")
    if type(args) is not dict:
        raise MessageError(INVALID_PARAMS, "`arguments` of tools/call must be an object")
    if type(meta) is not dict:
        raise MessageError(INVALID_PARAMS, "`_meta` must be an object")
    for key in params:
        if key not in ("name", "arguments", "_meta"):
            raise MessageError(INVALID_PARAMS, "tools/call has a member that is not served by mcpguard yet")
    if not meta:
        return Call(name, args, None, meta)
    token = meta.get("progressToken")
    if token is not None and type(token) not in (int, str):
        raise MessageError(INVALID_PARAMS, "`progressToken` must be a string or an integer")
    trace = {key: meta[key] for key in _TRACE if type(meta.get(key)) is str and len(meta[key]) <= 512}
    return Call(name, args, token, trace)


def upstream_params(call: Call, upstream_name: str) -> dict[str, Json]:
    """The canonical params for the upstream: its own tool name and the arguments as decided."""
    params: dict[str, Json] = {"name": upstream_name, "arguments": call.args}
    if call.meta:
        params["_meta"] = call.meta
    return params
