"""What is packed in decoded bytes is read as far as it goes, and no further than a budget."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import re
import string
import zlib
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views.contents import contents
from mcpguard.core.redaction.views.signs import CHANCES, SignsOfText, expressions
from mcpguard.core.secret import Secret

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
    bomb = b64encode(PACK[way](b"a" * 17_000_000)).decode()
    with pytest.raises(InspectionError, match="packed"):
        Redactor(b"key").inspect({"text": bomb})


@pytest.mark.parametrize("way", PACK)
def test_a_large_one_is_read_in_steps(way: str) -> None:
    said = SAID * 2000
    budget = Budget(len(said))
    assert b"".join(found.plain for found in contents(PACK[way](said), budget)) == said


@pytest.mark.parametrize("way", PACK)
def test_what_comes_to_too_much_is_withheld_whatever_the_budget(way: str) -> None:
    with pytest.raises(InspectionError, match="packed data comes to more than 16,777,216 bytes"):
        list(contents(PACK[way](b"a" * 17_000_000), Budget(10_000_000)))


def test_what_is_deflated_to_too_much_is_withheld_whatever_the_budget() -> None:
    with pytest.raises(InspectionError, match="packed data comes to more than 16,777,216 bytes"):
        list(contents(gzip.compress(b"a" * 17_000_000), Budget(10_000_000)))


def odd(pack: Callable[[bytes], bytes]) -> Iterator[tuple[str, bytes]]:
    """Random values, and each as it is packed, of which base64 has signs in every row of 24 letters."""
    source = random.Random(7)
    for size in (14, 20, 32, 40) * 60:
        value = "".join(source.choices(string.ascii_letters + string.digits, k=size))
        packed = pack(value.encode())
        if not re.search(b"[A-Za-z0-9]{24}", b64encode(packed)):
            yield value, packed


@pytest.mark.uncounted
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("pack", [zlib.compress, partial(gzip.compress, mtime=0)])
def test_a_value_is_found_in_packed_data_whose_base64_is_full_of_signs(
    pack: Callable[[bytes], bytes], encode: Callable[[bytes], bytes]
) -> None:
    found = list(odd(pack)) + [(value, pack(pack(value.encode()))) for value, _ in odd(pack)]
    assert found
    redactor = Redactor(b"key")
    redactor.hold_all((f"env:V{n}", Secret(value)) for n, (value, _) in enumerate(found))
    for _value, packed in found:
        said = f"it is {encode(packed).decode()} there"
        assert "[REDACTED:credential:" in redactor.inspect_text(said), said


@pytest.mark.uncounted
def test_packed_data_is_found_in_base32_whose_letters_may_be_base64_of_a_text_too() -> None:
    redactor, source = Redactor(b"key"), random.Random(7)
    sizes = (20, 32, 40) * 60
    values = ["".join(source.choices(string.ascii_letters + string.digits, k=size)) for size in sizes]
    redactor.hold_all((f"env:V{n}", Secret(value)) for n, value in enumerate(values))
    for value in values:
        said = b32encode(gzip.compress(value.encode(), mtime=0)).decode()
        assert "[REDACTED:credential:" in redactor.inspect_text(f"x: {said}"), said


@pytest.mark.parametrize("count", [1, 300])
def test_letters_that_packed_data_begins_with_are_no_sign_within_a_run(count: int) -> None:
    seen = SignsOfText((b"0123+eJwA" + b"+/a" * 30 + b" ") * count + PAD)
    expressions().search((b"0123+eJwA" + b"+/a" * 30 + b" ") * count + PAD, seen.see)
    assert seen.packed == (count > CHANCES)
