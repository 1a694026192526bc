"""A check tells a real token from one that is there by chance or was typed, and decides nothing by itself."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from random import Random

import pytest

from mcpguard.core.redaction.detectors.checks import CHECKS, has_crc, has_header, has_place
from mcpguard.core.redaction.redactor import Redactor
from tests.core.redaction.detectors.corpus import with_checksum

REAL = with_checksum("ghp_" + "aB3kQ9xZ7mT2" * 3)
MADE_UP = "ghp_" + "aB3kQ9xZ7mT2" * 3
NOISE = b64encode(Random(3).randbytes(300)).decode()


def cleaned(text: str) -> str:
    return str(Redactor(b"key").inspect(text).value)


def test_a_checksum_is_the_one_that_issuers_compute() -> None:
    assert has_crc(REAL.encode())
    assert not has_crc(MADE_UP.encode())
    assert not has_crc(MADE_UP[:30].encode())
    assert has_header(urlsafe_b64encode(b'{"typ":"JWT","alg":"none"}').rstrip(b"=") + b".e30.x")
    assert not has_header(b"eyJ" + b"aB3k" * 8 + b".e30.x")
    assert not has_header(b"e.e30.x")
    assert has_place(b"pypi-AgEIcHlwaS5vcmcCJDE")
    assert not has_place(b"pypi-AgE" + b"aB3k" * 12)
    assert set(CHECKS) == {"github-token", "npm-token", "jwt", "pypi-token"}


def test_a_token_that_fails_its_check_is_removed_all_the_same() -> None:
    assert cleaned(f"see {MADE_UP} .") == "see [REDACTED:github-token#1] ."


@pytest.mark.parametrize("match", ["cio" + "q7Zt2Wb9Kx4Lm8Rv1Yd5q7Zt2Wb9Kx4L/", "AKIAQ3EGRIZ7QK4LMN2P/"])
def test_a_format_in_the_midst_of_an_image_is_there_by_chance(match: str) -> None:
    image = f"{NOISE}/{match}{NOISE}"
    assert cleaned(image) == image
    assert cleaned(f"{NOISE}\n{match[:-1]}\n") != f"{NOISE}\n{match[:-1]}\n"


def test_a_token_in_the_midst_of_letters_is_real_if_it_passes() -> None:
    around = "aB3k" * 20
    made_up, real = MADE_UP.replace("ghp", "npm"), REAL.replace("ghp", "npm")
    assert cleaned(f"{around}{made_up}{around}") == f"{around}{made_up}{around}"
    assert cleaned(f"{around}{real}{around}") == f"{around}[REDACTED:npm-token#1]{around}"


def test_a_token_that_counts_up_was_typed() -> None:
    typed = "ghp_1234567890abcdefghijklmnopqrstuvwxyz"
    assert cleaned(typed) == typed


def test_a_token_of_discord_is_known_by_the_number_in_it() -> None:
    token = b64encode(b"1098765432101234567").decode().rstrip("=") + ".GhTq7z." + "aB3kQ9xZ7mT2" * 3
    assert cleaned(f"the bot has {token}") == "the bot has [REDACTED:discord-bot-token#1]"
