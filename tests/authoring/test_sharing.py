"""Files of tests that several processes run: the same reports, whoever ran what."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.wire.warm import python

SCRIPT = """
import json, os, sys
from pathlib import Path
from mcpguard.authoring import sharing
from mcpguard.authoring.tests import files_below
from mcpguard.authoring.tests.running import CompiledPolicies, Coverage, load
from mcpguard.core.redaction.redactor import Redactor

folder, many, fails = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
parent, run, taken, forked, fork = os.getpid(), sharing.run, [], [], os.fork

def noted(one, redactor, coverage):
    if os.getpid() != parent:
        if fails == "raises":
            raise ValueError("a defect")
        if fails == "is killed":
            os.kill(os.getpid(), 9)
    elif fails and forked and not taken:
        os.waitid(os.P_PID, forked[0], os.WEXITED | os.WNOWAIT)  # The child has the first file.
    taken.append(one.path.name)
    return run(one, redactor, coverage)

def counted():
    forked.append(fork())
    return forked[-1]

sharing.run, sharing.MANY, os.fork = noted, many, counted
os.sched_getaffinity = lambda _: {0, 1}
loaded = load(files_below(folder), CompiledPolicies())
coverage = Coverage()
reports = sharing.run_files(loaded, Redactor(bytes(32)), coverage)
goals = [one.model_dump() for one in coverage.goals()]
print(json.dumps([len(forked), [one.model_dump(mode="json") for one in reports], goals]))
"""
"""Prints how many processes were started, the reports and the goals of coverage."""


def ran(folder: Path, many: int, fails: str = "") -> list[Any]:
    words = [*python(), "-c", SCRIPT, str(folder), str(many), fails]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rule = "{id: read, effect: allow, server: s, when: args.a == 1 || args.b == 1}"
    (tmp_path / "p.yaml").write_text(f"version: 1\npolicy: p\nrules: [{rule}]\n")
    for number in range(5):
        call = f"{{server: s, tool: t, args: {{a: {number}, b: 2}}}}"
        case = f"{{name: case {number}, call: {call}, expect: allow}}"
        (tmp_path / f"p{number}_test.yaml").write_text(f"version: 1\npolicies: [p.yaml]\ntests: [{case}]\n")
    return tmp_path


def test_several_processes_give_the_same_reports_in_the_same_order(folder: Path) -> None:
    alone, shared = ran(folder, 1_000), ran(folder, 1)
    assert (alone[0], shared[0]) == (0, 1)
    assert shared[1:] == alone[1:]
    assert [one["cases"][0]["passed"] for one in shared[1]] == [False, True, False, False, False]


@pytest.mark.parametrize("fails", ["raises", "is killed"])
def test_what_a_process_does_not_deliver_is_run_all_the_same(folder: Path, fails: str) -> None:
    assert ran(folder, 1, fails) == [1, *ran(folder, 1_000)[1:]]
