"""What each verb prints with `--json` fits the JSON Schema that `mcpguard schema` gives for it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import structs

from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.adapters.telemetry import status_file
from mcpguard.adapters.telemetry.status_file import Status, birth_of
from mcpguard.cli import main
from mcpguard.cli.authoring.schema import FILES, KINDS, schema_of
from mcpguard.config.loading import load_config
from mcpguard.core.model import Invocation, Listed
from mcpguard.core.policy import pdp
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.gateway.ports import Health
from mcpguard.protocol.jsonrpc import encode
from mcpguard.serve.interventions import store_of
from mcpguard.serve.settings import pinned_as
from tests.adapters.audit.audit_records import DECIDED, OUTCOME
from tests.adapters.store.shared import given_by
from tests.adapters.store.test_store import TICKET
from tests.authoring.report import month
from tests.authoring.test_suggest import decided, record
from tests.cli.audit.test_verb import chain
from tests.wire.session import SERVERS

Capture = pytest.CaptureFixture[str]
Printed = Callable[..., list[Any]]

pytestmark = pytest.mark.usefixtures("backend")

POLICY = """\
version: 1
policy: p
rules:
  - {id: read, effect: allow, server: one, tools: [echo], when: 'args.n == 1 || args.m == 1', redact: [email]}
  - {id: no, effect: deny, tools: [echo], when: 'has(args.no)', message: Never.}
  - {id: late, effect: deny, on: result, tools: [echo], when: '"email" in findings'}
"""
TESTS = """\
version: 1
policies: [p.yaml]
tests:
  - {name: good, call: {server: one, tool: echo, args: {n: 1}}, result: {a: b}, expect: allow}
  - {name: bad, call: {server: one, tool: echo, args: {n: 1, no: 1}}, expect: allow}
  - {name: broken, after: [{call: {server: one, tool: x}}], call: {server: one, tool: echo}, expect: deny}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    Keychain().put("one/key", "value-1234")
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "p_test.yaml").write_text(TESTS)
    server = {"command": sys.executable, "args": [str(SERVERS / "echo.py")]}
    env = {"A": "${keyring:one/key}", "B": "${env:NOT_SET_ANYWHERE}"}
    servers = {"one": server, "two": {"command": "no-such-server", "env": env}}
    config = {"version": 1, "servers": servers, "policies": ["p.yaml"], "audit": {"path": "audit"}}
    (tmp_path / "mcpguard.yaml").write_text(json.dumps(config))
    return tmp_path


@pytest.fixture
def printed(folder: Path, capsys: Capture) -> Printed:
    """`printed(kind, *words)`: the documents that the command printed, all of which fit the schema."""

    def run(kind: str, *words: str) -> list[Any]:
        capsys.readouterr()
        assert main([*words]) in (0, 1, 2)
        said = capsys.readouterr().out
        found = [json.loads(one) for one in (said.splitlines() if kind == "audit-record" else [said])]
        validator = Draft202012Validator(schema_of(kind))
        assert [error.message for one in found for error in validator.iter_errors(one)] == []
        return found

    return run


@pytest.mark.uncounted
def test_findings(printed: Printed) -> None:
    assert {one["level"] for one in printed("check-output", "check", "--json")[0]["findings"]} > {"ok"}
    assert printed("doctor-output", "doctor", "--json")[0]["findings"]


def test_what_a_scan_found(printed: Printed, folder: Path) -> None:
    (folder / "a").write_text("ghp" + "_" + "aZ3kQ9xB7mT2" * 3)
    assert len(printed("scan-output", "scan", "a", "--format", "json")[0]["findings"]) == 1


def test_tests_of_policies(printed: Printed) -> None:
    assert "coverage" not in printed("test-output", "test", "p_test.yaml", "--json")[0]
    (found,) = printed("test-output", "test", "p_test.yaml", "--json", "--coverage")
    assert found["coverage"]["missing"]
    assert [case["passed"] for case in found["files"][0]["cases"]] == [True, False, False]
    assert "seconds" not in found["files"][0]["cases"][0]


def test_sample_calls(printed: Printed, folder: Path) -> None:
    (folder / "calls_test.yaml").write_text(
        """\
version: 1
postures: {only: [p.yaml]}
aims: {refused: 5, asked: 10, allowed: 2, calls: 1}
call: {server: one, tool: echo}
groups:
  - {name: all, ordinary: [only], calls: [{args: {n: 1}}, {args: {n: 2}}]}
"""
    )
    (found,) = printed("test-output", "test", "calls_test.yaml", "--json")
    (score,) = found["files"][0]["postures"]
    assert score["ordinary"] == {"calls": 2, "allowed": 1, "asked": 0, "refused": 1}
    assert [one["name"] for one in score["misjudged"]] == ['echo {"n": 2}']
    assert score["missed"] == [
        "0 harmful calls, at least 1 required",
        "50.0 % of the ordinary calls are refused, at most 5 % required",
    ]


def test_explanations(printed: Printed, folder: Path) -> None:
    (folder / "r.json").write_text('{"content": "jane@example.com"}')
    call = ("explain", "--json", "--server", "one", "--tool", "echo")
    (allowed,) = printed("explain-output", *call, "--args", '{"n": 1}', "--result", "r.json")
    assert allowed["result"]["effect"] == "withhold"
    (refused,) = printed("explain-output", *call, "--args", '{"no": 1}')
    assert refused["changes"]
    (reached,) = printed("explain-output", "explain", "--json", "--reach")
    assert [one["name"] for one in reached["reach"]] == ["echo", "echo"]
    chain(folder / "audit", DECIDED, OUTCOME)
    assert printed("explain-output", "explain", "--json", DECIDED.id)[0]["id"] == DECIDED.id


def test_an_explanation_omits_exactly_what_has_its_default(printed: Printed) -> None:
    call = ("explain", "--json", "--server", "one", "--tool", "echo", "--args", '{"n": 1}')
    (found,) = printed("explain-output", *call)
    assert list(found) == ["effect", "why", "rules", "assumed", "candidates", "done"]
    assert found["done"] == {"redact": ["email"]}
    assert list(found["candidates"][0]) == ["rule", "place", "effect", "outcome", "decided", "operands"]


def test_evidence(printed: Printed, folder: Path, capsys: Capture) -> None:
    path = chain(folder / "audit", DECIDED, OUTCOME)
    assert len(printed("audit-record", "audit", "show", "audit", "--json")) == 4
    assert printed("audit-output", "audit", "verify", "audit", "--json")[0]["intact"]
    assert printed("audit-query-output", "audit", "query", "audit", "--json")[0]["calls"]
    assert printed("audit-stats-output", "audit", "stats", "audit", "--json")[0]["rows"]
    assert printed("audit-show-output", "audit", "show", "n-1", "audit", "--json")[0]["outcome"]
    assert printed("audit-heads-output", "audit", "heads", "audit", "--json")[0][0]["file"] == path.name
    main(["audit", "key", "--new"])
    capsys.readouterr()
    assert printed("audit-key-output", "audit", "key", "--json")[0]["reference"] == "keyring:audit/key"
    path.write_bytes(path.read_bytes().replace(b"github", b"gitlab"))
    assert printed("audit-output", "audit", "verify", "audit", "--json")[0]["chains"][0]["flaws"]


def test_credentials(printed: Printed) -> None:
    assert printed("secret-list-output", "secret", "list", "--json") == [["one/key"]]
    (found,) = printed("secret-check-output", "secret", "check", "--json")
    assert [one["ok"] for one in found] == [False, True]


def test_status(printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_file, "default_folder", lambda: tmp_path / "status")
    (tmp_path / "status").mkdir()
    pid = os.getpid()
    one = Status(pid, 1.0, birth_of(pid), "/c", "stdio", (Health("one", "waiting", 2.0, problem="gone"),))
    (tmp_path / "status" / f"{pid}.json").write_bytes(encode(one))
    assert printed("status-output", "status", "--json")[0]["running"][0]["upstreams"][0]["problem"] == "gone"


def test_sessions(printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = SqliteStore(default_folder(), 3600, SystemClock())
    call = Invocation("i-1", "tools/call", operating_system_user(), datetime.now(UTC), None, "one")
    permit = pdp.permit_protocol(call)
    store.change(call, lambda session: session.add(("private",), (), permit))
    (found,) = printed("session-list-output", "session", "list", "--json")
    assert [one["state"]["labels"] for one in found["sessions"]] == [["private"]]
    (shown,) = printed("session-show-output", "session", "show", "--json")
    assert shown["state"]["causes"]["private"]["call"] == "i-1"


def test_pins(printed: Printed) -> None:
    config = load_config(Path(os.environ["MCPGUARD_CONFIG"]))
    entry = Listed("one", "echo", "echo", {"name": "echo", "description": "Echoes."}, {}, "d1")
    with closing(store_of(config)) as store:
        given_by(store.pin(pinned_as(config.served["one"]), [entry], "all"))
    (found,) = printed("pins-output", "pins", "--json")
    assert [(one["name"], one["accepted"]) for one in found["pins"]] == [("echo", False)]


def test_calls_that_wait(printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store, now = SqliteStore(default_folder(), 3600, SystemClock()), datetime.now(UTC).timestamp()
    store.ask(structs.replace(TICKET, created=now, expires=now + 60))
    (found,) = printed("approvals-output", "approvals", "--json")
    assert [one["id"] for one in found["waiting"]] == ["t1"]
    store.answer("t1", TicketAnswer("approved", "os-user:ada", "terminal"))
    (found,) = printed("approvals-output", "approvals", "--json")
    assert [one["ticket"] for one in found["in_force"]] == ["t1"]


def test_suggestions(printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mcpguard.yaml").write_text(
        "version: 1\nservers: {one: {command: x}}\naudit: {path: audit}\nsession: {path: s}\n"
    )
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    record(tmp_path, decided(server="one", tool="read"))
    (found,) = printed("suggest-output", "suggest", "--json")
    assert [one["tool"] for one in found["suggestions"]] == ["read"]


def test_a_replay(printed: Printed, folder: Path) -> None:
    chain(folder / "audit", DECIDED, OUTCOME)
    (found,) = printed("replay-output", "replay", "--json")
    assert found["decisions"] == 1


@pytest.mark.uncounted
def test_a_review(printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGUARD_CONFIG", str(month.write(tmp_path)))
    (found,) = printed("report-output", "report", "--since", "9999d", "--json")
    assert [one["name"] for one in found["principals"]] == [month.ADA, month.BOT]


def test_a_snapshot(printed: Printed) -> None:
    assert printed("snapshot", "snapshot", "one")[0]["servers"]["one"]["tools"]


def test_every_output_is_printed_by_one_of_these() -> None:
    here = Path(__file__).read_text("utf-8")
    assert [kind for kind in KINDS if kind not in FILES and f'printed("{kind}"' not in here] == []
