"""A change that could not be stored takes its own notice back, and no other."""

from datetime import UTC, datetime, timedelta

from mcpguard.core.evidence.changes import ANSWER_VOID, VOID, made, void_of
from mcpguard.core.evidence.records import Noticed

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def noticed(seconds: int, what: str, detail: str) -> Noticed:
    return Noticed(T + timedelta(seconds=seconds), what, detail=detail)


def test_of_alike_changes_the_last_one_before_was_not_made() -> None:
    first, second, third = (noticed(at, "limit-cleared", "p/few of session s") for at in (1, 2, 4))
    other = noticed(2, "session-ended", "p/few of session s")
    void = noticed(3, VOID, void_of("limit-cleared", "p/few of session s", "it is locked"))
    assert made([void, third, second, other, first]) == [first, other, third]


def test_an_answer_that_somebody_else_was_quicker_than_was_not_given() -> None:
    given, late = (
        noticed(at, "approval-given", f"ticket t of a by {who}") for at, who in ((1, "b"), (2, "c"))
    )
    void = noticed(3, ANSWER_VOID, void_of(late.what, late.detail, "the ticket t was approved by b"))
    assert made([void, late, given]) == [given]


def test_a_void_without_its_change_takes_nothing_back() -> None:
    kept = noticed(1, "limit-cleared", "p/few of session s")
    for detail in ("limit-cleared: p/f: x", "label-cleared: p/few of session s: x", ""):
        assert made([kept, noticed(2, VOID, detail)]) == [kept]
    assert made([noticed(0, VOID, void_of(kept.what, kept.detail, "x")), kept]) == [kept]
