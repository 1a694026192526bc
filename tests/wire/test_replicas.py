"""Replicas on one PostgreSQL: what one of them did counts at the other, and what is not known is refused."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.adapters.store.shared import PASSWORD, ROLE
from tests.database import database, installed
from tests.wire.http_session import HttpGuard
from tests.wire.session import eventually, puppet
from tests.wire.test_approvals import at_terminal, ticket
from tests.wire.warm import command

pytestmark = pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed")

RULES = [
    {"id": "look", "effect": "allow", "tools": ["act"], "label": ["private"]},
    {"id": "few", "effect": "allow", "tools": ["seen"], "limit": {"calls": 10, "per": "1h"}},
    {"id": "push", "effect": "ask", "tools": ["echo"], "message": "Others see it."},
    {"id": "publish", "effect": "allow", "tools": ["forbidden"]},
    {
        "id": "no-leak",
        "effect": "deny",
        "tools": ["forbidden"],
        "when": "'private' in session.labels",
        "message": "It has seen private data.",
    },
]
HANGS = "did not answer within 3 seconds"


@pytest.fixture(scope="module")
def server():
    with database() as running:
        yield running


class Relay:
    """Between the replicas and the database: `frozen`, it takes connections and passes nothing on."""

    def __init__(self, port):
        self.frozen = threading.Event()
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._links = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._links += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self.frozen.is_set():
                    time.sleep(0.01)
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.frozen.clear()
        for one in (self._listener, *self._links):
            one.close()


class Replicas:
    """Two machines with one configuration."""

    def __init__(self, folder, url):
        self.guards = []
        self._folder = folder
        self.url = folder / "url"
        self.url.touch(0o600)
        self.url.write_text(url)
        self.session = {"postgres": f"${{file:{self.url}}}"}
        for _ in range(2):
            self.start()

    def start(self):
        """One more."""
        (self._folder / "stderr").unlink(missing_ok=True)  # It has the address of the last one.
        state = {"XDG_STATE_HOME": str(self._folder / f"machine{len(self.guards)}")}
        guard = HttpGuard(self._folder, {"p": puppet()}, RULES, env=state, session=self.session)
        self.guards.append(guard)
        return guard

    def clients(self):
        return [guard.modern() for guard in self.guards]

    def close(self):
        for guard in self.guards:
            guard.dispose()


@pytest.fixture
def replicas(server, tmp_path):
    server.run(ROLE)
    with contextlib.closing(Replicas(tmp_path, server.url("guard", PASSWORD))) as both:
        yield both


@pytest.fixture
def relayed(server, tmp_path):
    """Two replicas, and the relay to their database."""
    server.run(ROLE)
    with contextlib.closing(Relay(server.port)) as relay:
        url = f"postgresql://guard:{PASSWORD}@127.0.0.1:{relay.port}/postgres"
        with contextlib.closing(Replicas(tmp_path, url)) as both:
            yield both, relay


def ready(guard):
    """What `/readyz` says: its status, and what is wrong with the store."""
    exchange = guard.open("GET", "/readyz")
    return exchange.status, exchange.json()["needs"]["store"]["problem"]


def test_an_approval_is_used_once_in_all_replicas(replicas):
    one, other = replicas.clients()
    assert "A person was asked" in str(one.call("echo", text="x"))
    assert "A person was asked" in str(other.call("echo", text="x"))
    config = str(replicas.guards[0].config)
    at_terminal("approve", ticket(config), "--config", config)
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda client: client.call("echo", text="x"), (one, other)))
    assert sorted(bool(answer["result"].get("isError")) for answer in answers) == [False, True], answers


def test_a_limit_is_for_all_replicas_together(replicas):
    clients = [guard.modern() for guard in replicas.guards for _ in range(4)]
    with ThreadPoolExecutor(8) as all_at_once:
        said = list(all_at_once.map(lambda client: [client.call("seen") for _ in range(3)], clients))
    passed = [one for answers in said for one in answers if not one["result"].get("isError")]
    assert len(passed) == 10


def test_a_label_of_one_replica_counts_at_the_next_decision_of_the_other(replicas):
    one, other = replicas.clients()
    assert not other.call("forbidden")["result"].get("isError")
    one.call("act", code="answer = text('private')")
    assert "It has seen private data." in str(other.call("forbidden"))


def test_a_session_that_a_person_ended_is_ended_everywhere(replicas):
    one, other = replicas.clients()
    one.call("act", code="answer = text('private')")
    config = str(replicas.guards[0].config)
    (session,) = json.loads(command("session", "list", "--json", "--config", config).stdout)["sessions"]
    at_terminal("session", "end", session["name"][:8], "--config", config)
    for client in (one, other):
        assert not client.call("forbidden")["result"].get("isError")


def test_a_client_that_starts_mcpguard_itself_shares_them_too(replicas, start):
    replicas.clients()[0].call("act", code="answer = text('private')")
    local = start({"p": puppet()}, RULES, session=replicas.session)
    local.hello()
    local.call("act", code="answer = text('private')")
    assert "It has seen private data." in str(local.call("forbidden"))
    config = str(local.config)
    known = json.loads(command("session", "list", "--json", "--config", config).stdout)["sessions"]
    assert len(known) == 2


def test_the_url_of_the_database_does_not_come_back_to_the_client(replicas):
    client, _other = replicas.clients()
    url = f"open({str(replicas.url)!r}).read()"
    for text in (url, f"{url}.split('@')[0].split(':')[-1]"):
        answer = client.call("act", code=f"answer = text('the state is at ' + {text})")
        assert "the state is at" in str(answer)
        assert PASSWORD not in str(answer)


def test_after_a_replica_was_killed_its_clients_go_on_at_the_other(replicas):
    one, other = replicas.guards
    client = one.legacy()
    client.call("act", code="answer = text('private')")
    assert "A person was asked" in str(client.call("echo", text="x"))
    one.signal(9)
    one.wait()
    config = str(other.config)
    at_terminal("approve", ticket(config), "--config", config)
    again = other.legacy()
    assert "It has seen private data." in str(again.call("forbidden"))
    assert again.call("echo", text="x")["result"]["content"][0]["text"] == "x"
    lost = other.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, mcp_session_id=client.key)
    assert lost.status == 404


def test_while_the_database_is_down_calls_are_refused_and_afterwards_served_again(replicas, server):
    one, other = replicas.clients()
    one.call("act", code="answer = text('private')")
    server.stop()
    try:
        for client in (one, other):
            assert "session" in str(client.call("forbidden"))
        for guard in replicas.guards:
            status, problem = ready(guard)
            assert status == 503
            assert "`session.postgres` does not accept connections" in problem
        assert PASSWORD not in command("status").stdout.decode()
    finally:
        server.start()
    for guard in replicas.guards:
        eventually(lambda guard=guard: ready(guard) == (200, ""), "it is ready again")
    assert "It has seen private data." in str(other.call("forbidden"))
    for guard in replicas.guards:
        assert PASSWORD.encode() not in guard.stderr + guard.received


def test_a_database_that_hangs_holds_up_neither_probes_nor_the_end(relayed):
    both, relay = relayed
    one, other = both.guards
    client = one.modern()
    client.call("act", code="answer = text('private')")
    relay.frozen.set()
    waiting = client.open("tools/call", name="forbidden", arguments={})
    for _ in range(3):
        assert one.open("GET", "/livez").status == 200
    assert "session" in str(waiting.answer())
    assert HANGS in ready(one)[1]
    other.signal(15)
    assert other.wait() == 0
    relay.frozen.clear()
    eventually(lambda: ready(one) == (200, ""), "it is ready again")
    assert "It has seen private data." in str(client.call("forbidden"))
