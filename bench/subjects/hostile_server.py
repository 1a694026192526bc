"""An upstream of `bench/redaction.py` that answers with a hostile value: `send {shape, size}`."""

import sys
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.core.redaction.hostile import SHAPES

decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
TOOLS = [{"name": "send", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]
HELLO = {"capabilities": {"tools": {}}, "serverInfo": {"name": "hostile", "version": "1"}}


def answer(message):
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        return {**HELLO, "protocolVersion": params["protocolVersion"]}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        args = params["arguments"]
        said = {"said": SHAPES[args["shape"]](args["size"])}
        return {"content": [], "structuredContent": said}
    return {}


def main():
    made = {}
    for line in sys.stdin.buffer:
        message = decode(line)
        if "id" not in message or "method" not in message:
            continue
        if "io.modelcontextprotocol/protocolVersion" in message.get("params", {}).get("_meta", {}):
            body = {"error": {"code": -32601, "message": "no"}}
        else:
            key = encode(message.get("params", {}).get("arguments"))
            if message["method"] != "tools/call" or key not in made:
                made[key] = {"result": answer(message)}
            body = made[key]
        sys.stdout.buffer.write(encode({"jsonrpc": "2.0", "id": message["id"], **body}) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
