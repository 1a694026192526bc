"""Code that only the start ran is not kept in memory, and nothing but unchanged code is dropped."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from pydantic_core import SchemaValidator, core_schema

from mcpguard.adapters.system import code_pages
from mcpguard.adapters.system.code_pages import code_of, drop_idle_code

CLEAN = (
    "Rss:  2048 kB\nPrivate_Dirty:  0 kB\nReferenced: 2048 kB\nAnonymous:  0 kB\nVmFlags: rd ex mr mw me\n"
)
OURS = "/site-packages/a b.so"


def mapped(head: str, rest: str = CLEAN) -> str:
    return f"7f5000000000-7f5000200000 {head}\n{rest}"


def test_unchanged_code_of_an_extension_module_is_found() -> None:
    smaps = mapped(f"r-xp 00001000 fe:00 42     {OURS}") + mapped("rw-p 00000000 00:00 0")
    assert list(code_of(smaps, {OURS})) == [(0x7F5000000000, 0x200000)]


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (f"rw-p 00000000 fe:00 42     {OURS}", CLEAN),
        (f"rwxp 00000000 fe:00 42     {OURS}", CLEAN),
        (f"r--p 00000000 fe:00 42     {OURS}", CLEAN),
        (f"r-xs 00000000 fe:00 42     {OURS}", CLEAN),
        ("r-xp 00000000 fe:00 42     /lib/other.so", CLEAN),
        (f"r-xp 00000000 fe:00 42     {OURS} (deleted)", CLEAN),
        ("r-xp 00000000 00:00 0", CLEAN),
        (f"r-xp 00000000 fe:00 42     {OURS}", CLEAN.replace("Anonymous:  0", "Anonymous:  4")),
        (f"r-xp 00000000 fe:00 42     {OURS}", CLEAN.replace("Private_Dirty:  0", "Private_Dirty:  4")),
        (f"r-xp 00000000 fe:00 42     {OURS}", CLEAN.replace("Anonymous:  0 kB\n", "")),
    ],
    ids=[
        "data",
        "writable",
        "read-only",
        "shared",
        "library",
        "deleted",
        "no file",
        "copied",
        "dirty",
        "unsaid",
    ],
)
def test_all_else_is_left_in_memory(head: str, rest: str) -> None:
    assert list(code_of(mapped(head, rest) + mapped("rw-p 00000000 00:00 0"), {OURS})) == []


def _resident(module: str) -> int:
    """Bytes in kB of the code of a module that are in memory."""
    file = re.escape(str(sys.modules[module].__file__))
    smaps = Path("/proc/self/smaps").read_text()
    return sum(int(size) for size in re.findall(rf" r-xp .* {file}\n(?:\w+: .*\n)*?Rss: +(\d+) kB", smaps))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_dropped_code_is_not_resident_and_runs_again() -> None:
    schema = SchemaValidator(core_schema.list_schema(core_schema.int_schema()))
    assert schema.validate_python(["1", 2]) == [1, 2]
    before = _resident("pydantic_core._pydantic_core")
    drop_idle_code()
    assert _resident("pydantic_core._pydantic_core") < before / 2
    assert schema.validate_python(["3", 4]) == [3, 4]


def test_nothing_happens_where_the_system_does_not_say_what_is_mapped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(code_pages, "_SMAPS", tmp_path / "smaps")
    drop_idle_code()
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    drop_idle_code()
