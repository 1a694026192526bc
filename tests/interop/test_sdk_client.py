"""One body for each behaviour, over every transport and each mode of the SDK's client.

Each runs against the upstream itself as well, so that a failure through mcpguard is mcpguard's.
"""

import json

import anyio
import mcp_types as types
import pytest
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPError

from tests.interop.clients import MODERN, ROOT, Place, run

DIRECT = [Place("direct", "http")]
GUARDED = [
    Place("mcpguard", "stdio", "stdio"),
    Place("mcpguard", "http", "stdio"),
    Place("mcpguard", "http", "http"),
    Place("mcpguard", "http", "sse"),
    Place("mcpguard", "sse", "stdio"),
]
ACROSS = {"legacy": "modern", "auto": "legacy"}
"""A mode of the client, and an upstream that speaks only the other era."""
MODES = ("legacy", "auto", MODERN)
SETTLED = Place("mcpguard", "http", "http")
"""Where each behaviour is seen in the mode "auto" too. That settles on one of the others, in the first request: in all
places, that is seen in one behaviour."""
WATCHED = "test://watched-resource"


def _cases(behaviour):
    for place in DIRECT + GUARDED:
        for mode in MODES:
            if mode == "auto" and place != SETTLED and behaviour is not test_a_tool_is_listed_and_called:
                continue
            if not (place.over == "sse" and mode == MODERN):  # HTTP+SSE is of the legacy era only.
                yield pytest.param(place, mode, id=f"{place}-{mode}")
    for mode, era in ACROSS.items():
        for way in ("stdio", "http"):
            place = Place("mcpguard", way, way, era)
            yield pytest.param(place, mode, id=f"{place}-{mode}")


pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")


def pytest_generate_tests(metafunc):
    """The place and the mode of each behaviour."""
    metafunc.parametrize(("place", "mode"), list(_cases(metafunc.function)))


@pytest.fixture
def connected(places, place, mode, tmp_path):
    """`connected(body)` runs a body with a connected client."""
    _, reached = places(place)
    return lambda body: run(place, mode, reached, tmp_path, body)


def modern(client):
    """Whether the client speaks the modern era."""
    return client.protocol_version == MODERN


def words(result):
    """The text of a result of one block."""
    assert not result.is_error, result
    return result.content[0].text


async def every(ask, kind):
    """All items of a list, page by page."""
    found, cursor = [], None
    while True:
        answer = await ask(cursor=cursor)
        found += getattr(answer, kind)
        cursor = answer.next_cursor
        if cursor is None:
            return found


def test_a_tool_is_listed_and_called(connected):
    async def body(client, heard):
        tools = {tool.name: tool for tool in await every(client.list_tools, "tools")}
        assert tools["echo"].annotations.read_only_hint
        assert tools["add"].output_schema["required"] == ["sum"]
        assert words(await client.call_tool("echo", {"text": "hé 🙂"})) == "hé 🙂"
        total = await client.call_tool("add", {"a": 2, "b": 40})
        assert total.structured_content == {"sum": 42}

    connected(body)


def test_content_of_every_type_arrives(connected):
    async def body(client, heard):
        mixed = await client.call_tool("test_multiple_content_types")
        assert [block.type for block in mixed.content] == ["text", "image", "resource"]
        sound = (await client.call_tool("test_audio_content")).content[0]
        assert (sound.type, sound.mime_type) == ("audio", "audio/wav")

    connected(body)


def test_an_error_of_a_tool_is_a_result(connected):
    async def body(client, heard):
        failed = await client.call_tool("test_error_handling")
        assert failed.is_error
        assert "intentionally" in failed.content[0].text

    connected(body)


def test_resources_and_templates_are_listed_and_read(connected):
    async def body(client, heard):
        listed = {str(one.uri) for one in await every(client.list_resources, "resources")}
        assert listed >= {"test://static-text", "test://static-binary", WATCHED}
        templates = await every(client.list_resource_templates, "resource_templates")
        assert [one.uri_template for one in templates] == ["test://template/{id}/data"]
        plain = (await client.read_resource("test://static-text")).contents[0]
        assert plain.text == "This is the content of the static text resource."
        assert (await client.read_resource("test://static-binary")).contents[0].blob
        filled = (await client.read_resource("test://template/7/data")).contents[0]
        assert json.loads(filled.text)["id"] == "7"

    connected(body)


def test_a_resource_that_does_not_exist_is_an_error(connected):
    async def body(client, heard):
        with pytest.raises(MCPError) as refused:
            await client.read_resource("test://absent")
        assert refused.value.error.code in (types.INVALID_PARAMS, -32002)

    connected(body)


def test_prompts_are_listed_and_filled_in(connected):
    async def body(client, heard):
        listed = {prompt.name: prompt for prompt in await every(client.list_prompts, "prompts")}
        assert [one.name for one in listed["test_prompt_with_arguments"].arguments] == ["arg1", "arg2"]
        filled = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        assert filled.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"

    connected(body)


def test_an_argument_is_completed(connected):
    async def body(client, heard):
        ref = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
        found = await client.complete(ref, {"name": "arg1", "value": "par"})
        assert found.completion.values == ["paris", "park city", "parma"][: len(found.completion.values)]
        assert len(found.completion.values) == 3

    connected(body)


def test_progress_arrives_in_order_and_before_the_result(connected):
    async def body(client, heard):
        steps = []

        async def step(done, total, message):
            steps.append((done, total))

        assert words(await client.call_tool("test_tool_with_progress", progress_callback=step))
        assert steps == [(0, 100), (50, 100), (100, 100)]

    connected(body)


def test_log_messages_arrive_at_the_level_that_the_client_chose(connected):
    async def body(client, heard):
        if not modern(client):
            await client.set_logging_level("info")
        await client.call_tool("test_logging_tool")
        logs = await heard.wait(types.LoggingMessageNotificationParams, 3)
        assert [log.level for log in logs] == ["info", "warning", "error"]

    connected(body)


def test_a_form_is_filled_in(connected):
    async def body(client, heard):
        answer = words(await client.call_tool("test_elicitation", {"message": "Who are you?"}))
        assert '"username": "Ada"' in answer
        assert [asked.message for asked in heard.asked] == ["Who are you?"]

    connected(body)


def test_a_completion_of_the_clients_model_is_used(connected):
    async def body(client, heard):
        answer = words(await client.call_tool("test_sampling", {"prompt": "What is the capital of France?"}))
        assert answer == "LLM response: Paris"

    connected(body)


def test_the_clients_roots_are_used(connected):
    async def body(client, heard):
        answer = words(await client.call_tool("test_input_required_result_list_roots"))
        assert answer == f"1 roots: {ROOT}"

    connected(body)


@pytest.mark.parametrize(
    ("tool", "said", "asked"),
    [("multi_round", "Ada likes green", 2), ("multiple_inputs", "all three answers came", 3)],
)
def test_several_answers_are_given_to_one_call(connected, tool, said, asked):
    async def body(client, heard):
        assert words(await client.call_tool(f"test_input_required_result_{tool}")) == said
        assert len(heard.asked) == asked

    connected(body)


def test_a_change_of_a_resource_that_is_watched_is_heard(connected):
    async def body(client, heard):
        if modern(client):
            async with client.listen(resource_subscriptions=[WATCHED]) as events:
                await client.call_tool("test_update_watched", {"text": "modern"})
                assert await anext(events) == ResourceUpdated(uri=WATCHED)
        else:
            await client.subscribe_resource(WATCHED)
            await client.call_tool("test_update_watched", {"text": "legacy"})
            found = await heard.wait(types.ResourceUpdatedNotification)
            assert str(found[0].params.uri) == WATCHED
            await client.unsubscribe_resource(WATCHED)
        text = (await client.read_resource(WATCHED)).contents[0].text
        assert text == ("modern" if modern(client) else "legacy")

    connected(body)


def test_a_changed_list_of_tools_is_heard_and_is_new(connected):
    async def body(client, heard):
        before = {tool.name for tool in await every(client.list_tools, "tools")}
        if modern(client):
            async with client.listen(tools_list_changed=True) as events:
                await client.call_tool("test_trigger_tool_change")
                assert isinstance(await anext(events), ToolsListChanged)
        else:
            await client.call_tool("test_trigger_tool_change")
            await heard.wait(types.ToolListChangedNotification)
        after = {tool.name for tool in await every(client.list_tools, "tools")}
        assert before ^ after == {"test_dynamic_tool"}

    connected(body)


def test_a_cancelled_call_is_cancelled_at_the_server(connected, place, mode):
    async def body(client, heard):
        token = f"{place} {mode}"
        begun = anyio.Event()

        async def step(done, total, message):
            begun.set()

        async with anyio.create_task_group() as group:
            wait = {"token": token}
            group.start_soon(lambda: client.call_tool("test_wait", wait, progress_callback=step))
            await begun.wait()
            group.cancel_scope.cancel()
        assert words(await client.call_tool("test_was_cancelled", wait)) == "cancelled"

    connected(body)
