"""`hostIn(texts, patterns)`: whether a URL or a host, or each of a list, is one that an author listed.

Law of this file: a name is compared as text and never resolved, so a name in the list that leads to a
private address is in the list all the same.
"""

from __future__ import annotations

from mcpguard.core.functions.function import Function, Parameter, as_list, of_each
from mcpguard.core.functions.web.hosts import Host
from mcpguard.core.functions.web.networks import Test, check_plain, host_test
from mcpguard.core.functions.web.urls import SCHEMES, host_of


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
    summary="Whether the host of a URL, or a bare `host` or `host:port`, matches one of the patterns: "
    "`example.com` is that host only, `*.example.com` all hosts below it, `10.0.0.0/8` or an address matches "
    "addresses. Ports are ignored, names are never resolved. For a list of texts it is true "
    "if all match and false if none does; an empty list, or one in which only some match, is an error. "
    "`schemes`: see `url`.",
    parameters=(Parameter("texts", "strings"), Parameter("patterns", "strings", check=host_test), SCHEMES),
    gives="a bool",
    call=host_in,
    examples=(
        'hostIn("https://api.example.com/v1", ["api.example.com", "*.cdn.example.com"])',
        'hostIn("https://eu.cdn.example.com/x.js", ["api.example.com", "*.cdn.example.com"])',
        '!hostIn("https://cdn.example.com/", "*.cdn.example.com")',
        '!hostIn("https://api.example.com.evil.example/", "api.example.com")',
        'hostIn("API.EXAMPLE.COM:8443", "api.example.com")',
        'hostIn("http://10.1.2.3/", ["10.0.0.0/8"]) && hostIn("[2001:db8::1]:80", "2001:db8::/32")',
        'hostIn("http://[::ffff:10.1.2.3]/", "10.0.0.0/8")',
        '!hostIn("https://example.com/", "10.0.0.0/8")',
        'hostIn(["https://api.example.com/", "cdn.example.com:443"], ["api.example.com", "cdn.example.com"])',
        'hostIn("https://api.example.com./a{b}|c?q=100%", "api.example.com")',
        'hostIn("wss://api.example.com/socket", "api.example.com", ["wss", "https"])',
    ),
    errors=(
        'hostIn("https://api.example.com@evil.example/", "api.example.com")',
        'hostIn("https://evil.example@api.example.com/", "api.example.com")',
        'hostIn("evil.example://api.example.com/", "api.example.com")',
        'hostIn("ftp://api.example.com/", "api.example.com")',
        'hostIn("https://api.example.com/", "api.*.com")',
        'hostIn("http://10.1.2.3/", "10.1.2.3/8")',
        'hostIn("api.example.com/v1", "api.example.com")',
        'hostIn(["https://api.example.com/", "https://evil.example/"], "api.example.com")',
        'hostIn([], "api.example.com")',
    ),
)
