"""A legacy upstream without an SDK that does what the test says: the tool `act` runs the Python in `code`.

The code sees `send(message)`, `raw(bytes)`, `token` (the credential, or ""), `environ`, `request_id`,
`params`, `state` (a dict that lives as long as the process) and the functions of this file. It answers by
setting `answer` (a result), `error` (a JSON-RPC error), or `silent = True` (no answer).

Settings come from argv, so that a test can also look for them in /proc: `--start CODE` runs before the first
message is read, `--tools JSON` is the list of tools, `--log FILE` gets one line for each message received,
`--mark TEXT` is nothing but a mark.
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import plain_json as json

TOKEN = os.environ.get("TOKEN", "")
STATE = {}


def raw(data):
    """Write these bytes to standard output, whatever they are."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def send(message):
    """Write one message."""
    raw(json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n")


def notify(method, **params):
    """Write one notification."""
    send({"method": method, "params": params})


def ask(method, **params):
    """Ask the client, and give what it answers; what else comes meanwhile is served."""
    STATE["asked"] = STATE.get("asked", 0) + 1
    question_id = f"ask-{STATE['asked']}"
    send({"id": question_id, "method": method, "params": params})
    while True:
        message = json.loads(sys.stdin.readline())
        if message.get("id") == question_id and "method" not in message:
            return message
        handle(message)


def disguised(secret):
    """As in `disguises`, which takes longer to import than most puppets live."""
    from disguises import disguised

    return disguised(secret)


def forms(secret):
    """As in `forms`."""
    from forms import forms

    return forms(secret)


def say(text):
    """Write one line to standard error."""
    os.write(2, text.encode() + b"\n")


def text(value):
    """A result of one text block."""
    return {"content": [{"type": "text", "text": value}]}


def tool(name, **more):
    """A tool as `tools/list` shows it."""
    return {"name": name, "inputSchema": {"type": "object"}, **more}


TOOLS = [
    tool("act"),
    tool("echo", description="Gives back the text", annotations={"readOnlyHint": True}),
    tool("seen", description="The params as they came"),
    tool("forbidden", description="For rules that deny"),
]


def run(code, request_id=None, params=None):
    """Run the test's code and give the names that it has set."""
    names = dict(globals(), token=TOKEN, environ=dict(os.environ), state=STATE)
    names.update(request_id=request_id, params=params or {}, answer=text("done"), error=None, silent=False)
    exec(code, names)
    return names


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else ""


def answer_call(request_id, params):
    name, args = params.get("name"), params.get("arguments", {})
    if name == "act":
        done = run(args.get("code", ""), request_id, params)
        if done["error"] is not None:
            send({"id": request_id, "error": done["error"]})
        elif not done["silent"]:
            send({"id": request_id, "result": done["answer"]})
    elif name == "seen":
        send({"id": request_id, "result": text(json.dumps(params))})
    else:
        send({"id": request_id, "result": text(str(args.get("text", name)))})


def handle(message):
    method, request_id, params = message.get("method"), message.get("id"), message.get("params", {})
    if method in STATE.get("on", {}):
        run(STATE["on"][method], request_id, params)
    elif method == "initialize" and "on_initialize" in STATE:
        run(STATE["on_initialize"], request_id, params)
    elif method == "initialize":
        send(
            {
                "id": request_id,
                "result": {
                    "protocolVersion": STATE.get("version") or params["protocolVersion"],
                    "capabilities": {"tools": {"listChanged": True}, "logging": {}},
                    "serverInfo": {"name": "puppet", "version": "1"},
                },
            }
        )
    elif method == "tools/list":
        if "on_list" in STATE:
            run(STATE["on_list"], request_id, params)
        else:
            send({"id": request_id, "result": {"tools": STATE.get("tools", TOOLS)}})
    elif method == "tools/call":
        answer_call(request_id, params)
    elif method == "notifications/cancelled":
        say(f"cancelled {params.get('requestId')}")
    elif request_id is not None and method is not None:
        send({"id": request_id, "result": {}})
    elif method is None:
        STATE.setdefault("answers", []).append(message)


def main():
    if option("--tools"):
        STATE["tools"] = json.loads(option("--tools"))
    if option("--start"):
        run(option("--start"))
    with open(option("--log") or os.devnull, "a", buffering=1) as log:
        for line in sys.stdin:
            log.write(line)
            handle(json.loads(line))
    if STATE.get("stubborn"):
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
