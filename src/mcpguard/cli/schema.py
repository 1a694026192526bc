"""`mcpguard schema`: the JSON Schema of a file that people write, for an editor's completion."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = (
    "mcpguard schema policy",
    "mcpguard schema config",
    "mcpguard schema test",
)

KINDS = ("policy", "config", "test")


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
    """The schema of one of KINDS."""
    from mcpguard.authoring.tests.cases import PolicyTests
    from mcpguard.config.file import ConfigFile
    from mcpguard.core.document import json_schema
    from mcpguard.core.document.written import Written
    from mcpguard.core.policy.written import Policy
    from mcpguard.core.redaction.detectors import OPT_IN

    roots: dict[str, type[Written]] = {"policy": Policy, "config": ConfigFile, "test": PolicyTests}
    made = json_schema.schema_of(roots[kind], f"mcpguard {kind}")
    if kind == "policy":
        # Which detectors there are is not known to the language of policies.
        made["$defs"]["Rule"]["properties"]["redact"]["items"] = {"enum": sorted(OPT_IN)}
    return made
