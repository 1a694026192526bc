"""`command`: a program that prints a credential, however it behaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcpguard.adapters.credentials.environ import take
from mcpguard.adapters.credentials.program import CommandMint, read_output
from mcpguard.config.credentials import CommandEntry, JsonEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Lease
from tests.rows import each

CANARY = "canary-0123456789"
NAME = "key"


def shell(script: str, *words: str, **more: object) -> CommandMint:
    return CommandMint(NAME, CommandEntry(argv=("sh", "-c", script, "sh", *words), **more))  # type: ignore[arg-type]


def value(lease: Lease) -> str:
    return lease.secret.reveal()


def refusal(mint: CommandMint) -> str:
    with pytest.raises(CredentialError) as caught:
        mint.lease()
    said = str(caught.value)
    assert said.startswith(f"credential:{NAME} is unavailable: '")
    assert CANARY not in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return said


def test_what_it_prints_is_the_value_less_one_newline() -> None:
    assert value(shell("echo value-1234").lease()) == "value-1234"
    assert value(shell("printf 'value-1234\\n\\n'").lease()) == "value-1234\n"
    assert value(shell("printf 'value-1234\\r\\n'").lease()) == "value-1234"
    assert value(CommandMint(NAME, ("printf", "%s", " a  b ")).lease()) == " a  b "
    assert shell("echo value-1234").lease().seconds is None
    assert shell("echo value-1234", ttl_seconds=60.0).lease().seconds == 60


def test_no_shell_reads_its_words() -> None:
    words = ("$HOME", "`id`", "a b", "; echo x", "*")
    assert value(CommandMint(NAME, ("printf", "%s|", *words)).lease()) == "".join(f"{w}|" for w in words)


def test_each_lease_runs_it_again_and_there_is_nothing_to_renew(tmp_path: Path) -> None:
    mint = shell(f"echo x >> {tmp_path}/runs; wc -l < {tmp_path}/runs; echo value-1234")
    first = mint.lease()
    mint.refused()
    assert mint.renew(first) is None
    assert (value(first).split()[0], value(mint.lease()).split()[0]) == ("1", "2")


def test_it_sees_a_minimal_environment_and_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGUARD_TEST_OTHER", CANARY)
    monkeypatch.setenv("MCPGUARD_TEST_TOKEN", "named-value")
    monkeypatch.setenv("GNUPGHOME", "/gnupg")
    printed = value(CommandMint(NAME, CommandEntry(argv=("env",), env=("MCPGUARD_TEST_TOKEN",))).lease())
    assert "MCPGUARD_TEST_TOKEN=named-value" in printed
    assert "GNUPGHOME=/gnupg" in printed
    assert CANARY not in printed


def test_a_variable_that_was_wiped_from_our_environment_still_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MCPGUARD_TEST_WIPED", "wiped-value")
    take(["MCPGUARD_TEST_WIPED"])
    assert "MCPGUARD_TEST_WIPED" not in os.environ
    mint = shell("echo $MCPGUARD_TEST_WIPED", env=("MCPGUARD_TEST_WIPED",))
    assert value(mint.lease()) == "wiped-value"


def test_its_input_is_empty() -> None:
    assert value(shell("cat; echo value-1234").lease()) == "value-1234"


def test_a_program_that_there_is_not_is_named() -> None:
    said = refusal(CommandMint(NAME, ("mcpguard-no-such-program",)))
    assert said.endswith("'mcpguard-no-such-program' was not found; give its full path or fix PATH")


def test_a_program_in_the_working_folder_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mcpguard-test-helper"
    program.write_text("#!/bin/sh\necho value-1234\n")
    program.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    for word in (program.name, f"./{program.name}"):
        unchecked = CommandEntry.model_construct(argv=(word,))
        assert "was not found" in refusal(CommandMint(NAME, unchecked))
    monkeypatch.setenv("HOME", str(tmp_path))
    for word in (str(program), f"~/{program.name}"):
        assert value(CommandMint(NAME, (word,)).lease()) == "value-1234"


def test_a_failure_tells_the_status_and_nothing_that_was_said() -> None:
    said = refusal(shell(f"echo {CANARY}; echo {CANARY} >&2; exit 3"))
    assert "'sh' ended with status 3: run it yourself to see why" in said
    assert "not set" not in said
    said = refusal(shell("exit 1", env=("MCPGUARD_TEST_UNSET",)))
    assert said.endswith("; not set, and named in `env`: MCPGUARD_TEST_UNSET")


def test_its_standard_error_is_seen_by_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    shell(f"echo {CANARY} >&2; echo value-1234").lease()
    assert CANARY not in "".join(capfd.readouterr())


def test_one_that_is_killed_is_a_failure() -> None:
    said = refusal(shell("kill -KILL $$"))
    assert "ended with status 137" in said


def test_one_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    mint = shell(f"sleep 600 & echo $! > {tmp_path}/pid; wait", timeout_seconds=0.5)
    assert "took longer than 0.5 seconds (`timeout_seconds`)" in refusal(mint)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_one_that_closes_its_output_and_goes_on_is_late_too() -> None:
    mint = shell("echo value-1234; exec >&-; sleep 600", timeout_seconds=0.3)
    assert "took longer than" in refusal(mint)


def test_a_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    mint = shell(f"sleep 600 & echo $! > {tmp_path}/pid; echo value-1234")
    assert value(mint.lease()) == "value-1234"
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_one_that_prints_without_end_is_stopped() -> None:
    assert "printed more than 64 KiB" in refusal(CommandMint(NAME, ("yes", CANARY)))
    assert len(value(shell("head -c 65536 /dev/zero | tr '\\0' x").lease())) == 65_536


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("printf '\\377\\376'", "is not UTF-8 text"),
        ("true", "printed nothing"),
        ("echo; echo '  '", "printed nothing"),
    ],
)
def test_what_is_no_credential_is_refused(script: str, why: str) -> None:
    assert why in refusal(shell(script))


def test_it_does_not_outlive_mcpguard(tmp_path: Path) -> None:
    code = (
        "import sys; from mcpguard.adapters.credentials.program import CommandMint; "
        f"CommandMint('x', ('sh', '-c', 'echo $$ > {tmp_path}/pid; mv {tmp_path}/pid {tmp_path}/done; "
        "sleep 600 & wait')).lease()"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as guard:
        pid = int(until(tmp_path / "done"))
        guard.kill()
    assert is_gone(pid)


def test_nothing_of_it_is_left_as_a_zombie_where_we_adopt_orphans() -> None:
    code = (
        "import os; from mcpguard.adapters.upstreams.process.child import adopt; adopt(); "
        "from mcpguard.adapters.credentials.program import CommandMint; "
        "CommandMint('x', ('sh', '-c', 'sleep 600 & echo value-1234')).lease(); os.waitpid(-1, os.WNOHANG)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("ChildProcessError: [Errno 10] No child processes")


def is_gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether it ends within a deadline; a zombie that waits for its parent has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return False


def until(path: Path, seconds: float = 10.0) -> str:
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.read_text()


# --- what it printed -----------------------------------------------------------------------------

NOW = 1_800_000_000.0


def lease(output: str, expires: str | None = "at", ttl: float | None = 5.0) -> Lease:
    entry = CommandEntry(argv=("x",), ttl_seconds=ttl, json=JsonEntry(value="a.token", expires=expires))
    return read_output(output.encode(), entry, NOW)


@each(
    ("at", "seconds"),
    [
        ("3600", 3600),
        ("3600.5", 3600.5),
        ('"3600"', 3600),
        ("1800000060", 60),
        ('"1800000060"', 60),
        ('"2027-01-15T08:01:00Z"', 60),
        ('"2027-01-15T09:01:00+01:00"', 60),
        ('"2027-01-15 08:01:00.000000+00:00"', 60),
    ],
)
def test_its_json_says_how_long(at: str, seconds: float) -> None:
    found = lease(f'{{"a": {{"token": "value-1234"}}, "at": {at}}}')
    assert (value(found), found.seconds) == ("value-1234", seconds)


def test_without_a_key_for_the_end_the_configured_time_holds() -> None:
    assert lease('{"a": {"token": "value-1234"}}', None).seconds == 5


@each(
    ("output", "why"),
    [
        ("value-1234", "is not JSON"),
        ("[" * 10_000, "is not JSON"),
        ('{"a": {"token": 7}}', "without a string at `a.token`"),
        ('{"a": {"token": ""}}', "without a string at `a.token`"),
        ('{"a": ["token"]}', "without a string at `a.token`"),
        ("[]", "without a string at `a.token`"),
        ('{"a": {"token": "v"}}', "without a time at `at`"),
        ('{"a": {"token": "v"}, "at": true}', "without a time at `at`"),
        ('{"a": {"token": "v"}, "at": "soon"}', "without a time at `at`"),
        (f'{{"a": {{"token": "v"}}, "at": {"9" * 400}}}', "without a time at `at`"),
        ('{"a": {"token": "v"}, "at": 1e300}', "without a time at `at`"),
        ('{"a": {"token": "v"}, "at": "2027-01-15T08:01:00"}', "with its zone"),
        ('{"a": {"token": "v"}, "at": 0}', "has already expired"),
        ('{"a": {"token": "v"}, "at": 1799999999}', "has already expired"),
    ],
)
def test_json_that_says_something_else_is_refused(output: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        lease(output)
    assert "value-1234" not in str(caught.value)
