"""Tests of policies: `cases.py` and `samples.py` as written, `running.py` runs them and says what no case
showed, `rehearsal.py` plays one case and compares, `report.py`
prints.
"""

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

from mcpguard.core.errors import PolicyError, Problem

PATTERN = "*_test.yaml"
"""What a file of tests is called; `.yml` does as well."""


def files_below(folder: Path, *patterns: str) -> list[Path]:
    """The files of these names (by default: of tests) in `folder` and in those below, also where a link leads
    to one, in order. Raises PolicyError where a folder cannot be read: tests that nobody runs would count as
    passed."""
    patterns = patterns or (PATTERN, PATTERN.replace("yaml", "yml"))
    found: list[Path] = []
    seen: set[str] = set()
    for where, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        if (real := os.path.realpath(where)) in seen:
            folders.clear()  # A link leads back.
            continue
        seen.add(real)
        found += [Path(where, name) for name in names if any(fnmatch(name, one) for one in patterns)]
    return sorted(found)


def _unreadable(error: OSError) -> NoReturn:
    raise PolicyError([Problem(str(error.filename), 0, 0, f"cannot be read: {error.strerror}")])
