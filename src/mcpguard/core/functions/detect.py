"""`detect(value, kinds)`: which detectors find something in a value. A seam over `redaction/scanning.py`.

Law of this file: what cannot be scanned to its end is an error, never "nothing found"; and what redaction
removes is found, since one reading serves both. This is a net: who wants to hide a secret can.
"""

from __future__ import annotations

from mcpguard.core.errors import InspectionError
from mcpguard.core.functions.function import (
    Function,
    FunctionError,
    Holds,
    Parameter,
    ReturnedTexts,
    as_list,
    check_amount,
    nothing_held,
)
from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors import GROUPS
from mcpguard.core.redaction.scanning import kinds_in

LIMIT = 65_536
"""Bytes of all texts in a value."""

MOST_VALUES = 65_536
"""In one, such as numbers."""


def detect(value: Json, kinds: str | list[str] | None = None, holds: Holds = nothing_held) -> list[Json]:
    """The kinds that hit, sorted, each once: all of them, or those of `kinds` alone, kinds and GROUPS.

    Raises FunctionError for an unknown kind, for a value of more than LIMIT bytes of text, MOST_VALUES
    values or 128 levels, and for a flood of hits.
    """
    check_amount("detect", value, MOST_VALUES)
    named = ["all"] if kinds is None else as_list(kinds)
    wanted = frozenset[str]().union(*(GROUPS.get(name, {name}) for name in named))
    if not wanted <= GROUPS["all"]:
        raise FunctionError("detect() does not know this kind")
    if isinstance(holds, ReturnedTexts):
        value = holds.spared(value)
    try:
        return sorted(kinds_in(value, wanted, holds, LIMIT))
    except InspectionError:
        raise FunctionError("detect() cannot scan the value to its end") from None
    except ValueError:
        raise FunctionError(f"detect() reads at most {LIMIT:,} bytes") from None


DETECT = Function(
    name="detect",
    parameters=(
        Parameter("value", "any"),
        Parameter("kinds", "strings", optional=True, choices=(*GROUPS, *sorted(GROUPS["all"] - {*GROUPS}))),
    ),
    call=detect,
    searches=True,
)
