"""What a check of `mcpguard doctor` gives: findings, and what it could not look at.

Law of this file: neither ever holds a value of a credential; where one was found is all that is said.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from mcpguard.doctor.codes import AILMENTS, Ailment


class Finding(Struct, frozen=True):
    """One thing that is wrong. `line` counts from 1; 0 is the whole of `file`. `fix` is a command to copy
    where there is one."""

    code: str
    file: str
    line: int
    message: str
    fix: str

    @property
    def ailment(self) -> Ailment:
        """What the table says of its code."""
        return AILMENTS[self.code]

    @property
    def where(self) -> str:
        """FILE:LINE, or FILE."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Unseen(Struct, frozen=True):
    """What could not be looked at, and why, in one sentence."""

    what: str
    why: str


Seen = Finding | Unseen


def found(code: str, file: Path | str, message: str, line: int = 0, fix: str = "") -> Finding:
    """A finding; without `fix` that of the table."""
    # A name need not be text.
    name = os.fsencode(file).decode("utf-8", "backslashreplace")
    return Finding(code, name, line, message, fix or AILMENTS[code].fix)
