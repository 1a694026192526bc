"""Workers run each test once and report it as pytest does; one that dies fails its test."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST = """
import os, pytest, sys
COLLECTED = os.getpid()
STREAM = sys.stderr

def test_runs_in_a_worker(tmp_path):
    assert os.getpid() != COLLECTED and os.getppid() == COLLECTED

def test_fails():
    os.write(1, b"said to the terminal\\n")
    print("said to a stream of the collection", file=STREAM)
    assert [1] == [2]

@pytest.mark.skip(reason="of its own")
def test_is_skipped(): ...

@pytest.fixture
def undone():
    yield
    raise ValueError("not undone")

def test_is_not_undone(undone): ...
"""
SECOND = """
import os

def test_passes(): ...

def test_dies():
    os._exit(3)

def test_after(): ...
"""
THIRD = """
import pytest
@pytest.mark.parametrize("row", range(20))
def test_row(row): ...
"""


def pytest_in(folder, *words, **files):
    """Run these files in two workers; what pytest prints, and its exit code."""
    for name, text in {**files, "conftest": 'pytest_plugins = ["tests.workers"]'}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout, done.returncode


def test_each_test_runs_once_in_a_worker_and_is_reported_as_without_workers(tmp_path):
    said, code = pytest_in(tmp_path, "-ra", test_1=FIRST, test_3=THIRD)
    assert "test_1.py::test_fails - assert [1] == [2]" in said
    assert "--- Captured stdout call -----------------------------\nsaid to the terminal\n" in said
    assert (
        "--- Captured stderr call -----------------------------\nsaid to a stream of the collection\n" in said
    )
    assert "SKIPPED [1] test_1.py:14: of its own" in said
    assert "ERROR test_1.py::test_is_not_undone - ValueError: not undone" in said
    assert "1 failed, 22 passed, 1 skipped, 1 error in" in said
    assert code == 1


def test_a_worker_that_dies_or_is_interrupted_fails_the_test_that_it_was_at(tmp_path):
    interrupted = SECOND.replace("os._exit(3)", "raise KeyboardInterrupt")
    said, code = pytest_in(tmp_path, test_2=SECOND, test_3=interrupted, test_4=THIRD)
    assert "FAILED test_2.py::test_dies - the process of this test ended, with exit code 3" in said
    assert "FAILED test_3.py::test_dies - the process of this test ended, with exit code 2" in said
    assert "tests were not run !!!" in said
    assert code == 1


def test_the_first_failure_ends_all_workers_where_one_is_enough(tmp_path):
    slow = THIRD.replace("(20)", "(1000)").replace("...", "__import__('time').sleep(0.02)")
    said, code = pytest_in(tmp_path, "-x", test_1=FIRST, test_3=slow)
    assert "stopping after 1 failures" in said
    assert re.search(r"1 failed, \d{1,3} passed in", said)
    assert code == 1
