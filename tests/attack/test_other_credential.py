"""Threat: what belongs to a call with one credential goes to where another one is (laws 3 and 4)."""

import json

from tests.attack.test_bridge_attacks import CAN
from tests.servers.web import text
from tests.wire.session import eventually
from tests.wire.test_lanes import secret
from tests.wire.test_policies import rewrite

CHOSEN = "chosen0Token9f8e7d6c5b4a"
ASK = {"id": "ask", "effect": "allow", "action": ["elicitation/create"]}


def rules(credential):
    """All is allowed; `credential` is chosen for tools, "" for none."""
    chosen = {"credential": credential} if credential else {}
    return [ASK, {"id": "act", "effect": "allow", "tools": ["*"], **chosen}]


def test_an_answer_does_not_go_to_where_another_credential_is_than_who_asked(serve, upstream, tmp_path):
    question = {"method": "elicitation/create", "params": {"message": "Delete?", "requestedSchema": {}}}

    def asking(heard, reply):
        if "requestState" in heard.message["params"]:
            reply.json(heard.answer({"resultType": "complete", **text("deleted")}))
        else:
            body = {"resultType": "input_required", "inputRequests": {"q": question}, "requestState": "s"}
            reply.json(heard.answer(body))

    stage = upstream(asking, modern=True)
    path = secret(tmp_path, "chosen", CHOSEN)
    entry = {
        "value": f"${{file:{path}}}",
        "servers": ["web"],
        "headers": {"Authorization": "Bearer ${credential:chosen}"},
    }
    guard = serve({"web": stage.entry()}, rules(""), credentials={"chosen": entry})
    client = guard.modern(capabilities=CAN)
    asked = client.call("act")["result"]
    given = {key: {"action": "accept", "content": {}} for key in asked["inputRequests"]}
    back = {
        "name": "act",
        "arguments": {},
        "requestState": asked["requestState"],
        "inputResponses": given,
    }
    rewrite(guard, rules("chosen"))
    eventually(
        lambda: [one for one in guard.records("notice") if one["what"] == "policy-reloaded"], "other rules"
    )
    refused = client.ask("tools/call", **back)
    assert "was started with a different credential" in refused["error"]["message"]
    assert guard.outcome()["status"] == "unavailable"
    assert "requestState" not in json.dumps([one.message for one in stage.calls()])
    rewrite(guard, rules(""))
    eventually(lambda: "result" in client.ask("tools/call", **back), "the answer under the old rules")
