"""`url(text)`: the parts of a URL.

Law of this file: see `core/functions/web/urls.py`, which reads; this gives its parts to conditions.
"""

from __future__ import annotations

from mcpguard.core.functions.function import Function, Parameter
from mcpguard.core.functions.web.urls import SCHEMES, read_url
from mcpguard.core.model import Json


def parts(text: str, schemes: str | list[str] | None = None) -> dict[str, Json]:
    """The members that `URL.fields` tells. Raises FunctionError as `read_url` does."""
    url = read_url("url", text, schemes)
    return {
        "scheme": url.scheme,
        "host": url.host.name,
        "port": url.port,
        "path": url.path,
        "query": url.query,
        "fragment": url.fragment,
        "user": url.user,
        "ip": url.host.address is not None,
    }


URL = Function(
    name="url",
    summary="Reads a URL as browsers, curl and HTTP libraries all do; where they would connect to different "
    "hosts, it is an error. Only `http` and `https` are read, unless `schemes` lists others: "
    '`url(args.url, ["https", "wss"])`. A scheme is a letter, then letters, digits, `+` and `-`, but no dot. '
    "After the host, characters that should be escaped (`{}`, `|`, quotes, letters of any script) are read "
    "all the same; spaces are not.",
    parameters=(Parameter("text", "string"), SCHEMES),
    gives="a map of its parts",
    call=parts,
    fields={
        "scheme": "In lower case, such as `https`.",
        "host": "In lower case and ASCII: an international name as its `xn--` form, an IPv6 address in its "
        "shortest form without brackets, an IPv4 address inside an IPv6 one as the IPv4 address.",
        "port": "An int: as written, else the default of the scheme, else 0.",
        "path": "From its first `/`; `/` where there is none. It has no `.` or `..` in it, and only the "
        "escapes that must be.",
        "query": "What stands after `?`, without it; empty where there is none. A `%` that begins no escape "
        "is given as `%25`. Only URLs of http, https, ws, wss and ftp may have a query: with other schemes "
        "it could name another host.",
        "fragment": "What stands after `#`, without it; empty where there is none.",
        "user": "A bool: whether a user name or a password stands before the host.",
        "ip": "A bool: whether the host is an address. A name is never resolved.",
    },
    examples=(
        'url("https://API.Example.com/v1/items?page=2").host == "api.example.com"',
        'url("https://api.example.com/v1/items?page=2").path == "/v1/items"',
        'url("https://api.example.com/v1/items?page=2").query == "page=2"',
        'url("https://example.com").port == 443 && url("https://example.com").path == "/"',
        'url("https://good.example@evil.example/").host == "evil.example"',
        'url("https://good.example@evil.example/").user',
        'url("http://[::ffff:10.0.0.1]:8080/").host == "10.0.0.1"',
        'url("http://[2001:DB8::0:1]/").ip && !url("http://example.com/").ip',
        'url("https://b\u00fccher.example/").host == "xn--bcher-kva.example"',
        'url("https://example.com/%61dmin%2fx").path == "/admin%2Fx"',
        'url("https://example.com/a{b}|c?q=100%").path == "/a%7Bb%7D%7Cc"',
        'url("https://example.com/a?q=100%&t=\\"x\\"").query == "q=100%25&t=%22x%22"',
        'url("redis://cache/0#top", "redis").fragment == "top" && url("redis://cache/0", "redis").port == 0',
        'url("wss://example.com/", ["https", "wss"]).scheme == "wss"',
    ),
    errors=(
        'url("https://good.example\\\\@evil.example/").host == "good.example"',
        'url("http://127.1/").ip',
        'url("wss://example.com/").scheme == "wss"',
        'url("evil.example://good.example/").host == "good.example"',
        'url("postgresql://good.example/db?host=evil.example", "postgresql").host == "good.example"',
        'url("file://a/b", "file").host == "a"',
        'url("http://0x7f.0.0.1/").ip',
        'url("https://example.com:/").port == 443',
        'url("//example.com/").host == "example.com"',
        'url("https:example.com").scheme == "https"',
        'url("javascript:alert(1)").scheme == "javascript"',
        'url("file:///etc/passwd").scheme == "file"',
        'url("https://example.com/a/%2e%2e/b").path == "/b"',
        'url(" https://example.com/").host == "example.com"',
    ),
)
