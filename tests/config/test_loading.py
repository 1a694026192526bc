"""The configuration: wholly right, or refused with every mistake at its place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcpguard.config.loading import Audit, Config, config_option, evidence_folder, find_config, load_config
from mcpguard.config.references import SOURCES
from mcpguard.config.terms import ServingLimits
from mcpguard.core.errors import ConfigError
from mcpguard.core.secret import CredentialRef, Template
from tests.rows import each

EXAMPLE = """\
version: 1
agent: claude
servers:
  github:
    type: stdio
    command: npx
    args: [-y, "@modelcontextprotocol/server-github"]
    env:
      GITHUB_PERSONAL_ACCESS_TOKEN: "${keyring:github/read}"
      GREETING: "hello ${env:NAME}, ${file:/run/x} and ${env:NAME}"
      PLAIN: "1"
    cwd: work
    start_timeout_seconds: 5
  time: {command: /usr/bin/time-server, disabled: true}
policies: [policies/github.yaml, /etc/mcpguard/all.yaml, ~/own.yaml]
audit: {path: audit/, durability: fsync}
limits: {message_bytes: 1048576, think_seconds: 30}
session: {path: sessions/, idle_seconds: 900}
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "mcpguard.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [f"{p.line}:{p.column} {p.message}" for p in caught.value.problems]


def server(entry: str, name: str = "s") -> str:
    return f"version: 1\nservers:\n  {name}: {{{entry}}}\n"


@pytest.mark.parametrize(
    "written",
    [
        "session: {postgres: 'postgresql://guard:hunter2@db/x'}",
        "session:\n  postgres: postgresql://guard:hunter2@db/x",
        "audit: {key: hunter2}",
        "alerts: {webhook: 'ftp://x.example/hunter2'}",
    ],
)
def test_a_secret_in_place_of_a_reference_is_shown_by_no_mistake(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, server("command: c") + written + "\n")
    assert caught.value.problems
    assert "hunter2" not in f"{caught.value}{caught.value.problems}"


@pytest.mark.parametrize("written", ["postgresql://guard:secret@db/x", "x${env:A}", "${env:A}${env:B}", "''"])
def test_a_database_of_sessions_is_one_reference(tmp_path: Path, written: str) -> None:
    shared = "session:\n  postgres: "
    config = load(tmp_path, server("command: c") + shared + "${env:STATE}\n")
    assert config.session_postgres == CredentialRef("env", "STATE")
    assert (("session", "postgres"), config.session_postgres) in config.own_references
    (mistake,) = mistakes(tmp_path, server("command: c") + shared + written + "\n")
    assert "expected one reference to a connection URL of PostgreSQL, such as ${file:" in mistake
    assert "secret" not in mistake


def test_a_configuration_comes_back_with_absolute_paths_and_parsed_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    config = load(tmp_path, EXAMPLE)
    assert config.path == tmp_path / "mcpguard.yaml"
    assert config.agent == "claude"
    assert (config.session_folder, config.session_idle_seconds) == (tmp_path / "sessions", 900)
    assert config.policy_paths == (
        tmp_path / "policies/github.yaml",
        Path("/etc/mcpguard/all.yaml"),
        Path("/home/ada/own.yaml"),
    )
    assert config.audit == Audit(tmp_path / "audit", "fsync")
    assert config.limits == ServingLimits(message_bytes=1048576, think_seconds=30)
    github, time = config.servers.values()
    assert (github.name, github.command, github.disabled, github.start_timeout_seconds) == (
        "github",
        "npx",
        False,
        5,
    )
    assert github.args == ("-y", "@modelcontextprotocol/server-github")
    assert github.cwd == tmp_path / "work"
    assert github.env["PLAIN"] == Template(("1",), ())
    assert github.credentials == (
        CredentialRef("env", "NAME"),
        CredentialRef("file", "/run/x"),
        CredentialRef("keyring", "github/read"),
    )
    assert (time.disabled, time.cwd, time.credentials, time.start_timeout_seconds) == (True, None, (), 60)


def test_the_least_configuration_has_a_server_and_no_policies(tmp_path: Path) -> None:
    config = load(tmp_path, server("command: x"))
    assert (config.policy_paths, config.audit, config.agent) == ((), Audit(), None)
    assert config.limits.message_bytes == 16 * 1024 * 1024
    assert config.limits.think_seconds == 600


def test_relative_paths_start_at_the_file_wherever_the_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/c.yaml").write_text(server("command: x") + "policies: [p.yaml]\n")
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("conf/c.yaml")).policy_paths == (tmp_path / "conf/p.yaml",)


@each(
    ("text", "expected"),
    [
        ("", ["0:0 the file is empty"]),
        ("version: 1\n", ["1:1 `servers` is missing"]),
        ("version: 1\nservers: {}\n", ["2:10 at least one server is needed"]),
        (server("command: x, disabled: true"), ["3:3 every server is disabled: enable at least one"]),
        ("version: 1\nservers:\n  s:\n", ["3:5 expected a mapping, found nothing"]),
        (
            "version: 1\nserver: {}\n",
            ["1:1 `servers` is missing", "2:1 unknown key `server`; did you mean `servers`?"],
        ),
        (server("args: [x]"), ["3:6 `command` or `url` is missing"]),
        (server("command: ''"), ["3:16 `command` or `url` is missing"]),
        (server("comand: x"), ["3:7 unknown key `comand`; did you mean `command`?"]),
        (
            server("command: x, enabled: false"),
            ["3:19 unknown key `enabled`; write `disabled: true` to leave the server out"],
        ),
        (
            server("command: x, timeout: 60"),
            ["3:19 unknown key `timeout`; write `call_timeout_seconds`, in seconds"],
        ),
        (server("url: 'https://a.b', type: streamable-http"), ["3:33 `streamable-http` is `http` here"]),
        (server("serverUrl: 'https://a.b'"), ["3:7 unknown key `serverUrl`; write `url`"]),
        (
            "version: 1\nmcpServers: {}\n",
            ["2:1 this is a client's own list of servers (`mcpServers`)"],
        ),
        (
            "version: 1\nservers: {s: {command: x}}\nthink_seconds: 1\n",
            ["3:1 unknown key `think_seconds`; it belongs under `limits`"],
        ),
        (
            "version: 1\nservers: {s: {command: x}}\npolicy: [p.yaml]\n",
            ["3:1 unknown key `policy`; did you mean `policies`? `policy` belongs under `approvals`"],
        ),
        (server("command: x, headers: {A: b}"), ["3:28 `headers` belongs to a server with a `url`"]),
        (server("command: x, type: sse"), ["3:25 a server of this type needs a `url`"]),
        (server("command: x, start_timeout_seconds: 0"), ["3:42 must be above 0 and at most 3600 seconds"]),
        (server("command: x, start_timeout_seconds: .inf"), ["3:42 expected a number, found text"]),
        (server("command: x, disabled: no"), ["3:29 expected true or false, found text"]),
        (server("command: x, args: [1]"), ["3:26 expected text, found a number; put it in quotes"]),
        (server("command: x, env: {A-B: x}"), ["3:25 the name of a variable has only"]),
        (
            server("command: x, env: {A: '${vault:x}'}"),
            [f"3:28 unknown source of a reference; the known ones are {', '.join(SOURCES)}"],
        ),
        (server("command: x, env: {A: '${HOME}'}"), ["3:28 `${` must start a reference"]),
        (server("command: x, env: {A: '${env:T=hunter22}'}"), ["3:28 the name of a variable has only"]),
        (server("command: x, env: {A: '${env:T:-hunter22}'}"), ["3:28 the name of a variable has only"]),
        (server("command: x, env: {A: 1}"), ["3:28 expected text, found a number; put it in quotes"]),
        (
            server("command: x, args: [-t, 'a=${env:T}']"),
            ["3:33 every process on this machine can read an argv"],
        ),
        (server("command: '${env:T}'"), ["3:17 every process on this machine can read an argv"]),
        (server("command: x, cwd: 1"), ["3:24 expected text, found a number; put it in quotes"]),
        (
            server("command: x") + "policies: p.yaml\n",
            ["4:11 expected a list, found text; put it in brackets"],
        ),
        (server("command: x") + "policies: ['']\n", ["4:12 a path must not be empty"]),
        (server("command: x") + "audit: {path: ''}\n", ["4:15 a path must not be empty"]),
        (server("command: x") + "audit: {path: 'file:/var/a'}\n", ["4:15 must be a path, not a URL"]),
        (server("command: x") + "session: {path: 's3://a'}\n", ["4:17 must be a path, not a URL"]),
        (server("command: x") + "policies: ['https://a/p.yaml']\n", ["4:12 must be a path, not a URL"]),
        (server("command: x") + "audit: {path: a, durability: x}\n", ["4:30 expected one of flush, fsync"]),
        (server("command: x") + "audit: {path: a, key: k}\n", ["4:23 expected one reference"]),
        (
            server("command: x") + "audit: {path: a, key: '${vault:k}'}\n",
            [f"4:23 must be a reference to one of {', '.join(SOURCES)}"],
        ),
        (
            server("command: x") + "limits: {message_bytes: 10}\n",
            ["4:25 must be from 1024 to 1073741824 bytes"],
        ),
        (
            server("command: x") + "limits: {think_seconds: 0}\n",
            ["4:25 must be above 0 and at most 86400 seconds"],
        ),
        (
            server("command: x") + "session: {idle_seconds: 59}\n",
            ["4:25 must be from 60 to 2592000 seconds"],
        ),
        (
            server("command: x") + "limits: {think_seconds: 86401}\n",
            ["4:25 must be above 0 and at most 86400 seconds"],
        ),
        (
            server("command: x") + "limits: {message_byte: 1}\n",
            ["4:10 unknown key `message_byte`; did you mean"],
        ),
        (server("command: x") + 'agent: "\\0"\n', ["4:8 NUL and halves of surrogate pairs are not allowed"]),
    ],
)
def test_a_mistake_has_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = mistakes(tmp_path, text)
    assert len(found) >= len(expected)
    for one, start in zip(found, expected, strict=False):
        assert one.startswith(start)


@each("name", ["a", "a-b_c", "0", "a" * 32, "a_b"])
def test_a_server_name_is_short_and_plain(tmp_path: Path, name: str) -> None:
    assert list(load(tmp_path, server("command: x", f'"{name}"')).servers) == [name]


@each("name", ["", "A", "-a", "a b", "a__b", "a_", "a.b", "é", "a" * 33, "a\\n"])
def test_other_server_names_are_refused(tmp_path: Path, name: str) -> None:
    (found,) = mistakes(tmp_path, server("command: x", f'"{name}"'))
    assert "a server's name has 1 to 32" in found


def test_a_wrong_server_name_comes_with_one_that_is_right(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, server("command: x", '"My Tracker (v2)"'))
    assert found.endswith("the name of a tool; write `my-tracker-v2`")


def test_no_message_shows_a_literal_credential(tmp_path: Path) -> None:
    texts = [
        server("command: x, env: {T: hunter2, A-B: x}"),
        server("command: x, env: {T: hunter2, T: hunter2}"),
        server("command: x, env: {T: '${hunter2'}"),
        server("url: x, headers: {T: hunter2}"),
        server("command: x, env: {T: 'hunter2}"),
        server("command: x, bogus: 1, env: {T: hunter2}"),
        "version: 1\nservers:\n  s:\n    command: x\n    env:\n      T: |\n        hunter2\n      A-B: x\n",
        server("command: x") + "approvals: {notify: ['slack://hunter2/x']}\n",
        server("command: x") + "approvals: {notify: [{to: 'slack://${env:A}:hunter2/x'}]}\n",
    ]
    for text in texts:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, text)
        assert "hunter2" not in str(caught.value)


def test_who_is_alerted(tmp_path: Path) -> None:
    notify = "[desktop, '${keyring:chat}', {to: '${env:CHAT}', arguments: shown}]"
    config = load(tmp_path, server("command: x") + f"approvals: {{notify: {notify}}}\n")
    assert [(one.to, one.arguments) for one in config.approvals.targets] == [
        ("desktop", "none"),
        ("${keyring:chat}", "none"),
        ("${env:CHAT}", "shown"),
    ]


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("slack://a/b/c", "expected `desktop` or one reference to a URL of apprise"),
        ("'slack://${env:A}'", "expected `desktop` or one reference to a URL of apprise"),
        ("'${credential:chat}'", f"must be a reference to one of {', '.join(SOURCES)}"),
    ],
)
def test_a_url_of_apprise_does_not_stand_in_the_configuration(tmp_path: Path, to: str, why: str) -> None:
    for entry in (to, f"{{to: {to}}}"):
        (found,) = mistakes(tmp_path, server("command: x") + f"approvals: {{notify: [{entry}]}}\n")
        assert why in found


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    servers = "servers:\n  A: {url: x}\n  b: {command: x, env: {'1': '${x}'}}\n"
    text = "version: 1\n" + servers + "limits: {message_bytes: 1}\n"
    assert len(mistakes(tmp_path, text)) == 5


def test_a_missing_file_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: does not exist: create it with `mcpguard import`"):
        load_config(tmp_path / "none.yaml")


def test_a_missing_file_that_a_client_names_without_its_folder_is_looked_for_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(f"none.yaml: does not exist in {tmp_path}: create it")):
        load_config(Path("none.yaml"))


def test_a_file_that_this_user_may_not_read_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("open", "stat"):
        monkeypatch.setattr(Path, name, closed)
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied: let this user read it"):
        load_config(tmp_path / "c.yaml")


@each(
    ("text", "key"),
    [
        ('{"mcpServers": {"a": {"command": "npx"}}}', "mcpServers"),
        ('{"servers": {"a": {"type": "stdio", "command": "npx"}}, "inputs": []}', "inputs"),
    ],
)
def test_a_clients_own_file_is_called_that(tmp_path: Path, text: str, key: str) -> None:
    (said,) = mistakes(tmp_path, text)
    assert (
        f"this is a client's own list of servers (`{key}`), and a configuration (`servers`) is expected here; "
        "`mcpguard help import` says how to move them in"
    ) in said


def test_the_option_comes_before_the_environment_and_that_before_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcpguard.yaml").write_text("")
    environ = {"MCPGUARD_CONFIG": "/etc/m.yaml"}
    assert find_config("own.yaml", environ) == Path("own.yaml")
    assert find_config(None, environ) == Path("/etc/m.yaml")
    for nothing in [{}, {"MCPGUARD_CONFIG": ""}]:
        found = find_config(None, nothing)
        assert found.is_absolute()
        assert found.name == "mcpguard.yaml"
        assert found.parent.name == "mcpguard"
        assert tmp_path not in found.parents


def test_a_command_names_the_configuration_that_it_would_not_find(tmp_path: Path) -> None:
    path = tmp_path / "own rules.yaml"
    assert config_option(path, {}) == f" --config '{path}'"
    assert config_option(path, {"MCPGUARD_CONFIG": str(path)}) == ""
    assert config_option(find_config(None, {}), {}) == ""


def test_reading_a_configuration_imports_no_engine_and_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(EXAMPLE)
    code = (
        "import sys, pathlib; from mcpguard.config.loading import load_config\n"
        f"load_config(pathlib.Path({str(tmp_path / 'c.yaml')!r}))\n"
        "heavy = {'celpy', 'cel_expr_python', 'platformdirs', 'keyring', 'mcp', 'asyncio'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_a_missing_default_configuration_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"does not exist: create it with `mcpguard import`, or .* by hand"):
        load_config(find_config(None, {}))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcpguard.yaml").write_text(EXAMPLE)
    with pytest.raises(ConfigError, match=r"this folder has one: `--config mcpguard\.yaml`"):
        load_config(find_config(None, {}))


def test_evidence_is_signed_rotated_and_kept_as_it_is_written(tmp_path: Path) -> None:
    more = "key: '${keyring:audit/key}', heads: {file: heads.txt}, keep_days: 30, compress: true"
    audit = load(tmp_path, server("command: x") + f"audit: {{path: audit, {more}}}\n").audit
    assert audit.key == CredentialRef("keyring", "audit/key")
    assert audit.heads is not None
    assert audit.heads.file == str(tmp_path / "heads.txt")
    assert (audit.upkeep.keep_days, audit.upkeep.compress) == (30, True)
    # Without rotation a process that runs for long would keep what is old.
    assert (audit.upkeep.rotate_seconds, audit.upkeep.rotate_bytes) == (86_400, 0)
    more = "heads: {stdout: true}, keep_days: 30, rotate: {bytes: 4096}"
    audit = load(tmp_path, server("command: x") + f"audit: {{path: audit, {more}}}\n").audit
    assert (audit.upkeep.rotate_seconds, audit.upkeep.rotate_bytes) == (0, 4096)


# --- telemetry ------------------------------------------------------------------------------------

SINKS = """\
version: 1
servers: {s: {command: x}}
telemetry:
  on_sink_failure: block
  sinks:
    - {to: "https://otel.example:4318", format: otlp, headers: {Authorization: "Bearer ${keyring:otel}"}}
    - {to: calls.csv, format: csv}
    - {to: "syslog+unix:///dev/log", format: cef}
"""


def test_sinks_come_back_with_absolute_paths_and_parsed_references(tmp_path: Path) -> None:
    telemetry = load(tmp_path, SINKS).telemetry
    assert telemetry.blocks
    web, file, syslog = telemetry.sinks
    assert web.headers["Authorization"] == Template(("Bearer ", ""), (CredentialRef("keyring", "otel"),))
    assert (file.to, file.format) == (str(tmp_path / "calls.csv"), "csv")
    assert syslog.to == "syslog+unix:///dev/log"


@each(
    ("sink", "said"),
    [
        ('to: "-", format: csv', "a client reads the standard output"),
        ("to: 'ftp://a', format: csv", "expected a file, or a URL"),
        ("to: 'syslog+tcp://a:0x', format: csv", "expected a file, or a URL"),
        ("to: 'file:/var/log/calls.csv', format: csv", "expected a file, or a URL"),
        ("to: 'https://u:p@a', format: csv", "use `headers`"),
        ("to: file, format: otlp", "OTLP goes to an http"),
        ("to: file, format: csv, headers: {A: b}", "only an http"),
        ("to: 'http://a', format: csv, headers: {A: '${env:B}'}", "use https"),
        ("to: 'https://a', format: csv, headers: {A: '${credential:b}'}", "is for servers"),
        ("to: 'https://a', format: csv, headers: {A: b, a: c}", "twice"),
    ],
)
def test_a_sink_that_cannot_be_is_a_mistake(tmp_path: Path, sink: str, said: str) -> None:
    text = f"version: 1\nservers: {{s: {{command: x}}}}\ntelemetry: {{sinks: [{{{sink}}}]}}\n"
    assert said in "".join(mistakes(tmp_path, text))


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("audit/export.jsonl", False),
        ("./audit/../audit/export.jsonl.gz", False),
        ("link/export.jsonl", False),
        ("planted", False),
        ("audit/calls.csv", True),
        ("audit/more/export.jsonl", True),
        ("export.jsonl", True),
    ],
)
def test_nothing_is_exported_into_what_is_exported(tmp_path: Path, file: str, fits: bool) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "link").symlink_to("audit")
    (tmp_path / "planted").symlink_to("audit/chain.jsonl")
    said = "it would be mistaken for a chain in the audit folder: name a file in another folder"
    text = "version: 1\nservers: {s: {command: x}}\n"
    sink = f"audit: {{path: audit}}\ntelemetry: {{sinks: [{{to: {file}, format: jsonl}}]}}\n"
    heads = f"audit: {{path: {tmp_path}/audit, heads: {{file: {file}}}}}\n"
    for more, line, key in ((sink, 4, "to: "), (heads, 3, "file: ")):
        if fits:
            load(tmp_path, text + more)
        else:
            column = more.splitlines()[-1].index(key) + len(key) + 1
            assert mistakes(tmp_path, text + more) == [f"{line}:{column} {said}"]


def test_nothing_is_exported_into_the_default_audit_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = evidence_folder(None)
    text = "version: 1\nservers: {s: {command: x}}\ntelemetry: {sinks: [{to: %s/calls.%s, format: %s}]}\n"
    load(tmp_path, text % (folder, "csv", "csv"))
    said = "3:26 it would be mistaken for a chain in the audit folder: name a file in another folder"
    assert mistakes(tmp_path, text % (folder, "jsonl", "jsonl")) == [said]


def test_heads_may_go_elsewhere_alone(tmp_path: Path) -> None:
    text = "version: 1\nservers: {s: {command: x}}\naudit: {path: audit, heads: {stdout: true}}\n"
    assert load(tmp_path, text + "telemetry: {metrics: true}\n").audit.heads is not None


def test_alerts_have_somebody_who_hears_of_them(tmp_path: Path) -> None:
    text = "version: 1\nservers: {s: {command: x}}\nalerts: "
    alerts = load(tmp_path, text + "{command: [page], pin_change: false}\n").alerts
    assert alerts is not None
    assert alerts.events == {"held-secret", "server-lost", "evidence-gap"}
    assert alerts.quiet.total_seconds() == 600
    assert "nobody is notified" in "".join(mistakes(tmp_path, text + "{}\n"))


def test_variables_of_the_place_are_filled_in_and_are_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": "/home/ada", "USER": "a d", "LANG": "C", "XDG_DATA_HOME": ""}.items():
        monkeypatch.setenv(name, value)
    text = """\
version: 1
servers:
  a:
    command: x
    env: {A: "${env:HOME}/x ${env:KEY} ${env:USER}", B: "${env:XDG_DATA_HOME}", C: "${file:/HOME}"}
  b: {url: "https://h.example/${env:USER}/${env:KEY}", headers: {X: "${env:LANG}"}}
credentials: {c: {value: "${env:HOME}", servers: [a], env: {D: "${env:HOME}/${credential:c}"}}}
"""
    made = load(tmp_path, text)
    a, b, c = made.servers["a"], made.servers["b"], made.credentials["c"]
    key = CredentialRef("env", "KEY")
    assert a.env["A"] == Template(("/home/ada/x ", " a d"), (key,))
    assert (str(a.env["B"].refs[0]), str(a.env["C"].refs[0])) == ("env:XDG_DATA_HOME", "file:/HOME")
    assert b.url == Template(("https://h.example/a%20d/", ""), (key,))
    assert b.headers["X"] == Template(("C",), ())
    assert c.env["D"].texts == ("/home/ada/", "")
    assert {str(ref) for ref in c.sources} == {
        "env:HOME"
    }  # What an entry is made of is a secret by its place.
