"""Threat: under load the credential that is for one call goes with another one (law 3)."""

import json
import threading

from tests.servers.web import DEADLINE, text
from tests.wire.session import puppet
from tests.wire.test_lanes import secret

NAMES = ("", "alpha", "beta", "gamma")
CALLS = 200
WHO = "answer = text(json.dumps([params['arguments']['n'], token[-5:]]))"


def value(name):
    return f"{(name or 'plain')}0Token7f6e5d4c3b2a1-{(name or 'plain')[:5]:_<5}"


def choosing():
    """Each call says which credential it is for, and a rule chooses that one."""
    plain = {"id": "plain", "effect": "allow", "when": "args.who == ''"}
    chosen = (
        {"id": name, "effect": "allow", "when": f"args.who == '{name}'", "credential": name}
        for name in NAMES[1:]
    )
    return [plain, *chosen]


def entries(folder, server, **where):
    """An entry for each name. `where` has it stand in `env` or `headers`."""
    found = {}
    for name in NAMES[1:]:
        path = secret(folder, name, value(name))
        key, (variable, shown) = next(iter(where.items()))
        filled = {variable: shown.format(f"${{credential:{name}}}")}
        found[name] = {"value": f"${{file:{path}}}", "servers": [server], key: filled}
    return found


def test_each_of_many_calls_to_a_program_runs_with_its_own_credential(session, tmp_path):
    plain = secret(tmp_path, "plain", value(""))
    guard = session(
        {"one": puppet(env={"TOKEN": f"${{file:{plain}}}"})},
        choosing(),
        credentials=entries(tmp_path, "one", env=("TOKEN", "{}")),
    )
    sent = {}
    for n in range(CALLS):
        who = NAMES[n % len(NAMES)]
        arguments = {"code": WHO, "n": n, "who": who}
        sent[guard.request("tools/call", {"name": "act", "arguments": arguments})] = (n, who)
    for request, (n, who) in sent.items():
        answer = guard.answer(request)["result"]["content"][0]["text"]
        assert json.loads(answer) == [n, value(who)[-5:]]
    names = [one.get("credential", "") for one in guard.records("decision") if one["method"] == "tools/call"]
    assert sorted(names) == sorted(NAMES * (CALLS // len(NAMES)))


def test_each_of_many_calls_over_http_carries_its_own_credential(serve, upstream, tmp_path):
    together = threading.Semaphore(0)

    def hold(heard, reply):
        together.release()
        reply.json(heard.answer(text(str(heard.args["n"]))))

    stage = upstream(hold)
    plain = secret(tmp_path, "plain", value(""))
    guard = serve(
        {"one": stage.entry(headers={"Authorization": f"Bearer ${{file:{plain}}}", "X-Own": "own"})},
        choosing(),
        credentials=entries(tmp_path, "one", headers=("authorization", "Bearer {}")),
    )
    client = guard.modern()
    open_calls = [client.open_call("act", n=n, who=NAMES[n % len(NAMES)], text="x") for n in range(CALLS)]
    for n, exchange in enumerate(open_calls):
        assert exchange.answer()["result"]["content"][0]["text"] == str(n)
    assert all(together.acquire(timeout=DEADLINE) for _ in range(CALLS))
    assert len(stage.calls()) == CALLS
    for heard in stage.calls():
        assert heard.headers["authorization"] == f"Bearer {value(heard.args['who'])}"
        assert heard.headers["x-own"] == "own"


def test_each_of_many_calls_with_a_placeholder_gets_its_own_value(session, tmp_path):
    rules = [
        {
            "id": name,
            "effect": "allow",
            "when": f"args.who == '{name}'",
            "argument": {"token": f"{{{{secret:{name}}}}}"},
        }
        for name in NAMES[1:]
    ]
    log = tmp_path / "log"
    guard = session(
        {"one": puppet("--log", str(log))}, rules, credentials=entries(tmp_path, "one", env=("TOKEN", "{}"))
    )
    sent = [
        guard.request(
            "tools/call", {"name": "echo", "arguments": {"text": n, "who": NAMES[1 + n % 3], "token": "mine"}}
        )
        for n in range(CALLS)
    ]
    for n, request in enumerate(sent):
        assert guard.answer(request)["result"]["content"][0]["text"] == str(n)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    got = [line["params"]["arguments"] for line in lines if line.get("method") == "tools/call"]
    assert len(got) == CALLS
    assert all(one["token"] == value(one["who"]) for one in got)
