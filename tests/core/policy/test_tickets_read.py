"""What of a ticket that was read is believed: the answer, and nothing that is known without it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.policy.tickets import AnswerTerms, Ticket, TicketAnswer, as_asked, objection
from tests.adapters.store.test_store import TICKET
from tests.rows import each

ADA = TicketAnswer("approved", "os-user:ada", "terminal")


LASTING = TicketAnswer("approved", "os-user:ada", "terminal", lasts="time", until=1.0, free=("n",))


def lasting(call: Ticket, **members: Any) -> Ticket:
    """An approval of another call, which covers `call`."""
    parts = {**call.parts, "n": "other"}
    known = structs.replace(call, id="known", args="other", parts=parts, answer=LASTING, state="approved")
    return structs.replace(known, **members)


CALL = structs.replace(TICKET, parts={"n": "a", "path": "b"}, shown='{"n":1,"path":"/x"}')


def test_of_a_ticket_that_was_read_only_the_answer_is_believed() -> None:
    read = structs.replace(
        CALL,
        id="known",
        state="approved",
        answer=ADA,
        uses=1,
        message="no",
        shown="{}",
        terms=AnswerTerms(via=()),
    )
    assert as_asked(read, CALL, CALL.created) == structs.replace(
        CALL, id="known", state="approved", answer=ADA, uses=1
    )


@pytest.mark.parametrize("forged", [{"rules": ("p/other",)}, {"args": "b"}, {"session": "s2"}])
def test_a_ticket_about_another_call_is_none(forged: dict[str, Any]) -> None:
    assert as_asked(structs.replace(CALL, **forged), CALL, CALL.created) is None


def test_a_ticket_lasts_no_longer_than_it_may() -> None:
    length, now = CALL.expires - CALL.created, CALL.created + 60
    for created, expires, ends in (
        (CALL.created, CALL.expires, CALL.expires),
        (CALL.created, CALL.expires + 9e9, CALL.expires),
        (now + 9e9, now + 9e9 + length, now + length),
    ):
        found = as_asked(structs.replace(CALL, created=created, expires=expires), CALL, now)
        assert found is not None
        assert (found.created, found.expires) == (created, ends)


def test_of_an_approval_that_covers_a_call_the_arguments_stay_that_were_shown() -> None:
    known = lasting(CALL, shown='{"n":2,"path":"/x"}', message="no", terms=AnswerTerms(via=()))
    found = as_asked(known, CALL, CALL.created)
    assert found == structs.replace(known, message=CALL.message, terms=CALL.terms)


@each("shown", ['{"n":2,"path":"/y"}', '{"n":2}', '{"n":2,"path":"/x","m":1}', "[]", "{", "[" * 90_000])
def test_an_approval_that_showed_another_value_of_what_is_not_free_is_about_what_it_should_show(
    shown: str,
) -> None:
    found = as_asked(lasting(CALL, shown=shown), CALL, CALL.created)
    assert found is not None
    assert (found.args, found.shown) == (CALL.args, CALL.shown)


def test_the_number_of_a_redaction_says_nothing_of_a_value() -> None:
    call = structs.replace(CALL, shown='{"n":"[REDACTED:aws#1]","path":"[REDACTED:aws#2]"}')
    shown = '{"n":"x","path":"[REDACTED:aws#1]"}'
    found = as_asked(lasting(call, shown=shown), call, call.created)
    assert found is not None
    assert found.shown == shown


def test_an_approval_lasts_no_longer_than_it_may_whatever_it_says() -> None:
    answer = structs.replace(LASTING, until=TICKET.expires + 9 * 3600, free=())
    assert objection(TICKET, answer) == "it lasts longer than an approval may"
