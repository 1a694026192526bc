"""`mcpguard secret`: credentials into the system's keychain, never through argv."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.cli import secret_login
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, parse_template

EXAMPLES = (
    "mcpguard secret set github/read                     (asks, without showing what you type)",
    "pass show github | mcpguard secret set github/read",
    "mcpguard secret list",
    "mcpguard secret rm github/read",
    "mcpguard secret check --config mcpguard.yaml",
    *secret_login.EXAMPLES,
)

_MAX_SIZE = 64 * 1024

_NOT_IN_ARGV = (
    "a value on the command line can be read by every process on this machine (`ps`) and stays in the "
    "shell's history, so it is refused: run `mcpguard secret set {name}` and type it, or pipe it in. If "
    "it was real, replace it at its issuer"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`set NAME`, `list`, `rm NAME`, `check`, `login NAME`, `logout NAME`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="set|list|rm|check|login|logout")
    put = actions.add_parser("set", help="store a value, from the terminal or from standard input")
    put.add_argument("name", help="what ${keyring:NAME} refers to")
    # It takes options too, so that argparse never quotes a value in an error of its own.
    put.add_argument("extra", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    names = actions.add_parser("list", help="list the stored names, never their values")
    names.add_argument("--json", action="store_true", help="print a JSON list")
    remove = actions.add_parser("rm", help="remove a value")
    remove.add_argument("name")
    check = actions.add_parser(
        "check", help="request each credential of a configuration as its servers would; prints no value"
    )
    check.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder)",
    )
    check.add_argument("--json", action="store_true", help="print a JSON list")
    secret_login.add_arguments(actions)


def execute(args: argparse.Namespace) -> int:
    """Do it; CredentialError says why not. 1 where `check` finds something that is unavailable."""
    if args.action == "check":
        return _check(args.config, args.json)
    if args.action in ("login", "logout"):
        return secret_login.execute(args)
    keychain = Keychain()
    if args.action == "list":
        _list(keychain.names(), args.json)
    elif args.action == "rm":
        keychain.remove(_checked(args.name))
        print(f"removed {args.name}")
    else:
        name = _checked(args.name)
        if args.extra:
            raise CredentialError(_NOT_IN_ARGV.format(name=name))
        keychain.put(name, _acceptable(_typed(name) if sys.stdin.isatty() else _piped()))
        print(f"stored: refer to it in a configuration as ${{keyring:{name}}}")
    return 0


def _check(config: str | None, as_json: bool) -> int:
    from mcpguard.cli.secret_check import check, report
    from mcpguard.config.loading import find_config, load_config

    with _told_to_end():
        found = check(load_config(find_config(config, os.environ)))
    print(report(found, as_json))
    return 0 if all(one.ok for one in found) else 1


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


def _list(names: list[str], as_json: bool) -> None:
    if as_json:
        from mcpguard.cli.outputs import SecretNames

        print(SecretNames(tuple(names)).model_dump_json())
    else:
        print("\n".join(names) or "nothing is stored yet: `mcpguard secret set NAME`")


def _checked(name: str) -> str:
    try:
        template = parse_template(f"${{keyring:{name}}}")
    except ValueError:
        template = None
    if template is None or template.refs != (CredentialRef("keyring", name),) or not name.isprintable():
        raise CredentialError("a name has no spaces, no `$`, `{` or `}`: for example github/read")
    return name


def _typed(name: str) -> str:
    from getpass import getpass

    return getpass(f"value of {name} (not shown): ")


def _piped() -> str:
    data = sys.stdin.buffer.read(_MAX_SIZE + 1)
    if len(data) > _MAX_SIZE:
        raise CredentialError("standard input has more than 64 KiB: that is not a credential")
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise CredentialError("standard input is not UTF-8 text") from None


def _acceptable(value: str) -> str:
    from mcpguard.core.redaction.held import LONGEST, SHORTEST

    if len(value) < SHORTEST:
        fault = f"is shorter than {SHORTEST} characters" if value else "is empty"
        raise CredentialError(
            f"the value {fault}: it could not be distinguished from ordinary text in a server's answers, "
            "so it could not be redacted"
        )
    if len(value) > LONGEST:
        raise CredentialError(f"the value has more than {LONGEST} characters, so it could not be redacted")
    return value
