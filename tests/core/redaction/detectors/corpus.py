"""Outputs of tools with secrets in them: made up here, the same in each run.

A secret is a text that a format of the tables matches, with random characters of its alphabets and, where the
vendor puts a checksum in, a right one. It stands in what an agent's tools really print.
"""

from __future__ import annotations

import random
import re
import string
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple
from zlib import crc32

from mcpguard.core.redaction.detectors import TABLES, VENDORS, Detector

SEED = 14
_FORMATS = (*(one for table in TABLES.values() for one in table), *VENDORS[::6])
_WORDS = [
    "the",
    "build",
    "of",
    "shop",
    "took",
    "longer",
    "than",
    "on",
    "main",
    "since",
    "the",
    "cache",
    "of",
    "layers",
    "was",
    "cold",
    "again",
    "today",
]
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_MANY = 4
"""A run whose length is not fixed is longer than its shortest by at most so many characters."""


class Planted(NamedTuple):
    """A text, where the secret in it begins and ends, and the kind of this."""

    text: str
    start: int
    end: int
    kind: str


# --- values ------------------------------------------------------------------------------------------------


class Maker:
    """Values of formats, from one source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def some(self, alphabet: str, length: int) -> str:
        """So many characters of an alphabet."""
        return "".join(self.chance.choices(alphabet, k=length))

    def value(self, detector: Detector) -> tuple[str, str]:
        """A text that the format matches, and what is secret in it."""
        if detector.kind == "private-key":
            body = "\n".join(self.some(_BASE62 + "+/", 64) for _ in range(5))
            made = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
            return made, made
        if detector.kind == "docker-registry-auth":
            secret = b64encode(f"ci:{self.some(_BASE62, 24)}".encode()).decode()
            return f'"auth": "{secret}"', secret
        if detector.kind == "url-password":
            secret = self.some(_BASE62, 14)
            return f"postgres://shop:{secret}@db.shop.example:5432/orders", secret
        if detector.kind == "bitlocker-recovery-key":
            secret = "-".join(f"{self.chance.randint(0, 65535) * 11:06}" for _ in range(8))
            return f"RecoveryPassword    : {secret}", secret
        if detector.kind == "recovery-codes":
            secret = " ".join(f"{_hex(self.chance, 4)}1-2{_hex(self.chance, 4)}" for _ in range(8))
            return f"Recovery codes: {secret}", secret
        tree = _tree(detector.pattern)
        groups: dict[int, str] = {}
        whole = self._of(tree, groups)
        secret = groups.get(1, whole)
        checked = with_checksum(whole)
        return checked, checked if secret == whole else secret

    def _of(self, tree: Any, groups: dict[int, str]) -> str:
        return "".join(self._piece(str(name), args, groups) for name, args in tree)

    def _piece(self, name: str, args: Any, groups: dict[int, str]) -> str:
        if name == "LITERAL":
            return chr(args)
        if name == "IN":
            return chr(self.chance.choice(_chars(args)))
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = args
            count = self.chance.randint(least, min(most, least + _MANY))
            return "".join(self._of(inner, groups) for _ in range(count))
        if name == "SUBPATTERN":
            made = self._of(args[3], groups)
            if args[0]:
                groups[args[0]] = made
            return made
        if name == "BRANCH":
            return self._of(self.chance.choice(args[1]), groups)
        if name == "ATOMIC_GROUP":
            return self._of(args, groups)
        assert name in ("ASSERT", "ASSERT_NOT"), name
        return ""


def _chars(items: Any) -> list[int]:
    allowed: set[int] = set()
    names = [str(name) for name, _ in items]
    for name, args in items:
        if str(name) == "LITERAL":
            allowed.add(args)
        elif str(name) == "RANGE":
            allowed |= set(range(args[0], args[1] + 1))
        elif str(name) == "CATEGORY":
            allowed |= {32} if str(args) == "CATEGORY_SPACE" else set()
    plain = set(map(ord, _BASE62 + "-_."))
    return sorted(plain - allowed if "NEGATE" in names else allowed)


def with_checksum(token: str) -> str:
    """The last 6 characters of tokens of GitHub and npm are the CRC-32 of the rest in base 62."""
    if not re.fullmatch(r"(?:gh[opusr]_|npm_)[A-Za-z0-9]{36}", token):
        return token
    body, number = token[4:34], crc32(token[4:34].encode())
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return token[:4] + body + digits.rjust(6, "0")


# --- where they stand --------------------------------------------------------------------------------------


def _hex(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("0123456789abcdef", k=length))


def _prose(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(5, 14)))


def _env(name: str, value: str, chance: random.Random) -> str:
    quote = chance.choice(["", '"', "'"])
    return f"# {_prose(chance)}\nNODE_ENV=production\nPORT=8080\nexport {name}={quote}{value}{quote}\nLOG_LEVEL=info\nGIT_SHA={_hex(chance, 40)}\n"


def _json(name: str, value: str, chance: random.Random) -> str:
    escaped = value.replace("\n", "\\n").replace('"', '\\"')
    return (
        f'{{"id": "{_hex(chance, 8)}-{_hex(chance, 4)}-4{_hex(chance, 3)}-a{_hex(chance, 3)}-{_hex(chance, 12)}", '
        f'"region": "eu-west-1", "settings": {{"{name.lower()}": "{escaped}", "retries": 3}}, "etag": "{_hex(chance, 32)}"}}'
    )


def _yaml(name: str, value: str, chance: random.Random) -> str:
    image = f"registry.example.com/shop@sha256:{_hex(chance, 64)}"
    return f"apiVersion: v1\nkind: ConfigMap\nspec:\n  image: {image}\ndata:\n  {name.lower()}: {_dented(value)}\n  replicas: '3'\n"


def _dented(value: str) -> str:
    return "|\n    " + value.replace("\n", "\n    ") if "\n" in value else f'"{value}"'


def _toml(name: str, value: str, chance: random.Random) -> str:
    mark = '"""' if "\n" in value else '"'
    return f'[tool.shop]\nversion = "1.{chance.randint(0, 40)}.0"\n{name.lower()} = {mark}{value}{mark}\nrequires = ["requests>=2.{chance.randint(1, 32)}"]\n'


def _log(name: str, value: str, chance: random.Random) -> str:
    stamp = f"2026-11-{chance.randint(10, 27)}T08:{chance.randint(10, 59)}:07.{chance.randint(100, 999)}Z"
    return (
        f"{stamp} INFO  [main] trace_id={_hex(chance, 32)} GET /v1/orders/{_hex(chance, 24)} 200 12ms\n"
        f"{stamp} DEBUG [auth] using {name.lower().replace('_', ' ')} {value} for 10.0.{chance.randint(0, 255)}.7\n"
        f"{stamp} INFO  [main] {_prose(chance)}\n"
    )


def _history(name: str, value: str, chance: random.Random) -> str:
    return f" 1041  cd ~/src/shop && git checkout {_hex(chance, 7)}\n 1042  export {name}='{value}'\n 1043  make deploy STAGE=prod\n"


def _curl(name: str, value: str, chance: random.Random) -> str:
    return (
        f"$ curl -sS https://api.shop.example/v1/things/{_hex(chance, 24)} \\\n    -H 'X-Request-Id: {_hex(chance, 32)}' \\\n"
        f"    -H 'X-{name.title().replace('_', '-')}: {value}'\n< HTTP/2 200\n< etag: \"{_hex(chance, 40)}\"\n"
    )


def _trace(name: str, value: str, chance: random.Random) -> str:
    return (
        f'Traceback (most recent call last):\n  File "/app/shop/client.py", line {chance.randint(10, 400)}, in connect\n'
        f"    raise Refused(f\"{{name}} refused\")\nshop.errors.Refused: {name.lower()} '{value}' was refused (object at 0x{_hex(chance, 12)})\n"
    )


def _sql(name: str, value: str, chance: random.Random) -> str:
    return f"INSERT INTO settings (id, name, value, checksum) VALUES ({chance.randint(1, 900)}, '{name.lower()}', '{value}', '{_hex(chance, 64)}');\n"


def _markdown(name: str, value: str, chance: random.Random) -> str:
    return f"## Setting up\n\n{_prose(chance).capitalize()}. Use `{value}` as the {name.lower().replace('_', ' ')}:\n\n```sh\nshop login\n```\n\nSee commit {_hex(chance, 40)}.\n"


def _diff(name: str, value: str, chance: random.Random) -> str:
    lines = "\n".join("+" + line for line in f"{name} = '{value}'".split("\n"))
    return f"diff --git a/app.py b/app.py\nindex {_hex(chance, 7)}..{_hex(chance, 7)} 100644\n--- a/app.py\n+++ b/app.py\n@@ -3,6 +3,7 @@\n import shop\n{lines}\n-{name} = load('{name.lower()}')\n"


def _html(name: str, value: str, chance: random.Random) -> str:
    return f'<tr id="row-{_hex(chance, 16)}"><td>{name.lower()}</td><td><code>{value}</code></td><td>{_prose(chance)}</td></tr>'


def _git(name: str, value: str, chance: random.Random) -> str:
    return f'[core]\n\tbare = false\n[remote "origin"]\n\turl = https://git.example.com/shop/web.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n[shop]\n\t{name.lower().replace("_", "")} = {value}\n[branch "main"]\n\tmerge = refs/heads/main\n\t# {_hex(chance, 40)}\n'


def _terraform(name: str, value: str, chance: random.Random) -> str:
    escaped = value.replace("\n", "\\n")
    return f'{{"version": 4, "serial": {chance.randint(1, 99)}, "lineage": "{_hex(chance, 8)}-{_hex(chance, 4)}-4{_hex(chance, 3)}-9{_hex(chance, 3)}-{_hex(chance, 12)}", "outputs": {{"{name.lower()}": {{"value": "{escaped}", "type": "string", "sensitive": true}}}}}}'


def _ci(name: str, value: str, chance: random.Random) -> str:
    return f"##[group]Run make deploy\n  env:\n    {name}: {value}\n    GITHUB_SHA: {_hex(chance, 40)}\n##[endgroup]\n#12 [build 3/9] COPY --from=base@sha256:{_hex(chance, 64)}\n#12 DONE {chance.randint(1, 9)}.2s\n"


def _chat(name: str, value: str, chance: random.Random) -> str:
    return f"[09:{chance.randint(10, 59)}] kim: {_prose(chance)}?\n[10:02] ravi: here is the {name.lower().replace('_', ' ')}: {value}\n[10:03] kim: thanks, build {_hex(chance, 8)} is green\n"


Carrier = Callable[[str, str, random.Random], str]
CARRIERS: tuple[Carrier, ...] = (
    _env, _json, _yaml, _toml, _log, _history, _curl, _trace, _sql, _markdown, _diff, _html, _git, _terraform, _ci, _chat,
)  # fmt: skip


@cache
def planted(count: int) -> list[Planted]:
    """So many secrets, of each format in turn, each time in the next of the carriers."""
    chance = random.Random(SEED)
    maker = Maker(chance)
    made = []
    for index in range(count):
        detector = _FORMATS[index % len(_FORMATS)]
        value, secret = maker.value(detector)
        carrier = CARRIERS[(index + index // len(_FORMATS)) % len(CARRIERS)]
        name = detector.kind.upper().replace("-", "_")
        if "(?i:" in detector.pattern:  # Its name is a part of it.
            value = secret
        text = carrier(f"OP_{name}" if name[0].isdigit() else name, value, chance)
        lines = secret.strip("\r\n").split("\n")
        start = text.index(lines[0])
        made.append(Planted(text, start, text.index(lines[-1], start) + len(lines[-1]), detector.kind))
    return made


@cache
def _tree(pattern: str) -> Any:
    return parser.parse(pattern)


_PLACEHOLDER = re.compile(r"\[REDACTED:([^#\]]+)#[0-9]+\]")


def removed(text: str, clean: str) -> list[tuple[int, int, str]]:
    """Start, end and kind of what `clean` lacks of `text`."""
    first, *rest = _PLACEHOLDER.split(clean)
    spans, at = [], len(first)
    for kind, kept in zip(rest[::2], rest[1::2], strict=True):
        end = text.index(kept, at + 1) if kept else len(text)
        spans.append((at, end, kind))
        at = end + len(kept)
    return spans
