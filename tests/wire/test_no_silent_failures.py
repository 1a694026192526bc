"""Law 13: what mcpguard cannot do is seen at once wherever an operator looks, and so is that it can again: standard
error, `/readyz`, `mcpguard status` and `/metrics`."""

import json
import re
import shutil
from contextlib import contextmanager
from functools import partial

import pytest
import yaml

from tests.wire.http_session import HttpGuard
from tests.wire.session import eventually, puppet, replace
from tests.wire.test_telemetry import Receiver
from tests.wire.warm import command


@contextmanager
def evidence(guard):
    """No record can be written."""
    shutil.rmtree(guard.audit_folder)
    guard.audit_folder.write_text("a file where the folder should be")
    guard.modern().call("echo", text="x")
    yield
    guard.audit_folder.unlink()


@contextmanager
def changed(path, text):
    good = path.read_text()
    replace(path, text)
    yield
    replace(path, good)


def policies(guard):
    """A policy has a mistake."""
    return changed(guard.folder / "policy.yaml", "version: 1\nrules: what")


def configuration(guard):
    """The configuration has one."""
    return changed(guard.config, "version: 1\nservers: what")


def restart(guard):
    """The configuration is right, and cannot be in force before a restart."""
    config = yaml.safe_load(guard.config.read_text())
    return changed(guard.config, json.dumps({**config, "http": {"allowed_hosts": ["a.example"]}}))


@contextmanager
def store(guard):
    """The file with sessions cannot be used."""
    folder = guard.folder / "sessions"
    shutil.rmtree(folder)
    folder.write_text("a file where the folder should be")
    guard.modern().call("echo", text="x")
    yield
    folder.unlink()
    guard.modern().call("echo", text="x")


@contextmanager
def sink(guard):
    """A sink takes nothing, and who configured it wants every request refused then."""
    guard.receiver.down = True
    guard.modern().call("echo", text="x")
    yield
    guard.receiver.down = False


FAILURES = {
    "evidence": (evidence, "evidence", "no evidence can be written", "evidence can be written again"),
    "a policy": (policies, "policies", "the changed policies were not loaded", "the policy files match"),
    "the configuration": (
        configuration,
        "policies",
        "the changed configuration was not applied",
        "the configuration file matches",
    ),
    "a change that needs a restart": (
        restart,
        "policies",
        "the changed configuration was not applied: `http` cannot change",
        "the configuration file matches",
    ),
    "the store": (store, "store", "not ready, store: ", "the store can be used again"),
    "a sink": (sink, "telemetry", "a sink accepts no evidence", "all sinks accept evidence again"),
}
"""What fails, the need that is not met or has a warning then, and what standard error says at either change."""
SERVES_AS_BEFORE = {"a policy", "the configuration", "a change that needs a restart"}
"""Then it stays ready: a load balancer that took it away would end what works."""
LIMITED = [{"id": "all", "effect": "allow", "limit": {"calls": 1000, "per": "1h"}}]


@pytest.fixture
def guard(tmp_path):
    receiver = Receiver()
    telemetry = {
        "metrics": True,
        "sinks": [{"to": f"{receiver.url}/in", "format": "ocsf"}],
        "on_sink_failure": "block",
    }
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    session = {"path": "sessions"}
    one = HttpGuard(tmp_path, {"p": puppet()}, LIMITED, env=state, session=session, telemetry=telemetry)
    one.receiver = receiver
    yield one
    one.dispose()
    receiver.close()


def seen(guard):
    """What is missing and what has a warning, by each place where an operator looks, and whether it is ready."""
    ready = guard.open("GET", "/readyz")
    metrics = guard.open("GET", "/metrics").body().decode().splitlines()
    status = command("status", "--json", environment={"XDG_STATE_HOME": str(guard.folder / "state")})
    (process,) = json.loads(status.stdout)["running"]
    signs = (r'mcpguard_ready\{need="(\w+)"\} 0', r'mcpguard_warning\{need="(\w+)"\} 1')
    needs = ready.json()["needs"].values()
    missing = {one["name"] for one in needs if not one["ok"]}
    found = {
        "/readyz": missing | {one["name"] for one in needs if one["warning"]},
        "/metrics": {one[1] for line in metrics for sign in signs if (one := re.fullmatch(sign, line))},
        "status": {one["name"] for one in process["needs"] if one["warning"] or not one["ok"]},
    }
    assert (ready.status == 503) == bool(missing)
    assert (status.returncode == 1) == bool(found["status"])
    return found, ready.status == 200


@pytest.mark.parametrize("what", FAILURES)
def test_what_fails_is_seen_in_every_place_and_so_is_that_it_works_again(guard, what):
    fails, need, said, again = FAILURES[what]
    assert guard.modern().text("echo", text="x") == "x"
    assert not any(seen(guard)[0].values())
    with fails(guard):
        # Without evidence a sink has nothing to take, so that it may be missing too.
        eventually(lambda: all(need in one for one in seen(guard)[0].values()), f"{what}: {seen(guard)}")
        guard.wait_stderr(f"mcpguard: {said}")
        assert seen(guard)[1] == (what in SERVES_AS_BEFORE)
        assert not seen(guard)[1] or guard.modern().text("echo", text="as before") == "as before"
    eventually(lambda: not any(seen(guard)[0].values()), f"the end of it: {seen(guard)}")
    guard.wait_stderr(f"info mcpguard: {again}")
    assert guard.modern().text("echo", text="y") == "y"


def test_the_slower_engine_is_named_where_the_faster_cannot_be_imported(tmp_path):
    broken = tmp_path / "broken" / "cel_expr_python"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text('raise ImportError("a library is missing")')
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(broken.parent)}
    conditional = [{"id": "some", "effect": "allow", "when": 'args.text != "never"'}]
    said = (
        "policy conditions are evaluated by the slower engine, cel-python: cel-expr-python is not installed"
    )
    guard = HttpGuard(tmp_path, {"p": puppet()}, conditional, env=state, cold=True)
    try:
        assert said.encode() in guard.stderr
        needs = guard.open("GET", "/readyz").json()["needs"]
        assert needs["policies"]["ok"]
        assert needs["policies"]["warning"].startswith(said)
        status = command("status", environment=state).stdout.decode()
        assert "policies" in status
        assert "slower engine" in status
        assert guard.modern().call("echo", text="x")["result"]["content"][0]["text"] == "x"
    finally:
        guard.dispose()


def test_a_condition_that_the_faster_engine_leaves_to_the_slower_is_no_failure(tmp_path):
    conditional = [{"id": "some", "effect": "allow", "when": "[args.text].all(one, !secretName(one))"}]
    guard = HttpGuard(tmp_path, {"p": puppet()}, conditional, cold=True)
    try:
        assert b"slower engine" not in guard.stderr
        assert not guard.open("GET", "/readyz").json()["needs"]["policies"]["warning"]
        assert guard.modern().text("echo", text="x") == "x"
    finally:
        guard.dispose()


def test_that_the_keys_of_an_issuer_cannot_be_fetched_is_seen_in_every_place(tmp_path):
    token = {"issuer": "http://127.0.0.1:9", "audience": "http://127.0.0.1:8/mcp", "algorithms": ["RS256"]}
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    guard = HttpGuard(tmp_path, {"p": puppet()}, LIMITED, env=state, http={"token": token})
    said = "the keys of http://127.0.0.1:9 cannot be fetched: "
    try:
        bearer = "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA"
        guard.wait_stderr(said)  # Nobody has asked for anything yet.
        refused = guard.open("POST", body=b"{}", Authorization=bearer)
        assert (refused.status, refused.header("retry-after")) == (503, "5")
        ready = guard.open("GET", "/readyz")
        assert ready.status == 503
        # Why is for those with a token, and none can be verified now.
        assert ready.json()["needs"]["tokens"] is False
        status = partial(command, "status", environment=state)
        eventually(lambda: said in " ".join(status().stdout.decode().split()), "the problem in status")
        assert status().returncode == 1
    finally:
        guard.dispose()


TROUBLE = {"failing", "waiting", "failed"}


def test_an_upstream_that_fails_is_seen_in_every_place(tmp_path):
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    servers = {"p": puppet(), "bad": {"command": "false"}}
    guard = HttpGuard(tmp_path, servers, LIMITED, env=state, telemetry={"metrics": True})

    def places():
        ready = guard.open("GET", "/readyz").json()["upstreams"]
        metrics = guard.open("GET", "/metrics").body().decode().splitlines()
        (process,) = json.loads(command("status", "--json", environment=state).stdout)["running"]
        found = re.compile(r'mcpguard_upstreams\{server="bad",state="(\w+)"\} 1')
        return [
            {one["state"] for one in ready if one["name"] == "bad"} & TROUBLE,
            {one[1] for line in metrics if (one := found.fullmatch(line))} & TROUBLE,
            {one["state"] for one in process["upstreams"] if one["name"] == "bad"} & TROUBLE,
        ]

    try:
        guard.modern().ask("tools/list")
        eventually(lambda: all(places()), "an upstream that fails in every place")
        assert guard.open("GET", "/readyz").status == 200
        assert command("status", environment=state).returncode == 1
    finally:
        guard.dispose()
