"""What goes back to the server that it came from does not leave, as far as `detect()` says."""

from __future__ import annotations

from mcpguard.core.functions import ReturnedTexts
from mcpguard.core.functions.detect import detect

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3


def test_texts_that_go_back_are_spared_where_they_stand_alone() -> None:
    returning = ReturnedTexts(lambda padded: b"held" in padded, frozenset([TOKEN, "held"]))
    assert detect({"a": [TOKEN, 1], "b": "held"}, "secret", returning) == []
    assert detect({"a": f"x {TOKEN}"}, "secret", returning) == ["github-token"]
    assert detect({TOKEN: 1}, "secret", returning) == ["github-token"]
    assert detect("it is held", "secret", returning) == ["held"]
    assert returning(b"held")
