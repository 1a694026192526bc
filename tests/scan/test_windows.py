"""Files in windows: what is found, and where, does not depend on where a window ends, nor on the encoding."""

from __future__ import annotations

import io
import os
import random
import zlib

import pytest

from mcpguard.core.redaction.redactor import Redactor
from mcpguard.scan import leaks as finding
from mcpguard.scan import sources as reading
from mcpguard.scan.leaks import Leak, UnsearchedPart, leaks
from mcpguard.scan.sources import windows

TOKEN = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor(b"key")


def found(data: bytes, redactor: Redactor) -> list[Leak]:
    return [one for one in leaks(windows(io.BytesIO(data)), redactor) if isinstance(one, Leak)]


def places(data: bytes, redactor: Redactor) -> list[tuple[int, int, int, int]]:
    return [(one.line, one.column, one.end_line, one.end_column) for one in found(data, redactor)]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_the_place_is_one_of_characters_in_every_encoding(encoding: str, redactor: Redactor) -> None:
    text = f"über alles, größer\nschön = {TOKEN}\n"
    assert places(text.encode(encoding), redactor) == [(2, 9, 2, 49)]


def test_one_wrong_byte_makes_no_other_encoding(redactor: Redactor) -> None:
    assert places(f"grün größer \ndé \nö {TOKEN}".encode() + b"\xfc\n", redactor) == [(3, 3, 3, 43)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_window_may_end_anywhere(
    encoding: str, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{'é' * (n % 7)}{n} {TOKEN if n % 3 == 0 else 'nothing'} {n}" for n in range(40)]
    data = "\n".join(lines).encode(encoding)
    expected = [(n + 1, n % 7 + len(str(n)) + 2) for n in range(0, 40, 3)]
    monkeypatch.setattr(reading, "BEFORE", 64)
    monkeypatch.setattr(reading, "AFTER", 128)
    for own in (4, 5, 97, 130, 500, 5000):
        monkeypatch.setattr(reading, "OWN", own)
        assert [place[:2] for place in places(data, redactor)] == expected, own


def test_a_line_longer_than_a_window_has_one_count_of_characters(
    redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BEFORE", 64)
    monkeypatch.setattr(reading, "AFTER", 128)
    monkeypatch.setattr(reading, "OWN", 300)
    data = ("é " * 1000 + TOKEN + " é" * 500 + f"\n {TOKEN}").encode()
    assert [place[:2] for place in places(data, redactor)] == [(1, 2001), (2, 2)]


def test_a_pipe_that_gives_a_little_at_a_time_is_read_to_its_end(redactor: Redactor) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, f"a {TOKEN}\n".encode())
    os.close(theirs)
    with open(ours, "rb", buffering=0) as file:
        assert len(list(leaks(windows(file), redactor))) == 1


def test_nothing_is_in_nothing(redactor: Redactor) -> None:
    assert found(b"", redactor) == []
    assert found(b"\0\1\2", redactor) == []


@pytest.mark.parametrize("encoding", ["ascii", "utf-16-le"])
def test_in_a_binary_file_it_is_the_byte(
    encoding: str, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    junk = zlib.compress(random.Random(3).randbytes(3000)).replace(b"ghp", b"   ")
    data = (
        b"\0\0\xff" + junk + b"\0" + TOKEN.encode(encoding) + b"\xff" + junk + b"\0" + TOKEN.encode(encoding)
    )
    first = 3 + len(junk) + 1
    expected = [first, len(data) - len(TOKEN.encode(encoding))]
    for own in (len(data) + 1, 1000, 137):
        monkeypatch.setattr(reading, "OWN", own)
        monkeypatch.setattr(reading, "BEFORE", 128)
        monkeypatch.setattr(reading, "AFTER", 256)
        assert sorted((one.line, one.column) for one in found(data, redactor)) == [(0, at) for at in expected]


def test_a_flood_is_searched_in_parts(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.core.redaction.budget.HITS", (30, 0))
    monkeypatch.setattr(finding, "SMALL", 64)
    monkeypatch.setattr(finding, "BEFORE", 64)
    monkeypatch.setattr(finding, "AFTER", 128)
    data = f"{TOKEN}\n".encode() * 200
    assert [place[:2] for place in places(data, redactor)] == [(n, 1) for n in range(1, 201)]


def test_what_cannot_be_searched_is_said_with_its_line(
    redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.core.redaction.budget.HITS", (0, 0))
    missed = list(leaks(windows(io.BytesIO(b"\n\n" + f"{TOKEN} ".encode() * 3)), redactor))
    assert len(missed) == 1
    assert isinstance(missed[0], UnsearchedPart)
    assert (missed[0].line, "hits" in missed[0].why) == (1, True)


def test_a_fingerprint_is_of_the_line_and_not_of_the_value(redactor: Redactor) -> None:
    other = TOKEN[:-4] + "0000"
    first, moved, changed, elsewhere = found(
        f"key = {TOKEN}; x\nother\n   key = {TOKEN}; x\nkey = {other}; x\nkeys = {TOKEN}; x".encode(),
        redactor,
    )
    assert first.fingerprint == moved.fingerprint == changed.fingerprint != elsewhere.fingerprint
    assert first.mark == moved.mark == elsewhere.mark != changed.mark


def test_two_in_one_line_have_fingerprints_of_their_own(redactor: Redactor) -> None:
    one, two = found(f"{TOKEN} and https://u:{'p455' * 3}@h/ {TOKEN}"[:-41].encode(), redactor)
    assert one.fingerprint != two.fingerprint


def test_what_looks_random_is_found_on_request(redactor: Redactor) -> None:
    text = f"""a = "{"q9Xz" + "T7bLw2Kd" + "Yh5Rn8Mc4Jp"}"\nb = "{"ab" * 16}"\nc = '{TOKEN}'\nd: 3f7a9c2e5b8d1046af93c72e5b1d8046"""
    plain = list(leaks(windows(io.BytesIO(text.encode())), redactor))
    more = list(leaks(windows(io.BytesIO(text.encode())), redactor, entropy=True))
    assert [one.line for one in plain] == [3]
    assert [(one.line, getattr(one, "kind", "")) for one in more] == [
        (1, "high-entropy"),
        (3, "github-token"),
        (4, "high-entropy"),
    ]
