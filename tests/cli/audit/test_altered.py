"""Whoever reads evidence says where it was altered, once a file, and exits with 1; what is not evidence is
refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.checking import LineCheck
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from tests.adapters.audit.audit_records import OPENED
from tests.cli.audit.test_story import CALL, DONE, folder_of

Capture = pytest.CaptureFixture[str]

READERS = (
    *(("query",), ("stats",), ("export",), ("tail",), ("tail", "--json"), ("query", "--json")),
    *(("show",), ("show", "--json"), ("show", "--server", "github")),
)


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    second = structs.replace(CALL, id="n-8")
    return folder_of(tmp_path / "audit", CALL, DONE, second, structs.replace(DONE, id="n-8"))


def forge(chain: Path, old: bytes = b'"q":"x"', new: bytes = b'"q":"y"') -> None:
    chain.write_bytes(chain.read_bytes().replace(old, new, 1))


@pytest.mark.uncounted
@pytest.mark.parametrize("words", READERS)
def test_a_reader_says_that_a_chain_was_altered(chain: Path, capfd: Capture, words: tuple[str, ...]) -> None:
    assert main(["audit", *words, str(chain.parent)]) == 0
    assert not capfd.readouterr().err
    forge(chain, b'"id":"n-7"', b'"id":"n-77"')
    for _ in range(2):
        assert main(["audit", *words, str(chain.parent)]) == 1
        said = capfd.readouterr()
        assert said.err == (
            f"mcpguard: {chain.name} was altered: do not trust what is printed of it; "
            f"`mcpguard audit verify {chain.parent}` says where\n"
        )
        assert said.out


def test_what_is_altered_after_it_was_indexed_is_found_when_it_is_printed(
    chain: Path, capfd: Capture
) -> None:
    assert main(["audit", "query", str(chain.parent)]) == 0
    forge(chain)
    capfd.readouterr()
    assert main(["audit", "query", str(chain.parent)]) == 1
    assert f"{chain.name} was altered" in capfd.readouterr().err


def test_top_says_that_a_chain_was_altered(
    chain: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["top", "--once", str(chain.parent)]) == 0
    assert "was altered" not in capfd.readouterr().out
    forge(chain)
    assert main(["top", "--once", str(chain.parent)]) == 0
    said = f"{chain.name} was altered: `mcpguard audit verify {chain.parent}` says where"
    assert "".join(said.split()) in "".join(capfd.readouterr().out.split())


def test_a_line_that_is_gone_is_noticed_by_the_next(chain: Path, capfd: Capture) -> None:
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(b"".join(lines[:1] + lines[3:]))
    for verb in ("query", "stats", "export", "tail"):
        assert main(["audit", verb, str(chain.parent)]) == 1
        assert capfd.readouterr().err.count("was altered") == 1


def test_an_altered_chain_that_goes_on_stays_altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sink = AuditFile(tmp_path / "audit")
    for record in (OPENED, CALL):
        sink.write(record)
    sink.commit()
    forge(sink.path)
    assert main(["audit", "stats", str(sink.path.parent)]) == 1
    sink.write(DONE)
    sink.commit()
    assert main(["audit", "stats", str(sink.path.parent)]) == 1


def test_lines_need_not_be_taken_from_the_start(chain: Path) -> None:
    first, second, third, *_ = chain.read_bytes().splitlines(keepends=True)
    check = LineCheck()
    check.take("c", len(first), second)
    check.take("c", len(first) + len(second), third)
    assert not check.altered
    check.take("c", 0, second)
    assert list(check.altered) == ["c"]


@pytest.mark.parametrize(
    "words",
    [
        *(("audit", verb) for verb in ("verify", "heads", "show", "query", "stats", "tail", "export")),
        ("audit", "tail", "-f"),
        ("top", "--once"),
        ("replay", "--policy", "p.yaml", "--audit"),
    ],
)
def test_a_file_that_is_no_evidence_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("version: 1\npolicy: p\nrules: [{id: all, effect: allow}]\n")
    Path("notes.yaml").write_text("message: Not there.\n")
    Path("empty.jsonl").write_bytes(b"")
    assert main([*words, "notes.yaml"]) == 2
    said = capfd.readouterr()
    assert said.err == (
        "mcpguard: notes.yaml is not evidence of mcpguard: its first line is not an `opened` record\n"
    )
    assert not said.out
    assert main([*words, "empty.jsonl"]) == 2
    assert capfd.readouterr().err == "mcpguard: empty.jsonl is empty: it contains no evidence\n"


def test_an_empty_chain_of_a_folder_is_not_called_intact(chain: Path, capfd: Capture) -> None:
    chain.with_name("20990101T000000Z-1-aaaaaaaa.jsonl").write_bytes(b"")
    assert main(["audit", "verify", str(chain.parent)]) == 0
    said = capfd.readouterr().out.splitlines()
    assert said[0].startswith("intact  ")
    assert any(line.startswith("empty   2099") for line in said)


def test_replay_names_the_servers_on_record(
    chain: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("version: 1\npolicy: p\nrules: [{id: all, effect: allow}]\n")
    words = ["replay", "--policy", "p.yaml", "--audit", str(chain.parent), "--server"]
    assert main([*words, "github"]) == 0
    capfd.readouterr()
    assert main([*words, "githup"]) == 2
    assert capfd.readouterr().err == (
        "mcpguard: no decision on record is about the server githup; those on record: github\n"
    )
