"""What a condition asks of what a function gives and never finds: a kind or a member that does not exist.

Law of this file: a `deny` that looks for a misspelt kind would be in force and never hold, so it is not
loaded. Only what is plain from the words counts: a constant, or a list of them, that is compared (`==`, `!=`,
`in`) with a member whose values are listed (`Function.values`), or with the variable of a loop over it.
"""

from collections.abc import Container, Iterator, Mapping, Sequence

from mcpguard.core.conditions.cel_text import CelToken, string_value
from mcpguard.core.conditions.loops import closing
from mcpguard.core.errors import did_you_mean
from mcpguard.core.functions import FUNCTIONS

_EQUAL = (["=", "="], ["!", "="])


def never_found(tokens: Sequence[CelToken], loops: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(offset in characters, sentence) for each of them in the words of a condition; `loops` are the names of
    macros with a variable."""
    variables: dict[str, tuple[str, str, int]] = {}
    for at, token in enumerate(tokens):
        if token.kind != "name" or (at and tokens[at - 1].text == "."):
            continue
        function, member, end = variables.get(token.text, ("", "", 0))
        after = at + 1
        if at >= end:
            if token.text not in FUNCTIONS or tokens[after].text != "(":
                continue
            function, member, after = token.text, "", closing(tokens, after) + 1
        member, after = _member(tokens, member, after)
        if tokens[after].text == "." and tokens[after + 1].text in loops and tokens[after + 2].text == "(":
            variables[tokens[after + 3].text] = function, member, closing(tokens, after + 2)
        whole, _, last = member.rpartition(".")
        members = FUNCTIONS[function].elements.get(whole, ())
        if members and last not in members:
            hint = did_you_mean(last, members) or f"they have {', '.join(members)}"
            yield token.start, f"`{whole}` of {function}() have no `{last}`; {hint}"
        values = FUNCTIONS[function].values.get(member, ())
        for constant in _compared(tokens, at, after) if values else ():
            value = string_value(constant.text)
            if value not in values:
                hint = did_you_mean(value, values) or f"it is one of {', '.join(values)}"
                yield constant.start, f"`{member}` of {function}() is never `{value}`; {hint}"


def never_had(tokens: Sequence[CelToken], names: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[int, str]]:
    """(offset in characters, sentence) for each constant that one of `names`, of which all values are listed,
    never is."""
    for name, constant in compared(tokens, names):
        value, values = string_value(constant.text), names.get(name)
        if values is not None and value not in values:
            hint = did_you_mean(value, values) or f"it is one of {', '.join(filter(None, values))}"
            yield constant.start, f"`{name}` is never `{value}`; {hint}"


def compared(tokens: Sequence[CelToken], names: Container[str]) -> Iterator[tuple[str, CelToken]]:
    """(path, constant) of each constant that one of `names`, or a member of one, is compared with."""
    for at, token in enumerate(tokens):
        if token.kind == "name" and token.text in names and not (at and tokens[at - 1].text == "."):
            path, after = _member(tokens, token.text, at + 1)
            for constant in _compared(tokens, at, after):
                yield path, constant


def _member(tokens: Sequence[CelToken], member: str, at: int) -> tuple[str, int]:
    """The member that is selected, without indexes, and the index behind it."""
    steps = [member] if member else []
    while True:
        if tokens[at].text == "." and tokens[at + 2].text != "(":
            steps.append(tokens[at + 1].text)
            at += 2
        elif tokens[at].text == "[" and tokens[at + 1].kind == "number":
            at += 3
        else:
            return ".".join(steps), at


def _compared(tokens: Sequence[CelToken], start: int, after: int) -> Iterator[CelToken]:
    """The constants that what stands from `start` to `after` is compared with."""
    before = [token.text for token in tokens[max(start - 2, 0) : start]]
    left = start - 2 if before[-1:] == ["in"] else start - 3 if before in _EQUAL else -1
    if left >= 0 and tokens[left].kind == "string" and (not left or tokens[left - 1].text != "+"):
        yield tokens[left]
    behind = [token.text for token in tokens[after : after + 2]]
    right = after + 1 if behind[:1] == ["in"] else after + 2 if behind in _EQUAL else -1
    if right < 0:
        return
    end = closing(tokens, right) if tokens[right].text == "[" else right
    if tokens[end + 1].text != "+":
        yield from (token for token in tokens[right : end + 1] if token.kind == "string")
