"""Programs that connect to a remote server for a client that cannot, read as that server.

Law of this file: an option that is not listed here leaves the program as it is; so does a login of the
program's own, which mcpguard would not have.
"""

import os
import re
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.plaintext import secrets_of_addresses

_STARTERS = frozenset(("npx", "bunx", "pnpx", "pnpm", "yarn", "npm", "bun", "uvx", "uv", "pipx"))
_LEADING = frozenset(("-y", "--yes", "-q", "--quiet", "x", "dlx", "exec", "run", "tool", "--"))
_VERSION = re.compile(r"(?<=.)(?:@|==)[^@/=]*$")
_NAMED = re.compile(r"\$\{(\w+)\}")


class BridgedServer(Struct):
    """What a program's words say: the server's address and headers, and the transport, "" for any."""

    url: str = ""
    headers: dict[str, str] = {}
    transport: str = ""


def remote(entry: Entry) -> Entry:
    """The remote server that `entry` reaches through such a program, without its secrets; anything else comes
    back as it is."""
    for name, reader in _READERS.items():
        words = _words_after(name, entry)
        if words is None:
            continue
        read = reader(words, entry.env)
        if read is None or not read.url.startswith(("http://", "https://")):
            return entry
        return replace(
            entry,
            command="",
            args=(),
            env={},
            cwd="",
            url=read.url,
            headers=read.headers,
            type=read.transport,
            secrets=(),
        )
    return entry


def _words_after(name: str, entry: Entry) -> list[str] | None:
    """The arguments of the program `name`, None where `entry` does not start it."""
    command = os.path.basename(entry.command)
    if command == name:
        return list(entry.args)
    if command not in _STARTERS:
        return None
    words = list(entry.args)
    while words and words[0] in _LEADING:
        words.pop(0)
    return words[1:] if words and _VERSION.sub("", words[0]) == name else None


def _split(words: Sequence[str], flags: Sequence[str], valued: Sequence[str]) -> list[tuple[str, str]] | None:
    """(option, value) in order, "" for the option of a word without one; None for an option that is in
    neither list."""
    found: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            found.append(("", word))
        elif option in flags and not equals:
            found.append((option, ""))
        elif option in valued and (equals or rest):
            found.append((option, value if equals else rest.pop(0)))
        else:
            return None
    return found


def _header(text: str) -> tuple[str, str] | None:
    name, colon, value = text.partition(":")
    return (name.strip(), value.strip()) if colon and name.strip() else None


def _of_mcp_remote(words: Sequence[str], env: dict[str, str]) -> BridgedServer | None:
    flags = ("--allow-http", "--debug", "--silent", "--enable-proxy")
    valued = ("--header", "--transport", "--host", "--auth-timeout")
    split = _split(words, flags, valued)
    if split is None:
        return None
    plain = [value for option, value in split if not option]
    if not plain or not all(one.isdigit() for one in plain[1:]):
        return None
    read = BridgedServer(url=plain[0])
    for option, value in split:
        if option == "--header":
            header = _header(value)
            if header is None:
                return None
            # It fills these in from its environment by itself.
            read.headers[header[0]] = _NAMED.sub(lambda found: env.get(found[1], found[0]), header[1])
        elif option == "--transport":
            read.transport = {"sse-only": "sse", "http-only": "http"}.get(value, "")
    # Without a credential it logs in by itself.
    return read if read.headers or any(secrets_of_addresses(read.url, serves=True)) else None


def _of_supergateway(words: Sequence[str], env: dict[str, str]) -> BridgedServer | None:
    del env
    valued = ("--sse", "--streamableHttp", "--header", "--oauth2Bearer", "--logLevel", "--outputTransport")
    split = _split(words, (), valued)
    if split is None:
        return None
    said = dict(split)
    read = BridgedServer(url=said.get("--streamableHttp") or said.get("--sse") or "")
    read.transport = "http" if "--streamableHttp" in said else "sse"
    for option, value in split:
        header = _header(value) if option == "--header" else None
        if header is not None:
            read.headers[header[0]] = header[1]
        elif option in ("", "--header"):
            return None
    if "--oauth2Bearer" in said:
        read.headers["Authorization"] = f"Bearer {said['--oauth2Bearer']}"
    return read if said.get("--outputTransport", "stdio") == "stdio" else None


def _of_mcp_proxy(words: Sequence[str], env: dict[str, str]) -> BridgedServer | None:
    read = BridgedServer(transport="sse")
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word in ("-H", "--headers") and len(left) > 1:
            name = left.pop(0)
            read.headers[name] = left.pop(0)
        else:
            rest.append(word)
    split = _split(rest, ("--debug", "--no-debug", "--pass-environment"), ("--transport", "--log-level"))
    plain = [value for option, value in split or () if not option]
    if split is None or len(plain) != 1:
        return None
    read.url = plain[0]
    if ("--transport", "streamablehttp") in split:
        read.transport = "http"
    if "API_ACCESS_TOKEN" in env and "Authorization" not in read.headers:
        read.headers["Authorization"] = f"Bearer {env['API_ACCESS_TOKEN']}"
    return read


_READERS: dict[str, Callable[[Sequence[str], dict[str, str]], BridgedServer | None]] = {
    "mcp-remote": _of_mcp_remote,
    "supergateway": _of_supergateway,
    "mcp-proxy": _of_mcp_proxy,
}
"""Program or package -> what reads its words, by their documentation."""
