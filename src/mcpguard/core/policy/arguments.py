"""Whether the arguments of a call fit the `inputSchema` of its tool (JSON Schema 2020-12, and what of older
drafts reads the same).

Rules compare arguments by type, and many servers accept "true" for true, so a mismatch is refused before
any rule is evaluated. The supported keywords are `type`, `enum`, `const`, `properties`, `patternProperties`,
`additionalProperties`, `required`, `items`, `prefixItems`, the bounds of numbers, texts, lists and objects,
`pattern`, `allOf`, `anyOf`, `oneOf` (as `anyOf`) and `$ref` within the schema.

Law of this file: only arguments that certainly do not match are refused. Other keywords, and forms that no
draft has, are left to the server. No message contains a value, or a name that is not in the schema. A check
ends after `STEPS`, whatever the schema.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.json import encode

from mcpguard.core.expressions import expression
from mcpguard.core.model import Json
from mcpguard.core.redaction.structured.conforming import TYPES, canonical, compiled_pattern, pointed

STEPS = 200_000
"""How much is compared, at most: a step is a member, an item or a reference, some checks of a value, half
a pattern, or a STRIDE of characters that are read."""
STRIDE = 100

LARGEST = 128 * 1024
PATTERNS = 100
"""Bytes of a schema that is read, and its patterns: it is made ready while every other client waits. What is
beyond them is for the server."""

MOST = 3
"""How many mistakes a message names."""

LONGEST = 300
"""Characters that are shown of each."""

CACHE_LIMIT = 2_000

_SPACES = expression(r"\\[sS]")
_OTHER_SPACES = expression(r"[^\t\n\f\r -~]")
"""Where texts have these, what white space is differs."""

_BOUNDS: tuple[tuple[str, type, Callable[[Any, Any], bool], str], ...] = (
    ("minimum", float, lambda value, bound: value >= bound, "must be at least {}"),
    ("maximum", float, lambda value, bound: value <= bound, "must be at most {}"),
    ("exclusiveMinimum", float, lambda value, bound: value > bound, "must be more than {}"),
    ("exclusiveMaximum", float, lambda value, bound: value < bound, "must be less than {}"),
    ("minLength", str, lambda value, bound: len(value) >= bound, "must have at least {} characters"),
    ("maxLength", str, lambda value, bound: len(value) <= bound, "must have at most {} characters"),
    ("minItems", list, lambda value, bound: len(value) >= bound, "must have at least {} items"),
    ("maxItems", list, lambda value, bound: len(value) <= bound, "must have at most {} items"),
    ("minProperties", dict, lambda value, bound: len(value) >= bound, "must have at least {} members"),
    ("maxProperties", dict, lambda value, bound: len(value) <= bound, "must have at most {} members"),
)


class _Run(Struct):
    """One check: the steps that are left, and the mistakes so far as (path, sentence)."""

    steps: int
    found: list[tuple[str, str]] = []

    def spend(self, steps: int) -> None:
        """Raises _TooMuch where this many are not left; on the road of every call that is inlined."""
        self.steps -= steps
        if self.steps < 0:
            raise _TooMuch


class _TooMuch(Exception):
    """`STEPS` are used up."""


_Check = Callable[[Json, str, _Run], None]
_MemberCheck = Callable[[str, Json, str, _Run], None]
_known: dict[str, tuple[Json, _Check]] = {}
_MISSING = "is missing"
_NO_OBJECT = "must be of type object"


def misfit(schema: Json, digest: str, arguments: dict[str, Json], whole: bool = True) -> str:
    """Why `arguments` do not fit `schema`, a sentence for the model, or "". `digest` identifies the tool as
    it was listed. Without `whole`, arguments may be missing."""
    if type(schema) is not dict or not schema:
        return ""
    known = _known.get(digest)
    if known is None or (known[0] is not schema and known[0] != schema):
        if len(_known) >= CACHE_LIMIT:
            _known.clear()
        known = _known[digest] = schema, _check_of(schema)
    run = _Run(STEPS)
    try:
        known[1](arguments, "", run)
    except (_TooMuch, RecursionError):
        return "The arguments are too large, or the schema of the tool too complex, to compare them."
    if not run.found:
        return ""
    found = [f"{path} {said}" for path, said in run.found if whole or said != _MISSING or "." in path]
    if not found:
        return ""
    first = "; ".join([one[:LONGEST] for one in found[:MOST]])
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return f"The arguments do not match the tool's schema: {first}{more}."


def _check_of(schema: dict[str, Json]) -> _Check:
    return _anything if len(encode(schema)) > LARGEST else _Compiler(schema).check_of(schema)


class _Compiler:
    """Makes the check of a schema; `root` is what its references lead into."""

    def __init__(self, root: dict[str, Json]) -> None:
        self._root = root
        self._by_reference: dict[str, _Check] = {}
        self._patterns = PATTERNS
        self._moved = any(_has_id(part) for part in root.values())
        draft = root.get("$schema")
        # In these drafts what stands beside a reference is ignored.
        self._alone = type(draft) is str and any(f"draft-0{n}" in draft for n in (4, 6, 7))

    def check_of(self, schema: Json) -> _Check:
        """The check of a part of the schema, which is anything at all."""
        if schema is False:
            return lambda value, at, run: run.found.append((_named(at), "is not allowed"))
        if type(schema) is not dict:
            return _anything
        reference = schema.get("$ref")
        if type(reference) is str and self._alone:
            return self._referred(reference)
        checks = [self._referred(reference)] if type(reference) is str else []
        objects = self._object_of(schema)
        if not (objects and _is_for_objects(schema)):
            checks += _type_of(schema)
        for part in (_choice_of, _bounds_of, self._pattern_of):
            checks += part(schema)
        checks += [*objects, *self._list_of(schema), *self._several_of(schema)]
        if len(checks) < 2:
            return checks[0] if checks else _anything

        def check(value: Json, at: str, run: _Run) -> None:
            run.steps -= (len(checks) + 3) // 4
            if run.steps < 0:
                raise _TooMuch
            for one in checks:
                one(value, at, run)

        return check

    def _referred(self, reference: str) -> _Check:
        """The check of what `reference` leads to, made when it is first needed: it may lead to itself."""

        def check(value: Json, at: str, run: _Run) -> None:
            run.spend(1)
            made = self._by_reference.get(reference)
            if made is None:
                made = self._by_reference[reference] = self.check_of(self._at(reference))
            made(value, at, run)

        return check

    def _at(self, reference: str) -> Json:
        """What a JSON pointer in a fragment (RFC 6901, section 6) leads to; True, which anything fits, for
        another reference and where it leads nowhere."""
        return True if self._moved else pointed(self._root, reference, True)

    def _pattern_of(self, schema: dict[str, Json]) -> list[_Check]:
        text = schema.get("pattern")
        pattern = self._pattern(text) if type(text) is str else None
        if pattern is None:
            return []

        spaces = _SPACES.search(str(text)) is not None

        def check(value: Json, at: str, run: _Run) -> None:
            if type(value) is not str or (spaces and _OTHER_SPACES.search(value)):
                return
            run.spend(2 + len(value) // STRIDE)
            if pattern.search(value) is None:
                run.found.append((_named(at), f"must match {text}"))

        return [check]

    def _pattern(self, text: str) -> Any:
        """A pattern of the schema, ready for `search`; None for one too many, and one that is not of RE2."""
        self._patterns -= 1
        return None if self._patterns < 0 else compiled_pattern(text)

    def _object_of(self, schema: dict[str, Json]) -> list[_Check]:
        known = {name: self.check_of(part) for name, part in _dict(schema, "properties").items()}
        required = _texts(schema, "required")
        rest = self._rest_of(schema, known)
        if not (known or required) and rest is None:
            return []
        return [_members_of(known, required, rest, _is_for_objects(schema))]

    def _rest_of(self, schema: dict[str, Json], known: dict[str, _Check]) -> _MemberCheck | None:
        """The check of members by their names' patterns, and of those that are not known otherwise."""
        found = _dict(schema, "patternProperties").items()
        patterns = [
            (pattern, self.check_of(part)) for text, part in found if (pattern := self._pattern(text))
        ]
        other = schema.get("additionalProperties", True)
        if len(patterns) < len(found):
            other = True  # A pattern that is not of RE2 may match anything.
        if not patterns and other is True:
            return None
        each = self.check_of(other)
        said = f"has a member that is not in the schema, which has {', '.join(known) or 'none'}"

        def check(name: str, member: Json, at: str, run: _Run) -> None:
            run.spend(len(patterns) * (2 + len(name) // STRIDE))
            matching = [part for pattern, part in patterns if pattern.search(name)]
            for part in matching:
                part(member, f"{at}.*", run)
            if matching or name in known:
                return
            if other is False:
                run.found.append((_named(at), said))
            else:
                each(member, f"{at}.*", run)

        return check

    def _list_of(self, schema: dict[str, Json]) -> list[_Check]:
        items, first = schema.get("items"), schema.get("prefixItems")
        if type(items) is list:  # Drafts before 2020-12.
            items, first = True, items
        heads = [self.check_of(part) for part in first] if type(first) is list else []
        each = self.check_of(items) if items is not None else _anything
        if not heads and each is _anything:
            return []

        def check(value: Json, at: str, run: _Run) -> None:
            if type(value) is list:
                run.spend(len(value))
                for index, item in enumerate(value):
                    (heads[index] if index < len(heads) else each)(item, f"{at}[{index}]", run)

        return [check]

    def _several_of(self, schema: dict[str, Json]) -> list[_Check]:
        every = schema.get("allOf")
        checks = [self.check_of(part) for part in every] if type(every) is list else []
        for key in ("anyOf", "oneOf"):
            parts = schema.get(key)
            if type(parts) is list and parts:
                checks.append(_one_of([self.check_of(part) for part in parts]))
        return checks


def _anything(value: Json, at: str, run: _Run) -> None:
    """Any value fits."""


def _one_of(checks: list[_Check]) -> _Check:
    def check(value: Json, at: str, run: _Run) -> None:
        least: list[tuple[str, str]] | None = None
        for one in checks:
            inner = _Run(run.steps - 1)
            one(value, at, inner)
            run.steps = inner.steps
            run.spend(0)
            if not inner.found:
                return
            if least is None or len(inner.found) < len(least):
                least = inner.found
        # With several alternatives that are all wrong, the nearest is of no more use than that none fits.
        run.found += (
            least if len(checks) == 1 and least else [(_named(at), "matches none of the alternatives")]
        )

    return check


def _members_of(
    known: dict[str, _Check], required: list[str], rest: _MemberCheck | None, alone: bool
) -> _Check:
    """The check of an object; `alone` says that nothing else fits."""

    def check(value: Json, at: str, run: _Run) -> None:
        if type(value) is not dict:
            if alone:
                run.found.append((_named(at), _NO_OBJECT))
            return
        run.steps -= len(value) + len(required) // 2
        if run.steps < 0:
            raise _TooMuch
        for name in required:
            if name not in value:
                run.found.append((_named(f"{at}.{name}"), _MISSING))
        for name, member in value.items():
            if name in known:
                known[name](member, f"{at}.{name}", run)
            if rest is not None:
                rest(name, member, at, run)

    return check


def _is_for_objects(schema: dict[str, Json]) -> bool:
    """Whether nothing but objects fits, so that their check says so too."""
    return schema.get("type") == "object" and schema.get("nullable") is not True


def _type_of(schema: dict[str, Json]) -> list[_Check]:
    named = schema.get("type")
    names = [named] if type(named) is str else named
    if type(names) is not list or not names or not all(type(n) is str and n in TYPES for n in names):
        return []
    if schema.get("nullable") is True:  # OpenAPI
        names = [*names, "null"]
    kinds = frozenset(kind for name in names for kind in TYPES[name])
    whole = "integer" in names and "number" not in names
    said = f"must be of type {' or '.join(names)}"

    def check(value: Json, at: str, run: _Run) -> None:
        if type(value) not in kinds or (whole and type(value) is float and not value.is_integer()):
            run.found.append((_named(at), said))

    return [check]


def _choice_of(schema: dict[str, Json]) -> list[_Check]:
    choices = schema.get("enum")
    if "const" in schema:
        choices = [schema["const"]]
    if type(choices) is not list:
        return []
    if schema.get("nullable") is True:
        choices = [*choices, None]
    texts = frozenset([one for one in choices if type(one) is str])
    others = [one for one in choices if type(one) is not str]
    same, kinds = {canonical(one) for one in others}, {type(one) for one in others}
    names = [one for one in choices if type(one) is str]
    shown = not kinds and len(names) <= 20
    said = f"must be one of {', '.join(names)}" if shown else "must be one of the values in the schema"

    def check(value: Json, at: str, run: _Run) -> None:
        if type(value) is str:
            fits = value in texts
        elif type(value) in (dict, list) and type(value) not in kinds:
            fits = False
        else:
            made = canonical(value)
            run.spend(len(made) // STRIDE)
            fits = made in same
        if not fits:
            run.found.append((_named(at), said))

    return [check]


def _bounds_of(schema: dict[str, Json]) -> list[_Check]:
    checks: list[_Check] = []
    for key, kind, fits, words in _BOUNDS:
        bound = schema.get(key)
        # In draft 4 these two are booleans beside the other two, which then are a little wider than meant.
        if type(bound) in (int, float):
            checks.append(_bound(kind, bound, fits, words.format(bound)))
    return checks


def _bound(kind: type, bound: Json, fits: Callable[[Any, Any], bool], said: str) -> _Check:
    kinds = (int, float) if kind is float else (kind,)

    def check(value: Json, at: str, run: _Run) -> None:
        if type(value) in kinds and not fits(value, bound):
            run.found.append((_named(at), said))

    return check


def _has_id(part: Json) -> bool:
    """Whether a part of a schema is a schema of its own, into which its references lead."""
    if type(part) is list:
        return any(map(_has_id, part))
    if type(part) is not dict:
        return False
    return type(part.get("$id")) is str or any(map(_has_id, part.values()))


def _texts(schema: dict[str, Json], key: str) -> list[str]:
    found = schema.get(key)
    return [one for one in found if type(one) is str] if type(found) is list else []


def _dict(schema: dict[str, Json], key: str) -> dict[str, Json]:
    found = schema.get(key)
    return found if type(found) is dict else {}


def _named(at: str) -> str:
    return f"`{at.removeprefix('.')}`" if at else "the call"
