"""A secret is found in what clouds, clusters and databases print in a form of their own."""

from __future__ import annotations

import json
from typing import Any

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "Winter2024x"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf"


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


@each(
    "form",
    [
        *("db_password:\n----\n{}\nhost:\n----\ndb.local\n", "Key (password)=({}) already exists.\n"),
        "db.0.password\n  Input should be a valid integer [type=int_parsing, input_value='{}', input_type=str]\n",
        ARN + "\t17.123\tprod/db\t{}\t6f1c2c1e-0000-4444-8888-aaaabbbbcccc\n",
        "|  Type   |  SecureString |\n|  Value  |  {}  |\n",
        "|  SecretString|  {}  |\n",
        '{{"Name": "prod/db", "SecretString": "{}"}}',
        "====== Data ======\nKey     Value\n---     -----\nfoo     {}\nuser    Winter2023\nhost    Winter2022\n",
        *("ENVIRONMENT\tDB_PASSWORD\t{}\n", "OUTPUTS\tof the stack\tDbPassword\t{}\n"),
        *(
            '{{"lease_id": "", "data": {{"foo": "{}"}}}}',
            '{{"lease_id": "", "data": {{"data": {{"x": "{}"}}}}}}',
        ),
        '{{"a": "{{\\"kind\\":\\"Secret\\",\\"stringData\\":{{\\"foo\\":\\"{}\\"}}}}"}}',
    ],
)
def test_a_secret_is_found_in_what_programs_print(form: str) -> None:
    assert cleaned(form.format(HUMAN)) == form.format("[REDACTED:password#1]")


@each(
    "text",
    [
        *("level:\n----\nWinter2024x\n", "Key (email)=(ada1@example.com) already exists.\n"),
        "name\n  Input should be a valid integer [type=int_parsing, input_value='Winter2024x', input_type=str]\n",
        "the password [see below]\n  x [type=x, input_value='Winter2024x', input_type=str]\n",
        ARN + '\t17.123\tprod/db\t{"user":"Winter2024x"}\t6f1c2c1e-0000-4444-8888-aaaabbbbcccc\n',
        "|  Type   |  String |\n|  Value  |  Winter2024x  |\n",
        "====== Data ======\nKey     Value\n---     -----\nregion    eu-west-1\nlevel    info\n",
        '{"Name": "prod/db", "SecretString": "{\\"user\\":\\"Winter2024x\\"}"}',
        '{"lease_id": "", "data": {"username": "Winter2024x", "url": "https://example.com/x1"}}',
        *('{"lease_id": "", "data": ["Winter2024x"]}', '{"lease_id": "", "data": {"data": "Winter2024x"}}'),
    ],
)
def test_what_is_no_secret_of_theirs_stays(text: str) -> None:
    assert cleaned(text) == text
    value = json.loads(text) if text.startswith("{") else text
    assert cleaned(value) == value


def test_of_a_secret_of_vault_a_bounded_number_of_members_is_read() -> None:
    rows = "".join(f"foo{number}    {HUMAN}\n" for number in range(70))
    assert cleaned("= Data =\nKey     Value\n---     -----\n" + rows).count(HUMAN) == 6
