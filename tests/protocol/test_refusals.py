"""What a refusal says."""

from datetime import UTC, datetime

from mcpguard.core.model import Cause, Deny, Invocation, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.pdp import NO_SESSION
from mcpguard.protocol.refusals import denied_result, withheld


def test_where_no_rule_is_to_blame_none_is_named() -> None:
    """The state of the session could not be read, since its folder was removed."""
    invocation = Invocation(
        "i1", "tools/call", Principal("1000", "os-user"), datetime(2026, 1, 2, tzinfo=UTC)
    )
    deny = pdp.no_session(invocation)
    assert (deny.cause, deny.rules) == (Cause.ERROR, ())
    said = f"Refused by mcpguard: {NO_SESSION} [invocation i1]"
    assert denied_result(deny)["content"] == [{"type": "text", "text": said}]


def test_whoever_is_on_another_machine_is_told_who_can_run_the_command() -> None:
    """Over HTTP the client has neither the evidence nor, most likely, mcpguard."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    for source, who in (
        ("os-user", "A person"),
        ("http", "An operator of this gateway"),
        ("https://login.example", "An operator of this gateway"),
    ):
        invocation = Invocation("i1", "tools/call", Principal("ada", source), now)
        (content,) = denied_result(Deny(invocation, Cause.NO_RULE))["content"]
        assert f" {who} can see why with `mcpguard explain i1`." in content["text"]
        assert (
            f" {who} can see why with `mcpguard explain i1`." in withheld("too much", invocation)["message"]
        )
