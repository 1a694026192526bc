"""How much memory mcpguard takes at most while something happens (Linux)."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest


def _kilobytes(proc, name):
    return int(re.search(rf"{name}:\s+(\d+) kB", (proc / "status").read_text())[1])


@contextmanager
def flat(guard, megabytes):
    """Within the block the resident memory of `guard` never grows by so much."""
    if os.getuid() != 0:
        pytest.skip("needs root: mcpguard shows its memory to no other process of its user")
    proc = Path(f"/proc/{guard.pid}")
    (proc / "clear_refs").write_text("5")  # The peak counts from now on.
    before = _kilobytes(proc, "VmRSS"), _kilobytes(proc, "RssFile")
    yield
    # Pages of libraries come back as soon as their code runs again, and the system can drop them any time.
    read_again = max(0, _kilobytes(proc, "RssFile") - before[1])
    grown = (_kilobytes(proc, "VmHWM") - before[0] - read_again) / 1024
    assert grown < megabytes, f"grew by {grown:.1f} MB"
