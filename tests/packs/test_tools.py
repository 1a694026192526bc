"""A pack knows every tool of its server, and no other."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from mcpguard.config.policies import PolicyFile, load_policies
from mcpguard.core.policy.compiled import CompiledRule
from mcpguard.core.redaction.detectors import OPT_IN
from tests.packs.packs import ALL, FOLDER, PACKS, POSTURES, Pack, file, loaded, tools

every_pack = pytest.mark.parametrize("pack", ALL, ids=str)


def rules(pack: Pack) -> tuple[CompiledRule, ...]:
    return loaded(pack).rules


def named(pack: Pack) -> set[str]:
    """All that stands under `tools` in a pack."""
    return {name for rule in rules(pack) for name in rule.written.tools or ()}


def test_every_folder_of_policies_is_a_pack_of_three_postures() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == sorted(PACKS)
    wanted = {f"{posture}{end}.yaml" for posture in POSTURES for end in ("", "_test")}
    for server in PACKS:
        assert {path.name for path in (FOLDER / server).iterdir()} == {*wanted, "calls_test.yaml"}


@every_pack
def test_a_pack_speaks_of_its_own_server_alone(pack: Pack) -> None:
    assert {rule.written.server for rule in rules(pack)} == {pack.server}


@every_pack
def test_a_pack_has_an_owner_and_says_what_it_is_for(pack: Pack) -> None:
    text = pack.path.read_text("utf-8")
    assert f"\npolicy: {pack}\n" in text
    assert "\nowner: " in text
    assert "\ndescription: " in text
    assert text.startswith("# For ")


@every_pack
def test_every_tool_of_the_server_is_allowed_or_refused_on_purpose(pack: Pack) -> None:
    forgotten = [
        tool for tool in tools(pack.server) if not any(fnmatchcase(tool, name) for name in named(pack))
    ]
    assert forgotten == []


@every_pack
def test_every_tool_that_a_pack_names_exists(pack: Pack) -> None:
    known = tools(pack.server)
    assert [name for name in named(pack) if not any(fnmatchcase(tool, name) for tool in known)] == []


@every_pack
def test_a_rule_that_allows_names_its_tools_one_by_one(pack: Pack) -> None:
    for rule in rules(pack):
        names = rule.written.tools
        if rule.effect == "allow" and "tools/call" in rule.written.action:
            assert names, rule.name
            assert not any(set("*?[") & set(name) for name in names), rule.name


@every_pack
def test_what_an_author_has_to_set_is_a_param_that_says_what_it_is(pack: Pack) -> None:
    declared = file(pack).load(OPT_IN).policy.params
    assert all(param.description for param in declared.values())
    assert required(pack) <= set(file(pack).params) <= set(declared)


@every_pack
def test_what_depends_on_an_unset_param_is_known(pack: Pack) -> None:
    bare = load_policies([PolicyFile(pack.path)], OPT_IN)
    assert {name for rule in bare.rules for name in rule.unset} == required(pack)


def required(pack: Pack) -> set[str]:
    """The params that have no value of their own."""
    declared = PolicyFile(pack.path).load(OPT_IN).policy.params
    return {name for name, param in declared.items() if not param.is_set}


def test_the_small_policy_for_github_allows_only_what_reads_its_owner() -> None:
    """An argument that a tool does not have is no reason to allow it."""
    policies = load_policies([PolicyFile(FOLDER / "github.yaml")], OPT_IN)
    allowed = {glob for rule in policies.rules if rule.effect == "allow" for glob in rule.written.tools or ()}
    for name, tool in tools("github").items():
        if any(fnmatchcase(name, glob) for glob in allowed):
            assert "owner" in tool["inputSchema"]["required"], name
