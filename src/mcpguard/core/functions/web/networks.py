"""`hostIn()`, `cidr()` and `isPrivateHost()`: which hosts and addresses a text means.

Law of this file: a pattern that cannot be read is an error, never one that matches nothing; a name never
matches a pattern of addresses. A name is compared as text and never resolved, so a name in the list that
leads to a private address is in the list all the same, and `cidr()` refuses names. Only a global unicast
address, or a name that could be one's of the public DNS, is not private; a public name that its owner points
at a private address is seen by whoever connects, not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from mcpguard.core.functions.function import Function, FunctionError, Parameter, as_list, of_each
from mcpguard.core.functions.web.hosts import Host, read_host
from mcpguard.core.functions.web.urls import SCHEMES, host_of
from mcpguard.core.tables import names, sections

Test = Callable[[Host], bool]

_LIKE_AN_ADDRESS = re.compile(r"[0-9A-Fa-f:.[\]]*(?:[/%]|$)")
_MAPPED = IPv6Network("::ffff:0:0/96")
_CARRIERS = tuple(
    map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"))
)


def carries_ipv4(address: IPv6Address) -> bool:
    """Whether an IPv6 address stands for an IPv4 one that it holds: compatible (RFC 4291), translated
    (RFC 2765), NAT64 (RFC 6052, RFC 8215), Teredo (RFC 4380), 6to4 (RFC 3056) or ISATAP (RFC 5214). Mapped
    ones never come here."""
    if int(address) < 2:  # the unspecified one and the loopback
        return False
    return int(address) >> 32 & 0xFDFFFFFF == 0x5EFE or any(address in network for network in _CARRIERS)


def check_plain(host: Host) -> None:
    """Raises FunctionError for an IPv6 address that carries an IPv4 one: where it leads is not known."""
    if isinstance(host.address, IPv6Address) and carries_ipv4(host.address):
        raise FunctionError("an IPv6 address that carries an IPv4 address could lead anywhere")


def within(pattern: str) -> Test:
    """The test of an address or a range such as 10.0.0.0/8. Raises FunctionError for anything else."""
    network = _network(pattern)
    return lambda host: host.address is not None and _holds(network, host.address)


@lru_cache(maxsize=512)
def host_test(pattern: str) -> Test:
    """The test of "example.com" (itself only), "*.example.com" (all below it), an address or a range.

    Raises FunctionError for anything else.
    """
    if pattern.startswith("*."):
        below = read_host(pattern[2:])
        if below.address is not None:
            raise FunctionError("`*.` in a pattern must be followed by a name")
        end = "." + below.name
        return lambda host: host.address is None and host.name.endswith(end)
    if "/" in pattern or ":" in pattern:
        if not _LIKE_AN_ADDRESS.match(pattern):
            raise FunctionError("a pattern is a host alone, such as `example.com`: no scheme, port or path")
        return within(pattern)
    name = read_host(pattern).name
    return lambda host: host.name == name


def _holds(network: IPv4Network | IPv6Network, address: IPv4Address | IPv6Address) -> bool:
    return network.version == address.version and address in network


@lru_cache(maxsize=512)
def _network(pattern: str) -> IPv4Network | IPv6Network:
    text = pattern[1:-1] if pattern.startswith("[") and pattern.endswith("]") else pattern
    if "%" in text or len(text) > 64:
        raise FunctionError("a range must be an address, or an address with `/` and a number of bits")
    _, slash, bits = text.partition("/")
    if slash and not (bits.isascii() and bits.isdigit()):
        raise FunctionError("a range must have a number of bits after its `/`")
    try:
        network = ip_network(text)
    except ValueError:
        raise FunctionError("a range must be an address whose bits behind the `/` are zero") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        raise FunctionError("a range of mapped IPv4 addresses must be written as an IPv4 range")
    return network


def host_in(
    texts: str | list[str], patterns: str | list[str], schemes: str | list[str] | None = None
) -> bool:
    """Whether the host in a text, or in each of a list, matches one of `patterns`. Raises FunctionError for a
    text or a pattern that cannot be read, even one that would not matter, for addresses as `check_plain`
    does, for a list as `of_each` does, and for `schemes` as `read_url` does."""
    tests = [host_test(pattern) for pattern in as_list(patterns)]
    return of_each(texts, lambda text: _matches(host_of("hostIn", text, schemes), tests))


def _matches(host: Host, tests: list[Test]) -> bool:
    check_plain(host)
    return any(test(host) for test in tests)


HOST_IN = Function(
    name="hostIn",
    parameters=(Parameter("texts", "strings"), Parameter("patterns", "strings", check=host_test), SCHEMES),
    call=host_in,
)


def cidr(text: str, ranges: str | list[str], schemes: str | list[str] | None = None) -> bool:
    """Whether the address in `text` is in one of `ranges`. Raises FunctionError for a name, for a text or a
    range that cannot be read, even one that would not matter, for addresses as `check_plain` does, and for
    `schemes` as `read_url` does."""
    tests = [within(one) for one in as_list(ranges)]
    host = host_of("cidr", text, schemes)
    if host.address is None:
        raise FunctionError("cidr() reads addresses only; names are not resolved")
    check_plain(host)
    return any(test(host) for test in tests)


CIDR = Function(
    name="cidr",
    parameters=(Parameter("text", "string"), Parameter("ranges", "strings", check=within), SCHEMES),
    call=cidr,
)


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
    if len(labels) == 1 or labels[-1] not in domains("top-level"):
        return True
    if any(".".join(labels[start:]) in domains("rebinding") for start in range(len(labels))):
        return True
    return any(_embeds_private(found.groups()) for found in _EMBEDDED.finditer(name))


@cache
def domains(kind: str) -> frozenset[str]:
    """Those of a section of `domains.txt`."""
    return names(sections(__package__, "domains.txt")[kind])


def _embeds_private(numbers: tuple[str, ...]) -> bool:
    """Whether four numbers in a name, as wildcard names have them, are an address that is not global."""
    values = [int(number) for number in numbers]
    return max(values) < 256 and not is_global(IPv4Address(bytes(values)))


IS_PRIVATE_HOST = Function(
    name="isPrivateHost",
    parameters=(Parameter("text", "string"), SCHEMES),
    call=is_private_host,
)
