"""A ticket at the terminal: who calls what, why it is asked, and the arguments, in colour where there is any.

Law of this file: every character of others is seen, behind a margin or in quotes; what could steer the
terminal is its escape, and what continues a line is marked, so that nothing looks like a line of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.cells import get_character_cell_size
from rich.console import Console
from rich.text import Text

from mcpguard.adapters.system.terminal import plain
from mcpguard.console.rendering.diffs import DiffLine, compared, is_patch, pair_in, patch_lines
from mcpguard.console.rendering.languages import PLACEHOLDER, Language, classes_of, language_of

if TYPE_CHECKING:
    from mcpguard.console.desk import SeenRule
    from mcpguard.core.policy.tickets import Ticket

MOST_READABLE = 262_144
"""How many characters a value may take that is shown a member a line."""
MIN_ROOM = 20
MARGIN = "│ "
MORE = "> "
"""Before what continues a line."""

_STYLES = {
    "comment": "dim",
    "keyword": "magenta",
    "builtin": "blue",
    "variable": "cyan",
    "string": "green",
    "number": "cyan",
    "redacted": "bold magenta",
}
_SIGNS = {"+": "green", "-": "red", "@": "cyan", " ": ""}
_NAMES: dict[Language, str] = {"sql": "SQL", "shell": "shell", "json": "JSON"}


def show(
    ticket: Ticket, rules: list[SeenRule], labels: list[str], waits: str, console: Console | None = None
) -> None:
    """Print the ticket: `rules` are those that ask, `labels` those of the session, `waits` a clause about
    whether a call waits."""
    out = console or Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    room = _room(out.width)
    for line in _lines(ticket, rules, labels, waits):
        for piece in _folded(line, room):
            out.print(piece)


def folded_text(line: str) -> list[str]:
    """A line of ours with words of others in it, in pieces that fit the terminal."""
    return [piece.plain for piece in _folded(Text(line), _room(Console().width))]


def _room(width: int) -> int:
    return max(MIN_ROOM, width - len(MORE))


def _lines(ticket: Ticket, rules: list[SeenRule], labels: list[str], waits: str) -> Iterator[Text]:
    yield Text(plain(ticket.summary), "bold")
    yield Text(f"by {plain(ticket.who)}")
    yield Text(waits, "dim")
    for rule in rules:
        yield (
            Text("asked by ")
            .append(plain(rule.name), "cyan")
            .append(f"  {plain(rule.file)}:{rule.line}" if rule.file else "", "dim")
        )
    if ticket.message:
        yield Text(plain(ticket.message), "yellow")
    if labels:
        yield Text("the session has ").append(plain(", ".join(labels)), "yellow")
    yield Text()
    yield from arguments(ticket.shown, ticket.terms.show)


def arguments(shown: str, first: tuple[str, ...] = ()) -> Iterator[Text]:
    """The arguments in the JSON of a ticket, those named in `first` first; a line each that is not folded."""
    try:
        value = json.loads(shown)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        yield from _behind(shown)
        return
    ordered = {name: value[name] for name in (*(one for one in first if one in value), *value)}
    pair = pair_in(ordered)
    if pair is not None:
        old, new = pair
        yield _name(f"{old} → {new}")
        yield from _diff(compared(ordered.pop(old), ordered.pop(new)))
    for name, one in ordered.items():
        if not isinstance(one, str):
            yield from _structure(name, one)
        elif is_patch(name, one):
            yield _name(name)
            yield from _diff(patch_lines(one))
        elif (language := language_of(name, one)) is not None:
            yield _name(name).append(f" {_NAMES[language]}", "dim")
            yield from _behind(one, language)
        elif "\n" in one:
            yield _name(name)
            yield from _behind(one)
        else:
            yield _name(name).append(" ").append_text(_marked_text(json.dumps(one, ensure_ascii=False)))


def _structure(name: str, value: Any) -> Iterator[Text]:
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict | list) and value:
        lines = json.dumps(value, indent=2, ensure_ascii=False)
        yield _name(name)
        yield from _behind(lines if len(lines) <= MOST_READABLE else text, "json")
    else:
        yield _name(name).append(" ").append_text(_marked_text(text, ["number"] * len(text)))


def _name(name: str) -> Text:
    # In quotes where it could be read as more than a name.
    quoted = name if name.replace("_", "").replace(" → ", "").isalnum() else json.dumps(name)
    return Text.assemble((plain(quoted), "bold"), (":", "dim"))


def _behind(text: str, language: Language | None = None) -> Iterator[Text]:
    """The lines of a text behind the margin."""
    kinds = classes_of(text, language) if language else []
    at = 0
    for line in text.split("\n"):
        yield _margin().append_text(_marked_text(line, kinds[at : at + len(line)]))
        at += len(line) + 1


def _margin() -> Text:
    return Text.assemble((MARGIN, "dim"))  # A style of the whole would go on behind it.


def _diff(lines: list[DiffLine]) -> Iterator[Text]:
    for line in lines:
        style = _SIGNS[line.sign]
        yield _margin().append(f"{line.sign} ", style).append_text(_marked_text(line.text, style=style))
        for same in line.folded:
            yield _margin().append("  ").append_text(_marked_text(same))


def _marked_text(text: str, kinds: list[str] | None = None, style: str = "") -> Text:
    """`text` with what could hide or steer as its escape, and what redaction took out marked; `kinds` are the
    classes of its characters."""
    styles = [_STYLES.get(kind, "") for kind in kinds] if kinds else [style] * len(text)
    for found in PLACEHOLDER.finditer(text):
        styles[found.start() : found.end()] = [_STYLES["redacted"]] * len(found[0])
    seen, at = Text(), 0
    while at < len(text):
        end = at
        odd = plain(text[at]) != text[at]
        while end < len(text) and styles[end] == styles[at] and (plain(text[end]) != text[end]) == odd:
            end += 1
        seen.append(plain(text[at:end]), "bold yellow" if odd else styles[at])
        at = end
    return seen


def _folded(line: Text, room: int) -> Iterator[Text]:
    """The line in pieces that fit the terminal; all but the first are marked."""
    offsets, used = [], 0
    for at, character in enumerate(line.plain):
        wide = get_character_cell_size(character)
        if used + wide > room:
            offsets.append(at)
            used = 0
        used += wide
    for number, piece in enumerate(line.divide(offsets)):
        yield Text.assemble((MORE, "dim"), piece) if number else piece
