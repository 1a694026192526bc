"""What a person has accepted on this machine: findings that stay, each with a reason, some until a date.

Law of this file: an acceptance hides nothing. What it covers is still reported, apart and with its reason,
and one that has expired or covers nothing any more is itself a finding.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from shlex import quote

import msgspec
from msgspec import Struct, structs

from mcpguard.adapters.system.files import write_whole
from mcpguard.authoring.findings import Finding
from mcpguard.core.errors import McpGuardError
from mcpguard.doctor.codes import found

FILE = "accepted.json"
"""Its name in mcpguard's folder of state."""


class AcceptError(McpGuardError):
    """Something that cannot be accepted, or acceptances that cannot be read. The sentence says why."""


class Acceptance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`subject` "" stands for every one of `code`, `until` None for no end. `since` is when it was given."""

    code: str
    reason: str
    since: date
    subject: str = ""
    until: date | None = None

    def covers(self, one: Finding) -> bool:
        """Whether it is about this finding, whenever."""
        return self.code == one.code and self.subject in ("", one.subject, one.file)

    def is_over(self, today: date) -> bool:
        """Whether its last day has passed."""
        return self.until is not None and self.until < today

    @property
    def said(self) -> str:
        return f"accepted: {self.reason}" + (f"; until {self.until}" if self.until else "")


def read(state: Path) -> list[Acceptance]:
    """All that are kept in the folder `state`, oldest first. Raises AcceptError."""
    path = state / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Acceptance])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError):
        raise AcceptError(f"{path} cannot be read, so nothing counts as accepted: delete it") from None


def keep(state: Path, one: Acceptance) -> None:
    """Add `one`, in place of an earlier one with the same code and subject. Raises AcceptError."""
    others = [each for each in read(state) if (each.code, each.subject) != (one.code, one.subject)]
    _write(state, [*others, one])


def withdraw(state: Path, code: str, subject: str) -> None:
    """Remove the one with this code and subject. Raises AcceptError where there is none."""
    kept = read(state)
    others = [each for each in kept if (each.code, each.subject) != (code, subject)]
    if len(others) == len(kept):
        about = f" with the subject {subject}" if subject else ""
        raise AcceptError(f"no acceptance of {code}{about} is kept: `mcpguard doctor` lists them")
    _write(state, others)


def _write(state: Path, every: list[Acceptance]) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(state / FILE, msgspec.json.format(msgspec.json.encode(every)) + b"\n")
    except OSError as error:
        raise AcceptError(f"{state / FILE} cannot be written: {error.strerror}") from None


def applied(findings: Iterable[Finding], every: list[Acceptance], today: date, state: Path) -> list[Finding]:
    """`findings`, those that are accepted marked as such, and what is wrong with acceptances."""
    given = list(findings)
    in_force = [one for one in every if not one.is_over(today)]
    return [*(_marked(one, in_force) for one in given), *_wrong(given, every, today, state / FILE)]


def _marked(one: Finding, in_force: list[Acceptance]) -> Finding:
    by = next((each for each in in_force if each.covers(one)), None)
    return one if by is None else structs.replace(one, standing="accepted", accepted=by.said)


def _wrong(given: list[Finding], every: list[Acceptance], today: date, file: Path) -> Iterator[Finding]:
    for each in every:
        about = f"{each.code} of {each.subject}" if each.subject else each.code
        if each.is_over(today):
            said = f"the acceptance of {about} expired on {each.until}"
        elif not any(each.covers(one) for one in given):
            said = f"{about} is accepted, but nothing like it is found any more"
        else:
            continue
        subject = f" --subject {quote(each.subject)}" if each.subject else ""
        fix = f"mcpguard doctor --withdraw {each.code}{subject}"
        yield found("D704", file, said, run=fix, subject=about)
