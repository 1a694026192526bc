"""Every pack loads on both engines, decides as its tests say, and its tests cover it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpguard.authoring.tests.cases import CallEntry, Case
from mcpguard.authoring.tests.rehearsal import rehearse
from mcpguard.cli import main
from mcpguard.config.policies import PolicyFile, load_policies
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor
from tests.packs.packs import ALL, ENGINES, FOLDER, PACKS, POSTURES, Pack, loaded, samples, written
from tests.rows import each

REDACTOR = Redactor(b"the key of these tests, 32 bytes")


@each("pack", ALL, ids=str)
@each("name", ENGINES)
def test_a_pack_loads_on_each_engine(pack: Pack, name: EngineName) -> None:
    assert loaded(pack, name).names == (str(pack),)


@pytest.mark.timeout(300)  # Hundreds of cases on the slow engine, too.
@pytest.mark.parametrize("server", PACKS)
def test_a_pack_decides_as_its_tests_say_and_they_cover_it(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["test", str(FOLDER / server), "--coverage", "--fail-under", "100"])
    assert code == 0, capsys.readouterr().out


def test_labels_of_one_pack_cut_the_ways_out_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["test", str(Path(__file__).parent / "together_test.yaml")])
    assert code == 0, capsys.readouterr().out


@each("server", PACKS)
def test_a_pack_is_measured_by_enough_calls_and_no_lower_aims(server: str) -> None:
    written = samples(server)
    assert tuple(written.postures) == POSTURES
    aims = written.aims
    assert (aims.refused <= 5, aims.asked <= 10, aims.allowed <= 2, aims.calls >= 25) == (True,) * 4


@pytest.mark.timeout(300)  # The slow engine.
@pytest.mark.parametrize("pack", ALL, ids=str)
def test_what_one_engine_refuses_or_asks_about_the_other_does_not_allow(pack: Pack) -> None:
    for one in samples(pack.server).samples[::14]:
        call, session = one.call.entry, one.group.session
        case = Case(name="a call", call=call, expect="allow", session=session)
        said = {name: rehearse(loaded(pack, name), case, REDACTOR).outcome.effect for name in ENGINES}
        assert len(set(said.values())) == 1, (one.name, said)


@pytest.mark.parametrize("posture", ["read-only", "careful"])
def test_postgres_needs_its_tables_alone_for_statements_on_one(posture: str) -> None:
    used = PolicyFile(Pack("postgres", posture).path, {"tables": ["orders"]})
    policies = load_policies([used], OPT_IN)
    said = {}
    for sql in ("SELECT id FROM orders", "SELECT o.id FROM orders o", "SELECT * FROM orders"):
        call = CallEntry(server="postgres", tool="query", args={"sql": sql})
        said[sql] = rehearse(policies, Case(name="a call", call=call, expect="allow"), REDACTOR).outcome
    assert [one.effect for one in said.values()] == ["allow", "deny", "deny"]
    assert "`columns`" in said["SELECT o.id FROM orders o"].message


@each("pack", ALL, ids=str)
def test_a_pack_has_cases_that_pass_and_more_that_are_refused(pack: Pack) -> None:
    effects = [case.expected.effect for case in written(pack).tests]
    assert len(effects) >= 10
    assert effects.count("allow") >= 3
    assert len(effects) - effects.count("allow") >= 5
