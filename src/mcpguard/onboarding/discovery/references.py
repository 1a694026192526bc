"""References as clients write them -> as mcpguard writes them.

Law of this file: nothing becomes a reference of mcpguard that was none of the client; where there is no
equivalent, the server stays as it is.
"""

import os
import re
from pathlib import Path

from mcpguard.core.errors import McpGuardError
from mcpguard.onboarding.discovery.clients import KnownClient

_REFERENCE = re.compile(r"\$\{\{[^}]*\}\}|\$\{([^}]*)\}?|\$([A-Za-z_][A-Za-z0-9_]*)")
_CURLY = re.compile(r"\{(env|file):([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Stays(McpGuardError):
    """A server that cannot be guarded as it stands. The sentence goes on from its name, without a value."""


def translated(text: str, client: KnownClient, home: Path, project: Path | None) -> str:
    """`text` with references of mcpguard in place of those of `client`. Raises Stays."""

    def one(found: re.Match[str]) -> str:
        whole, braced, bare = found[0], found[1], found[2]
        if whole.startswith("${{"):
            raise Stays("refers to a secret that only its client can resolve: insert the value first")
        if bare:
            return f"${{env:{bare}}}" if client.style == "shell" else whole
        return _braced(braced, client, home, project)

    said = _REFERENCE.sub(one, text)
    if client.style == "curly":
        said = _CURLY.sub(lambda found: _curly(found[1], found[2], home), said)
    return said


def literal(folder: str) -> str:
    """The name of a folder that is to stand in a text. Raises Stays where it would be read as a reference,
    also with what stands beside it."""
    if set(folder) & set("${}"):
        raise Stays("would have a folder in its settings that looks like a reference: rename that folder")
    return folder


def _curly(kind: str, name: str, home: Path) -> str:
    if kind == "env" and _NAME.fullmatch(name):
        return f"${{env:{name}}}"
    path = str(home / name[2:]) if name.startswith("~/") else name
    if kind == "file" and path.startswith("/"):
        return f"${{file:{path}}}"
    raise Stays(f"has a `{{{kind}:…}}` that has no equivalent in mcpguard: write the value out first")


def _braced(inside: str, client: KnownClient, home: Path, project: Path | None) -> str:
    kind, _, name = inside.partition(":")
    if client.style == "braced":
        if kind == "env" and _NAME.fullmatch(name):
            return f"${{env:{name}}}"
        if kind == "input":
            raise Stays(
                f"asks for a value when it starts (${{input:{name}}}), and its client keeps the answer where "
                "mcpguard cannot read it: answer when the import asks for it at a terminal"
            )
        if inside == "userHome":
            return literal(str(home))
        if inside in ("pathSeparator", "/"):
            return os.sep
        if inside in ("workspaceFolder", "workspaceFolderBasename") and project is not None:
            return literal(str(project) if inside == "workspaceFolder" else project.name)
        if inside.startswith("workspaceFolder"):
            raise Stays(
                "has a `${workspaceFolder}` that has no equivalent outside of a project: write out the "
                "folder, or move the entry into the project's file"
            )
    elif client.style in ("plain", "shell") and _NAME.fullmatch(inside):
        return f"${{env:{inside}}}"
    raise Stays("has a `${…}` that has no equivalent in mcpguard: write the value out first")
