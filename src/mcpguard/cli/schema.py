"""`mcpguard schema`: the JSON Schema of a file that people write, for an editor's completion.

Law of this file: a schema is made from the Struct that reads the file, so they cannot differ; it is as strict
about keys as the reader is, and leaves to `mcpguard check` what types do not say.
"""

from __future__ import annotations

import argparse
import ast
import inspect
from typing import Any

from msgspec import Struct

EXAMPLES = (
    "mcpguard schema policy",
    "mcpguard schema config",
    "mcpguard schema test",
)

KINDS = ("policy", "config", "test")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("kind", choices=KINDS, help="a policy, a configuration or a policy test")


def execute(args: argparse.Namespace) -> int:
    """0."""
    print(schema_text(args.kind), end="")
    return 0


def schema_text(kind: str) -> str:
    """The schema of one of KINDS (JSON Schema 2020-12), as JSON with line breaks."""
    from msgspec import json

    return json.format(json.encode(schema_of(kind)), indent=2).decode() + "\n"


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of one of KINDS: each key with its docstring, and no key beside those that are read."""
    from msgspec import json

    (made,), parts = json.schema_components([_root(kind)], ref_template="#/$defs/{name}")
    structs = _structs(_root(kind))
    for name, part in parts.items():
        _describe(part, structs[name])
    return {"$schema": DIALECT, "title": f"mcpguard {kind}", **made, "$defs": parts}


def field_docstrings(type_: type[Struct]) -> dict[str, str]:
    """The string under each field, which the language itself throws away; "" where there is none."""
    tree = ast.parse(inspect.getsource(type_)).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - that is what the source of a class is
    found: dict[str, str] = {}
    for field, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = (
                after.value.value
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                else ""
            )
            found[field.target.id] = " ".join(str(text).split())
    return found


def _root(kind: str) -> type[Struct]:
    from mcpguard.authoring.tests.cases import PolicyTests
    from mcpguard.config.file import ConfigFile
    from mcpguard.core.policy.written import Policy

    roots: dict[str, type[Struct]] = {"policy": Policy, "config": ConfigFile, "test": PolicyTests}
    return roots[kind]


def _structs(root: type[Struct]) -> dict[str, type[Struct]]:
    """The Structs of a file by name."""
    from msgspec import inspect as types

    found: dict[str, type[Struct]] = {}
    waiting: list[Any] = [types.type_info(root)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, types.StructType) and one.cls.__name__ not in found:
            found[one.cls.__name__] = one.cls
            waiting += [field.type for field in one.fields]
        for name in ("types", "item_type", "value_type"):
            inner = getattr(one, name, ())
            waiting += inner if isinstance(inner, tuple) else [inner]
    return found


def _describe(part: dict[str, Any], type_: type[Struct]) -> None:
    from msgspec.structs import fields

    said = field_docstrings(type_)
    part["description"] = " ".join((inspect.getdoc(type_) or "").split())
    part["additionalProperties"] = False
    for field in fields(type_):
        value = part["properties"][field.encode_name]
        _narrow(f"{type_.__name__}.{field.name}", value)
        part["properties"][field.encode_name] = {**value, "description": said[field.name]}


def _narrow(key: str, value: dict[str, Any]) -> None:
    """Names that are texts for the reader and are compared with a table later."""
    from mcpguard.core.policy.written import ACTIONS, ANY_ACTION
    from mcpguard.core.redaction.detectors import OPT_IN

    if key == "Rule.action":
        value["items"] = {"enum": [*sorted(ACTIONS), ANY_ACTION]}
    elif key == "Rule.redact":
        value["items"] = {"enum": sorted(OPT_IN)}
