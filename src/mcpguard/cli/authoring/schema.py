"""`mcpguard schema`: the JSON Schema of a file that people write, or of what a verb prints with `--json`."""

import argparse
from typing import Any, Literal

from mcpguard.cli.parser import OneOf
from mcpguard.core.evidence.records import FORMAT, Record
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.tables import entries

EXAMPLES = (
    "mcpguard schema policy",
    "mcpguard schema config",
    "mcpguard schema test",
    "mcpguard schema check-output                        (what `mcpguard check --json` prints)",
)

FILES = ("policy", "config", "test", "scan-exceptions")

MODELS = {
    "policy": ("mcpguard.core.policy.written:Policy",),
    "config": ("mcpguard.config.file:ConfigFile",),
    "test": ("mcpguard.authoring.tests.cases:PolicyTests", "mcpguard.authoring.tests.samples:PostureSamples"),
    "scan-exceptions": ("mcpguard.scan.leaks:ScanExceptions",),
    "snapshot": ("mcpguard.authoring.snapshot:Snapshot",),
    "check-output": ("mcpguard.cli.outputs:CheckReport",),
    "doctor-output": ("mcpguard.cli.outputs:DoctorReport",),
    "scan-output": ("mcpguard.cli.outputs:ScanReport",),
    "test-output": ("mcpguard.authoring.tests.running:SuiteReport",),
    "explain-output": (
        "mcpguard.authoring.explain.explanation:Explanation",
        "mcpguard.authoring.explain.explanation:Recorded",
        "mcpguard.authoring.explain.reach:ReachReport",
    ),
    "secret-list-output": ("mcpguard.cli.outputs:SecretNames",),
    "secret-check-output": ("mcpguard.cli.secret_check:TestedList",),
    "approvals-output": ("mcpguard.cli.outputs:WaitingTickets",),
    "suggest-output": ("mcpguard.authoring.suggest:Suggestions",),
    "replay-output": ("mcpguard.authoring.replay.report:ReplayReport",),
    "session-list-output": ("mcpguard.cli.outputs:SessionList",),
    "pins-output": ("mcpguard.cli.outputs:PinList",),
    "session-show-output": ("mcpguard.cli.outputs:SessionShown",),
    "status-output": ("mcpguard.cli.outputs:StatusReport",),
    "report-output": ("mcpguard.authoring.report.review:AccessReview",),
    "audit-output": ("mcpguard.cli.outputs:AuditReport",),
    "audit-query-output": ("mcpguard.cli.audit.outputs:QueriedCalls",),
    "audit-stats-output": ("mcpguard.cli.audit.outputs:AuditStatistics",),
    "audit-show-output": ("mcpguard.cli.audit.outputs:CallStory",),
    "audit-heads-output": ("mcpguard.cli.outputs:AuditHeads",),
    "audit-key-output": ("mcpguard.cli.outputs:AuditKey",),
}
"""FILES, which people write, and what verbs print as JSON -> the models of which it is one."""

RECORD = "audit-record"
"""The kind of a line of evidence, which `mcpguard audit show --json` prints."""

KINDS = (*MODELS, RECORD)

_LINK = {
    "seq": {"type": "integer", "description": "Its number in the chain, from 1."},
    "prev": {"type": "string", "description": "The `hash` of the line before."},
    "hash": {"type": "string", "description": "sha256 (hex) of the line up to here."},
}
"""What sealing adds to each record (`core/evidence/chain.py`)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    written, outputs = ", ".join(FILES), ", ".join(kind for kind in KINDS if kind not in FILES)
    said = f"a file that you write: {written}; or an output: {outputs}"
    parser.add_argument("kind", metavar="KIND", type=OneOf("kind", KINDS), help=said)


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
    from pkgutil import resolve_name

    from mcpguard.core.document.printed import schema_of

    if kind == RECORD:
        return _record_schema()
    mode: Literal["validation", "serialization"] = "validation" if kind in FILES else "serialization"
    made = schema_of(f"mcpguard {kind}", *map(resolve_name, MODELS[kind]), mode=mode)
    if kind == "policy":
        # Which detectors there are is not known to the language of policies.
        made["$defs"]["Rule"]["properties"]["redact"]["items"] = {"enum": sorted(OPT_IN)}
    return made


def _record_schema() -> dict[str, Any]:
    from msgspec import json
    from pydantic.json_schema import GenerateJsonSchema

    made = json.schema(Record)
    for name, meanings in entries("mcpguard.core.evidence", "fields.txt").items():
        properties = made["$defs"][name]["properties"]
        for key, meaning in meanings.items():
            properties[key] = {"description": meaning, **properties[key]}
    for part in made["$defs"].values():
        part["description"] = " ".join(part["description"].split())
        part["additionalProperties"] = False
        if "kind" in part["properties"]:
            part["properties"]["kind"]["description"] = "Which record it is."
            part["properties"] |= _LINK
            part["required"] += _LINK
    title = f"mcpguard {RECORD}, format {FORMAT}"
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": title, **made}
