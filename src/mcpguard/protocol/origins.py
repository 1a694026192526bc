"""Who says it: what a client shows of several servers names the one that it is from, and what programs read
of a decision is from mcpguard.

A client has one connection and takes all that comes over it for the words of that one server, mcpguard. So a
server could ask for a password in the name of another one, or of mcpguard (2025-11-25, client/elicitation:
clients show which server asks).

Law of this file: the name of the server comes first, before anything that it says itself.
"""

from mcpguard.core.model import Json
from mcpguard.protocol import eras
from mcpguard.protocol.jsonrpc import INTERNAL_ERROR, REFUSED
from mcpguard.protocol.names import alike
from mcpguard.protocol.refusals import META_KEY

OURS = "mcpguard"
"""The `logger` of our own log messages (server/utilities/logging)."""


def question(server: str, method: str, params: dict[str, Json]) -> dict[str, Json]:
    """The params of a question of `server`. Only an elicitation has a text for the user."""
    message = params.get("message") if method == eras.QUESTIONS["elicitation"] else None
    if type(message) is not str:
        return params
    return {**params, "message": f"The server '{server}' asks: {message}"}


def log_message(server: str, params: dict[str, Json], several: bool) -> dict[str, Json]:
    """The params of a log message of `server`, which is one of `several`. No server logs as mcpguard."""
    logger = params.get("logger")
    if not (several or (type(logger) is str and alike(logger.strip()) == OURS)):
        return params
    return {**params, "logger": f"{server}/{logger}" if type(logger) is str and logger else server}


def result(body: dict[str, Json]) -> dict[str, Json]:
    """The result of a server, without what looks like a decision of ours in its `_meta`."""
    meta = body.get("_meta")
    if type(meta) is not dict or META_KEY not in meta:
        return body
    return {**body, "_meta": {key: value for key, value in meta.items() if key != META_KEY}}


def error(body: dict[str, Json]) -> dict[str, Json]:
    """The error of a server, which has not the code of our refusals."""
    return {**body, "code": INTERNAL_ERROR} if body.get("code") == REFUSED else body
