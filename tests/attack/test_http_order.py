"""Cancellation, progress and order over HTTP: whoever goes away or speaks first, each gets what is its own."""

import json

import pytest

from tests.wire.session import eventually, puppet

WAIT = "say('in %d' % request_id); silent = True"
STEPS = (
    "for n in range(1, 51): notify('notifications/progress',"
    " progressToken=params['_meta']['progressToken'], progress=n)\n"
)


def clients(guard):
    return {"modern": guard.modern, "legacy": guard.legacy}


def upstream_id(guard):
    """The id that the last call has at its upstream."""
    eventually(lambda: b"[only] in " in guard.stderr, "the call at its upstream")
    return guard.stderr.rpartition(b"[only] in ")[2].split(b"\n")[0].decode()


def test_a_modern_client_that_disconnects_cancels_its_call_at_the_upstream(serve):
    guard = serve({"only": puppet()})
    client = guard.modern()
    waiting = client.open_call("act", code=WAIT)
    number = upstream_id(guard)
    waiting.close()
    guard.wait_stderr(f"[only] cancelled {number}")
    eventually(lambda: guard.statuses() == ["disconnected"], "the outcome")
    assert client.text("echo", text="next") == "next"


def test_a_modern_client_that_disconnects_cancels_no_call_of_another(serve):
    guard = serve({"only": puppet()})
    first, second = guard.modern(), guard.modern()
    kept = first.open_call("act", code=WAIT + "; state['kept'] = request_id")
    upstream_id(guard)
    gone = second.open_call("act", code="say('also %d' % request_id); silent = True")
    guard.wait_stderr("[only] also ")
    gone.close()
    guard.wait_stderr("[only] cancelled ")
    assert second.text("act", code="send({'id': state['kept'], 'result': text('kept')})") == "done"
    assert kept.answer()["result"]["content"][0]["text"] == "kept"
    assert sorted(guard.statuses()) == ["disconnected", "ok", "ok"]


def test_a_legacy_client_that_disconnects_cancels_nothing_and_its_call_goes_on_to_its_outcome(serve):
    guard = serve({"only": puppet()})
    client = guard.legacy()
    waiting = client.open_call("act", code=WAIT + "; state['kept'] = request_id")
    upstream_id(guard)
    waiting.close()
    code = "send({'id': state['kept'], 'result': text('kept')})"
    assert client.text("act", code=code) == "done"
    eventually(lambda: guard.statuses() == ["ok", "ok"], "both outcomes")
    assert b"cancelled" not in guard.stderr
    assert client.text("echo", text="next") == "next"


def test_a_cancellation_that_a_legacy_client_posts_reaches_the_upstream_under_its_own_id(serve):
    guard = serve({"only": puppet()})
    client = guard.legacy()
    waiting = client.open("tools/call", "mine", name="act", arguments={"code": WAIT})
    number = upstream_id(guard)
    assert client.tell("notifications/cancelled", requestId="other") == 202
    assert client.tell("notifications/cancelled", requestId="mine") == 202
    guard.wait_stderr(f"[only] cancelled {number}")
    assert waiting.messages() == []
    eventually(lambda: guard.statuses() == ["cancelled"], "the outcome")
    assert client.text("echo", text="next") == "next"


def test_a_cancellation_with_the_id_of_another_session_cancels_nothing_there(serve):
    guard = serve({"only": puppet()})
    first, second = guard.legacy(), guard.legacy()
    waiting = first.open(
        "tools/call", 77, name="act", arguments={"code": WAIT + "; state['kept'] = request_id"}
    )
    upstream_id(guard)
    assert second.tell("notifications/cancelled", requestId=77) == 202
    assert second.text("echo", text="mine") == "mine"
    assert first.text("act", code="send({'id': state['kept'], 'result': text('kept')})") == "done"
    assert waiting.answer()["result"]["content"][0]["text"] == "kept"
    assert b"cancelled" not in guard.stderr


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_all_fifty_steps_of_progress_come_in_order_before_the_result(serve, era):
    client = clients(serve({"only": puppet()}))[era]()
    call = client.open("tools/call", name="act", arguments={"code": STEPS}, _meta={"progressToken": "mine"})
    *steps, last = call.messages()
    assert [one["params"]["progress"] for one in steps] == list(range(1, 51))
    assert {one["params"]["progressToken"] for one in steps} == {"mine"}
    assert last["result"]["content"][0]["text"] == "done"


def test_two_modern_clients_with_the_same_ids_and_progress_tokens_get_their_own(serve):
    guard = serve({"only": puppet()})
    clients = [guard.modern(), guard.modern()]
    code = "state.setdefault('held', []).append((request_id, params)); silent = True"
    open_ones = [
        client.open("tools/call", 7, {"progressToken": 7}, name="act", arguments={"code": f"{code}  # {n}"})
        for n, client in enumerate(clients)
    ]
    release = (
        "for rid, asked in reversed(state['held']):\n"
        "    mark = asked['arguments']['code'][-1]\n"
        "    notify('notifications/progress', progressToken=asked['_meta']['progressToken'], progress=1,"
        " message=mark)\n"
        "    send({'id': rid, 'result': text(mark)})\n"
    )
    # Its own call may overtake the second one on its way: so it is asked for both.
    eventually(
        lambda: guard.modern().text("act", code="answer = text(str(len(state['held'])))") == "2", "two"
    )
    assert guard.modern().text("act", code=release) == "done"
    for mark, exchange in zip("01", open_ones, strict=True):
        progress, answer = exchange.messages()
        assert progress["params"] == {"progressToken": 7, "progress": 1, "message": mark}
        assert answer["id"] == 7
        assert answer["result"]["content"][0]["text"] == mark


def test_two_legacy_sessions_with_the_same_ids_have_upstreams_of_their_own(serve):
    guard = serve({"only": puppet()})
    clients = [guard.legacy(), guard.legacy()]
    pids = []
    for n, client in enumerate(clients):
        client.text("act", code=f"state['mark'] = {n}")
        pids.append(client.text("act", code="answer = text(str(os.getpid()))"))
    assert len(set(pids)) == 2
    for n, client in enumerate(clients):
        answer = client.open(
            "tools/call", 5, name="act", arguments={"code": "answer = text(str(state['mark']))"}
        )
        message = answer.answer()
        assert (message["id"], message["result"]["content"][0]["text"]) == (5, str(n))


def test_answers_come_on_the_exchange_of_their_request_whatever_their_order(serve):
    guard = serve({"only": puppet()})
    client = guard.legacy()
    code = "state.setdefault('held', []).append(request_id); silent = True"
    open_ones = [client.open_call("act", code=code) for _ in range(20)]
    eventually(lambda: client.text("act", code="answer = text(str(len(state['held'])))") == "20", "all held")
    client.text("act", code="[send({'id': n, 'result': text(str(n))}) for n in reversed(state['held'])]")
    answers = [exchange.answer() for exchange in open_ones]
    assert [answer["id"] for answer in answers] == [n + 2 for n in range(20)]
    assert len({json.dumps(answer["result"]) for answer in answers}) == 20
