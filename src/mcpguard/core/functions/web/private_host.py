"""`isPrivateHost(text)`: whether a host is, or may well be, something other than the public internet.

Law of this file: only a global unicast address, or a name that could be one's of the public DNS, is not
private. A name is never resolved: a public name that its owner points at a private address is seen by
whoever connects, not here.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from mcpguard.core.functions.function import Function, Parameter
from mcpguard.core.functions.web.networks import carries_ipv4
from mcpguard.core.functions.web.urls import SCHEMES, host_of

_SPECIAL4 = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's platform, which every machine there reaches
    )
)
_GLOBAL6 = IPv6Network("2000::/3")
_SPECIAL6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
"""The special-purpose registries of IANA (RFC 6890), kept here so that no version of Python changes them;
without 6to4, which `carries_ipv4` knows."""

LOCAL = frozenset(
    """
    alt arpa consul corp example home internal intranet invalid kube lan local localdomain localhost localnet
    mail onion private svc test
    """.split()  # noqa: SIM905 - one word a line would be a page
)
"""Last labels of names that the public DNS does not have (RFC 6761, 6762, 7686, 8375, 9476; ICANN)."""

REBINDING = frozenset(
    """
    1u.ms 42foo.com fritz.box fuf.me ipq.co lacolhost.com lcl.host local-ip.co local-ip.medicmobile.org
    local-ip.sh local.gd localho.st localhost.direct localtest.me lvh.me metadata.goog metadata.packet.net
    metadata.platformequinix.com metadata.tencentyun.com nip.io plex.direct rbndr.us router.asus.com
    routerlogin.net smackaho.st spoofed.burpcollaborator.net sslip.io tplinkwifi.net traefik.me ts.net vcap.me
    xip.io xip.name yoogle.com
    """.split()  # noqa: SIM905 - one word a line would be a page
)
"""Public domains known to lead to a private address, or to one that stands in the name below them."""

_EMBEDDED = re.compile(r"(?<![0-9])(?=([0-9]{1,3})[.-]([0-9]{1,3})[.-]([0-9]{1,3})[.-]([0-9]{1,3})(?![0-9]))")


def is_private_host(text: str, schemes: str | list[str] | None = None) -> bool:
    """Whether the host in `text` is not plainly of the public internet. Raises FunctionError for a text
    that cannot be read as one host, and for `schemes` as `read_url` does."""
    host = host_of("isPrivateHost", text, schemes)
    if host.address is not None:
        return not is_global(host.address)
    return _is_local_name(host.name)


def is_global(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is global unicast and leads to itself, not to an IPv4 address that it carries."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL4)
    if address not in _GLOBAL6 or carries_ipv4(address):
        return False
    return not any(address in network for network in _SPECIAL6)


def _is_local_name(name: str) -> bool:
    labels = name.split(".")
    top = labels[-1]
    if len(labels) == 1 or top in LOCAL or not (top.isalpha() or top.startswith("xn--")):
        return True
    if any(".".join(labels[start:]) in REBINDING for start in range(len(labels))):
        return True
    return any(_embeds_private(found.groups()) for found in _EMBEDDED.finditer(name))


def _embeds_private(numbers: tuple[str, ...]) -> bool:
    """Whether four numbers in a name, as wildcard names have them, are an address that is not global."""
    values = [int(number) for number in numbers]
    return max(values) < 256 and not is_global(IPv4Address(bytes(values)))


IS_PRIVATE_HOST = Function(
    name="isPrivateHost",
    summary="Whether the host of a URL, or a bare `host` or `host:port`, is not of the public internet: an "
    "address that is not global unicast (loopback, private, link-local and cloud metadata, shared, "
    "multicast, reserved, or IPv6 that carries an IPv4 address), a name without a dot, one that only "
    "local networks have, or one known to lead to such an address. Names are never resolved. "
    "`schemes`: see `url`.",
    parameters=(Parameter("text", "string"), SCHEMES),
    gives="a bool",
    call=is_private_host,
    examples=(
        'isPrivateHost("http://169.254.169.254/latest/meta-data/")',
        'isPrivateHost("http://[::1]:8080/") && isPrivateHost("::ffff:10.0.0.1")',
        'isPrivateHost("http://[64:ff9b::7f00:1]/") && isPrivateHost("http://[2002:7f00:1::]/")',
        'isPrivateHost("localhost") && isPrivateHost("printer") && isPrivateHost("nas.local")',
        'isPrivateHost("http://127.0.0.1.nip.io/") && isPrivateHost("10-0-0-1.evil.example.com")',
        '!isPrivateHost("https://example.com/") && !isPrivateHost("8.8.8.8:53")',
        '!isPrivateHost("http://[2606:4700::6810:84e5]/")',
        '!isPrivateHost("ssh://example.com/x", ["ssh"])',
    ),
    errors=(
        'isPrivateHost("http://127.1/")',
        'isPrivateHost("http://2130706433/")',
        'isPrivateHost("http://example.com@127.0.0.1/")',
        'isPrivateHost("metadata.google.internal://example.com/")',
        'isPrivateHost("")',
    ),
)
