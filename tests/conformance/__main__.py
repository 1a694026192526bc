"""One table of the conformance suite: `python -m tests.conformance [--direct] [PART …]`.

A run's name is its revision, its way and its upstream's era, such as `2026-07-28-stdio-legacy`; only the runs
whose name has all the given parts are done. `direct` runs are always done, since the others are compared with them.
Exits with 1 when a check that passes directly is lost without a reason in `losses.py`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.conformance import losses, runs, suite

HEAD = ("revision", "upstream", "way", "passed directly", "passed through", "lost")


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--direct", action="store_true", help="only the runs without mcpguard")
    parser.add_argument("parts", nargs="*", metavar="PART", help="part of a run's name, such as `legacy`")
    return parser.parse_args()


def _row(*cells):
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def main():
    """Run, print the table and then the lost checks by name."""
    options = _options()
    known = [] if options.direct else runs.SAME_ERA + runs.CROSS_ERA
    wanted = [run for run in known if all(part in str(run) for part in options.parts)]
    revisions = sorted({run.revision for run in wanted}) or suite.REVISIONS
    lines, failed = [], False
    _row(*HEAD)
    _row(*["---"] * len(HEAD))
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)

        def folder(name):
            made = base / name
            made.mkdir()
            return made

        direct = {revision: runs.direct(revision, folder(revision)) for revision in revisions}
        for revision, found in direct.items():
            good, decided = suite.passed(found)
            _row(revision, "both", "direct", f"{good} of {decided}", "", "")
        for run in wanted:
            found = runs.through(run, folder(str(run)))
            lost = suite.lost(direct[run.revision], found)
            bad = losses.unexplained(run, lost)
            failed = failed or bool(bad)
            good = suite.passed(direct[run.revision])[0]
            _row(
                run.revision,
                run.era,
                run.way,
                good,
                suite.passed(found)[0],
                f"{len(lost)} ({len(bad)} unexplained)",
            )
            lines += [f"{run}: {check}: {other.status} {other.words[:200]}" for check, other in bad.items()]
    print("\n".join(["", *lines]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
