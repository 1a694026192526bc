"""How much evidence a session may make, and what refusals beyond that become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from mcpguard.core.evidence.bounds import (
    MINUTES,
    MOST_KINDS,
    Allowance,
    BoundTerms,
    EvidenceRoom,
    RefusalFolding,
    folds,
)
from mcpguard.core.evidence.records import Decided, Noticed, Outcome, Record
from tests.rows import each

NOW = datetime(2026, 8, 1, 9, 0, tzinfo=UTC)


def denied(n: int, **more: object) -> Decided:
    about = {"server": "notes", "tool": "read", "cause": "rule", "rules": ("p/no",), "args": "aa", **more}
    at = NOW + timedelta(seconds=n)
    return Decided(at, f"n-{n}", "os-user:ada", "tools/call", "deny", session="s", **about)


def test_an_allowance_is_used_up_and_comes_back_with_time() -> None:
    one = Allowance(60)
    assert [one.take(1, 0.0) for _ in range(60 * MINUTES + 1)] == [True] * 60 * MINUTES + [False]
    assert [one.take(1, 0.5), one.take(1, 1.5), one.take(1, 1.5)] == [False, True, False]


def test_what_is_not_used_adds_up_for_some_minutes_and_no_longer() -> None:
    one = Allowance(60)
    assert one.take(60 * MINUTES, 0.0)
    assert not one.take(60 * MINUTES + 1, 1e6)
    assert one.take(60 * MINUTES, 1e6)


def test_an_allowance_of_nothing_has_no_end() -> None:
    one = Allowance(0)
    assert all(one.take(1e9, 0.0) for _ in range(3))


def test_refused_requests_do_not_use_up_the_room_of_allowed_ones() -> None:
    short: list[int] = []
    room = EvidenceRoom(BoundTerms(arguments=1000), lambda: short.append(1))
    assert room.take(1000 * MINUTES, False, 0.0)
    assert not room.take(1, False, 0.0)
    assert room.take(1000 * MINUTES, True, 0.0)
    assert short == []
    assert not room.take(1, True, 0.0)
    assert short == [1]


def test_each_server_has_room_of_its_own_for_what_no_rule_decides_about() -> None:
    left_out: list[int] = []
    room = EvidenceRoom(BoundTerms(refusals=1), unasked=lambda: left_out.append(1))
    assert [room.asks("a", 0.0) for _ in range(MINUTES + 2)] == [True] * MINUTES + [False] * 2
    assert (left_out, room.asks("b", 0.0), room.asks("a", 60.0)) == ([1, 1], True, True)


def test_what_stands_for_refusals_counts_each_and_has_a_digest_of_all() -> None:
    folding = RefusalFolding()
    other = denied(2, rules=(), cause="unknown", server="", tool="made-up", args="")
    for one in (denied(1), other, denied(3)):
        folding.add(one)
    folding.add(Noticed(NOW + timedelta(seconds=4), "message-refused", session="s"))
    found = folding.folded()
    assert (found.count, found.first, found.last) == (4, "n-1", "")
    assert (found.since, found.until) == (NOW + timedelta(seconds=1), NOW + timedelta(seconds=4))
    assert found.digest == sha256(b"n-1 aa\nn-2 \nn-3 aa\n \n").hexdigest()
    assert found.kinds == {
        "tools/call notes read p/no": 2,
        "tools/call unknown": 1,
        "message-refused": 1,
    }


def test_beyond_some_kinds_of_refusals_the_others_are_counted_together() -> None:
    folding = RefusalFolding()
    for n in range(MOST_KINDS + 5):
        folding.add(denied(n, tool=f"t{n}"))
    folding.add(denied(99, tool="t0"))
    kinds = folding.folded().kinds
    assert (len(kinds), kinds["others"], kinds["tools/call notes t0 p/no"]) == (MOST_KINDS + 1, 5, 2)


@each(
    ("record", "expected"),
    [
        (denied(1), True),
        (Decided(NOW, "n", "p", "tools/call", "ask"), True),
        (Decided(NOW, "n", "p", "tools/call", "allow"), False),
        (Outcome(NOW, "n", "ok", 1.0), False),
        (Noticed(NOW, "message-refused"), True),
        (Noticed(NOW, "pin-changed"), False),
    ],
)
def test_only_what_has_no_effect_and_can_be_repeated_at_will_is_counted(
    record: Record, expected: bool
) -> None:
    assert folds(record) is expected
