"""What only looks as if a secret were in it stays as it is."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from mcpguard.core.redaction.redactor import Redactor
from tests.core.redaction.detectors.harmless import KINDS, harmless

COUNT = 1500
PRECISION = 0.98
SECRETS = 2000
"""So many are found in the outputs of `corpus`, beside which each hit here is one too many."""


def test_outputs_without_secrets_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    redactor = Redactor(b"key")
    texts = harmless(COUNT)
    wrong = Counter((kind, span.kind) for kind, text in texts for span in redactor.places(text.encode()))
    precision = SECRETS / (SECRETS + sum(wrong.values()))
    with capsys.disabled():
        print(
            f"\nprecision {precision:.3f} beside {COUNT} harmless outputs of {len(KINDS)} kinds; {dict(wrong)}"
        )
    assert precision >= PRECISION, wrong


def test_the_outputs_are_the_same_in_each_run() -> None:
    assert harmless(COUNT)[:100] == harmless(100)
    assert len({text for _, text in harmless(COUNT)}) > COUNT * 0.8


def test_a_sequence_of_bases_is_no_token() -> None:
    chance = Random(5)
    for _ in range(200):
        text = "ATATT" + "".join(chance.choices("ACGT", k=70))
        assert Redactor(b"key").inspect(text).value is text


def test_short_texts_side_by_side_are_no_token() -> None:
    chance = Random(7)
    for head in ("sk", "cio"):
        names = ["".join(chance.choices("bdfghjklmnpqrtvwxyz0123456789", k=4)) for _ in range(120)]
        names[10:100:30] = [head + name for name in names[10:100:30]]
        value = {"extensions": names, "rows": [{"id": name} for name in names]}
        assert Redactor(b"key").inspect(value).value is value
