"""Why an operand of a condition evaluated as it did, in a sentence; what is not known about a request, and
which rules hang on it.

Law of this file: of a request it reports which members are there and of which type, and of what our functions
found the booleans and the kinds of detectors; a value of the request is never in a sentence. A rule that
reads what is not known holds or does not hold only where it would whatever the unknown value is, so that
nothing is reported that is the opposite of what the gateway does.
"""

from collections.abc import Container, Iterator, Mapping

from msgspec import Struct

from mcpguard.core.conditions.cel import ERROR, TRUE, Bound, Verdict
from mcpguard.core.conditions.hoisted import HoistedCall, compute
from mcpguard.core.conditions.hoisting import MemberRead, hoist, members_read
from mcpguard.core.conditions.names import LATER
from mcpguard.core.functions import FUNCTIONS, FunctionError
from mcpguard.core.functions.detect import DETECT
from mcpguard.core.model import Cause, Deny, Invocation, Json, Permit
from mcpguard.core.policy.compiled import Candidates, CompiledRule, PolicySet
from mcpguard.core.policy.pdp import bind, over
from mcpguard.core.policy.visibility import at_list_time, reaching_of

_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def reason_of(text: str, verdict: Verdict, view: Mapping[str, Json]) -> str:
    """Why the operand `text` is `verdict` for a request whose names have the values in `view`; "" where there
    is nothing to tell."""
    readings = members_read(text)
    absent = [said for one in readings if (said := _absent(one, view))]
    found = [said for call in hoist(text).calls for said in _of_call(call, view, bool(absent))]
    if not absent and verdict is not TRUE:
        found += [f"`{one.text}` is {_type_at(one, view)}" for one in readings]
    return "; ".join(dict.fromkeys(absent + found))


def _of_call(call: HoistedCall, view: Mapping[str, Json], excused: bool) -> Iterator[str]:
    """What may be said about a call. `excused`: that it has no value is explained by what is absent."""
    try:
        value = compute(call, view)
    except FunctionError as error:
        if not excused:
            yield str(error)
        return
    fields = FUNCTIONS[call.name].fields if call.name in FUNCTIONS else ()
    if call.name == DETECT.name:
        yield f"{call.name}() finds {', '.join(map(str, value)) or 'nothing'}"
    elif fields:
        said = [f"{name}: {str(value[name]).lower()}" for name in fields if type(value[name]) is bool]
        yield from [f"{call.name}() returns {', '.join(said)}"] if said else []


def _absent(reading: MemberRead, view: Mapping[str, Json]) -> str:
    """What is not there of the way to a member, "" where all of it is."""
    value: Json = view
    way = ""
    for step in (reading.root, *reading.steps):
        inner = f"{way}.{step}" if way and isinstance(step, str) else f"{way}[{step}]" if way else str(step)
        if isinstance(step, str) and isinstance(value, Mapping):
            if step not in value:
                return f"there is no `{inner}`"
        elif type(step) is not int or type(value) is not list:
            return f"`{way}` is {_name(value)}"
        elif not 0 <= step < len(value):
            return f"there is no `{inner}`"
        value, way = value[step], inner
    return ""


def _type_at(reading: MemberRead, view: Mapping[str, Json]) -> str:
    value = view[reading.root]
    for step in reading.steps:
        value = value[step]
    return _name(value)


def _name(value: Json) -> str:
    return _TYPES.get(type(value), "a time")


SUPPLY = {
    "tool": "what the server lists about this tool (--snapshot FILE or --annotations)",
    "prompt": "what the server lists about this prompt (--snapshot FILE)",
    "resource": "what the server lists about this resource (--snapshot FILE)",
    "session": "what the session had counted (--session FILE)",
    "principal": "the groups and claims of the principal (--group, --claims)",
    "client": "what the client says about itself",
}
"""What a name stands for that is not wholly known, and where it can be supplied."""


class Unknown(Struct, frozen=True):
    """`known` has the members that are known of each name that is not wholly known; None, which stands for
    all of it, is not among them. `limits` says that what limits have used up is not known; `assumed` are
    sentences: what the verdict takes for granted."""

    known: Mapping[str, Container[object]] = {}
    limits: bool = False
    assumed: tuple[str, ...] = ()

    def read_by(self, text: str | None) -> frozenset[str]:
        """The names of which the condition `text` reads what is not known."""
        return frozenset(name for name, member in self._read(text) if member not in self.known[name])

    def _read(self, text: str | None) -> Iterator[tuple[str, str | int | None]]:
        for one in () if text is None else members_read(text):
            if one.root in self.known:
                yield one.root, one.steps[0] if one.steps else None

    def seen_by(self, text: str | None, bound: Bound) -> Bound:
        """What is known of `bound` for the condition `text`."""
        names = self.read_by(text)
        if not names:
            return bound
        # `has` would take what is not known for what is not there, and so may whoever reads the whole.
        whole = {name for name, member in self._read(text) if member is None}
        lost = names if "has" in (text or "") else names & whole
        view = {
            name: self._part(name, value, names) for name, value in bound.view.items() if name not in lost
        }
        return Bound(view, None, bound.holds)

    def _part(self, name: str, value: Json, names: frozenset[str]) -> Json:
        if name not in names:
            return value
        return {key: inner for key, inner in value.items() if key in self.known[name]}

    def verdict(self, rule: CompiledRule, bound: Bound) -> Verdict | None:
        """The value of the rule's condition; None if it is unknown."""
        if rule.condition is None:
            return TRUE
        seen = self.seen_by(rule.when, bound)
        found = rule.condition.verdict(seen)
        return None if found is ERROR and seen is not bound else found


WHOLE = Unknown()
"""Nothing is unknown."""


def leaves_open(
    unknown: Unknown, candidates: Candidates, bound: Bound, verdict: Permit | Deny
) -> tuple[CompiledRule, ...]:
    """The rules in force of which it is not known whether they hold, as far as `verdict` may hang on them;
    none where the effect is the same in any case."""
    if isinstance(verdict, Deny) and verdict.cause in (Cause.ARGUMENTS, Cause.CREDENTIAL):
        return ()
    known = {rule: unknown.verdict(rule, bound) for rule in candidates.all}
    if isinstance(verdict, Deny) and verdict.cause is Cause.PLACEHOLDER:
        # Another rule changes the effect only where it lets such text through.
        return tuple(
            rule
            for rule in candidates.ask + candidates.allow
            if known[rule] is None and rule.written.placeholders
        )
    deny, ask, allow = candidates.deny, candidates.ask, candidates.allow
    sure = {rule for rule, found in known.items() if _decides(rule, found, verdict.invocation)}
    if sure.intersection(deny):
        # One that holds refuses, whatever another that cannot be evaluated does.
        true = any(known[rule] is TRUE for rule in deny)
        return () if true else tuple(rule for rule in deny if known[rule] is None)
    unsure = [rule for rule in allow if known[rule] is None]
    stopping = [rule for rule in deny + ask if known[rule] is None]
    allowing = [rule for rule in allow if rule in sure]
    asked = [rule for rule in ask if rule in sure and not _approved_by(allowing, rule)]
    if asked and isinstance(verdict, Deny):
        # Where nothing else asks, a rule that may approve in advance decides.
        ahead = all(_approved_by(unsure, rule) for rule in asked)
        refusing = [rule for rule in stopping if rule.effect == "deny" or _may_refuse(rule)]
        return tuple(
            stopping + unsure if ahead else refusing + [rule for rule in unsure if _may_refuse(rule)]
        )
    if allowing or sure.intersection(ask):
        # An allow that may hold beside one that does adds what it limits or sets.
        unsure = [rule for rule in unsure if rule.adds]
    return tuple(stopping + unsure)


def _may_refuse(rule: CompiledRule) -> bool:
    """Whether a rule that allows may refuse by what it wants besides; then nobody is asked."""
    wants = rule.written
    return wants.limit is not None or bool(wants.argument or wants.credential)


def _approved_by(allow: list[CompiledRule], rule: CompiledRule) -> bool:
    return any(rule.name in one.approves for one in allow)


def _decides(rule: CompiledRule, found: Verdict | None, call: Invocation) -> bool:
    if rule.effect == "allow":
        return found is TRUE and not over(rule, call)
    return found is TRUE or found is ERROR


def shown(unknown: Unknown, policies: PolicySet, call: Invocation) -> bool | None:
    """Whether lists show what `call` is for, as `visibility.visible`; None where that is not known."""
    if policies.observes(call):
        return True
    reaching = reaching_of(call)
    candidates = policies.candidates_of(reaching)
    bound = bind(candidates, reaching)

    def at_list(rule: CompiledRule) -> tuple[bool, bool, bool]:
        # What was done before never decides what lists show.
        if unknown.read_by(rule.when) - LATER and unknown.verdict(rule, bound) is None:
            return True, False, True
        return *at_list_time(rule, bound), False

    hiding = [at_list(rule) for rule in candidates.deny]
    offering = [at_list(rule) for rule in (*candidates.ask, *candidates.allow) if not over(rule, reaching)]
    if any(must for _, must, _ in hiding) or not any(may for may, _, _ in offering):
        return False
    unsure = any(vague for *_, vague in hiding) or all(vague for may, _, vague in offering if may)
    return None if unsure else True
