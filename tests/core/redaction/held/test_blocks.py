"""Values that have much in common are found as each of them alone is, and looked at once."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from hashlib import sha256, sha512

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD, Matcher, PlainMatcher, compile_literals
from mcpguard.core.redaction.held.chains import Shards
from mcpguard.core.redaction.held.reduced import ReducedText
from mcpguard.core.redaction.held.search import HeldSet, held, mark_of
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.core.redaction.hostile import ALIKE, COMMON

MANY = 40


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(number: int) -> str:
    """A JWT of one issuer."""
    head = {"alg": "RS256", "typ": "JWT", "kid": "2026-key-main-0001"}
    subject = sha256(b"%d" % number).hexdigest()[:20]
    body = {"iss": "https://login.example.com/tenant/7f", "aud": "api://service", "sub": subject}
    parts = [json.dumps(head).encode(), json.dumps(body).encode(), sha512(b"%d" % number).digest()]
    return ".".join(map(encoded, parts))


def set_of(*values: str) -> HeldSet:
    secrets = [Secret(value) for value in values]
    made = [held(f"s{i}", f"credential:s{i}", one, mark_of(one, b"key")) for i, one in enumerate(secrets)]
    return HeldSet(made, PlainMatcher)


def removed(searched: HeldSet, text: bytes) -> set[int]:
    reduced = ReducedText(text + PAD, False)
    spans = searched.spans(reduced, Budget(1_000_000))
    assert searched.found(reduced) == bool(spans)
    places = {place for span in spans for place in range(span.start, span.end)}
    return {place for place in places if chr(text[place]).isalnum()}


class CountedHits(Budget):
    """A budget that tells how many hits there were."""

    hits = 0

    def hit(self, count: int = 1) -> None:
        self.hits += count


def family(source: random.Random) -> list[str]:
    """Values that begin, end or go on as others do."""
    letters = "aB3kQ9xZ7mT2pL5wvN4cR8yH6dJ1fS0g"
    some = ["".join(source.choices(letters, k=source.choice((4, 9, 14, 40)))) for _ in range(4)]
    return list(dict.fromkeys("".join(source.choices(some, k=3)) for _ in range(12)))


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.uncounted) for n in range(1, 30))])
def test_of_values_that_are_alike_as_much_is_removed_as_of_each_alone(seed: int) -> None:
    source = random.Random(seed)
    values = [value for value in family(source) if len(value) >= 12]
    together, alone = set_of(*values), [set_of(value) for value in values]
    for _ in range(6):
        pieces = []
        for _ in range(4):
            value = source.choice(values)
            at, size = source.randrange(len(value)), source.choice((13, 20, 30, 90))
            pieces.append(value[at : at + size])
        text = source.choice((" ", "-x-", ",\n")).join(pieces).encode()
        assert removed(together, text) >= set().union(*[removed(one, text) for one in alone])


@pytest.mark.parametrize(("size", "between"), [(7, " and "), (9, '", "part": "'), (3, "\n1 "), (2, "\n12 ")])
def test_one_of_many_that_are_alike_is_found_in_pieces_as_it_is_alone(size: int, between: str) -> None:
    values = [token(number) for number in range(MANY)]
    together = set_of(*values)
    for number in (3, 17):
        pieces = [values[number][at : at + size] for at in range(0, len(values[number]), size)]
        text = between.join(pieces).encode()
        found = removed(set_of(values[number]), text)
        assert found
        assert removed(together, text) >= found


@pytest.mark.uncounted
def test_four_characters_that_many_have_prove_nothing_and_cost_little() -> None:
    together, one = set_of(*[token(number) for number in range(MANY)]), token(3).split(".")[1]
    for at in range(24, len(one) - 4):
        text = f"it is <{one[at : at + 4]}> and no more".encode() + PAD
        assert together.spans(ReducedText(text, False), Budget(len(text))) == []


def test_other_tokens_of_an_issuer_are_looked_at_once_for_all_that_are_held() -> None:
    text = "\n".join(token(1_000 + number) for number in range(20)).encode()
    counts = []
    for values in ([token(0)], [token(number) for number in range(MANY)]):
        budget = Budget(1_000_000)
        before = budget.work
        set_of(*values).spans(ReducedText(text + PAD, False), budget)
        counts.append(before - budget.work)
    assert counts[1] < 4 * counts[0]
    assert counts[1] < len(text) / 4  # An answer of this length may have half as many.


@pytest.mark.parametrize("made", [PlainMatcher, compile_literals])
def test_each_place_of_a_piece_is_one_hit_before_it_is_compiled_too(made: Callable[..., Matcher]) -> None:
    secrets = [Secret(token(number)) for number in range(6)]
    values = [held(f"s{i}", f"credential:s{i}", one, mark_of(one, b"key")) for i, one in enumerate(secrets)]
    text = "; ".join(token(number % 6)[-40:-8] for number in range(60)).encode() + PAD
    for some in (values[:1], values):
        budget = CountedHits(len(text))
        spans = HeldSet(some, made).spans(ReducedText(text, False), budget)
        assert len(spans) == 10 * len(some) == budget.hits


def test_a_token_may_go_where_it_is_bound_whatever_others_have_in_common_with_it() -> None:
    made = Redactor(b"key")
    for number in range(MANY):
        made.hold(f"t{number}", Secret(token(number)))
    made.settle()
    assert made.foreign({"token": token(3)}, frozenset(["t3"])) == ()
    assert "t3" in made.foreign({"token": token(3)}, frozenset(["t4"]))
    assert "t5" in made.foreign({"token": token(3) + " " + token(5)}, frozenset(["t3"]))
    in_common = token(3).split(".")[1][24:80]
    assert len(made.foreign({"part": in_common}, frozenset(["other"]))) == MANY
    assert made.foreign({"part": in_common}, frozenset(["t9"])) == ()


def test_a_token_that_came_later_may_go_where_it_is_bound() -> None:
    made = Redactor(b"key")
    for number in range(MANY):
        made.hold(f"t{number}", Secret(token(number)))
    made.settle()
    made.hold("late", Secret(token(MANY)))
    assert made.foreign({"token": token(MANY)}, frozenset(["late"])) == ()
    made.settle()
    assert made.foreign({"token": token(3)}, frozenset(["t3"])) == ()


def test_what_many_values_have_in_common_is_looked_at_a_few_times_for_each_kilobyte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, looks, runs = Redactor(b"key"), [0], Shards.runs
    made.hold_all([(f"env:{index}", Secret(value)) for index, value in enumerate(ALIKE)])

    def noted(self: Shards, skeleton: bytes, end: int, at: int) -> list[tuple[int, int]]:
        looks[0] += 1
        return runs(self, skeleton, end, at)

    monkeypatch.setattr(Shards, "runs", noted)
    text = f"{COMMON} " * 10_000
    with pytest.raises(InspectionError, match="too much work"):
        made.inspect({"text": text})
    assert looks[0] < 4_000 + len(text) // 20


def test_a_list_of_values_that_begin_alike_is_not_withheld_where_they_are_masked() -> None:
    made = Redactor(b"key")
    made.hold_all([(f"env:{index}", Secret(value)) for index, value in enumerate(ALIKE)])
    rows = [{"id": index, "token": f"{COMMON}****"} for index in range(30)]
    assert made.inspect({"content": rows}).value == {"content": rows}
