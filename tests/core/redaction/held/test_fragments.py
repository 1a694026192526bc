"""A piece of a random value counts as the value; what everybody knows of one does not."""

from __future__ import annotations

import re

from mcpguard.core.redaction.held.fragments import LEAST, cores, stretches
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

RANDOM = "aB3kQ9xZ7mT2pL5wvN4cR8"
TOKEN = "ghp_" + "aB3kQ9xZ7mT2" * 3
LINES = [f"{number:02d}" + "kQ9xZ7mT2pL5wvN4cR8yB3hJ6dF1gS0a" + f"{number * 7919:06d}" for number in range(6)]
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(LINES) + "\n-----END RSA PRIVATE KEY-----\n"
GONE = "[REDACTED:credential:x#1]"


def told(value: str, text: str) -> str:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    return re.sub(r"#\d+\]", "#1]", made.inspect_text(text))


@each("value", [RANDOM, RANDOM.lower(), TOKEN, f"glpat-{RANDOM}", f"Bearer {RANDOM}"])
@each("more", ["", "…", "...", " and then"])
def test_the_beginning_of_a_value_is_as_secret_as_the_value(value: str, more: str) -> None:
    secret = value.removeprefix("Bearer ")
    said = told(value, f"it is {secret[: len(secret) - 4]}{more}")
    assert said.endswith(f"{GONE}{more}")
    assert len(said) <= len(f"it is glpat-{GONE}{more}")


@each("at", range(len(RANDOM) - LEAST + 1))
def test_each_piece_of_the_least_length_is_found(at: int) -> None:
    assert told(RANDOM, f"<{RANDOM[at : at + LEAST]}>") == f"<{GONE}>"
    assert told(RANDOM, f"<{RANDOM[at : at + LEAST - 1]}>") == f"<{RANDOM[at : at + LEAST - 1]}>"


def test_two_halves_with_a_text_between_are_found() -> None:
    value = RANDOM + RANDOM[::-1]
    assert told(value, f"{value[:20]}, and then {value[20:]}") == f"{GONE}, and then {GONE}"


@each(
    ("value", "known"),
    [
        (TOKEN, "ghp_"),
        (f"my-service-account1-{RANDOM}", "my-service-account1"),
        (f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{RANDOM}.{RANDOM}", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"),
        (f"xoxb-123456789012-{RANDOM}", "123456789012"),
        (KEY, LINES[0][:LEAST]),
        ("correct-horse-battery-77", "correct-horse"),
        ("db-01.acme.internal:5432", "db-01.acme.internal"),
        (f"host=a1b2c3d4e5f6g7h8.example.com password={RANDOM}", "a1b2c3d4e5f6g7h8.example.com"),
    ],
)
def test_what_everybody_knows_of_a_value_stays(value: str, known: str) -> None:
    assert told(value, f"it is <{known}>") == f"it is <{known}>"


def test_a_piece_of_a_line_of_a_key_is_found() -> None:
    assert told(KEY, f"it is <{LINES[3][:30]}>") == f"it is <{GONE}>"


def test_a_value_that_repeats_itself_is_found_once() -> None:
    value = "kQ9xZ7mT" * 12
    assert told(value, f"<{value}> or <{value[3:40]}>") == f"<{GONE}> or <{GONE}>"


def test_a_value_of_letters_only_has_no_piece() -> None:
    letters = "qwrtpsdfghjklzxcvbnmqwrt"
    assert told(letters, letters[:LEAST]) == letters[:LEAST]


def test_a_short_value_has_no_core() -> None:
    assert list(cores(stretches(["k9!Xz2", "two words", "a" * 20]))) == []
