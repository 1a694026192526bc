"""How much memory mcpguard takes at most while something happens (Linux)."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

MB = 2**20


@contextmanager
def flat(guard, megabytes):
    """Within the block the resident memory of `guard` never grows by so much."""
    if os.getuid() != 0:
        pytest.skip("needs root: mcpguard shows its memory to no other process of its user")
    proc = Path(f"/proc/{guard.pid}")
    (proc / "clear_refs").write_text("5")  # The peak counts from now on.
    before = guard.rss()
    yield
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", (proc / "status").read_text())[1]) * 1024
    grown = (peak - before) / MB
    assert grown < megabytes, f"grew by {grown:.1f} MB"
