"""A credential source in memory, for tests of what stands above it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mcpguard.adapters.credentials import MintKind
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Principal
from mcpguard.core.secret import CredentialRef, Lease, Secret
from mcpguard.gateway.ports import Recipient

ADA = Principal("ada", "os-user")


def program(server: str = "s", principal: Principal = ADA) -> Recipient:
    """A server that is a program."""
    return Recipient(server, None, principal)


class FakeCredentials:
    """Implements `ports.Credentials` without a binding. `values` may be changed at any time; `asked` are the
    references that were asked for, and for whom."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.asked: list[tuple[str, Recipient]] = []

    def get(self, ref: CredentialRef, to: Recipient) -> Secret:
        """The value of the name, whatever its source."""
        self.asked.append((str(ref), to))
        if ref.name not in self.values:
            raise CredentialError(f"{ref} is not among the values of this test")
        return Secret(self.values[ref.name])

    def known(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        """None: everything has to be asked for."""
        return None

    def lasting(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        """None: nothing here says how long it lasts."""
        return None

    def refused(self, ref: CredentialRef, to: Recipient, secret: Secret | None = None) -> None:
        """Nothing: each value is read anew."""

    def due(self, ref: CredentialRef, to: Recipient) -> float | None:
        """None: nothing here can be renewed."""
        return None

    def renew(self, ref: CredentialRef, to: Recipient) -> None:
        """Nothing: nothing here is due."""

    def remaining(self, ref: CredentialRef, to: Recipient) -> float | None:
        """None: nothing here ends."""
        return None


class FakeMint:
    """Implements `ports.Mint`: `value` with the number of the lease, for `seconds`. Raises `error` when set."""

    def __init__(self, value: str = "minted-value", seconds: float | None = None, ends: bool = False) -> None:
        """With `ends` its leases can be ended: `ended` are those that were."""
        self.value = value
        self.seconds = seconds
        self.ends = ends
        self.error: CredentialError | None = None
        self.renews = False
        self.leases = 0
        self.renewed = 0
        self.refusals = 0
        self.ended: list[str] = []
        self.parts: tuple[Secret, ...] = ()
        self.on_end: Callable[[], None] = lambda: None
        self.remains = False

    def lease(self) -> Lease:
        """A new value."""
        if self.error is not None:
            raise self.error
        self.leases += 1
        value = f"{self.value}-{self.leases}"
        end = (lambda: self._end(value)) if self.ends else None
        return Lease(Secret(value), self.seconds, end, self.parts)

    def renew(self, lease: Lease) -> Lease | None:
        """The same for `seconds` more, if it `renews`. Raises `error` when set."""
        if self.error is not None:
            raise self.error
        if not self.renews:
            return None
        self.renewed += 1
        return Lease(lease.secret, self.seconds, lease.end)

    def left(self) -> bool:
        """What a test says that a killed process left."""
        return self.remains

    def recover(self) -> None:
        """Take that back."""
        self.remains = False

    def _end(self, value: str) -> None:
        self.on_end()
        self.ended.append(value)

    def refused(self) -> None:
        """Counted."""
        self.refusals += 1


class FakeSource:
    """Implements `ports.CredentialSource`; `values` may be changed at any time."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def get(self, ref: CredentialRef) -> Secret:
        """The value now."""
        if ref.name not in self.values:
            raise CredentialError(f"{ref} is not among the values of this test")
        return Secret(self.values[ref.name])

    def has(self, ref: CredentialRef) -> bool:
        """Whether there is one."""
        return ref.name in self.values


class FakeKind(MintKind):
    """A kind of entry whose mints a test makes."""

    make: Callable[..., FakeMint]

    def load(self) -> Callable[..., FakeMint]:
        """What makes one."""
        return self.make


def kind(
    make: Callable[..., FakeMint],
    per_principal: bool = False,
    recovers: bool = False,
    pause: float = 1.0,
) -> FakeKind:
    """One whose mints `make(name, made, secret)` makes; values without an end are kept for 300 seconds."""
    found = FakeKind("", "", per_principal, pause=pause, recovers=recovers, renews=True)
    found.make = make
    return found


class FakeGuard:
    """What the redactor is to the broker: `held` are the values that it was told of."""

    def __init__(self) -> None:
        self.held: list[str] = []

    def hold_all(self, values: Iterable[tuple[str, Secret]]) -> bool:
        """Guard them."""
        new = [secret.reveal() for _name, secret in values]
        self.held += new
        return bool(new)

    def release(self, _name: str, _secret: Secret) -> None:
        """In use no more."""


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Now, in seconds."""
        return self.at
