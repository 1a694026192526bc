"""Whoever can write the folder of evidence hides nothing, and stops no reader: what was planted among the chains,
or made of one, is reported, and what is sound is read all the same."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit import retention
from mcpguard.adapters.audit.following import Following
from mcpguard.adapters.audit.heads import Heads
from mcpguard.adapters.audit.reader import MOST_ODD, chain_name
from mcpguard.cli import main
from mcpguard.console.evidence import Evidence
from tests.adapters.audit.audit_records import CLOSED, OPENED, ROTATED
from tests.cli.audit.test_every_reader import POLICY, written
from tests.cli.audit.test_story import CALL, DONE

pytestmark = pytest.mark.uncounted
Capture = pytest.CaptureFixture[str]
Attack = Callable[[Path, Path, Path], None]
"""What is done to the folder, in which there are a compressed chain and a plain one."""

PLANTED = "20260801T070000Z-1-aaaaaaaa.jsonl"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compressed chain with the call n-0, one with n-1, and one with n-2 that holds the heads of both."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "program"))  # `doctor` looks at each file below it.
    monkeypatch.chdir(tmp_path)
    Path("git.yaml").write_text(POLICY)
    Path("mcpguard.yaml").write_text(
        "version: 1\nservers: {github: {command: x}}\naudit: {path: audit}\npolicies: [git.yaml]\n"
    )
    monkeypatch.setenv("MCPGUARD_CONFIG", "mcpguard.yaml")
    audit, now = tmp_path / "audit", datetime.now(UTC) - timedelta(seconds=9)
    for number in range(3):
        call = structs.replace(CALL, id=f"n-{number}", at=now)
        sink = written(
            audit,
            structs.replace(OPENED, at=now + timedelta(microseconds=number)),
            *(call, structs.replace(DONE, id=call.id, at=now)),
        )
        sink.close(CLOSED)
        if not number:
            retention.compress(sink.path)
    return audit


def packed_of(folder: Path) -> Path:
    return next(one for one in folder.iterdir() if one.suffix == ".gz")


def plain_of(folder: Path) -> Path:
    return sorted(one for one in folder.iterdir() if one.suffix == ".jsonl")[0]


def shadow_by_a_part(folder: Path, packed: Path, _: Path) -> None:
    whole = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)
    (folder / chain_name(packed)).write_bytes(b"".join(whole[:2]))


def shadow_by_a_packed_one(folder: Path, _: Path, plain: Path) -> None:
    (folder / f"{plain.name}.gz").write_bytes(gzip.compress(b"{}\n"))


def shadow_by_a_folder(folder: Path, packed: Path, _: Path) -> None:
    (folder / chain_name(packed)).mkdir()


def a_folder(folder: Path, *_: Path) -> None:
    (folder / PLANTED).mkdir()


def a_packed_folder(folder: Path, *_: Path) -> None:
    (folder / f"{PLANTED}.gz").mkdir()


def a_pipe(folder: Path, *_: Path) -> None:
    os.mkfifo(folder / PLANTED)


def a_socket(folder: Path, *_: Path) -> None:
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(PLANTED)
    os.chdir(folder.parent)


def a_device(folder: Path, *_: Path) -> None:
    (folder / PLANTED).symlink_to("/dev/zero")


def a_link_to_nothing(folder: Path, *_: Path) -> None:
    (folder / PLANTED).symlink_to("nothing")


def a_link_to_itself(folder: Path, *_: Path) -> None:
    (folder / PLANTED).symlink_to(PLANTED)


def a_cut_archive(_: Path, packed: Path, __: Path) -> None:
    os.truncate(packed, 60)


def an_empty_archive(_: Path, packed: Path, __: Path) -> None:
    os.truncate(packed, 0)


def noise_behind_an_archive(_: Path, packed: Path, __: Path) -> None:
    packed.write_bytes(packed.read_bytes() + b"more")


def a_bomb(_: Path, packed: Path, __: Path) -> None:
    packed.write_bytes(packed.read_bytes() + gzip.compress(bytes(8 << 20)))


def a_bomb_of_lines(_: Path, packed: Path, __: Path) -> None:
    packed.write_bytes(packed.read_bytes() + gzip.compress(b"\n" * (1 << 20)))


def a_bomb_of_records(_: Path, packed: Path, __: Path) -> None:
    line = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)[1]
    packed.write_bytes(packed.read_bytes() + gzip.compress(line * 1_000))


def lines_of_nothing(_: Path, __: Path, plain: Path) -> None:
    plain.write_bytes(plain.read_bytes() + b"\n" * 100_000)


def a_long_line(_: Path, __: Path, plain: Path) -> None:
    plain.write_bytes(plain.read_bytes() + b"x" * (3 << 20))


def a_deep_line(_: Path, __: Path, plain: Path) -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    plain.write_bytes(plain.read_bytes() + b'{"kind":"decision","arguments":' + deep + b"}\n")


def appended(plain: Path, *records: str) -> None:
    decision = '{"kind":"decision","principal":"a:b","method":"tools/call","effect":"%s","id":"n-5",%s}\n'
    text = "".join(decision % tuple(one.split("|")) if "|" in one else f"{one}\n" for one in records)
    plain.write_bytes(plain.read_bytes() + text.encode())


def a_time_without_a_zone(_: Path, __: Path, plain: Path) -> None:
    gap = '{"kind":"notice","at":"2026-01-01T00:00:00","what":"evidence-gap","detail":"x"}'
    appended(plain, 'deny|"at":"2026-01-01T00:00:00"', gap)


def a_time_at_the_end_of_all(_: Path, __: Path, plain: Path) -> None:
    appended(plain, 'deny|"at":"9999-12-31T23:59:59.999999-12:00"', 'deny|"at":"0001-01-01T00:00:00+12:00"')


def numbers_without_end(_: Path, __: Path, plain: Path) -> None:
    many = 9_223_372_036_854_775_807
    outcome = '{"kind":"outcome","at":"2026-11-30T00:00:00Z","id":"n-5","status":"ok"'
    appended(
        plain,
        f'allow|"at":"2026-11-30T00:00:00Z","seq":{"9" * 5000}',
        f'{outcome},"ms":1e308,"sent":{many},"received":{many}}}',
    )


def a_surrogate(_: Path, __: Path, plain: Path) -> None:
    appended(plain, r'deny|"at":"2026-11-30T00:00:00Z","server":"\ud800"')


ATTACKS: tuple[Attack, ...] = (
    *(shadow_by_a_part, shadow_by_a_packed_one, shadow_by_a_folder, a_folder, a_packed_folder, a_pipe),
    *(a_socket, a_device, a_link_to_nothing, a_link_to_itself, a_cut_archive, an_empty_archive),
    *(noise_behind_an_archive, a_bomb, a_bomb_of_lines, a_bomb_of_records, lines_of_nothing, a_long_line),
    *(a_deep_line, a_time_without_a_zone, a_time_at_the_end_of_all, numbers_without_end, a_surrogate),
)
READERS = (
    *(("audit", "verify"), ("audit", "verify", "--json"), ("report", "--json")),
    *(("audit", "show"), ("audit", "show", "--server", "github"), ("audit", "query"), ("audit", "stats")),
    *(("audit", "tail"), ("audit", "export", "--to", "/dev/null"), ("replay", "--policy", "git.yaml")),
)
LESS_STRICT = "mcpguard: 3 decisions may be less strict than before; `--strict` makes that exit code 1\n"
QUIET = (("audit", "heads", "--json"), ("top", "--once"), ("suggest",), ("explain", "n-2"), ("doctor",))
"""Those that only may say it."""


def run(words: tuple[str, ...], capfd: Capture) -> tuple[int, str, str]:
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(list(words))
    said = capfd.readouterr()
    return code, out.getvalue() + said.out, said.err


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_planted_is_reported_and_the_rest_is_read(
    attack: Attack, folder: Path, capfd: Capture
) -> None:
    assert run(("audit", "query"), capfd)[0] == 0  # It is indexed before that.
    attack(folder, packed_of(folder), plain_of(folder))
    for words in READERS:
        code, out, err = run(words, capfd)
        assert code == 1, (words, out, err)
        assert words[1] in ("verify", "--json") or "was altered" in err
        assert "bug" not in err
    for words in QUIET:
        code, out, err = run(words, capfd)
        assert code in (0, 1), (words, out, err)
        assert "bug" not in err
    assert "n-2" in run(("audit", "query"), capfd)[1]
    assert run(("audit", "show", "n-2"), capfd)[0] == 0


def test_what_is_sound_is_read_without_a_word(folder: Path, capfd: Capture) -> None:
    for words in (*READERS, *QUIET):
        code, _, err = run(words, capfd)
        said = LESS_STRICT if words[0] == "replay" else ""
        assert (code, err) == (0, said), words


@pytest.mark.parametrize("attack", ATTACKS)
def test_who_follows_or_shows_it_goes_on(attack: Attack, folder: Path) -> None:
    attack(folder, packed_of(folder), plain_of(folder))
    with closing(Following(folder, from_start=True)) as following:
        following.begin()
        assert any(b'"id":"n-2"' in line.data for line in following.read(10_000))
    seen = Evidence(folder)
    seen.poll()
    assert seen.called("n-2")
    assert len(Heads(folder).take_unanchored()) >= 1


@pytest.mark.parametrize("attack", [a_cut_archive, a_bomb, an_empty_archive])
def test_one_archive_that_is_damaged_is_altered_and_no_mistake_of_who_asks(
    attack: Attack, folder: Path, capfd: Capture
) -> None:
    packed = packed_of(folder)
    attack(folder, packed, plain_of(folder))
    code, out, _ = run(("audit", "verify", str(packed)), capfd)
    assert code == 1
    assert out.startswith("ALTERED")
    assert run(("audit", "query", str(packed)), capfd)[0] == 1
    Path("notes").write_bytes(bytes(2 << 20))
    assert run(("audit", "verify", "notes"), capfd)[0] == 2


ANSWERS = (("report",), ("top", "--once"))
"""Those that have more to show than evidence."""


@pytest.mark.parametrize("is_there", [True, False])
def test_where_nothing_is_on_record_each_reader_says_the_same(
    folder: Path, capfd: Capture, is_there: bool
) -> None:
    shutil.rmtree(folder)
    if is_there:
        folder.mkdir()
    for words in (*READERS, ("audit", "heads"), ("audit", "show", "n-1"), ("suggest",), ("explain", "n-1")):
        if words[0] != "report":
            code, out, err = run(words, capfd)
            assert (code, out) == (2, ""), words
            assert "no audit log" in err
            nothing = "nothing is on record yet, or the evidence was removed; another configuration? `--config FILE`"
            assert nothing in err
    for words in ANSWERS:
        code, out, _ = run(words, capfd)
        assert code == 0
        assert "othing is on record yet, or the evidence was removed" in out


def test_a_report_of_nothing_but_what_was_planted_says_so(folder: Path, capfd: Capture) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    a_folder(folder)
    code, out, _ = run(("report",), capfd)
    assert code == 1
    assert f"The evidence in {PLANTED} was altered." in out


def test_a_chain_that_is_put_right_again_is_believed_again(folder: Path, capfd: Capture) -> None:
    shadow_by_a_part(folder, packed_of(folder), plain_of(folder))
    assert run(("audit", "query"), capfd)[0] == 1
    (folder / chain_name(packed_of(folder))).unlink()
    assert run(("audit", "query"), capfd) == (0, run(("audit", "query"), capfd)[1], "")
    assert run(("audit", "verify"), capfd)[0] == 0


def test_verify_says_what_is_wrong_with_each(folder: Path, capfd: Capture) -> None:
    plain = plain_of(folder)
    shadow_by_a_part(folder, packed_of(folder), plain)
    a_folder(folder)
    lines_of_nothing(folder, folder, plain)
    said = run(("audit", "verify"), capfd)[1]
    name = chain_name(packed_of(folder))
    assert f"{name}.gz is next to it and differs; move one of them away to read the other" in said
    assert "line 1 and the rest cannot be read: it is a folder" in said
    assert f"cannot be read: more than {MOST_ODD} of its lines are not records" in said
    assert "chains: 4, altered or missing: 3" in said


def test_a_chain_under_another_name_is_told_by_its_process(folder: Path, capfd: Capture) -> None:
    last = sorted(folder.iterdir())[-1]
    assert "renamed" not in run(("audit", "verify"), capfd)[1]
    last.rename(folder / PLANTED)
    code, out, _ = run(("audit", "verify"), capfd)
    assert code == 0
    assert f"note: renamed: its name is that of process 1, and process {os.getpid()} wrote it" in out


def test_verify_says_that_two_chains_decide_one_call(folder: Path, capfd: Capture) -> None:
    planted = written(folder, OPENED, structs.replace(CALL, id="n-1", effect="deny"))
    planted.close(CLOSED)
    real = plain_of(folder)
    code, out, _ = run(("audit", "verify"), capfd)
    assert code == 1
    assert f"line 2 decides the call n-1, as {planted.path.name} does: one of the two was planted" in out
    assert f"line 2 decides the call n-1, as {real.name} does: one of the two was planted" in out
    head = run(("audit", "heads", str(real)), capfd)[1].strip()
    code, out, _ = run(("audit", "verify", "--expect", head), capfd)
    assert code == 1
    assert "chains: 4, altered or missing: 0, doubtful: 1" in out
    assert f"line 2 decides the call n-1, as {real.name} does" in out


def test_verify_says_that_two_chains_continue_one(folder: Path, capfd: Capture) -> None:
    handed = written(folder, OPENED, structs.replace(CALL, id="n-5"))
    handed.close(ROTATED)
    opened = structs.replace(OPENED, continues=handed.path.name)
    for number in range(2):
        at = OPENED.at + timedelta(seconds=number)
        later = written(folder, structs.replace(opened, at=at), structs.replace(DONE, id="n-5"))
        later.close(CLOSED)
        code, out, _ = run(("audit", "verify"), capfd)
        assert code == number
        assert out.count(f"line 1 continues the chain {handed.path.name}, as") == 2 * number
        for command in (("show", "n-5"), ("query", 'id == "n-5"'), ("stats",)):
            asked, _, err = run(("audit", *command), capfd)
            assert err.count("continue the same chain, so only one of them is true") == number
            assert asked == (number if command[0] == "show" else 0)


def test_verify_notes_a_chain_that_says_that_it_continues_a_killed_process(
    folder: Path, capfd: Capture
) -> None:
    killed = written(folder, OPENED, structs.replace(CALL, id="n-5"))
    killed.close(CLOSED)
    opened = structs.replace(OPENED, continues=killed.path.name)
    written(folder, opened, structs.replace(DONE, id="n-5")).close(CLOSED)
    code, out, _ = run(("audit", "verify"), capfd)
    assert code == 0
    assert "note: 1 allowed without an outcome: n-5" in out
    assert f"note: it says that it continues {killed.path.name}, whose last record does not say so" in out


def test_verify_says_where_a_chain_is_that_was_renamed(folder: Path, capfd: Capture) -> None:
    first = written(folder, OPENED, structs.replace(CALL, id="n-5"))
    first.close(ROTATED)
    opened = structs.replace(OPENED, continues=first.path.name)
    written(folder, opened, structs.replace(DONE, id="n-5")).close(CLOSED)
    first.path.rename(folder / PLANTED)
    code, out, _ = run(("audit", "verify"), capfd)
    assert code == 1
    assert f"MISSING {first.path.name}: it was renamed to {PLANTED}" in out
    assert "without an outcome" not in out
    assert "The server answered" in run(("audit", "show", "n-5"), capfd)[1]
    found = run(("audit", "query", 'id == "n-5" && status == "ok"', "--json"), capfd)[1]
    assert len(json.loads(found)["calls"]) == 1


def test_a_call_in_what_cannot_be_read_is_not_simply_unknown(folder: Path, capfd: Capture) -> None:
    plain = plain_of(folder)
    shadow_by_a_packed_one(folder, packed_of(folder), plain)
    code, _, err = run(("audit", "show", "n-1"), capfd)
    assert code == 2
    assert f"it may be in a file that cannot be read ({plain.name})" in err
    assert plain.name in run(("explain", "n-1"), capfd)[2]


@pytest.fixture
def odd_names(folder: Path) -> Iterator[list[bytes]]:
    whole = os.fsencode(folder)
    names = [b"2026\x1b[31m\n\x07.jsonl", b"\xff\xfe.jsonl", b".jsonl", b"\xff.jsonl.gz"]
    for name in names:
        shutil.copy(
            os.fsencode(packed_of(folder) if name.endswith(b"gz") else plain_of(folder)), whole + b"/" + name
        )
    yield names
    for name in names:
        os.unlink(whole + b"/" + name)


def test_names_are_printed_so_that_they_do_nothing(
    folder: Path, odd_names: list[bytes], capfd: Capture
) -> None:
    for words in (*READERS, *QUIET, ("audit", "query", "--json"), ("audit", "show", "n-1", "--json")):
        code, out, err = run(words, capfd)
        assert code in (0, 1), (words, err)
        assert "\x1b" not in out + err
    assert all(name in run(("audit", "verify"), capfd)[1] for name in (r"\xff\xfe.jsonl", r"2026\x1b[31m"))


def test_a_name_that_no_record_can_hold_stops_no_process(folder: Path, odd_names: list[bytes]) -> None:
    assert all(anchor.file.isprintable() for anchor in Heads(folder).take_unanchored())
    written(folder, OPENED, CALL).close(CLOSED)
    seen = Evidence(folder)
    assert seen.poll()


@pytest.mark.parametrize("seconds", [2**40, -(2**33)])
def test_a_time_of_a_file_that_has_no_year_stops_no_reader(
    folder: Path, capfd: Capture, seconds: int
) -> None:
    os.utime(plain_of(folder), (seconds, seconds))
    for words in (*READERS, *QUIET):
        code, _, err = run(words, capfd)
        assert code == 0, (words, err)
