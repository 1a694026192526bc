"""The project's Markdown pages, and what the tests of the documentation read in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("policies/*.md")])

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: `language` and `role` are the words after its fence, such as `yaml policy`."""

    page: Path
    line: int
    language: str
    role: str
    text: str

    @property
    def name(self) -> str:
        """For a test's id and its messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str = "", role: str = "", pages: list[Path] = PAGES) -> Iterator[Block]:
    """All fenced blocks of that language and role ("" stands for any)."""
    for page in pages:
        text = page.read_text("utf-8")
        for found in _FENCE.finditer(text):
            words = [*found[1].split(), "", ""]
            block = Block(page, text.count("\n", 0, found.start()) + 1, words[0], words[1], found[2])
            if language in ("", block.language) and role in ("", block.role):
                yield block


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[tuple[str, str]]:
    """(text, target) of every link."""
    return re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors that a repository host gives to the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
