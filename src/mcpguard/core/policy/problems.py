"""What is wrong in a rule that its model does not know of: names and conditions.

Law of this file: a name that does not exist is a mistake, and so is a condition that reads what must not
decide.
"""

from __future__ import annotations

from collections.abc import Iterator

from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.document.reading import Document
from mcpguard.core.document.written import Path
from mcpguard.core.errors import Problem
from mcpguard.core.policy.written import Rule

_ON_RESULT = "only a rule with `on: result` can read `{name}`"
_CLAIM = "an `allow` rule can read `client.agent` only: what a client says about itself must not allow a call"


def kind_problems(document: Document, at: Path, rule: Rule, kinds: frozenset[str]) -> Iterator[Problem]:
    """The names in `redact` that are not among `kinds`."""
    for index, name in enumerate(rule.redact):
        if name not in kinds:
            known = ", ".join(sorted(kinds))
            yield document.problem((*at, "redact", index), f"unknown name; known are {known}")


def condition_problems(document: Document, at: Path, rule: Rule, reads: frozenset[str]) -> Iterator[Problem]:
    """What a condition may not read in this rule; `reads` are the names in it."""
    text = rule.when or ""
    tokens = tokens_of(text)
    for index, token in enumerate(tokens):
        if token.text in ("result", "findings") and token.text in reads and rule.on == "call":
            yield document.problem(at, _ON_RESULT.format(name=token.text), token.start)
        elif token.text == "client" and token.text in reads and rule.effect == "allow":
            selected = "".join(one.text for one in tokens[index + 1 : index + 3])
            if selected not in (".agent", '["agent"', "['agent'"):
                yield document.problem(at, _CLAIM, token.start)
