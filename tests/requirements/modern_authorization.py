"""Revision 2026-07-28: authorization.

Law of this file: a row is one line; `rows` says what stands in it, `ledger` how sentences are numbered.
"""

from __future__ import annotations

from tests.requirements.rows import Page, other, ours

# fmt: off
PAGES = (
    Page("2026-07-28", "basic/authorization/authorization-server-discovery", 12, (
        ours("1", "Authorization Server Location", "protected resource metadata names the authorization servers", "adapters/transports/http/test_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
        ours("2", "Authorization Server Location", "at least one", "adapters/transports/http/test_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
        ours("3", "Authorization Server Location", "what a login left is used with its own authorization server only", "adapters/credentials/oauth/test_renewal.py::test_a_login_for_something_else_is_not_used", "adapters/credentials/oauth/test_renewal.py::test_a_renewal_goes_to_the_issuer_of_the_login_with_its_resource"),
        ours("4", "Protected Resource Metadata Discovery Requirements", "the metadata is found by the challenge or the well-known place", "adapters/transports/http/test_sessions.py::test_a_request_without_a_good_token_is_told_where_to_get_one", "adapters/transports/http/test_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
        ours("5", "Protected Resource Metadata Discovery Requirements", "a client follows the challenge, and looks at the well-known places without one", "adapters/credentials/oauth/test_login.py::test_a_login_finds_registers_asks_and_keeps_the_tokens_in_the_keychain", "adapters/credentials/oauth/test_login.py::test_the_metadata_of_a_resource_is_looked_for_where_the_sdk_looks"),
        ours("6", "Protected Resource Metadata Discovery Requirements", "a client reads the challenge and responds to 401", "adapters/credentials/oauth/test_hostile.py::test_the_scope_of_a_challenge_is_asked_for", "wire/test_oauth.py::test_a_token_that_the_server_refuses_is_renewed_once_and_the_call_made"),
        ours("7-9", "Authorization Server Metadata Discovery", "the well-known places of an issuer, in their order", "adapters/credentials/oauth/test_login.py::test_metadata_is_looked_for_where_the_sdk_looks"),
        ours("10-12", "Authorization Server Metadata Discovery", "metadata of another issuer is not used", "adapters/credentials/oauth/test_hostile.py::test_metadata_of_an_authorization_server_that_cannot_be_right_is_refused", "adapters/transports/http/test_bearer.py::test_metadata_that_is_not_the_issuers_own_gives_no_keys"),
    )),
    Page("2026-07-28", "basic/authorization/client-registration", 12, (
        ours("1,3", "Implementation Requirements", "a client id that is a document is an https URL with a path", "adapters/credentials/oauth/test_login.py::test_a_document_of_ours_is_the_client_id_where_the_server_takes_that", "config/test_minted_oauth.py::test_a_mistake_in_oauth_is_told_at_its_place"),
        other("2,4-5", "Implementation Requirements", "what stands in the document of a client, and where", "who configures `client_metadata_url` publishes it"),
        other("6-8", "Implementation Requirements", "what an authorization server does", "mcpguard is a resource server"),
        ours("9", "Application Type and Redirect URI Constraints", "a registration says that the application is a native one", "adapters/credentials/oauth/test_login.py::test_a_login_finds_registers_asks_and_keeps_the_tokens_in_the_keychain"),
        ours("10", "Application Type and Redirect URI Constraints", "a registration that is refused is said, with what to do instead", "adapters/credentials/oauth/test_login.py::test_where_a_registration_is_refused_the_sentence_says_what_to_make"),
        ours("11", "Authorization Server Binding", "a client belongs to its authorization server", "config/test_minted_oauth.py::test_a_mistake_in_oauth_is_told_at_its_place", "adapters/credentials/oauth/test_hostile.py::test_the_configured_issuer_must_be_one_of_the_mcp_servers_own", "adapters/credentials/oauth/test_renewal.py::test_a_login_for_something_else_is_not_used"),
        ours("12", "Authorization Server Binding", "and is used at no other: each login registers again", "adapters/credentials/oauth/test_renewal.py::test_a_renewal_goes_to_the_issuer_of_the_login_with_its_resource", "adapters/credentials/oauth/test_renewal.py::test_a_client_that_the_server_forgot_says_to_log_in_and_that_makes_a_new_one"),
    )),
    Page("2026-07-28", "basic/authorization/index", 37, (
        other("1", "Protocol Requirements", "other transports follow good practice", "stdio takes the user of the operating system, who is who started mcpguard"),
        other("2,5,12", "Overview", "what an authorization server does", "mcpguard is a resource server"),
        ours("3", "Overview", "a server has protected resource metadata", "adapters/transports/http/test_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
        ours("4,6", "Overview", "a client finds the authorization server by the metadata of the resource, in both ways", "adapters/credentials/oauth/test_login.py::test_a_login_finds_registers_asks_and_keeps_the_tokens_in_the_keychain", "adapters/credentials/oauth/test_login.py::test_the_metadata_of_a_resource_is_looked_for_where_the_sdk_looks"),
        other("7", "Authorization Server Discovery", "discovery follows its page", "a heading: the rows of that page say it"),
        ours("8", "Client Registration", "a client id by hand, by a document or by registration", "adapters/credentials/oauth/test_login.py::test_a_client_that_was_made_by_hand_is_used_and_its_secret_is_not_kept", "adapters/credentials/oauth/test_login.py::test_a_document_of_ours_is_the_client_id_where_the_server_takes_that", "adapters/credentials/oauth/test_login.py::test_a_login_finds_registers_asks_and_keeps_the_tokens_in_the_keychain"),
        ours("9-10", "Scope Selection Strategy", "the scopes of a challenge are what is asked for", "adapters/credentials/oauth/test_hostile.py::test_the_scope_of_a_challenge_is_asked_for"),
        ours("11,13,15-16", "Authorization Response Validation", "an answer from another issuer is not taken, and its error is not shown", "adapters/credentials/oauth/test_login.py::test_an_answer_that_is_not_to_this_login_is_not_taken", "adapters/credentials/oauth/test_login.py::test_a_server_that_names_itself_must_do_so"),
        other("14", "Authorization Response Validation", "what a later revision may ask for", "nothing to keep yet"),
        ours("17-21", "Resource Parameter Implementation", "requests for a token name the server that it is for", "adapters/credentials/oauth/test_login.py::test_the_authorization_request_has_pkce_state_and_the_resource", "adapters/credentials/oauth/test_renewal.py::test_a_renewal_goes_to_the_issuer_of_the_login_with_its_resource"),
        ours("22-23", "Token Requirements", "an access token goes in the header `Authorization`", "adapters/transports/http/test_bearer.py::test_the_token_is_read_from_the_header", "adapters/transports/http/test_bearer.py::test_a_header_without_a_token_is_refused"),
        ours("24", "Token Requirements", "and with every request", "attack/test_http_identity.py::test_no_token_but_a_good_one_opens_anything_and_none_is_quoted"),
        ours("25", "Token Requirements", "and never in the query", "adapters/transports/http/test_requirements.py::test_a_token_in_the_query_is_none"),
        ours("26", "Token Handling", "a token is validated", "adapters/transports/http/test_bearer.py::test_a_token_with_a_wrong_claim_is_refused", "adapters/transports/http/test_bearer.py::test_a_forged_token_is_refused"),
        ours("27,31", "Token Handling", "a token must be for us", "adapters/transports/http/test_bearer.py::test_our_audience_may_be_one_of_several", "adapters/transports/http/test_bearer.py::test_a_token_with_a_wrong_claim_is_refused"),
        ours("28-29", "Token Handling", "an invalid or expired token is 401", "adapters/transports/http/test_sessions.py::test_a_request_without_a_good_token_is_told_where_to_get_one", "attack/test_http_identity.py::test_no_token_but_a_good_one_opens_anything_and_none_is_quoted"),
        ours("30", "Token Handling", "a server gets tokens of its authorization server only", "attack/test_http_credentials.py::test_each_upstream_gets_its_own_credential_and_no_other"),
        ours("32", "Token Handling", "no other tokens are accepted or passed on", "attack/test_http_identity.py::test_the_clients_authorization_never_reaches_an_upstream"),
        ours("33", "Refresh Tokens", "refresh tokens are confidential", "attack/test_oauth_leaks.py::test_the_refresh_token_and_the_client_secret_never_go_to_the_mcp_server", "attack/test_oauth_leaks.py::test_a_server_that_gives_its_tokens_away_gives_none_to_the_client", "adapters/credentials/oauth/test_login.py::test_nothing_of_a_login_is_on_the_disk"),
        ours("34", "Refresh Tokens", "and there may be none", "adapters/credentials/oauth/test_renewal.py::test_without_any_refresh_token_the_end_says_to_log_in"),
        ours("35", "Error Handling", "errors have the right status", "attack/test_http_identity.py::test_a_scope_that_is_missing_is_403_with_its_name", "adapters/transports/http/test_sessions.py::test_a_request_without_a_good_token_is_told_where_to_get_one"),
        other("36", "Step-Up Authorization Flow", "scopes that imply others", "the operator names the scopes that are needed; mcpguard knows no hierarchy"),
        other("37", "Security Considerations", "the security page holds", "a heading: the rows of that page say it"),
    )),
    Page("2026-07-28", "basic/authorization/security-considerations", 27, (
        other("1-2", "", "the page is to be considered", "a heading"),
        ours("3,27", "Token Audience Binding and Validation", "requests for a token name the server that it is for", "adapters/credentials/oauth/test_login.py::test_the_authorization_request_has_pkce_state_and_the_resource", "adapters/credentials/oauth/test_renewal.py::test_a_renewal_goes_to_the_issuer_of_the_login_with_its_resource"),
        ours("4,23-25", "Token Audience Binding and Validation", "a token is for us, or it is refused", "adapters/transports/http/test_bearer.py::test_a_token_with_a_wrong_claim_is_refused", "attack/test_http_identity.py::test_no_token_but_a_good_one_opens_anything_and_none_is_quoted"),
        ours("5", "Token Theft", "tokens are in the keychain; of a client's own only a digest is remembered, for a minute", "adapters/credentials/oauth/test_login.py::test_nothing_of_a_login_is_on_the_disk", "adapters/transports/http/test_bearer.py::test_a_token_is_verified_once_a_minute"),
        other("6,8,16,18-21", "Token Theft", "what an authorization server does", "mcpguard is a resource server"),
        ours("7", "Communication Security", "communication is protected", "adapters/test_network.py::test_a_document_from_a_private_or_an_unprotected_place_is_refused", "attack/test_http_front.py::test_without_a_token_no_address_but_loopback_is_listened_on"),
        ours("9,17", "Communication Security", "the redirect URI is on loopback and registered", "adapters/credentials/oauth/test_login.py::test_a_login_finds_registers_asks_and_keeps_the_tokens_in_the_keychain"),
        ours("10-15", "Authorization Code Protection", "PKCE with S256, and no login without it", "adapters/credentials/oauth/test_login.py::test_the_authorization_request_has_pkce_state_and_the_resource", "adapters/credentials/oauth/test_hostile.py::test_metadata_of_an_authorization_server_that_cannot_be_right_is_refused"),
        other("22", "Confused Deputy Problem", "a proxy with a static client id asks for consent", "mcpguard forwards to no authorization server"),
        ours("26", "Access Token Privilege Restriction", "the client's token is not passed on", "attack/test_http_identity.py::test_the_clients_authorization_never_reaches_an_upstream"),
    )),
)
