"""Binary data leaves byte by byte as it came, or a text says why it does not."""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import Any

import pytest

from mcpguard.core.redaction.removal.binary import whole
from mcpguard.core.secret import Secret
from tests.fakes import World, tool
from tests.gateway.scenes import ALL_CAPABILITIES, ALLOW_ALL, ask, last, legacy, quiet

HELD = "tok-9f3Kq7Zx1Lm5Wb8e"
NOISE = Random(1).randbytes(20_000)
CLEAN = b64encode(NOISE).decode()
LEAKING = b64encode(NOISE[:999] + HELD.encode() + NOISE[999:]).decode()
SAID = "was withheld by mcpguard, because it contains a secret or personal data (credential:env:one).]"


def answered(result: Any, method: str = "tools/call") -> Any:
    world = World(ALLOW_ALL, {"one": [tool("read")]})
    world.redactor.hold("env:one", Secret(HELD))
    quiet(legacy(world))
    if method == "tools/call":
        world.call("read")
    else:
        world.send(method, {"uri": "x:y"}, 1)
    world.answer(result)
    assert LEAKING not in repr(world.client.sent)
    return last(world)


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_a_block_without_anything_to_remove_is_as_it_was(kind: str) -> None:
    blocks = [{"type": kind, "data": CLEAN, "mimeType": "image/png"}, {"type": "text", "text": HELD}]
    first, second = answered({"content": blocks})["content"]
    assert first == blocks[0]
    assert second["text"] == "[REDACTED:credential:env:one#1]"


@pytest.mark.parametrize(("kind", "article"), [("image", "An image"), ("audio", "An audio recording")])
def test_a_block_with_a_secret_in_it_becomes_a_text_that_says_so(kind: str, article: str) -> None:
    block = {"type": kind, "data": LEAKING, "mimeType": "x/y", "annotations": {"priority": 1}}
    (made,) = answered({"content": [block]})["content"]
    assert made.keys() == {"type", "text", "annotations"}
    assert made["type"] == "text"
    assert made["text"].startswith(f"[{article}")
    assert made["text"].endswith(SAID)


def test_a_file_with_a_secret_in_it_becomes_a_text_too() -> None:
    file = {"uri": "x:y", "blob": LEAKING, "mimeType": "application/zip"}
    expected = {"uri": "x:y", "mimeType": "text/plain", "text": f"[A file {SAID}"}
    assert answered({"contents": [file]}, "resources/read")["contents"] == [expected]
    (block,) = answered({"content": [{"type": "resource", "resource": file}]})["content"]
    assert block == {"type": "resource", "resource": expected}
    clean = {**file, "blob": CLEAN}
    assert (
        answered({"contents": [clean, {"uri": "x:y", "text": HELD}]}, "resources/read")["contents"][0]
        == clean
    )


def test_what_a_server_asks_is_treated_the_same() -> None:
    world = World(ALLOW_ALL)
    world.redactor.hold("env:one", Secret(HELD))
    legacy(world, ALL_CAPABILITIES)
    message = {"role": "user", "content": {"type": "image", "data": LEAKING, "mimeType": "image/png"}}
    ask(world, "sampling/createMessage", {"messages": [message], "maxTokens": 1})
    (shown,) = world.client.sent[-1]["params"]["messages"]
    assert shown["content"]["type"] == "text"
    assert shown["content"]["text"].endswith(SAID)


def test_what_only_looks_like_a_block_is_left_alone() -> None:
    before: Any = {
        "structuredContent": {"type": "image", "data": "a"},
        "type": "image",
        "data": 1,
        "_meta": {},
    }
    after: Any = {
        "structuredContent": {"type": "image", "data": "b"},
        "type": "image",
        "data": 1,
        "_meta": {},
    }
    assert whole(before, after) is after
    assert whole([1, {"blob": "a"}], after := [1, {"blob": "b"}]) is after
    assert whole("a", "b") == "b"
    assert whole({"type": "image", "data": "a"}, {"type": "image", "data": "b"})["text"].endswith("data.]")
