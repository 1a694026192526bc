"""The smallest change that would have allowed a call, rule by rule.

Law of this file: it says what decides, not how to get around it: of arguments only what an operand of the
author's condition would have to evaluate to; and what cannot be shown to lead to a call that is allowed is
not suggested.
"""

from collections.abc import Callable, Iterable, Iterator

from msgspec import structs

from mcpguard.authoring.explain.explanation import Change, WantedOperand
from mcpguard.authoring.explain.unknown import reason_of
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.cel_text import CelToken, tokens_of
from mcpguard.core.conditions.hoisting import constant_of
from mcpguard.core.conditions.tree import DecidedTree, LogicNode, tree_of
from mcpguard.core.legible import utc
from mcpguard.core.model import Cause, Deny, Invocation, Json, Permit
from mcpguard.core.policy import obligations
from mcpguard.core.policy.compiled import Candidates, CompiledRule
from mcpguard.core.policy.pdp import approved_ahead, bind, over
from mcpguard.core.policy.session import Session

Decide = Callable[[Invocation], Permit | Deny]

NO_ARGUMENT = "no argument can change it"
CLEARED = "once a person clears it: `mcpguard session clear {}`"
NOT_WRITTEN = "no allow rule applies to such a request"


class Changes:
    """What would have to change for one refused request. `bound` is what its conditions read; `decide`
    decides on another one, under the same policies and in the same session."""

    def __init__(
        self, candidates: Candidates, invocation: Invocation, bound: Bound, session: Session, decide: Decide
    ) -> None:
        self._candidates = candidates
        self._invocation = invocation
        self._bound = bound
        self._session = session
        self._decide = decide
        self._blind = Bound({name: value for name, value in bound.view.items() if name != "args"})

    def of(self, verdict: Deny) -> tuple[Change, ...]:
        """All changes that are needed together, while nothing else changes; none where none are known."""
        if verdict.cause in (Cause.ARGUMENTS, Cause.PLACEHOLDER):
            return ()
        if verdict.cause is Cause.LIMIT:
            full = [rule for rule in self._candidates.allow if rule.name in verdict.rules]
            return tuple(self._room(full))
        refusing = {rule.name for rule in self._candidates.deny + self._candidates.ask}
        if verdict.cause is Cause.ERROR and not refusing & set(verdict.rules):
            return tuple(Change(rule=rule, must="agree") for rule in verdict.rules)
        stopping = tuple(self._stopping())
        asked = any(change.must == "be approved" for change in stopping)
        if not self._candidates.allow and not asked:
            return (*stopping, Change(rule="", must="be written", note=NOT_WRITTEN))
        # A rule that asks allows the call once that is approved.
        for way in ((), *self._ways()) if asked else self._ways():
            changes = stopping + way
            supposed = SupposedDecision(changes, self._invocation, self._session)
            allowing = supposed.allowing(self._candidates, self._bound)
            if allowing and supposed.proved(self._decide):
                return (*changes, *self._room(allowing))
        return ()

    def _stopping(self) -> Iterator[Change]:
        ahead = approved_ahead(self._candidates, self._invocation, self._bound)
        for rule in self._candidates.deny + self._candidates.ask:
            if rule.name in ahead or verdict_of(rule, self._bound) is FALSE:
                continue
            if rule.effect == "ask":
                yield Change(rule=rule.name, must="be approved")
            else:
                note = self._cleared(rule) or (NO_ARGUMENT if self._fixed(rule, FALSE) else "")
                yield Change(rule=rule.name, must="not hold", operands=self._needs(rule, False), note=note)

    def _cleared(self, rule: CompiledRule) -> str:
        """That a person can clear a label without which the rule does not hold; "" if there is none."""
        view, session = self._bound.view, self._bound.view.get("session") or {}
        for label in session.get("labels", ()):
            without = {**session, "labels": [one for one in session["labels"] if one != label]}
            if verdict_of(rule, Bound({**view, "session": without}, holds=self._bound.holds)) is FALSE:
                return f"a person can clear the label: `mcpguard session clear {label}`"
        return ""

    def _ways(self) -> Iterator[tuple[Change, ...]]:
        """What makes an allow hold, the smallest first; nothing where one does."""
        allow = self._candidates.allow
        if any(verdict_of(rule, self._bound) is TRUE and not over(rule, self._invocation) for rule in allow):
            yield ()
        ways = [self._way(rule) for rule in allow]
        for way in sorted(ways, key=lambda change: (change.note != "", len(change.operands), change.rule)):
            yield (way,)

    def _way(self, rule: CompiledRule) -> Change:
        note = NO_ARGUMENT if self._fixed(rule, TRUE) else ""
        if rule.until is not None and over(rule, self._invocation):
            note = f"it expired {rule.until.date()}, with its policy"
        return Change(rule=rule.name, must="hold", operands=self._needs(rule, True), note=note)

    def _needs(self, rule: CompiledRule, value: bool) -> tuple[WantedOperand, ...]:
        """The operands of the rule's condition that must change; none where it has no condition."""
        if rule.condition is None or rule.when is None:
            return ()
        decided = DecidedTree(rule.condition.engine, self._bound)
        tree = tree_of(rule.when)
        verdicts = {node.text: decided.verdict(node) for _, node in tree.walk()}
        return tuple(
            WantedOperand(
                text=one.text,
                must_be=one.value,
                reason=reason_of(one.text, verdicts[one.text], self._bound.view),
            )
            for one in decided.needs(tree, value)
        )

    def _fixed(self, rule: CompiledRule, wanted: Verdict) -> bool:
        """Whether the rule does not evaluate to `wanted`, whatever the arguments are."""
        verdict = verdict_of(rule, self._blind)
        if verdict is ERROR and rule.condition is not None and "args" in rule.condition.reads:
            return False
        return verdict is not wanted

    def _room(self, allowing: list[CompiledRule]) -> Iterator[Change]:
        """What must have room, of the limits of rules that allow it."""
        call, session = self._invocation, self._session
        for rule, charge in obligations.charges_of(allowing, call).items():
            if session.room(charge, call.now):
                continue
            if charge.amount > charge.most:
                note = "it never allows this much at once"
            else:
                free = session.free_at(charge, call.now)
                when = f"it allows the call again at {utc(free)}" if free else "a new session starts at zero"
                note = f"{when}, or {CLEARED.format(rule.name)}"
            yield Change(rule=rule.name, must="have room", note=note)


def verdict_of(rule: CompiledRule, bound: Bound) -> Verdict:
    """The value of the rule's condition; TRUE where it has none."""
    return TRUE if rule.condition is None else rule.condition.verdict(bound)


class SupposedDecision:
    """The decision on one request as if `changes` were so: each operand in them has the value that it must
    have, wherever it stands, and a rule in them without operands does what it must."""

    def __init__(self, changes: Iterable[Change], invocation: Invocation, session: Session) -> None:
        self._changes = tuple(changes)
        self._invocation = invocation
        self._session = session
        wanted = [operand for change in self._changes for operand in change.operands]
        self._atoms = {_words(operand.text): operand.must_be for operand in wanted}
        self._agree = all(self._atoms[_words(operand.text)] == operand.must_be for operand in wanted)
        self._rules = {change.rule: change.must for change in self._changes if not change.operands}
        self._may = {change.rule for change in self._changes if change.must == "hold"}
        self._asked = {change.rule for change in self._changes if change.must == "be approved"}

    def allowing(self, candidates: Candidates, bound: Bound) -> list[CompiledRule]:
        """The rules that would allow it; none where something would still refuse it, or where their wishes
        cannot be obeyed."""
        holding = self._holding(candidates, bound)
        try:
            arguments = obligations.arguments_of(holding)
            obligations.credential_of(holding)
            obligations.charges_of(holding, self._invocation)
        except obligations.ObligationError:
            return []
        if not arguments:
            return holding
        changed = obligations.with_arguments(self._invocation, arguments)
        holding = self._holding(candidates, bind(candidates, changed, self._session))
        try:
            return holding if obligations.are_set(changed, obligations.arguments_of(holding)) else []
        except obligations.ObligationError:
            return []

    def proved(self, decide: Decide) -> bool:
        """Whether arguments that make it so, where such can be told, are allowed by `decide`, but for an
        approval that is among the changes and for limits, which are reported by themselves."""
        if any(change.note for change in self._changes):
            return True
        args = dict(self._invocation.args or {})
        for text, value in self._atoms.items():
            if not _made_so(text, value, args):
                return True
        verdict = decide(obligations.with_arguments(structs.replace(self._invocation, args={}), args))
        if isinstance(verdict, Permit) or verdict.cause is Cause.LIMIT:
            return True
        return verdict.cause is Cause.APPROVAL and set(verdict.rules) <= self._asked

    def _holding(self, candidates: Candidates, bound: Bound) -> list[CompiledRule]:
        allowing = [
            rule
            for rule in candidates.allow
            if self._value(rule, bound) is TRUE
            and (rule.name in self._may or not over(rule, self._invocation))
        ]
        answered = self._asked.union(*(rule.approves for rule in allowing))
        stopping = [rule for rule in candidates.deny + candidates.ask if rule.name not in answered]
        if not self._agree or any(self._value(rule, bound) is not FALSE for rule in stopping):
            return []
        return [rule for rule in candidates.ask if rule.name in self._asked] + allowing

    def _value(self, rule: CompiledRule, bound: Bound) -> Verdict:
        must = self._rules.get(rule.name)
        if must is not None:
            return FALSE if must == "not hold" else TRUE
        if rule.condition is None or rule.when is None:
            return TRUE
        return self._supposed_verdict(tree_of(rule.when), DecidedTree(rule.condition.engine, bound))

    def _supposed_verdict(self, node: LogicNode, decided: DecidedTree) -> Verdict:
        supposed = self._atoms.get(_words(node.text))
        if supposed is not None:
            return TRUE if supposed else FALSE
        inner = [self._supposed_verdict(one, decided) for one in node.nodes]
        if node.logic == "atom":
            return decided.verdict(node)
        if node.logic == "not":
            return {TRUE: FALSE, FALSE: TRUE, ERROR: ERROR}[inner[0]]
        if node.logic == "choice":
            return ERROR if inner[0] is ERROR else inner[1 if inner[0] is TRUE else 2]
        decisive = FALSE if node.logic == "and" else TRUE
        return decisive if decisive in inner else ERROR if ERROR in inner else inner[0]


def _words(text: str) -> str:
    """The same for each layout of one text, and with or without parentheses around it."""
    words = [token.text for token in tokens_of(text) if token.kind != "end"]
    return " ".join(words)


def _made_so(text: str, value: bool, args: dict[str, Json]) -> bool:
    """Change `args` so that an operand is `value`. False where its words do not tell how."""
    tokens = [token for token in tokens_of(text) if token.kind != "end"]
    words = [token.text for token in tokens]
    if words[:2] == ["has", "("] and words[-1] == ")":
        # A member that is to be there could have any value, so only one that is not can be made so.
        steps = _steps(tokens[2:-1])
        if len(steps) != 1 or value:
            return False
        args.pop(steps[0], None)
        return True
    for at, word in enumerate(words):
        if word in ("=", "!") and words[at + 1 : at + 2] == ["="]:
            sides = tokens[:at], tokens[at + 2 :]
            steps = _steps(sides[0]) or _steps(sides[1])
            constant = [one for side in sides if len(side) == 1 and (one := constant_of(side[0]))]
            fits = (word == "=") == value and len(constant) == 1
            return fits and _put(steps, constant[0].value, args)
        if word == "in" and words[at + 1 : at + 2] == ["["]:
            first = constant_of(tokens[at + 2])
            return value and first is not None and _put(_steps(tokens[:at]), first.value, args)
    return _put(_steps(tokens), value, args)


def _steps(tokens: list[CelToken]) -> tuple[str, ...]:
    """The members that `args.a.b` selects; none where it is not that."""
    dots, names = tokens[1::2], tokens[2::2]
    right = tokens[:1] and tokens[0].text == "args" and len(dots) == len(names)
    if not right or any(one.text != "." for one in dots) or any(one.kind != "name" for one in names):
        return ()
    return tuple(one.text for one in names)


def _put(steps: tuple[str, ...], value: Json, args: dict[str, Json]) -> bool:
    for step in steps[:-1]:
        inner = args.get(step)
        args[step] = dict(inner) if isinstance(inner, dict) else {}
        args = args[step]
    if steps:
        args[steps[-1]] = value
    return bool(steps)
