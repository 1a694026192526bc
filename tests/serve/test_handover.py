"""A configuration that is read in a child comes over whole, or is read here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcpguard.serve.handover import HandedConfig, in_child, read

REPOSITORY = Path(__file__).parents[2]
POLICY = """
version: 1
policy: p
params: {folders: {type: strings, default: [/srv]}}
rules:
  - {id: a, effect: allow, tools: ["r*"], when: 'pathWithin(args.path, params.folders)', label: [seen]}
  - {id: b, effect: ask, tools: [w], ask: {via: client, timeout: 5m, show: [path]}, limit: {calls: 3, per: 1h}}
  - {id: c, effect: allow, tools: [x], unredacted: [jwt, {kind: jwt, path: /content/0}], argument: {n: 1.5}}
  - {id: d, effect: deny, on: result, when: 'size(findings) > 2', message: too many}
"""
CONFIG = """
version: 1
servers: {s: {command: echo, env: {T: "${env:T}"}}, t: {url: "https://t.example/mcp"}}
policies: [policy.yaml]
credentials: {c: {command: [echo, x], servers: [t], hosts: [t.example], headers: {A: "${credential:c}"}}}
http: {max_sessions: 7}
"""


TABLES = "from mcpguard.adapters.system.tables import keep_tables\nkeep_tables()\n"
"""As `mcpguard run` does: what the first answer is inspected with is not compiled anew."""
IN_CHILD = """from functools import partial
def in_child(path):
    return handover.in_child(partial(handover.read, path), handover.HandedConfig)
"""


def _run(code: str, *words: str) -> str:
    """What a process of its own prints, which has one thread when it begins."""
    begin = f"import sys, os\nfrom pathlib import Path\n{TABLES}from mcpguard.serve import handover\n{IN_CHILD}{code}"
    done = subprocess.run(
        [sys.executable, "-c", begin, *words], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """One that uses much of what there is."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    path = tmp_path / "mcpguard.yaml"
    path.write_text(CONFIG)
    return path


SAME = """
for path in map(Path, sys.argv[1:]):
    found = in_child(path)()
    here = handover.read(path)
    assert found.config == here.config and found.config_look == here.config_look, path
    assert found.policy_look == here.policy_look, path
    assert found.policies.digest == here.policies.digest and found.policies.places == here.policies.places
    for one, two in zip(found.policies.rules, here.policies.rules, strict=True):
        assert (one.name, one.written, one.when, one.until, one.unset) == (
            two.name, two.written, two.when, two.until, two.unset), one.name
        assert (one.condition is None) == (two.condition is None)
        assert one.condition is None or one.condition.reads == two.condition.reads
print("same")
"""


def test_what_is_read_beside_is_what_would_have_been_read_here(config: Path) -> None:
    assert _run(SAME, str(config), *map(str, sorted((REPOSITORY / "configs").glob("*.yaml")))) == "same"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reads the configuration in a child")
def test_what_reads_files_is_not_in_the_process_that_takes_it() -> None:
    code = """
found = in_child(Path(sys.argv[1]))()
print(len(found.policies.rules) > 0, [name for name in ("pydantic", "pydantic_core", "yaml") if name in sys.modules])
"""
    assert _run(code, str(REPOSITORY / "configs" / "git-and-time.yaml")) == "True []"


def test_a_mistake_is_said_in_the_same_words(config: Path) -> None:
    config.write_text(CONFIG.replace("http:", "htp:"))
    code = """
said, first = [], set()
for read in (in_child(Path(sys.argv[1])), lambda: handover.read(Path(sys.argv[1]))):
    try:
        read()
    except handover.load_config.__globals__["ConfigError"] as mistake:
        said.append(str(mistake))
        first = first or set(sys.modules)
print(said[0] == said[1], "unknown key `htp`" in said[0], "pydantic" in first)
"""
    assert _run(code, str(config)) == "True True False"


WRONG = """
version: 1
policy: p
rules:
  - {id: a, effect: allow, tools: [x], when: 'args.n + "x" == '}
  - {id: b, effect: allow, tools: [x], when: '1 + 2'}
"""


@pytest.mark.parametrize("more", ["", "  - {id: c, effect: allow, tools: [x], when: 'argz.n == 1'}\n"])
def test_a_condition_that_only_its_engine_finds_wrong_is_a_mistake_too(config: Path, more: str) -> None:
    (config.parent / "policy.yaml").write_text(WRONG + more)
    code = """
said = []
for read in (in_child(Path(sys.argv[1])), lambda: handover.read(Path(sys.argv[1]))):
    try:
        read()
    except handover.DocumentError as mistake:
        said.append(str(mistake))
print(said[0] == said[1])
print(said[0])
"""
    same, *said = _run(code, str(config)).splitlines()
    assert same == "True"
    assert [line for line in said if "policy.yaml:5:" in line]
    assert "must be a boolean" in "".join(said)
    assert ("argz" in "".join(said)) is bool(more)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reads the configuration in a child")
def test_conditions_are_compiled_in_one_process_and_without_protobuf_in_python(config: Path) -> None:
    code = """
handover._found.__globals__["Uncompiled"].compile.__globals__["_CppEngine"].compile = (
    lambda self, text: os.write(1, b"%d compiled\\n" % (text != "true")) and handover.Uncompiled().compile(text)
)
in_child(Path(sys.argv[1]))()
print("cel_expr_python.cel" in sys.modules, [name for name in sys.modules if name.endswith("python_message")])
"""
    assert _run(code, str(config)).splitlines() == [
        "0 compiled",  # to start the engine
        *2 * ["1 compiled"],
        "True []",
    ]


@pytest.mark.parametrize(
    "failing",
    [
        "handover.pickle.dump = lambda *_: os.kill(os.getpid(), 9)",
        "handover.pickle.dump = lambda found, file, _: (file.write(b'half'), file.flush(), os._exit(1))",
        "handover.pickle.dump = lambda found, file, _: file.write(__import__('pickle').dumps(['else']))",
        "handover.pickle.dump = lambda *_: 1 / 0",
    ],
    ids=["killed", "half", "something else", "defect"],
)
def test_whatever_goes_wrong_beside_all_is_read_here(config: Path, failing: str) -> None:
    code = f"""
{failing}
found = in_child(Path(sys.argv[1]))()
print([rule.name for rule in found.policies.rules], sorted(found.config.servers))
"""
    assert _run(code, str(config)) == "['p/a', 'p/b', 'p/c', 'p/d'] ['s', 't']"


def test_a_start_whose_children_are_not_waited_for_takes_it_too(config: Path) -> None:
    code = """
import signal, threading
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
found = in_child(Path(sys.argv[1]))()
[thread.join(60) for thread in threading.enumerate() if thread is not threading.main_thread()]
print(len(found.policies.rules))
"""
    assert _run(code, str(config)) == "4"


def test_the_child_leaves_no_trace(config: Path) -> None:
    code = """
import threading
found = in_child(Path(sys.argv[1]))()
[thread.join(60) for thread in threading.enumerate() if thread is not threading.main_thread()]
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("none")
"""
    assert _run(code, str(config)) == "none"


def test_where_there_can_be_no_more_processes_all_is_read_here(config: Path) -> None:
    code = """
def full():
    raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = full
before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
found = in_child(Path(sys.argv[1]))
after = os.listdir("/proc/self/fd") if before else []
print(len(found().policies.rules), len(before) == len(after))
"""
    assert _run(code, str(config)) == "4 True"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reads the configuration in a child")
def test_the_child_is_as_closed_to_others_as_its_parent() -> None:
    code = """
import ctypes
from mcpguard.adapters.system.own_process import close_to_others
close_to_others()
print(handover.in_child(lambda cel=None: (os.getpid(), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)), tuple)()[1])
"""
    assert _run(code) == "0"


def test_a_process_with_threads_is_not_forked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, args=(60,))
    thread.start()
    try:
        found = in_child(lambda cel=None: read(config, cel=cel), HandedConfig)()
    finally:
        ended.set()
        thread.join(60)
    assert found.config == read(config).config
