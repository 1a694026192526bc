"""What is taken for a secret in a server's entry, and what is not."""

from __future__ import annotations

from typing import Any

from mcpguard.core.redaction.detectors import TABLES
from mcpguard.core.redaction.detectors.named.naming import signal
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.plaintext import secrets_of
from mcpguard.onboarding.discovery.reading import read_entry
from tests.rows import each

V = "s3cr3t-vAlue-0001"


def entry(**data: Any) -> Entry:
    data.setdefault("command", "x")
    return read_entry(CLIENTS[2], "a", ("mcpServers", "a"), 1, data)


def seen(**data: Any) -> list[tuple[tuple[str | int, ...], str]]:
    one = entry(**data)
    found = []
    for secret in secrets_of(one):
        value = getattr(one, str(secret.place[0]))
        text = value[secret.place[1]] if len(secret.place) > 1 else value
        found.append((secret.place, text[secret.start : secret.end]))
    return found


@each(
    "name",
    ["TOKEN", "GITHUB_PERSONAL_ACCESS_TOKEN", "apiKey", "X-Api-Key", "DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD", "clientSecret", "--api-key", "AUTH", "GH_PAT", "SENTRY_DSN", "Cookie", "openaiApiKey", "OPENAI_APIKEY"],
)  # fmt: skip
def test_names_that_hold_secrets(name: str) -> None:
    assert signal(name)


@each(
    "name",
    ["AWS_ACCESS_KEY_ID", "KEY_FILE", "SSH_KEY_PATH", "TOKEN_LIMIT", "KEYBOARD", "MONKEY", "AUTHOR", "PATH", "-y", "SECRET_NAME", "TOKEN_URL", ""],
)  # fmt: skip
def test_names_that_do_not(name: str) -> None:
    assert not signal(name)


@each(
    ("data", "found"),
    [
        ({"env": {"API_TOKEN": V}}, [(("env", "API_TOKEN"), V)]),
        ({"env": {"PASSWORD": "12345678"}}, [(("env", "PASSWORD"), "12345678")]),
        ({"env": {"MAX_TOKENS": "4096", "USE_AUTH": "true", "SSH_KEY": "~/.ssh/id", "TOKEN": ""}}, []),
        ({"env": {"TOKEN": "${env:TOKEN}", "OTHER_KEY": "$OTHER", "SECRET": "${{ secrets.X }}"}}, []),
        ({"env": {"DATABASE_URL": f"postgres://app:{V}@db/x"}}, [(("env", "DATABASE_URL"), V)]),
        ({"env": {"HOOK": f"https://h.example/a?token={V}&b=1"}}, [(("env", "HOOK"), V)]),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "a/+Z" * 10}}, [(("env", "AWS_SECRET_ACCESS_KEY"), "a/+Z" * 10)]),
        ({"headers": {"Authorization": f"Bearer {V}"}}, [(("headers", "Authorization"), V)]),
        ({"headers": {"Authorization": V}}, [(("headers", "Authorization"), V)]),
        ({"headers": {"Authorization": "Bearer ${env:T}"}}, []),
        ({"headers": {"X-Team": "core", "Accept": "a/b"}}, []),
        ({"url": f"https://u:{V}@h.example/mcp"}, [(("url",), V)]),
        ({"url": f"https://h.example/mcp?api_key={V}&x=1"}, [(("url",), V)]),
        ({"url": "https://h.example/mcp?api_key=${env:K}"}, []),
        ({"url": "https://h.example/s/aZ3kQ9xB7mT2aZ3kQ9xB7/mcp"}, [(("url",), "aZ3kQ9xB7mT2aZ3kQ9xB7")]),
        ({"url": "https://h.example/a-very-long-name-of-a-server/mcp"}, []),
        ({"url": "https://[broken/mcp"}, []),
        ({"args": ["--api-key", V]}, [(("args", 1), V)]),
        ({"args": [f"--api-key={V}"]}, [(("args", 0), V)]),
        ({"args": ["-e", f"API_KEY={V}"]}, [(("args", 1), V)]),
        ({"args": ["--header", f"Authorization: Bearer {V}"]}, [(("args", 1), V)]),
        ({"args": [f"postgresql://app:{V}@db.example/app"]}, [(("args", 0), V)]),
        ({"args": ["-y", "@scope/server", "--port", "8080", "--key-file", "/etc/k", "localhost:5432"]}, []),
        ({"env": {"CONF": f'{{"a": 1, "token": "{V}"}}'}}, [(("env", "CONF"), V)]),
        ({"env": {"CONF": f'{{"headers": {{"Authorization": "Bearer {V}"}}}}'}}, [(("env", "CONF"), V)]),
        ({"env": {"CONF": f"{{'apiKey': '{V}'}}"}}, [(("env", "CONF"), V)]),
        ({"env": {"CONN": f"Server=x;Pwd={V};Database=y"}}, [(("env", "CONN"), V)]),
        ({"env": {"CONN": f"host=h user=u password={V} dbname=d"}}, [(("env", "CONN"), V)]),
        ({"env": {"FLAGS": f"--token {V} --verbose"}}, [(("env", "FLAGS"), V)]),
        ({"env": {"NOTE": f"password: {V}"}}, [(("env", "NOTE"), V)]),
        ({"env": {"CONF": '{"token": "${env:A}", "max_tokens": "200000", "token_type": "bearer-of"}'}}, []),
        ({"env": {"CONF": '{"password": "~/a/path", "keys": "ctrl-alt-x", "author": "somebody"}'}}, []),
        (
            {"env": {"TOKEN": V, "OTHER": f"x {V}, {V}"}, "args": [f"a{V}"]},
            [(("args", 0), V), (("env", "OTHER"), V), (("env", "OTHER"), V), (("env", "TOKEN"), V)],
        ),
        ({"env": {"TOKEN": "short", "OTHER": "a short one"}}, [(("env", "TOKEN"), "short")]),
        ({"args": [f"https://h.example/mcp?token={V}"]}, [(("args", 0), V)]),
    ],
)  # fmt: skip
def test_what_is_a_secret(data: dict[str, Any], found: list[object]) -> None:
    assert seen(**data) == found


def test_a_reference_by_the_name_of_a_secret_is_none() -> None:
    for value in (
        "Bearer ${credential:api-token}",
        "x ${keyring:my-password-1} y",
        "{{secret:token=value-1}}",
    ):
        assert seen(headers={"Authorization": value}) == []
        assert seen(env={"ANY": value}) == []
        assert seen(args=[value]) == []
    assert seen(env={"ANY": "${A} password=kJ8rT2vQz9xW"}) != []


def test_every_known_token_format_is_seen_wherever_it_stands() -> None:
    for table in TABLES.values():
        for detector in table:
            assert seen(env={"ANY": detector.hits[-1]}), detector.hits
            assert seen(args=["--any", detector.hits[-1]]), detector.hits


def test_spans_of_one_value_do_not_overlap() -> None:
    one = entry(env={"TOKEN_URL": f"https://u:{V}@h.example/?token={V}"})
    spans = [(secret.start, secret.end) for secret in secrets_of(one)]
    assert len(spans) == 2
    assert spans[0][1] <= spans[1][0]


@each(
    "piece",
    [
        "a",
        "a-",
        "a=",
        'a="',
        "://",
        "u://?token=abcdefgh&",
        "token: ",
        "${",
        "{{",
        "<a",
        "a@",
        "://a:b",
        "h://x/hook/",
        "-u a:",
        "$A",
    ],
)
def test_a_huge_value_is_looked_through_in_bounded_time(piece: str) -> None:
    # Where a search begins anew at each character, this takes hours.
    text = piece * (50_000 // len(piece))
    one = entry(
        env={"A": text, "PASSWORD": text, "A_HOOK": text}, args=["--key", text], url="https://h.example/"
    )
    assert len(secrets_of(one)) >= 0
