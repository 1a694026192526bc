"""Threat: a disguise is seen through on one way through mcpguard and not on another (laws 2, 3 and 6).

The matrix is seats of the client (front and era) x servers (transport and era) x ways of telling x disguises, of which
a few are told at once, x secrets. Every pair of two of these is run, and with `MCPGUARD_MATRIX=1` the whole product.
"""

import os
import queue
import re
import sys
from contextlib import ExitStack
from itertools import combinations, product

import pytest

from tests.attack.test_bridge_attacks import CAN
from tests.attack.test_leaks import PLAIN, WINDOW, texts_in
from tests.servers.disguises import read
from tests.servers.telltale import CAPABILITIES, FEW, WAYS, answers, in_disguise
from tests.servers.web import DEADLINE, web
from tests.wire.http_session import META, MODERN, HttpGuard
from tests.wire.session import ALLOW_ALL, SERVERS, Guard

SECRETS = {"TOKEN_MARKS": 'p4/Qx+"r\\8e=Jw7-m3N9bGV2c5X1z8L0kHtRs', "TOKEN_PLAIN": PLAIN}
SEATS = tuple(product(("stdio", "http"), ("legacy", "modern")))
PLACES = tuple(product(("program", "web"), ("legacy", "modern")))
SAID = (*WAYS, "lists")
RULES = [*ALLOW_ALL, {"id": "rest", "effect": "allow", "action": ["*"]}]
LISTS = (
    ("tools/list", {}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("prompts/list", {}),
    ("resources/read", {"uri": "x:one"}),
    ("prompts/get", {"name": "{}__one", "arguments": {}}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "{}__one"}, "argument": {"name": "a", "value": "b"}},
    ),
)


def cells():
    """Each way with each share of the disguises, so that every pair of two dimensions is there; else all."""
    ways, shares = list(enumerate(SAID)), range(FEW)
    if os.environ.get("MCPGUARD_MATRIX"):
        return list(product(SEATS, PLACES, SAID, shares, SECRETS))
    names = list(SECRETS)
    return [
        (SEATS[(i + n + n // 2) % 4], PLACES[(i + n + i // 4) % 4], way, n, names[(i + n) % 2])
        for (i, way), n in product(ways, shares)
    ]


class Stage:
    """The same hostile server over HTTP, of one era."""

    def __init__(self, stack, era):
        self.modern = era == "modern"
        self.web = stack.enter_context(web(on_any=self.serve, modern=self.modern, capabilities=CAPABILITIES))
        self.answered = queue.Queue()

    def serve(self, heard, reply):
        message = heard.message or {}
        if heard.method == "POST" and "method" not in message:
            reply.nothing()
            self.answered.put(message)
            return True
        name = message.get("params", {}).get("arguments", {}).get("of", "TOKEN_MARKS")
        said = answers(message, [heard.headers[name.lower().replace("_", "-")]], self.modern, in_disguise)
        if not said:
            return False
        reply.events(*said)
        if said[-1].get("id") != message["id"]:
            self.answered.get(timeout=DEADLINE)
            reply.event(heard.answer({"content": [{"type": "text", "text": "done"}]}))
        return True


class OnPipes:
    """A client over stdio; it answers what it is asked."""

    def __init__(self, guard, era):
        self.guard, self.era, self.asked = guard, era, []
        if era == "legacy":
            guard.hello(capabilities=CAN)
        else:
            self.ask("server/discover")

    def ask(self, method, _meta=None, **params):
        """The last answer to a request, all questions answered."""
        about = {META + "protocolVersion": MODERN, META + "clientCapabilities": CAN}
        meta = {**(about if self.era == "modern" else {}), **(_meta or {})}
        seen = len(self.guard.messages)
        number = self.guard.request(method, {**params, "_meta": meta} if meta else params)
        while True:
            self.guard.pump(until=lambda at=seen: len(self.guard.messages) > at)
            message = self.guard.messages[seen]
            seen += 1
            if "method" in message and "id" in message:
                self.asked.append(message)
                self.guard.send({"jsonrpc": "2.0", "id": message["id"], "result": {"action": "decline"}})
            elif message.get("id") == number:
                return message


class OverHttp:
    """The same over HTTP."""

    def __init__(self, guard, era):
        self.client, self.asked = getattr(guard, era)(capabilities=CAN), []

    def ask(self, method, _meta=None, **params):
        """The last answer to a request, all questions answered."""
        exchange = self.client.open(method, **params, **({"_meta": _meta} if _meta else {}))
        for message in iter(exchange.message, None):
            if "method" in message and "id" in message:
                self.asked.append(message)
                assert self.client.reply(message, action="decline") == 202
            elif "method" not in message:
                return message
        raise AssertionError("no answer")


class Matrix:
    """Three mcpguards before the same hostile servers: each seat is a client of one of them."""

    def __init__(self, folder, stack):
        self.stages = {era: Stage(stack, era) for era in ("legacy", "modern")}
        self.guards = {}
        self.seats = {}
        self._read = {}
        self._clean = {}
        for front, era in SEATS:
            name = front if front == "http" else front + era
            if name not in self.guards:
                (folder / name).mkdir()
                kind = HttpGuard if front == "http" else Guard
                self.guards[name] = kind(folder / name, self.servers(folder / name), RULES)
                stack.callback(self.guards[name].dispose)
            kind = OverHttp if front == "http" else OnPipes
            self.seats[front, era] = kind(self.guards[name], era)

    def servers(self, folder):
        """The entries of all hostile servers, each with both secrets."""
        held = {}
        for name, secret in SECRETS.items():
            path = folder / name
            path.write_text(secret, encoding="utf-8")
            path.chmod(0o600)
            held[name] = f"${{file:{path}}}"
        found = {}
        for era, stage in self.stages.items():
            words = [str(SERVERS / "telltale.py"), str(folder / f"{era}.told"), era, "disguised"]
            # Their lists tell shares too, so definitions change all the time.
            said = {"pins": "report"}
            found[f"program-{era}"] = {"command": sys.executable, "args": words, "env": {**held}, **said}
            headers = {name.replace("_", "-"): reference for name, reference in held.items()}
            found[f"web-{era}"] = stage.web.entry(headers=headers, **said)
        return found

    def tell(self, seat, server, way, share, of):
        """Have a server tell this share in this way, and give what was answered."""
        client = self.seats[seat]
        if way == "lists":
            return [client.ask(method, **_named(params, server)) for method, params in LISTS]
        params = {"name": f"{server}__act", "arguments": {"way": way, "share": share, "of": of}}
        meta = {"progressToken": "mine", "io.modelcontextprotocol/logLevel": "debug"}
        task = {"task": {}} if way == "task" and seat[1] == "legacy" else {}
        answer = client.ask("tools/call", **params, **task, _meta=meta)
        found = answer.get("result", {})
        if found.get("resultType") == "input_required":
            given = {key: {"action": "decline"} for key in found["inputRequests"]}
            more = {"requestState": found["requestState"], "inputResponses": given}
            return [answer, client.ask("tools/call", **params, **more, _meta=meta)]
        return (
            [answer, client.ask("tasks/get", taskId=found["task"]["taskId"])] if "task" in found else [answer]
        )

    def leaks(self):
        """What can be read of a secret in all that left since the last look."""
        found = []
        for name, guard in self.guards.items():
            left = {"client": bytes(guard.received), "stderr": guard.stderr, "audit": guard.audit_bytes}
            for place, data in left.items():
                at = self._read.get((name, place), 0)
                self._read[name, place] = len(data)
                found += [
                    (name, place, text[:200], seen) for text in texts_in(data[at:]) for seen in self._in(text)
                ]
        return found

    def _in(self, text):
        """What can be read of a secret in a text, of which each disguise is looked at once."""
        found = [part for part in PARTS if part in text]
        text = re.sub(r"#[0-9]+\]|[0-9a-f]{32,}|[0-9.:TZ-]{10,}", "", text)
        for piece in text.split("behind"):
            found += [part for seen in read(piece, known=self._clean) for part in PARTS if part in seen]
        return found


PARTS = {secret[at : at + WINDOW] for secret in SECRETS.values() for at in range(len(secret) - WINDOW + 1)}


def _named(params, server):
    def named(value):
        return (
            {key: named(one) for key, one in value.items()}
            if isinstance(value, dict)
            else value.format(server)
        )

    return named(params)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    with ExitStack() as stack:
        yield Matrix(tmp_path_factory.mktemp("matrix"), stack)


def _named_cell(one):
    return "-".join(one) if isinstance(one, tuple) else str(one)


@pytest.mark.parametrize(("seat", "place", "way", "share", "of"), cells(), ids=_named_cell)
def test_no_disguise_of_a_secret_can_be_read_on_any_way(matrix, seat, place, way, share, of):
    asked = matrix.seats[seat].asked
    asked.clear()
    told = [*matrix.tell(seat, "-".join(place), way, share, of), *asked]
    assert re.search(r"\[REDACTED:credential:|withheld by mcpguard", str(told))
    assert matrix.leaks() == []


def test_every_pair_of_two_dimensions_is_in_the_cells():
    sizes = [len(SEATS), len(PLACES), len(SAID), FEW, len(SECRETS)]
    for one, two in combinations(range(len(sizes)), 2):
        assert len({(cell[one], cell[two]) for cell in cells()}) == sizes[one] * sizes[two]
