"""What a held key or a value in an encoding stands for is found too, and what is public of it stays."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mcpguard.core.redaction.held.payloads import payloads
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

KEYS = {
    "RSA": (rsa.generate_private_key(65537, 1024), PrivateFormat.TraditionalOpenSSL),
    "RSA in PKCS 8": (rsa.generate_private_key(65537, 1024), PrivateFormat.PKCS8),
    "EC": (ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL),
    "EC in PKCS 8": (ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
}


def guard(value: str) -> Redactor:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    return made


def told(value: str, text: str) -> str:
    return str(guard(value).inspect({"text": text}).value["text"])


def dump(data: bytes) -> str:
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    shown = ["".join(chr(byte) if 32 <= byte < 127 else "." for byte in row) for row in rows]
    return "".join(f"{16 * n:08x}  {row.hex(' ')}  |{shown[n]}|\n" for n, row in enumerate(rows))


@pytest.mark.uncounted
@each("name", KEYS)
def test_the_private_numbers_of_a_key_are_found_in_hexadecimal(name: str) -> None:
    key, form = KEYS[name]
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    der = key.private_bytes(Encoding.DER, form, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    numbers = [*payloads([pem])]
    assert numbers
    for value in (pem, json.dumps(pem)[1:-1]):
        assert [*payloads([value])] == numbers
    said = told(pem, der.hex())
    assert not [number for number in numbers if number[8:32] in said]
    said = told(pem, dump(der))
    assert len(re.findall(r"^[0-9a-f]{8}(?:  (?:[0-9a-f]{2} ){16}) ", said, re.MULTILINE)) < len(der) // 16
    for text in (public.hex(), dump(public)):
        assert told(pem, text) == text


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_the_private_numbers_of_a_key_are_found_in_decimal(form: PrivateFormat) -> None:
    key = rsa.generate_private_key(65537, 1024)
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    numbers = key.private_numbers()
    said = told(pem, f"d={numbers.d} p={numbers.p} n={numbers.public_numbers.n}")
    assert said == f"d=[REDACTED:credential:x#1] p=[REDACTED:credential:x#1] n={numbers.public_numbers.n}"


@pytest.mark.parametrize("encoded", [b64encode, lambda data: data.hex().encode()])
def test_the_number_that_base64_or_hexadecimal_stands_for_is_found(
    encoded: Callable[[bytes], bytes],
) -> None:
    data = bytes(range(100, 132))
    said = told(encoded(data).decode(), f"k = {int.from_bytes(data)}n")
    assert said == "k = [REDACTED:credential:x#1]n"


def test_bytes_of_base64_and_base64_of_bytes_are_found() -> None:
    encoded, digits = "ABxk2nd0QvYp3l9LwT5sR8uKc1eZ7hGfJm4XoVqNi+s=", "3d5a4fd12aabfe228f219e9cb0eb53f1"
    assert told(encoded, f"it is {b64decode(encoded).hex()}") == "it is [REDACTED:credential:x#1]"
    assert b64encode(bytes.fromhex(digits)).decode()[:20] not in told(
        digits, b64encode(bytes.fromhex(digits)).decode()
    )


@pytest.mark.parametrize(
    "body",
    [
        "A" * 33,
        b64encode(bytes([0x30, 0x82, 0x40, 0x00, *range(60)])).decode(),
        b64encode(bytes([0x30, 0x1E, *[0x04, 0x01, 0x00] * 10])).decode(),
        b64encode(
            bytes([0x30, 0x28, 0x30, 0x26, 0x30, 0x24, 0x30, 0x22, 0x30, 0x20, 0x04, 0x1E, *range(30)])
        ).decode(),
    ],
)
def test_what_is_no_key_has_no_numbers(body: str) -> None:
    assert [*payloads([f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"])] == []


NUMBER = bytes(range(5, 250, 7))[:32]
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(NUMBER)
P_256 = ec.derive_private_key(int.from_bytes(NUMBER), ec.SECP256R1())
SHORT_KEYS = {
    "Ed25519": (ED25519, PrivateFormat.PKCS8),
    "EC": (P_256, PrivateFormat.TraditionalOpenSSL),
    "EC in PKCS 8": (P_256, PrivateFormat.PKCS8),
}


@pytest.mark.uncounted
@pytest.mark.parametrize("name", SHORT_KEYS)
def test_a_piece_of_a_short_key_is_removed_and_what_all_keys_begin_with_stays(name: str) -> None:
    key, form = SHORT_KEYS[name]
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    body = "".join(pem.split("\n")[1:-2])
    begin = b64decode(body).index(NUMBER) * 8 // 6 + 1
    for at in range(begin, begin + 20, 3):
        assert told(pem, body[at : at + 20]) == "[REDACTED:credential:x#1]"
    head = body[: begin - 1]
    assert told(pem, head) == head


def test_nothing_of_the_private_numbers_is_left_of_a_key_in_another_format() -> None:
    key = rsa.generate_private_key(65537, 1024)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    other = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    for before in range(3):
        text = b64encode(bytes(before) + other).decode()
        said = told(pem, text)
        assert not [at for at in range(240, len(text) - 24) if text[at : at + 24] in said]
