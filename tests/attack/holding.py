"""Upstreams that hold every call until the test has seen all of them open together, and then answer."""

import json
import threading

from tests.servers.web import DEADLINE, echo
from tests.wire.session import eventually, puppet

HOLD = "state.setdefault('held', []).append((request_id, params['arguments']['text'])); silent = True"
RELEASE = "for i, said in reversed(state.pop('held')): send({'id': i, 'result': text(said)})"


class Holding:
    """A barrier for upstreams of both kinds. Programs write down what comes, in one file that they share."""

    def __init__(self, folder):
        self._log = folder / "arrived"
        self._log.touch()
        self._released = threading.Event()
        self._webs = []

    def program(self):
        """The entry of a program that holds what is called with `arguments`."""
        return puppet("--log", str(self._log))

    def web(self, upstream):
        """The entry of a server over HTTP that does; `upstream` is the fixture."""
        self._webs.append(upstream(self._hold))
        return self._webs[-1].entry()

    def _hold(self, heard, reply):
        if self._released.wait(DEADLINE):
            echo(heard, reply)

    @staticmethod
    def arguments(text):
        """The arguments of a call that is answered with `text`, once it is let go."""
        return {"code": HOLD, "text": text}

    def arrived(self):
        """How many calls are held now."""
        lines = self._log.read_text().split("\n")[:-1]
        held = [json.loads(line)["params"] for line in lines if '"tools/call"' in line]
        programs = sum(one["arguments"].get("code") == HOLD for one in held)
        return programs + sum(len(one.calls()) for one in self._webs)

    def wait(self, count):
        """Wait until so many calls are held: none of them has an answer, so all are open together."""
        eventually(lambda: self.arrived() >= count, f"{count} calls that are open together")
        assert self.arrived() == count

    def release(self, call, programs):
        """Let all go, the last first; `call(name, code)` calls the tool `act` of each of the programs."""
        self._released.set()
        for name in programs:
            call(f"{name}__act", RELEASE)
