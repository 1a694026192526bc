"""Revision 2026-07-28: what servers and clients offer.

Law of this file: a row is one line; `rows` says what stands in it, `ledger` how sentences are numbered.
"""

from __future__ import annotations

from tests.requirements.rows import Page, other, ours

# fmt: off
PAGES = (
    Page("2026-07-28", "client/elicitation", 34, (
        other("1-2", "User Interaction Model", "a server asks for nothing sensitive in a form", "the upstream's; mcpguard asks nothing of its own, and policies can deny a question (test_a_question_that_policy_denies_never_reaches_the_client)"),
        other("3", "User Interaction Model", "what a client shows to its user", "the client's user interface"),
        ours("4", "Capabilities", "a client that answers declares it", "adapters/upstreams/session/test_greeting.py::test_a_legacy_server_is_initialized_with_what_the_client_declares", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        other("5", "Capabilities", "and at least one mode", "the client's; mcpguard passes on what it declares"),
        ours("6", "Capabilities", "no mode that the client does not have", "protocol/test_eras.py::test_a_client_is_asked_only_what_it_said_it_can_answer"),
        other("7,9-11", "Elicitation Requests", "what a question has in it", "the upstream's; mcpguard passes on what it asks, inspected"),
        ours("8", "Elicitation Requests", "a question without a mode is a form", "protocol/test_eras.py::test_a_client_is_asked_only_what_it_said_it_can_answer"),
        ours("12-13", "Statefulness", "state is bound to its user and protected", "attack/test_http_identity.py::test_two_principals_share_no_upstream_and_no_state_of_a_suspended_call", "gateway/questions/test_round_trips_parked.py::test_a_state_of_another_client_leads_nowhere"),
        ours("14", "Statefulness", "who the user is comes from authorization", "attack/test_http_identity.py::test_a_good_token_gives_the_principal_on_record"),
        other("15", "URL Mode Elicitation for OAuth Flows", "a visit to a URL does not authorize users of mcpguard", "mcpguard authorizes by tokens only (adapters/bearer)"),
        ours("16-19", "Understanding the Distinction", "credentials of third parties stay off the client", "attack/test_http_identity.py::test_the_clients_authorization_never_reaches_an_upstream", "attack/test_bridge_attacks.py::test_a_secret_in_a_question_is_taken_out_for_both_eras"),
        ours("20", "Error Handling", "a client may decline, cancel or fail", "gateway/questions/test_input_required.py::test_a_client_that_refuses_ends_the_call_with_a_reason", "wire/test_across.py::test_a_question_that_is_declined_is_declined_for_the_upstream", "gateway/questions/test_questions.py::test_an_error_of_the_client_goes_back_as_it_is"),
        ours("21", "Security Considerations", "a question is bound to its client and user", "gateway/questions/test_questions.py::test_an_answer_goes_to_the_server_that_asked_and_to_no_other", "attack/test_bridge_attacks.py::test_two_clients_that_are_asked_under_the_same_id_answer_their_own_upstreams_only"),
        other("22", "Security Considerations", "the client shows who asks", "the client's user interface; the record names the upstream (test_the_record_of_a_question_names_method_server_and_rule_and_what_was_asked)"),
        ours("23", "Safe URL Handling", "no sensitive value in a URL", "gateway/questions/test_questions.py::test_a_secret_in_a_question_is_gone_and_recorded"),
        other("24", "Safe URL Handling", "no URL that is authenticated already", "the upstream's, which makes the URL"),
        other("25-29", "Safe URL Handling", "how a client opens URLs", "the client's user interface; mcpguard opens no URL of a question"),
        ours("30", "Identifying the User", "claims of who the user is are verified", "gateway/test_gateway.py::test_claims_of_the_client_never_change_a_verdict_or_the_recorded_principal"),
        other("31", "Form Mode Security", "no sensitive data by form", "the upstream's"),
        other("32-34", "Phishing", "who opens the URL is who was asked", "the upstream's, which serves the URL"),
    )),
    Page("2026-07-28", "client/roots", 3, (
        ours("1", "Capabilities", "a client with roots declares them", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        other("2", "Root", "a root is a `file:` URI", "the client's"),
        other("3", "Security Considerations", "a client exposes what it may, and validates", "the client's; policies can deny roots/list (test_what_is_decided_is_an_action_that_a_rule_can_name)"),
    )),
    Page("2026-07-28", "client/sampling", 11, (
        ours("1-2", "Tools in Sampling", "tools in sampling need `sampling.tools`", "protocol/test_eras.py::test_a_client_is_asked_only_what_it_said_it_can_answer"),
        ours("3", "Capabilities", "a client that samples declares it", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        other("4-9,11", "Tool Result Messages", "what messages of sampling have in them, and what the model does", "the upstream's and the client's; mcpguard passes both on, inspected"),
        ours("10", "Security Considerations", "sensitive data is handled with care", "gateway/questions/test_questions.py::test_a_secret_in_a_question_is_gone_and_recorded"),
    )),
    Page("2026-07-28", "server/discover", 1, (
        ours("1", "", "`server/discover` is served", "protocol/test_eras_lifecycle.py::test_discovery_names_the_declared_extensions_only"),
    )),
    Page("2026-07-28", "server/prompts", 8, (
        ours("1", "", "a request has the required fields of `_meta`", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        ours("2", "Capabilities", "a server with prompts declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        ours("3", "Capabilities", "and lists those that the client can reach", "gateway/lists/test_lists.py::test_a_list_shows_only_what_policy_lets_the_principal_reach"),
        ours("4", "Capabilities", "the list does not vary by connection or by other requests", "adapters/transports/http/test_streamable.py::test_modern_requests_of_one_principal_share_a_world_and_may_carry_the_same_id"),
        other("5-7", "Image Content", "what images, audio and resources in prompts have", "the upstream's; mcpguard passes content on (test_content_of_every_type_arrives)"),
        ours("8", "Security", "inputs and outputs of prompts are validated", "gateway/test_prompts.py::test_conditions_see_the_prompt_and_its_arguments", "gateway/test_prompts.py::test_a_secret_in_any_message_of_a_prompt_is_gone"),
    )),
    Page("2026-07-28", "server/resources", 10, (
        ours("1", "", "a request has the required fields of `_meta`", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        ours("2", "Capabilities", "a server with resources declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        ours("3", "Capabilities", "and lists those that the client can reach", "gateway/lists/test_lists.py::test_a_list_shows_only_what_policy_lets_the_principal_reach"),
        ours("4", "Capabilities", "the list does not vary by connection or by other requests", "adapters/transports/http/test_streamable.py::test_modern_requests_of_one_principal_share_a_world_and_may_carry_the_same_id"),
        other("5", "Custom URI Schemes", "own schemes follow RFC 3986", "of whoever makes URIs; mcpguard keeps their text (test_a_uri_keeps_its_text_and_belongs_to_who_listed_it_first)"),
        ours("6", "Error Handling", "a resource that is not there is -32602", "gateway/test_resources.py::test_a_resource_that_the_server_does_not_have_has_the_code_of_the_clients_era", "wire/test_across.py::test_a_resource_that_is_not_there_has_the_code_of_the_clients_era"),
        ours("7", "Error Handling", "and no empty list of contents", "gateway/test_resources.py::test_a_hidden_resource_answers_exactly_like_one_that_is_missing"),
        ours("8", "Security Considerations", "URIs are validated", "gateway/test_resources.py::test_a_uri_goes_to_the_server_whose_template_makes_it", "protocol/test_catalogue.py::test_what_nobody_lists_belongs_to_the_only_server_and_with_several_to_none"),
        other("9", "Security Considerations", "binary data is encoded", "the upstream's; a blob that hides a held value is redacted (test_a_secret_in_any_part_of_what_is_read_is_gone_and_counted)"),
        other("10", "Security Considerations", "paths of `file:` are sanitized", "the upstream's, which serves the files"),
    )),
    Page("2026-07-28", "server/tools", 18, (
        ours("1", "", "a request has the required fields of `_meta`", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        ours("2", "Capabilities", "a server with tools declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        ours("3", "Capabilities", "and lists those that the client can reach", "gateway/test_gateway.py::test_the_list_shows_only_what_some_arguments_would_allow"),
        ours("4", "Capabilities", "the list does not vary by connection or by other requests", "adapters/transports/http/test_streamable.py::test_modern_requests_of_one_principal_share_a_world_and_may_carry_the_same_id"),
        ours("5", "Input Required Tool Results", "a retry has an id of its own", "adapters/upstreams/test_requirements.py::test_no_two_requests_to_an_upstream_have_the_same_id", "gateway/questions/test_round_trips_parked.py::test_a_resumed_call_can_be_cancelled_under_its_new_id_only"),
        other("6", "Tool", "a schema is an object", "the upstream's; mcpguard passes schemas on (test_a_schema_of_any_depth_is_read)"),
        other("7", "Tool", "annotations are claims", "of the user's interface; for policies they are claims (test_claims_of_the_client_never_change_a_verdict_or_the_recorded_principal is the same law for clients)"),
        ours("8-16", "x-mcp-header", "the rules of `x-mcp-header`", "protocol/test_headers.py::test_a_tool_with_an_annotation_that_breaks_a_rule_is_left_out", "protocol/test_headers.py::test_marked_arguments_are_mirrored_wherever_properties_lead"),
        other("17", "Output Schema", "structured results fit their schema", "the upstream's; mcpguard passes them on (test_values_pass_through_unchanged)"),
        ours("18", "Security Considerations", "servers validate, control access, limit and sanitize", "gateway/test_eras.py::test_without_a_rule_no_decided_method_reaches_an_upstream", "gateway/test_gateway.py::test_a_secret_in_a_result_is_replaced_and_recorded_without_its_value"),
    )),
    Page("2026-07-28", "server/utilities/caching", 10, (
        ours("1", "Cacheable Results", "complete results of six methods have caching hints", "protocol/test_eras.py::test_a_cacheable_result_has_a_time_to_live_and_is_private_whatever_the_upstream_says", "protocol/test_eras.py::test_what_is_cacheable_or_may_ask_is_in_the_table_of_methods"),
        other("2", "Cache Key", "a cached answer is of the same method and params", "mcpguard answers no request from a cache of answers; its lists are its catalogue, kept right by changes (test_a_change_of_each_kind_is_fetched_and_then_told)"),
        other("3", "Cache Key", "results of retries are not cached", "mcpguard caches no result of a call, prompt or resource"),
        ours("4", "Time-to-Live (TTL) Field", "`ttlMs` is not negative", "protocol/test_eras.py::test_a_cacheable_result_has_a_time_to_live_and_is_private_whatever_the_upstream_says"),
        other("5", "Freshness Calculation", "who polls uses jitter and back-off", "mcpguard does not poll"),
        ours("6", "Cache Scope Field", "caches are not shared across authorization contexts", "adapters/transports/http/test_sessions.py::test_each_principal_has_a_modern_world_of_its_own", "attack/test_http_identity.py::test_two_principals_share_no_upstream_and_no_state_of_a_suspended_call"),
        ours("7-8", "Interaction with Pagination", "all pages have the same scope", "gateway/test_gateway.py::test_all_pages_of_a_list_are_fetched_and_the_client_gets_one", "gateway/lists/test_lists.py::test_a_modern_list_is_complete_private_and_names_who_serves"),
        ours("9-10", "Security Considerations", "access control does not rest on the scope", "gateway/lists/test_lists.py::test_a_list_shows_only_what_policy_lets_the_principal_reach", "protocol/test_eras.py::test_a_cacheable_result_has_a_time_to_live_and_is_private_whatever_the_upstream_says"),
    )),
    Page("2026-07-28", "server/utilities/completion", 3, (
        ours("1", "", "a request has the required fields of `_meta`", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        ours("2", "Capabilities", "a server with completions declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        ours("3", "Security", "input is validated, access controlled, nothing disclosed", "protocol/test_calls.py::test_a_completion_that_cannot_be_read_is_refused", "gateway/test_prompts.py::test_a_completion_of_something_hidden_is_as_one_of_something_missing", "gateway/test_prompts.py::test_a_secret_among_the_values_of_a_completion_is_gone"),
    )),
    Page("2026-07-28", "server/utilities/logging", 4, (
        ours("1", "Capabilities", "a server that logs declares it", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        ours("2", "Per-request log level", "no log messages for a request that wants none", "gateway/lists/test_notices.py::test_a_modern_client_hears_log_messages_of_the_level_that_its_request_wants"),
        ours("3", "Per-request log level", "a log message goes with its request only", "gateway/lists/test_notices.py::test_a_log_message_goes_with_the_request_that_it_is_about", "gateway/lists/test_notices.py::test_a_log_message_of_a_server_that_nobody_waits_for_is_not_heard"),
        ours("4", "Security", "log messages hold no credentials", "gateway/lists/test_notices.py::test_a_secret_in_any_notification_is_gone"),
    )),
    Page("2026-07-28", "server/utilities/pagination", 4, (
        ours("1", "", "a request has the required fields of `_meta`", "adapters/upstreams/session/test_conversation.py::test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins"),
        ours("2", "Pagination Model", "a client assumes no size of a page", "gateway/lists/test_lists.py::test_every_page_is_fetched_with_the_cursor_that_the_server_gave"),
        ours("3-4", "Implementation Guidelines", "a cursor is opaque, and an empty text is one", "gateway/lists/test_lists.py::test_every_page_is_fetched_with_the_cursor_that_the_server_gave", "gateway/test_requirements.py::test_an_empty_cursor_is_a_cursor"),
    )),
)
