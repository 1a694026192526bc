"""For each code of `mcpguard check`: what makes it, and what is near and does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from mcpguard.adapters.audit.signing import new_key
from mcpguard.adapters.system.shipped import pack_for
from mcpguard.authoring.check.codes import CODES
from mcpguard.authoring.check.configuration import FREE_BYTES, FREE_FILES, checked, lacking_room
from mcpguard.doctor.plain_text import places_in
from tests.adapters.system.shipping import ship
from tests.doctor.scenes import jwt

TOKEN = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3
POLICY = "version: 1\npolicy: p\nowner: ada\nrules:\n  - {id: all, effect: allow}\n"


SPLIT = """\
version: 1
policy: p
owner: ada
rules:
  - {id: read, effect: allow, tools: [read]}
  - {id: write, effect: allow, tools: [write], credential: key}
"""
KEY = "credentials: {key: {value: '${env:HERE}', servers: [git], env: {K: '${credential:key}'}}}\n"

CHOSEN = POLICY.replace("allow", "allow, credential: key")
PROVEN = POLICY.replace("allow", "ask, ask: {via: console, proof: passkey}")


class Scene(NamedTuple):
    """A configuration and its policy. FOLDER in `servers` is the folder that both are in, `schema` that of a
    tool in a snapshot, which also has the `instructions`. `upgraded` is a pack that mcpguard ships another version of."""

    servers: str = "git: {command: sh}"
    policies: str = "[policy.yaml]"
    audit: str = "audit"
    more: str = ""
    policy: str = POLICY
    live: bool = False
    schema: str = ""
    instructions: str = ""
    state: str = "state"
    upgraded: str = ""
    free: int = 1 << 40

    def codes(self, folder: Path, *, files_only: bool = False) -> set[str]:
        """What is found in it."""
        servers = self.servers.replace("FOLDER", str(folder))
        (folder / "work").mkdir(parents=True)
        (folder / "policy.yaml").write_text(self.policy)
        (folder / "mcpguard.yaml").write_text(
            f"version: 1\nservers: {{{servers}}}\npolicies: {self.policies}\naudit: {{path: {self.audit}}}\n{self.more}"
        )
        offers = folder / "snapshot.json" if self.schema else None
        if offers is not None:
            tool = f'{{"name": "x", "inputSchema": {self.schema}}}'
            offer = f'{{"tools": [{tool}], "instructions": "{self.instructions}"}}'
            offers.write_text(f'{{"version": 1, "servers": {{"git": {offer}}}}}')
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("XDG_STATE_HOME", str(folder / self.state))
            room = SimpleNamespace(f_bavail=self.free, f_frsize=1, f_files=0, f_favail=0)
            patched.setattr("os.statvfs", lambda _: room)
            if self.upgraded:
                ship(patched, folder / "shipped", self.upgraded)
            report = checked(
                folder / "mcpguard.yaml",
                offers,
                "warning",
                places_in,
                live=self.live and not files_only,
                files_only=files_only,
            )
        return {one.code for one in report.findings}


def observing(days: int) -> Scene:
    """Policies that are only observed, until so many days from now."""
    until = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    return Scene(more=f"observe: {{until: {until}, servers: [git]}}\n")


SCENES = {
    "C001": (Scene("git: {}"), Scene()),
    "C002": (Scene(policies="[]"), Scene()),
    "C003": (
        Scene("a: {command: sh}, b: {command: sh, disabled: true}"),
        Scene("a: {command: sh}, b: {command: sh}"),
    ),
    "C006": (
        Scene("a: {command: sh}, b: {command: sh, disabled: true}", more="clients: {x: {servers: [a, b]}}\n"),
        Scene("a: {command: sh}, b: {command: sh, disabled: true}", more="clients: {x: {servers: [a]}}\n"),
    ),
    "C007": (
        Scene(
            "a: {command: sh}, b: {command: sh, disabled: true}",
            more="clients: {x: {servers: [a], projects: {/p: [b]}}}\n",
        ),
        Scene(
            "a: {command: sh}, b: {command: sh, disabled: true}",
            more="clients: {x: {projects: {/p: [b, a]}}}\n",
        ),
    ),
    "C008": (
        Scene(more="clients: {x: {servers: [git]}}\nagent: y\n"),
        Scene(more="clients: {x: {servers: [git]}}\nagent: x\n"),
    ),
    "C009": (
        Scene("a: {command: sh}, b: {command: sh}", more="clients: {x: {servers: [a]}}\n"),
        Scene("a: {command: sh}, b: {command: sh}", more="clients: {x: {projects: {/p: [a], /q: [b]}}}\n"),
    ),
    "C004": (observing(40), observing(31)),
    "C005": (observing(-1), observing(1)),
    "C101": (Scene("git: {command: no-such-command}"), Scene()),
    "C102": (Scene("git: {command: sh, env: {A: '${env:GONE}'}}"), Scene("git: {command: sh, env: {A: b}}")),
    "C103": (Scene(f"git: {{command: sh, env: {{A: {TOKEN}}}}}"), Scene("git: {command: sh, env: {A: b}}")),
    "C104": (Scene("git: {command: sh, cwd: FOLDER}"), Scene("git: {command: sh, cwd: FOLDER/work}")),
    "C105": (Scene("git: {command: 'false'}", live=True), Scene("git: {command: 'false'}")),
    "C111": (
        Scene(policy=PROVEN),
        Scene(policy=PROVEN, more="approvals: {passkeys: [{person: 'a:b', id: aaaaaaaa, key: aaaaaaaa}]}\n"),
    ),
    "C112": (
        Scene(more="approvals: {notify: ['${env:GONE}']}\n"),
        Scene(more="approvals: {notify: ['${env:HERE}']}\n"),
    ),
    "C113": (
        Scene(policy=POLICY.replace("allow", "ask, ask: {approvers: ['os-user:nobody-else']}")),
        Scene(policy=POLICY.replace("allow", "ask, ask: {approvers: ['os-user:nobody-else', 'group:ops']}")),
    ),
    "C106": (Scene(policy=POLICY.replace("allow", "allow, credential: key")), Scene()),
    "C107": (
        Scene("far: {url: 'https://api.example/mcp?key=${env:HERE}'}"),
        Scene("far: {url: 'https://api.example/mcp?key=public'}"),
    ),
    "C108": (
        Scene("git: {command: sh, cwd: FOLDER/work}, fs: {command: sh, args: [FOLDER/work]}"),
        Scene("git: {command: sh, cwd: FOLDER}, fs: {command: sh, args: [FOLDER/work]}"),
    ),
    "C109": (
        Scene("git: {command: sh, args: [FOLDER/work/x.sh]}, fs: {command: sh, args: [FOLDER/work]}"),
        Scene("git: {command: sh, args: [FOLDER/x.sh]}, fs: {command: sh, args: [FOLDER/work]}"),
    ),
    "C110": (
        Scene("git: {command: sh, args: [x.sh]}"),
        Scene("git: {command: sh, args: [x.sh], cwd: FOLDER}"),
    ),
    "C114": (
        Scene("git: {command: sh, stateful: true}", policy=SPLIT, more=KEY),
        Scene("git: {command: sh, stateful: true}", policy=SPLIT.replace(", tools: [write]", ""), more=KEY),
    ),
    "C115": (
        Scene("git: {command: sh, env: {A: '${env:WORD}'}}"),
        Scene("git: {command: sh, env: {A: '${env:RANDOM}'}}"),
    ),
    "C116": (
        Scene(more="alerts: {command: [no-such-program]}\n"),
        Scene(more="alerts: {command: [sh]}\n"),
    ),
    "C117": (
        Scene("git: {command: sh, env: {A: '${env:OVER}'}}"),
        Scene("git: {command: sh, env: {A: '${env:LASTING}'}}"),
    ),
    "C118": (Scene(schema="{}"), Scene(schema='{"type": "object"}')),
    "C119": (
        Scene("git: {command: ./server}"),
        Scene("git: {command: ./server, cwd: FOLDER}"),
    ),
    "C120": (Scene(policy=PROVEN), Scene()),
    "C121": (
        Scene("git: {command: sh}, new: {command: sh}", schema='{"type": "object"}'),
        Scene("git: {command: sh}, new: {command: sh, disabled: true}", schema='{"type": "object"}'),
    ),
    "C122": (
        Scene(policy=CHOSEN, more=KEY.replace("servers:", "principals: ['group:ops'], servers:")),
        Scene(policy=CHOSEN, more=KEY),
    ),
    "C123": (
        Scene(schema='{"type": "object"}', instructions="Ask first."),
        Scene("git: {command: sh, eager: true}", schema='{"type": "object"}', instructions="Ask first."),
    ),
    "C124": (
        Scene(policy=pack_for("git.yaml", "git") or "", upgraded="git.yaml"),
        Scene(policy=pack_for("git.yaml", "git") or "", upgraded="time.yaml"),
    ),
    "C201": (Scene(audit="policy.yaml/audit"), Scene()),
    "C202": (
        Scene(more="session: {path: policy.yaml/sessions}\n"),
        Scene(more="session: {path: sessions}\n"),
    ),
    "C203": (
        Scene(state="policy.yaml"),
        Scene(
            "git: {command: sh, cwd: FOLDER/work}", state="policy.yaml", more="session: {path: sessions}\n"
        ),
    ),
    "C204": (Scene(free=1), Scene(free=1 << 40)),
    "P001": (Scene(policy=POLICY.replace("owner", "ownr")), Scene()),
}
"""Code -> the scene in which it is found, and the one in which it is not."""


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://guard:secret@127.0.0.1/x", set()),
        ("postgresql://guard:secret@db.example/x?sslmode=verify-full", set()),
        ("postgresql://guard:secret@db.example/x", {"C202"}),
        ("", {"C116", "C202"}),
    ],
)
def test_a_database_of_sessions_that_cannot_be_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, found: set[str]
) -> None:
    monkeypatch.setenv("STATE", url)
    shared = Scene(more="session: {postgres: '${env:STATE}'}\n")
    assert set(shared.codes(tmp_path)) & {"C116", "C202"} == found


@pytest.mark.parametrize("more", ["[desktop]", "['${env:HERE}']"])
def test_an_alert_that_needs_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.setenv("HERE", "json://127.0.0.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("mcpguard.authoring.check.configuration.find_spec", lambda _name: None)
    assert "C112" in Scene(more=f"approvals: {{notify: {more}}}\n").codes(tmp_path / "one")


def test_a_passkey_that_cannot_be_checked_for_want_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.authoring.check.configuration.find_spec", lambda _name: None)
    _, right = SCENES["C111"]
    assert right.codes(tmp_path / "one") & {"C111", "C120"} == {"C120"}


def test_an_alert_to_a_desktop_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("notify-send", "osascript"):
        (tmp_path / name).touch(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "C112" not in Scene(more="approvals: {notify: [desktop]}\n").codes(tmp_path / "one")


@pytest.mark.parametrize("value", ["", "mcpguard-audit-public-1:" + "A" * 43 + "="])
def test_a_key_that_signs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    key = "audit, key: '${env:AUDIT_KEY}'"
    monkeypatch.setenv("AUDIT_KEY", value)
    assert "C116" in Scene(audit=key).codes(tmp_path / "wrong")
    monkeypatch.setenv("AUDIT_KEY", new_key())
    assert "C116" not in Scene(audit=key).codes(tmp_path / "right")


@pytest.mark.parametrize(
    ("free", "files", "left", "said"),
    [
        (FREE_BYTES, 10_000, FREE_FILES, []),
        (FREE_BYTES - 1, 10_000, FREE_FILES, ["99 MiB are free"]),
        (FREE_BYTES, 10_000, 1, ["1 more file can be made (`df -i`)"]),
        (FREE_BYTES, 0, 0, []),
    ],
)
def test_a_disk_has_room_for_bytes_and_for_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, files: int, left: int, said: list[str]
) -> None:
    room = SimpleNamespace(f_bavail=free, f_frsize=1, f_files=files, f_favail=left)
    monkeypatch.setattr("os.statvfs", lambda _: room)
    found = list(lacking_room(tmp_path / "audit", tmp_path / "sessions"))
    assert found == [(tmp_path / "audit", one) for one in said]


def test_a_header_of_a_sink_that_has_no_value(tmp_path: Path) -> None:
    sink = "to: 'https://otel.example', format: otlp, headers: {X: '${file:/no/such/token}'}"
    more = f"telemetry: {{sinks: [{{{sink}}}]}}\napprovals: {{notify: [desktop, '${{env:GONE}}']}}\n"
    assert {"C112", "C116"} <= Scene(more=more).codes(tmp_path / "one")


def test_approvers_of_whom_one_has_a_passkey_can_approve(tmp_path: Path) -> None:
    passkeys = "approvals: {passkeys: [{person: 'os-user:grace', id: aaaaaaaa, key: aaaaaaaa}]}\n"
    for who, found in (("grace", False), ("eve", True)):
        policy = POLICY.replace("allow", f"ask, ask: {{approvers: ['os-user:{who}']}}")
        assert ("C113" in Scene(policy=policy, more=passkeys).codes(tmp_path / who)) == found


def test_every_code_has_its_scenes() -> None:
    assert SCENES.keys() == CODES.keys()


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the scenes need: values, and that one package is missing."""
    monkeypatch.setenv("HERE", "made-up-value")
    monkeypatch.setenv("WORD", "eu-central-1")
    monkeypatch.setenv("RANDOM", "aB3kQ9xZ7mT2pL5wvN4cR8")
    monkeypatch.setenv("OVER", jwt(1_700_000_000))
    monkeypatch.setenv("LASTING", jwt(4_000_000_000))
    monkeypatch.delenv("GONE", raising=False)
    name = "mcpguard.authoring.check.configuration.find_spec"
    monkeypatch.setattr(name, lambda package: None if package == "webauthn" else find_spec(package))


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("code", SCENES)
def test_a_code_is_found_in_its_scene_and_not_in_the_one_beside_it(code: str, tmp_path: Path) -> None:
    wrong, right = SCENES[code]
    assert code in wrong.codes(tmp_path / "wrong")
    assert code not in right.codes(tmp_path / "right")


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("code", SCENES)
def test_the_files_alone_show_what_is_not_about_the_machine(code: str, tmp_path: Path) -> None:
    wrong, _ = SCENES[code]
    assert (code in wrong.codes(tmp_path / "wrong", files_only=True)) == (not CODES[code].machine)


def test_where_only_files_are_judged_no_credential_is_read_and_no_folder_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("this is about the machine")

    for name in ("configuration.value_of", "configuration.trouble", "configuration.problem_of"):
        monkeypatch.setattr(f"mcpguard.authoring.check.{name}", asked)
    monkeypatch.setattr("mcpguard.adapters.credentials.value_of", asked)
    needs = "approvals: {notify: ['${env:GONE}']}\nalerts: {command: [no-such]}\n"
    scene = Scene("git: {command: no-such, cwd: /no/such, env: {A: '${keyring:a}'}}", more=needs)
    assert scene.codes(tmp_path / "one", files_only=True) == {""}
