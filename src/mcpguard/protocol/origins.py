"""Who says it: what a client shows of several servers names the one that it is from.

A client has one connection and takes all that comes over it for the words of that one server, mcpguard. So a
server could ask for a password in the name of another one, or of mcpguard (2025-11-25, client/elicitation:
clients show which server asks).

Law of this file: the name of the server comes first, before anything that it says itself.
"""

from mcpguard.core.model import Json
from mcpguard.protocol import eras
from mcpguard.protocol.names import alike

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
