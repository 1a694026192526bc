"""Every detector finds its hits, wherever they stand, and leaves its misses alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpguard.core.redaction.detectors import DETECTORS, KINDS, OPT_IN, PERSONAL, TABLES, VENDORS, Detector
from mcpguard.core.redaction.detectors.named import values
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

FORMATS = [*(one for table in TABLES.values() for one in table), *PERSONAL]
CARRIERS = [
    "{}",
    "key={}",
    "see {}, please",
    "('{}')",
    "line\n{}\nline",
    "in JSON text: \\n{}",
    "?k%3D{}",
    "<a>{}</a>",
]


def examples(which: str) -> Any:
    pairs = [(detector, text) for detector in FORMATS for text in getattr(detector, which)]
    return each(("detector", "text"), pairs, ids=[f"{detector.kind}: {text}" for detector, text in pairs])


def kinds(value: object, detector: Detector) -> set[str]:
    also = (detector.kind,) if detector.kind in OPT_IN else ()
    return {finding.kind for finding in Redactor(b"key").inspect(value, also).findings}


@pytest.mark.uncounted
@examples("hits")
def test_a_hit_is_found_wherever_it_stands(detector: Detector, text: str) -> None:
    for carrier in CARRIERS:
        assert kinds(carrier.format(text), detector) == {detector.kind}, carrier


@pytest.mark.uncounted
@examples("hits")
def test_what_is_secret_in_a_hit_is_gone(detector: Detector, text: str) -> None:
    also = (detector.kind,) if detector.kind in OPT_IN else ()
    first = Redactor(b"key").inspect(text, also).value
    start, _, rest = first.partition(f"[REDACTED:{detector.kind}#1]")
    assert text.startswith(start)
    assert text.endswith(rest)
    assert len(text) - len(start) - len(rest) >= 5


@examples("misses")
def test_a_miss_is_left_alone(detector: Detector, text: str) -> None:
    assert detector.kind not in kinds(text, detector)


@pytest.mark.uncounted
def test_words_in_place_of_a_token_are_left_alone() -> None:
    for detector in FORMATS:
        for start in detector.starts:
            if not (detector.rare or any(map(str.isdigit, start)) or detector.kind in OPT_IN):
                for count in (1, 2, 4):
                    text = start + "-".join(["your-access-token-goes-here"] * count)
                    assert not kinds(f"see {text} .", detector), text


def test_kinds_are_unique() -> None:
    assert len(KINDS) == len(FORMATS) + len(VENDORS) + len(values.KINDS)
    assert {*DETECTORS} == {*FORMATS, *VENDORS} - {*PERSONAL}
    assert {detector.kind for detector in PERSONAL} == OPT_IN


def test_a_detector_that_is_always_on_has_a_start_and_examples() -> None:
    for detector in DETECTORS:
        assert bool(detector.starts) != bool(detector.back), detector.kind
        assert detector.hits, detector.kind
        assert detector.misses, detector.kind


@pytest.mark.uncounted
def test_a_key_is_known_by_the_name_of_its_vendor_beside_it() -> None:
    for vendor in VENDORS:
        for hit in vendor.hits:
            assert kinds(f"see {hit}, please", vendor) == {vendor.kind}, hit
        for miss in vendor.misses:
            assert vendor.kind not in kinds(f"see {miss} .", vendor), miss


@each(
    "text",
    [
        "ALGOLIA_API_KEY={}",
        'algoliaApiKey: "{}"',
        "x-algolia-key: {}",
        "algolia secret {}",
        "algolia\n  API token = {}",
        '{{"algolia": {{"key": "{}"}}}}',
        "https://api.algolia.example/?algolia_key={}",
    ],
)
def test_the_name_and_the_key_may_have_words_between(text: str) -> None:
    assert kinds(text.format("q3X7z" * 6 + "q3"), VENDORS[0]) == {"algolia-key"}


@each(
    "text",
    [
        "algolia " + "0a1b2c3d" * 4,
        "algolia@" + "q3X7z" * 6 + "q3",
        "algolia/search-" + "q3X7z" * 6 + "q3",
        "algolia was built from " + "q3X7z" * 6 + "q3",
        "algolia_key=" + "x" * 32,
        "algolia_key=a1" + "b" * 30,
        "algolia_key=" + "q3X7z" * 6 + "q3/tail",
    ],
)
def test_what_stands_near_the_name_of_a_vendor_by_chance_is_left_alone(text: str) -> None:
    assert "algolia-key" not in kinds(text, VENDORS[0])


def test_recovery_codes_in_a_list_of_json_are_found_and_it_stays_json() -> None:
    text = json.dumps({"backup_" + "codes": ["73196482", "20957318"], "left": 2})
    found = Redactor(b"key").inspect(text).value
    assert json.loads(str(found)) == {"backup_codes": ["[REDACTED:recovery-codes#1]"], "left": 2}


def test_this_repository_holds_no_token_that_a_scanner_would_find() -> None:
    folder = Path("src/mcpguard/core/redaction/detectors")
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    assert {f.kind for f in Redactor(b"key").inspect(json.dumps([source])).findings} <= {"url-password"}


def test_personal_data_is_left_alone_unless_asked_for() -> None:
    value = [text for detector in PERSONAL for text in detector.hits]
    assert Redactor(b"key").inspect(value).value is value


@each(
    ("kind", "text", "clean"),
    [
        ("payment-card", "4111 1111 1111 1111 12/27", "[REDACTED:payment-card#1] 12/27"),
        ("payment-card", "3234 4111 1111 1111 1112", "3234 4111 1111 1111 1112"),
        ("payment-card", "3234 4111 1111 1111 1111", "3234 [REDACTED:payment-card#1]"),
        ("iban", "to DE89 3704 0044 0532 0130 00 BIC X", "to [REDACTED:iban#1] BIC X"),
        ("iban", "DE89370400440532013000 DE89370400440532013001", "[REDACTED:iban#1] DE89370400440532013001"),
        ("email", "Jane <jane@example.com>;", "Jane <[REDACTED:email#1]>;"),
        ("email", "an jane@bücher.example, und", "an [REDACTED:email#1], und"),
        ("email", "à rené@example.com.", "à [REDACTED:email#1]."),
        ("email", "на почта@пример.рф или", "на [REDACTED:email#1] или"),
        ("email", "请发邮件到jane@example.com。谢谢", "请发邮件到[REDACTED:email#1]。谢谢"),
    ],
)
def test_personal_data_is_cut_out_exactly(kind: str, text: str, clean: str) -> None:
    assert Redactor(b"key").inspect(text, (kind,)).value == clean


def test_a_password_with_a_raw_at_sign_is_removed_whole() -> None:
    text = "postgres://app:" + "pa55@w0rd@db/x"
    assert Redactor(b"key").inspect(text).value == "postgres://app:[REDACTED:url-password#1]@db/x"


def test_a_private_key_without_an_end_is_removed_as_far_as_it_goes() -> None:
    text = "x -----BEGIN PRIVATE " + "KEY-----\n" + "aB3k" * 16 + "\n" + "aB3k" * 9 + ". After."
    assert Redactor(b"key").inspect(text).value == "x [REDACTED:private-key#1]. After."


def test_a_secret_access_key_is_found_by_the_name_of_its_member() -> None:
    value = {"Credentials": [{"SecretAccessKey": "aB3/" * 10, "Note": "none"}, {"SecretAccessKey": "short"}]}
    found = Redactor(b"key").inspect(value)
    assert found.value["Credentials"][0] == {
        "SecretAccessKey": "[REDACTED:aws-secret-access-key#1]",
        "Note": "none",
    }
    assert found.value["Credentials"][1] == {"SecretAccessKey": "short"}
    assert [finding.path for finding in found.findings] == ["/Credentials/0/SecretAccessKey"]


def test_no_format_tries_the_same_twice_beside_the_name_of_a_vendor() -> None:
    """A heading of 25 dashes took six seconds, one of 36 minutes. All vendors have this part in common."""
    vendor = next(one for one in VENDORS if one.kind == "exa-key")
    for between in ("-", "_-", "---", " ", "a-", "the to "):
        text = f"exa``\n{between * 60}|@".encode() + PAD
        assert vendor.match(text, 0) is None


@pytest.mark.parametrize("mark", ["", "+", "-", " "])
def test_a_private_key_is_found_whole_in_a_diff(mark: str) -> None:
    body = ["b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW" for _ in range(3)]
    key = ["-----BEGIN OPENSSH PRIVATE " + "KEY-----", *body, "-----END OPENSSH PRIVATE KEY-----"]
    text = "".join(f"{mark}{line}\n" for line in key)
    left = Redactor(b"key").inspect(f"diff --git a/id b/id\n{text}end").value
    assert left == f"diff --git a/id b/id\n{mark}[REDACTED:private-key#1]\nend"


_KEY = [*("aZ3kQ9xB7mT2" * 6 + f"{row}bC4d" for row in "abc"), "Qz8kQ9xB7mT2aA=="]
_PREFIXES = {
    "plain": "{}",
    "diff": "+{}",
    "nl": "    31\t{}",
    "quoted": "> {}",
    "grep": "id_ed25519:31:{}",
    "log": "2026-12-01T10:00:00Z app[12]: {}",
}


@pytest.mark.parametrize("rows", range(1, 5))
@pytest.mark.parametrize("form", _PREFIXES.values(), ids=_PREFIXES)
def test_the_end_of_a_private_key_is_found_without_its_beginning(form: str, rows: int) -> None:
    """`tail -4` of an OpenSSH key shows all of the secret half."""
    lines = [form.format(line) for line in [*_KEY[-rows:], "-----END OPENSSH PRIVATE KEY-----"]]
    for text in ("\n".join(lines), "\r\n".join(lines), "\\n".join(lines), "\\r\\n".join(lines)):
        found = Redactor(b"key").inspect(f"first\n{text}\nlast")
        assert all(row not in found.value for row in _KEY), found.value
        assert {one.kind for one in found.findings} == {"private-key"}
        assert found.value.startswith("first\n")
        assert found.value.endswith("END OPENSSH PRIVATE KEY-----\nlast")


_WRAPPED = {
    "cell": "| {} |",
    "cells": "| 7 | {} | 2026-12-01 |",
    "command": 'echo "{}" >> id_ed25519',
    "string": "    '{}',",
    "string with a line end": '    "{}\\n" +',
    "CSV": "17,{},id_ed25519",
    "HTML": "<td>{}</td>",
}


@pytest.mark.parametrize("rows", range(2, 5))
@pytest.mark.parametrize("form", _WRAPPED.values(), ids=_WRAPPED)
def test_the_end_of_a_private_key_is_found_where_something_stands_behind_its_rows(
    form: str, rows: int
) -> None:
    lines = [form.format(line) for line in [*_KEY[-rows:], "-----END OPENSSH PRIVATE KEY-----"]]
    found = Redactor(b"key").inspect("first\n" + "\n".join(lines) + "\nlast")
    assert all(row not in found.value for row in _KEY), found.value
    assert {one.kind for one in found.findings} == {"private-key"}
    assert found.value.startswith("first\n")
    assert found.value.endswith("\nlast")


def test_the_rows_of_a_private_key_are_found_in_a_list_in_one_line() -> None:
    text = json.dumps({"lines": [*_KEY, "-----END OPENSSH PRIVATE KEY-----"]})
    left = Redactor(b"key").inspect(text).value
    assert all(row not in left for row in _KEY), left


def test_a_last_row_that_is_as_short_as_a_word_does_not_hide_the_others() -> None:
    lines = [f"| {line} |" for line in [*_KEY[:3], "a9==", "-----END OPENSSH PRIVATE KEY-----"]]
    left = Redactor(b"key").inspect("\n".join(lines)).value
    assert all(row not in left for row in _KEY[:3]), left


def test_a_row_is_read_for_the_end_of_one_private_key_only() -> None:
    end = "-----END RSA PRIVATE KEY "
    text = ("a" * 64 + "\n") * 250 + end * 100
    assert Redactor(b"key").inspect(text).value == text
    again = "\n".join(f"{end}{row}" for row in _KEY * 5)
    assert Redactor(b"key").inspect(again).value == again


@pytest.mark.parametrize(
    "above",
    [
        "",
        "...",
        'name = "https://example.com/Download/Version2/Package/Files/Index"',
        "| privateKeyFooterOfTheOldFormat2 | text |",
        "the next line ends it, 7 of 9",
        "MIIE...",
        "<the key>",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "see example",
        "a/b\n-----BEGIN X-----",
    ],
)
def test_what_only_shows_where_a_private_key_ends_is_left(above: str) -> None:
    text = f"It looks like this:\n{above}\n-----END RSA PRIVATE KEY-----\n"
    assert Redactor(b"key").inspect(text).value == text


def test_of_the_rows_above_the_end_of_a_private_key_a_bounded_number_is_read() -> None:
    lines = [f"aZ3kQ9xB7mT2bC4d{row:04}" * 3 for row in range(300)]
    left = Redactor(b"key").inspect("\n".join([*lines, "-----END RSA PRIVATE KEY-----"])).value
    assert [line in left for line in lines] == [True] * 51 + [False] * 249
