"""A random value in pieces of one to three characters is found in the rows of ordinary programs, with all rows."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from mcpguard.core.redaction.held.fragments import stretches
from mcpguard.core.redaction.held.reduced import FROM_MARKS
from mcpguard.core.redaction.held.scattered import scattered, signs
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

MIXED = "aB3kQ9xZ7mT2pL5wvN4cR8yH6dJ1fS0g"
HEXADECIMAL = "3d5a4fd12aabfe228f219e9cb0eb53f1d7c4"
SHORT = "Xk7vR2mQ9tZ4bN6c"


def guard(value: str) -> Redactor:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    made.settle()
    return made


def told(value: str, text: str) -> str:
    return str(guard(value).inspect({"text": text}).value["text"])


def cut(value: str, size: int) -> list[str]:
    return [value[at : at + size] for at in range(0, len(value), size)]


NUMBERED = {
    "nl": lambda pieces: "".join(f"{n:6d}\t{one}\n" for n, one in enumerate(pieces, 1)),
    "grep -n": lambda pieces: "".join(f"{n}:{one}\n" for n, one in enumerate(pieces, 1)),
    "CSV": lambda pieces: "".join(f"{n},{one}\r\n" for n, one in enumerate(pieces)),
    "a table": lambda pieces: "".join(f"| {n} | {one} |\n" for n, one in enumerate(pieces)),
    "tuples": lambda pieces: str([*enumerate(pieces)]),
    "rows of JSON": lambda pieces: json.dumps([*enumerate(pieces)]),
    "members with numbers": lambda pieces: json.dumps(dict(enumerate(pieces)), indent=1),
}
NAMED = {
    "members": lambda pieces: json.dumps({f"part_{n}": one for n, one in enumerate(pieces)}),
    "objects": lambda pieces: json.dumps([{"at": n, "text": one} for n, one in enumerate(pieces)]),
    "elements of a list": lambda pieces: "".join(f"s[{n}] = '{one}'\n" for n, one in enumerate(pieces)),
    "YAML": lambda pieces: "".join(f"  key{n}: {one}\n" for n, one in enumerate(pieces)),
    "sentences": lambda pieces: "".join(f"character {n} is {one}\n" for n, one in enumerate(pieces)),
    "HTML": lambda pieces: "".join(f"<li>{one}</li>" for one in pieces),
}


@each("size", [1, 2, 3])
@each("way", [*NUMBERED, *NAMED])
def test_capitals_give_rows_away_whatever_small_letters_and_numbers_stand_between(
    way: str, size: int
) -> None:
    said = told(MIXED, (NUMBERED | NAMED)[way](cut(MIXED, size)))
    assert re.sub(r"\[REDACTED:credential:x#1\]", "", said).strip("\r\n []{}|") == ""


@each("size", [1, 2, 3])
@each("way", NUMBERED)
def test_letters_give_rows_away_that_have_nothing_else_but_numbers(way: str, size: int) -> None:
    for value in (HEXADECIMAL, SHORT):
        said = told(value, NUMBERED[way](cut(value, size)))
        assert re.sub(r"\[REDACTED:credential:x#1\]", "", said).strip("\r\n []{}|") == ""


@pytest.mark.parametrize("ahead", ["", "K=", "KEY="])
def test_base64_in_numbered_rows_is_found_at_each_alignment(ahead: str) -> None:
    encoded = b64encode((ahead + HEXADECIMAL + "\n").encode()).decode()
    said = told(HEXADECIMAL, NUMBERED["nl"](cut(encoded, 4)))
    assert len(re.findall(r"\t\S{4}\n", said)) <= 1


def test_what_stands_before_and_behind_the_rows_stays() -> None:
    rows = NUMBERED["nl"](cut(MIXED, 3))
    said = told(MIXED, f"some words\nof a text\n{rows}\nand much more\nof it\n")
    assert said.startswith("some words\n")
    assert said.endswith("\nof it\n")
    assert "\t" not in said


def test_of_a_value_that_stands_there_whole_nothing_else_is_removed() -> None:
    assert told(MIXED, f"Here {MIXED} is.\nMore\n") == "Here [REDACTED:credential:x#1] is.\nMore\n"


def test_rows_over_members_of_a_result_are_found() -> None:
    value = {"rows": [{"at": f"no. {n}", "is": one} for n, one in enumerate(cut(MIXED, 3))]}
    said = json.dumps(guard(MIXED).inspect(value).value)
    assert not [one for one in cut(MIXED, 3) if f'"{one}"' in said]


def test_rows_do_not_reach_over_what_was_removed_before() -> None:
    rows = NUMBERED["nl"](cut(MIXED, 3))
    both = guard(MIXED)
    both.hold("y", Secret(HEXADECIMAL))
    both.settle()
    said = str(both.inspect({"text": f"{HEXADECIMAL}\n{rows}{HEXADECIMAL}"}).value["text"])
    assert said.count("credential:y#") == 2
    assert said.count("credential:x#") == 1


def test_fewer_letters_than_nobody_can_guess_are_not_compared() -> None:
    rows = NUMBERED["nl"](cut(MIXED, 2)[:5])
    assert told(MIXED, rows) == rows
    assert all(one.text.isupper() for one in scattered(stretches(["a1b2c3d4e5f60718293a4b5c"])))


def test_other_values_of_the_same_capitals_in_part_stay() -> None:
    near = MIXED.replace("R", "S").replace("Q", "P").translate(str.maketrans("0123456789", "5678901234"))
    rows = NUMBERED["nl"](cut(near, 2))
    assert told(MIXED, rows) == rows
    block = next(scattered(stretches([MIXED]))).text.decode()
    near = f"{block[2:9]}x Y"
    assert told(MIXED, near) == near


def test_encoded_data_and_sentences_have_no_such_rows() -> None:
    letters = re.sub("[0-9]", "", HEXADECIMAL)
    sentence = f"words of a sentence, and {letters} among many others that follow it"
    assert told(HEXADECIMAL, sentence) == sentence
    capitals = "".join(re.findall("[A-Z]", MIXED))
    assert told(MIXED, capitals * 9) == capitals * 9


def test_rows_in_arguments_give_the_name_of_the_value() -> None:
    rows = NUMBERED["nl"](cut(MIXED, 3))
    assert guard(MIXED).foreign({"text": rows}, frozenset()) == ("x",)


def test_rows_at_the_end_of_a_long_text_are_found() -> None:
    filler = "words of a text that goes on and on.\n" * 8000
    said = told(MIXED, filler + NUMBERED["nl"](cut(MIXED, 3)))
    assert len(said) < len(filler) + 60
    assert "\t" not in said


def test_what_is_strewn_has_a_letter_of_the_signs_in_it_and_few_of_these_are_common() -> None:
    values = [b64encode(sha256(bytes([number])).digest()[:24]).decode() for number in range(40)]
    pieces = [*scattered(stretches([*values, HEXADECIMAL, SHORT]))]
    capitals, letters = signs(pieces)
    for one in pieces:
        of = capitals if one.text.isupper() else letters
        assert set(one.block.translate(FROM_MARKS)) & set(of)
    assert len(capitals) < 13
    assert set(capitals) & set(b"QXJZ")
    assert signs([]) == (b"", b"")


def test_rows_of_one_value_among_many_are_found() -> None:
    made = Redactor(b"key")
    values = [b64encode(sha256(bytes([number])).digest()[:24]).decode() for number in range(30)]
    made.hold_all((f"v{number}", Secret(value)) for number, value in enumerate(values))
    made.settle()
    for number, value in enumerate(values):
        found = made.inspect({"text": NUMBERED["nl"](cut(value, 3))}).findings
        assert [one.kind for one in found] == [f"credential:v{number}"]
