"""Exceptions: a format stays where a policy says so, a held value never does, and what stayed is told."""

from __future__ import annotations

from typing import Any

from mcpguard.core.model import Detection
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.removal.unredacted import exception, exception_in_words
from mcpguard.core.secret import Secret
from tests.rows import each

TOKEN = "ghp_" + "aB3kQ9xZ7mT2" * 3
KIND = "github-token"


def both(**more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": f"a {TOKEN}"}, {"type": "text", "text": TOKEN}], **more}


def test_a_kind_stays_everywhere_and_is_told_and_the_value_is_the_very_same() -> None:
    value = both(structuredContent={"a/b": {TOKEN: [TOKEN, 1]}})
    inspected = Redactor(b"key").inspect(value, (exception(KIND),))
    assert inspected.value is value
    assert inspected.findings == ()
    assert set(inspected.spared) == {
        Detection(KIND, "/content/0/text"),
        Detection(KIND, "/content/1/text"),
        # A path in which something is, and the name that is it.
        Detection(KIND, ""),
    }


@each(
    ("path", "stays"),
    [
        ("/content/0/text", (0,)),
        ("/content/1", (1,)),
        ("/content/*/text", (0, 1)),
        ("/content", (0, 1)),
        ("/content/0/texts", ()),
        ("/content/0/text/below", ()),
        ("/other", ()),
    ],
)
def test_a_kind_stays_at_a_place_and_below_it(path: str, stays: tuple[int, ...]) -> None:
    inspected = Redactor(b"key").inspect(both(), (exception(KIND, path),))
    texts = [block["text"] for block in inspected.value["content"]]
    assert [TOKEN in text for text in texts] == [index in stays for index in (0, 1)]
    assert {one.path for one in inspected.spared} == {f"/content/{index}/text" for index in stays}
    assert {one.path for one in inspected.findings} == {"/content/0/text", "/content/1/text"} - {
        one.path for one in inspected.spared
    }


def test_a_held_value_never_stays() -> None:
    made = Redactor(b"key")
    made.hold("env:TOKEN", Secret(TOKEN))
    inspected = made.inspect(both(), (exception(KIND), exception("credential:env:TOKEN")))
    assert TOKEN not in str(inspected.value)
    assert [one.kind for one in inspected.findings] == ["credential:env:TOKEN"] * 2


def test_other_kinds_go_beside_what_stays() -> None:
    value = {"text": f"{TOKEN} AKIAIOSFODNN7QRSTUVW ada@example.org"}
    inspected = Redactor(b"key").inspect(value, (exception(KIND), "email"))
    assert inspected.value == {"text": f"{TOKEN} [REDACTED:aws-access-key-id#1] [REDACTED:email#2]"}


def test_what_is_cut_over_places_stays_only_if_all_of_them_are_covered() -> None:
    value = [TOKEN[:20], TOKEN[20:]]
    for path in ("", "/*"):
        inspected = Redactor(b"key").inspect(value, (exception(KIND, path),))
        assert inspected.value is value
        assert [one.path for one in inspected.spared] == ["/0", "/1"]
    inspected = Redactor(b"key").inspect(value, (exception(KIND, "/0"),))
    assert TOKEN[20:] not in str(inspected.value)
    assert inspected.spared == ()


def test_a_number_may_stay_too() -> None:
    value = {"card": 4111111111111111, "n": [1, None, True, {"card": 4111111111111111}]}
    wanted = ("payment-card", exception("payment-card", "/card"))
    assert Redactor(b"key").inspect(value, wanted).value == {
        "card": 4111111111111111,
        "n": [1, None, True, {"card": "[REDACTED:payment-card#1]"}],
    }


def test_what_stayed_before_is_told_again() -> None:
    made = Redactor(b"key")
    before = made.inspect(both(), (exception(KIND),))
    again = made.inspect_again({**before.value, "more": "a\u200bb"}, before, (exception(KIND),))
    assert (again.spared, again.neutralised) == (before.spared, (("invisible", 1),))


def test_an_exception_in_words() -> None:
    assert exception_in_words(exception(KIND)) == KIND
    assert exception_in_words(exception(KIND, "/a")) == f"{KIND} /a"
