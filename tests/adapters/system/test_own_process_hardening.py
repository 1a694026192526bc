"""What others of the same user see of a process that holds credentials: nothing (Linux)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mcpguard.adapters.credentials import environ
from mcpguard.adapters.credentials.environ import Environ, drop, take
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef

CANARY = "canary-Ü-4f8d2b7c"
_NOBODY = 65534
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc (Linux)")


def said_by(code: str, **variables: str) -> str:
    """What a Python process with this environment prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_proc
def test_a_taken_variable_is_in_no_view_of_the_environment_and_its_neighbours_are() -> None:
    code = (
        "import os; from mcpguard.adapters.system.own_process import take_variable\n"
        "first, second, missing = (take_variable(name) for name in ('TOKEN', 'TOKEN', 'NOT_SET'))\n"
        "shown = open('/proc/self/environ', 'rb').read()\n"
        "print(ascii([first, second, missing, 'TOKEN' in os.environ, shown.count(b'canary')]))\n"
        "print(all(one in shown for one in (b'A=1', b'TOKEN_2=other', b'Z=9')))"
    )
    shown = said_by(code, A="1", TOKEN=CANARY, TOKEN_2="other", EMPTY="", Z="9", PYTHONUTF8="1")
    assert shown.splitlines() == [ascii([CANARY, None, None, False, 0]), "True"]


def test_no_child_inherits_a_taken_variable() -> None:
    code = (
        "import subprocess; from mcpguard.adapters.system.own_process import take_variable\n"
        "take_variable('TOKEN'); print(subprocess.run(['env'], capture_output=True, text=True).stdout)"
    )
    assert "canary" not in said_by(code, TOKEN=CANARY, PATH="/usr/bin:/bin", PYTHONUTF8="1")


def test_a_source_still_has_what_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environ, "_taken", {})
    for name, value in (("MCPGUARD_TAKEN", CANARY), ("MCPGUARD_EMPTY", "")):
        monkeypatch.setenv(name, value)
    ref, empty = CredentialRef("env", "MCPGUARD_TAKEN"), CredentialRef("env", "MCPGUARD_EMPTY")
    take([ref.name, empty.name, "MCPGUARD_MISSING"])
    assert Environ().has(ref)
    assert Environ().get(ref).reveal() == CANARY
    assert not Environ().has(empty)


def test_no_source_has_what_was_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGUARD_DROPPED", CANARY)
    drop(["MCPGUARD_DROPPED", "MCPGUARD_MISSING"])
    assert not Environ().has(CredentialRef("env", "MCPGUARD_DROPPED"))
    assert environ.variable("MCPGUARD_DROPPED") is None
    with pytest.raises(CredentialError, match="was for other clients when mcpguard was started: restart it"):
        Environ().get(CredentialRef("env", "MCPGUARD_DROPPED"))
    with pytest.raises(CredentialError, match="is not set"):
        Environ().get(CredentialRef("env", "MCPGUARD_MISSING"))


def test_neither_we_nor_what_we_start_leaves_a_core_dump() -> None:
    code = (
        "import subprocess; from mcpguard.adapters.system.own_process import close_to_others\n"
        "close_to_others(); close_to_others()\n"
        "print(subprocess.run(['sh', '-c', 'ulimit -c'], capture_output=True, text=True).stdout)"
    )
    assert said_by(code, PATH="/usr/bin:/bin").strip() == "0"


@needs_proc
def test_another_process_of_the_same_user_can_read_neither_environment_nor_memory() -> None:
    code = f"""
import ctypes, os
from mcpguard.adapters.system.own_process import close_to_others
if os.getuid() == 0:
    os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # As any process that has not called setuid(2) is.
watched = os.getpid()

def sees(name):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
        try:
            open(f"/proc/{{watched}}/{{name}}", "rb")
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.wait()[1]) == 0

names = ("environ", "mem", "maps")
before = [sees(name) for name in names]
close_to_others()
print(before, [sees(name) for name in names])
"""
    before, after = said_by(code).strip().removesuffix("]").split("] [")
    assert before.startswith("[True")
    assert set(after.split(", ")) == {"False"}
