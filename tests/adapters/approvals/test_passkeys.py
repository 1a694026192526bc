"""A passkey proves one answer to one ticket, by the person whose key the configuration has."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from msgspec import structs

from mcpguard.adapters.approvals.passkeys import Passkey, Passkeys, enrolled, enrolment
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import AnswerTerms, TicketAnswer
from tests.adapters.approvals.authenticator import PRESENT, Authenticator
from tests.adapters.store.test_store import TICKET

GRACE = "os-user:grace"
ASKED = structs.replace(TICKET, terms=AnswerTerms(via=("console",), passkey=True))
YES = TicketAnswer("approved", GRACE, "console", groups=("operators",))
UNSIGNED = "the passkey did not sign this approval"


def enrol(device: Authenticator, person: str = GRACE, groups: tuple[str, ...] = ("operators",)) -> Passkey:
    challenge, options = enrolment(person)
    return enrolled(person, groups, challenge, device.create(options))


@pytest.fixture
def device() -> Authenticator:
    return Authenticator()


@pytest.fixture
def known(device: Authenticator) -> Passkeys:
    return Passkeys([enrol(device)])


def signed(known: Passkeys, device: Authenticator, answer: TicketAnswer = YES) -> TicketAnswer:
    return structs.replace(answer, assertion=device.get(known.request(ASKED, answer)))


def test_a_passkey_of_the_configuration_proves_an_approval(known: Passkeys, device: Authenticator) -> None:
    answer = signed(known, device)
    assert known.holder(answer.assertion).person == GRACE
    assert known.objection(ASKED, answer) == ""


@pytest.mark.parametrize(
    "changed",
    [{"lasts": "session"}, {"lasts": "time", "until": 9.0}, {"free": ("text",)}, {"verdict": "denied"}],
)
def test_what_was_signed_is_no_other_answer(
    known: Passkeys, device: Authenticator, changed: dict[str, object]
) -> None:
    assert known.objection(ASKED, structs.replace(signed(known, device), **changed)) == UNSIGNED


@pytest.mark.parametrize(
    "changed", [{"id": "t2"}, {"args": "b"}, {"rules": ("p/other",)}, {"definition": "e"}]
)
def test_what_was_signed_answers_no_other_ticket(
    known: Passkeys, device: Authenticator, changed: dict[str, object]
) -> None:
    assert known.objection(structs.replace(ASKED, **changed), signed(known, device)) == UNSIGNED


@pytest.mark.parametrize("posing", [{"by": "os-user:eve"}, {"groups": ()}, {"groups": ("admins",)}])
def test_a_passkey_is_of_one_person_with_their_groups(
    known: Passkeys, device: Authenticator, posing: dict[str, object]
) -> None:
    said = known.objection(ASKED, structs.replace(signed(known, device), **posing))
    assert said.startswith("the passkey is not that of")


def test_a_passkey_that_the_configuration_does_not_have_proves_nothing(known: Passkeys) -> None:
    said = "this passkey is not in `approvals.passkeys` of the configuration"
    assert known.objection(ASKED, signed(known, Authenticator())) == said


def test_another_key_under_a_known_id_proves_nothing(known: Passkeys, device: Authenticator) -> None:
    forger = Authenticator()
    forger.id = device.id
    assert known.objection(ASKED, signed(known, forger)) == UNSIGNED


@pytest.mark.parametrize(
    "weaken",
    [
        lambda one: setattr(one, "flags", PRESENT),
        lambda one: setattr(one, "flags", 0),
        lambda one: setattr(one, "rp", "example.com"),
        lambda one: setattr(one, "origin", "https://example.com"),
        lambda one: setattr(one, "origin", "http://localhost.example.com"),
        lambda one: setattr(one, "origin", "http://localhost:8765/x"),
        lambda one: setattr(one, "origin", None),
    ],
)
def test_without_verification_of_the_user_or_from_elsewhere_it_proves_nothing(
    known: Passkeys, device: Authenticator, weaken: Callable[[Authenticator], None]
) -> None:
    weaken(device)
    assert known.objection(ASKED, signed(known, device)) == UNSIGNED


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", "null", '{"id": 1}', '{"id": "x"}', "[" * 9000, '{"id": "%s"}' % ("x" * 20_000)]
)
def test_what_is_no_assertion_proves_nothing(known: Passkeys, broken: str) -> None:
    answer = structs.replace(YES, assertion=broken)
    assert known.objection(ASKED, answer).startswith("this passkey is not in")


def test_an_assertion_without_its_parts_proves_nothing(known: Passkeys, device: Authenticator) -> None:
    whole = json.loads(signed(known, device).assertion)
    for name in ("response", "rawId", "type"):
        less = {key: value for key, value in whole.items() if key != name}
        assert known.objection(ASKED, structs.replace(YES, assertion=json.dumps(less))) == UNSIGNED
    for name in whole["response"]:
        less = {**whole, "response": {**whole["response"], name: "AA"}}
        assert known.objection(ASKED, structs.replace(YES, assertion=json.dumps(less))) == UNSIGNED


def test_without_the_library_nothing_is_proven(
    known: Passkeys, device: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = signed(known, device)
    monkeypatch.setitem(sys.modules, "webauthn", None)
    assert "-m pip install 'mcpguard-gateway[passkeys]'" in known.objection(ASKED, answer)


def test_a_passkey_is_enrolled_for_its_own_challenge_and_with_verification(device: Authenticator) -> None:
    challenge, options = enrolment(GRACE)
    other, _ = enrolment(GRACE)
    made = device.create(options)
    assert enrolled(GRACE, (), challenge, made).person == GRACE
    for wrong in (lambda: enrolled(GRACE, (), other, made), lambda: enrolled(GRACE, (), challenge, "{}"),
                  lambda: enrolled(GRACE, (), challenge, " " * 20_000 + made)):  # fmt: skip
        with pytest.raises(SessionError, match="no passkey that can be used"):
            wrong()
    device.flags = PRESENT
    with pytest.raises(SessionError, match="no passkey that can be used"):
        enrolled(GRACE, (), challenge, device.create(options))
