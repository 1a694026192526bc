"""The two eras of the protocol, how a message of one is said in the other, and how the two sides
learn what the other is: the legacy handshake (basic/lifecycle) and discovery (2026-07-28, server/discover).

Modern (revision 2026-07-28 and later): no handshake, each request carries its own `_meta` envelope, each
result a `resultType`. Legacy (2024-11-05 to 2025-11-25): `initialize`, and requests both ways.

Law of this file: every function is pure and total over well-formed JSON-RPC; what cannot be translated is
a MessageError with the code that the specification gives it, never a guess.
"""

from collections.abc import Mapping, Sequence
from math import inf

from mcpguard import __version__
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Caller, Json
from mcpguard.protocol.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS

MODERN_VERSIONS = ("2026-07-28",)
"""Newest first."""

PREFIX = "io.modelcontextprotocol/"
VERSION_KEY = PREFIX + "protocolVersion"
CLIENT_INFO_KEY = PREFIX + "clientInfo"
CAPABILITIES_KEY = PREFIX + "clientCapabilities"
LOG_LEVEL_KEY = PREFIX + "logLevel"
SERVER_INFO_KEY = PREFIX + "serverInfo"
SUBSCRIPTION_KEY = PREFIX + "subscriptionId"
_ENVELOPE = frozenset({VERSION_KEY, CLIENT_INFO_KEY, CAPABILITIES_KEY, LOG_LEVEL_KEY, SUBSCRIPTION_KEY})
"""What the client wrote under one of these never travels; ours does, or none."""

TASKS_EXTENSION = PREFIX + "tasks"

HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
LEGACY_NOT_FOUND = -32002
"""Resource not found, revisions up to 2025-11-25 (server/resources); later it is INVALID_PARAMS."""
URL_REQUIRED = -32042
"""A URL must be visited first, revision 2025-11-25 only (client/elicitation); later it is a question."""

COMPLETE = "complete"
INPUT_REQUIRED = "input_required"

CACHEABLE = frozenset(
    {
        *("server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"),
        "resources/read",
    }
)
"""Methods whose results carry `ttlMs` and `cacheScope` (server/utilities/caching)."""

SET_LEVEL = "logging/setLevel"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Of log messages, the least severe first (RFC 5424; server/utilities/logging)."""

MAY_ASK = frozenset({"tools/call", "prompts/get", "resources/read"})
"""Methods that may be answered with `input_required` (basic/patterns/mrtr, supported requests)."""


def is_enveloped(params: Mapping[str, Json]) -> bool:
    """Whether a request claims to be of the modern era."""
    meta = params.get("_meta")
    return type(meta) is dict and (VERSION_KEY in meta or CAPABILITIES_KEY in meta)


def read_envelope(params: Mapping[str, Json]) -> Caller:
    """What a modern request states about its client (basic/index, per-request protocol fields).

    Raises MessageError, -32602, where a field is missing or of the wrong type. Whether the version is
    served is `check_version`'s question: on HTTP the headers come first.
    """
    meta = params.get("_meta")
    if type(meta) is not dict:
        raise MessageError(INVALID_PARAMS, f"`_meta` must be an object with {VERSION_KEY}")
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        raise MessageError(INVALID_PARAMS, f"`_meta` lacks {' and '.join(missing)}")
    version, capabilities, level = meta[VERSION_KEY], meta[CAPABILITIES_KEY], meta.get(LOG_LEVEL_KEY)
    if type(version) is not str or type(capabilities) is not dict:
        raise MessageError(INVALID_PARAMS, f"{VERSION_KEY} must be a string, {CAPABILITIES_KEY} an object")
    if level is not None and type(level) is not str:
        raise MessageError(INVALID_PARAMS, f"{LOG_LEVEL_KEY} must be a string")
    name, release = names(meta.get(CLIENT_INFO_KEY))
    return Caller(version, True, capabilities, level, name, release)


def names(info: Json) -> tuple[str, str]:
    """`name` and `version` of an Implementation object, "" if there is none."""
    known = info if type(info) is dict else {}
    name, release = known.get("name"), known.get("version")
    return name if type(name) is str else "", release if type(release) is str else ""


def check_version(version: str) -> None:
    """Raises MessageError, -32022, for a version that is not served."""
    if version not in MODERN_VERSIONS:
        raise unsupported(version)


def unsupported(requested: str) -> MessageError:
    """The refusal of a protocol version (basic/versioning, negotiation)."""
    data: dict[str, object] = {"supported": list(MODERN_VERSIONS), "requested": requested}
    return MessageError(UNSUPPORTED_VERSION, "Unsupported protocol version", data=data)


def has_tasks(capabilities: Mapping[str, Json]) -> bool:
    """Whether the capabilities of a client or a server declare the tasks extension; they may be odd."""
    extensions = capabilities.get("extensions")
    return type(extensions) is dict and TASKS_EXTENSION in extensions


def need_tasks(caller: Caller, what: str) -> None:
    """Raises MessageError, -32021, where the client did not declare the extension that `what` belongs to
    (extension io.modelcontextprotocol/tasks, error handling)."""
    if not has_tasks(caller.capabilities):
        data: dict[str, object] = {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}}
        raise MessageError(MISSING_CAPABILITY, f"{what} needs the capability {TASKS_EXTENSION}", data=data)


def envelope(caller: Caller, version: str, name: str, release: str) -> dict[str, Json]:
    """The `_meta` of a request to a modern upstream that speaks `version`, on behalf of `caller`;
    `name` and `release` are our own."""
    meta: dict[str, Json] = {
        VERSION_KEY: version,
        CLIENT_INFO_KEY: {"name": name, "version": release},
        CAPABILITIES_KEY: caller.capabilities,
    }
    if caller.log_level is not None:
        meta[LOG_LEVEL_KEY] = caller.log_level
    return meta


def legacy_params(params: dict[str, Json], token: int | None) -> dict[str, Json]:
    """`params` for a legacy upstream: no envelope, and `token` as progressToken if it is not None.
    `params` is not changed."""
    meta = params.get("_meta")
    if token is None and (type(meta) is not dict or not _ENVELOPE & meta.keys()):
        return params
    kept = _without_envelope(meta)
    if token is not None:
        kept["progressToken"] = token
    if kept:
        return {**params, "_meta": kept}
    return {key: value for key, value in params.items() if key != "_meta"}


def modern_params(
    params: dict[str, Json], token: int | None, caller: Caller, version: str, level: str | None
) -> dict[str, Json]:
    """`params` for a modern upstream that speaks `version`: with the envelope of `caller`.

    `level` is the level of log messages that a legacy client has set, None for none and for a modern one,
    which says it in each request. `params` is not changed.
    """
    meta = _without_envelope(params["_meta"]) if "_meta" in params else {}
    if token is not None:
        meta["progressToken"] = token
    meta.update(envelope(caller, version, "mcpguard", __version__))
    if level is not None:
        meta.setdefault(LOG_LEVEL_KEY, level)
    return {**params, "_meta": meta}


def _without_envelope(meta: Json) -> dict[str, Json]:
    if type(meta) is not dict:
        return {}
    return {key: value for key, value in meta.items() if key not in _ENVELOPE}


def result_for(
    caller: Caller, method: str, result: dict[str, Json], identity: tuple[str, str] | None = None
) -> dict[str, Json]:
    """An upstream's result in the form that the caller's era has. `result` is not changed.

    Modern: `resultType` is there, and for a CACHEABLE method `ttlMs` (0 where the upstream said nothing)
    and `cacheScope`, always "private", since policy decides what each principal sees; and `identity`, a name
    and a version, where it does not say who serves. Legacy: they are taken out, as these revisions do not
    know them.
    """
    if not caller.modern:
        if MODERN_ONLY.isdisjoint(result):
            return result
        return {key: value for key, value in result.items() if key not in MODERN_ONLY}
    kind = result.get("resultType", COMPLETE)
    translated = {"resultType": kind, **result}
    if kind == COMPLETE and method in CACHEABLE:
        ttl = result.get("ttlMs")
        translated["ttlMs"] = ttl if type(ttl) is int and ttl > 0 else 0
        translated["cacheScope"] = "private"
    meta = result.get("_meta")
    if identity is not None and not (type(meta) is dict and SERVER_INFO_KEY in meta):
        info = {SERVER_INFO_KEY: {"name": identity[0], "version": identity[1]}}
        translated["_meta"] = {**meta, **info} if type(meta) is dict else info
    return translated


MODERN_ONLY = frozenset({"resultType", "ttlMs", "cacheScope"})
"""The members of a result that legacy revisions do not know."""


def error_for(caller: Caller, method: str, error: dict[str, Json], from_modern: bool) -> dict[str, Json]:
    """The error of an upstream (of the modern era or not) in the form that the caller's era has.

    A modern client is never given a code of earlier revisions (2026-07-28, basic/index, error codes). Of a
    modern upstream -32602 on `resources/read` says that there is no such resource (2026-07-28,
    server/resources), which a legacy client knows as -32002 (2025-11-25, server/resources).
    """
    code = error.get("code")
    if caller.modern and code == LEGACY_NOT_FOUND:
        return {**error, "code": INVALID_PARAMS}
    if caller.modern and code == URL_REQUIRED:
        return {**error, "code": INTERNAL_ERROR}
    if from_modern and not caller.modern and code == INVALID_PARAMS and method == "resources/read":
        return {**error, "code": LEGACY_NOT_FOUND}
    return error


QUESTIONS = {"elicitation": "elicitation/create", "sampling": "sampling/createMessage", "roots": "roots/list"}
"""The client capability that a server needs -> what it may ask of the client then."""
_NEEDED = {method: name for name, method in QUESTIONS.items()}


def capability(method: str) -> str:
    """The client capability that a server needs for asking `method` of the client, "" if none."""
    return _NEEDED.get(method, "")


def lacking(capabilities: dict[str, Json], method: str, params: dict[str, Json]) -> str:
    """What a client must declare to be asked this, where `can_answer` says no."""
    name = capability(method)
    if type(capabilities.get(name)) is not dict:
        return name
    if name == "sampling":
        return "sampling.tools"
    return f"{name} of this mode"


def can_answer(capabilities: dict[str, Json], method: str, params: dict[str, Json]) -> bool:
    """Whether a client with these ClientCapabilities can be asked this (client/elicitation, client/sampling:
    an `elicitation` that names no mode means forms)."""
    name = capability(method)
    declared = capabilities.get(name)
    if not name or type(declared) is not dict:
        return False
    if name == "elicitation":
        mode = params.get("mode", "form")
        return type(mode) is str and (mode in declared or (mode == "form" and not declared))
    return name != "sampling" or "tools" in declared or not (_SAMPLING_WITH_TOOLS & params.keys())


def required(method: str, params: dict[str, Json]) -> tuple[str, dict[str, Json]]:
    """What a client has to declare before it can be asked this: the name of a ClientCapabilities member, ""
    if no client could be, and what has to be in it."""
    name = capability(method)
    if name == "elicitation":
        mode = params.get("mode", "form")
        return (name, {mode: {}}) if mode in ("form", "url") else ("", {})
    tools = name == "sampling" and _SAMPLING_WITH_TOOLS & params.keys()
    return name, {"tools": {}} if tools else {}


_SAMPLING_WITH_TOOLS = frozenset({"tools", "toolChoice"})


def task_of(result: dict[str, Json]) -> dict[str, Json] | None:
    """The task that a result announces, None for none (2025-11-25: basic/utilities/tasks; 2026-07-28: the
    extension io.modelcontextprotocol/tasks)."""
    task = result if result.get("resultType") == "task" else result.get("task")
    return task if type(task) is dict else None


def task_seconds(result: dict[str, Json]) -> float:
    """How long the task that a result reports is kept; infinite without an end, 0 without a task."""
    task = task_of(result)
    if task is None:
        return 0.0
    ttl = task.get("ttl", task.get("ttlMs"))
    return ttl / 1000 if isinstance(ttl, int | float) else inf


def task_over(method: str, result: dict[str, Json]) -> bool:
    """Whether the result of a request about a task says that the task runs no more."""
    return method == "tasks/result" or result.get("status") in ("completed", "failed", "cancelled")


LEGACY_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Newest first."""

ANY_CLIENT = Caller(
    version=LEGACY_VERSIONS[0],
    capabilities={
        "roots": {"listChanged": True},
        "sampling": {"tools": {}, "context": {}},
        "elicitation": {"form": {}, "url": {}},
    },
)
"""For a legacy upstream whose clients declare what they can with each request."""

_CAPABILITIES: dict[str, Json] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "completions": {},
    "logging": {},
}
_LEGACY_TASKS: dict[str, Json] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}


def negotiate(asked: Json) -> str:
    """The revision that we answer with: the client's own if we speak it, else our newest."""
    return asked if asked in LEGACY_VERSIONS else LEGACY_VERSIONS[0]


def read_initialize(params: dict[str, Json]) -> Caller:
    """What the client states about itself. Raises MessageError where `capabilities` is not an object."""
    capabilities = params.get("capabilities", {})
    if type(capabilities) is not dict:
        raise MessageError(INVALID_PARAMS, "`capabilities` of initialize must be an object")
    name, release = names(params.get("clientInfo"))
    version = negotiate(params.get("protocolVersion"))
    return Caller(version, False, capabilities, name=name, release=release)


def capabilities(
    modern: bool, upstreams: Sequence[Mapping[str, Json] | None], extensions: tuple[str, ...]
) -> dict[str, Json]:
    """The ServerCapabilities that we declare: what one of the `upstreams` declares, down to `subscribe`, and
    the `extensions` of the configuration. Each list may change, whatever they declare: policies decide what
    is in it, and the part of a slow server comes later. While one of them (None) is not known yet, all that
    it may offer is declared; a list of what none of them has is empty."""
    known = [one for one in upstreams if one is not None]
    wholly = len(known) == len(upstreams)
    declared = _declared_by(known) if wholly else dict(_CAPABILITIES)
    if not modern:
        tasks = not wholly or any("tasks" in one for one in known)
        return {**declared, "tasks": _LEGACY_TASKS} if tasks else declared
    tasks = not wholly or any(has_tasks(one) for one in known)
    named = (TASKS_EXTENSION, *extensions) if tasks else extensions
    return {**declared, "extensions": {name: {} for name in named}} if named else declared


def _declared_by(upstreams: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """What we serve of what at least one of them has."""
    declared: dict[str, Json] = {}
    for key, ours in _CAPABILITIES.items():
        theirs = [one[key] for one in upstreams if key in one]
        if theirs:
            details = [one for one in theirs if type(one) is dict]
            declared[key] = {
                name: True
                for name in ours
                if name == "listChanged" or any(one.get(name) is True for one in details)
            }
    return declared


def initialize_params(caller: Caller, version: str, name: str, release: str) -> dict[str, Json]:
    """What we say to a legacy upstream on behalf of `caller`, in revision `version`."""
    return {
        "protocolVersion": version,
        "capabilities": caller.capabilities,
        "clientInfo": {"name": name, "version": release},
    }
