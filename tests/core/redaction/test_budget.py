"""The work that a value may make: so much for a small one, and more for a large one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import HITS, READ, WORK, Allowance, Budget, only
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import DECODED
from tests.core.redaction.hostile import TOKEN
from tests.rows import each

SIZE = 100_000


@pytest.mark.parametrize("size", [1_000, 1_000_000])
@pytest.mark.parametrize(
    ("allowance", "spend", "what"),
    [
        (READ, Budget.read, "bytes of disguised or packed text"),
        (HITS, Budget.hit, "hits"),
    ],
)
def test_what_is_allowed_can_be_spent_and_no_more(
    allowance: Allowance, spend: Callable[[Budget, int], None], what: str, size: int
) -> None:
    budget, whole = Budget(size), max(allowance[0], int(size * allowance[1]))
    spend(budget, whole - 1)
    spend(budget, 1)
    with pytest.raises(InspectionError, match=f"^more than {whole:,} {what} in {size:,} bytes$"):
        spend(budget, 1)


@pytest.mark.parametrize(
    ("spend", "what"),
    [
        (Budget.trigger, "beginnings of secrets"),
        (Budget.piece, "pieces of disguised text"),
        (Budget.view, "disguises"),
    ],
)
def test_all_that_takes_time_is_work(spend: Callable[[Budget, int], None], what: str) -> None:
    budget = Budget(SIZE)
    whole = WORK[0]
    budget.trigger(whole // 2)
    budget.piece(whole - whole // 2)
    with pytest.raises(InspectionError, match=f"^too much work in {SIZE:,} bytes: {what}$"):
        spend(budget, 1)


def test_the_first_hits_of_a_value_do_not_count_as_work() -> None:
    budget = Budget(1_000_000)
    before = budget.work
    budget.hit(HITS[0])
    assert budget.work == before
    budget.hit()
    assert budget.work < before
    budget.trigger(budget.work)
    with pytest.raises(InspectionError, match=r"^too much work in 1,000,000 bytes: hits$"):
        budget.hit()


def test_less_may_be_unpacked_where_all_wait() -> None:
    with pytest.raises(InspectionError, match="bytes of disguised or packed text"):
        Budget(SIZE, 0.3).read(READ[0] + int(SIZE * READ[1]))


def test_what_is_unpacked_may_be_looked_through_too() -> None:
    budget = Budget(SIZE)
    before = budget.work
    budget.unpack(SIZE)
    assert before < budget.work < before + SIZE


def test_a_value_has_one_budget() -> None:
    budgets: list[Budget] = []
    assert only(budgets, SIZE) is only(budgets, SIZE)


def test_looking_and_removing_draw_on_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = Budget.__init__

    def noted(self: Budget, size: int, patience: float = 1) -> None:
        made.append(size)
        make(self, size, patience)

    monkeypatch.setattr(Budget, "__init__", noted)
    redactor = Redactor(b"key")
    assert redactor.inspect({"text": f"a {TOKEN} {ENCODED}", "name1": "b"}).findings
    assert len([size for size in made if size > 60]) == 1


ROWS = 5_000


@pytest.mark.uncounted
@each(
    "row",
    [
        lambda number: {"user": f"u{number}", "password": "********"},
        lambda number: {"name": f"S{number % 9}", "value": "********"},
        lambda number: {"token": f"word{number % 100}", "secret": ""},
        lambda number: {"id": f"key_{number:05}"},
        lambda number: {"id": f"sk-{number}"},
        lambda number: {"id": f"item-{number:08}", "n": number},
        lambda number: f"http://localhost:{8000 + number % 1000}/a",
        lambda number: f"INSERT INTO t VALUES ({number},'a');",
        lambda number: f"insert into t (a, b) values ({number}, 'a');",
        lambda number: f"create table t{number} (a text);",
        lambda number: f"{number},token,next_page,2026-11-01\n",
    ],
)
def test_rows_of_an_ordinary_table_are_within_it(row: Callable[[int], Any]) -> None:
    rows = [row(number) for number in range(ROWS)]
    assert Redactor(b"key").inspect(rows).value is rows


ENCODED = b64encode(f"token {TOKEN}".encode()).decode()


@pytest.mark.uncounted
@pytest.mark.parametrize("encoded", [f"{ENCODED}\n", f"{TOKEN.encode().hex()} "])
def test_what_is_found_in_what_was_decoded_counts_as_several_hits(encoded: str) -> None:
    most = HITS[0] // DECODED
    with pytest.raises(InspectionError, match=r"^more than [0-9,]+ hits in"):
        Redactor(b"key").inspect({"text": encoded * (2 * most)})
    assert TOKEN not in str(Redactor(b"key").inspect({"text": f"{TOKEN} " * (2 * most)}).value)


@pytest.mark.uncounted
def test_a_list_of_objects_each_of_which_has_an_encoded_token_is_within_it() -> None:
    about = {"created": "2026-11-30T08:15:00Z", "owner": "a team of people", "note": "words " * 24}
    rows = [{"name": f"object {number}", "data": ENCODED, **about} for number in range(ROWS)]
    made = Redactor(b"key").inspect(rows).value
    assert isinstance(made, list)
    assert all(ENCODED not in row["data"] and row["note"] == about["note"] for row in made)


def test_each_of_many_encoded_tokens_is_found_though_they_are_more_than_one_view() -> None:
    filling = b64encode(b"words that say nothing at all " * 40).decode()
    text = "".join(f"{number} {filling}\n{ENCODED}\n" for number in range(80))
    made = Redactor(b"key").inspect({"text": text})
    assert made.value["text"].count("[REDACTED:github-token#1]") == 80
    assert made.value["text"].count(filling) == 80
