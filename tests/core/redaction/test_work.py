"""The work that a value makes is in proportion to its size, whatever is in it. Work is counted, not timed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.core.redaction.hostile import HELD, PASSWORD, SHAPES, TOKEN
from tests.rows import each

SIZE = 2000 * int(os.environ.get("MCPGUARD_EXAMPLES", "50")) // 50
GROWN = 5


def redactor() -> Redactor:
    made = Redactor(b"key")
    made.hold_all([("env:A", Secret(HELD)), ("env:B", Secret(PASSWORD))])
    with suppress(InspectionError):
        made.inspect({"a": f"{HELD} {TOKEN} %41 eyJ ://a:b@"})
    return made


def steps(made: Redactor, value: Any) -> int:
    """How many lines of Python run to inspect it."""
    count = 0

    def see(_frame: object, event: str, _about: object) -> Any:
        nonlocal count
        count += event == "line"
        return see

    before = sys.gettrace()
    sys.settrace(see)
    try:
        made.inspect(value)
    except InspectionError:
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.uncounted
@each("shape", SHAPES)
def test_the_work_grows_no_faster_than_the_value(shape: str) -> None:
    made, make = redactor(), SHAPES[shape]
    steps(made, make(SIZE))  # What is compiled at its first use counts only for whoever comes first.
    once = steps(made, make(SIZE))
    grown = steps(made, make(GROWN * SIZE))
    # A dozen lines a byte are in proportion too; and what is in random bytes by chance is not. Of a longer
    # text some is looked at twice.
    assert grown <= max(2 * GROWN * once + 2000, 12 * GROWN * SIZE)
