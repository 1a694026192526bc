"""A lease that is in use is renewed, and where that fails it is seen."""

import pytest

from tests.servers.answering import serving
from tests.servers.vault import TOKEN, FakeVault
from tests.wire.session import eventually, puppet

PID = "answer = text(str(os.getpid()))"


@pytest.fixture
def vault():
    service = FakeVault()
    service.lease_seconds = service.renewed_seconds = 4
    with serving(service) as address:
        service.address = address
        yield service


def notices(guard):
    return [one["what"] for one in guard.records("notice")]


def renewals(vault):
    return sum(one.path == "/v1/sys/leases/renew" for one in vault.asked)


@pytest.fixture
def guard(vault, start, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    made = {"address": vault.address, "token": f"${{file:{token}}}", "path": "database/creds/reader"}
    entry = {"servers": ["p"], "vault": {**made, "value": "postgresql://{username}:{password}@db/app"}}
    guard = start({"p": puppet(env={"URL": "${credential:db}"})}, credentials={"db": entry})
    guard.hello()
    return guard


def test_a_lease_is_renewed_while_a_call_is_open(guard, vault, tmp_path):
    pid = guard.text("act", code=PID)
    gate = tmp_path / "gate"
    code = f"say('in')\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\nanswer = text('done')"
    waiting = guard.request("tools/call", {"name": "act", "arguments": {"code": code}})
    guard.wait_stderr("[p] in")
    before = renewals(vault)
    eventually(lambda: renewals(vault) > before, "a renewal under an open call")
    gate.touch()
    assert guard.answer(waiting)["result"]["content"][0]["text"] == "done"
    assert guard.text("act", code=PID) == pid
    assert (len(vault.leases), vault.revoked) == (1, [])
    guard.end()
    assert not vault.leases
    assert "credential-not-renewed" not in notices(guard)


def test_a_renewal_that_fails_is_seen_and_so_is_that_it_works_again(guard, vault):
    guard.text("act", code=PID)
    vault.sealed = True
    guard.wait_stderr(
        "warning mcpguard: a lease that is in use could not be renewed: credential:db: Vault at"
    )
    vault.lease_seconds = vault.renewed_seconds = 600
    vault.sealed = False
    again = b"info mcpguard: credential:db was renewed again"
    eventually(lambda: guard.call("act", code=PID) and again in guard.stderr, "a lease of a later call")
    noted = eventually(lambda: [one for one in notices(guard) if "renewed" in one][1:], "the end in evidence")
    assert noted == ["credential-renewed"]
