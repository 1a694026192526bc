"""What PostgreSQL runs as code though no function is called: the input of a type, and an operator.

`'x'::mood` calls the input function of `mood`, and the checks of a domain; `a @- b` calls the function behind
the operator; a database may have any number of both.
Law of this file: each type and each operator that is not on the list is given back by its name.
Source: PostgreSQL 4.1.3 (where an operator ends), 4.2.9 and 38.14.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mcpguard.core.functions.sql.pure import POSTGRES_OPERATORS, POSTGRES_TYPES
from mcpguard.core.functions.sql.text import SqlToken
from mcpguard.core.functions.sql.tree import Tree, name_of, shown
from mcpguard.core.functions.sql.words import BEFORE_STRING

_SIGNS = frozenset("+-*/<>=~!@#%^&|?")
_LAST = frozenset("~!@#%^&|?")
"""Signs without which an operator does not end in a plus or a minus."""


def implicit(tokens: list[SqlToken], tree: Tree, exp: Any) -> set[str]:
    """The types and the operators that are not known."""
    found = {name for name in _types(tokens) if name not in POSTGRES_TYPES}
    found |= {one for one in _operators(tokens) if one not in POSTGRES_OPERATORS}
    for node in tree.of_kind(exp.DataType):
        kind = node.args.get("kind")
        if isinstance(kind, exp.Expression) and (name := _shown_type(kind, exp)) not in POSTGRES_TYPES:
            found.add(name)
        elif (
            isinstance(node, exp.ObjectIdentifier | exp.PseudoType)
            and node.name.lower() not in POSTGRES_TYPES
        ):
            found.add(node.name.lower())
    return found


def _shown_type(kind: Any, exp: Any) -> str:
    return ".".join(name_of(part, "postgres") for part in kind.find_all(exp.Identifier, bfs=False))


def _types(tokens: list[SqlToken]) -> Iterator[str]:
    """After `::`, after the AS of a CAST, and before a string."""
    opened: list[str] = []
    for place, token in enumerate(tokens):
        last = tokens[place - 1] if place else token
        if token.kind == "mark" and token.text == "(":
            opened.append(last.text if last.kind == "word" else "")
        elif token.kind == "mark" and token.text == ")":
            opened.pop()
        elif (token.kind == "mark" and token.text == ":" == last.text and last.end == token.start) or (
            token.kind == "word" and token.text == "as" and opened and opened[-1] in ("cast", "treat")
        ):
            yield _type_at(tokens, place + 1)
        elif token.kind == "string" and last.kind in ("word", "name") and last.text not in BEFORE_STRING:
            yield shown(last.text, last.kind == "name", "postgres")


def _type_at(tokens: list[SqlToken], place: int) -> str:
    end = place
    while end + 1 < len(tokens) and tokens[end + 1].text == ".":
        end += 2
    return ".".join(shown(one.text, one.kind == "name", "postgres") for one in tokens[place : end + 1 : 2])


def _operators(tokens: list[SqlToken]) -> Iterator[str]:
    run, end = "", -1
    for token in [*tokens, SqlToken("mark", ";", -1, -1)]:
        sign = token.kind == "mark" and token.text in _SIGNS
        if run and not (sign and token.start == end):
            yield from _split(run)
            run = ""
        if sign:
            run, end = run + token.text, token.end


def _split(run: str) -> Iterator[str]:
    """The operators of adjacent signs: one, but for pluses and minuses at its end."""
    while run:
        one = run
        while len(one) > 1 and one[-1] in "+-" and not _LAST & set(one):
            one = one[:-1]
        yield one
        run = run[len(one) :]
