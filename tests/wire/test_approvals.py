"""Approvals over the wire: a person at a terminal answers another process, and the call goes on there."""

import contextlib
import json
import os
import pty
import socket
import time
from hashlib import sha256

import pytest
import yaml
from msgspec import structs
from webauthn import verify_authentication_response

from mcpguard.config.loading import load_config
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.serve.interventions import end_session, give, passkeys_of, store_of, waiting_ticket
from tests.adapters.approvals.authenticator import ORIGIN, Authenticator, decoded, text
from tests.adapters.approvals.test_passkeys import enrol
from tests.servers.warm import SIZE, ask
from tests.wire.http_session import HttpGuard
from tests.wire.session import DEADLINE, eventually, puppet, ready, replace
from tests.wire.warm import command, socket_of_mcpguard

RULES = [{"id": "push", "effect": "ask", "tools": ["echo"], "message": "Others see it."}]
WAIT = {"wait_seconds": 60}


def ticket(config):
    """The one call that waits."""
    end = time.monotonic() + DEADLINE
    while True:
        found = command("approvals", "--json", "--config", str(config))
        waiting = json.loads(found.stdout)["waiting"]
        if waiting:
            (one,) = waiting
            return one["id"]
        if time.monotonic() > end:
            evidence = command("audit", "query", "true", "--json", "--config", str(config))
            pytest.fail(f"no call waits: {found.stderr} {evidence.stdout} {evidence.stderr}")


def at_terminal(*words, code=0):
    """What a person sees who starts a command at a terminal and says yes; it ends with `code`."""
    controller, terminal = pty.openpty()
    about = {"arguments": words, "folder": os.getcwd(), "variables": dict(os.environ), "session": True}
    link, _ = ask(socket_of_mcpguard(), about, (terminal, terminal, terminal))
    os.close(terminal)
    with contextlib.closing(link):
        link.settimeout(DEADLINE)
        os.write(controller, b"y\n")
        seen = b""
        while True:
            assert ready([controller], [], DEADLINE)[0], seen
            try:
                more = os.read(controller, 65536)
            except OSError:  # The other side is closed.
                break
            if not more:
                break
            seen += more
        ended = int.from_bytes(link.recv(SIZE, socket.MSG_WAITALL), "big")
        assert os.waitstatus_to_exitcode(ended) == code, seen
    os.close(controller)
    return seen


def approved(folder):
    files = (folder / "audit").glob("*.jsonl")
    records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [one["approval"] for one in records if one["kind"] == "decision" and one.get("approval")]


def test_a_call_waits_for_a_person_at_a_terminal(start, tmp_path):
    guard = start({"p": puppet()}, RULES, approvals=WAIT, session={"path": str(tmp_path / "s")})
    guard.hello()
    call = guard.request(
        "tools/call", {"name": "echo", "arguments": {"text": "x"}, "_meta": {"progressToken": 1}}
    )
    found = ticket(guard.config)
    guard.wait_message(lambda one: one.get("method") == "notifications/progress")
    seen = at_terminal("approve", found, "--config", str(guard.config))
    assert b"Others see it." in seen
    assert b"approved: the call goes on" in seen
    assert guard.answer(call)["result"]["content"][0]["text"] == "x"
    assert guard.end() == 0
    (by,) = approved(guard.folder)
    assert by.startswith(f"{found} by os-user:")
    assert command("audit", "verify", str(guard.audit_folder)).returncode == 0


def test_an_approval_outlives_the_process_that_asked(start, tmp_path):
    config = {"session": {"path": str(tmp_path / "s")}}
    guard = start({"p": puppet()}, RULES, **config)
    guard.hello()
    assert "A person was asked" in str(guard.call("echo", text="x"))
    found = ticket(guard.config)
    guard.signal(9)
    guard.wait()
    at_terminal("approve", found, "--config", str(guard.config))
    again = start({"p": puppet()}, RULES, folder=guard.folder, **config)
    again.hello()
    assert again.text("echo", text="x") == "x"
    assert "A person was asked" in str(again.call("echo", text="x"))


def test_an_approval_for_one_configuration_counts_in_no_other(start, tmp_path):
    """Staging and production may have the same server, policies and state."""
    config = {"session": {"path": str(tmp_path / "s")}}
    staging, production = (start({"p": puppet()}, RULES, **config) for _ in range(2))
    staging.hello()
    production.hello()
    staging.call("echo", text="x")
    at_terminal("approve", ticket(staging.config), "--for-session", "--config", str(staging.config))
    assert "A person was asked" in str(production.call("echo", text="x"))
    assert staging.text("echo", text="x") == "x"


def test_a_ticket_is_answered_with_the_configuration_that_asked(start, tmp_path):
    config = {"session": {"path": str(tmp_path / "s")}, "approvals": WAIT}
    guard, other = (start({"p": puppet()}, RULES, **config) for _ in range(2))
    guard.hello()
    call = guard.request("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    found = ticket(guard.config)
    for verb in ("approve", "deny"):
        seen = at_terminal(verb, found, "--config", str(other.config), code=2)
        said = " ".join(seen.decode().split())
        assert "cannot be answered: it was asked under another configuration" in said
        assert f"add `--config {guard.config}`" in said
    assert b"the call goes on" in at_terminal("approve", found, "--config", str(guard.config))
    assert guard.answer(call)["result"]["content"][0]["text"] == "x"


def test_an_approval_ends_when_the_entry_of_its_server_changes(start, tmp_path):
    guard, found = approved_for_session(start, tmp_path, ["--for-session"])
    assert guard.text("echo", text="x") == "x"
    about = yaml.safe_load(guard.config.read_text())
    about["servers"]["p"]["env"] = {"STAGE": "production"}
    replace(guard.config, yaml.safe_dump(about))
    guard.wait_stderr("the changed configuration is now in force: servers")
    assert "A person was asked" in str(guard.call("echo", text="x"))
    void = "void: the server p has changed in the configuration"
    eventually(lambda: void in listed(guard.config), void)
    assert ticket(guard.config) != found


def listed(config):
    return command("approvals", "--config", str(config)).stdout.decode()


def test_what_the_files_say_is_void_only_once_it_is_in_force(start, tmp_path):
    """A change of the configuration that needs a restart leaves the policies as they are."""
    config = {"session": {"path": str(tmp_path / "s")}, "approvals": WAIT}
    guard = start({"p": puppet()}, RULES, **config)
    guard.hello()
    call = guard.request("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    found = ticket(guard.config)
    (guard.folder / "others.yaml").write_text(
        "version: 1\npolicy: others\nrules:\n  - {id: r, effect: deny}\n"
    )
    about = yaml.safe_load(guard.config.read_text())
    about["policies"].append("others.yaml")
    replace(guard.config, yaml.safe_dump({**about, "agent": "another"}))
    guard.wait_stderr("cannot change while mcpguard is running")
    assert "void" not in listed(guard.config)
    assert b"approved: the call goes on" in at_terminal("approve", found, "--config", str(guard.config))
    assert guard.answer(call)["result"]["content"][0]["text"] == "x"


def test_what_a_person_denies_is_refused_with_the_reason(start, tmp_path):
    guard = start({"p": puppet()}, RULES, approvals=WAIT, session={"path": str(tmp_path / "s")})
    guard.hello()
    call = guard.request("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    at_terminal("deny", ticket(guard.config), "--reason", "Not today.", "--config", str(guard.config))
    assert "A person refused this call: Not today." in str(guard.answer(call))


def test_a_rule_that_asks_for_a_passkey_takes_nothing_else(start, tmp_path):
    device, other = Authenticator(), Authenticator()
    passkey = enrol(device)
    entry = {"person": passkey.person, "groups": ["operators"], "id": passkey.id, "key": passkey.key}
    rules = [{**RULES[0], "ask": {"via": "console", "proof": "passkey", "approvers": ["group:operators"]}}]
    guard = start(
        {"p": puppet()},
        rules,
        approvals={"passkeys": [entry], "wait_seconds": 0},
        session={"path": str(tmp_path / "s")},
    )
    guard.hello()
    guard.call("echo", text="x")
    config = load_config(guard.config)
    store, known = store_of(config), passkeys_of(config)
    waiting = waiting_ticket(store, ticket(guard.config))
    yes = TicketAnswer("approved", passkey.person, "console", passkey.groups)
    forged = structs.replace(yes, assertion=other.get(known.request(waiting, yes)))
    for one in (yes, structs.replace(yes, via="terminal"), forged):
        with pytest.raises(SessionError, match="cannot be answered"):
            give(config, store, waiting, one)
    # An agent that can write the file can put it there: the process that serves sees through it.
    planted = forged.assertion.replace(text(other.id), passkey.id)
    assert store.answer(waiting.id, structs.replace(forged, assertion=planted))
    assert "The approval is not valid: the passkey did not sign" in str(guard.call("echo", text="x"))
    guard.call("echo", text="y")
    waiting = waiting_ticket(store, ticket(guard.config))
    give(config, store, waiting, structs.replace(yes, assertion=device.get(known.request(waiting, yes))))
    answer = guard.call("echo", text="y")
    assert answer["result"]["content"][0]["text"] == "y"
    assert guard.end() == 0
    assert approved(guard.folder) == [f"{waiting.id} by {passkey.person} (console, passkey)"]
    assert signature_in_evidence_is_right(guard, waiting.id, passkey)


def signature_in_evidence_is_right(guard, number, passkey):
    """By the records and the public key alone, as an auditor checks it (decision 0031)."""
    notes = [
        json.loads(line)
        for file in guard.audit_folder.glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    said = {
        one["what"]: one["detail"]
        for one in notes
        if one["kind"] == "notice" and f"ticket {number} " in one["detail"]
    }
    assertion, _, signed = (
        said["approval-given"].partition("of the passkey: ")[2].partition("; its challenge is of ")
    )
    assert said["approval-asked"].endswith(f"of the question {json.loads(signed)[0]}")
    verify_authentication_response(
        credential=assertion,
        expected_challenge=sha256(b"mcpguard approval\n" + signed.encode()).digest(),
        expected_rp_id="localhost",
        expected_origin=ORIGIN,
        credential_public_key=decoded(passkey.key),
        credential_current_sign_count=0,
        require_user_verification=True,
    )
    return True


def approved_for_session(start, tmp_path, words):
    """A server that runs, and the ticket that a person approved."""
    guard = start({"p": puppet()}, RULES, session={"path": str(tmp_path / "s")})
    guard.hello()
    assert "A person was asked" in str(guard.call("echo", text="x"))
    found = ticket(guard.config)
    at_terminal("approve", found, *words, "--config", str(guard.config))
    return guard, found


@pytest.mark.parametrize("words", [["--for-session"], ["--minutes", "9"]])
def test_an_approval_that_lasts_outlives_the_process_and_is_counted(start, tmp_path, words):
    guard, found = approved_for_session(start, tmp_path, [*words, "--any", "text"])
    assert guard.text("echo", text="y") == "y"
    guard.signal(9)
    guard.wait()
    again = start({"p": puppet()}, RULES, folder=guard.folder, session={"path": str(tmp_path / "s")})
    again.hello()
    assert again.text("echo", text="z") == "z"
    assert again.end() == 0
    used = sorted(approved(guard.folder))
    assert [one.partition(", ")[2] for one in used] == ["use 1", "use 2"]
    assert all(one.startswith(f"{found} by os-user:") for one in used)


def test_an_approval_ends_with_the_session_that_a_person_ends(start, tmp_path):
    guard, found = approved_for_session(start, tmp_path, ["--for-session"])
    assert guard.text("echo", text="x") == "x"
    at_terminal("session", "end", "--config", str(guard.config))
    assert "A person was asked" in str(guard.call("echo", text="x"))
    assert ticket(guard.config) != found


def test_an_approval_that_a_person_ends_counts_no_more(start, tmp_path):
    guard, found = approved_for_session(start, tmp_path, ["--minutes", "9"])
    assert guard.text("echo", text="x") == "x"
    at_terminal("approvals", "end", found, "--config", str(guard.config))
    assert "A person was asked" in str(guard.call("echo", text="x"))


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_an_approval_that_lasts_counts_over_http(tmp_path, era):
    more = {"approvals": WAIT, "session": {"path": str(tmp_path / "s")}}
    guard = HttpGuard(tmp_path, {"p": puppet()}, RULES, **more)
    try:
        client = getattr(guard, era)()
        call = client.open_call("echo", text="x")
        words = ["--for-session", "--any", "text", "--config", str(guard.config)]
        at_terminal("approve", ticket(guard.config), *words)
        assert call.answer()["result"]["content"][0]["text"] == "x"
        for other in ("y", "z"):
            assert client.open_call("echo", text=other).answer()["result"]["content"][0]["text"] == other
    finally:
        guard.dispose()
    assert [one.partition(", ")[2] for one in approved(tmp_path)] == ["use 1", "use 2", "use 3"]


def test_what_is_approved_for_good_is_in_force_without_a_restart(start, tmp_path):
    own = {"policy": "my-approvals.yaml", "wait_seconds": 0}
    more = {"approvals": own, "session": {"path": str(tmp_path / "s")}}
    guard = start({"p": puppet()}, RULES, **more)
    guard.hello()
    assert "A person was asked" in str(guard.call("echo", text="x"))
    seen = at_terminal("approve", ticket(guard.config), "--always", "--config", str(guard.config))
    assert b"+      && args.text == " in seen
    assert guard.text("echo", text="x") == "x"
    end = time.monotonic() + DEADLINE
    while "A person was asked" in str(guard.call("echo", text="x")):
        assert time.monotonic() < end, "the policy is not reloaded"
    assert "A person was asked" in str(guard.call("echo", text="y"))
    assert guard.end() == 0
    assert len(approved(guard.folder)) <= 1


def test_over_http_somebody_else_has_to_approve_and_not_who_made_the_call(tmp_path):
    entries, devices = [], {}
    guard = None
    try:
        caller = "http:anonymous"
        for person in ("os-user:grace", caller):
            devices[person] = Authenticator()
            made = enrol(devices[person], person)
            entries.append({"person": person, "groups": ["operators"], "id": made.id, "key": made.key})
        ask = {"via": "console", "proof": "passkey", "approvers": ["group:operators"]}
        more = {
            "approvals": {"passkeys": entries, "wait_seconds": 60},
            "session": {"path": str(tmp_path / "s")},
        }
        guard = HttpGuard(tmp_path, {"p": puppet()}, [{**RULES[0], "ask": ask}], **more)
        call = guard.modern().open_call("echo", text="x")
        config = load_config(guard.config)
        store, known = store_of(config), passkeys_of(config)
        waiting = waiting_ticket(store, ticket(guard.config))
        assert waiting.principal == caller
        for person, device in reversed(devices.items()):
            yes = TicketAnswer("approved", person, "console", ("operators",))
            signed = structs.replace(yes, assertion=device.get(known.request(waiting, yes)))
            if person == caller:
                with pytest.raises(SessionError, match="made the call, and its rule asks for somebody else"):
                    give(config, store, waiting, signed)
            else:
                give(config, store, waiting, signed)
        assert call.answer()["result"]["content"][0]["text"] == "x"
    finally:
        if guard is not None:
            guard.dispose()
    (by,) = approved(tmp_path)
    assert by.endswith("by os-user:grace (console, passkey)")


def test_a_session_that_a_person_ends_in_the_middle_of_a_call_ends_what_it_approved(start, tmp_path):
    rules = [{"id": "act", "effect": "ask", "tools": ["act"], "label": ["private"]}]
    more = {"approvals": {"wait_seconds": 0}, "session": {"path": str(tmp_path / "s")}}
    guard = start({"p": puppet()}, rules, **more)
    guard.hello()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = f"open({str(gate)!r}).read(); answer = text('late')"
    assert "A person was asked" in str(guard.call("act", code=code))
    config = load_config(guard.config)
    store = store_of(config)
    waiting = waiting_ticket(store, ticket(guard.config))
    give(config, store, waiting, TicketAnswer(
        "approved", "os-user:ada", "terminal", lasts="session", until=time.time() + 600, free=("code",)
    ))  # fmt: skip
    call = guard.request("tools/call", {"name": "act", "arguments": {"code": code}})
    with open(gate, "w"):  # It is open once the tool reads.
        (session,) = [one for one in store.known() if one.name == waiting.session]
        assert session.state.labels == ["private"]
        end_session(config, store, session, "os-user:ada")
    assert guard.answer(call)["result"]["content"][0]["text"] == "late"
    (session,) = [one for one in store.known() if one.name == waiting.session]
    assert session.state.labels == ["private"]  # Its result has reached the model after the end.
    assert "A person was asked" in str(guard.call("act", code="answer = text('again')"))
