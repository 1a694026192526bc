"""What `mcpguard doctor` looks for: the literal table of its codes.

To add one: an entry in `DOCTOR_CODES`, a `found` with it in the module of its subject, and its two scenes in
`tests/doctor/scenes.py`. Codes that begin with the same digit are about one subject.

Law of this file: a code keeps its meaning for ever, and every code has a fix and the zero-trust control that
it belongs to. A code is a `limit` if nothing but another setup would end what it reports.
"""

import os
from pathlib import Path

from mcpguard.authoring.findings import Code, Finding, Unchecked

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


DOCTOR_CODES: dict[str, Code] = {
    "D101": Code(
        "error",
        "A credential in plain text in the configuration of a client.",
        "move it behind mcpguard with `mcpguard import`",
        "no secrets in configuration",
    ),
    "D102": Code(
        "warning",
        "A credential in plain text in a shell profile, an environment file or the `.env` of this folder: "
        "every program started from there gets it, including an agent's shell.",
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
        "A credential in plain text in an old copy next to a client's configuration, as left by editors "
        "and installers. The credential has to be replaced at its issuer, too.",
        "delete the copy",
        "no secrets in configuration",
    ),
    "D201": Code(
        "warning",
        "A client starts or contacts a server directly, without mcpguard.",
        "move it behind mcpguard with `mcpguard import`",
        "mediation",
    ),
    "D202": Code(
        "error",
        "A client reaches a server through mcpguard and also directly: what the policy refuses works on "
        "the other path.",
        "remove the server from the client's own list, or run `mcpguard import`",
        "mediation",
    ),
    "D203": Code(
        "warning",
        "An entry of a client looks like mcpguard, but its program is not that of an installed one (found "
        "in PATH, a virtual environment, pipx or uv), or variables have it run other code, or a file of the "
        "project has it serve something other than your configuration: what it starts is unknown.",
        "delete this entry, and run `mcpguard install claude-desktop`, or with the name of your client",
        "mediation",
    ),
    "D204": Code(
        "note",
        "A client that could be locked is not: whoever can write its files, such as an agent, can have it "
        "start other servers.",
        "lock it with `mcpguard lock claude-code`, or with the name of your client",
        "mediation",
        limit=True,
    ),
    "D205": Code(
        "error",
        "The lock of a client does not allow its entry of mcpguard as it is now, so the entry is not "
        "started.",
        "lock it again",
        "mediation",
    ),
    "D206": Code(
        "error",
        "The lock of a client allows more than mcpguard, or was changed so that it does.",
        "lock it again with `--replace`",
        "mediation",
    ),
    "D208": Code(
        "warning",
        "An entry of mcpguard in a client is refused at the start, since the configuration has no such "
        "client or project, or all its servers are disabled: the client has no tools.",
        "say under `clients` in the configuration what this client sees, or remove the entry",
        "mediation",
    ),
    "D210": Code(
        "warning",
        "Policies of these servers are only observed for now: what they refuse is recorded and let through.",
        "see what would be refused with `mcpguard audit show --observed`, then remove `observe` from the "
        "configuration",
        "mediation",
    ),
    "D211": Code(
        "note",
        "`observe` has no effect: its last day has passed, or is more than 31 days ahead.",
        "remove `observe` from the configuration",
        "mediation",
    ),
    "D301": Code(
        "warning",
        "A static key, although a source of short-lived credentials exists.",
        "use that source in `credentials`",
        "credential lifetime",
        limit=True,
    ),
    "D302": Code(
        "error", "A credential that has expired.", "get a new one from its issuer", "credential lifetime"
    ),
    "D303": Code(
        "warning",
        "A credential that expires soon and is not renewed automatically.",
        "get a new one from its issuer",
        "credential lifetime",
    ),
    "D304": Code(
        "error",
        "A reference to a credential that cannot be resolved: its server is refused. Environment "
        "variables are not reported, since a client may set them.",
        "`mcpguard secret check` says why",
        "credential lifetime",
    ),
    "D305": Code(
        "error",
        "The keychain stores its contents in a file that is not encrypted, or whose key is stored next to "
        "it.",
        "use a Secret Service (gnome-keyring, KWallet) or the macOS keychain, and store each credential "
        "again with `mcpguard secret set NAME`",
        "no secrets in configuration",
    ),
    "D306": Code(
        "error",
        "A configuration refers to the keychain, but no working keychain is available.",
        "start a Secret Service such as gnome-keyring, or refer to ${file:…}",
        "no secrets in configuration",
    ),
    "D307": Code(
        "error",
        "A policy whose `expires` date has passed: its allow rules no longer apply.",
        "review the policy, and set a new `expires`",
        "credential lifetime",
    ),
    "D308": Code(
        "note",
        "A policy whose `expires` date is near.",
        "review the policy, and set a new `expires`",
        "credential lifetime",
    ),
    "D401": Code(
        "warning",
        "A local server has a credential in its environment and runs under the agent's own user, whose other "
        "processes can read it (Linux: /proc/PID/environ; macOS: `ps -E`).",
        "run mcpguard and its servers as another user, in a container or on another machine, or use the "
        "server over "
        "a `url`; a short-lived credential limits what such a read is worth. `hidepid` hides "
        "processes of other users only, and `ptrace_scope` does not cover the environment",
        "isolation",
        limit=True,
    ),
    "D402": Code(
        "warning",
        "Any process may trace others of the same user (`kernel.yama.ptrace_scope` is 0), so the memory of "
        "a server with a credential can be read.",
        "set it to 1",
        "isolation",
    ),
    "D403": Code(
        "warning",
        "Core dumps are piped to a program, which ignores the limit of the process: when a server "
        "crashes, its memory with its credential ends up in a file. mcpguard's own process is not dumped.",
        "have them written to files, as the limit of a process allows",
        "isolation",
    ),
    "D501": Code(
        "error",
        "A file that determines what mcpguard or a client does, or a folder on the path to it, can be "
        "changed by others.",
        "remove the write permission of others",
        "configuration integrity",
    ),
    "D502": Code(
        "error",
        "A file that contains a credential can be read by others.",
        "remove the read permission of others",
        "least privilege",
    ),
    "D503": Code(
        "warning",
        "The audit folder or the session folder can be read by others: it shows who did what.",
        "remove the read permission of others",
        "least privilege",
    ),
    "D504": Code(
        "error",
        "A server works in a folder that contains the configuration, a policy, the sessions or the evidence: "
        "an agent that writes files there can change what constrains it.",
        "move them out of the folder, or give the server a narrower one",
        "configuration integrity",
    ),
    "D505": Code(
        "error",
        "What a server runs is looked up, or is, in a folder that an agent can write: the agent could "
        "replace that with a program of its own, which then has the server's credentials.",
        "where a launcher such as `npx` or `python -m` starts it, leave `cwd` out of the configuration; "
        "install a program that lies in such a folder somewhere else, and give its full path",
        "isolation",
    ),
    "D506": Code(
        "warning",
        "A server starts in a folder that an agent can write.",
        "leave `cwd` out of the configuration, and give full paths",
        "isolation",
    ),
    "D601": Code(
        "error",
        "The audit folder or the session folder, or a folder on the path to it, can be changed by others.",
        "remove the write permission of others",
        "evidence",
    ),
    "D602": Code(
        "error",
        "The evidence was altered, or part of it is missing.",
        "find out who had access: `mcpguard audit verify` shows the first place",
        "evidence",
    ),
    "D603": Code(
        "error",
        "The audit folder cannot be written, so every call is refused.",
        "free up space, or name another folder in the configuration (`audit: {path: …}`)",
        "evidence",
    ),
    "D604": Code(
        "warning",
        "The disk that holds the evidence is nearly full; when it is full, every call is refused.",
        "free up space, or name another folder in the configuration (`audit: {path: …}`)",
        "evidence",
    ),
    "D605": Code(
        "warning",
        "The private key that signs the evidence is not available, so nothing is signed.",
        "make one with `mcpguard audit key --new`, or correct `audit.key` in the configuration",
        "evidence",
    ),
    "D701": Code(
        "error",
        "Others can change mcpguard's program, its Python or the packages that it loads.",
        "remove the write permission of others",
        "configuration integrity",
    ),
    "D702": Code(
        "warning",
        "A running mcpguard has not put its changed configuration or policies in force: they are wrong, or "
        "something in them can only change with a restart.",
        "fix what it reports, or restart the client or the service that runs it",
        "configuration integrity",
    ),
    "D703": Code(
        "error",
        "The configuration is invalid, so nothing is served and its contents cannot be checked.",
        "`mcpguard check` shows each mistake with its place",
        "configuration integrity",
    ),
    "D704": Code(
        "note",
        "An acceptance that has expired, or that covers nothing any more.",
        "withdraw it",
        "configuration integrity",
    ),
    "D705": Code(
        "warning",
        "The program `mcpguard` in PATH belongs to another project: on PyPI this one is called "
        "`mcpguard-gateway`, and `mcpguard` there is somebody else's.",
        "uninstall the other one, or put the folder of this one first in PATH; "
        "`pipx install mcpguard-gateway` installs this one",
        "configuration integrity",
    ),
}
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
    return Finding(
        code=code,
        severity=about.severity,
        file=name,
        line=line,
        column=0,
        message=message,
        meaning=about.meaning,
        fix=run or fix or about.fix,
        control=about.control,
        is_command=bool(run),
        subject=subject,
        standing="limit" if about.limit else "now",
    )
