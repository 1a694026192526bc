"""What is said of values that somebody could guess, and what follows from it."""

from __future__ import annotations

import pytest

from mcpguard.core.errors import CredentialError, InspectionError
from mcpguard.core.redaction.held.guessing import guessed
from mcpguard.core.redaction.held.holding import GUESSES
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each


@each(
    ("value", "said"),
    [
        ("840193752618", "is only digits, and too few"),
        ("postgres", "is an example, or one that everybody tries first"),
        ("P@ssw0rd2026!", "is an example, or one that everybody tries first"),
        ("AKIAIOSFODNN7EXAMPLE", "is an example, or one that everybody tries first"),
        ("abcdefghijklmnopqrstuvwxyz", "is an example, or one that everybody tries first"),
        ("2026-11-27T10:00:00Z", "is a date"),
        ("us-east-1", "is the name of a region"),
        ("westeurope", "is the name of a region"),
        ("europe-west4", "is the name of a region"),
        ("db.acme.internal", "is the name of a host"),
        ("db.acme.internal:5432", "is the name of a host"),
        ("10.11.12.13", "is the name of a host"),
        ("db.example.com", "is the name of a host"),
        ("localhost:5432", "is the name of a host"),
        ("2001:db8::8a2e:370:7334", "is the name of a host"),
        ("10.0.0.0/24", "is the name of a host"),
        ("arn:aws:iam::123456789012:role/reader", "is the name of a resource"),
        ("C:\\Users\\ada", "is a path"),
        ("https://api.example.com/v1", "is an address"),
        ("ada@example.com", "is an address"),
        ("Ada Lovelace <ada@acme.dev>", "is an address"),
        ("git@github.com:acme/api.git", "is an address"),
        ("github.com/acme/api", "is an address"),
        ("/var/lib/app", "is a path"),
        ("https://www.acme.dev/a", "is an address"),
        ("ada@acme.dev", "is an address"),
        ("abababababab", "has few different characters"),
        ("mountain", "is a word"),
        ("correct-horse", "is made of a few words"),
        ("Summer2026!", "is a word and a number"),
        ("k9!Xz2", "is short"),
        ("mountain7river", "does not look random"),
        ("Müller2026", "is a word and a number"),
        ("my-project-123", "is made of a few words and a number"),
        ("correct.horse", "is made of a few words"),
        ("acme/api", "is made of a few words"),
        ("+49 170 1234567", "does not look random"),
        ("postgresql://app:mountain1@db.acme.internal/x", "is a word and a number"),
    ],
)
def test_how_a_value_can_be_guessed_is_said(value: str, said: str) -> None:
    assert guessed(value) == said


@each(
    "value",
    [
        "aB3kQ9xZ7mT2pL5wvN4cR8",
        "9f86d081884c7d659a2feaa0c55ad015",
        "correct horse battery staple",
        "84019375261884019375",
        "thisisonelongwordofmany",
        "Tr0ub4dor&3x",
        "x8Kq2mZ9vP4.abQwErTy",
        "https://acme.dev/feed/9f86d081-884c-4d65-9a2f-eaa0c55ad015",
        "https://hooks.slack.com/services/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",
        "postgresql://app:aB3kQ9xZ7mT2pL5wvN4cR8@db.acme.internal/x",
        '{"user": "app", "password": "aB3kQ9xZ7mT2pL5wvN4cR8"}',
    ],
)
def test_nothing_is_said_of_a_value_that_is_hard_to_guess(value: str) -> None:
    assert guessed(value) == ""


@pytest.mark.parametrize("value", ["840193", "84019375261", " 84019375261\n"])
def test_a_number_of_a_few_digits_is_refused(value: str) -> None:
    with pytest.raises(CredentialError, match=r"^env:PIN: the value is a number of fewer than 12 digits"):
        Redactor(b"key").hold("env:PIN", Secret(value))


def test_a_text_of_tries_is_withheld() -> None:
    made = Redactor(b"key")
    made.hold("env:A", Secret("mountain"))
    made.hold("env:B", Secret("aB3kQ9xZ7mT2pL5wvN4cR8"))
    assert "mountain" not in made.inspect_text("a mountain, " * GUESSES)
    with pytest.raises(InspectionError, match=f"more than {GUESSES} hits of credential:env:A"):
        made.inspect("a mountain, " * (GUESSES + 1))
    assert "aB3k" not in made.inspect_text("aB3kQ9xZ7mT2pL5wvN4cR8, " * 3 * GUESSES)
    made.release("env:A", Secret("mountain"))
