"""Every file that a diff shows has its name found, as real git prints it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mcpguard.core.functions.function import MOST_TEXTS, FunctionError
from mcpguard.core.functions.paths.diff_files import LIMIT, MOST_VALUES, diff_files
from mcpguard.core.model import Json
from tests.rows import each

NAMES = [
    "a.py",
    "b c/d e.txt",
    "naïve.md",
    'quo"te',
    "tab\there",
    "back\\slash",
    "a b/b a",
    "bin",
    "x and b/y",
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "diff.renames=true")
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, timeout=20, capture_output=True)
    return done.stdout.decode()


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


def test_all_names_of_a_real_diff_are_found(repository: Path) -> None:
    for name in NAMES:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_bytes(b"\0" if name == "bin" else b"1\n" * 20)
    commit(repository)
    assert set(NAMES) <= set(diff_files(git(repository, "show")))
    for name in NAMES:
        (repository / name).write_bytes(b"\0\1" if name == "bin" else b"1\n" * 19)
    assert set(NAMES) <= set(diff_files(git(repository, "diff")))
    git(repository, "checkout", "-q", ".")
    git(repository, "mv", "a.py", "moved.py")
    git(repository, "rm", "-q", "bin")
    assert {"a.py", "moved.py", "bin"} <= set(diff_files(git(repository, "diff", "--cached")))


def test_the_mode_of_a_file_has_its_name_too(repository: Path) -> None:
    (repository / "run me").write_text("x")
    commit(repository)
    (repository / "run me").chmod(0o755)
    assert "run me" in diff_files(git(repository, "diff"))


@each(
    ("text", "names"),
    [
        ("--- a/x\r\n+++ b/x\r\n", ["x"]),
        ("--- x\t2026-11-27 08:00:00\n+++ y", ["x", "y"]),
        ("diff --cc a/deep/b.py", ["deep/b.py"]),
        ("copy from a\ncopy to b", ["a", "b"]),
        ("    --- a/x", []),
        ("@@ -1 +1 @@\n-1\n+1", []),
        ('+++ "b/\\n\\q"', ["\nq"]),
    ],
)
def test_a_header_is_read(text: str, names: list[str]) -> None:
    assert diff_files([{"a": text, "b": [text, None, 1.5]}]) == names


@each(
    ("value", "names"),
    [
        (
            {"files": [{"filename": ".env", "status": "renamed", "previous_filename": "a", "patch": "+A"}]},
            [".env", "a"],
        ),
        ({"files": [{"filename": ".env", "additions": 1, "changes": 1}]}, []),
        ([{"path": "k8s/secret.yaml", "diff_hunk": "@@ -1 +1 @@", "body": "why?"}], ["k8s/secret.yaml"]),
        (
            {"items": [{"name": ".env", "path": "app/.env", "text_matches": [{"fragment": "A=1"}]}]},
            ["app/.env"],
        ),
        ({"items": [{"name": ".env", "path": "app/.env", "text_matches": []}]}, []),
        ([{"old_path": "a", "new_path": "b", "diff": "@@ -1 +1 @@"}], ["a", "b"]),
        ([{"path": None, "diff_hunk": "@@"}, {"scripts": {"patch": "npm version patch"}}], []),
        ({"path": "a", "patch": "--- a/x\n+++ b/y"}, ["a", "x", "y"]),
    ],
)
def test_the_file_of_a_part_of_a_diff_is_named_beside_it(value: Json, names: list[str]) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=2), f"\n {json.dumps(value)}"):
        assert diff_files({"content": [{"type": "text", "text": text}]}) == names
    assert diff_files({"structuredContent": value}) == names


def test_json_with_parts_of_diffs_is_read_wholly_or_not_at_all() -> None:
    part = '{"filename": ".env", "patch": "+A=1"'
    for text in (part, f"[{part}}}, …]", f'{part}, "\ud800": 1}}', f'{part}, "x": {"[" * 5000}'):
        with pytest.raises(FunctionError, match="JSON"):
            diff_files(text)
    with pytest.raises(FunctionError, match="values"):
        diff_files(json.dumps([{"path": "a", "patch": "+A"}] * MOST_VALUES))
    assert diff_files('{"compilerOptions": {}, // no JSON, and no diff') == []


def test_a_value_has_bounds() -> None:
    with pytest.raises(FunctionError):
        diff_files(["a" * LIMIT, "b"])
    with pytest.raises(FunctionError):
        diff_files("".join(f"+++ b/{number}\n" for number in range(MOST_TEXTS + 1)))
