"""What a model of the output of a verb with `--json` is made of.

Law of this file: the model is the shape that programs rely on, its JSON Schema and the page of reference. An
error never quotes a value.
"""

from pydantic import BaseModel, ConfigDict


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
