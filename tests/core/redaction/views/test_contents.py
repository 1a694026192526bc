"""What is packed in decoded bytes is read as far as it goes, and no further than a budget."""

from __future__ import annotations

import bz2
import gzip
import lzma
from base64 import b64encode

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views.contents import contents

SAID = b"say zq3Hv7kP9xWb5nT2mR8cL4" * 3
PACK = {"bzip2": bz2.compress, "xz": lzma.compress}


def plain(data: bytes) -> list[bytes]:
    return [found.plain for found in contents(data, Budget(len(data))) if found.packed]


@pytest.mark.parametrize("way", PACK)
def test_what_is_packed_is_read_wherever_it_begins(way: str) -> None:
    assert plain(PACK[way](SAID)) == [SAID]
    assert plain(b"\xff\0\xff" + PACK[way](SAID) + b"\xff") == [SAID]


@pytest.mark.parametrize("way", PACK)
def test_what_is_broken_is_no_more_than_bytes(way: str) -> None:
    packed = PACK[way](SAID)
    assert SAID.startswith(b"".join(plain(packed[:14] + b"\xff" * 40)))
    assert SAID.startswith(b"".join(plain(packed[: len(packed) // 2])))


@pytest.mark.parametrize("way", PACK)
def test_a_bomb_is_withheld(way: str) -> None:
    bomb = b64encode(PACK[way](b"a" * 6_000_000)).decode()
    with pytest.raises(InspectionError, match="packed"):
        Redactor(b"key").inspect({"text": bomb})


@pytest.mark.parametrize("way", PACK)
def test_a_large_one_is_read_in_steps(way: str) -> None:
    said = SAID * 2000
    budget = Budget(len(said))
    assert b"".join(found.plain for found in contents(PACK[way](said), budget)) == said


@pytest.mark.parametrize("way", PACK)
def test_what_comes_to_too_much_is_withheld_whatever_the_budget(way: str) -> None:
    with pytest.raises(InspectionError, match="packed data comes to more than 4,194,304 bytes"):
        list(contents(PACK[way](b"a" * 6_000_000), Budget(10_000_000)))


def test_what_is_deflated_to_too_much_is_withheld_whatever_the_budget() -> None:
    with pytest.raises(InspectionError, match="packed data comes to more than 4,194,304 bytes"):
        list(contents(gzip.compress(b"a" * 6_000_000), Budget(10_000_000)))
