"""Hung, dying, slow and huge servers beside good ones, with the official SDK's client in both eras.

No time is asserted, only order: a list is there while the slow server still waits for its release.
"""

import contextlib

import anyio
import mcp_types as types
import pytest
from mcp.client.subscriptions import ToolsListChanged

from tests.conformance import stage
from tests.interop.clients import MODERN, Place, run
from tests.wire.session import puppet, write_config

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

MANY = 1000
HUGE = {f"huge__t{number}" for number in range(MANY)}
GOOD = {f"good__{name}" for name in ("act", "echo", "forbidden", "seen")}
SLOW = {name.replace("good", "slow") for name in GOOD}


def servers(folder):
    """Those of every kind; `slow` starts when the file `go` is there, `hung` never does."""
    forever = "while not os.path.exists({!r}): time.sleep(0.01)"
    return {
        "hung": puppet("--start", forever.format(str(folder / "never"))),
        "dying": puppet("--start", "say('no database'); os._exit(7)"),
        "slow": puppet("--start", forever.format(str(folder / "go"))),
        "huge": puppet("--start", f"state['tools'] = [tool(f't{{n}}') for n in range({MANY})]"),
        "good": puppet(),
    }


@contextlib.asynccontextmanager
async def changes(client, heard):
    """Waits for the next announcement that the tools have changed, from now on."""
    if client.protocol_version != MODERN:
        yield lambda: heard.wait(types.ToolListChangedNotification)
        return
    async with client.listen(tools_list_changed=True) as events:

        async def heard_of():
            async for event in events:
                if isinstance(event, ToolsListChanged):
                    return

        yield heard_of


async def names(client):
    return {tool.name for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize("over", ["stdio", "http"])
def test_the_good_ones_are_listed_and_called_while_others_hang_and_the_rest_follows(tmp_path, over, mode):
    config = write_config(tmp_path, servers(tmp_path), limits={"list_seconds": 2.5})

    async def body(client, heard):
        async with changes(client, heard) as changed:
            async with anyio.create_task_group() as group:
                group.start_soon(client.list_prompts)
                found = await names(client)
            assert found == GOOD | HUGE
            for _ in range(20):
                said = await client.call_tool("good__echo", {"text": "here"})
                assert said.content[0].text == "here"
            (tmp_path / "go").touch()
            await changed()
            assert await names(client) == GOOD | HUGE | SLOW
            said = await client.call_tool("slow__echo", {"text": "there"})
            assert said.content[0].text == "there"

    if over == "stdio":
        run(Place("mcpguard", over), mode, stage.over_stdio(config), tmp_path, body)
    else:
        with stage.guard(tmp_path, config) as origin:
            run(Place("mcpguard", over), mode, origin, tmp_path, body)
