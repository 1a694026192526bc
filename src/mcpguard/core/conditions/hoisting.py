"""Calls of our functions, taken out of a condition before the engine sees it.

    sql(args.query).writes || args.url.matches("^http:")   ->   _f["0"].writes || _f["1"]

Each such call is *hoisted*: computed in Python, at most once a decision whatever number of rules asks for it,
and only where a condition is undecided without it. That keeps the C++ engine from calling back into Python
(which leaks every string argument) and from compiling a constant pattern at each evaluation.

Law of this file: the text keeps its length and its lines, so that a mistake found in the rest has its place;
and a call that cannot be taken out (its argument is computed, or a variable of a loop) is never dropped: the
condition says so in `left`, and goes to the engine that calls functions itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from mcpguard.core.conditions.cel_text import CelToken, escape_mistakes, string_value, tokens_of
from mcpguard.core.conditions.choices import never_found, never_had
from mcpguard.core.conditions.hoisted import (
    MATCHES,
    SIZE,
    Constant,
    HoistedCall,
    Steps,
    Term,
    ValuePath,
    compiled,
    key_of,
    number_of,
)
from mcpguard.core.conditions.loops import MACROS, is_costly, is_loop
from mcpguard.core.conditions.names import POLICY, Vocabulary, unknown_member
from mcpguard.core.functions import FUNCTIONS, Function
from mcpguard.core.functions.function import unfit
from mcpguard.core.model import Json

CALLED = "_f"
"""The variable that stands for the calls in a rewritten condition: a map from a call's key to its value."""

_BEYOND = re.compile(r"perl operator: \(\?[=!<P]|escape sequence: \\[1-9]")
"""Reasons of RE2 for what other engines have."""
_OPERANDS = frozenset(["name", "string", "number"])
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}


Members = Mapping[str, frozenset[str] | None]
"""Which members of each name are read; None for a name that is read as a whole."""


class Hoisted(Struct, frozen=True):
    """A condition without its calls. `calls` are those whose values `CALLED` must hold for it, by number;
    `reads` are the names that the whole condition reads, `members` what `text` itself reads of them. `left`
    says that a call of ours still stands in `text`, which then is unchanged, `costly` that a loop in it is
    (`loops.py`). `mistakes` are (offset in characters, sentence)."""

    text: str
    calls: tuple[HoistedCall, ...]
    reads: frozenset[str]
    members: Members
    left: bool
    costly: bool
    mistakes: tuple[tuple[int, str], ...]


def joined(several: Iterable[Members]) -> Members:
    """What is read by one of `several` or another."""
    found: dict[str, frozenset[str] | None] = {}
    for one in several:
        for name, members in one.items():
            before = found.get(name, frozenset())
            found[name] = None if before is None or members is None else before | members
    return found


def hoist(text: str, vocabulary: Vocabulary = POLICY) -> Hoisted:
    """Take the calls out of `text`, which may read names of `vocabulary`. Never raises: what is not CEL is
    left to the engine, which says so."""
    return _Hoister(text, vocabulary).run()


def read_by(text: str, vocabulary: Vocabulary) -> Members:
    """What a condition reads, where no calls are taken out of it."""
    return _Hoister(text, vocabulary).read()


class MemberRead(Struct, frozen=True):
    """A member of the request that a condition reads: `text` as written, `steps` from the name `root`."""

    text: str
    root: str
    steps: Steps


@lru_cache(maxsize=4096)
def members_read(text: str, variables: frozenset[str] = frozenset()) -> tuple[MemberRead, ...]:
    """The members that a condition reads, also of those of its `variables`; an index that is not a constant
    ends the way."""
    names = {**POLICY.names, **dict.fromkeys(variables, "map")} if variables else POLICY.names
    return tuple(_Hoister(text, Vocabulary(names, POLICY.members)).members())


class _Hoister:
    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text = text
        self._vocabulary = vocabulary
        self._names = vocabulary.names
        self._tokens = tokens_of(text)
        self._mistakes: list[tuple[int, str]] = []

    def run(self) -> Hoisted:
        tokens = self._tokens
        found: dict[str, HoistedCall] = {}
        parts: list[str] = []
        members: list[Members] = []
        done, left, costly, at = 0, False, False, 0
        while tokens[at].kind != "end":
            call, after = self._fact(at) if self._begins(at) else (None, at)
            if call is not None:
                found[call.key] = call
                start, end = tokens[at].start, self._end_before(after)
                parts += [self._text[done:start], _in_place(call, self._text[start:end])]
                done, at = end, after
                continue
            left = left or (self._is_call(at) and tokens[at].text in FUNCTIONS)
            costly = costly or is_costly(tokens, at, self._names)
            if self._is_name(at):
                members.append(self._member(at))
            at += 1
        if left:  # The other engine reads all of it.
            done, parts, found = 0, [], {}
            members = [self.read()]
        text, read = "".join(parts) + self._text[done:], self._reads()
        calls, mistakes = tuple(found.values()), tuple(dict.fromkeys(self._mistakes))
        return Hoisted(text, calls, read, joined(members), left, costly, mistakes)

    def read(self) -> Members:
        """What all of it reads, the arguments of calls included."""
        return joined([self._member(at) for at in range(len(self._tokens)) if self._is_name(at)])

    def members(self) -> Iterator[MemberRead]:
        for at, token in enumerate(self._tokens):
            if self._is_name(at):
                steps, after = self._steps(at + 1)
                yield MemberRead(self._text[token.start : self._end_before(after)], token.text, steps)

    def _member(self, at: int) -> Members:
        """What is read of the name at `at`: a member of it, or all of it."""
        steps, _ = self._steps(at + 1)
        first = steps[0] if steps else None
        return {self._tokens[at].text: frozenset([first]) if isinstance(first, str) else None}

    def _reads(self) -> frozenset[str]:
        self._mistakes += escape_mistakes(self._tokens)
        self._mistakes += never_found(self._tokens, MACROS)
        self._mistakes += never_had(self._tokens, self._vocabulary.values)
        found = set()
        for at, token in enumerate(self._tokens):
            if token.kind == "name":
                self._check_name(at)
            if self._is_name(at):
                found.add(token.text)
                self._check_members(at)
        return frozenset(found)

    def _fact(self, at: int) -> tuple[HoistedCall | None, int]:
        """The call to take out that begins here, and the index behind it: not its members, which are the
        engine's to select (`has()` wants to see them)."""
        mistakes = len(self._mistakes)
        whole, after = self._whole(at)
        if isinstance(whole, HoistedCall) and whole.steps:
            del self._mistakes[mistakes:]
            whole, after = self._term(at)
            self._check_field(whole, after)
        return (whole, after) if isinstance(whole, HoistedCall) else (None, at)

    def _begins(self, at: int) -> bool:
        """Whether a term may begin here: a name that is not a member of something."""
        return self._tokens[at].kind == "name" and (at == 0 or self._tokens[at - 1].text != ".")

    def _is_name(self, at: int) -> bool:
        """Whether a name of the request begins here."""
        return self._begins(at) and self._tokens[at].text in self._names

    def _is_call(self, at: int) -> bool:
        return self._tokens[at].kind == "name" and self._tokens[at + 1].text == "("

    def _end_before(self, at: int) -> int:
        last = self._tokens[at - 1]
        return last.start + len(last.text)

    def _check_name(self, at: int) -> None:
        """A loop's variable that hides a name would make a path mean something else."""
        tokens = self._tokens
        if tokens[at].text == CALLED:
            self._mistakes.append((tokens[at].start, f"undeclared reference to '{CALLED}'"))
        if tokens[at].text in self._names and self._is_global(at):
            self._mistakes.append((tokens[at].start, "a name does not begin with a dot"))
        if tokens[at].text == MATCHES and self._is_call(at):
            self._check_pattern(at)
        if is_loop(tokens, at):
            variable = tokens[at + 2]
            if variable.text in self._names:
                said = f"`{variable.text}` cannot be the name of a loop's variable"
                self._mistakes.append((variable.start, said))

    def _check_members(self, at: int) -> None:
        """What is selected from the name at `at`, and a constant that is looked for in it."""
        tokens = self._tokens
        steps, after = self._steps(at + 1)
        path = (tokens[at].text, *[step for step in steps if isinstance(step, str)])
        if len(path) <= len(steps):
            return  # An index is not a member; what it leads to may have any.
        place = tokens[at]
        if path in self._vocabulary.members and tokens[after].text == "[":
            said = f"select a member of `{'.'.join(path)}` by its name"
            self._mistakes.append((tokens[after].start, said))
        elif self._is_looked_for(path, at):
            path, place = (*path, string_value(tokens[at - 2].text)), tokens[at - 2]
        problem = unknown_member(path, self._vocabulary)
        if problem is not None:
            self._mistakes.append((place.start, problem))

    def _is_looked_for(self, path: tuple[str, ...], at: int) -> bool:
        """Whether a constant is looked for among the members of what begins at `at`."""
        words = self._tokens[max(0, at - 2) : at]
        found = [one.kind for one in words[:1]] == ["string"] and words[-1].text == "in"
        return found and path in self._vocabulary.members

    def _is_global(self, at: int) -> bool:
        """Whether a dot stands before the name that selects from nothing."""
        if self._tokens[at - 1].text != ".":
            return False
        before = self._tokens[at - 2]
        return at < 2 or before.text == "in" or not (before.kind in _OPERANDS or before.text in (*")]}",))

    def _check_pattern(self, at: int) -> None:
        """A constant pattern is the last argument, of the function and of the method."""
        arguments, after = self._arguments(at + 2)
        pattern = arguments[-1] if arguments else None
        if not isinstance(pattern, Constant) or type(pattern.value) is not str:
            return
        try:
            compiled(pattern.value)
        except ValueError as reason:
            start = self._tokens[after - 2].start
            said = f"this is not a regular expression (RE2): {reason}"
            if _BEYOND.search(str(reason)):
                said += "; RE2 has no lookahead, no lookbehind and no references back"
            self._mistakes.append((start, said))

    # --- terms: each gives the term and the index behind it, or None where it is something else ------

    def _term(self, at: int) -> tuple[Term | None, int]:
        token = self._tokens[at]
        if token.text == "[":
            return self._list(at + 1)
        if token.text == "{":
            return self._map(at + 1)
        if self._is_call(at):
            return self._call(at)
        if token.kind == "name" and token.text in self._names:
            return ValuePath(token.text, (), token.text), at + 1
        constant = constant_of(token)
        return constant, at + (constant is not None)

    def _whole(self, at: int) -> tuple[Term | None, int]:
        """A term with the members that are selected, or matched against a constant pattern."""
        term, after = self._term(at)
        if not isinstance(term, ValuePath | HoistedCall):
            return term, after
        self._check_field(term, after)
        steps, after = self._steps(after)
        if isinstance(term, ValuePath):
            each, after = self._each(after)
            key = key_of(term.root, steps) + ("" if each is None else f".map({key_of('', each)})")
            term = ValuePath(term.root, steps, key, each)
        elif steps:
            term = HoistedCall(term.name, term.arguments, steps, key_of(term.key, steps))
        return self._matched(term, after)

    def _each(self, at: int) -> tuple[Steps | None, int]:
        """What `.map(x, x.a.b)` selects from each element, and the index behind it."""
        tokens = self._tokens
        if not (is_loop(tokens, at + 1) and tokens[at + 1].text == "map" and tokens[at + 4].text == ","):
            return None, at
        variable, again = tokens[at + 3], tokens[at + 5]
        steps, after = self._steps(at + 6)
        if variable.kind != "name" or again.text != variable.text or tokens[after].text != ")":
            return None, at
        return steps, after + 1

    def _check_field(self, term: Term | None, after: int) -> None:
        if not isinstance(term, HoistedCall):
            return
        fields = FUNCTIONS[term.name].fields if term.name in FUNCTIONS else ()
        steps, _ = self._steps(after)
        if fields and steps and steps[0] not in fields:
            said = f"{term.name}() returns no `{steps[0]}`; it returns {', '.join(fields)}"
            self._mistakes.append((self._tokens[after].start, said))

    def _list(self, at: int) -> tuple[Term | None, int]:
        values: list[Json] = []
        keys: list[str] = []
        while self._tokens[at].text != "]":
            term, at = self._term(at)
            if not isinstance(term, Constant):
                return None, at
            values.append(term.value)
            keys.append(term.key)
            if self._tokens[at].text == ",":
                at += 1
            elif self._tokens[at].text != "]":
                return None, at
        return Constant(values, f"[{','.join(keys)}]"), at + 1

    def _map(self, at: int) -> tuple[Term | None, int]:
        values: dict[str, Json] = {}
        keys: list[str] = []
        while self._tokens[at].text != "}":
            name, colon = constant_of(self._tokens[at]), self._tokens[at + 1]
            term, after = self._term(at + 2) if colon.text == ":" else (None, at)
            if name is None or type(name.value) is not str or not isinstance(term, Constant):
                return None, at
            if name.value in values:
                return None, at
            values[name.value] = term.value
            keys.append(f"{name.key}:{term.key}")
            at = after
            if self._tokens[at].text == ",":
                at += 1
            elif self._tokens[at].text != "}":
                return None, at
        return Constant(values, f"{{{','.join(keys)}}}"), at + 1

    def _call(self, at: int) -> tuple[Term | None, int]:
        name = self._tokens[at].text
        function = FUNCTIONS.get(name)
        if function is None and name not in (MATCHES, SIZE):
            return None, at
        arguments, after = self._arguments(at + 2)
        if arguments is None:
            return None, at
        if name == SIZE:
            return self._size(arguments, at, after)
        if function is None:
            return self._pattern(arguments, at, after)
        self._check(function, arguments, at)
        return HoistedCall(name, arguments, (), f"{name}({','.join(one.key for one in arguments)})"), after

    def _arguments(self, at: int) -> tuple[tuple[Term, ...] | None, int]:
        found: list[Term] = []
        while self._tokens[at].text != ")":
            term, at = self._whole(at)
            if term is None:
                return None, at
            found.append(term)
            if self._tokens[at].text == "," and self._tokens[at + 1].text != ")":
                at += 1
            elif self._tokens[at].text != ")":
                return None, at
        return tuple(found), at + 1

    def _steps(self, at: int) -> tuple[Steps, int]:
        """Members and constant indexes, without the names of methods."""
        steps: list[str | int] = []
        tokens = self._tokens
        while True:
            if tokens[at].text == "." and tokens[at + 1].kind == "name" and tokens[at + 2].text != "(":
                steps.append(tokens[at + 1].text)
                at += 2
            elif tokens[at].text == "[" and tokens[at + 2].text == "]":
                index, _ = self._term(at + 1)
                if not isinstance(index, Constant) or type(index.value) not in (str, int):
                    return tuple(steps), at
                steps.append(index.value)
                at += 3
            else:
                return tuple(steps), at

    def _matched(self, receiver: ValuePath | HoistedCall, at: int) -> tuple[Term | None, int]:
        tokens = self._tokens
        method = tokens[at + 1].text if tokens[at].text == "." and tokens[at + 2].text == "(" else ""
        if method not in (MATCHES, SIZE):
            return receiver, at
        arguments, after = self._arguments(at + 3)
        if method == SIZE:
            sized, after = self._size((receiver,) if arguments == () else (), at, after)
            return (receiver, at) if sized is None else (sized, after)
        if arguments is None or len(arguments) != 1:
            return receiver, at
        term, after = self._pattern((receiver, *arguments), at + 1, after)
        return (receiver, at) if term is None else (term, after)

    def _size(self, arguments: tuple[Term, ...], start: int, after: int) -> tuple[Term | None, int]:
        """Of a member: what a call gives is there already, and the engine checks the types of names."""
        value = arguments[0] if len(arguments) == 1 else None
        if isinstance(value, ValuePath) and value.steps:
            return HoistedCall(SIZE, arguments, (), f"size({value.key})"), after
        return None, start

    def _pattern(self, arguments: tuple[Term, ...], start: int, after: int) -> tuple[Term | None, int]:
        if (
            len(arguments) != 2
            or not isinstance(arguments[1], Constant)
            or type(arguments[1].value) is not str
        ):
            return None, start
        key = f"matches({arguments[0].key},{arguments[1].key})"
        return HoistedCall(MATCHES, arguments, (), key), after

    def _check(self, function: Function, arguments: tuple[Term, ...], at: int) -> None:
        place, most = self._tokens[at].start, len(function.parameters)
        least = sum(not parameter.optional for parameter in function.parameters)
        if not least <= len(arguments) <= most:
            takes = f"{least} to {most} arguments" if least < most else f"{most} argument{'s' * (most != 1)}"
            self._mistakes.append((place, f"{function.name}() takes {takes}, not {len(arguments)}"))
        for parameter, argument in zip(function.parameters, arguments, strict=False):
            if isinstance(argument, Constant):
                problem = unfit(function, parameter, argument.value)
                self._mistakes += [(place, problem)] if problem else []
        if function.prepare is not None:
            function.prepare()


def constant_of(token: CelToken) -> Constant | None:
    """The constant that a word is: a string, a whole number, true, false or null; None for another word."""
    value: Json
    if token.kind == "string":
        value = string_value(token.text)
    elif token.kind == "number":
        value = int(token.text, 16 if "x" in token.text else 10)
    elif token.text in _WORDS:
        value = _WORDS[token.text]
    else:
        return None
    return Constant(value, token.text if token.kind == "name" else repr(value))


def _in_place(call: HoistedCall, text: str) -> str:
    """A reference to the call that is as long as `text` and ends in the same line and column."""
    reference = f'{CALLED}["{number_of(call.key)}"]'
    *lines, last = text.split("\n")
    return reference + "\n" * len(lines) + " " * len(last) if lines else reference.ljust(len(text))
