"""A question is answered alike with what the index knows of texts, and without."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json, structs

from mcpguard.adapters.audit.index import AuditIndex
from mcpguard.adapters.audit.passages import LONGEST, Passage, bits_of, unpacked
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.authoring.asking.matching import _Search, found
from mcpguard.authoring.asking.question import CallQuestion
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import GENESIS, Chain
from mcpguard.core.evidence.records import Decided, Outcome, Record
from tests.adapters.audit.audit_records import CLOSED, NOW, OPENED, ROTATED
from tests.authoring.asking.asked_conditions import ARGUMENTS, CONDITIONS, TEXTS, WITH_TIMES
from tests.cli.audit.test_story import CALL, DONE

INDEXING = "mcpguard.adapters.audit.indexing"
MATCHING = "mcpguard.authoring.asking.matching"


@contextmanager
def by_texts(whole: int = 1) -> Iterator[pytest.MonkeyPatch]:
    """Passages of a few calls; all but the newest calls are found by the texts that they need."""
    with pytest.MonkeyPatch.context() as patched, TemporaryDirectory() as state:
        patched.setenv("XDG_STATE_HOME", state)
        patched.setattr(f"{INDEXING}.LONGEST", 2_000)
        patched.setattr(f"{MATCHING}.READ_FOR_A_CALL", LONGEST)
        patched.setattr(f"{MATCHING}.WHOLE", whole)
        yield patched


def call(number: int, seconds: int = 0, **changes: Any) -> Decided:
    at = NOW + timedelta(seconds=seconds or number)
    return structs.replace(CALL, **({"id": f"n-{number}", "at": at} | changes))


def end(number: int, **changes: Any) -> Outcome:
    return structs.replace(DONE, **({"id": f"n-{number}", "findings": {}} | changes))


def chain(folder: Path, *records: Record) -> AuditFile:
    sink = AuditFile(folder)
    add(sink, OPENED, *records)
    return sink


def add(sink: AuditFile, *records: Record) -> None:
    for record in records:
        sink.write(record)
    sink.commit()


def ids(folder: Path, text: str) -> list[str]:
    with closing(AuditIndex(folder)) as index:
        return [one.decision.id for one in found(index, CallQuestion(text))]


EFFECTS = {"allow": "allow", "open": "allow", "asked": "allow", "deny": "deny"}
CALLS = st.lists(
    st.tuples(
        ARGUMENTS,
        st.sampled_from(TEXTS),
        st.sampled_from(TEXTS),
        st.sampled_from([*EFFECTS, "ask"]),
        st.integers(0, 9) | st.sampled_from([-1, 899, 905, 3605, 61_200, 86_400 * 31]),
        st.booleans(),
    ),
    min_size=3,
    max_size=9,
)


@settings(max_examples=settings.default.max_examples // 2)
@given(calls=CALLS, texts=st.lists(CONDITIONS | WITH_TIMES, min_size=4, max_size=4), between=st.booleans())
def test_the_answer_is_the_same_with_and_without_the_index_of_texts(
    calls: list[tuple[dict[str, Any], str, str, str, int, bool]], texts: list[str], between: bool
) -> None:
    with TemporaryDirectory() as name, by_texts() as patched:
        folder = Path(name)
        sinks = [chain(folder), chain(folder)]
        late = []
        for number, (arguments, subject, said, what, seconds, other) in enumerate(calls):
            changes = {"arguments": arguments, "subject": subject}
            if what in ("ask", "asked"):
                add(sinks[other], call(number, seconds, effect="ask", **changes))
            if what != "ask":
                add(sinks[other], call(number, seconds, effect=EFFECTS[what], **changes))
            sizes = {"ms": abs(seconds) / 2, "sent": abs(seconds), "received": number}
            if what in ("allow", "asked"):
                late.append((sinks[number % 3 == 0], end(number, error=said, message=subject, **sizes)))
        if between:
            ids(folder, "")
        for sink, outcome in late:
            add(sink, outcome)
        for sink in sinks:
            sink.close(CLOSED)
        with closing(AuditIndex(folder)) as index:
            answers = []
            for whole in (1, 1_000):
                patched.setattr(f"{MATCHING}.WHOLE", whole)
                answers.append([answer(index, text) for text in texts])
            patched.setattr(CallQuestion, "_narrowed", lambda *_: False)
            patched.setattr(CallQuestion, "decide_times", lambda *_: None)
            answers.append([answer(index, text) for text in texts])
        assert answers[0] == answers[1] == answers[2]


def test_sizes_are_decided_by_the_index(tmp_path: Path) -> None:
    sizes = [(0, 0), (5, 200_000), (7, 100_000), (200_000, 1)]
    records = [(call(n), end(n, sent=sent, received=got)) for n, (sent, got) in enumerate(sizes)]
    chain(tmp_path, *(one for pair in records for one in pair), call(9)).close(CLOSED)
    assert ids(tmp_path, "received > 100000") == ["n-1"]
    assert ids(tmp_path, "received >= 100000 && sent < 7 && ms > 1") == ["n-1"]
    assert ids(tmp_path, "received == 0") == ["n-9", "n-0"]
    assert ids(tmp_path, "sent != 0 && received <= 1") == ["n-3"]
    assert ids(tmp_path, "sent > received") == ["n-3"]


@given(rows=st.lists(ARGUMENTS, min_size=4, max_size=12), text=CONDITIONS)
def test_what_is_left_out_together_would_be_left_out_alone(rows: list[dict[str, Any]], text: str) -> None:
    try:
        question = CallQuestion(text)
    except AuditError:
        return
    made = Chain()
    lines = [(n, made.seal(call(n, arguments=one))[:-1]) for n, one in enumerate(rows)]
    together = list(question.call_filter().left(lines))
    each = [one for line in lines for one in question.call_filter().left([line])]
    assert together == each


def answer(index: AuditIndex, text: str) -> list[str] | None:
    try:
        return [one.decision.id for one in found(index, CallQuestion(text))]
    except AuditError:  # It is no condition.
        return None


def test_passages_that_cannot_have_a_text_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with by_texts():
        sink = chain(tmp_path, *(call(n, arguments={"path": f"/srv/{n:03}"}) for n in range(50)))
        sink.close(CLOSED)
        read = []
        with closing(AuditIndex(tmp_path)) as index:
            spans = index.spans
            monkeypatch.setattr(index, "spans", lambda *asked: read.extend(spans(*asked)) or read)
            question = CallQuestion('args.path in ["/srv/017", "/srv/031"]')
            assert [one.decision.id for one in found(index, question)] == ["n-31", "n-17"]
            assert len(index.spans(lambda _: True, 0, 1 << 62)) > 12
        assert sum(one.size for one in read[:2]) < sink.path.stat().st_size / 4


def test_what_a_call_ends_with_is_found_wherever_its_end_stands(tmp_path: Path) -> None:
    with by_texts():
        sink = chain(tmp_path, call(1))
        assert ids(tmp_path, 'error == "refused"') == []
        add(sink, *(call(n) for n in range(2, 20)), end(1, error="refused"))
        sink.close(ROTATED)
        other = AuditFile(tmp_path)
        add(other, structs.replace(OPENED, continues=sink.path.name))
        add(other, end(2, error="refused"), end(18, message="refused, too"))
        assert ids(tmp_path, 'error == "refused"') == ["n-2", "n-1"]
        assert ids(tmp_path, 'message.startsWith("refused")') == ["n-18"]
        other.close(CLOSED)


def test_a_call_that_a_person_approved_is_found_once_by_its_arguments(tmp_path: Path) -> None:
    with by_texts():
        wanted = {"arguments": {"q": "push"}}
        sink = chain(tmp_path, call(1, effect="ask", **wanted), call(1, 2, **wanted), end(1))
        add(sink, call(3, effect="ask", **wanted), *(call(n) for n in range(4, 20)))
        assert ids(tmp_path, 'args.q == "push"') == ["n-3", "n-1"]
        sink.close(CLOSED)


def test_calls_of_one_moment_have_the_same_order_in_all_answers(tmp_path: Path) -> None:
    with by_texts() as patched:
        one = chain(tmp_path, *(call(n, 5, arguments={"q": "push"}) for n in (1, 2, 3)))
        two = chain(tmp_path, *(call(n, 5, arguments={"q": "push"}, server=f"s{n}") for n in (4, 5)))
        narrowed = ids(tmp_path, 'args.q == "push"')
        patched.setattr(f"{MATCHING}.WHOLE", 1_000)
        assert narrowed == ids(tmp_path, 'args.q == "push"') == ids(tmp_path, "")
        one.close(CLOSED)
        two.close(CLOSED)


AHEAD = 3 * 3600


def test_after_a_clock_that_was_ahead_the_last_calls_come_first(tmp_path: Path) -> None:
    with by_texts():
        sink = chain(tmp_path, call(1), call(2, AHEAD), call(3, AHEAD + 60))
        assert ids(tmp_path, "") == ["n-3", "n-2", "n-1"]
        add(sink, call(4, 100), call(5, 200))
        other = chain(tmp_path, call(7, 50), call(6, 150))
        for _ in range(2):
            assert ids(tmp_path, "") == ["n-5", "n-6", "n-4", "n-3", "n-2", "n-7", "n-1"]
        add(sink, call(8, AHEAD + 30), call(9, AHEAD + 90))
        add(other, call(10, AHEAD + 45))
        wanted = ["n-9", "n-10", "n-8", "n-5", "n-6", "n-4", "n-3", "n-2", "n-7", "n-1"]
        assert ids(tmp_path, "") == wanted
        assert ids(tmp_path, "at >= timestamp('2026-08-01T07:00:00Z')") == wanted
        sink.close(CLOSED)
        other.close(CLOSED)


def test_a_clock_that_is_set_back_is_noticed_once_each_time(tmp_path: Path) -> None:
    with by_texts():
        sink = chain(tmp_path, call(1, 100), call(2, 95))
        with closing(AuditIndex(tmp_path)) as index:
            assert index.setbacks == {}, "steps of less than ten seconds are none"
        for number in range(3, 9):
            add(sink, call(number, 40 + number))
            ids(tmp_path, "")
        with closing(AuditIndex(tmp_path)) as index:
            [found_back] = index.setbacks.values()
        assert [one.at for one in found_back] == [int((NOW + timedelta(seconds=43)).timestamp()) * 1_000_000]
        add(sink, *(call(number, 1000) for number in range(10, 40)), call(40, 500))
        sink.close(CLOSED)
        assert ids(tmp_path, "")[:3] == ["n-40", "n-39", "n-38"]


def test_a_clock_that_is_set_back_when_the_next_chain_begins_is_noticed(tmp_path: Path) -> None:
    with by_texts():
        first = chain(tmp_path, call(1, AHEAD), call(2, AHEAD + 1))
        first.close(ROTATED)
        second = AuditFile(tmp_path)
        add(second, structs.replace(OPENED, continues=first.path.name), call(3, 10), call(4, 20))
        second.close(CLOSED)
        stranger = chain(tmp_path, call(5, 15))
        stranger.close(CLOSED)
        assert ids(tmp_path, "") == ["n-4", "n-5", "n-3", "n-2", "n-1"]


def test_calls_of_several_chains_come_in_the_order_of_time(tmp_path: Path) -> None:
    with by_texts():
        one = chain(
            tmp_path, *(call(n, arguments={"q": f"odd {n}" if n % 5 else "fifth"}) for n in range(1, 40, 2))
        )
        two = chain(tmp_path, *(call(n, arguments={"q": "fifth"}) for n in range(10, 40, 10)))
        add(two, call(40, 3, arguments={"q": "fifth"}), call(41, 90))
        one.close(CLOSED)
        two.close(CLOSED)
        assert ids(tmp_path, 'args.q == "fifth"') == [
            "n-35",
            "n-25",
            "n-15",
            "n-5",
            "n-40",
            "n-30",
            "n-20",
            "n-10",
        ]
        wanted = 'args.q == "fifth" && at < timestamp("2026-08-01T07:00:20Z") && ms < 5.0'
        assert ids(tmp_path, wanted) == []


def test_a_chain_that_is_compressed_or_gone_leaves_no_texts(tmp_path: Path) -> None:
    with by_texts():
        sink = chain(tmp_path, *(call(n, arguments={"q": f"number {n}"}) for n in range(20)))
        sink.close(CLOSED)
        assert ids(tmp_path, 'args.q == "number 7"') == ["n-7"]
        packed = sink.path.with_name(f"{sink.path.name}.gz")
        packed.write_bytes(gzip.compress(sink.path.read_bytes()))
        sink.path.unlink()
        assert ids(tmp_path, 'args.q == "number 7"') == ["n-7"]
        packed.unlink()
        chain(tmp_path, call(1)).close(CLOSED)
        with closing(AuditIndex(tmp_path)) as index:
            (passage,) = index.spans(lambda _: True, 0, 1 << 62)
            assert passage.file.suffix == ".jsonl"
            assert not index.spans(lambda known: known.has(b"number 7"), 0, 1 << 62)


def test_calls_are_decided_by_what_a_condition_reads_of_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with by_texts() as patched:
        calls = [call(n, arguments={"n": n % 5, "q": "x" * (n % 7), "l": [n]}) for n in range(60)]
        ends = [end(n, received=n, ms=n / 2, error="" if n % 4 else "late") for n in range(0, 60, 2)]
        chain(tmp_path, *calls, *ends).close(CLOSED)
        read: list[tuple[bytes, ...]] = []
        lines = _Search._matching
        patched.setattr(_Search, "_matching", lambda *given: read.append(given[2]) or lines(*given))
        for text, wanted in {
            "args.n + 1 == 5": [n for n in range(60) if n % 5 == 4],
            "size(args.q) > 5": [n for n in range(60) if n % 7 == 6],
            '!args.q.startsWith("x")': [n for n in range(60) if n % 7 == 0],
            "args.n == 3 && received > 40": [n for n in range(42, 60, 2) if n % 5 == 3],
            'size(args.q) == 6 && (ms > 20.0 || server == "x")': [48],
            "args == {}": [],
            "args.l[0] == 17 && size(subject) == 0": [17],
            'ms / 2.0 > 14.0 && status == "ok"': [58],
        }.items():
            for read_for_a_call in (1, LONGEST):
                patched.setattr(f"{MATCHING}.READ_FOR_A_CALL", read_for_a_call)
                read.clear()
                assert ids(tmp_path, text) == [f"n-{n}" for n in reversed(wanted)], text
                assert len(read) <= len(wanted) + 1, text


def test_how_far_a_long_search_is_can_be_heard(tmp_path: Path) -> None:
    with by_texts() as patched:
        patched.setattr(f"{MATCHING}.LOOKS", 1)
        patched.setattr(f"{MATCHING}._TOLD", 5_000)
        chain(tmp_path, *(call(n, arguments={"q": f"number {n}"}) for n in range(90))).close(CLOSED)
        heard: list[tuple[int, int]] = []
        with closing(AuditIndex(tmp_path)) as index:
            question = CallQuestion('args.q + "" < "m"')
            assert not list(found(index, question, lambda *said: heard.append(said)))
        assert heard[0] == (1, 90)
        assert len(heard) > 3
        assert heard == sorted(heard)
        assert all(looked + left == 91 for looked, left in heard)


def test_a_record_that_was_altered_where_it_is_looked_for_is_an_error(tmp_path: Path) -> None:
    with by_texts():
        sink = chain(tmp_path, *(call(n, arguments={"q": f"number {n}"}) for n in range(20)))
        with closing(AuditIndex(tmp_path)) as index:
            before = sink.path.read_bytes()
            at = before.index(b'"id":"n-7"')
            for new in (b'"id":"n-7","principal":"eve', b'"id":n-7'):
                sink.path.write_bytes(before[:at] + new.ljust(27, b"x") + before[at + 27 :])
                with pytest.raises(AuditError, match="has changed since it was indexed"):
                    list(found(index, CallQuestion('args.q == "number 7"')))
        sink.close(CLOSED)


@pytest.mark.parametrize(
    "odd", ["[1]", '{"n":1e999}', '{"q":' * 65 + "1" + "}" * 65], ids=["list", "number", "deep"]
)
@pytest.mark.parametrize("whole", [1, 1_000])
def test_a_record_that_no_writer_writes_is_left_out_and_hides_no_other(
    tmp_path: Path, odd: str, whole: int
) -> None:
    with by_texts(whole):
        planted, head = tmp_path / "20260101T000000Z-1-0.jsonl", GENESIS
        arguments = {"q": "push"}
        bodies = [OPENED, call(1, arguments=arguments), call(2, arguments=arguments), end(2)]
        for seq, record in enumerate(bodies, 1):
            body = json.encode(record)[:-1].replace(b'{"q":"push"}', odd.encode()) if seq == 2 else b""
            body = (body or json.encode(record)[:-1]) + b',"seq":%d,"prev":"%b"' % (seq, head.encode())
            head = sha256(body).hexdigest()
            with planted.open("ab") as file:
                file.write(body + b',"hash":"%b"}\n' % head.encode())
        chain(tmp_path, *(call(n, arguments=arguments) for n in (3, 4))).close(CLOSED)
        assert ids(tmp_path, 'args.q == "push"') == ["n-4", "n-3", "n-2"]
        assert ids(tmp_path, "true") == ["n-4", "n-3", "n-2"]


_LINES = st.one_of(st.binary(max_size=40), st.text('ab",', max_size=40).map(str.encode)).map(
    lambda text: text.replace(b"\n", b"")
)


@given(st.lists(_LINES, max_size=6), st.data())
def test_a_passage_never_denies_a_text_that_it_has(texts: list[bytes], data: st.DataObject) -> None:
    passage = Passage(0)
    passage.add(*texts)
    again = Passage(0, 9, 0, 0, passage.bits())
    again.add(b"more of it")
    bits = unpacked(again.bits())
    for text in texts:
        start = data.draw(st.integers(0, len(text)))
        part = text[start : data.draw(st.integers(start, len(text)))]
        assert all(bits[at] & bit for at, bit in bits_of(part))
    assert bits_of(b"abc") == []


def test_a_passage_with_many_different_texts_is_full() -> None:
    passage = Passage(0)
    passage.add(*(f"{number * 7919:x}".encode() for number in range(5_000)))
    assert not passage.full
    passage.add(Random(7).randbytes(60_000))
    assert passage.full
    assert len(passage.bits()) == len(unpacked(b""))
    assert len(Passage(0).bits()) < 100
