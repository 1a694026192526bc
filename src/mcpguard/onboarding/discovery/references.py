"""References as clients write them -> as mcpguard writes them.

Law of this file: nothing becomes a reference of mcpguard that was none of the client; where there is no
equivalent, the server stays as it is.
"""

import re
from pathlib import Path

from mcpguard.core.errors import McpGuardError
from mcpguard.onboarding.discovery.clients import KnownClient
from mcpguard.onboarding.discovery.entry import Entry

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
                "asks for a value when it starts (${input:…}), which mcpguard does not do: insert the "
                "value first"
            )
        if inside == "userHome":
            return str(home)
        if inside == "workspaceFolder" and project is not None:
            return str(project)
    elif client.style in ("plain", "shell") and _NAME.fullmatch(inside):
        return f"${{env:{inside}}}"
    raise Stays("has a `${…}` that has no equivalent in mcpguard: write the value out first")


def remote(entry: Entry) -> Entry:
    """`npx mcp-remote URL --header …`, which connects for a client that cannot, as the server itself.

    Anything else comes back as it is.
    """
    from msgspec.structs import replace

    words = [word for word in entry.args if word not in ("-y", "--yes")]
    if not words or re.sub(r"@[^@/]*$", "", words[0]) != "mcp-remote" or len(words) < 4:
        return entry
    headers: dict[str, str] = {}
    for flag, value in zip(words[2::2], words[3::2], strict=False):
        name, colon, rest = value.partition(":")
        if flag != "--header" or not colon:
            return entry
        # It fills these in from its environment by itself.
        headers[name] = re.sub(r"\$\{(\w+)\}", lambda found: entry.env.get(found[1], found[0]), rest.strip())
    if len(words) % 2:
        return entry
    return replace(entry, command="", args=(), env={}, cwd="", url=words[1], headers=headers, secrets=())
