"""`mcpguard secret login` and `logout`: the login of an `oauth` entry of `credentials`, in a browser."""

from __future__ import annotations

import argparse
import os

from mcpguard.config.oauth import OAuthEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Secret, sole_reference

EXAMPLES = (
    "mcpguard secret login linear                        (opens a page in the browser)",
    "mcpguard secret login linear --no-browser",
    "mcpguard secret logout linear",
)

SECONDS = 300.0
"""How long a login waits for the person by default."""


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`login NAME`, `logout NAME`."""
    into = actions.add_parser("login", help="log in for an `oauth` entry of `credentials`")
    out = actions.add_parser("logout", help="revoke the login and delete it")
    for each in (into, out):
        each.add_argument("name", help="the name of the entry")
        each.add_argument(
            "--config", metavar="FILE", help="the configuration (default: the one that `mcpguard run` uses)"
        )
    into.add_argument(
        "--no-browser", action="store_true", help="print the page's address instead of opening a browser"
    )
    into.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="how long to wait")


def execute(args: argparse.Namespace) -> int:
    """Do it; CredentialError says why not."""
    from mcpguard.adapters.credentials.oauth.asking import OAuthProblem

    try:
        if args.action == "logout":
            _out(args.name, args.config)
        else:
            _in(args)
    except OAuthProblem as problem:
        raise CredentialError(f"credential:{args.name}: {problem}") from None
    return 0


def _in(args: argparse.Namespace) -> None:
    import asyncio

    from mcpguard.adapters.credentials.oauth.grants import Grants
    from mcpguard.adapters.credentials.oauth.login import login
    from mcpguard.config.loading import find_config

    if not 0 < args.timeout <= 86400:
        raise CredentialError("--timeout must be above 0 and at most 86400 seconds")
    entry = _entry(args.name, args.config)
    if entry is None:
        raise CredentialError(
            f"credential:{args.name} is no entry with `oauth` in `credentials` of the configuration, "
            f"{find_config(args.config, os.environ)}: name another one with --config"
        )

    def show(url: str) -> None:
        print(f"log in on this page, within {args.timeout:g} seconds:\n\n  {url}\n", flush=True)
        if not args.no_browser:
            _open(url)

    work = login(args.name, entry, _secret(entry), show, Grants(), args.timeout)
    grant = asyncio.run(work)
    print(f"logged in: credential:{args.name} has a token from {grant.issuer} for {grant.resource}")


def _out(name: str, config: str | None) -> None:
    import asyncio

    from mcpguard.adapters.credentials.oauth.grants import Grants
    from mcpguard.adapters.credentials.oauth.login import logout

    entry = _entry(name, config)
    problem = asyncio.run(logout(name, None if entry is None else _secret(entry), Grants()))
    print(f"logged out: credential:{name}")
    if problem:
        print(f"the token could not be revoked ({problem}): revoke it in your account there")


def _entry(name: str, config: str | None) -> OAuthEntry | None:
    from mcpguard.config.loading import find_config, load_config

    found = load_config(find_config(config, os.environ)).credentials.get(name)
    return found.made if found is not None and isinstance(found.made, OAuthEntry) else None


def _secret(entry: OAuthEntry) -> Secret | None:
    from mcpguard.adapters.credentials import SOURCES

    if entry.client_secret is None:
        return None
    ref = sole_reference(entry.client_secret)
    return SOURCES[ref.source].source().get(ref)


def _open(url: str) -> None:
    """Some browsers run in the terminal, and would keep us from listening."""
    import webbrowser
    from threading import Thread

    Thread(target=webbrowser.open, args=(url,), daemon=True).start()
