"""Approvals by clients of every transport and era: what a person answers is what becomes of the call."""

import contextlib
import json
import threading
import time

import pytest
from msgspec import structs

from mcpguard.config.loading import load_config
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.serve.interventions import give, store_of
from tests.wire.http_session import HttpGuard
from tests.wire.session import Guard, eventually, puppet
from tests.wire.test_policies import rewrite
from tests.wire.voices import VOICES

RULES = [
    {"id": "act", "effect": "ask", "tools": ["act"], "message": "It acts."},
    {"id": "rest", "effect": "allow"},
]
YES = TicketAnswer("approved", "os-user:ada", "terminal")
NO = TicketAnswer("denied", "os-user:ada", "terminal", reason="Not today.")
ACTS = "answer = text({!r})"


class Desk:
    """mcpguard in front of a client, and a person who answers in another process's place."""

    def __init__(self, folder, voice, wait):
        self.folder = folder
        self._voice = voice
        self._settings = {"approvals": {"wait_seconds": wait}, "session": {"path": str(folder / "sessions")}}
        self.start()

    def start(self):
        """A new process with the same state, and a new client."""
        start = Guard if self._voice[0] == "stdio" else HttpGuard
        self.guard = start(self.folder, {"p": puppet()}, RULES, **self._settings)
        self.client = VOICES[self._voice](self.guard)
        self.config = load_config(self.guard.config)
        self.store = store_of(self.config)

    def restart(self):
        self.close()
        (self.folder / "stderr").unlink()  # It has the address of the last one.
        self.start()

    def close(self):
        self.client.close()
        self.guard.dispose()

    def begin(self, word):
        """The id of a call that needs an approval."""
        return self.client.begin("tools/call", name="act", arguments={"code": ACTS.format(word)})

    def call(self, word):
        """What the call says."""
        return json.dumps(self.client.answer(self.begin(word)))

    def waiting(self, word):
        """The ticket of the call, once it waits."""

        def found():
            asked = [one for one in self.store.waiting() if word in one.shown]
            return asked[0] if asked else None

        return eventually(found, f"a ticket for {word}")

    def answer(self, word, answer=YES):
        give(self.config, self.store, self.waiting(word), answer)


def desk(tmp_path_factory, voice, wait):
    return Desk(tmp_path_factory.mktemp("-".join(voice)), voice, wait)


@pytest.fixture(scope="module", params=[pytest.param(one, id="-".join(one)) for one in VOICES])
def voice(request):
    return request.param


@pytest.fixture(scope="module")
def patient(voice, tmp_path_factory):
    """Its calls wait for the person."""
    with contextlib.closing(desk(tmp_path_factory, voice, 60)) as found:
        yield found


@pytest.fixture(scope="module")
def quick(voice, tmp_path_factory):
    """Its calls are refused at once, and made again."""
    with contextlib.closing(desk(tmp_path_factory, voice, 0)) as found:
        yield found


def test_a_call_goes_on_once_a_person_approves(patient):
    call = patient.begin("yes")
    patient.answer("yes")
    assert '"text": "yes"' in json.dumps(patient.client.answer(call))


def test_a_call_is_refused_once_a_person_denies(patient):
    call = patient.begin("no")
    patient.answer("no", NO)
    assert "A person refused this call: Not today." in json.dumps(patient.client.answer(call))


def test_of_two_who_answer_at_once_one_does(patient):
    call = patient.begin("both")
    ticket, lost = patient.waiting("both"), []
    answers = [YES, structs.replace(YES, by="os-user:bob"), NO, structs.replace(NO, by="os-user:bob")]
    begin = threading.Barrier(len(answers))

    def answer(one):
        begin.wait(20)
        try:
            give(patient.config, store_of(patient.config), ticket, one)
        except SessionError:
            lost.append(one)

    threads = [threading.Thread(target=answer, args=(one,)) for one in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(lost) == 3
    (won,) = [one for one in answers if one not in lost]
    heard = json.dumps(patient.client.answer(call))
    assert ('"text": "both"' if won.verdict == "approved" else "A person refused this call") in heard


def test_calls_that_wait_at_once_are_asked_about_and_end_each_by_itself(patient):
    begin = {word: begun_with_progress(patient, f"one {word}") for word in ("a", "b", "c", "d")}
    joined = begun_with_progress(patient, "one a")
    waits = {word: patient.waiting(f"one {word}") for word in begin}
    assert len({one.id for one in waits.values()}) == 4
    eventually(
        lambda: {one.id for one in waits.values()} <= set(patient.store.waited_for()), "all of them wait"
    )
    for number in (*begin.values(), joined):
        patient.client.wait(lambda one, number=number: hears_that_it_waits(one, number))
    patient.client.cancel(begin["b"])
    eventually(lambda: waits["b"].id not in patient.store.waited_for(), "the cancelled call waits no longer")
    assert {waits[word].id for word in ("a", "c", "d")} <= set(patient.store.waited_for())
    patient.answer("one c")
    assert '"text": "one c"' in json.dumps(patient.client.answer(begin["c"]))
    patient.answer("one d", NO)
    assert "A person refused this call" in json.dumps(patient.client.answer(begin["d"]))
    assert waits["a"].id in patient.store.waited_for()
    patient.answer("one a")
    both = [json.dumps(patient.client.answer(number)) for number in (begin["a"], joined)]
    assert sum('"text": "one a"' in one for one in both) == 1
    assert sum("The approval was used by the same call" in one for one in both) == 1
    assert patient.store.waited_for() == {}


def begun_with_progress(desk, word):
    """The id of a call that needs an approval, which is its progress token too."""
    number = desk.client._last_id + 1
    arguments = {"code": ACTS.format(word)}
    meta = {"progressToken": number}
    assert desk.client.begin("tools/call", name="act", arguments=arguments, _meta=meta) == number
    return number


def hears_that_it_waits(message, token):
    params = message.get("params", {})
    return params.get("progressToken") == token and "waiting for a person" in params["message"]


def test_a_client_that_gives_up_and_asks_again_finds_the_approval(patient):
    call = patient.begin("again")
    ticket = patient.waiting("again")
    patient.client.cancel(call)
    give(patient.config, patient.store, ticket, YES)
    # A legacy client over HTTP that cancels by a notification, and any other, makes the same call.
    assert '"text": "again"' in patient.call("again")
    found = patient.store.known_ticket(ticket.id)
    assert (found.state, found.uses) == ("used", 1)


def test_without_an_answer_in_time_the_same_call_made_again_is_the_one_that_was_asked_about(quick):
    refused = quick.call("late")
    ticket = quick.waiting("late")
    assert "A person was asked and has not answered yet" in refused
    assert ticket.id in refused
    quick.answer("late")
    assert "A person was asked" in quick.call("other")  # Other arguments are another call.
    assert '"text": "late"' in quick.call("late")
    assert "A person was asked" in quick.call("late")  # It counted once.


def test_what_was_approved_before_a_restart_counts_after_it(quick):
    quick.call("outlives")
    quick.answer("outlives")
    quick.restart()
    assert '"text": "outlives"' in quick.call("outlives")


def test_what_was_approved_under_another_policy_does_not_count(quick):
    quick.call("void")
    quick.answer("void")
    rewrite(quick.guard, [*RULES, {"id": "new", "effect": "deny", "tools": ["never"]}])
    eventually(
        lambda: any(one["what"] == "policy-reloaded" for one in quick.guard.records("notice")),
        "the policies are reloaded",
    )
    assert "A person was asked" in quick.call("void")


def test_each_effect_has_its_approval_in_evidence(patient, quick):
    for one in (patient, quick):
        end = time.monotonic() + 20
        while True:
            records = one.guard.records()
            allowed = {
                r["id"]
                for r in records
                if r["kind"] == "decision" and r.get("tool") == "act" and r["effect"] == "allow"
            }
            if allowed <= {r["id"] for r in records if r["kind"] == "outcome"}:
                break
            assert time.monotonic() < end
        used = [r["approval"].split()[0] for r in records if r["kind"] == "decision" and r.get("approval")]
        given = {r["detail"].split()[1] for r in records if r.get("what") == "approval-given"}
        assert len(used) == len(set(used)) == len(allowed)
        assert set(used) <= given
