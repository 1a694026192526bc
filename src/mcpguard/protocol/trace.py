"""The W3C trace context that requests carry in `_meta` (SEP-414), continued from a client to its upstream.

Law of this file: the ids of our own spans follow from the id of the invocation, so that whoever reads the
records exports the ids that went upstream.

Source: https://www.w3.org/TR/trace-context/, `traceparent`.
"""

from hashlib import sha256

from mcpguard.core.expressions import expression
from mcpguard.core.model import Json

TRACEPARENT = "traceparent"

_FORM = expression(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = "01"


def traceparent_of(value: Json) -> str:
    """`value` as a `traceparent` of version 00, "" where it has not the form of one."""
    found = _FORM.fullmatch(value) if type(value) is str and len(value) <= 512 else None
    if found is None or (found[1] == "00" and found[5] is not None):
        return ""
    # Of a later version only the parts that this one has are known.
    return f"00-{found[2]}-{found[3]}-{found[4]}"


def ids_of(invocation: str, parent: str) -> tuple[bytes, bytes]:
    """The id of the trace of an invocation, 16 bytes, and that of its span, 8 bytes. The span has the first 8
    bytes of the sha256 of the id of the invocation; the trace is that of `parent`, the client's
    `traceparent`, and without one has the next 16 bytes of the same sha256."""
    digest = sha256(invocation.encode()).digest()
    return bytes.fromhex(parent[3:35]) if parent else digest[8:24], digest[:8]


def child_of(parent: str, invocation: str) -> str:
    """The `traceparent` that an upstream gets for an invocation; `parent` is the client's, "" for none."""
    flags = parent[53:] if parent else _SAMPLED
    trace, span = ids_of(invocation, parent)
    return f"00-{trace.hex()}-{span.hex()}-{flags}"
