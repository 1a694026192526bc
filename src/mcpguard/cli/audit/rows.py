"""One call on record as one line of a terminal, with the signs and colours of the demo; and the warning about
evidence that was altered, once for each file.

Law of this file: every character of others is made plain, and a line never is longer than the terminal; the
id is always whole, since it is what one asks about next.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping
from unicodedata import east_asian_width

from mcpguard.adapters.system.terminal import plain, style
from mcpguard.cli.parser import to_stderr
from mcpguard.core.evidence.records import Decided, Noticed, Outcome, let_through, observed_in, shadow_in
from mcpguard.core.legible import utc
from mcpguard.core.model import split_principal

LOOKS = {
    "allowed": ("✓", "+", "green"),
    "denied": ("✗", "x", "red"),
    "redacted": ("■", "#", "yellow"),
    "verified": ("◆", "*", "cyan"),
    "altered": ("≠", "!", "magenta"),
    "waiting": ("?", "?", "yellow"),
    "observed": ("△", "^", "yellow"),
    "failed": ("!", "!", "magenta"),
    "running": ("○", "o", "dim"),
    "noted": ("·", "-", "dim"),
}
"""Name -> its sign, the sign where the encoding lacks it, its colour."""
_ASCII = str.maketrans(
    {"→": ">", "│": "|", "·": "-", "…": "..."}
    | {sign: other for sign, other, _ in LOOKS.values()}
    | dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True))
)


def shown(text: str) -> str:
    """`text` in characters that the encoding of standard output has."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII)
    return text.encode(encoding, "backslashreplace").decode(encoding)


_NOT_DONE = frozenset(
    ("error", "withheld", "unavailable", "cancelled", "expired", "denied", "abandoned", "disconnected")
)


def width(most: int = 200) -> int:
    """How many columns there are: 40 at the least, and no more than `most`."""
    return min(max(shutil.get_terminal_size().columns, 40), most)


def _look_of(decision: Decided, outcome: Outcome | None) -> str:
    if decision.effect != "allow":
        return "denied" if decision.effect == "deny" else "waiting"
    if outcome is None:
        return "running"
    if outcome.status in _NOT_DONE:
        return "failed"
    if let_through(decision, outcome):
        return "observed"
    return "redacted" if outcome.findings else "allowed"


def call_line(decision: Decided, outcome: Outcome | None, columns: int, left: int = 11) -> str:
    """Time (without the first `left` characters), sign, what was called, why or with which outcome, how long
    it took, and the id."""
    look = _look_of(decision, outcome)
    sign, _, colour = LOOKS[look]
    clock = utc(decision.at)[left:]
    took = "" if outcome is None else duration(outcome.ms)
    room = columns - len(clock) - len(decision.id) - 13
    wide = max(12, room * 11 // 20)
    target = fitted(target_of(decision), wide)
    detail = fitted(detail_of(decision, outcome), max(8, room - wide - 1))
    return " ".join(
        (
            style(clock, "dim"),
            style(shown(sign), colour),
            target,
            style(detail, colour if look in ("denied", "failed", "waiting", "observed") else "dim"),
            took.rjust(7),
            style(plain(decision.id), "dim"),
        )
    )


def notice_line(notice: Noticed, columns: int) -> str:
    """The same of something outside a call."""
    sign, _, colour = LOOKS["noted"]
    clock = utc(notice.at)[11:]
    about = " ".join(filter(None, (notice.what, notice.server, notice.detail)))
    return f"{style(clock, 'dim')} {style(f'{shown(sign)} {cut(about, columns - len(clock) - 3)}', colour)}"


def target_of(decision: Decided) -> str:
    """What was called, and by whom where several come to one process."""
    what = decision.tool or decision.subject or decision.method
    if decision.method.startswith("tasks/") and decision.subject:
        what = f"{decision.method} {what}"  # The id alone does not say what was asked.
    named = f"{decision.server}/{what}" if decision.server else what
    source, _ = split_principal(decision.principal)
    return named if source == "os-user" else f"{named} by {caller(decision.principal, decision.actor)}"


def caller(principal: str, actor: str) -> str:
    """The name of a principal, after that of the agent that acts for it."""
    _, who = split_principal(principal)
    return f"{actor} for {who}" if actor else who


def detail_of(decision: Decided, outcome: Outcome | None) -> str:
    """The rule or cause, of a call that was let through what would refuse it, and what was out of the
    ordinary."""
    why = ", ".join(decision.rules) or decision.cause
    if let_through(decision, outcome):
        refusal = observed_in(decision, outcome)
        why = shadow_in(decision, outcome) if refusal is None else refusal.text.removeprefix("rule ")
    if outcome is None:
        return why
    status = "" if outcome.status == "ok" else outcome.status
    kinds = sorted({one.partition(" ")[0] for one in outcome.findings})
    removed = f"removed {', '.join(kinds)}" if kinds else ""
    return "; ".join(filter(None, (status, removed, why)))


def duration(ms: float) -> str:
    """In at most seven columns."""
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 10_000:
        return f"{ms:.0f} ms"
    for size, unit in ((3_600_000, "h"), (60_000, "min")):
        if ms >= 2 * size:
            return f"{ms / size:.0f} {unit}"
    return f"{ms / 1000:.0f} s"


def amount(number: float) -> str:
    """A count, or bytes, in at most five columns."""
    for unit in ("", "k", "M", "G", "T"):
        if number < 1000 or unit == "T":
            return f"{number:.1f}{unit}" if unit and number < 10 else f"{number:.0f}{unit}"
        number /= 1000
    raise AssertionError


def cut(text: str, room: int) -> str:
    """`text` made plain, in at most `room` columns."""
    text = plain(text)
    if _cells(text) <= room:
        return text
    while _cells(text) >= room and text:
        text = text[:-1] if not text.isascii() else text[: room - 1]
    return f"{text}{shown('…')[:1]}"


def fitted(text: str, room: int) -> str:
    """The same in exactly `room` columns, filled with spaces."""
    text = cut(text, room)
    return text + " " * (room - _cells(text))


def _cells(text: str) -> int:
    return len(text) if text.isascii() else sum(1 + (east_asian_width(one) in "WF") for one in text)


_BARS = " ▁▂▃▄▅▆▇█"


def sparkline(counts: Mapping[int, int], columns: int) -> str:
    """A bar for each of `columns` parts of the time; a part with anything in it has a bar."""
    most = max(counts.values(), default=0)
    levels = [0 if not counts.get(part) else 1 + (counts[part] * 7) // most for part in range(columns)]
    return shown("".join(_BARS[level] for level in levels))


def trust(altered: Iterable[str], place: str) -> int:
    """The exit code: 1 where chains were altered, and it is said; `place` is `query.same_place`."""
    names = list(altered)
    for name in names:
        warn(name, place)
    return 1 if names else 0


def warn_rivals(names: Iterable[str], place: str) -> None:
    """Say that of these chains, which continue the same one, only one can be true; `place` is
    `query.same_place`."""
    verify = f"`mcpguard audit verify{place} --public-key KEY`"
    to_stderr(
        f"{' and '.join(map(plain, names))} continue the same chain, so only one of them is true, "
        f"and only one outcome of a call: {verify} says which is signed"
    )


def warn(name: str, place: str) -> None:
    """Say that this chain was altered."""
    to_stderr(
        f"{plain(name)} was altered: do not trust what is printed of it; "
        f"`mcpguard audit verify{place}` says where"
    )
