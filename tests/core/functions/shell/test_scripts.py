"""Which scripts of sed, awk and jq count as harmless, and what the real programs do with those."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mcpguard.core.functions.shell.function import shell

LINES = yaml.safe_load((Path(__file__).parents[1] / "corpus" / "scripts.yaml").read_text(encoding="utf-8"))


def test_a_script_that_only_turns_texts_is_simple() -> None:
    assert [line for line in LINES["plain"] if not shell(line)["simple"]] == []


def test_a_script_with_what_nobody_listed_counts_as_an_unknown_program() -> None:
    for line in LINES["acts"]:
        told = shell(line)
        assert told["unknown"] == [line.split()[0]], line
        assert told["code"], line


def test_a_script_that_chooses_files_is_indirect() -> None:
    assert shell("awk 'BEGIN { ARGV[1] = \"x\" } 1' a")["indirect"]
    assert not shell("awk 'BEGIN { ARGS[1] = 2 } 1' a")["simple"]


@pytest.mark.parametrize("program", ["awk", "mawk", "busybox awk", "gawk", "jq", "sed", "busybox sed"])
def test_a_real_program_changes_no_file_with_a_simple_script(program: str, tmp_path: Path) -> None:
    name = program.split()[-1].replace("mawk", "awk").replace("gawk", "awk")
    if not shutil.which(program.split()[0]) and not os.environ.get("CI"):
        pytest.skip(f"{program} is not on this machine")
    for file in "adnxyp":
        (tmp_path / file).write_text('{"a": 1}\n')
    before = sorted(os.listdir(tmp_path))
    for line in LINES["plain"]:
        if re.match(rf"[gm]?{name} ", line):
            called = program + line[line.index(" ") :]
            subprocess.run(["sh", "-c", called], cwd=tmp_path, capture_output=True, timeout=20, check=False)
    assert sorted(os.listdir(tmp_path)) == before
    assert all((tmp_path / file).read_text() == '{"a": 1}\n' for file in before)
