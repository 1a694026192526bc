"""One run of the suite, and what one run passes that another does not.

A check is named by its scenario, id and name. The suite writes one `checks.json` a scenario.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from scripts import node

REVISIONS = ("2025-11-25", "2026-07-28")
SECONDS = 180
SCENARIO_MS = 45_000
FOLDER = re.compile(r"^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$")


class Check(NamedTuple):
    """The name of a check."""

    scenario: str
    id: str
    name: str

    def __str__(self):
        return f"{self.scenario} / {self.id} / {self.name}"


class Outcome(NamedTuple):
    """SUCCESS, FAILURE, WARNING, SKIPPED or INFO, and the suite's words."""

    status: str
    words: str = ""


def run(url, revision, folder):
    """The outcome of each check against the server at `url`.

    Raises AssertionError where the run writes nothing, or is not over in `SECONDS`: what is then missing would count
    as a check that need not pass.
    """
    home = node.ready()
    command = [*node.program(home, "conformance"), "server", "--url", url, "--requirements", revision]
    with (folder.parent / "suite.txt").open("wb") as words:
        running = subprocess.Popen(
            [*command, "--timeout", str(SCENARIO_MS), "-o", str(folder)],
            env=node.environment(home),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
        )
        try:
            running.wait(SECONDS)  # The exit code says whether all passed, which is ours to compare.
            over = True
        except subprocess.TimeoutExpired:
            over = False
            running.kill()
            running.wait()
    last = (folder.parent / "suite.txt").read_text()[-2000:]
    assert over, f"the suite was not over in {SECONDS} seconds: {last}"
    found = read(folder)
    assert found, f"the suite wrote no checks: {last}"
    return found


def read(folder):
    """The outcome of each check that the suite wrote; of checks with the same name the worst counts."""
    found = {}
    for path in sorted(Path(folder).glob("*/checks.json")):
        scenario = FOLDER.match(path.parent.name).group(1)
        for raw in json.loads(path.read_bytes()):
            check = Check(scenario, raw["id"], raw["name"])
            outcome = Outcome(raw["status"], raw.get("errorMessage", ""))
            if check not in found or found[check].status == "SUCCESS":
                found[check] = outcome
    return found


def passed(found):
    """How many checks passed, and how many were decided."""
    good = sum(outcome.status == "SUCCESS" for outcome in found.values())
    return good, good + sum(outcome.status == "FAILURE" for outcome in found.values())


def failed(found):
    """The checks that say that something is wrong, by name."""
    return {str(check): one for check, one in found.items() if one.status in ("FAILURE", "WARNING")}


def lost(direct, through):
    """The checks that pass directly and not through mcpguard, with what the suite says of each."""
    absent = Outcome("ABSENT")
    pairs = ((check, through.get(check, absent)) for check, one in direct.items() if one.status == "SUCCESS")
    return {check: other for check, other in pairs if other.status != "SUCCESS"}
