"""What a client hears from a `run` or `wrap` that cannot start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client

from mcpguard.cli.unstarted import answer_with, serves_a_client
from tests.rows import each

INITIALIZE = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n'
FAULTY = "version: 1\nservrs: {}\nservers: {s: {comand: cat}}\n"


def heard(*words: str, folder: Path, typed: bytes = INITIALIZE) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code of mcpguard, what its client read, and its standard error."""
    command = [sys.executable, "-m", "mcpguard", *words]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    done = subprocess.run(
        command, input=typed, capture_output=True, timeout=60, cwd=folder, env=environment, check=False
    )
    return done.returncode, [*map(json.loads, done.stdout.splitlines())], done.stderr.decode()


async def refusal_of(mode: str, *words: str) -> str:
    """What a client of the SDK raises where mcpguard does not start."""
    server = StdioServerParameters(command=sys.executable, args=["-m", "mcpguard", *words])
    with pytest.RaisesGroup(MCPError, flatten_subgroups=True, allow_unwrapped=True) as raised:
        async with Client(stdio_client(server), mode=mode):
            raise AssertionError("it has started")
    problem = raised.value
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return str(problem)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_shows_where_the_configuration_is_wrong_and_what_to_do(
    mode: str, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(FAULTY)
    assert await refusal_of(mode, "run", "--config", str(config)) == (
        f"mcpguard cannot start: {config}:2:1: unknown key `servrs`; did you mean `servers`? "
        f"(1 more: `mcpguard check --config {config}` shows all). "
        "Correct that, then restart mcpguard in this client."
    )


def test_every_request_is_refused_and_the_exit_code_is_that_of_a_start_without_a_client(
    tmp_path: Path,
) -> None:
    (tmp_path / "c.yaml").write_text(FAULTY)
    call = b'{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"x"}}\n'
    noise = b'{"jsonrpc":"2.0","method":"notifications/initialized"}\nwhat\n' + b"x" * 70_000 + b"\n"
    code, answers, said = heard("run", "--config", "c.yaml", folder=tmp_path, typed=INITIALIZE + noise + call)
    alone = heard("run", "--config", "c.yaml", folder=tmp_path, typed=b"")
    assert (code, [], said) == alone
    assert code == 2
    assert "c.yaml:3:15: unknown key `comand`" in said
    assert [answer["id"] for answer in answers] == [1, "two"]
    assert answers[0]["error"] == answers[1]["error"]


@each(
    ("words", "said"),
    [
        (
            ["run", "--confg", "c.yaml"],
            "mcpguard run: unknown option --confg: did you mean `--config`? Correct",
        ),
        (["wrap", "--env", "A=secret-value", "--", "cat"], "name the variable only"),
        (["run", "--config", "none.yaml"], "none.yaml: does not exist"),
        (["run", "--config", "audit.yaml"], "audit"),
    ],
)
def test_whatever_keeps_it_from_starting_is_said_without_an_excerpt(
    words: list[str], said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("f")
    (folder / "file").write_text("")
    (folder / "audit.yaml").write_text(
        "version: 1\nservers: {s: {command: cat}}\naudit: {path: file/audit}\n"
    )
    code, [answer], errors = heard(*words, folder=folder)
    shown = answer["error"]["message"]
    assert code == 2
    assert said in shown
    assert "\n" not in shown
    assert "secret-value" not in shown + errors


@each(
    ("config", "rules"),
    [
        ("servers: {s: {command: cat, TOKEN: 1}}", ""),
        ("servers: {s: {command: cat, env: {A: TOKEN, A: b}}}", ""),
        ("servers: {s: {url: 'http://u:TOKEN@example.com/'}}", ""),
        ("servers: {s: {command: cat, type: TOKEN}}", ""),
        ("servers: {s: {command: cat}}\npolicies: [p.yaml]", "{id: x, effect: TOKEN}"),
        ("servers: {s: {command: cat}}\npolicies: [p.yaml]", "{id: x, effect: allow, when: noTOKEN}"),
    ],
)
def test_a_secret_beside_a_mistake_does_not_reach_the_client(
    config: str, rules: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, token = tmp_path_factory.mktemp("f"), "ghp_q7Zt2Wb9Kx4Lm8Rv1Yd5q7Zt2Wb9Kx4Lm8Rv"
    (folder / "c.yaml").write_text(f"version: 1\n{config}\n".replace("TOKEN", token))
    (folder / "p.yaml").write_text(f"version: 1\npolicy: p\nrules:\n  - {rules}\n".replace("TOKEN", token))
    code, [answer], errors = heard("run", "--config", "c.yaml", folder=folder)
    assert code == 2
    assert "mcpguard cannot start" in answer["error"]["message"]
    assert token not in f"{answer}{errors}"


def test_a_client_that_is_silent_is_not_waited_for() -> None:
    taken, typed = os.pipe()
    answers, given = os.pipe()
    os.write(typed, INITIALIZE)
    answer_with("a reason.", (taken, given), patience=0.0)
    message = json.loads(os.read(answers, 9999))["error"]["message"]
    assert message == "mcpguard cannot start: a reason. Correct that, then restart mcpguard in this client."
    os.close(answers)
    os.write(typed, INITIALIZE)
    answer_with("a reason.", (taken, given))  # It is gone, which is no error.
    for descriptor in (taken, typed, given):
        os.close(descriptor)


@each(
    ("words", "expected"),
    [
        (["run"], True),
        (["run", "--http", "127.0.0.1:0"], False),
        (["run", "--http=127.0.0.1:0"], False),
        (["wrap", "--", "server", "--http", "x", "--help"], True),
        (["run", "--help"], False),
        (["check"], False),
        ([], False),
    ],
)
def test_only_what_serves_one_client_answers_it(words: list[str], expected: bool) -> None:
    assert serves_a_client(words) is expected
