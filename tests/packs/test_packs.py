"""Every pack loads on both engines, decides as its tests say, and its tests cover it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpguard.cli import main
from mcpguard.core.conditions.cel import EngineName
from tests.packs.packs import ALL, ENGINES, FOLDER, PACKS, Pack, loaded, written


@pytest.mark.parametrize("pack", ALL, ids=str)
@pytest.mark.parametrize("name", ENGINES)
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


@pytest.mark.parametrize("pack", ALL, ids=str)
def test_a_pack_has_cases_that_pass_and_more_that_are_refused(pack: Pack) -> None:
    effects = [case.expected.effect for case in written(pack).tests]
    assert len(effects) >= 10
    assert effects.count("allow") >= 3
    assert len(effects) - effects.count("allow") >= 5
