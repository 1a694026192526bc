"""A random value with marks is found whatever an encoder makes of the marks, and nothing else is."""

from __future__ import annotations

import random
import string
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.held.chains import separated
from mcpguard.core.redaction.held.holding import HeldValues
from mcpguard.core.redaction.held.search import HeldSet, held
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

VALUE = 'Zu7!kP$m"2w\\Qx@9<Lr&T'
LONG = "t4(Rk9;Wq#8sX|b7Jd>f2Vn{Gz6?y3Hc"
TEX = {"$": "\\PYZdl{}", '"': "\\PYZdq{}", "\\": "\\PYZbs{}", "<": "\\PYZlt{}", "&": "\\PYZam{}"}
SPAN = '</tspan><tspan fill="#AA5D1F"'


def marks(written: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: "".join(one if one.isalnum() else written(one) for one in value)


ENCODERS = {
    "TeX": marks(lambda one: TEX.get(one, one)),
    "TeX, a group for each": marks(
        lambda one: f"}}\\PY{{l+s+se}}{{{TEX.get(one, one)}}}\\PY{{l+s+s1}}{{" if one in '"\\' else one
    ),
    "RTF": marks(lambda one: f"}}{{\\cf15 {one}}}{{\\cf17\\b "),
    "SVG": marks(lambda one: f'{SPAN} font-weight="bold">{one}{SPAN}>'),
    "BBCode": marks(lambda one: f"[/color][color=#AA5D1F][b]{one}[/b][/color][color=#BA2121]"),
    "a header": marks(lambda one: f"={ord(one):02X}"),
    "LDAP": marks(lambda one: f"\\{ord(one):02x}"),
    "SQL": marks(lambda one: f"'||chr({ord(one)})||'"),
    "a name in XML": marks(lambda one: f"_x{ord(one):04X}_"),
    "CSS": marks(lambda one: f"\\{ord(one):x} "),
    "UTF-7": marks(lambda one: f"&{b64encode(one.encode('utf-16-be')).decode().rstrip('=')}-"),
    "one that nobody knows": marks(lambda one: f"~{ord(one)}q"),
}


def shown(value: str, text: str) -> str:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    return made.inspect_text(text)


@each("encoder", ENCODERS)
@each("value", [VALUE, LONG])
def test_a_value_is_removed_with_whatever_stands_for_its_marks(encoder: str, value: str) -> None:
    text = ENCODERS[encoder](value)
    assert shown(value, f"it is {text}, they say") == "it is [REDACTED:credential:x#1], they say"


@each("encoder", ENCODERS)
def test_half_of_a_long_value_is_removed(encoder: str) -> None:
    for half in (LONG[:18], LONG[14:]):
        left = shown(LONG, f"it is {ENCODERS[encoder](half)}, they say")
        assert left == "it is [REDACTED:credential:x#1], they say"


TOO_LITTLE = {
    "too far apart": marks(lambda one: f" {25 * 'tree '} ")(VALUE),
    "no mark": marks(lambda one: f"z{ord(one):02x}")(VALUE),
    "another order": "T =24 Lr =24 9 =24 Qx =24 2w =24 m =24 kP =24 Zu7",
    "the first runs": 'Zu7=21kP=24 "',
}


@each("case", TOO_LITTLE)
def test_what_says_too_little_stays(case: str) -> None:
    assert shown(VALUE, TOO_LITTLE[case]) == TOO_LITTLE[case]


def pieces(value: str) -> list[bytes]:
    return [block for piece in separated([value]) for block, _ in piece.blocks()]


def test_what_is_searched_for_is_rare() -> None:
    assert pieces(VALUE) == [b"Zu7"]
    assert pieces("a1bC$d2eF&g3hI!") == [b"a1bC", b"d2eF", b"g3hI"]
    assert pieces("kP$m2'Qx@L9<Rr&T7") == [b"kP"]
    assert pieces("Gf$X=>bHfNaE,}]g4bMs") == [b"bHfNaE", b"g4bMs"]


@each(
    "value",
    [
        "",
        "$%&/()=?",
        "aB3kQ9xZ7mT2pL5wvN4c",  # no mark
        "aB3k-Q9xZ/7mT2=pL5w_vN4cR8",  # a token
        "a$b&c/d=e+f<g>h'i2",  # single characters
        "x00$x1b&x0a!x2f#x7e%x5c",  # as escapes
        "d0:b9:51:4a:0f:74:51:fb:35:9c:ab:da:a6:8a:a4:fe",  # as a digest
        "correct$Horse&battery9!staple2",  # words
        "RootManageSharedAccessKey=Gf$X=>bH",
        "MyApp-Prod_v2.3.1-x86_64",
        "Server=a1b2;Uid=C3d4;Pwd={Ef5};Db=G6h",
        "aB3$xY7&" * 20,  # too long for a password
    ],
)
def test_values_that_are_not_passwords_are_not_searched_for_by_their_runs(value: str) -> None:
    assert pieces(value) == []


@pytest.mark.parametrize("count", [2, 20])
def test_of_values_that_begin_alike_the_one_that_is_there_is_found(count: int) -> None:
    made = Redactor(b"key")
    values = [f"{VALUE[:8]}{'#@%'[at % 3]}{at}mN+7H{at}y" for at in range(count)]
    made.hold_all([("x", Secret(value)) for value in values])
    for _ in range(2):
        for value in values:
            assert made.inspect_text(f"({ENCODERS['LDAP'](value)})") == "([REDACTED:credential:x#1])"
        made.settle()


def test_a_run_that_an_encoder_writes_too_hides_nothing() -> None:
    for written in ("\\m{m}", "\\m{kP}", "\\m{2w}", "m" * 20 + "=", "Qx=m"):
        text = VALUE.replace("$", written)
        assert shown(VALUE, f"it is {text}, they say") == "it is [REDACTED:credential:x#1], they say"


def test_pieces_that_have_nothing_to_do_with_one_another_are_not_one_value() -> None:
    (piece,) = separated([VALUE])
    first, second = VALUE.encode()[:8], VALUE.encode()[8:]
    assert piece.runs(first + b"\x1f" + second, 3, 0) == [(0, 22)]
    assert piece.runs(first + b"\xff" + second, 3, 0) == []
    assert piece.runs(first + b"\xff" + VALUE.encode(), 12, 0) == [(9, 30)]


def test_such_a_form_goes_to_no_other_server() -> None:
    known = HeldValues()
    known.hold([(("x", b"mark"), "credential:x", Secret(VALUE))])
    text = ENCODERS["a header"](VALUE).encode() + PAD
    for _ in range(2):
        assert known.foreign(text, frozenset(), Budget(len(text))) == {"x"}
        assert known.foreign(text, frozenset(["x"]), Budget(len(text))) == set()
        known.settle()


def test_a_set_says_whether_such_a_form_may_be_there() -> None:
    values = HeldSet([held("x", "credential:x", Secret(LONG), b"mark")])
    text = ENCODERS["SQL"](LONG).encode() + PAD
    assert values.may_be_in(text, text.lower())
    assert not values.may_be_in(b"words" + PAD, b"words" + PAD)


def test_runs_that_lead_to_nothing_are_counted() -> None:
    made = Redactor(b"key")
    made.hold("x", Secret(VALUE))
    with pytest.raises(InspectionError, match="beginnings of secrets"):
        made.inspect("Zu7 " * 40_000)


def test_nothing_is_removed_from_texts_by_chance() -> None:
    chance = random.Random(7)
    letters = string.ascii_letters + string.digits + string.punctuation
    values = ["".join(chance.choices(letters, k=16 + at % 9)) for at in range(100)]
    texts = [*Path("docs").rglob("*.md"), *Path("src").rglob("*.txt"), *Path("src").rglob("*.py")]
    whole = b"\n".join(path.read_bytes() for path in texts)
    whole += b64encode(chance.randbytes(1_000_000)).replace(b"A", b"=")
    found = [piece for value in values for piece in separated([value])]
    assert len(found) > 80
    for piece in found:
        for block, at in piece.blocks():
            place = whole.find(block)
            while place >= 0:
                assert piece.runs(whole, place + len(block), at) == []
                place = whole.find(block, place + 1)
