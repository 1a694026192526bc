"""For each code of `mcpguard doctor`: what makes it, and what is near and does not."""

from __future__ import annotations

import json
import os
import shutil
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import keyring
import msgspec
import pytest

from mcpguard.adapters.audit.signing import new_key
from mcpguard.adapters.system.shipped import pack_for
from mcpguard.adapters.telemetry import status_file
from tests.adapters.system.shipping import ship
from tests.doctor.machine import OURS, PHRASE, POLICY, TOKEN, Machine, later

Scene = Callable[[Machine, pytest.MonkeyPatch], None]
HELD = "git: {command: git-server, args: [/srv/git], env: {GIT_TOKEN: '${env:GIT_TOKEN}'}}"
UNSET = "git: {command: sudo, env: {T: '${env:UNSET}'}}"
CURSOR = "home/.cursor/mcp.json"


def client(entry: dict[str, object], name: str = CURSOR, mode: int = 0o600) -> Scene:
    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.write(name, json.dumps({"mcpServers": {"git": entry}}), mode)

    return make


def text(name: str, content: str, mode: int = 0o600) -> Scene:
    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.write(name, content, mode)

    return make


def config(servers: str = HELD, more: str = "", **kernel: str) -> Scene:
    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured(servers, more.format(root=machine.root))
        for name, value in kernel.items():
            machine.kernel(name.replace("__", "/"), value)

    return make


def seen_by(agent: str) -> Scene:
    """A client that starts mcpguard as `agent`, where the configuration has a client `desk`."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured(more="clients: {desk: {servers: [git]}}\n")
        args = ["run", "--config", str(machine.path), "--agent", agent]
        machine.write(CURSOR, json.dumps({"mcpServers": {"mcpguard": {"command": OURS, "args": args}}}))

    return make


def starting(variables: dict[str, str]) -> Scene:
    """A client that starts mcpguard with these variables."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        entry = {"command": OURS, "args": ["run"], "env": variables}
        machine.write(CURSOR, json.dumps({"mcpServers": {"mcpguard": entry}}))

    return make


def open_to(name: str, mode: int) -> Scene:
    """A configuration, and one thing below the root with this mode."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured()
        (machine.root / name).chmod(mode)

    return make


def in_path(ours: bool) -> Scene:
    """A program called mcpguard that is found first."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        other = machine.write("bin/mcpguard", "#!/bin/sh\n", 0o755)
        folders = [str(other.parent), os.path.dirname(OURS)]
        machine.replaced(environ={"PATH": os.pathsep.join(reversed(folders) if ours else folders)})

    return make


def both(*scenes: Scene) -> Scene:
    def make(machine: Machine, patch: pytest.MonkeyPatch) -> None:
        for scene in scenes:
            scene(machine, patch)

    return make


def mounted(mode: int) -> Scene:
    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        path = machine.write("run/token", PHRASE, mode)
        machine.configured(f"git: {{command: sudo, env: {{A: '${{file:{path}}}'}}}}")

    return make


def observing(days: int) -> Scene:
    """A policy that is only observed, until so many days from now."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        until = (machine.at.now + timedelta(days=days)).date().isoformat()
        machine.configured(more=f"observe: {{until: {until}, servers: [git]}}\n")

    return make


def working(folder: str) -> Scene:
    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured(f"git: {{command: git-server, args: [{machine.root / folder}]}}")

    return make


def evidence(content: str) -> Scene:
    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured()
        if content:
            machine.write("state/audit/20260101T000000Z-1-00000000.jsonl", content)

    return make


def disk(free: int) -> Scene:
    def make(machine: Machine, patch: pytest.MonkeyPatch) -> None:
        machine.configured()
        disk_has = SimpleNamespace(f_bavail=free, f_frsize=1, f_files=0, f_favail=0)
        patch.setattr("os.statvfs", lambda _: disk_has)

    return make


def mounted_by(kind: str) -> Scene:
    """The home is on such a file system, and its name has a blank."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured()
        local = "22 1 8:1 / / rw - ext4 /dev/sda1 rw"
        place = str(machine.state.resolve()).replace("t", "\\164", 1)
        mounts = f"{local}\n40 22 0:50 / {place} rw,relatime shared:9 - {kind} host:/export rw\n"
        machine.write(machine.system / "proc/self/mountinfo", mounts)

    return make


def no_folder(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
    machine.configured()
    shutil.rmtree(machine.state / "audit")
    machine.write("state/audit", "a file")


def signing(there: bool) -> Scene:
    """Evidence that is signed by the key in a file, where that is `there`."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        key = machine.root / "key"
        if there:
            machine.write("key", new_key())
        machine.configured(more=f"audit: {{path: '{machine.state}/audit', key: '${{file:{key}}}'}}\n")

    return make


def program(mode: int) -> Scene:
    return text("program/mcpguard/app.py", "", mode)


def running(changed: float, late: status_file.NotInForce | None = None) -> Scene:
    """A process whose configuration got another file, an old one, so many seconds after it started."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured()
        later(machine.path, -86_400)
        pid = os.getpid()
        status = status_file.Status(
            pid,
            time.time() - changed,
            status_file.birth_of(pid),
            str(machine.path),
            "stdio",
            (),
            not_in_force=late,
        )
        machine.write(f"state/status/{pid}.json", msgspec.json.encode(status).decode())

    return make


GITHUB = "github: {command: npx, args: [server-github], env: {T: '${env:MY_TOKEN}'}}"


def token(days: float, more: str = "") -> Scene:
    """A server whose credential is a token that ends in so many days."""

    def make(machine: Machine, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("MY_TOKEN", jwt(time.time() + days * 86400))
        machine.configured("git: {command: sudo, env: {T: '${env:MY_TOKEN}'}}", more)

    return make


def jwt(end: float) -> str:
    """A made-up token with this `exp`."""
    return ".".join(
        [
            urlsafe_b64encode(part.encode()).decode().rstrip("=")
            for part in ('{"alg":"x"}', f'{{"exp":{end}}}')
        ]
        + ["c2lnbmF0dXJl"]
    )


def keychain(kind: str) -> Scene:
    """A configuration that needs the keychain, which is one of this kind."""

    def make(machine: Machine, patch: pytest.MonkeyPatch) -> None:
        module, _, name = kind.rpartition(".")
        patch.setattr(keyring, "get_keyring", type(name, (), {"__module__": module}))
        machine.configured("git: {command: sudo, env: {T: '${keyring:t}'}}")

    return make


def policy(days: int) -> Scene:
    """A policy that expires in so many days."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.configured()
        day = machine.at.now + timedelta(days=days)
        machine.write(machine.path.with_name("p.yaml"), f"expires: {day:%Y-%m-%d}\n{POLICY}")

    return make


def copied(*, upgraded: bool) -> Scene:
    """A pack as import writes it; `upgraded`: mcpguard ships another version of it now."""

    def make(machine: Machine, patch: pytest.MonkeyPatch) -> None:
        machine.configured()
        machine.write(machine.path.with_name("p.yaml"), pack_for("git.yaml", "my-git") or "")
        if upgraded:
            ship(patch, machine.root / "shipped", "git.yaml")

    return make


def accepting(**changes: object) -> Scene:
    """A credential in a profile, and an acceptance."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        machine.write("home/.bashrc", f"export A_TOKEN={PHRASE}\n")
        one = {"code": "D102", "reason": "known", "since": "2026-01-01", **changes}
        machine.write("state/accepted.json", json.dumps([one]))

    return make


GUARDED: dict[str, object] = {"command": OURS, "args": ["run"]}
LOCKS = {
    "claude-code": "system/etc/claude-code/managed-settings.json",
    "codex": "system/etc/codex/requirements.toml",
}


def locked(client: str, text: str) -> Scene:
    """A client that has mcpguard, and what its lock says."""

    def make(machine: Machine, _patch: pytest.MonkeyPatch) -> None:
        if client == "codex":
            machine.write(
                "home/.codex/config.toml", f'[mcp_servers.mcpguard]\ncommand = "{OURS}"\nargs = ["run"]\n'
            )
        else:
            machine.write("home/.claude.json", json.dumps({"mcpServers": {"mcpguard": GUARDED}}))
        machine.write(LOCKS[client], text, 0o644)

    return make


def allowing(*commands: list[str]) -> str:
    """Managed settings of Claude Code that allow these."""
    listed = [{"serverCommand": command} for command in commands]
    return json.dumps({"allowManagedMcpServersOnly": True, "allowedMcpServers": listed})


PLUGINS = "\n[plugins]\n"
RULE = (
    "[mcp_servers.mcpguard.identity.command]\n"
    f'executable = "{OURS}"\nargs = [{{ match = "exact", value = "run" }}]\n'
)
PLAIN = {"command": OURS, "env": {"GIT_TOKEN": TOKEN}}
ITSELF: dict[str, object] = {"command": "/usr/bin/git-server", "args": ["/srv/git"]}
SCENES: dict[str, tuple[Scene, Scene]] = {
    "D101": (client(PLAIN), client({**PLAIN, "env": {"GIT_TOKEN": "${env:GIT_TOKEN}"}})),
    "D102": (text("home/.bashrc", f"export A_TOKEN={PHRASE}\n"), text("home/.bashrc", "export A_TOKEN=$B\n")),
    "D103": (config(f"git: {{command: g, env: {{A: {TOKEN}}}}}"), config("git: {command: g, env: {A: b}}")),
    "D104": (client(PLAIN, CURSOR + ".bak"), client(PLAIN, "home/.cursor/other.bak")),
    "D201": (client(ITSELF), client({**ITSELF, "disabled": True})),
    "D202": (both(config(), client(ITSELF)), both(config(), client({**ITSELF, "args": ["elsewhere"]}))),
    "D203": (
        client({"command": "npx", "args": ["-y", "mcpguard"]}),
        client({"command": OURS, "args": ["run"]}),
    ),
    "D204": (client(GUARDED, "home/.gemini/settings.json"), locked("claude-code", allowing([OURS, "run"]))),
    "D205": (
        locked("claude-code", allowing([OURS, "run", "--config", "old.yaml"])),
        locked("claude-code", allowing([OURS, "run"])),
    ),
    "D206": (locked("codex", RULE), locked("codex", RULE + PLUGINS)),
    "D208": (seen_by("zed"), seen_by("desk")),
    "D301": (config(GITHUB), config(GITHUB.replace("github", "weather"))),
    "D302": (token(-1), token(1)),
    "D303": (token(1), token(30)),
    "D304": (config("git: {command: sudo, env: {T: '${file:/nowhere}'}}"), config()),
    "D305": (keychain("keyrings.alt.file.PlaintextKeyring"), keychain("keyring.backends.macOS.Keyring")),
    "D306": (keychain("keyring.backends.fail.Keyring"), keychain("keyring.backends.SecretService.Keyring")),
    "D210": (observing(0), observing(-1)),
    "D211": (observing(40), observing(31)),
    "D307": (policy(-1), policy(0)),
    "D308": (policy(0), policy(30)),
    "D309": (copied(upgraded=True), copied(upgraded=False)),
    "D310": (config(UNSET), both(config(UNSET), starting({"UNSET": "${input:token}"}))),
    "D401": (config(), config(HELD.replace("git-server", "sudo"))),
    "D402": (config(yama__ptrace_scope="0"), config(yama__ptrace_scope="1")),
    "D403": (
        config(core_pattern="|/usr/share/apport/apport -p%p"),
        config(core_pattern="|/usr/lib/systemd/systemd-coredump %P"),
    ),
    "D404": (config("git: {command: git-server}"), config()),
    "D501": (open_to("home/.config/mcpguard", 0o777), open_to("home/.config/mcpguard", 0o755)),
    "D502": (client(PLAIN, mode=0o644), client(GUARDED, mode=0o644)),
    "D503": (open_to("state/audit", 0o755), open_to("state/audit", 0o711)),
    "D504": (working("home"), working("project")),
    "D505": (
        config("git: {command: npx, args: [server], cwd: client}"),
        config("git: {command: npx, args: [server]}"),
    ),
    "D506": (config("git: {command: git-server, cwd: client}"), config("git: {command: git-server, cwd: /}")),
    "D601": (open_to("state/sessions", 0o773), open_to("state/sessions", 0o700)),
    "D602": (evidence('{"kind":"opened"}\n'), evidence("")),
    "D603": (no_folder, config()),
    "D604": (disk(1), disk(1 << 40)),
    "D605": (signing(there=False), signing(there=True)),
    "D606": (mounted_by("nfs4"), mounted_by("ext4")),
    "D701": (program(0o666), program(0o644)),
    "D702": (running(3600), running(-3600)),
    "D703": (text("home/.config/mcpguard/mcpguard.yaml", "version: 2\n"), config()),
    "D704": (accepting(until="2026-02-01"), accepting()),
    "D705": (in_path(ours=False), in_path(ours=True)),
}
"""Code -> the scene that makes it, and the one that does not."""


def everything_wrong(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """All that can be wrong at once."""
    for code, (scene, _) in SCENES.items():
        if code not in APART:
            scene(machine, patch)
    for name in (".zshrc", ".profile", ".config/fish/config.fish"):
        machine.write(f"home/{name}", f"set -gx A_KEY {PHRASE}\nexport B={TOKEN}\n", 0o666)
    mounted = machine.write("run/token", PHRASE, 0o640)
    refs = (
        "D: '${file:/nowhere}', E: '${env:MY_TOKEN}', F: '${env:SOON}', H: '${env:UNSET}', G: '${keyring:g}'"
    )
    held = f"env: {{GITHUB_TOKEN: '${{file:{mounted}}}', B: {TOKEN}, {refs}}}"
    patch.setenv("MY_TOKEN", jwt(1))
    patch.setenv("SOON", jwt(time.time() + 9))
    near = "npm: {command: npx, args: [x], cwd: client}\n  far: {command: other-server, cwd: client}"
    observed = f"observe: {{until: {machine.at.now:%Y-%m-%d}, servers: [git]}}\n"
    machine.configured(f"git: {{command: git-server, args: ['{machine.home}'], {held}}}\n  {near}", observed)
    machine.write(machine.path.with_name("p.yaml"), f"expires: 2020-01-01\n{POLICY}")
    later(machine.path)
    entries = {
        "git": ITSELF | {"args": [str(machine.home)]},
        "b": ITSELF,
        "c": PLAIN,
        "d": {"command": "uvx", "args": ["mcpguard"]},
        "e": {"command": OURS, "args": ["run", "--config", str(machine.path), "--project", "/p"]},
    }
    machine.write(CURSOR, json.dumps({"mcpServers": entries}), 0o666)
    for name in ("audit", "sessions"):
        (machine.state / name).chmod(0o777)


APART = ("D211", "D306", "D308", "D309", "D603", "D604", "D605", "D703")
"""Those that cannot be so at the same time as others."""
