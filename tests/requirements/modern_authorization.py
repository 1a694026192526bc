"""Revision 2026-07-28: authorization.

Law of this file: a row is one line; `rows` says what stands in it, `ledger` how sentences are numbered.
"""

from __future__ import annotations

from tests.requirements.rows import Page, other, ours

# fmt: off
PAGES = (
    Page("2026-07-28", "basic/authorization/authorization-server-discovery", 12, (
        ours("1", "Authorization Server Location", "protected resource metadata names the authorization servers", "transports/test_http_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
        ours("2", "Authorization Server Location", "at least one", "transports/test_http_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
        other("3,5-12", "Authorization Server Location", "what a client does", "mcpguard is no OAuth client; for keys it checks the issuer too (test_metadata_that_is_not_the_issuers_own_gives_no_keys)"),
        ours("4", "Protected Resource Metadata Discovery Requirements", "the metadata is found by the challenge or the well-known place", "transports/test_http_sessions.py::test_a_request_without_a_good_token_is_told_where_to_get_one", "transports/test_http_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
    )),
    Page("2026-07-28", "basic/authorization/index", 37, (
        other("1", "Protocol Requirements", "other transports follow good practice", "stdio takes the user of the operating system, who is who started mcpguard"),
        other("2,5,12,14", "Overview", "what an authorization server does", "mcpguard is a resource server"),
        ours("3", "Overview", "a server has protected resource metadata", "transports/test_http_sessions.py::test_the_metadata_of_the_resource_needs_no_token"),
        other("4,6,8-11,13,15-21", "Overview", "what a client does for a token", "mcpguard gets no tokens: the credential of an upstream is configured"),
        other("7", "Authorization Server Discovery", "discovery follows its page", "a heading: the rows of that page say it"),
        ours("22-23", "Token Requirements", "an access token goes in the header `Authorization`", "transports/test_bearer.py::test_the_token_is_read_from_the_header", "transports/test_bearer.py::test_a_header_without_a_token_is_refused"),
        ours("24", "Token Requirements", "and with every request", "attack/test_http_identity.py::test_no_token_but_a_good_one_opens_anything_and_none_is_quoted"),
        ours("25", "Token Requirements", "and never in the query", "transports/test_http_requirements.py::test_a_token_in_the_query_is_none"),
        ours("26", "Token Handling", "a token is validated", "transports/test_bearer.py::test_a_token_with_a_wrong_claim_is_refused", "transports/test_bearer.py::test_a_forged_token_is_refused"),
        ours("27,31", "Token Handling", "a token must be for us", "transports/test_bearer.py::test_our_audience_may_be_one_of_several", "transports/test_bearer.py::test_a_token_with_a_wrong_claim_is_refused"),
        ours("28-29", "Token Handling", "an invalid or expired token is 401", "transports/test_http_sessions.py::test_a_request_without_a_good_token_is_told_where_to_get_one", "attack/test_http_identity.py::test_no_token_but_a_good_one_opens_anything_and_none_is_quoted"),
        ours("30", "Token Handling", "a server gets tokens of its authorization server only", "attack/test_http_credentials.py::test_each_upstream_gets_its_own_credential_and_no_other"),
        ours("32", "Token Handling", "no other tokens are accepted or passed on", "attack/test_http_identity.py::test_the_clients_authorization_never_reaches_an_upstream"),
        other("33-34", "Refresh Tokens", "refresh tokens", "mcpguard has none"),
        ours("35", "Error Handling", "errors have the right status", "attack/test_http_identity.py::test_a_scope_that_is_missing_is_403_with_its_name", "transports/test_http_sessions.py::test_a_request_without_a_good_token_is_told_where_to_get_one"),
        other("36", "Step-Up Authorization Flow", "scopes that imply others", "the operator names the scopes that are needed; mcpguard knows no hierarchy"),
        other("37", "Security Considerations", "the security page holds", "a heading: the rows of that page say it"),
    )),
    Page("2026-07-28", "basic/authorization/security-considerations", 27, (
        other("1-2", "", "the page is to be considered", "a heading"),
        other("3,10-17,21,27", "Token Audience Binding and Validation", "what a client does for a token", "mcpguard is no OAuth client"),
        ours("4,23-25", "Token Audience Binding and Validation", "a token is for us, or it is refused", "transports/test_bearer.py::test_a_token_with_a_wrong_claim_is_refused", "attack/test_http_identity.py::test_no_token_but_a_good_one_opens_anything_and_none_is_quoted"),
        other("5", "Token Theft", "tokens are stored safely", "mcpguard stores no tokens; it remembers the digest of a good one for a minute (test_a_token_is_verified_once_a_minute)"),
        other("6,8-9,18-20", "Token Theft", "what an authorization server does", "mcpguard is a resource server"),
        ours("7", "Communication Security", "communication is protected", "upstreams/test_outbound.py::test_a_document_from_a_private_or_an_unprotected_place_is_refused", "attack/test_http_front.py::test_without_a_token_no_address_but_loopback_is_listened_on"),
        other("22", "Confused Deputy Problem", "a proxy with a static client id asks for consent", "mcpguard forwards to no authorization server"),
        ours("26", "Access Token Privilege Restriction", "the client's token is not passed on", "attack/test_http_identity.py::test_the_clients_authorization_never_reaches_an_upstream"),
    )),
)
