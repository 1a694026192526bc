"""`mcpguard explain` says of a call what the gateway does with it: before it is made, and of its record after.
Where it cannot know, it says that it does not."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings
from msgspec import Struct

from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.cli import main
from mcpguard.config.loading import load_config
from mcpguard.config.policies import PolicyFile, load_policies
from mcpguard.core.evidence.records import Decided
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.core.secret import Secret
from mcpguard.gateway.scope import ApprovalTerms
from mcpguard.serve.settings import places_of
from tests import fakes
from tests.cli.audit.test_verb import chain
from tests.fakes import World, text, tool

OF_TWO = "canary-of-two-5f0c9a1e"
"""A credential that is held, and bound to the server `two` alone."""
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["a"],
}
TOOLS = {
    "one": [tool("read", readOnlyHint=True), {**tool("write"), "inputSchema": SCHEMA}, tool("push")],
    "two": [tool("read"), tool("drop", destructiveHint=True)],
}
CONFIG = """\
version: 1
agent: desk
servers:
  one: {command: one-mcp}
  two: {command: two-mcp, env: {TOKEN: "${env:TWO}"}}
policies: [p.yaml, q.yaml]
audit: {path: audit}
session: {path: sessions}
"""

CONDITIONS = [
    "args.a == 'x'",
    "has(args.a) && args.b > 2",
    "args.gone",
    "!has(args.a) || args.a in ['x', 'y']",
    "'private' in session.labels",
    "'seen' in session.facts || args.a == 'y'",
    "session.calls > 1",
    "session.calls == 1 || 'seen' in session.facts",
    "has(session.tools) && 'one/read' in session.tools",
    "session.tools['one/read'] > 0",
    "size(session) > 3",
    "tool.annotations.readOnlyHint",
    "has(tool.title) && tool.firstAnnotations.readOnlyHint",
    "tool.description != ''",
    "tool.name == 'read' || tool.annotations.destructiveHint",
    "now < timestamp('2100-01-01T00:00:00Z') && args.a == 'x'",
    "principal.id == 'ada' && size(principal.groups) == 0",
    "client.agent == 'desk' && server == 'one'",
    "args.a in params.names",
    "detect(args, 'email') != []",
    "action == 'tools/call' && args.n == 1",
]
CLAIMS = ["client.claims.name == 'desk'", "has(client.claims.version) && args.a == 'x'"]
"""An allow rule cannot read these."""
EXTRAS = [
    "",
    "",
    "limit: {calls: 1, per: 1h}",
    "limit: {calls: 2, per: session}",
    "limit: {units: 5, per: 1h, cost: args.n}",
    "label: [private]",
    "fact: [seen]",
    "argument: {b: 3}",
    "argument: {b: 4}",
    "argument: {a: x}",
    "redact: [email]",
    "credential: c",
    "credential: d",
    "approves",
    "approves",
]


class Rule(Struct, frozen=True):
    effect: str
    server: str
    tools: str
    when: str
    extra: str
    message: bool
    shadow: bool

    def line(self, index: int, asking: list[str]) -> str:
        extra = self.extra
        if extra == "approves":
            extra = f"approves: [{', '.join(asking)}]" if asking and self.effect == "allow" else ""
        parts = [f"id: r{index}", f"effect: {self.effect}", self.server, self.tools]
        parts += [f'when: "{self.when}"'] if self.when else []
        parts += [extra] if self.effect != "deny" else []
        parts += [f"message: Say {index}."] if self.message else []
        parts += ["mode: shadow"] if self.shadow else []
        return f"  - {{{', '.join(filter(None, parts))}}}\n"


def rules_of(effect: str, conditions: list[str]) -> st.SearchStrategy[Rule]:
    return st.builds(
        Rule,
        effect=st.just(effect),
        server=st.sampled_from(["", "", "server: one", "server: 'o*'", "server: two"]),
        tools=st.sampled_from(["", "", "tools: [read]", "tools: ['*r*']", "tools: [push, write]"]),
        when=st.sampled_from(["", *conditions]),
        extra=st.sampled_from(EXTRAS),
        message=st.booleans(),
        shadow=st.sampled_from([False, False, False, True]),
    )


RULES = st.lists(
    st.one_of(
        rules_of("allow", CONDITIONS),
        rules_of("allow", CONDITIONS),
        rules_of("ask", [*CONDITIONS, *CLAIMS]),
        rules_of("deny", [*CONDITIONS, *CLAIMS]),
    ),
    min_size=1,
    max_size=4,
)
ARGS = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from(["x", "y", "y", 7, "x\0", f"send {OF_TWO}", "jane@example.com"]),
        "b": st.integers(1, 4),
        "n": st.sampled_from([1, 2, 9, "no"]),
    },
)
CALLS = st.tuples(
    st.sampled_from(
        ["one__read", "one__read", "one__write", "one__push", "two__read", "two__drop", "one__gone"]
    ),
    ARGS,
)
HEADS = st.sampled_from(["", "", "expires: 2020-01-01\n"])
OBSERVED = st.sampled_from([(), (), ("one",), ("one", "two")])
"""The servers whose policies are only observed."""
BEFORE = st.sampled_from(["", "made", "approved", "denied", "lasting", "open"])
"""What became of the same call before."""


class Scene:
    """A gateway with a real store in a folder, in which `mcpguard explain` is run."""

    def __init__(
        self, folder: Path, rules: list[Rule], more: list[Rule], head: str, observed: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        both = [(f"p/r{i}", rule) for i, rule in enumerate(rules)] + [
            (f"q/r{i}", rule) for i, rule in enumerate(more)
        ]
        asking = [name for name, rule in both if rule.effect == "ask"]
        for name, some, expiry in (("p", rules, ""), ("q", more, head)):
            lines = "".join(rule.line(index, asking) for index, rule in enumerate(some))
            spare = "  - {id: spare, effect: deny, tools: [x], when: args.a in params.names}\n"
            first = f"version: 1\npolicy: {name}\n{expiry}params: {{names: {{type: strings}}}}\nrules:\n"
            (folder / f"{name}.yaml").write_text(first + lines + spare)
        until = fakes.START.date().isoformat()
        observe = f"observe: {{until: {until}, servers: [{', '.join(observed)}]}}\n" if observed else ""
        (folder / "mcpguard.yaml").write_text(CONFIG + observe)
        offers = {server: {"tools": tools} for server, tools in TOOLS.items()}
        (folder / "snapshot.json").write_text(json.dumps({"version": 1, "servers": offers}))
        self.store = SqliteStore(folder / "sessions", 3600, fakes.FixedClock())
        config = load_config(folder / "mcpguard.yaml")
        terms = ApprovalTerms(0.0, 900.0, places=places_of(config))
        world = World("  - {id: r, effect: deny}\n", TOOLS, store=self.store, approvals=terms)
        world.judge.places = terms.places
        files = [PolicyFile(folder / "p.yaml"), PolicyFile(folder / "q.yaml")]
        world.judge.policies = load_policies(files, OPT_IN).observing(config.observe)
        world.redactor.hold("env:TWO", Secret(OF_TWO))
        world.egress.bound = {"one": frozenset({"env:CANARY"}), "two": frozenset({"env:CANARY", "env:TWO"})}
        world.egress.free = frozenset({"two"})
        for server, upstream in world.upstreams.items():
            upstream.answers |= {one["name"]: text("done") for one in TOOLS[server]}
        self.world = world.listed()
        self.said = 0

    def call(self, name: str, args: dict[str, Any]) -> tuple[Decided, str]:
        """What is on record of a call, and what the client was told."""
        self.world.client.sent.clear()
        self.world.send("tools/call", {"name": name, "arguments": args}, 7)
        (answer,) = self.world.client.sent
        found = [
            one for one in self.world.audit.records if isinstance(one, Decided) and one.method == "tools/call"
        ]
        said = answer["error"]["message"] if "error" in answer else answer["result"]["content"][0]["text"]
        return found[-1], said

    def answer(self, state: Any) -> None:
        for ticket in self.store.waiting():
            self.store.answer(ticket.id, TicketAnswer(state, "os-user:bob", "terminal", reason="Not now."))

    def let(self, *, free: bool) -> None:
        """Approve what waits for the session, with any value of `b` if that is `free`."""
        until = datetime.now(UTC).timestamp() + 3600
        for ticket in self.store.waiting():
            names = ("b",) if free and "b" in ticket.parts else ()
            answer = TicketAnswer(
                "approved", "os-user:bob", "terminal", lasts="session", until=until, free=names
            )
            self.store.answer(ticket.id, answer)

    def explain(self, *words: str) -> Any:
        out, err = io.StringIO(), io.StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
            code = main(["explain", *words, "--config", "mcpguard.yaml", "--json"])
        assert code == 0, err.getvalue()
        return json.loads(out.getvalue())

    def live(self, name: str, args: dict[str, Any], *more: str) -> Any:
        server, _, tool_ = name.partition("__")
        words = ["--server", server, "--tool", tool_, "--args", json.dumps(args), "--principal", "ada"]
        return self.explain(*words, "--now", self.world.clock.now().isoformat(), *more)

    def recorded(self, record: Decided, args: dict[str, Any], *more: str) -> Any:
        return self.explain(record.id, "--args", json.dumps(args), *more)["explanation"]


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's clock, so that tickets and sessions are of now for the commands too."""
    monkeypatch.setattr(fakes, "START", datetime.now(UTC))


Begin = Callable[..., Scene]


@pytest.fixture
def scene(tmp_path: Path) -> Begin:
    """A scene with these rules: each its effect, tools and condition, and what it does besides."""

    def begin(*rules: tuple[str, str, str, str]) -> Scene:
        some = [Rule(effect, "", tools, when, extra, True, False) for effect, tools, when, extra in rules]
        return Scene(tmp_path, some, [], "")

    return begin


def told(found: Any) -> tuple[Any, ...]:
    effect, cause = found["effect"], found.get("cause", "")
    return "deny" if effect == "ask" else effect, cause, tuple(found.get("rules", ()))


def on_record(record: Decided) -> tuple[Any, ...]:
    return record.effect, record.cause, record.rules


def would(found: Any) -> tuple[Any, ...] | None:
    """What would be refused, if the server were not only observed."""
    observed = found.get("observed")
    if observed is None:
        return None
    return observed["cause"], tuple(observed.get("rules", ())), observed.get("message", "")


def would_on_record(record: Decided) -> tuple[Any, ...] | None:
    observed = record.observed
    return None if observed is None else (observed.cause, observed.rules, observed.message)


def by_claims(found: Any) -> bool:
    """Whether what the client says about itself is all that is not known."""
    vague = [one for one in found["candidates"] if one["outcome"] == "not known"]
    return bool(vague) and all("client.claims" in one["operands"][0]["text"] for one in vague)


def check(found: Any, record: Decided, said: str, *, listed: bool, now: bool) -> None:
    """`found` is what is explained of a call that left `record`, and of which the client was told `said`."""
    if now and found["effect"] == "unknown":
        assert found["unknown"]
        assert not listed or by_claims(found)
        return
    if now and found["effect"] == "deny" and "unknown" in found:
        assert not listed or by_claims(found)
        assert record.effect == "deny"
        return
    if now and found["effect"] == "ask" and any("answered" in one for one in found.get("assumed", ())):
        assert not listed or by_claims(found)
        return
    if now and record.cause == "credential":
        assert any("credential" in one for one in found["assumed"])
        return
    cause = record.cause if record.observed is None else record.observed.cause
    if now and not listed and cause in ("arguments", "unknown"):
        assert any("lists this tool" in one for one in found["assumed"])
        return
    if any(one["outcome"] == "not known" for one in found.get("candidates", ())) and now:
        assert set(found.get("rules", ())) <= set(record.rules)
        found["rules"] = record.rules
        if "observed" in found:
            assert record.observed is not None
            assert found["observed"]["cause"] == record.observed.cause
            assert set(found["observed"].get("rules", ())) <= set(record.observed.rules)
            return
    assert told(found) == on_record(record)
    assert would(found) == would_on_record(record)
    assert found.get("message", "") in said
    if found.get("listed", True) is False:
        assert found["message"] == said


OF_B = Rule("allow", "", "", "has(args.a) && args.b > 2", "", False, False)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([OF_B], [OF_B], "", [], ("one__write", {"a": "x", "b": 1}), "", ("one",))
@given(RULES, RULES, HEADS, st.lists(CALLS, max_size=3), CALLS, BEFORE, OBSERVED)
def test_it_agrees_with_the_gateway(
    rules: list[Rule],
    more: list[Rule],
    head: str,
    before: Any,
    last: Any,
    same: str,
    observed: tuple[str, ...],
) -> None:
    with TemporaryDirectory() as folder:
        scene = Scene(Path(folder), rules, more, head, observed)
        for name, args in before:
            scene.call(name, args)
        name, args = last
        if same:
            scene.call(name, args)
        if same in ("approved", "denied"):
            scene.answer(same)
        elif same in ("lasting", "open"):
            scene.let(free=same == "open")
            scene.call(name, {**args, "b": 2} if same == "open" and "b" in args else args)
        by_snapshot = "--snapshot", "snapshot.json"
        first, second = scene.live(name, args, *by_snapshot), scene.live(name, args)
        record, said = scene.call(name, args)
        check(first, record, said, listed=True, now=True)
        check(second, record, said, listed=False, now=True)
        chain(scene.folder / "audit", *scene.world.audit.records)
        for words in (by_snapshot, ()):
            check(scene.recorded(record, args, *words), record, said, listed=bool(words), now=False)


PUSH = ("one__push", {"a": "x"})
ALL = ("allow", "", "", "")
ASKS = ("ask", "tools: [push]", "", "")


def test_without_a_snapshot_it_does_not_say_what_hangs_on_what_the_server_lists(scene: Begin) -> None:
    begun = scene(("allow", "", "tool.annotations.readOnlyHint", ""))
    found = begun.live("one__read", {})
    assert found["effect"] == "unknown"
    assert found["unknown"] == ["what the server lists about this tool (--snapshot FILE or --annotations)"]
    assert found["candidates"][0]["outcome"] == "not known"
    assert found["candidates"][0]["operands"][0]["value"] == "unknown"
    assert begun.live("one__read", {}, "--annotations", '{"readOnlyHint": true}')["effect"] == "allow"
    assert begun.live("one__read", {}, "--snapshot", "snapshot.json")["effect"] == "allow"


def test_a_credential_in_an_argument_is_not_looked_for_and_that_is_said(scene: Begin) -> None:
    begun = scene(ALL)
    args = {"a": f"send {OF_TWO}"}
    found = begun.live("one__push", args, "--snapshot", "snapshot.json")
    assert found["assumed"] == ["it contains no credential that mcpguard holds: those are not read here"]
    record, said = begun.call("one__push", args)
    chain(begun.folder / "audit", *begun.world.audit.records)
    told_ = begun.recorded(record, args)
    assert (told_["effect"], told_["cause"]) == ("deny", "credential")
    assert told_["message"] in said


def test_a_server_that_is_not_there_is_not_explained(scene: Begin) -> None:
    begun, err = scene(ALL), io.StringIO()
    with chdir(begun.folder), redirect_stderr(err):
        code = main(["explain", "--server", "three", "--tool", "read", "--config", "mcpguard.yaml"])
    assert code == 2
    assert "there is no server `three`" in err.getvalue()


def test_it_says_how_the_ticket_of_this_very_call_stands(scene: Begin) -> None:
    begun = scene(ASKS, ALL)
    assert "approval" not in begun.live(*PUSH)
    begun.call(*PUSH)
    (ticket,) = begun.store.waiting()
    waits = begun.live(*PUSH)
    assert (waits["effect"], waits["approval"]) == ("ask", f"{ticket.id}, which nobody has answered")
    begun.answer("approved")
    approved = begun.live(*PUSH, "--snapshot", "snapshot.json")
    assert approved["effect"] == "allow"
    assert approved["approval"] == f"{ticket.id}, approved by os-user:bob (terminal)"
    assert approved["why"] == "no deny holds, and a person has approved what p/r0 would ask"
    assert begun.live("one__push", {"a": "y"})["effect"] == "ask"
    begun.call(*PUSH)
    assert begun.live(*PUSH)["effect"] == "ask"


def test_what_a_person_refused_is_refused_with_their_reason(scene: Begin) -> None:
    begun = scene(ASKS, ALL)
    begun.call(*PUSH)
    begun.answer("denied")
    found = begun.live(*PUSH)
    assert (found["effect"], found["cause"]) == ("deny", "approval")
    assert found["message"].startswith(
        "Say 0. A person refused this call: Not now. It can be asked about again"
    )


def test_a_character_that_no_rule_can_read_is_the_reason_also_where_the_session_is_not_known(
    scene: Begin,
) -> None:
    begun = scene(ALL, ("deny", "", "args.a == 'x'", ""), ("deny", "", "session.calls > 1", ""))
    args = {"a": "x\0"}
    record, said = begun.call("one__push", args)
    chain(begun.folder / "audit", *begun.world.audit.records)
    assert "U+0000" in begun.recorded(record, args)["message"]
    assert begun.recorded(record, args)["message"] in said


def test_nobody_is_asked_about_what_would_be_refused_in_any_case(scene: Begin) -> None:
    begun = scene(ASKS, ("allow", "", "", "limit: {calls: 1, per: session}"))
    begun.call("one__read", {})
    found = begun.live(*PUSH)
    assert (found["effect"], found["cause"], found["rules"]) == ("deny", "limit", ["p/r1"])


def test_rules_that_agree_on_no_channel_refuse(scene: Begin) -> None:
    begun = scene(("ask", "", "", "ask: {via: console}"), ("ask", "", "", "ask: {via: terminal}"))
    found = begun.live(*PUSH)
    assert (found["effect"], found["cause"]) == ("deny", "approval")
    _, said = begun.call(*PUSH)
    assert found["message"] in said


@pytest.mark.parametrize("what", ["a session", "the file"])
def test_a_session_that_cannot_be_read_refuses_what_hangs_on_it(scene: Begin, what: str) -> None:
    begun = scene(("allow", "", "", "label: [private]"))
    begun.call(*PUSH)
    file = begun.folder / "sessions" / "state.sqlite"
    if what == "a session":
        with sqlite3.connect(file) as database:
            database.execute("UPDATE sessions SET state = '{}'")
    else:
        begun.store.close()
        file.write_bytes(b"no database" * 1000)
    found = begun.live(*PUSH)
    assert (found["effect"], found["cause"]) == ("deny", "error")
    _, said = begun.call(*PUSH)
    assert found["message"] in said


def test_what_is_hidden_is_told_as_the_client_is_told(scene: Begin) -> None:
    begun = scene(("allow", "tools: [read]", "", ""))
    found = begun.live("one__push", {})
    record, said = begun.call("one__push", {})
    assert not found["listed"]
    assert found["message"] == said == "Unknown tool: one__push"
    assert record.cause == found["cause"] == "no-rule"


@pytest.mark.parametrize(
    ("rules", "cause"), [((("allow", "tools: [write]", "", ""),), "arguments"), ((ALL,), "unknown")]
)
def test_what_was_refused_before_a_rule_is_explained_by_its_record(
    scene: Begin, rules: Any, cause: str
) -> None:
    begun = scene(*rules)
    name = "one__write" if cause == "arguments" else "one__gone"
    record, said = begun.call(name, {"n": 1})
    chain(begun.folder / "audit", *begun.world.audit.records)
    for words in ((), ("--snapshot", "snapshot.json")):
        found = begun.recorded(record, {"n": 1}, *words)
        assert (found["effect"], found["cause"]) == ("deny", cause)
        assert found.get("message", "") in said


def test_what_decided_and_is_not_on_record_does_not_make_it_say_otherwise(scene: Begin) -> None:
    begun = scene(("deny", "", "session.calls > 1", ""), ("allow", "", "", "limit: {calls: 3, per: session}"))
    for _ in range(2):
        begun.call(*PUSH)
    refused, said = begun.call(*PUSH)
    chain(begun.folder / "audit", *begun.world.audit.records)
    found = begun.recorded(refused, PUSH[1])
    assert (found["effect"], found["cause"], found["rules"]) == ("deny", "rule", ["p/r0"])
    assert found["message"] in said
    assert [one["outcome"] for one in found["candidates"]] == ["held", "held"]


def test_nobody_may_be_asked_where_a_rule_that_may_hold_refuses_by_what_it_sets(scene: Begin) -> None:
    sets = ("allow", "", "", "argument: {b: 4}")
    begun = scene(ASKS, sets, ("allow", "", "tool.annotations.readOnlyHint", "argument: {b: 3}"))
    assert begun.live(*PUSH)["effect"] == "unknown"
    assert begun.live(*PUSH, "--snapshot", "snapshot.json")["effect"] == "ask"
    labels = scene(ASKS, ALL, ("allow", "", "tool.annotations.readOnlyHint", "label: [private]"))
    assert labels.live(*PUSH)["effect"] == "ask"


# --- servers that are only observed -----------------------------------------------------------------

WOULD = "the policies would refuse it, but its server is only observed, so it is recorded and let through"


def observing(folder: Path, *rules: tuple[str, str, str, str]) -> Scene:
    some = [Rule(effect, "", tools, when, extra, True, False) for effect, tools, when, extra in rules]
    return Scene(folder, some, [], "", ("one",))


def recorded_whole(begun: Scene, record: Decided, args: dict[str, Any], *more: str) -> Any:
    return begun.explain(record.id, "--args", json.dumps(args), *more)


def test_what_would_be_refused_is_explained_with_what_would_have_to_change(tmp_path: Path) -> None:
    begun = observing(tmp_path, ("deny", "tools: [push]", "args.a == 'x'", ""), ALL)
    found = begun.live(*PUSH, "--snapshot", "snapshot.json")
    assert (found["effect"], found["why"], found["rules"]) == ("allow", WOULD, ["p/r1"])
    assert found["observed"] == {"cause": "rule", "rules": ["p/r0"], "message": "Say 0."}
    assert found["changes"][0]["must"] == "not hold"
    record, said = begun.call(*PUSH)
    assert said == "done"
    chain(begun.folder / "audit", *begun.world.audit.records)
    whole = recorded_whole(begun, record, PUSH[1])
    assert whole["observed"] == found["observed"]
    assert whole["places"] == [found["candidates"][0]["place"]]
    later = recorded_whole(begun, record, PUSH[1], "--now", "2099-01-01T00:00:00Z")
    assert later["explanation"]["observed"] == found["observed"]
    assert begun.live("two__push", {"a": "x"})["effect"] == "deny"


def test_a_record_of_what_went_on_is_explained_so_also_when_nothing_is_observed_any_more(
    tmp_path: Path,
) -> None:
    begun = observing(tmp_path, ("deny", "", "session.calls > 0", ""), ALL)
    begun.call(*PUSH)
    record, _ = begun.call(*PUSH)
    chain(begun.folder / "audit", *begun.world.audit.records)
    (tmp_path / "mcpguard.yaml").write_text(CONFIG)
    found = begun.recorded(record, PUSH[1])
    assert (found["effect"], found["why"]) == ("allow", WOULD)
    assert found["observed"]["rules"] == ["p/r0"]
    assert found["candidates"][0]["decided"]


def test_where_the_rules_depend_on_what_is_not_known_it_says_that_it_goes_on(tmp_path: Path) -> None:
    begun = observing(tmp_path, ("deny", "", "tool.annotations.readOnlyHint", ""))
    found = begun.live("one__read", {})
    assert (found["effect"], found["unknown"]) == (
        "unknown",
        ["what the server lists about this tool (--snapshot FILE or --annotations)"],
    )
    assert found["why"].startswith(
        "its server is only observed, so it is let through whatever the policies decide"
    )
    begun = observing(
        tmp_path, ("deny", "", "", ""), ("allow", "", "tool.annotations.readOnlyHint", "label: [private]")
    )
    assert begun.live("one__read", {})["effect"] == "unknown"


def test_what_stays_refused_of_an_observed_server_is_explained_as_refused(tmp_path: Path) -> None:
    begun = observing(
        tmp_path,
        ("deny", "", "", ""),
        ("allow", "", "", "argument: {b: 3}"),
        ("allow", "", "", "argument: {b: 4}"),
    )
    found = begun.live(*PUSH, "--snapshot", "snapshot.json")
    assert (found["effect"], found["cause"], found.get("listed", True)) == ("deny", "error", True)


def test_a_result_that_would_be_withheld_is_explained_so(tmp_path: Path) -> None:
    begun = observing(tmp_path, ALL, ("deny", "", "", "on: result"))
    (tmp_path / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n  - {id: a, effect: allow}\n"
        "  - {id: k, effect: deny, on: result, message: Too much.}\n"
        "  - {id: m, effect: allow, on: result, fact: [seen], label: [private]}\n"
    )
    (tmp_path / "q.yaml").write_text("version: 1\npolicy: q\nrules:\n  - {id: a, effect: allow}\n")
    (tmp_path / "result.json").write_text(json.dumps({"content": []}))
    found = begun.live(*PUSH, "--result", "result.json")["result"]
    assert (found["effect"], found["observed"]["rules"]) == ("allow", ["p/k"])
    assert found["why"] == "the policies would withhold it, but its server is only observed"
    assert found["done"] == {"labels": ["private"]}


def test_it_is_said_in_words_too(tmp_path: Path) -> None:
    begun = observing(tmp_path, ("deny", "tools: [push]", "", ""), ALL)
    out, err = io.StringIO(), io.StringIO()
    words = ["explain", "--server", "one", "--tool", "push", "--config", "mcpguard.yaml"]
    with chdir(begun.folder), redirect_stdout(out), redirect_stderr(err):
        assert main(words) == 0
        assert main(["explain", "--reach", "--config", "mcpguard.yaml"]) == 0
    assert "  would be refused (rule) by p/r0: Say 0." in out.getvalue()
    assert out.getvalue().count("  only observed now: calls refused here are recorded and let through") == 1
