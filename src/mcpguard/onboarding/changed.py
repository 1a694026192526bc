"""What somebody has changed after the import. A client's file: is mcpguard in it, and what is it without. A
secret: is it another one.

Law of this file: what cannot be read is taken for one that starts mcpguard, and stays.
"""

from __future__ import annotations

from pathlib import Path

from mcpguard.onboarding import disk
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.reading import BOM, ClientFile, parsed
from mcpguard.onboarding.edit_back import put_back
from mcpguard.onboarding.formats.tree import Unreadable
from mcpguard.onboarding.journal import Move, Step, mark
from mcpguard.onboarding.vault import REMOVED, Vault


def encoded(found: ClientFile, text: str) -> bytes:
    """`text` as the bytes of the file `found`."""
    return (BOM + text if found.mark else text).encode()


def uses_us(step: Step) -> bool:
    """Whether a client's file is not what it was before, and starts mcpguard. Raises MoveError."""
    path = Path(step.path)
    now = disk.digest(path)
    if step.back or now in (None, step.before):
        return False
    data = path.read_bytes()
    found = _found(step, data)
    if found is None or found.problem:
        return b"mcpguard" in data
    return any(one.guarded for one in found.entries)


def without_us(step: Step, was: bytes, now: bytes) -> tuple[bytes, list[str]]:
    """The bytes of the file of `step`, which are `now`, with the entries of `was` in place of mcpguard's; and
    the tables that are gone. Raises Unreadable."""
    before, found = _found(step, was), _found(step, now)
    if before is None or found is None:
        raise Unreadable("an earlier version of mcpguard did the import")
    if found.problem:
        raise Unreadable(found.problem)
    text, lost = put_back(before, found, step.gone, step.entry)
    return encoded(found, text), lost


def _found(step: Step, data: bytes) -> ClientFile | None:
    for client in CLIENTS:
        for file in client.files:
            if (client.name, file.path) == (step.client, step.place):
                path = Path(step.path)
                return parsed(ClientFile(client=client, file=file, path=path, target=path), data)
    return None


def is_another(move: Move, vault: Vault, name: str) -> bool:
    """Whether the vault holds something else under `name` than `move` stored."""
    value, stored = vault.get(name), move.marks.get(name)
    if value in (None, REMOVED) or stored is None:
        return False
    try:
        return mark(vault.get(move.key) or "", value) != stored
    except ValueError:
        return True  # The key is the last to go, so what is still there was left on purpose.
