"""Policy files: all are read, or all their mistakes are told and none is in force."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mcpguard.config import policies as policy_files
from mcpguard.config.policies import builtin_read_only, load_policies, read_document
from mcpguard.core.conditions import engines
from mcpguard.core.errors import ConfigError, PolicyError
from mcpguard.core.model import Cause, Deny, Invocation, Listed, Permit, Principal
from mcpguard.core.policy import pdp

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
    policies = load_policies([a, b], KINDS)
    assert policies.names == ("a", "b")
    assert policies.digest == load_policies([b, a], KINDS).digest
    assert policies.digest == load_policies([a, b], KINDS, engines.engine("python")).digest


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
        load_policies(paths, KINDS)
    assert [f"{Path(p.source).name}:{p.line} {p.message}" for p in caught.value.problems] == [
        "a.yaml:4 undeclared reference to 'foo'",
        "missing.yaml:0 cannot be read: No such file or directory",
        "b.yaml:1 `policy` is missing",
        "b.yaml:1 `rules` is missing",
    ]


def test_two_files_with_one_policy_name_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path, name, policy("a")) for name in ("1.yaml", "2.yaml")]
    with pytest.raises(PolicyError, match=r"2\.yaml:2:9: `a` is the name of .*1\.yaml too"):
        load_policies(paths, KINDS)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_files, "SIZE_LIMIT", 100)
    cases = [
        (tmp_path, "not a regular file"),
        (tmp_path / "x" / "y.yaml", "cannot be read: No such file or directory"),
        (write(tmp_path, "big.yaml", "#" * 101), "larger than 100 bytes"),
        (write(tmp_path, "latin.yaml", b"a: 1\nb: \xe9\n"), "not UTF-8"),
    ]
    for path, message in cases:
        with pytest.raises(ConfigError) as caught:
            read_document(path, ConfigError)
        (problem,) = caught.value.problems
        assert (problem.source, problem.message) == (str(path), message)
        assert problem.line == (2 if "UTF" in message else 0)


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


@pytest.mark.parametrize(
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
    facts = {"name": "t", "title": "", "description": "", "annotations": annotations}
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
    assert pdp.visible(policies, invocation) is allowed
    if allowed:
        assert isinstance(verdict, Permit)
        assert verdict.rules == ("read-only/declared-read-only",)
    else:
        assert isinstance(verdict, Deny)
        assert verdict.cause is Cause.NO_RULE
