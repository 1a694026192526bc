"""Lines out of a stream, however it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mcpguard.protocol.jsonrpc import HEAD, Framer, Oversize


def test_lines_are_whole_however_the_stream_is_cut() -> None:
    framer = Framer(100)
    assert framer.feed(b"on") == []
    assert framer.feed(b"e\ntwo\n\nth") == [b"one", b"two"]
    assert framer.feed(b"ree\r\n") == [b"three"]
    assert framer.feed(b"four\r\n") == [b"four"]
    assert framer.finish() == []


def test_what_stands_at_the_end_without_a_newline_is_the_last_line() -> None:
    framer = Framer(100)
    framer.feed(b"last")
    assert framer.finish() == [b"last"]
    assert framer.finish() == []


def test_a_line_over_the_limit_is_dropped_but_its_head_and_the_next_is_right() -> None:
    framer = Framer(10)
    assert framer.feed(b"x" * 8) == []
    assert framer.feed(b"y" * 8) == []
    assert framer.feed(b"z" * 1000) == []
    assert framer.feed(b"\nnext\n") == [Oversize(b"x" * 8 + b"y" * 8, b"z" * 512), b"next"]
    assert framer.feed(b"a" * 11 + b"\n") == [Oversize(b"a" * 11, b"a" * 11)]
    framer.feed(b"b" * 5000)
    (dropped,) = framer.finish()
    assert isinstance(dropped, Oversize)
    assert len(dropped.head) == HEAD


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.integers(1, 50))
def test_any_cut_gives_the_same_lines(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    framer = Framer(1000)
    got = [line for at in range(0, len(stream), step) for line in framer.feed(stream[at : at + step])]
    whole = Framer(1000).feed(stream)
    assert [bytes(line).strip() for line in got if isinstance(line, bytes)] == [
        bytes(line).strip() for line in whole if isinstance(line, bytes)
    ]
