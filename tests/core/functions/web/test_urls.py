"""URLs and hosts have one reading or none."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from mcpguard.core.conditions.cel import ConditionError
from mcpguard.core.conditions.engines import engine
from mcpguard.core.functions import FUNCTIONS, FunctionError, apply
from mcpguard.core.functions.function import MOST_TEXTS
from mcpguard.core.functions.web.urls import LIMIT
from tests.rows import each

HOSTS = ["api.example.com", "*.cdn.example.com", "10.0.0.0/8"]


def says(name: str, *arguments: Any) -> Any:
    """The answer; None for an error."""
    try:
        return apply(FUNCTIONS[name], arguments)
    except FunctionError:
        return None


def message(name: str, *arguments: Any) -> str:
    with pytest.raises(FunctionError) as caught:
        apply(FUNCTIONS[name], arguments)
    return str(caught.value)


def test_a_url_has_all_of_its_parts() -> None:
    url = says("url", "HTTPS://Jane:pw@API.Example.com:8443/a%2fb/%7ex;v?q=%3d&x=é#top?")
    assert url == {
        "scheme": "https",
        "host": "api.example.com",
        "port": 8443,
        "path": "/a%2Fb/~x;v",
        "query": "q=%3D&x=%C3%A9",
        "fragment": "top?",
        "user": True,
        "ip": False,
    }
    assert tuple(url) == FUNCTIONS["url"].fields


@each(
    ("text", "host"),
    [
        ("http://1.2.3.4/", "1.2.3.4"),
        ("http://[2001:DB8:0::0:1]/", "2001:db8::1"),
        ("http://[::ffff:1.2.3.4]/", "1.2.3.4"),
        ("http://пример.испытание/", "xn--e1afmkfd.xn--80akhbyknj4f"),
        ("http://xn--bcher-kva.Example/", "xn--bcher-kva.example"),
        ("http://my_host-1.example.com/", "my_host-1.example.com"),
    ],
)
def test_a_host_has_one_form(text: str, host: str) -> None:
    assert says("url", text)["host"] == host


@each(
    ("text", "why"),
    [
        ("http://[::1/", "bracket"),
        ("http://[::g]/", "IPv6"),
        ("http://[::1%25]/", "zone"),
        ("http://1:2:3/", "brackets"),
        ("http://" + "a" * 254 + "/", "253"),
        ("http://" + "a" * 64 + ".com/", "labels"),
        ("http://" + "ü" * 120 + "." + "ü" * 120 + "/", "internationalised"),
        ("http://" + ".".join(["üüüüüüüü"] * 20) + "/", "internationalised"),
        ("http://faß.example/", "IDNA 2003"),
        ("http://Bücher.example/x", ""),
        ("http://BÜCHER.example/", "replace"),
        ("http://☃.example/", "internationalised"),
        ("http://xn--i-7iq.example/", "Punycode"),
        ("http://xn--caf-dma.xn--caf-/", "labels"),
        ("http://a.example/%ff", "UTF-8"),
        ("http://a.example/%2525252525252e", "again"),
        ("http://a.example/%0d%0a", "control"),
        ("http://a.example/%c2%85", "control"),
        ("http://a.example/%ef%bc%8e./", "`..`"),
        ("http://a.example/x/..;v/y", "`..`"),
        ("http://a.example/%2e%2e%2fx", "`..`"),
        ("http://a.example/%25252e%25252e/", "`..`"),
        ("http://a.example/%5c..%5c", "`..`"),
        ("http://a.example//x", "`//`"),
        ("http://a.example/%", "`%`"),
        ("http://a.example/\u2028", "seen"),
        ("http://a.example/\u00a0", "seen"),
        ("http://a.example/\ud800", "seen"),
        ("http://a.example/" + "a" * LIMIT, "8,192"),
        ("http://a.example/\0", "NUL"),
        ("http://a b@a.example/", "escaped"),
        ("http://a[@a.example/", "user name"),
        ("http://a.example#x@y", "before an `@`"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str, why: str) -> None:
    if why:
        assert why in message("url", text)
    else:
        assert says("url", text)["host"] == "xn--bcher-kva.example"


def test_a_refusal_never_quotes_the_argument() -> None:
    for name, *more in (("url",), ("hostIn", "a.com"), ("isPrivateHost",), ("cidr", "10.0.0.0/8")):
        for text in ("https://s3cret@x y/", "s3cret:s3cret", "https://s3cret:s3cret/", "http://s3cret.%zz"):
            assert "s3cret" not in message(name, text, *more)


def test_a_list_of_patterns_is_read_to_its_end() -> None:
    assert says("hostIn", "http://a.com/", ["a.com", "b.*"]) is None
    assert says("hostIn", "http://a.com/", ["a.com"] * (MOST_TEXTS + 1)) is None
    assert says("pathWithin", "/a", ["/a" * 1000] * 17) is None
    assert says("hostIn", "http://a.com/", []) is False
    assert says("hostIn", "a b", []) is None


@each(
    "pattern",
    [
        *("", "*", "*.", "*.1.2.3.4", "a.*", "**.a.com", "a.com:80", "a.com/8", "https://a.com", "a.com."),
        *("1.2.3", "1.2.3.4/33", "1.2.3.4/x", "1.2.3.4/", "1.2.3.4/8", "::1%1", "::ffff:0:0/97", "1/8"),
        *("1.2.3.4/\u0663", "[::1", "::/0" + " " * 80),
    ],
)
def test_a_pattern_that_cannot_be_read_is_an_error(pattern: str) -> None:
    assert says("hostIn", "http://b.com/", pattern) is None
    if "." not in pattern or "/" in pattern:
        assert says("cidr", "1.2.3.4", pattern) is None


@each(
    "text",
    ["64:ff9b::1.2.3.4", "2002:102:304::1", "::1.2.3.4", "2001::1", "2a00::5efe:1.2.3.4", "::ffff:0:1.2.3.4"],
)
def test_an_address_that_carries_another_is_in_no_list(text: str) -> None:
    assert says("cidr", text, "::/0") is None
    assert says("hostIn", text, "::/0") is None
    assert says("isPrivateHost", text) is True


def test_a_range_holds_addresses_of_its_own_version_only() -> None:
    assert says("cidr", "::1", ["0.0.0.0/0", "::/0"]) is True
    assert says("cidr", "1.2.3.4", "::/0") is False
    assert says("cidr", "[2a00::1]:80", "[2a00::1]") is True
    assert says("hostIn", "a.com", "0.0.0.0/0") is False


TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "http",
                "https",
                ":",
                "/",
                "//",
                "://",
                "@",
                "\\",
                "#",
                "?",
                "[",
                "]",
                "%2e",
                "%",
                "..",
                ".",
                "a.com",
                "api.example.com",
                "127.0.0.1",
                "0x7f",
                "::1",
                ":80",
                "é",
                "ß",
                "。",
                "\t",
                " ",
                "xn--",
                "-",
                "_",
                "1",
            ]
        ),
        max_size=12,
    ).map("".join),
)


@given(TEXTS, TEXTS)
def test_no_text_makes_anything_but_an_answer_or_a_refusal(text: str, pattern: str) -> None:
    for name in ("url", "isPrivateHost"):
        says(name, text)
        says(name, "http://" + text)
    for name in ("hostIn", "cidr"):
        says(name, text, pattern)


@given(TEXTS)
def test_other_readers_see_the_same_host(text: str) -> None:
    for url in (text, "http://" + text, "https://api.example.com" + text):
        seen = says("url", url)
        if seen is not None:
            other, third = urlsplit(url), URL(url)
            assert str(third.raw_host).removesuffix(".") == seen["host"] or seen["ip"]
            assert seen["port"] == (other.port or seen["port"])
            if url.isascii() and not seen["ip"]:
                assert str(other.hostname).removesuffix(".") == seen["host"]
                assert other.scheme == seen["scheme"]


DISGUISES = [
    lambda url: url.swapcase(),
    lambda url: url.replace(".com", ".com.."),
    lambda url: url.replace("://", "://x@"),
    lambda url: url.replace("://", ":/"),
    lambda url: url.replace("/", "\\"),
    lambda url: url.replace(".", "\uff0e"),
    lambda url: url.replace("a", "\uff41"),
    lambda url: url.replace("e", "%65"),
    lambda url: url.replace("m", "m\t"),
    lambda url: " " + url,
    lambda url: url + "#@api.example.com",
    lambda url: url + "?@api.example.com",
]


@given(
    st.sampled_from(["evil.com", "example.com", "cdn.example.com", "api.example.com.evil.com", "11.0.0.1"]),
    st.sampled_from(["http://{}", "https://{}/", "https://{}/x?y#z", "https://{}:8080/"]),
    st.lists(st.sampled_from(DISGUISES), max_size=3),
)
def test_no_disguise_puts_a_host_into_the_list(host: str, form: str, disguises: list[Any]) -> None:
    url = form.format(host)
    assert says("hostIn", url, HOSTS) is False
    for disguise in disguises:
        url = disguise(url)
    assert says("hostIn", url, HOSTS) is not True


SPELLINGS = [
    str,
    lambda ip: str(int(ip)),
    lambda ip: hex(int(ip)),
    lambda ip: f"0{int(ip):o}",
    lambda ip: ".".join(f"0{byte:o}" for byte in ip.packed),
    lambda ip: ".".join(hex(byte) for byte in ip.packed),
    lambda ip: f"{ip.packed[0]}.{int(ip) & 0xFFFFFF}",
    lambda ip: f"{ip}.",
    lambda ip: f"[::ffff:{ip}]",
    lambda ip: f"[::{ip}]",
    lambda ip: f"[64:ff9b::{ip}]",
    lambda ip: f"[2002:{ip.packed[0]:02x}{ip.packed[1]:02x}:{ip.packed[2]:02x}{ip.packed[3]:02x}::1]",
    lambda ip: f"[2a00::5efe:{ip}]",
    lambda ip: f"{ip}.nip.io",
    lambda ip: f"{ip}.rebind.org",
    lambda ip: f"x-{str(ip).replace('.', '-')}.rebind.org",
    lambda ip: f"{ip.packed.hex()}.sslip.io",
    lambda ip: quote(str(ip), safe="").replace(".", "%2e"),
    lambda ip: str(ip).replace(".", "\u3002"),
]


@given(
    st.sampled_from([0x7F000000, 0x0A000000, 0xC0A80000, 0xAC100000, 0xA9FE0000, 0x64400000, 0xE0000000]),
    st.integers(0, 0xFFFF),
    st.sampled_from(SPELLINGS),
    st.sampled_from(["http://{}/", "https://{}:8443", "{}", "ftp://{}/x"]),
)
def test_no_spelling_makes_a_private_address_public(network: int, low: int, spelling: Any, form: str) -> None:
    assert says("isPrivateHost", form.format(spelling(IPv4Address(network | low)))) is not False


@given(st.text("abc/AB.é~-", max_size=10), st.integers(0, 10))
def test_an_escape_that_means_nothing_changes_nothing(path: str, at: int) -> None:
    plain = "https://api.example.com/" + path
    escaped = plain[: 24 + at] + "".join(
        f"%{byte:02x}" for byte in plain[24 + at : 25 + at].encode() if byte != 0x2F
    )
    escaped += plain[24 + at : 25 + at] if plain[24 + at : 25 + at] == "/" else ""
    assert says("url", escaped + plain[25 + at :]) == says("url", plain)


@pytest.mark.parametrize(
    ("schemes", "reads"),
    [
        (None, ["http", "https"]),
        ("https", ["https"]),
        (["wss", "git+ssh", "x-1"], ["wss", "git+ssh", "x-1"]),
        ([], []),
    ],
)
def test_the_schemes_that_are_read_are_those_that_a_condition_names(schemes: Any, reads: list[str]) -> None:
    more = [] if schemes is None else [schemes]
    for scheme in ("http", "https", "HTTPS", "wss", "ftp", "git+ssh", "x-1", "evil.com"):
        text = f"{scheme}://1.2.3.4/x"
        read = scheme.lower() in reads
        assert (says("url", text, *more) is not None) is read
        assert says("hostIn", text, "1.2.3.4", *more) is (read or None)
        assert says("cidr", text, "1.2.3.4/32", *more) is (read or None)
        assert says("isPrivateHost", text, *more) is (False if read else None)


@each("scheme", ["evil.com", "HTTP", "https://", "", "1http", "file", "javascript", "a" * 33])
def test_a_scheme_that_can_never_be_read_is_an_error(scheme: str) -> None:
    for schemes in (scheme, ["https", scheme]):
        assert says("url", "https://example.com/", schemes) is None
        with pytest.raises(ConditionError, match=r"url\(\) cannot use"):
            engine().compile(f"url(args.url, {json.dumps(schemes)}).ip")


def test_a_query_names_no_other_host() -> None:
    for scheme, reads in (
        ("http", True),
        ("wss", True),
        ("ftp", True),
        ("postgresql", False),
        ("redis", False),
    ):
        assert (says("url", f"{scheme}://example.com/a?host=evil.com", [scheme]) is not None) is reads
        assert says("url", f"{scheme}://example.com/a", [scheme])["host"] == "example.com"


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ('hostIn(args.url, "https://example.com")', "https://example.com"),
        ('hostIn(args.url, ["example.com", "*"])', "`\\*`"),
        ('cidr(args.ip, "10.0.0.1/8")', "bits"),
        ('cidr(args.ip, ["10.0.0.0/8", "example.com"])', "example.com"),
    ],
)
def test_a_pattern_that_can_never_match_is_known_when_a_policy_is_loaded(condition: str, why: str) -> None:
    with pytest.raises(ConditionError, match=why):
        engine().compile(condition)


def test_a_name_may_end_with_the_dot_of_the_root() -> None:
    assert says("url", "http://Example.COM.:8080/")["host"] == "example.com"
    assert says("hostIn", "example.com.", "example.com") is True
    assert says("hostIn", "http://a.example.com./", "*.example.com") is True
    for text in ("http://localhost./", "metadata.google.internal.", "http://127.0.0.1.nip.io./"):
        assert says("isPrivateHost", text) is True
    for text in ("http://1.2.3.4./", "http://[::1]./", "http://a../", "http://./", "example.com.."):
        assert says("isPrivateHost", text) is None


def test_what_follows_the_host_is_read_as_people_write_it() -> None:
    url = says("url", 'https://example.com/{a}|^"<>`/é?q=100%&r={"a|b"}%20\\d+%zz#50%')
    assert url["path"] == "/%7Ba%7D%7C%5E%22%3C%3E%60/%C3%A9"
    assert url["query"] == "q=100%25&r=%7B%22a%7Cb%22%7D%20%5Cd+%25zz"
    assert url["fragment"] == "50%25"
