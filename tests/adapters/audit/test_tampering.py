"""No edit of any kind at any place of a signed chain passes a verifier that has the file and the public key.

Only the last line of a chain, `closed`, has no signature after it; and a chain that was cut off says that it was
not closed, and up to where it is proven. A head that is kept elsewhere covers both.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.adapters.audit.signing import SigningKey, new_key
from mcpguard.core.evidence.between import signed, vouched
from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.records import Anchor, Checkpoint, Closed, Record
from mcpguard.core.evidence.verification import ChainReport, verify
from mcpguard.core.secret import Secret
from tests.core.evidence.chain_records import NOW, decided, opened, outcome

KEY = SigningKey(Secret(new_key()))
STRANGER = SigningKey(Secret(new_key()))
NAME = "20260801T070000Z-1-aa.jsonl"
OTHER = Anchor("20260801T070000Z-2-bb.jsonl", "b" * 64)


def lines_of(records: list[Record], key: SigningKey = KEY, name: str = NAME) -> list[bytes]:
    """What a writer with that key makes of the records."""
    chain, lines = Chain(), []
    for record in records:
        one = record
        if isinstance(one, Checkpoint):
            one = key.signed(one, name, chain.head)
        lines.append(chain.seal(one))
    return lines


def records_of(calls: int, closed: bool) -> list[Record]:
    records: list[Record] = [opened(OTHER), Checkpoint(NOW)]
    for number in range(calls):
        records += [decided(number), outcome(number)]
        if number % 2:
            records.append(Checkpoint(NOW, (OTHER,)))
    records += [decided(99, "deny"), Checkpoint(NOW, (OTHER,))]
    return [*records, Closed(NOW, "eof")] if closed else records


@cache
def whole(closed: bool) -> tuple[bytes, ...]:
    return tuple(lines_of(records_of(5, closed)))


def proven(lines: list[bytes], name: str = NAME) -> ChainReport:
    """What a verifier finds that has this one file and the public key."""
    reports = {name: verify(lines, (), name, KEY.public.verifies)}
    return signed(reports, vouched(reports, {}))[name]


def resealed(lines: list[bytes], start: int) -> list[bytes]:
    """The lines with numbers and hashes that are right again from `start` on, as anybody can make them."""
    head = verify(lines[:start]).head
    made = list(lines[:start])
    for number, line in enumerate(lines[start:], start + 1):
        fields = json.loads(line) | {"seq": number, "prev": head}
        del fields["hash"]
        body = json.dumps(fields, separators=(",", ":"))[:-1].encode()
        head = sha256(body).hexdigest()
        made.append(body + b',"hash":"' + head.encode() + b'"}\n')
    return made


def edited(line: bytes, data: st.DataObject) -> bytes:
    """One field is another."""
    fields = json.loads(line)
    name = data.draw(st.sampled_from(sorted(fields.keys() - {"seq", "prev", "hash"})))
    was = fields[name]
    others = st.sampled_from(["", "x", "deny", "opened", 7, None, []])
    fields[name] = data.draw(others.filter(lambda other: other != was))
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


KINDS = ("edit", "remove", "insert", "swap", "repeat", "cut", "byte", "foreign")


def tampered(kind: str, lines: list[bytes], at: int, data: st.DataObject) -> list[bytes]:
    """The lines after one edit of this kind at this place."""
    if kind == "edit":
        return [*lines[:at], edited(lines[at], data), *lines[at + 1 :]]
    if kind == "remove":
        return [*lines[:at], *lines[at + 1 :]]
    if kind == "insert":
        return [*lines[:at], Chain().seal(decided(77)), *lines[at:]]
    if kind == "swap":
        other = data.draw(st.integers(0, len(lines) - 1).filter(at.__ne__))
        swapped = list(lines)
        swapped[at], swapped[other] = lines[other], lines[at]
        return swapped
    if kind == "repeat":
        return [*lines[: at + 1], *lines[at:]]
    if kind == "cut":
        return lines[:at]
    if kind == "foreign":
        return [*lines[:at], lines_of(records_of(5, True), STRANGER)[at], *lines[at + 1 :]]
    line = bytearray(lines[at])
    line[data.draw(st.integers(0, len(line) - 1))] ^= data.draw(st.integers(1, 255))
    return b"".join([*lines[:at], bytes(line), *lines[at + 1 :]]).splitlines(keepends=True)


def test_what_was_written_is_proven() -> None:
    for closed in (True, False):
        report = proven(list(whole(closed)))
        assert report.intact
        assert report.signed == len(whole(False))


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(deadline=None)
def test_an_edit_by_whoever_cannot_count_or_hash_is_found(kind: str, data: st.DataObject) -> None:
    lines = list(whole(True))
    at = data.draw(st.integers(0, len(lines) - 2))
    changed = tampered(kind, lines, at, data)
    if b"".join(changed) != b"".join(lines):
        found = proven(changed)
        # A cut chain is not closed: that is what it says, and it is proven up to its last signature.
        assert not found.intact or (kind == "cut" and not found.closed and found.signed <= len(changed))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "byte"])
@given(st.data())
@settings(deadline=None)
def test_an_edit_by_whoever_makes_all_hashes_right_again_is_found(kind: str, data: st.DataObject) -> None:
    lines = list(whole(True))
    at = data.draw(st.integers(0, len(lines) - 2))
    changed = tampered(kind, lines, at, data)
    again = resealed(changed, at if kind != "swap" else 0)
    if kind == "cut" or b"".join(again) == b"".join(lines):
        return
    assert not proven(again).intact


@given(st.data())
def test_a_signed_line_proves_nothing_in_another_file_or_at_another_place(data: st.DataObject) -> None:
    lines = list(whole(True))
    assert not proven(lines, "20260801T070000Z-9-cc.jsonl").intact
    keep = data.draw(st.integers(1, len(lines) - 3))
    forged = resealed([lines[0], *lines[keep + 1 :]], 1)
    if b"".join(forged) != b"".join(lines):
        assert not proven(forged).intact


@given(st.booleans(), st.data())
def test_a_chain_that_is_rewritten_without_the_key_proves_nothing(closed: bool, data: st.DataObject) -> None:
    records = [
        one for one in records_of(3, closed) if data.draw(st.booleans()) or not isinstance(one, Checkpoint)
    ]
    forged = lines_of(records, STRANGER)
    assert verify(forged).intact
    assert not proven(forged).intact
