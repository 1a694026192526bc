"""`mcpguard approvals`, `approve` and `deny`: a person at a terminal answers, and that leaves evidence."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.store.sqlite import FILE, SqliteStore
from mcpguard.adapters.telemetry.status_file import Status
from mcpguard.cli import main
from mcpguard.cli.parser import configured
from mcpguard.config.policies import load_policies
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import AnswerTerms, Ticket, TicketAnswer
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.serve import interventions
from mcpguard.serve.interventions import TicketCheck, end_session
from mcpguard.serve.settings import places_of
from tests.adapters.store.test_store import TICKET, given_by
from tests.adapters.store.test_store import said as answered
from tests.cli.operating.test_session import home, notices, store

Capture = pytest.CaptureFixture[str]

__all__ = ["home"]

SHOWN = '{"text":"a\\u202eb \\u001b[31m","list":[1]}'


def ask(folder: Path, **more: Any) -> SqliteStore:
    now = time.time()
    about = {"created": now, "expires": now + 60, "message": "Pushing is seen.", "shown": SHOWN}
    policies = load_policies(configured(None).policies, OPT_IN).digest
    one = structs.replace(TICKET, **{**about, "policies": policies, **more})
    found = store(folder)
    given_by(found.ask(one))
    return found


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person types; the prompts are put behind it."""
    typed: list[str] = []
    monkeypatch.setattr("mcpguard.cli.parser.at_terminal", lambda: True)
    monkeypatch.setattr(interventions, "TAKEN_SECONDS", 0.0)
    monkeypatch.setattr("builtins.input", lambda prompt: typed.append(prompt) or typed[0])
    return typed


def given(folder: Path) -> TicketAnswer:
    answer = known(folder).answer
    assert answer is not None
    return answer


def known(folder: Path) -> Ticket:
    found = store(folder).known_ticket("t1")
    assert found is not None
    return found


def test_the_calls_that_wait_are_listed(home: Path, capsys: Capture) -> None:
    assert main(["approvals"]) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"no call waits for an approval in /\S+/sessions\n", said)
    ask(home)
    assert main(["approvals"]) == 0
    said = capsys.readouterr().out
    assert "t1" in said
    assert "tools/call s/push" in said


def test_a_call_that_waits_is_told_from_a_ticket_that_nobody_waits_for(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    ask(home, created=time.time() - 500).waits("t1", time.time() - 40)
    ask(home, id="t2", args="b")
    says.append("n")
    assert main(["approvals"]) == 0
    now, left = capsys.readouterr().out.split("\nno call waits for these any more; an approval is valid for")
    assert re.search(r"^t1 +4\d s ", now, re.MULTILINE)
    assert "t2" not in now
    assert left.startswith(" the same call made again:\nUNANSWERED")
    assert re.search(r"^t2 +\d{4}-\d\d-\d\dT\S+Z ", left, re.MULTILINE)
    main(["approve", "t1"])
    assert re.search(r"^a call has been waiting for 4\d s$", capsys.readouterr().out, re.MULTILINE)
    main(["approve", "t2"])
    said = "no call waits for it any more; an approval is valid for the same call made again until 2"
    assert f"\n{said}" in capsys.readouterr().out.replace("\n> ", "")


def test_nothing_is_promised_of_a_ticket_that_is_void(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home, policies="old")
    says.append("n")
    main(["approve", "t1"])
    assert "\nno call waits for it any more\n" in capsys.readouterr().out


def test_a_person_sees_the_call_and_approves_it(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home)
    says.append("y")
    assert main(["approve", "t1"]) == 0
    said = capsys.readouterr().out
    assert "tools/call s/push" in said
    assert "Pushing is seen." in said
    assert r"a\u202eb \u001b[31m" in said
    assert "approved, but no call is waiting for it now; the same call goes through until " in said
    assert given(home).by.partition(":")[0] == "os-user"
    assert (known(home).state, given(home).via) == ("approved", "terminal")
    ((what, detail),) = notices(home)
    assert what == "approval-given"
    assert detail.startswith("ticket t1 of os-user:ada by os-user:")


def test_whoever_approves_after_the_policies_changed_is_told_that_the_call_has_to_be_made_again(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    ask(home)
    says.append("y")
    policy = (home / "p.yaml").read_text()
    (home / "p.yaml").write_text(policy.replace("Nothing leaves", "Nothing gets out"))
    assert main(["approvals"]) == 0
    assert "void: the policies have changed" in capsys.readouterr().out
    assert main(["approvals", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["waiting"][0]["void"]
    assert main(["approve", "t1"]) == 0
    said = capsys.readouterr().out
    counts_for_nothing = (
        "the policies have changed since it was asked, so an approval would have no effect: the call has to "
        "be made again\n"
    )
    assert f"\n{counts_for_nothing}" in said
    assert said.endswith(f"approved, but {counts_for_nothing}")
    assert "goes through until" not in said


def serving(monkeypatch: pytest.MonkeyPatch, config: Path, *in_force: str) -> None:
    """A process that serves a configuration, with that in force."""
    status = Status(1, time.time(), "", str(config), "stdio", in_force=in_force)
    monkeypatch.setattr(interventions, "running", lambda: [status])


def test_what_is_in_force_where_it_is_served_decides_whether_a_ticket_is_void(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files may be ahead of the process, or not be applied at all."""
    ask(home, policies="old")
    serving(monkeypatch, home / "mcpguard.yaml", "old")
    main(["approvals"])
    assert "void" not in capsys.readouterr().out
    serving(monkeypatch, home / "other.yaml", "old")
    main(["approvals"])
    assert "void: the policies have changed" in capsys.readouterr().out


def test_a_ticket_for_a_server_that_has_changed_is_void(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(None)
    place = places_of(config).of("s")
    ask(home, config=str(config.path), reached="e0 /srv")
    void = "void: the server s has changed in the configuration"
    main(["approvals"])
    assert void in capsys.readouterr().out
    text = config.path.read_text()
    config.path.write_text("no configuration")
    assert not TicketCheck(config, lambda: "").void(known(home))
    config.path.write_text(text)
    serving(monkeypatch, config.path, "e0")
    assert not TicketCheck(config, lambda: "").void(structs.replace(known(home), policies="e0"))
    assert not TicketCheck(config, lambda: "").void(
        structs.replace(known(home), policies="e0", reached=place)
    )


def test_tickets_of_another_configuration_are_listed_as_such_and_not_judged_by_this_one(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this one's policies say."""
    other = home / "a folder" / "other.yaml"
    ask(home, config=str(other), reached="e0", policies="others")
    says.append("y")
    assert main(["approvals"]) == 0
    listed = capsys.readouterr().out
    assert "CONFIGURATION" in listed
    assert str(other) in listed
    assert "void" not in listed
    main(["approvals", "--json"])
    (waiting,) = json.loads(capsys.readouterr().out)["waiting"]
    assert (waiting["config"], waiting["void"]) == (str(other), False)
    serving(monkeypatch, other, "new", "e0")
    main(["approvals"])
    assert "void: the policies have changed" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["approve"], ["approve", "--always"], ["deny"]])
def test_a_ticket_of_another_configuration_is_not_answered_here(
    home: Path, capsys: Capture, says: list[str], words: list[str]
) -> None:
    other = home / "a folder" / "other.yaml"
    ask(home, config=str(other))
    says.append("y")
    assert main([*words, "t1"]) == 2
    said = f"it was asked under another configuration; add `--config '{other}'`"
    assert f"the ticket t1 cannot be answered: {said}" in capsys.readouterr().err
    assert (known(home).state, notices(home)) == ("waiting", [])
    store(home).answer("t1", answered("denied", "a"))
    assert main(["approvals", "end", "t1"]) == 2
    assert f"the answer to the ticket t1 cannot be ended: {said}" in capsys.readouterr().err
    assert known(home).state == "denied"


def test_another_path_to_the_same_configuration_is_the_same(home: Path, says: list[str]) -> None:
    link = home / "link.yaml"
    link.symlink_to(home / "mcpguard.yaml")
    ask(home, config=str(link))
    says.append("y")
    assert main(["approve", "t1"]) == 0
    assert known(home).state == "approved"


def test_a_ticket_counts_while_the_policies_on_disk_do_not_load(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    ask(home)
    says.append("y")
    (home / "p.yaml").write_text("no policy")
    assert main(["approvals"]) == 0
    assert main(["approve", "t1"]) == 0
    said = capsys.readouterr().out
    assert "void" not in said
    assert "the same call goes through until" in said


def test_a_person_refuses_a_call_with_a_reason(home: Path, says: list[str]) -> None:
    ask(home)
    says.append("yes")
    assert main(["deny", "t1", "--reason", "Use staging."]) == 0
    assert (known(home).state, given(home).reason) == ("denied", "Use staging.")
    assert [what for what, _ in notices(home)] == ["approval-refused"]


@pytest.mark.parametrize("typed", ["", "n", "maybe"])
def test_whoever_does_not_say_yes_answers_nothing(home: Path, says: list[str], typed: str) -> None:
    ask(home)
    says.append(typed)
    assert main(["approve", "t1"]) == 1
    assert known(home).state == "waiting"
    assert notices(home) == []


def test_an_agent_without_a_terminal_answers_nothing(home: Path, capsys: Capture) -> None:
    ask(home)
    for verb in ("approve", "deny"):
        assert main([verb, "t1"]) == 2
        assert (
            "approving or denying a call is for a person, so it needs a terminal" in capsys.readouterr().err
        )
    assert known(home).state == "waiting"


def test_nothing_is_answered_without_evidence(home: Path, says: list[str]) -> None:
    ask(home)
    says.append("y")
    (home / "audit").write_text("")
    assert main(["approve", "t1"]) == 2
    assert known(home).state == "waiting"


def test_whoever_names_no_ticket_is_told_what_lists_them_in_the_same_configuration(
    home: Path, capsys: Capture, says: list[str], tmp_path: Path
) -> None:
    says.append("y")
    other = tmp_path / "other folder.yaml"
    other.write_text("version: 1\nservers: {x: {command: cat}}\n")
    lists = f"`mcpguard approvals --config '{other}'`"
    for words in (["approve", "t9"], ["approvals", "end"], ["approvals", "end", "t9"]):
        assert main([*words, "--config", str(other)]) == 2
        assert lists in capsys.readouterr().err


def test_what_does_not_wait_any_more_cannot_be_answered(home: Path, capsys: Capture, says: list[str]) -> None:
    says.append("y")
    assert main(["approve", "t1"]) == 2
    lists = "; `mcpguard approvals` lists what can be answered\n"
    assert f"there is no ticket 't1', or it is over{lists}" in capsys.readouterr().err
    ask(home).answer("t1", answered("denied", "a"))
    assert main(["approve", "t1"]) == 2
    assert f"the ticket t1 was denied by a (terminal){lists}" in capsys.readouterr().err
    assert known(home).state == "denied"


def test_whoever_answers_late_reads_what_became_of_the_ticket(home: Path, capsys: Capture) -> None:
    found = ask(home)
    found.answer("t1", answered("approved", "a"))
    given_by(found.use("t1", time.time()))
    ask(home, id="t2", args="b").answer("t2", answered("denied", "b"))
    found.end("t2")
    ask(home, id="t3", args="c", expires=100.0)
    for ticket, said in (
        ("t1", "was approved by a (terminal), and a call has used that"),
        ("t2", "was denied by b (terminal), and a person has ended that"),
        ("t3", "expired at 1970-01-01T00:01:40Z"),
    ):
        with pytest.raises(SessionError, match=re.escape(f"the ticket {ticket} {said}") + "$"):
            interventions.waiting_ticket(found, ticket)


def test_of_two_who_answer_at_once_one_is_told(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(home)
    monkeypatch.setattr(
        "builtins.input", lambda _: "y" if found.answer("t1", answered("denied", "a")) else ""
    )
    assert main(["approve", "t1"]) == 2
    assert "the ticket t1 was denied by a (terminal)\n" in capsys.readouterr().err
    details = dict(notices(home))
    given_first = details.pop("approval-given")
    was = "the ticket t1 was denied by a (terminal)"
    assert details == {"approval-void": f"approval-given: {given_first}: {was}"}
    assert known(home).state == "denied"


def test_an_answer_that_could_not_be_stored_is_void_in_evidence(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(home)
    (file,) = home.rglob("state.sqlite")
    with sqlite3.connect(file, isolation_level=None) as other:

        def locked(_prompt: str) -> str:
            other.execute("BEGIN IMMEDIATE")
            return "y"

        monkeypatch.setattr("builtins.input", locked)
        assert main(["approve", "t1"]) == 2
        other.execute("ROLLBACK")
    assert "is locked by another program" in capsys.readouterr().err
    assert known(home).state == "waiting"
    assert sorted(what for what, _ in notices(home)) == ["approval-given", "approval-void"]


def shown(folder: Path, capsys: Capture, says: list[str], **more: Any) -> list[str]:
    """The lines that a person sees of a call."""
    ask(folder, **{"message": "", **more})
    says.append("n")
    assert main(["approve", "t1"]) == 1
    return capsys.readouterr().out.split("\n")


def test_arguments_that_are_no_json_are_shown_as_they_are(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    assert '│ {"text":"aaa' in shown(home, capsys, says, shown='{"text":"aaa')


def test_arguments_of_very_many_levels_are_not_blown_up(home: Path, capsys: Capture, says: list[str]) -> None:
    deep = "[" * 900 + ",".join(["1"] * 1000) + "]" * 900
    lines = shown(home, capsys, says, shown=deep)
    assert sum(map(len, lines)) < 2 * len(deep)
    assert "".join(line[2:] for line in lines).count("1") >= 1000


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_no_text_in_an_argument_begins_a_line(home: Path, capsys: Capture, says: list[str], end: str) -> None:
    text = f"a{end}  force: no"
    lines = shown(home, capsys, says, shown=json.dumps({"text": text}))
    assert not [line for line in lines if line.strip().startswith("force")]


def test_a_line_that_is_too_long_for_the_terminal_is_folded_with_a_mark(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "a" + " " * 60 + '"force": false' + "\u5bbd" * 30
    lines = shown(home, capsys, says, shown=json.dumps({"text": text}, ensure_ascii=False))
    (first,) = [at for at, line in enumerate(lines) if line.startswith("text:")]
    folded = lines[first : lines.index("not answered")]
    assert [line[:2] for line in folded] == ["te", *["> "] * (len(folded) - 1)]
    assert f"text: {json.dumps(text, ensure_ascii=False)}" == "".join(
        [folded[0], *(line[2:] for line in folded[1:])]
    )
    assert all(len(line) + line.count("\u5bbd") <= 40 for line in lines)


def test_names_of_servers_cannot_steer_the_terminal(home: Path, capsys: Capture, says: list[str]) -> None:
    lines = shown(home, capsys, says, target="push\x1b[2J\u202e\u3164", shown="{}")
    assert lines[0] == r"tools/call s/push\x1b[2J\u202e\u3164"
    assert "\x1b[2J" not in "".join([*lines, *says])


def test_the_end_of_the_input_is_no_answer(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(_prompt: str) -> str:
        raise EOFError

    ask(home)
    monkeypatch.setattr("builtins.input", ended)
    assert main(["approve", "t1"]) == 1
    assert known(home).state == "waiting"
    assert notices(home) == []


# --- approvals that last ---------------------------------------------------------------------------

PARTS = {"text": "a", "list": "b"}


def test_an_approval_for_the_session_says_all_that_it_allows(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    ask(home, parts=PARTS)
    says.append("y")
    assert main(["approve", "t1", "--for-session", "--any", "text", "--any", "text"]) == 0
    asked = says[1]
    assert "This allows tools/call s/push as often as os-user:ada with desk calls it," in asked
    assert "until the session ends, and until " in asked
    assert "with any value of: text\n" in asked
    assert "with the values shown of: list\n" in asked
    assert (given(home).lasts, given(home).free) == ("session", ("text",))
    assert 86_000 < given(home).until - time.time() <= 86_400
    ((_, detail),) = notices(home)
    assert ", for the session, until " in detail
    assert detail.endswith(', with any value of "text"')
    assert given_by(store(home).use("t1", time.time())) == 1


def test_an_approval_for_minutes_says_so(home: Path, says: list[str]) -> None:
    ask(home, parts=PARTS)
    says.append("y")
    assert main(["approve", "t1", "--minutes", "30"]) == 0
    assert "with every argument as shown" in says[1]
    assert given(home).lasts == "time"
    assert 1700 < given(home).until - time.time() <= 1800


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--any", "text"], "`--any` needs --for-session, --minutes or --always"),
        (
            ["--for-session", "--any", "t\u0435xt"],
            "has no argument 't\\u0435xt'; its arguments are: list, text",
        ),
        (["--minutes", "0"], "a whole number from 1 to 480"),
        (["--minutes", "481"], "a whole number from 1 to 480"),
        (["--minutes", "\u0663"], "a whole number from 1 to 480"),
        (["--minutes", "5", "--for-session"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_approved_is_not_asked(
    home: Path, capsys: Capture, says: list[str], words: list[str], why: str
) -> None:
    ask(home, parts=PARTS)
    says.append("y")
    assert main(["approve", "t1", *words]) == 2
    assert why in capsys.readouterr().err
    assert len(says) == 1
    assert known(home).state == "waiting"


def test_a_time_out_of_the_rule_bounds_the_approval(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home, terms=AnswerTerms(seconds=600))
    says.append("y")
    assert main(["approve", "t1", "--minutes", "11"]) == 2
    assert "it can last 10 minutes at most" in capsys.readouterr().err
    assert main(["approve", "t1", "--for-session"]) == 0
    assert given(home).until - time.time() <= 600


def test_approvals_in_force_are_listed_and_a_person_ends_one(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    ask(home, parts=PARTS, policies="others")
    says.append("y")
    main(["approve", "t1", "--for-session", "--any", "text"])
    given_by(store(home).use("t1", time.time()))
    capsys.readouterr()
    main(["approvals"])
    listed = capsys.readouterr().out
    assert "no call waits for an approval" in listed
    assert "ANY VALUE OF" in listed
    assert "void: the policies have changed" in listed
    policy = (home / "p.yaml").read_text()
    (home / "p.yaml").write_text("no policy")
    main(["approvals"])
    assert "void" not in capsys.readouterr().out  # Whoever serves keeps the policies that it has.
    (home / "p.yaml").write_text(policy)
    main(["approvals", "--json"])
    (found,) = json.loads(capsys.readouterr().out)["in_force"]
    assert found["void"]
    assert (found["ticket"], found["uses"], found["free"], found["lasts"]) == ("t1", 1, ["text"], "session")
    assert main(["approvals", "end", "t1"]) == 0
    assert "the next such call is asked about" in capsys.readouterr().out
    detail = dict(notices(home))["approval-ended"]
    assert detail.startswith("ticket t1 of os-user:ada by os-user:")
    assert detail.endswith(", used 1 times")
    assert given_by(store(home).use("t1", time.time())) == 0
    assert main(["approvals", "end", "t1"]) == 2
    assert main(["approvals", "end"]) == 2


def test_a_refusal_by_other_policies_is_void_too(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home, policies="others")
    says.append("y")
    main(["deny", "t1"])
    main(["approvals"])
    assert "void: the policies have changed" in capsys.readouterr().out


def test_a_single_approval_can_be_taken_back_too(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home)
    says.append("y")
    main(["approve", "t1"])
    main(["approvals"])
    assert "once" in capsys.readouterr().out
    assert main(["approvals", "end", "t1"]) == 0
    assert known(home).state == "ended"


def test_a_refusal_is_listed_and_a_person_takes_it_back(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home)
    says.append("y")
    assert main(["deny", "t1", "--reason", "Not today."]) == 0
    capsys.readouterr()
    main(["approvals"])
    assert "REFUSED" in capsys.readouterr().out
    main(["approvals", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert [(one["ticket"], one["reason"]) for one in said["refused"]] == [("t1", "Not today.")]
    assert main(["approvals", "end", "t1"]) == 0
    assert known(home).state == "ended"
    assert notices(home)[-1][0] == "refusal-ended"


@pytest.mark.parametrize(("state", "what"), [("waiting", "refusal-ended"), ("approved", "approval-ended")])
def test_a_ticket_that_cannot_be_read_is_named_and_removed_and_hides_no_other(
    home: Path, capsys: Capture, says: list[str], state: str, what: str
) -> None:
    ask(home)
    ask(home, id="bad", args="other")
    with sqlite3.connect(home / "sessions" / FILE) as database:
        damage = "UPDATE tickets SET question = '{', state = ? WHERE id = 'bad'"
        database.execute(damage, (state,))
    says.append("y")
    assert main(["approvals"]) == 0
    listed = capsys.readouterr().out
    assert "t1" in listed
    assert "refused until `mcpguard approvals end TICKET` removes them" in listed
    assert listed.splitlines()[-1].split() == ["bad", "os-user:ada", state]
    assert main(["approvals", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in found["waiting"]] == ["t1"]
    assert found["unreadable"] == [{"id": "bad", "principal": "os-user:ada", "state": state}]
    assert main(["approve", "bad"]) == 2
    assert "`mcpguard approvals end bad` removes it" in capsys.readouterr().err
    assert main(["approve", "t1"]) == 0
    assert main(["approvals", "end", "bad"]) == 0
    assert dict(notices(home))[what].endswith(", which cannot be read")
    capsys.readouterr()
    main(["approvals"])
    assert "CANNOT BE READ" not in capsys.readouterr().out
    assert main(["approvals", "end", "bad"]) == 2


def test_an_approval_that_is_used_before_it_is_ended_stays_used_in_evidence(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(home)
    says.append("y")
    main(["approve", "t1"])
    capsys.readouterr()
    end = SqliteStore.end

    def late(own: SqliteStore, ticket_id: str) -> bool:
        given_by(found.use(ticket_id, time.time()))
        return end(own, ticket_id)

    monkeypatch.setattr(SqliteStore, "end", late)
    assert main(["approvals", "end", "t1"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "nothing was changed: it was used or ended meanwhile" in said.err
    assert known(home).state == "used"
    assert sorted(what for what, _ in notices(home)) == ["approval-ended", "approval-given", "change-void"]


def test_an_approval_is_not_ended_without_a_terminal(home: Path, capsys: Capture) -> None:
    assert main(["approvals", "end", "t1"]) == 2
    assert "is for a person, so it needs a terminal" in capsys.readouterr().err


def test_an_approval_goes_with_its_session(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home)
    says.append("y")
    main(["approve", "t1", "--for-session"])
    (session,) = store(home).known()
    assert session.state is not None
    assert session.state.approvals == ["t1"]
    end_session(configured(None), store(home), session, "os-user:ada")
    assert store(home).approved() == []
    with sqlite3.connect(home / "sessions" / "state.sqlite") as database:
        database.execute("UPDATE sessions SET state = x'00'")
    assert store(home).approved() == []


def test_an_approval_under_the_present_policies_says_until_when(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    policies = load_policies(configured(None).policies, OPT_IN)
    ask(home, policies=policies.digest)
    says.append("y")
    main(["approve", "t1", "--for-session"])
    capsys.readouterr()
    main(["approvals"])
    assert "or the session's end" in capsys.readouterr().out


def test_an_approval_of_any_address_says_that_the_host_stays(home: Path, says: list[str]) -> None:
    ask(home, parts={**PARTS, "url": "c"}, hosts={"url": "h", "list": "i"})
    says.append("y")
    assert main(["approve", "t1", "--for-session", "--any", "text", "--any", "url"]) == 0
    assert "with any value of: text, url\n  with the host that is shown in: url\n" in says[1]
