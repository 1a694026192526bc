"""What mcpguard itself needs: its program, its evidence, the keychain, and what isolates its servers.

mcpguard's own process is closed to others (`adapters/system/own_process.py`); a process that it starts is
not, since a new program is dumpable again (prctl(2), PR_SET_DUMPABLE; execve(2)).
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from shlex import quote

from mcpguard.adapters.audit.reader import chain_files, chain_name, examined, file_name, verified
from mcpguard.adapters.audit.signing import making
from mcpguard.adapters.credentials.keychain import in_the_open, keeps_nothing
from mcpguard.adapters.telemetry.status_file import running
from mcpguard.authoring.check.configuration import lacking_room, nearest, trouble, try_own
from mcpguard.authoring.check.writable import is_bounded
from mcpguard.authoring.findings import Finding, Unchecked
from mcpguard.config.loading import Config, Server
from mcpguard.config.policies import load_policies
from mcpguard.core.errors import AuditError, McpGuardError, PolicyError, Problem
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.secret import CredentialRef
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.lifetime import is_static
from mcpguard.doctor.permissions import open_to_writers, trusted_in, writer_of
from mcpguard.doctor.surroundings import CheckSubject
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.ourselves import PROJECT, starts_mcpguard
from mcpguard.onboarding.discovery.programs import known

_TOLD = 5
_UV_LOCK = ".lock"
"""What uv leaves in an environment, for everybody to write; nothing reads what is in it."""

_LOCAL = frozenset(
    (
        "aufs", "bcachefs", "btrfs", "ecryptfs", "exfat", "ext2", "ext3", "ext4", "f2fs",
        "fuse.fuse-overlayfs", "fuseblk", "hfsplus", "jffs2", "jfs", "msdos", "nilfs2", "ntfs", "ntfs3",
        "overlay", "ramfs", "reiserfs", "rootfs", "tmpfs", "ubifs", "ufs", "vfat", "xfs", "zfs",
    )
)  # fmt: skip
"""File systems that only one machine has mounted, as Linux calls them."""
_NOTICED_SECONDS = 3.0
"""Within this time a process has noticed a change, and its status says whether it is in force."""


def check_program(subject: CheckSubject) -> Iterator[Checked]:
    """D701, D702, D703 and D705."""
    yield from (found("D703", one.source, one.message, one.line) for one in _invalid(subject))
    parts = [one for program in subject.at.programs for one in _suspect(program, trusted_in(subject.at))]
    yield from islice(open_to_writers("D701", [*subject.at.programs, *parts], subject.at), _TOLD)
    yield from _running(subject)
    # A program of our name that is not ours: what a person types, or a hint names, would start that.
    path = subject.at.environ.get("PATH")
    program = path and shutil.which("mcpguard", path=path)
    if program and not starts_mcpguard(program, [], {}):
        said = f"this is not {PROJECT}, and `mcpguard` starts it"
        yield found("D705", program, said)


def _invalid(subject: CheckSubject) -> list[Problem]:
    """The mistakes for which mcpguard would not start."""
    if subject.problem is not None or subject.config is None:
        return [] if subject.problem is None else subject.problem.problems
    try:
        load_policies(subject.config.policies, OPT_IN)
    except PolicyError as error:
        return error.problems
    return []


def _suspect(program: Path, trusted: frozenset[int]) -> Iterator[Path]:
    """What is below `program` and is open by itself, or leads elsewhere. The ways to it are those of
    `program`."""
    folders = [os.fspath(program)]
    while folders:
        try:
            with os.scandir(folders.pop()) as listed:
                entries = list(listed)
        except OSError:
            continue
        environment = any(one.name == "pyvenv.cfg" for one in entries)
        for one in entries:
            try:
                facts = one.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(facts.st_mode):
                folders.append(one.path)
            if environment and one.name == _UV_LOCK:
                continue
            if stat.S_ISLNK(facts.st_mode) or writer_of(facts, trusted):
                yield Path(one.path)


def _running(subject: CheckSubject) -> Iterator[Checked]:
    for status in running(subject.at.state / "status"):
        try:
            # As whoever watches the file: what is moved or copied to it may be older than it.
            changed = os.stat(status.config).st_ctime
        except OSError:
            continue
        late = status.not_in_force
        if late is not None:
            said = f"the changed {late.what} is not in force in process {status.pid}: {late.problem}"
            yield found("D702", status.config, said)
        elif changed > max(status.started, status.loaded) + _NOTICED_SECONDS:
            yield found("D702", status.config, f"changed since process {status.pid} read it")


_OTHER_USER = ("sudo", "doas", "su", "runuser", "setpriv", "ssh")


def check_isolation(subject: CheckSubject) -> Iterator[Checked]:
    """D401 for each local server with a credential; D402 and D403 where there is one and the system is
    open; D404."""
    if subject.config is None:
        return
    exposed = list(_exposed(subject.config))
    for server, static in exposed:
        refs = ", ".join(map(str, static))
        message = f"{server.name} has {refs} in the environment of its process"
        line = subject.line("servers", server.name)
        yield found("D401", subject.path, message, line, subject=server.name)
    if exposed and subject.at.platform == "linux":
        yield from _kernel(subject.at.system / "proc" / "sys" / "kernel")
    for server in _own(subject.config):
        if not (is_bounded(subject.config, server) or _is_remote(server)):
            message = f"nothing in the configuration says where {server.name} may write"
            line = subject.line("servers", server.name)
            yield found("D404", subject.path, message, line, subject=server.name)


def _is_remote(server: Server) -> bool:
    """Whether it is known to write no file here."""
    entry = Entry(name=server.name, where=(), line=0, command=server.command, args=server.args)
    program = known(entry)
    return program is not None and program.remote


def _own(config: Config) -> list[Server]:
    """The local servers of this user."""
    local = (one for one in config.served.values() if one.url is None)
    return [one for one in local if Path(one.command).name not in _OTHER_USER]


def _exposed(config: Config) -> Iterator[tuple[Server, list[CredentialRef]]]:
    """Local servers of this user that get a credential which does not end by itself."""
    for server in _own(config):
        if static := [ref for ref in server.credentials if is_static(config, ref)]:
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


def check_keychain(subject: CheckSubject) -> Iterator[Checked]:
    """D305 and D306, where the configuration refers to the keychain."""
    line = _first_use(subject)
    if line is None:
        return
    if keeps_nothing():
        yield found("D306", subject.path, "no keychain on this machine can be used", line)
    elif kind := in_the_open():
        yield found("D305", subject.path, f"the keychain is {kind}", line)


def _first_use(subject: CheckSubject) -> int | None:
    """The line of the first entry that needs the keychain, None where none does."""
    if subject.config is None:
        return None
    for name, server in subject.config.servers.items():
        if not server.disabled and any(ref.source == "keyring" for ref in server.credentials):
            return subject.line("servers", name)
    for name, entry in subject.config.credentials.items():
        refs = entry.sources | entry.surrounding
        if entry.kind == "oauth" or any(ref.source == "keyring" for ref in refs):
            return subject.line("credentials", name)
    for way, ref in subject.config.own_references:
        if ref.source == "keyring":
            return subject.line(*way)
    return None


VERIFIED_BYTES = 64 * 1024 * 1024
"""How much of the newest evidence is verified; `mcpguard audit verify` takes all of it."""


def check_evidence(subject: CheckSubject) -> Iterator[Checked]:
    """D602 to D606."""
    folder = subject.audit
    if subject.config is not None:
        mounts = subject.at.system / "proc" / "self" / "mountinfo"
        sessions = [] if subject.config.session_postgres else [subject.sessions]
        if sessions and (kind := _foreign(mounts, subject.sessions)):
            yield found("D606", subject.sessions, f"its file system is {kind}")
        if reason := trouble(folder):
            yield found("D603", folder, f"the audit folder cannot be used: {reason}")
        else:
            yield from (found("D604", one, said) for one, said in lacking_room(folder, *sessions))
        yield from _key(subject)
    if folder.is_dir():
        yield from _chains(folder)


def _foreign(mounts: Path, folder: Path) -> str:
    """The kind of the file system that a folder is on where it is not known to be local, else "". `mounts`
    lists what is mounted (proc_pid_mountinfo(5))."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place, kinds = nearest(folder).resolve(), dict[Path, str]()
    for line in lines:
        about, _, rest = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), about.split(" ")[4])
        kinds[Path(point)] = rest.partition(" ")[0]
    kind = next((kinds[one] for one in (place, *place.parents) if one in kinds), "")
    return "" if kind in _LOCAL else kind


def _key(subject: CheckSubject) -> Iterator[Checked]:
    key = subject.config.audit.key if subject.config else None
    if key is None:
        return
    try:
        try_own(("audit", "key"), key, subject.redactor)
    except McpGuardError as error:
        # A client may set variables that the shell of whoever runs the doctor does not have.
        if key.source != "env":
            fix = f"make one with {making(key)}, or correct `audit.key` in the configuration"
            yield found("D605", subject.path, f"key: {error}", subject.line("audit", "key"), fix)


def _chains(folder: Path) -> Iterator[Checked]:
    try:
        files = chain_files(folder) if any(folder.glob("*.jsonl")) or any(folder.glob("*.jsonl.gz")) else []
        newest = _newest(files)
        if files and newest == files:
            # The first one may continue what retention removed.
            reports, gone = verified(folder, {}, removed_until=chain_name(files[0]))
        else:
            reports, gone = {file_name(file): examined(file) for file in newest}, []
    except (AuditError, OSError) as error:
        yield Unchecked(str(folder), str(error))
        return
    fix = (
        f"find out who had access; `mcpguard audit verify {quote(str(folder))}` shows the first altered place"
    )
    for name, report in reports.items():
        if report.flaws:
            yield found("D602", folder / name, "the chain is broken", report.flaws[0].line, fix)
    for name in gone:
        yield found("D602", folder / name, "it is missing, although another chain holds its head", fix=fix)


def _newest(files: list[Path]) -> list[Path]:
    """The last ones that are together not larger than what is verified."""
    left = VERIFIED_BYTES
    taken: list[Path] = []
    for file in reversed(files):
        left -= file.lstat().st_size
        if left < 0:
            break
        taken.insert(0, file)
    return taken
