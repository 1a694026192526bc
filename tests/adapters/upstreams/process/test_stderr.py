"""What a server writes on its standard error, as the operator gets it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest

from mcpguard.adapters.upstreams.process.stderr import LINE_BYTES, LINES_A_PASS, READ_BYTES, StderrLines

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


class Heard:
    """Both ends of a pipe: what was written into it, and how much of it was inspected in one pass."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.passes: list[list[int]] = [[]]
        reading, self.fd = os.pipe()
        os.set_blocking(reading, False)
        self.read = StderrLines(reading, self._clean, self.lines.append)

    def _clean(self, text: str) -> str:
        self.passes[-1].append(len(text))
        return text.replace("secret", "[gone]")

    async def until(self, done: Callable[[], bool]) -> None:
        """Let passes of the loop go by."""
        while not done():
            await asyncio.sleep(0)
            self.passes.append([])

    def close(self) -> None:
        self.read.close()
        os.close(self.fd)


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    made = Heard()
    yield made
    made.close()


@pytest.mark.parametrize("line", [b"x\n", b"an ordinary line of words\n", b"y" * 1000 + b"\n"])
async def test_of_a_flood_one_pass_of_the_loop_handles_a_little(heard: Heard, line: bytes) -> None:
    count = 60_000 // len(line)
    os.write(heard.fd, line * count)
    await heard.until(lambda: len(heard.lines) == count)
    # What was left of one read and the beginning of the next may come together.
    assert max(map(len, heard.passes)) <= 2 * LINES_A_PASS
    assert max(map(sum, heard.passes)) <= 2 * (READ_BYTES + len(line))
    assert heard.lines == [line.decode().strip()] * count


async def test_between_two_passes_others_have_their_turn(heard: Heard) -> None:
    os.write(heard.fd, b"x\n" * 1000)
    turns: list[int] = []

    def other() -> None:
        turns.append(len(heard.lines))
        asyncio.get_running_loop().call_soon(other)

    other()
    await heard.until(lambda: len(heard.lines) == 1000)
    assert max(later - before for before, later in pairwise(turns)) <= 2 * LINES_A_PASS


async def test_a_line_is_inspected_whole_and_keeps_what_stands_before_it(heard: Heard) -> None:
    os.write(heard.fd, b"  the sec")
    await heard.until(lambda: len(heard.passes) > 5)
    os.write(heard.fd, b"ret is out\r\n\n")
    await heard.until(lambda: bool(heard.lines))
    assert heard.lines == ["  the [gone] is out"]
    assert heard.read.last == "the [gone] is out"


async def test_a_line_over_the_limit_is_dropped_and_said_to_be(heard: Heard) -> None:
    os.set_blocking(heard.fd, False)
    left = LINE_BYTES + 1
    while left:
        try:
            left -= os.write(heard.fd, b"z" * min(left, READ_BYTES))
        except BlockingIOError:
            await asyncio.sleep(0)
    os.write(heard.fd, b"\nnext\n")
    await heard.until(lambda: "next" in heard.lines)
    assert heard.lines == [
        f"a line of more than {LINE_BYTES} bytes on its standard error was dropped",
        "next",
    ]


async def test_what_stands_without_a_newline_at_its_end_is_the_last_line() -> None:
    heard = Heard()
    os.write(heard.fd, b"first\n" * 100 + b"last words")
    os.close(heard.fd)
    await heard.until(lambda: len(heard.lines) == 101)
    assert heard.read.last == "last words"
    heard.read.close()


async def test_what_a_process_said_last_is_known_when_it_has_ended() -> None:
    heard = Heard()
    os.write(heard.fd, b"  a frame of a traceback\n" * 500 + b"KeyError: 'TOKEN'\n")
    os.close(heard.fd)
    await heard.read.catch_up()
    assert heard.read.last == "KeyError: 'TOKEN'"


NODE = """node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module '/opt/notes/server.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.20.2
"""
NPM = """npm error code E404
npm error 404  '@example/no-such-server@*' is not in this registry.
npm error
npm error A complete log of this run can be found in: /root/.npm/_logs/2026-12-01T01_00_00_000Z-debug-0.log
npm notice New major version of npm available! 10.8.2 -> 11.6.1
"""
GO = """panic: GITHUB_TOKEN is not set

goroutine 1 [running]:
main.connect(0xc000012345, 0x2)
\t/src/main.go:14 +0x18
main.main()
\t/src/main.go:9 +0x1d
created by main.start in goroutine 1
exit status 2
"""
RUST = """thread 'main' panicked at src/main.rs:2:5:
no token
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
JAVA = """Exception in thread "main" java.lang.IllegalStateException: no token
\tat com.example.Server.main(Server.java:3)
"""


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (NODE, "Error: Cannot find module '/opt/notes/server.js'"),
        (NPM, "npm error 404  '@example/no-such-server@*' is not in this registry."),
        (GO, "panic: GITHUB_TOKEN is not set"),
        (RUST, "no token"),
        (JAVA, 'Exception in thread "main" java.lang.IllegalStateException: no token'),
        ("listening\nconnect() failed\n", "connect() failed"),
        ("  indented\n  and no more\n", "and no more"),
    ],
)
async def test_the_reason_is_not_what_a_runtime_prints_after_it(written: str, reason: str) -> None:
    heard = Heard()
    os.write(heard.fd, written.encode())
    os.close(heard.fd)
    await heard.until(lambda: len(heard.lines) == sum(map(bool, written.splitlines())))
    assert heard.read.last == reason
    heard.read.close()


async def test_a_process_that_others_outlive_is_not_waited_for(heard: Heard) -> None:
    os.write(heard.fd, b"last\n")
    await heard.read.catch_up()
    assert heard.read.last == "last"


async def test_after_close_nothing_more_is_said(heard: Heard) -> None:
    os.write(heard.fd, b"x\n" * 1000)
    await heard.until(lambda: bool(heard.lines))
    heard.read.close()
    before = len(heard.lines)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(heard.lines) == before < 1000
