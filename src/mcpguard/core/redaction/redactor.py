"""Inspection: the one way from a raw value to a `Redacted`.

Law of this file: a `Redacted` is constructed here and nowhere else. Whatever cannot be inspected to its
end is withheld whole (InspectionError). Inspecting an inspected value finds nothing.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from sys import maxsize
from threading import Lock

import msgspec

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Detection, Json, Redacted
from mcpguard.core.redaction.beginnings import Hit, triggers
from mcpguard.core.redaction.budget import MASKING, Budget, only
from mcpguard.core.redaction.detectors import KINDS, OPT_IN
from mcpguard.core.redaction.detectors.named.roles import SIGNS
from mcpguard.core.redaction.engine.matching import PAD, Span
from mcpguard.core.redaction.held.holding import HeldValues
from mcpguard.core.redaction.held.search import found_in, mark_of
from mcpguard.core.redaction.leaves import AS_THEY_ARE, Leaves, edges, has_digit, padded
from mcpguard.core.redaction.reading import QuickLook, TooMuchAtOnce
from mcpguard.core.redaction.removal.cuts import Numbers, by_part, edited_parts, merged_spans
from mcpguard.core.redaction.removal.neutral import hides, neutralised
from mcpguard.core.redaction.removal.placeholder import kind_of, masked, taken
from mcpguard.core.redaction.removal.rebuilding import Rebuild
from mcpguard.core.redaction.removal.unredacted import ExceptionsInForce, Stays, kinds_in, nothing
from mcpguard.core.redaction.scanning import (
    OPT_IN_DETECTORS,
    found_behind,
    hits,
    is_labelled,
    is_named,
    members,
    regather,
    telling,
)
from mcpguard.core.redaction.several import clean
from mcpguard.core.redaction.views import may_hide, views
from mcpguard.core.redaction.views.runs import has_code, is_coded
from mcpguard.core.secret import Secret

__all__ = ["AT_ONCE", "KINDS", "OPT_IN", "Redactor", "TooMuchAtOnce", "authored"]

AT_ONCE = 8 * 1024
"""Bytes of text in which whatever there may be is found and removed within some 25 ms."""

WITHHELD = "[WITHHELD: could not be inspected]"
"""What `inspect_text` gives for a text that cannot be inspected."""

TOO_LONG = "[WITHHELD: too long to be inspected at once]"
"""What it gives where `inspect` raises TooMuchAtOnce."""

_MUCH = 8
_VISITS = 2000
_RARE = 192
"""Letters that a format begins with are met once in a few hundred bytes of words. Where there are more, all
is read again, and counts."""
_NAMES = 2000
_LONGEST_NAME = 64
_ROUNDS = 8
_UNMARKED = b""
_encode = msgspec.json.Encoder().encode


def authored(value: Json) -> Redacted:
    """A value that is made of nothing but constants of ours, so there is nothing to inspect."""
    return Redacted(value, _encode(value))


class Redactor:
    """Removes what must not reach the client. Any number of threads may use one at once.

    `key` is random and secret; it keeps the marks of values from being computed elsewhere.
    """

    def __init__(self, key: bytes) -> None:
        self.turns = 0
        """How often another value came to be held: what was inspected in an earlier turn may contain it."""
        self.shown: Mapping[str, str] = {}
        """What placeholders call the values of a name, where that is not the name."""
        self._key = key
        self._lock = Lock()
        self._kinds: frozenset[str] = KINDS
        self._held = HeldValues()
        self._plain: set[str] = set()
        self._names: set[str] = set()
        self._hearing: list[Callable[[str], None]] = []

    def hold(self, name: str, secret: Secret) -> None:
        """From now on, guard this value too; `name` is shown where it was removed. Takes half a millisecond
        for a value that is new.

        Earlier values of the same name stay guarded. Raises CredentialError, naming `name`, for a
        value that cannot be guarded (shorter than 6 characters, or longer than 16384).
        """
        self.hold_all([(name, secret)])

    def hold_all(self, values: Iterable[tuple[str, Secret]]) -> bool:
        """The same for the values of these names at once; whether one of them is new. Where one cannot be
        guarded, none is held."""
        keyed = [((name, mark_of(secret, self._key)), secret) for name, secret in values]
        new = [(key, kind_of(key[0], self.shown), secret) for key, secret in keyed if not self._held.has(key)]
        if not new:
            return False
        with self._lock:
            self._kinds |= {kind for _, kind, _ in new}
        triggers()  # Compiled here and not when the first message waits for it.
        self._held.hold(new)
        with self._lock:
            self.turns += 1
            for (name, _mark), _kind, _secret in new:
                self._names.add(name)
                for hear in self._hearing:
                    hear(name)
        return True

    def settle(self) -> None:
        """Wait until the values that are held have been compiled: until then they are found more slowly."""
        self._held.settle()

    def tell(self, hear: Callable[[str], None]) -> None:
        """Call `hear` with each name that a value was held under or will be, before `hold` returns; one call
        at a time."""
        with self._lock:
            self._hearing.append(hear)
            for name in self._names:
                hear(name)

    def release(self, name: str, secret: Secret) -> None:
        """This value is in use no more. It stays guarded, among a bounded number of such."""
        self._held.release((name, mark_of(secret, self._key)))

    def holds(self, padded: bytes) -> bool:
        """Whether a held value is in `padded`, which ends in PAD, in any form."""
        return found_in(self._held.busy, padded)

    def foreign(self, value: Json, names: frozenset[str], most: int = maxsize) -> tuple[str, ...]:
        """The names of the held values in `value`, without those that are held under one of `names` too.
        Raises InspectionError and TooMuchAtOnce as `inspect` does, the latter also for `_MUCH` times as much
        text in which nothing is."""
        leaves = Leaves(value)
        parts = leaves.parts()
        foreign: set[str] = set()
        budget: Budget | None = None
        for order in leaves.orders():
            text = padded(order.arranged(parts))
            if len(text) > most * _MUCH:
                raise TooMuchAtOnce(len(text))
            found, hidden = self.holds(text), may_hide(text)
            if (found or hidden) and len(text) > most:
                raise TooMuchAtOnce(len(text))
            budget = budget or Budget(len(text))
            if found:
                foreign |= self._held.foreign(text, names, budget)
            if hidden:
                for view in islice(views(text, budget=budget), 1, None):
                    foreign |= self._held.foreign(view.text, names, budget)
        return tuple(sorted(foreign))

    def inspect(
        self,
        value: Json,
        also: tuple[str, ...] = (),
        most: int = maxsize,
        visible: bool = True,
        sent: bool = True,
    ) -> Redacted:
        """`value` without secrets, in the same shape; the very same object if there are none.

        Strings, numbers and the names of members are inspected for held values in any form, for the
        formats of `DETECTORS`, and for those of `PERSONAL` that `also` names; exceptions in it (`unredacted`)
        let a format stay. What is removed leaves `[REDACTED:<kind>#<n>]`; within this `value` equal texts
        have equal n, which says nothing about other values. What is hidden becomes visible (`neutral`), and
        is counted apart; not so without `visible`, for whoever does that when it is shown. Where it is not
        `sent` but recorded, nothing is encoded if nothing was removed: the payload is empty then. Raises
        InspectionError if the value cannot be inspected to its end: nested deeper than 128 levels, too many
        hits, an unknown kind in `also`, a failure of the engine. Raises TooMuchAtOnce where there may be
        something in more than `most` bytes of text: to look through them takes long.
        """
        wanted, also = also, also and kinds_in(also)
        try:
            leaves = Leaves(value)
            (text, count), budgets = leaves.text(), list[Budget]()
            if len(text) // _MUCH > most:
                raise TooMuchAtOnce(len(text))
            found = (
                self._found_reordered(leaves, text, also, most, count, budgets)
                if leaves.reordered()
                else self._found(text, also, most, count, budgets=budgets)
            )
            if found or (
                (
                    leaves.tables
                    or (not SIGNS.isdisjoint(leaves.columns) and is_named(leaves.columns))
                    or (max(map(len, leaves.columns.values()), default=0) > 1 and is_labelled(text))
                    or not (leaves.columns.keys() <= self._plain or self._are_plain(leaves.columns))
                )
                and (
                    any(True for _ in members(leaves, only(budgets, len(text)), text, once=True))
                    or self._found_named(leaves, also, most, budgets)
                )
            ):
                if len(text) > most:
                    raise TooMuchAtOnce(len(text))
                del text  # What is removed takes as much again.
                return self._clean(value, leaves, wanted, visible, budgets)
            return Redacted(value, _encode(value) if sent else b"")
        except (InspectionError, TooMuchAtOnce):
            raise
        except Exception:
            raise InspectionError("a value could not be inspected") from None

    def inspect_several(self, values: Sequence[tuple[Json, bool]]) -> list[Redacted | None]:
        """What `inspect` gives for each value, `sent` or not; None where it has to be asked. Never raises."""
        try:
            sure = clean([one for one, _ in values], AT_ONCE, self._plain.issuperset, self._held.busy)
            return [
                Redacted(value, _encode(value) if sent else b"") if is_sure else None
                for is_sure, (value, sent) in zip(sure, values, strict=True)
            ]
        except Exception:  # One of them fails `inspect`, which says so.
            return [None] * len(values)

    def places(self, text: bytes, also: tuple[str, ...] = (), patience: int = 1) -> list[Span]:
        """Where in `text`, one leaf in UTF-8, stands what `inspect` would remove: in order, without overlaps.
        Equal values have equal marks. Raises InspectionError as `inspect` does, but for `patience` times as
        many things that begin or are found."""
        padded = text + PAD
        try:
            may = self._may_have(padded, also)
            return self._spans(padded, also, (), Budget(len(padded), patience)) if may else []
        except InspectionError:
            raise
        except Exception:
            raise InspectionError("a text could not be inspected") from None

    def inspect_again(self, value: Json, before: Redacted, also: tuple[str, ...] = ()) -> Redacted:
        """As `inspect`, for a `value` made of what is inspected already: with the findings of both."""
        made = self.inspect(value, also)
        found = tuple(dict.fromkeys(before.findings + made.findings))
        hidden = Counter(dict(before.neutralised)) + Counter(dict(made.neutralised))
        return Redacted(made.value, made.payload, found, tuple(sorted(hidden.items())), made.spared)

    def inspect_text(self, text: str, most: int = maxsize) -> str:
        """The same for a text of a log or a diagnostic. Hidden characters stay, since `plain` shows them.
        Never raises."""
        try:
            return str(self.inspect(text, most=most, visible=False).value)
        except InspectionError:
            return WITHHELD
        except TooMuchAtOnce:
            return TOO_LONG

    def _found_reordered(
        self,
        leaves: Leaves,
        text: bytes,
        also: tuple[str, ...],
        most: int,
        count: int,
        budgets: list[Budget],
    ) -> bool:
        """Whether anything is in the leaves as they are in their `text`, or as they stand."""
        as_they_stand = edges(leaves.document)
        if len(text) > AT_ONCE:
            return self._found(text, also, most, count, budgets=budgets) or self._found(
                as_they_stand, also, most, known=True, budgets=budgets
            )
        # One search is faster than two of short texts, and nothing goes on over 0xFF.
        both = text[: 1 - len(PAD)] + as_they_stand
        return self._found(both, also, most, count + len(leaves.document) - 1, budgets=budgets)

    def _are_plain(self, names: Iterable[str]) -> bool:
        """Whether none of the names says anything of what it names; those are remembered."""
        new = [name for name in names if name not in self._plain]
        if has_digit(new) or telling(new):
            return False
        if len(self._plain) < _NAMES:
            self._plain.update(name for name in new[:_NAMES] if len(name) <= _LONGEST_NAME)
        return True

    def _found_named(self, leaves: Leaves, also: tuple[str, ...], most: int, budgets: list[Budget]) -> bool:
        return has_digit(leaves.columns) and self._found(
            leaves.named_text(), also, most, known=True, budgets=budgets
        )

    def _may_have(self, text: bytes, also: tuple[str, ...]) -> bool:
        try:
            return self._found(text, also)
        except InspectionError:  # There is much of something.
            return True

    def _found(
        self,
        text: bytes,
        also: tuple[str, ...] = (),
        most: int = maxsize,
        leaves: int = maxsize,
        known: bool = False,
        budgets: list[Budget] | None = None,
        visible: bool = False,
    ) -> bool:
        """Whether anything is in `text`. Of so many `leaves` a separator within one is something too;
        `known` is that of `views`, `budgets` that of `only`. With `visible`, what is hidden is nothing."""
        budgets = [] if budgets is None else budgets
        flat = text.replace(b"\x1f", b"")
        if len(text) - len(flat) >= (leaves or 1):
            return True
        visits = _VISITS if len(text) > most else maxsize
        some = _VISITS + len(flat) // _RARE if len(flat) > AT_ONCE else maxsize
        seen = QuickLook(text, some, visits, budgets)
        if seen.any(flat):
            return True
        del flat  # As much as the text.
        if (
            (seen.may_be_marked and seen.marked() and not visible and hides(text))
            or (also and any(OPT_IN_DETECTORS[kind].every(text) for kind in also))
            or found_in(self._held.busy, text)
        ):
            return True
        if (
            seen.may_be_coded
            and not known
            and (is_coded(text, only(budgets, len(text))) if len(text) > AT_ONCE else has_code(text, set()))
        ):
            seen.coded()
        return bool(seen.found or also) and self._found_behind(text, also, most, seen.found, known, budgets)

    def _found_behind(
        self,
        text: bytes,
        also: tuple[str, ...],
        most: int,
        signs: set[int] | None,
        known: bool,
        budgets: list[Budget],
    ) -> bool:
        budget = only(budgets, len(text))
        behind = islice(views(text, bool(also), budget, signs, known), 1, None)
        view = next(behind, None)
        if view is None:
            return False
        if len(text) > most:
            raise TooMuchAtOnce(len(text))
        return found_behind(chain([view], behind), self.holds, also, budget)

    def _clean(
        self, value: Json, leaves: Leaves, wanted: tuple[str, ...], visible: bool, budgets: list[Budget]
    ) -> Redacted:
        """Remove until nothing is found: what was beside a removed text may be a hit without it."""
        unredacted = ExceptionsInForce(wanted)
        findings: dict[Detection, None] = {}
        hidden: Counter[str] = Counter()
        text, _ = leaves.text()
        numbers = Numbers(taken(text, self._kinds))
        masks = any(kind in OPT_IN for kind in wanted)
        budget = Budget(len(text), MASKING) if masks else only(budgets, len(text))
        del text
        for turn in range(_ROUNDS):
            made = self._cleaner(leaves, unredacted, budget, numbers, hidden if visible else None, turn > 0)
            if made is None:
                counts = tuple(sorted((+hidden).items()))
                found, spared = (self._sealed(list(findings)), self._sealed(list(unredacted.found)))
                return Redacted(value, _encode(value), found, counts, spared)
            value = made.value(value)
            findings |= made.findings
            del made  # It takes as much as the value.
            regather(leaves, value)
        raise InspectionError("a value could not be made clean")

    def _cleaner(
        self,
        leaves: Leaves,
        unredacted: ExceptionsInForce,
        budget: Budget,
        numbers: Numbers,
        hidden: Counter[str] | None,
        again: bool,
    ) -> Rebuild | None:
        """What puts the leaves in their places without what was found, None where that is nothing. What may
        be put together by what is dropped is looked for in the next turn."""
        cuts, parts = self._cuts(leaves, unredacted, budget, again)
        if cuts:
            return Rebuild(leaves, edited_parts(leaves, parts, cuts, numbers))
        edited = None if hidden is None else neutralised(leaves.parts(), hidden)
        return None if edited is None else Rebuild(leaves, edited)

    def _sealed(self, findings: list[Detection]) -> tuple[Detection, ...]:
        """The findings, without a path in which something may be."""
        if self._may_say("\n".join(finding.path for finding in findings)):
            findings = [Detection(one.kind, "") if self._may_say(one.path) else one for one in findings]
        return tuple(dict.fromkeys(findings))

    def _may_say(self, text: str) -> bool:
        try:
            return self._found(padded([text]), (), maxsize, 1)
        except InspectionError:
            return True

    def _cuts(
        self, leaves: Leaves, unredacted: ExceptionsInForce, budget: Budget, again: bool
    ) -> tuple[dict[int, list[Span]], list[str]]:
        """The cuts of each part, by its index, in the first order in which there is anything, and the parts.
        `again`: most likely nothing, so that is looked at first, as for what is cut up otherwise."""
        for order in leaves.orders():
            first = order is AS_THEY_ARE
            more: Iterable[Hit] = members(leaves, budget) if first else ()
            if (again or not first) and not (more := [*more]):
                seen = masked(leaves.text()[0] if first else order.edges(), self._kinds)
                if not self._found(seen, unredacted.kinds, known=not first, budgets=[budget], visible=True):
                    continue
                del seen
            stays = unredacted.over(leaves, order)
            text = masked(leaves.text()[0] if first else padded(order.arranged(leaves.parts())), self._kinds)
            spans = self._spans(text, unredacted.kinds, more, budget, stays)
            parts = leaves.parts() if spans else []
            if parts and (cuts := by_part(spans, order, order.arranged(parts), budget)):
                return cuts, parts
        return {}, []

    def _spans(
        self, text: bytes, also: tuple[str, ...], more: Iterable[Hit], budget: Budget, stays: Stays = nothing
    ) -> list[Span]:
        spans: list[Span] = []
        begun: set[int] = set()
        for view in views(text, bool(also), budget):
            found = hits([view], also, budget, begun)
            spans += [Span(*hit, _UNMARKED) for hit in found if not stays(*hit)]
            for span in self._held.spans(view.text, budget):
                place = view.place(span.start, span.end)
                spans.append(span if place == span[:2] else Span(*place, span.kind, span.mark))
        # Last, since an answer that has too much of something may have as many names.
        spans += [Span(*hit, _UNMARKED) for hit in more if not stays(*hit)]
        spans = merged_spans(sorted(spans))
        marks: dict[bytes, bytes] = {}  # What is found often is mostly the same.
        for index, span in enumerate(spans):  # In place: there may be one for each few bytes.
            if not span.mark:
                value = text[span.start : span.end]
                mark = marks[value] = marks.get(value) or hmac.digest(self._key, value, "sha256")
                spans[index] = Span(span.start, span.end, span.kind, mark)
        return spans
