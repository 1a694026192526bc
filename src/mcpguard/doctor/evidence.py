"""Evidence: whether it can be written, has room, and is what was written."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from shutil import disk_usage

from mcpguard.adapters.audit.reader import chain_files, chain_name, examined, file_name, verified
from mcpguard.authoring.check.configuration import nearest, trouble
from mcpguard.authoring.check.own import try_own
from mcpguard.authoring.findings import Unchecked
from mcpguard.core.errors import AuditError, McpGuardError
from mcpguard.doctor.codes import Checked, found
from mcpguard.doctor.surroundings import Subject

FREE_BYTES = 100 * 1024 * 1024
"""Less than that is nearly full."""

VERIFIED_BYTES = 64 * 1024 * 1024
"""How much of the newest evidence is verified; `mcpguard audit verify` takes all of it."""


def check(subject: Subject) -> Iterator[Checked]:
    """D602 to D605."""
    folder = subject.audit
    if subject.config is not None:
        if reason := trouble(folder):
            yield found("D603", folder, f"the audit folder cannot be used: {reason}")
        elif (free := disk_usage(nearest(folder)).free) < FREE_BYTES:
            yield found("D604", folder, f"{free // (1024 * 1024)} MiB are free")
        yield from _key(subject)
    if folder.is_dir():
        yield from _chains(folder)


def _key(subject: Subject) -> Iterator[Checked]:
    audit = subject.config.audit if subject.config else None
    if audit is None or audit.key is None:
        return

    try:
        try_own(("audit", "key"), audit.key, subject.redactor)
    except McpGuardError as error:
        # A client may set variables that the shell of whoever runs the doctor does not have.
        if audit.key.source != "env":
            yield found("D605", subject.path, f"audit.key: {error}", subject.line("audit", "key"))


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
    fix = f"find out who had access: `mcpguard audit verify {quote(str(folder))}` shows the first place"
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
