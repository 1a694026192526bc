"""URLs of all forms that readers are known to differ on, and ordinary ones, by chance from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

GOOD = "docs.python.org"
NAMES = [
    *(GOOD, "DOCS.Python.ORG", f"{GOOD}.", "evil.com", "example.com.evil.com", "metadata.google.internal"),
    *("localhost", "localhost.", "a.b.docs.python.org", "xn--bcher-kva.example.org", "bücher.example.org"),
]
ODD_NAMES = [
    *(
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0",
        "1.2.3.4.5",
        "0x7f.",
    ),
    *("[::1]", "[::ffff:127.0.0.1]", "[::1%25lo]", "[::1", "::1", "[2001:db8::1]", "[::ffff:0:0]", "[v1.x]"),
    *(
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "\uff44ocs.python.org",
        "docs\u3002python\u3002org",
        "faß.de",
        "ⓔvil.com",
        "℀.com",
    ),
    *("docs.python.org\\", "evil.com\\", "%64ocs.python.org", "evil.com%00", "evil.com%2f", "evil.com%23"),
    *(
        "evil.com,docs.python.org",
        "evil.com;docs.python.org",
        "",
        ".",
        "..",
        "-evil.com",
        "a..b",
        ".evil.com",
    ),
    *("evil.com{", "evil.com|", "evil.com'", 'evil.com"', "evil.com`", "evil.com^", "evil.com<", "evil.com*"),
    *(
        "ab\u00addocs.python.org",
        "a\u200bb.org",
        "\u0430pple.com",
        "xn--a",
        "xn--",
        "evil.com\u2044",
        "K.com",
    ),
]
SCHEMES = ["http", "https", "HTTP", "hTTps"]
ODD_SCHEMES = [
    *("evil.com", "metadata.google.internal", "http.evil.com", "a.b", "evil.com:80", "1http", "http+unix"),
    *(
        "ftp",
        "ws",
        "wss",
        "file",
        "javascript",
        "data",
        "blob:http",
        "view-source:http",
        "jar:https",
        "",
        "-",
    ),
    *(
        "ht\ttp",
        " http",
        "http ",
        "\x00http",
        "http\u017f",
        "http:http",
        "localhost",
        "127.0.0.1",
        "h%74tp",
        "+http",
    ),
]
MARKS = [
    *(
        "://",
        ":/",
        ":",
        ":///",
        "::// ",
        "//",
        ":\\\\",
        ":/\\",
        ":\\/",
        ";//",
        ":\t//",
        ": //",
        "://\\",
        ":////",
        "/",
    ),
]
USERS = [
    "",
    "",
    "",
    f"{GOOD}@",
    "evil.com@",
    "a:b@",
    ":@",
    "a@b@",
    f"{GOOD}:443@",
    "a%40b@",
    "a\\@",
    "a/@",
    "#@",
]
PORTS = [
    "",
    "",
    "",
    ":80",
    ":443",
    ":8443",
    ":",
    ":0",
    ":065",
    ":65536",
    ":80:80",
    ":8a",
    ":٨٠",
    ":+80",
    ":-1",
    ": 80",
]
TAILS = [
    *(
        "",
        "/",
        "/3/library",
        "/a?b=c#d",
        "/{a}|b",
        "/[id]?ids[]=1",
        "/日本語/é?q=ü",
        "?q=1",
        "#top",
        "/a;v=1",
    ),
    *(
        "/?q=100%",
        "/?q=100%&x=a%20b",
        '/?q="x"&r=<y>',
        "/?re=^\\d+`",
        "/%7Euser",
        "/a%2Fb",
        "/@me",
        "/?u=http://x",
    ),
]
ODD_TAILS = [
    *(
        f"@{GOOD}/",
        f"#@{GOOD}/",
        f"?@{GOOD}/",
        f"\\@{GOOD}/",
        f"/@{GOOD}",
        f"&@{GOOD}#@evil.com",
        f"%2f@{GOOD}/",
    ),
    *(
        "\\",
        "\\..\\",
        "/..",
        "/%2e%2e/",
        "//evil.com",
        "/\\evil.com",
        "%",
        "/%",
        "/%zz",
        "%00",
        "\r\nHost: evil.com",
    ),
    *(
        f"://{GOOD}/",
        f".{GOOD}",
        f"/.{GOOD}",
        f";{GOOD}",
        f":80@{GOOD}",
        f"?\\.{GOOD}",
        f"#\\.{GOOD}",
        "?x#y@z#",
    ),
]
ODD_CHARACTERS = "\\/@:?#%&;|{}[]<>^`'\"!$*()+,= \t\r\n\x00\x01\x0b\x7f\x85\u00a0\u2028\u3000\ufeff\uff0e\uff0f\u3002\u2100\u017fßİ"


def ordinary(chance: Random) -> str:
    """A URL that any client takes, and that nobody would call odd."""
    host = chance.choice([*NAMES, "1.2.3.4", "[2001:db8::1]"])
    port = chance.choice(["", "", ":80", ":8443"])
    return f"{chance.choice(SCHEMES)}://{host}{port}{chance.choice(TAILS)}"


def odd(chance: Random) -> str:
    """A URL with one to three parts that readers differ on, some characters wrong, or only the end of one."""
    parts = [
        [SCHEMES, ODD_SCHEMES],
        [MARKS[:1], MARKS],
        [USERS[:1], USERS],
        [NAMES, ODD_NAMES],
        [PORTS[:1], PORTS],
        [TAILS, ODD_TAILS],
    ]
    chosen = chance.sample(range(len(parts)), chance.randint(1, 3))
    text = "".join(chance.choice(part[number in chosen]) for number, part in enumerate(parts))
    if chance.random() < 0.15:
        text = text.partition("://")[2] or text
    for _ in range(chance.choice([0, 0, 1, 2])):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(ODD_CHARACTERS) + text[at + chance.choice([0, 0, 1]) :]
    return text


def urls(seed: int, count: int) -> Iterator[str]:
    """`count` texts, most of them odd."""
    chance = Random(seed)
    for number in range(count):
        yield ordinary(chance) if number % 5 == 0 else odd(chance)
