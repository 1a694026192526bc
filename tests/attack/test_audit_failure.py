"""Threat: an effect without evidence (law 5): the log cannot be written, is altered, or mcpguard is killed."""

import json
import random
import resource
import shutil
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from tests.attack.processes import needs_proc, running
from tests.wire.session import eventually, puppet, verify


def calls_in(log):
    """The texts of the calls that an upstream wrote down."""
    found = []
    for line in log.read_text().splitlines() if log.exists() else ():
        message = json.loads(line)
        if message.get("method") == "tools/call":
            found.append(message["params"]["arguments"]["text"])
    return found


def test_an_audit_folder_that_is_a_file_is_a_clear_error_at_the_start(start, tmp_path):
    (tmp_path / "audit").write_text("a file")
    guard = start({"p": puppet("--start", f"open({str(tmp_path / 'started')!r}, 'w')")})
    assert guard.wait() == 2
    assert b"audit folder" in guard.stderr
    assert str(tmp_path / "audit").encode() in guard.stderr
    assert guard.stderr.count(b"\n") <= 2
    assert not (tmp_path / "started").exists()


def test_an_audit_folder_below_nothing_writable_is_a_clear_error_at_the_start(start):
    guard = start({"p": puppet()}, audit={"path": "/proc/none/audit"})
    assert guard.wait() == 2
    assert b"audit folder" in guard.stderr


NO_PYC = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Python writes half a file of byte code where files may not be larger, and reads it the next time."""


@pytest.mark.parametrize("durability", ["flush", "fsync", "group"])
def test_a_full_disk_refuses_every_call_before_the_upstream_sees_it(session, tmp_path, durability):
    log = tmp_path / "calls"
    # The limit is on files, and the upstream inherits it: its log is raised again. There is no room for the state.
    entry = puppet("--log", str(log), env=NO_PYC, pins="report")
    small = {resource.RLIMIT_FSIZE: 20_000}
    guard = session({"p": entry}, ulimits=small, audit={"path": "audit", "durability": durability})
    answers = [guard.call("echo", text=f"{n}") for n in range(60)]
    right = [str(n) for n, answer in enumerate(answers) if "result" in answer]
    refused = [answer for answer in answers if "error" in answer]
    assert right
    assert len(refused) > 5
    assert all("audit" in answer["error"]["message"] for answer in refused)
    guard.signal(signal.SIGKILL)
    guard.process.wait(5)
    decided = [record for record in guard.records("decision") if record.get("tool") == "echo"]
    seen = calls_in(log)
    assert len(seen) <= len(decided)
    assert seen == sorted(set(seen), key=int)
    # The last may have had no room for its outcome; on a slow machine a further file had room for some again.
    assert set(right) <= set(seen)
    code, text = verify(guard.audit_folder)
    assert code == 0, text


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("durability", ["flush", "group"])
def test_a_disk_that_is_full_for_a_while_costs_no_record_and_is_in_the_chain(
    session, tmp_path, small_disk, durability
):
    log = tmp_path / "calls"
    guard = session(
        {"p": puppet("--log", str(log))}, audit={"path": str(small_disk), "durability": durability}
    )
    guard.audit_folder = small_disk
    assert guard.text("echo", text="before") == "before"
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    answers = [guard.call("echo", text=f"{n}") for n in range(40)]
    done = [answer for answer in answers if "result" in answer]
    refused = [answer for answer in answers if "error" in answer]
    assert refused
    assert all("audit" in answer["error"]["message"] for answer in refused)
    guard.wait_stderr("no evidence can be written")
    filler.unlink()
    _mended(guard)
    assert guard.text("echo", text="again") == "again"
    assert guard.end() == 0
    code, text = verify(small_disk)
    assert code == 0, text
    assert len(calls_in(log)) <= len(done) + 3
    chains = [file.read_text().splitlines() for file in small_disk.glob("*.jsonl")]
    notices = [json.loads(line) for lines in chains for line in lines if '"evidence-gap"' in line]
    gaps = [one["detail"] for one in notices if one["kind"] == "notice"]
    assert len(gaps) == 1
    assert "No space left on device" in gaps[0]


@pytest.mark.parametrize("durability", ["flush", "fsync"])
def test_a_start_on_a_full_disk_is_a_clear_error_and_leaves_no_empty_chain(start, durability):
    # Enough for the sentence on standard error, which is a file here; too little for the first record.
    tiny = {resource.RLIMIT_FSIZE: 300}
    guard = start({"p": puppet()}, ulimits=tiny, audit={"path": "audit", "durability": durability})
    assert guard.wait() == 2
    assert b"cannot be written: File too large" in guard.stderr
    assert list(guard.audit_folder.iterdir()) == []


@pytest.mark.parametrize("harm", ["removed", "truncated", "appended"])
def test_a_log_that_something_else_changes_is_refused_said_and_mended(session, tmp_path, harm):
    log = tmp_path / "calls"
    guard = session({"p": puppet("--log", str(log))})
    guard.harmed = True
    assert guard.text("echo", text="before") == "before"
    file = next(guard.audit_folder.iterdir())
    if harm == "removed":
        file.unlink()
    elif harm == "truncated":
        with open(file, "r+b") as opened:
            opened.truncate(10)
    else:
        with open(file, "ab") as opened:
            opened.write(b"{}\n")
    assert "audit" in guard.call("echo", text="after")["error"]["message"]
    assert guard.ask("ping")["result"] == {}
    assert calls_in(log) == ["before"]
    _mended(guard)
    assert guard.text("echo", text="again") == "again"
    assert calls_in(log) == ["before", "again"]
    assert guard.end() == 0
    code, text = verify(guard.audit_folder)
    assert code == 1
    assert file.name in text


def test_a_removed_audit_folder_refuses_and_is_made_again(session, tmp_path):
    log = tmp_path / "calls"
    guard = session({"p": puppet("--log", str(log))})
    assert guard.text("echo", text="before") == "before"
    shutil.rmtree(guard.audit_folder)
    assert "audit" in guard.call("echo", text="after")["error"]["message"]
    assert calls_in(log) == ["before"]
    _mended(guard)
    assert guard.text("echo", text="again") == "again"
    guard.process.stdin.close()
    assert guard.process.wait(10) == 0
    (gap,) = [one for one in guard.records("notice") if one["what"] == "evidence-gap"]
    assert "1 request refused" in gap["detail"]


def _mended(guard):
    """Evidence can be written again, and the operator was told of both."""
    guard.wait_stderr("no evidence can be written, so every request is refused until it can: the audit file")
    guard.wait_stderr("evidence can be written again")


def test_evidence_goes_on_where_the_disk_has_room_again(session, tmp_path):
    log = tmp_path / "calls"
    guard = session({"p": puppet("--log", str(log))})
    assert guard.text("echo", text="before") == "before"
    size = next(guard.audit_folder.iterdir()).stat().st_size
    resource.prlimit(guard.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    assert "audit" in guard.call("echo", text="after")["error"]["message"]
    guard.wait_stderr("File too large")
    resource.prlimit(guard.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    _mended(guard)
    assert guard.text("echo", text="again") == "again"
    assert calls_in(log) == ["before", "again"]
    assert guard.end() == 0
    code, text = verify(guard.audit_folder)
    assert code == 0, text
    gap = next(one for one in guard.records("notice") if one["what"] == "evidence-gap")
    assert "1 request refused" in gap["detail"]
    assert "File too large" in gap["detail"]


@needs_proc
@pytest.mark.parametrize("durability", ["flush", "fsync"])
def test_no_call_that_an_upstream_saw_lacks_its_decision_after_a_kill_at_any_moment(
    start, tmp_path, durability
):
    chance = random.Random(4711)
    for round_number in range(8):
        log = tmp_path / f"calls{round_number}"
        guard = start({"p": puppet("--log", str(log))}, audit={"path": "audit", "durability": durability})
        guard.hello()
        guard.tools()
        data = b"".join(
            json.dumps({"jsonrpc": "2.0", "id": 1000 + n, "method": "tools/call",
                        "params": {"name": "echo", "arguments": {"text": f"{n}"}}}).encode() + b"\n"
            for n in range(300)
        )  # fmt: skip
        end = time.monotonic() + chance.uniform(0.0005, 0.03)
        guard.try_write(data, 0.2)
        while time.monotonic() < end:
            pass
        guard.signal(signal.SIGKILL)
        guard.process.wait(5)
        # The upstream ends at the end of its input, and has then written down all that it read.
        eventually(lambda log=log: not running(str(log)), "the end of the upstream")
        decided = [record for record in guard.records("decision") if record.get("tool") == "echo"]
        seen = calls_in(log)
        assert len(seen) <= len(decided)
        assert seen == [str(n) for n in range(len(seen))]
        answered = [message for message in guard.messages if message.get("id", 0) >= 1000]
        assert len(answered) <= len(guard.records("outcome"))
        code, text = verify(guard.audit_folder)
        assert code == 0, text


def _chain(session):
    guard = session({"p": puppet()})
    for n in range(5):
        guard.call("echo", text=f"{n}")
    assert guard.end() == 0
    file = next(guard.audit_folder.iterdir())
    assert verify(guard.audit_folder)[0] == 0
    return guard, file


TAMPERING = {
    "edit": lambda lines: [line.replace(b'"allow"', b'"deny"') for line in lines],
    "deletion": lambda lines: [*lines[:3], *lines[4:]],
    "swap": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "insertion": lambda lines: [*lines[:3], lines[3], *lines[3:]],
    "first removed": lambda lines: lines[1:],
    "forged end": lambda lines: [*lines, lines[-1]],
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=list(TAMPERING))
def test_tampering_with_the_log_of_a_real_session_is_found(session, tamper):
    guard, file = _chain(session)
    guard.harmed = True
    file.write_bytes(b"".join(tamper(file.read_bytes().splitlines(keepends=True))))
    code, text = verify(guard.audit_folder)
    assert code == 1
    assert file.name in text


def test_a_decision_without_an_outcome_is_listed_and_no_tampering(session):
    guard = session({"p": puppet()})
    guard.tools()
    guard.request("tools/call", {"name": "act", "arguments": {"code": "silent = True; say('in')"}})
    guard.wait_stderr("[p] in")
    guard.signal(signal.SIGKILL)
    guard.process.wait(5)
    code, text = verify(guard.audit_folder)
    open_call = guard.decided()["id"]
    assert code == 0
    assert open_call in text


def test_a_signal_after_the_end_of_input_ends_the_drain(session):
    guard = session({"p": puppet()})
    guard.tools()
    guard.request("tools/call", {"name": "act", "arguments": {"code": "silent = True; say('in')"}})
    guard.wait_stderr("[p] in")
    guard.process.stdin.close()
    guard.signal(signal.SIGTERM)
    assert guard.process.wait(4) == 0
    assert guard.outcome()["status"] == "abandoned"
    assert verify(guard.audit_folder)[0] == 0


def test_a_call_in_flight_at_an_orderly_end_is_recorded_as_abandoned(session):
    guard = session({"p": puppet()})
    guard.tools()
    guard.request("tools/call", {"name": "act", "arguments": {"code": "silent = True; say('in')"}})
    guard.wait_stderr("[p] in")
    guard.signal(signal.SIGTERM)
    guard.wait()
    assert guard.outcome()["status"] == "abandoned"
    assert guard.records()[-1]["kind"] == "closed"
    assert verify(guard.audit_folder)[0] == 0
