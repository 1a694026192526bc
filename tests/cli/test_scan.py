"""`mcpguard scan`: what is found, in every form of output, and never a value."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.cli import scan as verb
from tests.scan.test_files import git
from tests.scan.test_windows import TOKEN

Capture = pytest.CaptureFixture[str]
KEY = "-----BEGIN PRIVATE " + "KEY-----\n" + "aZ3kQ9xB7mT2" * 5 + "\n-----END PRIVATE " + "KEY-----\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text(f"# größer\nkey = '{TOKEN}'\n")
    (tmp_path / "src" / "odd \x1b[31m.pem").write_text(f"x\n{KEY}")
    (tmp_path / "fine.md").write_text("nothing, jane@example.com\n")
    return tmp_path


def scan(capsys: Capture, *words: str) -> tuple[int, str, str]:
    code = main(["scan", *words])
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err
    assert TOKEN[8:20] not in printed.out + printed.err
    return code, printed.out, printed.err


def test_a_line_for_each_and_one_that_counts(folder: Path, capsys: Capture) -> None:
    code, out, err = scan(capsys)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "src/a.py:2:8: github-token",
        "src/odd \\x1b[31m.pem:2:1: private-key",
        "2 secrets in 2 of 3 files (203 bytes)",
    ]
    assert scan(capsys, "fine.md") == (0, "no secrets in 1 file (26 bytes)\n", "")


def test_json_has_all_that_is_known(folder: Path, capsys: Capture) -> None:
    code, out, _ = scan(capsys, "src", "--format", "json")
    assert scan(capsys, "src", "--json") == (code, out, "")
    report = json.loads(out)
    assert (code, report["ok"], report["sources"], report["unread"]) == (1, False, 2, [])
    token, key = report["findings"]
    assert len(token.pop("fingerprint")) == 16
    assert token == {
        "kind": "github-token", "level": "error", "path": "src/a.py", "line": 2, "column": 8, "end_line": 2,
        "end_column": 48, "commit": "", "excepted": "",
    }  # fmt: skip
    assert (key["line"], key["end_line"]) == (2, 4)


def test_only_some_kinds(folder: Path, capsys: Capture) -> None:
    assert scan(capsys, "--kinds", "private-key, jwt")[1].count("\n") == 2
    code, out, _ = scan(capsys, "--kinds", "personal")
    assert (code, out.splitlines()[0]) == (1, "fine.md:1:10: email")
    code, _, err = scan(capsys, "--kinds", "jwt,nothing")
    assert (code, "no kind is called 'nothing'" in err) == (2, True)


def test_what_looks_random_is_a_note_that_does_not_count(folder: Path, capsys: Capture) -> None:
    (folder / "fine.md").write_text("id: 3f7a9c2e5b8d1046af93c72e5b1d8046\n")
    code, out, _ = scan(capsys, "fine.md", "--entropy")
    assert (code, out) == (0, "fine.md:1:5: high-entropy\nno secrets in 1 file (37 bytes), 1 note\n")


def test_the_input(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(f"\n {TOKEN}\n".encode())))
    code, out, _ = scan(capsys, "--stdin")
    assert (code, out) == (1, "<stdin>:2:2: github-token\n1 secret in 1 of 1 input (43 bytes)\n")
    assert scan(capsys, "--stdin", "src")[0] == 2


def test_the_input_has_exceptions(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(f"{TOKEN}\n".encode())))
    (folder / "e.yaml").write_text(
        "version: 1\nexceptions: [{kind: github-token, path: <stdin>, reason: known}]\n"
    )
    assert scan(capsys, "--stdin", "--exceptions", "e.yaml")[0] == 0


def test_what_is_named_twice_is_read_once(folder: Path, capsys: Capture) -> None:
    (folder / "link").symlink_to("src/a.py")
    for words in (("src", "src"), ("src", str(folder)), ("src/a.py", "link", "src"), (".", "src/a.py")):
        assert "2 secrets in 2 of " in scan(capsys, *words)[1]


def test_a_path_that_is_missing_is_named_legibly(folder: Path, capsys: Capture) -> None:
    code, _, err = scan(capsys, "a\nb\x1b[31m")
    assert (code, err) == (2, "mcpguard: a\\nb\\x1b[31m: there is no such file or folder\n")


def test_beside_a_path_that_is_missing_the_rest_is_scanned(folder: Path, capsys: Capture) -> None:
    (folder / "clean").write_text("nothing")
    missing = "mcpguard: nosuch: there is no such file or folder\n"
    code, out, err = scan(capsys, "nosuch", "clean")
    assert (code, err) == (2, missing)
    assert "1 file" in out
    code, out, err = scan(capsys, "nosuch", "src")
    assert (code, err) == (1, missing)
    assert "1 not read" in out


def test_the_history(folder: Path, capsys: Capture) -> None:
    git(folder, "init")
    git(folder, "add", "src/a.py")
    code, out, _ = scan(capsys, "--staged")
    assert (code, out.splitlines()[0]) == (1, "src/a.py:2:8: github-token")
    git(folder, "commit", "-m", "one")
    git(folder, "rm", "src/a.py")
    git(folder, "commit", "-m", "two")
    for words in (("--git",), (".", "--git", "HEAD"), ("--git", "HEAD", "src")):
        code, out, _ = scan(capsys, *words)
        assert code == 1
        assert out.startswith("src/a.py:2:8: github-token in commit ")
        assert out.endswith("1 secret in 1 of 3 objects of git (140 bytes)\n")
    assert scan(capsys, "--git", "HEAD~1..HEAD")[:2] == (0, "no secrets in 1 object of git (40 bytes)\n")
    for words, said in (
        (("--git", "nowhere"), "git: bad revision 'nowhere'"),
        (("--git", ""), "the range of `--git` is empty"),
        (("--git", "HEAD", "src", "src"), "name one repository at most"),
        (("nothing", "--git"), "nothing: there is no such folder"),
    ):
        code, out, err = scan(capsys, *words)
        assert (code, out, said in err) == (2, "", True)


def test_exceptions_are_counted_apart(folder: Path, capsys: Capture) -> None:
    code, _, err = scan(capsys, "--write-exceptions", "known.yaml")
    assert (code, err) == (0, "mcpguard: wrote known.yaml: judge each exception, and give its reason\n")
    code, out, _ = scan(capsys, "src", "--exceptions", "known.yaml")
    assert (code, out) == (0, "no secrets in 2 files (177 bytes), 2 excepted\n")
    report = json.loads(scan(capsys, "src", "--exceptions", "known.yaml", "--format", "json")[1])
    assert (report["ok"], len(report["findings"])) == (True, 2)
    assert all("review it" in one["excepted"] for one in report["findings"])
    # What is elsewhere is not judged, and what is gone is.
    code, _, err = scan(capsys, "fine.md", "--exceptions", "known.yaml")
    assert (code, err.count("no longer covers anything")) == (0, 0)
    known = (folder / "known.yaml").read_text()
    (folder / "gone.yaml").write_text(
        f"{known}  - {{kind: jwt, path: gone.py, reason: it was}}\n  - {{kind: jwt, path: fine.md, reason: none}}\n"
    )
    code, _, err = scan(capsys, "fine.md", "--exceptions", "gone.yaml")
    assert (code, err.count("no longer covers anything")) == (0, 2)
    code, _, err = scan(capsys, "--write-exceptions", "known.yaml")
    assert (code, "known.yaml exists" in err) == (2, True)
    assert scan(capsys, "--write-exceptions", "nowhere/known.yaml")[0] == 2
    assert scan(capsys, "--exceptions", "missing.yaml")[0] == 2


def test_what_cannot_be_read_is_said_and_the_rest_is_scanned(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(name: Any, *rest: Any, **more: Any) -> int:
        if str(name).endswith("fine.md"):
            raise PermissionError(13, "Permission denied")
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    code, out, err = scan(capsys)
    assert (code, err) == (1, "mcpguard: fine.md: cannot be read: permission denied\n")
    assert out.endswith("2 secrets in 2 of 3 files (177 bytes), 1 not read\n")
    assert scan(capsys, "fine.md")[0] == 2
    assert scan(capsys, "missing")[0] == 2


def test_values_of_the_configuration_are_found_in_any_form(folder: Path, capsys: Capture) -> None:
    value = "Zx9-plain_value.of-ours"
    (folder / "value").write_text(value)
    (folder / "value").chmod(0o600)
    (folder / "mcpguard.yaml").write_text(
        "version: 1\npolicies: []\nservers:\n  one: {command: x, env: {A: '${file:"
        + str(folder / "value")
        + "}'}}\n"
        "  two: {command: x, env: {B: '${env:MCPGUARD_NOT_SET}'}}\n"
    )
    (folder / "notes").write_text(f"it is {value.encode().hex()}\n")
    code, out, err = scan(capsys, "notes", "value", "--held", "--config", "mcpguard.yaml")
    assert code == 1
    assert [line.partition(": ")[0] for line in out.splitlines()[:2]] == ["notes:1:7", "value:1:1"]
    assert "credential:" in out
    assert "not looked for: env:MCPGUARD_NOT_SET" in err
    assert value not in out + err
    assert scan(capsys, "fine.md", "--held", "--config", "mcpguard.yaml")[0] == 2


def test_who_waits_is_told(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(verb._Progress, "_AFTER", 0)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    assert main(["scan"]) == 1
    assert "mcpguard: 1 read (60 bytes), 1 found" not in capsys.readouterr().out
    assert "\r\x1b[K" in terminal.getvalue()
    assert "found\x1b[K" in terminal.getvalue()
    monkeypatch.setattr(verb._Progress, "_RARELY", 0)
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    assert main(["scan"]) == 1
    assert log.getvalue().splitlines()[-1] == "mcpguard: 3 read (203 bytes), 2 found"


# --- SARIF 2.1.0 (OASIS) -------------------------------------------------------------------------

LEVELS = {"none", "note", "warning", "error"}


def right(log: Any) -> Any:
    """The run of a log that keeps the rules of the sections on what is written (3.13 to 3.58)."""
    assert log.keys() == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run.keys() == {"tool", "columnKind", "invocations", "results"}
    assert run["columnKind"] == "unicodeCodePoints"
    rules = run["tool"]["driver"]["rules"]
    assert [rule.keys() for rule in rules] == [{"id", "shortDescription", "defaultConfiguration"}] * len(
        rules
    )
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert {result["ruleId"] for result in run["results"]} == {rule["id"] for rule in rules}
    (invocation,) = run["invocations"]
    assert invocation.keys() == {"executionSuccessful", "toolExecutionNotifications"}
    for result in run["results"]:
        right_result(result)
    return run


def right_result(result: Any) -> None:
    needed = {"ruleId", "level", "message", "locations", "partialFingerprints"}
    assert needed <= result.keys() <= needed | {"suppressions", "properties"}
    assert result["level"] in LEVELS
    assert result["message"]["text"]
    place = result["locations"][0]["physicalLocation"]
    assert place.keys() == {"artifactLocation", "region"}
    uri, region = place["artifactLocation"]["uri"], place["region"]
    assert uri
    assert all(char.isascii() and char.isprintable() and char not in ' <>"\\^`{|}' for char in uri)
    if "byteOffset" in region:
        assert region["byteOffset"] >= 0
    else:
        assert 1 <= region["startLine"] <= region["endLine"]
        assert region["startColumn"] >= 1
        assert region["endLine"] > region["startLine"] or region["endColumn"] > region["startColumn"]
    assert all(one["kind"] in ("inSource", "external") for one in result.get("suppressions", ()))


def test_sarif(folder: Path, capsys: Capture) -> None:
    (folder / "é x.bin").write_bytes(b"\0\1" + TOKEN.encode() + b"\0")
    (folder / "known.yaml").write_text(
        "version: 1\nexceptions:\n  - {kind: private-key, path: 'src/*', reason: made up}\n"
    )
    code, out, _ = scan(capsys, "--format", "sarif", "--exceptions", "known.yaml")
    run = right(json.loads(out))
    assert code == 1
    uris = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]]
    assert uris == ["src/a.py", "src/odd%20%1B%5B31m.pem", "%C3%A9%20x.bin"] or sorted(uris) == sorted(
        ["src/a.py", "src/odd%20%1B%5B31m.pem", "%C3%A9%20x.bin"]
    )
    reasons = [one.get("suppressions") for one in run["results"] if one["ruleId"] == "private-key"]
    assert reasons == [[{"kind": "external", "justification": "made up"}]]


def test_sarif_of_a_history_and_of_nothing(folder: Path, capsys: Capture) -> None:
    git(folder, "init")
    git(folder, "add", "src/a.py")
    git(folder, "commit", "-m", "one")
    (result,) = right(json.loads(scan(capsys, "--git", "--format", "sarif")[1]))["results"]
    assert result["properties"]["commit"] in result["message"]["text"]
    assert right(json.loads(scan(capsys, "fine.md", "--format", "sarif")[1]))["results"] == []


def test_sarif_of_messages_and_odd_names(folder: Path, capsys: Capture) -> None:
    git(folder, "init")
    git(folder, "add", "src")
    git(folder, "commit", "-m", TOKEN)
    results = right(json.loads(scan(capsys, "--git", "--format", "sarif")[1]))["results"]
    places = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]
    assert places == ["commit", "src/a.py", "src/odd%20%1B%5B31m.pem"]


def test_sarif_says_what_was_not_read(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    run = right(json.loads(scan(capsys, "fine.md", "--format", "sarif")[1]))
    (said,) = run["invocations"][0]["toolExecutionNotifications"]
    assert said["message"]["text"] == "cannot be read: permission denied"


def test_a_pipe_is_named_and_not_read(folder: Path, capsys: Capture) -> None:
    os.mkfifo(folder / "pipe")
    code, _, err = scan(capsys, "pipe")
    assert (code, "pipe: not a regular file" in err) == (2, True)


def test_the_kind_of_held_values_looks_for_them(folder: Path, capsys: Capture) -> None:
    code, _, err = scan(capsys, "src", "--kinds", "held", "--config", "absent.yaml")
    assert (code, "absent.yaml" in err) == (2, True)
