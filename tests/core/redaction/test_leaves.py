"""The orders in which the leaves of a value are read, and what is said about where something was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Detection, Json
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.leaves import EDGE, Leaves, edges, padded
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.removal.rebuilding import LONGEST_PATH, MOST_PATHS, pointer
from mcpguard.core.secret import Secret
from tests.rows import each

HELD = "tok-9f3Kq7Zx1Lm5Wb8e"
KIND = "credential:env:A"
HALF, REST = HELD[:9], HELD[9:]
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "1", "type"]), below, max_size=4)
    ),
)


def redactor() -> Redactor:
    made = Redactor(b"key")
    made.hold("env:A", Secret(HELD))
    return made


@each(
    "value",
    [
        [{"a": "x", "b": HALF}, {"c": REST, "a": "y"}],
        {"rows": [{"left": HALF, "n": 5}, {"right": REST}, {"left": "x"}]},
        [{"note": "x"}, {"text": HALF}, {"name": REST}, {"text": "y"}],
        {"content": [{"type": "text", "text": HALF}], "_meta": {"note": REST}},
        [{"type": "text", "text": HALF}, {"type": "resource_link", "name": REST}, {"text": "x"}],
        [{"tok-9f3Kq": "x"}, {"tok-9f3Kq": "7Zx1Lm5Wb8e"}],
        [{"a1": "x" * 9000}, {"tok-9f3Kq": "y"}, {"tok-9f3Kq": "7Zx1Lm5Wb8e"}],
        [{"a": "x", "b": "x" * 9000 + HALF}, {"c": REST + "y" * 9000, "a": "y"}],
    ],
)
def test_what_stands_side_by_side_in_a_value_is_read_together(value: Json) -> None:
    inspected = redactor().inspect(value)
    assert {finding.kind for finding in inspected.findings} == {KIND}
    assert HALF not in str(inspected.value) or REST not in str(inspected.value)
    again = redactor().inspect(inspected.value)
    assert again.value is inspected.value


def test_what_does_not_stand_side_by_side_is_left_alone() -> None:
    value = [{"a": HALF}, {"b": "and"}, {"a": "x", "b": REST[:3]}]
    assert redactor().inspect(value).value is value


def test_a_text_that_only_says_of_what_type_a_block_is_stands_between_nothing() -> None:
    leaves = Leaves([{"type": "a", "text": "b"}, {"type": "c", "name": "d"}, {"text": "e"}])
    parts = leaves.parts()
    _, as_they_stand = leaves.orders()
    assert as_they_stand.indices is not None
    assert [parts[index] for index in as_they_stand.indices] == ["b", "d", "e"] == leaves.document


@settings(deadline=None)
@given(VALUE)
def test_each_order_has_each_text_once(value: Json) -> None:
    leaves = Leaves(value)
    parts = leaves.parts()
    whole, *others = leaves.orders()
    assert whole.arranged(parts) == parts
    for order in others:
        assert order.indices is not None
        texts = [index for index in order.indices if index < leaves.numbered().start]
        assert len(texts) == len(set(texts))
        assert [order.part(place) for place in range(len(order.indices))] == list(order.indices)
    if leaves.reordered():
        assert others[0].arranged(parts) == leaves.document
    named = leaves.named()
    assert named.indices is not None
    assert leaves.named_text() == edges(named.arranged(parts))
    assert leaves.text() == (padded(parts), len(parts))
    assert set(range(leaves.numbered().stop)) <= set(named.indices)


def test_of_long_texts_the_edges_are_read_for_what_is_cut_up() -> None:
    assert edges([]) == PAD
    assert edges(["a", "b"]) == padded(["a", "b"])
    long = "b" * EDGE + "middle" + "c" * EDGE
    assert edges(["a", long, "d"]) == b"a\x1f" + b"b" * EDGE + b"\xff" + b"c" * EDGE + b"\x1fd" + PAD


def test_a_long_path_ends_at_what_is_around_it() -> None:
    assert pointer(None) == ""
    assert pointer(((None, "a/~"), 0)) == "/a~1~0/0"
    assert pointer(((None, "a"), "n" * LONGEST_PATH)) == "/a"
    assert pointer(((None, "a"), "/" * (LONGEST_PATH - 3))) == "/a"
    assert pointer((None, "n" * (LONGEST_PATH - 1))) == "/" + "n" * (LONGEST_PATH - 1)


def test_of_many_findings_the_first_say_where() -> None:
    findings = redactor().inspect([HELD + " x"] * (MOST_PATHS + 50)).findings
    assert findings[:MOST_PATHS] == tuple(Detection(KIND, f"/{i}") for i in range(MOST_PATHS))
    assert findings[MOST_PATHS:] == (Detection(KIND, ""),)


def test_names_that_become_one_stay_apart() -> None:
    placeholder = f"[REDACTED:{KIND}#1]"
    value = {HELD: 0, HELD.upper(): 1, f"{placeholder}(2)": 2, HELD.replace("-", "_"): 3}
    assert redactor().inspect(value).value == {
        placeholder.replace("#1", "#2"): 0,
        placeholder.replace("#1", "#2") + "(2)": 1,
        f"{placeholder}(2)": 2,
        placeholder.replace("#1", "#2") + "(3)": 3,
    }


def test_a_path_that_says_something_is_left_out() -> None:
    made = redactor()
    made.hold("env:B", Secret("correct-horse-battery"))
    value = {"battery": HELD, "correct-horse": {"battery": HELD, "x": HELD}}
    findings = made.inspect(value).findings
    assert findings == (Detection(KIND, "/battery"), Detection(KIND, ""), Detection(KIND, "/correct-horse/x"))


def test_paths_that_cannot_be_searched_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = redactor()

    def found(*_given: object) -> bool:
        raise InspectionError("too much")

    assert made._sealed([Detection(KIND, "/a")]) == (Detection(KIND, "/a"),)
    monkeypatch.setattr(made, "_found", found)
    assert made._sealed([Detection(KIND, "/a"), Detection(KIND, "/b")]) == (Detection(KIND, ""),)


@each(
    "value",
    [
        [840193000 + number for number in range(3_000)],
        ["a", "b"] * 2_500,
        [1, "a", 1.5] * 1_000,
        {f"name{number}": number for number in range(5_000)},
        {f"name{number}": f"{number}" for number in range(5_000)},
        {f"name{number}": number if number % 2 else f"{number}" for number in range(3_000)},
        {f"name{number}": [number, None, True] for number in range(3_000)},
        ["a", {f"name{number}": number for number in range(3_000)}],
    ],
)
def test_many_leaves_are_gathered_as_few_are(value: Json) -> None:
    leaves = Leaves(value)
    parts = leaves.parts()
    assert leaves.text() == (padded(parts), len(parts))
    assert leaves.named_text() == edges(leaves.named().arranged(parts))
    assert sorted(parts) == sorted(map(str, [*leaves.document, *leaves.numbers, *leaves.columns]))


def test_a_name_of_a_number_counts_as_soon_as_it_has_members_below_it() -> None:
    assert Leaves({"r": [{"a": 1}]}).naming() == ["r"]
    assert sorted(Leaves({"r": [{"a": 1}, {"a": {"b": "x"}}]}).naming()) == ["a", "b", "r"]
