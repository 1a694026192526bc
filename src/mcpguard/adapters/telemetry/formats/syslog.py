"""Syslog messages (RFC 5424) around a line of another format, and how they are told apart on a stream.

No byte order mark precedes a message, which MSG-ANY allows: readers of CEF and JSON trip over it.
"""

from __future__ import annotations

from mcpguard.adapters.telemetry.formats.cef import severity
from mcpguard.adapters.telemetry.formats.row import kind_of, stamp
from mcpguard.adapters.telemetry.happenings import Happening

AUDIT = 13
"""The facility "log audit"."""
ERROR, WARNING, INFORMATIONAL = 3, 4, 6


def message(one: Happening, text: str, host: str) -> bytes:
    """`<PRI>1 TIME HOST mcpguard - KIND - TEXT`; `host` is for where the happening has none."""
    grade = severity(one)
    level = ERROR if grade >= 7 else WARNING if grade >= 4 else INFORMATIONAL
    name = "".join(mark for mark in one.host or host if "!" <= mark <= "~")[:255] or "-"
    line = " ".join(text.splitlines())
    return f"<{AUDIT * 8 + level}>1 {stamp(one)} {name} mcpguard - {kind_of(one)} - {line}".encode()


def framed(messages: list[bytes]) -> bytes:
    """For a stream: each preceded by its length (octet counting, RFC 6587, section 3.4.1)."""
    return b"".join(b"%d %b" % (len(one), one) for one in messages)
