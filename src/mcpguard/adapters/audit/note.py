"""Evidence of what a person does outside of a serving process."""

from pathlib import Path

from mcpguard.adapters.audit.writer import AuditFile, Durability
from mcpguard.core.evidence.records import Closed, Noticed, Opened


def note(folder: Path, durability: Durability, opened: Opened, noticed: Noticed) -> None:
    """Leave it as a chain of its own. Raises AuditError where it could not be stored."""
    audit = AuditFile(folder, durability)
    audit.write(opened)
    audit.write(noticed)
    audit.close(Closed(noticed.at, "done"))
