"""The SDK's client towards one place: our upstream itself, or mcpguard in front of it.

Law of this file: a body gets a connected client and what it heard, and has a deadline for all that it does.
"""

import contextlib
import sys
from typing import NamedTuple

import anyio
import mcp_types as types
from mcp.client.client import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.conformance import stage

DEADLINE = 30
MODERN = "2026-07-28"
FORM = {
    "username": "Ada",
    "email": "ada@example.invalid",
    "name": "Ada",
    "color": "green",
    "ok": True,
    "way": "left",
}
ROOT = "file:///workspace"


class Place(NamedTuple):
    """Where a client connects: `direct` or `mcpguard`, over `stdio`, `http` or `sse`, in front of an upstream."""

    what: str
    over: str
    way: str = "stdio"
    era: str = "both"

    def __str__(self):
        return "-".join(self if self.what == "mcpguard" else self[:2])


class Heard:
    """What the client heard without asking. `wait` looks at the past, too."""

    def __init__(self):
        self.messages = []
        self.asked = []
        self._news = anyio.Event()

    async def message(self, message):
        """A notification."""
        self._tell(self.messages, message)

    async def log(self, params):
        """A log message."""
        self._tell(self.messages, params)

    async def elicit(self, context, params):
        """A form is asked for, and filled in."""
        self._tell(self.asked, params)
        wanted = params.requested_schema["properties"]
        return types.ElicitResult(action="accept", content={name: FORM[name] for name in wanted})

    async def sample(self, context, params):
        """A completion is asked for."""
        self._tell(self.asked, params)
        said = types.TextContent(type="text", text="Paris")
        return types.CreateMessageResult(role="assistant", content=said, model="test", stop_reason="endTurn")

    async def roots(self, context):
        """The roots are asked for."""
        self._tell(self.asked, "roots")
        return types.ListRootsResult(roots=[types.Root(uri=ROOT, name="workspace")])

    def _tell(self, where, what):
        where.append(what)
        self._news.set()
        self._news = anyio.Event()

    async def wait(self, kind, count=1):
        """The messages of a kind, as soon as there are `count`."""
        while True:
            found = [message for message in self.messages if isinstance(message, kind)]
            if len(found) >= count:
                return found
            await self._news.wait()


@contextlib.contextmanager
def origin(place, folder):
    """What a client needs to reach the place: an origin, or the command over standard input and output."""
    with contextlib.ExitStack() as stack:
        if place.what == "direct" and place.over == "stdio":
            yield [sys.executable, stage.EVERYTHING, "--stdio", "--era", place.era]
        elif place.what == "direct":
            yield stack.enter_context(stage.upstream(folder, "--era", place.era))
        else:
            entry = stack.enter_context(stage.server_entry(folder, place.way, "--era", place.era))
            config = stage.configured(folder, entry)
            yield (
                stage.over_stdio(config)
                if place.over == "stdio"
                else stack.enter_context(stage.guard(folder, config))
            )


def transport(place, reached, errors):
    """The SDK's transport to the place."""
    if place.over == "stdio":
        return stdio_client(StdioServerParameters(command=reached[0], args=reached[1:]), errlog=errors)
    return sse_client(f"{reached}/sse") if place.over == "sse" else streamable_http_client(f"{reached}/mcp")


def run(place, mode, reached, folder, body):
    """Run `await body(client, heard)` with a client in one mode; gives what it gave."""

    async def main():
        heard = Heard()
        with open(folder / "client.err", "w") as errors, anyio.fail_after(DEADLINE):
            client = Client(
                transport(place, reached, errors),
                mode=mode,
                elicitation_callback=heard.elicit,
                sampling_callback=heard.sample,
                list_roots_callback=heard.roots,
                logging_callback=heard.log,
                log_level="info",
                message_handler=heard.message,
                cache=None,
            )
            async with client:
                return await body(client, heard)

    return anyio.run(main)
