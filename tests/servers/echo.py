"""A plain legacy upstream with no SDK: what a test wants back is what it sends as arguments.

Tools: echo (read-only), secret_length (needs TOKEN, tells its length), leak (returns TOKEN wherever `where`
says), slow (answers after `notifications/cancelled` or never), progress, big, crash, junk, change.
"""

import binascii
import os
import sys

import plain_json as json

TOKEN = os.environ.get("TOKEN", "")
RENAMED = []


def send(message):
    sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def text(value, **more):
    return {"content": [{"type": "text", "text": value}], **more}


def tool(name, read_only=False, description=""):
    return {
        "name": name,
        "description": description or f"The tool {name}",
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": read_only},
    }


def tools():
    names = ["echo", "secret_length", "leak", "slow", "progress", "big", "crash", "junk", "change", "log"]
    return [tool(name, name in ("echo", "big", "progress")) for name in names] + RENAMED


def call(request_id, params):
    name, args = params["name"], params.get("arguments", {})
    if name == "echo":
        return text(
            args.get("text", ""), **({"structuredContent": {"got": params}} if args.get("all") else {})
        )
    if name == "secret_length":
        return text(str(len(TOKEN)))
    if name == "leak":
        forms = [TOKEN, binascii.b2a_base64(TOKEN.encode(), newline=False).decode(), TOKEN.encode().hex()]
        return text(" ".join(forms), structuredContent={"token": TOKEN, TOKEN: 1})
    if name == "progress":
        token = params.get("_meta", {}).get("progressToken")
        for step in range(args.get("steps", 3)):
            send(
                {
                    "jsonrpc": "2.0",
                    "method": "notifications/progress",
                    "params": {"progressToken": token, "progress": step, "message": f"{step} {TOKEN}"},
                }
            )
        return text("done")
    if name == "big":
        return text("x" * args.get("size", 100_000))
    if name == "crash":
        sys.stderr.write("about to crash\n")
        sys.stderr.flush()
        os._exit(3)
    if name == "junk":
        sys.stdout.write("this is not JSON\n")
        return text("after junk")
    if name == "change":
        RENAMED.append(tool("added"))
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return text("changed")
    if name == "log":
        send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": args}})
        return text("logged")
    return None


def main():
    waiting = {}
    for line in sys.stdin:
        message = json.loads(line)
        method, request_id, params = message.get("method"), message.get("id"), message.get("params", {})
        if method == "initialize":
            send(
                {
                    "jsonrpc": "2.0",
                    "id": request_id,
                    "result": {
                        "protocolVersion": params["protocolVersion"],
                        "capabilities": {"tools": {"listChanged": True}, "logging": {}},
                        "serverInfo": {"name": "echo", "version": "1"},
                    },
                }
            )
        elif method == "tools/list":
            send({"jsonrpc": "2.0", "id": request_id, "result": {"tools": tools()}})
        elif method == "tools/call":
            answer = call(request_id, params)
            if answer is None:
                waiting[request_id] = True
            else:
                send({"jsonrpc": "2.0", "id": request_id, "result": answer})
        elif method == "notifications/cancelled":
            sys.stderr.write(f"cancelled {params['requestId'] in waiting}\n")
            sys.stderr.flush()
        elif request_id is not None:
            send({"jsonrpc": "2.0", "id": request_id, "result": {}})


if __name__ == "__main__":
    main()
