"""Every pack loads on both engines, and decides as its tests say."""

from __future__ import annotations

import pytest

from mcpguard.core.cel import EngineName
from mcpguard.core.expectations import judge
from mcpguard.core.policy_tests import Case
from mcpguard.core.redaction import Redactor
from mcpguard.core.rehearsal import Rehearsed, rehearse
from tests.packs.packs import ALL, ENGINES, PACKS, POSTURES, Pack, loaded, written

REDACTOR = Redactor(b"a key of tests" * 3)

_RUNS: dict[tuple[Pack, str], Rehearsed] = {}


def rehearsed(pack: Pack, case: Case) -> Rehearsed:
    """A case on the fastest engine, run once for all tests."""
    key = (pack, case.name)
    if key not in _RUNS:
        _RUNS[key] = rehearse(loaded(pack), case, REDACTOR)
    return _RUNS[key]


@pytest.mark.parametrize("pack", ALL, ids=str)
@pytest.mark.parametrize("name", ENGINES)
def test_a_pack_loads_on_each_engine(pack: Pack, name: EngineName) -> None:
    assert loaded(pack, name).names == (str(pack),)


def test_packs_of_one_posture_can_be_in_force_together() -> None:
    for posture in POSTURES:
        names = {loaded(Pack(server, posture)).names for server in PACKS}
        assert len(names) == len(PACKS)


@pytest.mark.parametrize("pack", ALL, ids=str)
def test_a_pack_decides_as_its_tests_say_on_both_engines(pack: Pack) -> None:
    for case in written(pack).tests:
        second = rehearse(loaded(pack, "python"), case, REDACTOR).outcome
        judgement = judge(case.expected, rehearsed(pack, case).outcome, second)
        assert judgement.passed, f"{case.name}: {judgement}"


@pytest.mark.parametrize("pack", ALL, ids=str)
def test_a_pack_has_cases_that_pass_and_more_that_are_refused(pack: Pack) -> None:
    effects = [case.expected.effect for case in written(pack).tests]
    assert len(effects) >= 10
    assert effects.count("allow") >= 3
    assert len(effects) - effects.count("allow") >= 5


@pytest.mark.parametrize("pack", ALL, ids=str)
def test_every_rule_of_a_pack_decides_a_case(pack: Pack) -> None:
    looks = [look for case in written(pack).tests for look in rehearsed(pack, case).looks]
    decided = {name for look in looks for name in look.decided}
    assert {rule.name for rule in loaded(pack).rules} - decided == set()
