"""What is known and stays: each exception has a reason, and none hides a held value by accident."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mcpguard.core.errors import DocumentError
from mcpguard.scan.leaks import FileExceptions, Leak, as_exceptions

HEAD = "version: 1\nexceptions:\n"
PRINT = "0123456789abcdef"


def leak(kind: str = "jwt", fingerprint: str = PRINT) -> Leak:
    return Leak(kind, 1, 1, 1, 9, fingerprint, b"")


def excepted(folder: Path, text: str) -> FileExceptions:
    path = folder / "exceptions.yaml"
    path.write_text(HEAD + text)
    return FileExceptions(path)


def test_kind_path_and_fingerprint_all_have_to_fit(tmp_path: Path) -> None:
    known = excepted(
        tmp_path,
        f"  - {{kind: jwt, path: 'docs/*', reason: made up}}\n"
        f"  - {{kind: '*-token', path: a.py, fingerprint: {PRINT}, reason: of a test}}\n",
    )
    assert known.reason(f"{tmp_path}/docs/a/b.md", leak()) == "made up"
    assert known.reason(f"{tmp_path}/src/docs/b.md", leak()) == ""
    assert known.reason(f"{tmp_path}/docs/b.md", leak("private-key")) == ""
    assert known.reason(f"{tmp_path}/a.py", leak("github-token")) == "of a test"
    assert known.reason(f"{tmp_path}/a.py", leak("github-token", "f" * 16)) == ""
    assert known.unused() == []


def test_the_input_has_its_name(tmp_path: Path) -> None:
    known = excepted(tmp_path, "  - {kind: jwt, path: <stdin>, reason: logs of a test}\n")
    assert known.reason("<stdin>", leak()) == "logs of a test"


def test_what_covers_nothing_is_said(tmp_path: Path) -> None:
    known = excepted(
        tmp_path,
        f"  - {{kind: jwt, path: a, reason: x}}\n  - {{kind: private-key, path: b, fingerprint: {PRINT}, reason: x}}\n",
    )
    assert known.unused() == ["jwt in a", f"private-key in b ({PRINT})"]


def test_a_value_of_the_configuration_is_excepted_by_its_kind_only(tmp_path: Path) -> None:
    known = excepted(
        tmp_path,
        "  - {kind: '*', path: '*', reason: all}\n  - {kind: 'credential:*', path: keys, reason: its place}\n",
    )
    assert known.reason(f"{tmp_path}/a", leak("credential:api")) == ""
    assert known.reason(f"{tmp_path}/keys", leak("credential:api")) == "its place"
    assert known.reason(f"{tmp_path}/keys", leak()) == "all"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  - {kind: jwt, path: a}\n", "reason"),
        ("  - {kind: jwt, path: a, reason: ''}\n", "must say why"),
        ("  - {kind: '', path: a, reason: x}\n", "empty"),
        ("  - {kind: github-tokn, path: a, reason: x}\n", "unknown kind"),
        ("  - {kind: held, path: a, reason: x}\n", "credential:NAME"),
        ("  - {kind: jwt, path: a, reason: x, fingerprint: abc}\n", "16 hexadecimal digits"),
        ("  - {kind: jwt, paths: a, reason: x}\n", "paths"),
    ],
)
def test_a_mistake_is_said_at_its_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=rf"exceptions.yaml:3:\d+: .*{said}"):
        excepted(tmp_path, text)


def test_what_is_written_covers_just_that(tmp_path: Path) -> None:
    found = [
        (f"{tmp_path}/a[1]*.py", leak()),
        (f"{tmp_path}/a[1]*.py", leak()),
        ("<stdin>", leak("credential:x: '\"y")),
    ]
    path = tmp_path / "new.yaml"
    path.write_text(as_exceptions(found, tmp_path, date(2026, 11, 27)))
    known = FileExceptions(path)
    assert known.unused() == []
    known.looked_at(f"{tmp_path}/a[1]*.py")
    known.looked_at("<stdin>")
    assert len(known.unused()) == 2
    for file, one in found:
        assert known.reason(file, one) == "Found when this file was written, on 2026-11-27; review it."
    assert known.reason(f"{tmp_path}/a1b.py", leak()) == ""
    path.write_text(as_exceptions([], tmp_path, date(2026, 11, 27)))
    assert FileExceptions(path).unused() == []
