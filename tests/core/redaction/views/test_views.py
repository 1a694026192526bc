"""Disguises: what one hides from redaction it hides from conditions, and these are hidden from neither."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from random import Random
from textwrap import wrap
from typing import Any

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.functions.detect import detect
from mcpguard.core.redaction import budget, scanning
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS, PERSONAL, Detector
from mcpguard.core.redaction.held.holding import HeldValues
from mcpguard.core.redaction.leaves import padded
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import PAD, View, runs, views
from mcpguard.core.redaction.views import codes as codes_module
from mcpguard.core.redaction.views import dumps as dumps_module
from mcpguard.core.redaction.views.lines import end_of_run
from mcpguard.core.redaction.views.signs import ENDS, RUNS, signs_of
from mcpguard.core.secret import Secret
from tests.core.redaction.hostile import TOKEN

HELD = "tok-9f3Kq7Zx1Lm5Wb8e"


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def between(mark: str) -> Callable[[str], str]:
    return mark.join


def each(shape: str) -> Callable[[str], str]:
    return lambda text: "".join(shape.format(ord(char)) for char in text)


TEXTS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "base64": base64,
    "base64 behind one byte": lambda text: base64(f".{text}"),
    "base64 behind two bytes": lambda text: base64(f"{{ {text}"),
    "base64 in a file": lambda text: base64(f"# settings\nkey: value\n{text}\nmore: of it\n" * 3),
    "base64 for URLs": lambda text: urlsafe_b64encode(f"?{text} >>>".encode()).decode().rstrip("="),
    "base64 in lines": lambda text: "\n".join(wrap(base64(f"some more of {text} and so on"), 20)),
    "base64 in lines of JSON": lambda text: "\\n".join(wrap(base64(f"some more of {text} and so on"), 60)),
    "base64 behind a path": lambda text: f"https://example.com/a/b/{base64(text)}",
    "base64 of base64": lambda text: base64(f"see {base64(f'it is {text}')}"),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "hex in lines": lambda text: "\n".join(wrap(f"more {text}".encode().hex(), 32)),
    "deflate in hex": lambda text: zlib.compress(
        f"say {text} at 12:45:07, ref 83-Qx".encode(), wbits=-15
    ).hex(),
    "hex behind a digit": lambda text: f"0{text.encode().hex()}",
    "escapes of URLs": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "escapes of URLs, twice": lambda text: "".join(f"%25{byte:02X}" for byte in text.encode()),
    "escapes of JSON": each("\\u{:04x}"),
    "escapes of JSON in JSON": each("\\\\u{:04x}"),
    "escapes of bytes": each("\\x{:02x}"),
    "entities": each("&#{:d};"),
    "entities in hex": each("&#x{:X};"),
    "base64 in escapes": lambda text: each("%{:02x}")(base64(text)),
    "spaces that are not seen": between("\u200b"),
    "spaces that are not seen, escaped": between("%E2%80%8b"),
    "joiners": between("\u2060"),
    "soft hyphens": between("\u00ad"),
    "directions": between("\u202a"),
    "a byte order mark": between("\ufeff"),
    "variation selectors": between("\ufe0f"),
    "letters that are not seen": between("\u3164"),
    "controls": between("\x08"),
    "tags": lambda text: "".join(chr(0xE0000 + ord(char)) if ord(char) >= 32 else char for char in text),
    "full width": lambda text: "".join(
        chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text
    ),
    "colours": between("\x1b[01;31m\x1b[K"),
    "colours with one byte": between("\x9b0m"),
    "links of a terminal": between("\x1b]8;;https://example.com\x1b\\"),
    "colours in JSON": between("\\u001b[0m"),
}
VALUES: dict[str, Callable[[str], Any]] = {
    "two arguments": lambda text: {"a": text[:9], "b": text[9:]},
    "three arguments": lambda text: {"a": text[:6], "b": text[6:11], "c": text[11:]},
    "with another one behind": lambda text: {"a": text[:9], "b": text[9:], "c": "and more"},
    "a list": lambda text: ["see", text[:9], text[9:]],
    "a list of letters": list,
    "rows": lambda text: [{"id": "x", "part": text[:9]}, {"id": "y", "part": text[9:]}],
    "blocks": lambda text: [{"type": "text", "text": text[:9]}, {"type": "text", "text": text[9:]}],
    "two names": lambda text: {text[:9]: True, text[9:]: None},
    "a name": lambda text: {"env": {text: 1}},
    "cut up in base64": lambda text: [base64(f"it is {text}")[:21], base64(f"it is {text}")[21:]],
}
SECRETS = [(one, one.hits[-1]) for one in [*DETECTORS[:24], *DETECTORS[24:260:8]]]
"""Keys of any vendor and some of the rest: what is written like them is found like them."""


@cache
def redactor() -> Redactor:
    """It holds HELD; to prepare that takes longer than to look at a text."""
    made = Redactor(b"key")
    made.hold("env:A", Secret(HELD))
    return made


def removed(value: Any, *also: str) -> set[str]:
    """What redaction takes out; of what is left nothing is found."""
    made = redactor()
    found = made.inspect(value, also)
    assert detect(found.value, "secret", made.holds) == []
    assert made.inspect(found.value, also).value is found.value
    return {finding.kind for finding in found.findings}


@pytest.mark.uncounted
@pytest.mark.parametrize("disguise", TEXTS)
def test_a_disguise_hides_a_token_neither_from_redaction_nor_from_conditions(disguise: str) -> None:
    for detector, text in SECRETS:
        hidden = {"query": f"see {TEXTS[disguise](text)} ."}
        assert detector.kind in detect(hidden, "secret"), (detector.kind, hidden)
        assert detector.kind in removed(hidden), (detector.kind, hidden)


@pytest.mark.uncounted
@pytest.mark.parametrize("disguise", VALUES)
def test_a_token_that_is_cut_up_is_found_by_both(disguise: str) -> None:
    for detector, text in SECRETS:
        if detector.joins or disguise == "a name":
            hidden = VALUES[disguise](text)
            assert detector.kind in detect(hidden, "secret"), (detector.kind, hidden)
            assert detector.kind in removed(hidden), (detector.kind, hidden)


@pytest.mark.parametrize("disguise", [*TEXTS, *VALUES])
def test_a_held_value_is_found_by_both_in_every_disguise(disguise: str) -> None:
    made = redactor()
    hidden = TEXTS[disguise](HELD) if disguise in TEXTS else VALUES[disguise](HELD)
    assert detect([hidden], "held", made.holds) == ["held"]
    assert removed([hidden]) >= {"credential:env:A"}
    assert made.foreign([hidden], frozenset()) == ("env:A",)


def test_a_name_and_its_value_may_be_two_pieces() -> None:
    token = "ghp_" + "aB3kQ9xZ7mT2" * 3
    for value in ({token[:16]: token[16:]}, {"x": {HELD[:9]: [HELD[9:]], "y": 1.5}}):
        kinds = {"github-token"} if token[:16] in value else {"credential:env:A"}
        assert removed(value) == kinds
    assert detect({token[:16]: token[16:]}) == ["github-token"]
    assert detect({"abcdef1": "x", "list": [1, 2]}) == []


@pytest.mark.parametrize("detector", PERSONAL, ids=lambda one: one.kind)
@pytest.mark.parametrize("disguise", ["as it is", "base64", "base64 in a file", "escapes of URLs", "joiners"])
def test_personal_data_that_a_rule_asks_for_too(disguise: str, detector: Detector) -> None:
    for text in detector.hits:
        hidden = {"query": f"see {TEXTS[disguise](f'{text}, and more')} ."}
        assert detector.kind in detect(hidden, "personal")
        assert detector.kind in removed(hidden, detector.kind)


def test_what_stands_around_a_disguise_stays() -> None:
    token = "ghp_" + "aB3kQ9xZ7mT2" * 3
    mark = "[REDACTED:github-token#1]"
    for before, after in (("a %41 ", " b%20c"), ("e\u0301x ", " \u3000"), ("é &amp; ", " €")):
        for disguise in (
            "as it is",
            "escapes of URLs",
            "spaces that are not seen",
            "entities",
            "tags",
            "hex",
        ):
            text = f"{before}{TEXTS[disguise](token)}{after}"
            assert Redactor(b"key").inspect(text).value == f"{before}{mark}{after}", disguise
    inside = base64(f"0123456789ab{token} at the end")
    assert Redactor(b"key").inspect(inside).value == f"{inside[:16]}{mark}{inside[-14:]}"


@pytest.mark.parametrize(
    "value",
    [
        {"proxy": "http://proxy:3128", "user": "jane@localhost"},
        ["ghp_", "abc"],
        ["see eyJhIjoxfQ", "then"] * 500,
        {"cursor": base64('{"id":42,"after":"2026-01-01T00:00:00Z"}')},
        {"page": "a%20b&amp;c \\u00e9 &#8364; caf\u00e9 \u4e2d\u6587 100% \\d+ \\n"},
        {"sha": "0a1b2c3d" * 8, "path": "/src/mcpguard/core/functions/detect"},
    ],
)
def test_ordinary_values_are_left_alone(value: Any) -> None:
    assert Redactor(b"key").inspect(value).value is value
    assert detect(value, "secret") == []


def test_each_place_of_a_view_is_where_that_comes_from() -> None:
    chance = Random(5)
    for _ in range(300):
        pieces = [chance.choice(list(TEXTS.values())[20:])("abcd") + " " for _ in range(3)]
        plain, text = "abcd abcd abcd ", "".join(pieces)
        last = [view for view in views(padded([text]))][1:2]
        for view in last or [next(views(padded([text])))]:
            got = view.text[: -len(PAD)].decode("utf-8", "replace")
            at = got.find("abcd ", 2)
            if got == plain and at > 0:
                start, end = view.place(at, at + 4)
                assert text.encode()[start:end].decode() in (pieces[1][:-1], pieces[1][:-1].strip())


def test_each_byte_of_short_rows_is_where_that_comes_from() -> None:
    rows = "".join(f"{at:4d}\t{one}\r\n" for at, one in enumerate(("ab", "c d", "\u00e9f", "g")))
    text = f"{rows}words and more of them\n{rows}end".encode() + PAD
    (said,) = [view for view in views(text) if view.text.startswith(b"abc d")]
    plain = "abc d\u00e9fg".encode()
    assert said.text == plain + b"\xff" + plain + PAD
    for at, byte in enumerate(said.text[: -len(PAD)]):
        start, end = said.place(at, at + 1)
        assert byte == 0xFF or text[start:end] == bytes([byte])


@pytest.mark.parametrize(
    "text", ["&#1114112;", "\\ud83d", "\U000e0001x", "\x1bA", "\x1b(B", "%ff", "&#x110000;"]
)
def test_what_stands_for_no_letter_is_nothing(text: str) -> None:
    assert Redactor(b"key").inspect(text).findings == ()


def test_more_disguises_over_one_another_are_not_seen_through() -> None:
    text = "ghp_" + "aB3kQ9xZ7mT2" * 3
    for _ in range(4):
        text = text.replace("%", "%25").replace("_", "%5f")
        assert removed(text) == {"github-token"}
    for _ in range(20):
        text = text.replace("%", "%25")
    assert removed(text) == set()


def test_a_token_in_one_text_is_found_there() -> None:
    token = "ghp_" + "aB3kQ9xZ7mT2" * 3
    assert scanning.tokens(f"see {token}".encode() + PAD) == [(4, 4 + len(token), "github-token")]


def test_what_is_not_held_goes_anywhere() -> None:
    made = HeldValues()
    made.hold([(("env:A", b"mark"), "credential:env:A", Secret(HELD))])
    assert made.foreign(b"nothing" + PAD, frozenset(), Budget(7)) == set()


@pytest.mark.uncounted
@pytest.mark.parametrize("size", range(10, 16))
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("behind", ["    x: 1\n", "- name: ada\n"])
def test_nothing_of_the_base64_of_a_key_is_left_behind_its_place(size: int, end: str, behind: str) -> None:
    lines = "\n".join(wrap(b64encode(Random(size).randbytes(60 + size)).decode(), 64))
    key = f"-----BEGIN EC PRIVATE KEY-----\n{lines}\n-----END EC PRIVATE KEY-----{end}"
    text = f"users:\n- user:\n    client-key-data: {b64encode(key.encode()).decode()}\n{behind}"
    made = Redactor(b"key").inspect(text).value
    assert made == f"users:\n- user:\n    client-key-data: [REDACTED:private-key#1]\n{behind}"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_lines_around_a_key_of_putty_stay(end: str) -> None:
    chars = b64encode(Random(4).randbytes(140)).decode()
    text = end.join(["Private-Lines: 3", *wrap(chars, 64), "Private-MAC: 0a1b2c", ""])
    made = Redactor(b"key").inspect(text).value
    assert made == end.join(["Private-Lines: 3", "[REDACTED:putty-private-key#1]", "Private-MAC: 0a1b2c", ""])


@pytest.mark.parametrize(
    ("before", "between", "behind"),
    [
        ("x y\n", "\n", "\nx y\n"),
        ("x y\r\n", "\r\n", ""),
        ('["', '", "', '"]'),
        ("['", "','", "']"),
        ("['", "', '", "', ' ', '+']"),
        ("[b'", "' b'", "' b' ' b'+']"),
        ("[b'", "', b'", "']"),
        ('["a", "=", "', '", "', '", "b"]'),
    ],
)
def test_a_token_of_which_each_character_is_a_row_or_a_text_is_found(
    before: str, between: str, behind: str
) -> None:
    made = Redactor(b"key").inspect(before + between.join(TOKEN) + behind).value
    assert not [
        one for one in TOKEN if between + one + between in str(made).replace(before, "").replace(behind, "")
    ]
    assert "[REDACTED:" in made


def test_other_characters_in_rows_stay() -> None:
    for text in (
        "a\nb\nc\nd\ne\nf\ng\n",
        '["a", "b", "c", "d", "e", "f", "g"]',
        "\n".join("not a secret at all"),
    ):
        assert Redactor(b"key").inspect(text).value == text


def test_base64_of_which_the_beginning_is_cut_off_says_no_token() -> None:
    assert removed(base64(".ghp_" + "aB3kQ9xZ7mT2" * 3)[2:]) == set()


def test_a_flood_of_pieces_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WORK", (200, 0))
    with pytest.raises(InspectionError, match=r"too much work in [0-9]+ bytes: beginnings of secrets"):
        Redactor(b"key").inspect(["AKIAQ3X7"] * 50)


def test_a_flood_of_beginnings_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WORK", (150, 0))
    with pytest.raises(InspectionError, match=r"too much work in [0-9]+ bytes: beginnings of secrets"):
        Redactor(b"key").inspect(base64("ghp_ " * 40))


@pytest.mark.uncounted
@pytest.mark.parametrize(
    "unit",
    ["Z2hw", "ZXlK", "6768705f", "%25", "\\u0061", "&#x41;", "\u200b", "\x1b[0m", "Z2hwXw==\n", "%", "\\", "Z2hw Z2hw-"],
)  # fmt: skip
def test_a_hostile_text_of_half_a_megabyte_is_read_to_its_end(unit: str) -> None:
    text = (unit * (500_000 // len(unit.encode()) + 1))[:500_000]
    for value in ({"text": text}, [text[at : at + 50] for at in range(0, len(text), 50)]):
        with suppress(InspectionError):  # It needs more work than its size allows.
            Redactor(b"key").inspect(value)


def test_json_that_stands_in_a_text_is_read() -> None:
    token = "ghp_" + "aB3kQ9xZ7mT2" * 3
    assert "github-token" in removed({"text": json.dumps({"a": json.dumps({"b": f"\u00e9{token}"})})})


def test_names_in_a_row_are_no_token() -> None:
    words = [
        "echo",
        "secret_length",
        "leak",
        "slow",
        "progress",
        "big",
        "crash",
        "junk",
        "change",
        "log",
        "sample",
        "closer",
        "further",
    ]
    tools = [{"name": word, "description": f"The tool {word}"} for word in words]
    redactor = Redactor(b"k" * 32)
    assert redactor.inspect({"tools": tools}).findings == ()
    assert redactor.inspect(words).findings == ()
    assert (
        redactor.inspect(
            {"a": "The secret_length", "b": "leakslowprogressbigcrashjunkchangelogsamplecloser"}
        ).findings
        == ()
    )


@pytest.mark.parametrize("name", ["inputRequests", "requestState", "params", "tools", "taskId"])
def test_what_gives_a_result_its_form_stays_though_a_secret_is_cut_up_around_it(name: str) -> None:
    redactor = Redactor(b"k" * 32)
    redactor.hold("x", Secret(f"ab12cd34{name}ef56gh78"))
    clean = redactor.inspect({"resultType": "ab12cd34", name: {"ef56gh78": {"type": "t"}}}).value
    assert list(clean) == ["resultType", name]
    assert clean["resultType"] != "ab12cd34"
    assert list(clean[name]) != ["ef56gh78"]


def test_what_gives_an_error_its_form_stays_though_a_secret_is_cut_up_around_it() -> None:
    redactor = Redactor(b"k" * 32)
    redactor.hold("x", Secret("ab12cd34messageef56gh78"))
    error = {"code": -32000, "data": ["ab12cd34", "message", "ef56gh78"], "message": "m"}
    clean = redactor.inspect(error)
    assert clean.value["code"] == -32000
    assert clean.value["data"][1] == "message"
    assert clean.value["data"][0] != "ab12cd34"
    assert clean.value["data"][2] != "ef56gh78"


@pytest.mark.parametrize(
    ("run", "worth"),
    [
        ("x" * 200, False),
        ("X" * 31, False),
        ("1" * 31, False),
        ("TestHelpVariableExpansion", False),
        ("ab12" * 10, False),
        ("abcd" * 10, False),
        ("aB" * 12, False),
        ("YWJj" * 6, True),
        ("x" + "YWJj" * 6, True),
        ("eNr" + "aB" * 12, True),
        ("H4sI" + "aB" * 12, True),
        ("aB" * 3000, False),
        ("aB" * 3000 + "YWJj" * 6, True),
        ("K06sVKgqNPYoM88OsKwITzLNCzHKDbJI9jEBAA", True),
        ("some/words" * 9 + "/K06sVKgqNPYoM88OsKwITzLNCzHKDbJI9jEBAA", False),
        ("short K06sVKgqNPYoM88", False),
        ("sever_delete_dBelow_names" + "ab" * 12, False),
        ("H4sI" + "ab" * 12, True),
        ("78da" + "ab12" * 8, True),
        ("6162" * 8, True),
        ("1f8b08" + "ab12" * 8, True),
        ("AB23" * 8, False),
        ("MFRGGZDF" * 4, True),
    ],
)
def test_a_run_is_a_sign_only_where_it_may_be_encoded(run: str, worth: bool) -> None:
    assert (RUNS in signs_of(View(f"see {run}.".encode() + PAD), Budget(0))) is worth


@pytest.mark.parametrize(
    ("lines", "cut"),
    [
        ("import AT_ONCE, TooMuchAtOnce\nfrom here import there", False),
        ("out = subprocess.DEVNULL\r\n    else:", False),
        ("a TooMuchAtOnce\nFrOm1234", True),
        ("a TooMuchAt0nce\nfrom here", True),
        ("a aBcDEfGHijKL\nfrom here", True),
        ("a TooMuchAtOnce\nb2", True),
    ],
)
def test_a_line_that_ends_as_names_of_code_do_is_no_sign_where_a_word_begins_the_next(
    lines: str, cut: bool
) -> None:
    assert (ENDS in signs_of(View(lines.encode() + PAD), Budget(0))) is cut


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_of_base64_are_one_piece_in_which_each_byte_has_its_place(end: str) -> None:
    lines = ["".join(chr(65 + (7 * line + 3 * at) % 26) + "7" for at in range(32)) for line in range(6)]
    text = (end.join(lines) + end + "a tail").encode() + PAD
    joined = next(view for view in views(text) if view.joined)
    size = len(joined.text) - len(PAD)
    assert b"".join(line.encode() for line in lines) in joined.text
    for at in range(size):
        start, stop = joined.place(at, at + 1)
        if joined.text[at] != 0xFF:
            assert text[start:stop] == joined.text[at : at + 1]


@pytest.mark.parametrize("mark", ["/", "+"])
def test_a_mark_with_which_lines_of_base64_begin_belongs_to_them(mark: str) -> None:
    lines = [
        mark + "".join(chr(65 + (7 * line + 3 * at) % 26) for at in range(74)) + "7" for line in range(4)
    ]
    text = "\n".join(lines).encode() + PAD
    joined = next(view for view in views(text) if view.joined)
    assert "".join(lines).encode() in joined.text


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"$\n", b"\x1f", b"\\n", b"\\r"])
def test_a_run_ends_before_whatever_ends_its_line(end: bytes) -> None:
    assert end_of_run(b"run" + end + b"next", 3 + len(end)) == 3


@pytest.mark.parametrize("escape", ["%%%02x", "\\x%02x", "\\u%04x", "&#x%02x;"])
def test_a_token_escaped_letter_by_letter_is_replaced_and_no_more(escape: str) -> None:
    before, token, after = (
        [escape % ord(char) for char in text] for text in ("of ", "ghp_" + "aB3kQ9xZ7mT2" * 3, " or")
    )
    said = Redactor(b"key").inspect({"a": "".join([*before, *token, *after])}).value["a"]
    assert said == "".join(before) + "[REDACTED:github-token#1]" + "".join(after)


DUMPS = {
    "xxd": "00000000: 746f 6b2d 3966 334b 7137 5a78 314c 6d35  tok-9f3Kq7Zx1Lm5\n00000010: 5762 3865  Wb8e\n",
    "od -x": "0000000 6f74 2d6b 6639 4b33 3771 785a 4c31 356d\n0000020 6257 6538\n0000024\n",
    "od -t u4": "0000000  762015604 1261659705 2019178353  896355377\n0000020 1698193879\n0000024\n",
}


@pytest.mark.parametrize("dump", DUMPS)
def test_the_first_row_of_a_dump_is_read_where_a_result_begins_with_it(dump: str) -> None:
    redactor = Redactor(b"key")
    redactor.hold("x", Secret(HELD))
    said = redactor.inspect({"content": [{"type": "text", "text": DUMPS[dump]}]}).value
    assert DUMPS[dump].split("\n")[0] not in said["content"][0]["text"]


PASSPHRASE = "Correct-Horse7 battery!Staple"
ROWS = (
    "00000000: 436f 7272 6563 742d 486f 7273 6537 2062  Correct-Horse7 b",
    "00000010: 6174 7465 7279 2153 7461 706c 65         attery!Staple",
)


@pytest.mark.parametrize(
    "before", ["", "boom ", "[wire] ", "09:00:00,123 DEBUG root:", "api-1  | ", ">> ", "+"]
)
@pytest.mark.parametrize("each", [True, False])
def test_rows_of_a_dump_are_read_behind_what_a_log_writes_before_them(before: str, each: bool) -> None:
    redactor = Redactor(b"key")
    redactor.hold("x", Secret(PASSPHRASE))
    said = redactor.inspect(before + f"\n{before if each else ''}".join(ROWS) + "\nafter").value
    assert said == f"{before}[REDACTED:credential:x#1]\nafter"


@pytest.mark.uncounted
def test_a_long_dump_is_read_in_pieces_to_its_end() -> None:
    plain = b"".join(b"a line %07d\n\n" % number for number in range(10_000))
    plain = plain[:80_000] + f"\n{HELD}\n".encode() + plain[80_000:] + HELD.encode()
    rows = [f"{at:08x}: {plain[at : at + 16].hex(' ', 2)}\n" for at in range(0, len(plain), 16)]
    redactor = Redactor(b"key")
    redactor.hold("env:A", Secret(HELD))
    said = redactor.inspect({"content": [{"type": "text", "text": "".join(rows)}]}).value["content"][0][
        "text"
    ]
    hidden = [at for at, row in enumerate(rows) if row not in said]
    assert hidden == [5000, 5001, len(rows) - 2, len(rows) - 1]


def test_a_dump_whose_rows_have_two_shapes_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []
    monkeypatch.setattr(dumps_module, "contents", lambda data, _budget: said.append(data) or ())
    rows = "0000000 6173 2079 717a 4833 3776 506b\n0000014 7361 7920 7a71 3348 7637 6b50\n"
    assert len(list(views(rows.encode() + PAD))) == 1
    assert sorted(said) == [b"as yqzH37vPksay zq3Hv7kP", b"say zq3Hv7kPas yqzH37vPk"]


def test_rows_with_lines_between_them_are_no_dump() -> None:
    redactor = Redactor(b"key")
    redactor.hold("x", Secret(PASSPHRASE))
    for between in ("\none line\n", " " * 300 + "\n"):
        text = f"> {ROWS[0]}{between}{' ' * len(between)}> {ROWS[1]}"
        assert redactor.inspect(text).value is text


def test_words_of_any_length_with_dashes_between_them_are_no_dump() -> None:
    text = "00000000: 00 11 22 33 44 55 66 77\n00000008: abc-de-f 4142-4344 ab-cd-ef\n"
    assert Redactor(b"key").inspect(text).value is text


def test_numbers_wider_than_those_of_a_dump_say_nothing() -> None:
    text = "0000000   3.4e+300  1.5e+200\n0000020   2.5e+301\n0000040"
    assert Redactor(b"key").inspect(text).value is text


@pytest.mark.parametrize(
    "value", [[[n, ord(char)] for n, char in enumerate(HELD)], [float(ord(c)) for c in HELD]]
)
def test_codes_in_a_structured_result_are_read(value: Any) -> None:
    redactor = Redactor(b"key")
    redactor.hold("x", Secret(HELD))
    said = json.dumps(redactor.inspect({"structuredContent": {"codes": value}}).value)
    assert "[REDACTED:credential:x#1]" in said
    assert f"{ord(HELD[9])}" not in said


@pytest.mark.parametrize(
    "value",
    [
        {"words": [int.from_bytes(HELD[at : at + 4].encode()) for at in range(0, 20, 4)], "sigBytes": 20},
        {"key": [f"0x{HELD[at : at + 4].encode().hex()}" for at in range(0, 20, 4)]},
        {"key": [f"{ord(char):08b}" for char in HELD]},
        {"key": [bin(ord(char)) for char in HELD]},
    ],
)
def test_numbers_of_several_bytes_and_bits_in_a_structured_result_are_read(value: Any) -> None:
    redactor = Redactor(b"key")
    redactor.hold("x", Secret(HELD))
    made = redactor.inspect({"structuredContent": value}).value
    assert "[REDACTED:credential:x#1]" in json.dumps(made)
    name = next(iter(value))
    assert value[name][2] not in made["structuredContent"][name]


def test_a_token_that_nobody_holds_is_cut_out_of_a_list_of_bytes() -> None:
    token = "ghp_" + "aB3kQ9xZ7mT2" * 3
    codes = [*f"x={token}\n".encode()]
    text = json.dumps({"type": "Buffer", "data": codes})
    left = '{"type": "Buffer", "data": [120, 61, [REDACTED:github-token#1], 10]}'
    assert Redactor(b"key").inspect(text).value == left
    made = Redactor(b"key").inspect({"structuredContent": {"type": "Buffer", "data": codes}}).value
    assert made["structuredContent"]["data"] == [120, 61, *["[REDACTED:github-token#1]"] * len(token), 10]


@pytest.mark.uncounted
def test_a_token_is_found_wherever_it_is_in_long_lists_of_bytes() -> None:
    token, text = "ghp_" + "aB3kQ9xZ7mT2" * 3, "river stone " * 6000
    lists = [[*f"{before}{token} ".encode()] for before in (text, text, "")]
    made = json.dumps(Redactor(b"key").inspect("\n".join(map(str, lists))).value)
    assert made.count("[REDACTED:github-token#1]") == len(lists)


def test_numbers_that_are_no_codes_stay() -> None:
    redactor = Redactor(b"key")
    for numbers in ([61, 118, 99, 102] * 9, [200, 118, 99, 102, 1001] * 9, [1.5, 118.0, 99.0, 102.0] * 9):
        assert redactor.inspect({"data": numbers}).value == {"data": numbers}
        assert redactor.inspect(json.dumps(numbers)).value == json.dumps(numbers)


def test_many_numbers_are_no_flood() -> None:
    text = json.dumps([[n, n % 120] for n in range(2000)])
    assert Redactor(b"key").inspect(text).value is text


def test_a_run_is_read_whole_wherever_the_parts_of_a_text_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "ENOUGH", 40)
    for before in range(0, 85, 3):
        text = padded([f"{' ' * before}{'ab/cd/' * 15}{base64('say ' * 9 + HELD)} and more"])
        assert any(HELD.encode() in view.text for view in views(text)), before


@pytest.mark.uncounted
@pytest.mark.parametrize("escape", ["%{:02x}", "\\x{:02x}", "&#{};", "={:02X}"])
@pytest.mark.parametrize("off", range(0, 21, 4))
def test_an_escaped_value_is_found_wherever_it_is_in_a_text_without_lines(escape: str, off: int) -> None:
    made = Redactor(b"key")
    made.hold("env:A", Secret(HELD))
    escaped = "".join(escape.format(ord(char)) for char in HELD)
    filling = escape.format(ord("Z")) * 30_000
    text = str(made.inspect({"text": filling[: 65_536 - off] + escaped + filling}).value["text"])
    assert "[REDACTED:credential:env:A#1]" in text
    assert escaped[4:40] not in text


@pytest.mark.uncounted
@pytest.mark.parametrize("before", [0, 9_000, 16_380, 16_384, 40_000])
def test_short_rows_are_read_wherever_they_are_in_a_long_text(before: int) -> None:
    token = "".join(f"{number % 9} {char}\n" for number, char in enumerate(TOKEN))
    filling = "12 a\n" + "1 no row of a few characters at all\n" + "2 ab\n3 cd\n4 ef\n" * before
    for text in (token, filling + token, filling + token + filling):
        assert "[REDACTED:github-token#1]" in str(Redactor(b"key").inspect({"text": text}).value)


def test_a_long_run_of_hexadecimal_is_searched_to_its_end() -> None:
    run = "ff" * 70_000 + TOKEN.encode().hex()
    assert TOKEN.encode().hex() not in str(Redactor(b"key").inspect({"text": run}).value)


def test_a_long_text_without_lines_and_escapes_is_cut_between_characters() -> None:
    text = "\u200b" + "\u00e9" * 50_000
    assert [*views(padded([text]))][1].text == text[1:].encode() + PAD


def test_a_value_that_is_wrapped_in_a_long_table_is_found_wherever_it_is() -> None:
    made = Redactor(b"key")
    for before in (0, 2040, 2047, 2050):
        rows = "| name of a row |\n" * before + f"| {TOKEN[:20]} |\n| {TOKEN[20:]} |\n" + "| last |\n" * 2100
        assert TOKEN[20:] not in str(made.inspect({"text": rows}).value)


def test_only_so_many_forms_of_codes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes_module, "_MOST_KNOWN", 1)
    known = codes_module._Codes()
    assert [known[b"65.0"], known[b"66.0"], list(known)] == [65, 66, [b"65.0"]]
