"""`mcpguard top`: what is going on now: processes and servers, calls a second, the latest denials, the tools
in use, the calls that wait for a person, and what is wrong.

Law of this file: it only reads, a second apart, and every character of others is made plain. A terminal gets
one picture that changes; anything else, or `--once`, gets one frame.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.checking import CheckedFollowing, last_lines, written_until
from mcpguard.adapters.audit.reader import NothingRecorded, chain_files
from mcpguard.adapters.system.terminal import at_terminal, counted
from mcpguard.cli.audit.query import same_place
from mcpguard.cli.audit.rows import caller, cut, detail_of, sparkline, target_of
from mcpguard.cli.audit.verb import audit_folder
from mcpguard.cli.operating.status import troubles
from mcpguard.cli.parser import add_config, configured
from mcpguard.core.errors import AuditError, DocumentError, McpGuardError
from mcpguard.core.evidence.bounds import NO_CALLS, only_counted
from mcpguard.core.evidence.records import Decided, Noticed
from mcpguard.core.legible import utc
from mcpguard.core.policy.tickets import Ticket

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    from mcpguard.adapters.telemetry.status_file import Status

EXAMPLES = ("mcpguard top", "mcpguard top --once")

LOOK_SECONDS = 1.0
SECONDS = 60
"""How much of the past counts for calls a second and for the tools in use."""
_DENIALS, _TOOLS, _SERVERS, _TICKETS, _TROUBLES = 6, 8, 12, 5, 6
_WIDE, _WIDEST = 30, 200
ALTERED = "{} was altered: `mcpguard audit verify{}` says where"
_DAMAGED = "it cannot be read: `mcpguard approvals` says what to do"
_FIRST_LINES = 5_000
_CTRL_D = b"\4"
_FILES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("--once", action="store_true", help="print one frame and exit")
    parser.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="use this folder of chains instead"
    )
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0, also after Ctrl-C, Ctrl-D or q. Raises AuditError where the evidence cannot be read."""
    folder = args.path or audit_folder(args.config)
    if folder.is_file():
        chain_files(folder)  # It says so where this is not a chain.
    view = TopView(folder, args.config, same_place(args))
    view.look()
    if view.unread:
        raise AuditError(view.unread)
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    if args.once or not at_terminal():
        # Printed by itself it would end the process where nobody reads it any more.
        with console.capture() as frame:
            console.print(view.frame(""))
        print(frame.get(), end="")
        return 0
    with suppress(KeyboardInterrupt):
        _live(view, console)
    return 0


def _live(view: TopView, console: Console) -> None:
    from rich.live import Live

    with _keys() as pressed, Live(view.frame(), console=console, screen=True, auto_refresh=False) as live:
        while not pressed(LOOK_SECONDS):
            view.look()
            live.update(view.frame(), refresh=True)


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Whether q or Ctrl-D was pressed, or the input ended, within this many seconds; the terminal gives each
    key at once meanwhile."""
    import select
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(seconds: float) -> bool:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        return bool(ready) and os.read(descriptor, 64)[:1] in (b"q", b"Q", _CTRL_D, b"")

    try:
        tty.setcbreak(descriptor)
        yield pressed
    finally:
        with suppress(termios.error):  # It may be gone.
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class TopView:
    """What is shown, as far as it is known."""

    def __init__(self, folder: Path, config: str | None, place: str = "") -> None:
        """`place` is what a command that is suggested needs after it to read the same evidence."""
        self._folder = folder
        self._config = config
        self._place = place
        self._following = CheckedFollowing(folder, own=False, warn=_unsaid)
        self._begun = False
        self._damaged: list[tuple[str, ...]] = []
        self.unread = ""
        """Why the evidence cannot be read; "" if it can, or if nothing is on record yet."""
        self.missing = ""
        """Says that nothing is on record yet, "" if there are records."""
        self._calls: deque[tuple[float, str, bool]] = deque()
        """Of the last SECONDS: when, what, and whether it was denied."""
        self._folded: deque[tuple[float, int]] = deque()
        """Of the same time: when, and how many refusals were only counted."""
        self._denials: list[Decided] = []
        self._processes: list[Status] = []
        self._waiting: list[tuple[Ticket, str, float | None]] | str = []
        """Each with the file of its configuration, "" for this one, and since when a call waits for it; or
        why they cannot be read."""

    def look(self) -> None:
        from mcpguard.adapters.telemetry.status_file import running

        self._processes = running()
        self._waiting = self._tickets()
        first = not self._begun
        for line in self._lines():
            self._take(line)
        if first:
            # They came from several chains.
            self._calls = deque(sorted(self._calls))
        before = time.time() - SECONDS
        while self._calls and self._calls[0][0] < before:
            self._calls.popleft()
        self._folded = deque(one for one in self._folded if one[0] >= before)

    def _lines(self) -> list[bytes]:
        self.unread = self.missing = ""
        try:
            if not self._begun:
                self._begun = self._following.begin() is not None
                # Who begins to look wants to see what there was just before.
                recent = _recent(chain_files(self._folder))
                check = self._following.check
                return [line for file in recent for line in last_lines(file, _FIRST_LINES, check)]
            found = self._following.read(_FIRST_LINES)
        except NothingRecorded as nothing:
            self.missing = str(nothing)
            return []
        except (AuditError, OSError) as problem:
            self.unread = str(problem)
            return []
        self._following.keep(found, {})
        return [line.data for line in found]

    def _take(self, line: bytes) -> None:
        record = read_record(line)
        if isinstance(record, Noticed) and record.refusals is not None:
            self._folded.append((record.at.timestamp(), record.refusals.count))
        if isinstance(record, Decided) and record.effect != "ask" and record.method not in NO_CALLS:
            denied = record.effect == "deny"
            self._calls.append((record.at.timestamp(), target_of(record), denied))
            if denied:
                # They come from several chains.
                insort(self._denials, record, key=attrgetter("at"))
                del self._denials[:-_DENIALS]

    def _tickets(self) -> list[tuple[Ticket, str, float | None]] | str:
        from mcpguard.serve.interventions import other_config, store_of

        try:
            config = configured(self._config)
            with closing(store_of(config)) as store:
                since = store.waited_for()
                self._damaged = [(one.id, "", one.principal, _DAMAGED) for one in store.unreadable()]
                found = [(one, other_config(config, one), since.get(one.id)) for one in store.waiting()]
                return sorted(found, key=lambda one: one[2] is None)
        except DocumentError as error:
            problem = error.problems[0]  # Its whole path would fill the row.
            return f"{os.path.basename(problem.source)}: {problem.message}"
        except McpGuardError as error:
            return str(error)

    # --- the picture ----------------------------------------------------------------------------

    def frame(self, ends: str = "q ends") -> Group:
        """The picture; `ends` says how it ends."""
        from rich.console import Group
        from rich.text import Text

        names = self._following.check.altered
        altered = [Text(ALTERED.format(cut(name, _WIDEST), self._place), "red") for name in names]
        if self.unread:
            altered.append(Text(cut(self.unread, _WIDEST), "red"))
        if self.missing:
            altered.append(Text(cut(self.missing, _WIDEST), "yellow"))
        if folded := sum(count for _, count in self._folded):
            altered.append(Text(only_counted(folded), "red"))
        # Processes of other configurations may record elsewhere, and are listed all the same.
        where = Text(f"calls and denials on record in {cut(str(self._folder), _WIDEST)}", "dim")
        last = [Text(ends, "dim", justify="right")] if ends else []
        return Group(self._head(), where, *altered, *self._troubles(), Text(), *self._tables(), *last)

    def _troubles(self) -> Iterator[Text]:
        """A line for each thing that is wrong with a process, apart from its tool servers."""
        from rich.text import Text

        found = [(status.pid, *line) for status in self._processes for line in troubles(status)]
        found.sort(key=lambda one: one[2] == "warning")
        for pid, what, state, _since, problem in found[:_TROUBLES]:
            said = cut(f"{pid} {what} {state}: {problem}", _WIDEST)
            colour = "yellow" if state == "warning" else "red"
            yield Text(said, colour, no_wrap=True, overflow="ellipsis")
        if (more := len(found) - _TROUBLES) > 0:
            yield Text(f"and {more} more: `mcpguard status`", "red")

    def _head(self) -> Text:
        from rich.text import Text

        now = time.time()
        counts = Counter(29 - int(min(SECONDS - 1, max(0.0, now - at)) // 2) for at, _, _ in self._calls)
        denied = sum(refused for _, _, refused in self._calls)
        said = Text("mcpguard", "bold").append(f"  {len(self._processes)} running", "green")
        said.append(f"  {len(self._calls) / SECONDS:.1f} calls/s ")
        said.append(sparkline(counts, 30), "cyan")
        return said.append(f"  {denied} denied", "red" if denied else "dim")

    def _tables(self) -> Iterator[Table]:
        yield _table("SERVERS", ("PID", "WHAT", "STATE", "OPEN", "RESTARTS"), self._servers(), 1)
        asked = [] if isinstance(self._waiting, str) else self._waiting
        wait = counted(sum(since is not None for _, _, since in asked), "call").upper()
        yield _table(
            f"WAITING FOR A PERSON: {wait}", ("TICKET", "WAITS", "WHO", "CALL"), self._tickets_shown(), 3
        )
        denials = [_denial(one) for one in reversed(self._denials)]
        yield _table("LATEST DENIALS", ("AT", "CALL", "WHY", "ID"), denials, 2)
        used = Counter(what for _, what, _ in self._calls).most_common(_TOOLS)
        rows = [(what, str(count), f"{count / SECONDS:.1f}/s") for what, count in used]
        yield _table(f"LAST {SECONDS} SECONDS", ("CALL", "CALLS", "RATE"), rows, 0)

    def _servers(self) -> list[tuple[str, ...]]:
        from mcpguard.adapters.telemetry.status_file import several

        rows: list[tuple[str, ...]] = []
        for status in self._processes:
            lacks = {one.name for one in status.needs if not one.ok}
            state = "stopping" if "serving" in lacks else "failing" if lacks else "running"
            rows.append((str(status.pid), f"mcpguard ({status.transport})", state, "", ""))
            for health, count in status.alike():
                counts = (str(health.open), str(health.restarts))
                rows.append((str(status.pid), several(health.name, count), health.state, *counts))
        more = len(rows) - _SERVERS
        return rows if more <= 0 else [*rows[:_SERVERS], ("", f"and {more} more", "", "", "")]

    def _tickets_shown(self) -> list[tuple[str, ...]]:
        if isinstance(self._waiting, str):
            return [("?", "", "", self._waiting.split("\n")[0])]
        return [
            (
                one.id,
                "no call" if since is None else f"{max(0, time.time() - since):.0f} s",
                cut(caller(one.principal, one.actor) if one.actor else one.principal, _WIDE),
                f"{one.summary} (under {other})" if other else one.summary,
            )
            for one, other, since in self._waiting[:_TICKETS]
        ] + self._damaged[:_TICKETS]


def _unsaid(name: str) -> None:
    """A line of the picture names it."""


def _recent(files: list[Path]) -> list[Path]:
    """The chains that were written to in the last SECONDS, and those before them, _FILES at least; the
    newest last. A chain ends with its process, or is rotated."""
    times = {file: written_until(file) for file in files}
    before = time.time() - SECONDS
    ordered = sorted(files, key=times.__getitem__)
    return [file for file in ordered[:-_FILES] if times[file] >= before] + ordered[-_FILES:]


def _denial(decision: Decided) -> tuple[str, ...]:
    why = decision.message or detail_of(decision, None)
    return utc(decision.at)[11:], cut(target_of(decision), _WIDE), why, decision.id


_COLOURS = {"failing": "red", "failed": "red", "waiting": "yellow", "stopping": "yellow", "running": "green"}


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], grows: int) -> Table:
    """The column at `grows` gets what the others leave."""
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", title_style="bold", box=None, expand=True, pad_edge=False)
    shown = [[cut(cell, _WIDEST) for cell in row] for row in rows]
    for number, name in enumerate(names):
        ratio = 1 if number == grows else None
        least = None if ratio else max(len(name), *(len(row[number]) for row in shown), 0)
        made.add_column(
            name, header_style="dim", no_wrap=True, overflow="ellipsis", ratio=ratio, min_width=least
        )
    for row in shown or [["none"] + [""] * (len(names) - 1)]:
        made.add_row(*(Text(cell, _COLOURS.get(cell, "")) for cell in row))
    return made
