"""The enforcement matrix: each method in each era over each transport, how it is decided, inspected and
recorded, and the tests that prove it.

Law of this file: the cells come out of the tables in `protocol/methods.py`. A method, or a treatment, that
is added there and has no entry here is a KeyError, so a test fails before it can be served.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import product

from mcpguard.authoring.report.review import EnforcedCell
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

_G = "gateway/"
_DENIED = f"{_G}test_eras.py::test_without_a_rule_no_decided_method_reaches_an_upstream"
_HELLO = f"{_G}test_welcome.py::test_the_instructions_of_an_eager_server_reach_the_client_after_a_record"
_LISTED = f"{_G}lists/test_lists.py::test_a_list_shows_only_what_policy_lets_the_principal_reach"
_QUIET = f"{_G}test_eras.py::test_a_notification_is_no_request_and_a_request_no_notification"
_TASK = f"{_G}test_tasks.py::test_a_task_is_reached_at_its_server_only_decided_and_recorded"
_SECRET = f"{_G}lists/test_notices.py::test_a_secret_in_any_notification_is_gone"
_ASKED = f"{_G}questions/test_questions.py::test_a_question_that_policy_denies_never_reaches_the_client"
_CHANGED = f"{_G}lists/test_lists.py::test_a_change_of_each_kind_is_fetched_and_then_told"
_RELAYED = f"{_G}lists/test_notices.py::test_what_is_answered_elsewhere_or_unknown_is_not_passed_on"

TESTS_OF_CLIENT: dict[str, tuple[str, ...]] = {
    "initialize": (_HELLO,),
    "server/discover": (f"{_G}test_eras.py::test_to_discover_is_not_to_choose_an_era",),
    "ping": (f"{_G}test_gateway.py::test_ping_is_answered_at_any_time",),
    "tools/list": (
        _LISTED,
        f"{_G}test_gateway.py::test_a_server_is_listed_only_after_a_record_since_that_may_start_it_with_its_credential",
    ),
    "prompts/list": (_LISTED,),
    "resources/list": (_LISTED,),
    "resources/templates/list": (_LISTED,),
    "tools/call": (
        _DENIED,
        f"{_G}test_gateway.py::test_an_allowed_call_is_recorded_before_it_is_sent_and_again_before_the_reply",
    ),
    "prompts/get": (
        _DENIED,
        f"{_G}test_prompts.py::test_an_allowed_prompt_is_recorded_sent_inspected_and_answered",
    ),
    "resources/read": (
        _DENIED,
        f"{_G}test_resources.py::test_an_allowed_read_is_recorded_sent_inspected_and_answered",
    ),
    "completion/complete": (_DENIED, f"{_G}test_prompts.py::test_a_completion_is_decided_sent_and_answered"),
    "resources/subscribe": (
        _DENIED,
        f"{_G}lists/test_subscriptions.py::test_a_legacy_subscription_that_is_denied_or_refused_hears_nothing",
    ),
    "resources/unsubscribe": (
        f"{_G}lists/test_subscriptions.py::test_a_legacy_client_subscribes_hears_and_unsubscribes",
    ),
    "subscriptions/listen": (
        f"{_G}lists/test_subscriptions.py::test_a_resource_that_policy_denies_is_not_acknowledged_nor_subscribed",
    ),
    "tasks/get": (_DENIED, _TASK),
    "tasks/result": (
        _DENIED,
        f"{_G}test_tasks.py::test_the_result_of_a_task_is_inspected_with_what_the_call_was_allowed_under",
    ),
    "tasks/update": (_DENIED, f"{_G}test_tasks.py::test_a_modern_task_is_reached_and_kept_in_its_form"),
    "tasks/cancel": (_DENIED, _TASK),
    "tasks/list": (f"{_G}test_tasks.py::test_the_list_needs_no_rule_and_is_recorded",),
    "logging/setLevel": (f"{_G}test_gateway.py::test_a_log_level_goes_to_every_server_and_starts_none",),
    "notifications/initialized": (_QUIET,),
    "notifications/cancelled": (
        f"{_G}lists/test_notices.py::test_of_a_cancellation_nothing_goes_on_but_what_it_ends",
    ),
    "notifications/progress": (_QUIET,),
    "notifications/roots/list_changed": (_QUIET,),
}
"""The tests of each method that a client may send."""

TESTS_OF_UPSTREAM: dict[str, tuple[str, ...]] = {
    "ping": ("attack/test_hostile_upstream.py::test_a_ping_of_an_upstream_is_answered", _RELAYED),
    "sampling/createMessage": (_ASKED,),
    "elicitation/create": (
        _ASKED,
        f"{_G}questions/test_round_trips.py::test_a_question_that_policy_denies_is_answered_with_a_refusal_and_the_call_goes_on",
    ),
    "roots/list": (_ASKED,),
    "notifications/progress": (
        _SECRET,
        f"{_G}lists/test_notices.py::test_progress_of_a_request_goes_with_it_and_without_a_token_nowhere",
    ),
    "notifications/message": (
        _SECRET,
        f"{_G}lists/test_notices.py::test_a_notification_that_cannot_be_inspected_is_withheld_with_its_server_named",
    ),
    "notifications/tools/list_changed": (_SECRET, _CHANGED),
    "notifications/prompts/list_changed": (_SECRET, _CHANGED),
    "notifications/resources/list_changed": (_SECRET, _CHANGED),
    "notifications/resources/updated": (
        _SECRET,
        f"{_G}lists/test_subscriptions.py::test_an_update_of_something_else_or_of_another_server_goes_nowhere",
    ),
    "notifications/tasks/status": (
        _SECRET,
        f"{_G}test_tasks.py::test_a_status_is_inspected_and_passed_on_from_the_tasks_own_server_only",
    ),
    "notifications/tasks": (
        _SECRET,
        f"{_G}test_tasks.py::test_a_modern_client_is_not_told_of_its_tasks_and_the_acknowledgment_says_so",
    ),
    "notifications/elicitation/complete": (
        _SECRET,
        f"{_G}lists/test_notices.py::test_only_the_server_that_asked_for_a_visit_can_say_that_it_is_over",
    ),
    "notifications/cancelled": (
        _SECRET,
        f"{_G}questions/test_questions.py::test_a_question_that_the_upstream_withdraws_is_withdrawn_from_the_client_and_not_answered",
    ),
}
"""The tests of each method that an upstream may send."""

TRANSPORTS = ("stdio", "http")
_Way = tuple[str, str]
"""An era and a transport."""
_EVERYWHERE: tuple[_Way, ...] = tuple(product(("legacy", "modern"), TRANSPORTS))
_ONE: tuple[_Way, ...] = (("legacy", "stdio"),)
_ERAS = (("legacy", Era.LEGACY), ("modern", Era.MODERN))

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
    return (*_of_clients(), *_of_upstreams())


def _of_clients() -> Iterator[EnforcedCell]:
    for row in FROM_CLIENT.values():
        tests = TESTS_OF_CLIENT[row.name]
        yield from _each(
            "from the client", row, RECORDED_OF_CLIENT[row.treatment], tests, FRONTS, _EVERYWHERE
        )


def _of_upstreams() -> Iterator[EnforcedCell]:
    for row in FROM_UPSTREAM.values():
        tests = TESTS_OF_UPSTREAM[row.name]
        if row.name in _CROSSED:
            tests = (*tests, f"{ACROSS}::{_CROSSED[row.name]}")
        yield from _each("from an upstream", row, RECORDED_OF_UPSTREAM[row.treatment], tests, BACK, _ONE)


def _each(
    direction: str, row: Method, recorded: str, tests: tuple[str, ...], tried: str, where: Collection[_Way]
) -> Iterator[EnforcedCell]:
    """The cells of a row; those that are `where` are `tried` by one more test."""
    for name, era in _ERAS:
        for transport in TRANSPORTS:
            if row.era in (Era.BOTH, era):
                yield EnforcedCell.model_validate(
                    {
                        "direction": direction,
                        "method": row.name,
                        "era": name,
                        "transport": transport,
                        "decided": row.treatment.value + (f", {row.where}" if row.where else ""),
                        "inspected": row.inspected,
                        "recorded": recorded,
                        "tests": (*tests, *((tried,) if (name, transport) in where else ())),
                    }
                )
