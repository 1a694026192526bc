"""A sink that is down while evidence grows gets all of it afterwards: each call once, in order, in little memory.
MCPGUARD_BACKLOG says how many calls come meanwhile."""

import os
import resource
import sys

from msgspec import structs

from mcpguard.adapters.audit.following import Following
from mcpguard.adapters.audit.upkeep import CHECKPOINT_RECORDS
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.telemetry.exporting import Exporter
from mcpguard.core.errors import TelemetryError
from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, OUTCOME

CALLS = int(os.environ.get("MCPGUARD_BACKLOG", "5000"))
MOST_GROWTH = 60_000_000
"""Bytes; a million calls are 600 MB of evidence."""


class Sink:
    """Counts what it gets while it is not `down`, and keeps nothing."""

    def __init__(self):
        self.down = True
        self.calls = self.others = 0
        self.wrong = []

    def deliver(self, lines):
        if self.down:
            raise TelemetryError("it is down")
        for one, _line in lines:
            if one.outcome is None:
                self.others += 1
            elif one.record.id == f"n-{self.calls}":
                self.calls += 1
            else:
                self.wrong.append(one.record.id)
        return 0

    def close(self):
        pass


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_what_a_sink_missed_comes_whole_and_in_order_in_little_memory(tmp_path):
    sink = Sink()
    exporter = Exporter("there", "cef", Following(tmp_path / "audit", tmp_path / "cursor"), sink, "host")
    (tmp_path / "audit").mkdir()
    exporter.step()
    audit = AuditFile(tmp_path / "audit")
    audit.write(OPENED)
    for number in range(CALLS):
        audit.write(structs.replace(DECIDED, id=f"n-{number}"))
        audit.write(structs.replace(OUTCOME, id=f"n-{number}"))
        if number % CHECKPOINT_RECORDS == 0:
            audit.commit()
            exporter.step()
    audit.commit()
    exporter.step()
    assert (exporter.state.problem, exporter.state.lag) == ("it is down", audit.file.size)
    before, sink.down = peak(), False
    while exporter.step():
        pass
    assert (sink.calls, sink.wrong, exporter.state.lag) == (CALLS, [], 0)
    assert peak() - before < MOST_GROWTH
    audit.close(CLOSED)
    while exporter.step():
        pass
    assert sink.others == 2
    exporter.close()
