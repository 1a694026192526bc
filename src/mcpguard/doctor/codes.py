"""What `mcpguard doctor` looks for: the literal table of its codes.

Law of this file: a code keeps its meaning for ever, and every code has a fix and the zero-trust control that
it belongs to.
"""

from __future__ import annotations

import os
from pathlib import Path

from mcpguard.authoring.findings import Code, Finding, Unchecked

CONTROLS = {
    "no secrets in configuration": (
        "No credential stands in code, configuration or prompts; a store gives it at run time."
    ),
    "mediation": "Each call passes the point that decides it; there is no path around it.",
    "credential lifetime": (
        "Credentials end after minutes and are minted for their use; a static key is a gap."
    ),
    "isolation": "What one process holds, another one of the same machine cannot reach.",
    "least privilege": "Files and folders are open to those who need them and to nobody else.",
    "configuration integrity": (
        "Who is bound by the rules cannot change them, nor the program that enforces them."
    ),
    "evidence": "Every decision is recorded where nobody whom it is about can write.",
}
"""The controls of zero trust that codes belong to, and what each asks."""


DOCTOR_CODES: dict[str, Code] = {
    "D101": Code(
        "error",
        "A credential in plain text in the configuration of a client.",
        "mcpguard import",
        "no secrets in configuration",
    ),
    "D102": Code(
        "warning",
        "A credential in plain text in a shell profile, a file of variables or the `.env` of this folder: "
        "each program that starts from there gets it, an agent's shell too.",
        "move it into the keychain with `mcpguard secret set NAME` and delete the line",
        "no secrets in configuration",
    ),
    "D103": Code(
        "error",
        "A credential in plain text in mcpguard's own configuration.",
        "move it into the keychain with `mcpguard secret set NAME` and refer to it as ${keyring:NAME}",
        "no secrets in configuration",
    ),
    "D104": Code(
        "error",
        "A credential in plain text in an old copy beside a client's configuration, as editors and "
        "installers leave it.",
        "replace the credential where it was issued, and delete the copy",
        "no secrets in configuration",
    ),
    "D201": Code(
        "warning",
        "A client starts or reaches a server itself, without mcpguard.",
        "mcpguard import",
        "mediation",
    ),
    "D202": Code(
        "error",
        "A client reaches a server with mcpguard and also without: whatever the policy refuses there can be "
        "done here.",
        "take the server out of the client's own list, or `mcpguard import`",
        "mediation",
    ),
    "D301": Code(
        "warning",
        "A static key where a source of short-lived credentials exists.",
        "name the source in `credentials`",
        "credential lifetime",
    ),
    "D302": Code(
        "error",
        "A credential that has expired.",
        "get a new one where it was issued",
        "credential lifetime",
    ),
    "D303": Code(
        "warning",
        "A credential that expires soon and cannot be renewed by itself.",
        "get a new one where it was issued",
        "credential lifetime",
    ),
    "D304": Code(
        "error",
        "A reference to a credential that cannot be resolved: its server is refused. Variables of the "
        "environment are not told of, since a client may set them.",
        "mcpguard secret check",
        "credential lifetime",
    ),
    "D305": Code(
        "error",
        "The keychain keeps what it is given in a file that is not encrypted, or with a key that stands "
        "beside it.",
        "use a Secret Service (gnome-keyring, KWallet) or the keychain of macOS, and store each credential "
        "again with `mcpguard secret set NAME`",
        "no secrets in configuration",
    ),
    "D306": Code(
        "error",
        "A configuration refers to the keychain, and there is none that works.",
        "start a Secret Service such as gnome-keyring, or refer to ${file:…}",
        "no secrets in configuration",
    ),
    "D307": Code(
        "error",
        "A policy whose `expires` is past: its allow rules hold no longer.",
        "review the policy, and set a new `expires`",
        "credential lifetime",
    ),
    "D308": Code(
        "note",
        "A policy whose `expires` comes soon.",
        "review the policy, and set a new `expires`",
        "credential lifetime",
    ),
    "D401": Code(
        "warning",
        "A local server has a credential in its environment and runs under the agent's own user, whose other "
        "processes can read it (Linux: /proc/PID/environ; macOS: `ps -E`).",
        "run mcpguard and its servers as another user, in a container or on another machine, or use the "
        "server over "
        "a `url`; a short-lived credential makes what can be read there worth little. `hidepid` hides "
        "processes of other users only, and `ptrace_scope` does not cover the environment",
        "isolation",
    ),
    "D402": Code(
        "warning",
        "Any process may trace others of the same user (`kernel.yama.ptrace_scope` is 0), so the memory of "
        "a server with a credential can be read.",
        "sudo sysctl -w kernel.yama.ptrace_scope=1",
        "isolation",
    ),
    "D403": Code(
        "warning",
        "Core dumps go to a program that takes them whatever the limit of the process is: the crash of a "
        "server leaves its memory, with its credential, in a file. Mcpguard's own process is not dumped.",
        "sudo sysctl -w kernel.core_pattern=core",
        "isolation",
    ),
    "D501": Code(
        "error",
        "A file that says what mcpguard or a client does can be changed by others, or a folder on the way "
        "to it.",
        "take the right to write away",
        "configuration integrity",
    ),
    "D502": Code(
        "error",
        "A file that holds a credential can be read by others.",
        "take the right to read away",
        "least privilege",
    ),
    "D503": Code(
        "warning",
        "The folder of evidence or of sessions can be read by others: it says who did what.",
        "take the right to read away",
        "least privilege",
    ),
    "D504": Code(
        "error",
        "A server works in a folder that holds the configuration, a policy, the sessions or the evidence: "
        "an agent that writes files there can change what binds it.",
        "move them out of the folder, or give the server a narrower one",
        "configuration integrity",
    ),
    "D601": Code(
        "error",
        "The folder of evidence or of sessions can be changed by others, or a folder on the way to it.",
        "take the right to write away",
        "evidence",
    ),
    "D602": Code(
        "error",
        "The evidence was altered, or a part of it is gone.",
        "mcpguard audit verify",
        "evidence",
    ),
    "D603": Code(
        "error",
        "The folder of evidence cannot be written, so every call is refused.",
        "make room, or name another folder in the configuration (`audit: {path: …}`)",
        "evidence",
    ),
    "D604": Code(
        "warning",
        "The disk that holds the evidence is nearly full; when it is full, every call is refused.",
        "make room, or name another folder in the configuration (`audit: {path: …}`)",
        "evidence",
    ),
    "D701": Code(
        "error",
        "Others can change mcpguard's program, its Python or the packages that it loads.",
        "take the right to write away",
        "configuration integrity",
    ),
    "D702": Code(
        "warning",
        "A running mcpguard is older than its configuration: the change is not in force.",
        "restart the client, or the service, that runs it",
        "configuration integrity",
    ),
    "D703": Code(
        "error",
        "The configuration is wrong, so nothing is served and what it says cannot be looked at.",
        "mcpguard check",
        "configuration integrity",
    ),
}
"""Code -> what is wrong. In this order findings of the same severity are told."""

Checked = Finding | Unchecked
"""What a check gives: findings, and what it could not check."""


def found(code: str, file: Path | str, message: str, line: int = 0, fix: str = "") -> Finding:
    """A finding; without `fix` that of its code."""
    # A name need not be text.
    name = os.fsencode(file).decode("utf-8", "backslashreplace")
    about = DOCTOR_CODES[code]
    return Finding(
        code, about.severity, name, line, 0, message, about.meaning, fix or about.fix, about.control
    )
