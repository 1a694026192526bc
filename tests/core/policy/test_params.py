"""Params: what a policy leaves open, what takes its place, and what is refused without it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, EngineName, Verdict
from mcpguard.core.errors import PolicyError
from mcpguard.core.model import Deny, Invocation, Listed, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet, compile_policy
from mcpguard.core.policy.params import placed
from mcpguard.core.policy.written import Param
from tests.rows import each

ENGINES: tuple[EngineName, ...] = ("cpp", "python")
FOLDERS = Param(type="strings", default=["/srv/a", "/srv/ü 😀"])


def policy(params: str, when: str, values: dict[str, Any] | None = None, cel: str = "cpp") -> CompiledPolicy:
    text = (
        f"version: 1\npolicy: p\nparams:\n{params}rules:\n  - id: r\n    effect: deny\n    when: '{when}'\n"
    )
    return compile_policy(text, "p.yaml", frozenset(), engines.engine(cel), values)  # type: ignore[arg-type]


def verdict(one: CompiledPolicy, **args: Any) -> Verdict:
    condition = one.rules[0].condition
    assert condition is not None
    return condition.verdict(Bound({"args": args}))


def problems(params: str, when: str, values: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        policy(params, when, values)
    return [f"{one.line}:{one.column} {one.message}" for one in caught.value.problems]


@pytest.mark.parametrize("cel", ENGINES)
def test_a_value_of_each_type_is_what_a_condition_reads(cel: str) -> None:
    declared = "  names: {type: strings}\n  most: {type: integer}\n  strict: {type: boolean}\n  base: {type: string}\n"
    when = (
        "args.name in params.names && args.count > params.most && params.strict && args.path == params.base"
    )
    values: dict[str, Any] = {"names": ["a\"'\\\n", "😀"], "most": -3, "strict": True, "base": "\x7f"}
    one = policy(declared, when, values, cel)
    for name in values["names"]:
        assert verdict(one, name=name, count=0, path="\x7f") is TRUE
    assert verdict(one, name="b", count=0, path="\x7f") is FALSE
    assert verdict(one, name="😀", count=-3, path="\x7f") is FALSE


@pytest.mark.parametrize("cel", ENGINES)
def test_a_param_without_a_value_is_an_error_only_where_the_answer_depends_on_it(cel: str) -> None:
    one = policy("  names: {type: strings}\n", "args.all || args.name in params.names", None, cel)
    assert verdict(one, all=True) is TRUE
    assert verdict(one, all=False, name="a") is ERROR
    inside = policy("  within: {type: strings}\n", "!pathWithin(args.path, params.within)", None, cel)
    assert verdict(inside, path="/srv") is ERROR


def test_an_empty_list_is_a_value() -> None:
    one = policy("  names: {type: strings, default: []}\n", "args.name in params.names")
    assert verdict(one, name="a") is FALSE


def test_a_function_gets_a_value_as_if_it_stood_there() -> None:
    one = policy(
        "  within: {type: strings}\n",
        "pathWithin(args.path, params.within, params.within[0])",
        {"within": ["/srv"]},
    )
    assert verdict(one, path="a/b") is TRUE
    assert verdict(one, path="../b") is FALSE


@pytest.mark.parametrize("cel", ENGINES)
def test_a_map_is_read_by_functions_and_for_its_names(cel: str) -> None:
    when = 'params.columns != {} && [sql(args.q, "postgres", params.columns)].all(q, q.tables.all(t, t in params.columns) && !("*" in q.columns))'.replace(
        "'", ""
    )
    one = policy("  columns: {type: map}\n", when, {"columns": {"users": ["id", "name"], "o": []}}, cel)
    assert verdict(one, q="SELECT u.name FROM users u") is TRUE
    assert verdict(one, q="SELECT u.pw FROM users u") is FALSE
    assert verdict(one, q="SELECT name FROM other") is FALSE
    assert one.rules[0].condition is not None
    assert one.rules[0].condition.engine.name == cel


def test_the_configuration_sets_another_value_than_the_default() -> None:
    one = policy("  names: {type: strings, default: [a]}\n", "args.name in params.names", {"names": ["b"]})
    assert verdict(one, name="a") is FALSE
    assert verdict(one, name="b") is TRUE


def test_a_value_is_a_part_of_the_digest() -> None:
    digests = [
        PolicySet(
            [policy("  names: {type: strings, default: [a]}\n", "args.name in params.names", values)]
        ).digest
        for values in (None, {"names": ["b"]}, {"names": ["a"]})
    ]
    assert digests[0] == digests[2] != digests[1]


def test_what_is_set_must_fit() -> None:
    declared = "  names: {type: strings}\n  most: {type: integer}\n"
    when = "args.name in params.names || args.n > params.most"
    wrong = {"names": "a", "most": True, "nams": ["a"], "x": 1}
    assert problems(declared, when, wrong) == [
        "4:3 the param `names`: expected a list of texts",
        "4:3 the param `most`: expected a whole number below 2^53",
        "4:3 the policy has no param `nams`; did you mean `names`?",
        "4:3 the policy has no param `x`; it has names, most",
    ]
    assert problems(declared, when, {"names": ["a\0"], "most": 1 << 53})[0].startswith(
        "4:3 the param `names`: expected"
    )


@each("value", ["/srv", ["srv"], [""], ["~/srv"], ["/srv", "/srv/../etc"], ["/srv\0"]])
def test_folders_are_absolute(value: Any) -> None:
    declared, when = "  folders: {type: folders}\n", "pathWithin(args.path, params.folders)"
    assert verdict(policy(declared, when, {"folders": ["/srv", "/x"]}), path="/x/y") is TRUE
    assert problems(declared, when, {"folders": value}) == [
        "4:3 the param `folders`: expected a list of absolute folders without `..`"
    ]


def test_a_default_must_fit() -> None:
    assert problems("  names: {type: string, default: [a]}\n", "args.name == params.names") == [
        "4:34 expected a text"
    ]


def test_a_name_that_is_not_declared_is_refused_at_its_place() -> None:
    declared = "  names: {type: strings}\n"
    assert problems(declared, "args.name in params.names || args.n in params.nams") == [
        "8:51 `params` of this policy has no `nams`; did you mean `names`?"
    ]
    whole = problems(declared, 'params.names == [] || has(params["names"])')
    assert whole[0] == "8:38 write `params.NAME`, with a NAME that this policy declares under `params`"


def test_a_reserved_word_is_no_name() -> None:
    assert "not a reserved word of CEL" in problems("  in: {type: string}\n", "args.x == params.a")[0]


def test_a_param_that_no_condition_reads_is_refused() -> None:
    assert problems("  a: {type: string}\n  b: {type: string}\n", "args.x == params.a") == [
        "5:6 no condition reads this param"
    ]
    (broken,) = problems("  a: {type: string}\n", "args.x == parms.a")
    assert "undeclared reference to 'parms.a'; did you mean `params`?" in broken


def test_a_mistake_behind_a_value_keeps_its_place() -> None:
    declared = "  names: {type: strings, default: [a-long-name, another-long-name]}\n"
    assert problems(declared, "args.name in params.names || foo") == ["8:41 undeclared reference to 'foo'"]
    assert problems(declared, "args.name in params.names && pathWithin(args.p, params.names, 1)") == [
        "8:41 pathWithin() needs `base` to be a string"
    ]


def test_a_value_that_a_function_can_never_use_is_refused_when_it_is_loaded() -> None:
    declared = "  within: {type: strings}\n"
    assert problems(declared, "pathWithin(args.path, params.within)", {"within": ["~/x"]})[0].startswith(
        "8:12 "
    )


def test_members_and_loop_variables_of_that_name_are_no_params() -> None:
    one = policy("  a: {type: string, default: x}\n", "args.params.a == params.a")
    assert verdict(one, params={"a": "x"}) is TRUE


def test_an_item_is_selected_by_a_constant() -> None:
    when = placed(
        "params.within[0x1] == args.a && params.within[2] == args.b && params.within[args.n] == args.c",
        {"within": FOLDERS},
    )
    listed = '["/srv/a", "/srv/ü 😀"]'
    assert when.text == (f'"/srv/ü 😀" == args.a && params.within[2] == args.b && {listed}[args.n] == args.c')
    assert when.reads == {"within"}


def test_every_place_leads_back_to_the_text_as_written() -> None:
    written = 'args.a in params.within && "x" in params.within[0] // params.within'
    when = placed(written, {"within": FOLDERS})
    for word in ("args", '"x"', "//"):
        assert when.origin(when.text.index(word)) == written.index(word)
    assert when.origin(when.text.index("/srv/a")) == written.index("params")
    assert when.origin(len(when.text)) == len(written)


def refused(rule: str, values: dict[str, Any] | None = None) -> str:
    """What a call is told that this rule refuses."""
    text = f"version: 1\npolicy: p\nparams: {{within: {{type: strings}}}}\nrules:\n  - {{id: r, {rule}}}\n"
    one = compile_policy(text, "p.yaml", frozenset(), None, values)
    listed = Listed("s", "t", "s__t", {}, {"name": "t"}, "")
    call = Invocation(
        "i",
        "tools/call",
        Principal("a", "os-user"),
        datetime(2026, 1, 1, tzinfo=UTC),
        None,
        "s",
        listed,
        {"a": "x"},
    )
    verdict = pdp.decide(PolicySet([one]), call)
    assert isinstance(verdict, Deny)
    return verdict.message


@pytest.mark.parametrize("effect", ["deny", "allow"])
@pytest.mark.parametrize(
    ("server", "way"),
    [
        ("", "as `params.within` where the configuration lists this policy"),
        ("server: 's*', ", "as `params.within` where the configuration lists this policy"),
        ("server: [s, t], ", "as `params.within` where the configuration lists this policy"),
        ("server: s, ", "with `mcpguard import --set s.within=VALUE`"),
    ],
)
def test_a_refusal_for_want_of_a_value_says_who_can_set_it(server: str, way: str, effect: str) -> None:
    said = refused(f"effect: {effect}, {server}when: 'args.a in params.within', message: Only some.")
    assert said == f"`params.within` has no value: the operator has to set it {way}."


def test_a_denied_call_says_how_what_the_message_shows_can_be_changed() -> None:
    when = "when: '!(args.a in params.within)'"
    rule = f"effect: deny, server: s, {when}, message: 'Only {{params.within}}'"
    assert refused(rule, {"within": ["y"]}) == (
        "Only y. A person can change that with `mcpguard import --set s.within=VALUE`."
    )
    assert refused(f"effect: deny, {when}, message: Only some.", {"within": ["y"]}) == "Only some."
    assert refused(f"effect: deny, {when}", {"within": ["y"]}) == ""


def told(message: str, values: dict[str, Any] | None = None) -> str:
    text = (
        "version: 1\npolicy: p\nparams:\n  names: {type: strings}\n  base: {type: string, default: main}\n"
        "  most: {type: integer, default: 3}\n  columns: {type: map, default: {orders: [id]}}\n"
        "rules:\n  - id: r\n    effect: deny\n"
        "    when: '!(args.a in params.names + [params.base] + params.columns.orders) || args.n > params.most'\n"
        f"    message: {message!r}\n"
    )
    return compile_policy(text, "p.yaml", frozenset(), None, values).rules[0].message


def test_a_message_says_the_values_of_params() -> None:
    said = "Only {params.names}; {params.base}, {params.most}, {params.columns}. {args.a}"
    assert told(said, {"names": ["a", "b"]}) == "Only a, b; main, 3, orders. {args.a}"


@pytest.mark.parametrize("values", [{}, {"names": []}])
def test_a_message_says_who_can_set_a_param_that_has_no_value(values: dict[str, Any]) -> None:
    said = "Only none (a person can set `names` for this policy); main."
    assert told("Only {params.names}; {params.base}.", values) == said


def test_a_message_does_not_say_a_long_list_to_its_end() -> None:
    assert told("{params.names}", {"names": list(map(str, range(22)))}).endswith(", 18, 19 and 2 more")


def test_a_message_names_only_params_that_there_are() -> None:
    with pytest.raises(PolicyError) as caught:
        told("Only {params.name}, or {params.}")
    assert [one.message for one in caught.value.problems] == [
        "`params` of this policy has no `name`; did you mean `names`?",
        "write `params.NAME`, with a NAME that this policy declares under `params`",
    ]
