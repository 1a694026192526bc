"""A day of a developer whose four clients were moved in: ordinary calls pass or are asked about once a session, harmful ones do not pass.

`pytest tests/day -rP` prints the table.
"""

from __future__ import annotations

from collections import Counter

import pytest

from scripts import first_day
from tests.day.machine import CLIENTS, TOKEN
from tests.day.story import Day, Seen, day, summary

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]  # All of it is one fixture.


@pytest.fixture(scope="module")
def played_day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The whole day, once."""
    return day(tmp_path_factory.mktemp("day"))


@pytest.fixture(scope="module")
def seen(played_day: Day) -> list[Seen]:
    """What became of its calls."""
    return played_day.seen


def test_ordinary_calls_pass_or_are_asked_about_once_a_session(seen: list[Seen]) -> None:
    print(summary(seen))
    ordinary = [one for one in seen if not one.call.harmful]
    stopped = [one for one in ordinary if one.outcome == "refused"]
    asked = Counter(
        (one.call.client, one.call.server, one.call.tool, one.rules)
        for one in ordinary
        if one.outcome == "asked"
    )
    again = sum(times - 1 for times in asked.values())
    assert len(ordinary) >= 60
    assert len(stopped) + again <= 0.05 * len(ordinary), stopped


def test_no_harmful_call_passes(seen: list[Seen]) -> None:
    harmful = [one for one in seen if one.call.harmful]
    assert len(harmful) >= 20
    assert [one for one in harmful if one.outcome not in ("asked", "refused")] == []


def test_every_call_ends_as_is_written_down(seen: list[Seen]) -> None:
    assert [one for one in seen if one.outcome != one.call.expected] == []


def test_every_refusal_says_what_would_pass_or_who_can_allow_it(seen: list[Seen]) -> None:
    """Of a tool that a client cannot see nothing is said."""
    refused = [
        one.text for one in seen if one.outcome == "refused" and not one.text.startswith("Unknown tool")
    ]
    assert refused
    assert [text for text in refused if "no rule allows" in text or "could not be evaluated" in text] == []
    assert [text for text in refused if len(text.partition(": ")[2].partition(" [invocation")[0]) < 20] == []


def test_the_guide_of_the_first_day_is_what_happened(played_day: Day) -> None:
    page = first_day.PAGE.read_text("utf-8")
    assert first_day.written(page, played_day) == page, "run scripts/first_day.py"


def test_everything_is_as_it_was_after_the_day(played_day: Day) -> None:
    assert not played_day.config.exists()
    assert played_day.machine.as_furnished() == list(CLIENTS)
    assert TOKEN not in played_day.imported
    assert played_day.said["check"].endswith("all fine\n")
