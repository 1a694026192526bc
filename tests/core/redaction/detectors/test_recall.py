"""How well secrets that nobody configured are seen: the figures of a corpus of our own."""

from __future__ import annotations

from collections import Counter

import pytest

from mcpguard.core.redaction.redactor import Redactor
from tests.core.redaction.detectors.corpus import Planted, planted, removed

RECALL, PRECISION = 0.95, 0.98
COUNT = 2000
REDACTOR = Redactor(b"key")


def found(one: Planted) -> tuple[bool, int, int]:
    """Whether nine tenths of the secret are gone, how much was removed, and how much of that beside it."""
    spans = removed(one.text, str(REDACTOR.inspect(one.text).value))
    gone = sum(max(0, min(one.end, end) - max(one.start, start)) for start, end, _ in spans)
    beside = sum(end <= one.start or start >= one.end for start, end, _ in spans)
    return gone * 10 >= (one.end - one.start) * 9, len(spans), beside


@pytest.mark.uncounted
def test_secrets_in_the_outputs_of_tools_are_removed(capsys: pytest.CaptureFixture[str]) -> None:
    corpus = planted(COUNT)
    seen = [found(one) for one in corpus]
    recall = sum(full for full, _, _ in seen) / len(corpus)
    precision = 1 - sum(beside for _, _, beside in seen) / sum(spans for _, spans, _ in seen)
    missed = Counter(one.kind for one, (full, _, _) in zip(corpus, seen, strict=True) if not full)
    with capsys.disabled():
        print(
            f"\nrecall {recall:.3f} of {len(corpus)} secrets of {len({one.kind for one in corpus})} kinds, "
        )
        print(f"precision {precision:.3f}; missed {dict(missed)}")
    assert recall >= RECALL, missed
    assert precision >= PRECISION


@pytest.mark.uncounted
def test_the_corpus_is_large_enough_and_the_same_in_each_run() -> None:
    corpus = planted(COUNT)
    assert corpus[:200] == planted(200)
    assert len({one.text[one.start : one.end] for one in corpus}) == COUNT
    assert len({one.kind for one in corpus}) >= 150
