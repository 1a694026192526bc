"""Threat: a web page, or a client that sends too much or two things at once, uses or breaks the HTTP front."""

import json
import socket

import pytest

from tests.attack.memory import flat
from tests.attack.processes import needs_proc
from tests.wire import warm
from tests.wire.http_session import BOTH, META, MODERN
from tests.wire.session import DEADLINE, eventually, puppet, write_config


def untouched(guard):
    """Nothing was decided, so nothing was started."""
    records = [one.get("what", one["kind"]) for one in guard.records()]
    return [one for one in records if one != "tokens-refused"] == ["opened", "started"]


MESSAGE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {"_meta": {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}},
}
HEADERS = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
WAYS = {
    "POST /mcp": lambda guard, **more: guard.post(MESSAGE, **{**HEADERS, **more}),
    "GET /mcp": lambda guard, **more: guard.open("GET", accept="text/event-stream", **more),
    "DELETE /mcp": lambda guard, **more: guard.open("DELETE", **more),
    "OPTIONS /mcp": lambda guard, **more: guard.open("OPTIONS", **more),
    "GET /sse": lambda guard, **more: guard.open("GET", "/sse", accept="text/event-stream", **more),
    "POST /messages": lambda guard, **more: guard.open("POST", "/messages?session_id=x", b"{}", **more),
}
PAGES = {
    "a rebound name": {"host": "evil.example"},
    "a rebound name with a port": {"host": "evil.example:80"},
    "a name that begins like loopback": {"host": "127.0.0.1.evil.example"},
    "the wildcard": {"host": "0.0.0.0"},
    "an empty name": {"host": ""},
    "another page": {"origin": "https://evil.example"},
    "a page that begins like loopback": {"origin": "http://localhost.evil.example"},
    "a sandboxed page": {"origin": "null"},
    "an extension": {"origin": "chrome-extension://abc"},
    "a user name": {"origin": "http://localhost@evil.example"},
}


# --- web pages -----------------------------------------------------------------------------------


def test_no_page_of_another_site_gets_anything_by_any_way_in(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    for page, headers in PAGES.items():
        for way, knock in WAYS.items():
            answer = knock(guard, **headers)
            assert answer.status == 403, (page, way)
            assert answer.header("access-control-allow-origin") is None
    assert untouched(guard)
    assert guard.modern(origin="http://localhost:3000").text("a__echo", text="x") == "x"


def test_hosts_and_origins_that_the_configuration_names_are_served_and_no_others(serve):
    http = {"allowed_hosts": ["guard.example"], "allowed_origins": ["https://app.example"]}
    guard = serve({"a": puppet()}, http=http)
    good = WAYS["POST /mcp"](guard, host="guard.example", origin="https://app.example")
    assert (good.status, good.header("access-control-allow-origin")) == (200, "https://app.example")
    assert WAYS["POST /mcp"](guard, origin="https://app.example.evil.example").status == 403
    assert WAYS["POST /mcp"](guard, host="other.guard.example").status == 403


def test_a_page_cannot_send_a_message_as_a_simple_request(serve):
    guard = serve({"a": puppet()})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        answer = guard.post(MESSAGE, **{**HEADERS, "content-type": kind})
        assert answer.status == 415
    assert untouched(guard)


# --- who may listen ------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_without_a_token_no_address_but_loopback_is_listened_on(tmp_path, address):
    config = write_config(tmp_path, {"a": puppet()})
    done = warm.command("run", "--config", str(config), "--http", address)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"mcpguard: without `http.token` in the configuration")
    assert not (tmp_path / "audit").exists()


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = write_config(tmp_path, {"a": puppet()})
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = warm.command("run", "--config", str(config), "--http", address)
    assert (done.returncode, done.stdout) == (2, b"")
    instead = "stop what is listening there, or choose another port"
    assert (
        done.stderr.decode() == f"mcpguard: cannot listen on {address}: Address already in use; {instead}\n"
    )


# --- messages that say two things ----------------------------------------------------------------

CALL = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__seen","arguments":{},"_meta":{'
    b'"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'
)
ABOUT = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "a__seen"}
TWO_THINGS = {
    "another name": (CALL, {"mcp-name": "a__echo"}),
    "another method": (CALL, {"mcp-method": "ping"}),
    "another version": (CALL, {"mcp-protocol-version": "2025-11-25"}),
    "a name in base64": (CALL, {"mcp-name": "=?base64?YV9fZWNobw==?="}),
    "no name": (CALL, {"mcp-name": None}),
    "no method": (CALL, {"mcp-method": None}),
    "a key twice": (CALL.replace(b'"name":"a__seen"', b'"name":"a__seen","name":"a__echo"'), {}),
    "a method twice": (CALL.replace(b'"method":', b'"method":"ping","method":'), {}),
    "a batch": (b"[" + CALL + b"]", {}),
    "two messages": (CALL + b"\n" + CALL, {}),
    "not a number": (CALL.replace(b'"arguments":{}', b'"arguments":{"x":NaN}'), {}),
    "too deep": (CALL.replace(b'"arguments":{}', b'"arguments":{"x":' + b"[" * 600 + b"]" * 600 + b"}"), {}),
    "no UTF-8": (CALL.replace(b'"arguments":{}', b'"arguments":{"x":"\xff"}'), {}),
}


CODES = {"not a number": -32700, "no UTF-8": -32700, "two messages": -32700}


def test_a_message_that_can_be_read_in_two_ways_is_refused_and_reaches_nobody(serve, tmp_path):
    log = tmp_path / "seen"
    guard = serve({"a": puppet("--log", str(log)), "b": puppet()})
    assert guard.modern().text("a__echo", text="x") == "x"
    for kind, (body, changed) in TWO_THINGS.items():
        answer = guard.post(body, **{**ABOUT, **changed})
        assert answer.status == 400, kind
        assert answer.json()["error"]["code"] == (-32020 if changed else CODES.get(kind, -32600)), kind
    assert "seen" not in [
        json.loads(line).get("params", {}).get("name") for line in log.read_text().splitlines()
    ]
    assert guard.statuses() == ["ok"]
    assert guard.post(CALL, **ABOUT).status == 200


def raw(guard, data):
    """What one connection gets for these bytes, up to its end."""
    with socket.create_connection(("127.0.0.1", guard.port), DEADLINE) as connection:
        connection.sendall(data)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
        return found


def test_a_request_with_two_lengths_is_refused_and_nothing_behind_it_is_served(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    hidden = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
    start = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    for lengths in (
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 5\r\ncontent-length: 500\r\n",
        b"content-length: -1\r\n",
        b"content-length: 5x\r\n",
        b"transfer-encoding: chunked, identity\r\n",
    ):
        answer = raw(guard, start + lengths + b"\r\n0\r\n\r\n" + hidden)
        assert answer.startswith(b"HTTP/1.1 400"), (lengths, answer)
        assert answer.count(b"HTTP/1.1 ") == 1, lengths
    assert untouched(guard)


# --- too much ------------------------------------------------------------------------------------


def pour(exchange):
    """Send a body of 128 MB in chunks; it is cut off long before."""
    for _ in range(2000):
        exchange.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


@needs_proc
def test_a_body_over_the_limit_is_refused_whatever_it_says_of_its_length(serve):
    guard = serve({"a": puppet(), "b": puppet()}, limits={"message_bytes": 100_000})
    client = guard.modern()
    assert client.text("a__echo", text="x" * 90_000) == "x" * 90_000
    with flat(guard, 8):
        assert guard.open("POST", body=b"", content_length="1000000000", content_type="application/json",
                          accept=BOTH).status == 413  # fmt: skip
        endless = guard.open(
            "POST", content_type="application/json", accept=BOTH, transfer_encoding="chunked"
        )
        with pytest.raises(OSError, match=r"reset|pipe"):
            pour(endless)
    assert client.text("a__echo", text="x") == "x"


@needs_proc
def test_fields_behind_a_body_take_no_memory_and_no_part_in_what_is_decided(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    client = guard.modern()
    assert client.text("a__echo", text="x") == "x"
    body = json.dumps(MESSAGE).encode()
    behind = b"%x\r\n%b\r\n0\r\nmcp-protocol-version: %b\r\nmcp-method: tools/list\r\n\r\n"
    merged = guard.open("POST", body=behind % (len(body), body, MODERN.encode()), transfer_encoding="chunked",
                        content_type="application/json", accept=BOTH)  # fmt: skip
    assert merged.status == 400
    with flat(guard, 8), socket.create_connection(("127.0.0.1", guard.port), DEADLINE) as endless:
        endless.sendall(
            b"POST /mcp HTTP/1.1\r\nhost: evil.example\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
        )
        with pytest.raises(OSError, match=r"reset|pipe"):
            endless.sendall((b"x: " + b"a" * 60_000 + b"\r\n") * 2000)
    assert client.text("a__echo", text="x") == "x"


@needs_proc
def test_bodies_and_heads_that_do_not_come_hold_nobody_up_and_end_with_the_process(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    client = guard.modern()
    client.text("a__echo", text="start")
    with flat(guard, 12):
        for _ in range(150):
            guard.open(
                "POST", body=b'{"json', content_type="application/json", accept=BOTH, content_length="4000"
            )
        heads = [socket.create_connection(("127.0.0.1", guard.port), DEADLINE) for _ in range(150)]
        for head in heads:
            head.sendall(b"POST /mcp HTTP/1.1\r\nhost: loc")
        for n in range(20):
            assert client.text("b__echo", text=str(n)) == str(n)
    guard.signal(15)
    assert guard.wait() == 0
    for head in heads:
        head.close()


def test_more_sessions_than_allowed_are_refused_until_one_ends_and_keep_no_modern_client_out(serve):
    guard = serve({"a": puppet(), "b": puppet()}, http={"max_sessions": 3})
    first, *others = [guard.legacy() for _ in range(3)]
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    for knock in (guard.post(hello), WAYS["GET /sse"](guard)):
        assert (knock.status, knock.header("retry-after")) == (503, "60")
    for client in others:
        assert client.text("a__echo", text="x") == "x"
    assert WAYS["POST /mcp"](guard).status == 200
    first.delete()
    eventually(lambda: guard.post(hello).status == 200, "room")


def test_many_connections_that_say_nothing_leave_it_serving(serve):
    guard = serve({"a": puppet()})
    silent = [socket.create_connection(("127.0.0.1", guard.port), DEADLINE) for _ in range(300)]
    assert guard.modern().text("echo", text="x") == "x"
    for one in silent:
        one.close()
    assert guard.modern().text("echo", text="y") == "y"
