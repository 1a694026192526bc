"""A modern-only upstream without an SDK (revision 2026-07-28): it refuses `initialize`.

The tool `echo` gives back its text, `seen` the params as they came, `change` tells every open stream that the
tools (or, with `uri`, that resource) have changed, `crash` ends the process, `mute` answers nothing. It says the
ids of its open streams and of what was cancelled on standard error.
"""

import os
import sys

import plain_json as json

VERSION = "2026-07-28"
META = "io.modelcontextprotocol/"
STREAMS = {}


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def say(text):
    os.write(2, text.encode() + b"\n")


def result(request_id, **members):
    send({"id": request_id, "result": {"resultType": "complete", **members}})


def error(request_id, code, message, **data):
    send({"id": request_id, "error": {"code": code, "message": message, "data": data}})


def on_stream(stream, method, **params):
    send({"method": method, "params": {"_meta": {META + "subscriptionId": stream}, **params}})


def tell(uri):
    for stream, wanted in STREAMS.items():
        if uri is None and wanted.get("toolsListChanged"):
            on_stream(stream, "notifications/tools/list_changed")
        if uri is not None and uri in wanted.get("resourceSubscriptions", ()):
            on_stream(stream, "notifications/resources/updated", uri=uri)


def call(request_id, params):
    name, args = params.get("name"), params.get("arguments", {})
    if name == "crash":
        say("the reason")
        os._exit(3)
    if name == "mute":
        return
    if name == "progress":
        token = params["_meta"]["progressToken"]
        send({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
    if name == "change":
        tell(args.get("uri"))
    given = json.dumps(params) if name == "seen" else str(args.get("text", name))
    result(request_id, content=[{"type": "text", "text": given}])


def discover(request_id):
    result(
        request_id,
        supportedVersions=[VERSION],
        capabilities={"tools": {"listChanged": True}, "resources": {"subscribe": True}},
        ttlMs=0,
        cacheScope="public",
        _meta={META + "serverInfo": {"name": "modern", "version": "1"}},
    )


def request(request_id, method, params):
    meta = params.get("_meta", {})
    if meta.get(META + "protocolVersion") is None or META + "clientCapabilities" not in meta:
        error(request_id, -32602, "the envelope is missing")
    elif meta[META + "protocolVersion"] != VERSION:
        error(request_id, -32022, "Unsupported protocol version", supported=[VERSION])
    elif method == "server/discover":
        discover(request_id)
    elif method == "tools/list":
        names = ("echo", "seen", "change", "crash", "mute", "progress")
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
        result(request_id, tools=tools, ttlMs=0, cacheScope="public")
    elif method == "tools/call":
        call(request_id, params)
    elif method == "subscriptions/listen":
        STREAMS[request_id] = params["notifications"]
        method = "notifications/subscriptions/acknowledged"
        on_stream(request_id, method, notifications=params["notifications"])
        say(f"streams {sorted(STREAMS)}")
    else:
        error(request_id, -32601, "Method not found")


def main():
    for line in sys.stdin:
        message = json.loads(line)
        method, params = message.get("method"), message.get("params", {})
        if method == "notifications/cancelled":
            STREAMS.pop(params["requestId"], None)
            say(f"cancelled {params['requestId']}")
        elif "id" in message and method is not None:
            request(message["id"], method, params)


if __name__ == "__main__":
    main()
