"""Real processes behind the wire: the contract of `ports.Upstream` in both eras, and what only a process does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import force_setattr

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.process.child import ChildProcesses
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.session import doubt
from mcpguard.adapters.upstreams.session.connecting import no_past
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.session.life import Backoff, Terms
from mcpguard.adapters.upstreams.supply import CredentialSupply
from mcpguard.adapters.upstreams.wires.stdio import Launch, StdioWire
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.core.model import Caller
from mcpguard.core.secret import Template
from mcpguard.gateway.flight import as_future
from mcpguard.gateway.ports import Question
from mcpguard.protocol import jsonrpc
from tests.adapters.credentials.fake_credentials import FakeCredentials, program
from tests.adapters.upstreams.fake_wire import failure, modern_caller, permit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

SERVERS = Path(__file__).parents[3] / "servers"


class Real:
    """An upstream over a process, and who hears it."""

    def __init__(self, script: str, *argv: str, env: dict[str, str] | None = None, **more: Any) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.questions: list[Question] = []
        self.withdrawn_ones: list[Question] = []
        self.reports: list[str] = []
        self.stirred = asyncio.Event()
        self.children = ChildProcesses()
        self.pids: list[int] = []
        self.modern = more.pop("modern", script == "modern.py")
        self.version, self.declared_to = "2025-11-25", lambda _server: Caller()
        turn = Turn(asyncio.get_running_loop())
        launch = Launch(
            command=more.pop("command", sys.executable),
            args=(str(SERVERS / script), *argv),
            cwd=more.pop("cwd", None),
            environment=Environment(
                {key: Template((value,), ()) for key, value in (env or {}).items()},
                CredentialSupply(FakeCredentials(), program()),
            ),
            message_bytes=100_000,
        )
        terms: dict[str, Any] = {
            "name": "x",
            "turn": turn,
            "listener": self,
            "report": self.report,
            "clean": lambda text: text,
            "start_seconds": 15.0,
            "call_seconds": 15.0,
            "message_bytes": 100_000,
        }

        def make(listener: WireListener) -> StdioWire:
            return StdioWire(listener, launch, turn, self.children, lambda line: self.report("x", line), str)

        given = Terms(**{**terms, **more})
        self.terms = given
        self.upstream = Instance(given, [make], no_past(given, Backoff(lambda: 0.0)))

    def report(self, _name: str, line: str) -> None:
        self.reports.append(line)
        self.stirred.set()

    def notified(self, _server: str, method: str, params: Any, _related: Any = None) -> None:
        self.heard.append((method, params))
        self.stirred.set()

    def renewed(self, server: str) -> None:
        self.heard.append(("renewed", server))

    def parted(self, related: Any) -> None:
        raise AssertionError("there is one connection")

    def asked(self, question: Question) -> None:
        self.questions.append(question)
        self.stirred.set()

    def withdrawn(self, question: Question) -> None:
        self.withdrawn_ones.append(question)
        self.stirred.set()

    async def until(self, what: Callable[[], Any]) -> None:
        while not what():
            self.stirred.clear()
            await self.stirred.wait()

    async def text(self, name: str, **arguments: Any) -> str:
        asked = permit(caller=modern_caller(), name=name, arguments=arguments)
        answer: Any = (await as_future(self.upstream.request(asked))).body
        return str(answer["content"][0]["text"])


@asynccontextmanager
async def real(script: str, *argv: str, **more: Any) -> AsyncIterator[Real]:
    at = Real(script, *argv, **more)
    try:
        yield at
    finally:
        await at.upstream.close(gently=True)
        at.children.close()


def each(test: Callable[[Real], Coroutine[Any, Any, None]]) -> Callable[[str], Coroutine[Any, Any, None]]:
    """Run the body of a test over a legacy and a modern server."""

    @pytest.mark.parametrize("script", ["puppet.py", "modern.py"])
    async def both(script: str) -> None:
        async with real(script) as at:
            await test(at)

    both.__name__ = test.__name__
    return both


# --- the contract, in both eras ------------------------------------------------------------------------


@each
async def test_a_request_gets_exactly_its_answer(at: Real) -> None:
    assert await at.text("echo", text="hello") == "hello"
    assert at.upstream.modern == (at.upstream.health.era == "modern")
    assert at.upstream.capabilities is not None
    assert at.upstream.past.greeting is not None
    assert at.upstream.past.greeting.server_info["version"] == "1"


@each
async def test_many_requests_at_once_get_each_its_own_answer(at: Real) -> None:
    texts = [str(n) for n in range(200)]
    assert await asyncio.gather(*(at.text("echo", text=text) for text in texts)) == texts


@each
async def test_the_params_arrive_as_they_were_decided(at: Real) -> None:
    params = json.loads(await at.text("seen", deep={"a": [1, 2**70, None, "é"]}))
    assert params["arguments"] == {"deep": {"a": [1, 2**70, None, "é"]}}
    assert ("_meta" in params) == at.upstream.modern


@each
async def test_a_cancelled_request_is_told(at: Real) -> None:
    await as_future(at.upstream.ready())
    asked = permit(name="mute" if at.upstream.modern else "act", arguments={"code": "silent = True"})
    wait = at.upstream.request(asked)
    wait.cancel("enough")
    await at.until(lambda: any(line.startswith("cancelled ") for line in at.reports))
    assert wait.value is None


@each
async def test_a_crash_is_one_clear_error_for_everybody_and_the_next_request_starts_it_again(
    at: Real,
) -> None:
    await as_future(at.upstream.ready())
    code = {"code": "say('the reason'); os._exit(3)"}
    mute = permit(name="mute" if at.upstream.modern else "act", arguments={"code": "silent = True"})
    waits = [at.upstream.request(mute) for _ in range(3)]
    waits.append(at.upstream.request(permit(name="crash" if at.upstream.modern else "act", arguments=code)))
    for wait in waits:
        said = await failure(wait)
        assert said == "upstream 'x' has ended (exit status 3); it last said: the reason"
    while at.upstream.request(permit(name="echo")).done:
        await asyncio.sleep(0)  # Its first life is still being cleared away.
    assert await at.text("echo", text="back") == "back"
    assert at.upstream.health.restarts == 1


@each
async def test_progress_reaches_its_request_before_the_answer(at: Real) -> None:
    seen: list[Any] = []
    code = {
        "code": "notify('notifications/progress', progressToken=params['_meta']['progressToken'], progress=1)"
    }
    await as_future(at.upstream.ready())
    name = "progress" if at.upstream.modern else "act"
    await as_future(at.upstream.request(permit(name=name, arguments=code), seen.append))
    assert [params["progress"] for params in seen] == [1]


# --- subscriptions of a modern server ------------------------------------------------------------------


async def test_changes_and_subscriptions_of_a_modern_server_are_heard() -> None:
    async with real("modern.py") as at:
        await as_future(at.upstream.ready())
        await at.until(lambda: "streams [2]" in at.reports)
        await at.text("change")
        await as_future(at.upstream.request(permit("resources/subscribe", uri="file:///a")))
        await at.until(lambda: "cancelled 2" in at.reports)
        await at.text("change", uri="file:///a")
        await at.text("change", uri="file:///b")
        assert at.heard == [
            ("notifications/tools/list_changed", {}),
            ("notifications/resources/updated", {"uri": "file:///a"}),
        ]


async def test_a_legacy_client_meets_a_modern_server() -> None:
    async with real("modern.py", modern=False) as at:
        assert await at.text("echo", text="hello") == "hello"
        assert at.upstream.modern


async def test_a_modern_client_meets_a_legacy_server() -> None:
    async with real("puppet.py", modern=True) as at:
        assert await at.text("echo", text="hello") == "hello"
        assert not at.upstream.modern


# --- what a legacy server asks -------------------------------------------------------------------------


async def test_a_question_is_asked_answered_and_the_call_goes_on() -> None:
    async with real("puppet.py") as at:
        asking = "send({'id': 'q', 'method': 'elicitation/create', 'params': {'message': 'who?'}})"
        await at.text("act", code=asking)
        await at.until(lambda: at.questions)
        assert at.questions[0].params == {"message": "who?"}
        at.questions[0].answer({"result": {"action": "decline"}})
        given = json.loads(await at.text("act", code="answer = text(json.dumps(state['answers']))"))
        assert given == [{"jsonrpc": "2.0", "id": "q", "result": {"action": "decline"}}]


async def test_an_open_question_is_withdrawn_when_the_server_ends() -> None:
    async with real("puppet.py") as at:
        code = "send({'id': 1, 'method': 'roots/list'}); os._exit(0)"
        await failure(at.upstream.request(permit(name="act", arguments={"code": code})))
        assert at.withdrawn_ones == at.questions != []


# --- what only a process does --------------------------------------------------------------------------


async def test_junk_and_long_lines_on_its_output_are_reported_and_the_server_serves() -> None:
    junk = "raw(b'Welcome!\\n' + b'x' * 70_000 + b'\\n' + b'y' * 200_000 + b'\\n')"
    async with real("puppet.py", "--start", junk) as at:
        assert await at.text("echo", text="x") == "x"
        assert at.reports == [
            "not a JSON-RPC message on its standard output, dropped: Welcome!",
            "not a JSON-RPC message on its standard output, dropped: 70000 bytes",
            "a message over the limit was dropped",
        ]


JSON = "message is not valid JSON in UTF-8"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"NaN", f"{JSON}: it has NaN, which JSON does not have"),
        (b"-Infinity", f"{JSON}: it has -Infinity, which JSON does not have"),
        (b"1e999", JSON),
        (b'"\\ud83d"', f"{JSON}: it has half of a surrogate pair (\\ud83d)"),
        (b'"a\\ude00"', f"{JSON}: it has half of a surrogate pair (\\ude00)"),
        (b'"\xff"', f"{JSON}: byte 53 is not UTF-8"),
        (b"tru", f"{JSON}: it is truncated or invalid at character 52"),
        (b"[" * 50_000, "message is nested too deeply"),
    ],
)
async def test_an_answer_that_cannot_be_decoded_fails_its_call_at_once(value: bytes, why: str) -> None:
    async with real("puppet.py") as at:
        head = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"a":'
        code = f"raw({head!r} % request_id + {value!r} + b'}}}}\\n'); silent = True"
        said = await failure(at.upstream.request(permit(name="act", arguments={"code": code})))
        assert said == f"upstream 'x' answered with something that is not a JSON-RPC response ({why})"
        assert at.reports[0].startswith(f"not a JSON-RPC message on its standard output, dropped ({why}): {{")
        assert await at.text("echo", text="x") == "x"


async def test_its_standard_error_is_for_the_operator() -> None:
    async with real("puppet.py", "--start", "say('hello operator')") as at:
        await as_future(at.upstream.ready())
        await at.until(lambda: "hello operator" in at.reports)


async def test_the_indentation_of_its_standard_error_is_kept() -> None:
    start = "os.write(2, b'Traceback:\\n  File x\\r\\n\\n   \\n    raise X  \\n')"
    async with real("puppet.py", "--start", start) as at:
        await as_future(at.upstream.ready())
        await at.until(lambda: len(at.reports) > 2)
        assert at.reports == ["Traceback:", "  File x", "    raise X"]


@pytest.mark.parametrize(
    ("number", "how"),
    [(9, "SIGKILL"), (15, "SIGTERM"), (signal.SIGRTMIN + 3, f"signal {signal.SIGRTMIN + 3}")],
)
async def test_an_end_by_a_signal_is_called_so(number: int, how: str) -> None:
    async with real("puppet.py") as at:
        code = f"os.kill(os.getpid(), {int(number)}); time.sleep(9)"
        said = await failure(at.upstream.request(permit(name="act", arguments={"code": code})))
        assert said == f"upstream 'x' has ended (it was killed by {how})"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"command": "no-such-command-anywhere"}, "no-such-command-anywhere"),
        ({"cwd": "/no/such/folder"}, "cannot be started: /no/such/folder is not a folder: correct `cwd`"),
    ],
)
async def test_a_process_that_cannot_be_started_is_one_clear_error(more: Any, said: str) -> None:
    async with real("puppet.py", **more) as at:
        answer = await failure(at.upstream.request(permit(name="echo")))
        assert "upstream 'x' is not available" in answer
        assert said in answer


def exists(pid: int) -> bool:
    """Whether it runs, or has ended and nobody has been told yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


LEAVING = "if os.fork() == 0: {}say(str(os.getpid())); time.sleep(60)\nos._exit(3)"
"""The process ends, and what it has started keeps its output open."""


@pytest.mark.parametrize("first", ["", "os.setsid(); ", "os.setsid(); os.fork() and os._exit(0); "])
async def test_a_process_that_has_ended_is_over_though_a_child_of_it_keeps_its_output_open(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubt, "LEFT_SECONDS", 0.1)
    async with real("puppet.py") as at:
        leaving = permit(name="act", arguments={"code": LEAVING.format(first)})
        said = await failure(at.upstream.request(leaving))
        left = int(at.reports[0])
        assert said == (
            "upstream 'x' has ended, and what it started keeps its output open without answering "
            f"(exit status 3); it last said: {left}"
        )
        while at.upstream.alive or exists(left):
            await asyncio.sleep(0.01)
        assert await at.text("echo", text="back") == "back"
        assert at.upstream.health.restarts == 1


@pytest.mark.parametrize("first", ["", "; os.setsid()"])
async def test_a_server_whose_launcher_has_ended_before_its_greeting_serves(first: str) -> None:
    async with real("puppet.py", "--start", f"if os.fork(): os._exit(0){first}") as at:
        pid = int(await at.text("act", code="answer = text(str(os.getpid()))"))
        await at.upstream.close(gently=True)
        while exists(pid):
            await asyncio.sleep(0.01)


async def test_a_server_whose_launcher_ends_later_serves_if_it_answers() -> None:
    async with real("puppet.py") as at:
        asked = "say('asked'); send({'id': request_id, 'result': {}})"
        await at.text("act", code=f'state["on"] = {{"ping": "{asked}"}}')
        assert await at.text("act", code="if os.fork(): os._exit(0)") == "done"
        await at.until(lambda: "asked" in at.reports)
        assert await at.text("echo", text="x") == "x"
        assert at.upstream.health.restarts == 0


async def test_a_process_that_was_stopped_is_replaced_after_a_call_that_timed_out() -> None:
    async with real("puppet.py", call_seconds=0.2) as at:
        pid = int(await at.text("act", code="answer = text(str(os.getpid()))"))
        force_setattr(at.terms, "start_seconds", 0.2)
        os.kill(pid, signal.SIGSTOP)
        assert "within 0.2 seconds (`call_timeout_seconds`)" in await failure(
            at.upstream.request(permit(name="echo"))
        )
        while at.upstream.alive or exists(pid):
            await asyncio.sleep(0.01)
        assert "did not answer `ping`" in at.upstream.health.problem
        force_setattr(at.terms, "start_seconds", 15.0)
        force_setattr(at.terms, "call_seconds", 15.0)
        assert await at.text("echo", text="back") == "back"


async def test_a_process_that_closes_its_output_is_ended() -> None:
    async with real("puppet.py") as at:
        pid = int(await at.text("act", code="answer = text(str(os.getpid()))"))
        closing = permit(name="act", arguments={"code": "os.close(1); time.sleep(60)"})
        assert "has ended" in await failure(at.upstream.request(closing))
        await at.upstream.close(gently=True)
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)


@pytest.mark.parametrize("gently", [True, False])
async def test_closing_leaves_no_process_even_of_one_that_ignores_it(gently: bool) -> None:
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); state['stubborn'] = True"
    async with real("puppet.py", "--start", stubborn) as at:
        pid = int(await at.text("act", code="answer = text(str(os.getpid()))"))
        await at.upstream.close(gently)
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)


async def test_its_environment_is_its_own() -> None:
    async with real("puppet.py", env={"MINE": "1"}) as at:
        names = json.loads(await at.text("act", code="answer = text(json.dumps(sorted(environ)))"))
        assert "MINE" in names
        assert not [name for name in names if name.startswith("PYTEST")]


async def test_who_is_not_read_is_held() -> None:
    async with real("puppet.py") as at:
        await as_future(at.upstream.ready())
        at.upstream.hold(True)
        wait = at.upstream.request(permit(name="echo", arguments={"text": "x"}))
        assert not at.upstream.full
        at.upstream.hold(False)
        await as_future(wait)


async def test_an_answer_of_too_many_values_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonrpc, "MOST_VALUES", 10_000)
    monkeypatch.setattr(jsonrpc, "_LARGE", 1_000)
    async with real("puppet.py") as at:
        for head in (
            b'{"jsonrpc":"2.0","method":"x","params":{"a":',
            b'{"jsonrpc":"2.0","id":%d,"result":{"a":',
        ):
            made = f"{head!r}" + (" % request_id" if b"%d" in head else "")
            code = f"raw({made} + b'[' + b'1,' * 20_000 + b'1]}}}}\\n'); silent = {b'%d' in head}"
            wait = at.upstream.request(permit(name="act", arguments={"code": code}))
            if b"%d" in head:
                said = await failure(wait)
        assert said == (
            "upstream 'x' answered with more than 10,000 values, which is too many to inspect; ask it for less at once"
        )
        assert at.reports == 2 * ["a message of more than 10,000 values was dropped"]
        assert await at.text("echo", text="x") == "x"
