"""Lints a policy with the configuration and the snapshot of the examples, or with others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from mcpguard.authoring.check.lints import LintSubject, lint
from mcpguard.authoring.check.lints.entry import CONFIG, SNAPSHOT
from mcpguard.authoring.findings import Finding
from mcpguard.authoring.snapshot import read_snapshot
from mcpguard.config.file import ConfigFile
from mcpguard.core.document.reading import Document
from mcpguard.core.policy.compiled import compile_policy
from mcpguard.core.redaction.detectors import OPT_IN

TODAY = datetime(2026, 1, 1, tzinfo=UTC)


def flaws(*texts: str, snapshot: str | None = SNAPSHOT, config: str | None = CONFIG) -> list[Finding]:
    """What is found in policies with these texts, called `0.yaml`, `1.yaml` ..."""
    policies = [compile_policy(text, f"{index}.yaml", OPT_IN) for index, text in enumerate(texts)]
    document = None if config is None else Document(config, "mcpguard.yaml")
    entries = None if document is None else document.read(ConfigFile).servers
    servers = None if entries is None else {name: not entry.disabled for name, entry in entries.items()}
    offered = None if snapshot is None else read_snapshot(snapshot, "snapshot.json")
    return lint(LintSubject(policies, TODAY, servers, document, offered))


def rules(*written: str, head: str = "owner: ada") -> str:
    """A policy with these rules."""
    return f"version: 1\npolicy: example\n{head}\nrules:\n" + "".join(f"  - {{{one}}}\n" for one in written)


def found(code: str, *texts: str, **more: str | None) -> list[str]:
    """LINE:COLUMN MESSAGE of what the lint `code` finds."""
    return [f"{one.line}:{one.column} {one.message}" for one in flaws(*texts, **more) if one.code == code]


def codes(
    when: str,
    effect: str = "allow",
    more: str = "",
    beside: str = "",
    snapshot: str = "",
    tools: str = "read",
) -> list[str]:
    """The codes P7.. of what is found in a rule with this condition."""
    head = "version: 1\npolicy: p\nowner: o\n"
    if "params.root" in when or "params.suffix" in when:
        name = "root" if "params.root" in when else "suffix"
        head += f"params: {{{name}: {{type: string, default: a}}}}\n"
    where = "action: [resources/read]" if "resource." in when else f"tools: [{tools}]"
    rule = (
        f"  - id: r\n    effect: {effect}\n    server: files\n    {where}\n{more}    when: |\n      {when}\n"
    )
    policy = compile_policy(f"{head}rules:\n{rule}{beside}", "p.yaml", frozenset())
    offered = read_snapshot(snapshot, "s.json") if snapshot else None
    told = lint(LintSubject([policy], TODAY, {"files": True}, None, offered))
    return [one.code for one in told if one.code.startswith("P7")]


def offering(properties: dict[str, Any]) -> str:
    """A snapshot of a server with one tool that has these arguments."""
    tool = {"name": "read", "inputSchema": {"type": "object", "properties": properties}}
    return json.dumps({"version": 1, "servers": {"files": {"tools": [tool]}}})
