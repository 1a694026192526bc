"""Flow control of the HTTP front, over many worlds; and by which clock its tokens and keys age."""

import asyncio

import pytest

from mcpguard.adapters.system import clock
from mcpguard.adapters.transports.http.bearer import FRESH_SECONDS
from mcpguard.config.loading import Audit, Config
from mcpguard.config.terms import HttpTerms, TokenTerms
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.gateway.inspection.inspector import Inspector
from mcpguard.serve.fronts import FEW_WORLDS, HttpFront
from mcpguard.serve.settings import Settings
from mcpguard.serve.worlds import Shared

pytestmark = pytest.mark.anyio


class Looked:
    """A world and its client in one, which counts how often flow control looks at it."""

    full = strained = False

    def __init__(self):
        self.looks = 0
        self.again = asyncio.Event()

    def hold(self, on):
        assert on is False

    def balance(self):
        self.looks += 1
        self.again.set()
        return self.strained


def front(folder, count):
    settings = Settings(config=Config(folder, {}, audit=Audit(folder, "flush")), policies=PolicySet())
    made = HttpFront(Shared(settings, asyncio.get_running_loop()), "127.0.0.1", 0)
    worlds = [Looked() for _ in range(count)]
    made._worlds = {object(): (world, world) for world in worlds}
    return made, worlds[0]


async def test_a_few_worlds_are_looked_at_after_each_turn(tmp_path):
    made, world = front(tmp_path, FEW_WORLDS)
    for _ in range(50):
        assert made.balance() is False
    assert world.looks == 50
    world.strained = True
    assert made.balance() is True


async def test_many_worlds_are_looked_at_together_and_none_is_forgotten(tmp_path):
    made, world = front(tmp_path, FEW_WORLDS + 1)
    made.balance()
    looks = world.looks
    for strained in (True, False):
        world.again.clear()
        world.strained, made._shared.turn.strained = strained, not strained
        for _ in range(50):
            assert made.balance() is True
        assert world.looks == looks
        async with asyncio.timeout(20):
            await world.again.wait()
        looks += 1
        assert (world.looks, made._shared.turn.strained) == (looks, strained)


async def test_flow_control_looks_while_something_is_inspected_elsewhere(tmp_path):
    made, _world = front(tmp_path, 1)
    shared = made._shared
    assert not shared.turn.strained
    inspector = Inspector(shared.redactor, shared.scan, strain=shared.strain)
    scanned = asyncio.ensure_future(inspector.elsewhere(lambda: ("inspected", "digest"), 1, "one"))
    await asyncio.sleep(0)
    assert shared.turn.strained
    assert inspector.waiting == 1
    assert await scanned == ("inspected", "digest")


async def test_verified_tokens_and_keys_age_also_while_the_machine_sleeps(tmp_path, monkeypatch):
    token = TokenTerms("https://login.example", ("https://guard.example/mcp",), "https://guard.example/mcp")
    config = Config(tmp_path, {}, audit=Audit(tmp_path, "flush"), http=HttpTerms(token=token))
    settings = Settings(config=config, policies=PolicySet())
    verifier = HttpFront(Shared(settings, asyncio.get_running_loop()), "127.0.0.1", 0)._verifier
    before, awake = verifier._seconds(), clock.time.clock_gettime
    monkeypatch.setattr(clock.time, "clock_gettime", lambda which: awake(which) + FRESH_SECONDS)
    assert verifier._seconds() - before >= FRESH_SECONDS
