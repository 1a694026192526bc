"""What the specification advises (SHOULD), where it matters to a proxy; both revisions.

Law of this file: a row is one line and has no number, since nobody promises that every SHOULD is here.
"""

from __future__ import annotations

from tests.requirements.rows import Page, ours

# fmt: off
PAGES = (
    Page("2025-11-25", "basic/lifecycle", 0, (
        ours("", "Timeouts", "a request that is not answered in time is given up, whatever its progress, and cancelled", "adapters/upstreams/session/test_conversation.py::test_a_call_that_is_not_answered_in_time_is_one_clear_error_and_is_cancelled", "adapters/upstreams/session/test_open_requests.py::test_progress_starts_the_time_again_up_to_six_times_the_deadline"),
    )),
    Page("2025-11-25", "basic/transports", 0, (
        ours("", "Security Warning", "a local server listens on loopback only, and any other asks who is there", "attack/test_http_front.py::test_without_a_token_no_address_but_loopback_is_listened_on"),
        ours("", "Sending Messages to the Server", "a stream begins with an event that gives its client an id", "adapters/transports/http/test_stream_replay.py::test_an_answer_of_the_newest_legacy_revision_is_a_stream_that_first_gives_its_client_an_id"),
        ours("", "Sending Messages to the Server", "a client that disconnects has not cancelled", "attack/test_http_order.py::test_a_legacy_client_that_disconnects_cancels_nothing_and_its_call_goes_on_to_its_outcome"),
        ours("", "Resumability and Redelivery", "a client takes a broken stream up again with `Last-Event-ID`", "adapters/upstreams/wires/test_http_sessions.py::test_a_stream_that_broke_before_the_answer_is_resumed", "adapters/upstreams/wires/test_http_sessions.py::test_a_get_stream_is_opened_again_where_it_ended"),
        ours("", "Session Management", "a session id is long and random", "adapters/transports/http/test_streamable.py::test_initialize_begins_a_session_with_a_long_random_id"),
        ours("", "Session Management", "a client that needs a session no more ends it with DELETE", "adapters/upstreams/wires/test_http_sessions.py::test_a_session_goes_from_its_first_request_to_its_delete"),
    )),
    Page("2025-11-25", "basic/utilities/cancellation", 0, (
        ours("", "Behavior Requirements", "a cancelled request is stopped and not answered", "adapters/transports/http/test_streamable.py::test_a_legacy_cancellation_reaches_the_gateway_by_number_and_ends_the_post_unanswered", "wire/test_across.py::test_a_call_that_is_given_up_is_cancelled_at_the_upstream_and_never_answered", "gateway/test_gateway.py::test_a_cancelled_call_is_cancelled_upstream_recorded_and_never_answered"),
        ours("", "Behavior Requirements", "an answer that comes all the same is ignored", "adapters/upstreams/session/test_conversation.py::test_a_cancelled_request_is_told_to_the_upstream_and_its_answer_is_nobodys"),
    )),
    Page("2025-11-25", "basic/utilities/progress", 0, (
        ours("", "Implementation Notes", "a flood of progress is held", "attack/test_faults_http.py::test_a_flood_of_notifications_over_http_arrives_in_order_and_memory_stays_flat", "attack/test_faults.py::test_a_client_that_does_not_read_a_flood_gets_all_in_order_later_and_memory_stays_flat"),
    )),
    Page("2025-11-25", "server/resources", 0, (
        ours("", "Error Handling", "a resource that is not there is -32002", "wire/test_across.py::test_a_resource_that_is_not_there_has_the_code_of_the_clients_era", "gateway/test_resources.py::test_a_resource_that_the_server_does_not_have_has_the_code_of_the_clients_era"),
    )),
    Page("2025-11-25", "server/tools", 0, (
        ours("", "Error Handling", "an unknown tool is a protocol error, an error of a tool is a result", "gateway/test_gateway.py::test_a_tool_that_is_hidden_answers_exactly_like_one_that_is_missing", "wire/test_across.py::test_an_error_of_a_tool_is_a_result_and_is_recorded_as_one"),
    )),
    Page("2025-11-25", "server/utilities/pagination", 0, (
        ours("", "Error Handling", "an invalid cursor is -32602", "gateway/test_gateway.py::test_a_cursor_that_we_never_gave_is_refused"),
    )),
    Page("2026-07-28", "basic/authorization/index", 0, (
        ours("", "Error Handling", "too few scopes are 403 with those that are needed", "attack/test_http_identity.py::test_a_scope_that_is_missing_is_403_with_its_name"),
        ours("", "Step-Up Authorization Flow", "a token with too few scopes is an error that names them and the login", "adapters/upstreams/wires/test_http_credentials.py::test_a_token_with_too_few_scopes_is_not_renewed_and_the_scopes_are_named"),
    )),
    Page("2026-07-28", "basic/index", 0, (
        ours("", "Error Codes", "a client still takes -32002 for a resource that is not there", "gateway/test_resources.py::test_a_resource_that_the_server_does_not_have_has_the_code_of_the_clients_era"),
        ours("", "Error Codes", "codes of -32000 to -32019 are not used", "protocol/test_jsonrpc.py::test_the_code_of_our_refusals_is_none_that_the_protocol_reserves"),
    )),
    Page("2026-07-28", "basic/patterns/cancellation", 0, (
        ours("", "Timeouts", "a request that is not answered in time is given up, whatever its progress, and cancelled", "adapters/upstreams/session/test_conversation.py::test_a_call_that_is_not_answered_in_time_is_one_clear_error_and_is_cancelled", "adapters/upstreams/session/test_open_requests.py::test_progress_starts_the_time_again_up_to_six_times_the_deadline"),
    )),
    Page("2026-07-28", "basic/patterns/mrtr", 0, (
        ours("", "Server Requirements (Basic Workflow)", "a state is bound to its user and its request, and expires", "gateway/questions/test_input_required.py::test_a_state_leads_to_the_same_request_of_the_same_client_until_it_expires", "attack/test_http_identity.py::test_two_principals_share_no_upstream_and_no_state_of_a_suspended_call"),
    )),
    Page("2026-07-28", "basic/patterns/subscriptions", 0, (
        ours("", "Graceful Closure", "a server that ends a subscription answers its request first", "gateway/lists/test_subscriptions.py::test_when_mcpguard_ends_a_subscription_is_closed_with_a_result"),
    )),
    Page("2026-07-28", "basic/transports/stdio", 0, (
        ours("", "Shutdown", "a client closes the input, waits, and ends what does not end", "adapters/upstreams/wires/test_stdio.py::test_closing_leaves_no_process_even_of_one_that_ignores_it"),
        ours("", "Shutdown", "a server ends when its input ends", "attack/test_hostile_client.py::test_requests_without_a_last_newline_are_served_before_the_end", "attack/test_orphans.py::test_the_end_of_input_leaves_no_process_of_a_launcher_that_ignores_everything"),
        ours("", "Unexpected Termination", "a server that ended is started again, and its subscriptions with it", "adapters/upstreams/wires/test_stdio.py::test_a_crash_is_one_clear_error_for_everybody_and_the_next_request_starts_it_again", "adapters/upstreams/session/test_listening.py::test_the_next_life_opens_the_stream_with_what_was_subscribed"),
    )),
    Page("2026-07-28", "basic/transports/streamable-http", 0, (
        ours("", "Security & Endpoint", "a local server listens on loopback only, and any other asks who is there", "attack/test_http_front.py::test_without_a_token_no_address_but_loopback_is_listened_on"),
    )),
    Page("2026-07-28", "server/tools", 0, (
        ours("", "Listing Tools", "the order of a list does not change", "protocol/test_catalogue.py::test_the_order_is_that_of_the_configuration_whoever_answers_first"),
    )),
    Page("2026-07-28", "server/utilities/pagination", 0, (
        ours("", "Error Handling", "an invalid cursor is -32602", "gateway/lists/test_lists.py::test_a_cursor_that_we_never_gave_is_refused"),
    )),
)
