"""List the normative sentences of pages of the specification, numbered as in the ledger.

    python -m tests.requirements.extract FOLDER [PAGE ...]

FOLDER is `docs/specification/REVISION` of a checkout of the specification, a PAGE is such as `basic/index`. Without
pages it lists those of the ledger. Nothing in the test suite needs a checkout.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

WORDS = re.compile(r"MUST|REQUIRED|SHALL")
CUT = re.compile(r"(?<=[.:;])\s+(?=[A-Z`*])")
BEGINS = re.compile(r"\s*([-*]|\d+\.)\s|\||#+ |\s*$")


def paragraphs(page: str) -> Iterator[tuple[str, str]]:
    """(heading, paragraph) of a page, without its code blocks."""
    heading, lines, fenced = "", [], False
    for line in [*page.split("\n"), ""]:
        if line.strip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            if lines and BEGINS.match(line):
                yield heading, " ".join(lines)
                lines = []
            if line.startswith("#"):
                heading = line.lstrip("#").strip()
            elif line.strip():
                lines.append(line.strip())


def sentences(page: str) -> Iterator[tuple[str, str]]:
    """(heading, sentence) of each normative sentence."""
    for heading, paragraph in paragraphs(page):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph).replace("**", "")
        yield from ((heading, one) for one in CUT.split(plain) if WORDS.search(one))


def main() -> None:
    """Print them."""
    from tests.requirements.ledger import PAGES

    folder = Path(sys.argv[1])
    counts = {page.name: page.count for page in PAGES if page.revision == folder.name}
    for name in sys.argv[2:] or counts:
        found = list(sentences((folder / f"{name}.mdx").read_text("utf-8")))
        print(f"{name}: {len(found)} sentences, {counts.get(name, 'none')} in the ledger")
        for number, (heading, sentence) in enumerate(found, 1):
            print(f"  {number}. [{heading}] {sentence}")


if __name__ == "__main__":
    main()
