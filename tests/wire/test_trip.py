"""The road of a warm call stays as short as it was made: what it runs through is counted by `bench/trip.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRIP = Path(__file__).parents[2] / "bench" / "trip.py"
BUDGET = {
    "stdio legacy": {"calls": 281, "files": 45, "changes": 179, "deepest": 29},
    "stdio modern": {"calls": 299, "files": 47, "changes": 186, "deepest": 29},
    "http legacy": {"calls": 397, "files": 57, "changes": 254, "deepest": 34},
    "http modern": {"calls": 393, "files": 60, "changes": 226, "deepest": 34},
}
"""At most so much, by the front and the era of the client."""


@pytest.mark.parametrize("front", BUDGET)
def test_a_warm_call_runs_through_no_more_than_its_budget(front):
    words = [sys.executable, str(TRIP), "--json", *front.split()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=80, check=True)
    found = json.loads(done.stdout)[front]
    assert {key: found[key] for key in BUDGET[front] if found[key] > BUDGET[front][key]} == {}, found
