"""`pytest -n 8` runs the tests in eight processes, which are forked when all tests are collected.

What is imported, collected and computed before the first test is so once, and not in each of them. A worker takes one
file after another, in the order of the collection.
"""

import atexit
import itertools
import mmap
import os
import sys
import tempfile
from multiprocessing import connection, get_context

import pytest
from _pytest.capture import FDCapture

FORK = get_context("fork")
TURN = 2
"""How many bytes the number of a file takes."""


def pytest_addoption(parser):
    """The option. Pytest has options of one small letter to itself, unless a plugin insists."""
    parser.getgroup("workers")._addoption(
        "-n", dest="workers", type=int, default=0, help="how many processes run the tests"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Let workers run the files, and report here what they report."""
    files = [list(items) for _, items in itertools.groupby(session.items, key=lambda item: item.path)]
    count = min(session.config.getoption("workers"), len(files))
    if count < 2 or session.config.option.collectonly or session.testsfailed:
        return None
    crew = Crew(session, files)
    try:
        for _ in range(count):
            crew.begin()
        crew.follow()
    finally:
        crew.end()
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    if crew.left and not session.shouldfail:
        session.shouldfail = f"{len(crew.left)} tests were not run"
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True


class Crew:
    """The workers, and what they share: whose turn it is, and whether to stop. `left` are tests that are not reported yet."""

    def __init__(self, session, files):
        self._session = session
        self._config = session.config
        self._files = files
        self._base = self._config._tmp_path_factory.getbasetemp()
        self.left = {item.nodeid: item.location for item in session.items}
        self._stopped = mmap.mmap(-1, 1)
        self._running = {}
        self._turns, write = os.pipe()
        with os.fdopen(write, "wb") as turns:
            turns.write(b"".join(at.to_bytes(TURN, "big") for at in range(len(files))))

    def begin(self):
        """Fork one worker."""
        ours, theirs = FORK.Pipe(duplex=False)
        worker = FORK.Process(target=self._work, args=(theirs, self._base / f"worker{len(self._running)}"))
        worker.start()
        theirs.close()
        self._running[ours] = worker

    def follow(self):
        """Report what the workers report, until the last one has ended."""
        at = {}
        while self._running:
            for link in connection.wait(self._running):
                try:
                    at[link], reports = link.recv()
                except EOFError:
                    self._ended(link, at.get(link))
                else:
                    self._report(at[link], reports)
            self._stopped[0] = bool(self._session.shouldfail or self._session.shouldstop)

    def end(self):
        """Let those that still run end after the test that they are at."""
        self._stopped[0] = 1
        for link, worker in self._running.items():
            link.close()
            worker.join()
        os.close(self._turns)

    def _report(self, name, reports):
        hook = self._config.hook
        for data in reports:
            report = hook.pytest_report_from_serializable(config=self._config, data=data)
            hook.pytest_runtest_logreport(report=report)
        if reports:
            hook.pytest_runtest_logfinish(nodeid=name, location=self.left.pop(name))

    def _ended(self, link, name):
        worker = self._running.pop(link)
        link.close()
        worker.join()
        if worker.exitcode and name in self.left:
            said = f"the process of this test ended, with exit code {worker.exitcode}"
            report = pytest.TestReport(name, self.left.pop(name), {}, "failed", said, "call")
            self._config.hook.pytest_runtest_logreport(report=report)

    # --- in a worker -----------------------------------------------------------------------------

    def _work(self, link, base):
        """Run one file after another."""
        atexit._clear()
        for other in self._running:
            other.close()
        base.mkdir()
        self._config._tmp_path_factory._basetemp = base
        plugins = self._config.pluginmanager
        capture_apart(plugins.getplugin("capturemanager")._global_capturing)
        reporter = plugins.unregister(name="terminalreporter")
        plugins.register(Reporter(self._config, link, reporter._tw), "terminalreporter")
        try:
            self._run()
        except KeyboardInterrupt:
            sys.exit(2)
        finally:
            self._session._setupstate.teardown_exact(None)
            atexit._run_exitfuncs()
        if (counting := plugins.getplugin("_cov")) is not None:
            counting.cov_controller.cov.save()

    def _run(self):
        for item, following in itertools.pairwise(itertools.chain(self._items(), [None])):
            self._config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._stopped[0] or self._session.shouldfail or self._session.shouldstop:
                return

    def _items(self):
        while turn := os.read(self._turns, TURN):
            yield from self._files[int.from_bytes(turn, "big")]


def capture_apart(capturing):
    """Have a file of its own for what this process prints. The streams stay as they are: modules have them that are
    imported already."""
    for one in (capturing.out, capturing.err):
        if isinstance(one, FDCapture):
            with tempfile.TemporaryFile() as file:
                os.dup2(file.fileno(), one.tmpfile.fileno())
                os.dup2(file.fileno(), one.targetfd)


class Reporter:
    """What stands in for pytest's reporter in a worker, and hands reports over."""

    def __init__(self, config, link, writer):
        self._config = config
        self._link = link
        self._tw = writer
        self._reports = []

    def pytest_runtest_logstart(self, nodeid):
        """Say which test it is at, which may end this process."""
        self._link.send((nodeid, []))

    def pytest_runtest_logreport(self, report):
        """Keep the report of a set-up, a call or a teardown."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._reports.append(data)

    def pytest_runtest_logfinish(self, nodeid):
        """Hand over the reports of a test."""
        self._link.send((nodeid, self._reports))
        self._reports = []
