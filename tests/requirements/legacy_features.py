"""Revision 2025-11-25: what servers and clients offer.

Law of this file: a row is one line; `rows` says what stands in it, `ledger` how sentences are numbered.
"""

from __future__ import annotations

from tests.requirements.rows import Page, other, ours

# fmt: off
PAGES = (
    Page("2025-11-25", "client/elicitation", 42, (
        other("1-2", "User Interaction Model", "a server asks for nothing sensitive in a form", "the upstream's; mcpguard asks nothing of its own, and policies can deny a question (test_a_question_that_policy_denies_never_reaches_the_client)"),
        other("3", "User Interaction Model", "what a client shows to its user", "the client's user interface"),
        ours("4", "Capabilities", "a client that answers declares it", "adapters/upstreams/session/test_greeting.py::test_a_legacy_server_is_initialized_with_what_the_client_declares"),
        other("5", "Capabilities", "and at least one mode", "the client's; mcpguard passes on what it declares"),
        ours("6", "Capabilities", "no mode that the client does not have", "protocol/test_eras.py::test_a_client_is_asked_only_what_it_said_it_can_answer"),
        other("7,9-11", "Elicitation Requests", "what a question has in it", "the upstream's; mcpguard passes on what it asks, inspected"),
        ours("8", "Elicitation Requests", "a question without a mode is a form", "protocol/test_eras.py::test_a_client_is_asked_only_what_it_said_it_can_answer"),
        ours("12-13", "Completion Notifications for URL Mode Elicitation", "the end of a visit is sent to whoever was asked, with its id", "gateway/lists/test_notices.py::test_only_the_server_that_asked_for_a_visit_can_say_that_it_is_over"),
        ours("14", "Completion Notifications for URL Mode Elicitation", "an unknown end of a visit is ignored", "gateway/lists/test_notices.py::test_only_the_server_that_asked_for_a_visit_can_say_that_it_is_over", "gateway/lists/test_notices.py::test_above_the_limit_the_oldest_visit_is_forgotten"),
        ours("15-17", "URL Elicitation Required Error", "the error that wants a URL visited has its list", "gateway/questions/test_other_asking.py::test_a_legacy_client_gets_the_error_that_asks_for_a_visit_as_it_is", "gateway/questions/test_other_asking.py::test_an_error_that_asks_for_a_visit_is_judged_like_a_question", "gateway/questions/test_other_asking.py::test_an_error_that_asks_in_another_form_is_refused"),
        ours("18-20", "Statefulness", "state is bound to its user and protected, not to a session alone", "attack/test_http_identity.py::test_two_principals_share_no_upstream_and_no_state_of_a_suspended_call", "gateway/questions/test_round_trips_parked.py::test_a_state_of_another_client_leads_nowhere"),
        ours("21", "Statefulness", "who the user is comes from authorization", "attack/test_http_identity.py::test_a_good_token_gives_the_principal_on_record"),
        other("22", "URL Mode Elicitation for OAuth Flows", "a visit to a URL does not authorize users of mcpguard", "mcpguard authorizes by tokens only (adapters/bearer)"),
        ours("23-26", "Understanding the Distinction", "credentials of third parties stay off the client", "attack/test_http_identity.py::test_the_clients_authorization_never_reaches_an_upstream", "attack/test_bridge_attacks.py::test_a_secret_in_a_question_is_taken_out_for_both_eras"),
        ours("27-28", "Error Handling", "common failures are standard errors", "gateway/questions/test_questions.py::test_a_question_that_the_client_cannot_answer_is_refused_for_it", "gateway/questions/test_questions.py::test_an_error_of_the_client_goes_back_as_it_is"),
        ours("29", "Security Considerations", "a question is bound to its client and user", "gateway/questions/test_questions.py::test_an_answer_goes_to_the_server_that_asked_and_to_no_other", "attack/test_bridge_attacks.py::test_two_clients_that_are_asked_under_the_same_id_answer_their_own_upstreams_only"),
        other("30", "Security Considerations", "the client shows who asks", "the client's user interface; the record names the upstream (test_the_record_of_a_question_names_method_server_and_rule_and_what_was_asked)"),
        ours("31", "Safe URL Handling", "no sensitive value in a URL", "gateway/questions/test_questions.py::test_a_secret_in_a_question_is_gone_and_recorded"),
        other("32", "Safe URL Handling", "no URL that is authenticated already", "the upstream's, which makes the URL"),
        other("33-37", "Safe URL Handling", "how a client opens URLs", "the client's user interface; mcpguard opens no URL of a question"),
        ours("38", "Identifying the User", "claims of who the user is are verified", "gateway/test_gateway.py::test_claims_of_the_client_never_change_a_verdict_or_the_recorded_principal"),
        other("39", "Form Mode Security", "no sensitive data by form", "the upstream's"),
        other("40-42", "Phishing", "who opens the URL is who was asked", "the upstream's, which serves the URL"),
    )),
    Page("2025-11-25", "client/roots", 4, (
        ours("1", "Capabilities", "a client with roots declares them", "adapters/upstreams/session/test_greeting.py::test_a_legacy_server_is_initialized_with_what_the_client_declares"),
        ours("2", "Root List Changes", "changed roots are told", "gateway/test_eras.py::test_changed_roots_are_told_to_upstreams_of_a_legacy_client_only"),
        other("3", "Root", "a root is a `file:` URI", "the client's"),
        other("4", "Security Considerations", "a client exposes what it may, and validates", "the client's; policies can deny roots/list (test_what_is_decided_is_an_action_that_a_rule_can_name)"),
    )),
    Page("2025-11-25", "client/sampling", 9, (
        ours("1-2", "Tools in Sampling", "tools in sampling need `sampling.tools`", "protocol/test_eras.py::test_a_client_is_asked_only_what_it_said_it_can_answer"),
        ours("3", "Capabilities", "a client that samples declares it", "adapters/upstreams/session/test_greeting.py::test_a_legacy_server_is_initialized_with_what_the_client_declares"),
        other("4-7,9", "Tool Result Messages", "what messages of sampling have in them, and what the model does", "the upstream's and the client's; mcpguard passes both on, inspected"),
        ours("8", "Security Considerations", "sensitive data is handled with care", "gateway/questions/test_questions.py::test_a_secret_in_a_question_is_gone_and_recorded"),
    )),
    Page("2025-11-25", "server/prompts", 5, (
        ours("1", "Capabilities", "a server with prompts declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        other("2-4", "Image Content", "what images, audio and resources in prompts have", "the upstream's; mcpguard passes content on (test_content_of_every_type_arrives)"),
        ours("5", "Security", "inputs and outputs of prompts are validated", "gateway/test_prompts.py::test_conditions_see_the_prompt_and_its_arguments", "gateway/test_prompts.py::test_a_secret_in_any_message_of_a_prompt_is_gone"),
    )),
    Page("2025-11-25", "server/resources", 4, (
        ours("1", "Capabilities", "a server with resources declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        other("2", "Custom URI Schemes", "own schemes follow RFC 3986", "of whoever makes URIs; mcpguard keeps their text (test_a_uri_keeps_its_text_and_belongs_to_who_listed_it_first)"),
        ours("3", "Security Considerations", "URIs are validated", "gateway/test_resources.py::test_a_uri_goes_to_the_server_whose_template_makes_it", "protocol/test_catalogue.py::test_what_nobody_lists_belongs_to_the_only_server_and_with_several_to_none"),
        other("4", "Security Considerations", "binary data is encoded", "the upstream's; a blob that hides a held value is redacted (test_a_secret_in_any_part_of_what_is_read_is_gone_and_counted)"),
    )),
    Page("2025-11-25", "server/tools", 5, (
        ours("1", "Capabilities", "a server with tools declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        other("2", "Tool", "a schema is an object", "the upstream's; mcpguard passes schemas on (test_a_schema_of_any_depth_is_read)"),
        other("3", "Tool", "annotations are claims", "of the user's interface; for policies they are claims of the upstream"),
        other("4", "Output Schema", "structured results fit their schema", "the upstream's; mcpguard passes them on (test_values_pass_through_unchanged)"),
        ours("5", "Security Considerations", "servers validate, control access, limit and sanitize", "gateway/test_eras.py::test_without_a_rule_no_decided_method_reaches_an_upstream", "gateway/test_gateway.py::test_a_secret_in_a_result_is_replaced_and_recorded_without_its_value"),
    )),
    Page("2025-11-25", "server/utilities/completion", 2, (
        ours("1", "Capabilities", "a server with completions declares them", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        ours("2", "Security", "input is validated, access controlled, nothing disclosed", "protocol/test_calls.py::test_a_completion_that_cannot_be_read_is_refused", "gateway/test_prompts.py::test_a_completion_of_something_hidden_is_as_one_of_something_missing", "gateway/test_prompts.py::test_a_secret_among_the_values_of_a_completion_is_gone"),
    )),
    Page("2025-11-25", "server/utilities/logging", 2, (
        ours("1", "Capabilities", "a server that logs declares it", "protocol/test_eras_lifecycle.py::test_only_what_is_served_is_declared_on_either_side"),
        ours("2", "Security", "log messages hold no credentials", "gateway/lists/test_notices.py::test_a_secret_in_any_notification_is_gone"),
    )),
    Page("2025-11-25", "server/utilities/pagination", 2, (
        ours("1", "Pagination Model", "a client assumes no size of a page", "gateway/lists/test_lists.py::test_every_page_is_fetched_with_the_cursor_that_the_server_gave"),
        ours("2", "Implementation Guidelines", "a cursor is opaque", "gateway/lists/test_lists.py::test_every_page_is_fetched_with_the_cursor_that_the_server_gave", "gateway/test_requirements.py::test_an_empty_cursor_is_a_cursor"),
    )),
)
