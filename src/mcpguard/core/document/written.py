"""What a model of a file that people write is made of, besides pydantic's own types.

Law of this file: a field says once what it accepts. Its type, its `Constraint` and its description are the
check, the JSON Schema and the page of reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Strict, Tag, field_validator
from pydantic_core import PydanticCustomError

from mcpguard.core.document.constraints import Mistake, Path

T = TypeVar("T")
U = TypeVar("U")
Items = Annotated[tuple[T, ...], Strict(False)]
"""A list in the file, a tuple in the model."""

NO_VALUE = "no_value"
"""The type of the error of a key without a value."""

CHOICE = "literal_error"
"""pydantic's type of the error of a value that is not a choice; `expected` in its context names them, or
`said` is the whole sentence."""

NEAR = 0.7
"""How like a key or a choice another one is that was probably meant (`did_you_mean`)."""

SHAPE = "shape"
"""The type of the error of a value that has none of the shapes that a field accepts."""

VERSION_1 = "expected 1: this mcpguard reads version 1"
"""The sentence about another version of a file."""


class Written(BaseModel):
    """A part of a file that people write."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True
    )

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """What other files and habits call a key, and what to write instead: the rest of a sentence."""

    def mistakes(self) -> Iterator[Mistake]:
        """Mistakes in how the values of this part go together, each value being valid by itself. The places
        are relative to this part."""
        yield from ()

    @classmethod
    def names(cls) -> dict[str, str]:
        """The keys in the file, each with the name of its attribute."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    def parts(self) -> Iterator[tuple[Path, Written]]:
        """This part and all inside it, each with its place."""
        yield (), self
        for key, name in self.names().items():
            for at, part in _parts(getattr(self, name)):
                yield (key, *at), part


class Filled(Written):
    """A part in which a key without a value is a mistake: it must not mean the same as to leave it out."""

    @field_validator("*", mode="before")
    @classmethod
    def _has_a_value(cls, value: Any) -> Any:
        if value is None:
            raise PydanticCustomError(NO_VALUE, "no value")
        return value


def _parts(value: Any) -> Iterator[tuple[Path, Written]]:
    if isinstance(value, Written):
        yield from value.parts()
        return
    inner: Any = value.items() if isinstance(value, dict) else ()
    for step, one in enumerate(value) if isinstance(value, tuple) else inner:
        for at, part in _parts(one):
            yield (step, *at), part


def whole(expected: str, otherwise: str = "") -> BeforeValidator:
    """Before a Literal of numbers, put in words as `expected`: `true` and 1.0 equal 1 in Python. `otherwise`
    is said of any other number than `expected`."""

    def check(value: Any) -> Any:
        if type(value) is not int:
            raise PydanticCustomError(CHOICE, "{expected}", {"expected": expected})
        if otherwise and str(value) != expected:
            raise PydanticCustomError(CHOICE, "{said}", {"said": otherwise})
        return value

    return BeforeValidator(check)


def renamed(names: Mapping[str, str]) -> BeforeValidator:
    """Before a Literal of texts: what others call one of them, and what it is here."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in names:
            said = f"`{value}` is `{names[value]}` here"
            raise PydanticCustomError(CHOICE, "{said}", {"said": said})
        return value

    return BeforeValidator(check)


_SHAPES: dict[type, str] = {str: "text", int: "a whole number", list: "a list", tuple: "a list"}


def shape_of(value: Any) -> str:
    """The tag of a value among the members of a union; they are put in words by their tags too."""
    return _SHAPES.get(type(value), "a mapping" if isinstance(value, dict | BaseModel) else "")


def by_shape(*shapes: str) -> Discriminator:
    """The member of a union that a value is read as is chosen by its shape alone, so that a mistake in it
    is reported once."""
    return Discriminator(shape_of, custom_error_type=SHAPE, custom_error_message=" or ".join(shapes))


TextOr = Annotated[Annotated[T, Tag("text")] | Annotated[U, Tag("a mapping")], by_shape("text", "a mapping")]
"""A text in the short form, a part of the file in the long one."""
TextOrList = Annotated[
    Annotated[T, Tag("text")] | Annotated[Items[T], Tag("a list")], by_shape("text", "a list")
]
"""One, or several of them."""
