"""What real clients make of a URL: the host that each would connect to. Nothing is sent.

A client here is a function of many texts that gives for each the host, "" where it refuses the text.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Sequence

import httpx2
import requests
import urllib3
from yarl import URL

Client = Callable[[Sequence[str]], list[str]]

SECONDS = 120
"""How long one program may take for all texts."""

REFUSED = "http://a b/"
"""What curl refuses, in place of what its configuration cannot hold."""

AT_ONCE = 1000
"""How many URLs curl takes in one run."""

NODE = """
const url = require("url");
const said = (read) => { try { return read() || ""; } catch { return ""; } };
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => [
  said(() => new URL(text).hostname),
  said(() => new URL(new Request(text).url).hostname),
  said(() => /^https?:$/.test(url.parse(text).protocol) && url.parse(text).hostname),
])));
"""
"""WHATWG URL, `fetch`, and the reader that older packages use."""


def node_hosts(node: str, texts: Sequence[str]) -> list[list[str]]:
    """For each text the hosts of NODE's three readers; a lone surrogate reaches node as U+FFFD, as in its own
    messages."""
    sent = json.dumps([text.encode("utf-8", "replace").decode() for text in texts])
    done = subprocess.run(
        [node, "--no-deprecation", "-e", NODE],
        input=sent,
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def curl_hosts(texts: Sequence[str]) -> list[str]:
    """By curl's own reader, which here reaches no further than a closed port of this machine."""
    return [host for at in range(0, len(texts), AT_ONCE) for host in _curl_hosts(texts[at : at + AT_ONCE])]


def _curl_hosts(texts: Sequence[str]) -> list[str]:
    curl = shutil.which("curl")
    assert curl is not None
    lines = [
        'proxy = "http://127.0.0.1:1"',
        'proto = "=http,https"',
        'output = "/dev/null"',
        "globoff",
        "silent",
    ]
    lines += [r'write-out = "%{urlnum} %{url.host}\n"']
    for text in texts:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        lines += [f'url = "{quoted if text.isprintable() and text[:1] not in ("", "@") else REFUSED}"']
    done = subprocess.run(
        [curl, "-q", "-K", "-"],
        input="\n".join(lines).encode("utf-8", "replace"),
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    found = [line.partition(" ")[::2] for line in done.stdout.decode("utf-8", "replace").splitlines()]
    assert [int(number) for number, _ in found] == list(range(len(texts))), done.stderr
    return [host for _, host in found]


def _each(read: Callable[[str], str | None], *refusals: type[Exception]) -> Client:
    def client(texts: Sequence[str]) -> list[str]:
        found = []
        for text in texts:
            try:
                found.append(read(text) or "")
            except (ValueError, UnicodeError, *refusals):
                found.append("")
        return found

    return client


_POOLS = urllib3.PoolManager()
_SESSION = requests.Session()
_CLIENT = httpx2.Client(trust_env=False)


def _requests(text: str) -> str | None:
    prepared = _SESSION.prepare_request(requests.Request("GET", text))
    adapter = _SESSION.get_adapter(str(prepared.url))
    assert isinstance(adapter, requests.adapters.HTTPAdapter)
    return adapter.get_connection_with_tls_context(prepared, verify=True).host


def _urllib(text: str) -> str:
    host = http.client.HTTPConnection(str(urllib.request.Request(text).host or "")).host
    return "" if "@" in host else _name(host)  # it takes a user name for part of the host, which nothing has


def _httpx(text: str) -> str:
    return _CLIENT.build_request("GET", text).url.raw_host.decode()


_GO_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_GO_HOST = re.compile(r"""(\[[0-9A-Fa-f:.]+\]|[^\[\]/@:\\ %^`{|}#?]*)(?::[0-9]*)?""")


def _by_rules_of_go(text: str) -> str:
    """As `net/url` reads: the first `#`, a scheme with dots, the first `?`, then what stands up to a `/`."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        return ""
    found = _GO_SCHEME.fullmatch(text.partition("#")[0])
    if not found or found[1].lower() not in ("http", "https"):
        return ""
    rest = found[2].partition("?")[0]
    place = rest.removeprefix("//").partition("/")[0].rpartition("@")[2]
    host = _GO_HOST.fullmatch(place) if rest.startswith("//") else None
    return host[1] if host else ""


CLIENTS: dict[str, Client] = {
    "urllib3": _each(lambda text: _POOLS.connection_from_url(text).host, urllib3.exceptions.HTTPError),
    "requests": _each(_requests, requests.RequestException),
    "aiohttp": _each(lambda text: URL(text).raw_host),
    "httpx": _each(_httpx, httpx2.InvalidURL),
    "urllib": _each(_urllib, http.client.InvalidURL),
    "Go's rules": _each(_by_rules_of_go),
}
"""Those that run in this process."""


def plain(host: str) -> str:
    """A host as the guard writes it: no brackets, lower case, A-labels, no dot at the end of a name, and an
    IPv4 address that an IPv6 one maps."""
    bare = host.removeprefix("[").removesuffix("]").lower()
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return _name(bare.removesuffix("."))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _name(text: str) -> str:
    try:
        return text if text.isascii() else text.encode("idna").decode()
    except UnicodeError:
        return text
