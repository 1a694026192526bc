"""Inspection: what leaves is clean, says what it lacks, and is otherwise the value that came in."""

from __future__ import annotations

import base64
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.errors import CredentialError, InspectionError
from mcpguard.core.model import Detection, Json, Redacted
from mcpguard.core.redaction import beginnings
from mcpguard.core.redaction import redactor as redaction
from mcpguard.core.redaction.leaves import Leaves
from mcpguard.core.redaction.redactor import KINDS, OPT_IN, TOO_LONG, Redactor, authored
from mcpguard.core.redaction.removal.rebuilding import Rebuild
from mcpguard.core.redaction.views.signs import expressions
from mcpguard.core.secret import Secret

TOKEN = "Zq3-_hV7/kP+9xW" + "b5nT2mR8cL4"
OTHER = "another-held-value-42"
PIN = "840193752618"
GITHUB = "ghp_" + "aB3kQ9xZ7mT2" * 3
HELD = "[REDACTED:credential:keyring:github/read#1]"


def redactor(**more: str) -> Redactor:
    made = Redactor(b"key")
    made.hold("keyring:github/read", Secret(TOKEN))
    for name, value in more.items():
        made.hold(name, Secret(value))
    return made


def block(text: str) -> dict[str, Json]:
    return {"type": "text", "text": text, "annotations": {"audience": ["user"], "priority": 0.5}}


def test_a_clean_value_comes_back_as_the_very_same_object() -> None:
    value = {"content": [block("hello")], "n": [1, 2.5, None, True], "": ""}
    inspected = redactor().inspect(value)
    assert inspected.value is value
    assert inspected.findings == ()


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", [], {}, [[]], {"": {}}])
def test_any_json_value_can_be_inspected(value: Json) -> None:
    assert redactor().inspect(value).value is value


def test_the_payload_is_the_inspected_value() -> None:
    for value in ({"a": [TOKEN, 2**70]}, {"a": "é"}):
        inspected = redactor().inspect(value)
        assert inspected.payload == msgspec.json.encode(inspected.value)
    assert redactor().inspect({"a": 2**70}).payload == b'{"a":1180591620717411303424}'


def test_what_is_only_recorded_is_inspected_and_has_no_payload() -> None:
    assert redactor().inspect({"a": "é"}, sent=False) == Redacted({"a": "é"}, b"")
    assert redactor().inspect({"a": TOKEN}, sent=False).value == {"a": HELD}


def test_a_held_value_is_replaced_where_it_stands() -> None:
    inspected = redactor().inspect({"content": [block("ok"), block(f"token: {TOKEN}!")]})
    assert inspected.value == {"content": [block("ok"), block(f"token: {HELD}!")]}
    assert inspected.findings == (Detection("credential:keyring:github/read", "/content/1/text"),)


def test_what_came_in_is_not_changed() -> None:
    value = {"content": [block(TOKEN)], TOKEN: 1}
    before = json.dumps(value)
    redactor().inspect(value)
    assert json.dumps(value) == before


def test_a_secret_cut_over_two_text_blocks_is_caught() -> None:
    for cut in range(1, len(TOKEN)):
        inspected = redactor().inspect({"content": [block("a " + TOKEN[:cut]), block(TOKEN[cut:] + " b")]})
        assert inspected.value == {"content": [block(f"a {HELD}"), block(f"{HELD} b")]}
        assert [f.path for f in inspected.findings] == ["/content/0/text", "/content/1/text"]


def test_an_empty_text_inside_a_cut_stays_empty() -> None:
    assert redactor().inspect([TOKEN[:9], "", TOKEN[9:]]).value == [HELD, "", HELD]


def test_a_secret_cut_over_two_members_is_caught() -> None:
    assert redactor().inspect({"a": TOKEN[:9], "b": TOKEN[9:]}).value == {"a": HELD, "b": HELD}


def test_a_secret_cut_over_two_names_is_caught() -> None:
    assert redactor().inspect({TOKEN[:9]: 1, TOKEN[9:]: 2}).value == {HELD: 1, f"{HELD}(2)": 2}
    assert redactor().inspect([{TOKEN[:9]: 1}, {TOKEN[9:]: 2}]).value == [{HELD: 1}, {HELD: 2}]


def test_a_name_is_inspected_and_renamed() -> None:
    held = HELD.replace("#1", "#2")
    inspected = redactor().inspect({"env": {f"a/{TOKEN}": {"b~": GITHUB}}})
    assert inspected.value == {"env": {f"a/{held}": {"b~": "[REDACTED:github-token#1]"}}}
    name = "a~1" + held.replace("/", "~1")
    assert set(inspected.findings) == {
        Detection("credential:keyring:github/read", f"/env/{name}"),
        Detection("github-token", f"/env/{name}/b~0"),
    }


def test_names_that_become_equal_stay_distinct() -> None:
    value = {TOKEN: 1, TOKEN.upper(): 2, base64.b64encode(TOKEN.encode()).decode(): 3, HELD: 4}
    inspected = redactor().inspect(value).value
    second = HELD.replace("#1", "#2")  # The first is another value's, from an earlier inspection.
    assert inspected == {second: 1, f"{second}(2)": 2, f"{second}(3)": 3, HELD: 4}


def test_a_secret_of_digits_is_caught_as_a_number() -> None:
    inspected = redactor(pin=PIN).inspect(
        {"code": int(PIN), "list": [1, -8401937526180, 2.5], "text": f"={PIN}"}
    )
    pin = "[REDACTED:credential:pin#1]"
    assert inspected.value == {"code": pin, "list": [1, pin, 2.5], "text": f"={pin}"}
    assert Detection("credential:pin", "/list/1") in inspected.findings


def test_a_secret_as_a_list_of_bytes_is_caught() -> None:
    value = {"type": "Buffer", "data": [7, *TOKEN.encode(), 7]}
    inspected = redactor().inspect(value).value
    assert inspected["data"] == [7, *[HELD] * len(TOKEN), 7]


def test_a_payment_card_is_caught_as_a_number() -> None:
    value = {"card": 4111111111111111, "other": 4111111111111112}
    inspected = redactor().inspect(value, ("payment-card",)).value
    assert inspected == {"card": "[REDACTED:payment-card#1]", "other": 4111111111111112}


def test_equal_values_have_equal_numbers_and_others_have_others() -> None:
    made = redactor()
    second = GITHUB.replace("a", "b")
    texts = made.inspect([GITHUB, second, TOKEN, f"x {GITHUB}"]).value
    assert texts[3] == f"x {texts[0]}"
    assert len(set(texts)) == 4


def test_a_number_says_nothing_of_what_was_inspected_before() -> None:
    made = redactor()
    guesses = ["alice@corp.example", "bob@corp.example"]
    alone = [made.inspect(guess, ("email",)).value for guess in guesses]
    made.inspect(guesses, ("email",))
    again = [made.inspect(guess, ("email",)).value for guess in reversed(guesses)]
    assert {*alone, *again} == {"[REDACTED:email#1]"}


def test_a_number_that_stands_in_the_value_already_is_not_given_to_another_text() -> None:
    made = redactor()
    assert (
        made.inspect(f"[REDACTED:email#3] {GITHUB}").value == "[REDACTED:email#3] [REDACTED:github-token#4]"
    )
    assert made.inspect(f"[REDACTED:nothing#3] {GITHUB}").value.endswith("#1]")


def test_a_value_has_the_same_number_in_every_form() -> None:
    made = redactor()
    assert made.inspect(TOKEN).value == HELD
    assert made.inspect(TOKEN.encode().hex()).value == HELD


def test_a_held_value_that_has_the_form_of_a_token_is_named_as_held() -> None:
    inspected = redactor(gh=GITHUB).inspect(f"token {GITHUB}").value
    assert inspected == "token [REDACTED:credential:gh#1]"


def test_overlapping_hits_become_one() -> None:
    made = redactor(gh=GITHUB[6:])
    assert made.inspect(f"token {GITHUB}-x.").value == "token [REDACTED:credential:gh#1]."
    unheld = "ghp_" + "Wd5rYf8uLc1n" * 3
    text = f"https://user:{unheld}@example.com"
    assert made.inspect(text).value == "https://user:[REDACTED:github-token#1]@example.com"


def test_the_numbers_stop_growing() -> None:
    made = Redactor(b"key")
    earlier = "[REDACTED:github-token#9999]"
    _, first, second = made.inspect([earlier, GITHUB, GITHUB.replace("a", "b")]).value
    assert (first, second) == ("[REDACTED:github-token#10000]", "[REDACTED:github-token#0]")
    assert made.inspect([first, second]).findings == ()


def test_a_name_is_made_harmless_before_it_is_shown() -> None:
    made = redactor(**{"a b]\n#1@\u00e9" + "x" * 500: OTHER})
    assert made.inspect(OTHER).value == f"[REDACTED:credential:a_b___1__{'x' * 119}#1]"


def test_holding_a_new_value_keeps_the_old_one() -> None:
    made = redactor()
    made.hold("keyring:github/read", Secret(OTHER))
    assert made.inspect([OTHER, TOKEN]).value == [HELD, HELD.replace("#1", "#2")]


def test_holding_the_same_value_again_changes_nothing() -> None:
    made = redactor()
    made.settle()
    before = made._held._sets
    made.hold("keyring:github/read", Secret(TOKEN))
    assert made._held._sets is before
    made.hold("env:SAME", Secret(TOKEN))
    made.settle()
    assert made.inspect(TOKEN).value == HELD


def test_a_value_that_is_too_short_is_refused_and_nothing_changes() -> None:
    made = redactor()
    with pytest.raises(CredentialError, match="env:X"):
        made.hold("env:X", Secret("short"))
    assert made.inspect("short").findings == ()


def test_a_secret_made_of_the_words_of_a_placeholder_is_still_removed_once() -> None:
    made = redactor(word="credential", label="1 github 2")
    inspected = made.inspect([f"the Credential {TOKEN}", f"{TOKEN} github 2"])
    assert made.inspect(inspected.value).value is inspected.value
    assert "the [REDACTED:credential:word#" in inspected.value[0]


def test_a_forged_placeholder_hides_nothing() -> None:
    made = redactor(pin=PIN)
    assert PIN not in made.inspect(f"[REDACTED:jwt#{PIN}]").value
    assert PIN not in made.inspect(f"[REDACTED:jwt#{PIN[:5]}]{PIN}").value
    assert GITHUB not in made.inspect(f"[REDACTED:{GITHUB}#1]").value
    assert TOKEN not in made.inspect(f"[REDACTED:{TOKEN}#1]").value


def test_a_control_character_does_not_break_up_a_secret() -> None:
    for char in ("\x1f", "\x1e", "\x00", "\u00ff", "\u200b"):
        assert redactor().inspect(TOKEN[:9] + char + TOKEN[9:]).value == HELD


def test_what_stood_beside_a_removed_text_is_looked_at_again() -> None:
    text = OTHER + "AKIA" + "Q3X7" * 4
    assert redactor(other=OTHER).inspect(text).value == (
        "[REDACTED:credential:other#1][REDACTED:aws-access-key-id#2]"
    )


def test_a_value_that_never_becomes_clean_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "edited_parts", lambda _leaves, parts, _spans, _numbers: parts)
    with pytest.raises(InspectionError, match="could not be made clean"):
        redactor().inspect(TOKEN)


def test_a_path_never_tells_a_secret() -> None:
    value = {PIN[:3]: [{PIN[3:]: {"mail": GITHUB}}], "x": [[[TOKEN]]]}
    findings = redactor(pin=PIN, path="/x/0/0").inspect(value).findings
    assert Detection("credential:keyring:github/read", "") in findings


def test_an_opt_in_kind_is_inspected_for_when_asked() -> None:
    made = redactor()
    value = {"to": "jane@example.com", "text": f"Jane <jane@example.com> {TOKEN}"}
    assert made.inspect({"to": "jane@example.com"}).findings == ()
    inspected = made.inspect(value, ("email", "iban"))
    mail = "[REDACTED:email#1]"
    assert inspected.value == {"to": mail, "text": f"Jane <{mail}> {HELD.replace('#1', '#2')}"}


def test_an_unknown_kind_withholds_the_value() -> None:
    with pytest.raises(InspectionError):
        redactor().inspect("clean", ("e-mail",))


def test_the_kinds_can_be_checked_by_a_policy_loader() -> None:
    assert {"email", "payment-card", "iban"} == OPT_IN
    assert {"github-token", "jwt"} < KINDS - OPT_IN


@pytest.mark.parametrize("nest", [lambda v: [v], lambda v: {"a": v}, lambda v: [{"a": [v]}]])
def test_a_value_that_is_nested_too_deeply_is_withheld(nest: Any) -> None:
    value: Json = GITHUB
    while len(json.dumps(value)) < 60:
        value = nest(value)
    assert redactor().inspect(value).findings
    for _ in range(128):
        value = nest(value)
    with pytest.raises(InspectionError, match="nested deeper than 128 levels"):
        redactor().inspect(value)


def test_128_levels_are_inspected() -> None:
    lists: Json = TOKEN
    dicts: Json = TOKEN
    for _ in range(128):
        lists = [lists]
        dicts = {"a": dicts}
    assert redactor().inspect(lists).findings[0].path == "/0" * 128
    assert redactor().inspect(dicts).findings[0].path == "/a" * 128


@pytest.mark.parametrize("value", [{1, 2}, (1,), b"x", object()])
def test_what_is_no_json_is_withheld(value: object) -> None:
    for nested in (value, [value], {"a": value}):
        with pytest.raises(InspectionError):
            redactor().inspect(nested)


def test_a_number_that_has_no_text_is_withheld() -> None:
    with pytest.raises(InspectionError):
        redactor().inspect(10**5000)


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("\ud800", "[U+D800]"),
        ({"\udc00": 1}, {"[U+DC00]": 1}),
        ([f"\ud800{TOKEN}"], [f"[U+D800]{HELD}"]),
    ],
    ids=["text", "name", "beside"],
)
def test_half_a_character_becomes_visible(value: Json, made: Json) -> None:
    inspected = redactor().inspect(value)
    assert inspected.value == made
    assert inspected.neutralised == (("control", 1),)


def test_a_failure_of_the_engine_withholds_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError(TOKEN)

    made = redactor()
    monkeypatch.setattr(made, "_found", fail)
    with pytest.raises(InspectionError, match=r"^a value could not be inspected$") as caught:
        made.inspect("x")
    assert caught.value.__suppress_context__
    assert made.inspect_text("x") == "[WITHHELD: could not be inspected]"


def test_a_text_is_inspected_for_a_log() -> None:
    assert redactor().inspect_text(f"failed: {TOKEN}\n") == f"failed: {HELD}\n"
    assert redactor().inspect_text("fine") == "fine"


def test_a_line_that_takes_too_long_to_inspect_at_once_is_withheld() -> None:
    assert redactor().inspect_text(f"{TOKEN} {'x ' * 200}", most=100) == TOO_LONG
    assert redactor().inspect_text("plain words " * 20, most=100) == "plain words " * 20


def test_a_value_of_ours_is_passed_as_it_is() -> None:
    value = {"code": -32603, "message": "refused"}
    assert authored(value).value is value
    assert authored(value).payload == b'{"code":-32603,"message":"refused"}'
    assert authored(value).findings == ()


@pytest.mark.uncounted
def test_a_table_with_a_mail_address_in_each_row_is_masked() -> None:
    rows = [{"id": number, "email": f"p{number}@example.org"} for number in range(10_000)]
    assert b"@" not in redactor().inspect(rows, ("email",)).payload


@pytest.mark.uncounted
def test_a_flood_of_hits_is_withheld() -> None:
    with pytest.raises(InspectionError, match=r"^more than 18,751 hits in 1,050,086 bytes$"):
        redactor().inspect("AKIAQ3EGRIB5KTAVZ2XN " * 50_001)
    with pytest.raises(InspectionError, match=r"^more than 25,004 hits in 350,072 bytes$"):
        redactor().inspect("a@b.io " * 50_001, ("email",))


HOSTILE = [
    *(
        "eyJ",
        " eyJ",
        "eyJa.",
        "eyJ" + "a" * 40 + ".",
        "://",
        "://a:",
        "://a:b@"[:6],
        "ghp_",
        "sk-",
        "T3BlbkFJ",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "AccountKey=",
        "secret_access_key= ",
        "SK0a1b",
        "SG.aaaaaaa.",
    ),
    *("[REDACTED:", "[REDACTED:jwt#1]", "a@", "4 4 4 4", "4111-", "AA00", "AA00 ", "@", "\\", "%20", "\x1f"),
]


def test_a_long_password_of_at_signs_is_looked_at_once() -> None:
    text = ("://u:" + "p@" * 1000 + "h/ ") * 2
    assert len(redactor().inspect(text).findings) == 1


LONG = 250_000
"""Enough for work that grows with the square of a length to take hours."""


@pytest.mark.uncounted
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_hostile_text_is_inspected_to_its_end_or_withheld(unit: str) -> None:
    text = (unit * (LONG // len(unit) + 1))[:LONG]
    with suppress(InspectionError):  # It needs more work than its size allows.
        redactor().inspect({"text": text}, tuple(sorted(OPT_IN)))


def test_a_redactor_serves_many_threads_while_values_are_added() -> None:
    made = redactor()
    value = {"content": [block("x" * 10_000 + TOKEN)]}

    def work(i: int) -> str:
        made.hold(f"env:V{i}", Secret(f"value-number-{i:03d}"))
        return str(made.inspect(value).value["content"][0]["text"][-40:]) + made.inspect_text(
            f"value-number-{i:03d}"
        )

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(work, range(12)))
    assert all(HELD[-40:].split("#")[0] in text and "value" not in text for text in texts)
    assert not any(f"value-number-{i:03d}" in made.inspect_text(f"value-number-{i:03d}") for i in range(12))


def test_it_all_works_without_hyperscan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    beginnings.COMPILED.clear()
    expressions.cache_clear()
    try:
        value = {"a": f"{TOKEN} and {GITHUB}", "b": "postgres://me:" + "pa55@db", "c": "fine"}
        assert redactor().inspect(value).value == {
            "a": f"{HELD} and [REDACTED:github-token#2]",
            "b": "postgres://me:[REDACTED:url-password#3]@db",
            "c": "fine",
        }
    finally:
        beginnings.COMPILED.clear()
        expressions.cache_clear()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PIECE = st.sampled_from(
    [
        TOKEN,
        TOKEN[:11],
        TOKEN[11:],
        OTHER,
        GITHUB,
        base64.b64encode(TOKEN.encode()).decode(),
        PIN,
        HELD,
        "#1]",
        "@",
    ]
)
STRING = st.lists(TEXT | PIECE, max_size=4).map("".join)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRING
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRING, inner, max_size=4),
    max_leaves=12,
)
KNOWN = redactor(other=OTHER, pin=PIN)


def shape(value: Json) -> Any:
    if isinstance(value, dict):
        return [shape(child) for child in value.values()]
    if isinstance(value, list):
        return (*map(shape, value),)
    return "leaf" if isinstance(value, str | int | float) and not isinstance(value, bool) else value


def at(value: Json, path: str) -> Any:
    for token in path.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            parent, value = value, value[name]
            if value is parent:
                raise AssertionError
        else:
            value = value[int(name)]
    return value


@settings(deadline=None)
@given(VALUE)
def test_laws_of_an_inspected_value(value: Json) -> None:
    inspected = KNOWN.inspect(value, ("email",))
    again = KNOWN.inspect(inspected.value, ("email",))
    assert again.value is inspected.value, "a fixpoint"
    assert again.findings == ()
    assert shape(inspected.value) == shape(value)
    text = json.dumps(inspected.value, ensure_ascii=False)
    assert not [held for held in (TOKEN, OTHER, GITHUB, PIN) if held in text]
    assert bool(inspected.findings or inspected.neutralised) == (inspected.value != value)
    for finding in inspected.findings:
        at(inspected.value, finding.path)
        assert not [held for held in (TOKEN, OTHER, GITHUB, PIN) if held in finding.path]


@settings(deadline=None)
@given(VALUE)
def test_a_value_that_is_taken_apart_goes_together_again(value: Json) -> None:
    leaves = Leaves(value)
    rebuild = Rebuild(leaves, leaves.parts())
    assert rebuild.value(value) == value
    assert rebuild.findings == {}


@settings(deadline=None)
@given(st.lists(st.integers(1, len(TOKEN) - 1), max_size=3, unique=True).map(sorted), TEXT)
def test_a_held_value_is_caught_however_it_is_cut_over_text_blocks(cuts: list[int], text: str) -> None:
    pieces = [TOKEN[a:b] for a, b in pairwise([0, *cuts, len(TOKEN)])]
    inspected = redactor().inspect({"content": [block(piece) for piece in pieces], "note": text})
    for each, piece in zip(inspected.value["content"], pieces, strict=True):
        assert each["text"] == HELD or not any(map(str.isalnum, piece))


@pytest.mark.uncounted
@pytest.mark.parametrize("text", ["item-{:08}", "src/a/b{:05}.py", "user{:06}@corp", "2026-11-27T10:{:05}"])
def test_a_long_list_of_short_texts_passes(text: str) -> None:
    value = [text.format(number) for number in range(20_000)]
    assert redactor().inspect(value).value is value
    assert redactor().inspect({"rows": [{"id": one, "n": 1} for one in value]}).findings == ()
