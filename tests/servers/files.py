"""A legacy upstream without an SDK that reads and writes files, as coding agents use one: `files.py FOLDER`. The tool
`read_file` gives the text of a path within FOLDER, `write_file` writes one."""

import json
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])


def result(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "files", "version": "1"},
        }
    if method == "tools/list":
        return {
            "tools": [{"name": n, "inputSchema": {"type": "object"}} for n in ("read_file", "write_file")]
        }
    if method != "tools/call":
        return {}
    args = params["arguments"]
    path = FOLDER / args["path"]
    if params["name"] == "read_file":
        text = path.read_bytes().decode()
    else:
        path.write_bytes(args["content"].encode())
        text = "written"
    return {"content": [{"type": "text", "text": text}]}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        answer = result(message.get("method", ""), message.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}), flush=True)
