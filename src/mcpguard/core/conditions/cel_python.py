"""The pure-Python CEL engine: `cel-python`, made as strict as the C++ one.

Law of this file: where the library guesses, this engine says ERROR. It swallows errors inside
`has()`, takes regular expressions of another dialect, compares across types in its own way, knows
functions that CEL does not have and logs argument values; all of that is closed here. A value that CEL
cannot hold is an error in its place, never another value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from pkgutil import get_data
from sys import intern
from typing import Any

import celpy
from celpy import celparser, celtypes, evaluation
from lark import Lark, Tree
from lark import __version__ as lark_version

from mcpguard.core.conditions.cel import (
    ERROR,
    FALSE,
    KEPT,
    TRUE,
    Bound,
    Condition,
    ConditionError,
    Engine,
    EngineName,
    TooMuch,
    Verdict,
    check_length,
    measured,
    offset_of,
    part_of,
)
from mcpguard.core.conditions.cel_calls import (
    TOO_LONG,
    TOO_MANY_SO_FAR,
    StepsLeft,
    activation_of,
    bound_values,
    from_cel,
)
from mcpguard.core.conditions.cel_strict import JOINED, KEYS, NAMED, PICKING, first_error, no_overload
from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.hoisted import HoistedCall
from mcpguard.core.conditions.hoisting import Members, hoist, joined, read_by
from mcpguard.core.conditions.loops import MACROS
from mcpguard.core.conditions.names import LATER, POLICY, Vocabulary, advised
from mcpguard.core.functions import FUNCTIONS, FunctionError, nothing_held
from mcpguard.core.model import Json
from mcpguard.core.redaction.engine.matching import tables

# The library casts to these unions at every step of an evaluation; hashing them takes a sixth of its time.
celtypes.Value = celtypes.CELType = object
evaluation.Result = evaluation.Result_Function = evaluation.CELFunction = object


_TYPES = frozenset(["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"])
_LEVELS = frozenset(
    [
        "expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary",
        "member", "paren_expr",
    ]
)  # fmt: skip
_OF_CEL = frozenset(evaluation.base_functions) - {"list", "map", "null_type"} | {"dyn", "has"}


class PythonEngine:
    """The engine "python", an `Engine`: some 75 to 600 microseconds a condition. A condition whose type is
    not boolean is found when it is evaluated, as an ERROR, not at load."""

    name: EngineName = "python"

    def __init__(self, vocabulary: Vocabulary = POLICY) -> None:
        self._vocabulary = vocabulary
        # The library raises the recursion limit of the whole process, and logs argument values.
        limit = sys.getrecursionlimit()
        if celparser.CELParser.CEL_PARSER is None:
            _prepare_parser()
        self._environment = celpy.Environment()
        sys.setrecursionlimit(limit)
        celpy.logging.getLogger("celpy").setLevel(1000)

    @lru_cache(KEPT)  # noqa: B019  (there is one engine a process, and it is kept)
    def compile(self, text: str) -> PythonCondition:
        check_length(text)
        hoisted = hoist(text, self._vocabulary)
        mistakes = [*hoisted.mistakes, *_literals_to_refuse(text)]
        if mistakes:
            raise ConditionError(mistakes)
        try:
            tree = self.parsed(text)
            reader = _SyntaxWalker(text, self._vocabulary.names)
            reader.read(tree, frozenset())
        except celpy.CELParseError as error:
            at = offset_of(text, error.line, error.column) if (error.line or 0) > 0 else len(text)
            mistakes = [(at, "Syntax error")]
            raise ConditionError(advised(text, mistakes, self._vocabulary.names)) from None
        except RecursionError:
            raise ConditionError([(0, "nested too deeply")]) from None
        if reader.mistakes:
            raise ConditionError(advised(text, reader.mistakes, self._vocabulary.names))
        return PythonCondition(self, text, tree, hoisted.reads, read_by(text, self._vocabulary))

    def either(self, conditions: Sequence[Condition]) -> None:
        """See `Engine.either`: it would evaluate no faster."""

    @lru_cache(256)  # noqa: B019  (there is one engine a process, and it is kept)
    def parsed(self, text: str) -> Any:
        """The syntax tree of `text`, as the library makes it (lark): shared, and not to be changed. Raises
        CELParseError, and RecursionError for what is nested too deeply."""
        return self._environment.compile(text)


def _prepare_parser() -> None:
    """Take the tables of the library's parser from where tables stay (decision 0056). To generate them takes
    50 ms; without such a place the library does."""
    place, parser = tables(), celparser.CELParser
    if place is None:
        return
    made_of = [get_data("celpy", name) for name in ("cel.lark", "celparser.py")]
    source = sha256(repr((lark_version, made_of)).encode()).digest()
    if kept := place.take("cel", source):
        parser.CEL_PARSER = Lark.load(BytesIO(kept))
    else:
        parser()
        assert parser.CEL_PARSER is not None  # noqa: S101 - the library has made it just now
        parser.CEL_PARSER.save(made := BytesIO())
        place.put("cel", source, made.getvalue())


def _literals_to_refuse(text: str) -> Iterator[tuple[int, str]]:
    """(offset, sentence) of literals in which the library drops a line break, or takes letters for bytes."""
    tokens = tokens_of(text)
    for before, token in pairwise(tokens):
        if before.kind == "bytes" and not token.text.isascii():
            yield token.start, "bytes are written in ASCII: write \\xHH"
    yield from (
        (token.start, "a string must be on one line: write \\n")
        for token in tokens
        if token.kind == "string" and not {"\n", "\r"}.isdisjoint(token.text)
    )


class PythonCondition:
    """A `Condition` of this engine; `tree` is its syntax tree, see `PythonEngine.parsed`."""

    __slots__ = ("_short", "calls", "engine", "members", "reads", "text", "tree")

    def __init__(self, owner: Engine, text: str, tree: Any, reads: frozenset[str], members: Members) -> None:
        self.engine = owner
        self.text = text
        self.tree = tree
        steps = StepsLeft()
        self._short = _shortened(tree, _Evaluator(tree, activation_of(nothing_held, steps), steps).literal)
        self.reads = reads
        self.calls: tuple[HoistedCall, ...] = ()
        self.members = members

    def verdict(self, bound: Bound) -> Verdict:
        value = self._evaluated(bound)
        if type(value) is not celtypes.BoolType:
            return ERROR
        return TRUE if value else FALSE

    def value(self, bound: Bound) -> Json:
        """The value of the text, boolean or not, or `Verdict.ERROR`; a time and the like as text."""
        value = self._evaluated(bound)
        if value is ERROR or isinstance(value, evaluation.CELEvalError):
            return ERROR
        try:
            return from_cel(value)
        except FunctionError:
            return str(value)

    def _evaluated(self, bound: Bound) -> Any:
        # Without args the library's own error absorption is not trusted: "it depends", always.
        if not self.reads & LATER <= bound.view.keys():
            return ERROR
        try:
            others = bound.members
            found = part_of(bound.view, others if others is None else joined([others, self.members]))
            measured(found, "python")
            if bound.python is None:
                steps = StepsLeft()
                bound.python = activation_of(bound.holds, steps), steps, {}
            activation, steps, converted = bound.python
            steps.begin()
            return _Evaluator(self._short, activation, steps).evaluate(bound_values(found, converted))
        except TooMuch as problem:
            bound.beyond[self.text] = str(problem)
            return ERROR
        except Exception:
            return ERROR


def _shortened(tree: Any, literal: Callable[[Any], Any]) -> Any:
    """The same tree without the nodes that only pass on the value of their one child, its literals read, and
    with our functions for those in NAMED. The grammar has a level for each precedence, and the library would
    walk them all at each evaluation."""
    while len(tree.children) == 1 and _passes_on(tree):
        tree = tree.children[0]
    if tree.data == "literal":
        return type(tree)("known", [literal(tree)], tree.meta)
    if tree.data == "primary" and tree.children[0].data == "ident":
        return type(tree)("named", [str(tree.children[0].children[0]), tree], tree.meta)
    children = [
        _shortened(child, literal) if hasattr(child, "children") else child for child in tree.children
    ]
    if tree.data == "ident_arg" and children[0].value in NAMED:
        children[0] = children[0].update(value=f"strict {children[0].value}")
    # The library has tokens there, which take long to be compared.
    return type(tree)(intern(str(tree.data)), children, tree.meta)


def _passes_on(tree: Any) -> bool:
    if tree.data == "primary":
        return tree.children[0].data in ("literal", "paren_expr")
    return tree.data in _LEVELS


class _Evaluator(evaluation.Evaluator):  # type: ignore[misc]
    """`has()` by the specification: an error, or anything but a map, is not an absent key. What cannot change
    the answer is not evaluated."""

    def __init__(self, ast: Any, activation: Any, steps: StepsLeft) -> None:
        super().__init__(ast, activation)
        self._steps = steps

    def sub_evaluator(self, ast: Any) -> _Evaluator:
        return _Evaluator(ast, self.activation, self._steps)

    def visit(self, tree: Any) -> Any:
        """As the library's own, which looks at each node for decorators and counts levels."""
        return getattr(self, tree.data)(tree)

    def visit_children(self, tree: Any) -> list[Any]:
        """The same for what is in a node."""
        return [self.visit(one) if isinstance(one, Tree) else one for one in tree.children]

    def known(self, tree: Any) -> Any:
        """A literal that was read when the condition was compiled."""
        return tree.children[0]

    def named(self, tree: Any) -> Any:
        """A name that is bound, in a loop or in the request."""
        name, written = tree.children
        scope = self.activation.identifiers
        while scope is not None:
            if name in scope:
                return scope[name].value
            scope = scope.parent
        return self.primary(written)

    def member_dot_arg(self, tree: Any) -> Any:
        """Macros with our own connectives, as `&&` and `||` have them, and over lists and maps alone."""
        name = tree.children[1].value
        if name not in MACROS:
            return super().member_dot_arg(tree)
        members = self.visit(tree.children[0])
        if not isinstance(members, list | dict):
            return no_overload(members)
        said = self._said(tree, members)
        if name in JOINED:
            join, value = JOINED[name]
            decisive = not value
            for one in said:
                value = join(value, one)
                if type(value) is celtypes.BoolType and bool(value) is decisive:
                    break
            return value
        says = list(said)
        if name == "map":
            return first_error(says) or celtypes.ListType(says)
        undecided = [one for one in says if type(one) is not celtypes.BoolType]
        return no_overload(undecided[0]) if undecided else PICKING[name](list(members), says)

    def _said(self, tree: Any, members: Any) -> Iterator[Any]:
        """The answer for each of `members`, the list or map of a macro."""
        says = self.build_ss_macro_eval(tree)
        for done, one in enumerate(members):
            try:
                self._steps.take(1)
                value = says(one)
            except TooMuch:
                raise TooMuch(TOO_MANY_SO_FAR.format(done) if done else TOO_LONG) from None
            yield value

    def conditionaland(self, tree: Any) -> Any:
        """`&&`, whose right side is looked at where the left one is not false."""
        return self._joined(tree, "all")

    def conditionalor(self, tree: Any) -> Any:
        """`||`, whose right side is looked at where the left one is not true."""
        return self._joined(tree, "exists")

    def _joined(self, tree: Any, name: str) -> Any:
        join, value = JOINED[name]
        left = self.visit(tree.children[0])
        if type(left) is celtypes.BoolType and bool(left) is not bool(value):
            return left
        return join(left, self.visit(tree.children[1]))

    def mapinits(self, tree: Any) -> Any:
        """A map that contains an error, an invalid key or the same key twice is an error."""
        values = self.visit_children(tree)
        keys = values[::2]
        wrong = [key for key in keys if not isinstance(key, KEYS)]
        made = celtypes.MapType(dict(zip(keys, values[1::2], strict=True)) if not wrong else {})
        return first_error(values) or (made if len(made) == len(keys) else no_overload(None))

    def macro_has_eval(self, exprlist: Any) -> Any:
        owner, key = _selection(exprlist).children
        value = self.visit(owner)
        if isinstance(value, evaluation.CELEvalError):
            return value
        if not isinstance(value, celtypes.MapType):
            return evaluation.CELEvalError("no such overload")
        return celtypes.BoolType(celtypes.StringType(key.value) in value)


def _selection(tree: Any) -> Any:
    """The `member_dot` that `tree` consists of, or None."""
    while hasattr(tree, "children") and tree.data != "member_dot":
        if len(tree.children) != 1:
            return None
        tree = tree.children[0]
    return tree if hasattr(tree, "children") else None


class _SyntaxWalker:
    """Walks a syntax tree for what the library does not check at load."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self.mistakes: list[tuple[int, str]] = []
        self._names = names
        self._text = text

    def read(self, tree: Any, loop_names: frozenset[str]) -> None:
        """Read `tree`, in which `loop_names` are bound by macros around it."""
        if not hasattr(tree, "children"):
            return
        if tree.data in ("ident", "dot_ident"):
            self._name(tree.children[0], loop_names if tree.data == "ident" else frozenset())
        elif tree.data == "ident_arg":
            self._call(tree.children[0], tree.children[1:], True)
        elif tree.data in ("member_object", "dot_ident_arg"):
            self._mistake(tree.meta, "protocol buffer messages are not supported")
        elif tree.data == "member_dot_arg" and tree.children[1].value in MACROS:
            self._macro(tree, loop_names)
            return
        elif tree.data == "member_dot_arg":
            self._call(tree.children[1], tree.children[2:], False)
        for child in tree.children:
            self.read(child, loop_names)

    def _name(self, token: Any, loop_names: frozenset[str]) -> None:
        if token.value in loop_names:
            return
        if token.value not in self._names and token.value not in _TYPES:
            self._mistake(token, f"undeclared reference to '{token.value}'")

    def _call(self, token: Any, rest: list[Any], plain: bool) -> None:
        if token.value not in _OF_CEL and not (plain and token.value in FUNCTIONS):
            self._mistake(token, f"undeclared reference to '{token.value}'")
        elif token.value == "has" and not (rest and _selection(rest[0])):
            self._mistake(token, "has() argument must be a field selection")

    def _macro(self, tree: Any, loop_names: frozenset[str]) -> None:
        over, name, *rest = tree.children
        arguments = rest[0].children if rest else []
        variables = list(arguments[0].find_data("ident")) if arguments else []
        if len(arguments) != 2 or len(variables) != 1:
            self._mistake(name, f"{name.value}() takes a name and an expression")
            return
        self.read(over, loop_names)
        self.read(arguments[1], loop_names | {variables[0].children[0].value})

    def _mistake(self, place: Any, sentence: str) -> None:
        self.mistakes.append((offset_of(self._text, place.line, place.column), sentence))
