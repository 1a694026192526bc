"""`texts(value, names, lists)`: the texts that stand in some members of a map, such as all paths of a call.

Law of this file: a member that is there is wholly in the answer, or there is no answer. A text in place
of a list, or a list in place of a text, is an error: which of them a server takes is for the author to know.
"""

from __future__ import annotations

from mcpguard.core.functions.function import Function, FunctionError, Parameter, as_list, of_kind
from mcpguard.core.model import Json


def texts(value: Json, names: str | list[str], lists: str | list[str] | None = None) -> list[Json]:
    """The texts of the members `names`, then those of the members `lists`. Raises FunctionError for what is
    not a map, for a member of another kind, and as `as_list` does."""
    if type(value) is not dict:
        raise FunctionError("texts() reads the members of a map")
    single = [value[name] for name in as_list(names) if name in value]
    several = [value[name] for name in as_list(lists or []) if name in value]
    if not of_kind("list", single) or not all(of_kind("list", member) for member in several):
        raise FunctionError("texts() found a member that is not a text, or not a list of texts")
    return [*single, *(text for member in several for text in member)]


TEXTS = Function(
    name="texts",
    summary="All texts of some members of a map: `names` are members that are texts, `lists` those that are "
    "lists of texts. A member that is missing is left out; one of another type, such as null, is an error. "
    "So one condition covers all arguments that name files: `pathWithin(texts(args, [...]), ...)`.",
    parameters=(
        Parameter("value", "any"),
        Parameter("names", "strings"),
        Parameter("lists", "strings", optional=True),
    ),
    gives="a list of strings",
    call=texts,
    examples=(
        'texts({"path": "/a", "paths": ["/b", "/c"]}, "path", "paths") == ["/a", "/b", "/c"]',
        'texts({"path": "/a", "content": "x"}, ["path", "source"]) == ["/a"]',
        'texts({}, "path") == []',
        'pathWithin(texts({"source": "/srv/a", "destination": "/srv/b"}, ["source", "destination"]), "/srv")',
    ),
    errors=(
        'texts({"path": 1}, "path") == []',
        'texts({"path": null}, "path") == []',
        'texts({"path": ["/a"]}, "path") == []',
        'texts({"paths": "/a"}, [], "paths") == []',
        'texts({"paths": ["/a", ["/b"]]}, [], "paths") == []',
        'texts(["/a"], "path") == []',
    ),
)
