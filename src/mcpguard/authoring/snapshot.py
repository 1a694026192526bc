"""What servers offer, as `mcpguard snapshot` writes it: tools with schemas, prompts, resources, templates.

Law of this file: what upstreams said is data of any shape; a schema that cannot be read tells nothing, and
never fails.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, ValidationError

from mcpguard.core.document.written import Items, Written, whole
from mcpguard.core.errors import DocumentError, Problem
from mcpguard.core.model import Json

REFERENCES = 64
"""How many parts of a schema are looked at for one step; a schema may refer to itself."""

Steps = tuple[str | int | None, ...]
"""Members, indexes, and None for any element or a member that is computed."""


class Offer(Written, extra="ignore"):
    """What one server offers: the objects of its lists (specification: server/tools, server/prompts,
    server/resources), inspected, each list in the order of its names."""

    tools: Items[dict[str, Any]] = Field((), description="Of `tools/list`.")
    prompts: Items[dict[str, Any]] = Field((), description="Of `prompts/list`.")
    resources: Items[dict[str, Any]] = Field((), description="Of `resources/list`.")
    templates: Items[dict[str, Any]] = Field((), description="Of `resources/templates/list`.")


class Snapshot(Written, extra="ignore"):
    """Offers by the names that servers have in the configuration (format version 1)."""

    version: Annotated[Literal[1], whole("1")] = Field(description="The version of this format.")
    servers: dict[str, Offer] = Field(description="Server -> what it offers.")

    def tools(self) -> Iterator[tuple[str, str, dict[str, Json]]]:
        """(server, name, tool) of every tool that has a name."""
        for server, offer in self.servers.items():
            for tool in offer.tools:
                if type(tool.get("name")) is str:
                    yield server, tool["name"], tool


def read_snapshot(text: str, source: str) -> Snapshot:
    """The snapshot in `text`, called `source` in messages. Raises DocumentError."""
    try:
        return Snapshot.model_validate(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError) as error:
        said = str(error)
    except ValidationError as error:
        at = ".".join(str(step) for step in error.errors(include_url=False, include_input=False)[0]["loc"])
        said = f"`{at}` is missing or has another form" if at else "it is not an object"
    said = f"not a snapshot made by `mcpguard snapshot`: {said}"
    raise DocumentError([Problem(source, 0, 0, said)])


def write_snapshot(snapshot: Snapshot) -> str:
    """The snapshot as JSON that is the same for the same offers, and that a person can compare by line."""
    return (
        msgspec.json.format(msgspec.json.encode(snapshot.model_dump(), order="sorted"), indent=1).decode()
        + "\n"
    )


class Presence(Enum):
    """Whether a value that fits a JSON Schema has a certain part."""

    ALWAYS = "always"
    OPTIONAL = "optional"
    NEVER = "never"
    UNKNOWN = "unknown"


def presence(schema: Json, steps: Steps) -> list[Presence]:
    """For each step into a value of `schema` (JSON Schema 2020-12) whether it leads to something, until
    that is known no more: the last one may be NEVER or UNKNOWN."""
    found: list[Presence] = []
    inside = [schema]
    for step in steps:
        parts = _parts(schema, inside)
        said, inside = _member(parts, step) if isinstance(step, str) else _element(parts)
        found.append(said)
        if not inside:
            break
    return found


def _parts(root: Json, schemas: list[Json]) -> list[dict[str, Json]]:
    """The schemas with what they refer to and are combined of, side by side."""
    parts: list[dict[str, Json]] = []
    waiting = list(schemas)
    looked = 0
    while waiting:
        schema = waiting.pop()
        looked += 1
        if type(schema) is not dict or looked > REFERENCES:
            # It may be anything.
            parts.append({})
            continue
        inner = [one for key in ("anyOf", "oneOf", "allOf") for one in _list(schema.get(key))]
        if "$ref" in schema:
            inner.append(_referred(root, schema["$ref"]))
        waiting += inner
        if not inner or schema.keys() & {"properties", "items", "required"}:
            parts.append(schema)
    return parts


def _referred(root: Json, reference: Json) -> Json:
    """What a reference inside the schema leads to; anything for one that leads elsewhere."""
    if type(reference) is not str or not (reference == "#" or reference.startswith("#/")):
        return {}
    value = root
    for name in reference.split("/")[1:]:
        value = value.get(name.replace("~1", "/").replace("~0", "~")) if type(value) is dict else {}
    return value


def _member(parts: list[dict[str, Json]], name: str) -> tuple[Presence, list[Json]]:
    inside = [one["properties"][name] for one in parts if name in _map(one.get("properties"))]
    if inside:
        needed = any(name in _list(one.get("required")) for one in parts)
        return Presence.ALWAYS if needed else Presence.OPTIONAL, inside
    return Presence.UNKNOWN if any(map(_open, parts)) else Presence.NEVER, []


def _open(schema: dict[str, Json]) -> bool:
    """Whether it may have members that it does not name. Most say nothing about others and mean none."""
    kinds = schema.get("type", "object")
    if "object" not in (kinds if type(kinds) is list else [kinds]):
        return False
    others = schema.get("additionalProperties", False)
    return "properties" not in schema or others is not False or "patternProperties" in schema


def _element(parts: list[dict[str, Json]]) -> tuple[Presence, list[Json]]:
    inside = [one["items"] for one in parts if type(one.get("items")) is dict]
    return (Presence.ALWAYS, inside) if inside else (Presence.UNKNOWN, [])


def _list(value: Json) -> list[Json]:
    return value if type(value) is list else []


def _map(value: Json) -> dict[str, Json]:
    return value if type(value) is dict else {}
