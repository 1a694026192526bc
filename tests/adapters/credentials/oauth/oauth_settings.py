"""The kinds of OAuth for the contract of mints, over an authorization server on loopback."""

import json
from asyncio import run
from contextlib import ExitStack

from mcpguard.adapters.credentials.oauth.grants import Grants
from mcpguard.adapters.credentials.oauth.login import login
from mcpguard.adapters.credentials.oauth.mints import AuthorizationCode
from mcpguard.config.minted import ClientCredentialsEntry, OAuthEntry, TokenExchangeEntry
from tests.adapters.credentials.fake_credentials import kind
from tests.adapters.credentials.mint_contract import MintSetting
from tests.servers.authority import browse
from tests.servers.hosted import hosted

OPEN = ExitStack()
"""The servers of the test that runs; who makes a setting closes it."""


class Memory:
    """A keychain (`keychain.Keychain`) for one test."""

    def __init__(self):
        self.entries = {}

    def find(self, name):
        return self.entries.get(name)

    def put(self, name, value):
        self.entries[name] = value

    def age(self):
        """Make the tokens of every login ones that have to be renewed now."""
        for name, text in self.entries.items():
            self.entries[name] = json.dumps(json.loads(text) | {"renew_at": 0, "ends_at": 1})


def _asked(serving, grant):
    return sum(path == "/token" and form["grant_type"] == grant for _, path, _, form in serving.heard)


def _refusing(serving):
    serving.answers["/token"] = 503, {}, b"out of order"


def oauth(folder):
    """A login whose token is over when it is first needed."""
    serving = OPEN.enter_context(hosted())
    keychain, entry = Memory(), OAuthEntry(url=serving.url)
    grants = Grants(keychain, folder)
    run(login("key", entry, None, lambda url, _: browse(url), grants, 60))
    keychain.age()
    return MintSetting(
        "oauth",
        entry,
        asked=lambda: _asked(serving, "refresh_token"),
        rotate=keychain.age,
        fail=lambda: _refusing(serving),
        mend=serving.answers.clear,
        kinds={"oauth": kind(lambda name, made, secret: AuthorizationCode(name, made, secret, grants))},
    )


def client_credentials(folder):
    """A token for each lease, revoked at the end."""
    made = {"client_id": "ours", "client_secret": f"${{file:{_file(folder, 'client-secret-1234')}}}"}
    return _service("client_credentials", lambda issuer: ClientCredentialsEntry(issuer=issuer, **made))


def token_exchange(folder):
    """The same, for a subject."""
    subject = f"${{file:{_file(folder, 'subject-token-1234')}}}"
    return _service("token_exchange", lambda issuer: TokenExchangeEntry(subject=subject, issuer=issuer))


def _service(kind_of_entry, made):
    grants = {
        "client_credentials": "client_credentials",
        "token_exchange": "urn:ietf:params:oauth:grant-type:token-exchange",
    }
    serving = OPEN.enter_context(hosted(token_endpoint_auth_methods_supported=["client_secret_post"]))
    return MintSetting(
        kind_of_entry,
        made(serving.issuer),
        asked=lambda: _asked(serving, grants[kind_of_entry]),
        rotate=lambda: None,
        fail=lambda: _refusing(serving),
        mend=serving.answers.clear,
        issued=lambda: len(serving.issued),
    )


def _file(folder, text):
    path = folder / "secret"
    path.write_text(text)
    path.chmod(0o600)
    return path
