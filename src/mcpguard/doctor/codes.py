"""What `mcpguard doctor` looks for: its codes, which are in `codes.txt`.

To add one: an entry there, a `found` with it in the module of its subject, and its two scenes in
`tests/doctor/scenes.py`. Codes that begin with the same digit are about one subject.

Law of this file: a code keeps its meaning for ever, and every code has a fix and the zero-trust control that
it belongs to. A code is a `limit` if nothing but another setup would end what it reports.
"""

import os
from pathlib import Path

from msgspec import structs

from mcpguard.authoring.findings import Code, Finding, Unchecked, at, codes_in
from mcpguard.core.errors import Problem

CONTROLS = {
    "no secrets in configuration": (
        "No credential is stored in code, configuration or prompts; a store provides it at run time."
    ),
    "mediation": "Each call passes the enforcement point; there is no way around it.",
    "credential lifetime": (
        "Credentials expire within minutes and are issued for one purpose; a static key is a gap."
    ),
    "isolation": "What one process has, no other process on the machine can reach.",
    "least privilege": "Files and folders are accessible only to those who need them.",
    "configuration integrity": (
        "Those who are bound by the rules can change neither them nor the program that enforces them."
    ),
    "evidence": "Every decision is recorded where those whom it concerns cannot write.",
}
"""The controls of zero trust that codes belong to, and what each asks."""


DOCTOR_CODES: dict[str, Code] = codes_in(__package__)
"""Code -> what is wrong. Findings of the same severity are reported in this order."""

Checked = Finding | Unchecked
"""What a check gives: findings, and what it could not check."""


def found(
    code: str,
    file: Path | str,
    message: str,
    line: int = 0,
    fix: str = "",
    *,
    run: str = "",
    subject: str = "",
) -> Finding:
    """A finding. `run` is a command that ends it as it stands, `fix` a sentence; without both, that of its
    code. `subject` is what it is about, if that is not the file."""
    # A name need not be text.
    name = os.fsencode(file).decode("utf-8", "backslashreplace")
    about = DOCTOR_CODES[code]
    return structs.replace(
        at(code, about, Problem(name, line, 0, message)),
        fix=run or fix or about.fix,
        is_command=bool(run),
        subject=subject,
        standing="limit" if about.limit else "now",
    )
