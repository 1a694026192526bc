"""When a credential says itself that it ends."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest

from mcpguard.core.secret import LONGEST_TOKEN, Secret, ends_at
from tests.rows import each


def token(claims: object, head: object = None) -> str:
    """A made-up token with these claims."""
    parts = [json.dumps(part).encode() for part in (head or {"alg": "none"}, claims)]
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


@pytest.mark.parametrize(("claims", "end"), [({"exp": 1700000000}, 1700000000.0), ({"exp": 1.5}, 1.5)])
def test_a_token_says_when_it_ends(claims: object, end: float) -> None:
    assert ends_at(Secret(token(claims))) == end
    assert ends_at(Secret("Bearer " + token(claims))) == end


@each(
    "value",
    [
        "plain",
        "a.b.c",
        "eyJ.b.c",
        "eyJhIjoxfQ.eyJh.c",
        "eyJhIjoxfQ.\ud800\u00e9.c",
        token({}),
        token([1]),
        token({"exp": "soon"}),
        token({"exp": True}),
        token({"exp": 1, "more": "x" * LONGEST_TOKEN}),
        "eyJhIjoxfQ." + urlsafe_b64encode(b"[" * 3000).decode() + ".c",
        "eyJhIjoxfQ." + urlsafe_b64encode(b'{"exp": 1e999}').decode() + ".c",
    ],
)
def test_anything_else_does_not(value: str) -> None:
    assert ends_at(Secret(value)) is None
