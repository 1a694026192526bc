"""A standby takes over the database of two replicas while calls come: nothing that was decided is lost, nothing is done
without a record, and nobody has to restart anything."""

import contextlib
import json
import re
import threading

import pytest

from mcpguard.adapters.store.postgres import PostgresStore
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.core.secret import Secret
from tests.adapters.store.shared import LOOP, PASSWORD, ROLE
from tests.database import database, installed, standby
from tests.fakes import FixedClock
from tests.wire.session import DEADLINE, eventually
from tests.wire.test_replicas import Replicas, ready

pytestmark = pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed")

NO_PRIMARY = "currently has no primary; only a standby responds"
APPROVED = 6
"""Calls that a person approved, each once, before the standby takes over."""


@pytest.fixture
def cluster():
    """The primary and its standby."""
    with database() as primary, standby(primary) as second:
        primary.run(ROLE)
        yield primary, second


@pytest.fixture
def replicas(cluster, tmp_path):
    hosts = ",".join(f"127.0.0.1:{one.port}" for one in cluster)
    url = f"postgresql://guard:{PASSWORD}@{hosts}/postgres?target_session_attrs=read-write"
    with contextlib.closing(Replicas(tmp_path, url)) as both:
        yield both


def approve(url):
    """A person approves all calls that wait."""
    store = PostgresStore(lambda: Secret(url), 60, FixedClock(), LOOP.put)
    for ticket in store.waiting():
        assert store.answer(ticket.id, TicketAnswer("approved", "os-user:ada", "terminal"))
    store.close()


def failed(answer):
    assert "result" in answer, answer
    return bool(answer["result"].get("isError"))


class Caller(threading.Thread):
    """A client that calls on and on until it is stopped."""

    def __init__(self, client, name, effects):
        super().__init__(daemon=True)
        self._client, self._name, self._effects = client, name, effects
        self.stopped = threading.Event()
        self.done, self.refused, self.pushed = 0, 0, []

    def run(self):
        while not self.stopped.is_set():
            line = f"{self._name}-{self.done + self.refused}"
            write = f"print({line!r}, file=open({str(self._effects)!r}, 'a'))"
            refused = failed(self._client.call("act", code=write))
            self.refused += refused
            self.done += not refused
            number = str(len(self.pushed) % APPROVED)
            if not failed(self._client.call("echo", text=number)):
                self.pushed.append(number)

    def end(self):
        self.stopped.set()
        self.join(DEADLINE)
        assert not self.is_alive()


def test_a_standby_takes_over_while_calls_come(cluster, replicas, tmp_path):
    primary, second = cluster
    effects = tmp_path / "effects"
    clients = replicas.clients()
    for number in range(APPROVED):
        assert "A person was asked" in str(clients[0].call("echo", text=str(number)))
    approve(replicas.url.read_text())
    callers = [Caller(client, name, effects) for client, name in zip(clients, "ab", strict=True)]
    for one in callers:
        one.start()
    eventually(lambda: all(one.done > 2 for one in callers), "both are served")
    primary.stop()
    for guard in replicas.guards:
        eventually(lambda guard=guard: NO_PRIMARY in ready(guard)[1], "it says why")
        assert ready(guard)[0] == 503
    before = [one.done for one in callers]
    second.promote()
    for guard in replicas.guards:
        eventually(lambda guard=guard: ready(guard) == (200, ""), "it is ready again")
    for one, so_far in zip(callers, before, strict=True):
        eventually(lambda one=one, so_far=so_far: one.done > so_far + 2, "it is served again")
        one.end()
        assert one.refused
    for client in replicas.clients():
        assert "It has seen private data." in str(client.call("forbidden"))
    used = callers[0].pushed + callers[1].pushed
    assert used, "some are used before the standby takes over"
    assert len(used) == len(set(used)), "no approval was used twice"
    check_evidence(replicas.guards[0], effects)


def check_evidence(guard, effects):
    """Each effect was allowed by a decision on record."""
    allowed = [
        one for one in guard.records("decision") if one.get("tool") == "act" and one["effect"] == "allow"
    ]
    known = {re.search(r"print\('([ab]-\d+)'", json.dumps(one))[1] for one in allowed}
    done = effects.read_text().split()
    assert len(done) == len(set(done))
    assert set(done) <= known
    assert all(one["what"] != "state-replaced" for one in guard.records("notice"))
