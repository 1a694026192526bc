"""A legacy upstream without an SDK that answers out of a file: `replayed.py FILE`, which holds as JSON what
`tools/list` answers, under "tools", and what each tool gives, under "results"."""

import json
import sys
from pathlib import Path

SAID = json.loads(Path(sys.argv[1]).read_text("utf-8"))


def result(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "replayed", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": SAID["tools"]}
    return SAID["results"][params["name"]] if method == "tools/call" else {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        answer = result(message.get("method", ""), message.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}), flush=True)
