"""Why an operand came to what it did: what is there and of which type, never a value."""

from __future__ import annotations

from typing import Any

from mcpguard.authoring.explain.unknown import reason_of
from mcpguard.core.conditions.cel import Bound
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.names import NAMES
from tests.authoring.explain.explaining import NOW
from tests.rows import each

ARGS: dict[str, Any] = {
    "text": "hush",
    "number": 7,
    "double": 1.5,
    "flag": False,
    "none": None,
    "list": ["hush", {"deep": "hush"}],
    "map": {"deep": {"a key": "hush"}},
    "url": "http://hush@10.0.0.1/",
    "mail": "jane@example.com",
    "bad": "http:hush",
}
VIEW: dict[str, Any] = {"args": ARGS, "session": {"labels": []}, "now": NOW, "server": "s"}

CASES = [
    ("args.force", "there is no `args.force`"),
    ("has(args.map.force)", "there is no `args.map.force`"),
    ("args.text.deep", "`args.text` is a string"),
    ("args.list.deep", "`args.list` is a list"),
    ("args.map[0] == 1", "`args.map` is an object"),
    ("args.list[2] == 1", "there is no `args.list[2]`"),
    ("args.list[0x1].other", "there is no `args.list[1].other`"),
    ("args['text'] == 'x'", "`args['text']` is a string"),
    ("args.map.deep['a key'] == 'x'", "`args.map.deep['a key']` is a string"),
    ("args.list[args.number] == 'x'", "`args.list` is a list; `args.number` is a whole number"),
    ("args.double > 2.0", "`args.double` is a number"),
    ("args.flag", "`args.flag` is a boolean"),
    ("args.none == 1", "`args.none` is null"),
    ("args.map == {}", "`args.map` is an object"),
    ("args.text.size() > 10", "`args.text` is a string"),
    ("now < timestamp('2020-01-01T00:00:00Z')", "`now` is a time"),
    ("resource.uri == 'x'", "there is no `resource`"),
    ("1 == 2", ""),
    ("!url(args.url).user", "url() returns user: true, ip: true; `args.url` is a string"),
    (
        "url(args.bad).ip",
        "a URL must have a scheme, `//` and a host, and one `#` at most; `args.bad` is a string",
    ),
    ("url(args.gone).ip", "there is no `args.gone`"),
    ("url(args.number).ip", "url() needs `text` to be a string; `args.number` is a whole number"),
    ("detect(args.mail) == []", "detect() finds email; `args.mail` is a string"),
    ("detect(args.text) == ['iban']", "detect() finds nothing; `args.text` is a string"),
    ("glob(args.text, 'a*')", "`args.text` is a string"),
    ("args.text.matches('^a')", "`args.text` is a string"),
    ("json(args.number) == 1", "json() needs `text` to be a string; `args.number` is a whole number"),
]


@each(("text", "reason"), CASES, ids=[text for text, _ in CASES])
def test_a_reason_names_what_is_there_and_of_which_type(text: str, reason: str) -> None:
    bound = Bound(VIEW)
    said = reason_of(text, engine("cpp").compile(text).verdict(bound), VIEW)
    assert said == reason
    assert "hush" not in said


def test_of_what_is_true_a_reason_says_what_is_absent_and_what_functions_found_only() -> None:
    for text, reason in [
        ("args.text == 'hush'", ""),
        ("!has(args.force)", "there is no `args.force`"),
        ("url(args.url).user", "url() returns user: true, ip: true"),
    ]:
        verdict = engine("cpp").compile(text).verdict(Bound(VIEW))
        assert verdict.value == "true"
        assert reason_of(text, verdict, VIEW) == reason


def test_every_name_of_conditions_is_told_of() -> None:
    for name in NAMES:
        said = reason_of(f"{name} == 1", engine("cpp").compile("false").verdict(Bound({})), {})
        assert said == f"there is no `{name}`"
