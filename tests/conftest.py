"""Fixtures that several folders share: the real `mcpguard run`, and a keychain in memory."""

import contextlib
import gc
import inspect
import itertools
import os
import re
import tempfile
import threading
from pathlib import Path

import keyring
import pytest
from coverage import Coverage
from hypothesis import is_hypothesis_test, settings

from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.caches import BY_HAND, Caches, cached_of, lazy_of, modules_of
from tests.wire.session import Guard

# Without a deadline: on a busy machine any example may take long.
settings.register_profile("suite", max_examples=int(os.environ.get("MCPGUARD_EXAMPLES", "50")), deadline=None)
settings.load_profile("suite")

pytest_plugins = ["tests.workers"]

MEMORY = "/dev/shm"
ROOM = 4 << 30
"""How many bytes have to be free there: a whole run fills a seventh of it, which is removed at its end unless a test failed."""

COUNTED = tuple(
    f"{Path(__file__).parent}/{part}/" for part in ("authoring", "cli", "core", "gateway", "protocol")
)
"""Folders whose tests cover every branch of what `scripts/check` lists. The others prove other things, and counting would
take a good part of their time."""

PACKAGES = ("core", "protocol", "gateway", "config", "authoring")
"""Packages that are imported, and prepared, while branches are counted."""

COMPUTING = tuple(
    f"{Path(__file__).parent}/{part}/" for part in ("core", "packs", "gateway", "protocol", "docs")
)
"""Folders whose tests compute; those of the others mostly wait, for processes and for times to pass."""

COLLECTING = (10_000, 20, 20)
"""The thresholds at which garbage is collected. With Python's own, tests spend a twentieth of their time on it."""
OPENED = pytest.StashKey[int]()
FOLDERS = itertools.count()
DESCRIPTORS = 40
"""How many descriptors a file of tests may leave: of processes that stay warm for the tests of other files."""

COVERAGE = pytest.StashKey[Coverage | None]()
CACHES = pytest.StashKey[Caches]()


def in_memory():
    """Whether temporary files can be in memory, programs among them. On a disk each new file costs more: ext4 passes over
    the places of all files that were removed in the last minute, and a run removes tens of thousands."""
    if not os.path.isdir(MEMORY) or not os.access(MEMORY, os.W_OK):
        return False
    found = os.statvfs(MEMORY)
    return found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC


if "TMPDIR" not in os.environ and in_memory():
    tempfile.tempdir = MEMORY


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Neither collect garbage nor count branches while test modules are imported: what they define stays to the end, and
    tracing pytest takes longer than most tests."""
    gc.disable()
    session.config.stash[COVERAGE] = coverage = Coverage.current()
    if coverage is not None:
        session.config.stash[CACHES] = begin()
        coverage.stop()
    # Not imported before branches are counted. Compiled anew, the tables take as long as many a file of tests.
    from mcpguard.adapters.system.tables import keep_tables

    keep_tables()
    result = yield
    gc.freeze()
    gc.set_threshold(*COLLECTING)
    gc.enable()
    return result


def pytest_collection_modifyitems(items):
    """Spread the files that compute evenly over those that wait, so that all cores have work from start to end: one worker
    after another takes the next file. Of the first the longest come first, and so do the ones that wait longest, in
    `wire`: otherwise the last half minute would only wait."""
    files = {}
    for item in items:
        files.setdefault(str(item.path), []).append(item)
    computing = sorted((path for path in files if path.startswith(COMPUTING)), reverse=True)
    waiting = [path for path in reversed(files) if not path.startswith(COMPUTING)]
    place = {path: (at + 0.5) / len(group) for group in (computing, waiting) for at, path in enumerate(group)}
    items[:] = [item for path in sorted(files, key=place.__getitem__) for item in files[path]]


def begin():
    """Import the packages and fill the caches of functions that need no arguments. Otherwise the first test that needs
    them fills them, and that may be one that does not count. The caches of the others, which `counting` looks after."""
    modules = [module for package in PACKAGES for module in modules_of(f"mcpguard.{package}")]
    cached = [one for module in modules for one in cached_of(module)]
    for one in cached:
        if all(value.default is not value.empty for value in inspect.signature(one).parameters.values()):
            one()
    by_hand = [vars(module)[BY_HAND[module.__name__]] for module in modules if module.__name__ in BY_HAND]
    by_hand += [one for module in modules for one in lazy_of(module)]
    return Caches((one for one in cached if inspect.signature(one).parameters), by_hand)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """No thread that compiles held values outlives its test: it would see what the next one patches, and be counted.
    A file of tests leaves neither the collector of garbage as commands set it, which run once, nor many descriptors:
    those of a whole run are in one process."""
    if OPENED not in item.config.stash:
        item.config.stash[OPENED] = opened()
    before = item.config.stash[OPENED]
    yield
    # Not imported before branches are counted.
    from mcpguard.core.redaction.held.holding import PREPARING

    for thread in threading.enumerate():
        if thread.name == PREPARING:
            thread.join(10)
    gc.set_threshold(*COLLECTING)
    if nextitem is None or nextitem.path != item.path:
        if opened() > before + DESCRIPTORS:
            gc.collect()  # What a failed test left is seen in its traceback.
        item.config.stash[OPENED] = after = opened()
        if after > before + DESCRIPTORS:
            pytest.fail(
                f"{item.path.name} leaves {after - before} descriptors open: close what the tests open"
            )


def opened():
    """How many descriptors this process has, 0 where that is not told."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(request):
    """Count what a fixture does."""
    with counting(request.node):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Count what a test does."""
    with counting(pyfuncitem):
        return (yield)


@contextlib.contextmanager
def counting(node):
    """Count branches, unless it is done already or the test does not count."""
    coverage = node.config.stash[COVERAGE]
    if coverage is None or Coverage.current() is coverage or not is_counted(node):
        yield
    else:
        caches = node.config.stash[CACHES]
        caches.forget()
        with coverage.collect():
            yield
        caches.keep()


def is_counted(node):
    """Whether a test, or the module of a fixture, counts. What Hypothesis makes does not: that may reach a branch in one
    run and miss it in the next, and runs a hundred times."""
    return (
        str(node.path).startswith(COUNTED)
        and not (isinstance(node, pytest.Function) and is_hypothesis_test(node.function))
        and node.get_closest_marker("uncounted") is None
    )


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
def tmp_path(tmp_path_factory, request):
    """As pytest's own, which looks through the folders of all earlier tests to find a new name."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    path = tmp_path_factory.getbasetemp() / f"{name}{next(FOLDERS)}"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def start(tmp_path):
    """`start(servers, rules, ...)` starts `mcpguard run`; at the end each one is ended. With `folder`, that of
    another one, it serves the same configuration."""
    guards = []

    def begin(servers, rules=None, folder=None, **more):
        folder = folder or (tmp_path / f"guard{len(guards)}" if guards else tmp_path)
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
def backend(monkeypatch):
    """The keychain that `keyring` uses for the length of a test, which passes for one that encrypts."""
    from mcpguard.adapters.credentials import keychain

    kind = f"{FakeKeyring.__module__}.{FakeKeyring.__name__}"
    monkeypatch.setattr(keychain, "_ENCRYPTING", (*keychain._ENCRYPTING, kind))
    before = keyring.get_keyring()
    fake = FakeKeyring()
    keyring.set_keyring(fake)
    yield fake
    keyring.set_keyring(before)
