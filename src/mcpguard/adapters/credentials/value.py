"""What a plain source has, as it is or, in an entry `value` of `credentials`, under a name and a binding."""

from __future__ import annotations

from collections.abc import Callable

from mcpguard.core.secret import CredentialRef, Lease, Secret, filled, parse_template


class ValueMint:
    """Implements `ports.Mint`: nothing is made, the sources are read again each time."""

    def __init__(self, _name: str, made: str, secret: Callable[[CredentialRef], Secret]) -> None:
        """`made` is a text with references; `secret` resolves one."""
        self._template = parse_template(made)
        self._secret = secret

    def lease(self) -> Lease:
        """See `ports.Mint.lease`; the sources do not say how long."""
        return Lease(filled(self._template, [self._secret(ref) for ref in self._template.refs]))

    def renew(self, lease: Lease) -> Lease | None:
        """See `ports.Mint.renew`: there is nothing to renew."""
        return None

    def refused(self) -> None:
        """See `ports.Mint.refused`: the next `lease` reads again anyway."""
