"""What a value in a file that people write must be, besides its type.

Law of this file: pydantic calls it, but is not imported here: a process that only serves reads no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, ValidationInfo
    from pydantic.annotated_handlers import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

T = TypeVar("T")
Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists, from the root."""

Mistake = tuple[Path, str]
"""A value, and a sentence that says what is wrong with it. The sentence never quotes the value."""

MISTAKE = "mistake"
"""The type of the errors of a Constraint: the value has the right type."""

LENIENT = "lenient"
"""As the context of a validation: every Constraint is skipped, so that `mistakes` can be called although a
value is wrong."""


class Constraint:
    """What a value must be, in an annotated type. `wrong` gives a sentence, or "" for a value that is
    right; `offset` is where in a text the mistake is; `schema` is the part that JSON Schema can express."""

    __slots__ = ("_offset", "_wrong", "schema")

    def __init__(
        self, wrong: Callable[[Any], str], offset: Callable[[str], int] | None = None, **schema: Any
    ) -> None:
        self._wrong = wrong
        self._offset = offset
        self.schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The check, after that of the type."""
        from pydantic_core import core_schema

        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of the type, narrowed."""
        return {**handler(schema), **self.schema}

    def _check(self, value: T, info: ValidationInfo) -> T:
        said = "" if info.context == LENIENT else self._wrong(value)
        if said:
            from pydantic_core import PydanticCustomError

            offset = self._offset(str(value)) if self._offset else None
            raise PydanticCustomError(MISTAKE, "{said}", {"said": said, "offset": offset})
        return value


def matching(pattern: str, said: str) -> Constraint:
    """A text that matches as a whole. The pattern is compiled when it is first used, to keep a start fast."""
    return Constraint(lambda text: "" if re.fullmatch(pattern, text) else said, pattern=f"^(?:{pattern})$")


def filled(said: str, **schema: Any) -> Constraint:
    """A text, list or mapping that is not empty; `schema` says so."""
    return Constraint(lambda value: "" if value else said, **schema)


def between(least: float, most: float, unit: str = "") -> Constraint:
    """A number from `least` to `most`."""
    said = f"must be from {least} to {most}{unit and ' '}{unit}"
    return Constraint(lambda number: "" if least <= number <= most else said, minimum=least, maximum=most)


def above(bound: float, most: float, unit: str = "") -> Constraint:
    """A number above `bound`, at most `most`."""
    said = f"must be above {bound} and at most {most}{unit and ' '}{unit}"
    return Constraint(
        lambda number: "" if bound < number <= most else said, exclusiveMinimum=bound, maximum=most
    )
