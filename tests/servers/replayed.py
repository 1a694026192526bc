"""A legacy upstream without an SDK that answers out of a file: `replayed.py FILE`, which holds as JSON what
`tools/list` answers, under "tools", and what each tool gives, under "results". The tool `digest` gives the sha256 of its
argument `cursor`. Under "resources" are those that are listed; to read one gives the sha256 of its URI."""

import json
import sys
from hashlib import sha256
from pathlib import Path

SAID = json.loads(Path(sys.argv[1]).read_text("utf-8"))


def result(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}, "resources": {}},
            "serverInfo": {"name": "replayed", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": SAID["tools"]}
    if method == "resources/list":
        return {"resources": SAID.get("resources", [])}
    if method == "resources/read":
        return {"contents": [{"uri": params["uri"], "text": digest(params["uri"])}]}
    if method != "tools/call":
        return {"resourceTemplates": []}
    if params["name"] == "digest":
        return {"content": [{"type": "text", "text": digest(params["arguments"]["cursor"])}]}
    return SAID["results"][params["name"]]


def digest(text):
    return sha256(text.encode()).hexdigest()


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        answer = result(message.get("method", ""), message.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}), flush=True)
