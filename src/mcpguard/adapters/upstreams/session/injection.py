"""What a request carries when it leaves: its placeholders are filled in here, and nowhere before.

Law of this file: a value is revealed only into the message that goes to the upstream, after the decision is
on record; a request that a rule chose a credential for is never sent with another one (law 3).
"""

from mcpguard.adapters.upstreams.session.listening import UNSUBSCRIBE
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Json, Permit
from mcpguard.core.policy.placeholders import filled
from mcpguard.core.secret import CredentialRef
from mcpguard.protocol.eras import SET_LEVEL

ANYWHERE = frozenset({SET_LEVEL, UNSUBSCRIBE})
"""What every process of a server is told, whatever credential it has."""


def params_of(call: OpenRequest, permit: Permit, lane: str | None) -> dict[str, Json] | None:
    """The params of `call` as they are sent. None where it is not for `lane` or a value is not there: then
    it has failed with CredentialError."""
    try:
        return _filled(call, permit, lane)
    except CredentialError as problem:
        call.fail(problem)
        return None


def _filled(call: OpenRequest, permit: Permit, lane: str | None) -> dict[str, Json]:
    if lane is not None and permit.credential != lane and call.method not in ANYWHERE:
        raise CredentialError(f"this process does not have the credential '{permit.credential}'")
    params = permit.invocation.params or {}
    if not permit.placeholders:
        return params

    def value(ref: CredentialRef) -> str:
        secret = call.values.get(ref)
        if secret is None:
            raise CredentialError(f"there is not a value for {ref}")
        return secret.reveal()

    return {**params, "arguments": filled(params.get("arguments") or {}, permit.placeholders, value)}
