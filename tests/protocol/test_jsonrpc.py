"""One message in, read in exactly one way or refused."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.core.errors import MessageError
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.jsonrpc import MAX_DEPTH, MAX_ID, MOST_VALUES, encode, parse, parse_strict
from tests.rows import each


def call(args: str) -> bytes:
    head = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":'
    return f"{head}{args}}}}}".encode()


def code_of(line: bytes) -> int:
    with pytest.raises(MessageError) as refused:
        parse_strict(line)
    return refused.value.code


@each(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"method":"ping","jsonrpc":"2.0","id":"a"}',
        b' { "jsonrpc" : "2.0", "id" : 1, "method" : "x", "params" : { "a" : [1, 2.50, "\\u00e9"] } }\r',
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}',
    ],
)
def test_well_formed_messages_are_read_as_they_are(line: bytes) -> None:
    assert parse_strict(line) == json.loads(line)


@each(
    "args",
    [
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '{"x":{"y":[{"a":1,"a":1}]}}',
        '{ "a" : 1, "b" : 2, "a" : 3 }',
        '{"a":":","a":""}',
        '{"\\u003a":1,":":2}',
        '{"\\\\u003a":"\\u003A","\\\\u003a":":"}',
    ],
)
def test_the_same_key_twice_is_refused_at_any_depth_and_in_any_spelling(args: str) -> None:
    assert code_of(call(args)) == -32600


def test_the_same_key_twice_in_the_message_itself_is_refused() -> None:
    assert code_of(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}') == -32600
    assert code_of(b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}') == -32600


@each(
    "line",
    [
        b"not json",
        b"",
        call('{"a":NaN}'),
        call('{"a":Infinity}'),
        call('{"a":"\\ud800"}'),
        b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":1,"method":"ping"} trailing',
    ],
)
def test_what_is_not_json_in_utf8_is_a_parse_error(line: bytes) -> None:
    assert code_of(line) == jsonrpc.PARSE_ERROR


@each(
    "message",
    [
        [],
        [{"jsonrpc": "2.0", "id": 1, "method": "ping"}],
        1,
        None,
        "x",
        {"id": 1, "method": "ping"},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": True, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1.0, "method": "ping"},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": [1], "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": 5},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": 1, "error": {}},
        {"jsonrpc": "2.0", "result": 1},
    ],
)
def test_what_is_no_message_is_an_invalid_request(message: Any) -> None:
    assert code_of(encode(message)) == jsonrpc.INVALID_REQUEST


def test_params_must_be_an_object() -> None:
    assert code_of(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}') == jsonrpc.INVALID_PARAMS


def test_a_refusal_carries_the_id_where_it_could_be_read() -> None:
    with pytest.raises(MessageError) as refused:
        parse_strict(call('{"a":1,"a":2}'))
    assert refused.value.request_id == 1
    with pytest.raises(MessageError) as refused:
        parse_strict(b"nonsense")
    assert refused.value.request_id is None


def id_in(line: bytes, asking: bool) -> int | str | None:
    with pytest.raises(MessageError) as refused:
        parse(line, asking)
    assert refused.value.code == jsonrpc.PARSE_ERROR
    return refused.value.request_id


BROKEN = [b"NaN", b"1e999", b'"\\ud83d"', b'"\xff"', b'{"id":9,"method":NaN}', b"[-Infinity]"]


@each("value", BROKEN)
@each("own", [b"7", b'"seven"'])
def test_what_is_broken_only_within_still_says_which_request_it_is_or_answers(
    value: bytes, own: bytes
) -> None:
    request = b'{"jsonrpc":"2.0","id":%b,"method":"tools/call","params":{"a":%b}}' % (own, value)
    answer = b'{"jsonrpc":"2.0","result":{"id":8,"a":%b},"id":%b}' % (value, own)
    assert id_in(request, asking=True) == id_in(answer, asking=False) == json.loads(own)
    # Whose id is it? A request of an upstream and an answer of a client have ids of another table.
    assert id_in(request, asking=False) is id_in(answer, asking=True) is None


@each(
    "line",
    [
        b'[NaN,{"id":1,"method":"ping"}]',
        b'{"jsonrpc":"2.0","method":"ping","params":NaN}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping","params":NaN}',
        b'{"jsonrpc":"2.0","id":"\xff","method":"ping"}',
        b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
        b'{"jsonrpc":"2.0","id":%b,"method":"ping","params":NaN}' % (b"9" * 5000),
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 100_000,
    ],
)
def test_an_id_that_cannot_be_read_for_sure_is_none(line: bytes) -> None:
    assert id_in(line, asking=True) is None


@pytest.mark.parametrize("tail", [b"", b"{", b"[" * 100_000])
def test_the_id_of_an_answer_that_is_no_json_is_found_at_its_beginning(tail: bytes) -> None:
    assert id_in(b'{"jsonrpc":"2.0","id":3,"result":' + tail, asking=False) == 3


@pytest.mark.parametrize(
    "line", [b'debug: {"id":3,', b'{"jsonrpc":"2.0","method":"notifications/message","params":{"id":3,', b"{"]
)
def test_what_is_no_json_and_no_answer_has_no_id(line: bytes) -> None:
    assert id_in(line, asking=False) is None


def test_an_id_that_is_too_long_is_refused_and_never_repeated() -> None:
    longest = b"a" * MAX_ID
    assert parse_strict(b'{"jsonrpc":"2.0","id":"%b","method":"ping"}' % longest)["id"] == longest.decode()
    for line in (
        b'{"jsonrpc":"2.0","id":"%ba","method":"ping"}',
        b'{"jsonrpc":"1.0","id":"%ba","method":"ping"}',
        b'{"id":"%ba"}',
    ):
        with pytest.raises(MessageError) as refused:
            parse_strict(line % longest)
        assert (refused.value.code, refused.value.request_id) == (-32600, None)
    # That of an upstream goes back to it alone.
    assert parse(b'{"jsonrpc":"2.0","id":"%ba","method":"ping"}' % longest)


def test_nesting_is_bounded_for_clients_in_objects_and_in_lists() -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        inside = MAX_DEPTH - 2  # The message and its params are two levels.
        assert parse_strict(call(opening * inside + "1" + closing * inside))
        assert code_of(call(opening * (inside + 1) + "1" + closing * (inside + 1))) == -32600
        assert code_of(call(opening * 400 + "1" + closing * 400)) == -32600


def test_many_brackets_that_are_not_deep_are_fine() -> None:
    assert parse_strict(call("[" + ",".join(["{}"] * 1000) + "]"))
    assert parse_strict(call('"' + "[{" * 1000 + '"'))


def test_huge_numbers_keep_their_value() -> None:
    assert parse_strict(call(str(2**70)))["params"]["arguments"] == 2**70
    assert parse_strict(call(" " + str(2**70)))["params"]["arguments"] == 2**70


def test_an_upstream_may_repeat_a_key_since_only_what_was_read_goes_on() -> None:
    assert parse(b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}')["result"] == {"a": 2}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


COLONS = st.lists(
    st.sampled_from([":", "\\u003a", "\\u003A", "\\\\", "\\\\u003a", "u003a", "\\u003b", '\\"', "a", " "]),
    max_size=3,
).map(lambda parts: '"' + "".join(parts) + '"')


def as_list(items: list[str]) -> str:
    return "[ " + " ,".join(items) + "]"


def pairs(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects as text, whose keys may stand twice."""
    pair = st.tuples(COLONS, inner).map(lambda both: both[0] + " : " + both[1])
    return st.lists(pair, max_size=3).map(lambda found: "{" + ", ".join(found) + "}")


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_every_spelling_of_a_message_is_read_like_any_json_reader_would(
    value: Any, indent: Any, ascii_: bool
) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": {"v": value}}
    line = json.dumps(message, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    assert parse_strict(line.replace(b"\n", b" ")) == message


@given(
    st.recursive(st.just("1") | COLONS, lambda inner: st.lists(inner, max_size=3).map(as_list) | pairs(inner))
)
def test_a_key_that_stands_twice_is_found_exactly_where_another_reader_finds_it(args: str) -> None:
    twice = False

    def unique(found: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice = twice or len(dict(found)) != len(found)

    json.loads(call(args), object_pairs_hook=unique)
    if twice:
        assert code_of(call(args)) == -32600
    else:
        assert parse_strict(call(args))


def test_no_second_and_slower_reader_looks_for_keys_that_stand_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", None)
    assert parse_strict(call(' {"a":1}'))
    assert code_of(call(' {"a":1,"a":2}')) == -32600


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(line: bytes) -> None:
    try:
        assert type(parse_strict(line)) is dict
    except MessageError:
        pass


def test_lines_around_a_payload_are_valid_messages() -> None:
    assert json.loads(b"".join(jsonrpc.result_line("a", b'{"x":1}'))) == {
        "jsonrpc": "2.0",
        "id": "a",
        "result": {"x": 1},
    }
    big = encode("x" * 100_000)
    assert json.loads(b"".join(jsonrpc.result_line(1, big)))["result"] == "x" * 100_000
    assert json.loads(jsonrpc.error_line(None, b"{}")) == {"jsonrpc": "2.0", "id": None, "error": {}}
    assert json.loads(jsonrpc.notification_line("m", b"{}")) == {
        "jsonrpc": "2.0",
        "method": "m",
        "params": {},
    }
    assert json.loads(jsonrpc.question_line(3, "m", b"{}"))["id"] == 3


def test_a_deep_message_in_a_loose_spelling_is_refused_for_its_depth() -> None:
    assert code_of(call(" " + "[" * 500 + "]" * 500)) == -32600


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"content":[', 7),
        (b'{"id" : 12 , "result"', 12),
        (b'{"result":"', None),
        (b'{"id":"7","result"', None),
    ],
)
def test_the_id_of_a_dropped_message_is_read_from_its_head(head: bytes, found: int | None) -> None:
    assert jsonrpc.id_of_dropped(head, b"") == found


def test_a_question_is_one_line_around_params_that_are_serialised_already() -> None:
    line = jsonrpc.question_line("mcpguard-1", "roots/list", b'{"a":1}')
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "jsonrpc": "2.0",
        "id": "mcpguard-1",
        "method": "roots/list",
        "params": {"a": 1},
    }


def test_the_code_of_our_refusals_is_none_that_the_protocol_reserves() -> None:
    assert not -32768 <= jsonrpc.REFUSED <= -32000


PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


def test_a_batch_is_refused_unless_it_is_taken_apart() -> None:
    text = b" [ " + PING + b' , {"jsonrpc":"2.0","id":2,"id":3,"method":"ping"}, [' + PING + b"]]"
    for read in (parse, parse_strict):
        with pytest.raises(jsonrpc.Batch) as refused:
            read(text)
        assert refused.value.code == -32600
    first, second, third = jsonrpc.take_apart(refused.value)
    assert first == {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert isinstance(second, MessageError)
    assert isinstance(third, jsonrpc.Batch)


@pytest.mark.parametrize(("count", "taken"), [(0, False), (1, True), (100, True), (101, False)])
def test_a_batch_has_one_to_a_hundred_messages(count: int, taken: bool) -> None:
    found = jsonrpc.take_apart(jsonrpc.Batch(b"[" + b",".join([PING] * count) + b"]"))
    assert (len(found) == count) is taken
    assert isinstance(found[0], MessageError) is not taken


def answer(result: str, id_last: bool = False) -> bytes:
    if id_last:
        return f'{{"jsonrpc":"2.0","result":{result},"id":7}}'.encode()
    return f'{{"jsonrpc":"2.0","id":7,"result":{result}}}'.encode()


@each(
    "result",
    [
        '{"a":"' + "b,[{:" * 400_000 + '"}',
        '{"a":"' + r"\",\\" * 300_000 + '"}',
        "[" + "1," * 500_000 + "1]",
        "[" + '"a",' * 100_000 + "1]",
        '{"rows":[' + '{"id":1,"name":"x"},' * 50_000 + "{}]}",
    ],
)
@each("collects", [True, False])
def test_a_large_message_is_read_and_garbage_is_collected_as_before(result: str, collects: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        assert parse(answer(result))["result"] == json.loads(result)
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


@each("id_last", [True, False])
@each(
    "result",
    [
        "[" + "1," * MOST_VALUES + "1]",
        "[" + "[]," * (MOST_VALUES // 5) + "1]",
        "[" + '"a,b",' * 700_000 + "1]",
        "{" + ",".join(f'"{i}":1' for i in range(MOST_VALUES // 5)) + "}",
        "{" + ",".join(f'"{i}":1' for i in range(MOST_VALUES // 4 + 2)) + "}",
    ],
)
def test_a_message_with_too_many_values_is_refused_with_its_id(result: str, id_last: bool) -> None:
    with pytest.raises(MessageError, match="message has too many values") as refused:
        parse(answer(result, id_last))
    assert refused.value.request_id == 7
    asked = f'{{"jsonrpc":"2.0","id":7,"method":"x","params":{{"a":{result}}}}}'.encode()
    with pytest.raises(MessageError, match="message has too many values") as refused:
        parse_strict(asked)
    assert refused.value.request_id == 7


def test_a_large_answer_that_is_no_json_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(MessageError) as refused:
        parse(answer("[NaN," + "1," * 200_000 + "1]"))
    assert refused.value.request_id == 7


@each(
    ("line", "flaw"),
    [
        (b'{"a":NaN}', ": it has NaN, which JSON does not have"),
        (b'{"a":"\\uD83D\\uDE00\\uD83D"}', ": it has half of a surrogate pair (\\uD83D)"),
        (b'{"a":"\\uDE00"}', ": it has half of a surrogate pair (\\uDE00)"),
        (b'{"a":"\xe9"}', ": byte 7 is not UTF-8"),
        (b'{"a":1', ": it is truncated or invalid at character 7"),
        (b'{"a":1e999}', ""),
        (b'{"a":NaN,"b":"' + b"x" * 300_000 + b'"}', ""),
        (b'{"a":"\xff","b":' + b"[" * 1000, ": byte 7 is not UTF-8"),
    ],
)
def test_what_is_not_json_is_refused_with_what_is_wrong_with_it(line: bytes, flaw: str) -> None:
    with pytest.raises(MessageError) as raised:
        parse(line)
    assert str(raised.value) == f"message is not valid JSON in UTF-8{flaw}"
