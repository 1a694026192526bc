"""The headers that mirror a request's body (2026-07-28, basic/transports/streamable-http, request metadata).

Law of this file: one rule makes a header and checks it, so that what we derive and what we demand cannot
differ. No sentence that leaves here holds a value of a header, a name or an argument.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping

from mcpguard.core.expressions import expression
from mcpguard.core.model import Json

VERSION = "MCP-Protocol-Version"
METHOD = "Mcp-Method"
NAME = "Mcp-Name"
PARAM = "Mcp-Param-"

_NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_ENCODED = expression(r"=\?base64\?(.*)\?=", re.DOTALL)
_PLAIN = expression(r"[\x20-\x7e]*")
_VISIBLE = expression(r"[\x20-\x7e\t]*")
_TOKEN = expression(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DECIMAL = expression(r"-?[0-9]{1,400}(?:\.0+)?")

_ANNOTATION = "x-mcp-header"
_PRIMITIVE = ("string", "integer", "boolean")
_SCHEMAS = frozenset(
    {
        *("additionalItems", "additionalProperties", "allOf", "anyOf", "contains", "contentSchema"),
        *("else", "if", "items", "not", "oneOf", "prefixItems", "propertyNames", "then"),
        *("unevaluatedItems", "unevaluatedProperties"),
    }
)
"""Keywords of JSON Schema whose value is a schema or a list of schemas."""
_SCHEMA_MAPS = frozenset(("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties"))
"""Keywords whose value is an object of schemas; `properties` is the one that an annotation may use."""

_Path = tuple[str, ...]
Annotation = tuple[_Path, str, str]
"""Path, token and type of a property that is mirrored in a header."""


def encode(value: str) -> str:
    """`value` as a header value (value encoding): itself where it is plain ASCII without white space at
    its ends, else `=?base64?…?=` of its UTF-8."""
    if _PLAIN.fullmatch(value) and value == value.strip() and not _ENCODED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode(header: str) -> str | None:
    """What `encode` was given. None for characters that no header may have, and for base64 that is not
    the canonical form of some UTF-8."""
    if not _VISIBLE.fullmatch(header):
        return None
    found = _ENCODED.fullmatch(header)
    if found is None:
        return header
    try:
        raw = base64.b64decode(found[1], validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == found[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def standard(message: Mapping[str, Json]) -> dict[str, str]:
    """`Mcp-Method` and, where the method has one, `Mcp-Name` of a request or notification; ready to send."""
    derived = {METHOD: encode(message["method"])}
    name = _name_of(message)
    if name is not None:
        derived[NAME] = encode(name)
    return derived


def mirrored(schema: Json, arguments: Mapping[str, Json]) -> dict[str, str]:
    """`Mcp-Param-…` for each annotated property that has a value in `arguments`; `schema` is the tool's
    `inputSchema`. Nothing for a schema that `invalid_annotation` refuses."""
    derived = {}
    for path, token, _kind in annotated(schema):
        text = _as_text(_value_at(arguments, path))
        if text is not None:
            derived[PARAM + token] = encode(text)
    return derived


def mismatch(headers: Mapping[str, str], message: Mapping[str, Json], version: str) -> str | None:
    """What the headers of a modern request say otherwise than its body, one sentence; None if they agree
    (server validation). Names in `headers` are lower case; `version` is the body's."""
    if headers.get(VERSION.lower()) != version:
        return _disagrees(VERSION, VERSION.lower() in headers, "the protocol version in `_meta`")
    if headers.get(METHOD.lower()) != message["method"]:
        return _disagrees(METHOD, METHOD.lower() in headers, "`method`")
    name, header = _name_of(message), headers.get(NAME.lower())
    if name is not None and (header is None or decode(header) != name):
        return _disagrees(NAME, header is not None, f"`params.{_NAMED_BY[message['method']]}`")
    return None


def param_mismatch(
    headers: Mapping[str, str], annotations: Iterable[Annotation], arguments: Mapping[str, Json]
) -> str | None:
    """As `mismatch`, for the `Mcp-Param-…` headers of a `tools/call` of a tool with these `annotated` ones.
    A header whose argument is absent or null disagrees too; headers that the schema does not name are
    not our concern."""
    for path, token, kind in annotations:
        header = headers.get((PARAM + token).lower())
        value = _value_at(arguments, path)
        text = _as_text(value)
        if text is None:
            if header is not None:
                return f"the header {PARAM}{token} has no value in the arguments"
        elif header is None or not _same(decode(header), text, kind, value):
            return _disagrees(PARAM + token, header is not None, "the arguments")
    return None


def invalid_annotation(schema: Json) -> str | None:
    """Why a tool with this `inputSchema` must be left out of lists over HTTP: its first `x-mcp-header`
    that breaks a rule (schema extension). None where all are right."""
    seen: set[str] = set()
    for path, node in _positions(schema):
        if _ANNOTATION not in node:
            continue
        problem = _problem(path, node)
        if problem is None and node[_ANNOTATION].lower() in seen:
            problem = "is used twice"
        if problem is not None:
            return f"`{_ANNOTATION}` {problem}"
        seen.add(node[_ANNOTATION].lower())
    return None


def _problem(path: _Path | None, node: dict[str, Json]) -> str | None:
    token, kind = node[_ANNOTATION], node.get("type")
    if not path:
        return "is at a place that `properties` alone do not reach"
    if type(token) is not str or not _TOKEN.fullmatch(token):
        return "is not the name of a header (RFC 9110, token)"
    if type(kind) is not str or kind not in _PRIMITIVE:
        return "is on a parameter that is not of the type string, integer or boolean"
    return None


def _positions(root: Json) -> Iterator[tuple[_Path | None, dict[str, Json]]]:
    """Every place of a schema: how `properties` alone lead there, None where they do not. Data such as
    `default` and `enum` is not a place, and a `$ref` is not followed. Needs no call stack, however deep."""
    waiting: list[tuple[_Path | None, Json]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if type(node) is not dict:
            continue
        yield path, node
        below: list[tuple[_Path | None, Json]] = []
        for keyword, value in node.items():
            if keyword == "properties" and type(value) is dict:
                below += [(None if path is None else (*path, key), sub) for key, sub in value.items()]
            elif keyword in _SCHEMAS:
                below += [(None, sub) for sub in (value if type(value) is list else [value])]
            elif keyword in _SCHEMA_MAPS and type(value) is dict:
                below += [(None, sub) for sub in value.values()]
        waiting += reversed(below)


def annotated(schema: Json) -> list[Annotation]:
    """Each annotated property of an `inputSchema`; none of one with an invalid annotation."""
    if type(schema) is not dict or invalid_annotation(schema) is not None:
        return []
    return [
        (path, node[_ANNOTATION], node["type"])
        for path, node in _positions(schema)
        if path and _ANNOTATION in node
    ]


def _name_of(message: Mapping[str, Json]) -> str | None:
    key = _NAMED_BY.get(message["method"])
    name = message.get("params", {}).get(key) if key is not None else None
    return name if type(name) is str else None


def _value_at(arguments: Mapping[str, Json], path: _Path) -> Json:
    value: Json = arguments
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _as_text(value: Json) -> str | None:
    """The text of a value that can be mirrored; None for null, for a container, and for an integer too
    long to be written."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) not in (str, int, float):
        return None
    try:
        return str(value)
    except ValueError:
        return None


def _same(header: str | None, text: str, kind: str, value: Json) -> bool:
    """Whether a decoded header says what the argument does; integers are compared as numbers."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    if kind == "integer" and whole and header is not None and _DECIMAL.fullmatch(header):
        return bool(int(header.partition(".")[0]) == value)
    return header == text


def _disagrees(name: str, present: bool, what: str) -> str:
    return f"the header {name} {'does not agree with' if present else 'is missing; it mirrors'} {what}"
