"""The units of configs/deploy, started by a real systemd as docs/guides/deploy.md says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.install.machine import Machine, missing
from tests.wire.session import eventually

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a machine can be made")

STATE = "/var/lib/mcpguard"
TOKEN = "f1le-credential-9f2b71c0de44"
CONFIG = """\
version: 1
servers: {{docs: {{command: /bin/cat, env: {{TOKEN: "${{file:{}}}"}}}}}}
policies: [team.yaml]
"""
POLICY = "version: 1\npolicy: team\nrules:\n  - {id: read, effect: allow, tools: ['get_*']}\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    try:
        machine.write("/etc/mcpguard/credentials/docs", TOKEN)
        machine.write("/etc/mcpguard/team.yaml", POLICY)
        path = "/run/credentials/mcpguard.service/credentials_docs"
        machine.write("/etc/mcpguard/mcpguard.yaml", CONFIG.format(path))
        machine.run("systemctl", "enable", "--now", "mcpguard.socket", "mcpguard.service")
        yield machine
    finally:
        machine.end()


def asked(machine: Machine, path: str) -> str:
    """The answer to a request; it waits in the socket while the service starts."""
    return machine.run("curl", "--silent", "--max-time", "30", f"http://127.0.0.1:8080{path}")


def records(machine: Machine) -> list[dict[str, object]]:
    found = machine.run("sh", "-c", f"cat {STATE}/mcpguard/audit/*.jsonl")
    return [json.loads(line) for line in found.splitlines()]


def test_it_serves_on_the_passed_socket_as_a_user_without_rights(machine: Machine) -> None:
    ready = json.loads(asked(machine, "/readyz"))
    assert ready["ready"], ready
    status = machine.run("cat", f"/proc/{machine.about('MainPID')}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in facts["Uid"].split()
    assert {facts[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def test_evidence_is_in_the_folder_of_its_state_and_the_credential_is_recognised(machine: Machine) -> None:
    asked(machine, "/readyz")
    eventually(
        lambda: any(one.get("what") == "credentials-recognised" for one in records(machine)),
        "that the credential is held",
    )
    (held,) = [one["detail"] for one in records(machine) if one.get("what") == "credentials-recognised"]
    assert "credentials_docs" in str(held)
    assert TOKEN not in str(records(machine)) + machine.journal()
    assert machine.run("stat", "--format", "%a", "/var/lib/private/mcpguard").strip() == "700"


def test_a_changed_policy_is_in_force_after_a_reload(machine: Machine) -> None:
    asked(machine, "/readyz")
    machine.write("/etc/mcpguard/team.yaml", POLICY.replace("get_*", "read_*"))
    machine.run("systemctl", "reload", "mcpguard")
    eventually(
        lambda: any(one.get("what") == "policy-reloaded" for one in records(machine)),
        "that the policy is in force",
    )


def test_clients_wait_while_it_restarts_and_it_ends_in_order(machine: Machine) -> None:
    asked(machine, "/readyz")
    before = machine.about("MainPID")
    machine.run("systemctl", "restart", "--no-block", "mcpguard.service")
    eventually(lambda: machine.about("MainPID") not in ("0", before), "that it has restarted")
    assert asked(machine, "/livez") == "ok"
    machine.run("systemctl", "stop", "mcpguard.socket", "mcpguard.service")
    assert (machine.about("Result"), machine.about("ExecMainStatus")) == ("success", "0")
    assert records(machine)[-1]["kind"] == "closed"


def test_a_mistake_in_the_configuration_is_said_in_the_journal(machine: Machine) -> None:
    machine.run("systemctl", "stop", "mcpguard.socket", "mcpguard.service")
    machine.write("/etc/mcpguard/mcpguard.yaml", "version: 1\nserverz: {}\n")
    machine.run("systemctl", "start", "mcpguard.service")
    eventually(lambda: "serverz" in machine.journal(), "that the mistake is said")
    machine.run("systemctl", "stop", "mcpguard.socket", "mcpguard.service")
