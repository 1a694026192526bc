"""With `--log-format json`, what ends a start is an object on standard error like each line of the log."""

from __future__ import annotations

import io
import json
import re
import socket
from pathlib import Path

import pytest

from mcpguard.cli.log_lines import JsonLines, wants_json
from tests.rows import each
from tests.wire.warm import command


def objects(text: str) -> list[dict[str, str]]:
    found = [json.loads(line) for line in text.splitlines()]
    for one in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])
        assert one["level"] == "error"
    return found


@each(
    ("words", "expected"),
    [
        ("run --log-format json", True),
        ("run --http h:1 --log-format=json --config x", True),
        ("wrap --log-format json -- server", True),
        ("wrap -- server --log-format json", False),
        ("run --log-format text", False),
        ("run --log-format", False),
        ("status --log-format json", False),
        ("", False),
    ],
)
def test_what_is_asked_for_is_known_though_the_other_words_are_wrong(words: str, expected: bool) -> None:
    assert wants_json(words.split()) is expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--config", "missing.yaml"], ["missing.yaml"]),
        (["--config", "bad.yaml"], ["bad.yaml:2:1: unknown key `a`", "bad.yaml:3:1: unknown key `b`"]),
        (["--unknown"], ["unknown option --unknown"]),
        (["--config", "good.yaml", "--http", "nowhere"], ["HOST"]),
        (["--config", "good.yaml", "--http", "127.0.0.1:PORT"], ["cannot listen on 127.0.0.1:"]),
        (["--config", "audit.yaml"], ["good.yaml"]),
    ],
)
def test_what_ends_a_start_is_an_object(tmp_path: Path, words: list[str], expected: list[str]) -> None:
    good = "version: 1\nservers: {s: {command: x}}\n"
    (tmp_path / "good.yaml").write_text(good)
    (tmp_path / "bad.yaml").write_text(f"version: 1\na: 1\nb: 2\n{good[11:]}")
    (tmp_path / "audit.yaml").write_text(f"{good}audit: {{path: {tmp_path}/good.yaml}}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = [word.replace("PORT", port) for word in words]
        done = command("run", "--log-format", "json", *given, cwd=tmp_path)
    assert done.returncode == 2
    last = objects(done.stderr.decode())[-1]["message"]
    assert all(one in last for one in expected)
    assert not last.startswith("mcpguard: ")


def test_a_text_is_one_object_whatever_its_lines() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    print("mcpguard: first\n  with an excerpt", file=lines)
    print("half", end="", file=lines)
    assert [one["message"] for one in objects(stream.getvalue())] == ["first\n  with an excerpt"]
    lines.flush()
    lines.flush()
    assert [one["message"] for one in objects(stream.getvalue())][1:] == ["half"]
    assert lines.writable()
