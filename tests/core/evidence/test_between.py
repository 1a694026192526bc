"""How chains hold each other: what signatures vouch for, and what was removed on purpose."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest
from msgspec.structs import replace

from mcpguard.core.evidence.between import doubts, forked, held, overlapping, removed, vouched
from mcpguard.core.evidence.between import signed as judged
from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.chain import signed as sign
from mcpguard.core.evidence.records import Anchor, Checkpoint, Closed, Record
from mcpguard.core.evidence.verification import ChainReport, Removal, verify
from tests.core.evidence.chain_records import NOW, decided, opened, outcome, sealed

CLOSED = Closed(NOW, "eof")
SEAL = b"signed"


def by(message: bytes, signature: bytes) -> bool:
    """A signature of these tests names what it is about."""
    return signature == SEAL + message[-20:]


def chain(name: str, *records: Record, true: bool = True) -> list[bytes]:
    """A chain whose checkpoints are signed for the file `name`."""
    made, lines = Chain(), []
    for record in records:
        one = record
        if isinstance(one, Checkpoint):
            one = sign(one, name, made.head, lambda text: SEAL + text[-20:] if true else b"x")
        lines.append(made.seal(one))
    return lines


def report(name: str, lines: list[bytes], *expected: str) -> ChainReport:
    return verify(lines, expected, name, by)


def whats(found: ChainReport) -> list[str]:
    return [flaw.what for flaw in found.flaws]


def after(lines: list[bytes], record: Record) -> list[bytes]:
    """One more line, as it is."""
    made = Chain()
    made.rewind((len(lines), verify(lines).head.encode()))
    return [made.seal(record)]


def signed(reports: dict[str, ChainReport]) -> dict[str, ChainReport]:
    return judged(reports, vouched(reports, {}))


CHECK = Checkpoint(NOW)


def test_a_signature_vouches_for_all_lines_before_it() -> None:
    found = report("a", chain("a", opened(), decided(1), outcome(1), CHECK, CLOSED))
    assert found.signed == 4
    assert signed({"a": found}) == {"a": found}
    found = report("a", chain("a", opened(), CHECK, decided(1), outcome(1), CLOSED))
    assert whats(signed({"a": found})["a"]) == ["was closed, but no signature is about lines after 2"]
    # The end of one that is still written may come after the last signature.
    found = report("a", chain("a", opened(), CHECK, decided(1), outcome(1)))
    assert signed({"a": found})["a"].intact


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines.replace(b'"signature":"', b'"signature":"00'),
        lambda lines: lines.replace(b'"signature":"', b'"signature":"zz'),
    ],
)
def test_a_signature_that_was_changed_is_a_flaw(spoil: Callable[[bytes], bytes]) -> None:
    lines = chain("a", opened(), CHECK)
    found = report("a", [lines[0], spoil(lines[1])])
    assert len(found.others) == 1
    assert "has a signature that is not by this key for this place in this file" in whats(found)


@pytest.mark.parametrize(
    "more",
    [
        b'"removed":2,"removed_until":"z.jsonl"',
        b'"heads":[{"file":"b","head":"' + b"f" * 64 + b'"}]',
        b'"prev":"' + b"0" * 64 + b'"',
    ],
)
def test_what_was_added_behind_a_signature_is_a_flaw(more: bytes) -> None:
    lines = chain("a", opened(), CHECK)
    body = lines[1][: lines[1].rfind(b',"hash":"')]
    for at in (b',"seq":', b',"prev":'):
        changed = body.replace(at, b"," + more + at)
        forged = b'%b,"hash":"%b"}\n' % (changed, sha256(changed).hexdigest().encode())
        found = report("a", [lines[0], forged])
        assert "has a signature that is not by this key for this place in this file" in whats(found)
        assert found.signed == 0


def test_a_signature_is_for_one_place_in_one_file_and_by_one_key() -> None:
    lines = chain("a", opened(), CHECK)
    assert report("a", lines).intact
    assert verify(lines, (), "b", lambda message, _: message.split(b"\n")[1] == b"a").flaws
    assert report("a", chain("a", opened(), CHECK, true=False)).signed == 0
    # Without a key no signature is looked at.
    assert verify(chain("a", opened(), CHECK, true=False)).intact


def test_a_head_that_another_chain_holds_proves_that_it_existed_and_not_who_wrote_it() -> None:
    plain = sealed([opened(), decided(1), outcome(1), CLOSED])
    head = verify(plain).head
    holding = report("b", chain("b", opened(Anchor("a", head)), CHECK, CLOSED))
    reports = {"a": report("a", plain, head), "b": holding}
    lines = vouched(reports, {})
    assert lines == {"a": 0, "b": 2}
    assert held(reports, lines) == {"a": "b"}
    assert all(one.intact for one in signed(reports).values())
    # A head that is not there proves nothing, nor does one that no signature is about.
    unsigned = Checkpoint(NOW, (Anchor("a", head),))
    late = report("b", [*(lines_ := chain("b", opened(), CHECK)), *after(lines_, unsigned)])
    assert whats(signed({"a": report("a", plain, head), "b": late})["a"]) == [
        "ends a chain that nothing signed by this key vouches for"
    ]
    elsewhere = report("b", chain("b", opened(Anchor("c", head)), CHECK, CLOSED))
    assert held({"b": elsewhere}, {"b": 2}) == {}


def test_a_head_that_was_kept_elsewhere_vouches_for_what_is_before_it() -> None:
    plain = sealed([opened(), decided(1), outcome(1), CLOSED])
    head = verify(plain).head
    reports = {"a": report("a", plain, head)}
    assert vouched(reports, {"a": [head, "f" * 64], "gone": [head]}) == {"a": 4}
    assert judged(reports, {"a": 4})["a"].intact


def test_a_process_vouches_for_its_own_chain_before_as_far_as_it_wrote_it() -> None:
    lines = sealed([opened(), decided(1), outcome(1), CLOSED])
    head, forged = verify(lines[:3]).head, verify(lines).head
    begun = replace(opened(Anchor("a", head), Anchor("a", forged)), continues="a")
    reports = {
        "a": report("a", lines, head, forged),
        "b": report("b", chain("b", begun, Checkpoint(NOW, (Anchor("a", forged),)), CLOSED)),
    }
    assert vouched(reports, {}) == {"a": 3, "b": 2}
    assert all(one.intact for one in signed(reports).values())
    assert vouched({"b": reports["b"]}, {}) == {"b": 2}
    # A signature of its own that is later says more.
    own = report("a", chain("a", opened(), CHECK, CLOSED), "f" * 64)
    assert vouched({"a": own, "b": reports["b"]}, {})["a"] == 2


def test_two_chains_with_one_beginning_are_a_fork() -> None:
    lines = sealed([opened(), decided(1), outcome(1), CLOSED])
    fork = [*lines[:2], *after(lines[:2], decided(2))]
    other = sealed([opened(Anchor("x", "f" * 64))])
    reports = {"a": verify(lines), "b": verify(fork), "c": verify(other), "d": verify([]), "e": verify([])}
    found = forked(reports)
    assert whats(found["a"]) == ["ends a chain that begins with the same record as b"]
    assert whats(found["b"]) == ["ends a chain that begins with the same record as a"]
    assert [found[name] for name in "cde"] == [reports[name] for name in "cde"]


def test_what_a_chain_holds_that_another_one_holds_is_held_at_second_hand() -> None:
    first = sealed([opened(), decided(1)])
    heads = [verify(first).head]
    second = sealed([opened(Anchor("a", heads[0])), decided(2)])
    heads.append(verify(second).head)
    third = chain("c", opened(Anchor("b", heads[1]), Anchor("b", heads[1])), CHECK, CLOSED)
    reports = {
        "a": report("a", first, heads[0]),
        "b": report("b", second, heads[1]),
        "c": report("c", third),
    }
    assert held(reports, {"a": 0, "b": 0, "c": 2}) == {"a": "b", "b": "c"}
    assert all(one.intact for one in signed(reports).values())


def test_a_chain_without_a_record_needs_nobody_to_vouch_for_it() -> None:
    assert signed({"a": report("a", [])})["a"].intact


def test_what_was_removed_on_purpose_is_what_the_last_record_says() -> None:
    gone = [Checkpoint(NOW, removed=2, removed_until="b"), Checkpoint(NOW, removed=1, removed_until="c")]
    reports = {"x": report("x", chain("x", opened(), *gone)), "y": report("y", chain("y", opened(), CHECK))}
    assert removed(reports, vouched(reports, {})) == Removal(0, "c", 3)
    forged = {"x": report("x", chain("x", opened(), *gone, true=False))}
    assert removed(forged, vouched(forged, {})) is None
    assert removed(forged, None) == Removal(0, "c", 3)
    assert removed({}, None) is None


def test_a_chain_that_says_that_newer_ones_were_removed_is_flawed_and_is_not_believed() -> None:
    for until in ("x", "z"):
        found = report("x", chain("x", opened(), Checkpoint(NOW, removed=1, removed_until=until)))
        assert whats(found) == ["says that chains were removed that are not older than its own"]
        assert removed({"x": found}, None) is None


def test_ids_with_escapes_are_matched_as_they_are_read() -> None:
    odd = [replace(decided(1), id='n"1'), replace(outcome(1), id='n"1'), replace(decided(2), id='n"2')]
    found = verify(sealed([opened(), *odd]))
    assert found.intact
    assert found.unfinished == ('n"2',)


def test_a_line_that_continues_the_chain_and_is_no_record_is_found() -> None:
    lines = sealed([opened()])
    body = b'{"kind":"other",,"seq":2,"prev":"%b"' % verify(lines).head.encode()
    lines.append(b'%b,"hash":"%b"}\n' % (body, sha256(body).hexdigest().encode()))
    assert whats(verify(lines)) == [
        "is not a record: it was altered",
    ]


def test_chains_that_may_have_decided_the_same_call_are_found() -> None:
    def deciding(at: int, *numbers: int) -> ChainReport:
        records = (decided(one, "deny") for one in numbers)
        return verify(sealed([replace(opened(), pid=at), *records]))

    reports = {
        "wide": deciding(1, 1, 90),
        "in it": deciding(2, 3, 4),
        "also in it": deciding(3, 50),
        "reaches beyond it": deciding(4, 80, 100),
        "in what is beyond": deciding(5, 95),
        "after it": deciding(6, 101),
        "of another connection": verify(sealed([opened(), replace(decided(3), id="m-3")])),
        "none": verify(sealed([opened()])),
    }
    some = {"wide", "in it", "also in it", "reaches beyond it", "in what is beyond"}
    assert overlapping(reports) == {name: {b"n"} for name in some}
    assert overlapping({"a": reports["wide"], "its copy": reports["wide"]}) == {}


def test_what_two_chains_say_is_doubtful_where_nothing_vouches_for_it() -> None:
    assert doubts({"decides n-2": {"a": 2}}, {"a": 0}) == {}
    said = {"decides n-1": {"a": 2, "c": 3}}
    for sure, doubtful in (({"a": 0, "c": 0}, "ac"), ({"a": 2, "c": 1}, "c"), ({"a": 2, "c": 3}, "")):
        assert list(doubts(said, sure)) == list(doubtful)
    assert doubts(said, {"a": 2, "c": 0}) == {
        "c": ["line 3 decides n-1, as a does: one of the two was planted"]
    }
