"""One body for each behaviour: every transport and era of a client, times every transport and era of an upstream.

The upstream speaks the one era of its cell only. The clients are raw, so that each message is what the cell says;
`tests/interop` does the same with the SDK's client. After each body, every effect has its record.
"""

import contextlib
import json
from itertools import product

import pytest

from tests.conformance import stage
from tests.wire.http_session import META, HttpGuard
from tests.wire.session import Guard, eventually
from tests.wire.voices import VOICES

RULES = [
    {"id": "all", "effect": "allow", "action": ["*"]},
    {
        "id": "no-such-word",
        "effect": "deny",
        "tools": ["echo"],
        "when": 'has(args.text) && args.text == "forbidden"',
        "message": "Not that word.",
    },
    {"id": "hidden", "effect": "deny", "tools": ["test_image_content"]},
]
WATCHED = "test://watched-resource"
ADA = {"action": "accept", "content": {"username": "Ada", "email": "ada@example.invalid"}}
UPSTREAMS = (
    ("stdio", "legacy"),
    ("stdio", "modern"),
    ("http", "legacy"),
    ("http", "modern"),
    ("sse", "legacy"),
)
CELLS = [
    pytest.param((voice, way, era), id=f"{'-'.join(voice)}-client-{way}-{era}-upstream")
    for (way, era), voice in product(UPSTREAMS, VOICES)
]


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """`entries(way, era)` is the configuration entry of `everything.py`; over HTTP one process serves all its cells."""
    with contextlib.ExitStack() as running:
        found = {}

        def entry(way, era):
            if (way, era) not in found:
                folder = tmp_path_factory.mktemp(f"{way}-{era}")
                found[way, era] = running.enter_context(stage.server_entry(folder, way, "--era", era))
            return found[way, era]

        yield entry


@pytest.fixture(scope="module", params=CELLS)
def cell(request, tmp_path_factory, entries):
    """The client of a cell, in front of mcpguard and the upstream of the cell."""
    voice, way, era = request.param
    start = Guard if voice[0] == "stdio" else HttpGuard
    guard = start(tmp_path_factory.mktemp("cell"), {"everything": entries(way, era)}, RULES)
    try:
        with contextlib.closing(VOICES[voice](guard)) as client:
            yield client
    finally:
        guard.dispose()


@pytest.fixture
def client(cell, request):
    """The client with nothing heard. In the end, all that was allowed has its outcome."""
    assert not cell.broken, f"since {cell.broken} something in this cell never ended"
    cell.broken = request.node.name
    cell.fresh()
    cell.past = len(cell.guard.records())
    yield cell
    eventually(lambda: not without_outcome(cell), "an outcome of each effect")
    cell.broken = ""


def records(client, kind, **wanted):
    """The records of a kind since the test began that have these members."""
    since = client.guard.records()[client.past :]
    return [one for one in since if one["kind"] == kind and wanted.items() <= one.items()]


def of_calls(client):
    """The outcomes of tool calls, without those of the lists that the first one may need."""
    calls = {one["id"] for one in records(client, "decision", method="tools/call")}
    return [one for one in records(client, "outcome") if one["id"] in calls]


def without_outcome(client):
    """The ids of what was allowed and has no outcome yet."""
    allowed = {one["id"] for one in records(client, "decision", effect="allow")}
    return allowed - {one["id"] for one in records(client, "outcome")}


def words(answer):
    """The text of a result of one block."""
    assert "result" in answer, answer
    assert not answer["result"].get("isError"), answer
    return answer["result"]["content"][0]["text"]


def hears(method):
    """A check for a notification or request."""
    return lambda message: message.get("method") == method


def listening(client, **wanted):
    """Open a subscription of a modern client; gives its id once it is acknowledged."""
    stream = client.begin("subscriptions/listen", notifications=wanted)
    granted = client.wait(hears("notifications/subscriptions/acknowledged"))["params"]
    assert granted["_meta"][META + "subscriptionId"] == stream
    assert granted["notifications"] == wanted
    return stream


def test_a_tool_is_listed_and_called(client):
    listed = client.ask("tools/list")["result"]
    names = [tool["name"] for tool in listed["tools"]]
    assert "echo" in names
    assert "test_image_content" not in names
    assert listed.get("cacheScope") == ("private" if client.modern else None)
    answer = client.call("echo", text="hé 🙂")
    assert words(answer) == "hé 🙂"
    assert answer["result"].get("resultType") == ("complete" if client.modern else None)
    assert [one["tool"] for one in records(client, "decision", method="tools/call")] == ["echo"]


def test_progress_carries_the_own_token_and_comes_before_the_result(client):
    call = client.begin(
        "tools/call", name="test_tool_with_progress", arguments={}, _meta={"progressToken": "mine"}
    )
    assert words(client.answer(call))
    heard = list(filter(hears("notifications/progress"), client.heard[client.start :]))
    assert [(one["params"]["progressToken"], one["params"]["progress"]) for one in heard] == [
        ("mine", 0),
        ("mine", 50),
        ("mine", 100),
    ]
    answered = next(n for n, one in enumerate(client.heard) if one.get("id") == call and "result" in one)
    assert answered > client.heard.index(heard[-1])


def test_a_call_that_is_given_up_is_cancelled_at_the_upstream_and_never_answered(client):
    token = "given up"
    call = client.begin(
        "tools/call", name="test_wait", arguments={"token": token}, _meta={"progressToken": 1}
    )
    client.wait(hears("notifications/progress"))
    client.cancel(call)
    assert words(client.call("test_was_cancelled", token=token)) == "cancelled"
    assert [one for one in client.heard if one.get("id") == call and "method" not in one] == []
    status = "disconnected" if client.modern and client.posts else "cancelled"
    eventually(lambda: records(client, "outcome", status=status), f"the outcome {status!r}")


def test_log_messages_come_from_the_level_on_that_the_client_chose(client):
    meta = {META + "logLevel": "info"} if client.modern else {}
    if not client.modern:
        assert client.ask("logging/setLevel", level="info")["result"] == {}
    call = client.begin("tools/call", name="test_logging_tool", arguments={}, _meta=meta)
    client.wait(lambda message: message.get("params", {}).get("level") == "error")
    assert words(client.answer(call))
    heard = filter(hears("notifications/message"), client.heard[client.start :])
    assert [one["params"]["level"] for one in heard] == ["info", "warning", "error"]


def asked_and_answered(client, answer):
    """Call a tool that asks, and answer; gives the question and the answer to the call."""
    params = {"name": "test_elicitation", "arguments": {"message": "Who are you?"}}
    call = client.begin("tools/call", **params)
    if not client.modern:
        question = client.wait(hears("elicitation/create"))
        client.reply(question, **answer)
        return question, client.answer(call)
    asked = client.answer(call)["result"]
    assert asked["resultType"] == "input_required"
    ((name, question),) = asked["inputRequests"].items()
    state = {key: value for key, value in asked.items() if key == "requestState"}
    return question, client.ask("tools/call", **params, inputResponses={name: answer}, **state)


def test_a_question_of_the_upstream_is_answered(client):
    question, answer = asked_and_answered(client, ADA)
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] == "Who are you?"
    assert f"action=accept, content={json.dumps(ADA['content'], sort_keys=True)}" in words(answer)
    assert records(client, "decision", method="elicitation/create", effect="allow")


def test_a_question_that_is_declined_is_declined_for_the_upstream(client):
    _, answer = asked_and_answered(client, {"action": "decline"})
    assert "action=decline" in words(answer)


def test_a_resource_is_read_watched_and_heard_of(client):
    read = client.ask("resources/read", uri="test://static-text")["result"]
    assert read["contents"][0]["text"] == "This is the content of the static text resource."
    assert ("ttlMs" in read, read.get("cacheScope")) == (
        (True, "private") if client.modern else (False, None)
    )
    if client.modern:
        stream = listening(client, resourceSubscriptions=[WATCHED])
    else:
        assert "result" in client.ask("resources/subscribe", uri=WATCHED)
    assert words(client.call("test_update_watched", text="new")) == "updated"
    update = client.wait(hears("notifications/resources/updated"))["params"]
    assert update["uri"] == WATCHED
    if client.modern:
        assert update["_meta"][META + "subscriptionId"] == stream
        client.cancel(stream)
    else:
        assert "result" in client.ask("resources/unsubscribe", uri=WATCHED)
    assert records(client, "decision", method="resources/read", effect="allow")
    assert records(client, "decision", method="resources/subscribe", effect="allow")


def test_a_resource_that_is_not_there_has_the_code_of_the_clients_era(client):
    error = client.ask("resources/read", uri="test://absent")["error"]
    assert error["code"] == (-32602 if client.modern else -32002)


def test_a_prompt_is_filled_in_and_its_argument_completed(client):
    name = "test_prompt_with_arguments"
    assert name in [one["name"] for one in client.ask("prompts/list")["result"]["prompts"]]
    filled = client.ask("prompts/get", name=name, arguments={"arg1": "a", "arg2": "b"})["result"]
    assert filled["messages"][0]["content"]["text"] == "Prompt with arguments: arg1='a', arg2='b'"
    ref = {"type": "ref/prompt", "name": name}
    found = client.ask("completion/complete", ref=ref, argument={"name": "arg1", "value": "par"})["result"]
    assert found["completion"]["values"] == ["paris", "park city", "parma"]
    assert records(client, "decision", method="prompts/get", effect="allow")
    assert records(client, "decision", method="completion/complete", effect="allow")


def test_a_list_that_changed_is_heard_of_and_is_new(client):
    def names():
        return {tool["name"] for tool in client.ask("tools/list")["result"]["tools"]}

    before = names()
    stream = listening(client, toolsListChanged=True) if client.modern else None
    assert words(client.call("test_trigger_tool_change"))
    changed = client.wait(hears("notifications/tools/list_changed"))
    assert before ^ names() == {"test_dynamic_tool"}
    if stream:
        assert changed["params"]["_meta"][META + "subscriptionId"] == stream
        client.cancel(stream)


def test_an_error_of_a_tool_is_a_result_and_is_recorded_as_one(client):
    failed = client.call("test_error_handling")["result"]
    assert failed["isError"] is True
    assert "intentionally" in failed["content"][0]["text"]
    assert [one["status"] for one in of_calls(client)] == ["tool-error"]


def test_a_hidden_tool_answers_like_one_that_does_not_exist(client):
    missing, hidden = client.call("test_image_cxxxxxx"), client.call("test_image_content")
    assert missing["error"]["code"] == -32602
    assert json.dumps(hidden["error"]) == json.dumps(missing["error"]).replace(
        "test_image_cxxxxxx", "test_image_content"
    )
    assert not of_calls(client)


def test_a_denied_call_says_why_is_recorded_and_reaches_nobody(client):
    denied = client.call("echo", text="forbidden")["result"]
    assert denied["isError"] is True
    assert denied.get("resultType") == ("complete" if client.modern else None)
    (decision,) = records(client, "decision", method="tools/call")
    said = denied["content"][0]["text"]
    assert decision["effect"] == "deny"
    assert "no-such-word" in said
    assert "Not that word." in said
    assert decision["id"] in said
    assert not of_calls(client)


def test_a_method_that_is_not_of_mcp_is_refused(client):
    assert client.ask("no/such/method")["error"]["code"] == -32601
