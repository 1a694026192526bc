"""What telemetry costs a call: processor time of following, joining, encoding and keeping the cursor.

    python bench/telemetry.py [--calls 20000]

Aims: nothing while it is off, which `bench/trip.py` counts, and at most 15 us a call while it is on. Nothing
of it is on the path of a call: it is the work of a thread, given as processor time. Delivery is to a sink
that takes everything at once, so the work of the network is left out.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from record import OPENED, decided, outcome

from mcpguard.adapters.audit.following import Following
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.telemetry.exporting import Exporter
from mcpguard.adapters.telemetry.formats import otlp

ROUNDS = 3


class Taking:
    """A sink that takes everything; OTLP is put together here."""

    def __init__(self, form: str) -> None:
        self._encoded = (otlp.traces, otlp.logs, otlp.metrics) if form == "otlp" else ()

    def deliver(self, given: Sequence[Any]) -> int:
        """Nothing is refused."""
        for encode in self._encoded:
            encode(given, "host")
        return 0

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Print a row for each format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        audit = Path(folder) / "audit"
        sink = AuditFile(audit)
        sink.write(OPENED)
        for number in range(calls):
            sink.write(decided(number))
            sink.write(outcome(number))
        sink.commit()
        for form in ("otlp", "jsonl", "csv", "cef", "ocsf"):
            best = min(exported(audit, Path(folder), form) for _ in range(ROUNDS))
            print(f"{form:6} {best / calls * 1e6:6.1f} us a call")


def exported(audit: Path, folder: Path, form: str) -> float:
    """Processor time for all calls, in seconds."""
    cursor = folder / f"{time.monotonic_ns()}.cursor"
    source = Following(audit, cursor, from_start=True)
    exporter = Exporter("bench", form, source, Taking(form), "host")
    began = time.process_time()
    while exporter.step():
        pass
    exporter.close()
    return time.process_time() - began


if __name__ == "__main__":
    main()
