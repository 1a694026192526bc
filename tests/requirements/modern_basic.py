"""Revision 2026-07-28: messages and patterns.

Law of this file: a row is one line; `rows` says what stands in it, `ledger` how sentences are numbered.
"""

from __future__ import annotations

from tests.requirements.rows import Page, gap, other, ours

# fmt: off
PAGES = (
    Page("2026-07-28", "basic/index", 44, (
        other("1", "", "every implementation has the base protocol, versioning and the patterns", "a heading: the rows of those pages say it one by one"),
        ours("2", "Messages", "messages follow JSON-RPC 2.0", "protocol/test_jsonrpc.py::test_what_is_no_message_is_an_invalid_request", "protocol/test_jsonrpc.py::test_lines_around_a_payload_are_valid_messages"),
        ours("3-4", "Requests", "a request's id is a text or a whole number, never null", "attack/test_hostile_client.py::test_a_message_of_the_wrong_shape_is_refused_and_nothing_reaches_the_upstream", "attack/test_hostile_client.py::test_every_allowed_id_comes_back_as_it_was"),
        ours("5", "Requests", "an id is used once among the open requests", "attack/test_hostile_client.py::test_an_id_in_use_is_refused_and_the_first_call_keeps_its_answer", "adapters/upstreams/test_requirements.py::test_no_two_requests_to_an_upstream_have_the_same_id"),
        ours("6", "Result Responses", "a result has the id of its request", "attack/test_hostile_client.py::test_every_allowed_id_comes_back_as_it_was"),
        ours("7", "Result Responses", "a result response has `result`", "adapters/upstreams/session/test_conversation.py::test_an_answer_of_another_shape_is_one_clear_error", "protocol/test_jsonrpc.py::test_lines_around_a_payload_are_valid_messages"),
        ours("8", "Result Responses", "a result has a `resultType`", "gateway/test_eras.py::test_a_modern_result_is_complete_and_a_legacy_one_has_nothing_of_it"),
        ours("9", "ResultType", "types of results are the core's and those of declared extensions", "gateway/test_tasks.py::test_a_task_for_a_client_that_does_not_know_tasks_is_refused"),
        ours("10", "ResultType", "an unknown type of result is invalid", "gateway/test_resources.py::test_a_result_of_a_type_that_is_not_known_is_refused"),
        ours("11", "ResultType", "a result without a type is complete", "gateway/test_eras.py::test_a_modern_result_is_complete_and_a_legacy_one_has_nothing_of_it"),
        ours("12", "Error Responses", "an error has the id of its request where it could be read", "protocol/test_jsonrpc.py::test_a_refusal_carries_the_id_where_it_could_be_read"),
        ours("13-14", "Error Responses", "an error has a whole number as `code`, and a `message`", "attack/test_hostile_upstream.py::test_an_error_without_a_code_or_message_becomes_a_clear_error"),
        ours("15", "Error Codes", "no new codes in -32000 to -32019", "protocol/test_jsonrpc.py::test_the_code_of_our_refusals_is_none_that_the_protocol_reserves"),
        ours("16", "Error Codes", "nothing is read into codes of that range but -32002", "adapters/upstreams/session/test_greeting.py::test_any_error_at_the_probe_means_legacy_on_the_same_wire"),
        ours("17", "Error Codes", "reserved codes have the meaning of the specification only", "gateway/test_eras.py::test_headers_that_say_otherwise_than_the_body_are_refused", "gateway/test_eras.py::test_a_revision_that_is_not_served_is_refused_with_those_that_are"),
        ours("18", "Error Codes", "the codes -32002 and -32042 of earlier revisions are not emitted", "gateway/test_requirements.py::test_no_code_of_an_earlier_revision_reaches_a_modern_client"),
        ours("19", "Notifications", "a notification is not answered", "gateway/test_gateway.py::test_answers_and_notifications_of_the_client_that_nobody_waits_for_are_ignored"),
        ours("20", "Notifications", "a notification has no id", "attack/test_hostile_client.py::test_a_message_of_the_wrong_shape_is_refused_and_nothing_reaches_the_upstream"),
        ours("21", "Statelessness", "no earlier request of a connection is context for the next", "gateway/test_eras.py::test_each_modern_request_says_for_itself_what_its_client_can"),
        ours("22", "Statelessness", "state across requests has an explicit name that the client passes", "gateway/questions/test_input_required.py::test_a_state_leads_to_the_same_request_of_the_same_client_until_it_expires"),
        other("23-27", "Schema Dialect", "JSON Schema 2020-12 is supported and schemas are validated", "mcpguard validates no arguments against a schema: that is the upstream's, and it relays schemas as they are"),
        other("28-29", "`$ref` Resolution", "a `$ref` to the network is not followed", "mcpguard follows no `$ref` at all: it reads `properties` only (protocol/headers)"),
        other("30-33", "`_meta`", "the form of keys of `_meta`", "mcpguard adds keys of the specification only and looks into no other; which ones of a client travel: test_of_meta_only_trace_and_progress_travel"),
        ours("34", "`_meta`", "a request has the required fields of `_meta`", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        ours("35", "`_meta`", "a request without them is refused with -32602", "gateway/test_eras.py::test_an_envelope_that_lacks_something_is_refused"),
        ours("36", "`_meta`", "and over HTTP with the status 400", "adapters/transports/http/test_streamable.py::test_a_modern_error_has_the_status_of_its_code"),
        ours("37", "`_meta`", "no use of what the client did not declare", "protocol/test_eras.py::test_a_client_is_asked_only_what_it_said_it_can_answer"),
        ours("38", "`_meta`", "what needs an undeclared capability is refused with -32021 and its name", "gateway/test_requirements.py::test_what_a_request_needs_and_its_client_did_not_declare_is_named", "gateway/questions/test_lacking.py::test_a_call_that_fails_for_want_of_a_capability_names_it"),
        ours("39", "`_meta`", "and over HTTP with the status 400", "adapters/transports/http/test_streamable.py::test_a_modern_error_has_the_status_of_its_code"),
        ours("40", "`_meta`", "what comes on a subscription has its id in `_meta`", "gateway/lists/test_subscriptions.py::test_an_update_is_inspected_tagged_and_goes_the_way_of_the_subscription"),
        other("41", "`_meta`", "trace context has the form of its standard", "mcpguard makes no trace context; it passes on what the client gives (test_of_meta_only_trace_and_progress_travel)"),
        other("42-44", "`icons`", "icons are shown with care", "mcpguard shows no icons"),
    )),
    Page("2026-07-28", "basic/patterns/cancellation", 7, (
        gap("1", "", "a server that ends a subscription says `notifications/cancelled`", "mcpguard ends it with the result that basic/patterns/subscriptions asks for (\"Graceful Closure\"), after which nothing may follow; see test_when_mcpguard_ends_a_subscription_is_closed_with_a_result"),
        ours("2,6", "", "a server cancels nothing but subscriptions", "gateway/test_requirements.py::test_a_question_that_the_upstream_withdraws_is_never_withdrawn_from_a_modern_client"),
        ours("3", "Transport-Specific Cancellation", "a client that disconnects has cancelled", "attack/test_http_order.py::test_a_modern_client_that_disconnects_cancels_its_call_at_the_upstream", "adapters/upstreams/test_http_upstream.py::test_a_modern_call_that_is_cancelled_is_cancelled_there"),
        ours("4", "Transport-Specific Cancellation", "on stdio a client says `notifications/cancelled`", "adapters/upstreams/session/test_conversation.py::test_a_cancelled_request_is_told_to_the_upstream_and_its_answer_is_nobodys"),
        ours("5", "Behavior Requirements", "only open requests are cancelled", "adapters/upstreams/session/test_conversation.py::test_a_cancelled_request_is_told_to_the_upstream_and_its_answer_is_nobodys", "adapters/upstreams/session/test_conversation.py::test_a_request_that_is_cancelled_while_it_starts_is_never_sent"),
        ours("7", "Timing Considerations", "a cancellation that comes too late does no harm", "attack/test_hostile_client.py::test_a_cancellation_of_nothing_or_of_the_wrong_type_is_ignored", "gateway/test_gateway.py::test_a_cancellation_of_nothing_is_ignored"),
    )),
    Page("2026-07-28", "basic/patterns/index", 1, (
        ours("1", "", "servers send no requests and clients no responses", "adapters/upstreams/session/test_conversation.py::test_every_request_of_a_modern_upstream_is_refused", "gateway/questions/test_round_trips.py::test_a_question_becomes_a_result_that_asks_and_the_retry_brings_the_answer"),
    )),
    Page("2026-07-28", "basic/patterns/mrtr", 21, (
        ours("1", "", "what a server asks goes into a result", "gateway/questions/test_other_asking.py::test_an_error_that_asks_for_a_visit_is_a_question_for_a_modern_client", "gateway/questions/test_round_trips.py::test_a_question_becomes_a_result_that_asks_and_the_retry_brings_the_answer"),
        ours("2", "", "a retry has the required fields of `_meta`", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        ours("3", "InputRequiredResult", "the state of a server is not looked into", "gateway/questions/test_input_required.py::test_the_questions_go_on_and_the_state_of_the_upstream_does_not"),
        ours("4", "Supported Requests", "only three methods may be answered with a question", "gateway/questions/test_round_trips.py::test_a_method_that_may_not_ask_carries_no_question", "gateway/test_prompts.py::test_an_upstream_may_not_ask_back_for_a_completion"),
        ours("5", "Server Requirements (Basic Workflow)", "names of questions are unique in a result", "gateway/questions/test_round_trips.py::test_several_questions_go_to_the_client_together_or_one_after_the_other"),
        ours("6", "Server Requirements (Basic Workflow)", "a question is an elicitation, a sampling or the roots", "gateway/questions/test_input_required.py::test_questions_in_a_form_that_is_not_mcp_end_the_call"),
        ours("7-9", "Server Requirements (Basic Workflow)", "a `requestState` that fails its check is refused", "gateway/questions/test_round_trips_parked.py::test_a_state_that_was_made_up_or_changed_leads_nowhere", "attack/test_bridge_attacks.py::test_a_state_that_was_tampered_with_leads_nowhere_and_the_true_one_still_does"),
        ours("10", "Server Requirements (Basic Workflow)", "what may be used once is kept to once by the server", "gateway/questions/test_round_trips_parked.py::test_a_state_works_once", "attack/test_bridge_attacks.py::test_two_retries_at_once_resume_the_call_once"),
        ours("11", "Server Requirements (Basic Workflow)", "a result that asks has questions or a state", "gateway/questions/test_input_required.py::test_a_state_alone_or_questions_alone_go_on_too"),
        ours("12-13", "Server Requirements (Basic Workflow)", "nothing is asked that the client did not declare", "attack/test_bridge_attacks.py::test_a_client_that_cannot_be_asked_is_not_and_the_upstream_hears_so", "gateway/questions/test_round_trips.py::test_a_question_that_this_client_cannot_answer_is_refused_for_it"),
        ours("14", "Server Requirements (Basic Workflow)", "the client may never come back", "attack/test_bridge_attacks.py::test_a_client_that_never_returns_leaves_an_outcome_when_the_process_ends", "gateway/questions/test_round_trips_parked.py::test_a_state_expires_and_the_call_with_it"),
        ours("15", "Client Requirements (Basic Workflow)", "a client answers before it asks again", "gateway/questions/test_input_required.py::test_a_legacy_client_is_asked_each_question_and_the_call_is_made_again"),
        ours("16-17", "Client Requirements (Basic Workflow)", "the state comes back exactly as it was given", "gateway/questions/test_input_required.py::test_the_questions_go_on_and_the_state_of_the_upstream_does_not", "gateway/questions/test_input_required.py::test_a_second_round_replaces_the_answers_and_the_state_of_the_first"),
        ours("18", "Client Requirements (Basic Workflow)", "where there was no state the retry has none", "gateway/test_requirements.py::test_a_retry_has_no_state_where_the_upstream_gave_none"),
        ours("19", "Client Requirements (Basic Workflow)", "a retry has an id of its own", "adapters/upstreams/test_requirements.py::test_no_two_requests_to_an_upstream_have_the_same_id", "gateway/questions/test_round_trips_parked.py::test_a_resumed_call_can_be_cancelled_under_its_new_id_only"),
        ours("20", "Client Requirements (Basic Workflow)", "answers and state go to no other request", "gateway/questions/test_round_trips_parked.py::test_a_state_leads_to_the_same_request_only", "attack/test_bridge_attacks.py::test_answers_to_what_was_not_asked_reach_nobody"),
        ours("21", "Security Considerations", "the state is checked", "gateway/questions/test_round_trips_parked.py::test_a_state_that_was_made_up_or_changed_leads_nowhere"),
    )),
    Page("2026-07-28", "basic/patterns/progress", 5, (
        ours("1", "Progress Flow", "a progress token is a text or a whole number", "attack/test_hostile_client.py::test_a_message_of_the_wrong_shape_is_refused_and_nothing_reaches_the_upstream"),
        ours("2", "Progress Flow", "and unique among the open requests", "wire/test_session.py::test_two_calls_with_the_same_token_get_their_own_progress"),
        other("3", "Progress Flow", "progress increases", "the upstream's: mcpguard passes on what it says in its order (test_all_fifty_steps_of_progress_come_in_order_before_the_result)"),
        ours("4", "Behavior Requirements", "progress is about a token of an open request", "attack/test_hostile_upstream.py::test_progress_for_the_tokens_of_others_reaches_nobody"),
        ours("5", "Implementation Notes", "and ends with the request", "attack/test_hostile_upstream.py::test_progress_after_the_answer_is_dropped"),
    )),
    Page("2026-07-28", "basic/patterns/subscriptions", 4, (
        ours("1", "Opening a Stream", "nothing comes that was not asked for", "gateway/lists/test_subscriptions.py::test_what_is_granted_is_acknowledged_first_and_only_what_was_asked_for", "gateway/lists/test_subscriptions.py::test_each_subscription_hears_what_it_asked_for"),
        ours("2", "Acknowledgment", "the acknowledgment comes first", "gateway/lists/test_subscriptions.py::test_what_is_granted_is_acknowledged_first_and_only_what_was_asked_for"),
        ours("3", "Receiving Notifications", "a client tells subscriptions apart by their id", "adapters/upstreams/session/test_listening.py::test_notifications_of_the_stream_are_heard_without_its_id_and_those_of_others_are_not"),
        ours("4", "Graceful Closure", "after a new connection a client subscribes again", "adapters/upstreams/session/test_listening.py::test_the_next_life_opens_the_stream_with_what_was_subscribed"),
    )),
)
