"""Which times a condition on the time of a call is true for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.adapters.audit.indexing import microseconds
from mcpguard.authoring.asking.names import VOCABULARY
from mcpguard.authoring.asking.times import ZONED_SINCE, as_term, both, overlap, true_spans
from mcpguard.core.conditions.cel import FALSE, TRUE, Bound, ConditionError
from mcpguard.core.conditions.cel_python import PythonEngine
from mcpguard.core.conditions.engines import engine_for
from tests.authoring.asking.asked_conditions import MOMENTS, TIMED

ENGINES = [engine_for(VOCABULARY), PythonEngine(VOCABULARY)]
DAY = 86_400 * 10**6
ZERO = microseconds(datetime(2026, 8, 1, tzinfo=UTC))
EDGES = [microseconds(datetime.fromisoformat(text)) for text in MOMENTS]
AT = st.sampled_from(EDGES).flatmap(lambda at: st.integers(at - 2, at + 2)) | st.integers(
    ZERO - DAY, ZERO + 40 * DAY
)


def at(moment: int) -> Bound:
    return Bound({"at": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)})


@given(text=TIMED, moments=st.lists(AT, min_size=1, max_size=9), apart=st.sampled_from([1, 10**6, 4 * DAY]))
def test_a_condition_is_true_in_its_times_and_at_no_other(text: str, moments: list[int], apart: int) -> None:
    covered: list[tuple[int, int]] = []
    for moment in sorted({moment - moment % apart for moment in moments}):
        covered.append((moment, moment + apart))
    for engine in ENGINES:
        try:
            condition = engine.compile(text)
        except ConditionError:
            return
        if condition.reads != {"at"}:
            return
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("mcpguard.authoring.asking.times._MOST", 200)
            spans, term = true_spans(text, condition, covered), as_term(text, condition)
        for moment in moments:
            verdict = condition.verdict(at(moment))
            if spans is not None:
                assert overlap(spans, moment, moment) is (verdict is TRUE)
            if term:
                with closing(sqlite3.connect(":memory:")) as database:
                    found = database.execute(f"SELECT {term} FROM (SELECT ? AS at)", (moment,)).fetchone()
                assert found == (verdict is TRUE,)
            assert verdict is TRUE or verdict is FALSE or (spans is None and not term)


HOURS = ZERO, ZERO + DAY


def hours(text: str, *covered: tuple[int, int]) -> list[tuple[float, float]] | None:
    """The times in which it is true, in hours since ZERO."""
    found = true_spans(text, ENGINES[0].compile(text), covered or [HOURS])
    return found and [((one - ZERO) / 3.6e9, (other - ZERO) / 3.6e9) for one, other in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at.getHours() == 5", [(5, 6)]),
        ("at.getHours() < 5 || 23 <= at.getHours()", [(0, 5), (23, 24)]),
        ('at.getHours("Asia/Kathmandu") == 0', [(18.25, 19.25)]),
        ('at.getHours("-00:30") == 3', [(3.5, 4.5)]),
        ("at.getDayOfWeek() in [0, 6]", [(0, 24)]),
        ("at.getDayOfWeek() == 3", []),
        ('at >= timestamp("2026-08-01T07:00:00+01:00") && timestamp("2026-08-01T08:00:00Z") > at', [(6, 8)]),
        ("at.getFullYear() == 2026 && at.getMonth() == 7 && at.getDate() == 1", [(0, 24)]),
        ('at.getHours("00:07") == 5', None),
        ('at.getHours("Nowhere/There") == 5', None),
        ("at.getMilliseconds() == 5", None),
        ("at.getSeconds() == 5", None),
        ("at + duration('1h') > at", None),
        ('at > timestamp("2026")', None),
        ("[at] == [at]", None),
    ],
)
def test_times_are_those_between_edges(text: str, found: list[tuple[float, float]] | None) -> None:
    assert hours(text) == found


def test_nothing_is_said_of_what_the_parser_cannot_read() -> None:
    condition = ENGINES[0].compile("at.getHours() == 5")
    for text in ("!" * 3000 + "(at.getHours() == 5)", "at at"):
        assert true_spans(text, condition, [HOURS]) is None
        assert as_term(text, condition) == ""


def test_between_calls_it_may_be_anything() -> None:
    apart = (ZERO, ZERO + 10**9), (ZERO + DAY // 2, ZERO + DAY // 2 + 10**9)
    assert hours("at.getHours() in [0, 12]", *apart) == [(0, 12 + 10 / 36)]
    assert hours("at.getHours() == 12", *apart) == [(12, 12 + 10 / 36)]


def test_what_has_too_many_edges_is_a_term_if_it_comes_again() -> None:
    def term(text: str) -> str:
        return as_term(text, ENGINES[0].compile(text))

    assert "% 3600000000 / 60000000 + 1" in term("at.getMinutes() == 7")
    assert "% 604800000000 / 3600000000 + 1" in term("at.getHours() == 7 && at.getDayOfWeek() == 0")
    assert term("at.getMilliseconds() == 7").count("'" + "00" * 7 + "01" + "00" * 992 + "'") == 1
    for text in (
        "at.getFullYear() == 2026",
        'at.getMinutes("Europe/Berlin") == 7',
        'at.getMinutes() == 7 || at == timestamp("2026-08-01T07:00:00Z")',
        "at.getMilliseconds() == 7 && at.getHours() == 7",
        "at.getMinutes() == at.getMinutes() / 0",
    ):
        assert term(text) == "", text


def test_clocks_of_all_zones_are_set_at_quarters_of_an_hour() -> None:
    begin, end, quarter = ZONED_SINCE // 10**6, ZONED_SINCE // 10**6 + 8 * 366 * 86_400, 900
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)

        def offset(second: int, zone: ZoneInfo = zone) -> float:
            found = datetime.fromtimestamp(second, zone).utcoffset()
            assert found is not None
            return found.total_seconds()

        before, was = begin, offset(begin)
        for day in range(begin, end, 7 * 86_400):
            now = offset(day)
            assert now % quarter == 0, name
            while now != was and day - before > 1:
                middle = (before + day) // 2
                before, day = (middle, day) if offset(middle) == was else (before, middle)  # noqa: PLW2901
            assert now == was or day % quarter == 0, (name, day)
            before, was = day, now


def test_calls_before_that_are_looked_at_one_by_one() -> None:
    text = 'at.getHours("Europe/Berlin") == 7'
    condition = ENGINES[0].compile(text)
    assert true_spans(text, condition, [(ZONED_SINCE - 1, ZONED_SINCE)]) is None
    assert true_spans(text, condition, [(ZONED_SINCE, ZONED_SINCE + 1)]) == []


@given(*[st.lists(st.integers(0, 40), max_size=8, unique=True).map(sorted)] * 2)
def test_what_is_in_both_is_in_each(one: list[int], other: list[int]) -> None:
    some, others = (list(zip(each[::2], each[1::2], strict=False)) for each in (one, other))
    found = both(some, others)
    for moment in range(41):
        assert overlap(found, moment, moment) is (
            overlap(some, moment, moment) and overlap(others, moment, moment)
        )
    assert found == sorted(found)
