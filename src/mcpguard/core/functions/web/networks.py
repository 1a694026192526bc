"""Patterns of hosts and addresses, as an author writes them in a condition.

Law of this file: a pattern that cannot be read is an error, never one that matches nothing; a name never
matches a pattern of addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.web.hosts import Host, read_host

Test = Callable[[Host], bool]

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
        raise FunctionError("an IPv6 address that carries an IPv4 address leads nobody knows where")


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
            raise FunctionError("`*.` in a pattern must stand before a name")
        end = "." + below.name
        return lambda host: host.address is None and host.name.endswith(end)
    if "/" in pattern or ":" in pattern:
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
