"""Bytes in rows are read whatever is written before each row."""

from __future__ import annotations

import json
import random

import pytest

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views.dumps import dumped
from mcpguard.core.redaction.views.view import View
from mcpguard.core.secret import Secret
from tests.rows import each

VALUES = {
    "letters": "q7RtZ2mXw9KfLb4NvTc8YhJs3GpDxA6e",
    "marks": 'Zu7!kP$m"2w\\Qx@9<Lr&T',
    "long": "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP0123456789", k=64)),
}


def cut(value: str, size: int) -> list[bytes]:
    data = value.encode()
    return [data[at : at + size] for at in range(0, len(data), size)]


def codes(value: str, mark: str, size: int, form: str = "{}") -> list[str]:
    return [mark.join(form.format(byte) for byte in row) + mark.strip() for row in cut(value, size)]


LAYOUTS = {
    "xxd -i": lambda value: [f"  {row}" for row in codes(value, ", ", 12, "0x{:02x}")],
    "xxd -p": lambda value: [row.hex() for row in cut(value, 10)],
    "od -An -tx1": lambda value: codes(value, " ", 16, "{:02x}"),
    "od -An -tu1": lambda value: codes(value, "", 16, " {:3}"),
    "Node": lambda value: [f"  {row}" for row in codes(value, ", ", 12, "{:3}")],
    "pprint": lambda value: [f" {row}" for row in codes(value, ", ", 15)],
    "xxd": lambda value: [
        f"{16 * at:08x}: {row.hex(' ', -2):39}  ...." for at, row in enumerate(cut(value, 16))
    ],
}
BEFORE = {
    "cat -n": "{:6}\t{}",
    "grep -n": "{}:{}",
    "awk": "{}: {}",
    "the arrow of an editor": "{:6}→{}",
    "bat": "{:4}   │ {}",
    "grep -rn": "src/v.h:{}:{}",
    "the context of grep": "src/v.h-{}-{}",
    "compose": "web-{}  | {}",
    "a journal": "Dec 01 10:00:0{} host app[123]: {}",
    "a build": "2026-12-01T10:00:0{}.1234567Z {}",
    "a table in CSV": '{},"{}"',
    "a table in Markdown": "| {} | `{}` |",
    "a table in HTML": '<tr><td class="n">{}</td><td>{}</td></tr>',
    "logfmt": 'time=10:00:0{} level=info msg="{}"',
    "lines of JSON": '{{"ts": 173300000{}, "line": "{}"}}',
}


def shown(value: str, text: str) -> str:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    return str(made.inspect({"text": text}).value)


@pytest.mark.uncounted
@each("layout", LAYOUTS)
@each("before", BEFORE)
@each("value", VALUES)
def test_bytes_in_rows_are_found_behind_what_precedes_each_row(layout: str, before: str, value: str) -> None:
    rows = [row.rstrip() for row in LAYOUTS[layout](VALUES[value])]
    left = shown(VALUES[value], "\n".join(BEFORE[before].format(at, row) for at, row in enumerate(rows, 1)))
    assert "[REDACTED:credential:x#1]" in left
    assert [row for row in rows if len(row) > 20 and row.strip() in left] == []


@each(
    "text",
    [
        "a: 1, 2, 3, 4,\nb: 5, 6, 7, 8,\n",
        "1: 104, 111, 119, 32,\n\n2: 97, 114, 101, 32,\n",
        "a1b2c3d4 one commit\nb2c3d4e5 another one\n" * 9,
        "1\t72 65 6c 6c 6f\n2\t20 77 6f 72 6c\n3\t64 21 0a 0a 0a\n",
        "x = [104, 101, 108, 108, 111, 32, 119, 111]\n",
    ],
)
def test_numbers_that_say_nothing_stay(text: str) -> None:
    value = {"text": text, "more": json.dumps(text)}
    assert Redactor(b"key").inspect(value).value is value


def test_rows_behind_others_are_counted() -> None:
    text = b"a 1a 2b 3c 4d 5e 6f 70\n" * 1000 + PAD
    budget = Budget(len(text))
    before = budget.work
    assert len(list(dumped(View(text), budget))) == 1
    assert before - budget.work >= 2000
