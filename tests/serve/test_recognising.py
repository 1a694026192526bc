"""Values that are recognised before a server needs them: what waits for them, and for how long."""

import asyncio
from threading import Event

import pytest

from mcpguard.adapters.credentials import SOURCES, keychain
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.config.loading import Server
from mcpguard.core.errors import AuditError, CredentialError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.flight import Wait, as_future
from mcpguard.serve import recognising
from mcpguard.serve.recognising import RecognisableValues, RecognisedNames, ValueRecogniser
from tests.adapters.credentials.fake_keyring import FakeKeyring

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

REF = CredentialRef("env", "SOME_TOKEN")


class Audit:
    """Takes records, or none."""

    def __init__(self, fails: bool = False) -> None:
        self.written: list[tuple[str, str]] = []
        self.fails = fails

    def write(self, record) -> Wait[None]:
        wait: Wait[None] = Wait()
        if self.fails:
            wait.fail(AuditError("full"))
        else:
            self.written.append((record.what, record.detail))
            wait.set(None)
        return wait


class Blocked(RecognisableValues):
    """Reads nothing before it is let go."""

    def __init__(self, let_go: Event) -> None:
        super().__init__([REF], {}, Redactor(b"key"))
        self.let_go = let_go

    def read(self, _before=None):
        self.let_go.wait(20)
        return RecognisedNames(("env:SOME_TOKEN",))


def make(audit, said):
    turn = Turn(asyncio.get_running_loop())
    return ValueRecogniser(audit, turn, SystemClock(), said.append, lambda: None)


async def test_what_is_read_is_on_record_before_and_after(monkeypatch):
    monkeypatch.setattr(
        recognising, "WAIT_SECONDS", 60
    )  # A busy machine needs more than what a client waits.
    monkeypatch.setenv("SOME_TOKEN", "q7Zk2vX9pL4mT8wR1nB6")
    audit, said = Audit(), []
    one = make(audit, said)
    waits_from_before = one.known
    redactor = Redactor(b"key")
    one.begin(RecognisableValues([REF], {}, redactor), frozenset())
    assert not one.known.done
    await as_future(one.known)
    assert waits_from_before.done
    assert audit.written == [
        ("credentials-read", "env:SOME_TOKEN"),
        ("credentials-recognised", "held: env:SOME_TOKEN"),
    ]
    assert "[REDACTED:credential:env:SOME_TOKEN" in redactor.inspect_text("a q7Zk2vX9pL4mT8wR1nB6 b")
    assert said == []
    one.begin(RecognisableValues([], {}, redactor), frozenset())
    assert one.known.done
    await one.close()


async def test_a_source_that_hangs_is_not_waited_for_and_reported_until_it_answers(monkeypatch):
    monkeypatch.setattr(recognising, "WAIT_SECONDS", 0.01)
    let_go, audit, said = Event(), Audit(), []
    one = make(audit, said)
    one.begin(Blocked(let_go), frozenset())
    await as_future(one.known)
    assert one.problem == (
        "env:SOME_TOKEN could not be read within 0.01 seconds, so its value is not removed from answers until a "
        "server needs it"
    )
    assert said == [one.problem]
    let_go.set()
    while one.problem:
        await asyncio.sleep(0.001)
    assert audit.written[-1] == ("credentials-recognised", "held: env:SOME_TOKEN")
    await one.close()


async def test_who_waits_when_the_configuration_changes_goes_on_to_wait_for_its_values(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "q7Zk2vX9pL4mT8wR1nB6")
    monkeypatch.setattr(recognising, "WAIT_SECONDS", 60)
    let_go, audit, redactor = Event(), Audit(), Redactor(b"key")
    one = make(audit, [])
    one.begin(Blocked(let_go), frozenset())
    waits = one.known
    one.begin(RecognisableValues([REF], {}, redactor), frozenset())
    assert not waits.done
    await as_future(waits)
    assert "[REDACTED:" in redactor.inspect_text("a q7Zk2vX9pL4mT8wR1nB6 b")
    let_go.set()
    await one.close()


async def test_nobody_waits_where_there_is_nothing_to_recognise():
    one = make(Audit(), [])
    one.begin(RecognisableValues([], {}, Redactor(b"key")), frozenset())
    assert one.known.done
    await one.close()


async def test_without_evidence_nothing_is_read():
    let_go = Event()
    one = make(Audit(fails=True), [])
    one.begin(Blocked(let_go), frozenset())
    await as_future(one.known)
    assert one.problem == ""
    await one.close()


def test_a_value_that_cannot_be_guarded_leaves_the_others_held(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "q7Zk2vX9pL4mT8wR1nB6")
    monkeypatch.setenv("SHORT", "ab")
    redactor = Redactor(b"key")
    found = RecognisableValues([REF, CredentialRef("env", "SHORT")], {}, redactor).read()
    assert found.held == ("env:SOME_TOKEN",)
    assert list(found.failed) == ["env:SHORT"]
    assert "q7Zk2vX9pL4mT8wR1nB6" not in redactor.inspect_text("q7Zk2vX9pL4mT8wR1nB6")


def held_of(*args):
    redactor = Redactor(b"key")
    one = RecognisableValues([], {}, redactor, [Server(name="s", command="x", args=args)])
    return one.names, one.read().held


KEY, LOCATION = "q7Zk2vX9pL4mT8wR1nB6", "postgresql://app:q7Zk2vX9pL4mT8wR@db/app"


def test_a_secret_among_arguments_is_held():
    assert held_of("--api-key", KEY) == (("s/args.1",), ("s/args.1",))
    assert held_of("serve", f"--token={KEY}", "--port=8080")[1] == ("s/args.1",)
    assert held_of("-y", "server-postgres", LOCATION)[1] == ("s/args.2",)


def test_of_arguments_only_what_is_a_secret_and_hard_to_guess_is_held():
    assert held_of("-y", "mcp-server-git", "--repository", "/home/ada/src") == ((), ())
    assert held_of("--password", "postgres", "--id", KEY) == (("s/args.3",), ())
    keys = [f"--api-key={KEY[:-5]}{n:05}" for n in range(9000)]
    assert len(held_of(*keys[:2])[1]) == 2
    assert held_of(*keys)[1] == ()


@pytest.fixture
def quiet(backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch):
    backend.entries[keychain.SERVICE, "one"] = "q7Zk2vX9pL4mT8wR1nB6"
    name = f"{FakeKeyring.__module__}.FakeKeyring"

    def make(*attributes):
        for each in attributes:
            monkeypatch.setattr(keychain, each, (name,))

    return make


def test_a_keychain_is_read_where_it_is_known_to_ask_nobody(quiet, monkeypatch):
    ref = CredentialRef("keyring", "one")
    read = SOURCES["keyring"].quietly
    assert read(ref) is None  # Nothing is known of this one.
    quiet("_ONCE_UNLOCKED")
    monkeypatch.setattr(keychain, "is_unlocked", lambda: False)
    assert read(ref) is None
    monkeypatch.setattr(keychain, "is_unlocked", lambda: True)
    assert isinstance(read(ref), Secret)
    with pytest.raises(CredentialError, match="not in the keychain"):
        read(CredentialRef("keyring", "two"))
