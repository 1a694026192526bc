"""What another process of the same user can take from a local server: its environment, its memory, its dump.

mcpguard's own process is closed to others (`adapters/system/hardening.py`); a process that it starts is not,
since a new program is dumpable again (prctl(2), PR_SET_DUMPABLE; execve(2)).
"""

from collections.abc import Iterator
from pathlib import Path

from mcpguard.authoring.findings import Finding
from mcpguard.config.loading import Config, Server
from mcpguard.core.secret import CredentialRef
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.lifetime import is_static
from mcpguard.doctor.surroundings import Subject

_OTHER_USER = ("sudo", "doas", "su", "runuser", "setpriv", "ssh")


def check(subject: Subject) -> Iterator[Checked]:
    """D401 for each local server with a credential; D402 and D403 where there is one and the system is
    open."""
    exposed = [] if subject.config is None else list(_exposed(subject.config))
    for server, static in exposed:
        refs = ", ".join(map(str, static))
        message = f"{server.name} has {refs} in the environment of its process"
        line = subject.line("servers", server.name)
        yield found("D401", subject.path, message, line, subject=server.name)
    if exposed and subject.at.platform == "linux":
        yield from _kernel(subject.at.system / "proc" / "sys" / "kernel")


def _exposed(config: Config) -> Iterator[tuple[Server, list[CredentialRef]]]:
    """Local servers of this user that get a credential which does not end by itself."""
    for server in config.servers.values():
        here = server.url is None and not server.disabled and Path(server.command).name not in _OTHER_USER
        static = [ref for ref in server.credentials if is_static(config, ref)]
        if here and static:
            yield server, static


def _kernel(folder: Path) -> Iterator[Finding]:
    scope = folder / "yama" / "ptrace_scope"
    if _setting(scope) == "0":
        said = "it is 0: the memory of a server can be read, like its environment"
        yield found("D402", scope, said, run="sudo sysctl -w kernel.yama.ptrace_scope=1")
    pattern = folder / "core_pattern"
    said = _setting(pattern)
    program = Path(said.removeprefix("|").strip().partition(" ")[0]).name
    # It looks at the limit itself.
    if said.startswith("|") and program != "systemd-coredump":
        yield found("D403", pattern, f"dumps go to {program}", run="sudo sysctl -w kernel.core_pattern=core")


def _setting(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
