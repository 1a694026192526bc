"""What every credential source promises (`ports.CredentialSource`): the adapters and the fake alike."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.ports import CredentialSource

VALUE = "s3cr3t-vÄlue with spaces"


class Setting(NamedTuple):
    """A source in which `present` is `VALUE` and `missing` is not there."""

    source: CredentialSource
    present: CredentialRef
    missing: CredentialRef


def gives_what_is_there(setting: Setting) -> None:
    """`get` gives a Secret with the exact value, any number of times."""
    for _ in range(2):
        secret = setting.source.get(setting.present)
        assert type(secret) is Secret
        assert secret.reveal() == VALUE


def refuses_what_is_missing_by_name(setting: Setting) -> None:
    """The sentence names the reference, says what to do, and holds no value."""
    with pytest.raises(CredentialError) as caught:
        setting.source.get(setting.missing)
    said = str(caught.value)
    assert said.startswith(str(setting.missing))
    assert len(said.split()) > 4
    assert VALUE not in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def says_whether_it_has_one(setting: Setting) -> None:
    """`has` answers without handing out the value and without raising."""
    assert setting.source.has(setting.present) is True
    assert setting.source.has(setting.missing) is False


CONTRACT = (gives_what_is_there, refuses_what_is_missing_by_name, says_whether_it_has_one)
