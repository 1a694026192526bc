"""A supervisor opens the port (systemd socket activation): the same address, and never another one."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.session import DEADLINE, puppet, write_config

PASS = """
import os, sys
descriptor, words = int(sys.argv[1]), sys.argv[2:]
os.dup2(descriptor, 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "mcpguard", *words])
"""


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def started(port: socket.socket, folder: Path, address: str) -> subprocess.Popen[str]:
    config = write_config(folder, {"a": puppet()})
    words = ["run", "--config", str(config), "--http", address]
    return subprocess.Popen(
        [sys.executable, "-c", PASS, str(port.fileno()), *words],
        pass_fds=(port.fileno(),),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
    )


def test_clients_of_a_passed_socket_wait_through_a_restart(port: socket.socket, tmp_path: Path) -> None:
    host, number = port.getsockname()
    for _ in range(2):
        client = http.client.HTTPConnection(host, number, timeout=DEADLINE)
        client.connect()  # Nobody serves yet: the socket is open all the same.
        process = started(port, tmp_path, f"{host}:{number}")
        try:
            client.request("GET", "/livez")
            assert client.getresponse().read() == b"ok"
        finally:
            client.close()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE)
        assert process.returncode == 0


def test_a_passed_socket_changes_no_address(port: socket.socket, tmp_path: Path) -> None:
    other = port.getsockname()[1] % 65000 + 1
    process = started(port, tmp_path, f"127.0.0.1:{other}")
    said = process.communicate(timeout=DEADLINE)[1]
    assert process.returncode == 2
    assert "the socket that was passed is bound to another address" in said
