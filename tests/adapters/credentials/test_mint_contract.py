"""Every kind of entry of `credentials` keeps the contract, over its real source where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcpguard.config.credentials import CommandEntry, JsonEntry
from mcpguard.core.errors import CredentialError
from tests.adapters.credentials.fake_credentials import FakeMint, kind
from tests.adapters.credentials.mint_contract import CONTRACT, MintSetting
from tests.adapters.credentials.oauth import oauth_settings


def fake(_folder: Path) -> MintSetting:
    mint = FakeMint(seconds=600, ends=True)

    def set_error(error: CredentialError | None) -> None:
        mint.error = error

    return MintSetting(
        "fake",
        "",
        asked=lambda: mint.leases,
        rotate=lambda: None,
        fail=lambda: set_error(CredentialError("credential:key is unavailable: it was told to fail")),
        mend=lambda: set_error(None),
        issued=lambda: mint.leases - len(mint.ended),
        kinds={"fake": kind(lambda *_: mint)},
    )


def value(folder: Path) -> MintSetting:
    """Over a mounted file; reading it leaves no trace to count."""
    path = folder / "token"

    def write(text: str) -> None:
        path.write_text(text)
        path.chmod(0o600)

    write("first-value\n")
    return MintSetting(
        "value",
        f"Bearer ${{file:{path}}}",
        asked=lambda: 0,
        rotate=lambda: write("second-value\n"),
        fail=path.unlink,
        mend=lambda: write("first-value\n"),
    )


def command(folder: Path) -> MintSetting:
    """Over a script that counts its runs."""
    return _script(folder, 'echo "minted-value-$run"', CommandEntry(argv=("helper",)))


def command_in_json(folder: Path) -> MintSetting:
    wanted = CommandEntry(argv=("helper",), json=JsonEntry(value="token.value", expires="token.expires_in"))
    return _script(
        folder, 'echo "{\\"token\\": {\\"value\\": \\"minted-$run\\", \\"expires_in\\": 90}}"', wanted
    )


def _script(folder: Path, say: str, entry: CommandEntry) -> MintSetting:
    runs, broken, program = folder / "runs", folder / "broken", folder / "helper"
    program.write_text(
        f"#!/bin/sh\n[ ! -e {broken} ] || {{ echo minted-value-0; exit 4; }}\n"
        f"echo run >> {runs}\nrun=$(wc -l < {runs})\n{say}\n"
    )
    program.chmod(0o700)
    return MintSetting(
        "command",
        entry.model_copy(update={"argv": (str(program),)}),
        asked=lambda: len(runs.read_text().splitlines()) if runs.exists() else 0,
        rotate=lambda: None,
        fail=broken.touch,
        mend=broken.unlink,
    )


SETTINGS: tuple[Callable[[Path], MintSetting], ...] = (
    fake,
    value,
    command,
    command_in_json,
    oauth_settings.oauth,
    oauth_settings.client_credentials,
    oauth_settings.token_exchange,
)


@pytest.fixture(autouse=True)
def servers() -> Iterator[None]:
    """Those that a setting started end with its test."""
    with oauth_settings.OPEN:
        yield


@pytest.mark.parametrize("make", SETTINGS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_every_kind_keeps_the_contract(
    make: Callable[[Path], MintSetting], promise: Callable[[MintSetting], None], tmp_path: Path
) -> None:
    promise(make(tmp_path))
