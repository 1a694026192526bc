"""Where heads are kept besides the chains: each place gets each head, whatever becomes of the others."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from mcpguard.adapters.audit.reader import proof
from mcpguard.adapters.audit.upkeep import unsent
from mcpguard.adapters.telemetry import destinations
from mcpguard.config.evidence import HeadsEntry
from mcpguard.config.loading import Config, load_config
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Anchor
from mcpguard.serve import kept_heads
from mcpguard.serve.interventions import note_of
from mcpguard.serve.kept_heads import HeadPlace, head_sender

ONE, TWO, THREE = (Anchor(f"{name}.jsonl", name * 64) for name in "abc")
URL = "https://collector.example/heads"


class Place:
    """What a place took; `problem` is why it takes nothing, and it takes nothing before `opens`."""

    def __init__(self) -> None:
        self.took: list[Anchor] = []
        self.problem = ""
        self.opens = threading.Event()
        self.opens.set()

    def take(self, head: Anchor) -> None:
        assert self.opens.wait(20)
        if self.problem:
            raise AuditError(self.problem)
        self.took.append(head)


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.opens.set()


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def line(head: Anchor) -> str:
    return f"{head.file}:{head.head}\n"


def problems(*sent: Future[None]) -> list[str]:
    return list(unsent({str(number): one for number, one in enumerate(sent)}, 10).values())


def test_what_a_place_did_not_take_is_sent_again_before_the_next_head(place: Place) -> None:
    sender = HeadPlace(place.take)
    place.problem = "it is down"
    assert problems(sender.send([ONE])) == ["it is down"]
    assert problems(sender.send([TWO])) == ["it is down"]
    place.problem = ""
    assert problems(sender.send([])) == []
    assert place.took == [ONE, TWO]
    assert problems(sender.send([THREE])) == []
    assert place.took == [ONE, TWO, THREE]


def test_a_head_that_comes_while_a_place_is_slow_is_taken_after_the_one_before(place: Place) -> None:
    sender = HeadPlace(place.take)
    place.opens.clear()
    first, second = sender.send([ONE]), sender.send([TWO])
    assert not first.done()
    place.opens.set()
    assert problems(first, second) == []
    assert place.took == [ONE, TWO]


def test_of_the_heads_that_a_place_does_not_take_the_newest_are_left(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_heads, "MOST_UNSENT", 2)
    sender = HeadPlace(place.take)
    place.opens.clear()
    sent = sender.send([ONE, TWO, THREE])
    place.opens.set()
    assert problems(sent) == []
    assert place.took == [TWO, THREE]


def test_a_place_that_takes_nothing_keeps_no_head_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[bytes] = []
    monkeypatch.setattr(destinations, "posted", lambda _url, body: posted.append(body) or "")
    heads = HeadsEntry(file=str(tmp_path / "none" / "heads.txt"), url=f"{URL}?key=secret")
    found = unsent(head_sender(heads, False)([ONE]), 10)
    assert found == {heads.file: "No such file or directory"}
    assert posted == [b'{"file":"a.jsonl","head":"%b"}' % (b"a" * 64)]
    # The other way round.
    monkeypatch.setattr(destinations, "posted", lambda _url, _body: "it answered HTTP 500")
    heads = HeadsEntry(file=str(tmp_path / "heads.txt"), url=f"{URL}?key=secret")
    send = head_sender(heads, False)
    assert unsent(send([ONE, TWO]), 10) == {URL: "it answered HTTP 500"}
    assert text_of(tmp_path / "heads.txt") == line(ONE) + line(TWO)
    assert (tmp_path / "heads.txt").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_no_half_head_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "heads.txt"
    file.write_text(line(ONE))
    send, real, room = head_sender(HeadsEntry(file=str(file)), False), os.write, [10]

    def full(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return real(fd, data[: room.pop()])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert unsent(send([TWO]), 10) == {str(file): "No space left on device"}
    assert text_of(file) == line(ONE)
    assert unsent(send([]), 10) == {}
    assert text_of(file) == line(ONE) + line(TWO)


def test_heads_are_printed_only_where_no_client_reads_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[bytes] = []
    heads = HeadsEntry(stdout=True)
    assert head_sender(heads, False)([ONE]) == {}
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: printed.append((fd, data)) or len(data))
        assert unsent(head_sender(heads, True)([ONE]), 10) == {}
    assert printed == [(1, line(ONE).encode())]

    def gone(_fd: int, _data: bytes) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", gone)
        assert unsent(head_sender(heads, True)([ONE]), 10) == {"standard output": "Broken pipe"}


# --- commands --------------------------------------------------------------------------------------


def config_of(tmp_path: Path, heads: str) -> Config:
    path = tmp_path / "mcpguard.yaml"
    path.write_text(f"version: 1\nservers: {{s: {{command: x}}}}\naudit: {{path: audit, heads: {heads}}}\n")
    return load_config(path)


def test_what_a_command_leaves_cannot_be_removed_unnoticed(tmp_path: Path) -> None:
    config = config_of(tmp_path, "{file: heads.txt}")
    note_of(config, "approval-given", "ticket t-1 by ada")
    note_of(config, "approval-refused", "ticket t-2 by ada")
    kept = dict(one.split(":") for one in text_of(tmp_path / "heads.txt").split())
    chains = sorted((tmp_path / "audit").iterdir())
    assert list(kept) == [one.name for one in chains]
    found = proof(tmp_path / "audit", {name: [head] for name, head in kept.items()})
    assert all(report.intact and report.head == kept[name] for name, report in found.reports.items())
    chains[1].unlink()
    assert proof(tmp_path / "audit", {name: [head] for name, head in kept.items()}).missing == [
        chains[1].name
    ]


def test_a_command_says_which_head_could_not_be_sent_and_does_its_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(tmp_path, "{file: none/heads.txt}")
    note_of(config, "approval-given", "ticket t-1 by ada")
    (chain,) = (tmp_path / "audit").iterdir()
    (report,) = proof(chain, {}).reports.values()
    assert report.closed
    assert capsys.readouterr().err == (
        f"mcpguard: the head of the evidence of this could not be sent to {tmp_path}/none/heads.txt (No such "
        f"file or directory): keep {chain.name}:{report.head}\n"
    )
