"""Lines for the operator, on standard error: inspected, bounded, and never in the way.

Law of this file: every line has been inspected before it is written (law 2), and a reader that stalls
costs lines, not time.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

import msgspec

from mcpguard.core.errors import InspectionError
from mcpguard.core.evidence.bounds import Allowance
from mcpguard.core.legible import utc
from mcpguard.core.model import Principal
from mcpguard.core.policy.session import name_of

LogFormat = Literal["text", "json"]
Level = Literal["info", "warning", "error"]

LineMembers = Mapping[str, str | tuple[str, ...]]
NOTHING: LineMembers = MappingProxyType({})

LINE_BYTES = 2_000
"""Below PIPE_BUF (POSIX: at least 512; Linux 4096), so that a line is written whole or not at all."""


WARNINGS_A_MINUTE = 60
"""Those that a session may cause in the long run: a log grows on the same disk as evidence."""
OUTPUT_A_MINUTE = 600
"""Lines of its standard error that a server may have written there, by the same measure."""
MOST_COUNTED = 1_000
"""Sessions whose warnings, and servers whose lines, are counted."""
TELL_SECONDS = 5.0
"""How long lines are dropped before it is said how many they were."""
SHOWN = 8
"""Characters of a session's name in a line of text."""


class Diagnostics:
    """Writes lines: `TIME LEVEL mcpguard: ...`, `TIME LEVEL [server] ...`, or an object of JSON each."""

    def __init__(
        self,
        inspect: Callable[[str], str],
        fd: int = 2,
        form: LogFormat = "text",
        now: Callable[[], float] = time.time,
        seconds: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], object] = lambda _seconds, _then: None,
    ) -> None:
        """`inspect` takes out what must not be seen; `now()` is in seconds since 1970, `seconds()` those of a
        monotonic clock; `later` is that of `Clock`."""
        self._inspect = inspect
        self._fd = fd
        self._line = _json if form == "json" else _text
        self._now = now
        self._seconds = seconds
        self._later = later
        self._dropped = 0
        self._beyond: dict[tuple[str, str, str], int] = {}
        """Lines dropped beyond what their server may write, or their session cause: by the name of the one,
        or the name and principal of the other."""
        self._allowances: dict[tuple[str, str], Allowance] = {}

    def of(self, principal: Principal, agent: str | None) -> Callable[..., None]:
        """`report` for what is about the session of this principal with this agent."""
        return partial(self.report, session=name_of(principal, agent), principal=principal.text)

    def of_threads(self, ended: threading.ExceptHookArgs) -> None:
        """Say that a thread ended by a defect (`threading.excepthook`): its kind, and not its message as
        Python would, which may quote anything."""
        self.report("", f"internal error ({ended.exc_type.__name__}) in a thread", "error")

    @property
    def of_libraries(self) -> logging.Handler:
        """What says a library's warnings (`logging.lastResort`), which Python would print as they are."""
        return _Libraries(self)

    def report(
        self,
        server: str,
        text: str,
        level: Level = "warning",
        *,
        session: str = "",
        principal: str = "",
        inspected: bool = False,
        change: bool = False,
        output: bool = False,
        about: LineMembers = NOTHING,
    ) -> None:
        """Say one line; `server` is empty for mcpguard itself. `inspected` says that `text` was. `about` are
        further members of an object, which are ours or inspected. A warning beyond what its session may cause
        is dropped, as is a line that the server wrote (`output`) beyond what it may, and a line soon after
        says how many were; what says that a state has changed (`change`) never is. After a reader has stalled
        the next line says how many it missed."""
        source = (server, "", "") if output else ("", session, principal)
        if (output or (session and level == "warning" and not change)) and not self._allows(source):
            if not self._beyond:
                self._later(TELL_SECONDS, self.tell)
            self._beyond[source] = self._beyond.get(source, 0) + 1
            return
        try:
            clean = text if inspected else self._inspect(text)
            principal = self._inspect(principal) if principal else ""
        except InspectionError:
            clean, principal = "a line was withheld, since it could not be inspected", ""
        flat = "".join(mark if mark.isprintable() else " " for mark in clean)[:LINE_BYTES]
        of_line = {"level": level, "server": server, "session": session, "principal": principal, **about}
        line = self._line(utc(self._now(), "milliseconds"), of_line, flat, self._dropped)
        try:
            if select.select([], [self._fd], [], 0)[1]:
                os.write(self._fd, line)
                self._dropped = 0
                return
        except (OSError, ValueError):
            pass
        self._dropped += 1

    def tell(self) -> None:
        """Say how many lines of which sessions and servers were dropped and not yet told."""
        beyond, self._beyond = self._beyond, {}
        for (server, session, principal), count in beyond.items():
            if server:
                of, more = "on its standard error", f"writes more than {OUTPUT_A_MINUTE}"
            else:
                of, more = "about this session", f"causes more than {WARNINGS_A_MINUTE}"
            said = f"{count} lines {of} were dropped: it {more} a minute"
            self.report(server, said, session=session, principal=principal, change=True)

    def _allows(self, source: tuple[str, str, str]) -> bool:
        server, session, _ = source
        counted = server, session
        allowance = self._allowances.get(counted)
        if allowance is None:
            if len(self._allowances) >= MOST_COUNTED:
                del self._allowances[next(iter(self._allowances))]
            a_minute = OUTPUT_A_MINUTE if server else WARNINGS_A_MINUTE
            allowance = self._allowances[counted] = Allowance(a_minute)
        return allowance.take(1, self._seconds())


def _text(at: str, about: LineMembers, said: str, dropped: int) -> bytes:
    head = f"{at} {about['level']} "
    if about["session"]:
        head += f"session={about['session'][:SHOWN]} "
    if dropped:
        head += f"({dropped} lines dropped) "
    head += f"[{about['server']}] " if about["server"] else "mcpguard: "
    return (head + said).encode("utf-8", "replace")[:LINE_BYTES] + b"\n"


def _json(at: str, about: LineMembers, said: str, dropped: int) -> bytes:
    """One object, also where the sentence has to be cut."""
    fields: dict[str, object] = {"time": at, **{name: one for name, one in about.items() if one}}
    if dropped:
        fields["dropped"] = dropped
    while len(line := msgspec.json.encode({**fields, "message": said})) > LINE_BYTES:
        said = said[: len(said) - max(1, (len(line) - LINE_BYTES) // 4)]
    return line + b"\n"


class _Libraries(logging.Handler):
    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__(logging.WARNING)
        self._diagnostics = diagnostics

    def emit(self, record: logging.LogRecord) -> None:
        """Without a traceback: its exceptions say more than anybody can vouch for."""
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            said = "a warning that cannot be read"
        self._diagnostics.report("", f"{record.name}: {said}")
