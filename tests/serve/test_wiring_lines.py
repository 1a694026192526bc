"""Each server that runs, gets into trouble, or is out of it, is one line."""

from mcpguard.gateway.ports import Health
from mcpguard.serve.wiring import UpstreamLines


def health(state, problem=""):
    return Health("a", state, 1.0, era="", version="", restarts=0, open=0, problem=problem)


def test_a_start_trouble_its_end_and_the_next_start_are_a_line_each_and_nothing_else_is():
    said, looks, now = [], [], []
    lines = UpstreamLines(lambda *line: said.append(line), lambda _server: now, lambda: looks.append(1))
    states = (
        "starting",
        "running",
        "failing",
        "waiting",
        "starting",
        "waiting",
        "starting",
        "running",
        "closed",
    )
    problems = {"failing": "upstream 'a' is slow", "waiting": "upstream 'a' has ended"}
    for state in states:
        now[:] = [health(state, problems.get(state, ""))]
        lines.of("a")()
    assert said == [
        ("a", "server a is running", "info"),
        ("a", "server a is slow", "warning"),
        ("a", "server a has ended", "warning"),
        ("a", "server a is running again", "info"),
    ]
    assert len(looks) == len(states)


def test_a_first_start_that_fails_is_said_by_who_asked_for_it():
    said, now = [], [health("waiting", "no such program")]
    lines = UpstreamLines(lambda *line: said.append(line), lambda _server: now, lambda: None)
    lines.of("a")()
    assert said == []
    now[:] = [health("running")]
    lines.of("a")()
    assert said == [("a", "server a is running again", "info")]


def test_a_server_that_is_started_again_on_purpose_is_a_line_and_more_of_its_processes_are_none():
    said, now = [], []
    lines = UpstreamLines(lambda *line: said.append(line), lambda _server: now, lambda: None)
    for states in (["starting"], ["running"], ["running", "running"], ["idle"], ["starting"], ["running"]):
        now[:] = map(health, states)
        lines.of("a")()
    assert said == [("a", "server a is running", "info")] * 2
