"""Tests in several processes: `pytest -p tests.workers --workers 7`.

They are forked once the tests are collected, so that all modules are imported and all tests collected once. Each process
takes the next file from a pipe, and sends its reports to the first one, which shows them.
"""

import atexit
import os
import traceback
from itertools import chain, groupby, pairwise
from multiprocessing import Pipe, get_context
from multiprocessing.connection import wait
from operator import attrgetter
from tempfile import TemporaryFile

import pytest
from coverage import Coverage

COVERAGE = pytest.StashKey[Coverage | None]()
"""What counts branches, if they are counted."""


def pytest_addoption(parser):
    """The number of processes."""
    parser.addoption("--workers", type=int, default=0, help="how many processes run tests, a file at a time")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Run what was collected in as many processes as are asked for, if it is to be run."""
    config = session.config
    if not config.option.workers or config.option.collectonly or session.testsfailed:
        return None
    files = [list(items) for _, items in groupby(session.items, attrgetter("path"))]
    config._tmp_path_factory.getbasetemp()  # All have one.
    running = [
        start(session, files, queue) for queue in [numbers(len(files))] for _ in range(config.option.workers)
    ]
    try:
        show(session, dict(running))
    finally:
        for _, process in running:
            process.kill()
            process.join()
    return True


def numbers(count):
    """A pipe with the numbers of all files, which ends after them."""
    take, give = os.pipe()
    for number in range(count):
        os.write(give, number.to_bytes(4, "big"))
    os.close(give)
    return take


def start(session, files, queue):
    """A process that runs files of the queue, and the connection on which its reports come."""
    ours, theirs = Pipe(duplex=False)
    process = get_context("fork").Process(target=work, args=(session, files, queue, theirs))
    process.start()
    theirs.close()
    return ours, process


def show(session, running):
    """Tell pytest what the processes report, and which tests one did not survive or did not come to."""
    left = {item.nodeid: item.location for item in session.items}
    tests = {}
    while running:
        for link in wait(running):
            try:
                tests[link], said = link.recv()
            except EOFError:
                process = running.pop(link)
                process.join()
                if process.exitcode and link in tests:
                    tell(
                        session,
                        failed(*tests[link], f"the process of this test ended with {process.exitcode}"),
                    )
            else:
                if said is None:
                    left.pop(tests[link][0], None)
                else:
                    hook = session.config.hook.pytest_report_from_serializable
                    tell(session, hook(config=session.config, data=said))
    for test in left.items():
        tell(session, failed(*test, "it was not run, as the process that had taken it ended before"))


def failed(nodeid, location, reason):
    """The report of a test that cannot give one."""
    return pytest.TestReport(nodeid, location, {}, "failed", reason, "call")


def tell(session, report):
    """Tell pytest, which may have seen enough."""
    session.config.hook.pytest_runtest_logreport(report=report)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def work(session, files, queue, link):
    """Run the next file of the queue until it is empty. Never returns: what ends a session is for the first process."""
    code = 1
    try:
        plugins = session.config.pluginmanager
        captured = plugins.getplugin("capturemanager")._global_capturing
        for one in (captured.out, captured.err) if captured else ():
            if (file := getattr(one, "tmpfile", None)) is not None:  # The other processes write to it too.
                with TemporaryFile() as own:
                    os.dup2(own.fileno(), file.fileno())
        plugins.unregister(name="terminalreporter")
        plugins.register(Reporting(session.config, link))
        taken = iter(lambda: os.read(queue, 4), b"")
        tests = chain.from_iterable(files[int.from_bytes(number, "big")] for number in taken)
        for item, following in pairwise(chain(tests, [None])):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if (coverage := session.config.stash.get(COVERAGE, None)) is not None:
            coverage.save()
        code = 0
    except KeyboardInterrupt:
        pass
    except BaseException:
        traceback.print_exc(file=os.fdopen(os.dup(2), "w"))
    finally:
        atexit._run_exitfuncs()
        os._exit(code)


class Reporting:
    """Sends what a process reports."""

    def __init__(self, config, link):
        self._config = config
        self._link = link
        self._test = None

    def pytest_runtest_logstart(self, nodeid, location):
        """A test begins."""
        self._test = nodeid, location
        self._link.send((self._test, None))

    def pytest_runtest_logreport(self, report):
        """A part of a test has ended."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._link.send((self._test, data))
