"""Evidence of what a person does outside of a serving process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.evidence.records import Closed, Noticed, Opened

if TYPE_CHECKING:
    from mcpguard.adapters.audit.signing import SigningKey
    from mcpguard.config.terms import Durability


def note(
    folder: Path, durability: Durability, opened: Opened, noticed: Noticed, signer: SigningKey | None
) -> None:
    """Leave it as a chain of its own, signed if there is a key. Raises AuditError where it could not be
    stored."""
    audit = AuditFile(folder, durability)
    audit.signer = signer
    audit.write(opened)
    audit.write(noticed)
    if signer is not None:
        audit.checkpoint(())
    audit.close(Closed(noticed.at, "done"))
