"""Credentials in arguments: `{{secret:NAME}}` in a text that a rule sets (`argument`).

Law of this file: only text by a rule's author is read here. The same characters from a client
or a server are text and stay text: a placeholder is recognised by its location, which is always in the
rule's own text.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from mcpguard.core.errors import CredentialError
from mcpguard.core.expressions import expression
from mcpguard.core.model import Json
from mcpguard.core.secret import CredentialRef, Place, Placeholder, Template

SOURCE = "credential"
"""The source of the references that placeholders stand for: an entry of `credentials`."""

MALFORMED = "`{{secret` must start a placeholder such as `{{secret:github-write}}`"
IN_A_NAME = "a placeholder works only in a value, not in the name of a member"

_PLACEHOLDER = expression(r"\{\{secret:([a-z0-9][a-z0-9_./-]*)\}\}")
_LOOKS_LIKE_ONE = expression(r"\{\{\s*secret\b", re.IGNORECASE)


def placeholders_in(arguments: Mapping[str, Json]) -> tuple[Placeholder, ...]:
    """Those of the arguments that rules set, in order; their places are below `arguments`."""
    return tuple(
        Placeholder(place, text, template)
        for place, text in _texts(arguments, ())
        if "{{" in text and (template := _template(text)).refs
    )


def problems_in(arguments: Mapping[str, Json]) -> Iterator[tuple[Place, str]]:
    """What is wrong with the placeholders that an author wrote: the place below `arguments`, and a
    sentence."""
    for place, text in _texts(arguments, ()):
        if any(_LOOKS_LIKE_ONE.search(part) for part in _template(text).texts):
            yield place, MALFORMED
    for place, name in _names(arguments, ()):
        if _LOOKS_LIKE_ONE.search(name):
            yield place, IN_A_NAME


def filled(
    arguments: dict[str, Json], placeholders: tuple[Placeholder, ...], value: Callable[[CredentialRef], str]
) -> dict[str, Json]:
    """A copy of `arguments` with the values in place of the placeholders. Raises CredentialError where the
    rule's own text is not where it was."""
    for one in placeholders:
        parts = [one.template.texts[0]]
        for ref, text in zip(one.template.refs, one.template.texts[1:], strict=True):
            parts += [value(ref), text]
        arguments = _replaced(arguments, one, 0, "".join(parts))
    return arguments


def _template(text: str) -> Template:
    pieces = _PLACEHOLDER.split(text)
    return Template(tuple(pieces[::2]), tuple(CredentialRef(SOURCE, name) for name in pieces[1::2]))


def _members(value: Json) -> Iterator[tuple[str | int, Json]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _texts(value: Json, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    for key, member in _members(value):
        yield from _texts(member, (*place, key))


def _names(value: Json, place: Place) -> Iterator[tuple[Place, str]]:
    for key, member in _members(value):
        if isinstance(key, str):
            yield (*place, key), key
        yield from _names(member, (*place, key))


def _replaced(value: Json, one: Placeholder, depth: int, text: str) -> Json:
    if depth == len(one.place):
        if value != one.text:
            raise CredentialError("an argument that a rule sets is not what the rule set")
        return text
    key = one.place[depth]
    if dict(_members(value)).get(key) is None:
        raise CredentialError("an argument that a rule sets is not where the rule set it")
    copy = value.copy()
    copy[key] = _replaced(value[key], one, depth + 1, text)
    return copy
