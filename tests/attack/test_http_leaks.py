"""Threat: a credential that is sent to an upstream over HTTP comes out elsewhere (laws 2, 3 and 6)."""

import json
import queue

import pytest

from tests.attack.test_bridge_attacks import CAN
from tests.attack.test_leaks import PLAIN, assert_clean, leaks
from tests.servers.forms import forms
from tests.servers.web import DEADLINE, text
from tests.wire.session import ALLOW_ALL, eventually

EVERYTHING = [*ALLOW_ALL, {"id": "rest", "effect": "allow", "action": ["*"]}]
CAPABILITIES = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
}


def said(heard):
    """The credential in every form, and the same in one text."""
    found = forms(heard.headers["x-token"])
    return found, " ".join(found)


def progress(heard, reply):
    found, _ = said(heard)
    token = heard.message["params"]["_meta"]["progressToken"]
    reply.events()
    for n, form in enumerate(found):
        reply.notify(
            "notifications/progress", progressToken=token, progress=n, message=form, _meta={form: form}
        )
    reply.event(heard.answer({"resultType": "complete", **text("x")}))


def log(heard, reply):
    reply.events()
    for form in said(heard)[0]:
        reply.notify("notifications/message", level="error", logger=form, data={form: [form]})
    reply.event(heard.answer({"resultType": "complete", **text("x")}))


def unknown_notice(heard, reply):
    reply.events()
    for form in said(heard)[0]:
        reply.notify(f"notifications/{form}", x=form)
    reply.event(heard.answer({"resultType": "complete", **text("x")}))


def error(heard, reply):
    found, whole = said(heard)
    problem = {"code": -32000, "message": whole, "data": {form: form for form in found}}
    reply.json({"jsonrpc": "2.0", "id": heard.message["id"], "error": problem})


def http_error(heard, reply):
    body = json.dumps(
        {"jsonrpc": "2.0", "id": heard.message["id"], "error": {"code": -32000, "message": said(heard)[1]}}
    )
    reply.head(400, "application/json", content_length=len(body))
    reply.raw(body.encode())


def headers(heard, reply):
    token = heard.headers["x-token"]
    more = {
        "mcp_session_id": token,
        "x_token": token,
        "www_authenticate": f'Bearer error="{token}"',
        "set_cookie": token,
    }
    reply.json(heard.answer({"resultType": "complete", **text("x")}), **more)


def refused(heard, reply):
    reply.nothing(401, www_authenticate=f'Bearer error="{heard.headers["x-token"]}"')


def no_answer(heard, reply):
    reply.head(200, "text/html; x=" + heard.headers["x-token"])
    reply.raw(heard.headers["x-token"].encode())


def status_line(heard, reply):
    reply.raw(f"HTTP/1.1 500 {heard.headers['x-token']}\r\n{heard.headers['x-token']}\r\n\r\n".encode())


def junk_event(heard, reply):
    token = heard.headers["x-token"]
    reply.events()
    reply.raw(f"event: {token}\ndata: {token}\n\ndata: {{{token}\n\n: {token}\n\nid: {token}\n\n".encode())
    reply.event(heard.answer({"resultType": "complete", **text("x")}))


def result(heard, reply):
    found, whole = said(heard)
    more = {"structuredContent": {form: form for form in found}, "_meta": {form: form for form in found}}
    reply.json(heard.answer({"resultType": "complete", **text(whole), **more}))


def result_type(heard, reply):
    reply.json(heard.answer({"resultType": heard.headers["x-token"], **text("x")}))


CHANNELS = {
    "result": result, "result type": result_type, "error": error, "error of HTTP": http_error, "progress": progress,
    "log": log, "unknown notification": unknown_notice, "headers": headers, "401": refused, "no answer": no_answer,
    "status line": status_line, "junk events": junk_event,
}  # fmt: skip


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "modern"])
def test_no_channel_of_an_upstream_over_http_shows_the_credential_to_any_client(
    serve, upstream, secret_file, modern
):
    stage = upstream(lambda heard, reply: CHANNELS[heard.args["channel"]](heard, reply), modern=modern)
    guard = serve({"web": stage.entry(headers=secret_file)}, EVERYTHING)
    for client in (guard.modern(), guard.legacy()):
        for channel in CHANNELS:
            meta = {"progressToken": "mine", "io.modelcontextprotocol/logLevel": "debug"}
            call = client.open("tools/call", name="act", arguments={"channel": channel}, _meta=meta)
            assert call.messages(), channel
            assert leaks(bytes(guard.received), PLAIN) == set(), channel
    assert len(stage.calls()) >= 2 * len(CHANNELS)
    assert {one.headers.get("x-token") for one in stage.heard} == {PLAIN}
    assert guard.unanswered() == set()
    assert_clean(guard, PLAIN)


def test_a_question_of_a_legacy_upstream_over_http_shows_no_credential(serve, upstream, secret_file):
    answers = queue.Queue()

    def take_answer(heard, reply):
        if not heard.message or "id" not in heard.message or "method" in heard.message:
            return False
        reply.nothing()
        answers.put(heard.message)
        return True

    def ask(heard, reply):
        found, whole = said(heard)
        fields = {form: {"type": "string", "description": form} for form in found}
        question = {"message": whole, "requestedSchema": {"type": "object", "properties": fields}}
        reply.events({"id": whole, "method": "elicitation/create", "params": question})
        answer = answers.get(timeout=DEADLINE)
        assert answer["id"] == whole
        reply.event(heard.answer(text(json.dumps(answer["result"]) + whole)))

    guard = serve({"web": upstream(ask, on_any=take_answer).entry(headers=secret_file)}, EVERYTHING)
    legacy = guard.legacy(capabilities=CAN)
    call = legacy.open_call("act")
    assert legacy.reply(call.wait(lambda message: "method" in message), action="decline") == 202
    assert call.answer()["result"]["content"][0]["text"].startswith('{"action": "decline"}')
    modern = guard.modern(capabilities=CAN)
    asked = modern.call("act")["result"]
    given = {key: {"action": "decline"} for key in asked["inputRequests"]}
    back = {"name": "act", "arguments": {}, "requestState": asked["requestState"], "inputResponses": given}
    assert modern.ask("tools/call", **back)["result"]["content"][0]["text"].startswith(
        '{"action": "decline"}'
    )
    assert_clean(guard, PLAIN)


def test_the_request_state_and_the_questions_of_a_modern_upstream_show_no_credential(
    serve, upstream, secret_file
):
    given = []

    def asking(heard, reply):
        params = heard.message["params"]
        if "requestState" in params:
            given.append(params["requestState"])
            reply.json(heard.answer({"resultType": "complete", **text(params["requestState"])}))
            return
        _, whole = said(heard)
        question = {
            "method": "elicitation/create",
            "params": {"message": whole, "requestedSchema": {"type": "object"}},
        }
        state = heard.headers["x-token"]
        reply.json(
            heard.answer(
                {"resultType": "input_required", "inputRequests": {"q": question}, "requestState": state}
            )
        )

    guard = serve({"web": upstream(asking, modern=True).entry(headers=secret_file)}, EVERYTHING)
    modern = guard.modern(capabilities=CAN)
    asked = modern.call("act")["result"]
    assert asked["resultType"] == "input_required"
    answers = {key: {"action": "decline"} for key in asked["inputRequests"]}
    back = {"name": "act", "arguments": {}, "requestState": asked["requestState"], "inputResponses": answers}
    assert "result" in modern.ask("tools/call", **back)
    legacy = guard.legacy(capabilities=CAN)
    call = legacy.open_call("act")
    question = call.wait(lambda message: message.get("method") == "elicitation/create")
    assert legacy.reply(question, action="decline") == 202
    assert "result" in call.answer()
    assert given == [PLAIN, PLAIN]
    assert_clean(guard, PLAIN)


def listing(heard, reply):
    """Everything that is listed or read is full of the credential."""
    if heard.message is None or "x-token" not in heard.headers:
        return False
    found, whole = said(heard)
    content = {"uri": "x:one", "text": whole, "_meta": {form: form for form in found}}
    each = {"description": whole, "title": whole, "_meta": {form: [form] for form in found}}
    results = {
        "tools/list": {
            "tools": [
                {
                    "name": "act",
                    "inputSchema": {"type": "object", "properties": {f: {} for f in found}},
                    **each,
                }
            ]
        },
        "resources/list": {"resources": [{"uri": "x:one", "name": "one", **each}]},
        "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "x:{a}", "name": "t", **each}]},
        "resources/read": {"contents": [content, {"uri": "x:" + found[0], "blob": found[0]}]},
        "prompts/list": {"prompts": [{"name": "one", "arguments": [{"name": f} for f in found], **each}]},
        "prompts/get": {"messages": [{"role": "user", "content": {"type": "text", "text": whole}}], **each},
        "completion/complete": {"completion": {"values": found}},
    }
    result = results.get(heard.message.get("method"))
    if result is None:
        return False
    if heard.headers.get("mcp-protocol-version") == "2026-07-28":
        result = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public", **result}
    reply.json(heard.answer(result))
    return True


ASKED = [
    ("tools/list", {}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "x:one"}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "one", "arguments": {}}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "one"}, "argument": {"name": "a", "value": "b"}},
    ),
]


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "modern"])
def test_no_list_resource_prompt_or_completion_shows_the_credential(serve, upstream, secret_file, modern):
    stage = upstream(on_any=listing, modern=modern, capabilities=CAPABILITIES)
    guard = serve({"web": stage.entry(headers=secret_file)}, EVERYTHING)
    for client in (guard.modern(), guard.legacy()):
        for method, params in ASKED:
            answer = client.ask(method, **params)
            assert "result" in answer, (method, answer)
            assert leaks(bytes(guard.received), PLAIN) == set(), method
    assert_clean(guard, PLAIN)


def test_notifications_of_a_standing_stream_show_no_credential(serve, upstream, secret_file):
    def standing(heard, reply):
        if heard.method != "GET":
            return False
        reply.events()
        for form in said(heard)[0]:
            reply.notify("notifications/message", level="error", logger=form, data={form: form})
        reply.notify("notifications/message", level="info", data="last")
        reply.until_gone()
        return True

    guard = serve({"web": upstream(on_any=standing).entry(headers=secret_file)}, EVERYTHING)
    client = guard.legacy()
    stream = client.stand()
    assert stream.status == 200
    assert client.text("echo", text="x") == "x"
    stream.wait(lambda message: message.get("params", {}).get("data") == "last")
    eventually(lambda: guard.statuses() == ["ok"], "the outcome")
    assert_clean(guard, PLAIN)
