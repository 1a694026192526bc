"""`${keyring:NAME}`: the operating system's keychain, through the `keyring` library.

macOS Keychain, Secret Service (GNOME Keyring, KWallet), or what the user's keyring configuration names.
`keyring` takes 0.1 s to import and asks D-Bus, so it is imported at the first use and not before.
"""

import os
import sys
from collections.abc import Callable
from contextlib import closing
from types import ModuleType
from typing import Any, TypeVar

from msgspec import json

from mcpguard.core.errors import CredentialError, MissingError, SourceError
from mcpguard.core.secret import CredentialRef, Secret

SERVICE = "mcpguard"
"""The keychain entry of NAME has this service and the username NAME."""

# keyring cannot list, so the names (never a value) are one more entry, as a JSON list.
_INDEX = ("mcpguard.names", "names")

_RUNTIME = "/run/user"
_MACOS = "keyring.backends.macOS"

T = TypeVar("T")


class Keychain:
    """Implements `ports.CredentialSource`, and what `mcpguard secret` needs.

    All methods raise CredentialError, each time naming what to do, where the keychain is locked, absent
    or failing.
    """

    def get(self, ref: CredentialRef) -> Secret:
        value = self._read(ref.name, ", or refer to a file instead")
        if not value:
            raise MissingError(f"{ref} is not in the keychain", f"run `mcpguard secret set {ref.name}`")
        return Secret(value)

    def has(self, ref: CredentialRef) -> bool:
        """Whether the keychain has an entry; False where it cannot be asked."""
        try:
            return bool(self._read(ref.name))
        except CredentialError:
            return False

    def find(self, name: str) -> str | None:
        """The value now, or None; CredentialError where the keychain cannot be asked."""
        return self._read(name) or None

    def put(self, name: str, value: str) -> None:
        """Store `value`, in place of an older one. Reads it back: some backends drop what they get."""
        _ask(f"keyring:{name}", lambda keyring: keyring.set_password(SERVICE, name, value))
        if self._read(name) != value:
            raise CredentialError(f"keyring:{name} was not stored by the keychain ({_backend()})")
        known = self.names()
        if name not in known:
            self._write_names(sorted({*known, name}))

    def remove(self, name: str) -> None:
        """Forget an entry; CredentialError if there is none."""
        if self._read(name) is None:
            raise CredentialError(f"keyring:{name} is not in the keychain, so there is nothing to remove")
        _ask(f"keyring:{name}", lambda keyring: keyring.delete_password(SERVICE, name))
        self._write_names([other for other in self.names() if other != name])

    def names(self) -> list[str]:
        """The names that `put` stored and `remove` did not remove, sorted."""
        text = _ask("", lambda keyring: keyring.get_password(*_INDEX))
        try:
            return sorted(json.decode(text or "[]", type=list[str]))
        except ValueError:
            raise CredentialError(
                f"the list of names in the keychain (service {_INDEX[0]}) is damaged: delete that entry and "
                "set the credentials again"
            ) from None

    def _write_names(self, names: list[str]) -> None:
        _ask("", lambda keyring: keyring.set_password(*_INDEX, json.encode(names).decode()))

    def _read(self, name: str, instead: str = "") -> str | None:
        value = _ask(f"keyring:{name}", lambda keyring: keyring.get_password(SERVICE, name), instead)
        return value if isinstance(value, str) else None


_NOWHERE = ("keyring.backends.fail.Keyring", "keyring.backends.null.Keyring")
"""Backends that keep nothing."""
_QUIET = (*_NOWHERE, "keyring.backends.Windows.WinVaultKeyring", "keyrings.alt.file.PlaintextKeyring")
_ONCE_UNLOCKED = ("keyring.backends.SecretService.Keyring", "keyring.backends.libsecret.Keyring")
_ENCRYPTING = (
    *_ONCE_UNLOCKED,
    "keyring.backends.kwallet.DBusKeyring",
    "keyring.backends.kwallet.DBusKeyringKWallet4",
    "keyring.backends.macOS.Keyring",
    "keyring.backends.Windows.WinVaultKeyring",
)
"""Backends that encrypt what they store, with a key that is not beside it."""


def quietly(ref: CredentialRef) -> Secret | None:
    """See `SourceKind.quietly`. macOS asks where another program wrote the entry, KWallet where it is
    locked, and of others nothing is known."""
    for name in _backends():
        if name not in _QUIET and not (name in _ONCE_UNLOCKED and is_unlocked()):
            return None
    return Keychain().get(ref)


def in_the_open() -> str:
    """The class of the backend that stores; "" where it is known to encrypt, or keeps nothing."""
    # Of a chain, the first one takes what is stored.
    first = _backends()[0]
    return "" if first in (*_ENCRYPTING, *_NOWHERE) else first


def keeps_nothing() -> bool:
    """Whether there is no keychain on this machine."""
    return _backends()[0] in _NOWHERE


def _backends() -> list[str]:
    """The backends that are asked, in their order."""
    _find_session_bus()
    leave_out_macos()
    import keyring

    try:
        asked = keyring.get_keyring()
    except Exception:
        return [_NOWHERE[0]]  # It is configured and cannot be loaded.
    kinds = map(type, getattr(asked, "backends", None) or [asked])
    return [f"{kind.__module__}.{kind.__name__}" for kind in kinds]


def is_unlocked() -> bool:
    """Whether the Secret Service says that it is unlocked; false where that is unknown. Nobody is asked to
    unlock it, as for a read. May block."""
    _find_session_bus()
    try:
        import secretstorage

        with closing(secretstorage.dbus_init()) as bus:
            return not secretstorage.get_collection_by_alias(bus, "default").is_locked()
    except Exception:
        return False


def _find_session_bus() -> None:
    """Clients start a server with PATH, HOME and little more, so the session's bus, by which a Secret Service
    is asked, is not named. systemd has it at a known place (pam_systemd(8), sd_bus_open_user(3))."""
    bus = f"{_RUNTIME}/{os.getuid()}/bus"
    if "DBUS_SESSION_BUS_ADDRESS" in os.environ or not os.path.exists(bus):
        return
    if os.stat(bus).st_uid == os.getuid():
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={bus}"


def leave_out_macos() -> None:
    """To be called before keyring chooses a backend. Elsewhere than on macOS, its module for that looks for
    Apple's libraries by whatever is called `gcc` and `ld` in PATH."""
    if sys.platform != "darwin":
        sys.modules.setdefault(_MACOS, ModuleType(_MACOS))


UNENCRYPTED = (
    "the keychain is {}, which mcpguard does not know to encrypt what it stores: programs that read your "
    "files may read it. Use a Secret Service (gnome-keyring, KWallet) or the macOS keychain"
)
"""What to say to whoever stores something where `in_the_open` names a backend."""


def _backend() -> str:
    import keyring

    try:
        kind = type(keyring.get_keyring())
    except Exception:
        return "which is configured but cannot be loaded"
    return f"{kind.__module__}.{kind.__name__}"


def _ask(what: str, question: Callable[[Any], T], instead: str = "") -> T:
    """`question(keyring)` about `what`, "" for the keychain itself, with every failure of a backend turned
    into a sentence, where there is no keychain with `instead`. The backend's own words are dropped: a third
    party's exception may quote anything."""
    _find_session_bus()
    leave_out_macos()
    about = f"{what}: " if what else ""
    import keyring
    from keyring.errors import InitError, KeyringLocked, NoKeyringError

    try:
        if _backend() == "keyring.backends.null.Keyring":
            raise NoKeyringError
        return question(keyring)
    except NoKeyringError:
        raise SourceError(
            f"{about}this machine has no keychain that mcpguard can use: start one (on Linux a Secret "
            f"Service such as gnome-keyring){instead}"
        ) from None
    except (KeyringLocked, InitError):
        raise SourceError(
            f"{about}the keychain is locked or cannot be reached: unlock it (log in to the desktop session, "
            "or `gnome-keyring-daemon --unlock`) and try again"
        ) from None
    except Exception as error:
        raise SourceError(
            f"{about}the keychain ({_backend()}) failed with {type(error).__name__}: check it with the "
            "system's own program"
        ) from None
