"""The history of git: each version of a file once, by the commit that brought it, in merges and side branches too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mcpguard.core.redaction.redactor import Redactor
from mcpguard.scan.history import history, staged
from mcpguard.scan.run import Scan
from mcpguard.scan.sources import FILELESS, ScanError, ScanSource, Skipped
from tests.scan.test_files import git
from tests.scan.test_windows import TOKEN


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    git(tmp_path, "init")
    return tmp_path


def commit(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", name)
    git(folder, "commit", "-m", f"change {name}")


def read(sources: Iterable[ScanSource | Skipped]) -> list[tuple[str, bytes]]:
    found = []
    for one in sources:
        assert isinstance(one, ScanSource)
        with one.open() as file:
            found.append((one.path, file.read(1000)))
    return found


def versions(folder: Path, revisions: str = "--all") -> Iterator[ScanSource]:
    for one in history(folder, revisions):
        assert isinstance(one, ScanSource)
        if one.file not in FILELESS:
            yield one


def every(folder: Path, revisions: str = "--all") -> list[tuple[str, bytes]]:
    return read(versions(folder, revisions))


def said(folder: Path, revisions: str = "--all") -> list[tuple[str, bytes]]:
    return [one for one in read(history(folder, revisions)) if one[0][0] == "<"]


def test_each_version_is_read_once_oldest_first(folder: Path) -> None:
    commit(folder, "a", "1\n")
    commit(folder, "b", "1\n")
    commit(folder, "a", "2\n")
    commit(folder, "dir/new\nline", "3\n")
    commit(folder, "a", "1\n")
    assert every(folder) == [("a", b"1\n"), ("a", b"2\n"), ("dir/new\nline", b"3\n")]
    commits = {one.commit for one in versions(folder)}
    assert all(len(one) in (40, 64) for one in commits)
    assert {one.file for one in versions(folder)} == {f"{folder}/a", f"{folder}/dir/new\nline"}


def test_a_range_is_what_its_commits_brought(folder: Path) -> None:
    commit(folder, "a", "1\n")
    git(folder, "branch", "old")
    commit(folder, "a", "2\n")
    assert every(folder, "old..HEAD") == [("a", b"2\n")]
    for wrong in ("nowhere", "--output=x", "a..b"):
        with pytest.raises(ScanError, match=r"git: bad revision"):
            every(folder, wrong)
    assert not (folder / "x").exists()


def test_a_path_in_place_of_a_range_is_said(folder: Path) -> None:
    commit(folder, "src/a", "1\n")
    with pytest.raises(ScanError, match=r"src is a path, .* `mcpguard scan src --git` scans"):
        every(folder, "src")


def test_what_commits_and_tags_say_is_read(folder: Path) -> None:
    commit(folder, "a", "1\n")
    git(
        folder,
        "commit",
        "--allow-empty",
        "-m",
        ":subject\n\n\x01 body",
        "--author",
        f"{TOKEN} <b@example.com>",
    )
    git(folder, "tag", "plain")
    git(folder, "tag", "-a", "-m", f"release\n\n{TOKEN}", "v1/\u202ex")
    who = b"a <a@example.com>"
    assert said(folder) == [
        ("<commit>", b"change a\n\n%b\n%b" % (who, who)),
        ("<commit>", f":subject\n\n\x01 body\n\n{TOKEN} <b@example.com>\n".encode() + who),
        ("<tag v1/\u202ex>", f"release\n\n{TOKEN}\n\n".encode() + who),
    ]
    assert [name for name, _ in said(folder, "HEAD~1..HEAD")] == ["<commit>"]
    first, second = Scan(Redactor(b"key")).run(history(folder))
    assert (first.leak.line, second.leak.line) == (5, 3)
    assert first.source.commit == second.source.commit


def test_a_merge_and_a_branch_that_was_not_merged_are_read(folder: Path) -> None:
    commit(folder, "a", "1\n")
    git(folder, "checkout", "-b", "side")
    commit(folder, "a", "2\n")
    git(folder, "checkout", "main")
    commit(folder, "a", "3\n")
    git(folder, "merge", "--no-commit", "-s", "ours", "side")
    commit(folder, "a", "merged\n")
    git(folder, "checkout", "-b", "loose")
    commit(folder, "b", "loose\n")
    git(folder, "checkout", "main")
    assert sorted(every(folder)) == [
        ("a", b"1\n"),
        ("a", b"2\n"),
        ("a", b"3\n"),
        ("a", b"merged\n"),
        ("b", b"loose\n"),
    ]


def test_what_was_removed_is_found_once_with_its_first_commit(folder: Path) -> None:
    commit(folder, "a", f"\nkey = {TOKEN}\n")
    first = next(one.commit for one in history(folder))
    commit(folder, "a", f"more\n\nkey = {TOKEN}\n")
    commit(folder, "a", "gone\n")
    found = list(Scan(Redactor(b"key")).run(history(folder)))
    assert [(one.source.commit, one.leak.line) for one in found] == [(first, 2)]


def test_what_is_staged_is_read_also_before_the_first_commit(folder: Path) -> None:
    (folder / "a").write_text("1\n")
    git(folder, "add", "a")
    (folder / "a").write_text("not staged\n")
    assert read(staged(folder)) == [("a", b"1\n")]
    assert [one.commit for one in staged(folder)] == [""]


def test_a_repository_without_files_or_commits_has_none(folder: Path, tmp_path: Path) -> None:
    assert every(folder) == []
    commit(folder, "a", "1\n")
    git(folder, "clone", "--bare", ".", "bare")
    assert every(folder / "bare") == [("a", b"1\n")]


def test_that_a_clone_is_shallow_is_said(folder: Path) -> None:
    commit(folder, "a", "1\n")
    commit(folder, "a", "2\n")
    git(folder, "clone", "--depth", "1", f"file://{folder}", "shallow")
    scan = Scan(Redactor(b"key"))
    assert list(scan.run(history(folder / "shallow"))) == []
    assert scan.sources == 2
    assert [one.why for one in scan.skipped] == ["this clone is shallow, so older commits are not read"]


def test_a_version_that_is_not_in_a_clone_is_said(folder: Path) -> None:
    commit(folder, "a", "1\n")
    commit(folder, "a", "2\n")
    blob = "d00491fd7e5bb6fa28c517a0bb32b8b506539d4d"  # That of "1\n"; a commit's name differs each time.
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    scan = Scan(Redactor(b"key"))
    assert list(scan.run(history(folder))) == []
    assert [(one.path, one.why) for one in scan.skipped] == [("a", "cannot be read: not in this clone")]
    assert scan.sources == 4


def test_a_big_version_takes_no_more_memory_and_leaves_the_next_readable(folder: Path) -> None:
    commit(folder, "a", "x" * 3_000_000)
    commit(folder, "b", f"{TOKEN}\n")
    assert [(name, text[:3]) for name, text in every(folder)] == [("a", b"xxx"), ("b", b"ghp")]


def test_without_a_repository_or_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ScanError, match="is not in a repository of git"):
        every(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScanError, match="git is not installed"):
        every(tmp_path)


def test_nothing_that_a_repository_configures_is_run(folder: Path) -> None:
    ran = folder.parent / "ran"
    commit(folder, ".gitattributes", "* diff=x filter=x\n")
    commit(folder, "a", "1\n")
    for key in (
        "diff.x.textconv",
        "diff.x.command",
        "diff.external",
        "filter.x.smudge",
        "core.fsmonitor",
        "core.pager",
    ):
        git(folder, "config", key, f"touch {ran}")
    (folder / "a").write_text("2\n")
    git(folder, "-c", "core.fsmonitor=false", "add", "a")
    assert len(every(folder)) == 2
    assert len(list(staged(folder))) == 1
    assert not ran.exists()
