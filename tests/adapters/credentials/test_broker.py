"""The broker: who gets which credential, how often its source is asked, and what becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.credentials import KEYRING_SECONDS
from mcpguard.adapters.credentials.broker import Broker, named_by, shown_for
from mcpguard.adapters.credentials.kept import HeldLease, KeptCredential
from mcpguard.config.loading import Credential, Server
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Principal
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, Lease, Secret, parse_template
from mcpguard.gateway.ports import Recipient
from tests.adapters.credentials.fake_credentials import (
    ADA,
    FakeGuard,
    FakeMint,
    FakeSource,
    Hand,
    kind,
    program,
)

REF = CredentialRef("credential", "key")
PLAIN = CredentialRef("file", "plain")


class Stage:
    """A broker over one mint of the test's, as `credential:key` of the server `s`."""

    def __init__(self, mint: FakeMint | None = None, **entry: Any) -> None:
        self.mint = mint or FakeMint()
        self.now = Hand()
        self.held: list[str] = []
        self.released: list[str] = []
        self.said: list[str] = []
        self.late: list[str] = []
        self.source = FakeSource(plain="plain-value")
        per_principal = entry.pop("per_principal", False)
        recovers = entry.pop("recovers", False)
        self.made: list[tuple[Any, ...]] = []
        entry = {"name": "key", "kind": "fake", "made": "made", "servers": frozenset({"s"}), **entry}
        self.credentials = {"key": Credential(**entry)}
        self.broker = Broker(
            self.credentials,
            {"s": frozenset({PLAIN})},
            self,
            lambda _server, line: self.said.append(line),
            self.now,
            {"file": self.source},
            {"fake": kind(self.make, per_principal, recovers)},
            late=lambda name, why: self.late.append(f"{name}: {why}"),
        )

    def reconfigure(self, **entry: Any) -> None:
        """The entry is another one from now on."""
        self.credentials = {"key": structs.replace(self.credentials["key"], **entry)}
        self.broker.reconfigure(self.credentials, {"s": frozenset({PLAIN})})

    def make(self, *given: Any) -> FakeMint:
        self.made.append(given)
        return self.mint

    def hold_all(self, values: Iterable[tuple[str, Secret]]) -> bool:
        before = set(self.held)
        for name, secret in values:
            self.hold(name, secret)
        return bool(set(self.held) - before)

    def hold(self, name: str, secret: Secret) -> None:
        if len(secret.reveal()) < 6:
            raise CredentialError(f"{name}: the value is too short")
        self.held.append(secret.reveal())
        self.released = [one for one in self.released if one != secret.reveal()]

    def release(self, _name: str, secret: Secret) -> None:
        self.released.append(secret.reveal())

    def get(self, to: Recipient | None = None, ref: CredentialRef = REF) -> str:
        value = self.broker.get(ref, to or program()).reveal()
        assert value in self.held
        return value

    def refusal(self, to: Recipient | None = None, ref: CredentialRef = REF) -> str:
        with pytest.raises(CredentialError) as caught:
            self.broker.get(ref, to or program())
        said = str(caught.value)
        assert str(ref) in said
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return said


def test_what_is_secret_in_a_value_by_itself_is_held_too() -> None:
    stage = Stage()
    stage.mint.parts = (Secret("password-in-it"),)
    stage.get()
    assert stage.held == ["minted-value-1", "password-in-it"]


def test_who_wants_to_know_hears_of_a_value_that_is_another_one_than_before() -> None:
    stage, told = Stage(), list[str]()
    stage.broker._rotated = told.append
    stage.get()
    stage.get(ref=PLAIN)
    assert told == []
    stage.broker.refused(REF, program())
    stage.get()
    assert told == [str(REF)]
    stage.now.at += 1000
    stage.get(ref=PLAIN)
    assert told == [str(REF)]
    stage.source.values["plain"] = "other-value"
    stage.now.at += 1000
    stage.get(ref=PLAIN)
    assert told == [str(REF), str(PLAIN)]


def test_a_value_of_which_a_part_cannot_be_guarded_is_ended_and_not_given() -> None:
    stage = Stage(FakeMint(ends=True))
    stage.mint.parts = (Secret("short"),)
    assert "too short" in stage.refusal()
    assert stage.mint.ended == ["minted-value-1"]


def test_the_end_of_a_lease_gets_what_its_entry_refers_to() -> None:
    stage = Stage(FakeMint(ends=True))
    stage.get()
    ends: list[str] = []
    plain = stage.made[0][2]
    stage.mint.on_end = lambda: ends.append(plain(PLAIN).reveal())
    stage.broker.close()
    assert (ends, stage.said) == (["plain-value"], [])


def test_what_killed_processes_left_is_found_without_asking_a_source() -> None:
    stage = Stage()
    assert stage.broker.left() == {}
    stage = Stage(recovers=True)
    assert stage.broker.left() == {}
    stage.mint.remains = True
    ((ref, take_back),) = stage.broker.left().items()
    assert (ref, stage.mint.leases, stage.held) == (REF, 0, [])
    take_back()
    assert stage.broker.left() == {}


# --- the binding ---------------------------------------------------------------------------------


def test_another_server_gets_nothing_and_the_source_is_not_asked() -> None:
    stage = Stage()
    assert "not bound to the server 'other'" in stage.refusal(program("other"))
    assert stage.mint.leases == 0


def test_only_the_named_hosts_are_told() -> None:
    stage = Stage(hosts=frozenset({"api.example", "xn--bcher-kva.example"}))
    for host in ("api.example", "API.Example", "b\u00fccher.example"):
        assert stage.get(Recipient("s", host, ADA))
    for host in ("example", "api.example.evil.test", "x.api.example", "evil.test", "", "a b", "10.1"):
        assert "not bound to the host" in stage.refusal(Recipient("s", host, ADA))
    assert stage.get(program())  # A program has no host.


def test_only_the_named_principals_may_use_it() -> None:
    stage = Stage(principals=("ada", "group:dev"))
    dev = Principal("bob", "issuer", ("ops", "dev"))
    assert stage.get(program(principal=dev))
    assert stage.get()
    for other in (
        Principal("eve", "os-user"),
        Principal("group:dev", "issuer"),
        Principal("x", "y", ("ada",)),
    ):
        assert "not bound to the principal" in stage.refusal(program(principal=other))


def test_a_reference_that_no_entry_defines_is_refused_by_name() -> None:
    stage = Stage()
    other = CredentialRef("credential", "other")
    assert "credential:other is not in `credentials`" in stage.refusal(ref=other)


def test_a_plain_reference_is_for_the_servers_that_name_it() -> None:
    stage = Stage()
    assert stage.get(ref=PLAIN) == "plain-value"
    assert "not among the credentials that the configuration gives to 'other'" in stage.refusal(
        program("other"), PLAIN
    )
    assert "not among" in stage.refusal(ref=CredentialRef("file", "another"))


def test_a_source_that_there_is_not_is_named() -> None:
    stage = Stage()
    stage.broker = Broker({}, {"s": frozenset({CredentialRef("what", "x")})}, stage)
    assert "no credential source 'what'" in stage.refusal(ref=CredentialRef("what", "x"))


def test_a_placeholder_shows_no_path_of_a_file() -> None:
    entry = Credential(name="key", kind="value", made="${file:/run/key}", servers=frozenset({"a"}))
    far = Server(
        name="far",
        url=parse_template("https://h.example/${file:/run/url}"),
        headers={"X-Key": parse_template("${file:/run/header}")},
    )
    near = Server(name="near", env={"A": parse_template("${file:/run/a}"), "B": parse_template("${env:B}")})
    assert shown_for([far, near], {"key": entry}) == {
        "file:/run/key": "credential:key",
        "file:/run/url": "far/url",
        "file:/run/header": "far/X-Key",
        "file:/run/a": "near/A",
    }
    redactor = Redactor(b"key")
    redactor.shown = {"file:/run/key": "credential:key"}
    names = ("file:/run/key", "file:/run/other", "env:OWN", "credential:minted")
    redactor.hold_all((name, Secret(f"{name[-3:]}-aB3kQ9xZ7mT2pL5w")) for name in names)
    said = redactor.inspect_text(" and ".join(f"{name[-3:]}-aB3kQ9xZ7mT2pL5w" for name in names))
    assert [part.split("#")[0] for part in said.split(" and ")] == [
        "[REDACTED:credential:key",
        "[REDACTED:credential:file",
        "[REDACTED:credential:env:OWN",
        "[REDACTED:credential:minted",
    ]


def test_a_server_may_have_its_own_references_and_those_beside_an_entry_that_is_for_it() -> None:
    beside = {"A": parse_template("${env:OTHER} ${credential:key}")}
    entry = Credential(name="key", kind="value", made="", servers=frozenset({"a", "gone"}), env=beside)
    servers = [Server(name="a", env={"X": parse_template("${env:OWN}")}), Server(name="b")]
    assert named_by(servers, {"key": entry}) == {
        "a": {CredentialRef("env", "OWN"), CredentialRef("env", "OTHER"), REF},
        "b": frozenset(),
    }


# --- how often a source is asked -----------------------------------------------------------------


def test_a_plain_value_is_read_for_each_use_so_rotation_and_removal_bite_at_once() -> None:
    stage = Stage()
    assert stage.get(ref=PLAIN) == "plain-value"
    stage.source.values["plain"] = "rotated-value"
    assert stage.get(ref=PLAIN) == "rotated-value"
    del stage.source.values["plain"]
    assert "is not among the values" in stage.refusal(ref=PLAIN)
    stage.source.values["plain"] = "back-again"
    assert stage.get(ref=PLAIN) == "back-again"
    assert stage.held == ["plain-value", "rotated-value", "back-again"]


def test_a_value_of_the_keychain_may_be_two_seconds_old_and_no_older() -> None:
    stage, ref = Stage(), CredentialRef("keyring", "plain")
    source = FakeSource(plain="plain-value")
    stage.broker = Broker({}, {"s": frozenset({ref})}, stage, now=stage.now, sources={"keyring": source})
    assert stage.get(ref=ref) == "plain-value"
    source.values["plain"] = "rotated-value"
    stage.now.at += KEYRING_SECONDS - 0.1
    assert stage.get(ref=ref) == "plain-value"
    stage.now.at += 0.1
    assert stage.get(ref=ref) == "rotated-value"
    source.values["plain"] = "again-value"
    stage.broker.refused(ref, program())
    assert stage.get(ref=ref) == "again-value"


def test_a_value_without_an_end_is_kept_for_its_time() -> None:
    stage = Stage(cache_seconds=10.0)
    assert stage.get() == stage.get() == "minted-value-1"
    assert stage.broker.remaining(REF, program()) is None
    stage.now.at += 10
    assert stage.get() == "minted-value-2"


def test_a_lease_is_made_again_a_margin_before_its_end() -> None:
    stage = Stage(FakeMint(seconds=600))
    assert stage.broker.remaining(REF, program()) is None
    assert stage.get() == "minted-value-1"
    stage.now.at += 539
    assert stage.get() == "minted-value-1"
    assert stage.broker.remaining(REF, program()) == 61
    stage.now.at += 1
    assert stage.get() == "minted-value-2"
    assert stage.broker.remaining(REF, program()) == 600


def test_a_short_lease_is_used_for_three_quarters_of_its_time() -> None:
    stage = Stage(FakeMint(seconds=40))
    stage.get()
    stage.now.at += 29
    assert stage.get() == "minted-value-1"
    stage.now.at += 1
    assert stage.get() == "minted-value-2"


def test_a_lease_that_can_be_renewed_is_and_stays_the_same_value() -> None:
    mint = FakeMint(seconds=100, ends=True)
    mint.renews = True
    stage = Stage(mint)
    stage.get()
    stage.now.at += 75
    assert stage.get() == "minted-value-1"
    assert (mint.leases, mint.renewed, mint.ended) == (1, 1, [])
    stage.now.at += 100
    assert stage.get() == "minted-value-2"  # It was over: nothing is left to renew.
    assert mint.ended == ["minted-value-1"]


def leased(seconds: float = 100) -> Stage:
    """A value was given whose lease can be renewed."""
    mint = FakeMint(seconds=seconds, ends=True)
    mint.renews = True
    stage = Stage(mint)
    assert stage.broker.due(REF, program()) is None
    stage.broker.renew(REF, program())  # Nobody has it yet.
    assert stage.get() == "minted-value-1"
    return stage


def test_a_lease_in_use_is_renewed_without_anybody_asking_for_a_value() -> None:
    stage = leased()
    assert stage.broker.due(REF, program()) == 75
    stage.broker.renew(REF, program())
    assert stage.mint.renewed == 0
    for count in (1, 2, 3):
        stage.now.at += 75
        assert stage.broker.due(REF, program()) == 0
        stage.broker.renew(REF, program())
        assert stage.broker.remaining(REF, program()) == 100
        assert (stage.mint.renewed, stage.mint.leases, stage.mint.ended) == (count, 1, [])
    assert (stage.get(), stage.late) == ("minted-value-1", [])


def test_a_lease_that_cannot_be_renewed_any_more_is_left_alone_until_somebody_asks() -> None:
    stage = leased()
    stage.mint.renews = False
    stage.now.at += 75
    stage.broker.renew(REF, program())
    assert (stage.broker.due(REF, program()), stage.broker.remaining(REF, program())) == (None, 25)
    stage.mint.renews = True
    stage.broker.renew(REF, program())
    assert (stage.mint.renewed, stage.mint.leases) == (0, 1)
    assert stage.get() == "minted-value-2"


def test_a_failed_renewal_is_reported_once_and_tried_again_until_the_lease_is_over() -> None:
    stage = leased()
    stage.mint.error = CredentialError("credential:key: the database does not answer")
    stage.now.at += 75
    for _ in range(3):
        stage.broker.renew(REF, program())
        assert stage.broker.due(REF, program()) == 1
        stage.now.at += 1
    said = "credential:key: the database does not answer"
    assert stage.late == [f"credential:key: {said}"]
    assert stage.broker.warning == f"a lease that is in use could not be renewed: {said}"
    assert stage.get() == "minted-value-1"
    stage.mint.error = None
    stage.now.at += 1
    stage.broker.renew(REF, program())
    assert stage.late[1:] == ["credential:key: "]
    assert (stage.broker.warning, stage.broker.remaining(REF, program())) == ("", 100)
    stage.mint.error = CredentialError(said)
    stage.now.at += 99
    stage.broker.renew(REF, program())
    assert stage.broker.warning
    stage.now.at += 1
    assert stage.broker.warning == ""  # It is over: the next call is refused, or takes a new one.
    stage.broker.renew(REF, program())
    assert stage.broker.due(REF, program()) is None
    assert "does not answer" in stage.refusal()


def test_a_call_that_gets_the_old_value_since_a_new_one_is_late_is_seen_too() -> None:
    stage = leased()
    stage.mint.error = CredentialError("credential:key: the database does not answer")
    stage.now.at += 75
    assert stage.get() == "minted-value-1"
    assert len(stage.late) == 1
    stage.mint.error = None
    stage.now.at += 1
    assert stage.get() == "minted-value-1"
    assert stage.late[1:] == ["credential:key: "]


def test_a_lease_is_not_renewed_for_whom_it_is_not() -> None:
    stage = leased()
    stage.now.at += 75
    with pytest.raises(CredentialError, match="is not bound to the server"):
        stage.broker.renew(REF, program("other"))
    stage.broker.close()
    stage.broker.renew(REF, program())
    assert stage.mint.renewed == 0


class SlowMint(FakeMint):
    """`begun` when it is asked; it gives nothing before `go`."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.begun, self.go = threading.Event(), threading.Event()

    def lease(self) -> Lease:
        self.begun.set()
        assert self.go.wait(10)
        return super().lease()


def test_many_at_once_ask_the_source_once() -> None:
    mint = SlowMint()
    stage = Stage(mint)
    with ThreadPoolExecutor(20) as pool:
        waits = [pool.submit(stage.get) for _ in range(20)]
        assert mint.begun.wait(10)
        mint.go.set()
        assert {wait.result(10) for wait in waits} == {"minted-value-1"}
    assert stage.mint.leases == 1


def test_while_one_asks_for_another_value_others_have_the_one_that_lasts() -> None:
    mint = SlowMint(seconds=100)
    stage = Stage(mint)
    mint.go.set()
    assert stage.get() == "minted-value-1"
    stage.now.at += 80
    mint.go.clear()
    mint.begun.clear()
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(stage.get)
        assert mint.begun.wait(10)
        assert stage.get() == "minted-value-1"
        lasting = stage.broker.lasting(REF, program())
        assert lasting is not None
        assert lasting.reveal() == "minted-value-1"
        assert stage.broker.lasting(REF, program("other")) is None
        mint.go.set()
        assert waits.result(10) == "minted-value-2"
    stage.now.at += 101
    assert stage.broker.lasting(REF, program()) is None


def test_a_source_that_fails_is_left_alone_for_a_moment_and_then_asked_again() -> None:
    stage = Stage()
    stage.mint.error = CredentialError("credential:key is unavailable: the helper failed")
    said = stage.refusal()
    stage.mint.error = None
    assert stage.refusal() == said
    assert stage.mint.leases == 0
    stage.now.at += 1
    assert stage.get() == "minted-value-1"


def test_a_lease_that_is_still_good_serves_while_a_new_one_cannot_be_had() -> None:
    stage = Stage(FakeMint(seconds=100))
    stage.get()
    stage.mint.error = CredentialError("credential:key is unavailable: the helper failed")
    stage.now.at += 80
    assert stage.get() == "minted-value-1"
    stage.now.at += 20
    assert "the helper failed" in stage.refusal()


def test_a_value_that_cannot_be_guarded_is_not_given_and_its_lease_is_ended() -> None:
    stage = Stage(FakeMint(value="a", ends=True))
    assert "too short" in stage.refusal()
    assert stage.mint.ended == ["a-1"]


class Broken(FakeMint):
    """One with a defect. `at` says in what."""

    at = "lease"

    def lease(self) -> Lease:
        if self.at == "lease":
            raise TypeError("minted-value-1")
        return super().lease()

    def _end(self, value: str) -> None:
        if self.at == "end":
            raise OSError(value)
        super()._end(value)


def test_a_defect_of_a_source_is_a_refusal_that_tells_its_kind_only() -> None:
    mint = Broken()
    stage = Stage(mint)
    assert stage.refusal() == "credential:key: internal error in mcpguard (TypeError)"
    mint.at = ""
    stage.now.at += 1
    assert stage.get() == "minted-value-1"


def test_a_defect_in_the_end_of_a_lease_costs_no_other_its_end() -> None:
    mint = Broken(seconds=60.0, ends=True)
    stage = Stage(mint)
    mint.at = "end"
    stage.get()
    stage.now.at += 60
    assert stage.get() == "minted-value-2"
    stage.broker.refused(REF, program())
    stage.broker.close()
    assert (
        stage.said
        == [
            "a credential could not be revoked at its source: credential:key: internal error in mcpguard (OSError)"
        ]
        * 2
    )


def test_a_value_that_a_defect_keeps_from_being_guarded_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(FakeMint(ends=True))

    def hold(_name: str, secret: Secret) -> None:
        raise ValueError(secret.reveal())

    monkeypatch.setattr(stage, "hold", hold)
    assert stage.refusal() == "credential:key: internal error in mcpguard (ValueError)"
    assert stage.mint.ended == ["minted-value-1"]


def test_a_credential_of_each_principal_is_its_own() -> None:
    mints = {"ada": FakeMint("ada-value"), "bob": FakeMint("bob-value")}
    stage = Stage(per_principal=True)

    def make(*given: Any) -> FakeMint:
        return mints[given[3].id]

    stage.make = make  # type: ignore[method-assign]
    stage.broker._kinds = {"fake": kind(make, True)}
    bob = program(principal=Principal("bob", "os-user"))
    assert (stage.get(), stage.get(bob), stage.get()) == ("ada-value-1", "bob-value-1", "ada-value-1")
    stage.broker.refused(REF, bob)
    assert (stage.get(), stage.get(bob)) == ("ada-value-1", "bob-value-2")


def test_what_is_over_is_let_go_of_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.adapters.credentials.broker.MANY", 3)
    stage = Stage(FakeMint(seconds=10), per_principal=True)
    for number in range(9):
        stage.get(program(principal=Principal(str(number), "issuer")))
        stage.now.at += 4
    assert len(stage.broker._kept) <= 4


# --- what an upstream refuses --------------------------------------------------------------------


def test_a_refused_value_is_made_again_once() -> None:
    stage = Stage()
    first = stage.broker.get(REF, program())
    stage.broker.refused(REF, program(), first)
    assert stage.get() == "minted-value-2"
    stage.broker.refused(REF, program(), first)  # Another call that had the old one.
    stage.broker.refused(REF, program())  # The new one too: another would not help.
    assert stage.get() == "minted-value-2"
    assert stage.mint.refusals == 1
    stage.now.at += 10
    stage.broker.refused(REF, program())
    assert stage.get() == "minted-value-3"


def test_what_nobody_has_been_given_cannot_be_refused() -> None:
    stage = Stage()
    stage.broker.refused(REF, program())
    stage.broker.refused(PLAIN, program())
    with pytest.raises(CredentialError, match="not bound to the server"):
        stage.broker.refused(REF, program("other"))
    assert stage.mint.refusals == 0


# --- the end -------------------------------------------------------------------------------------


def test_at_the_end_every_lease_is_ended_and_nothing_is_given_any_more() -> None:
    stage = Stage(FakeMint(seconds=600, ends=True))
    stage.get()
    stage.broker.refused(REF, program())
    stage.get()
    stage.broker.close()
    assert stage.mint.ended == ["minted-value-1", "minted-value-2"]
    assert "mcpguard is ending" in stage.refusal()
    assert stage.said == []


def test_an_entry_that_is_made_otherwise_now_gives_a_new_value_and_its_old_lease_is_ended() -> None:
    stage = Stage(FakeMint(seconds=600, ends=True))
    assert stage.get() == "minted-value-1"
    stage.reconfigure(principals=(ADA.id,))
    assert stage.get(to=program(principal=ADA)) == "minted-value-1"
    stage.reconfigure(made="otherwise")
    assert stage.get() == "minted-value-2"
    until(lambda: stage.mint.ended == ["minted-value-1"])


def test_the_end_waits_for_a_lease_that_a_change_of_the_configuration_ends() -> None:
    begun, go = threading.Event(), threading.Event()
    stage = Stage(FakeMint(seconds=600, ends=True))
    stage.mint.on_end = lambda: (begun.set(), go.wait(10))  # type: ignore[assignment, return-value]
    stage.get()
    stage.reconfigure(made="otherwise")
    assert begun.wait(10)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(stage.broker.close)
        until(lambda: stage.broker._closed)
        go.set()
        closing.result(10)
    assert stage.mint.ended == ["minted-value-1"]


def test_a_lease_that_a_change_of_the_configuration_cannot_end_in_time_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mcpguard.adapters.credentials.broker.CLOSE_SECONDS", 0.0)
    go = threading.Event()
    stage = Stage(FakeMint(seconds=600, ends=True))
    stage.mint.on_end = lambda: go.wait(10)  # type: ignore[assignment, return-value]
    stage.get()
    stage.reconfigure(made="otherwise")
    stage.broker.close()
    go.set()
    assert stage.said == ["credential:key could not be revoked at its source, or stored, within 0 seconds"]


def test_an_entry_that_is_gone_is_given_no_more_and_nobody_else_is_asked_for_it() -> None:
    stage = Stage(FakeMint(seconds=600))
    stage.get()
    stage.broker.reconfigure({}, {"s": frozenset()})
    assert stage.refusal() == "credential:key is not in `credentials` of the configuration"
    assert stage.released == ["minted-value-1"]
    assert "is not among the credentials" in stage.refusal(ref=PLAIN)


def test_a_replaced_lease_is_ended_when_it_is_over() -> None:
    stage = Stage(FakeMint(ends=True), cache_seconds=50.0)
    stage.get()
    assert stage.broker.remaining(REF, program()) == 50
    stage.now.at += 50
    assert stage.get() == "minted-value-2"
    assert stage.mint.ended == ["minted-value-1"]


def test_a_lease_that_cannot_be_ended_is_told_to_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(FakeMint):
        def lease(self) -> Lease:
            def end() -> None:
                raise CredentialError("credential:key: the server does not answer")

            return Lease(Secret("minted-value"), 60, end)

    stage = Stage(Stubborn())
    stage.get()
    stage.broker.close()
    (said,) = stage.said
    assert "the server does not answer" in said

    never = threading.Event()

    class Stuck(FakeMint):
        def lease(self) -> Lease:
            return Lease(Secret("minted-value"), 60, lambda: never.wait(30) and None)

    monkeypatch.setattr("mcpguard.adapters.credentials.broker.CLOSE_SECONDS", 0.0)
    stage = Stage(Stuck())
    stage.get()
    stage.broker.close()
    never.set()
    assert stage.said == ["credential:key could not be revoked at its source, or stored, within 0 seconds"]


def test_a_lease_that_comes_after_the_end_is_ended_at_once() -> None:
    mint = SlowMint(ends=True)
    stage = Stage(mint)
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(stage.refusal)
        assert mint.begun.wait(10)
        closing = pool.submit(stage.broker.close)
        until(lambda: stage.broker._closed)
        mint.go.set()
        assert "mcpguard is ending" in late.result(10)
        closing.result(10)
    assert stage.mint.ended == ["minted-value-1"]
    assert stage.said == []


class Answered:
    """A lock whose holder is done just when somebody looks whether there is one."""

    def __init__(self, done: Callable[[], object]) -> None:
        self.done = done

    def locked(self) -> bool:
        self.done()
        return False


def test_a_lease_that_comes_while_the_end_begins_is_seen() -> None:
    mint = FakeMint(ends=True)
    kept = KeptCredential("credential:key", mint, 300.0, 1.0, Hand(), FakeGuard())
    lock, given = kept._lock, HeldLease(mint.lease(), 1, 1300.0, None)
    kept._lock = Answered(lambda: setattr(kept, "_given", given))  # type: ignore[assignment]
    assert not kept.over
    kept._given = None
    assert kept.stop()
    kept._lock = lock
    assert kept.close() == []
    assert mint.ended == ["minted-value-1"]


def until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_source_that_never_answers_does_not_hold_the_end_up_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mcpguard.adapters.credentials.broker.CLOSE_SECONDS", 0.0)
    begun, go = threading.Event(), threading.Event()

    class Stuck(FakeMint):
        def lease(self) -> Lease:
            begun.set()
            assert go.wait(10)
            return super().lease()

    stage = Stage(Stuck())
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(stage.refusal)
        assert begun.wait(10)
        stage.broker.close()
        assert "could not be revoked at its source, or stored, within 0 seconds" in stage.said[0]
        go.set()
        assert "ending" in late.result(10)


def test_what_is_ended_in_vain_is_tried_again_at_the_end() -> None:
    class Failing(FakeMint):
        tries = 0

        def lease(self) -> Lease:
            self.leases += 1

            def end() -> None:
                self.tries += 1
                if self.tries == 1:
                    raise CredentialError("credential:key: the server does not answer")

            return Lease(Secret(f"minted-value-{self.leases}"), 10, end)

    mint = Failing()
    stage = Stage(mint)
    stage.get()
    stage.now.at += 20
    stage.get()
    assert mint.tries == 1
    stage.broker.close()
    assert (mint.tries, stage.said) == (3, [])


def test_a_value_that_is_replaced_is_told_to_the_redactor_and_one_that_is_read_again_is_not() -> None:
    stage = Stage(cache_seconds=10.0)
    stage.get()
    stage.get(ref=PLAIN)
    stage.get(ref=PLAIN)
    assert stage.released == []
    stage.now.at += 10
    stage.get()
    stage.source.values["plain"] = "rotated-value"
    stage.get(ref=PLAIN)
    assert stage.released == ["minted-value-1", "plain-value"]
    stage.broker.refused(REF, program())
    del stage.source.values["plain"]
    stage.refusal(ref=PLAIN)
    assert stage.released[2:] == ["minted-value-2", "rotated-value"]


def test_what_is_kept_is_known_without_asking_and_only_to_whom_it_is_for() -> None:
    stage = Stage(FakeMint(seconds=1000.0))
    assert stage.broker.known(REF, program()) is None
    value = stage.get()
    known = stage.broker.known(REF, program())
    assert known is not None
    assert known.reveal() == value
    assert stage.broker.known(REF, program("other")) is None
    stage.now.at += 990.0
    assert stage.broker.known(REF, program()) is None
    assert stage.mint.leases == 1
    stage.broker.close()
    assert stage.broker.known(REF, program()) is None


def test_a_variable_of_our_own_is_known_once_it_was_read_and_a_file_never() -> None:
    ours, theirs = CredentialRef("env", "plain"), CredentialRef("file", "plain")
    source = FakeSource(plain="value-1")
    broker = Broker(
        {}, {"s": frozenset({ours, theirs})}, FakeGuard(), sources={"env": source, "file": source}
    )
    for ref in (ours, theirs):
        assert broker.known(ref, program()) is None
        broker.get(ref, program())
    known = broker.known(ours, program())
    assert known is not None
    assert (known.reveal(), broker.known(theirs, program())) == ("value-1", None)
