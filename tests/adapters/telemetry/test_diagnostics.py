"""The operator's lines."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from mcpguard.adapters.telemetry.diagnostics import LINE_BYTES, Diagnostics
from mcpguard.core.errors import InspectionError


def said(*lines: tuple[str, str]) -> str:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(lambda text: text.replace("secret", "[gone]"), writing)
    for server, text in lines:
        diagnostics.report(server, text)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode()


def test_a_line_names_the_server_or_mcpguard_itself() -> None:
    assert said(("git", "hello"), ("", "ready")) == "[git] hello\nmcpguard: ready\n"


def test_a_line_is_inspected_flattened_and_cut() -> None:
    assert said(("a", "the secret\n\x1b[31mred")) == "[a] the [gone]  [31mred\n"
    assert len(said(("a", "x" * 100_000))) == LINE_BYTES + 1


def test_a_line_that_cannot_be_inspected_is_withheld() -> None:
    def broken(_text: str) -> str:
        raise InspectionError("no")

    reading, writing = os.pipe()
    Diagnostics(broken, writing).report("", "secret")
    assert b"withheld" in os.read(reading, 1000)
    os.close(reading)
    os.close(writing)


def test_a_reader_that_stalls_costs_lines_and_not_time() -> None:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(str, writing)
    for _ in range(200):
        diagnostics.report("a", "x" * 1990)
    os.read(reading, 1 << 20)
    diagnostics.report("a", "back")
    assert b"lines dropped) [a] back" in os.read(reading, 1000)
    os.close(reading)
    diagnostics.report("a", "nobody reads")
    os.close(writing)
    diagnostics.report("a", "closed")


def test_a_defect_in_a_thread_is_told_by_its_kind_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        raise OSError("the secret")

    reading, writing = os.pipe()
    monkeypatch.setattr(threading, "excepthook", Diagnostics(str, writing).of_threads)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"mcpguard: internal error (OSError) in a thread\n"


def test_a_warning_of_a_library_is_inspected_and_has_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(lambda text: text.replace("secret", "[gone]"), writing)
    library = logging.Logger("some.library")
    monkeypatch.setattr(logging, "lastResort", diagnostics.of_libraries)
    try:
        raise OSError("the secret")
    except OSError:
        library.warning("took the %s", "secret", exc_info=True)
    library.warning("%d", "secret")
    library.info("hello")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().decode() == (
            "mcpguard: some.library: took the [gone]\nmcpguard: some.library: a warning that cannot be read\n"
        )
