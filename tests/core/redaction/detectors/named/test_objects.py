"""Secrets of structured values whose name is the text of another member, of a heading or of the cell before."""

import json
from base64 import b64encode

import pytest

from mcpguard.core.model import Json
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

RANDOM = "q7Zk2vX9pL4mT8wR1nB6"
CHOSEN = "Winter2024x"
ENCODED = b64encode(b"hunter2x").decode()
KEY = b64encode(bytes(range(60, 124))).decode()


def secret(*members: str) -> Json:
    """A Secret of Kubernetes that has these values in its data."""
    return {
        "kind": "Secret",
        "data": {f"m{i}": value for i, value in enumerate(members)} | {"username": "YWRhbWFudA=="},
    }


FOUND: dict[str, Json] = {
    "value-first": {"value": CHOSEN, "name": "db_password"},
    "between": {"name": "DB_PASSWORD", "slotSetting": False, "type": "text", "value": CHOSEN},
    "key-value": [{"Key": "ApiKey", "Value": RANDOM}],
    "parameter": {"ParameterKey": "DbPassword", "ParameterValue": CHOSEN},
    "path": {"Name": "/prod/db/password", "Type": "SecureString", "Value": CHOSEN},
    "owner": {"db_password": {"type": "string", "value": CHOSEN}},
    "sensitive": {"blah": {"sensitive": True, "value": RANDOM}},
    "cookie": {"name": "JSESSIONID", "value": RANDOM, "httpOnly": True},
    "masked": {"key": "DEPLOY", "value": RANDOM, "masked": True},
    "parameter-store": {"Name": "/prod/conn", "Type": "SecureString", "Value": RANDOM},
    "1password": {"id": "f7", "type": "CONCEALED", "label": "recovery", "value": RANDOM},
    "key-vault": {"id": "https://kv.vault.azure.net/secrets/Db/0f1e", "name": "Db", "value": RANDOM},
    "secret-manager": {"name": "projects/1/secrets/db/versions/2", "payload": {"data": b64encode(RANDOM.encode()).decode()}},
    "form": {"tag": "input", "attributes": {"type": "password", "value": CHOSEN}},
    "typed": {"key": "db.password", "value": {"stringValue": CHOSEN}},
    "jwk": {"kty": "OKP", "x": "abc", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"},
    "jwk-in-set": {"keys": [{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"}]},
    "kubernetes": {"kind": "List", "items": [secret(ENCODED)]},
    "kubernetes-binary": secret(b64encode(bytes(range(128, 160))).decode()),
    "kubernetes-text": {"kind": "Secret", "stringData": {"x": CHOSEN}},
    "docker": {"auths": {"reg.example": {"auth": b64encode(b"ada:hunter2x").decode()}}},
    "azure": [{"keyName": "key1", "permissions": "FULL", "value": KEY}],
    "rows": {"columns": ["name", "password"], "rows": [["ada", CHOSEN], ["bob", "hunter2x1"]]},
    "rows-of-objects": {"fields": [{"name": "user"}, {"name": "api_key"}], "data": [["ada", RANDOM]]},
    "cells": {
        "columnMetadata": [{"name": "id", "typeName": "int"}, {"name": "password", "typeName": "text"}],
        "records": [[{"longValue": 1}, {"stringValue": CHOSEN}]],
    },
    "cells-below": {"schema": {"fields": [{"name": "u"}, {"name": "token"}]}, "rows": [{"f": [{"v": "a"}, {"v": RANDOM}]}]},
    "head-in-rows": [["name", "password"], ["ada", CHOSEN], ["short"], ["a", "b", "c"]],
    "named-in-a-row": {"columns": ["key", "value"], "rows": [["db_password", CHOSEN]]},
    "headers": {"headers": [["Accept", "x/y"], ["Authorization", f"Bearer x7{CHOSEN}q9"]]},
    "headers-by-turns": {"rawHeaders": ["Host", "example.com", "X-Api-Key", RANDOM]},
    "options": {"Config": {"Cmd": ["app", 7, "--db-password", CHOSEN], "args": ["-v", "--api-key", RANDOM]}},
    "pairs": [["X-Api-Key", RANDOM], [1, 2]],
    "stream of jq": [["db", 0, "password"], CHOSEN],
    "terraform": {"attributes": {"bcrypt_hash": "$2a$10$x", "length": 11, "result": CHOSEN}, "type": "random_password"},
    "dynamodb": {"Item": {"id": {"S": "7"}, "api_key": {"S": RANDOM}}},
    "a key and its value in short": {"k": "password", "v": CHOSEN},
    "a name and its data": [{"id": 7}, {"name": "api_key", "data": RANDOM}],
    "a field and its content": {"of": {"field": "password", "content": CHOSEN}},
    "a title and its text": {"title": "API key:", "text": RANDOM},
    "an option and its default": {"type": "x", "name": "token", "default": RANDOM},
    "a question and its answer": {"question": "Password", "answer": CHOSEN},
    "a change": {"attribute": "password", "old": "x", "new": CHOSEN},
    "a description": {"description": "API key", "value": RANDOM},
    "a list of one": {"name": "password", "value": [CHOSEN]},
    "values, of which there is one": {"name": "password", "values": [CHOSEN]},
    "columns by number": {"0": "Password", "1": CHOSEN},
    "one of many fields": {"fields": [*({"label": f"a{n}t", "text": "x"} for n in range(20)), {"label": "token", "text": RANDOM}]},
    "doppler": {"API_KEY": {"computed": RANDOM, "note": ""}},
}  # fmt: skip

LEFT: dict[str, Json] = {
    "a word for a name": {"name": "password", "data": "chosen"},
    "words for a name": {"name": "password", "text": "at least 8 letters"},
    "a template": {"field": "password", "content": "${DB_PASSWORD_1}"},
    "an example": {"title": "API key", "text": "<your-api-key-1>"},
    "a longer object": {"name": "token", "text": RANDOM, "id": 7, "size": 20},
    "a name of another thing": {"name": "color", "text": RANDOM},
    "an empty list": {"name": "password", "values": [], "value": ["a1b2c3", "d4e5f6"]},
    "a name that is no text": {"name": ["password"], "text": RANDOM},
    "many names of other things": {"of": [{"label": f"kit{n}", "text": RANDOM} for n in range(20)]},
    "a color": {"name": "color", "value": "blue7777"},
    "an open cookie": {"name": "theme", "value": "blue7777", "httpOnly": True},
    "a typed color": {"key": "token color", "value": {"stringValue": "blue7777"}},
    "two values": {"name": "password", "value": {"min": "a1b2c3d4", "max": "z9"}},
    "a label": {"type": "password", "value": "Enter your password"},
    "an open parameter": {"Name": "/prod/secret-feature", "Type": "String", "Value": "blue7777"},
    "another payload": {"name": "projects/1/topics/secrets", "payload": {"data": ENCODED}},
    "no data": {"name": "projects/1/secrets/db/versions/2", "payload": {"data": 7}},
    "a form": {"fields": [{"name": "password", "value": "text"}, {"name": "token", "value": "string"}]},
    "words in cells": {"items": [["password reset", "Email2 sent"], ["token", "count"]]},
    "options": {
        "args": ["--password", 5, "--token", "--verbose", "password", "blue7777x"],
        "x": ["token", "of a page"],
    },
    "a name in a cell": {"columns": ["id", "name"], "rows": [["1", "password"]]},
    "no text": {"name": "db_password", "value": 5, "rows": [[1, 2], ["password", None]]},
    "names of a user": {"kind": "Secret", "data": {"username": ENCODED}, "stringData": {"host": CHOSEN}},
    "no base64": {"kind": "Secret", "data": {"x": "no base64!"}, "stringData": None},
    "a key of a host": {"kind": "Secret", "data": {"x": b64encode(b"a").decode()}},
    "a public key": {
        "kty": "RSA",
        "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl",
        "e": "AQAB",
    },
    "a map of pages": {"auth": "required", "pages": [["a", "b"], ["key", "c"]]},
    "a matrix": {"key": [[1.0, 2.0], [3.0, 4.0]], "columns": ["a", 5], "heads": [{"no": 1}, {"no": 2}]},
    "a longer row": {"columns": ["name", "password"], "rows": [["ada", "x", CHOSEN]]},
    "the heading again": {"columns": ["password", "name"], "rows": [["password", "name"]]},
    "an empty path": [[], CHOSEN],
    "a package": {"token": {"name": "token7x2k9q4m8v1"}},
    "a long name": [["x" * 200 + "_password", CHOSEN]],
}


@each("name", FOUND)
def test_what_another_text_names_is_removed(name: str) -> None:
    found = Redactor(b"key").inspect(FOUND[name])
    said = json.dumps(found.value)
    assert "[REDACTED:" in said
    secrets = (RANDOM, CHOSEN, ENCODED, KEY, "nWGxne", "AyM1Sys")
    assert not [one for one in secrets if one in said]


@each("name", LEFT)
def test_what_nothing_names_stays(name: str) -> None:
    assert not Redactor(b"key").inspect(LEFT[name]).findings


def test_the_name_and_the_rest_of_the_value_stay() -> None:
    value = {
        "headers": [["Authorization", f"Bearer x7{CHOSEN}q9"]],
        "\u00e9": {"value": f"\u00e9{CHOSEN}", "name": "pwd"},
    }
    assert Redactor(b"key").inspect(value).value == {
        "headers": [["Authorization", "Bearer [REDACTED:authorization#1]"]],
        "\u00e9": {"value": "[REDACTED:password#2]", "name": "pwd"},
    }


@pytest.mark.parametrize("name", ["Cookie", "Set-Cookie"])
def test_a_header_of_cookies_in_an_archive_of_requests_loses_its_session(name: str) -> None:
    header = {"name": name, "value": f"theme=d\u00fcster; sid={RANDOM}; lang=en"}
    assert Redactor(b"key").inspect({"headers": [header]}).value == {
        "headers": [{"name": name, "value": "theme=d\u00fcster; sid=[REDACTED:secret-value#1]"}]
    }
    for stays in ("theme=dark", "sid=aaaaaaaaaaaaaaaaaaaaaa"):
        kept = {"headers": [{"name": name, "value": stays}]}
        assert Redactor(b"key").inspect(kept).value == kept


@each("name", FOUND)
@each("indent", [None, 2])
def test_what_another_text_names_is_removed_from_a_text_that_is_json(name: str, indent: int | None) -> None:
    text = json.dumps({"a": 1, "of": FOUND[name]}, indent=indent)
    found = Redactor(b"key").inspect({"content": [{"type": "text", "text": text}]})
    said = found.value["content"][0]["text"]
    assert "[REDACTED:" in said
    assert not [one for one in (RANDOM, CHOSEN, ENCODED, KEY, "nWGxne", "AyM1Sys") if one in said]
    assert len(json.loads(said)) == 2


@each(
    "text",
    [
        '[["password", "Winter2024x"',
        "[" * 2000 + '"password"',
        "[" * 600 + '"password"' + "]" * 600,
    ],
)
def test_a_text_that_is_no_json_is_read_as_text_alone(text: str) -> None:
    assert not Redactor(b"key").inspect({"text": text}).findings
