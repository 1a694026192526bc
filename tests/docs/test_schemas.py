"""The JSON Schemas accept every file of the project that mcpguard reads, and refuse what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mcpguard.cli import main
from mcpguard.cli.authoring.schema import KINDS, schema_of
from mcpguard.core.document.reading import Document
from mcpguard.core.document.yaml_tree import Node, parse_tree
from tests.docs.pages import ROOT, blocks
from tests.rows import each

VALIDATORS = {kind: Draft202012Validator(schema_of(kind)) for kind in KINDS}


def plain(node: Node) -> Any:
    """As an editor reads it, which knows YAML 1.2."""
    if node.kind == "map":
        return {key.value: plain(value) for key, value in node.value}
    return [plain(one) for one in node.value] if node.kind == "list" else node.value


def loaded(text: str) -> Any:
    root, faults = parse_tree(text)
    assert root is not None, faults
    return plain(root)


def written() -> list[tuple[str, str, str]]:
    found = [("config", path) for path in sorted((ROOT / "configs").glob("*.yaml"))]
    for path in sorted((ROOT / "policies").rglob("*.yaml")):
        found.append(("test" if path.match("*_test.yaml") else "policy", path))
    texts = [(kind, str(path.relative_to(ROOT)), path.read_text("utf-8")) for kind, path in found]
    kinds = {"policy": "policy", "config": "config", "tests": "test"}
    return texts + [(kinds[b.role], b.name, b.text) for b in blocks("yaml") if b.role in kinds]


WRITTEN = written()


@each(
    ("kind", "text"),
    [(kind, text) for kind, _, text in WRITTEN],
    [f"{kind} {name}" for kind, name, _ in WRITTEN],
)
def test_every_file_and_every_example_fits_its_schema(kind: str, text: str) -> None:
    assert [error.message for error in VALIDATORS[kind].iter_errors(loaded(text))] == []


@each("kind", KINDS)
def test_a_schema_is_one_says_what_each_key_means_and_knows_no_others(kind: str) -> None:
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    for name, part in schema["$defs"].items():
        # Later versions may write more into a snapshot.
        assert part.get("additionalProperties", kind == "snapshot") is (kind == "snapshot") or "items" in part
        assert part["description"], name
        assert all(value["description"] for value in part.get("properties", {}).values()), name


RULE = "version: 1\npolicy: p\nrules:\n  - {id: a, effect: allow%s}\n"
BAD = [
    ("policy", "version: 1\npolicy: p\n"),
    ("policy", RULE % ", surprise: 1"),
    ("policy", RULE.replace("allow", "maybe") % ""),
    ("policy", RULE % ", action: [tools/cal]"),
    ("policy", RULE % ", redact: [e-mail]"),
    ("policy", RULE % ", tools: read"),
    ("policy", RULE % ", limit: {calls: many, per: 1h}"),
    ("config", "version: 1\nservers: {a: {comand: x}}\n"),
    ("config", "version: 2\nservers: {}\n"),
    ("test", "version: 1\npolicies: []\ntests: [{name: x, call: {server: a}, expect: perhaps}]\n"),
    ("test", "version: 1\npolicies: []\ntests: [{name: x, call: {server: a, tol: b}, expect: deny}]\n"),
]


@each(("kind", "text"), BAD)
def test_what_cannot_be_read_does_not_fit(kind: str, text: str) -> None:
    assert not VALIDATORS[kind].is_valid(loaded(text))
    assert Document(text, "x")  # Only its form is wrong, not its YAML.


@each("kind", KINDS)
def test_the_command_prints_the_file_in_the_repository(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) == 0
    name = "policy-test" if kind == "test" else kind
    assert capsys.readouterr().out == (ROOT / "schemas" / f"{name}.schema.json").read_text("utf-8")
