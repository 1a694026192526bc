"""What goes back to the server that it came from does not leave, as far as `detect()` says."""

from __future__ import annotations

from mcpguard.core.functions import Sparing
from mcpguard.core.functions.detect import detect

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3


def test_texts_that_go_back_are_spared_where_they_stand_alone() -> None:
    sparing = Sparing(lambda padded: b"held" in padded, frozenset([TOKEN, "held"]))
    assert detect({"a": [TOKEN, 1], "b": "held"}, "secret", sparing) == []
    assert detect({"a": f"x {TOKEN}"}, "secret", sparing) == ["github-token"]
    assert detect({TOKEN: 1}, "secret", sparing) == ["github-token"]
    assert detect("it is held", "secret", sparing) == ["held"]
    assert sparing(b"held")
