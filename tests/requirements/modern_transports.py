"""Revision 2026-07-28: transports, and versions.

Law of this file: a row is one line; `rows` says what stands in it, `ledger` how sentences are numbered.
"""

from __future__ import annotations

from tests.requirements.rows import Page, other, ours

# fmt: off
PAGES = (
    Page("2026-07-28", "basic/transports/index", 3, (
        ours("1", "Messages", "messages are in UTF-8", "protocol/test_jsonrpc.py::test_what_is_not_json_in_utf8_is_a_parse_error"),
        ours("2", "Messages", "requests and notifications go up, responses and notifications come down", "wire/test_across.py::test_a_tool_is_listed_and_called"),
        other("3", "Custom Transports", "custom transports keep the message format", "mcpguard has no custom transport"),
    )),
    Page("2026-07-28", "basic/transports/stdio", 9, (
        ours("1", "", "a message is one line", "protocol/test_jsonrpc.py::test_lines_around_a_payload_are_valid_messages", "protocol/test_jsonrpc_framing.py::test_lines_are_whole_however_the_stream_is_cut"),
        ours("2", "", "standard output has nothing but messages", "wire/test_session.py::test_three_hundred_pipelined_calls_are_answered_in_order"),
        ours("3", "", "a server's standard input gets nothing but messages", "adapters/upstreams/wires/test_stdio.py::test_the_params_arrive_as_they_were_decided", "adapters/upstreams/session/test_greeting.py::test_a_modern_server_is_discovered_with_an_envelope_and_nothing_more_is_said"),
        ours("4", "Sending Messages", "a client writes no responses", "adapters/upstreams/session/test_conversation.py::test_every_request_of_a_modern_upstream_is_refused"),
        ours("5", "Receiving Messages", "notifications of streams are told apart by the id of the subscription", "adapters/upstreams/session/test_listening.py::test_notifications_of_the_stream_are_heard_without_its_id_and_those_of_others_are_not"),
        ours("6", "Receiving Messages", "a server writes no requests", "gateway/questions/test_round_trips.py::test_a_question_becomes_a_result_that_asks_and_the_retry_brings_the_answer", "wire/test_across.py::test_a_question_of_the_upstream_is_answered"),
        ours("7", "Cancellation", "a request is given up with `notifications/cancelled`", "adapters/upstreams/session/test_conversation.py::test_a_cancelled_request_is_told_to_the_upstream_and_its_answer_is_nobodys"),
        ours("8", "Cancellation", "nothing more is said about a cancelled request", "wire/test_across.py::test_a_call_that_is_given_up_is_cancelled_at_the_upstream_and_never_answered"),
        ours("9", "Backward Compatibility", "the fallback to `initialize` depends on no error code", "adapters/upstreams/session/test_greeting.py::test_any_error_at_the_probe_means_legacy_on_the_same_wire", "adapters/upstreams/session/test_greeting.py::test_silence_at_the_probe_means_legacy"),
    )),
    Page("2026-07-28", "basic/transports/streamable-http", 57, (
        ours("1", "", "one path takes POST", "adapters/transports/http/test_streamable.py::test_a_modern_client_may_only_post", "adapters/transports/http/test_streamable.py::test_other_paths_are_not_there_and_health_needs_nothing"),
        ours("2-3", "Security & Endpoint", "an invalid `Origin` is answered with 403", "adapters/transports/http/test_guard.py::test_another_origin_is_refused", "attack/test_http_front.py::test_no_page_of_another_site_gets_anything_by_any_way_in"),
        ours("4-5", "Sending Messages", "each message is a POST of its own", "adapters/upstreams/wires/test_http.py::test_the_modern_era_with_the_sdk_works_and_its_headers_agree"),
        ours("6", "Sending Messages", "`Accept` has both types", "adapters/upstreams/wires/test_http.py::test_the_modern_era_with_the_sdk_works_and_its_headers_agree", "adapters/transports/http/test_streamable.py::test_a_post_with_wrong_headers_is_refused"),
        ours("7", "Sending Messages", "the metadata headers go with each POST", "protocol/test_headers.py::test_the_standard_headers_are_made_of_the_body_and_agree_with_it"),
        ours("8", "Sending Messages", "a body is one request or notification", "adapters/transports/http/test_streamable.py::test_a_message_that_cannot_be_read_and_belongs_nowhere_is_refused_here", "adapters/transports/http/test_streamable.py::test_modern_notifications_are_taken_cancellations_dropped_and_answers_refused"),
        ours("9", "Sending Messages", "no responses are posted", "adapters/transports/http/test_streamable.py::test_modern_notifications_are_taken_cancellations_dropped_and_answers_refused"),
        ours("10-11", "Sending Messages", "a notification is answered with 202 and no body, or an error status", "adapters/transports/http/test_streamable.py::test_modern_notifications_are_taken_cancellations_dropped_and_answers_refused"),
        ours("12", "Sending Messages", "a request is answered in JSON or as a stream", "adapters/transports/http/test_streamable.py::test_a_modern_request_is_answered_in_json_under_its_own_id", "adapters/transports/http/test_streamable.py::test_what_is_said_before_the_answer_makes_it_a_stream"),
        ours("13", "Sending Messages", "a client understands both", "adapters/upstreams/wires/test_http.py::test_the_modern_era_with_the_sdk_works_and_its_headers_agree", "adapters/upstreams/wires/test_http.py::test_a_modern_progress_comes_on_the_stream_of_its_request"),
        ours("14", "Receiving Messages", "what comes on a stream is about its request", "attack/test_http_order.py::test_two_modern_clients_with_the_same_ids_and_progress_tokens_get_their_own"),
        ours("15", "Receiving Messages", "no requests come on a stream", "gateway/questions/test_round_trips.py::test_a_question_becomes_a_result_that_asks_and_the_retry_brings_the_answer", "adapters/upstreams/session/test_conversation.py::test_every_request_of_a_modern_upstream_is_refused"),
        ours("16-17", "Cancellation", "a stream that its client closes is a cancelled request", "adapters/transports/http/test_streamable.py::test_a_modern_disconnect_cancels_the_request_and_nothing_is_said_to_it_any_more", "attack/test_http_order.py::test_a_modern_client_that_disconnects_cancels_its_call_at_the_upstream"),
        ours("18-20", "Protocol Version Header", "the header `MCP-Protocol-Version` agrees with the body, or 400 and -32020", "gateway/test_eras.py::test_headers_that_say_otherwise_than_the_body_are_refused", "adapters/transports/http/test_streamable.py::test_a_modern_error_has_the_status_of_its_code"),
        ours("21", "Protocol Version Header", "a revision that is not served is 400 with those that are", "gateway/test_eras.py::test_a_revision_that_is_not_served_is_refused_with_those_that_are", "adapters/transports/http/test_streamable.py::test_a_modern_error_has_the_status_of_its_code"),
        ours("22", "Protocol Version Header", "a method that is not served is 404 with -32601", "adapters/transports/http/test_streamable.py::test_a_modern_error_has_the_status_of_its_code"),
        other("23", "Protocol Version Header", "a request without the header is refused where earlier clients are not served", "mcpguard serves earlier clients"),
        ours("24", "Standard Request Headers", "`Mcp-Method` and `Mcp-Name` are required", "protocol/test_headers.py::test_each_standard_header_that_is_missing_or_differs_is_told_and_no_value_is_shown"),
        ours("25", "Standard Request Headers", "a name that no header can carry is encoded in Base64", "protocol/test_headers.py::test_every_text_comes_back_from_a_header_that_is_safe_to_send"),
        ours("26-27", "Custom Headers from Tool Parameters", "marked arguments are mirrored into headers", "protocol/test_headers.py::test_marked_arguments_are_mirrored_wherever_properties_lead"),
        ours("28-37", "Schema Extension", "a tool whose marks break a rule is left out", "protocol/test_headers.py::test_a_tool_with_an_annotation_that_breaks_a_rule_is_left_out", "protocol/test_headers.py::test_a_tool_whose_annotations_are_right_stays"),
        ours("38-40", "Value Encoding", "values are encoded, with the marker in lower case", "protocol/test_headers.py::test_the_examples_of_the_specification_hold", "protocol/test_headers.py::test_every_text_comes_back_from_a_header_that_is_safe_to_send"),
        ours("41-42", "Value Encoding", "encoded values are decoded before they are compared", "protocol/test_headers.py::test_mirrored_headers_are_checked_as_the_sdk_checks_them"),
        ours("43", "Value Encoding", "a plain value that looks encoded is encoded", "protocol/test_headers.py::test_every_text_comes_back_from_a_header_that_is_safe_to_send"),
        ours("44", "Client Behavior", "what a client does for `tools/call` with marked arguments", "protocol/test_headers.py::test_what_is_derived_agrees_with_what_it_was_derived_from"),
        other("45", "Server Behavior for Custom Headers", "intermediaries pass unknown `Mcp-Param-*` headers on", "mcpguard is a server and a client, no intermediary of HTTP: it makes its own headers"),
        ours("46", "Server Behavior for Custom Headers", "a mirrored header with invalid characters is refused", "protocol/test_headers.py::test_a_header_with_characters_that_none_may_have_agrees_with_nothing"),
        ours("47-52", "Server Behavior for Custom Headers", "a mirrored header agrees with the body, or 400 and -32020", "gateway/test_eras.py::test_a_mirrored_argument_must_agree_with_its_header", "protocol/test_headers.py::test_mirrored_headers_are_checked_as_the_sdk_checks_them"),
        ours("53", "Case Sensitivity", "names of headers have no case", "adapters/transports/http/test_requirements.py::test_headers_of_any_case_are_the_same_headers"),
        ours("54-55", "Server Validation", "headers that disagree with the body are refused with 400 and -32020", "gateway/test_eras.py::test_headers_that_say_otherwise_than_the_body_are_refused", "adapters/transports/http/test_streamable.py::test_a_modern_error_has_the_status_of_its_code"),
        ours("56", "Server Validation", "encoded headers are decoded before they are compared", "protocol/test_headers.py::test_mirrored_headers_are_checked_as_the_sdk_checks_them"),
        other("57", "Server Validation", "an intermediary answers with an error status", "mcpguard answers as a server"),
    )),
    Page("2026-07-28", "basic/versioning", 4, (
        ours("1", "Protocol Version Negotiation", "a revision that is not served is refused with those that are", "gateway/test_eras.py::test_a_revision_that_is_not_served_is_refused_with_those_that_are"),
        ours("2", "Protocol Version Negotiation", "`server/discover` is served", "protocol/test_eras_lifecycle.py::test_discovery_names_the_declared_extensions_only"),
        ours("3", "Extension Negotiation", "names of extensions have a prefix", "config/test_loading_http.py::test_an_extension_has_a_name_with_a_prefix"),
        ours("4", "Extension Negotiation", "an extension of one side only means the core protocol or a refusal", "gateway/test_extensions.py::test_a_method_that_nobody_declared_is_not_there", "gateway/test_tasks.py::test_a_task_for_a_client_that_does_not_know_tasks_is_refused"),
    )),
)
