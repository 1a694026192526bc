"""Which held values may go to which server, by every name that a value is held under."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from gzip import compress
from typing import Any

import pytest

from mcpguard.core.model import Cause, Deny, Invocation, Permit, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.egress import Egress
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.core.policy.test_obligations import policies
from tests.rows import each

PASSWORD = "tr0ub4dor-and-3"
URL = f"postgres://app:{PASSWORD}@db.example.com:5432/app"
SHORT = "a-b?c1"
TOKEN = "tok-9f3Kq7Zx1Lm5Wb8eQ4"


def egress(*held: tuple[str, str], **bound: set[str]) -> Egress:
    redactor = Redactor(b"key")
    for name, value in held:
        redactor.hold(name, Secret(value))
    return Egress(redactor, {server: frozenset(names) for server, names in bound.items()})


def sending(server: str, params: Any, args: Any = None) -> Invocation:
    who = Principal("ada", "os-user")
    return Invocation("1", "x/y", who, datetime(2026, 1, 1, tzinfo=UTC), None, server, None, args, params)


def names(guard: Egress, server: str, value: Any) -> tuple[str, ...] | None:
    """Those for the sake of which it is refused; None where it may go."""
    deny = guard.refused(sending(server, value), value)
    return None if deny is None else deny.credentials


@pytest.mark.parametrize("first", [("url", URL), ("password", PASSWORD)])
def test_a_password_that_stands_in_the_url_of_another_server_goes_to_both(first: tuple[str, str]) -> None:
    both = {("url", URL), ("password", PASSWORD)}
    guard = egress(first, *(both - {first}), db={"url"}, cli={"password"})
    assert names(guard, "db", {"q": PASSWORD}) is None
    assert names(guard, "cli", {"q": PASSWORD}) is None
    assert names(guard, "cli", {"q": URL}) == ("url",)
    assert names(guard, "web", {"q": PASSWORD}) == ("password", "url")


def test_a_short_value_is_found_too() -> None:
    guard = egress(("pin", SHORT), ("key", URL), web={"key"})
    assert names(guard, "web", {"q": f"it is {SHORT}"}) == ("pin",)
    assert names(guard, "web", {"q": "it is a-b"}) is None


def test_values_of_long_ago_and_the_newest_are_searched_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.core.redaction.held.holding.RECENT", 1)
    guard = egress(("one", URL), ("two", URL), ("three", URL), ("four", URL), web={"four"}, db={"one"})
    assert names(guard, "web", {"q": URL}) is None
    assert names(guard, "db", {"q": URL}) is None
    assert names(guard, "x", {"q": URL}) == ("four", "one", "three", "two")


def test_where_no_other_value_is_held_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = egress(("one", URL), web={"one", "two"}, db=set())

    def gathered(*_: object) -> None:
        raise AssertionError("the value was looked at")

    monkeypatch.setattr("mcpguard.core.redaction.redactor.Leaves", gathered)
    assert names(guard, "web", {"q": URL}) is None
    with pytest.raises(AssertionError):
        names(guard, "db", {"q": URL})


def test_only_what_is_sent_is_searched() -> None:
    guard = egress(("one", URL))
    rules = policies('id: a, effect: allow, action: ["*"]')
    assert isinstance(pdp.decide(rules, sending("db", None, {"q": URL}), None, guard), Permit)
    verdict = pdp.decide(rules, sending("db", {"q": URL}), None, guard)
    assert isinstance(verdict, Deny)
    assert verdict.cause is Cause.CREDENTIAL
    assert isinstance(pdp.decide(rules, sending("db", {"q": URL}), None), Permit)


@each(
    "disguised",
    [
        b64encode(TOKEN.encode().hex().encode()).decode(),
        b64encode(compress(TOKEN.encode(), mtime=0)).decode(),
        b64encode(b64encode(b64encode(TOKEN.encode()))).decode().encode().hex(),
        "<b>".join(TOKEN[i : i + 4] for i in range(0, len(TOKEN), 4)),
        f"{TOKEN[:6]}\\u001b[31m{TOKEN[6:]}",
        TOKEN.replace("K", "\\113").replace("9", "%39"),
        "".join(chr(0xE0000 + ord(char)) for char in TOKEN),
        f"{TOKEN[:16]}...",
    ],
)
def test_it_is_refused_behind_each_disguise_that_inspection_sees_through(disguised: str) -> None:
    guard = egress(("key", TOKEN), web={"key"})
    for value in ({"q": f"use {disguised} now"}, {"a": [{disguised: 1}]}):
        assert names(guard, "db", value) == ("key",)
        assert names(guard, "web", value) is None
