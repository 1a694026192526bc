"""Passkeys of approvers (WebAuthn Level 3, with user verification): what a browser is asked for, and whether
what it answers proves an approval.

Law of this file: a passkey signs one answer to one ticket, and counts only where its public key is in the
configuration; whatever cannot be checked proves nothing.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import msgspec
from msgspec import Struct

from mcpguard.adapters.system.shipped import command_for_extra
from mcpguard.core.errors import SessionError
from mcpguard.core.expressions import expression
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, challenge_of

RP_ID = "localhost"
"""The console is local, so browsers know its passkeys by this name (WebAuthn, section 5.1.3)."""
MOST = 16_384
"""The longest assertion, in characters."""

_ORIGIN = expression(r"http://localhost(?::[0-9]{1,5})?")
_TIMEOUT = 120_000
"""Milliseconds that a browser waits for the person."""


class Passkey(Struct, frozen=True):
    """A passkey of `person` ("SOURCE:ID"), who is in `groups`: the id of the credential and its public key
    (COSE), both as base64url without padding."""

    person: str
    groups: tuple[str, ...]
    id: str
    key: str


class Passkeys:
    """Those that the configuration names. The first use imports a library, which takes half a second."""

    def __init__(self, passkeys: Iterable[Passkey]) -> None:
        self._by_id = {one.id: one for one in passkeys}

    def holder(self, assertion: str) -> Passkey:
        """Whose passkey the assertion claims to be of, unproven. Raises SessionError where it is unknown."""
        claimed: Any = None
        if len(assertion) <= MOST:
            try:
                claimed = msgspec.json.decode(assertion)
            except (ValueError, RecursionError):
                claimed = None
        known = claimed.get("id") if type(claimed) is dict else None
        found = self._by_id.get(known) if type(known) is str else None
        if found is None:
            raise SessionError("this passkey is not in `approvals.passkeys` of the configuration")
        return found

    def objection(self, ticket: Ticket, answer: TicketAnswer) -> str:
        """Why the assertion of `answer` does not prove it, the rest of a sentence after a colon; "" where it
        does: the passkey of `answer.by` signed exactly this answer to this ticket, with user verification."""
        try:
            holder = self.holder(answer.assertion)
            library = _library()
        except SessionError as problem:
            return str(problem)
        if (holder.person, holder.groups) != (answer.by, answer.groups):
            return f"the passkey is not that of {answer.by}"
        try:
            library.verify_authentication_response(
                credential=answer.assertion,
                expected_challenge=challenge_of(ticket, answer),
                expected_rp_id=RP_ID,
                expected_origin=_origin_of(answer.assertion),
                credential_public_key=_bytes(holder.key),
                # Uses are not counted: a passkey on several devices cannot, and each ticket has one answer.
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except Exception:  # The library raises errors of the libraries below it as well.
            return "the passkey did not sign this approval"
        return ""

    def request(self, ticket: Ticket, answer: TicketAnswer) -> dict[str, Any]:
        """The options of `navigator.credentials.get` for that answer, as JSON
        (PublicKeyCredentialRequestOptionsJSON)."""
        return {
            "challenge": _text(challenge_of(ticket, answer)),
            "rpId": RP_ID,
            "timeout": _TIMEOUT,
            "userVerification": "required",
            "allowCredentials": [{"type": "public-key", "id": one} for one in self._by_id],
        }


def enrolment(person: str) -> tuple[bytes, dict[str, Any]]:
    """A challenge and the options of `navigator.credentials.create` for a passkey of `person`, as JSON
    (PublicKeyCredentialCreationOptionsJSON)."""
    challenge = secrets.token_bytes(32)
    algorithms = (-8, -7, -257)  # EdDSA, ES256 and RS256 (IANA, COSE Algorithms).
    return challenge, {
        "challenge": _text(challenge),
        "rp": {"id": RP_ID, "name": "mcpguard"},
        # Another person, or the same one again, has a passkey of their own.
        "user": {"id": _text(secrets.token_bytes(16)), "name": person, "displayName": person},
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in algorithms],
        "timeout": _TIMEOUT,
        "attestation": "none",
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "required"},
    }


def enrolled(person: str, groups: tuple[str, ...], challenge: bytes, answer: str) -> Passkey:
    """The passkey that a browser made for `challenge`. Raises SessionError where it proves none."""
    library = _library()
    try:
        if len(answer) > MOST:
            raise ValueError
        made = library.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=RP_ID,
            expected_origin=_origin_of(answer),
            require_user_verification=True,
        )
    except Exception:  # As above.
        raise SessionError("the browser made no passkey that can be used: try again") from None
    return Passkey(person, groups, _text(made.credential_id), _text(made.credential_public_key))


def _library() -> ModuleType:
    try:
        import webauthn
    except ImportError:
        said = "a passkey is needed, and the package `webauthn` is missing"
        raise SessionError(f"{said}: run `{command_for_extra('passkeys')}`") from None
    return webauthn


def _origin_of(credential: str) -> str:
    """The origin that the browser states, where it is a page of this machine: the console has another port
    each time. Raises ValueError, KeyError or TypeError."""
    stated = json.loads(_bytes(json.loads(credential)["response"]["clientDataJSON"]))["origin"]
    if not _ORIGIN.fullmatch(stated):
        raise ValueError("another origin")
    return str(stated)


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
