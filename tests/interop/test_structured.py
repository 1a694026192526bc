"""The official SDK's client takes each structured result from which something was removed, in both eras.

It compares what it gets with the `outputSchema` that it was shown, and raises where that does not conform.
"""

import json
import sys

import pytest

from tests.conformance import stage
from tests.interop.clients import MODERN, Place, run
from tests.wire.session import SERVERS, write_config

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
OTHER = "ghp_" + "z9Y8x7W6v5U4" * 3
CARD = 4111111111111111
TEXT = {"type": "string"}
LOOKAHEAD = {**TEXT, "pattern": "^(?=g)"}


def of(*required, **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def needing(part):
    return of("a", a=part)


ROW = of("id", id={"$ref": "#/$defs/id"})
UNION = {"type": "object", "oneOf": [of("k", "v", k={"const": "t"}, v=TEXT), of("k", "v", k={"const": "n"}, v={"type": "integer"})]}  # fmt: skip
CASES = {
    "text": (needing(TEXT), {"a": f"key {TOKEN}"}),
    "email": (needing({**TEXT, "format": "email"}), {"a": f"{TOKEN}@example.com"}),
    "uri": (needing({**TEXT, "format": "uri"}), {"a": f"https://h.example/?k={TOKEN}"}),
    "uuid": (needing({**TEXT, "format": "uuid", "pattern": "^[0-9a-zA-Z_-]+$"}), {"a": TOKEN}),
    "date-time": (needing({**TEXT, "format": "date-time"}), {"a": TOKEN}),
    "ipv4": (needing({**TEXT, "format": "ipv4"}), {"a": TOKEN}),
    "pattern": (needing({**TEXT, "pattern": "^[a-z]{3}_\\w{36}$"}), {"a": TOKEN}),
    "lookahead": (needing(LOOKAHEAD), {"a": TOKEN}),
    "optional": (of(a=LOOKAHEAD, b=TEXT), {"a": TOKEN, "b": "x"}),
    "enum": (needing({"enum": [TOKEN, "low"]}), {"a": TOKEN}),
    "const": (needing({"const": TOKEN}), {"a": TOKEN}),
    "shortest": (needing({**TEXT, "minLength": 30}), {"a": TOKEN}),
    "longest": (needing({**TEXT, "maxLength": 40, "minLength": 40}), {"a": TOKEN}),
    "integer": (needing({"type": "integer", "minimum": 100, "multipleOf": 7}), {"a": CARD // 7 * 7}),
    "number": (needing({"type": "number", "exclusiveMinimum": 0.5, "maximum": 10**17}), {"a": CARD}),
    "card": (needing({"type": "integer", "minimum": 10**15}), {"a": CARD}),
    "items": (needing({"type": "array", "items": {**TEXT, "pattern": "^\\w+$"}, "minItems": 2, "uniqueItems": True}), {"a": [TOKEN, OTHER]}),
    "name": (of(**{TOKEN: TEXT, "b": TEXT}), {TOKEN: "x", "b": "y"}),
    "needed-name": (of(TOKEN, **{TOKEN: TEXT}), {TOKEN: "x"}),
    "one-of": (UNION, {"k": "n", "v": CARD}),
    "any-of": (needing({"anyOf": [{"type": "null"}, {**TEXT, "format": "uuid"}]}), {"a": TOKEN}),
    "nullable": (needing({"type": ["string", "null"], "pattern": "^(?=g)"}), {"a": TOKEN}),
    "reference": ({**of("rows", rows={"type": "array", "items": {"$ref": "#/$defs/row"}}), "$defs": {"id": {**TEXT, "format": "uuid"}, "row": ROW}}, {"rows": [{"id": TOKEN}, {"id": "x"}]}),
    "nested": (needing(needing(needing({**TEXT, "format": "email"}))), {"a": {"a": {"a": TOKEN}}}),
    "nested-unfit": (needing(needing(LOOKAHEAD)), {"a": {"a": TOKEN}}),
    "not": (needing({**TEXT, "not": {"pattern": "\\["}}), {"a": TOKEN}),
    "root": ({"type": "array", "items": {**TEXT, "format": "date"}}, [TOKEN]),
}  # fmt: skip
ERRORS = {"lookahead", "nested-unfit"}
LISTS = {"root"}
"""Before the modern era a structured result is an object."""


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_the_client_takes_what_is_left_of_a_structured_result(tmp_path, mode):
    cases = {name: case for name, case in CASES.items() if mode == MODERN or name not in LISTS}
    tools = [
        {"name": name, "inputSchema": {"type": "object"}, "outputSchema": schema}
        for name, (schema, _) in cases.items()
    ]
    results = {
        name: {"content": [{"type": "text", "text": json.dumps(said)}], "structuredContent": said}
        for name, (_, said) in cases.items()
    }
    (tmp_path / "said.json").write_text(json.dumps({"tools": tools, "results": results}))
    entry = {"command": sys.executable, "args": [str(SERVERS / "replayed.py"), str(tmp_path / "said.json")]}
    rules = [{"id": "all", "effect": "allow", "tools": ["*"], "redact": ["payment-card"]}]
    command = stage.over_stdio(write_config(tmp_path, {"replayed": entry}, rules))

    async def body(client, _heard):
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert all(listed[name].output_schema for name in cases)
        return {name: await client.call_tool(name, {}) for name in cases}

    for name, result in run(Place("mcpguard", "stdio"), mode, command, tmp_path, body).items():
        said = result.model_dump_json()
        assert TOKEN not in said, name
        assert OTHER not in said, name
        assert str(CARD) not in said, name
        assert bool(result.is_error) is (name in ERRORS), (name, result)
        if not result.is_error:
            assert json.loads(result.content[0].text) == result.structured_content, name
