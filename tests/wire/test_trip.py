"""The road of a warm call stays as short as it was made: what it runs through is counted by `bench/trip.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRIP = Path(__file__).parents[2] / "bench" / "trip.py"
BUDGET = {
    "stdio legacy": {"calls": 130, "files": 26, "changes": 82, "deepest": 19},
    "stdio modern": {"calls": 140, "files": 27, "changes": 86, "deepest": 19},
    "http legacy": {"calls": 161, "files": 32, "changes": 96, "deepest": 21},
    "http modern": {"calls": 169, "files": 33, "changes": 101, "deepest": 21},
}
"""At most so much, by the front and the era of the client. What needs more takes it from something else. Some
20 of the calls redact the arguments for the record."""


@pytest.mark.parametrize("front", BUDGET)
def test_a_warm_call_runs_through_no_more_than_its_budget(front):
    words = [sys.executable, str(TRIP), "--json", *front.split()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=80, check=True)
    found = json.loads(done.stdout)[front]
    assert {key: found[key] for key in BUDGET[front] if found[key] > BUDGET[front][key]} == {}, found
