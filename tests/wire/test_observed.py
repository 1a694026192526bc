"""`observe` over the wire: it changes with the configuration, and says so where an operator looks."""

from datetime import UTC, datetime, timedelta

from tests.wire.session import eventually, puppet
from tests.wire.test_reloading import CHANGED, change, notices, status

NO_ECHO = [{"id": "no", "effect": "deny", "tools": ["echo"]}, {"id": "all", "effect": "allow"}]
SERVERS = {"one": puppet(), "two": puppet()}


def observing(*servers, days=0):
    day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    return {"until": day, "servers": list(servers)}


def refused(answer):
    return answer.get("error", {}).get("message", "").startswith("Unknown tool")


def test_it_is_taken_up_and_ended_with_a_changed_configuration(session):
    guard = session(SERVERS, NO_ECHO)
    assert not {"one__echo", "two__echo"} & {*guard.tools()}
    change(guard, SERVERS, NO_ECHO, observe=observing("one"))
    guard.wait_message(lambda one: one.get("method") == CHANGED)
    assert guard.text("one__echo", text="x") == "x"
    assert refused(guard.call("two__echo", text="x"))
    said = f"one until the end of {observing('one')['until']} (UTC)"
    eventually(lambda: status(guard.folder)["observing"] == said, "the status says so")
    change(guard, SERVERS, NO_ECHO)
    guard.wait_stderr("policies are enforced from now on for one")
    assert refused(guard.call("one__echo", text="x"))
    assert "one__echo" not in guard.tools()
    assert (notices(guard, "policy-observed"), notices(guard, "policy-enforced")) == ([said], [said])
    assert notices(guard, "configuration-reloaded") == ["observe", "observe"]
    eventually(lambda: status(guard.folder)["observing"] == "", "the status says so no more")


def test_changed_policies_are_observed_like_those_before(session):
    guard = session(SERVERS, NO_ECHO, observe=observing("one"))
    assert guard.text("one__echo", text="x") == "x"
    change(guard, SERVERS, [{"id": "none", "effect": "deny"}], observe=observing("one"))
    guard.wait_stderr("changed policies are now in force")
    assert guard.text("one__echo", text="x") == "x"
    assert guard.decided()["observed"] == {"cause": "rule", "rules": ["test/none"]}
    assert len(notices(guard, "policy-observed")) == 1


def test_a_day_that_has_passed_and_one_that_is_too_far_ahead_observe_nothing(start):
    for days, said in ((-1, "`observe` ended with"), (40, "more than 31 days ahead, so it has no effect")):
        guard = start(SERVERS, NO_ECHO, observe=observing("one", days=days))
        guard.hello()
        guard.wait_stderr(said)
        assert refused(guard.call("one__echo", text="x"))
        assert notices(guard, "policy-observed") == []
        assert guard.end() == 0


def test_in_the_view_of_a_client_it_is_for_its_servers_alone(start):
    clients = {"desk": {"servers": ["one"]}, "editor": {"servers": ["two"]}}
    for agent, observed in (("desk", False), ("editor", True)):
        guard = start(SERVERS, NO_ECHO, words=("--agent", agent), clients=clients, observe=observing("two"))
        guard.hello()
        assert refused(guard.call("echo", text="x")) != observed
        assert bool(notices(guard, "policy-observed")) == observed
        assert (b"observing two" in guard.stderr) == observed
        assert guard.end() == 0
