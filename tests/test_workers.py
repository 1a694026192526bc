"""Tests in several processes (`workers.py`): each runs once, and what does not pass is shown."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ONE = """
import os
import pytest

def test_what_passes(capfd):
    os.system("echo said")
    assert capfd.readouterr().out == "said\\n"

def test_what_fails():
    print("was printed")
    assert False

@pytest.mark.skip
def test_what_is_skipped():
    assert False
"""
ENDS = """
import os

def test_what_ends_its_process():
    os._exit(3)
"""


def run(folder, *words):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        "--rootdir",
        folder,
        "-p",
        "tests.workers",
        *words,
    ]
    done = subprocess.run(
        [*command, folder], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    return done.returncode, done.stdout


def test_every_test_runs_once_and_what_fails_is_shown_with_what_it_printed(tmp_path):
    for number in range(3):
        (tmp_path / f"test_{number}.py").write_text(ONE)
    code, shown = run(tmp_path, "--workers", "2")
    assert code == 1
    assert "3 failed, 3 passed, 3 skipped" in shown
    assert shown.count("was printed\n") == 3


def test_a_test_that_ends_its_process_fails_and_so_does_what_that_had_taken(tmp_path):
    (tmp_path / "test_ends.py").write_text(ENDS)
    (tmp_path / "test_other.py").write_text(ONE)
    code, shown = run(tmp_path, "--workers", "1")
    assert code == 1
    assert shown.count("the process of this test ended with 3\n") == 1
    assert shown.count("it was not run, as the process that had taken it ended before\n") == 3
    assert "4 failed in" in shown


def test_with_x_the_first_failure_ends_it(tmp_path):
    (tmp_path / "test_one.py").write_text(ONE)
    code, shown = run(tmp_path, "--workers", "1", "-x")
    assert code == 1
    assert "1 failed, 1 passed in" in shown
