"""The channel `client` over the wire: the caller's own client is asked, over every transport and in both eras."""

import contextlib
import shutil

import pytest

from tests.wire.http_session import HttpGuard
from tests.wire.session import Guard, eventually, puppet, verify
from tests.wire.test_approvals import approved, at_terminal, ticket
from tests.wire.voices import VOICES

ASK = {"id": "push", "effect": "ask", "tools": ["echo"], "message": "Others see it."}
ALSO = [{**ASK, "ask": {"via": ["client", "terminal"]}}]
YES = {"action": "accept", "content": {"decision": "approve"}}
NO = {"action": "accept", "content": {"decision": "deny", "reason": "Not today."}}


@pytest.fixture(params=sorted(VOICES), ids="-".join)
def voice(request, tmp_path):
    """A client that can show a form, in front of one tool that is asked about."""
    kind, _era = request.param
    more = {"approvals": {"wait_seconds": 60}, "session": {"path": str(tmp_path / "s")}}
    made = Guard if kind == "stdio" else HttpGuard
    with contextlib.ExitStack() as over:
        guard = made(tmp_path, {"p": puppet()}, ALSO, **more)
        over.callback(guard.dispose)
        one = VOICES[request.param](guard)
        over.callback(one.close)
        yield one


def asked(voice, call):
    """The question about the call, as its era puts it."""
    if not voice.modern:
        return voice.wait(lambda message: message.get("method") == "elicitation/create")
    question = voice.answer(call)
    assert question["result"]["resultType"] == "input_required", question
    return question


def said(voice, question, response, **args):
    """Answer it; gives the id of the request that is to be answered then, None for the first."""
    if not voice.modern:
        voice.reply(question, **response)
        return None
    state = question["result"]["requestState"]
    more = {"requestState": state, "inputResponses": {"approval": response}}
    return voice.begin("tools/call", name="echo", arguments={"text": "x", **args}, **more)


def begun(voice):
    """Call the tool."""
    return voice.begin("tools/call", name="echo", arguments={"text": "x"})


def test_the_client_approves_its_call(voice):
    call = begun(voice)
    question = asked(voice, call)
    assert "tools/call p/echo" in str(question)
    assert 'text: \\"x\\"' in str(question) or 'text: "x"' in str(question)
    answer = voice.answer(said(voice, question, YES) or call)
    assert answer["result"]["content"][0]["text"] == "x"
    (by,) = approved(voice.guard.folder)
    assert by.endswith(" (client)")


def test_the_client_denies_its_call(voice):
    call = begun(voice)
    question = asked(voice, call)
    answer = voice.answer(said(voice, question, NO) or call)
    assert "A person refused this call: Not today." in str(answer)
    assert approved(voice.guard.folder) == []


def test_the_client_dismisses_the_question_and_a_person_at_a_terminal_approves(voice):
    call = begun(voice)
    question = asked(voice, call)
    again = said(voice, question, {"action": "cancel"}) or call
    at_terminal("approve", ticket(voice.guard.config), "--config", str(voice.guard.config))
    assert voice.answer(again)["result"]["content"][0]["text"] == "x"
    (by,) = approved(voice.guard.folder)
    assert by.endswith(" (terminal)")


def test_somebody_else_approves_first(voice):
    call = begun(voice)
    question = asked(voice, call)
    at_terminal("approve", ticket(voice.guard.config), "--config", str(voice.guard.config))
    if voice.modern:
        call = said(voice, question, YES)
    else:
        withdrawn = voice.wait(lambda message: message.get("method") == "notifications/cancelled")
        assert withdrawn["params"]["requestId"] == question["id"]
    assert voice.answer(call)["result"]["content"][0]["text"] == "x"
    (by,) = approved(voice.guard.folder)
    assert by.endswith(" (terminal)")


def test_forged_and_changed_answers_count_for_nothing(voice):
    call = begun(voice)
    question = asked(voice, call)
    if voice.modern:
        forged = {"result": {"requestState": "made-up"}}
        assert "`requestState` is unknown" in str(voice.answer(said(voice, forged, YES)))
        changed = said(voice, question, YES, text="y")
        assert "`requestState` is unknown" in str(voice.answer(changed))
    else:
        voice.reply({"id": "mcpguard-999"}, **YES)
        voice.reply({"id": question["id"] + "0"}, **YES)
        voice.ask("ping")
    assert ticket(voice.guard.config)
    assert approved(voice.guard.folder) == []


def test_a_client_that_goes_away_leaves_the_ticket_to_others(voice):
    call = begun(voice)
    asked(voice, call)
    if not voice.modern:
        voice.cancel(call)
    voice.close()
    found = ticket(voice.guard.config)
    at_terminal("approve", found, "--config", str(voice.guard.config))
    assert approved(voice.guard.folder) == []


def test_a_client_that_shows_no_forms_hears_whom_to_turn_to(start, tmp_path):
    rules = [{**ASK, "ask": {"via": "client"}}]
    guard = start({"p": puppet()}, rules, session={"path": str(tmp_path / "s")})
    guard.hello()
    assert "ask the owner of the policy to allow another channel" in str(guard.call("echo", text="x"))


def test_a_question_that_nobody_answers_is_withdrawn(start, tmp_path):
    rules = [{**ASK, "ask": {"via": "client"}}]
    limits = {"think_seconds": 1}
    guard = start({"p": puppet()}, rules, session={"path": str(tmp_path / "s")}, limits=limits)
    guard.hello(capabilities={"elicitation": {}})
    assert "The user was asked and has not answered" in str(guard.call("echo", text="x"))
    eventually(lambda: guard.notifications("notifications/cancelled"), "a withdrawn question")


def test_the_process_ends_in_order_though_a_question_is_open(voice):
    asked(voice, begun(voice))
    voice.guard.signal(15)
    assert voice.guard.wait() == 0
    assert verify(voice.guard.audit_folder)[0] == 0


def test_a_state_file_that_is_gone_refuses_what_the_client_approves(voice, tmp_path):
    call = begun(voice)
    question = asked(voice, call)
    shutil.rmtree(tmp_path / "s")
    answer = voice.answer(said(voice, question, YES) or call)
    if voice.modern:  # The ticket is gone, so its answer is for none: the client is asked anew.
        assert answer["result"]["resultType"] == "input_required"
    else:
        assert "mcpguard cannot see at the moment whether a person has answered" in str(answer)
    assert approved(voice.guard.folder) == []
