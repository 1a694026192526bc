"""Where credentials come from. `broker.py` says who gets which, and `kept.py` keeps one for its time.

`environ.py`, `mounted.py` and `keychain.py` are sources of plain values. `program.py`, `vault.py`,
`github_app.py`, `postgres.py` (with `postgres_roles.py` and `journal.py`) and `oauth/` make them, through
`service.py` where a service is asked.

To add a source of plain values: a module here, a line in `SOURCES`, and its name in `SOURCES` of
`config/references.py`, which may not import this package. To add one that makes them: a module here, a
line in `MINTS`, and its field in `config/credentials.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from math import inf
from typing import NamedTuple

from mcpguard.adapters.credentials import environ, keychain
from mcpguard.adapters.credentials.environ import Environ
from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.adapters.credentials.mounted import MountedFile
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.ports import CredentialSource, Mint

KEYRING_SECONDS = 2.0
"""How long a value of the keychain is kept: a question to a Secret Service takes tens of milliseconds."""


class SourceKind(NamedTuple):
    """One source of plain values.

    `source` is its class, which takes no arguments. `example` is a reference to it, for the reference page,
    which also has the first sentence of its module. `keep` is how many seconds a value is kept, `pause` how
    many the source is left alone after it failed: 0 for one that costs nothing to ask. `quietly(ref)` gives
    the value where that is local and no person is asked for anything, None where it is not sure; it raises
    CredentialError as `get` does.
    """

    source: type[CredentialSource]
    example: str
    quietly: Callable[[CredentialRef], Secret | None]
    keep: float = 0.0
    pause: float = 0.0


SOURCES: dict[str, SourceKind] = {
    "keyring": SourceKind(Keychain, "${keyring:github/read}", keychain.quietly, KEYRING_SECONDS, 1.0),
    "env": SourceKind(Environ, "${env:GITHUB_TOKEN}", environ.quietly),
    "file": SourceKind(MountedFile, "${file:/run/secrets/github-token}", MountedFile().get),
}
"""The SOURCE of a `${SOURCE:NAME}` reference -> where it is read."""


def value_of(ref: CredentialRef) -> Secret:
    """The value of a plain reference now. Raises CredentialError."""
    return SOURCES[ref.source].source().get(ref)


class MintKind(NamedTuple):
    """How the mints of one kind of entry are made.

    `module` and `mint` name what is called, at the first use: `mint(name, made, secret)`. There `name` is the
    entry's (messages say `credential:NAME`), `made` its field of this kind as written, and `secret(ref)`
    resolves a plain reference that is in it and tells the redactor. With `per_principal` there is one mint
    for each principal, who is the fourth argument. `keep` is how many seconds a value that does not say its
    own end is kept, `pause` how many a source that failed is left alone. With `recovers` a mint has `left()`,
    whether a process that was killed left something at its source (which is not asked), and `recover()`,
    which takes that back and raises CredentialError. Without `issues` it gives nothing that has to be ended.
    With `stores` it puts what it gets where the next process finds it, so the end waits for an open question.
    `look` is how many seconds a value is given before the mint is asked whether it is still the one. With
    `renews` a mint can lengthen a lease, so one that is in use is renewed before its end. `library` is what
    it imports from the extra of mcpguard that has the name of the kind.
    """

    module: str
    mint: str
    per_principal: bool = False
    keep: float = 300.0
    pause: float = 1.0
    recovers: bool = False
    issues: bool = True
    stores: bool = False
    look: float = inf
    renews: bool = False
    library: str = ""

    def load(self) -> Callable[..., Mint]:
        """What makes one; imported now."""
        made: Callable[..., Mint] = getattr(import_module(f"{__name__}.{self.module}"), self.mint)
        return made


MINTS: dict[str, MintKind] = {
    "value": MintKind("broker", "ValueMint", keep=0.0, pause=0.0, issues=False),
    "command": MintKind("program", "CommandMint", issues=False),
    "vault": MintKind("vault", "VaultMint", renews=True, library="hvac"),
    "github_app": MintKind("github_app", "GithubAppMint"),
    "postgres": MintKind("postgres", "PostgresMint", recovers=True, renews=True, library="psycopg"),
    "oauth": MintKind("oauth.mints", "AuthorizationCode", issues=False, stores=True, look=KEYRING_SECONDS),
    "client_credentials": MintKind("oauth.mints", "ServiceToken"),
    "token_exchange": MintKind("oauth.mints", "ServiceToken"),
}
"""The kind of an entry of `credentials` (its field in `config/credentials.py`) -> how it is made."""


def library_missing(kind: str) -> str:
    """The sentence about a kind whose library is not installed."""
    from mcpguard.adapters.system.shipped import command_for_extra  # A start has no use for it.

    said = f"a `{kind}` needs the package `{MINTS[kind].library}`, which is missing"
    return f"{said}: run `{command_for_extra(kind)}`"
