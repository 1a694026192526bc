"""Policy files: all are read, or all their mistakes are told and none is in force."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mcpguard.config import policies as policy_files
from mcpguard.config.loading import load_config
from mcpguard.config.policies import PolicyFile, builtin_read_only, load_policies, read_document
from mcpguard.core.conditions import engines
from mcpguard.core.errors import ConfigError, PolicyError
from mcpguard.core.model import Cause, Deny, Invocation, Listed, Permit, Principal
from mcpguard.core.policy import pdp, visibility
from mcpguard.protocol.catalogue import about_of
from tests.rows import each

KINDS = frozenset({"email"})


def policy(name: str, rule: str = "tools: [x]") -> str:
    return f"version: 1\npolicy: {name}\nrules:\n  - {{id: r, effect: allow, {rule}}}\n"


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_files_become_one_set_whatever_their_order(tmp_path: Path) -> None:
    a = write(tmp_path, "a.yaml", policy("a", "redact: [email], when: args.x == 1"))
    b = write(tmp_path, "b.yaml", "\ufeff" + policy("b"))
    policies = load_policies([PolicyFile(a), PolicyFile(b)], KINDS)
    assert policies.names == ("a", "b")
    assert policies.digest == load_policies([PolicyFile(b), PolicyFile(a)], KINDS).digest
    assert (
        policies.digest
        == load_policies([PolicyFile(a), PolicyFile(b)], KINDS, engines.engine("python")).digest
    )


def test_no_files_are_a_set_that_allows_nothing() -> None:
    assert load_policies([], KINDS).rules == ()


def test_the_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "a.yaml", policy("a", "when: foo")),
        tmp_path / "missing.yaml",
        write(tmp_path, "good.yaml", policy("good")),
        write(tmp_path, "b.yaml", "version: 1\n"),
    ]
    with pytest.raises(PolicyError) as caught:
        load_policies(map(PolicyFile, paths), KINDS)
    assert [f"{Path(p.source).name}:{p.line} {p.message}" for p in caught.value.problems] == [
        "a.yaml:4 undeclared reference to 'foo'",
        "missing.yaml:0 cannot be read: No such file or directory",
        "b.yaml:1 `policy` is missing",
        "b.yaml:1 `rules` is missing",
    ]


def test_two_files_with_one_policy_name_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path, name, policy("a")) for name in ("1.yaml", "2.yaml")]
    with pytest.raises(PolicyError, match=r"2\.yaml:2:9: `a` is the name of .*1\.yaml too"):
        load_policies(map(PolicyFile, paths), KINDS)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_files, "SIZE_LIMIT", 100)
    cases = [
        (tmp_path, "a folder, not a file: name a file in it"),
        (Path("/dev/null"), "not a regular file"),
        (tmp_path / "x" / "y.yaml", "cannot be read: No such file or directory"),
        (write(tmp_path, "big.yaml", "#" * 101), "larger than 100 bytes"),
        (write(tmp_path, "latin.yaml", b"a: 1\nb: \xe9\n"), "not UTF-8: save it as UTF-8 text"),
        (write(tmp_path, "wide.yaml", "a: 1".encode("utf-16")), "UTF-16, not UTF-8: save it as UTF-8 text"),
    ]
    for path, message in cases:
        with pytest.raises(ConfigError) as caught:
            read_document(path, ConfigError)
        (problem,) = caught.value.problems
        assert (problem.source, problem.message) == (str(path), message)
        assert problem.line == (2 if "latin" in path.name else 1 if "wide" in path.name else 0)


def test_a_file_of_the_largest_size_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_files, "SIZE_LIMIT", 100)
    assert len(read_document(write(tmp_path, "a.yaml", "#" * 100), PolicyError)) == 100


def test_an_error_without_words_of_the_system_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(PolicyError, match="cannot be read: unreadable"):
        read_document(tmp_path / "a", PolicyError)


@each(
    ("annotations", "allowed"),
    [
        ({"readOnlyHint": True}, True),
        ({"readOnlyHint": True, "destructiveHint": True}, True),
        ({"readOnlyHint": False}, False),
        ({"readOnlyHint": "true"}, False),
        ({"readOnlyHint": 1}, False),
        ({"readOnlyHint": None}, False),
        ({"title": "x"}, False),
        ({}, False),
    ],
)
def test_the_policy_of_wrap_allows_and_shows_what_says_that_it_only_reads(
    annotations: dict[str, Any], allowed: bool
) -> None:
    facts = about_of("tool", {"name": "t", "annotations": annotations})
    invocation = Invocation(
        "i",
        "tools/call",
        Principal("1", "os-user"),
        datetime(2026, 1, 1, tzinfo=UTC),
        server="s",
        target=Listed("s", "t", "t", {}, facts, ""),
        args={"readOnlyHint": True},
    )
    policies = builtin_read_only()
    verdict = pdp.decide(policies, invocation)
    assert visibility.visible(policies, invocation) is allowed
    if allowed:
        assert isinstance(verdict, Permit)
        assert verdict.rules == ("read-only/declared-read-only",)
        assert verdict.labels == ()
    else:
        assert isinstance(verdict, Deny)
        assert verdict.cause is Cause.NO_RULE


def asked(method: str, kind: str, about: dict[str, Any], args: dict[str, Any] | None) -> Invocation:
    target = Listed("s", "t", "t", {}, about, "", kind)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Invocation("i", method, Principal("1", "os-user"), now, server="s", target=target, args=args)


READS = {"readOnlyHint": True}


@each(
    ("annotations", "first", "allowed"),
    [
        (READS, READS, True),
        (READS, {}, False),
        (READS, {"readOnlyHint": False}, False),
        (READS, {"readOnlyHint": "true"}, False),
        ({"readOnlyHint": False}, READS, False),
        ({}, READS, False),
    ],
)
def test_what_a_tool_claims_later_widens_nothing_and_what_it_takes_back_is_gone(
    annotations: dict[str, Any], first: dict[str, Any], allowed: bool
) -> None:
    about = {**about_of("tool", {"name": "t", "annotations": annotations}), "firstAnnotations": first}
    call = asked("tools/call", "tool", about, {})
    assert isinstance(pdp.decide(builtin_read_only(), call), Permit) is allowed
    assert visibility.visible(builtin_read_only(), call) is allowed


def test_a_tool_of_a_closed_world_and_a_listed_resource_label_the_session() -> None:
    hints = {"readOnlyHint": True, "openWorldHint": False}
    for method, kind, about in (
        ("tools/call", "tool", about_of("tool", {"name": "t", "annotations": hints})),
        ("resources/read", "resource", about_of("resource", {"uri": "file:///a"})),
    ):
        verdict = pdp.decide(builtin_read_only(), asked(method, kind, about, {}))
        assert isinstance(verdict, Permit)
        assert verdict.labels == ("private",)


@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe"])
def test_resources_that_the_server_did_not_list_are_refused_and_templates_are_hidden(method: str) -> None:
    uri = {"uri": "internal://credentials", "listed": True}
    for kind, about in (
        ("resource", about_of("resource", uri, listed=False)),
        ("template", about_of("template", {**uri, "uriTemplate": "internal://{name}"})),
    ):
        call = asked(method, kind, about, {"uri": "internal://credentials"})
        assert isinstance(pdp.decide(builtin_read_only(), call), Deny)
        assert not visibility.visible(builtin_read_only(), call)


@pytest.mark.parametrize(
    ("method", "kind"),
    [("tools/call", "tool"), ("prompts/get", "prompt"), ("completion/complete", "prompt"), ("resources/read", "resource")],
)  # fmt: skip
def test_nothing_leaves_with_a_secret_in_it(method: str, kind: str) -> None:
    policies = builtin_read_only()
    about = about_of(kind, {"name": "t", "uri": "u", "annotations": READS})
    key = "AKIA" + "Q3X7" * 4
    for value in (key, [{"deep": f"see {key}"}], {key: 1}):
        verdict = pdp.decide(policies, asked(method, kind, about, {"query": value}))
        assert isinstance(verdict, Deny)
        assert verdict.rules == ("read-only/no-secrets-out",)
        assert "looks like a secret" in verdict.message
        assert key not in verdict.message
    for value in ("jane@example.com", "AKIA", "how do I rotate an access key"):
        assert isinstance(pdp.decide(policies, asked(method, kind, about, {"query": value})), Permit)


def test_a_configuration_sets_params_and_each_file_has_its_own(tmp_path: Path) -> None:
    text = (
        "version: 1\npolicy: {}\nparams: {{names: {{type: strings}}}}\n"
        "rules: [{{id: r, effect: allow, when: args.name in params.names}}]\n"
    )
    write(tmp_path, "a.yaml", text.format("a"))
    write(tmp_path, "b.yaml", text.format("b"))
    config = (
        "version: 1\nservers: {s: {command: x}}\npolicies: [{file: a.yaml, params: {names: [x]}}, b.yaml]\n"
    )
    policies = load_policies(load_config(write(tmp_path, "c.yaml", config)).policies, KINDS)
    assert [rule.when for rule in policies.rules] == ['args.name in ["x"]', "args.name in params.names"]


def set_wrongly(tmp_path: Path, policies: str) -> list[str]:
    """What is wrong with the `policies` of a configuration, with the names of files alone."""
    (tmp_path / "c.yaml").write_text(f"version: 1\nservers: {{s: {{command: x}}}}\npolicies:\n{policies}")
    with pytest.raises(PolicyError) as caught:
        load_policies(load_config(tmp_path / "c.yaml").policies, KINDS)
    return [f"{Path(one.source).name}:{one.line}:{one.column} {one.message}" for one in caught.value.problems]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("{limitt: 1}", "c.yaml:5:37 p.yaml: the policy has no param `limitt`; did you mean `limit`?"),
        ("{limit: many}", "c.yaml:5:36 p.yaml: the param `limit`: expected a whole number below 2^53"),
    ],
)
def test_a_wrong_value_of_a_param_is_a_mistake_where_it_is_set(
    tmp_path: Path, params: str, expected: str
) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\npolicy: p\nparams:\n  limit: {type: integer}\n"
        "rules:\n  - {id: a, effect: allow, when: args.n < params.limit}\n"
    )
    text = f"  - /etc/none.yaml\n  - {{file: p.yaml, params: {params}}}\n"
    found = set_wrongly(tmp_path, text)
    assert found == ["c.yaml:4:5 /etc/none.yaml: there is no such file", expected]


def test_a_configuration_that_is_gone_again_is_named_without_a_line(tmp_path: Path) -> None:
    file = PolicyFile(tmp_path / "p.yaml", named=(tmp_path / "c.yaml", ("policies", 0)))
    with pytest.raises(PolicyError) as caught:
        file.load(KINDS)
    assert str(caught.value) == f"{tmp_path}/c.yaml: p.yaml: there is no such file"
    assert caught.value.problems[0].other == str(tmp_path / "p.yaml")


def test_a_file_that_is_listed_twice_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "version: 1\nservers: {s: {command: x}}\npolicies:\n  - p.yaml\n  - {file: ./p.yaml}\n"
    )
    with pytest.raises(ConfigError, match=r"c\.yaml:5:5: this file is in the list already"):
        load_config(tmp_path / "c.yaml")
