"""Names of arguments that rules read and a server does not, or reads otherwise: many programs take names in
any case, some without what is invisible, up to a NUL, or with `_` or without.

    {"path": "/srv/data/x", "Path": "/etc/passwd"}   rules read the first, a server in Go the second
    {"gist_id": "aa", "owner": "acme"}               rules read the owner, and get_gist has no such argument

Law of this file: where names are known, from the schema of a tool or from a rule, a member has one of them or
a name that no program takes for one of them; and where a schema lists names, a condition reads no others.
Objects of which nothing is known are free. No message holds a name that neither the schema nor a rule has.
However a schema is made, a search ends after `STEPS`.

Sources: Go, encoding/json, Unmarshal; .NET, JsonSerializerOptions.PropertyNameCaseInsensitive; Jackson,
ACCEPT_CASE_INSENSITIVE_PROPERTIES; Protocol Buffers, ProtoJSON format, names of fields.
"""

import unicodedata
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from mcpguard.core.conditions.cel_text import CelToken, string_value, tokens_of
from mcpguard.core.conditions.hoisting import members_read
from mcpguard.core.conditions.loops import closing, is_loop
from mcpguard.core.expressions import expression
from mcpguard.core.legible import HIDDEN
from mcpguard.core.model import Invocation, Json, Listed
from mcpguard.core.redaction.structured.conforming import TooComplex, compiled_pattern, pointed

STEPS = 200_000
"""How much is read, at most: a step is a member, an item, a part of a schema, or half an unknown name."""
STRIDE = 100
A_PATTERN = 2_000
"""What a pattern for names costs, which is compiled each time."""
LONGEST = 1_000
"""Characters of a name that is compared; in an object with known names there is no other that is longer."""
CACHE_LIMIT = 2_000

_UNSEEN = expression(rf"[{HIDDEN}\s]")
_JOINTS = expression(r"(?<=[^\W\d_])[_-]+|(?<=\d)[_-]+(?!\d)")
"""Marks between words. They matter before a name, as in `_id`, and between digits."""

_SAME = "has a member that some servers read as `{}`; send only `{}`"
_ALIKE = "has two members that some servers read as one; send only one of them"
_READ = "has a member whose name is nearly one that a rule reads; write names as the server documents them"
_LONG = f"has a member whose name has more than {LONGEST} characters; leave it out"
_INHERITED = (
    "has a member that changes other objects of a server in JavaScript (`__proto__`, or `constructor` with a "
    "`prototype`); leave it out"
)
_AMBIGUOUS = "The arguments are ambiguous: {} {}."
_NO_MEMBER = "{} `{}`, which a rule reads; leave it out. {}."
SHOWN = 300
"""Characters of the names that are listed in its place."""
TOO_MUCH = "The arguments are too large, or the schema of the tool too complex, to compare their names."

ITEM, OTHER = 0, 1
"""Steps to the items of a list, and to members of which no name is known."""
_Reads = dict[str | int, "_Reads"]
"""The names that rules read, with those in what they lead to, and `ITEM`."""
_NOTHING: _Reads = {}
CONTAINERS = frozenset((dict, list))
"""What has names in it, or may have."""
_BESIDE = ("if", "then", "else")
_EACH = ("allOf", "anyOf", "oneOf")
_OTHERS = ("additionalProperties", "unevaluatedProperties")


class _KnownNames(Struct):
    """One place in the arguments: the schemas that are about it, and what rules read there. `listed` are the
    names in the schemas, `alike` and `read` the names in the schemas and in rules by their folded forms;
    `closed` says that there are no others but those that one of `patterns` matches."""

    schemas: list[dict[str, Json]]
    reads: _Reads
    listed: frozenset[str]
    closed: bool
    patterns: list[str]
    alike: dict[str, str]
    read: dict[str, set[str]]
    inner: dict[str | int, "_KnownNames | None"]


class Spelling:
    """The names of arguments that the conditions `texts`, and the `names` that rules set, are about, beside
    those in a schema. What the conditions `deciding` read is not taken from members that a schema lacks."""

    def __init__(self, texts: Iterable[str], names: Iterable[str], deciding: Iterable[str] = ()) -> None:
        self.plain: dict[str, tuple[Json, frozenset[str]]] = {}
        """By the digest of a target, what is known about it, and the names that it lists: arguments with no
        others, and without objects and lists, are not ambiguous."""
        self._texts = tuple(texts)
        self._set = tuple(names)
        self._deciding = tuple(deciding)
        self._reads: _Reads | None = None
        self._wanted: frozenset[str] = frozenset()
        self._made: dict[tuple[frozenset[int], int], _KnownNames] = {}

    def ambiguous(self, invocation: Invocation, decoys: bool = True) -> str:
        """Why a program may read the arguments otherwise than the policy does, a sentence for the model, or
        "". Without `decoys` a schema may lack what rules read."""
        target = invocation.target
        if len(self._made) >= CACHE_LIMIT or len(self.plain) >= CACHE_LIMIT:
            self._made.clear()
            self.plain.clear()
        if self._reads is None:
            self._reads = _read_by(self._texts, self._set)
            self._wanted = frozenset[str]().union(*map(_names_in, self._deciding))
        about, digest = (None, "") if target is None else (target.about, target.digest)
        schema = schema_of(invocation.method, target)
        kind = "tool" if target is None else target.kind
        search = _NameComparison(schema, self._made, self._wanted if decoys else frozenset(), kind)
        try:
            root = search.place([schema], self._reads)
            self.plain[digest] = about, frozenset() if root is None else root.listed
            return "" if root is None else search.run(root, invocation.args or {}, "")
        except (TooComplex, RecursionError):
            return TOO_MUCH


def schema_of(method: str, target: Listed | None) -> Json:
    """What is known of the arguments of such a request, as a JSON schema; None for nothing."""
    if target is None:
        return None
    if target.kind == "tool":
        return target.about.get("inputSchema")
    arguments = target.about.get("arguments") if target.kind == "prompt" else None
    names = [one.get("name") for one in arguments if type(one) is dict] if type(arguments) is list else []
    listed: dict[str, Json] = {name: {} for name in names if type(name) is str}
    known: Json = {"properties": listed} if listed else {}  # What lists none may come without the list.
    if method == "completion/complete":
        argument: Json = {"properties": {"name": {}, "value": {}}}
        return {"properties": {"argument": argument, "context": {"properties": {"arguments": known}}}}
    return known


def inherited(arguments: Json) -> str:
    """Why a server in JavaScript may read members that are not there, a sentence for the model, or ""."""
    waiting, found = [arguments], False
    while waiting and not found:
        value = waiting.pop()
        if type(value) is dict:
            maker = value.get("constructor")
            found = "__proto__" in value or (type(maker) is dict and "prototype" in maker)
            waiting += value.values()
        elif type(value) is list:
            waiting += value
    return _AMBIGUOUS.format("the call", _INHERITED) if found else ""


def folded(name: str) -> str:
    """What a name has in common with those that programs take for it."""
    text = unicodedata.normalize("NFKC", name.partition("\0")[0]).upper().casefold()
    text = _UNSEEN.sub("", text.replace("i\u0307", "i"))  # Of the capital letter with a dot.
    return _JOINTS.sub("", text)


def _read_by(texts: Iterable[str], names: Iterable[str]) -> _Reads:
    found: _Reads = {name: {} for name in names}
    for text in texts:
        for member in members_read(text):
            at = found
            for step in member.steps if member.root == "args" else ():
                at = at.setdefault(step if type(step) is str else ITEM, {})
    return found


def _names_in(text: str) -> frozenset[str]:
    """The names by which a condition reads arguments, at any depth: selected from `args` or the variable of a
    loop, looked for in `args`, or given to `texts()`."""
    tokens = tokens_of(text)
    variables = frozenset(tokens[at + 3].text for at in range(len(tokens) - 3) if is_loop(tokens, at + 1))
    reads = [one for one in members_read(text, variables) if one.root in {"args", *variables}]
    found = {step for one in reads for step in one.steps if type(step) is str}
    for at, token in enumerate(tokens):
        if token.text == "texts":
            found |= _strings(tokens[at : closing(tokens, at + 1)])
        elif token.text == "in" and tokens[at + 1].text == "args":
            found |= _strings(tokens[at - 1 : at])
    return frozenset(found)


def _strings(tokens: list[CelToken]) -> set[str]:
    return {string_value(one.text) for one in tokens if one.kind == "string"}


class _NameComparison:
    """One search; `root` is the whole schema, and `made` holds the places that are known. A member with one
    of the names `wanted` has to be in the schema, that of a thing of this `kind`."""

    def __init__(
        self,
        root: Json,
        made: dict[tuple[frozenset[int], int], _KnownNames],
        wanted: frozenset[str],
        kind: str,
    ) -> None:
        self._root = root
        self._made = made
        self._wanted = wanted
        self._kind = kind
        self._steps = STEPS

    def run(self, place: _KnownNames, value: Json, at: str) -> str:
        """What is ambiguous in `value`, which is at `place`, with `at` as its path; "" for nothing."""
        self._spend(len(value))
        if type(value) is list:
            items = self._inner(place, ITEM)
            if items is None:
                return ""
            for index, item in enumerate(value):
                flat = (
                    type(item) is dict and item.keys() <= items.listed
                )  # As in a call, since lists are long.
                if type(item) not in CONTAINERS or (flat and CONTAINERS.isdisjoint(map(type, item.values()))):
                    continue
                if said := self.run(items, item, f"{at}[{index}]"):
                    return said
            return ""
        if not value.keys() <= place.listed and (said := self._unlisted(place, value, at.removeprefix("."))):
            return said
        for name, member in value.items():
            if type(member) in CONTAINERS:
                inner = self._inner(place, name if name in place.listed or name in place.reads else OTHER)
                step = name if name in place.listed else "*"
                if inner and (said := self.run(inner, member, f"{at}.{step}")):
                    return said
        return ""

    def _unlisted(self, place: _KnownNames, value: dict[str, Json], at: str) -> str:
        """What is wrong with a member that is not listed, a sentence; "" for nothing."""
        forms: set[str] = set()
        said = ""
        if not (place.alike or place.read or (place.closed and self._wanted)):
            return ""
        for name in [one for one in value if one not in place.listed]:
            self._spend(2 + len(name) // STRIDE)
            form = folded(name[:LONGEST])
            if len(name) > LONGEST:
                said = _LONG
            elif form in place.alike:
                said = _SAME.format(*2 * [place.alike[form]])
            elif name not in place.read.get(form, (name,)):
                said = _READ
            elif form in forms and place.alike:
                said = _ALIKE
            elif place.closed and name in self._wanted and not self._described(place, name):
                return self._no_member(place, name, at)
            if said:
                return _AMBIGUOUS.format(f"`{at}`" if at else "the call", said)
            forms.add(form)
        return ""

    def _described(self, place: _KnownNames, name: str) -> bool:
        """Whether the schema has a pattern for the name; what RE2 cannot read has matched nothing."""
        self._spend(A_PATTERN * len(place.patterns))
        return any(found.search(name) for found in map(compiled_pattern, place.patterns) if found)

    def _no_member(self, place: _KnownNames, name: str, at: str) -> str:
        whose, what = (f"`{at}`", "member") if at else (f"The {self._kind}", "argument")
        listed = ", ".join(sorted(place.listed))
        known = f"The {what}s are: {listed[:SHOWN]}" if listed else f"It has no {what}s"
        return _NO_MEMBER.format(f"{whose} has no {what}", name, known)

    def _inner(self, place: _KnownNames, step: str | int) -> _KnownNames | None:
        if step not in place.inner:
            parts = [part for schema in place.schemas for part in _parts(schema, step)]
            place.inner[step] = self.place(parts, place.reads.get(step, _NOTHING))
        return place.inner[step]

    def place(self, parts: list[Json], reads: _Reads) -> _KnownNames | None:
        """What is known where all of `parts`, of the schema, are about the value; None for nothing."""
        schemas: dict[int, dict[str, Json]] = {}
        waiting = [*parts]
        while waiting:
            self._spend(1)
            part = waiting.pop()
            if type(part) is not dict or id(part) in schemas:
                continue
            schemas[id(part)] = part
            waiting += [pointed(self._root, part.get("$ref"), None), *(part.get(key) for key in _BESIDE)]
            for several in (*(part.get(key) for key in _EACH), _values(part, "dependentSchemas")):
                waiting += several if type(several) is list else []
        if not schemas and not reads:
            return None
        key = frozenset(schemas), id(reads)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = _place_of([*schemas.values()], reads)
        return made

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise TooComplex


def _place_of(schemas: list[dict[str, Json]], reads: _Reads) -> _KnownNames:
    listed = frozenset().union(*(_members(schema, "properties") for schema in schemas))
    read: dict[str, set[str]] = {}
    for name in reads:
        if type(name) is str:
            read.setdefault(folded(name), set()).add(name)
    closed = any(type(one.get("properties")) is dict for one in schemas)
    closed = closed and not any(_is_given(one.get(key)) for one in schemas for key in _OTHERS)
    patterns = [one for schema in schemas for one in _members(schema, "patternProperties")]
    alike = {folded(name): name for name in sorted(listed)}
    return _KnownNames(schemas, reads, listed, closed, patterns, alike, read, {})


def _is_given(other: Json) -> bool:
    """Whether a schema says itself that there are other members."""
    return other is True or (type(other) is dict and other != {"not": {}})


def _parts(schema: dict[str, Json], step: str | int) -> list[Json]:
    """The parts of a schema that are about a member, or about the items."""
    if step is ITEM:
        found = [schema.get(key) for key in ("items", "prefixItems", "additionalItems", "contains")]
        return [part for one in found for part in (one if type(one) is list else [one])]
    properties = _members(schema, "properties")
    if step in properties:
        return [properties[step]]
    return [schema.get("additionalProperties"), *_values(schema, "patternProperties")]


def _members(schema: dict[str, Json], key: str) -> dict[Any, Json]:
    found = schema.get(key)
    return found if type(found) is dict else {}


def _values(schema: dict[str, Json], key: str) -> list[Json]:
    return [*_members(schema, key).values()]
