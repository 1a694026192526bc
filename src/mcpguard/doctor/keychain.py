"""The keychain that mcpguard would use: whether there is one, and whether it keeps closed what it gets."""

from collections.abc import Iterator

from mcpguard.adapters.credentials.keychain import leave_out_macos
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.surroundings import Subject

OPEN = (
    "keyrings.alt.file.PlaintextKeyring",
    "keyrings.alt.Windows.RegistryKeyring",
    "keyring.backends.null.Keyring",
    "keyring.backends.fail.Keyring",
)
"""Backends whose values anybody can read who reads the user's files; the last two keep nothing."""


def check(subject: Subject) -> Iterator[Checked]:
    """D305 and D306, where the configuration refers to the keychain."""
    line = _first_use(subject)
    if line is None:
        return
    leave_out_macos()
    from keyring import get_keyring

    backend = get_keyring()
    kinds = [_name(one) for one in getattr(backend, "backends", None) or [backend]]
    # Of a chain, the first one takes what is stored.
    first = kinds[0] if kinds else OPEN[-1]
    if first in OPEN[-2:]:
        yield found("D306", subject.path, "no keychain on this machine can be used", line)
    elif first in OPEN:
        yield found("D305", subject.path, f"the keychain is {first}", line)


def _name(backend: object) -> str:
    kind = type(backend)
    return f"{kind.__module__}.{kind.__name__}"


def _first_use(subject: Subject) -> int | None:
    """The line of the first entry that needs the keychain, None where none does."""
    if subject.config is None:
        return None
    for name, server in subject.config.servers.items():
        if not server.disabled and any(ref.source == "keyring" for ref in server.credentials):
            return subject.line("servers", name)
    for name, entry in subject.config.credentials.items():
        refs = entry.sources | entry.beside
        if entry.kind == "oauth" or any(ref.source == "keyring" for ref in refs):
            return subject.line("credentials", name)
    return None
