"""The enforcement matrix: each method in each era over each transport, how it is decided, inspected and
recorded, and the tests that prove it.

Law of this file: the cells come out of the tables in `protocol/methods.py`. A method, or a treatment, that
is added there and has no entry here or in `proofs.txt` is a KeyError, so a test fails before it can be
served.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from mcpguard.authoring.report.review import EnforcedCell
from mcpguard.core.tables import entries
from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM, Era, Method, Treatment

_CALL = "a decision before anything is sent, an outcome before the reply"
_EACH = "a decision and an outcome for each server that is asked"
_FOUND = "a notice where something was removed, made visible or withheld"
_NONE = "nothing: nothing is sent on"

RECORDED_OF_CLIENT: dict[Treatment, str] = {
    Treatment.LOCAL: "a decision and an outcome for each server that it starts or lists; else nothing",
    Treatment.DECIDED: _CALL,
    Treatment.FILTERED: _EACH,
    Treatment.OWNED: _EACH,
    Treatment.LISTENED: "a decision and an outcome for each URI",
    Treatment.RELEASED: _CALL,
    Treatment.PROTOCOL: _CALL,
    Treatment.ENDED: "the outcome `cancelled` of the request that it ends",
    Treatment.TOLD: "nothing: it has no content",
    Treatment.DROPPED: _NONE,
}
"""What is recorded of a message from the client."""

RECORDED_OF_UPSTREAM: dict[Treatment, str] = {
    Treatment.LOCAL: "nothing: it reaches nobody",
    Treatment.ASKED: "a decision before the client is asked, an outcome with its answer",
    Treatment.CORRELATED: _FOUND,
    Treatment.INSPECTED: _FOUND,
    Treatment.SUBSCRIBED: _FOUND,
    Treatment.RELISTED: "a decision and an outcome of the new list, a notice for each changed definition",
    Treatment.ENDED: "the outcome of the question that it ends",
    Treatment.DROPPED: _NONE,
}
"""What is recorded of a message from an upstream."""

_PROOFS = {
    sender: {method: tuple(tests.split()) for method, tests in methods.items()}
    for sender, methods in entries(__package__, "proofs.txt").items()
}
TESTS_OF_CLIENT, TESTS_OF_UPSTREAM = _PROOFS["from the client"], _PROOFS["from an upstream"]
"""The tests of each method that a client, or an upstream, may send."""

FRONTS = "wire/test_enforcement.py::test_each_method_of_a_client_is_treated_as_the_matrix_says"
"""Runs every method that a client may send over every transport in every era."""
BACK = "wire/test_enforcement.py::test_each_message_of_an_upstream_is_treated_as_the_matrix_says"
"""Has a legacy upstream over stdio send everything, to a client over every transport in every era."""
ACROSS = "wire/test_across.py"
"""The tests of each combination of a client and an upstream."""
_CROSSED = {
    "elicitation/create": "test_a_question_of_the_upstream_is_answered",
    "notifications/progress": "test_progress_carries_the_own_token_and_comes_before_the_result",
    "notifications/message": "test_log_messages_come_from_the_level_on_that_the_client_chose",
    "notifications/tools/list_changed": "test_a_list_that_changed_is_heard_of_and_is_new",
    "notifications/resources/updated": "test_a_resource_is_read_watched_and_heard_of",
}


def cells() -> tuple[EnforcedCell, ...]:
    """The matrix, in the order of the tables. Raises KeyError for a method without proof."""
    return (
        *(cell for row in FROM_CLIENT.values() for cell in _of_client(row)),
        *(cell for row in FROM_UPSTREAM.values() for cell in _of_upstream(row)),
    )


def _of_client(row: Method) -> Iterator[EnforcedCell]:
    said = {"direction": "from the client", "recorded": RECORDED_OF_CLIENT[row.treatment]}
    for place in _places(row):
        yield _cell(row, place, tests=(*TESTS_OF_CLIENT[row.name], FRONTS), **said)


def _of_upstream(row: Method) -> Iterator[EnforcedCell]:
    said = {"direction": "from an upstream", "recorded": RECORDED_OF_UPSTREAM[row.treatment]}
    crossed = (f"{ACROSS}::{_CROSSED[row.name]}",) if row.name in _CROSSED else ()
    for place in _places(row):
        tried = (BACK,) if place == (Era.LEGACY, "stdio") else ()
        yield _cell(row, place, tests=(*TESTS_OF_UPSTREAM[row.name], *crossed, *tried), **said)


def _places(row: Method) -> Iterator[tuple[Era, str]]:
    """The eras and transports in which a message is sent."""
    eras = (Era.LEGACY, Era.MODERN) if row.era is Era.BOTH else (row.era,)
    return product(eras, ("stdio", "http"))


def _cell(row: Method, place: tuple[Era, str], **said: object) -> EnforcedCell:
    era, transport = place
    decided = row.treatment.value + (f", {row.where}" if row.where else "")
    shown = {"method": row.name, "decided": decided, "inspected": row.inspected}
    return EnforcedCell.model_validate({**shown, "era": era.value, "transport": transport, **said})
