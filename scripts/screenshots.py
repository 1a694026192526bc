#!/usr/bin/env python3
"""Take the pictures of the console in `docs/images/`: real pages, of a made-up morning, in Chromium.

`.venv-dev/bin/python scripts/screenshots.py` needs Chromium (Debian: `apt-get install chromium`); with the
fonts Inter and JetBrains Mono (`fonts-inter`, `fonts-jetbrains-mono`) they look as they do in the repository,
and with `pngquant` they are small.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from msgspec import structs

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.config.loading import load_config
from mcpguard.console.app import console_app, listening
from mcpguard.console.desk import Desk
from mcpguard.core.evidence.records import Decided, Noticed, Opened, Outcome
from mcpguard.core.model import Charge, Invocation, Listed, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.session import Session, name_of
from mcpguard.core.policy.tickets import Ticket, TicketAnswer
from mcpguard.serve.interventions import store_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from mcpguard.adapters.store.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "images"
COLOURS = "64"

CONFIG = """\
version: 1
agent: claude-code
servers:
  github: {command: github-mcp-server}
  warehouse: {command: postgres-mcp}
  files: {command: mcp-server-filesystem}
  shell: {command: shell-mcp}
policies: [policies/team.yaml]
audit: {path: audit}
session: {path: state}
"""
POLICY = """\
version: 1
policy: team
owner: ada
rules:
  - id: read
    effect: allow
    server: github
    tools: [get_issue, list_issues, search_code]
    limit: {calls: 200, per: 1h}
  - id: look
    effect: allow
    server: [warehouse, files]
    tools: [list_tables, read_file]
  - id: private
    effect: allow
    server: github
    tools: [get_file_contents]
    label: [private-code]
  - id: writes
    effect: ask
    server: warehouse
    tools: [query]
    when: 'sql(args.query, "postgres").writes'
    message: This statement changes data in the warehouse. Is it what you asked for?
  - id: edits
    effect: ask
    server: files
    tools: [edit_file]
    when: '!pathWithin(args.path, "/srv/app/docs")'
    message: An edit outside of docs is read by a person first.
  - id: no-leak
    effect: deny
    server: github
    tools: [create_pull_request, create_issue]
    when: '"private-code" in session.labels'
    message: Private code was read in this session, so nothing is published from it.
  - id: shell
    effect: ask
    server: shell
    message: Commands are run by a person's word.
"""

ME = Principal("ada", "os-user")
AGENT = "claude-code"
SQL = """\
-- duplicates of the import of Monday
WITH doubled AS (
  SELECT id, row_number() OVER (PARTITION BY order_no ORDER BY created_at) AS n
  FROM orders
  WHERE created_at >= '2026-11-23'
)
DELETE FROM orders
USING doubled
WHERE orders.id = doubled.id AND doubled.n > 1
RETURNING orders.id;"""
OLD = """\
def total(order):
    amount = 0
    for line in order.lines:
        amount += line.price * line.count
    return amount
"""
NEW = """\
def total(order):
    amount = sum(line.price * line.count for line in order.lines)
    if order.voucher:
        amount -= order.voucher.value
    return max(amount, 0)
"""
ASKED: list[tuple[str, str, str, str, dict[str, Any], int]] = [
    (
        "files",
        "edit_file",
        "edits",
        "An edit outside of docs is read by a person first.",
        {"path": "/srv/app/shop/orders.py", "edits": [{"oldText": OLD, "newText": NEW}], "dryRun": False},
        72,
    ),
    (
        "warehouse",
        "query",
        "writes",
        "This statement changes data in the warehouse. Is it what you asked for?",
        {
            "query": SQL,
            "connection": "postgresql://etl:[REDACTED:password#1]@db.internal/sales",
            "timeout_ms": 30000,
        },
        38,
    ),
    (
        "shell",
        "run",
        "shell",
        "Commands are run by a person's word.",
        {
            "command": "git push --force-with-lease origin HEAD:release && ./deploy.sh staging",
            "cwd": "/srv/app",
        },
        9,
    ),
]
MORNING: list[tuple[str, str, str, str, str, float, dict[str, int], int]] = [
    ("github", "list_issues", "allow", "team/read", "ok", 212.4, {}, 860),
    ("github", "get_issue", "allow", "team/read", "ok", 181.9, {"email $.body": 2}, 845),
    ("github", "get_file_contents", "allow", "team/private", "ok", 160.2, {"github-token $.content": 1}, 790),
    ("files", "read_file", "allow", "team/look", "ok", 3.1, {}, 700),
    ("files", "read_file", "allow", "team/look", "tool-error", 2.4, {}, 655),
    ("github", "create_pull_request", "deny", "team/no-leak", "", 0.0, {}, 610),
    ("warehouse", "list_tables", "allow", "team/look", "ok", 41.0, {}, 480),
    ("warehouse", "drop_table", "deny", "", "", 0.0, {}, 402),
    ("github", "search_code", "allow", "team/read", "ok", 390.7, {}, 260),
    ("warehouse", "query", "ask", "team/writes", "ok", 88.5, {}, 170),
    ("files", "read_file", "allow", "team/look", "ok", 2.8, {}, 120),
]


def stage(home: Path) -> Path:
    """A configuration in `home` whose store and evidence have a morning's work in them; gives its path."""
    (home / "policies").mkdir()
    (home / "policies" / "team.yaml").write_text(POLICY)
    (home / "mcpguard.yaml").write_text(CONFIG)
    config = load_config(home / "mcpguard.yaml")
    now = datetime.now(UTC)
    desk = Desk(config)
    desk.rulebook.refresh()
    digest = desk.rulebook.digest
    audit = AuditFile(home / "audit", "flush")
    who = f"{ME.source}:{ME.id}"
    audit.write(Opened(now - timedelta(seconds=900), "0.1.0", 4242, who, ("team",), digest, agent=AGENT))
    store = store_of(config)
    for number, (server, tool, effect, rule, status, ms, findings, ago) in enumerate(MORNING, 1):
        at = now - timedelta(seconds=ago)
        call = Invocation(
            f"7c1e90b2-{number}", "tools/call", ME, at, AGENT, server, Listed(server, tool, tool, {}, {}, "")
        )
        ticket = "9b1f40c7d2e8"
        if effect == "ask":
            said = (
                f"ticket {ticket} for the call {call.id} of {who}: tools/call {tool}, "
                f"sha256 of the arguments {sha(tool)}"
            )
            audit.write(Noticed(at - timedelta(seconds=31), "approval-asked", server, said))
            audit.write(
                Noticed(
                    at - timedelta(seconds=4),
                    "approval-given",
                    "",
                    f"ticket {ticket} of {who} by {who} (console)",
                )
            )
        rules = (rule,) if rule else ()
        labels = ("private-code",) if number > 3 else ()
        audit.write(
            Decided(
                at=at,
                id=call.id,
                principal=who,
                method="tools/call",
                effect="deny" if effect == "deny" else "allow",
                server=server,
                tool=tool,
                tool_digest=sha(tool + "d"),
                cause=("rule" if rule else "no-rule") if effect == "deny" else "",
                rules=rules,
                policy_digest=digest,
                args=sha(tool),
                credentials=(f"keyring:{server}/token",) if server != "files" else (),
                agent=AGENT,
                labels=("private-code",) if number == 3 else (),
                session_labels=labels,
                approval=f"{ticket} by {who} (console)" if effect == "ask" else "",
            )
        )
        if status:
            audit.write(
                Outcome(at + timedelta(milliseconds=ms), call.id, status, ms, sha(status + tool), findings)
            )
            permit = structs.replace(
                pdp.permit_protocol(call),
                rules=rules,
                labels=("private-code",) if number == 3 else (),
                facts=("tests-passed",) if number == 9 else (),
            )

            def change(session: Session, permit: Any = permit, at: datetime = at) -> None:
                session.admit(permit)
                if permit.rules == ("team/read",):
                    session.charge(Charge("team/read calls 1h", "calls", 17, 200, 3600, "1h"), at)

            store.change(call, change)
    audit.commit()
    for server, tool, rule, message, args, ago in ASKED:
        text = json.dumps(args)
        created = now.timestamp() - ago
        one = Ticket(
            id=sha(text)[:12],
            created=created,
            expires=created + 900,
            principal=who,
            agent=AGENT,
            session=name_of(ME, AGENT),
            server=server,
            method="tools/call",
            target=tool,
            args=sha(text),
            parts={name: sha(str(value)) for name, value in args.items()},
            definition="",
            policies=digest,
            rules=(f"team/{rule}",),
            message=message,
            shown=text,
        )
        store.ask(one)
        store.waits(one.id, created)
    other = Invocation(
        "51d2", "tools/call", ME, now, "cursor", "files", Listed("files", "read_file", "", {}, {}, "")
    )
    store.change(other, lambda session: session.admit(pdp.permit_protocol(other)))
    lasting(store, one)
    store.close()
    return home / "mcpguard.yaml"


def lasting(store: SqliteStore, like: Ticket) -> None:
    """An approval for the session that was used some times."""
    now = like.created
    ticket = structs.replace(like, id="c4d1", server="github", target="add_issue_comment", args="1")
    store.ask(ticket)
    answer = TicketAnswer(
        "approved", like.principal, "console", lasts="session", until=now + 28_800, free=("body",)
    )
    store.answer(ticket.id, answer)
    for _ in range(3):
        store.use(ticket.id, now)


def sha(text: str) -> str:
    """In hex."""
    return sha256(text.encode()).hexdigest()


@contextmanager
def serving(config: Path) -> Iterator[tuple[Desk, int]]:
    """The console of a configuration, in a thread."""
    desk = Desk(load_config(config))
    desk.person = f"{ME.source}:{ME.id}"
    sockets = listening(0)
    port = sockets[0].getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(console_app(desk, port), log_config=None, timeout_graceful_shutdown=1, ws="none")
    )
    thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)
    thread.start()
    try:
        yield desk, port
    finally:
        desk.watch.close()
        server.should_exit = True
        thread.join(10)


def shots(config: Path) -> None:
    """All pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or sys.exit("Chromium is missing: apt-get install chromium")
    query, edit = (sha(json.dumps(args))[:12] for _, _, _, _, args, _ in (ASKED[1], ASKED[0]))
    with serving(config) as (desk, port), sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": 1240, "height": 860}, device_scale_factor=1.5
            )
            page = context.new_page()
            page.goto(f"http://localhost:{port}/login?key={desk.visits.link()}")
            page.wait_for_selector(".state[data-state=live]")
            root = f"http://localhost:{port}{desk.root}"
            views = {
                "console": f"/tickets/{query}",
                "console-diff": f"/tickets/{edit}",
                "console-sessions": "/sessions",
                "console-story": "/calls/7c1e90b2-10",
            }
            for name, path in views.items():
                page.goto(root + path)
                page.wait_for_selector(".state[data-state=live]")
                taken(page, f"{name}-{scheme}")
            page.set_viewport_size({"width": 390, "height": 844})
            page.goto(f"{root}/tickets/{query}")
            page.wait_for_selector(".state[data-state=live]")
            taken(page, f"console-phone-{scheme}")
            context.close()
        browser.close()


def taken(page: Page, name: str) -> None:
    """Take a picture."""
    path = PICTURES / f"{name}.png"
    page.locator("[data-held]").first.wait_for(state="detached")
    page.screenshot(path=str(path), animations="disabled")
    reduced(path)


def reduced(path: Path) -> None:
    """Make a picture small where `pngquant` is there."""
    if shutil.which("pngquant"):
        subprocess.run(
            ["pngquant", "--force", "--strip", "--ext", ".png", str(COLOURS), str(path)], check=True
        )


def main() -> int:
    """Stage, serve, and take them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_STATE_HOME": folder, "HOME": folder}
        home = Path(folder) / ".config" / "mcpguard"
        home.mkdir(parents=True)
        shots(stage(home))
    for path in sorted(PICTURES.glob("console*.png")):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
