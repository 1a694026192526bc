"""The headers that mirror a body, compared with the official SDK's."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mcp.shared import inbound as oracle

from mcpguard.protocol import headers
from tests.rows import each

VERSION = "2026-07-28"


def lower(derived: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in derived.items()}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def marked(token: Any, kind: Any = "string") -> dict[str, Any]:
    return {"type": kind, "x-mcp-header": token}


@each(
    ("value", "header"),
    [
        ("us-west1", "us-west1"),
        ("", ""),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ],
)
def test_the_examples_of_the_specification_hold(value: str, header: str) -> None:
    assert headers.encode(value) == header
    assert headers.decode(header) == value


@given(st.text())
def test_every_text_comes_back_from_a_header_that_is_safe_to_send(value: str) -> None:
    header = headers.encode(value)
    assert header.isascii()
    assert header.isprintable()
    assert header == header.strip()
    assert headers.decode(header) == value
    assert header == oracle.encode_header_value(value)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_a_plain_header_is_read_as_the_sdk_reads_it(header: str) -> None:
    assert headers.decode(header) == oracle.decode_header_value(header)


@each("header", ["=?base64?%%?=", "=?base64?YQ?=", "=?base64?YR==?=", "=?base64?/w==?=", "ü", "a\r\nb", "\x7f", "=?base64?YQ==\n?="])  # fmt: skip
def test_what_was_never_encoded_is_read_as_nothing(header: str) -> None:
    assert headers.decode(header) is None


@each(
    ("method", "params", "name"),
    [
        ("tools/call", {"name": "add"}, "add"),
        ("prompts/get", {"name": "grüße"}, headers.encode("grüße")),
        ("resources/read", {"uri": "file:///a b"}, "file:///a b"),
        ("tasks/get", {"taskId": "t-1"}, "t-1"),
        ("tasks/update", {"taskId": "t-1"}, "t-1"),
        ("tasks/cancel", {"taskId": "t-1"}, "t-1"),
        ("tools/list", {"name": "no"}, None),
        ("tools/call", {}, None),
    ],
)
def test_the_standard_headers_are_made_of_the_body_and_agree_with_it(
    method: str, params: dict[str, Any], name: str | None
) -> None:
    message = {"method": method, "params": params}
    derived = headers.standard(message)
    assert derived["Mcp-Method"] == method
    assert derived.get("Mcp-Name") == name
    assert headers.mismatch({**lower(derived), "mcp-protocol-version": VERSION}, message, VERSION) is None


def test_each_standard_header_that_is_missing_or_differs_is_told_and_no_value_is_shown() -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"method": "tools/call", "params": {"name": "add", "_meta": meta}}
    right = {**lower(headers.standard(message)), "mcp-protocol-version": VERSION}
    assert headers.mismatch(right, message, VERSION) is None
    for name in right:
        for wrong in ({k: v for k, v in right.items() if k != name}, {**right, name: "s3cret"}):
            told = headers.mismatch(wrong, message, VERSION)
            assert told is not None
            assert name in told.lower()
            assert "s3cret" not in told
            refused = oracle.classify_inbound_request(message, headers=wrong)
            assert isinstance(refused, oracle.InboundLadderRejection)
            assert refused.code == oracle.HEADER_MISMATCH
    assert headers.mismatch({**right, "mcp-name": "=?base64?YWRk?="}, message, VERSION) is None


NESTED = schema(
    region=marked("Region"), dry=marked("Dry", "boolean"), place=schema(floor=marked("Floor", "integer"))
)


def test_marked_arguments_are_mirrored_wherever_properties_lead() -> None:
    arguments = {"region": "Zürich", "dry": True, "place": {"floor": -3}, "other": 1}
    assert headers.mirrored(NESTED, arguments) == {
        "Mcp-Param-Region": headers.encode("Zürich"),
        "Mcp-Param-Dry": "true",
        "Mcp-Param-Floor": "-3",
    }
    assert headers.mirrored(NESTED, {"region": None, "place": 7, "dry": False}) == {"Mcp-Param-Dry": "false"}
    assert headers.mirrored(schema(a=marked("a b")), {"a": "x"}) == {}
    assert headers.mirrored(None, {"a": "x"}) == {}
    assert headers.mirrored(NESTED, {"region": ["x"], "place": {"floor": 10**5000}}) == {}


@each(
    ("sent", "arguments", "agrees"),
    [
        ({"region": "x"}, {"region": "x"}, True),
        ({"region": "=?base64?eA==?="}, {"region": "x"}, True),
        ({}, {}, True),
        ({}, {"region": None}, True),
        ({"unknown": "x"}, {}, True),
        ({"floor": "42.0"}, {"place": {"floor": 42}}, True),
        ({"floor": "42"}, {"place": {"floor": 42.0}}, True),
        ({"floor": "9007199254740993"}, {"place": {"floor": 9007199254740993}}, True),
        ({}, {"region": "x"}, False),
        ({"region": "y"}, {"region": "x"}, False),
        ({"region": "x"}, {}, False),
        ({"region": "x"}, {"region": None}, False),
        ({"region": "x"}, {"region": {}}, False),
        ({"region": "=?base64?eA?="}, {"region": "x"}, False),
        ({"floor": "42.5"}, {"place": {"floor": 42}}, False),
        ({"floor": "4e1"}, {"place": {"floor": 40}}, False),
        ({"floor": "9007199254740992"}, {"place": {"floor": 9007199254740993}}, False),
        ({"dry": "True"}, {"dry": True}, False),
        ({"dry": "1"}, {"dry": True}, False),
    ],
)
def test_mirrored_headers_are_checked_as_the_sdk_checks_them(
    sent: dict[str, str], arguments: dict[str, Any], agrees: bool
) -> None:
    given_headers = {f"mcp-param-{name}": value for name, value in sent.items()}
    told = headers.param_mismatch(given_headers, headers.annotated(NESTED), arguments)
    assert (told is None) is agrees
    assert (oracle.validate_mcp_param_headers(NESTED, arguments, given_headers) is None) is agrees


def test_a_header_with_characters_that_none_may_have_agrees_with_nothing() -> None:
    told = headers.param_mismatch(
        {"mcp-param-region": "x\x01"}, headers.annotated(NESTED), {"region": "x\x01"}
    )
    assert told == "the header Mcp-Param-Region does not agree with the arguments"


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)


@given(
    st.dictionaries(
        st.sampled_from(["region", "dry", "place"]), SCALARS | st.dictionaries(st.just("floor"), SCALARS)
    )
)
def test_what_is_derived_agrees_with_what_it_was_derived_from(arguments: dict[str, Any]) -> None:
    derived = headers.mirrored(NESTED, arguments)
    assert headers.param_mismatch(lower(derived), headers.annotated(NESTED), arguments) is None
    assert derived == oracle.mcp_param_headers(oracle.x_mcp_header_map(NESTED), arguments)


INVALID = [
    schema(a=marked("")),
    schema(a=marked("a b")),
    schema(a=marked("a\r\nb")),
    schema(a=marked("grün")),
    schema(a=marked(7)),
    schema(a=marked("A", "number")),
    schema(a=marked("A", "object")),
    schema(a=marked("A", ["string", "null"])),
    schema(a={"x-mcp-header": "A"}),
    schema(a=marked("A"), b=marked("a")),
    {"x-mcp-header": "A", "type": "string"},
    schema(a={"type": "array", "items": marked("A")}),
    schema(a={"type": "array", "items": schema(b=marked("A"))}),
    {"anyOf": [schema(a=marked("A"))]},
    {"not": schema(a=marked("A"))},
    {"if": schema(a=marked("A"))},
    {"$defs": {"x": schema(a=marked("A"))}},
    {"patternProperties": {"x": marked("A")}},
    schema(a={"additionalProperties": marked("A")}),
]
VALID: list[Any] = [
    None,
    {},
    True,
    NESTED,
    schema(properties=marked("P")),
    schema(a={"type": "object", "default": marked("a b"), "enum": [marked("")], "examples": [marked("")]}),
    schema(a={"$ref": "#/$defs/x"}),
    {"properties": [marked("")], "allOf": marked("A")["type"], "items": 7},
]


@each("bad", INVALID)
def test_a_tool_with_an_annotation_that_breaks_a_rule_is_left_out(bad: dict[str, Any]) -> None:
    assert headers.invalid_annotation(bad) is not None
    assert oracle.find_invalid_x_mcp_header(bad) is not None
    assert headers.mirrored(bad, {"a": "x"}) == {}
    assert headers.param_mismatch({"mcp-param-a": "y"}, headers.annotated(bad), {"a": "x"}) is None


@each("good", VALID)
def test_a_tool_whose_annotations_are_right_stays(good: Any) -> None:
    assert headers.invalid_annotation(good) is None
    assert oracle.find_invalid_x_mcp_header(good) is None


def test_a_schema_of_any_depth_is_read() -> None:
    deep: dict[str, Any] = marked("a b")
    for _ in range(5000):
        deep = schema(a=deep)
    assert headers.invalid_annotation(deep) is not None
