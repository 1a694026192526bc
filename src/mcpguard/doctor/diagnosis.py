"""All checks of `mcpguard doctor` on one machine. A new one is a function in the module of its subject, and
a line in `checks`.

Law of this file: nothing is changed or started, no value is printed, a check that fails hides no other one.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator

from mcpguard.authoring.findings import SEVERITIES, Finding, Report, Severity, Unchecked, inspected, passes
from mcpguard.config.loading import find_config
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.doctor import accepted, clients, lifetime, operation, permissions, plain_text
from mcpguard.doctor.clients import configuration_in_use
from mcpguard.doctor.codes import DOCTOR_CODES, Checked
from mcpguard.doctor.surroundings import Subject, Surroundings, examined

Check = Callable[[Subject], Iterable[Checked]]

_ORDER = list(DOCTOR_CODES)


def diagnose(
    at: Surroundings, config: str | None = None, ignore: Collection[str] = (), fail_on: Severity = "warning"
) -> Report:
    """What all checks find on the machine `at`, worst first, without the codes of `ignore`; what a person has
    accepted is marked. It is not `ok` if something of the severity `fail_on` or worse is to do now. Raises
    ConfigError where `config` or the environment names a configuration that is missing."""
    redactor = Redactor(os.urandom(32))
    named = bool(config or at.environ.get("MCPGUARD_CONFIG"))
    path = find_config(config, at.environ)
    if not named and not os.path.lexists(path):
        path = configuration_in_use(at) or path
    results = list(everything(examined(at, path, redactor, named=named), checks()))
    # Not before all checks are done: what one finds, another could quote.
    plain = {inspected(one, redactor) for one in results if isinstance(one, Finding)}
    try:
        every = accepted.read(at.state)
    except accepted.AcceptError as error:
        every = []
        results.append(Unchecked("what was accepted", str(error)))
    marked = accepted.applied(plain, every, at.now.date(), at.state)
    findings = _in_order(inspected(one, redactor) for one in marked)
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


def everything(subject: Subject, checks: dict[str, Check]) -> Iterator[Checked]:
    """The results of all `checks`; one that fails is one more thing that could not be checked."""
    for what, check in checks.items():
        try:
            yield from check(subject)
        except Exception as defect:
            # Its message may quote a value.
            yield Unchecked(what, f"the check failed ({type(defect).__name__}): please report it")
