"""An agent that can write the state file, against rules that ask for a passkey: nothing there approves."""

import json
import sqlite3

import pytest
from msgspec import structs

from mcpguard.config.loading import load_config
from mcpguard.core.policy.tickets import TicketAnswer, latest_end
from mcpguard.serve.interventions import give, passkeys_of, store_of, waiting_ticket
from tests.adapters.approvals.authenticator import Authenticator
from tests.adapters.approvals.test_passkeys import enrol
from tests.wire.session import puppet
from tests.wire.test_approvals import approved, ticket

RULES = [
    {
        "id": "act",
        "effect": "ask",
        "tools": ["act"],
        "message": "This deploys.",
        "ask": {"via": "console", "proof": "passkey"},
    }
]
UNPROVEN = json.dumps(
    {"verdict": "approved", "by": "os-user:grace", "via": "console", "groups": ["operators"]}
)
HARMLESS = "answer = text('harmless')"
DONE = "answer = text('done')"


class Scene:
    """A server whose calls of `act` wait for a passkey, the person who has it, and the file."""

    def __init__(self, start, folder):
        self.device = Authenticator()
        self.key = enrol(self.device)
        entry = {
            "person": self.key.person,
            "groups": [*self.key.groups],
            "id": self.key.id,
            "key": self.key.key,
        }
        self.folder = folder
        terms, state = {"passkeys": [entry], "wait_seconds": 0}, {"path": str(folder / "s")}
        self.again = lambda: start({"p": puppet()}, RULES, approvals=terms, session=state)
        self.guard = self.again()
        self.guard.hello()

    def restart(self):
        """Another process serves the same configuration."""
        assert self.guard.end() == 0
        self.guard = self.again()
        self.guard.hello()

    def call(self, code=DONE, **more):
        return str(self.guard.call("act", code=code, **more))

    def sign(self, lasts="once", free=()):
        """The person reads the page, and approves what it shows with the passkey."""
        config = load_config(self.guard.config)
        store, known = store_of(config), passkeys_of(config)
        shown = waiting_ticket(store, ticket(self.guard.config))
        until = 0.0 if lasts == "once" else latest_end(shown, lasts, shown.created)
        yes = TicketAnswer("approved", self.key.person, "console", self.key.groups)
        yes = structs.replace(yes, lasts=lasts, until=until, free=free)
        give(config, store, shown, structs.replace(yes, assertion=self.device.get(known.request(shown, yes))))

    def forge(self, statement, *values):
        with sqlite3.connect(self.folder / "s" / "state.sqlite") as database:
            assert database.execute(statement, values).rowcount == 1
        database.close()

    def forge_question(self, **members):
        with sqlite3.connect(self.folder / "s" / "state.sqlite") as database:
            ((question,),) = database.execute("SELECT question FROM tickets").fetchall()
        database.close()
        self.forge(
            "UPDATE tickets SET question = ?", json.dumps({**json.loads(question), **members}).encode()
        )


@pytest.fixture
def scene(start, tmp_path):
    return Scene(start, tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        {"terms": {"via": ["console"]}},
        {"terms": {"via": ["console"]}, "rules": ["test/act", "test/more"]},
        {"terms": {"via": ["console"]}, "principal": "os-user:other"},
        {"terms": {"via": ["console"]}, "expires": 9e9},
    ],
)
def test_what_the_rules_want_of_an_answer_is_not_read_from_the_file(scene, members):
    scene.call()
    scene.forge_question(**members)
    scene.forge("UPDATE tickets SET state = 'approved', answer = ?", UNPROVEN.encode())
    assert "'done'" not in scene.call()
    assert approved(scene.folder) == []


def test_an_approval_that_lasts_is_checked_again_where_it_covers_another_call(scene):
    scene.call(n=1)
    scene.sign("time", ("n",))
    assert "'done'" in scene.call(n=2)
    scene.forge_question(terms={"via": ["console"]})
    (row,) = rows(scene)
    answer = {**json.loads(row), "free": ["n", "code"], "assertion": ""}
    scene.forge("UPDATE tickets SET answer = ?", json.dumps(answer).encode())
    assert "'more'" not in scene.call("answer = text('more')", n=3)
    scene.forge(
        "UPDATE tickets SET answer = ?", json.dumps({**answer, "assertion": json.loads(row)["assertion"]})
    )
    assert "'more'" not in scene.call("answer = text('more')", n=3)
    scene.forge("UPDATE tickets SET answer = ?", row)
    assert "'done'" in scene.call(n=4)


def rows(scene):
    with sqlite3.connect(scene.folder / "s" / "state.sqlite") as database:
        found = [row[0] for row in database.execute("SELECT answer FROM tickets")]
    database.close()
    return found


@pytest.mark.parametrize(("lasts", "free"), [("once", ()), ("time", ()), ("time", ("n",))])
@pytest.mark.parametrize(
    "members",
    [
        {"shown": json.dumps({"code": HARMLESS, "n": 1})},
        {"shown": json.dumps({"n": 1})},
        {"message": "This is only a test."},
        {"target": "echo"},
        {"expires": 9e9},
    ],
)
def test_a_passkey_signs_what_its_person_was_shown_and_nothing_else_counts(scene, members, lasts, free):
    scene.call(n=1)
    scene.forge_question(**members)
    scene.sign(lasts, free)
    assert "'done'" not in scene.call(n=1)
    assert "'done'" not in scene.call(n=2)
    assert approved(scene.folder) == []


def test_an_approval_of_one_call_that_is_put_back_is_not_used_again(scene):
    scene.call()
    scene.sign()
    assert "'done'" in scene.call()
    scene.forge("UPDATE tickets SET state = 'approved', uses = 0")
    said = scene.call()
    assert "'done'" not in said
    assert "was used by the same call" in said
    assert len(approved(scene.folder)) == 1


@pytest.mark.parametrize("lasts", ["once", "time"])
def test_an_approval_whose_end_is_moved_counts_for_nothing(scene, lasts):
    scene.call()
    scene.sign(lasts)
    (row,) = rows(scene)
    scene.forge("UPDATE tickets SET answer = ?", json.dumps({**json.loads(row), "until": 9e9}))
    assert "'done'" not in scene.call()


@pytest.mark.parametrize("lasts", ["once", "time", "session"])
def test_an_approval_that_is_put_back_does_not_count_in_another_process(scene, lasts):
    scene.call()
    scene.sign(lasts)
    assert "'done'" in scene.call()
    scene.restart()
    scene.forge("UPDATE tickets SET state = 'approved', uses = 0")
    said = scene.call()
    assert "'done'" not in said
    assert "A person was asked" in said
    assert len(approved(scene.folder)) == 1
