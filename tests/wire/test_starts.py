"""Upstreams that cannot start, or end: one clear error, and the others serve."""

import os
import resource
import sys
import time
from pathlib import Path

import pytest

from tests.wire.session import eventually, puppet

BAD = {
    "wrong command": ({"command": "no-such-command-anywhere"}, "no-such-command-anywhere"),
    "wrong folder": (puppet(cwd="/no/such/folder"), "cannot be started"),
    "not executable": ({"command": "/etc/hostname"}, "/etc/hostname"),
    "missing variable": (puppet(env={"TOKEN": "${env:NO_SUCH_VARIABLE}"}), "env:NO_SUCH_VARIABLE"),
    "missing file": (puppet(env={"TOKEN": "${file:/no/such/file}"}), "file:/no/such/file"),
    "crash": (puppet("--start", "say('no database'); os._exit(7)"), "no database"),
    "exception": (puppet("--start", "raise ValueError('the reason')"), "the reason"),
    "ends at once": ({"command": "/bin/true"}, "initialize"),
    "refuses": (
        puppet(
            "--start",
            "state['on_initialize'] = \"send({'id': request_id, 'error': {'code': 1, 'message': 'm'}})\"",
        ),
        "initialize",
    ),
    "unknown revision": (puppet("--start", "state['version'] = '1999-01-01'"), "revision"),
    "never answers": (puppet("--start", "time.sleep(60)", start_timeout_seconds=0.5), "within 0.5 seconds"),
    "never answers, and says why": (
        puppet("--start", "say('no database'); time.sleep(60)", start_timeout_seconds=0.5),
        "it last said: no database",
    ),
    "closed output": (puppet("--start", "os.close(1); time.sleep(60)"), "initialize"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_upstream_that_cannot_start_is_one_clear_error_and_the_other_serves(session, case):
    entry, said = BAD[case]
    guard = session({"bad": entry, "good": puppet()})
    assert all(name.startswith("good__") for name in guard.tools())
    assert guard.text("good__echo", text="x") == "x"
    error = guard.call("bad__echo")["error"]
    assert "'bad'" in error["message"]
    assert said in error["message"]
    assert guard.text("good__echo", text="x") == "x"
    assert sum(b"'bad' is not available" in line or b"'bad' did not" in line
               for line in guard.stderr.splitlines()) == 1  # fmt: skip


def test_a_server_that_cannot_start_keeps_no_name_from_another_unless_it_had_that_name_before(session):
    more = {"clients": {"c": {"servers": ["good", "bad"]}}, "words": ("--agent", "c")}
    broken = {"good": puppet(), "bad": {"command": "/bin/true"}}
    assert session(broken, **more).text("echo", text="x") == "x"
    both = session({"good": puppet(), "bad": puppet()}, **more)
    assert "bad__echo" in both.tools()
    both.end()
    later = session(broken, **more)
    said = later.call("echo", text="x")["error"]["message"]
    assert said.startswith(
        "this may be a tool of a server that is missing: list them again, or use good__echo ("
    )
    assert "echo" in later.tools()
    assert later.text("echo", text="x") == "x"


@pytest.mark.parametrize("case", BAD)
def test_alone_it_is_the_error_of_the_list_as_well(session, case):
    entry, said = BAD[case]
    guard = session({"bad": entry})
    error = guard.ask("tools/list")["error"]
    assert said in error["message"]
    assert guard.ask("ping")["result"] == {}
    assert guard.end() == 0


def test_junk_on_standard_output_is_reported_and_the_server_serves(session):
    guard = session({"p": puppet("--start", "raw(b'Welcome to the server!\\n\\x1b[31mred\\n')")})
    assert guard.text("echo", text="x") == "x"
    assert b"Welcome to the server!" in guard.stderr
    assert b"\x1b" not in guard.stderr
    assert b"Welcome" not in guard.received


def test_a_server_is_tried_again_after_its_credential_has_appeared(session, tmp_path):
    token = tmp_path / "token"
    guard = session({"p": puppet(env={"TOKEN": f"${{file:{token}}}"}), "other": puppet()})
    assert "file:" in guard.call("p__echo")["error"]["message"]
    token.write_text("the-credential-is-here")
    token.chmod(0o600)
    answer = eventually(
        lambda: (lambda a: a if "result" in a else None)(
            guard.call("p__act", code="answer = text(str(len(token)))")
        ),
        "its start",
        10,
    )
    assert answer["result"]["content"][0]["text"] == "22"


def test_a_call_in_flight_is_answered_at_once_when_its_upstream_dies(session):
    guard = session({"p": puppet()})
    guard.tools()
    waiting = guard.request("tools/call", {"name": "act", "arguments": {"code": "silent = True"}})
    began = time.monotonic()
    dying = guard.request("tools/call", {"name": "act", "arguments": {"code": "say('bye'); os._exit(9)"}})
    for request in (waiting, dying):
        message = guard.answer(request)["error"]["message"]
        assert "exit status 9" in message
        assert "bye" in message
    assert time.monotonic() - began < 1
    assert "result" in eventually(
        lambda: (lambda a: a if "result" in a else None)(guard.call("echo", text="x")), "its return", 10
    )


@pytest.mark.parametrize("files", range(9, 17))
def test_a_start_without_enough_file_descriptors_is_answered(session, files):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    guard = start_or_none(session, {"p": puppet()}, few)
    if guard is not None:
        assert guard.call("echo", seconds=5, text="x").keys() & {"result", "error"}
        assert guard.ask("ping")["result"] == {}


def start_or_none(session, servers, preexec):
    """A session, or None if mcpguard itself could not start."""
    try:
        return session(servers, preexec=preexec)
    except (AssertionError, BrokenPipeError):
        return None


def test_the_working_folder_of_a_server_is_the_configured_one(session, tmp_path):
    guard = session({"p": puppet(cwd=str(tmp_path))})
    assert guard.text("act", code="answer = text(os.getcwd())") == str(tmp_path)


def test_a_server_without_one_starts_in_an_empty_folder_of_its_own(session, tmp_path):
    state = tmp_path / "state"
    guard = session({"p": puppet(), "q": puppet()}, env={"XDG_STATE_HOME": str(state)}, cwd=tmp_path)
    seen = {
        name: guard.text(
            f"{name}__act",
            code="answer = text(f'{os.getcwd()} {os.listdir()} {oct(os.stat(\".\").st_mode)}')",
        ).split()
        for name in "pq"
    }
    for name, (folder, files, mode) in seen.items():
        assert Path(folder).parent == state / "mcpguard" / "servers" / name
        assert (files, mode) == ("[]", "0o40700")
    assert guard.end() == 0
    assert [list((state / "mcpguard" / "servers" / name).iterdir()) for name in "pq"] == [[], []]


def test_what_a_server_leaves_there_is_not_there_at_its_next_start_and_the_operator_knows_where_it_is(
    session, tmp_path
):
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    first = session({"p": puppet()}, env=env)
    first.text("act", code="open('kept', 'w').close(); answer = text('')")
    folder = first.text("act", code="answer = text(os.getcwd())")
    assert first.end() == 0
    assert f"it left files in the folder that it started in, {folder}".encode() in first.stderr
    assert os.listdir(folder) == ["kept"]
    second = session({"p": puppet()}, env=env)
    assert second.text("act", code="answer = text(repr(os.listdir()))") == "[]"


def test_a_server_starts_in_the_folder_of_the_client_where_the_configuration_says_so(session, tmp_path):
    guard = session({"p": puppet(cwd="client")}, cwd=tmp_path)
    assert guard.text("act", code="answer = text(os.getcwd())") == str(tmp_path)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "./server"}, "the command './server' depends on the folder"),
        ({"command": sys.executable, "args": ["server.py"]}, "'server.py' depends on the folder"),
        (
            {"command": sys.executable, "args": ["-m", "project_server"]},
            "'project_server' depends on the folder",
        ),
        (
            {"command": sys.executable, "args": ["-c", "raise SystemExit('gone')", "."]},
            "'.' depends on the folder",
        ),
    ],
)
def test_a_server_that_is_lost_without_its_folder_says_what_to_write(session, tmp_path, entry, said):
    (tmp_path / "server.py").write_text("")
    (tmp_path / "project_server").mkdir()
    guard = session({"p": entry}, cwd=tmp_path)
    message = guard.ask("tools/list")["error"]["message"]
    assert said in message
    assert "give the full path, or name a folder with `cwd`" in message


def test_a_server_that_ends_after_its_start_is_not_told_about_paths(session):
    guard = session({"p": puppet("./data")})
    message = guard.call("act", code="os._exit(3)")["error"]["message"]
    assert "has ended (exit status 3)" in message
    assert "depends on the folder" not in message


def test_a_folder_of_mcpguards_that_others_can_write_starts_nothing(session, tmp_path):
    folder = tmp_path / "state" / "mcpguard" / "servers" / "p"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    guard = session({"p": puppet()}, env={"XDG_STATE_HOME": str(tmp_path / "state")})
    assert f"{folder} is a link or can be changed by others" in guard.ask("tools/list")["error"]["message"]


def test_arguments_with_anything_in_them_arrive_as_written(session):
    words = ["a b", "$HOME", "`id`", "'", '"', "\\", "é", "*", "-n", "line\nline", ""]
    guard = session({"p": puppet(*words)})
    assert guard.text("act", code="answer = text(repr(sys.argv[1:]))") == repr(words)


def test_a_server_found_by_its_own_path_variable_is_started(session, tmp_path):
    program = tmp_path / "bin" / "my-server"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{puppet()["args"][-1]}" "$@"\n')
    program.chmod(0o755)
    guard = session({"p": {"command": "my-server", "env": {"PATH": f"{program.parent}:/usr/bin:/bin"}}})
    assert guard.text("echo", text="x") == "x"
