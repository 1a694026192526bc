"""A result from which something was removed conforms to the tool's `outputSchema` again.

A placeholder stays wherever the schema lets it. Else a stand-in takes its place; without one the member is
left out where it is optional, else it is null; else nothing fits.

Law of this file: only what was changed is changed again, and nothing of the original comes back.
"""

from collections.abc import Callable, Iterator

from mcpguard.core.model import Json
from mcpguard.core.redaction.structured.conforming import STEPS, Conformity, TooComplex
from mcpguard.core.redaction.structured.standins import standins

_MOST_PARTS = 100
_WAYS = ("then", "else")


class NothingFits(Exception):
    """Nothing that could stand there conforms to the schema."""


def fitted(
    schema: Json, before: Json, after: Json, clean: Callable[[Json], bool], steps: int = STEPS
) -> Json:
    """`after`, which is `before` with texts, numbers and names of members replaced, in a form that conforms
    to `schema` wherever `before` did. `clean` says whether a stand-in may leave. Raises Unfit."""
    try:
        return _Fitting(schema, clean, steps).root(schema, before, after)
    except (TooComplex, RecursionError):
        raise NothingFits from None


class _Fitting:
    def __init__(self, root: Json, clean: Callable[[Json], bool], steps: int) -> None:
        self._check = Conformity(root, steps)
        self._clean = clean
        self._changed: set[int] = set()
        self._kept: list[Json] = []
        self._numbers: dict[str, int] = {}

    def root(self, schema: Json, before: Json, after: Json) -> Json:
        if not self._compared(before, after):
            return after
        try:
            return self._fit([schema], before, after)
        except NothingFits:
            if self._check.exactly(schema, before) is not False:
                raise
            return after  # It did not conform before.

    def _compared(self, before: Json, after: Json) -> bool:
        """Whether they differ; the containers in `after` that do not are granted."""
        if type(after) not in (dict, list):
            return type(before) is not type(after) or before != after
        if type(after) is dict:
            pairs = [
                self._compared(old, new) for old, new in zip(before.values(), after.values(), strict=True)
            ]
            differs = any(pairs) or list(before) != list(after)
        else:
            differs = any([self._compared(old, new) for old, new in zip(before, after, strict=True)])
        (self._changed if differs else self._check.granted).add(id(after))
        return differs

    def _differs(self, before: Json, after: Json) -> bool:
        if type(after) in (dict, list):
            return id(after) in self._changed
        return type(before) is not type(after) or before != after

    def _fit(self, schemas: list[Json], before: Json, after: Json) -> Json:
        parts = list(self._parts(schemas, before))
        if type(after) is dict:
            made: Json = self._object(parts, before, after)
        elif type(after) is list:
            made = self._list(parts, before, after)
        else:
            return self._leaf(schemas, after)
        if any(self._check.fits(schema, made) is False for schema in schemas):
            raise NothingFits
        self._kept.append(made)  # So that its id stays its own.
        self._check.granted.add(id(made))
        return made

    def _object(
        self, parts: list[dict[str, Json]], before: dict[str, Json], after: dict[str, Json]
    ) -> dict[str, Json]:
        needed = set(_needed(parts, before))
        made: dict[str, Json] = {}
        for (was, old), (name, new) in zip(before.items(), after.items(), strict=True):
            schemas = [schema for part in parts for schema in self._check.members(part, name)]
            if name != was and not self._may_be_named(parts, schemas, name, new):
                if was in needed:
                    raise NothingFits
                continue
            if not self._differs(old, new):
                made[name] = new
                continue
            try:
                made[name] = self._fit(schemas, old, new)
            except NothingFits:
                if name in needed:
                    self._check_null(schemas)
                    made[name] = None
        return made

    def _may_be_named(
        self, parts: list[dict[str, Json]], schemas: list[Json], name: str, value: Json
    ) -> bool:
        named = all(self._check.fits(part.get("propertyNames", True), name) is not False for part in parts)
        return named and all(self._check.fits(schema, value) is not False for schema in schemas)

    def _list(self, parts: list[dict[str, Json]], before: list[Json], after: list[Json]) -> list[Json]:
        made: list[Json] = []
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            if not self._differs(old, new):
                made.append(new)
                continue
            schemas = [self._check.item(part, index) for part in parts]
            try:
                made.append(self._fit(schemas, old, new))
            except NothingFits:
                self._check_null(schemas)
                made.append(None)
        return made

    def _check_null(self, schemas: list[Json]) -> None:
        if not all(self._check.fits(schema, None) for schema in schemas):
            raise NothingFits

    def _leaf(self, schemas: list[Json], after: Json) -> Json:
        number = self._numbers.setdefault(repr(after), len(self._numbers) + 1)
        parts = list(self._reachable(schemas))
        for one in standins(parts, after, number):
            scalar = type(one) not in (dict, list)
            fits = scalar and all(self._check.fits(schema, one) for schema in schemas)
            if fits and (one == after or self._clean(one)):
                return one
        raise NothingFits

    def _parts(self, schemas: list[Json], before: Json) -> Iterator[dict[str, Json]]:
        """The schemas that apply to `before`, with those of the alternatives to which it conforms."""
        for schema in self._ahead(schemas):
            yield schema
            alternatives = [schema.get(key) for key in ("anyOf", "oneOf")]
            chosen = [self._first(some, before) for some in alternatives if type(some) is list]
            if "if" in schema:
                holds = self._check.exactly(schema["if"], before)
                chosen += [[schema["if"], schema.get("then", True)] if holds else [schema.get("else", True)]]
            dependent = schema.get("dependentSchemas")
            if type(dependent) is dict and type(before) is dict:
                chosen.append([part for name, part in dependent.items() if name in before])
            for some in chosen:
                yield from self._parts(some, before)

    def _first(self, alternatives: list[Json], before: Json) -> list[Json]:
        return next(([one] for one in alternatives if self._check.exactly(one, before)), [])

    def _ahead(self, schemas: list[Json]) -> Iterator[dict[str, Json]]:
        """The schemas, with what they refer to and what else has to hold."""
        left = list(schemas)
        for _ in range(_MOST_PARTS):
            if not left:
                return
            schema = left.pop(0)
            self._check.spend(1)
            if type(schema) is dict:
                yield schema
                if "$ref" in schema:
                    left.append(self._check.referred(schema["$ref"]))
                if type(every := schema.get("allOf")) is list:
                    left += every

    def _reachable(self, schemas: list[Json]) -> Iterator[dict[str, Json]]:
        """The schemas, including every alternative that may constrain a string or a number."""
        left, seen = list(schemas), 0
        while left and seen < _MOST_PARTS:
            seen += 1
            for schema in self._ahead([left.pop(0)]):
                yield schema
                left += [
                    part
                    for key in ("anyOf", "oneOf")
                    if type(some := schema.get(key)) is list
                    for part in some
                ]
                left += [schema[key] for key in _WAYS if key in schema]


def _needed(parts: list[dict[str, Json]], before: dict[str, Json]) -> Iterator[str]:
    for part in parts:
        names = part.get("required")
        yield from (name for name in names if type(name) is str) if type(names) is list else ()
        for key in ("dependentRequired", "dependencies"):
            dependent = part.get(key)
            for name, others in dependent.items() if type(dependent) is dict else ():
                if name in before and type(others) is list:
                    yield from others
