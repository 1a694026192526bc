"""Draws the templates of the Helm chart: exactly the forms of Go's templates that these use, no others.

Law of this file: what it does not know fails, so that a template cannot use a form that nobody checks.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TAG = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
_PATH = re.compile(r"\$?[A-Za-z]*(?:\.[A-Za-z]+)*|\.")

Facts = dict[str, Any]


def render(template: str, facts: Facts) -> str:
    """`template` with `facts`: Release, Values and Chart."""
    parts: list[str] = []
    at, trim = 0, False
    for tag in _TAG.finditer(template):
        text = template[at : tag.start()]
        text = text.lstrip() if trim else text
        parts += [text.rstrip() if tag[1] else text, tag[2]]
        at, trim = tag.end(), bool(tag[3])
    parts.append(template[at:].lstrip() if trim else template[at:])
    out, rest = _block(parts, facts)
    assert rest == [], "an `end` too many"
    return out


def _block(parts: list[str], facts: Facts) -> tuple[str, list[str]]:
    """Text and tags by turns, up to the `end` that closes the block; gives what follows it too."""
    out = parts[0]
    while len(parts) > 1:
        word, parts = parts[1], parts[2:]
        if word == "end":
            return out, parts
        if word.startswith("if "):
            inner, after = _block(parts, facts)
            negated, subject = re.fullmatch(r"if (not )?(\S+)", word).groups()  # type: ignore[union-attr]
            out += inner * (bool(value(subject, facts)) != bool(negated))
            parts = after
        elif word.startswith("range "):
            key, one, over = re.fullmatch(r"range (\$\w+), (\$\w+) := (\S+)", word).groups()  # type: ignore[union-attr]
            after = _block(parts, {**facts, key: "", one: ""})[1]
            for name, held in sorted(value(over, facts).items()):
                out += _block(parts, {**facts, key: name, one: held})[0]
            parts = after
        else:
            out += pipeline(word, facts)
        out += parts[0]
    return out, []


def pipeline(words: str, facts: Facts) -> str:
    """`.Values.x | default .Release.Name | quote`."""
    first, *filters = (part.strip() for part in words.split("|"))
    held = value(first, facts)
    for one in filters:
        name, _, argument = one.partition(" ")
        if name == "default":
            held = held or value(argument, facts)
        else:
            assert one in ("quote", "toJson"), one
            held = json.dumps(held)
    return str(held)


def value(path: str, facts: Facts) -> Any:
    """What `.Values.a.b` or `$name` stands for; a name that nobody gave is an error."""
    assert _PATH.fullmatch(path), path
    held: Any = facts
    for name in path.lstrip(".").split("."):
        held = held[name]
    return held
