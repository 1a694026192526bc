"""A result of a tool says the same in its two forms: `structuredContent`, and a block of text that is its
JSON.

Law of this file: what was removed from one form is removed from the other, and where something stands in for
it in the structured form, it does in the text.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from mcpguard.core.model import Json
from mcpguard.core.redaction.structured.fitting import NothingFits, fitted

_decode = msgspec.json.decode

WITHHELD = (
    "The call was made. mcpguard removed something from its structured result. Without it the result no "
    "longer conforms to the `outputSchema` of the tool, so it was withheld. The rest follows."
)


def agreeing(
    before: dict[str, Json], after: dict[str, Json], schema: Json, clean: Callable[[Json], bool]
) -> dict[str, Json]:
    """`after`, the inspected result of a tool that was `before`, with both forms alike and conforming to
    `schema`, None for none. What cannot conform becomes an error of the tool. The same object where nothing
    is to be changed."""
    if "structuredContent" not in before:
        return after
    said, left = before["structuredContent"], after["structuredContent"]
    mirrors = dict(_mirrors(before, said))
    for index in mirrors:
        left = _joined(said, left, parsed(_block(after, index)))
    if schema is not None and before.get("isError") is not True:
        try:
            left = fitted(schema, said, left, clean)
        except NothingFits:
            return withheld(after)
    made = dict(after, structuredContent=left)
    if mirrors and left != said:
        blocks = list(after["content"])
        for index, text in mirrors.items():
            blocks[index] = {**blocks[index], "text": written(left, said, text)}
        made["content"] = blocks
    return after if made == after else made


def _mirrors(result: dict[str, Json], said: Json) -> Iterator[tuple[int, str]]:
    """The blocks of text that are the JSON of what is `said`."""
    content = result.get("content")
    for index, block in enumerate(content) if type(content) is list else ():
        text = block.get("text") if type(block) is dict and block.get("type") == "text" else None
        if type(text) is str and (found := parsed(text)) == said and type(found) is type(said):
            yield index, text


def _block(result: dict[str, Json], index: int) -> Json:
    return result["content"][index].get("text")


def parsed(text: Json) -> Json:
    """What the text is the JSON of; `_decode`, which nothing is equal to, for none."""
    try:
        return _decode(text.encode())
    except (ValueError, AttributeError, RecursionError):
        return _decode


def _joined(said: Json, left: Json, other: Json) -> Json:
    """What is left of `said` in both."""
    if type(left) is dict and type(said) is dict and type(other) is dict:
        if list(left) == list(other):
            return {
                name: _joined(old, new, other[name])
                for old, (name, new) in zip(said.values(), left.items(), strict=True)
            }
    elif type(left) is list and type(said) is list and type(other) is list:
        if len(left) == len(other):
            return [_joined(*each) for each in zip(said, left, other, strict=True)]
    elif type(other) is str and left == said:
        return other
    return left


def written(value: Json, said: Json, text: str) -> str:
    """`value` as JSON, in the form that `text` is of `said`."""
    shapes: tuple[dict[str, Any], ...] = ({"indent": 2}, {"indent": 4})
    if "\n" not in text:
        shapes = ({"separators": (",", ":")}, {})
    forms = [{"ensure_ascii": ascii_only, **shape} for ascii_only in (False, True) for shape in shapes]
    usual = next((form for form in forms if json.dumps(said, **form) == text), forms[0])
    return json.dumps(value, **usual)


def withheld(after: dict[str, Json]) -> dict[str, Json]:
    """The inspected result without its structured form, as an error of the tool."""
    made = {name: member for name, member in after.items() if name != "structuredContent"}
    content = after.get("content")
    blocks = content if type(content) is list else []
    return {**made, "content": [{"type": "text", "text": WITHHELD}, *blocks], "isError": True}
