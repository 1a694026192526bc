"""A console over a folder with a configuration, tickets, sessions and evidence, and what stands in for a browser."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from httpx2 import Response
from msgspec import structs
from starlette.testclient import TestClient

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.config.loading import load_config
from mcpguard.console.app import console_app
from mcpguard.console.desk import Desk
from mcpguard.core.evidence.records import Decided, Opened, Record
from mcpguard.core.policy.tickets import Ticket
from tests.adapters.store.test_store import TICKET, given_by

PORT = 8300
HERE = f"http://localhost:{PORT}"
CONFIG = """
version: 1
agent: desk
servers: {git: {command: git-server}, far: {url: "https://far.example/mcp"}}
policies: [p.yaml]
audit: {path: audit}
session: {path: sessions}
"""
POLICY = """
version: 1
policy: p
rules:
  - {id: read, effect: allow, server: git, tools: [status], limit: {calls: 9, per: 1h}}
  - {id: push, effect: ask, server: git, tools: [push], when: args.force == true, message: Others see it.}
  - {id: leak, effect: deny, server: git, tools: [send], when: '"private" in session.labels', message: Nothing leaves.}
"""
NOW = datetime.now(UTC)
OPENED = Opened(NOW, "1", 1, "os-user:ada", ("p",), "d", agent="desk")
DECIDED = Decided(
    NOW, "c-1", "os-user:ada", "tools/call", "allow", "git", "status", rules=("p/read",), agent="desk"
)


def written(folder: Path, more: str = "") -> Path:
    """A configuration, which ends in `more`, and its policy in the folder."""
    (folder / "mcpguard.yaml").write_text(CONFIG + more)
    (folder / "p.yaml").write_text(POLICY)
    return folder / "mcpguard.yaml"


class Browser:
    """Logs in, follows forms, and remembers cookies. `desk` is the console that it looks at."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """`more` is the end of the configuration."""
        self.folder = folder
        self.desk = Desk(load_config(written(folder, more)))
        self.client = TestClient(
            console_app(self.desk, PORT),
            base_url=HERE,
            follow_redirects=False,
            headers={"host": f"localhost:{PORT}"},
        )
        self.audit: AuditFile | None = None

    @property
    def root(self) -> str:
        return self.desk.root

    def login(self) -> Browser:
        """By the link."""
        answer = self.post("/login", key=self.desk.visits.link(), csrf=None)
        assert answer.status_code == 303, answer.text
        return self

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, headers=headers)

    def see(self, path: str = "/") -> str:
        """A page inside."""
        answer = self.get(self.root + path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, headers: dict[str, str | None] | None = None, **fields: Any) -> Response:
        """A form as a browser sends it from our page; `csrf` None leaves the field out, "" puts in the right one."""
        if fields.get("csrf", "") is None:
            fields.pop("csrf")
        elif fields.get("csrf", "") == "":
            fields["csrf"] = self.csrf()
        said = {"origin": HERE, "sec-fetch-site": "same-origin", **(headers or {})}
        return self.client.post(path, data=fields, headers={k: v for k, v in said.items() if v is not None})

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.see("/sessions"))
        assert found
        return found[1]

    def asks(self, shown: Any = None, **more: Any) -> Ticket:
        """A call that waits, until `leave` is called."""
        now = time.time()
        text = (
            shown if isinstance(shown, str) else json.dumps(shown if shown is not None else {"force": True})
        )
        self.desk.rulebook.refresh()
        about = {
            "policies": self.desk.rulebook.digest,
            "created": now,
            "expires": now + 60,
            "server": "git",
            "target": "push",
            "rules": ("p/push",),
        }
        one = structs.replace(TICKET, **{**about, "message": "Others see it.", "shown": text, **more})
        given: Ticket = given_by(self.desk.store.ask(one))
        self.leave = self.desk.store.waits(given.id, given.created)
        return given

    def records(self, *records: Record) -> None:
        """Evidence of a process."""
        if self.audit is None:
            self.audit = AuditFile(self.folder / "audit", "flush")
            self.audit.write(OPENED)
        for one in records:
            self.audit.write(one)
        self.audit.commit()

    def notices(self) -> list[str]:
        """What persons have left in the evidence."""
        files = sorted((self.folder / "audit").glob("*.jsonl"))
        found = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
        return [one["what"] for one in found if one["kind"] == "notice"]
