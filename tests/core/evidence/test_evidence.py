"""The chain: what a writer seals is the format, byte for byte."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from msgspec.structs import fields, replace

from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import GENESIS, MAX_LINE, Chain
from mcpguard.core.evidence.records import (
    Closed,
    Decided,
    Noticed,
    ObservedRefusal,
    Opened,
    Outcome,
    Record,
    let_through,
    observed_in,
)
from tests.core.evidence.chain_records import NOW, day, decided, opened, outcome, sealed
from tests.rows import each


def test_a_line_is_what_the_format_says_byte_for_byte() -> None:
    chain = Chain()
    line = chain.seal(Closed(NOW, "eof"))
    body = (
        '{"kind":"closed","at":"2026-08-01T07:00:00.125000Z","reason":"eof","seq":1,"prev":"' + "0" * 64 + '"'
    )
    digest = sha256(body.encode()).hexdigest()
    assert line == f'{body},"hash":"{digest}"}}\n'.encode()
    assert chain.head == digest
    assert chain.seq == 1


def test_each_record_kind_is_named_first_and_leaves_the_chain_its_keys() -> None:
    for record in day():
        line = json.loads(Chain().seal(record))
        assert next(iter(line)) == "kind"
        assert list(line)[-3:] == ["seq", "prev", "hash"]
        assert not {"seq", "prev", "hash", "kind"} & {field.name for field in fields(type(record))}


@each(
    "record",
    [
        Opened(NOW, "0.1.0", 7, "os-user:1000", (), "d" * 64),
        Decided(NOW, "n-1", "os-user:1000", "tools/call", "allow"),
        Outcome(NOW, "n-1", "ok", 1.5),
        Noticed(NOW, "finding"),
        Closed(NOW, "eof"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_field_that_says_nothing_is_left_out(record: Record) -> None:
    said = [field.name for field in fields(record) if field.required]
    assert list(json.loads(Chain().seal(record))) == ["kind", *said, "seq", "prev", "hash"]


def test_a_second_verifier_written_from_the_description_agrees() -> None:
    head = GENESIS
    for number, line in enumerate(sealed(day(50)), 1):
        body, mark, tail = line.rpartition(b',"hash":"')
        record = json.loads(line)
        assert (record["seq"], record["prev"]) == (number, head)
        assert tail == record["hash"].encode() + b'"}\n'
        assert sha256(body).hexdigest() == record["hash"]
        assert len(mark + tail) == 76
        head = record["hash"]


def test_a_fresh_chain_begins_at_genesis() -> None:
    assert Chain().head == GENESIS


def test_a_chain_that_is_set_back_seals_as_if_nothing_had_happened() -> None:
    chain = Chain()
    chain.seal(opened())
    mark = chain.mark
    first = chain.seal(decided(1))
    chain.seal(outcome(1))
    chain.rewind(mark)
    assert chain.seal(decided(1)) == first
    chain = Chain()
    mark = chain.mark
    first = chain.seal(opened())
    chain.rewind(mark)
    assert chain.seal(opened()) == first


@pytest.mark.parametrize("text", ["\ud800", "x" * MAX_LINE], ids=["lone surrogate", "too long"])
def test_a_record_that_cannot_be_a_line_is_refused_and_leaves_the_chain_alone(text: str) -> None:
    chain = Chain()
    chain.seal(opened())
    mark = chain.mark
    with pytest.raises(AuditError, match="a record"):
        chain.seal(Noticed(NOW, "finding", detail=text))
    assert chain.mark == mark


def test_the_longest_line_verifies_and_one_byte_more_is_refused() -> None:
    def notice(size: int) -> Noticed:
        return Noticed(NOW, "finding", detail="x" * size)

    room = MAX_LINE - len(Chain().seal(notice(1))) + 1
    assert len(Chain().seal(notice(room))) == MAX_LINE
    with pytest.raises(AuditError, match="1 MiB"):
        Chain().seal(notice(room + 1))


RULE, LIMIT = ObservedRefusal("rule", ("a/b",), "No."), ObservedRefusal("limit", ("a/c",))


@each(
    ("decision", "ended", "why"),
    [
        ({}, None, ""),
        ({}, {}, ""),
        ({"observed": RULE}, None, "rule"),
        ({"observed": RULE}, {"observed": LIMIT}, "rule"),
        ({}, {"observed": LIMIT}, "limit"),
        ({"shadow": "deny (no-rule)"}, {}, "shadow"),
        ({}, {"shadow": "deny (rule) a/b"}, "shadow"),
        ({"shadow": "allow a/b"}, {}, ""),
        ({"effect": "deny", "shadow": "deny (rule) a/b"}, None, ""),
    ],
)
def test_a_call_was_let_through_if_policies_in_force_would_have_refused_it(
    decision: dict[str, object], ended: dict[str, object] | None, why: str
) -> None:
    assert (
        let_through(replace(decided(1), **decision), None if ended is None else replace(outcome(1), **ended))
        == why
    )


def test_what_is_observed_of_a_call_and_of_its_result_is_one_refusal() -> None:
    both = observed_in(replace(decided(1), observed=RULE), replace(outcome(1), observed=LIMIT))
    assert both == ObservedRefusal("rule", ("a/b", "a/c"), "No.")
    assert both.text == "rule a/b, a/c"
