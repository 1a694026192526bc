"""The official SDK's client against our front: it must not notice that this is not the SDK's server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult, TextContent

from mcpguard.core.redaction.redactor import authored
from tests.adapters.transports.front import FakeReceiver, Front, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

SERVER = {"name": "fake", "version": "1"}
TOOL = {"name": "echo", "inputSchema": {"type": "object"}}


class Gateway:
    """A gateway that speaks both eras, as far as a client asks here."""

    def __init__(self) -> None:
        self.calls: dict[Any, tuple[FakeReceiver, dict[str, Any]]] = {}
        self.heard: list[str] = []

    def __call__(self, receiver: FakeReceiver, message: dict[str, Any]) -> None:
        method = message.get("method")
        self.heard.append(method or "answer")
        if method is None:
            self.answered(message)
        elif "id" in message:
            handler = getattr(self, method.replace("/", "_"), None)
            if handler is None:
                receiver.refuse(message["id"], -32601, "method not found")
            else:
                handler(receiver, message)

    def modern(self, message: dict[str, Any]) -> bool:
        return any("/" in key for key in message.get("params", {}).get("_meta", {}))

    def done(self, receiver: FakeReceiver, message: dict[str, Any], result: dict[str, Any]) -> None:
        receiver.reply(message, {"resultType": "complete", **result} if self.modern(message) else result)

    def initialize(self, receiver: FakeReceiver, message: dict[str, Any]) -> None:
        version = message["params"]["protocolVersion"]
        about = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": SERVER}
        receiver.reply(message, about)

    def server_discover(self, receiver: FakeReceiver, message: dict[str, Any]) -> None:
        about = {
            "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "serverInfo": SERVER,
            "ttlMs": 0, "cacheScope": "private",
        }  # fmt: skip
        self.done(receiver, message, about)

    def ping(self, receiver: FakeReceiver, message: dict[str, Any]) -> None:
        self.done(receiver, message, {})

    def tools_list(self, receiver: FakeReceiver, message: dict[str, Any]) -> None:
        extra = {"ttlMs": 0, "cacheScope": "private"} if self.modern(message) else {}
        self.done(receiver, message, {"tools": [TOOL], **extra})

    def tools_call(self, receiver: FakeReceiver, message: dict[str, Any]) -> None:
        arguments = message["params"].get("arguments", {})
        token = message["params"].get("_meta", {}).get("progressToken")
        if token is not None:
            for step in (1, 2):
                receiver.notify(
                    "notifications/progress", related=message["id"], progressToken=token, progress=step
                )
        if arguments.get("wait"):
            self.calls["wait"] = (receiver, message)
            return
        if arguments.get("ask"):
            self.calls["q1"] = (receiver, message)
            params = {"message": "sure?", "requestedSchema": {"type": "object", "properties": {}}}
            related = message["id"] if arguments["ask"] == "related" else None
            receiver.client.ask("q1", "elicitation/create", authored(params), related)
            return
        self.say(receiver, message, str(arguments))

    def answered(self, message: dict[str, Any]) -> None:
        receiver, call = self.calls.pop(message["id"])
        self.say(receiver, call, message["result"]["action"])

    def say(self, receiver: FakeReceiver, message: dict[str, Any], said: str) -> None:
        self.done(receiver, message, {"content": [{"type": "text", "text": said}], "isError": False})


def transport(front: Front, kind: str) -> Any:
    origin = f"http://127.0.0.1:{front.port}"
    return sse_client(f"{origin}/sse") if kind == "sse" else streamable_http_client(f"{origin}/mcp")


def said(result: Any) -> str:
    [part] = result.content
    assert isinstance(part, TextContent)
    return part.text


@pytest.mark.parametrize(
    ("kind", "mode"), [("http", "legacy"), ("http", "auto"), ("http", "2026-07-28"), ("sse", "legacy")]
)
async def test_the_sdks_client_lists_and_calls(kind: str, mode: str) -> None:
    async with serving() as front:
        front.door.script = gateway = Gateway()
        async with Client(transport(front, kind), mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["echo"]
            assert said(await client.call_tool("echo", {"a": 1})) == "{'a': 1}"
            steps: list[float] = []

            async def progress(step: float, _total: float | None, _said: str | None) -> None:
                steps.append(step)

            result = await client.call_tool("echo", {"b": 2}, progress_callback=progress)
            assert said(result) == "{'b': 2}"
            assert steps == [1, 2]
            with pytest.raises(MCPError, match="not found"):
                await client.list_prompts()
        assert "tools/call" in gateway.heard
        assert front.reports == []
        if mode == "legacy":
            assert gateway.heard[:2] == ["initialize", "notifications/initialized"]
            await front.door.until(lambda: front.door.worlds[0].left)


@pytest.mark.parametrize(("kind", "ask"), [("http", "related"), ("http", "standing"), ("sse", "standing")])
async def test_the_sdks_client_answers_a_question(kind: str, ask: str) -> None:
    async def elicit(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    async with serving() as front:
        front.door.script = Gateway()
        async with Client(transport(front, kind), mode="legacy", elicitation_callback=elicit) as client:
            assert said(await client.call_tool("echo", {"ask": ask})) == "decline"


def cut_posts(front: Front) -> None:
    """End the connections on which an answer goes out to a POST."""
    connections: list[Any] = list(front.server._connections.open)
    for connection in connections:
        request = connection.request
        if request is not None and not request.complete and request.method == "POST":
            connection.transport.abort()


async def test_the_sdks_client_gets_the_answer_of_a_call_whose_connection_broke() -> None:
    async with serving() as front:
        front.door.script = gateway = Gateway()
        async with Client(transport(front, "http"), mode="legacy") as client:
            calling = asyncio.create_task(client.call_tool("echo", {"wait": True}))
            await front.door.until(lambda: "wait" in gateway.calls)
            receiver, message = gateway.calls["wait"]
            while not receiver.client.drained:
                await asyncio.sleep(0)
            cut_posts(front)
            gateway.say(receiver, message, "still there")
            assert said(await calling) == "still there"
        assert gateway.heard.count("tools/call") == 1
