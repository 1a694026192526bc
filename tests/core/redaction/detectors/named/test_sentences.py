"""A secret that a sentence gives, or that a program shows beside the word for it, is removed."""

from __future__ import annotations

import pytest

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"
HUMAN = "river.Stone47!"


def cleaned(text: str) -> str:
    return str(Redactor(b"key").inspect(text).value)


@each(
    "form",
    [
        "The password for bob is {} and the host is db1.",
        "the root password on db1 is now {} please",
        "la nuova password del wifi è {}\n",
        "password of the database: {}\n",
        "The password for the admin was {}",
        "my new password will be {}",
        "Log in as bob with the password {}.",
        "use the login bob and password {}, please",
        "{} is the root password",
        "Use `{}` as the password.",
        "Connect with '{}' as your passphrase!",
        "credentials: bob / {}",
        "The admin password has been changed to {}",
        "Password reset to: {}",
        "Password set to {}",
        "SELECT 'ada' AS name, '{}' AS password",
        "your password was set to {}",
        "password (for bob): {}",
        "Password (temporary): {}\n",
        "pw: {}",
        "$pw = '{}'",
        "rootpw: {}\n",
        "Passwort: {}\n",
        "Generated password: {}\n",
        "Enter the new password: {}\n",
        "    DefaultPassword    REG_SZ    {}\n",
        "username=bob,password={},uid=0",
        "host=h user=bob password={} dbname=x",
        "[22][ssh] login: root   password: {}\n",
        "password: !!str {}\n",
        "password: &pw {}\n",
        "db: &db\n  password: !Secret '{}'\n",
    ],
)
def test_a_password_in_a_sentence_is_removed(form: str) -> None:
    assert cleaned(form.format(HUMAN)) == form.format("[REDACTED:password#1]")


@each("form", ["Use {} as the key.", "{} is your API key", "send '{}' as the token\n", "api_key: !!str {}\n"])
def test_a_key_that_a_sentence_names_behind_it_is_removed(form: str) -> None:
    assert cleaned(form.format(TOKEN)) == form.format("[REDACTED:secret-value#1]")


@each(
    "text",
    [
        "Use x509v3 as the key of it, or 1Password is the password manager",
        "Use uuid4 as the key.",
        "as the key of a map",
        "with the password field2 of it",
        "The password for bob is stored in vault2.",
        "The password for bob is hashed",
        "the token for a1 is b2",
        "with password authentication",
        "The password of step2: see below",
        "set the secret   to a1",
        "user=bob password=os.environ.get2(x)",
        "....",
        "The password was changed to plain text in 2024",
        "password (optional): string2",
        "PWD2 and kpw: a12",
        "token ........ value12",
    ],
)
def test_a_sentence_about_a_secret_stays(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize(
    "leaves", [["The password for bob", " is river.Stone47!"], ["river.Stone47!", " is the password"]]
)
def test_what_stands_in_two_texts_is_no_sentence(leaves: list[str]) -> None:
    assert Redactor(b"key").inspect(leaves).value == leaves


@each(
    "form",
    [
        "- **Password**: {}\n",
        "-  password: {}\n",
        "the password is {}",
        "Hi, your password: {}\n",
        "a|pwd={}|x",
    ],
)
def test_words_with_a_year_behind_them_are_a_password_where_it_may_end_elsewhere(form: str) -> None:
    for value in ("Winter2024", "PurpleTiger1987x"):
        assert value not in str(Redactor(b"key").inspect(form.format(value)).value)
    for value in ("Sha256x", "Base64Encoded", "utf8mb4"):
        assert Redactor(b"key").inspect(form.format(value)).value == form.format(value)
