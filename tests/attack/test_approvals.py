"""What happens to calls that wait for a person: to the process, the store, the client and the upstream."""

import shutil
import sqlite3

import pytest

from tests.wire.http_session import HttpGuard
from tests.wire.session import eventually, puppet
from tests.wire.test_approvals import RULES, approved, at_terminal, ticket
from tests.wire.warm import command

APPROVED = b'{"verdict":"approved","by":"test","via":"terminal"}'
ACT = [{"id": "act", "effect": "ask", "tools": ["act"]}, {"id": "rest", "effect": "allow"}]


@pytest.fixture
def asking(start, tmp_path):
    """A client has said hello; its calls of `act` wait."""

    def begin(rules=ACT, wait=60, **more):
        terms = {"wait_seconds": wait}
        guard = start({"p": puppet()}, rules, approvals=terms, session={"path": str(tmp_path / "s")}, **more)
        guard.hello()
        return guard

    return begin


def begun(guard, number, code="answer = text('done')"):
    params = {"name": "act", "arguments": {"code": code, "n": number}}
    return guard.request("tools/call", params)


def all_wait(tmp_path, count):
    def found():
        try:
            with sqlite3.connect(f"file:{tmp_path}/s/state.sqlite?mode=ro", uri=True) as database:
                return database.execute("SELECT count(*) FROM tickets").fetchone() == (count,)
        except sqlite3.OperationalError:
            return False

    eventually(found, f"{count} tickets")


def test_the_process_ends_in_order_while_calls_wait(asking, tmp_path):
    guard = asking()
    for number in range(10):
        begun(guard, number)
    all_wait(tmp_path, 10)
    guard.signal(15)
    assert guard.wait() == 0
    assert command("audit", "verify", str(guard.audit_folder)).returncode == 0


def test_a_hundred_calls_wait_and_hold_up_no_other(asking, tmp_path):
    guard = asking()
    waiting = [begun(guard, number) for number in range(100)]
    all_wait(tmp_path, 100)
    assert guard.text("echo", text="x") == "x"
    assert "could not be asked" in str(guard.answer(begun(guard, "one more")))
    with sqlite3.connect(tmp_path / "s" / "state.sqlite") as database:
        database.execute("UPDATE tickets SET state = 'approved', answer = ?", (APPROVED,))
    assert all("done" in str(guard.answer(one)) for one in waiting)
    assert len(set(approved(guard.folder))) == 100


def test_a_store_that_is_taken_away_while_a_call_waits_refuses_it(asking, tmp_path):
    guard = asking()
    call = begun(guard, 1)
    all_wait(tmp_path, 1)
    shutil.rmtree(tmp_path / "s")
    assert "cannot see at the moment" in str(guard.answer(call))
    again = begun(guard, 1)
    all_wait(tmp_path, 1)
    at_terminal("approve", ticket(guard.config), "--config", str(guard.config))
    assert "done" in str(guard.answer(again))


def test_a_store_that_another_process_holds_refuses_and_keeps_the_ticket(asking, tmp_path):
    guard = asking()
    call = begun(guard, 1)
    all_wait(tmp_path, 1)
    at_terminal("approve", ticket(guard.config), "--config", str(guard.config))
    assert "done" in str(guard.answer(call))
    other = begun(guard, 2)
    all_wait(tmp_path, 2)
    found = ticket(guard.config)
    database = sqlite3.connect(tmp_path / "s" / "state.sqlite", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE tickets SET state = 'approved', answer = ? WHERE id = ?", (APPROVED, found))
    assert "could not be asked" in str(guard.answer(begun(guard, 3)))
    assert guard.text("echo", text="x") == "x"
    database.execute("COMMIT")
    database.close()
    assert "done" in str(guard.answer(other))


def test_an_upstream_that_ends_while_a_call_waits_serves_it_when_it_is_back(asking, tmp_path):
    rules = [{"id": "echo", "effect": "ask", "tools": ["echo"]}, {"id": "rest", "effect": "allow"}]
    guard = asking(rules)
    call = guard.request("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    all_wait(tmp_path, 1)
    assert "error" in guard.call("act", code="os._exit(3)")
    eventually(lambda: "result" in guard.call("act", code="answer = text('up')"), "the upstream")
    at_terminal("approve", ticket(guard.config), "--config", str(guard.config))
    assert guard.answer(call)["result"]["content"][0]["text"] == "x"


def test_a_client_that_cancels_leaves_the_approval_to_the_same_call(asking, tmp_path):
    guard = asking()
    call = begun(guard, 1)
    all_wait(tmp_path, 1)
    found = ticket(guard.config)
    guard.notify("notifications/cancelled", requestId=call)
    assert guard.text("echo", text="x") == "x"
    at_terminal("approve", found, "--config", str(guard.config))
    assert approved(guard.folder) == []
    other = begun(guard, 2)
    all_wait(tmp_path, 2)
    assert "done" in str(guard.answer(begun(guard, 1)))
    guard.notify("notifications/cancelled", requestId=other)


@pytest.fixture
def over_http(tmp_path):
    more = {"approvals": {"wait_seconds": 60}, "session": {"path": str(tmp_path / "s")}}
    guard = HttpGuard(tmp_path, {"p": puppet()}, RULES, **more)
    yield guard
    guard.dispose()


def test_a_modern_client_over_http_that_is_gone_makes_no_call(over_http, tmp_path):
    client = over_http.modern()
    call = client.open_call("echo", text="x")
    found = ticket(over_http.config)
    call.close()
    client.tools()  # The end of the connection before it is noticed by then.
    at_terminal("approve", found, "--config", str(over_http.config))
    assert approved(tmp_path) == []
    assert client.open_call("echo", text="x").answer()["result"]["content"][0]["text"] == "x"
    assert [one.split()[0] for one in approved(tmp_path)] == [found]


def test_a_legacy_client_over_http_whose_connection_ended_has_not_cancelled(over_http, tmp_path):
    client = over_http.legacy()
    call = client.open_call("echo", text="x")
    found = ticket(over_http.config)
    call.close()
    at_terminal("approve", found, "--config", str(over_http.config))
    eventually(lambda: approved(tmp_path), "the call that was approved")
    client.open_call("echo", text="x")
    assert ticket(over_http.config) != found
    assert len(approved(tmp_path)) == 1
