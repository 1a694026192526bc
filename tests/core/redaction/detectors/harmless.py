"""Outputs of tools that look as if secrets were in them, and have none: made up here, the same in each run."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable
from uuid import UUID

_WORDS = [
    "build",
    "shop",
    "main",
    "cache",
    "layer",
    "order",
    "invoice",
    "user",
    "report",
    "north",
    "river",
    "token",
    "page",
    "secret",
    "value",
]
_NAMES = [
    "DB_PASSWORD",
    "API_KEY",
    "client_secret",
    "access_token",
    "smtpPass",
    "REDIS_PASSWORD",
    "authToken",
    "jwtSecret",
]
_SAMPLES = [
    *(
        "your-api-key-here",
        "changeme",
        "<password>",
        "xxxxxxxxxxxxxxxx",
        "REPLACE_ME",
        "password123",
        "hunter2",
    ),
    *("my-secret-token", "example-key", "********", "test1234", "s3cr3t", "not-a-real-key", "TODO", "null"),
]

Make = Callable[[random.Random], str]


def _hex(chance: random.Random, size: int) -> str:
    return f"{chance.getrandbits(size * 4):0{size}x}"


def _base64(chance: random.Random, size: int) -> str:
    return b64encode(chance.randbytes(size)).decode()


def _uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _word(chance: random.Random) -> str:
    return chance.choice(_WORDS)


def _name(chance: random.Random) -> str:
    return chance.choice(_NAMES)


def _lines(*makes: Make) -> Make:
    return lambda chance: "\n".join(make(chance) for make in makes)


KINDS: dict[str, Make] = {
    "git log": lambda c: f"commit {_hex(c, 40)}\nAuthor: A <a@b.example>\n\n    Rotate the {_name(c)} of {_word(c)}",
    "git diff": lambda c: f"index {_hex(c, 7)}..{_hex(c, 7)} 100644\n-token = old_{_word(c)}\n+token = next(tokens)",
    "sums": lambda c: f"{_hex(c, 64)}  {_word(c)}-key.tar.gz\nsha256:{_hex(c, 64)}",
    "lock of npm": lambda c: f'"node_modules/js-tokens": {{"integrity": "sha512-{_base64(c, 64)}"}}',
    "lock of pip": lambda c: f"secretstorage==3.{c.randrange(9)} --hash=sha256:{_hex(c, 64)}",
    "record of a wheel": lambda c: f"keyring/{_word(c)}.py,sha256={_base64(c, 32).rstrip('=')},{c.randrange(9999)}",
    "go.sum": lambda c: f"github.com/acme/token v1.{c.randrange(99)}.0 h1:{_base64(c, 32)}",
    "headers": lambda c: f'ETag: "{_hex(c, 32)}"\nX-Request-Id: {_uuid(c)}\nAuthorization: Bearer <token>',
    "cursor": lambda c: f'{{"next_page_token": "{_base64(c, 24)}", "cursor": "{_base64(c, 24)}"}}',
    "identifiers": lambda c: f'{{"token_id": "{_hex(c, 24)}", "secret_name": "{_word(c)}/db", "key_id": "{_uuid(c)}"}}',
    "rows": lambda c: f'{{"id": "{_uuid(c)}", "key": "{_word(c)}.{_word(c)}", "sort_key": "{_hex(c, 16)}"}}',
    "cache": lambda c: f'cache_key="{_hex(c, 32)}" primary_key={c.randrange(10**9)} idempotency-key: {_uuid(c)}',
    "sample of env": lambda c: f"{_name(c)}={c.choice(_SAMPLES)}\nPORT={c.randrange(9999)}",
    "reference in env": lambda c: f"{_name(c)}=${{{_name(c)}:-{_word(c)}{c.randrange(99)}}}",
    "shell": lambda c: f'export {_name(c)}="$(vault read -field={_word(c)}{c.randrange(99)} secret/app)"',
    "workflow": lambda c: f"env:\n  {_name(c)}: ${{{{ secrets.{_name(c).upper()}_{c.randrange(9)} }}}}",
    "secret of kubernetes": lambda c: f"secretKeyRef:\n  name: {_word(c)}-secret-{c.randrange(99)}\n  key: password",
    "chart": lambda c: f"password: {{{{ .Values.{_word(c)}{c.randrange(9)}.password | b64enc }}}}",
    "address": lambda c: f"postgresql://{{user}}:{{password}}@{_word(c)}:5432/x mysql://user:pass@{_word(c)}/x",
    "another address": lambda c: f"redis://:${{{_name(c)}}}@cache:{c.randrange(9999)} http://localhost:{c.randrange(9999)}/a@b",
    "python": lambda c: f"{_word(c)}_password: str = Field(min_length={c.randrange(99)})\ntoken = tokenizer.next()[{c.randrange(9)}]",
    "python calls": lambda c: f"api_key=os.environ['{_name(c)}_{c.randrange(9)}'], secret=get_secret({c.randrange(9)})",
    "script": lambda c: f"const apiKey = process.env.{_name(c).upper()}{c.randrange(9)} ?? config.apiKeys[{c.randrange(9)}];",
    "types": lambda c: f"interface {_word(c).title()} {{ password: string; token?: Token{c.randrange(99)}; apiKey: string | null }}",
    "translations": lambda c: f'{{"password": "Passwort", "password_help": "Mindestens {c.randrange(8, 20)} Zeichen"}}',
    "help": lambda c: f"  --password PASSWORD  at least {c.randrange(8, 20)} characters\n  --token-file FILE{c.randrange(9)}",
    "schema": lambda c: f'{{"password": {{"type": "string", "minLength": {c.randrange(99)}}}, "token": {{"$ref": "#/d/T{c.randrange(9)}"}}}}',
    "table of sql": lambda c: f"CREATE TABLE {_word(c)} (password_hash varchar({c.randrange(64, 256)}), token_count int)",
    "public keys": lambda c: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{_base64(c, 32)} {_word(c)}@host",
    "certificate": lambda c: f"-----BEGIN CERTIFICATE-----\n{_base64(c, 48)}\n{_base64(c, 48)}\n-----END CERTIFICATE-----",
    "constants of keys": lambda c: f'BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"\nEND_{c.randrange(9)} = b"-----END OPENSSH PRIVATE KEY-----"',
    "image": lambda c: f"data:image/png;base64,{_base64(c, 90)}",
    "minified": lambda c: f'function t(e){{var k=e.key,n="{_hex(c, 8)}";e.token=n+k.r{c.randrange(99)}.C0;return k}}',
    "model": lambda c: f'{{"eos_token": "</s>", "pad_token_id": {c.randrange(9999)}, "max_tokens": {c.randrange(9999)}, "tokens": 12}}',
    "log": lambda c: f"2026-11-27T10:00:{c.randrange(60):02} auth: accepted key SHA256:{_base64(c, 32)[:43]} for {_word(c)}",
    "trace": lambda c: f"traceparent: 00-{_hex(c, 32)}-{_hex(c, 16)}-01 trace_token={_hex(c, 16)}",
    "names of aws": lambda c: f"arn:aws:secretsmanager:eu-west-1:{c.randrange(10**12):012}:secret:{_word(c)}/db-aB{c.randrange(9)}dEf",
    "examples of aws": lambda c: f"aws_access_key_id = AKIAIOSFODNN7EXAMPLE\nregion = eu-west-{c.randrange(9)}",
    "examples of oauth": lambda c: f'{{"access_token": "2YotnFZFEjr1zCsicMWpAA", "expires_in": {c.randrange(9999)}}}',
    "key bindings": lambda c: f'{{"key": "ctrl+shift+{c.choice("abcxyz")}", "command": "{_word(c)}.open{c.randrange(9)}"}}',
    "paths": lambda c: f"key_file = /etc/ssl/private/{_word(c)}-{c.randrange(9999)}.pem\npassword_file: ~/.{_word(c)}{c.randrange(9)}",
    "prose": lambda c: f"The token is valid for {c.randrange(60)} days, the secret to {_word(c)} is work, the password is yours{c.randrange(9)}.",
    "comparison": lambda c: f'if token == "{_hex(c, 12)}" or password != "{_word(c)}{c.randrange(99)}": raise',
    "template": lambda c: f"mail.send(password='%({_name(c)})s', token='{{{{token{c.randrange(9)}}}}}', key=<API_KEY_{c.randrange(9)}>)",
    "xml": lambda c: f"<password>${{{_word(c)}.password{c.randrange(9)}}}</password><token-type>JWT{c.randrange(9)}</token-type>",
    "npmrc": lambda c: f"//registry.npmjs.org/:_authToken=${{NPM_TOKEN_{c.randrange(9)}}}",
    "numbers": lambda c: f"password: {c.randrange(10**8)}, token: {c.randrange(10**6)}, pin = {c.randrange(10**4)}",
}  # fmt: skip
"""What makes such an output, by what it is."""


def harmless(count: int) -> list[tuple[str, str]]:
    """So many of them: of which kind each is, and its text."""
    chance = random.Random(15)
    kinds = list(KINDS)
    return [(kind, KINDS[kind](chance)) for kind in (kinds[at % len(kinds)] for at in range(count))]
