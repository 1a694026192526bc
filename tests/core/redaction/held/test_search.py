"""A value that mcpguard holds is found in every listed form, wherever that form begins and ends."""

from __future__ import annotations

import base64
import html
import json
import random
import sys
from collections.abc import Callable
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.errors import CredentialError, InspectionError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD, Span
from mcpguard.core.redaction.held.disguise import needles
from mcpguard.core.redaction.held.reduced import ReducedText, locate, skeleton_of
from mcpguard.core.redaction.held.search import HeldSet, held, mark_of
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

TOKEN = "Zq3-_hV7/kP+9xW" + "b5nT2mR8cL4"
PHRASE = "pä\"ss\\wö<r>d &1\t'~%\U0001f511"
SHORT = "k9!Xz2"
DIGITS = "840193752618"
KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join(f"{i:02d}" + "Ab9/Xz+Q" * 7 + "kLmNpQ" for i in range(9))
    + "\nQz8=\n-----END RSA PRIVATE KEY-----\n"
)
SECRETS = [TOKEN, PHRASE, SHORT, DIGITS, KEY, "......", "x" * 300, "пароль-секрет", "ü-" * 60 + "Q7"]

Encoding = Callable[[str], str]


def behind(ahead: int, encode: Callable[[bytes], bytes], charset: str = "utf-8") -> Encoding:
    return lambda value: encode(b"~" * ahead + value.encode(charset) + b"~~").decode()


def each_byte(shape: str, separator: str = "") -> Encoding:
    return lambda value: separator.join(shape % byte for byte in value.encode())


def each_unit(shape: str) -> Encoding:
    def encode(value: str) -> str:
        data = value.encode("utf-16-be")
        return "".join(shape % int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2))

    return encode


ENCODINGS: dict[str, Encoding] = {
    "raw": lambda value: value,
    "reversed": lambda value: value[::-1],
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "\\u": each_unit("\\u%04x"),
    "\\x": each_byte("\\x%02x"),
    "octal": each_byte("\\%03o"),
    "quote": quote,
    "quote all": lambda value: quote(value, safe=""),
    "quote plus": quote_plus,
    "encodeURI": lambda value: quote(value, safe="-_.!~*'();/?:@&=+$,#"),
    "encodeURIComponent": lambda value: quote(value, safe="-_.!~*'()"),
    "quote twice": lambda value: quote(quote(value, safe=""), safe=""),
    "percent": each_byte("%%%02X"),
    "HTML": html.escape,
    "HTML numbers": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "hex": lambda value: value.encode().hex(),
    "hex with colons": lambda value: value.encode().hex(":").upper(),
    "hex dump": each_byte("0x%02x", ", "),
    "hex of UTF-16": lambda value: value.encode("utf-16-le").hex(),
    "decimal": each_byte("%d", ", "),
    "one number": lambda value: str(int.from_bytes(value.encode())),
    "URL-safe base64": behind(0, base64.urlsafe_b64encode),
    "base64 in a URL": lambda value: quote(base64.b64encode(value.encode()).decode(), safe=""),
    "MIME base64": lambda value: base64.encodebytes(value.encode()).decode(),
    "base64 twice": lambda value: base64.b64encode(base64.b64encode(b"u:" + value.encode())).decode(),
}
for _ahead in range(3):
    ENCODINGS[f"base64 at {_ahead}"] = behind(_ahead, base64.b64encode)
    ENCODINGS[f"URL-safe base64 at {_ahead}"] = behind(_ahead, base64.urlsafe_b64encode)
    ENCODINGS[f"base64 of UTF-16 at {_ahead}"] = behind(_ahead, base64.b64encode, "utf-16-le")
for _ahead in range(5):
    ENCODINGS[f"base32 at {_ahead}"] = behind(_ahead, base64.b32encode)
    ENCODINGS[f"base32hex at {_ahead}"] = behind(_ahead, base64.b32hexencode)


def held_set(*values: str) -> HeldSet:
    secrets = [Secret(value) for value in values]
    return HeldSet([held(f"s{i}", f"credential:s{i}", s, mark_of(s, b"key")) for i, s in enumerate(secrets)])


SIGNATURE = base64.urlsafe_b64encode(random.Random(5).randbytes(255)).decode()


class Counted(Budget):
    """A Budget that knows how many things were found."""

    found = 0

    def hit(self, count: int = 1) -> None:
        self.found += count


SETS = {value: held_set(value) for value in SECRETS}


def spans_of(searched: HeldSet, text: bytes) -> list[Span]:
    reduced = ReducedText(text + PAD, False)
    found = searched.spans(reduced, Budget(len(reduced.padded)))
    assert searched.found(reduced) == bool(found)
    return found


def spans(value: str, text: str) -> list[Span]:
    return spans_of(SETS.get(value) or held_set(value), text.encode())


def without(value: str, text: str) -> str:
    data = text.encode()
    for span in reversed(spans(value, text)):
        data = data[: span.start] + b"\xe2\x96\x88" + data[span.end :]
    return data.decode()


@pytest.mark.uncounted
@each("encoding", ENCODINGS)
@each("value", [TOKEN, PHRASE, SHORT, DIGITS, "......", "пароль-секрет"])
def test_a_value_is_removed_in_every_form(value: str, encoding: str) -> None:
    form = ENCODINGS[encoding](value)
    clean = without(value, f"knew {form} after")
    assert clean.startswith("knew ")
    assert clean.endswith(" after")
    left = [char for char in clean[5:-6] if char.isascii() and char.isalnum()]
    assert len(left) <= 5, clean


@each("encoding", ["raw", "JSON", "hex", "base64 at 0", "base64 at 2", "percent", "decimal"])
@each("value", [KEY, "x" * 300, "ü-" * 60 + "Q7"])
def test_a_long_value_is_removed_as_one(value: str, encoding: str) -> None:
    clean = without(value, "<<" + ENCODINGS[encoding](value) + ">>")
    assert len(clean) <= 70, clean
    assert clean.count("█") == 1


@pytest.mark.uncounted
@each("encoding", ENCODINGS)
def test_the_signature_of_a_long_token_is_removed_in_every_form(encoding: str) -> None:
    token = f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIiwibmFtZSI6IkpvZSIsInNjb3BlIjoicmVhZCB3cml0ZSJ9.{SIGNATURE}"
    form = ENCODINGS[encoding](token)
    public = len(form) * (len(token) - len(SIGNATURE)) // len(token)
    assert len(without(token, form)) <= public + 12


def test_a_long_value_has_no_forms_beside_those_of_its_long_members() -> None:
    forms = {needle.pattern for needle in needles(SIGNATURE)}
    long = f"{'x' * 200}{SIGNATURE}"
    number = ENCODINGS["one number"](long).encode()
    assert {needle.pattern for needle in needles(long, [SIGNATURE])} == {*forms, number}
    assert {needle.pattern for needle in needles(long, [SIGNATURE[:15]])} > {
        needle.pattern for needle in needles(SIGNATURE[:15])
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None)
@given(
    value=st.sampled_from([TOKEN, PHRASE, SHORT, DIGITS, "пароль-секрет"]),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    before=TEXT,
    after=TEXT,
)
def test_no_form_survives_in_any_text(value: str, encoding: str, before: str, after: str) -> None:
    form = ENCODINGS[encoding](value)
    assert form not in without(value, before + form + after)


@settings(deadline=None)
@given(text=st.text(alphabet="abcdefgh 0123456789-", max_size=300))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert spans(TOKEN, text) == []


@pytest.mark.uncounted
@each("cut", range(1, len(TOKEN)))
@each("between", ["\x1f", "\n", " - ", "\u200b", "</"])
def test_a_value_that_is_cut_is_found(cut: int, between: str) -> None:
    text = TOKEN[:cut] + between + TOKEN[cut:]
    assert without(TOKEN, "x: " + text + " !") == "x: █ !"


def test_case_and_spacing_do_not_hide_a_value() -> None:
    assert without(TOKEN, " ".join(TOKEN.swapcase())) == "█"


def test_the_punctuation_at_the_edges_of_a_value_goes_with_it() -> None:
    value = "--/Secret-Value-77==!"
    found = spans_of(held_set(value), f"a {value} b".encode())
    assert [(span.start, span.end) for span in found] == [(2, 2 + len(value))]


def test_no_character_is_cut_in_two() -> None:
    value = "é-Secret-Value-77-é"
    text = value.replace("é-", "\u0169-").replace("-é", "-\u00e3")
    found = spans_of(held_set(value), f"a {text} b".encode())
    assert [(span.start, span.end) for span in found] == [(2, 2 + len(text.encode()))]


def test_the_whole_of_an_encoded_run_is_covered_to_its_edges() -> None:
    text = base64.b64encode(b"u:" + TOKEN.encode()).decode()
    assert without(TOKEN, f"Basic {text}") == "Basic █"


@each("line", KEY.splitlines()[1:-2])
def test_each_line_of_a_key_is_as_secret_as_the_key(line: str) -> None:
    assert without(KEY, f"see {line}.") == "see █."


def test_a_key_is_removed_where_each_of_its_lines_is_reversed() -> None:
    clean = without(KEY, "\n".join(line[::-1] for line in KEY.splitlines()))
    assert len(clean) <= 4 * len("-----END PRIVATE KEY-----"), clean


def test_the_header_of_a_key_is_no_secret() -> None:
    assert spans(KEY, "-----BEGIN RSA PRIVATE KEY-----") == []


def test_labels_in_a_structured_secret_are_no_secrets() -> None:
    value = json.dumps(
        {"type": "service_account_credentials", "private_key_id": "a1b2" * 10, "private_key": KEY}
    )
    found = held_set(value)
    assert not spans_of(found, b"service_account_credentials")
    assert spans_of(found, b"a1b2" * 10)
    assert spans_of(found, KEY.encode())


PARTED = [
    ("postgresql://app:hunter2pw@db.example/x", "hunter2pw"),
    ("https://bob:p%40ss%2Fw0rd@h.example/", "p@ss/w0rd"),
    ("https://bob:p%40ss%2Fw0rd@h.example/", "p%40ss%2Fw0rd"),
    ("redis://:pa:ss@w0rd@h/0", "pa:ss@w0rd"),
    ("host=db user=app password=hunter2pw dbname=x", "hunter2pw"),
    ("host=db password = 'two w0rds' dbname=x", "two w0rds"),
    ('Server=db;Pwd="two w0rds";', "two w0rds"),
    ("Server=db;Password=correcthorsebattery;", "correcthorsebattery"),
    (base64.b64encode(b"bob:hunter2pw").decode(), "hunter2pw"),
    ("Basic " + base64.b64encode(b"bob:hunter2pw!").decode(), "hunter2pw!"),
]


@pytest.mark.uncounted
@each(("value", "password"), PARTED)
@each("encoding", [str, lambda text: base64.b64encode(text.encode()).decode()])
def test_the_password_in_a_value_is_a_secret_by_itself(value: str, password: str, encoding: Encoding) -> None:
    assert password not in without(value, f"it is <{encoding(password)}>")
    assert "█" in without(value, f"it is <{encoding(password)}>")


@each(
    ("value", "word"),
    [
        ("postgresql://app:password@db.example/x", "password"),
        ("postgresql://app:k9!Xz@db.example/x", "k9!Xz"),
        ("postgresql://app@db1.example/x", "db1.example"),
        ("password=changeme;user=app", "changeme"),
        (base64.b64encode(b"bob hunter2pw").decode(), "hunter2pw"),
        (base64.b64encode(b"bob:hunter2pw\0").decode(), "hunter2pw"),
        (base64.b64encode(b"\xff\xfe\xfd\xfcbob:hunter2pw").decode(), "hunter2pw"),
    ],
)
def test_a_word_that_is_met_in_ordinary_text_is_no_secret_by_itself(value: str, word: str) -> None:
    assert spans(value, f"it is {word}, and") == []


@pytest.mark.parametrize("value", ["", "12345", "pässw"])
def test_a_value_that_is_too_short_is_refused_by_name(value: str) -> None:
    with pytest.raises(
        CredentialError, match=r"^env:X: the value is too short to be distinguished from ordinary text"
    ):
        held("env:X", "credential:env:X", Secret(value), b"")


def test_a_value_that_is_too_long_is_refused_by_name() -> None:
    with pytest.raises(CredentialError, match=r"^env:X: the value is too long to be redacted"):
        held("env:X", "credential:env:X", Secret("a1" * 8193), b"")


@pytest.mark.uncounted
def test_a_value_of_the_greatest_length_can_be_held() -> None:
    value = "".join(f"{i:x}" for i in range(5000))[:16_384]
    assert spans_of(held_set(value), b"x" + value.encode()) == [
        Span(1, 1 + len(value), "credential:s0", mark_of(Secret(value), b"key"))
    ]


def test_a_value_that_is_held_under_two_names_is_shown_under_the_first() -> None:
    assert {span.kind for span in spans_of(held_set(TOKEN, TOKEN), TOKEN.encode())} == {"credential:s0"}


@pytest.mark.parametrize(("gap", "joined"), [(0, 1), (1, 1), (64, 1), (65, 2)])
def test_only_a_short_run_of_punctuation_between_two_occurrences_goes_with_them(
    gap: int, joined: int
) -> None:
    assert len(spans(TOKEN, TOKEN + "-" * gap + TOKEN)) == joined


def test_a_letter_between_two_occurrences_stays() -> None:
    assert without(TOKEN, f"{TOKEN} x {TOKEN}") == "█ x █"


def test_two_values_side_by_side_stay_two() -> None:
    found = spans_of(held_set(TOKEN, DIGITS), f"{TOKEN} {DIGITS} {DIGITS}".encode())
    assert [span.kind for span in found] == ["credential:s0", "credential:s1"]


def test_a_flood_of_hits_is_refused() -> None:
    with pytest.raises(InspectionError, match=r"more than [\d,]+ hits in 300,070 bytes"):
        spans_of(SETS[SHORT], SHORT.encode() * 50_001)


def test_a_fragment_that_many_values_have_is_one_hit_and_of_each_of_them() -> None:
    rotated = [f"access-{n:04}-{TOKEN[:20]}{n:04}" for n in range(1, 41)]
    text = " ".join(ENCODINGS[name](rotated[-1][:-5]) for name in ("raw", "hex", "base64 at 0"))
    counts = []
    for values in (held_set(rotated[-1]), held_set(*rotated)):
        budget = Counted(len(text))
        assert values.spans(ReducedText(text.encode() + PAD, False), budget)
        counts.append(budget.found)
    assert counts[0] <= counts[1] <= 3 * counts[0]  # 40 times as many withheld ordinary answers.
    forms = held_set(*rotated).forms(ReducedText(rotated[0][:-5].encode() + PAD, False), Budget(100))
    assert len({value.mark for _, values in forms for value in values}) == len(rotated)


def test_nothing_is_found_where_nothing_is_held() -> None:
    assert spans_of(HeldSet([]), b"anything") == []


def test_nothing_that_is_held_can_be_printed() -> None:
    value = held("env:X", "credential:env:X", Secret(TOKEN), b"\x00mark")
    assert repr(value) == "<Held credential:env:X>"
    assert {repr(needle) for needle in value.needles} == {"<HeldForm>"}
    assert TOKEN not in f"{SETS[TOKEN]!r} {value!s}"


def test_equal_values_have_equal_marks_under_one_key_only() -> None:
    assert mark_of(Secret("same-one"), b"k") == mark_of(Secret("same-one"), b"k")
    assert mark_of(Secret("same-one"), b"k") != mark_of(Secret("same-one"), b"l")
    assert mark_of(Secret("same-one"), b"k") != mark_of(Secret("other-one"), b"k")


def test_no_form_is_so_short_that_it_is_met_by_chance() -> None:
    for value in (SHORT, "......", "000000", "aaaaaa"):
        assert min(len(needle.pattern) for needle in needles(value)) >= 6


def test_it_all_works_without_hyperscan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    found = held_set(TOKEN, SHORT)
    text = f"{SHORT} {base64.b64encode(TOKEN.encode()).decode()}".encode()
    assert [span.kind for span in spans_of(found, text)] == ["credential:s1", "credential:s0"]


@settings(deadline=None)
@given(st.binary(max_size=4000), st.data())
def test_places_in_a_skeleton_lead_back_to_the_text(text: bytes, data: st.DataObject) -> None:
    skeleton = skeleton_of(text)
    wanted = (
        sorted(data.draw(st.sets(st.integers(0, max(0, len(skeleton) - 1)), max_size=20))) if skeleton else []
    )
    places = locate(text, wanted)
    assert [bytes((text[places[at]],)).lower() for at in wanted] == [skeleton[at : at + 1] for at in wanted]
    assert all(len(skeleton_of(text[: places[at]])) == at for at in wanted)


def test_the_skeleton_of_a_long_text_is_that_of_its_slices() -> None:
    text = ("A-b.C\u00e9" * 100_000).encode()
    assert skeleton_of(text) == b"abc" * 100_000


def test_a_value_is_found_with_its_accents_apart() -> None:
    made = Redactor(b"key")
    made.hold("x", Secret("Pässwörd-ñandú-7d"))
    for form in ("NFD", "NFC"):
        assert "ssw" not in made.inspect_text(f"it is {normalize(form, 'Pässwörd-ñandú-7d')} there")


@each(
    "text",
    [
        *(
            "491827364519283746",
            "491827364519283800",
            "4.918273645192838e+17",
            "49182736451928",
            "27364519283746",
        ),
        *("4918 2736 4519 2837 46", "491,827,364,519,283,746.00", "-491827364519283746"),
    ],
)
def test_a_long_number_is_found_though_it_is_rounded_or_cut(text: str) -> None:
    made = Redactor(b"key")
    made.hold("x", Secret("491827364519283746"))
    left = (
        made.inspect_text(f"it is {text}, they say").replace("-", "").replace("e+17", "").replace(".00", "")
    )
    assert left == "it is [REDACTED:credential:x#1], they say"


@each(
    ("value", "text"),
    [
        ("491827364519283746", "49182736451 and 64519283746"),
        ("49182736451928", "491827364519"),
        ("123456789012345678", "the account 123456789012"),
        ("100000000000000000", "000000000000"),
    ],
)
def test_what_little_says_of_a_number_stays(value: str, text: str) -> None:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    assert made.inspect_text(text) == text
