"""Evidence of what a person does outside of a serving process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.evidence.records import Closed, Noticed, Opened

if TYPE_CHECKING:
    from mcpguard.config.terms import Durability


def note(folder: Path, durability: Durability, opened: Opened, noticed: Noticed) -> None:
    """Leave it as a chain of its own. Raises AuditError where it could not be stored."""
    audit = AuditFile(folder, durability)
    audit.write(opened)
    audit.write(noticed)
    audit.close(Closed(noticed.at, "done"))
