"""How a session is stored: its row, the SQL statements for it, and its state as JSON in the row."""

import msgspec
from msgspec import Struct

from mcpguard.adapters.system.clock import Uptime
from mcpguard.core.policy.session import LabelCause, StoredSession

TABLE = """
    CREATE TABLE IF NOT EXISTS sessions (
        name TEXT PRIMARY KEY, principal TEXT NOT NULL, agent TEXT, version INTEGER NOT NULL,
        used REAL NOT NULL, boot TEXT NOT NULL, up REAL NOT NULL, state BLOB NOT NULL
    ) WITHOUT ROWID
"""
READ = "SELECT version, used, boot, up, state FROM sessions WHERE name = ?"
EVERY = "SELECT name, principal, agent, version, used, boot, up, state FROM sessions ORDER BY used DESC"
NEW = "INSERT INTO sessions VALUES (?, ?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
CHANGE = (
    "UPDATE sessions SET version = version + 1, used = ?, boot = ?, up = ?, state = ?"
    " WHERE name = ? AND version = ?"
)

encode = msgspec.json.Encoder().encode


class SessionRow(Struct):
    """A session as it is in the file; one that is not there has version 0."""

    version: int
    used: float
    up: Uptime
    state: bytes


class StoredState(Struct, forbid_unknown_fields=True, kw_only=True):
    """The state of a session as it is read: whatever lacks a part of it, or has more, is refused."""

    calls: int
    tools: dict[str, int]
    labels: list[str]
    facts: list[str]
    spent: dict[str, list[tuple[int, int]]]
    causes: dict[str, LabelCause] = {}
    approvals: list[str] = []

    def session(self) -> StoredSession:
        return StoredSession(
            self.calls, self.tools, self.labels, self.facts, self.spent, self.causes, self.approvals
        )


class EarlierSession(StoredState):
    """A session in a file of its own, as earlier versions kept it; `seen` is when it was used last."""

    seen: float


decode = msgspec.json.Decoder(StoredState).decode
decode_earlier = msgspec.json.Decoder(EarlierSession).decode
