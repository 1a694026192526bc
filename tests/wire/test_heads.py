"""Where heads of chains go: to a file, to a URL, to standard output."""

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mcpguard.adapters.audit.signing import SigningKey, new_key
from mcpguard.core.secret import Secret
from tests.wire.http_session import HttpGuard
from tests.wire.session import Guard, eventually, puppet, verify


@pytest.fixture
def collector():
    """`(url, posted)`: what was posted there."""
    posted = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204 if self.path == "/heads" else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posted
    server.shutdown()
    server.server_close()


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_text(new_key())
    path.chmod(0o600)
    return f"${{file:{path}}}"


def audit_of(key, **heads):
    return {"path": "audit", "key": key, "heads": heads}


def test_heads_go_to_a_file_a_url_and_a_log_and_find_what_is_cut_off(tmp_path, key, collector):
    url, posted = collector
    audit = audit_of(key, file="heads.txt", url=f"{url}/heads", stdout=True)
    guard = HttpGuard(tmp_path, {"p": puppet()}, audit=audit)
    try:
        assert guard.modern().text("echo", text="x") == "x"
        kept = tmp_path / "heads.txt"
        eventually(lambda: posted and kept.exists() and kept.read_text().endswith("\n"), "a head")
        guard.process.send_signal(15)
        guard.process.wait(20)
        printed = os.read(guard.process.stdout.fileno(), 1 << 16)
    finally:
        guard.dispose()
    lines = kept.read_text().split()
    assert lines == [f"{one['file']}:{one['head']}" for one in posted]
    assert printed.decode().split() == lines
    command = [str(guard.audit_folder), "--heads", str(kept)]
    assert verify(*command)[0] == 0
    (file,) = guard.audit_folder.iterdir()
    records = file.read_bytes().splitlines(keepends=True)
    assert lines[-1] == f"{file.name}:{json.loads(records[-1])['hash']}"
    for keep in (1, len(records) - 1):
        file.write_bytes(b"".join(records[:keep]))
        assert verify(*command)[0] == 1


def test_a_session_that_ends_long_before_a_checkpoint_is_due_cannot_be_cut_off_unnoticed(tmp_path):
    guard = Guard(tmp_path, {"p": puppet()}, audit={"path": "audit", "heads": {"file": "heads.txt"}})
    try:
        guard.hello()
        kept = tmp_path / "heads.txt"
        eventually(lambda: kept.exists() and kept.read_text(), "the first head")
        assert guard.text("echo", text="x") == "x"
        assert guard.end() == 0
    finally:
        guard.dispose()
    command = [str(guard.audit_folder), "--heads", str(kept)]
    assert verify(*command)[0] == 0
    (file,) = guard.audit_folder.iterdir()
    records = file.read_bytes().splitlines(keepends=True)
    for keep in range(1, len(records)):
        file.write_bytes(b"".join(records[:keep]))
        assert verify(*command)[0] == 1, keep
    file.unlink()
    status, said = verify(*command)
    assert (status, "MISSING" in said) == (1, True)


def test_a_collector_that_refuses_is_said_and_holds_nothing_up(tmp_path, key, collector):
    url, _posted = collector
    guard = Guard(
        tmp_path, {"p": puppet()}, audit=audit_of(key, url=f"{url}/elsewhere?key=secret", stdout=True)
    )
    try:
        guard.hello()
        guard.wait_stderr(f"the head of the chain could not be sent to {url}/elsewhere: it answered HTTP 500")
        guard.wait_stderr("`audit.heads.stdout` has no effect here: a client reads this output")
        assert guard.text("echo", text="x") == "x"
        assert guard.end() == 0
    finally:
        guard.dispose()
    assert b"key=secret" not in guard.stderr
    assert verify(guard.audit_folder)[0] == 0


def test_a_collector_that_hangs_holds_up_no_end_and_the_last_head_is_said(tmp_path, key):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/heads"
        guard = Guard(tmp_path, {"p": puppet()}, audit=audit_of(key, url=url, file="heads.txt"))
        try:
            guard.hello()
            assert guard.text("echo", text="x") == "x"
            assert guard.end() == 0
        finally:
            guard.dispose()
    last = (tmp_path / "heads.txt").read_text().split()[-1]
    said = f"the last head of the chain could not be sent to {url} (it does not respond): keep {last}"
    assert said.encode() in guard.stderr
    assert verify(str(guard.audit_folder), "--expect", last)[0] == 0


def test_the_private_key_appears_nowhere(tmp_path, key):
    value = (tmp_path / "key").read_text()
    guard = Guard(tmp_path, {"p": puppet()}, audit=audit_of(key, file="heads.txt"))
    try:
        guard.hello()
        eventually(lambda: b'"signature"' in guard.audit_bytes, "a signed checkpoint")
        # It is held: a server that had it could not show it.
        assert value not in guard.text("echo", text=f"it is {value}")
        assert guard.end() == 0
    finally:
        guard.dispose()
    everything = guard.audit_bytes + bytes(guard.received) + guard.stderr
    assert value.encode() not in everything
    assert value.partition(":")[2].encode() not in everything
    public = SigningKey(Secret(value)).public
    assert verify(str(guard.audit_folder), "--public-key", str(public))[0] == 0


def test_a_key_that_is_missing_is_said_with_the_command_that_makes_one(tmp_path):
    path = tmp_path / "no-key"
    guard = Guard(tmp_path, {"p": puppet()}, audit={"path": "audit", "key": f"${{file:{path}}}"})
    try:
        guard.hello()
        guard.wait_stderr(f"does not exist: `mcpguard audit key --new --to {path}` makes a key")
        assert guard.end() == 0
    finally:
        guard.dispose()
    assert b"secret set" not in guard.stderr
