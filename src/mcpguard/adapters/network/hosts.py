"""Hosts and addresses: which are of the public internet; and where an OAuth issuer publishes its metadata,
for tokens that we check, and for tokens that we ask for.

Law of this file: what cannot be read counts as private.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

_GLOBAL = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_private(address: str) -> bool:
    """Whether an IP address is not one of the public internet: private, loopback, link-local, multicast,
    reserved, unspecified, or an IPv6 address that has such an IPv4 address in it (mapped, NAT64, 6to4,
    Teredo). What is not an address counts as private."""
    try:
        ip = ip_address(address)
    except ValueError:
        return True
    if isinstance(ip, IPv4Address):
        return not ip.is_global or ip.is_multicast or ip.is_reserved
    inner = _inside(ip)
    if inner:
        return any(is_private(str(each)) for each in inner)
    return ip not in _GLOBAL or not ip.is_global


def _inside(ip: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that this IPv6 address leads to."""
    if ip in _NAT64:
        return [IPv4Address(int(ip) & 0xFFFFFFFF)]
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    return [each for each in found if each is not None]


def plain(host: str) -> str:
    """A host as it is compared: lower case, without brackets and without a dot at its end."""
    return host.lower().strip("[]").rstrip(".")


def is_address(host: str) -> bool:
    """Whether a host is an IP address in its usual form."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer's metadata may be, in order: RFC 8414 section 3.1, then OpenID Discovery as that
    RFC places it, then as OpenID itself does."""
    url = urlsplit(issuer)
    origin, path = f"{url.scheme}://{url.netloc}", url.path.rstrip("/")
    places = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(places))
