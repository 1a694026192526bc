"""What a client hears from a `run` or `wrap` that cannot start.

Clients show a person the error that answers `initialize`, and for a process that just ends "connection
closed", whatever it wrote to standard error.

Law of this file: each request gets that one error, so no call passes, and of what the client sends only
the id is used. A message of more than 64 KiB is dropped. Nobody is waited for longer than `PATIENCE`.
"""

import os
import select
from collections.abc import Callable, Sequence

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json
from mcpguard.protocol import jsonrpc, refusals

PATIENCE = 5.0
"""Seconds without a message after which the client is not waited for: clients write `initialize` at once."""
_MOST = 64 * 1024


def serves_a_client(words: Sequence[str]) -> bool:
    """Whether this command line serves one client over standard input and output, if it is right."""
    verb, options = words[:1], words[1 : words.index("--") if "--" in words else None]
    over_http = any(one.split("=")[0] == "--http" for one in options)
    return [*verb] in (["run"], ["wrap"]) and not over_http and not {"-h", "--help"} & {*options}


def answer_with(problem: str, fds: tuple[int, int] = (0, 1), patience: float = PATIENCE) -> None:
    """Answer each request with `problem`, until the client ends its input or is silent. A person at a
    terminal, who has read it, is not waited for."""
    taken, given = fds
    if os.isatty(taken):
        return
    end = "" if problem[-1:] in ("?", ".") else "."
    said = f"mcpguard cannot start: {problem}{end} Correct that, then restart mcpguard in this client."
    error = jsonrpc.encode(refusals.error(jsonrpc.INTERNAL_ERROR, said, {"unstarted": problem}))
    framer = jsonrpc.Framer(_MOST)
    try:
        while select.select([taken], [], [], patience)[0] and (data := os.read(taken, _MOST)):
            for line in framer.feed(data):
                _answer(line, error, lambda text: _write(given, text))
    except OSError:
        return  # The client is gone.


def _answer(line: bytes | jsonrpc.Oversize, error: bytes, write: Callable[[bytes], None]) -> None:
    if not isinstance(line, bytes):
        return
    try:
        message: dict[str, Json] = jsonrpc.parse_strict(line)
    except MessageError:
        return
    request_id = message.get("id")
    if "method" in message and isinstance(request_id, (int, str)):
        write(jsonrpc.error_line(request_id, error))


def _write(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]
