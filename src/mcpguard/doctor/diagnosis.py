"""All checks of `mcpguard doctor` on one machine, and what a person has accepted there: findings that stay,
each with a reason, some until a date. A new check is a function in the module of its subject, and a line in
`checks`.

Law of this file: nothing is changed or started, no value is printed, a check that fails hides no other one.
An acceptance hides nothing: what it covers is still reported, apart and with its reason, and one that has
expired or covers nothing any more is itself a finding.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from shlex import quote

import msgspec
from msgspec import Struct, structs

from mcpguard.adapters.system.files import write_whole
from mcpguard.authoring.findings import SEVERITIES, Finding, Report, Severity, Unchecked, inspected, passes
from mcpguard.config.loading import config_option, find_config
from mcpguard.core.errors import McpGuardError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.doctor import clients, lifetime, operation, permissions, plain_text
from mcpguard.doctor.clients import configuration_in_use
from mcpguard.doctor.codes import DOCTOR_CODES, Checked, found
from mcpguard.doctor.surroundings import CheckSubject, MachineSurroundings, examined

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


def read_acceptances(state: Path) -> list[Acceptance]:
    """All that are kept in the folder `state`, oldest first. Raises AcceptError."""
    path = state / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Acceptance])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError):
        raise AcceptError(f"{path} cannot be read, so nothing counts as accepted: delete it") from None


def keep_acceptance(state: Path, one: Acceptance) -> None:
    """Add `one`, in place of an earlier one with the same code and subject. Raises AcceptError."""
    others = [
        each for each in read_acceptances(state) if (each.code, each.subject) != (one.code, one.subject)
    ]
    _write(state, [*others, one])


def withdraw_acceptance(state: Path, code: str, subject: str) -> None:
    """Remove the one with this code and subject. Raises AcceptError if there is none."""
    kept = read_acceptances(state)
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


Check = Callable[[CheckSubject], Iterable[Checked]]

_ORDER = list(DOCTOR_CODES)


def diagnose(
    at: MachineSurroundings,
    config: str | None = None,
    ignore: Collection[str] = (),
    fail_on: Severity = "warning",
) -> Report:
    """What all checks find on the machine `at`, worst first, without the codes of `ignore`; what a person has
    accepted is marked. It is not `ok` if something of the severity `fail_on` or worse is to do now. Raises
    ConfigError where `config` or the environment names a configuration that is missing."""
    redactor = Redactor(os.urandom(32))
    named = bool(config or at.environ.get("MCPGUARD_CONFIG"))
    path = find_config(config, at.environ)
    if not named and not os.path.lexists(path):
        path = configuration_in_use(at) or path
    option = partial(config_option, path.absolute(), at.environ)
    results = list(everything(examined(at, path, redactor, named=named), checks()))
    # Not before all checks are done: what one finds, another could quote.
    plain = {inspected(one, redactor, option) for one in results if isinstance(one, Finding)}
    try:
        every = read_acceptances(at.state)
    except AcceptError as error:
        every = []
        results.append(Unchecked("what was accepted", str(error)))
    # `findings`, those that are accepted marked as such, and what is wrong with acceptances.
    today = at.now.date()
    given = list(plain)
    in_force = [one for one in every if not one.is_over(today)]
    marked = [*(_marked(one, in_force) for one in given), *_wrong(given, every, today, at.state / FILE)]
    findings = _in_order(inspected(one, redactor, option) for one in marked)
    unchecked = dict.fromkeys(
        Unchecked(redactor.inspect_text(one.what), redactor.inspect_text(one.why))
        for one in results
        if isinstance(one, Unchecked)
    )
    shown = tuple(one for one in findings if one.code not in ignore)
    return Report(shown, passes(shown, fail_on), tuple(unchecked), len(findings) - len(shown))


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    def key(one: Finding) -> tuple[int, int, str, int, str, str]:
        severity = DOCTOR_CODES[one.code].severity
        return SEVERITIES.index(severity), _ORDER.index(one.code), one.file, one.line, one.message, one.fix

    return sorted(findings, key=key)


def checks() -> dict[str, Check]:
    """What is checked -> what checks it. A check gives its findings, and what it could not check."""
    return {
        "the clients": clients.check,
        "the locks of clients": clients.check_locks,
        "profiles and files of variables": plain_text.check,
        "permissions of files": permissions.check,
        "the lifetime of credentials and policies": lifetime.check,
        "the keychain": operation.check_keychain,
        "the isolation of servers": operation.check_isolation,
        "the evidence": operation.check_evidence,
        "mcpguard itself": operation.check_program,
    }


def everything(subject: CheckSubject, checks: dict[str, Check]) -> Iterator[Checked]:
    """The results of all `checks`; one that fails is one more thing that could not be checked."""
    for what, check in checks.items():
        try:
            yield from check(subject)
        except Exception as defect:
            # Its message may quote a value.
            yield Unchecked(what, f"the check failed ({type(defect).__name__}): please report it")
