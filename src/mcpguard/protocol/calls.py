"""The params of each request that policy decides, read in one way into one shape.

Law of this file: a member that the policy does not see is refused, not passed on (law 4). From `_meta`,
only the progress token and the trace context are passed on; the rest is an unverified claim.
"""

from hashlib import sha256

from msgspec import Struct

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json
from mcpguard.protocol.eras import MAY_ASK
from mcpguard.protocol.jsonrpc import INVALID_PARAMS, ordered

_TRACE = ("traceparent", "tracestate", "baggage")
_TRACED = frozenset(_TRACE)
_RETRY = frozenset({"inputResponses", "requestState"})


class Call(Struct, frozen=True):
    """One asked call. `kind` is what it is for: a tool, a prompt, a resource, a template, a task or an
    extension; `name` is the exposed name, the URI or the id, "" for an extension. `args` is what
    conditions see as `args`, `rest` the members that go upstream beside them. `state` and `responses`
    are there when a modern client sends a request again (basic/patterns/mrtr)."""

    method: str
    kind: str
    name: str
    args: dict[str, Json]
    rest: dict[str, Json] = {}
    progress_token: int | str | None = None
    meta: dict[str, Json] = {}
    state: str | None = None
    responses: dict[str, Json] | None = None

    def fingerprint(self) -> bytes:
        """What a retry must have in common with the first request: method, target and arguments."""
        return sha256(ordered([self.method, self.name, self.args, self.rest])).digest()


class _Form(Struct, frozen=True):
    """The members of one method's params: where the name stands, and which others are objects. `served` is
    all of them, `retried` those of a modern client that may send the request again."""

    kind: str
    key: str
    objects: tuple[str, ...]
    served: frozenset[str]
    retried: frozenset[str]


def _form(method: str, kind: str, key: str, *objects: str) -> _Form:
    served = frozenset({key, *objects, "_meta"})
    return _Form(kind, key, objects, served, served | _RETRY if method in MAY_ASK else served)


FORMS: dict[str, _Form] = {
    row[0]: _form(*row)
    for row in (
        ("tools/call", "tool", "name", "arguments", "task"),
        ("prompts/get", "prompt", "name", "arguments"),
        ("resources/read", "resource", "uri"),
        ("resources/subscribe", "resource", "uri"),
        ("resources/unsubscribe", "resource", "uri"),
        ("tasks/get", "task", "taskId"),
        ("tasks/result", "task", "taskId"),
        ("tasks/cancel", "task", "taskId"),
        ("tasks/update", "task", "taskId", "inputResponses"),
    )
}
_NOTHING: dict[str, Json] = {}


def read_call(method: str, params: dict[str, Json], modern: bool) -> Call:
    """Raises MessageError where a member is missing, of the wrong type or not served."""
    progress_token, meta = _read_meta(params["_meta"]) if "_meta" in params else (None, _NOTHING)
    if method == "completion/complete":
        return _completion(params, progress_token, meta)
    form = FORMS.get(method)
    if form is None:
        args = {key: value for key, value in params.items() if key != "_meta"}
        return Call(method, "extension", "", args, {}, progress_token, meta)
    name = value if type(value := params.get(form.key)) is str and value else _text(method, params, form.key)
    if not params.keys() <= (form.retried if modern else form.served):
        raise MessageError(INVALID_PARAMS, f"{method} has a member that mcpguard does not serve")
    rest: dict[str, Json] = {}
    for key in form.objects:
        # The modern tasks extension has the server choose, so a client's wish counts no more (SEP-2663).
        if key in params and not (modern and key == "task"):
            rest[key] = value if type(value := params[key]) is dict else _object(params, key)
    if "task" in rest:
        _check_task(rest["task"])
    args = rest.pop("arguments", {}) if "arguments" in form.objects else {form.key: name, **rest}
    if not modern or method not in MAY_ASK:
        return Call(method, form.kind, name, args, rest, progress_token, meta)
    state, responses = params.get("requestState"), params.get("inputResponses")
    if state is not None and type(state) is not str:
        raise MessageError(INVALID_PARAMS, "`requestState` must be a string")
    if responses is not None and type(responses) is not dict:
        raise MessageError(INVALID_PARAMS, "`inputResponses` must be an object")
    return Call(method, form.kind, name, args, rest, progress_token, meta, state, responses)


def _check_task(task: dict[str, Json]) -> None:
    # Policy does not see it, so nothing but what revision 2025-11-25 knows (basic/utilities/tasks) travels.
    if not task.keys() <= {"ttl"} or type(task.get("ttl", 0)) not in (int, float):
        raise MessageError(INVALID_PARAMS, "`task` must be an object with `ttl`, a number, or empty")


def _completion(params: dict[str, Json], progress_token: int | str | None, meta: dict[str, Json]) -> Call:
    method = "completion/complete"
    for key in params:
        if key not in ("ref", "argument", "context", "_meta"):
            raise MessageError(INVALID_PARAMS, f"{method} has a member that mcpguard does not serve")
    ref, args = _object(params, "ref"), {"argument": _object(params, "argument")}
    if "context" in params:
        args["context"] = _object(params, "context")
    if ref.get("type") == "ref/prompt":
        return Call(method, "prompt", _text("`ref`", ref, "name"), args, {}, progress_token, meta)
    if ref.get("type") == "ref/resource":
        return Call(method, "template", _text("`ref`", ref, "uri"), args, {}, progress_token, meta)
    raise MessageError(INVALID_PARAMS, "`ref` must be a ref/prompt or a ref/resource")


def _text(what: str, params: dict[str, Json], key: str) -> str:
    value = params.get(key)
    if type(value) is not str or not value:
        raise MessageError(INVALID_PARAMS, f"{what} needs `{key}`, a string")
    return value


def _object(params: dict[str, Json], key: str) -> dict[str, Json]:
    value = params.get(key)
    if type(value) is not dict:
        raise MessageError(INVALID_PARAMS, f"`{key}` must be an object")
    return value


def _read_meta(meta: Json) -> tuple[int | str | None, dict[str, Json]]:
    if type(meta) is not dict:
        raise MessageError(INVALID_PARAMS, "`_meta` must be an object")
    token = meta.get("progressToken")
    if token is not None and type(token) not in (int, str):
        raise MessageError(INVALID_PARAMS, "`progressToken` must be a string or an integer")
    if _TRACED.isdisjoint(meta):
        return token, _NOTHING
    carried = {key: meta[key] for key in _TRACE if type(meta.get(key)) is str and len(meta[key]) <= 512}
    return token, carried


def upstream_params(call: Call, name: str) -> dict[str, Json]:
    """The canonical params for the upstream: its own name for the target, and what was decided."""
    params: dict[str, Json]
    if call.method == "tools/call":
        params = {"name": name, "arguments": call.args, **call.rest}
    elif call.method == "prompts/get":
        params = {"name": name, "arguments": call.args} if call.args else {"name": name}
    elif call.method == "completion/complete":
        kind, key = ("ref/prompt", "name") if call.kind == "prompt" else ("ref/resource", "uri")
        params = {"ref": {"type": kind, key: name}, **call.args}
    else:
        params = dict(call.args)
    if call.meta:
        params["_meta"] = call.meta
    return params
