"""What only has the name of mcpguard is never taken for it."""

from __future__ import annotations

import os
import sys
import sysconfig
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.ourselves import fetched
from tests.rows import each

OURS = Path(sys.executable).with_name("mcpguard")


def entry(command: str, *args: str, **env: str) -> Entry:
    return Entry(name="x", where=("mcpServers", "x"), line=1, command=command, args=args, env=env)


def installed(prefix: Path, script: bytes = b"#!/bin/sh\n", recorded: bytes | None = None) -> Path:
    """A distribution below `prefix`, as pip lays it out, and its script; the record has the digest of `recorded`."""
    digest = sha256(script if recorded is None else recorded).digest()
    program = prefix / "bin" / "mcpguard"
    record = prefix / "lib" / "python3.11" / "site-packages" / "mcpguard_gateway-9.dist-info" / "RECORD"
    for path in (program, record):
        path.parent.mkdir(parents=True, exist_ok=True)
    program.write_bytes(script)
    program.chmod(0o755)
    encoded = urlsafe_b64encode(digest).rstrip(b"=").decode()
    record.write_text(
        f"mcpguard/__init__.py,sha256=x,1\n../../../bin/mcpguard,sha256={encoded},{len(script)}\n"
    )
    return program


@pytest.mark.parametrize(
    "words",
    [
        ("/bin/sh", "EVIL/mcpguard"),
        ("/bin/sh", "EVIL/mcpguard", "run"),
        ("npx", "-y", "mcpguard"),
        ("npx", "-y", "mcpguard@1.0.0"),
        ("uvx", "mcpguard"),
        ("uvx", "--from=mcpguard-gateway", "mcpguard"),
        ("pipx", "run", "mcpguard"),
        ("EVIL/mcpguard", "run"),
        ("./mcpguard", "run"),
        ("node", "EVIL/mcpguard"),
        ("env", "A=b", "mcpguard"),
        ("sudo", "-E", "mcpguard"),
        ("docker", "run", "mcpguard"),
        (sys.executable, "-m", "mcpguard"),
        (sys.executable, "-P", "EVIL/mcpguard"),
        (sys.executable, "-c", "import x", "-m", "mcpguard"),
        (sys.executable, "EVIL/evil.py", "-P", "-m", "mcpguard"),
        ("EVIL/python3", "-P", "-m", "mcpguard"),
    ],
    ids=" ".join,
)
def test_what_is_called_like_mcpguard_is_not_taken_for_it(words: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("mcpguard", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    made = entry(*(word.replace("EVIL", str(tmp_path)) for word in words))
    assert not made.guarded


@each(
    "env",
    [
        {"PYTHONPATH": "/tmp/evil"},
        {"PYTHONHOME": "/tmp/evil"},
        {"LD_PRELOAD": "/tmp/evil.so"},
        {"DYLD_INSERT_LIBRARIES": "/tmp/evil.dylib"},
        {"PYTHONPYCACHEPREFIX": "/tmp/evil"},
        {"PYTHONINSPECT": "1", "PYTHONSTARTUP": "/tmp/evil.py"},
        {"PythonPath": "/tmp/evil"},
        {"GCONV_PATH": "/tmp/evil"},
        {"__PYVENV_LAUNCHER__": "/tmp/evil/python"},
    ],
    ids=",".join,
)
def test_variables_that_have_mcpguard_run_other_code_make_it_none(env: dict[str, str]) -> None:
    assert entry(str(OURS), "run", PYTHONUTF8="1", LDAP_HOST="x", API_KEY="x").guarded
    assert not entry(str(OURS), "run", **env).guarded


def test_the_mcpguard_of_an_installation_is_known_however_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert entry(str(OURS), "run", "--config", "/x", PYTHONUNBUFFERED="1").guarded
    assert entry(sys.executable, "-P", "-m", "mcpguard", "run").guarded
    assert entry(sys.executable, "-I", "-B", "-m", "mcpguard", "run").guarded
    elsewhere = installed(tmp_path / "uv" / "tools" / "mcpguard-gateway")
    link = tmp_path / "local" / "mcpguard"
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    assert entry(str(elsewhere)).guarded
    assert entry(str(link)).guarded
    monkeypatch.setenv("PATH", str(link.parent))
    assert entry("mcpguard", "run").guarded
    assert not entry("mcpguard", "run", PATH="/nowhere").guarded
    for sudo in ((), ("-n",), ("-u", "guard"), ("-n", "-u", "guard")):
        (link.parent / "sudo").touch(0o755)
        assert entry("sudo", *sudo, "mcpguard", "run").guarded
    assert not entry("sudo").guarded
    python = tmp_path / "uv" / "tools" / "mcpguard-gateway" / "bin" / "python3"
    python.symlink_to(sys.executable)
    assert entry(str(python), "-P", "-m", "mcpguard").guarded


def test_a_script_that_is_not_the_one_of_the_record_is_none(tmp_path: Path) -> None:
    assert not entry(str(installed(tmp_path / "a", b"#!/bin/sh\nevil\n", b"#!/bin/sh\n"))).guarded
    beside = installed(tmp_path / "b").with_name("mcpguard-gateway")
    beside.write_bytes(b"#!/bin/sh\n")
    beside.chmod(0o755)
    assert not entry(str(beside)).guarded
    nested = tmp_path / "b" / "opt" / "mcpguard"
    nested.parent.mkdir()
    nested.write_bytes(b"#!/bin/sh\n")
    nested.chmod(0o755)
    assert not entry(str(nested)).guarded
    broken = installed(tmp_path / "c")
    (record,) = (tmp_path / "c").glob("lib/*/*/*/RECORD")
    record.write_bytes(b"\xff")
    assert not entry(str(broken)).guarded


def test_a_server_that_is_given_a_folder_of_that_name_is_a_server() -> None:
    made = entry("mcp-server-git", "--repository", "/home/ada/src/mcpguard")
    assert not made.guarded
    assert not made.claims


def test_the_real_layout_of_this_environment_is_the_one_that_is_looked_for() -> None:
    assert os.path.commonpath([sysconfig.get_path("purelib"), OURS]) == str(OURS.parent.parent)


@each(
    ("words", "package"),
    [
        (("uvx", "mcpguard"), "mcpguard of PyPI"),
        (("uvx", "mcpguard@0.1.0", "run"), "mcpguard of PyPI"),
        (("uv", "tool", "run", "--python", "3.12", "mcpguard"), "mcpguard of PyPI"),
        (("pipx", "run", "--spec=mcpguard==0.1.0", "mcpguard"), "mcpguard of PyPI"),
        (("npx", "-y", "mcpguard"), "mcpguard of npm"),
        (("bunx", "mcpguard-gateway"), "mcpguard-gateway of npm"),
        (("uvx", "--from", "mcpguard-gateway[console]", "mcpguard"), "mcpguard-gateway of PyPI"),
        (("pipx", "run", "--spec", "mcpguard-gateway", "mcpguard", "run"), "mcpguard-gateway of PyPI"),
        (("uvx", "mcp-server-git", "--repository", "/src/mcpguard"), ""),
        (("git", "mcpguard"), ""),
    ],
    ids=str,
)
def test_the_package_that_a_launcher_would_fetch_is_told_from_ours(
    words: tuple[str, ...], package: str
) -> None:
    made = entry(*words)
    assert fetched(made.command, made.args) == package
    assert made.claims or not package
    assert not made.guarded
