"""What the rules that allow a call require: charge a limit, set arguments, choose a credential.

Law of this file: rules with different requirements are an error, never a choice.
"""

from collections.abc import Iterable

from msgspec import json, structs

from mcpguard.core.model import Charge, Invocation, Json
from mcpguard.core.policy.compiled import CompiledRule
from mcpguard.core.policy.terms import window_of
from mcpguard.core.redaction.removal.unredacted import exception

_text = json.Encoder(order="deterministic").encode


DIFFER = "The rules that allow it {}; the owner of the policy has to change them."
"""The message of a Deny where rules want different things."""


class ObligationError(Exception):
    """What the rules want cannot be done: they differ, or a cost is not a whole number. Its text is for
    the model; it never leaves `core/` as an exception."""


def charges_of(rules: Iterable[CompiledRule], invocation: Invocation) -> dict[CompiledRule, Charge]:
    """What the call costs, by rule. Raises ObligationError where a cost cannot be taken from `args`."""
    return {rule: _charge(rule, invocation) for rule in rules if rule.written.limit is not None}


def arguments_of(rules: Iterable[CompiledRule]) -> dict[str, Json]:
    """The arguments that the rules set. Raises ObligationError where they differ."""
    found: dict[str, Json] = {}
    for rule in rules:
        for name, value in rule.written.argument.items():
            if not _same(found.setdefault(name, value), value):
                raise ObligationError(DIFFER.format(f"set the argument `{name}` to different values"))
    return found


def credential_of(rules: Iterable[CompiledRule]) -> str:
    """The credential that the rules choose, "" for none. Raises ObligationError where they differ."""
    chosen = {rule.written.credential for rule in rules if rule.written.credential}
    if len(chosen) > 1:
        raise ObligationError(DIFFER.format("choose different credentials"))
    return next(iter(chosen), "")


def exceptions_of(rules: Iterable[CompiledRule]) -> tuple[str, ...]:
    """What the rules let stay in results."""
    entries = [one for rule in rules for one in rule.written.unredacted]
    found = {exception(one) if isinstance(one, str) else exception(one.kind, one.path) for one in entries}
    return tuple(sorted(found))


def with_arguments(invocation: Invocation, arguments: dict[str, Json]) -> Invocation:
    """The `tools/call` with these arguments in place of its own."""
    args = {**(invocation.args or {}), **arguments}
    params = {**(invocation.params or {}), "arguments": args}
    return structs.replace(invocation, args=args, params=params, searched=None)


def are_set(invocation: Invocation, arguments: dict[str, Json]) -> bool:
    """Whether it has these arguments already."""
    args = invocation.args or {}
    return all(name in args and _same(args[name], value) for name, value in arguments.items())


def _charge(rule: CompiledRule, invocation: Invocation) -> Charge:
    limit = rule.written.limit
    assert limit is not None  # noqa: S101 - the caller has checked
    unit, most = next(
        (unit, most)
        for unit, most in (("calls", limit.calls), ("bytes", limit.bytes), ("units", limit.units))
        if most is not None
    )
    amounts = {"calls": 1, "bytes": 0}
    amount = amounts[unit] if unit in amounts else _cost(limit.cost, invocation)
    key = f"{rule.name} {unit} {limit.per}"
    return Charge(key, unit, amount, most, window_of(limit.per) or 0, limit.per)


def _cost(cost: int | str, invocation: Invocation) -> int:
    value: Json = cost
    if isinstance(cost, str):
        value = invocation.args
        for name in cost.split(".")[1:]:
            value = value.get(name) if type(value) is dict else None
    if type(value) is float and value.is_integer():
        value = int(value)  # Clients that have no other numbers write 10 as 10.0.
    if type(value) is not int or not 0 < value <= 1 << 53:
        name = cost if isinstance(cost, str) else "its cost"
        raise ObligationError(f"A limit counts `{name}`, which has to be a whole number from 1 to {1 << 53}.")
    return value


def _same(one: Json, two: Json) -> bool:
    # As text, since in Python `1 == True == 1.0`.
    return _text(one) == _text(two)
