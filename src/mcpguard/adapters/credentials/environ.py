"""`${env:NAME}`: from mcpguard's own environment, which no child process inherits."""

import os
from collections.abc import Iterable

from mcpguard.adapters.system.own_process import take_variable
from mcpguard.core.errors import CredentialError, MissingError
from mcpguard.core.secret import CredentialRef, Secret

_taken: dict[str, Secret] = {}  # As the environment itself: one of the process.
_dropped: dict[str, Secret] = {}


def take(names: Iterable[str]) -> None:
    """Move variables out of the environment, so that the system does not show them; `Environ` still has
    them. One that is not set or is empty is not a credential."""
    _move(names, _taken)


def drop(names: Iterable[str]) -> None:
    """As `take`, and no server is given them: they are for what another process serves. `quietly` has them,
    so that they are recognised in answers."""
    _move(names, _dropped)


def _move(names: Iterable[str], to: dict[str, Secret]) -> None:
    to |= {name: Secret(value) for name in names if (value := take_variable(name))}


def variable(name: str) -> str | None:
    """A variable that mcpguard was started with, for a program that needs it; None where it was not set."""
    taken = _taken.get(name)
    return os.environ.get(name) if taken is None else taken.reveal()


def quietly(ref: CredentialRef) -> Secret:
    """See `SourceKind.quietly`."""
    dropped = _dropped.get(ref.name)
    return Environ().get(ref) if dropped is None else dropped


class Environ:
    """Implements `ports.CredentialSource`. An empty variable counts as missing."""

    def get(self, ref: CredentialRef) -> Secret:
        """The variable's value now; CredentialError where it is unset or empty."""
        value = os.environ.get(ref.name)
        if value is None and ref.name in _taken:
            return _taken[ref.name]
        if not value and ref.name in _dropped:
            raise CredentialError(f"{ref} was for other clients when mcpguard was started: restart it")
        if not value:
            raise MissingError(
                f"{ref} is not set",
                f"export {ref.name} where mcpguard is started, or refer to the keychain or a file instead "
                "(`mcpguard help hold-a-credential`)",
            )
        return Secret(value)

    def has(self, ref: CredentialRef) -> bool:
        return ref.name in _taken or bool(os.environ.get(ref.name))
