"""What a model of the output of a verb with `--json` is made of; and the JSON Schema (2020-12) of an output,
or of a file that people write, for an editor's completion.

Law of this file: the model is the shape that programs rely on, its JSON Schema and the page of reference, so
they cannot differ. An error never quotes a value.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from mcpguard.core.document.written import Filled


class Printed(BaseModel):
    """A part of an output. Every key is there; it can be made of any object with the same attributes."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        from_attributes=True,
        defer_build=True,
        json_schema_serialization_defaults_required=True,
    )


class Sparse(Printed):
    """A part of an output that omits each key with its default value: print it with `exclude_defaults`."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)


class _Plain(GenerateJsonSchema):
    """Without titles, and with the names of keys checked like any text."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Never: the key says it."""
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """As pydantic has it, but that a key of another form is not let through."""
        made = super().dict_schema(schema)
        for pattern, values in made.pop("patternProperties", {}).items():
            made |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return made

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """With the description on one line, and no null where a key must have a value."""
        made = super().model_schema(schema)
        made.pop("title", None)
        made["description"] = " ".join(made["description"].split())
        if issubclass(schema["cls"], Filled):
            made["properties"] = {key: _filled(value) for key, value in made["properties"].items()}
        return made


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    choices = value.get("anyOf", [])
    if {"type": "null"} not in choices:
        return value
    (wanted,) = (one for one in choices if one != {"type": "null"})
    return {**wanted, "description": value["description"]}


def schema_of(title: str, *roots: type[BaseModel], mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    """The schema of a file, or of an output if `mode` is "serialization": each key with its description,
    and no key beside those that the models have. With several `roots` it is that of any one of them."""
    _, made = models_json_schema([(root, mode) for root in roots], schema_generator=_Plain)
    refs = [{"$ref": f"#/$defs/{root.__name__}"} for root in roots]
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": title,
        **(refs[0] if len(refs) == 1 else {"anyOf": refs}),
        "$defs": made["$defs"],
    }
