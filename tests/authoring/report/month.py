"""A configuration and a month of evidence that was written as a process writes it, for the access review."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.evidence.records import Closed, Decided, Noticed, Opened, Outcome

NOW = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
ADA, BOT = "os-user:ada", "https://login.example:ci-bot"
TICKET = "9b1f40c7d2e8"
CONFIG = """\
version: 1
agent: claude-code
servers:
  github: {url: "https://mcp.github.example/mcp", headers: {Authorization: "Bearer ${credential:github}"}}
  warehouse: {command: postgres-mcp, env: {DATABASE_URI: "${keyring:warehouse/uri}"}}
  files: {command: mcp-server-filesystem}
  calendar: {command: calendar-mcp, disabled: true}
credentials:
  github: {command: {argv: [/usr/bin/gh-token], ttl_seconds: 3600}, servers: [github], hosts: [mcp.github.example]}
policies: [team.yaml]
audit: {path: audit}
session: {path: state}
"""
POLICY = """\
version: 1
policy: team
owner: ada
rules:
  - {id: read, effect: allow, server: github, tools: [get_issue, list_issues, search_code], limit: {calls: 200, per: 1h}}
  - {id: private, effect: allow, server: github, tools: [get_file_contents], label: [private-code]}
  - {id: look, effect: allow, server: [warehouse, files], tools: [list_tables, read_file]}
  - {id: cleanup, effect: allow, server: files, tools: [delete_file], when: 'args.path.startsWith("/tmp/")'}
  - {id: writes, effect: ask, server: warehouse, tools: [query], message: This changes data.}
  - {id: query, effect: allow, server: warehouse, tools: [query]}
  - {id: no-leak, effect: deny, server: github, tools: [create_issue], when: '"private-code" in session.labels', message: Private code was read.}
"""
CALLS: tuple[tuple[str, str, str, str, dict[str, int]], ...] = (
    ("github", "list_issues", "allow", "team/read", {}),
    ("github", "get_issue", "allow", "team/read", {"email $.content[0].text": 2}),
    ("github", "get_file_contents", "allow", "team/private", {"github-token $.content[0].text": 1}),
    ("files", "read_file", "allow", "team/look", {}),
    ("files", "read_file", "allow", "team/look", {"aws-access-key $.content[0].text": 1}),
    ("github", "create_issue", "deny", "team/no-leak", {}),
    ("warehouse", "list_tables", "allow", "team/look", {}),
    ("warehouse", "drop_table", "deny", "", {}),
)


def sha(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def write(folder: Path, days: int = 24, now: datetime = NOW) -> Path:
    """The configuration in `folder`, with evidence of so many days; gives its path."""
    (folder / "team.yaml").write_text(POLICY)
    (folder / "mcpguard.yaml").write_text(CONFIG)
    audit = AuditFile(folder / "audit", "flush")
    begin = now - timedelta(days=days)
    audit.write(Opened(begin, "0.1.0", 4242, ADA, ("team",), sha("policy"), agent="claude-code", format=2))
    for one in records(begin, days):
        audit.write(one)
    audit.close(Closed(now - timedelta(hours=1), "client-ended"))
    return folder / "mcpguard.yaml"


def records(begin: datetime, days: int) -> Iterator[Decided | Outcome | Noticed]:
    """What a process writes in that time."""
    for server in ("github", "warehouse", "files"):
        yield Noticed(begin, "upstream-started", server)
    for day in range(days):
        morning = begin + timedelta(days=day)
        if morning.weekday() < 5:
            yield from _day(morning, 1 + (day * 7) % 5, BOT if day % 4 == 3 else ADA)
    at = begin + timedelta(days=days // 2)
    yield Noticed(at, "pin-changed", "github", f"tool get_issue: {sha('a')} -> {sha('b')}")
    yield Noticed(at, "credential-rotated", "", "keyring:warehouse/uri")
    yield from _asked(at)
    session = sha(ADA)[:32]
    yield Noticed(at + timedelta(hours=2), "label-cleared", "", f"private-code of session {session} of {ADA}")


def _day(morning: datetime, rounds: int, who: str) -> Iterator[Decided | Outcome]:
    for number in range(rounds * len(CALLS)):
        server, tool, effect, rule, findings = CALLS[number % len(CALLS)]
        at, name = morning + timedelta(minutes=3 * number), f"{morning:%m%d}-{number}"
        labels = ("private-code",) if rule == "team/private" else ()
        yield Decided(
            at=at,
            id=name,
            principal=who,
            method="tools/call",
            effect=effect,
            server=server,
            tool=tool,
            tool_digest=sha(tool),
            cause="" if effect == "allow" else "rule" if rule else "no-rule",
            rules=(rule,) if rule else (),
            credentials={"github": ("credential:github",), "warehouse": ("keyring:warehouse/uri",)}.get(
                server, ()
            ),
            agent="claude-code" if who == ADA else "ci",
            client="claude-code/2.1.0" if who == ADA else "",
            human="https://login.example:ada" if who == BOT else "",
            actor="build-agent" if who == BOT else "",
            labels=labels,
            session=sha(who)[:32],
        )
        if effect == "allow":
            yield Outcome(at + timedelta(seconds=1), name, "ok", 120.0, sha(name), findings, labels=labels)


def _asked(at: datetime) -> Iterator[Decided | Outcome | Noticed]:
    def decided(effect: str, approval: str = "") -> Decided:
        return Decided(
            at=at,
            id="ask-1",
            principal=ADA,
            method="tools/call",
            effect=effect,
            server="warehouse",
            tool="query",
            rules=("team/query",) if approval else ("team/writes",),
            agent="claude-code",
            session=sha(ADA)[:32],
            ticket=TICKET,
            approval=approval,
        )

    yield decided("ask")
    yield Noticed(at, "approval-given", "", f"ticket {TICKET} of {ADA} by {ADA} (console)")
    yield decided("allow", f"{TICKET} by {ADA}")
    yield Outcome(at + timedelta(seconds=90), "ask-1", "ok", 88.0, sha("ask"))
