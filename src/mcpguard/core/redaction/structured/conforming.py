"""Whether a value conforms to a JSON Schema (2020-12, and what of older drafts reads the same).

Three answers: yes, no, and None where it is not known: another keyword or reference than is read here, or a
pattern that RE2 does not have. Formats are annotations, as in the specification.

Law of this file: schemas come from upstreams, so whatever they say, a check ends after its steps (law 8).
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from mcpguard.core.expressions import expression
from mcpguard.core.model import Json

STEPS = 300_000
"""How much is compared, at most; a step takes about a microsecond."""
_STRIDE = 100
LONGEST_PATTERN = 1_000

_OF_RE2 = expression(r"\\[AzZCQEa]|\\[pP][^{]|\(\?[^:]|\[\[?:")
"""What RE2 reads otherwise than ECMA-262 does."""

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_NOT_READ = frozenset(
    ["$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems", "$anchor", "$id"]
)
_Known = bool | None
_Rule = Callable[["Conformity", Any, Any, dict[str, Json]], _Known]


class TooComplex(Exception):
    """The steps are used up."""


def pointed(root: Json, reference: Json, nowhere: Json) -> Json:
    """What a JSON pointer in a fragment (RFC 6901, section 6) leads to in `root`; `nowhere` for any other
    reference, and for a pointer that leads to nothing."""
    if reference == "#":
        return root
    if type(reference) is not str or not reference.startswith("#/"):
        return nowhere
    found: Json = root
    for step in unquote(reference).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if type(found) is dict and name in found:
            found = found[name]
        elif type(found) is list and name in map(str, range(len(found))):
            found = found[int(name)]
        else:
            return nowhere
    return found


def compiled_pattern(text: str) -> Any:
    """A pattern of a schema, ready for `search`; None where it is too long, or RE2 reads it otherwise."""
    import re2  # A start without patterns does not pay for it.

    if len(text) > LONGEST_PATTERN or _OF_RE2.search(text):
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error:
        return None


class Conformity:
    """One check of values by parts of the schema `root`. Containers in `granted`, by id, count as conforming
    to what they have to: they are as their server made them."""

    def __init__(self, root: Json, steps: int = STEPS) -> None:
        self.granted: set[int] = set()
        self._root = root
        self._steps = steps
        self._exact = 0
        self._patterns: dict[str, Any] = {}
        draft = root.get("$schema") if type(root) is dict else None
        # In these drafts what stands beside a reference is ignored.
        self._alone = type(draft) is str and any(f"draft-0{n}" in draft for n in (3, 4, 6, 7))

    def spend(self, steps: int) -> None:
        """Raises TooComplex where this many are not left."""
        self._steps -= steps
        if self._steps < 0:
            raise TooComplex

    def fits(self, schema: Json, value: Json) -> _Known:
        """Whether `value` conforms to `schema`, a part of the root. Raises TooComplex."""
        self.spend(1)
        if schema is True or schema is False:
            return schema is True
        if type(schema) is not dict:
            return None
        if not self._exact and type(value) in (dict, list) and id(value) in self.granted:
            return True
        return _every(self._said(schema, value))

    def _said(self, schema: dict[str, Json], value: Json) -> Iterable[_Known]:
        if self._alone and "$ref" in schema:
            yield self.fits(self.referred(schema["$ref"]), value)
            return
        for key, rule in schema.items():
            read = _KEYWORDS.get(key)
            if read is not None:
                yield read(self, rule, value, schema)
            elif key in _NOT_READ and schema is not self._root:
                yield None

    def exactly(self, schema: Json, value: Json) -> _Known:
        """The same, and nothing is granted: it decides between alternatives."""
        self._exact += 1
        try:
            return self.fits(schema, value)
        finally:
            self._exact -= 1

    def referred(self, reference: Json) -> Json:
        """What a JSON pointer in a fragment (RFC 6901, section 6) leads to; None for another reference, and
        where it leads nowhere."""
        return pointed(self._root, reference, None)

    def matches(self, text: Json, value: str) -> _Known:
        """Whether the pattern `text` is in `value`."""
        if type(text) is not str:
            return None
        if text not in self._patterns:
            self.spend(100)
            self._patterns[text] = compiled_pattern(text)
        pattern = self._patterns[text]
        self.spend(2 + len(value) // _STRIDE)
        return None if pattern is None else pattern.search(value) is not None

    def members(self, schema: dict[str, Json], name: str) -> list[Json]:
        """The parts of `schema` that a member of this name has to conform to."""
        named, patterns = schema.get("properties"), schema.get("patternProperties")
        found = [named[name]] if type(named) is dict and name in named else []
        unsure = False
        for text, part in patterns.items() if type(patterns) is dict else ():
            matching = self.matches(text, name)
            unsure = unsure or matching is None
            if matching:
                found.append(part)
        if not (found or unsure) and "additionalProperties" in schema:
            found.append(schema["additionalProperties"])
        return found

    def item(self, schema: dict[str, Json], index: int) -> Json:
        """The part of `schema` that the item at `index` has to conform to."""
        rest, first = schema.get("items", True), schema.get("prefixItems")
        if type(rest) is list:  # Drafts before 2020-12.
            rest, first = schema.get("additionalItems", True), rest
        return first[index] if type(first) is list and index < len(first) else rest


def _every(answers: Iterable[_Known]) -> _Known:
    unsure = False
    for one in answers:
        if one is False:
            return False
        unsure = unsure or one is None
    return None if unsure else True


def _some(answers: Iterable[_Known]) -> _Known:
    unsure = False
    for one in answers:
        if one:
            return True
        unsure = unsure or one is None
    return None if unsure else False


def canonical(value: Json) -> str:
    """The same text for what is equal in JSON Schema: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Json) -> Json:
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is list:
        return [_whole(one) for one in value]
    if type(value) is dict:
        return {key: _whole(one) for key, one in value.items()}
    return value


# --- keywords ------------------------------------------------------------------------------------


def is_a(names: Json, value: Json) -> _Known:
    """Whether `value` is of one of the types, or the type, with these names."""
    listed = [names] if type(names) is str else names
    if type(listed) is not list or not all(type(one) is str and one in TYPES for one in listed):
        return None
    for name in listed:
        if type(value) in TYPES[name] and (
            name != "integer" or type(value) is not float or value.is_integer()
        ):
            return True
    return False


def _enum(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    if type(rule) is not list:
        return None
    made = canonical(value)
    check.spend(len(rule) + len(made) // _STRIDE)
    return any(canonical(one) == made for one in rule)


def _const(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    return _enum(check, [rule], value, {})


def _bound(kinds: tuple[type, ...], holds: Callable[[Any, Any], bool]) -> _Rule:
    def read(_check: Conformity, rule: Json, value: Json, _schema: dict[str, Json]) -> _Known:
        if type(value) not in kinds:
            return True
        return holds(value, rule) if type(rule) in (int, float) else None

    return read


def _is_multiple(value: float, of: float) -> bool:
    if of <= 0:
        return False
    if type(of) is int:
        return value % of == 0
    try:
        return (value / of).is_integer()
    except OverflowError:
        return False


def _pattern(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    return check.matches(rule, value) if type(value) is str else True


def _members(check: Conformity, _rule: Json, value: Json, schema: dict[str, Json]) -> _Known:
    if type(value) is not dict:
        return True
    check.spend(len(value))
    return _every(
        check.fits(part, child) for name, child in value.items() for part in check.members(schema, name)
    )


def _pattern_members(check: Conformity, rule: Json, value: Json, schema: dict[str, Json]) -> _Known:
    if type(value) is dict and type(rule) is dict and value:
        unsure = any(check.matches(text, "") is None for text in rule)
        return None if unsure else _members(check, rule, value, schema)
    return True


def _names(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    return type(value) is not dict or _every(check.fits(rule, name) for name in value)


def _required(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    if type(rule) is not list:
        return None
    check.spend(len(rule) // 2)
    return type(value) is not dict or all(name in value for name in rule)


def _dependent(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    if type(rule) is not dict:
        return None
    if type(value) is not dict:
        return True
    there = [part for name, part in rule.items() if name in value]
    return _every(
        _required(check, part, value, {}) if type(part) is list else check.fits(part, value) for part in there
    )


def _items(check: Conformity, _rule: Json, value: Json, schema: dict[str, Json]) -> _Known:
    if type(value) is not list:
        return True
    return _every(check.fits(check.item(schema, index), one) for index, one in enumerate(value))


def _contains(check: Conformity, rule: Json, value: Json, schema: dict[str, Json]) -> _Known:
    if type(value) is not list:
        return True
    found = [check.exactly(rule, one) for one in value]
    least, most = schema.get("minContains", 1), schema.get("maxContains", len(found))
    if None in found or type(least) not in (int, float) or type(most) not in (int, float):
        return None
    return bool(least <= found.count(True) <= most)


def _unique(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    if type(value) is not list or rule is not True:
        return True
    made = [canonical(one) for one in value]
    check.spend(sum(map(len, made)) // _STRIDE)
    return len(set(made)) == len(made)


def _all_of(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    return _every(check.fits(part, value) for part in rule) if type(rule) is list else None


def _any_of(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    return _some(check.exactly(part, value) for part in rule) if type(rule) is list else None


def _one_of(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    if type(rule) is not list:
        return None
    found = [check.exactly(part, value) for part in rule]
    if found.count(True) > 1:
        return False
    return None if None in found else found.count(True) == 1


def _not(check: Conformity, rule: Json, value: Json, _: dict[str, Json]) -> _Known:
    found = check.exactly(rule, value)
    return None if found is None else not found


def _if(check: Conformity, rule: Json, value: Json, schema: dict[str, Json]) -> _Known:
    found = check.exactly(rule, value)
    ways = [check.fits(schema.get(key, True), value) for key in ("then", "else")]
    if found is None:
        return ways[0] if ways[0] is ways[1] else None
    return ways[0] if found else ways[1]


_NUMBERS = (int, float)
_KEYWORDS: dict[str, _Rule] = {
    "$ref": lambda check, rule, value, _: check.fits(check.referred(rule), value),
    "type": lambda _check, rule, value, _: is_a(rule, value),
    "enum": _enum,
    "const": _const,
    "minimum": _bound(_NUMBERS, lambda value, bound: value >= bound),
    "maximum": _bound(_NUMBERS, lambda value, bound: value <= bound),
    "exclusiveMinimum": _bound(_NUMBERS, lambda value, bound: value > bound),
    "exclusiveMaximum": _bound(_NUMBERS, lambda value, bound: value < bound),
    "multipleOf": _bound(_NUMBERS, _is_multiple),
    "minLength": _bound((str,), lambda value, bound: len(value) >= bound),
    "maxLength": _bound((str,), lambda value, bound: len(value) <= bound),
    "minItems": _bound((list,), lambda value, bound: len(value) >= bound),
    "maxItems": _bound((list,), lambda value, bound: len(value) <= bound),
    "minProperties": _bound((dict,), lambda value, bound: len(value) >= bound),
    "maxProperties": _bound((dict,), lambda value, bound: len(value) <= bound),
    "pattern": _pattern,
    "properties": _members,
    "additionalProperties": lambda check, rule, value, schema: (
        True if "properties" in schema else _members(check, rule, value, schema)
    ),
    "patternProperties": _pattern_members,
    "propertyNames": _names,
    "required": _required,
    "dependentRequired": _dependent,
    "dependentSchemas": _dependent,
    "dependencies": _dependent,
    "items": _items,
    "prefixItems": lambda check, rule, value, schema: (
        True if "items" in schema else _items(check, rule, value, schema)
    ),
    "contains": _contains,
    "uniqueItems": _unique,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}
