"""Whether a call still waits for its ticket: right for whoever looks, also where processes share the state and
one of them is killed."""

import json
import signal
from functools import partial

from mcpguard.cli import main
from mcpguard.config.loading import load_config
from mcpguard.serve.interventions import store_of
from tests.wire.http_session import HttpGuard
from tests.wire.session import Guard, eventually, puppet
from tests.wire.warm import command

RULES = [{"id": "act", "effect": "ask", "tools": ["act"]}]
CALL = {"name": "act", "arguments": {"code": "answer = text('done')"}}


def settings(folder):
    return {"approvals": {"wait_seconds": 60}, "session": {"path": str(folder / "sessions")}}


def test_two_processes_wait_for_one_ticket_and_are_killed(tmp_path, capsys):
    guards = [Guard(tmp_path, {"p": puppet()}, RULES, **settings(tmp_path)) for _ in range(2)]
    store = store_of(load_config(guards[0].config))
    try:
        for count, guard in enumerate(guards, 1):
            guard.hello()
            guard.request("tools/call", CALL)
            locks = partial(locks_in, tmp_path / "sessions")
            eventually(lambda count=count, locks=locks: len(locks()) == count, "a call that waits")
        (ticket,) = store.waiting()
        assert listed(capsys, guards[0])["waits_since"] is not None
        guards[0].signal(signal.SIGKILL)
        guards[0].wait()
        assert ticket.id in store.waited_for()
        guards[1].signal(signal.SIGKILL)
        guards[1].wait()
        assert store.waited_for() == {}
        assert listed(capsys, guards[0])["waits_since"] is None
        assert main(["approvals", "--config", str(guards[0].config)]) == 0
        shown = capsys.readouterr().out
        assert "no call waits for these any more; an approval is valid for the same call made again" in shown
        assert ticket.id in shown
    finally:
        for guard in guards:
            guard.dispose()


def locks_in(folder):
    return list(folder.glob("*.waits"))


def listed(capsys, guard):
    assert main(["approvals", "--json", "--config", str(guard.config)]) == 0
    (one,) = json.loads(capsys.readouterr().out)["waiting"]
    return one


def test_a_process_says_everywhere_how_many_of_its_calls_wait(tmp_path):
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    more = settings(tmp_path) | {"telemetry": {"metrics": True}}
    guard = HttpGuard(tmp_path, {"p": puppet()}, RULES, env=state, **more)
    (tmp_path / "audit").mkdir(exist_ok=True)

    def listed():
        (process,) = json.loads(command("status", "--json", environment=state).stdout)["running"]
        return process["waiting"]

    def measured():
        return "mcpguard_waiting_calls 2\n" in guard.open("GET", "/metrics").body().decode()

    try:
        client = guard.modern()
        for number in range(2):
            client.open_call("act", code=f"answer = text('{number}')")
        eventually(measured, "two calls that wait in the metrics")
        eventually(lambda: listed() == 2, "two calls that wait in the status")
        table = command("status", environment=state).stdout.decode()
        assert "2 calls for a person" in " ".join(table.split())
        top = command("top", "--once", "--config", str(guard.config), environment=state).stdout.decode()
        assert "WAITING FOR A PERSON: 2 CALLS" in top
    finally:
        guard.dispose()
