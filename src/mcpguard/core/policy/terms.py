"""A rule in force, what `written.py` describes, as plain values; and for which servers the policies are only
observed: what they refuse is recorded and let through, until a day.

Law of this file: it does not import pydantic, which a process that is handed its policies does not need. Only
a configuration has policies observed, of servers by the names that it gives them; it lasts at most MOST_DAYS,
and before and after them it changes nothing.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from msgspec import Struct

from mcpguard.core.model import Json

Effect = Literal["allow", "ask", "deny"]
Moment = Literal["call", "result"]
Mode = Literal["enforce", "shadow"]
Channel = Literal["console", "terminal", "client"]
"""By which a person answers: the local page, a command at a terminal, or the client that made the call."""

EXTENSION = "extension"
"""The action of each method of an extension that a server's configuration declares."""

ANY_ACTION = "*"
"""In a rule: every action."""

Action = Literal[
    "tools/call",
    "resources/read",
    "resources/subscribe",
    "prompts/get",
    "completion/complete",
    "tasks/get",
    "tasks/result",
    "tasks/update",
    "tasks/cancel",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "extension",
]

ACTIONS: frozenset[str] = frozenset(get_args(Action))
"""What a rule can decide: the DECIDED rows of `protocol/methods.py` (a test compares), by method."""

ASKED = frozenset({"sampling/createMessage", "elicitation/create", "roots/list"})
"""Actions whose answer is the client's, so that no result of an upstream comes back."""

MAX_WINDOW = 31 * 86_400
"""The longest window of a limit, in seconds."""
MAX_TIMEOUT = 86_400
"""The longest time that a person has to answer, in seconds."""

WINDOW = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

OBLIGATIONS = (
    *("redact", "label", "fact", "limit", "argument", "credential", "placeholders"),
    *("spotlight", "unredacted"),
)
"""The keys of a rule with what it does besides having its effect."""


def window_of(per: str) -> int | None:
    """The seconds of a window, 0 for the whole session, None for an invalid window."""
    if per == "session":
        return 0
    found = WINDOW.fullmatch(per)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else MAX_WINDOW + 1
    return seconds if seconds <= MAX_WINDOW else None


def end_of(expires: str | None) -> datetime | None:
    """The first moment after the day `expires`, in UTC; None without one, and for what is not a day."""
    if expires is None or len(expires) != 10:
        return None
    try:
        return datetime.fromisoformat(expires).replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None


def as_tuple(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """One text is a list of one."""
    return (value,) if isinstance(value, str) else value


RESERVED = (
    *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let"),
    *("loop", "package", "namespace", "null", "return", "true", "var", "void", "while"),
)
"""Words that cannot be selected in an expression (cel-spec, syntax)."""

ParamType = Literal["string", "strings", "folders", "integer", "boolean", "map"]


def _is_text(value: Any) -> bool:
    return type(value) is str and "\0" not in value


def _is_list(value: Any) -> bool:
    return type(value) is list and all(map(_is_text, value))


def _are_folders(value: Any) -> bool:
    return _is_list(value) and all(one[:1] == "/" and ".." not in one.split("/") for one in value)


def _is_map(value: Any) -> bool:
    return type(value) is dict and all(map(_is_text, value)) and all(map(_is_list, value.values()))


_FITS: Mapping[ParamType, tuple[str, Callable[[Any], bool]]] = {
    "string": ("a text", _is_text),
    "strings": ("a list of texts", _is_list),
    "folders": ("a list of absolute folders without `..`", _are_folders),
    "integer": ("a whole number below 2^53", lambda value: type(value) is int and abs(value) < 1 << 53),
    "boolean": ("true or false", lambda value: type(value) is bool),
    "map": ("a mapping of names to lists of texts", _is_map),
}


def misfit(kind: ParamType, value: Json) -> str:
    """Why `value` cannot be the value of a param of this type, "" where it can."""
    expected, fits = _FITS[kind]
    return "" if fits(value) else f"expected {expected}"


class LimitTerms(Struct, frozen=True):
    """`limit` of a rule; see Limit."""

    per: str
    calls: int | None = None
    bytes: int | None = None
    units: int | None = None
    cost: int | str = 1


class AskTerms(Struct, frozen=True):
    """`ask` of a rule; see AskEntry."""

    timeout: str | None = None
    channels: tuple[Channel, ...] = ("console", "terminal")
    proof: Literal["passkey"] | None = None
    approvers: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    same_host: tuple[str, ...] = ()
    standing: bool = False


class UnredactedTerms(Struct, frozen=True):
    """One of `unredacted` of a rule that names a place; see UnredactedEntry."""

    kind: str
    path: str


class RuleTerms(Struct, frozen=True, kw_only=True):
    """A rule as it is written, what it leaves out included; see Rule."""

    id: str
    effect: Effect
    server: str | tuple[str, ...]
    tools: tuple[str, ...] | None
    action: tuple[str, ...]
    when: str | None
    on: Moment
    mode: Mode
    redact: tuple[str, ...]
    label: tuple[str, ...]
    fact: tuple[str, ...]
    limit: LimitTerms | None
    argument: dict[str, Any]
    credential: str
    placeholders: bool
    spotlight: bool
    unredacted: tuple[str | UnredactedTerms, ...]
    ask: AskTerms | None
    approves: tuple[str, ...]
    message: str


MOST_DAYS = 31
"""How many days ahead its last day may be."""

_DAY = timedelta(days=1)

ObservedNow = Literal["too far ahead", "on", "over"]


class Observation(Struct, frozen=True):
    """`end` is the first moment after its last day, in UTC."""

    servers: frozenset[str]
    end: datetime

    def at(self, now: datetime) -> ObservedNow:
        """Its state then. One that ends too far ahead has not begun, so that a clock which is set back, or a
        wrong year, makes none of it."""
        if now >= self.end:
            return "over"
        return "on" if now >= self.end - (MOST_DAYS + 1) * _DAY else "too far ahead"

    def covers(self, server: str, now: datetime) -> bool:
        """Whether what the policies refuse of this server goes on."""
        return server in self.servers and self.at(now) == "on"

    @property
    def until(self) -> str:
        """Its last day, YYYY-MM-DD."""
        return (self.end - _DAY).date().isoformat()

    @property
    def said(self) -> str:
        """Which servers, until when."""
        return f"{', '.join(sorted(self.servers))} until the end of {self.until} (UTC)"

    def reported(self, state: ObservedNow) -> str:
        """The sentence for an operator where it is in this state."""
        if state == "over":
            return f"`observe` ended with {self.until}: policies are enforced, and it can be removed"
        if state == "too far ahead":
            ends = f"`observe` ends on {self.until}, more than {MOST_DAYS} days ahead"
            return f"{ends}, so it has no effect: policies are enforced"
        return f"observing {self.said}: policies are recorded and not enforced"
