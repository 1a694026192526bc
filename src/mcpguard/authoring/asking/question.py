"""A question about the calls on record: a CEL condition, and the filters of the command line.

Law of this file: what is joined by `&&` narrows by itself. A part that reads only what calls have in common
is decided once for each of these; one that compares a time or a duration is left to the index; only the rest
is asked about every call. A call for which a part is an error does not match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct, json

from mcpguard.adapters.audit.indexing import CallFacts, FoldedRefusals, microseconds
from mcpguard.authoring.asking.filters import CallFilter
from mcpguard.authoring.asking.names import SHARED, VOCABULARY, unrecorded, view_of_facts
from mcpguard.authoring.asking.needed import NEVER, DuringAny, Needs, needed
from mcpguard.authoring.asking.times import Span, as_term, both, bounds_of, overlap, true_spans
from mcpguard.core.conditions.cel import (
    ERROR,
    FALSE,
    NOTHING,
    TRUE,
    Bound,
    Condition,
    ConditionError,
    Engine,
    Verdict,
)
from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.engines import any_true, engine_for
from mcpguard.core.conditions.hoisting import Members, joined
from mcpguard.core.errors import AuditError, did_you_mean
from mcpguard.core.model import Json, split_principal
from mcpguard.protocol.names import SEPARATOR

if TYPE_CHECKING:
    from mcpguard.core.conditions.cel_python import PythonCondition

_TIME = frozenset(["at"])
_COLUMNS = {"ms": ("took", 1000), "sent": ("sent", 1), "received": ("received", 1)}
"""What the index has of a name, and how many times as large it is there."""
_COMPARED = re.compile(
    r"(?<![\w.])(ms|sent|received)\s*(<=|>=|<|>|==|!=)\s*"
    r"(?:(ms|sent|received)(?![\w.])|(\d{1,15}(?:\.\d{1,3})?)(?![\w.]))"
)
_OPERATORS = {"&&": " AND ", "||": " OR ", "!": " NOT "}
_JOINING = re.compile(r"&&|\|\||!(?=[\s!]*\()")
_FIRST, _LAST = 0, 1 << 62
_UNSURE = 100
"""Of this many calls for which a condition fails it is looked whether it is something else than a boolean."""
SHORT_NAME = 8
"""The least characters of a session's name that stand for it."""


class Filters(Struct, frozen=True):
    """The filters of the command line; "" for none. Times are in microseconds since 1970, `until` is not
    included."""

    since: int = _FIRST
    until: int = _LAST
    denied: bool = False
    tool: str = ""
    server: str = ""
    principal: str = ""
    actor: str = ""
    session: str = ""
    rule: str = ""

    def pass_on(self, facts: CallFacts) -> bool:
        """Whether calls with these facts may match."""
        return (
            (not self.denied or facts.effect == "deny")
            and self.tool in ("", facts.tool)
            and self.server in ("", facts.server)
            and self.actor in ("", facts.actor)
            and (self.session in ("", facts.session) or self._begins(facts.session))
            and (not self.principal or self.principal in principals_of(facts))
            and (not self.rule or any(self.rule in _rule_names(one) for one in facts.rules))
        )

    def folded_of(self, counted: FoldedRefusals) -> int:
        """How many of these refusals pass, as far as that is on record. A kind has the method, the server,
        the tool and the rule or the cause, one after the other."""
        _, name = split_principal(counted.principal)
        if not (
            (self.session in ("", counted.session) or self._begins(counted.session))
            and self.principal in ("", counted.principal, name)
            and not self.actor
        ):
            return 0
        return sum(
            count
            for kind, count in counted.kinds.items()
            if {self.server, self.tool} - {""} <= set(words := kind.split(" "))
            and (not self.rule or self.rule in _rule_names(words[-1]))
        )

    def _begins(self, session: str) -> bool:
        """Whether it is this session by its short name, which standard error prints."""
        return len(self.session) >= SHORT_NAME and session.startswith(self.session)

    def unknown(self, all_facts: list[CallFacts]) -> Iterator[str]:
        """A sentence for each filter that no call on record fits, whatever the others say."""
        for what, named in _NAMED.items():
            wanted = getattr(self, what)
            names = {name for facts in all_facts for name in named(facts)}
            if what == "session" and any(map(self._begins, names)):
                continue
            if wanted and wanted not in names:
                # Clients may call a tool SERVER__TOOL, and records do not.
                hint = did_you_mean(wanted.rpartition(SEPARATOR)[2], names)
                yield f"no call on record has the {what} {wanted}{hint and f'; {hint}'}"


def principals_of(facts: CallFacts) -> tuple[str, ...]:
    """What one may call the principal of a call."""
    _, name = split_principal(facts.principal)
    return tuple(filter(None, (facts.principal, name, facts.human)))


def _rule_names(rule: str) -> tuple[str, ...]:
    policy, _, name = rule.partition("/")
    return (rule, policy, name)


NO_FILTERS = Filters()

_NAMED: dict[str, Callable[[CallFacts], Iterable[str]]] = {
    "tool": lambda facts: (facts.tool,),
    "server": lambda facts: (facts.server,),
    "session": lambda facts: (facts.session,),
    "principal": principals_of,
    "actor": lambda facts: (facts.actor,),
    "rule": lambda facts: [name for rule in facts.rules for name in _rule_names(rule)],
}


class CallQuestion:
    """A condition with filters. Raises AuditError for a text that is not a condition, with the place and what
    was probably meant."""

    def __init__(self, text: str = "", filters: Filters = NO_FILTERS) -> None:
        self.filters, self._text = filters, text
        self.since, self.until = filters.since, filters.until
        self.terms = ""
        """Conditions on times, durations and sizes, as the index takes them."""
        self.spans: list[Span] | None = None
        """The times in which calls may match, in their order, from a moment on and before another one; None
        for all."""
        self._covered: list[Span] = []
        self.failed = 0
        """For how many of the calls that were looked at the condition could not be evaluated."""
        self._other_type = self._decided = False
        self._shared: list[tuple[Condition, dict[bytes, Verdict]]] = []
        self._rest: list[tuple[Condition, dict[bytes, Verdict]]] = []
        self._members: Members = {}
        self._texts: dict[Condition, str] = {}
        self._python: dict[Condition, PythonCondition] = {}
        self._unsure = _UNSURE
        if text:
            engine = engine_for(VOCABULARY)
            try:
                engine.compile(text)
                _check_constants(text, engine)
                for part in _joined(text):
                    if not self._narrowed(part):
                        self._add(engine.compile(part), part)
            except ConditionError as error:
                raise AuditError(_mistaken(text, error)) from None

    @property
    def reads_lines(self) -> bool:
        """Whether the records themselves have to be read to answer it."""
        return bool(self._rest)

    def may_match(self, facts: CallFacts) -> bool:
        """Whether calls with these facts may match."""
        return self.of_facts(facts) is TRUE

    def decide_times(self, covered: Sequence[Span]) -> None:
        """Leave to the index what depends on the time of a call alone. All calls are in the times that are
        `covered`, which are apart and in order."""
        self._covered = both(covered, [(self.since, self.until)])
        for one in [one for one in self._rest if one[0].reads == _TIME]:
            text = self._texts[one[0]]
            spans = true_spans(text, one[0], self._covered)
            term = as_term(text, one[0]) if spans is None else ""
            if term:
                self._also(term)
            elif spans is not None:
                self.spans = spans if self.spans is None else both(self.spans, spans)
            if term or spans is not None:
                self._rest.remove(one)

    def includes(self, at: int) -> bool:
        """Whether a call of that time may match."""
        return self.since <= at < self.until and (self.spans is None or overlap(self.spans, at, at))

    def of_facts(self, facts: CallFacts) -> Verdict:
        """The verdict on calls with these facts, as far as these tell."""
        if not self.filters.pass_on(facts):
            return FALSE
        view = view_of_facts(facts) if self._shared else {}
        found = [(_verdict(condition, known, view), condition) for condition, known in self._shared]
        return self._joint(found, Bound(view))

    def of_rest(self, facts: CallFacts) -> Verdict:
        """The verdict on calls with these facts whatever else they have; ERROR where that depends on it."""
        view = view_of_facts(facts)
        found = {_verdict(condition, known, view) for condition, known in self._rest}
        return FALSE if FALSE in found else ERROR if ERROR in found else TRUE

    def needs(self, names: frozenset[str], all_facts: Iterable[CallFacts] = ()) -> Needs:
        """What a call with some of these facts that matches has in its records, as far as conditions on
        these names need it; of any facts where there are none of them."""
        views = [view_of_facts(facts) for facts in all_facts]
        known = partial(_known, views, self._covered)
        return tuple(some for one, _ in self._rest for some in needed(self._texts[one], names, known))

    def call_filter(self) -> CallFilter:
        """Decides what `matches` does by the lines of a call alone, wherever these are enough."""
        rest = [condition for condition, _ in self._rest]
        texts = [self._texts[one] for one in rest]
        return CallFilter(rest, SHARED, lambda names: any_true(texts, list(names), VOCABULARY))

    def matches(self, view: Mapping[str, Json]) -> bool:
        """Whether a call matches whose facts may."""
        bound = Bound(view, self._members)
        verdict = self._joint([(condition.verdict(bound), condition) for condition, _ in self._rest], bound)
        self.failed += verdict is ERROR
        self._decided |= verdict is not ERROR
        return verdict is TRUE

    def unknown(self, all_facts: list[CallFacts]) -> Iterator[str]:
        """A sentence for each thing that it names and no call on record has."""
        yield from self.filters.unknown(all_facts)
        yield from unrecorded(self._text, all_facts)

    def check(self) -> None:
        """Raises AuditError where the condition was boolean for no call, but something else."""
        if self._other_type and not self._decided:
            raise AuditError("the condition is not a boolean: compare what it reads with a value")

    def _joint(self, found: list[tuple[Verdict, Condition]], bound: Bound) -> Verdict:
        failed = [condition for verdict, condition in found if verdict is ERROR]
        if any(verdict is FALSE for verdict, _ in found):
            return FALSE
        if not failed:
            return TRUE
        if self._unsure and not (self._other_type or self._decided):
            self._unsure -= 1
            self._other_type = any(self._by_python(one).value(bound) is not ERROR for one in failed)
        return ERROR

    def _by_python(self, condition: Condition) -> PythonCondition:
        """The same for the engine that says what is not boolean."""
        if condition not in self._python:
            from mcpguard.core.conditions.cel_python import PythonEngine

            self._python[condition] = PythonEngine(VOCABULARY).compile(self._texts[condition])
        return self._python[condition]

    def _add(self, condition: Condition, text: str) -> None:
        self._texts[condition] = text
        if condition.reads <= SHARED:
            self._shared.append((condition, {}))
        else:
            self._rest.append((condition, {}))
            self._members = joined([self._members, condition.members])

    def _narrowed(self, part: str) -> bool:
        """Whether the index can decide this part."""
        term = _JOINING.sub(lambda one: _OPERATORS[one[0]], _COMPARED.sub("", part))
        if _COMPARED.search(part) and re.fullmatch(r"(?:AND|OR|NOT|[\s()])*", term):
            self._also(_JOINING.sub(lambda one: _OPERATORS[one[0]], _COMPARED.sub(_term, part)).strip())
            return True
        bounds = bounds_of(part)
        if bounds is not None:
            self.since, self.until = max(self.since, bounds[0]), min(self.until, bounds[1])
        return bounds is not None

    def _also(self, term: str) -> None:
        self.terms = f"{self.terms} AND ({term})" if self.terms else f"({term})"


def _term(found: re.Match[str]) -> str:
    """A comparison, as the index takes it. What an error is for CEL, which is a duration of a call without an
    outcome, is NULL there, and both are absorbed alike."""
    column, times = _COLUMNS[found[1]]
    if found[4]:
        return f"{column} {found[2]} {float(found[4]) * times:.3f}"
    other, also = _COLUMNS[found[3]]
    return f"{column} * {also} {found[2]} {other} * {times}"


_CONSTANTS = {
    "timestamp": 'this is not a time: write it with its zone, as in timestamp("2026-08-01T07:00:00Z")',
    "duration": 'this is not a duration: write it as in duration("90s") or duration("1.5h")',
}


def _check_constants(text: str, engine: Engine) -> None:
    """Raises ConditionError for a time or a duration that the engine cannot read: the condition would be an
    error for each call."""
    tokens = tokens_of(text)
    mistakes = []
    for before, name, bracket, constant, end in zip(
        [tokens[-1], *tokens], tokens, tokens[1:], tokens[2:], tokens[3:], strict=False
    ):
        found = name.text in _CONSTANTS and before.text != "." and constant.kind == "string"
        if found and (bracket.text, end.text) == ("(", ")"):
            call = text[name.start : end.start + 1]
            if engine.compile(f"{call} == {call}").verdict(NOTHING) is not TRUE:
                mistakes.append((constant.start, _CONSTANTS[name.text]))
    if mistakes:
        raise ConditionError(mistakes)


def _verdict(condition: Condition, known: dict[bytes, Verdict], view: dict[str, Json]) -> Verdict:
    """Decided once for each value of what it reads."""
    values = json.encode([view[name] for name in sorted(condition.reads & view.keys())])
    found = known.get(values)
    if found is None:
        found = known[values] = condition.verdict(Bound(view))
    return found


def _known(views: list[dict[str, Json]], covered: list[Span], text: str, value: bool) -> Needs:
    """What a part of a condition needs to be `value`: views of facts for which it may be, or times, of those
    that are covered."""
    wanted = text if value else f"!({text}\n)"  # It may end in a comment.
    try:
        condition = engine_for(VOCABULARY).compile(wanted)
    except ConditionError:
        return ()
    if condition.reads == _TIME:
        spans = true_spans(wanted, condition, covered)
        return () if spans is None else (DuringAny(tuple(spans)),)
    if not views or not condition.reads or not condition.reads <= SHARED:
        return ()
    known: dict[bytes, Verdict] = {}
    return () if any(_verdict(condition, known, view) is TRUE for view in views) else NEVER


def _joined(text: str) -> list[str]:
    """The parts that `&&` joins; the whole where something else does."""
    ends, depth = [0], 0
    tokens = tokens_of(text)
    for token, after in pairwise(tokens):
        if token.kind != "other":
            continue
        depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0 and (token.text == "?" or (token.text, after.text) == ("|", "|")):
            return [text]
        if depth == 0 and (token.text, after.text) == ("&", "&") and after.start == token.start + 1:
            ends.append(token.start)
    starts = [0, *(end + 2 for end in ends[1:])]
    return [text[start:end] for start, end in zip(starts, [*ends[1:], len(text)], strict=True)]


def _mistaken(text: str, error: ConditionError) -> str:
    """Each mistake with its place, as for policies, under the line that it is in."""
    said = []
    for offset, sentence in error.mistakes:
        before = text[:offset]
        line = before.count("\n") + 1
        column = offset - (before.rfind("\n") + 1) + 1
        said.append(f"condition:{line}:{column}: {sentence}")
        if "\n" not in text and len(text) <= 200:
            said += [f"  {text}", f"  {' ' * (column - 1)}^"]
    return "\n".join(said)


def time_of(text: str, now: datetime) -> int:
    """What `--since` and `--until` mean: a time in ISO 8601 (UTC if it does not say), or an age, as in
    90s, 5m, 2h, 3d, 1w. In microseconds since 1970. Raises ValueError."""
    if found := re.fullmatch(r"([0-9]{1,9})([smhdw])", text):
        seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[found[2]]
        return max(_FIRST, microseconds(now) - seconds * 1_000_000)
    at = datetime.fromisoformat(text)
    return microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
