"""A secret is found at the end and at the beginning of a text as in the middle, whatever stands beside the text."""

from __future__ import annotations

from mcpguard.core.redaction.detectors.named.commands import TAKING
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "river.Stone47!"
TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(text: str) -> list[str]:
    """What stays of a text alone, and of one in a result."""
    redactor = Redactor(b"key")
    result = {"content": [{"type": "text", "text": "ok"}, {"type": "text", "text": text}], "isError": False}
    made = [redactor.inspect(text).value, redactor.inspect(result).value["content"][1]["text"]]
    return [one.replace("#1]", "]") for one in made]


@each("form", [form for one in TAKING for form in one.hits])
def test_what_a_program_takes_is_found_in_a_result_as_alone(form: str) -> None:
    found = [cleaned(text) for text in (form.format(HUMAN), form.format(HUMAN).rstrip())]
    assert all(alone == in_result for alone, in_result in found)
    # What has to be base64 is not.
    assert all(HUMAN not in alone for alone, _ in found) or form.startswith("userPassword::")


@each(
    "form",
    [
        "{} is the root password",
        "Use '{}' as the password",
        "send '{}' as the passphrase",
        'AuthLDAPBindPassword "{}"',
        '{{password, "{}"}}.',
        "kind: Secret\nstringData:\n  db: {}",
        "kind: Secret\nstringData:\r\n  db: {}\r\n  user: ada",
        "stringData:\n  db: {}\nkind: Secret",
    ],
)
def test_a_password_at_the_end_of_a_text_is_removed(form: str) -> None:
    assert cleaned(form.format(HUMAN)) == [form.format("[REDACTED:password]").replace("{{", "{")] * 2


@each(
    "form",
    [
        "use {} as the key",
        "{} is your API key",
        "jwt:\n  issuer: x\n  key: {}\n  a: b\n",
        "[stripe]\nmode = live\nkey = {}",
        "kind: Secret\ndata:\n  db: cml2ZXIuU3RvbmU0NyE=",
    ],
)
def test_a_key_at_the_end_of_a_text_is_removed(form: str) -> None:
    text = form.format(TOKEN)
    found = [one.partition("[REDACTED:secret-value]") for one in cleaned(text)]
    assert all(mark for _, mark, _ in found)
    assert all(text.startswith(before) and text.endswith(after) for before, _, after in found)


@each("text", ["use x509 as the keyboard", "river.Stone47! is the root passwords", "PASS"])
def test_a_longer_word_at_the_end_stays(text: str) -> None:
    assert cleaned(text) == [text, text]
