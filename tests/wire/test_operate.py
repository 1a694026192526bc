"""What an operator sees of a running `mcpguard run --http`, and what it does when it is told to stop."""

import shutil

import pytest

from tests.wire.http_session import HttpGuard
from tests.wire.session import eventually, puppet, replace


@pytest.fixture
def serve(tmp_path):
    """`serve(servers)` starts `mcpguard run --http`; at the end it is ended."""
    guards = []

    def begin(servers, **more):
        guards.append(HttpGuard(tmp_path, servers, **more))
        return guards[-1]

    yield begin
    for guard in guards:
        guard.dispose()


def missing(guard):
    answer = guard.open("GET", "/readyz").json()
    assert answer["ready"] == all(one["ok"] for one in answer["needs"].values())
    return {name: one["problem"] for name, one in answer["needs"].items() if not one["ok"]}


def test_ready_is_what_can_serve_and_a_refused_policy_or_lost_evidence_is_not(serve):
    guard = serve({"p": puppet()})
    assert guard.modern().text("echo", text="x") == "x"
    answer = guard.open("GET", "/readyz")
    assert (answer.status, answer.json()["upstreams"][0]["name"]) == (200, "p")
    good = (guard.folder / "policy.yaml").read_text()
    replace(guard.folder / "policy.yaml", "version: 1\nrules: what")
    eventually(lambda: "policies" in missing(guard), "the refused policy")
    assert guard.open("GET", "/readyz").status == 503
    assert guard.modern().text("echo", text="still the old ones") == "still the old ones"
    replace(guard.folder / "policy.yaml", good + "\n")
    eventually(lambda: missing(guard) == {}, "the policy that was mended")
    shutil.rmtree(guard.audit_folder)
    guard.audit_folder.write_text("a file where the folder should be")
    assert "error" in guard.modern().call("echo", text="y")
    assert "evidence" in missing(guard)
    assert guard.open("GET", "/livez").body() == b"ok"
    guard.audit_folder.unlink()  # The folder is made again, and a new chain begins.
    eventually(lambda: missing(guard) == {}, "evidence")
    assert guard.modern().text("echo", text="z") == "z"
