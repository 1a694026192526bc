"""Fixtures that several folders share: the real `mcpguard run`, and a keychain in memory."""

import os
from pathlib import Path

import keyring
import pytest
from hypothesis import is_hypothesis_test, settings

from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.wire.session import Guard

settings.register_profile("suite", max_examples=int(os.environ.get("MCPGUARD_EXAMPLES", "50")))
settings.load_profile("suite")

TESTS = Path(__file__).parent
COUNTED = tuple(
    TESTS / part
    for part in [
        "adapters/transports",
        "adapters/upstreams",
        "authoring",
        "cli",
        "config",
        "core",
        "gateway",
        "protocol",
    ]
)
"""Folders whose tests cover every branch of what `scripts/check` lists. The others prove other things, and counting would
take a good part of their time."""


def pytest_collection_modifyitems(items):
    """Leave out of the counting the other folders, and what Hypothesis makes: that may reach a branch in one run and
    miss it in the next, and runs a hundred times."""
    counted = {path: any(map(path.is_relative_to, COUNTED)) for path in {item.path for item in items}}
    for item in items:
        if not counted[item.path] or is_hypothesis_test(item.function):
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def anyio_backend():
    """The loop of `pytest.mark.anyio`: the product runs on asyncio alone."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory):
    """Processes under test keep their status files out of the state folder of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def start(tmp_path):
    """`start(servers, rules, ...)` starts `mcpguard run`; at the end each one is ended."""
    guards = []

    def begin(servers, rules=None, **more):
        folder = tmp_path / f"guard{len(guards)}" if guards else tmp_path
        folder.mkdir(exist_ok=True)
        guard = Guard(folder, servers, rules, **more)
        guards.append(guard)
        return guard

    yield begin
    for guard in guards:
        guard.dispose()


@pytest.fixture
def session(start):
    """As `start`, and the handshake is done."""

    def begin(servers, rules=None, **more):
        guard = start(servers, rules, **more)
        guard.hello()
        return guard

    return begin


@pytest.fixture
def backend():
    """The keychain that `keyring` uses for the length of a test."""
    before = keyring.get_keyring()
    fake = FakeKeyring()
    keyring.set_keyring(fake)
    yield fake
    keyring.set_keyring(before)
