"""What a verb that serves prints on standard error beside its log, as objects of the same form.

Law of this file: whatever is printed, by whom it may be, is an object: one for each call of `print`.
"""

import io
import time
from itertools import pairwise
from typing import TextIO

_WORD = "--log-format"


def wants_json(words: list[str]) -> bool:
    """Whether the words after `mcpguard` have `--log-format json`, though the rest of them may be wrong."""
    if not words or words[0] not in ("run", "wrap"):
        return False
    own = words[: words.index("--")] if "--" in words else words
    return f"{_WORD}=json" in own or (_WORD, "json") in pairwise(own)


class JsonLines(io.TextIOBase):
    """Standard error, for texts."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Keep a text until a line ends with it."""
        self._text += text
        if self._text.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what was kept."""
        import msgspec

        from mcpguard.core.legible import utc

        said, self._text = self._text.strip("\n").removeprefix("mcpguard: "), ""
        if said:
            at = utc(time.time(), "milliseconds")
            line = msgspec.json.encode({"time": at, "level": "error", "message": said})
            self._stream.write(f"{line.decode()}\n")
            self._stream.flush()
