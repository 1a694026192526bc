"""The proof of a chain: what a writer sealed verifies, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mcpguard.core.evidence.between import joined as joined_by
from mcpguard.core.evidence.chain import GENESIS, Chain
from mcpguard.core.evidence.records import PAUSED, Anchor, Closed, FoldedRecords, Noticed, Outcome, Record
from mcpguard.core.evidence.verification import (
    MAX_FLAWS,
    ChainReport,
    anchors,
    closing,
    continued,
    decisions,
    verify,
)
from tests.core.evidence.chain_records import NOW, day, decided, opened, outcome, resealed, sealed
from tests.rows import each


def flaws(lines: list[bytes]) -> list[tuple[int, str]]:
    return [(flaw.line, flaw.what) for flaw in verify(lines).flaws]


def test_a_sealed_chain_verifies() -> None:
    lines = sealed(day())
    begin, head = (json.loads(lines[at])["hash"] for at in (0, -1))
    assert verify(lines) == ChainReport(
        records=10,
        head=head,
        closed=True,
        torn=False,
        unfinished=(),
        flaws=(),
        begin=begin,
        pid=7,
        decided={b"n": (0, 99)},
    )
    assert verify(lines).intact


def test_a_call_about_which_a_person_is_asked_is_decided_later() -> None:
    asked = verify(sealed([opened(), decided(1, "ask")]))
    assert (asked.intact, asked.unfinished, asked.decided) == (True, (), {})
    approved = verify(sealed([opened(), decided(1, "ask"), decided(1)]))
    assert (approved.unfinished, approved.decided) == (("n-1",), {b"n": (1, 1)})
    odd = verify(sealed([opened(), replace(decided(1, "ask"), id='"n"')]))
    assert (odd.intact, odd.unfinished, odd.decided) == (True, (), {})


def test_an_empty_chain_has_no_records_and_is_not_closed() -> None:
    assert verify([]) == ChainReport(0, GENESIS, False, False, (), ())


def test_a_chain_without_its_end_is_intact_but_not_closed() -> None:
    report = verify(sealed(day())[:-1])
    assert report.intact
    assert not report.closed


def test_allowed_decisions_without_an_outcome_are_listed_in_order_and_denied_ones_are_not() -> None:
    report = verify(sealed([opened(), decided(3), decided(1), decided(2, "deny"), decided(4), outcome(1)]))
    assert report.unfinished == ("n-3", "n-4")
    assert report.intact


def test_a_denied_decision_whose_members_stand_in_another_order_is_one_too() -> None:
    lines = sealed([opened(), decided(1, "deny")])
    fields = json.loads(lines[1])
    body = json.dumps({"id": fields["id"], **{k: v for k, v in fields.items() if k != "hash"}})[:-1].encode()
    lines[1] = body + b',"hash":"' + sha256(body).hexdigest().encode() + b'"}\n'
    report = verify(lines)
    assert report.unfinished == ()
    assert report.intact


# --- what a newer mcpguard wrote -------------------------------------------------------------------


def later(lines: list[bytes]) -> list[bytes]:
    """The same as a version with another format writes it, with one kind of record more."""
    lines = [resealed(lines[0], format=9, version="9.9.0"), *lines[1:]]
    lines[4] = lines[4].replace(b'{"kind":"outcome"', b'{"kind":"effect"')
    return rechained(lines)


def rechained(lines: list[bytes]) -> list[bytes]:
    """Lines that follow each other."""
    found: list[bytes] = []
    head = GENESIS
    for line in lines:
        found.append(resealed(line, prev=head))
        head = json.loads(found[-1])["hash"]
    return found


def test_of_a_newer_format_hashes_are_checked_and_unknown_kinds_are_none_of_our_business() -> None:
    report = verify(later(sealed(day())))
    assert (report.flaws, report.newer, report.unchecked) == ((), "a newer mcpguard (9.9.0, format 9)", False)
    assert report.intact


def test_an_edit_in_a_newer_format_is_found() -> None:
    lines = later(sealed(day()))
    lines[3] = lines[3].replace(b"github", b"gitlab")
    report = verify(lines)
    assert [flaw.line for flaw in report.flaws] == [4]
    assert report.newer


def test_a_chain_of_a_newer_format_with_another_hash_is_neither_intact_nor_altered() -> None:
    lines = later(sealed(day()))
    lines = [line.replace(json.loads(line)["hash"].encode(), b"sha3-" + b"0" * 59) for line in lines]
    report = verify(lines)
    assert (report.flaws, report.unchecked, report.intact) == ((), True, False)
    assert report.problems == (
        "it was written by a newer mcpguard (9.9.0, format 9), and this version cannot check it",
    )
    assert verify([b'{"kind":"opened","format":9,"version":"9.9.0"}\n']).unchecked


def test_who_only_claims_a_newer_format_does_not_hide_a_head_that_is_gone() -> None:
    lines = sealed(day())
    head = json.loads(lines[-1])["hash"]
    lines[0] = lines[0].replace(b'"pid":7', b'"pid":7,"format":9')
    assert verify(lines[:3], [head]).problems == (
        f"line 3 ends a chain that no longer holds {head}: its end was cut off or it was rewritten",
        "it was written by a newer mcpguard (0.1.0, format 9), and this version cannot check it",
    )


def test_a_kind_that_this_version_does_not_know_is_said_whatever_the_format() -> None:
    lines = sealed(day())
    for at in (7, 8):
        lines[at] = lines[at].replace(b'{"kind":"notice"', b'{"kind":"rumour"')
    report = verify(rechained(lines))
    assert report.intact
    assert report.newer == "a newer mcpguard (line 9 is a record of the kind rumour)"


def test_an_unknown_kind_in_an_altered_chain_does_not_speak_of_a_newer_version() -> None:
    lines = sealed(day())
    lines[8] = lines[8].replace(b'{"kind":"notice"', b'{"kind":"notise"')
    report = verify(lines)
    assert ([flaw.line for flaw in report.flaws], report.newer) == ([9], "")


def test_an_edited_line_is_named() -> None:
    lines = sealed(day())
    lines[3] = lines[3].replace(b"github", b"gitlab")
    assert flaws(lines) == [(4, "was altered: its bytes do not match its hash")]


def test_a_copy_with_other_line_ends_is_altered_and_says_how() -> None:
    lines = [line.replace(b"\n", b"\r\n") for line in sealed(day())]
    why = "was altered: it ends in CR LF, as after a copy in text mode: copy the file byte for byte"
    assert flaws(lines) == [(number, why) for number in range(1, len(lines) + 1)]


def test_an_edit_that_repairs_its_own_hash_shows_in_the_next_line() -> None:
    lines = sealed(day())
    lines[1] = resealed(lines[1], server="other")
    assert flaws(lines) == [(3, "does not continue the line before: one of the two was altered or replaced")]


def test_a_removed_line_leaves_a_gap() -> None:
    lines = sealed(day())
    del lines[7]
    assert flaws(lines) == [(8, "follows a gap: records 8 to 8 are missing")]


def test_a_removed_beginning_leaves_a_gap_and_no_opened_record() -> None:
    assert flaws(sealed(day())[7:]) == [
        (1, "follows a gap: records 1 to 7 are missing"),
        (1, "breaks the rule that an opened record is the first, and the first only"),
    ]


def test_swapped_lines_are_found() -> None:
    lines = sealed(day())
    lines[7], lines[8] = lines[8], lines[7]
    assert [line for line, _ in flaws(lines)] == [8, 9, 10]


def test_a_repeated_line_is_found() -> None:
    lines = sealed(day())
    lines.insert(8, lines[7])
    assert flaws(lines) == [(9, "has record 8 where 9 belongs: inserted, repeated or moved")]


def test_a_foreign_line_is_found() -> None:
    lines = sealed(day())
    lines.insert(8, resealed(lines[7], seq=9))
    assert [line for line, _ in flaws(lines)] == [9, 10]


@each(
    "noise",
    [b"\n", b"{}\n", b"null\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"kind":"notice","seq":"2"}\n'],
    ids=["blank", "empty object", "null", "not UTF-8", "too deep", "wrong type"],
)
def test_a_line_that_is_no_record_is_one_flaw_and_what_follows_a_gap_another(noise: bytes) -> None:
    lines = sealed(day())
    lines[7] = noise
    assert flaws(lines)[0] == (8, "is not a record: it was altered")
    assert len(flaws(lines)) == 2


def test_a_line_made_unreadable_behind_its_own_hash_is_one_flaw() -> None:
    lines = sealed(day())
    lines[7] = b"\xff" + lines[7][1:]
    assert flaws(lines) == [(8, "is not a record: it was altered")]


def test_a_half_written_last_line_is_torn_and_not_altered() -> None:
    lines = sealed(day())
    report = verify([*lines[:-1], lines[-1][:-1]])
    assert report.torn
    assert not report.closed
    assert report.intact
    assert report.records == 9


def test_half_a_line_in_the_middle_is_a_flaw() -> None:
    lines = sealed(day())
    lines.insert(8, lines[8][:20])
    found = flaws(lines)
    assert found == [(9, "is not a whole line, although more follows")]


def test_bytes_after_the_closing_record_mean_that_it_was_not_the_end() -> None:
    lines = sealed(day())
    torn = verify([*lines, b"{"])
    assert not torn.closed
    assert [one.what for one in torn.flaws] == ["follows the record that closed the chain"]
    chain = Chain()
    more = [chain.seal(record) for record in [*day(), Noticed(NOW, "late")]]
    assert flaws(more) == [(11, "follows the record that closed the chain")]


def test_a_second_opened_record_is_a_flaw() -> None:
    assert flaws(sealed([opened(), opened()])) == [
        (2, "breaks the rule that an opened record is the first, and the first only")
    ]


@pytest.mark.parametrize("records", [[outcome(1)], [decided(1, "deny"), outcome(1)]])
def test_an_outcome_that_nothing_allowed_is_a_flaw(records: list[Record]) -> None:
    assert [what for _, what in flaws(sealed([opened(), *records]))] == [
        "is an outcome without an allowed decision before it"
    ]


def test_a_second_outcome_for_one_decision_is_a_flaw() -> None:
    assert len(flaws(sealed([opened(), decided(1), outcome(1), outcome(1)]))) == 1


def paused(number: int) -> Outcome:
    """Call `number` waits for its client."""
    return replace(outcome(number), status=PAUSED)


def test_a_call_that_waits_for_its_client_has_one_more_outcome() -> None:
    asked = [opened(), decided(0), paused(0), decided(1), outcome(1), paused(0)]
    assert verify(sealed(asked)).flaws == ()
    assert verify(sealed(asked)).unfinished == ("n-0",)
    found = verify(sealed([*asked, outcome(0)]))
    assert (found.flaws, found.unfinished) == ((), ())
    assert len(flaws(sealed([*asked, outcome(0), outcome(0)]))) == 1
    assert len(flaws(sealed([opened(), paused(0)]))) == 1


def test_a_head_kept_elsewhere_shows_a_cut_off_end() -> None:
    lines = sealed(day())
    head = json.loads(lines[6])["hash"]
    assert verify(lines, [head]).intact
    cut = verify(lines[:6], [head])
    assert [flaw.what for flaw in cut.flaws] == [
        f"ends a chain that no longer holds {head}: its end was cut off or it was rewritten"
    ]


def test_a_file_of_noise_is_described_in_bounded_memory() -> None:
    report = verify(b"noise\n" for _ in range(MAX_FLAWS * 3))
    assert len(report.flaws) == MAX_FLAWS
    assert report.records == MAX_FLAWS * 3


def test_a_chain_says_which_heads_it_holds_also_as_earlier_versions_wrote_it() -> None:
    one = Anchor("20260801T070000Z-1-aa.jsonl", "a" * 64)
    two = Anchor("20260801T070000Z-2-bb.jsonl", "b" * 64)
    assert anchors(Chain().seal(opened(one, two))) == (one, two)
    assert anchors(Chain().seal(opened(two, previous=one))) == (one, two)
    assert anchors(Chain().seal(opened())) == ()
    assert anchors(b"noise") == ()


def test_a_kind_that_a_later_version_adds_still_verifies_and_needs_no_outcome() -> None:
    lines = sealed(day())[:8]
    head = json.loads(lines[-1])["hash"]
    before = verify(lines).unfinished
    lines.append(resealed(lines[-1], kind="later", seq=9, prev=head, effect="allow", id="n-9"))
    report = verify(lines)
    assert report.intact
    assert report.unfinished == before


TAMPERINGS: list[Callable[[list[bytes], int, int], list[bytes]]] = [
    lambda lines, i, j: lines[:i] + lines[i + 1 :],
    lambda lines, i, j: [*lines[:i], lines[j], *lines[i:]],
    lambda lines, i, j: [*lines[:i], lines[j], *lines[i + 1 :]],
]


@given(st.data())
def test_no_line_can_be_removed_inserted_or_replaced_unseen(data: st.DataObject) -> None:
    lines = sealed(day())
    # The last line may vanish: `closed` says so, and an expected head does.
    i = data.draw(st.integers(0, len(lines) - 2))
    j = data.draw(st.integers(0, len(lines) - 1).filter(lambda j: j != i))
    changed = data.draw(st.sampled_from(TAMPERINGS))(lines, i, j)
    assert not verify(changed).intact


@given(st.data())
def test_no_byte_can_be_changed_unseen(data: st.DataObject) -> None:
    lines = sealed(day())
    whole = bytearray(b"".join(lines))
    at = data.draw(st.integers(0, len(whole) - 2))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert not verify(BytesIO(whole)).intact


@given(st.integers(0, 9), st.binary(min_size=1, max_size=200))
def test_noise_never_makes_the_verifier_fail(at: int, noise: bytes) -> None:
    lines = sealed(day())
    lines.insert(at, noise)
    verify(lines)


def continuing(before: str, *records: Record) -> list[bytes]:
    """A chain of the process that wrote `before`."""
    return sealed([replace(opened(), continues=before), *records])


ROTATED = Closed(NOW, "rotated")


def joined(reports: dict[str, ChainReport], **renamed: str) -> dict[str, ChainReport]:
    return joined_by(reports, renamed)


def test_a_first_line_names_the_chain_that_its_own_continues() -> None:
    assert continued(continuing("a.jsonl")[0]) == "a.jsonl"
    assert continued(sealed([opened()])[0]) == ""
    assert continued(b"noise") == ""


def test_what_a_later_chain_of_the_process_finishes_is_not_unfinished() -> None:
    reports = joined(
        {
            "a": verify(sealed([opened(), decided(1), decided(2), decided(3), outcome(3), ROTATED])),
            "b": verify(continuing("a", outcome(1), Closed(NOW, "evidence-gap"))),
            "c": verify(continuing("b", decided(4), outcome(2))),
        }
    )
    assert {name: report.unfinished for name, report in reports.items()} == {"a": (), "b": (), "c": ("n-4",)}
    assert all(report.intact for report in reports.values())


def test_a_call_that_pauses_in_one_chain_of_the_process_ends_in_another() -> None:
    for first, then in (([decided(0), paused(0)], [outcome(0)]), ([decided(0)], [paused(0), outcome(0)])):
        chains = {"a": verify(sealed([opened(), *first, ROTATED]))}
        chains["b"] = verify(continuing("a", *then))
        assert [one.flaws for one in joined(chains).values()] == [(), ()]


def test_a_later_outcome_that_no_chain_of_the_process_decided_is_a_flaw() -> None:
    reports = joined(
        {
            "a": verify(sealed([opened(), decided(1), ROTATED])),
            "b": verify(continuing("a", outcome(1), outcome(2))),
        }
    )
    assert reports["a"].intact
    assert [(flaw.line, flaw.what) for flaw in reports["b"].flaws] == [
        (3, "ends a chain with outcomes that have no allowed decision: n-2")
    ]


def test_a_chain_that_lost_its_end_is_the_only_flaw() -> None:
    whole = sealed([opened(), decided(1), decided(2), outcome(2), ROTATED])
    after = verify(continuing("a", outcome(1), decided(3), ROTATED))
    last = verify(continuing("b", outcome(3)))
    assert all(one.intact for one in joined({"a": verify(whole), "b": after, "c": last}).values())
    cut = verify(whole[:1], [whole[-1][-67:-3].decode()])
    reports = joined({"a": cut, "b": after, "c": last})
    assert [name for name, report in reports.items() if not report.intact] == ["a"]


def test_of_a_chain_that_is_not_there_no_decision_is_looked_for() -> None:
    assert joined({"b": verify(continuing("a", outcome(1)))})["b"].intact
    circle = {
        "a": verify(continuing("b", outcome(1), ROTATED)),
        "b": verify(continuing("a", outcome(2), ROTATED)),
    }
    assert joined(circle) == circle


@pytest.mark.parametrize("end", [[], [Closed(NOW, "eof")]])
def test_a_chain_that_was_not_handed_on_has_no_outcomes_elsewhere(end: list[Record]) -> None:
    killed = verify(sealed([opened(), decided(1), *end]))
    reports = joined({"a": killed, "b": verify(continuing("a", outcome(1)))})
    assert not killed.handed_on
    assert reports["a"].unfinished == ("n-1",)
    assert all(report.intact for report in reports.values())


def test_a_renamed_chain_is_still_the_one_that_was_continued() -> None:
    reports = {"x": verify(sealed([opened(), decided(1), ROTATED])), "b": verify(continuing("a", outcome(1)))}
    assert joined(reports)["x"].unfinished == ("n-1",)
    assert joined(reports, a="x")["x"].unfinished == ()


def test_a_line_that_closes_a_chain_says_why() -> None:
    *_, last = sealed([opened(), ROTATED])
    assert closing(last) == "rotated"
    assert closing(sealed([opened()])[0]) == closing(b"noise") == ""


def test_what_a_chain_decided_is_known_by_the_numbers_of_its_calls() -> None:
    odd = [replace(decided(1), id=one) for one in ("é-5", "plain", "n-", "n-" + "9" * 20)]
    lines = sealed([opened(), *map(decided, (7, 3, 5)), decided(9, "ask"), decided(8, "deny"), *odd])
    assert verify(lines).decided == {
        b"n": (3, 8),
        "é".encode(): (5, 5),
        **{one.id.encode(): (0, 0) for one in odd[1:]},
    }
    found = [decisions(line, {b"n", "é".encode()}) for line in (*lines, b'{"kind":"decision" noise')]
    assert [one for one in found if one] == ["n-7", "n-3", "n-5", "n-8", "é-5"]
    escaped = resealed(sealed([decided(4)])[0].replace(b"n-4", b"\\u006e-4"), **{"id": "n-4"})
    assert verify([lines[0], escaped]).decided == {b"n": (4, 4)}


def test_the_same_outcome_twice_is_a_flaw_also_where_a_chain_continues_another() -> None:
    assert flaws(continuing("a", outcome(1), outcome(1))) == [
        (3, "is an outcome without an allowed decision before it")
    ]


FOLDED = FoldedRecords(5, NOW, NOW, "n-1", "n-9", "d" * 64, {"tools/call no-rule": 3, "others": 2})


@pytest.mark.parametrize(
    "folded",
    [
        FOLDED,
        replace(FOLDED, kinds={}),
        FoldedRecords(1, NOW, NOW, "n-1", "n-1", "d" * 64, {"tools/call no-rule": 1}),
        FoldedRecords(7, NOW, NOW, "", "", "d" * 64, {"message-refused github": 7}),
    ],
)
def test_what_was_only_counted_comes_to_its_number(folded: FoldedRecords) -> None:
    for what in ("refusals-folded", "lists-folded"):
        assert verify(sealed([opened(), Noticed(NOW, what, folded=folded)])).intact


@each(
    "folded",
    [
        replace(FOLDED, count=4),
        replace(FOLDED, count=6),
        replace(FOLDED, count=1, kinds={"others": 1}),
        replace(FOLDED, count=0, kinds={}, last="n-1"),
        replace(FOLDED, kinds={"tools/call no-rule": 7, "others": -2}),
    ],
)
def test_a_count_that_does_not_fit_its_kinds_or_its_range_is_a_flaw(folded: FoldedRecords) -> None:
    lines = sealed([opened(), Noticed(NOW, "refusals-folded", folded=folded)])
    assert flaws(lines) == [(2, f"counts {folded.count} requests, which does not match its other numbers")]


def test_a_count_that_is_no_number_is_a_flaw() -> None:
    first, line = sealed([opened(), Noticed(NOW, "lists-folded", folded=FOLDED)])
    forged = resealed(line, folded={"count": "many"})
    assert flaws([first, forged]) == [(2, "is not a record: it was altered")]
