"""How a request is said in the upstream's era: the `_meta` around its params.

Law of this file: what the client wrote under a key of the envelope never travels; ours does, or none.
"""

from mcpguard import __version__
from mcpguard.core.model import Caller, Json
from mcpguard.protocol import eras

SET_LEVEL = "logging/setLevel"

_ENVELOPE = frozenset(
    {
        eras.VERSION_KEY,
        eras.CLIENT_INFO_KEY,
        eras.CAPABILITIES_KEY,
        eras.LOG_LEVEL_KEY,
        eras.SUBSCRIPTION_KEY,
    }
)


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
    meta.update(eras.envelope(caller, version, "mcpguard", __version__))
    if level is not None:
        meta.setdefault(eras.LOG_LEVEL_KEY, level)
    return {**params, "_meta": meta}


def _without_envelope(meta: Json) -> dict[str, Json]:
    if type(meta) is not dict:
        return {}
    return {key: value for key, value in meta.items() if key not in _ENVELOPE}
