"""What `mcpguard doctor` looks for: the literal table of its codes.

Law of this file: a code keeps its meaning for ever, and every code has a fix and the zero-trust control that
it belongs to.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first."""

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


class Ailment(Struct, frozen=True):
    """One thing that can be wrong. `fix` is what to do, used where a finding has no command of its own."""

    severity: Severity
    what: str
    fix: str
    control: str


AILMENTS: dict[str, Ailment] = {
    "D101": Ailment(
        "error",
        "A credential in plain text in the configuration of a client.",
        "mcpguard import",
        "no secrets in configuration",
    ),
    "D102": Ailment(
        "warning",
        "A credential in plain text in a shell profile, a file of variables or the `.env` of this folder: "
        "each program that starts from there gets it, an agent's shell too.",
        "move it into the keychain with `mcpguard secret set NAME` and delete the line",
        "no secrets in configuration",
    ),
    "D103": Ailment(
        "error",
        "A credential in plain text in mcpguard's own configuration.",
        "move it into the keychain with `mcpguard secret set NAME` and refer to it as ${keyring:NAME}",
        "no secrets in configuration",
    ),
    "D104": Ailment(
        "error",
        "A credential in plain text in an old copy beside a client's configuration, as editors and "
        "installers leave it.",
        "replace the credential where it was issued, and delete the copy",
        "no secrets in configuration",
    ),
    "D201": Ailment(
        "warning",
        "A client starts or reaches a server itself, without mcpguard.",
        "mcpguard import",
        "mediation",
    ),
    "D202": Ailment(
        "error",
        "A client reaches a server with mcpguard and also without: whatever the policy refuses there can be "
        "done here.",
        "take the server out of the client's own list, or `mcpguard import`",
        "mediation",
    ),
    "D301": Ailment(
        "warning",
        "A static key where a source of short-lived credentials exists.",
        "name the source in `credentials`",
        "credential lifetime",
    ),
    "D302": Ailment(
        "error",
        "A credential that has expired.",
        "get a new one where it was issued",
        "credential lifetime",
    ),
    "D303": Ailment(
        "warning",
        "A credential that expires soon and cannot be renewed by itself.",
        "get a new one where it was issued",
        "credential lifetime",
    ),
    "D304": Ailment(
        "error",
        "A reference to a credential that cannot be resolved: its server is refused. Variables of the "
        "environment are not told of, since a client may set them.",
        "mcpguard secret check",
        "credential lifetime",
    ),
    "D305": Ailment(
        "error",
        "The keychain keeps what it is given in a file that is not encrypted, or with a key that stands "
        "beside it.",
        "use a Secret Service (gnome-keyring, KWallet) or the keychain of macOS, and store each credential "
        "again with `mcpguard secret set NAME`",
        "no secrets in configuration",
    ),
    "D306": Ailment(
        "error",
        "A configuration refers to the keychain, and there is none that works.",
        "start a Secret Service such as gnome-keyring, or refer to ${file:…}",
        "no secrets in configuration",
    ),
    "D307": Ailment(
        "error",
        "A policy whose `expires` is past: its allow rules hold no longer.",
        "review the policy, and set a new `expires`",
        "credential lifetime",
    ),
    "D308": Ailment(
        "note",
        "A policy whose `expires` comes soon.",
        "review the policy, and set a new `expires`",
        "credential lifetime",
    ),
    "D401": Ailment(
        "warning",
        "A local server has a credential in its environment and runs under the agent's own user, whose other "
        "processes can read it (Linux: /proc/PID/environ; macOS: `ps -E`).",
        "run mcpguard and its servers as another user, in a container or on another machine, or use the "
        "server over "
        "a `url`; a short-lived credential makes what can be read there worth little. `hidepid` hides "
        "processes of other users only, and `ptrace_scope` does not cover the environment",
        "isolation",
    ),
    "D402": Ailment(
        "warning",
        "Any process may trace others of the same user (`kernel.yama.ptrace_scope` is 0), so the memory of "
        "a server with a credential can be read.",
        "sudo sysctl -w kernel.yama.ptrace_scope=1",
        "isolation",
    ),
    "D403": Ailment(
        "warning",
        "Core dumps go to a program that takes them whatever the limit of the process is: the crash of a "
        "server leaves its memory, with its credential, in a file. Mcpguard's own process is not dumped.",
        "sudo sysctl -w kernel.core_pattern=core",
        "isolation",
    ),
    "D501": Ailment(
        "error",
        "A file that says what mcpguard or a client does can be changed by others, or a folder on the way "
        "to it.",
        "take the right to write away",
        "configuration integrity",
    ),
    "D502": Ailment(
        "error",
        "A file that holds a credential can be read by others.",
        "take the right to read away",
        "least privilege",
    ),
    "D503": Ailment(
        "warning",
        "The folder of evidence or of sessions can be read by others: it says who did what.",
        "take the right to read away",
        "least privilege",
    ),
    "D504": Ailment(
        "error",
        "A server works in a folder that holds the configuration, a policy, the sessions or the evidence: "
        "an agent that writes files there can change what binds it.",
        "move them out of the folder, or give the server a narrower one",
        "configuration integrity",
    ),
    "D601": Ailment(
        "error",
        "The folder of evidence or of sessions can be changed by others, or a folder on the way to it.",
        "take the right to write away",
        "evidence",
    ),
    "D602": Ailment(
        "error",
        "The evidence was altered, or a part of it is gone.",
        "mcpguard audit verify",
        "evidence",
    ),
    "D603": Ailment(
        "error",
        "The folder of evidence cannot be written, so every call is refused.",
        "make room, or name another folder in the configuration (`audit: {path: …}`)",
        "evidence",
    ),
    "D604": Ailment(
        "warning",
        "The disk that holds the evidence is nearly full; when it is full, every call is refused.",
        "make room, or name another folder in the configuration (`audit: {path: …}`)",
        "evidence",
    ),
    "D701": Ailment(
        "error",
        "Others can change mcpguard's program, its Python or the packages that it loads.",
        "take the right to write away",
        "configuration integrity",
    ),
    "D702": Ailment(
        "warning",
        "A running mcpguard is older than its configuration: the change is not in force.",
        "restart the client, or the service, that runs it",
        "configuration integrity",
    ),
    "D703": Ailment(
        "error",
        "The configuration is wrong, so nothing is served and what it says cannot be looked at.",
        "mcpguard check",
        "configuration integrity",
    ),
}
"""Code -> what is wrong. In this order findings of the same severity are told."""
