"""What is looked at first, and what is said to take long, so that it is done elsewhere."""

from __future__ import annotations

from base64 import b64encode
from functools import _lru_cache_wrapper
from typing import Any

import pytest

from mcpguard.core.redaction import beginnings
from mcpguard.core.redaction import redactor as redaction
from mcpguard.core.redaction.engine import matching, patterns
from mcpguard.core.redaction.redactor import AT_ONCE, Redactor, TooMuchAtOnce
from mcpguard.core.redaction.views import escapes, runs, signs
from mcpguard.core.secret import Secret
from tests.rows import each

TOKEN = "ghp_" + "aB3kQ9xZ7mT2" * 3
HELD = "tok-9f3Kq7Zx1Lm5Wb8e"
WORDS = "a sphere of many words and https://example.com/a/b/c@d in a line\n"
LONG = WORDS * (2 * AT_ONCE // len(WORDS))


def hidden(text: str) -> str:
    return "".join(f"%{ord(char):02x}" for char in text)


def redactor() -> Redactor:
    made = Redactor(b"key")
    made.hold("env:A", Secret(HELD))
    return made


@each(
    "text",
    [
        TOKEN,
        HELD,
        hidden(TOKEN),
        "%41",
        ("://a:b7x@ " + WORDS * 3) * 1100,
        ("key=a1xyz9 " + WORDS) * 1100,
        (".eyJ " + WORDS) * 2500,
        b64encode(TOKEN.encode()).decode(),
    ],
)
def test_a_long_text_in_which_something_may_be_takes_long_and_a_short_one_does_not(text: str) -> None:
    with pytest.raises(TooMuchAtOnce):
        redactor().inspect({"text": LONG + text}, most=AT_ONCE)
    whole = redactor().inspect({"text": LONG + text})
    assert whole.value == {"text": LONG + text} or "[REDACTED:" in str(whole.value)
    short = text[: AT_ONCE // 2]
    assert redactor().inspect([short], most=AT_ONCE).value == redactor().inspect([short]).value


def test_a_member_whose_name_says_what_it_holds_takes_long_in_a_long_text() -> None:
    value: dict[str, Any] = {"text": LONG, "SecretAccessKey": "a/+Z" * 10}
    with pytest.raises(TooMuchAtOnce):
        redactor().inspect(value, most=AT_ONCE)
    assert redactor().inspect(value).value["SecretAccessKey"] == "[REDACTED:aws-secret-access-key#1]"


def test_a_long_text_without_anything_is_inspected_at_once() -> None:
    for value in ([LONG], [LONG, "C:\\users\\me\r"], [LONG.replace("\n", "\r")], ["words of a word " * 2000]):
        assert redactor().inspect(value, most=AT_ONCE).value is value


def test_what_is_to_be_searched_for_credentials_takes_long_where_one_may_be() -> None:
    made = redactor()
    for text in (HELD, hidden(HELD), WORDS * (8 * AT_ONCE // len(WORDS))):
        with pytest.raises(TooMuchAtOnce):
            made.foreign([LONG, text], frozenset(), AT_ONCE)
    assert made.foreign([LONG], frozenset(), AT_ONCE) == ()
    made.hold("env:short", Secret("q7#w2!"))
    assert made.foreign(["q7#w2!"], frozenset()) == ("env:short",)
    assert made.foreign([LONG, hidden(HELD)], frozenset()) == ("env:A",)


def test_names_without_a_meaning_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_NAMES", 3)
    made = redactor()
    for count in range(5):
        value = {f"name_{chr(97 + count)}": "x", "n" * 100: "y", "sha256": "z"}
        assert made.inspect(value).value is value
        del value["sha256"]
        assert made.inspect(value).value is value
    assert len(made._plain) <= 3 + 3
    assert made.inspect({"name_a": "x", TOKEN[:16]: TOKEN[16:]}).findings
    assert made.inspect({"name_a": "x", "secretAccessKey": "a/+Z" * 10}).findings


@each(
    ("text", "found"),
    [
        ("some base64 of it:\n{}", True),
        ("some base64 of it: {}", True),
        ("short lines\nof words\n", False),
        ("/a/path/of/sixteen/letters\nand more", False),
        ("more\n/a/path/of/sixteen/letters", False),
    ],
)
def test_base64_in_lines_is_seen_where_a_line_ends_within_a_beginning(text: str, found: bool) -> None:
    code = b64encode(f"0123456789ab{TOKEN}".encode()).decode()
    broken = text.format(f"{code[:18]}\n{code[18:]}")
    assert ("REDACTED" in str(redactor().inspect(broken).value)) is found


@pytest.mark.parametrize("text", [TOKEN, HELD, hidden(TOKEN), b64encode(f"see {TOKEN}".encode()).decode()])
def test_the_same_is_found_without_the_engine(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_of: object) -> None:
        raise ImportError

    for module, name in (
        (matching, "HyperscanMatcher"),
        (patterns, "HyperscanPatterns"),
    ):
        monkeypatch.setattr(module, name, absent)
    clear()
    try:
        assert redactor().inspect({"text": f"see {text} ."}).findings
        value = {"text": WORDS}
        assert redactor().inspect(value).value is value
    finally:
        monkeypatch.undo()
        clear()


def clear() -> None:
    """Forget what is compiled."""
    beginnings.COMPILED.clear()
    for module in (beginnings, signs, escapes, patterns, runs):
        for one in vars(module).values():
            if isinstance(one, _lru_cache_wrapper) and one.__module__ == module.__name__:
                one.cache_clear()
