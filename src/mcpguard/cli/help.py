"""`mcpguard help`: the pages of the documentation, as they were installed."""

import argparse
import os
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from mcpguard.cli.parser import OneOf
from mcpguard.core.errors import McpGuardError

EXAMPLES = ("mcpguard help", "mcpguard help approve-a-call", "mcpguard help reference/config")

_FOLDERS = ("", "guides", "reference", "decisions")
_PACKS = "packs"
_FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_NOTE = re.compile(r"<!--.*?-->\n*", re.DOTALL)
_WIDTH = 100


class UnknownTopic(McpGuardError):
    """No page has that name. The sentence names the nearest ones."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    pages = [one for one in topics() if one.partition("/")[0] != "decisions"]
    kind = OneOf("page", pages, as_a_rule=True)
    said = "the page to print (default: list them)"
    parser.add_argument("topic", nargs="?", metavar="TOPIC", type=kind, help=said)


def execute(args: argparse.Namespace) -> int:
    """0 where the page was printed. Raises UnknownTopic."""
    pages = topics()
    if not pages:
        raise McpGuardError("this installation has no pages; `mcpguard --help` lists the verbs")
    if args.topic is None:
        print(_listed(pages))
        return 0
    found = named(args.topic, pages)
    if found is None:
        return _verb(args.topic, pages)
    _show(readable(pages[found], found, pages))
    return 0


def topics() -> dict[str, Path]:
    """Topic -> its page: a guide by its name, any other page in a folder with the name of the folder."""
    from mcpguard.adapters.system.shipped import shipped

    docs, packs = shipped("docs"), shipped("policies/README.md")
    pages = {} if packs is None else {_PACKS: packs}
    if docs is None:
        return pages
    for folder in _FOLDERS:
        prefix = "" if folder in ("", "guides") else f"{folder}/"
        pages |= {prefix + page.stem: page for page in sorted((docs / folder).glob("*.md"))}
    return pages


def named(topic: str, pages: Iterable[str]) -> str | None:
    """The one of `pages` that is called `topic`, or the only one whose name is that after its folder."""
    wanted = topic.removesuffix(".md").removeprefix("docs/").removeprefix("guides/")
    if wanted in pages:
        return wanted
    last = [one for one in pages if one.rpartition("/")[2] == wanted]
    return last[0] if len(last) == 1 else None


def readable(page: Path, topic: str, pages: dict[str, Path]) -> str:
    """The text of `page` with its links as commands or addresses, and without pictures."""
    parts = _FENCE.split(_NOTE.sub("", page.read_text("utf-8")))
    parts[::2] = [_LINK.sub(lambda found: _link(found, topic, pages), part) for part in parts[::2]]
    return "".join(parts).strip()


def _link(found: re.Match[str], topic: str, pages: dict[str, Path]) -> str:
    picture, text, target = found.groups()
    if picture:
        return ""
    if re.match(r"https?://", target):
        return text if text == target else f"{text} ({target})"
    other = _topic_at(target.partition("#")[0], pages[topic], pages)
    return text if other in (None, topic) else f"{text} (`mcpguard help {other}`)"


def _topic_at(target: str, page: Path, pages: dict[str, Path]) -> str | None:
    """The topic that a link of `page` leads to. In an installation the packs are beside the pages, as in a
    checkout."""
    where = Path(os.path.normpath(page.parent / target))
    return next((name for name, one in pages.items() if one == where), None)


def _verb(topic: str, pages: dict[str, Path]) -> int:
    from mcpguard.adapters.system.terminal import plain
    from mcpguard.cli import VERBS, main

    if topic in VERBS:
        return main([topic, "--help"])
    near = ", ".join(f"`mcpguard help {one}`" for one in _nearest(topic, pages))
    hint = f"did you mean {near}?" if near else "`mcpguard help` lists the pages"
    raise UnknownTopic(f"no page is called {plain(topic)!r}: {hint}")


def _nearest(topic: str, pages: dict[str, Path]) -> list[str]:
    """By their names, else those that use the word most, guides first."""
    close = get_close_matches(topic, pages, 3)
    if close:
        return close
    word = re.compile(rf"\b{re.escape(topic)}", re.IGNORECASE)
    counts = {one: len(word.findall(page.read_text("utf-8"))) for one, page in pages.items()}
    using = [one for one in counts if counts[one]]
    return sorted(using, key=lambda one: ("/" in one, -counts[one]))[:3]


def _listed(pages: dict[str, Path]) -> str:
    from mcpguard.adapters.system.terminal import style, table

    shown = {name: page for name, page in pages.items() if name.partition("/")[0] != "decisions"}
    rows = [(f"  {name}", _title(page)) for name, page in shown.items()]
    return "\n".join(
        [
            style("The pages of the documentation", "bold"),
            "",
            table(rows),
            "",
            "`mcpguard help TOPIC` prints one; `mcpguard --help` lists the verbs.",
        ]
    )


def _title(page: Path) -> str:
    found = re.search(r"^# (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return found[1] if found else page.stem


def _show(text: str) -> None:
    """As a person reads it on a terminal, else as it is written."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.markdown import Markdown
        except ImportError:
            pass
        else:
            console = Console()
            console.print(Markdown(text, hyperlinks=False), width=min(console.width, _WIDTH))
            return
    print(text)
