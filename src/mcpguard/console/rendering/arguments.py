"""The arguments of a call as a person reads them: names and values, edits as diffs, statements in colour.

Law of this file: what is on the page is bounded however large and deep the arguments are, and what is folded
or left out is counted, so that nobody approves what they do not know of.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from markupsafe import Markup, escape
from msgspec import Struct, structs

from mcpguard.adapters.system.terminal import plain
from mcpguard.console.rendering.diffs import DiffLine, compared, is_patch, pair_in, patch_lines
from mcpguard.console.rendering.languages import PLACEHOLDER, Language, language_of
from mcpguard.console.rendering.texts import highlighted, marked

FOLD_LINES, FOLD_CHARACTERS = 24, 1_600
"""What is seen of a text before the rest is folded."""
MOST_OF_A_TEXT = 12_000
"""Characters of one text on the page."""
MOST_ON_THE_PAGE = 48_000
"""Characters of all of them; the whole is a page of its own."""
OF_A_LINE = 24
"""What a line costs besides its characters."""
MOST_MEMBERS, MOST_PIECES, DEEPEST = 60, 400, 6

_BLOCK_NAMES = re.compile(
    r"(?i)(?:text|content|contents|body|message|description|prompt|code|data|html|markdown)$"
)

Kind = Literal["text", "block", "code", "diff", "object", "list", "number", "word", "more"]


class ShownLine(Struct, frozen=True):
    """A line of a diff; `folded` are such as stay the same."""

    sign: str
    text: Markup
    folded: tuple[Markup, ...] = ()


class ShownValue(Struct, frozen=True):
    """An argument, or a part of one. `name` is None for what stands in a list; `text` is what is seen, `rest`
    is folded after it, and `cut` characters are not on the page. `language` names what it is read as. `keys`
    are the names of the arguments that it shows."""

    name: Markup | None
    kind: Kind
    text: Markup = Markup("")
    rest: Markup = Markup("")
    folded: int = 0
    cut: int = 0
    language: str = ""
    members: tuple["ShownValue", ...] = ()
    lines: tuple[ShownLine, ...] = ()
    keys: tuple[str, ...] = ()


class ShownArguments(Struct, frozen=True):
    """All of them. `redacted` counts the marks of redaction, `folded` and `cut` the characters that are not
    seen at once; `raw` is the text where it is not an object."""

    values: tuple[ShownValue, ...]
    redacted: int
    folded: int
    cut: int
    raw: ShownValue | None = None


def shown_arguments(text: str, first: tuple[str, ...] = ()) -> ShownArguments:
    """The arguments in the JSON of a ticket; those named in `first` come first."""
    redacted = len(PLACEHOLDER.findall(text))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    reading = _Reading()
    if not isinstance(value, dict):
        raw = reading.value(None, value, 0)
        return ShownArguments((), redacted, reading.folded, reading.cut, raw)
    ordered = {name: value[name] for name in (*(one for one in first if one in value), *value)}
    values = tuple(reading.members(ordered, 0))
    return ShownArguments(values, redacted, reading.folded, reading.cut)


def whole(text: str) -> str:
    """The arguments as plain text: a member a line where they are JSON, and everything that could hide or
    steer as its escape."""
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    return "\n".join(map(plain, text.split("\n"))) + "\n"


class _Reading:
    """Goes through the arguments with a budget."""

    def __init__(self) -> None:
        self.left = MOST_ON_THE_PAGE
        self.pieces = MOST_PIECES
        self.folded = 0
        self.cut = 0

    def members(self, value: dict[str, Any], depth: int) -> Iterator[ShownValue]:
        pair = pair_in(value)
        if pair is not None:
            old, new = pair
            yield self._edit(f"{old} → {new}", compared(value[old], value[new]), pair)
        others = [(name, one) for name, one in value.items() if pair is None or name not in pair]
        for number, (name, one) in enumerate(others):
            if number >= MOST_MEMBERS or self.pieces <= 0:
                yield self._left_out(others[number:])
                return
            yield structs.replace(self.value(name, one, depth), keys=(name,))

    def value(self, name: str | None, value: Any, depth: int) -> ShownValue:
        self.pieces -= 1
        called = None if name is None else self._spent(name, 200)
        if isinstance(value, str):
            return self._text(name or "", called, value)
        if value is None or isinstance(value, bool):
            return ShownValue(called, "word", escape("null" if value is None else str(value).lower()))
        if isinstance(value, int | float):
            return ShownValue(called, "number", self._spent(json.dumps(value), 400))
        if depth >= DEEPEST:
            return self._folded(called, "code", _compact(value), "json")
        if isinstance(value, dict):
            return ShownValue(called, "object", members=tuple(self.members(value, depth + 1)))
        return self._list(called, value, depth)

    def _list(self, called: Markup | None, value: list[Any], depth: int) -> ShownValue:
        members = []
        for number, one in enumerate(value):
            if number >= MOST_MEMBERS or self.pieces <= 0:
                members.append(self._left_out([("", one) for one in value[number:]]))
                break
            members.append(self.value(None, one, depth + 1))
        return ShownValue(called, "list", members=tuple(members))

    def _left_out(self, others: list[tuple[str, Any]]) -> ShownValue:
        size = sum(len(name) + len(_compact(one)) for name, one in others)
        self.cut += size
        return ShownValue(
            None, "more", Markup("{} more, {} characters").format(len(others), f"{size:,}"), cut=size
        )

    def _text(self, name: str, called: Markup | None, text: str) -> ShownValue:
        if is_patch(name, text):
            return self._edit(name, patch_lines(text), (name,))
        language = language_of(name, text)
        if language is not None:
            return self._folded(called, "code", text, language)
        block = "\n" in text or len(text) > 160 or (_BLOCK_NAMES.search(name) and len(text) > 72)
        return self._folded(called, "block" if block else "text", text)

    def _folded(
        self, called: Markup | None, kind: Kind, text: str, language: Language | None = None
    ) -> ShownValue:
        most = max(0, min(MOST_OF_A_TEXT, self.left))
        seen, cut = text[:most], max(0, len(text) - most)
        head = _head(seen)
        self.left -= len(seen)
        self.folded += len(seen) - head
        self.cut += cut
        return ShownValue(
            called,
            kind,
            _colour(seen[:head], language),
            _colour(seen[head:], language),
            folded=len(seen) - head,
            cut=cut,
            language=language or "",
        )

    def _edit(self, name: str, lines: list[DiffLine], keys: tuple[str, ...]) -> ShownValue:
        shown: list[ShownLine] = []
        for number, line in enumerate(lines):
            if self.left <= 0:
                cut = sum(len(one.text) + sum(map(len, one.folded)) for one in lines[number:])
                self.cut += cut
                return ShownValue(marked(name), "diff", lines=tuple(shown), cut=cut, keys=keys)
            self.left -= OF_A_LINE * (1 + len(line.folded))
            folded = tuple(self._spent(one, MOST_OF_A_TEXT) for one in line.folded)
            self.folded += sum(map(len, line.folded))
            shown.append(ShownLine(line.sign, self._spent(line.text, MOST_OF_A_TEXT), folded))
        return ShownValue(marked(name), "diff", lines=tuple(shown), keys=keys)

    def _spent(self, text: str, most: int) -> Markup:
        """`text` as far as there is room for it."""
        kept = text[: max(0, min(most, self.left))]
        self.left -= len(kept)
        left_out = len(text) - len(kept)
        self.cut += left_out
        more = Markup(' <span class="more">… {} more characters</span>').format(f"{left_out:,}")
        return marked(kept) + more if left_out else marked(kept)


def _head(text: str) -> int:
    """How many characters are seen before the rest is folded; all where that would save little."""
    end = FOLD_CHARACTERS
    at = -1
    for _ in range(FOLD_LINES):
        at = text.find("\n", at + 1)
        if at < 0:
            break
    if 0 <= at < end:
        end = at
    little = len(text) - end < FOLD_CHARACTERS // 4 and text.count("\n", end) < FOLD_LINES // 4
    return len(text) if little else end


def _colour(text: str, language: Language | None) -> Markup:
    return highlighted(text, language) if language else marked(text)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
