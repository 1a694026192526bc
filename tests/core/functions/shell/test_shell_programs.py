"""What programs can be made to do, and what shell() knows about them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import shell
from mcpguard.core.functions.shell.git import subcommands
from mcpguard.core.functions.shell.launch import WRAPPERS
from mcpguard.core.functions.shell.own import OWN
from mcpguard.core.functions.shell.programs import SHELLS, TRAITS, known, programs

FORMS = yaml.safe_load((Path(__file__).parents[1] / "corpus" / "programs.yaml").read_text(encoding="utf-8"))


def harmless(text: str) -> bool:
    """Whether a policy passes `text` that lists each of its programs."""
    try:
        return bool(shell(text)["simple"])
    except FunctionError:
        return False


@pytest.mark.uncounted
@pytest.mark.parametrize("kind", ["run", "write", "send"])
def test_no_form_that_does_more_than_read_is_simple(kind: str) -> None:
    assert [text for text in FORMS[kind] if harmless(text)] == []


def test_each_form_that_reads_names_the_file_or_says_that_it_cannot() -> None:
    for text in FORMS["read"]:
        told = shell(text)
        named = {path.rpartition("/")[2] for path in told["reads"]}
        assert "held.txt" in named or told["indirect"] or told["code"], text


def test_the_forms_are_of_many_programs() -> None:
    assert len({text.split()[0] for forms in FORMS.values() for text in forms}) >= 250


def test_every_program_that_needs_a_look_of_its_own_has_one() -> None:
    own = {name for name, program in programs().items() if "own" in program.traits}
    inner = {name for name, program in programs().items() if "inner" in program.traits}
    assert own == set(OWN)
    assert inner == {*WRAPPERS, *SHELLS, "find", "gfind", "git"}


@pytest.mark.parametrize("table", [programs, subcommands])
def test_the_table_has_no_word_that_means_nothing(table) -> None:
    for name, program in table().items():
        assert set(program.roles) <= set("tarwWgxT"), name
        assert program.traits <= TRAITS, name
        assert all(len(letter) == 1 for letter in program.short), name


def test_a_program_is_known_in_each_of_its_versions_only_if_it_counts_as_code() -> None:
    assert known("python3.12") is known("python")
    assert known("ls2") is None
    assert known("LS") is None
