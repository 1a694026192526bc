"""A secret gives its value to who calls `reveal`, and to nobody by accident."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mcpguard.core.secret import CredentialRef, Secret, filled, parse_template, sole_reference
from tests.rows import each

VALUE = "s3cr3t-value"


def test_it_reveals_its_value() -> None:
    assert Secret(VALUE).reveal() == VALUE


@each(
    "use",
    [
        str,
        hash,
        "{}".format,
        "{:>20}".format,
        "%s".__mod__,
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        json.dumps,
        msgspec.json.encode,
        lambda secret: secret == VALUE,
        lambda secret: secret != Secret(VALUE),
        lambda secret: {secret: 1},
        lambda secret: VALUE + secret,
        vars,
    ],
)
def test_no_other_use_gives_anything(use: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError) as refusal:
        use(Secret(VALUE))
    assert VALUE not in str(refusal.value)


def test_a_debugger_and_a_traceback_see_no_value() -> None:
    assert repr(Secret(VALUE)) == "<Secret>"
    assert repr([Secret(VALUE)]) == "[<Secret>]"


def test_a_template_is_split_at_its_references() -> None:
    template = parse_template("Bearer ${keyring:linear/token}, ${env:A}")
    assert template.texts == ("Bearer ", ", ", "")
    assert template.refs == (CredentialRef("keyring", "linear/token"), CredentialRef("env", "A"))
    assert str(template.refs[0]) == "keyring:linear/token"


def test_the_path_of_a_file_may_have_spaces_in_it() -> None:
    template = parse_template("a ${file:/home/Jürgen Müller/my key} ${files:x}")
    assert template.refs == (CredentialRef("file", "/home/Jürgen Müller/my key"), CredentialRef("files", "x"))
    assert template.texts == ("a ", " ", "")


@each(
    "text",
    [
        "${",
        "${TOKEN}",
        "${env:}",
        "${ENV:A}",
        "${env:A B}",
        "${file: }",
        "${file: /a}",
        "${file:/a }",
        "${file:/a\tb}",
        "${file:/a\nb}",
        "a ${env:${env:B}}",
    ],
)
def test_what_only_looks_like_a_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must start a reference"):
        parse_template(text)


def test_a_text_that_is_filled_is_a_secret_itself() -> None:
    template = parse_template("postgres://${env:USER}:${env:PASSWORD}@db")
    whole = filled(template, [Secret("ada"), Secret("value-1234")])
    assert type(whole) is Secret
    assert whole.reveal() == "postgres://ada:value-1234@db"
    assert filled(parse_template("plain"), []).reveal() == "plain"
    with pytest.raises(ValueError, match="zip"):
        filled(template, [Secret("ada")])


def test_a_text_may_have_to_be_one_reference() -> None:
    assert sole_reference("${env:TOKEN}") == CredentialRef("env", "TOKEN")
    for text in ("Bearer ${env:TOKEN}", "${env:A}${env:B}", "plain"):
        with pytest.raises(ValueError, match="must be one reference"):
            sole_reference(text)
