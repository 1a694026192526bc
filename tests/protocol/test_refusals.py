"""What a refusal says."""

from datetime import UTC, datetime

from mcpguard.core.model import Cause, Invocation, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.pdp import NO_SESSION
from mcpguard.protocol.refusals import denied_result


def test_where_no_rule_is_to_blame_none_is_named() -> None:
    """The state of the session could not be read, since its folder was removed."""
    invocation = Invocation(
        "i1", "tools/call", Principal("1000", "os-user"), datetime(2026, 1, 2, tzinfo=UTC)
    )
    deny = pdp.no_session(invocation)
    assert (deny.cause, deny.rules) == (Cause.ERROR, ())
    said = f"Refused by mcpguard: {NO_SESSION} [invocation i1]"
    assert denied_result(deny)["content"] == [{"type": "text", "text": said}]
