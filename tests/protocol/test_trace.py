"""The trace context of requests: read strictly, continued under ids that follow from the invocation."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from mcpguard.protocol.trace import child_of, ids_of, traceparent_of
from tests.rows import each

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (PARENT, PARENT),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"01-{TRACE}-{SPAN}-01", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-more", PARENT),
    ],
)
def test_a_traceparent_is_read(written: str, read: str) -> None:
    assert traceparent_of(written) == read


@each(
    "written",
    [
        None,
        7,
        "",
        "t",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01 ",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT.upper(),
        f"{PARENT}\n",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 600}",
    ],
)
def test_what_has_not_its_form_is_none(written: Any) -> None:
    assert traceparent_of(written) == ""


def test_a_child_is_in_the_same_trace_and_keeps_its_flags() -> None:
    digest = sha256(b"n-1").hexdigest()
    assert ids_of("n-1", PARENT) == (bytes.fromhex(TRACE), bytes.fromhex(digest[:16]))
    assert child_of(PARENT, "n-1") == f"00-{TRACE}-{digest[:16]}-01"
    assert child_of(f"{PARENT[:-2]}00", "n-1").endswith("-00")


def test_without_a_parent_both_ids_follow_from_the_invocation() -> None:
    digest = sha256(b"n-1").hexdigest()
    assert ids_of("n-1", "")[0].hex() == digest[16:48]
    assert child_of("", "n-1") == f"00-{digest[16:48]}-{digest[:16]}-01"
    assert traceparent_of(child_of("", "n-1")) == child_of("", "n-1")
