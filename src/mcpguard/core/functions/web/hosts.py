"""Hosts as conditions read them: a text -> a name in ASCII or an address, and a port.

Law of this file: one reading or none. Where browsers (WHATWG URL), curl (RFC 3986), the C library and
Python could take a text for two different hosts, it is refused. Nothing is ever resolved: what a name
resolves to is not known here.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from msgspec import Struct

from mcpguard.core.expressions import expression
from mcpguard.core.functions.function import FunctionError

LONGEST = 253
"""Characters of a name (RFC 1035, section 2.3.4, without the dot at its end)."""

_LABEL = expression(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = expression(r"[0-9]+|0x[0-9a-f]*")
_PORT = expression(r"[1-9][0-9]{0,4}")
_DIFFERENT = frozenset("\u00df\u03c2\u200c\u200d")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Host(Struct, frozen=True):
    """`name` is lower-case ASCII: A-labels (RFC 5890), or `address` in its shortest form, an IPv6 one
    without brackets (RFC 5952). `address` is None for a name. An IPv4-mapped address (RFC 4291, section
    2.5.5.2) is the IPv4 address that it leads to."""

    name: str
    address: IPv4Address | IPv6Address | None = None


def read_host(text: str) -> Host:
    """One host: a name, an IPv4 address as four decimal numbers, or an IPv6 address in brackets.

    Raises FunctionError for everything else, which includes escapes, a dot at the end, zone ids, short,
    octal and hexadecimal IPv4 addresses, and names that IDNA 2003 and IDNA 2008 read differently.
    """
    if text.startswith("["):
        if not text.endswith("]"):
            raise FunctionError("an address in brackets must end with its bracket")
        return _address6(text[1:-1])
    if len(text) > LONGEST:
        raise FunctionError(f"a host has at most {LONGEST} characters")
    name = text.translate(_LOWER) if text.isascii() else _a_labels(text.translate(_LOWER))
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise FunctionError("a host must be dotted labels of letters, digits, `-` and `_`, or an address")
    if _NUMBER.fullmatch(labels[-1]):
        return _address4(name)
    for label in labels:
        if label.startswith("xn--"):
            _check_a_label(label)
    return Host(name)


def read_host_and_port(text: str) -> tuple[Host, int]:
    """`host`, `host:port` or an IPv6 address without brackets; port 0 if there is none. A dot at the end
    of a name, which marks it as complete (RFC 1034, section 3.1), is left out.

    Raises FunctionError as `read_host` does, and for a port that is empty, 0, above 65535 or does not
    begin with 1 to 9.
    """
    if text.count(":") > 1 and not text.startswith("["):
        return _address6(text), 0
    head, bracket, rest = text.rpartition("]")
    name, colon, port = rest.partition(":")
    host = read_host(head + bracket + name.removesuffix("."))
    if name.endswith(".") and host.address is not None:
        raise FunctionError("an address must have no dot at its end")
    if not colon:
        return host, 0
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise FunctionError("a port must be a number from 1 to 65535")
    return host, int(port)


def _address4(text: str) -> Host:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        raise FunctionError("an IPv4 address must be four decimal numbers without leading zeros") from None
    return Host(str(address), address)


def _address6(text: str) -> Host:
    if "%" in text:
        raise FunctionError("an IPv6 address must have no zone")
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise FunctionError("an IPv6 address cannot be read") from None
    mapped = address.ipv4_mapped
    return Host(str(mapped), mapped) if mapped else Host(str(address), address)


def _a_labels(text: str) -> str:
    """An internationalised name in ASCII (RFC 5891), if every reader takes it for the same one."""
    # The tables take some 5 ms to import, and most hosts are ASCII.
    import idna

    if not _DIFFERENT.isdisjoint(text):
        raise FunctionError("a host has a character that IDNA 2003 and IDNA 2008 read differently")
    try:
        if idna.uts46_remap(text, std3_rules=True, transitional=False) != text:
            raise FunctionError("a host has a character that some readers replace")
        return idna.encode(text, strict=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise FunctionError("a host is not a valid internationalised name") from None


def _check_a_label(label: str) -> None:
    """RFC 5891, section 5.4: an A-label must be what its U-label gives."""
    import idna

    try:
        same = idna.alabel(idna.ulabel(label)).decode() == label
    except (idna.IDNAError, UnicodeError):
        same = False
    if not same:
        raise FunctionError("a host has a label in Punycode that is not a name")
