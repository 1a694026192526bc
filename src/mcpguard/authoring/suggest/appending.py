"""An item more at the end of a list in a YAML file; all else stays as it is written.

Law of this file: what cannot be added so is not added, and whoever wants it hears that.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"[A-Za-z_\"'?{\[]|---|\.\.\.")


def with_item(text: str, key: str, item: list[str]) -> str | None:
    """`text` with the lines of `item` (the first begins a new item or is a comment, none is indented) at the
    end of the list under the key `key` of the file; None where that is not a list with an item a line."""
    lines = text.splitlines(keepends=True)
    opens = re.compile(rf"{re.escape(key)}:\s*(#.*)?$")
    start = next((at for at, line in enumerate(lines) if opens.match(line)), None)
    if start is None:
        return None
    after = [at for at in range(start + 1, len(lines)) if _KEY.match(lines[at])]
    end = after[0] if after else len(lines)
    first = next((line for line in lines[start + 1 : end] if line.lstrip().startswith("- ")), None)
    if first is None and any(_is_text(line) for line in lines[start + 1 : end]):
        return None
    indent = "  " if first is None else first[: len(first) - len(first.lstrip())]
    while after and end > start + 1 and not _is_text(lines[end - 1]):
        end -= 1
    before = "".join(lines[:end])
    if not before.endswith("\n"):
        before += "\n"
    return before + "".join(f"{indent}{line}\n" for line in item) + "".join(lines[end:])


def _is_text(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")
