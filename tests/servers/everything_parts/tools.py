"""Tools that answer by themselves: content of each type, errors, logs, progress, headers, list changes."""

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY

from .call import Call, Json, schema, text, tool
from .inputs import sampling
from .media import PICTURE, SOUND

WORD = {"type": "string"}
WATCHED = "test://watched-resource"


def picture() -> Json:
    """An image block."""
    return {"type": "image", "data": PICTURE, "mimeType": "image/png"}


def embedded(uri: str, words: str, kind: str = "text/plain") -> Json:
    """An embedded resource block."""
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


@tool("echo", "Gives the text back", schema({"text": WORD}, ("text",)), annotations={"readOnlyHint": True})
async def _echo(call: Call) -> str:
    return call.arguments["text"]


@tool(
    "add",
    "Adds two numbers",
    schema({"a": {"type": "number"}, "b": {"type": "number"}}, ("a", "b")),
    outputSchema=schema({"sum": {"type": "number"}}, ("sum",)),
)
async def _add(call: Call) -> Json:
    total = call.arguments["a"] + call.arguments["b"]
    return {"content": [text(f"{total:g}")], "structuredContent": {"sum": total}}


@tool("test_simple_text", "One block of text")
async def _simple(call: Call) -> str:
    return "This is a simple text response for testing."


@tool("test_image_content", "One image")
async def _image(call: Call) -> list[Json]:
    return [picture()]


@tool("test_audio_content", "One sound")
async def _audio(call: Call) -> list[Json]:
    return [{"type": "audio", "data": SOUND, "mimeType": "audio/wav"}]


@tool("test_embedded_resource", "One embedded resource")
async def _embedded(call: Call) -> list[Json]:
    return [embedded("test://embedded-resource", "This is an embedded resource content.")]


@tool("test_multiple_content_types", "Text, an image and a resource")
async def _mixed(call: Call) -> list[Json]:
    data = embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return [text("Multiple content types test:"), picture(), data]


@tool("test_error_handling", "Always fails")
async def _fails(call: Call) -> str:
    raise ValueError("This tool intentionally returns an error for testing")


@tool("test_tool_with_logging", "Logs three times")
async def _logs(call: Call) -> str:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await call.log("info", words)
        await anyio.sleep(0.05)  # The suite wants the messages spread out.
    return "three messages were logged"


@tool("test_logging_tool", "Logs once at each of four levels")
async def _logs_levels(call: Call) -> str:
    for level in ("debug", "info", "warning", "error"):
        await call.log(level, f"a message at {level}")
    return "four messages were logged"


@tool("test_tool_with_progress", "Reports progress three times")
async def _progress(call: Call) -> str:
    for done in (0, 50, 100):
        await call.progress(done)
        await anyio.sleep(0.05)  # The suite wants the messages spread out.
    return "the work is done"


@tool(
    "test_x_mcp_header",
    "An argument that travels in a header too",
    schema({"region": {"type": "string", "x-mcp-header": "Region"}}),
)
async def _region(call: Call) -> str:
    return f"region {call.arguments.get('region')}"


@tool("test_missing_capability", "Needs a client that declared sampling")
async def _needs_sampling(call: Call) -> str:
    if not call.has("sampling"):
        data = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "The client has to declare sampling", data)
    return f"the model said: {(await call.ask({'answer': sampling('Say hello')}))['answer']}"


@tool("test_reconnection", "Closes its response stream before it answers")
async def _reconnection(call: Call) -> str:
    await call.log("info", "before the stream is closed")
    if call.ctx.close_sse_stream is not None:
        await call.ctx.close_sse_stream()
        await anyio.sleep(0.2)  # Longer than the retry interval, so that the client comes back first.
    await call.log("info", "after the stream was closed")
    return "the client came back"


@tool("test_wait", "Waits until it is cancelled", schema({"token": WORD}, ("token",)))
async def _wait(call: Call) -> str:
    await call.progress(0)
    try:
        await anyio.sleep_forever()
    finally:
        call.ctx.lifespan_context["cancelled"].add(call.arguments["token"])
    return "never"


@tool("test_was_cancelled", "Waits until `test_wait` with this token was cancelled", schema({"token": WORD}))
async def _was_cancelled(call: Call) -> str:
    await call.ctx.lifespan_context["cancelled"].wait(call.arguments["token"])
    return "cancelled"


@tool("test_trigger_tool_change", "Adds or removes test_dynamic_tool, and says so")
async def _tools_change(call: Call) -> str:
    return await _change(call, "tool", ToolsListChanged(), "send_tool_list_changed")


@tool("test_trigger_prompt_change", "Adds or removes test_dynamic_prompt, and says so")
async def _prompts_change(call: Call) -> str:
    return await _change(call, "prompt", PromptsListChanged(), "send_prompt_list_changed")


@tool("test_trigger_resource_change", "Adds or removes test://dynamic, and says so")
async def _resources_change(call: Call) -> str:
    return await _change(call, "resource", ResourcesListChanged(), "send_resource_list_changed")


async def _change(call: Call, kind: str, event: object, send: str) -> str:
    shown = call.ctx.lifespan_context["dynamic"]
    shown ^= {kind}
    await call.ctx.lifespan_context["bus"].publish(event)
    if not call.modern:
        await getattr(call.ctx.session, send)()
    return f"the dynamic {kind} is {'shown' if kind in shown else 'hidden'}"


@tool(
    "test_update_watched", "Changes test://watched-resource, and says so", schema({"text": WORD}, ("text",))
)
async def _update(call: Call) -> str:
    state = call.ctx.lifespan_context
    state["watched"] = call.arguments["text"]
    await state["bus"].publish(ResourceUpdated(uri=WATCHED))
    if not call.modern and WATCHED in state["subscribed"]:
        await call.ctx.session.send_resource_updated(WATCHED)
    return "updated"


@tool(
    "json_schema_2020_12_tool",
    "A schema with the words of JSON Schema 2020-12",
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": WORD, "city": WORD},
            }
        },
        "properties": {
            "name": WORD,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": WORD,
            "email": WORD,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
)
async def _schema(call: Call) -> str:
    return "the arguments fit"
