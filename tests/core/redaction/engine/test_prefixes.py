"""The JSON that a text begins with."""

import tracemalloc
from typing import Any

from mcpguard.core.redaction.engine.prefixes import prefix
from tests.rows import each

READ: dict[bytes, tuple[int, Any, bytes]] = {
    b'{"a": 1}': (8, {"a": 1}, b'{"a": 1}'),
    b'{"a": 1} and more': (9, {"a": 1}, b'{"a": 1} '),
    b'{"a": 1}, {"b": 2}': (18, [{"a": 1}, {"b": 2}], b'{"a": 1}, {"b": 2}'),
    b'{"a": 1}, {"b": 2}, x': (20, [{"a": 1}, {"b": 2}], b'{"a": 1}, {"b": 2}'),
    b'{"a": 1}, {"b": [2, "': (21, [{"a": 1}, {"b": [2]}], b'{"a": 1}, {"b": [2]}'),
    b'{"a": 1}\n{"b": 2}\n': (18, [{"a": 1}, {"b": 2}], b'{"a": 1}\n{"b": 2}\n'),
    b'{"a": 1}\n{"b": 2}\nx': (9, {"a": 1}, b'{"a": 1}\n'),
    b'{"a": [1, {"b": "\\"", "c': (24, {"a": [1, {"b": '"'}]}, b'{"a": [1, {"b": "\\""}]}'),
    b'{"a": [1, 2, 3, 4], (5)': (20, {"a": [1, 2, 3, 4]}, b'{"a": [1, 2, 3, 4]}'),
    b'["\xc3\xa9", 1': (8, None, b""),
    b'["abcdefghijklmnopqrst': (22, None, b""),
    b'["a", ] and more': (6, None, b""),
    b'{"a": "bcdefgh", "i": [1, 2, ]}': (29, {"a": "bcdefgh", "i": [1, 2]}, b'{"a": "bcdefgh", "i": [1, 2]}'),
    b"{ x: 1 }": (2, None, b""),
    b"[1e999]": (0, None, b""),
    b'["\xed\xa0\x80"]': (0, None, b""),
    b"[" * 120 + b"1, ": (123, None, b""),
    b"[" * 5000: (5000, None, b""),
}


@each("text", READ)
def test_a_text_is_read_as_far_as_it_is_json(text: bytes) -> None:
    assert prefix(memoryview(text), True)[:3] == READ[text]


def test_lines_are_read_one_by_one_in_the_midst_of_a_text() -> None:
    assert prefix(memoryview(b"[1]\n[2]"), False)[:2] == (4, [1])


@each(
    "unit", [b'{"name":"a","value":"b"},', b'{"a":', b'{"a":1}\n', b"[", b'{"a":"b", ', b'"', b"[1],[2] x "]
)
def test_the_cost_grows_no_faster_than_the_text(unit: bytes) -> None:
    once, grown = (prefix(memoryview(b"[" * 8 + unit * many), True).cost for many in (1_000, 8_000))
    assert grown <= 9 * once


def test_of_lists_that_are_too_deep_for_several_the_first_is_read() -> None:
    text = b"[" * 300 + b"]" * 300
    assert prefix(memoryview(text + b", x"), True).data == text


def test_to_cut_json_takes_little_more_memory_than_to_decode_it() -> None:
    text = b'[{"name":"password","value":"x1"},' * 2 + b'{"name":"password","value":"x1"},' * 8_000
    took = []
    for made in (b"[" + text[:-1] + b"]]]", text):
        tracemalloc.start()
        assert prefix(memoryview(made), True).value is not None
        took.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert took[1] < 1.6 * took[0]
