"""Whether evidence can be written, tried and not asked: a mode says little of a full or a read-only disk."""

from __future__ import annotations

from pathlib import Path

_PROBE_BYTES = 4096


def nearest(folder: Path) -> Path:
    """`folder`, or the nearest one above it that exists: `run` makes the rest."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def trouble(folder: Path) -> str:
    """Why no evidence can be written to `folder`, "" where it can. Leaves nothing behind."""
    from tempfile import TemporaryFile

    from mcpguard.adapters.audit.reader import newest_head

    try:
        # A full disk makes files, and takes nothing into them.
        with TemporaryFile(dir=nearest(folder)) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
        if folder.exists():
            newest_head(folder)
    except OSError as error:
        return error.strerror or "it cannot be written"
    return ""
