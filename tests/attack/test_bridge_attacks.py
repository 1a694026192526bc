"""Threat: the suspended calls of the bridge (a legacy upstream asks, a modern client answers by a retry) are
answered by the wrong one, twice, or never."""

import json
import signal
from contextlib import contextmanager

import pytest

from tests.attack.processes import family, needs_proc
from tests.attack.test_leaks import assert_clean, hostile
from tests.wire.http_session import HttpGuard
from tests.wire.session import ALLOW_ALL, eventually, puppet

CAN = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
QUESTION = {"message": "Who?", "requestedSchema": SCHEMA}
ASK = f"got = ask('elicitation/create', **{QUESTION!r}); answer = text(json.dumps(got))"
ADA = {"action": "accept", "content": {"name": "Ada"}}
ALLOW = [
    *ALLOW_ALL,
    {
        "id": "questions",
        "effect": "allow",
        "action": ["elicitation/create", "sampling/createMessage", "roots/list"],
    },
]


def asked(client, code=ASK, tool="act"):
    """Call the tool, and give the `input_required` result."""
    result = client.call(tool, code=code)["result"]
    assert result["resultType"] == "input_required", result
    return result


def retry(client, result, responses=None, code=ASK, tool="act", **more):
    """Come back with the answers; gives the whole answer."""
    responses = {key: ADA for key in result["inputRequests"]} if responses is None else responses
    params = {"inputResponses": responses, "requestState": result["requestState"], **more}
    return client.ask("tools/call", name=tool, arguments={"code": code}, **params)


def content_text(answer):
    return answer["result"]["content"][0]["text"]


def content(answer):
    return json.loads(content_text(answer))


def refused_state(answer):
    """The one answer to a state that leads nowhere, whatever the reason is."""
    error = answer["error"]
    assert error["code"] == -32602
    assert error["message"].startswith("`requestState` is unknown, has expired or belongs to another request")
    return True


def test_a_modern_client_answers_what_a_legacy_upstream_asks(serve):
    client = serve({"only": puppet()}, ALLOW).modern(capabilities=CAN)
    result = asked(client)
    (key,) = result["inputRequests"]
    assert result["inputRequests"][key] == {"method": "elicitation/create", "params": QUESTION}
    answer = retry(client, result)
    assert answer["result"]["resultType"] == "complete"
    assert content(answer)["result"] == ADA


def test_a_client_is_asked_as_often_as_the_upstream_asks(serve):
    guard = serve({"only": puppet()}, ALLOW)
    client = guard.modern(capabilities=CAN)
    code = f"one = ask('elicitation/create', **{QUESTION!r}); two = ask('roots/list')\nanswer = text(json.dumps([one, two]))"
    first = asked(client, code)
    second = retry(client, first, code=code)["result"]
    assert [one["method"] for one in second["inputRequests"].values()] == ["roots/list"]
    assert second["requestState"] != first["requestState"]
    roots = {"roots": [{"uri": "file:///a"}]}
    answer = retry(client, second, {key: roots for key in second["inputRequests"]}, code=code)
    one, two = content(answer)
    assert (one["result"], two["result"]) == (ADA, roots)
    assert guard.unanswered() == set()


STATES = {
    "changed": lambda state: state[:-1] + ("A" if state[-1] != "A" else "B"),
    "longer": lambda state: state + "A",
    "shorter": lambda state: state[:-1],
    "empty": lambda state: "",
    "made up": lambda state: "A" * len(state),
}


def test_a_state_that_was_tampered_with_leads_nowhere_and_the_true_one_still_does(serve):
    client = serve({"only": puppet()}, ALLOW).modern(capabilities=CAN)
    result = asked(client)
    for change in STATES.values():
        forged = {**result, "requestState": change(result["requestState"])}
        assert refused_state(retry(client, forged))
    assert content(retry(client, result))["result"] == ADA


FOREIGN = {
    "another tool": {"tool": "echo"},
    "other arguments": {"code": ASK + " "},
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=list(FOREIGN))
def test_a_state_leads_to_the_same_request_only(serve, change):
    client = serve({"only": puppet()}, ALLOW).modern(capabilities=CAN)
    result = asked(client)
    assert refused_state(retry(client, result, **change))
    assert content(retry(client, result))["result"] == ADA


def test_a_state_is_of_no_use_twice(serve):
    guard = serve({"only": puppet()}, ALLOW)
    client = guard.modern(capabilities=CAN)
    result = asked(client)
    assert content(retry(client, result))["result"] == ADA
    assert refused_state(retry(client, result))
    assert client.text("act", code="answer = text(str(state['asked']))") == "1"


def test_two_retries_at_once_resume_the_call_once(serve):
    client = serve({"only": puppet()}, ALLOW).modern(capabilities=CAN)
    result = asked(client)
    params = {
        "name": "act",
        "arguments": {"code": ASK},
        "requestState": result["requestState"],
        "inputResponses": {key: ADA for key in result["inputRequests"]},
    }
    both = [client.open("tools/call", **params) for _ in range(2)]
    answers = [exchange.answer() for exchange in both]
    (right,) = [one for one in answers if "result" in one]
    (wrong,) = [one for one in answers if "error" in one]
    assert content(right)["result"] == ADA
    assert refused_state(wrong)


def test_answers_to_what_was_not_asked_reach_nobody(serve):
    client = serve({"only": puppet()}, ALLOW).modern(capabilities=CAN)
    result = asked(client)
    again = retry(client, result, {"other": ADA, "question-99": ADA})["result"]
    assert again["resultType"] == "input_required"
    assert list(again["inputRequests"].values()) == list(result["inputRequests"].values())
    assert content(retry(client, again))["result"] == ADA


def test_a_client_that_goes_away_while_it_thinks_leaves_the_call_open_for_its_retry(serve):
    guard = serve({"only": puppet()}, ALLOW)
    exchange = guard.modern(capabilities=CAN).open_call("act", code=ASK)
    result = exchange.answer()["result"]
    exchange.close()
    assert content(retry(guard.modern(capabilities=CAN), result))["result"] == ADA
    assert guard.statuses()[-1] == "ok"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_client_that_never_returns_leaves_an_outcome_when_the_process_ends(serve, number):
    guard = serve({"only": puppet()}, ALLOW)
    client = guard.modern(capabilities=CAN)
    asked(client)
    assert guard.statuses() == ["paused"]
    guard.signal(number)
    assert guard.wait() == 0
    assert guard.statuses() == ["paused", "abandoned"]
    assert guard.unanswered() == set()


@needs_proc
def test_a_call_whose_client_thinks_longer_than_a_session_may_be_idle_goes_on(serve):
    guard = serve({"only": puppet()}, ALLOW, http={"session_idle_seconds": 1})
    client = guard.modern(capabilities=CAN)
    result = asked(client)
    # This one is quiet for less time than the client that thinks.
    pid = guard.legacy().text("act", code="answer = text(str(os.getpid()))")
    eventually(lambda: int(pid) not in family(), "the end of the idle session")
    assert content(retry(client, result))["result"] == ADA
    assert guard.statuses() == ["paused", "ok", "resumed", "ok"]


def test_a_client_that_never_returns_costs_the_call_after_its_time_to_think(serve):
    guard = serve({"only": puppet()}, ALLOW, limits={"think_seconds": 0.5})
    client = guard.modern(capabilities=CAN)
    result = asked(client)
    guard.wait_stderr("[only] cancelled ")
    eventually(lambda: guard.statuses() == ["paused", "expired"], "the outcome")
    assert guard.unanswered() == set()
    assert refused_state(retry(client, result))
    assert client.text("echo", text="right") == "right"


def test_a_legacy_client_that_never_answers_is_told_that_the_question_is_withdrawn(serve):
    guard = serve({"only": puppet()}, ALLOW, limits={"think_seconds": 0.5})
    call = guard.legacy(capabilities=CAN).open_call("act", code=ASK)
    question = call.wait(lambda message: message.get("method") == "elicitation/create")
    withdrawn = call.wait(lambda message: message.get("method") == "notifications/cancelled")
    assert withdrawn["params"] == {"requestId": question["id"]}
    assert "within 0.5 seconds" in content(call.answer())["error"]["message"]


def test_a_retry_that_goes_away_in_the_middle_cancels_the_call_at_the_upstream(serve):
    guard = serve({"only": puppet()}, ALLOW)
    client = guard.modern(capabilities=CAN)
    code = f"got = ask('elicitation/create', **{QUESTION!r}); say('resumed'); silent = True"
    result = asked(client, code)
    params = {
        "requestState": result["requestState"],
        "inputResponses": {k: ADA for k in result["inputRequests"]},
    }
    exchange = client.open("tools/call", name="act", arguments={"code": code}, **params)
    guard.wait_stderr("[only] resumed")
    exchange.close()
    guard.wait_stderr("[only] cancelled ")
    eventually(lambda: guard.unanswered() == set(), "all outcomes")
    assert guard.statuses()[-1] == "disconnected"


DENIALS = {
    "no rule": ALLOW_ALL,
    "a rule": [*ALLOW, {"id": "never", "effect": "deny", "action": ["elicitation/create"]}],
}


@pytest.mark.parametrize("rules", DENIALS.values(), ids=list(DENIALS))
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_denied_question_is_an_error_for_the_upstream_and_the_call_goes_on(serve, rules, era):
    guard = serve({"only": puppet()}, rules)
    client = guard.modern(capabilities=CAN) if era == "modern" else guard.legacy(capabilities=CAN)
    answer = content(client.call("act", code=ASK))
    assert "error" in answer
    assert isinstance(answer["error"]["code"], int)
    denials = [one for one in guard.records("decision") if one["method"] == "elicitation/create"]
    assert [one["effect"] for one in denials] == ["deny"]
    assert guard.statuses() == ["ok"]
    assert b"Who?" not in guard.received


def test_a_client_that_cannot_be_asked_is_not_and_the_upstream_hears_so(serve):
    guard = serve({"only": puppet()}, ALLOW)
    answer = content(guard.modern().call("act", code=ASK))
    assert answer["error"]["code"] == -32601
    assert b"Who?" not in guard.received


def test_an_upstream_that_dies_while_its_client_thinks_ends_the_call_with_a_clear_error(serve):
    guard = serve({"only": puppet(), "other": puppet()}, ALLOW)
    client = guard.modern(capabilities=CAN)
    result = asked(client, tool="only__act")
    assert "exit status 3" in client.call("only__act", code="os._exit(3)")["error"]["message"]
    assert client.text("other__echo", text="x") == "x"
    assert "'only'" in retry(client, result, tool="only__act")["error"]["message"]
    assert guard.unanswered() == set()


def test_a_secret_in_a_question_is_taken_out_for_both_eras(serve, tmp_path):
    guard = serve({"only": hostile(tmp_path)}, ALLOW)
    code = (
        "got = ask('elicitation/create', message=' '.join(forms(token)), requestedSchema={'type': 'object',"
        " 'properties': {token: {'type': 'string', 'description': token}}}, _meta={token: token})\n"
        "answer = text(json.dumps(got) + token)"
    )
    modern = guard.modern(capabilities=CAN)
    result = asked(modern, code)
    assert content_text(retry(modern, result, code=code))
    legacy = guard.legacy(capabilities=CAN)
    call = legacy.open_call("act", code=code)
    question = call.wait(lambda message: message.get("method") == "elicitation/create")
    assert legacy.reply(question, **ADA) == 202
    assert content_text(call.answer())
    assert_clean(guard)


def test_two_clients_that_are_asked_under_the_same_id_answer_their_own_upstreams_only(serve):
    guard = serve({"only": puppet()}, ALLOW)
    clients = [guard.legacy(capabilities=CAN), guard.legacy(capabilities=CAN)]
    calls = [client.open_call("act", code=ASK) for client in clients]
    questions = [call.wait(lambda message: message.get("method") == "elicitation/create") for call in calls]
    assert questions[0]["id"] == questions[1]["id"]
    for n in (1, 0):
        own = {"action": "accept", "content": {"name": str(n)}}
        assert clients[n].reply(questions[n], **own) == 202
        assert content(calls[n].answer())["result"] == own


@contextmanager
def ended(folder, servers, rules):
    """A guard that ends with the block."""
    guard = HttpGuard(folder, servers, rules)
    try:
        yield guard
    finally:
        guard.dispose()


def test_a_state_means_nothing_to_the_next_process(tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    with ended(folders[0], {"only": puppet()}, ALLOW) as guard:
        result = asked(guard.modern(capabilities=CAN))
    with ended(folders[1], {"only": puppet()}, ALLOW) as guard:
        assert refused_state(retry(guard.modern(capabilities=CAN), result))
