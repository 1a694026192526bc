"""One table of the conformance suite: `python -m tests.conformance [--direct] [PART …]`.

A run's name is its revision, its way and its upstream's era, such as `2026-07-28-stdio-legacy`; only the runs
whose name has all the given parts are done. `direct` runs are always done, since the others are compared with them.
Exits with 1 when a check that passes directly is lost without a reason in `losses.py`, or a reason is stale.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.conformance import losses, runs, suite, table


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--direct", action="store_true", help="only the runs without mcpguard")
    parser.add_argument("parts", nargs="*", metavar="PART", help="part of a run's name, such as `legacy`")
    return parser.parse_args()


def main():
    """Run, print the table and then, by name, what `losses.py` does not say or says wrongly."""
    options = _options()
    known = [] if options.direct else runs.SAME_ERA + runs.CROSS_ERA
    wanted = [run for run in known if all(part in str(run) for part in options.parts)]
    revisions = sorted({run.revision for run in wanted}) or suite.REVISIONS
    bad = {}
    print(*table.head(), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)

        def folder(name):
            made = base / name
            made.mkdir()
            return made

        direct = {revision: runs.direct(revision, folder(revision)) for revision in revisions}
        for revision in revisions:
            print(
                table.line(revision, table.SPOKEN["both"], "direct", runs.PASSED[revision], "", ""),
                flush=True,
            )
        for run in wanted:
            lost = suite.lost(direct[run.revision], runs.through(run, folder(str(run))))
            unexplained = losses.unexplained(run, lost)
            print(table.row(run, runs.PASSED[run.revision], len(lost), len(unexplained)), flush=True)
            bad |= {
                f"{run}: {check}": f"{one.status} {one.words[:200]}" for check, one in unexplained.items()
            }
            for stale in losses.stale(run, direct[run.revision], lost):
                bad[f"{run}: {stale.scenario} / {stale.id}"] = "has a row in losses.py, and is not lost"
    print("", *(f"{check}: {words}" for check, words in bad.items()), sep="\n")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
