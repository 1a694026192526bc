"""Whom a credential is for, and the port through which upstreams get theirs.

Law of this file: no credential is requested without naming its recipient.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from mcpguard.core.model import Principal
from mcpguard.core.secret import CredentialRef, Secret


class Recipient(Struct, frozen=True):
    """Whom a credential is for: an upstream by its name, the host that it is at (None for a program), and
    who is responsible for the call."""

    server: str
    host: str | None
    principal: Principal


class Credentials(Protocol):
    """What gives upstreams their credentials. All of it may block and is called in threads; `known` and
    `remaining` never do."""

    def get(self, ref: CredentialRef, to: Recipient) -> Secret:
        """The value now, which the redactor holds already. Raises CredentialError with a sentence that names
        `ref`: it is not for `to`, or is unavailable."""

    def known(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        """What `get` would give, where that needs nothing but a look; None where it may take time, or may
        fail."""

    def refused(self, ref: CredentialRef, to: Recipient, secret: Secret | None = None) -> None:
        """`to` did not take `secret` (HTTP 401 or 403), None for the one that was given last: the next one
        shall be new. Nothing happens where it is not the last one any more, so many calls may say so at
        once; nor a second time within seconds, since a new one does not help. Raises as `get`."""

    def remaining(self, ref: CredentialRef, to: Recipient) -> float | None:
        """Seconds until the value that was given last ends at its source, 0 where it has; None where it does
        not end by itself, or none was given."""
