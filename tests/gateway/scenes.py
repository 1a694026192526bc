"""What the tests of the gateway share: a modern client's requests, what servers list, and who asks."""

from __future__ import annotations

from typing import Any

from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.redactor import KINDS
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Question, RawAnswer
from mcpguard.protocol import eras
from tests.fakes import World

ALLOW_ALL = '  - {id: all, effect: allow, action: ["*"]}\n'
FORMS: dict[str, Any] = {"elicitation": {}}
ALL_CAPABILITIES: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
FORM = {"message": "Which branch?", "requestedSchema": {"type": "object", "properties": {}}}
ACCEPTED = {"action": "accept", "content": {"branch": "main"}}


def envelope(capabilities: Any = None, level: str | None = None) -> dict[str, Any]:
    """The `_meta` of a modern request."""
    meta: dict[str, Any] = {
        eras.VERSION_KEY: "2026-07-28",
        eras.CLIENT_INFO_KEY: {"name": "desk", "version": "1"},
        eras.CAPABILITIES_KEY: {} if capabilities is None else capabilities,
    }
    if level is not None:
        meta[eras.LOG_LEVEL_KEY] = level
    return meta


def modern(
    world: World,
    method: str,
    params: Any = None,
    request_id: int | str = 1,
    *,
    capabilities: Any = None,
    level: str | None = None,
    **meta: Any,
) -> None:
    """Send one request as a modern client does; `meta` is added to the envelope."""
    more = {**envelope(capabilities, level), **meta}
    world.send(method, {**(params or {}), "_meta": more}, request_id)


def call(world: World, name: str, request_id: int | str = 1, **more: Any) -> None:
    """A modern `tools/call`; `more` are further members of its params or `capabilities`."""
    capabilities = more.pop("capabilities", ALL_CAPABILITIES)
    params = {"name": name, "arguments": {"a": 1}, **more}
    modern(world, "tools/call", params, request_id, capabilities=capabilities)


def legacy(world: World, capabilities: Any = None, version: str = "2025-11-25") -> World:
    """A legacy client has said hello."""
    world.send("initialize", {"protocolVersion": version, "capabilities": capabilities or {}}, 0)
    return quiet(world)


def quiet(world: World) -> World:
    """Forget what was said so far."""
    world.client.sent.clear()
    world.client.related.clear()
    world.trace.clear()
    world.audit.records.clear()
    return world


def put_in_force(world: World, rules: str) -> None:
    """Other policies than before: `rules` of the policy `p`."""
    before = world.judge.policies
    text_ = f"version: 1\npolicy: p\nrules:\n{rules}"
    world.judge.policies = PolicySet([compile_policy(text_, "p.yaml", KINDS)])
    world.gateway.policies_changed(before)
    world.turn()


def two(rules: str = ALLOW_ALL) -> World:
    """Two servers, `a` and `b`, without tools."""
    return World(rules, {"a": [], "b": []})


def offers(world: World, server: str, **lists: list[Any]) -> None:
    """What `server` lists: `prompts`, `resources`, `resourceTemplates`."""
    methods = {
        "prompts": "prompts/list",
        "resources": "resources/list",
        "resourceTemplates": "resources/templates/list",
    }
    for key, entries in lists.items():
        world.upstreams[server].lists[methods[key]] = {key: entries}


def ask(
    world: World, method: str, params: Any, related: Wait[RawAnswer] | None = None, n: int = 1
) -> Question:
    """The legacy upstream `one` asks something."""
    question = world.question("one", n, method, params, related)
    world.gateway.asked(question)
    world.turn()
    return question


def methods_of(world: World, server: str = "one") -> list[str]:
    """What the upstream was sent, without the lists."""
    sent = [permit.invocation.method for permit in world.upstreams[server].requests]
    return [method for method in sent if not method.endswith("/list")]


def last(world: World) -> Any:
    """What the client was sent last: the result, or the error object."""
    sent = world.client.sent[-1]
    return sent["result"] if "result" in sent else sent["error"]


def deep() -> Any:
    """A value that is too deep to be inspected."""
    value: Any = 1
    for _ in range(200):
        value = [value]
    return value
