"""Statements of PostgreSQL and SQLite by a seed, from the grammar in `corpus/sql-grammar.yaml`. Most are accepted
by the server; those that are not are of no use and are dropped.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

GRAMMAR = yaml.safe_load((Path(__file__).parents[1] / "corpus" / "sql-grammar.yaml").read_text())
DEEP = frozenset(
    {"select", "select1", "select2", "value", "condition", "with", "subquery", "chosen", "special"}
)
"""Words that may hold themselves."""
NASTY = re.compile(
    r"wipe|spy|mood|reg|pg_|lo_|first|last|filter|key\b|many|place|users$|row}|call}|field}|whole}|[*]|joined}|NATURAL"
)
"""What half of the statements do without, so that enough of them are harmless."""
TABLES = {
    "users": [
        "id",
        "name",
        "email",
        "password",
        "age",
        "address",
        "tags",
        "data",
        "created",
        "tokens_used",
        "feeling",
    ],
    "orders": ["id", "user_id", "total", "password", "note", "created"],
    "notes": ["id", "a", "b", "n"],
}
WRITTEN = [f"{table}.{column}" for table, columns in TABLES.items() for column in columns]
"""The columns that a policy's author lists."""

Source = tuple[str, list[str]]


class Statements:
    """The statements of one dialect; each call of `one()` gives the next."""

    def __init__(self, dialect: str, seed: int) -> None:
        self._dialect = dialect
        self._random = random.Random(seed)
        self._aliases = 0
        self._scopes: list[list[Source]] = []
        self._rules: dict[str, list[tuple[str, bool]]] = {}
        for word, lines in GRAMMAR[dialect].items():
            rule = self._rules.setdefault(word, [])
            for line in lines:
                times, text = re.fullmatch(r"(?:(\d+)x )?((?s:.*))", str(line)).groups()
                deep = any(inner in DEEP for inner in re.findall(r"(?<!\{)\{(\w+)\}", text))
                rule += [(text, deep)] * int(times or 1)

    def one(self) -> str:
        """A statement; one in five is damaged."""
        self._aliases, self._scopes = 0, [[]]
        self._mild = self._random.random() < 0.5
        text = re.sub(r"[ ]+", " ", self._word("statement", self._random.randint(2, 7))).strip()
        return self._damaged(text) if self._random.random() < (0.1 if self._mild else 0.25) else text

    def _word(self, word: str, depth: int) -> str:
        if word in ("column", "source"):
            return self._column() if word == "column" else self._source()[0]
        rule = self._rules[word]
        if depth < 1:
            rule = [one for one in rule if not one[1]] or rule
        if self._mild:
            rule = [one for one in rule if not NASTY.search(one[0])] or rule
        line, _ = self._random.choice(rule)
        text, _, gives = line.partition(" ==> ")
        alias = self._alias() if "{alias}" in text else ""
        common = self._random.choice(self._rules["cte"])[0] if "{cte}" in text else ""
        text = text.replace("{alias}", alias).replace("{cte}", common)
        opens = word.startswith("select")
        if opens:
            self._scopes.append([])
        text = self._filled(text, depth - (word in DEEP))
        if opens:
            self._scopes.pop()
        if gives:
            name, _, columns = self._filled(gives.replace("{alias}", alias), 0).partition(": ")
            self._scopes[-1].append((name, columns.split()))
        return text.replace("{{", "{").replace("}}", "}")

    def _filled(self, text: str, depth: int) -> str:
        """With each word expanded; the sources of a query first, since its columns are theirs."""
        parts = re.split(r"(?<!\{)\{(\w+)\}", text)
        places = sorted(range(1, len(parts), 2), key=lambda place: parts[place] != "from")
        for place in places:
            parts[place] = self._word(parts[place], depth)
        return "".join(parts)

    def _alias(self) -> str:
        self._aliases += 1
        return self._random.choice(
            [f"x{self._aliases}", f"y{self._aliases}", f"x{self._aliases}", "lower", "u", "password"]
        )

    def _source(self) -> Source:
        near, far = self._scopes[-1], [one for scope in self._scopes for one in scope]
        return self._random.choice(near * 4 + far or [("users", TABLES["users"])])

    def _column(self) -> str:
        source, columns = self._source()
        name = self._random.choice(columns)
        spelled = self._random.choice([name] * 6 + [name.upper(), f'"{name}"'])
        if self._dialect == "sqlite":
            spelled = self._random.choice([spelled] * 9 + [f"[{name}]", f"`{name}`", f"'{name}'"])
            return self._random.choice([spelled] * 3 + [f"{source}.{spelled}"] * 3)
        if self._mild or self._random.random() < 0.85:
            return self._random.choice([spelled, f"{source}.{spelled}", f"{source}.{spelled}"])
        call, row = self._word("call", 0), self._word("row", 0)
        return self._random.choice(
            [f"({source}).{spelled}", f"({source}.{spelled})", f"{source}.{row}", f"({source}.{spelled}).{call}",
             f"({source}.address).{self._word('field', 0)}", f"{source}.tags[1].{call}", f"{name}({source})",
             f"{row}({source})", source, f"{source} . /* x */ {spelled}", f"{source}.{call}", f'U&"{name}"']
        )  # fmt: skip

    def _damaged(self, text: str) -> str:
        words = re.findall(r"\s+|\w+|'[^']*'|\"[^\"]*\"|.", text)
        for _ in range(self._random.randint(1, 2)):
            place = self._random.randrange(len(words))
            piece = self._random.choice([self._word("piece", 0), self._random.choice(words), ""])
            words[place : place + self._random.randint(0, 1)] = [piece]
        return "".join(words)


def statements(dialect: str, seed: int, count: int) -> Iterator[str]:
    """So many statements."""
    made = Statements(dialect, seed)
    for _ in range(count):
        yield made.one()
