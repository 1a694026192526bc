"""`cidr(text, ranges)`: whether an address is in one of the ranges.

Law of this file: only an address has an answer; a name is an error, since it could lead anywhere.
"""

from __future__ import annotations

from mcpguard.core.functions.function import Function, FunctionError, Parameter, as_list
from mcpguard.core.functions.web.networks import check_plain, within
from mcpguard.core.functions.web.urls import SCHEMES, host_of


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
    summary="Whether an IP address is in one of the ranges (RFC 4632). The text is an address, or a URL or "
    "`host:port` whose host is one; a name is an error. `schemes`: see `url`.",
    parameters=(Parameter("text", "string"), Parameter("ranges", "strings", check=within), SCHEMES),
    gives="a bool",
    call=cidr,
    examples=(
        'cidr("10.1.2.3", "10.0.0.0/8")',
        'cidr("192.168.1.7:8080", ["10.0.0.0/8", "192.168.1.7"])',
        'cidr("http://[2001:db8::5]/", "2001:db8::/32") && cidr("2001:db8::5", "2001:db8::/32")',
        'cidr("::ffff:10.1.2.3", "10.0.0.0/8")',
        '!cidr("11.0.0.1", "10.0.0.0/8") && !cidr("::1", "0.0.0.0/0")',
    ),
    errors=(
        'cidr("example.com", "0.0.0.0/0")',
        'cidr("10.1.2", "10.0.0.0/8")',
        'cidr("10.1.2.3", "10.0.0.1/8")',
        'cidr("10.1.2.3", "10.0.0.0/255.0.0.0")',
        'cidr("2002:a01:203::1", "2002::/16")',
    ),
)
