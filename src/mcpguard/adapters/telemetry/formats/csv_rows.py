"""CSV (RFC 4180): one row for each event, that a spreadsheet can open without doing what a cell says."""

import csv
from io import StringIO

from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent
from mcpguard.adapters.telemetry.formats.rows import COLUMNS, row, stamp
from mcpguard.adapters.telemetry.formats.templates import Templates

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a formula of a cell, also in full width (OWASP, CSV injection)."""


def header() -> str:
    """The first line of CSV, which names the columns."""
    return ",".join(COLUMNS) + "\r\n"


def _line(one: EvidenceEvent, _context: str) -> str:
    text = StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow([_safe(cell) for cell in row(one).values()])
    return text.getvalue()


line = Templates(_line, stamp).line
"""A row of CSV, the CRLF included; a cell may have line breaks."""


def _safe(cell: str) -> str:
    # Some programs trim a cell before they look at it; NUL ends it for others.
    cell = cell.replace("\0", " ")
    return f"'{cell}" if cell.lstrip(" \u00a0").startswith(_FORMULA) else cell
