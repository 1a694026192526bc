"""`mcpguard secret`: credentials into the system's keychain, or a file, never through argv."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.credentials import value_of
from mcpguard.adapters.credentials.keychain import UNENCRYPTED, Keychain, in_the_open
from mcpguard.cli.parser import add_config, completed_for, configured, configured_if_any, hidden, number
from mcpguard.config.references import ENTRY
from mcpguard.core.errors import CredentialError, McpGuardError, SourceError
from mcpguard.core.secret import CredentialRef, Secret, parse_template, sole_reference

if TYPE_CHECKING:
    from mcpguard.config.loading import Config
    from mcpguard.config.minted import OAuthEntry

EXAMPLES = (
    "mcpguard secret set github/read                     (asks, without showing what you type)",
    "pass show github | mcpguard secret set github/read",
    "mcpguard secret set file:~/secrets/github           (a file that only you can read)",
    "mcpguard secret list",
    "mcpguard secret rm github/read",
    "mcpguard secret check --config mcpguard.yaml",
    "mcpguard secret login linear                        (opens a page in the browser)",
    "mcpguard secret login linear --no-browser",
    "mcpguard secret logout linear",
)

LOGIN_SECONDS = 300.0
"""How long a login waits for the person by default."""

_MAX_SIZE = 64 * 1024

_NOT_IN_ARGV = (
    "a value on the command line can be read by every process on this machine (`ps`) and stays in the "
    "shell's history, so it is refused: run `mcpguard secret set {name}` and type it, or pipe it in. If "
    "it was real, replace it at its issuer"
)

_GUESSED = (
    "warning: the value {said}, so it can be guessed, and is removed from every result in which it appears. "
    "If it is not a secret, write it in the configuration; otherwise replace it with a long random one"
)

_OF_LINES = ("-----BEGIN ", "{")
"""What begins so has several lines as a whole: a key or a document."""
_LINES = (
    "warning: the value has {} lines, and all of them together are the secret: if only one is, store that one"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`set NAME`, `list`, `rm NAME`, `check`, `login NAME`, `logout NAME`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="set|list|rm|check|login|logout")
    put = actions.add_parser("set", help="store a value, from the terminal or from standard input")
    put.add_argument(
        "name",
        metavar="NAME",
        help="the NAME in ${keyring:NAME}; file:/PATH writes the file for ${file:/PATH}",
    )
    # It takes options too, so that argparse never quotes a value in an error of its own.
    put.add_argument("extra", nargs=argparse.REMAINDER, help=argparse.SUPPRESS).required = False
    names = actions.add_parser("list", help="list the stored names, never their values")
    names.add_argument("--json", action="store_true", help="print a JSON list")
    remove = actions.add_parser("rm", help="remove a value")
    remove.add_argument("name", metavar="NAME", help="as `mcpguard secret list` prints it")
    check = actions.add_parser(
        "check",
        help="request each credential of a configuration as its servers would, without printing values",
    )
    add_config(check)
    check.add_argument("--json", action="store_true", help="print a JSON list")
    into = actions.add_parser("login", help="log in for an `oauth` entry of `credentials`")
    out = actions.add_parser("logout", help="revoke the login and delete it")
    for each in (into, out):
        each.add_argument("name", metavar="NAME", help="the name of the entry")
        add_config(each)
    into.add_argument(
        "--no-browser", action="store_true", help="print the page's address instead of opening a browser"
    )
    into.add_argument(
        "--timeout", type=number(1, 86_400), default=LOGIN_SECONDS, metavar="SECONDS", help="how long to wait"
    )


def execute(args: argparse.Namespace) -> int:
    """Do it; CredentialError says why not. 1 where `check` finds something that is unavailable."""
    if args.action == "check":
        from mcpguard.cli.secret_check import check, report

        with _told_to_end():
            found = check(configured(args.config), completed_for(args.config))
        print(report(found, args.json))
        return 0 if all(one.ok for one in found) else 1
    if args.action in ("login", "logout"):
        return _log(args)
    keychain = Keychain()
    if args.action == "list":
        _list(keychain, args.json)
    elif args.action == "rm":
        keychain.remove(_no_login(name := _stored_name(args.name, keychain)))
        print(f"removed {name}")
    else:
        _set(args.name, args.extra, keychain)
    return 0


def _set(text: str, extra: list[str], keychain: Keychain) -> None:
    is_file = text.startswith("file:")
    if not is_file and "=" in text:
        raise CredentialError(_NOT_IN_ARGV.format(name=text.partition("=")[0]))
    name = text if is_file else _no_login(_name_in_keychain(text))
    path = _file(text) if is_file else None
    if path is None and not all(name.split("/")):
        raise CredentialError("a part of the name is empty: write it as in github/read")
    if extra:
        raise CredentialError(_NOT_IN_ARGV.format(name=name))

    value = _acceptable(hidden(f"value of {name} (not shown): ") if sys.stdin.isatty() else _piped())
    if path is not None:
        _put(path, name, value)
    else:
        try:
            keychain.put(name, value)
        except SourceError as error:
            raise SourceError(f"{error}. `mcpguard secret set file:/PATH` stores it in a file") from None
        _warn_of_keychain()
    reference = name if is_file else f"keyring:{name}"
    print(f"stored: refer to it in a configuration as ${{{reference}}}")
    from mcpguard.core.redaction.held.search import weakness

    if (lines := value.strip().count("\n") + 1) > 1 and not value.startswith(_OF_LINES):
        print(_LINES.format(lines), file=sys.stderr)
    elif said := weakness(Secret(value)):
        print(_GUESSED.format(said=said), file=sys.stderr)


def _warn_of_keychain() -> None:
    if kind := in_the_open():
        print(f"warning: {UNENCRYPTED.format(kind)}", file=sys.stderr)


def _file(text: str) -> Path:
    """The file that a reference `file:/PATH` names."""
    try:
        ref = sole_reference(f"${{{text}}}")
    except ValueError:
        raise CredentialError("a path has no `$`, `{` or `}`: for example file:~/secrets/github") from None
    path = Path(os.path.expanduser(ref.name))
    if not path.is_absolute():
        raise CredentialError(f"{ref} must be an absolute path or begin with ~/")
    return path


def _put(path: Path, name: str, value: str) -> None:
    """Write a file that only this user can read; raises CredentialError where it could not be used."""
    from mcpguard.onboarding import disk

    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise CredentialError(f"{name} is a link, or not a file, so it was left alone: name the file itself")
    disk.make_folder(path.parent)
    disk.write(path, f"{value}\n".encode())
    value_of(sole_reference(f"${{{name}}}"))  # It kept its mode, and may be open to others.


@contextmanager
def _told_to_end() -> Iterator[None]:
    """What was issued for a check is ended, however that ends: so a signal is an exception here."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _list(keychain: Keychain, as_json: bool) -> None:
    try:
        names, nothing = keychain.names(), "nothing is stored yet: `mcpguard secret set NAME`"
    except CredentialError:
        # Without a keychain, secrets are elsewhere, and nobody needs to be told to start one.
        if not (elsewhere := _elsewhere()):
            raise
        names = []
        nothing = f"the configuration refers to {elsewhere} only: `mcpguard secret check` requests each"
    if as_json:
        from mcpguard.cli.outputs import SecretNames

        print(SecretNames(tuple(names)).model_dump_json())
    else:
        print("\n".join(names) or nothing)


def _elsewhere() -> str:
    """The sources of the references of the configuration, as they are written; empty where one is the
    keychain, or nothing is known."""
    try:
        config = configured_if_any(None)
    except McpGuardError:
        return ""
    sources = sorted({ref.source for ref in config.plain_references}) if config else []
    return "" if "keyring" in sources else " and ".join(f"${{{one}:…}}" for one in sources)


def _checked(name: str) -> str:
    try:
        template = parse_template(f"${{keyring:{name}}}")
    except ValueError:
        template = None
    if template is None or template.refs != (CredentialRef("keyring", name),) or not name.isprintable():
        raise CredentialError("a name has no spaces, no `$`, `{` or `}`: for example github/read")
    return name


_ELSEWHERE = {
    "env": "{} is an environment variable: set it where mcpguard is started",
    "file": "{} is a file: delete the file itself",
    ENTRY: "{} is an entry in `credentials` of the configuration, which says where its value comes from",
}


def _name_in_keychain(text: str) -> str:
    """The name that `text` is, or that a reference `keyring:NAME` has. CredentialError for other ones."""
    source, _, name = text.partition(":")
    if name and source in _ELSEWHERE:
        raise CredentialError(_ELSEWHERE[source].format(text))
    return _checked(name if name and source == "keyring" else text)


def _stored_name(text: str, keychain: Keychain) -> str:
    """The same for one that is removed: what has such a name goes by it, whatever else that could mean."""
    try:
        stored = text in keychain.names()
    except CredentialError:
        _name_in_keychain(text)  # What is elsewhere needs no keychain.
        raise
    return text if stored else _name_in_keychain(text)


def _no_login(name: str) -> str:
    """`name`, unless the keychain has a login there: nothing else could revoke its tokens later."""
    entry = name.removeprefix("oauth/")
    if entry != name:
        from mcpguard.adapters.credentials.oauth.grants import DamagedGrantError, Grants

        with suppress(DamagedGrantError):
            if Grants().read(entry) is not None:
                raise CredentialError(
                    f"keyring:{name} is a login: `mcpguard secret logout {entry}` revokes and deletes it"
                )
    return name


def _piped() -> str:
    data = sys.stdin.buffer.read(_MAX_SIZE + 1)
    if len(data) > _MAX_SIZE:
        raise CredentialError("standard input has more than 64 KiB: that is not a credential")
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise CredentialError("standard input is not UTF-8 text") from None


def _acceptable(value: str) -> str:
    if not value:
        raise CredentialError("the value is empty")

    from mcpguard.core.redaction.held.search import unguardable

    if fault := unguardable(value):
        raise CredentialError(f"the value {fault}")
    return value


# --- logins --------------------------------------------------------------------------------------


def _log(args: argparse.Namespace) -> int:
    import asyncio

    from mcpguard.adapters.credentials.oauth.asking import OAuthProblem

    # A login outlives the configuration that it was for.
    config = configured_if_any(args.config) if args.action == "logout" else configured(args.config)
    entry = _entry(args.name, config)
    try:
        asyncio.run(_out(args.name, entry) if args.action == "logout" else _in(args, entry))
    except OAuthProblem as problem:
        raise CredentialError(f"credential:{args.name}: {problem}") from None
    return 0


async def _in(args: argparse.Namespace, entry: OAuthEntry | None) -> None:
    from mcpguard.adapters.credentials.oauth.grants import Grants
    from mcpguard.adapters.credentials.oauth.login import login

    if entry is None:
        from mcpguard.config.loading import find_config

        raise CredentialError(
            f"credential:{args.name} is not an entry with `oauth` in `credentials` of the configuration, "
            f"{find_config(args.config, os.environ)}: name another one with --config"
        )

    def show(url: str, caution: str) -> None:
        if caution:
            print(f"before you log in: {caution}", flush=True)
        print(f"log in on this page within {args.timeout:g} seconds:\n\n  {url}\n", flush=True)
        if not args.no_browser:
            _open(url)

    grant, problem = await login(args.name, entry, _secret(entry), show, Grants(), args.timeout)
    if problem:
        print(f"the earlier login could not be revoked ({problem}): revoke it in your account there")
    _warn_of_keychain()
    scopes = f", with the scopes {' '.join(grant.granted)}" if grant.granted else ""
    print(f"logged in: credential:{args.name} has a token from {grant.issuer} for {grant.resource}{scopes}")


async def _out(name: str, entry: OAuthEntry | None) -> None:
    from mcpguard.adapters.credentials.oauth.grants import Grants
    from mcpguard.adapters.credentials.oauth.login import logout

    problem = await logout(name, None if entry is None else _secret(entry), Grants())
    print(f"logged out: credential:{name}")
    if problem:
        print(f"the token could not be revoked ({problem}): revoke it in your account there")


def _entry(name: str, config: Config | None) -> OAuthEntry | None:
    from mcpguard.config.minted import OAuthEntry

    found = None if config is None else config.credentials.get(name)
    return found.made if found is not None and isinstance(found.made, OAuthEntry) else None


def _secret(entry: OAuthEntry) -> Secret | None:
    return None if entry.client_secret is None else value_of(sole_reference(entry.client_secret))


def _open(url: str) -> None:
    """Some browsers run in the terminal, and would keep us from listening."""
    import webbrowser
    from threading import Thread

    Thread(target=webbrowser.open, args=(url,), daemon=True).start()
