"""Events out of a byte stream, however it is cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcpguard.adapters.upstreams.wires.event_stream import Event, EventStream
from mcpguard.protocol.jsonrpc import HEAD, Oversize, id_of_dropped
from tests.rows import each


def events_of(stream: bytes, limit: int = 1000, step: int | None = None) -> list[Any]:
    parser = EventStream(limit)
    return [
        e
        for at in range(0, len(stream), step or len(stream))
        for e in parser.feed(stream[at : at + (step or len(stream))])
    ]


def data_of(stream: bytes) -> list[bytes]:
    return [event.data for event in events_of(stream)]


def test_an_event_ends_at_an_empty_line_and_its_lines_of_data_are_joined() -> None:
    assert data_of(b"data: one\n\ndata: two\ndata: more\n\ndata: cut off\n") == [b"one", b"two\nmore"]


def test_every_kind_of_line_end_counts_even_when_it_is_cut_in_two() -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        assert data_of(b"data: a" + end + b"data: b" + end + end) == [b"a\nb"]
    parser = EventStream(100)
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"") == []
    assert parser.feed(b"\n\r") == [Event("message", b"a")]
    assert parser.feed(b"\ndata: b\n\n") == [Event("message", b"b")]


def test_a_byte_order_mark_and_comments_are_no_data() -> None:
    assert data_of(b"\xef\xbb\xbfdata: a\n\n: keep-alive\n\n:\r\ndata: b\n\n") == [b"a", b"b"]
    assert events_of(b"\xef\xbb\xbfdata: a\n\n", step=1) == [Event("message", b"a")]


def test_only_one_space_after_the_colon_is_no_data_and_the_colon_may_be_missing() -> None:
    assert data_of(b"data:  a \ndata:b\ndata\n\n") == [b" a \nb\n"]


def test_an_event_without_data_vanishes_but_its_id_counts() -> None:
    parser = EventStream(100)
    assert parser.feed(b"id: 7\ndata:\n\nid: 8\n\nevent: x\n\n") == []
    assert parser.last_id == "8"


def test_an_event_has_the_type_that_it_names() -> None:
    assert events_of(b"event: endpoint\ndata: /x\n\ndata: y\n\n") == [
        Event("endpoint", b"/x"),
        Event("message", b"y"),
    ]


def test_an_id_counts_once_its_event_is_whole_and_survives_a_restart() -> None:
    parser = EventStream(100)
    parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert parser.last_id == "1"
    parser.restart()
    assert parser.feed(b"data: c\n\n") == [Event("message", b"c")]
    assert parser.last_id == "1"


def test_an_id_that_no_header_can_carry_is_not_kept() -> None:
    for bad in (b"a\tb", "ü".encode(), b"x" * 2000):
        parser = EventStream(10_000)
        parser.feed(b"id: 1\n\nid: " + bad + b"\ndata: a\n\n")
        assert parser.last_id == ""
    parser = EventStream(100)
    parser.feed(b"id: 1\n\nid: a\0b\n\n")
    assert parser.last_id == "1"


def test_the_pause_that_a_stream_asks_for_is_a_number_of_milliseconds() -> None:
    parser = EventStream(100)
    parser.feed(b"retry: soon\nretry: -1\nretry: 99999999999\n\n")
    assert parser.retry_ms is None
    parser.feed(b"retry: 250\n\n")
    assert parser.retry_ms == 250


def test_data_of_exactly_the_limit_passes_and_one_byte_more_is_dropped() -> None:
    for step in (1, 7, 1000):
        assert events_of(b"data: " + b"x" * 20 + b"\n\n", 20, step) == [Event("message", b"x" * 20)]
        (dropped, after) = events_of(b"data: " + b"x" * 21 + b"\n\ndata: a\n\n", 20, step)
        assert isinstance(dropped, Oversize)
        assert after == Event("message", b"a")


def test_many_small_lines_are_limited_together() -> None:
    (dropped, after) = events_of(b"data: abc\n" * 10 + b"\ndata: a\n\n", 20)
    assert isinstance(dropped, Oversize)
    assert after == Event("message", b"a")


def test_the_id_of_a_dropped_message_can_be_read_from_what_is_left() -> None:
    text = b"y" * 5000
    head_first = b'{"jsonrpc":"2.0","id":41,"result":{"text":"' + text + b'"}}'
    id_last = b'{"jsonrpc":"2.0","result":{"text":"' + text + b'"},"id":42}'
    for step in (13, 100_000):
        stream = b"data: " + head_first + b"\nid: 5\n\ndata: " + id_last + b"\nid: 6\n\n"
        one, two = events_of(stream, 1000, step)
        assert id_of_dropped(one.head, one.tail) == 41
        assert id_of_dropped(two.head, two.tail) == 42
        assert len(one.head) <= HEAD
        assert len(two.tail) <= HEAD


def test_no_more_than_the_limit_is_kept() -> None:
    parser = EventStream(1000)
    for _ in range(1000):
        assert parser.feed(b"x" * 1000) == []
    assert sum(map(len, parser._line)) + sum(map(len, parser._data)) == 0


PIECES = st.sampled_from([b"data: ", b"data", b":", b" ", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"id: 3", b"event: x", b"{}", b"retry: 5", b"long" * 9])  # fmt: skip


@given(st.lists(PIECES, min_size=1), st.integers(1, 9))
def test_any_cut_gives_the_same_events(pieces: list[bytes], step: int) -> None:
    stream = b"".join(pieces)
    whole, cut = events_of(stream, 40), events_of(stream, 40, step)
    assert [type(event) for event in whole] == [type(event) for event in cut]
    assert [e for e in whole if isinstance(e, Event)] == [e for e in cut if isinstance(e, Event)]


@each(
    ("asked", "vain", "pause"),
    [
        (b"", 0, 0.5),
        (b"", 2, 2.0),
        (b"", 50, 16.0),
        (b"0", 0, 0.5),
        (b"1", 3, 4.0),
        (b"700", 0, 0.7),
        (b"999999999", 0, 60.0),
    ],
)
def test_a_stream_may_ask_for_a_longer_pause_than_ours_within_bounds(
    asked: bytes, vain: int, pause: float
) -> None:
    parser = EventStream(1000)
    parser.feed(b"retry: " + asked + b"\n\n")
    assert parser.pause(0.5, vain) == pause
