"""A login and what it left, for tests of `oauth`."""

import time
from asyncio import run

import pytest

from mcpguard.adapters.credentials.oauth.grants import Grants
from mcpguard.adapters.credentials.oauth.login import login
from mcpguard.adapters.credentials.oauth.mints import AuthorizationCode
from mcpguard.config.minted import OAuthEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Secret
from tests.servers.authority import browse, stored

NAME = "linear"
REF = "credential:linear"
SECRETS = {"client": "client-secret-1234"}


class Hand:
    """A clock that a test moves, in seconds since 1970."""

    def __init__(self, at=None):

        self.at = time.time() if at is None else at

    def __call__(self):
        return self.at


class Stage:
    """An entry, the keychain in memory, and the locks of one user."""

    def __init__(self, backend, folder, url, **entry):
        self.backend = backend
        self.grants = Grants(folder=folder / "locks")
        self.entry = OAuthEntry(url=url, **entry)
        self.clock = Hand()
        self.shown = []
        self.cautions = []

    def log_in(self, look=browse, seconds=60):
        """Log in; `look(url)` is the browser."""

        def show(url, caution):
            self.shown.append(url)
            self.cautions.append(caution)
            look(url)

        configured = Secret(SECRETS["client"]) if self.entry.client_secret else None
        grant, self.unrevoked = run(login(NAME, self.entry, configured, show, self.grants, seconds))
        self.clock.at = time.time()
        return grant

    def refusal(self, look=browse, seconds=60):
        """The sentence of a login that fails, which leaves nothing behind."""
        before = dict(self.backend.entries)
        with pytest.raises(CredentialError) as caught:
            self.log_in(look, seconds)
        assert self.backend.entries == before
        return str(caught.value)

    def mint(self, **entry):
        """A mint as a new process has it; `entry` changes the configuration."""
        whole = OAuthEntry(**self.entry.model_dump() | entry)
        return AuthorizationCode(NAME, whole, lambda ref: Secret(SECRETS[ref.name]), self.grants, self.clock)

    def kept(self):
        """The grant in the keychain, as JSON."""
        return stored(self.backend, NAME)


def unusable(mint):
    """The sentence of a mint that gives nothing."""
    with pytest.raises(CredentialError) as caught:
        mint.lease()
    assert str(caught.value).startswith(REF)
    return str(caught.value)
