"""`mcpguard schema`: what each schema says beyond the types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mcpguard.cli.authoring.schema import FILES, schema_of


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """All objects in a schema."""
    if isinstance(schema, dict):
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from parts(inner)


@pytest.mark.parametrize("kind", FILES)
def test_each_object_of_a_file_is_described_on_one_line_and_no_key_is_let_through(kind: str) -> None:
    made = schema_of(kind)
    assert made["title"] == f"mcpguard {kind}"
    objects = [part for part in made["$defs"].values() if "properties" in part]
    assert objects
    for part in objects:
        assert part["description"] == " ".join(part["description"].split())
        assert part["additionalProperties"] is False
        assert "title" not in part


def test_a_key_of_a_policy_has_a_value() -> None:
    assert not [part for part in parts(schema_of("policy")) if part.get("type") == "null"]


def test_names_of_another_form_are_not_let_through() -> None:
    made = schema_of("config")
    assert "patternProperties" not in json.dumps(made)
    assert [part for part in parts(made) if "propertyNames" in part]
