"""`mcpguard demo`: it shows what really happens, fails if that is not what it should be, and leaves nothing."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from mcpguard.cli import main
from mcpguard.cli.authoring.schema import schema_of
from mcpguard.cli.demo import StoryPrinter
from mcpguard.demo.play import LineMark, Tally
from scripts import recording
from tests.wire import warm

pytest.importorskip("mcp_server_git")

Capture = pytest.CaptureFixture[str]
Start = Callable[..., "Playing"]
SECRET = re.compile("ghp" + r"_[A-Za-z0-9]{36}|shop-[A-Za-z0-9_-]{32}")
ALLOW_ALL = "version: 1\npolicy: demo\nrules:\n  - {id: all, effect: allow}\n"


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """Environment variables with a home and a temporary folder that are new and empty; so is `work`."""
    for name in ("home", "temporary", "work"):
        (tmp_path / name).mkdir()
    ours = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    return {
        **ours,
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "GIT_DIR": str(tmp_path / "not-this-one"),
    }


WRAPPER = """\
#!/bin/sh
case " $* " in
  *" -m mcp_server_git "*)
    while [ "$1" != mcp_server_git ]; do shift; done
    shift
    exec {forked} "$@" ;;
esac
exec {python} "$@"
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python, which gets mcp-server-git from a process that has imported the SDK: that takes most of a demo's time."""
    entry = warm.sdk_server("mcp_server_git", own=True)
    path = tmp_path_factory.mktemp("python") / "python"
    path.write_text(
        WRAPPER.format(
            forked=shlex.join([entry["command"], *entry["args"]]), python=shlex.quote(sys.executable)
        )
    )
    path.chmod(0o700)
    return path


class Playing:
    """A demo in a process of its own, with its output in a pipe."""

    def __init__(self, first: str, words: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
        # Where the tests run in the background of a shell, an interrupt is ignored from the start.
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = (
            f"{heard}; import sys; from mcpguard.cli import main; {first}\n"
            "sys.exit(main(['demo', *sys.argv[1:]]))"
        )
        self._complained = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = warm.Warm(
            warm.socket_of_mcpguard(*warm.SDK),
            ["-c", code, *words],
            stderr=self._complained,
            env=environment,
            cwd=folder,
        )
        self.process.stdin.close()
        self.stdout = io.TextIOWrapper(self.process.stdout)

    def result(self) -> tuple[int, str, str]:
        """The exit code, the rest of its output, and what it wrote to standard error."""
        out = "" if self.stdout.closed else self.stdout.read()
        code = self.process.wait(60)
        self._complained.seek(0)
        return code, out, self._complained.read()

    def end(self) -> None:
        """Whatever became of it."""
        self.process.kill()
        self.process.wait(60)
        self.stdout.close()
        self._complained.close()


@pytest.fixture
def start(tmp_path: Path, surroundings: dict[str, str], python: Path) -> Iterator[Start]:
    """Starts a demo in these surroundings."""
    started: list[Playing] = []

    def begin(*words: str, first: str = "pass") -> Playing:
        first = f"sys.executable = {str(python)!r}; {first}"
        started.append(Playing(first, words, tmp_path / "work", surroundings))
        return started[-1]

    yield begin
    for one in started:
        one.end()


def left(folder: Path) -> list[str]:
    """The files in `folder` and the processes that know of it."""
    files = [str(path) for path in folder.rglob("*") if not path.is_dir() or path.parent != folder]
    listed = subprocess.run(["ps", "-axwwe", "-o", "args"], capture_output=True, text=True, check=True)
    return files + [line for line in listed.stdout.splitlines() if f"{folder}/temporary" in line]


def test_it_shows_each_step_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    code, out, err = start().result()
    assert (code, err) == (0, "")
    titles = re.findall(r"^\d\. (.*)$", out, re.MULTILINE)
    assert titles == [
        "The client sees only the tools that the policy can allow",
        "An allowed call",
        "Denied calls, as the model sees them",
        "A secret in a result is redacted",
        "A credential that the client never holds",
        "Evidence of every decision, and proof that it is intact",
    ]
    assert "   ✗ denied    4 are hidden: git__git_add, git__git_checkout, git__git_commit,\n" in out
    assert "│ Refused by mcpguard (demo/branch-names): An agent's branch begins with" in out
    assert "│ +api_key = [REDACTED:github-token#1]" in out
    assert "│ 401: a valid token is needed\n" in out
    assert "│ token = [REDACTED:credential:env:DEMO_TOKEN#1]" in out
    assert re.search(r"✗ denied +git_create_branch +demo/branch-names\n", out)
    assert re.search(r"■ redacted +git_show +demo/read\n", out)
    assert re.search(r"line \d was altered", out)
    assert "All 13 checks held." in out
    assert out.endswith("\n✓ 5 calls allowed · ✗ 2 denied · ■ 4 values redacted · ◆ 28 records verified\n")
    assert not SECRET.search(out)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert left(tmp_path) == []


def test_the_picture_in_the_documentation_is_what_it_prints_on_a_terminal(
    surroundings: dict[str, str], tmp_path: Path, python: Path
) -> None:
    code = f"import sys; from mcpguard.cli import main; sys.executable = {str(python)!r}; sys.exit(main(['demo']))"
    command = [sys.executable, "-S", warm.warm.__file__, warm.socket_of_mcpguard(*warm.SDK), "-c", code]
    text = recording.recorded(command, surroundings, recording.COLUMNS, tmp_path / "work")
    assert recording.svg(text) == recording.PICTURE.read_text("utf-8"), "draw it again: scripts/recording.py"
    assert not SECRET.search(text)
    assert max(map(len, re.sub(r"\x1b\[\d*m", "", text).splitlines())) <= recording.COLUMNS
    assert left(tmp_path) == []


def test_the_picture_of_an_approval_is_what_happens(surroundings: dict[str, str], tmp_path: Path) -> None:
    text = recording.approved(surroundings)
    drawn = recording.approval_svg(text)
    assert drawn == recording.APPROVAL.read_text("utf-8"), "draw it again: scripts/recording.py"
    assert "Created branch 'agent/fix-typo'" in text
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "A real client"),
        (signal.SIGTERM, "1. The"),
        (signal.SIGHUP, "1. The"),
        (signal.SIGINT, "   → shop__debug_settings"),
        (signal.SIGTERM, "   → shop__debug_settings"),
        (signal.SIGHUP, "   → mcpguard audit"),
    ],
)
def test_whoever_ends_it_early_it_cleans_up(
    start: Start, tmp_path: Path, number: signal.Signals, line: str
) -> None:
    playing = start(first="sys.stdout.reconfigure(line_buffering=True)")
    assert any(said.startswith(line) for said in playing.stdout)
    if line == "1. The":  # All are there to be found: else nothing found afterwards would say nothing.
        alive = "\n".join(left(tmp_path))
        assert "-m mcpguard run" in alive
        assert "warm mcp_server_git --repository" in alive
    playing.process.send_signal(number)
    code, _, err = playing.result()
    assert (code, err) == (130, "")
    assert left(tmp_path) == []


def test_kept_it_says_where_and_still_holds_no_token(start: Start, tmp_path: Path, capsys: Capture) -> None:
    code, out, _ = start("--keep").result()
    assert code == 0
    found = re.search(r"^kept in (.*)$", out, re.MULTILINE)
    assert found
    kept = Path(found[1])
    assert kept.parent == (tmp_path / "temporary").resolve()
    assert {"mcpguard.yaml", "policy.yaml", "audit", "received.jsonl"} <= set(os.listdir(kept))
    texts = [path.read_bytes().decode(errors="replace") for path in kept.glob("*") if path.is_file()]
    assert not any(SECRET.search(text) for text in texts)
    settings = (kept / "repository" / "settings.ini").read_text()
    assert SECRET.search(settings)
    assert_its_evidence_answers(kept / "audit", capsys)
    assert main(["replay", "--config", str(kept / "mcpguard.yaml"), "--strict"]) == 0
    assert "would change: 0 loosened, 0 tightened; 7 stay the same" in capsys.readouterr().out


def assert_its_evidence_answers(audit: Path, capsys: Capture) -> None:
    """Who asked for it, which policy decided it, what evidence is there: read in the commands' output alone."""
    assert main(["audit", "show", str(audit), "-n", "99", "--json"]) == 0
    form = Draft202012Validator(schema_of("audit-record"))
    for line in capsys.readouterr().out.splitlines():
        form.validate(json.loads(line))
    assert main(["audit", "show", str(audit), "-n", "99"]) == 0
    calls = re.findall(r"decision +(allow|deny) +(git|shop)/(\w+) +(\S+-\d+)", capsys.readouterr().out)
    assert {tool for _, _, tool, _ in calls} >= {"git_log", "git_reset", "git_show", "debug_settings"}
    for effect, server, tool, call in calls:
        assert main(["audit", "show", call, str(audit)]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert re.search(
            r"who os-user:\w+ asked for it: .* calls the agent demo-client, .* of mcpguard ", said
        )
        assert f"what It called the tool {tool} of the server {server}." in said
        verdict = {
            "allow": r"The rule demo/[\w-]+ allowed it\.",
            "deny": "(The rule .* denied|No rule allowed) it",
        }
        assert re.search(
            rf"why {verdict[effect]}.* policies in force \(demo\) have the sha256 [0-9a-f]{{64}}", said
        )
        assert (server == "shop") == ("the credential env:DEMO_TOKEN" in said)
        came = (
            "The server answered, and the client got the result." if effect == "allow" else "Nothing was sent"
        )
        assert f"result {came}" in said
        assert re.search(r"evidence The decision is line \d+ of (\S+)\. .*The chain \1 is intact", said)
        removed = {"git_show": "kind github-token at", "debug_settings": "kind credential:env:DEMO_TOKEN at"}
        assert removed.get(tool, "") in said


def test_a_claim_that_does_not_hold_fails_the_demo(start: Start, tmp_path: Path) -> None:
    first = f"import mcpguard.demo.stage as stage; stage.POLICY = {ALLOW_ALL!r}"
    code, out, _ = start(first=first).result()
    assert code == 1
    assert "   NO 0 are hidden:" in out
    assert "4 of 13 checks failed:\n" in out
    assert "calls allowed" not in out
    assert left(tmp_path) == []


def test_a_session_that_breaks_shows_what_mcpguard_said(start: Start, tmp_path: Path) -> None:
    policy = ALLOW_ALL.replace("effect: allow", "effect: alow")
    first = f"import mcpguard.demo.stage as stage; stage.POLICY = {policy!r}"
    code, out, _ = start(first=first).result()
    assert code == 1
    assert "NO the session broke:" in out
    said = "".join(out.replace("│", "").split())  # Any word may be cut up: the path is long.
    assert "policy.yaml:4:23:expectedoneofallow,ask,deny" in said
    assert left(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(start: Start, tmp_path: Path) -> None:
    (tmp_path / "temporary").rmdir()
    first = f"import tempfile; tempfile.tempdir = {str(tmp_path / 'temporary')!r}"
    code, _, err = start(first=first).result()
    assert code == 2
    assert err.startswith("mcpguard: the demo's folder could not be made or removed: ")


def test_a_git_that_fails_is_quoted(start: Start, tmp_path: Path) -> None:
    first = "import mcpguard.demo.stage as stage; stage.DemoFolder.repository = stage.Path('/dev/null/no')"
    code, _, err = start(first=first).result()
    assert code == 2
    assert err.startswith("mcpguard: the demo's folder could not be made or removed: fatal: ")
    assert err.count("\n") == 1
    assert left(tmp_path) == []


def test_a_reader_that_goes_away_ends_it_cleanly(start: Start, tmp_path: Path) -> None:
    playing = start()
    playing.stdout.close()
    code, _, err = playing.result()
    assert (code, err) == (141, "")
    assert left(tmp_path) == []


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "mcp_server_git", None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "mcpguard: the demo needs the Git MCP server: pip install mcp-server-git\n"
    )


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "mcpguard: the demo needs git, which is not in PATH: install it and try again\n"
    )


def everything(teller: StoryPrinter) -> None:
    """All kinds of lines."""
    teller.introduce()
    teller.title("A title that is longer than the narrowest terminal is wide")
    teller.say("A sentence that is longer than the narrowest terminal is wide.")
    teller.call("git__git_create_branch(branch_name='agent/fix-typo')")
    teller.back("Basic c2h[REDACTED:credential:env:DEMO_TOKEN#1]\nintact …\n" + "x" * 150)
    teller.decisions([("denied", "git_create_branch", "demo/branch-names"), ("allowed", "log", "a")])
    for mark in get_args(LineMark):
        teller.check(True, mark, "A claim that is longer than the narrowest terminal is wide")
    teller.conclude(Tally(allowed=5, denied=2, redacted=4, records=20))


@pytest.mark.parametrize(
    ("columns", "most"), [("20", 40), ("40", 40), ("60", 60), ("100", 100), ("120", 120), ("200", 120)]
)
def test_it_is_as_wide_as_the_terminal_within_limits(
    columns: str, most: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    everything(StoryPrinter())
    lines = capsys.readouterr().out.splitlines()
    assert most - 20 <= max(map(len, lines)) <= most
    assert lines[-1].endswith("◆ 20 records verified")


def test_the_signs_stay_without_colour_and_become_ascii_where_the_encoding_lacks_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    everything(StoryPrinter())
    written.seek(0)
    out = written.read()
    assert "+ allowed   x denied   # redacted   * verified   ! altered\n" in out
    assert "   > git__git_create_branch(" in out
    assert "   | intact ...\n" in out
    assert out.endswith("\n+ 5 calls allowed - x 2 denied - # 4 values redacted - * 20 records verified\n")


class Terminal(io.StringIO):
    """Standard output that a person looks at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_each_kind_has_its_colour_on_a_terminal_and_none_where_it_is_not_wanted(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", coloured := Terminal())
    everything(StoryPrinter())
    signs = dict(re.findall(r"\x1b\[(\d+)m(.) \w+ *\x1b\[0m  A claim", coloured.getvalue()))
    assert signs == {"32": "✓", "31": "✗", "33": "■", "36": "◆", "35": "≠"}
    assert "\x1b[33m[REDACTED:credential:env:DEMO_TOKEN#1]\x1b[0m" in coloured.getvalue()
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "stdout", bare := Terminal())
    everything(StoryPrinter())
    assert bare.getvalue() == re.sub(r"\x1b\[\d+m", "", coloured.getvalue())


def test_what_came_back_is_wrapped_cut_and_cannot_steer_the_terminal(capsys: Capture) -> None:
    StoryPrinter().back("\x1b[2J\n" + "word " * 30 + "\n\n" + "more\n" * 20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "   │ \\x1b[2J"
    assert max(map(len, lines)) <= 80
    assert "   │" in lines
    assert lines[-1] == "   │ … and 11 more lines"
