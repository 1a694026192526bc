"""`mcpguard demo`: it shows what really happens, fails when that is not what it should be, and is gone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcpguard.cli import main
from mcpguard.cli.demo import Teller

pytest.importorskip("mcp_server_git")

Capture = pytest.CaptureFixture[str]
Start = Callable[..., "subprocess.Popen[str]"]
SECRET = re.compile("ghp" + r"_[A-Za-z0-9]{36}|shop-[A-Za-z0-9_-]{32}")
ALLOW_ALL = "version: 1\npolicy: demo\nrules:\n  - {id: all, effect: allow}\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a demo whose home, temporary and working folder are new and empty."""
    for name in ("home", "temporary", "work"):
        (tmp_path / name).mkdir()
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str, first: str = "") -> subprocess.Popen[str]:
        code = f"import sys; from mcpguard.cli import main; {first}\nsys.exit(main(['demo', *sys.argv[1:]]))"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env={
                **os.environ,
                "HOME": str(tmp_path / "home"),
                "TMPDIR": str(tmp_path / "temporary"),
                "GIT_DIR": str(tmp_path / "not-this-one"),
            },
            cwd=tmp_path / "work",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def left(folder: Path) -> list[str]:
    """The files in `folder` and the processes that know of it."""
    files = [str(path) for path in folder.rglob("*") if not path.is_dir() or path.parent != folder]
    listed = subprocess.run(["ps", "-axwwe", "-o", "args"], capture_output=True, text=True, check=True)
    return files + [line for line in listed.stdout.splitlines() if f"{folder}/temporary" in line]


def test_it_shows_each_step_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    out, err = (process := start()).communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    titles = re.findall(r"^\d\. (.*)$", out, re.MULTILINE)
    assert titles == [
        "The client sees only the tools that the policy can allow",
        "An allowed call",
        "Denied calls, as the model sees them",
        "A secret in a result is withheld",
        "A credential that the client never holds",
        "Evidence of every decision, and its proof",
    ]
    assert "   ok 4 of 14 are hidden: git__git_add, git__git_checkout, git__git_commit," in out
    assert "| Refused by mcpguard (demo/branch-names): An agent's branch begins with" in out
    assert "| +api_key = [REDACTED:github-token#1]" in out
    assert "| 401: a valid token is needed\n" in out
    assert "| token = [REDACTED:credential:env:DEMO_TOKEN#1]" in out
    assert re.search(r"tools/call +git_create_branch +deny +demo/branch-names\n", out)
    assert re.search(r"tools/call +git_show +allow +demo/read +redacted\n", out)
    assert "line 2 was altered" in out
    assert "All 12 checks held." in out
    assert not SECRET.search(out)
    assert left(tmp_path) == []


def test_it_fits_a_terminal_and_has_no_colour_in_a_pipe(start: Start) -> None:
    out, _ = start().communicate(timeout=60)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "A client"),
        (signal.SIGTERM, "1. The"),
        (signal.SIGHUP, "1. The"),
        (signal.SIGINT, "   > shop__debug_settings"),
        (signal.SIGTERM, "   > shop__debug_settings"),
        (signal.SIGHUP, "   > mcpguard audit"),
    ],
)
def test_whoever_ends_it_early_it_cleans_up(
    start: Start, tmp_path: Path, number: signal.Signals, line: str
) -> None:
    process = start(first="sys.stdout.reconfigure(line_buffering=True)")
    assert process.stdout
    assert any(said.startswith(line) for said in process.stdout)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert left(tmp_path) == []


def test_while_it_plays_its_processes_are_there_to_be_found(start: Start, tmp_path: Path) -> None:
    process = start(first="sys.stdout.reconfigure(line_buffering=True)")
    assert process.stdout
    assert any(said.startswith("1. The") for said in process.stdout)
    alive = "\n".join(left(tmp_path))
    assert "-m mcpguard run" in alive
    assert "-m mcp_server_git" in alive
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130


def test_kept_it_says_where_and_still_holds_no_token(start: Start, tmp_path: Path) -> None:
    out, _ = (process := start("--keep")).communicate(timeout=60)
    assert process.returncode == 0
    found = re.search(r"^kept in (.*)$", out, re.MULTILINE)
    assert found
    kept = Path(found[1])
    assert kept.parent == (tmp_path / "temporary").resolve()
    assert {"mcpguard.yaml", "policy.yaml", "audit", "received.jsonl"} <= set(os.listdir(kept))
    texts = [path.read_bytes().decode(errors="replace") for path in kept.glob("*") if path.is_file()]
    assert not any(SECRET.search(text) for text in texts)
    settings = (kept / "repository" / "settings.ini").read_text()
    assert SECRET.search(settings)


def test_a_claim_that_does_not_hold_fails_the_demo(start: Start, tmp_path: Path) -> None:
    first = f"import mcpguard.demo.stage as stage; stage.POLICY = {ALLOW_ALL!r}"
    out, _ = (process := start(first=first)).communicate(timeout=60)
    assert process.returncode == 1
    assert "   NO 0 of 14 are hidden:" in out
    assert "4 of 12 did not come out as it should:\n" in out
    assert left(tmp_path) == []


def test_a_session_that_breaks_shows_what_mcpguard_said(start: Start, tmp_path: Path) -> None:
    policy = ALLOW_ALL.replace("effect: allow", "effect: alow")
    first = f"import mcpguard.demo.stage as stage; stage.POLICY = {policy!r}"
    out, _ = (process := start(first=first)).communicate(timeout=60)
    assert process.returncode == 1
    assert "NO the session broke:" in out
    assert "policy.yaml:4:23: expected one of allow, ask, deny" in " ".join(out.replace("|", "").split())
    assert left(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(start: Start, tmp_path: Path) -> None:
    (tmp_path / "temporary").rmdir()
    first = f"import tempfile; tempfile.tempdir = {str(tmp_path / 'temporary')!r}"
    _, err = (process := start(first=first)).communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("mcpguard: the demo's folder could not be made or removed: ")


def test_a_git_that_fails_is_quoted(start: Start, tmp_path: Path) -> None:
    first = "import mcpguard.demo.stage as stage; stage.Stage.repository = stage.Path('/dev/null/no')"
    _, err = (process := start(first=first)).communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("mcpguard: the demo's folder could not be made or removed: fatal: ")
    assert err.count("\n") == 1
    assert left(tmp_path) == []


def test_a_reader_that_goes_away_ends_it_cleanly(start: Start, tmp_path: Path) -> None:
    process = start()
    assert process.stdout
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr
    assert process.stderr.read() == ""
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["mcp", "mcp_server_git"])
def test_without_its_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "mcpguard: the demo needs a client and a server: pip install 'mcpguard-gateway[demo]'\n"
    )


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "mcpguard: the demo needs git, which is not in PATH: install it and try again\n"
    )


def test_what_came_back_is_wrapped_cut_and_cannot_steer_the_terminal(capsys: Capture) -> None:
    Teller().back("\x1b[2J\n" + "word " * 30 + "\n\n" + "more\n" * 20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "   | \\x1b[2J"
    assert max(map(len, lines)) <= 80
    assert "   |" in lines
    assert lines[-1] == "   | … and 11 lines more"
