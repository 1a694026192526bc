"""Shells complete the commands of mcpguard, and its manual page has all of them: from one tree, by the shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mcpguard.cli import VERBS, main
from mcpguard.cli.completion import SHELLS, script, tree
from tests.docs.pages import ROOT

LINES = {
    "mcpguard ": {"run", "audit", "completion"},
    "mcpguard --v": {"--version"},
    "mcpguard aud": {"audit"},
    "mcpguard audit ": {"verify", "query", "heads"},
    "mcpguard audit verify --js": {"--json"},
    "mcpguard run --h": {"--http", "--help"},
    "mcpguard completion ": {"bash", "zsh", "fish"},
    "mcpguard install --to ": {"keyring", "file"},
    "mcpguard install ": {"cursor", "vscode"},
    "mcpguard import --client ": {"cursor", "vscode"},
    "mcpguard schema ": {"policy", "audit-record"},
    "mcpguard help hold": {"hold-a-credential"},
    "mcpguard check --config ": {"a b.yaml"},
}
"""What is typed -> what is offered, among more where the line ends with a space."""

BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_mcpguard
printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH = """
compdef() { : }
_describe() { shift $(( $# - 1 )); printf '%s\\n' "${(@)${(P)1}%%:*}" }
_files() { print -l -- * }
compadd() { shift; print -l -- "$@" }
source "$1"; shift
words=("$@"); CURRENT=$#
_mcpguard
"""
"""zsh offers in its line editor only: what its own functions are given stands for that."""


def offered(shell: str, line: str, folder: Path) -> set[str]:
    program = shutil.which(shell)
    assert program, f"{shell} is missing: `.ci/run` installs it"
    path = folder / f"mcpguard.{shell}"
    path.write_text(script(shell))
    (folder / "a b.yaml").touch()
    words = line.split(" ")
    if shell == "fish":
        command = [program, "--no-config", "-c", f"source {path}; complete -C '{line}'"]
    else:
        extra = ["--norc", "-c", BASH] if shell == "bash" else ["-f", "-c", ZSH]
        command = [program, *extra, shell, str(path), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert not done.stderr
    found = {one.partition("\t")[0].replace("\\ ", " ") for one in done.stdout.splitlines()}
    # zsh itself keeps those that begin with the word.
    return {one for one in found if one.startswith(words[-1])} if shell == "zsh" else found


@pytest.mark.uncounted
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_offers_verbs_options_values_and_files(shell: str, tmp_path: Path) -> None:
    for line, expected in LINES.items():
        found = offered(shell, line, tmp_path)
        assert expected <= found, line
        if not line.endswith(" "):
            assert all(one.startswith(line.split(" ")[-1]) for one in found)


def test_the_command_prints_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 0
    assert capsys.readouterr().out == script("fish")
    assert main(["completion", "tcsh"]) == 2


def test_the_tree_has_every_verb_and_what_is_below_it() -> None:
    words = [" ".join(one.words) for one in tree().all()]
    assert {f"mcpguard {verb}" for verb in VERBS} <= set(words)
    assert "mcpguard audit verify" in words
    assert len(words) == len(set(words))


def test_the_manual_page_has_every_command_and_no_mistake() -> None:
    page = ROOT / "docs" / "mcpguard.1"
    text = page.read_text("utf-8").replace("\\-", "-")
    for one in tree().all():
        assert len(one.words) == 1 or f"\n.SS {' '.join(one.words)}\n" in text
    program = shutil.which("mandoc")
    assert program, "mandoc is missing: `.ci/run` installs it"
    lint = [program, "-T", "lint", "-W", "warning", str(page)]
    said = subprocess.run(lint, capture_output=True, text=True, timeout=30, check=False).stdout.splitlines()
    # A date would be that of the last build, and change the page each day.
    assert [line for line in said if "missing date" not in line] == []
