"""`mcpguard audit`: verify that the evidence is as it was written, and print it."""

import argparse
import os
import re
from collections import deque
from pathlib import Path
from typing import Any

from mcpguard.adapters.audit.reader import chain_files, default_folder, lines
from mcpguard.adapters.system.terminal import plain, style, table
from mcpguard.cli.audit_export import add_export, export
from mcpguard.cli.audit_proof import add_key, add_verify, print_heads, print_key, verify_chains

EXAMPLES = (
    "mcpguard audit verify",
    "mcpguard audit verify audit/ --json",
    "mcpguard audit verify audit/ --expect 20260801T070000Z-311-5f0c9a1e.jsonl:3b9a...",
    "mcpguard audit verify --public-key mcpguard-audit-public-1:3q2+7w...= --heads heads.txt",
    "mcpguard audit heads",
    "mcpguard audit key --new",
    "mcpguard audit show -n 50",
    "mcpguard audit show --observed",
    "mcpguard audit show 4f1c09aa-17",
    "mcpguard audit export --format csv --since 7d --to calls.csv",
    "mcpguard audit export --format cef --to syslog+tcp://siem.example:601 --follow --cursor siem.cursor",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`verify [PATH]`, `show [PATH]`, `export [PATH]`, `heads [PATH]`, `key`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="verify|show|export|heads|key")
    check = actions.add_parser("verify", help="verify that nothing was altered (exit code 1 if it was)")
    add_verify(check)
    heads = actions.add_parser("heads", help="print the head of each chain as FILE:HASH, not verified")
    add_key(actions.add_parser("key", help="print the public key that proves signatures, or make a key"))
    show = actions.add_parser(
        "show",
        help="tell the whole story of the call ID; without one, print the last records, unverified",
    )
    show.add_argument("id", nargs="?", metavar="ID", help="the id of a call, as quoted in a refusal")
    show.add_argument("-n", type=_positive, default=20, metavar="N", help="how many records (default: 20)")
    show.add_argument(
        "--observed",
        action="store_true",
        help="only what would have been refused or withheld, of servers whose policies are only observed",
    )
    exported = actions.add_parser("export", help="put the evidence into another format, or send it somewhere")
    add_export(exported)
    for action in (check, show, heads, exported):
        action.add_argument(
            "path", nargs="?", type=Path, metavar="PATH", help="a chain, or a folder of chains"
        )
        action.add_argument("--config", metavar="FILE", help="use the audit folder of this configuration")
    for action in (check, show, heads):
        action.add_argument("--json", action="store_true", help="print JSON")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(text)


def execute(args: argparse.Namespace) -> int:
    """1 where something was altered; AuditError where there is nothing to read."""
    if args.action == "key":
        return print_key(args)
    if args.action == "show" and args.id is not None and not _is_id(args.id):
        args.id, args.path = None, args.path or Path(args.id)
    path = args.path or _configured(args.config)
    if args.action == "export":
        return export(path, args)
    if args.action == "heads":
        return print_heads(path, args.json)
    if args.action == "show" and args.id is not None:
        from mcpguard.cli.audit_story import tell

        return tell(path, args.id, args.json)
    if args.action == "show":
        _show(path, args.n, args.json, b'"observed":' if args.observed else b"")
        return 0
    return verify_chains(path, args)


def _is_id(text: str) -> bool:
    """Whether it is the id of a call, and not a file or folder."""
    return re.fullmatch(r"\w+-\d+", text) is not None and not Path(text).exists()


def _configured(option: str | None) -> Path:
    from mcpguard.config.loading import find_config, load_config

    path = find_config(option, os.environ)
    if not (option or os.environ.get("MCPGUARD_CONFIG") or path.exists()):
        return default_folder()
    audit = load_config(path).audit
    return audit.path if audit else default_folder()


def _show(path: Path, count: int, as_json: bool, having: bytes) -> None:
    """The last `count` lines that have `having` in them."""
    last: deque[bytes] = deque()
    for file in reversed(chain_files(path)):
        if len(last) < count:
            fitting = (line for line in lines(file) if having in line)
            last.extendleft(reversed(deque(fitting, maxlen=count - len(last))))
    if as_json:
        for line in last:
            print(line.decode(errors="replace").rstrip("\n"))
    elif last:
        rows = [_row(line) for line in last]
        print(table(rows))
        refused = [row[_ID] for row in rows if row[1:3] == ("decision", "deny")]
        if refused:
            print(
                style(
                    f"why, and by which line of which policy: `mcpguard explain {plain(refused[-1])}`", "dim"
                )
            )


_ID = 4
"""The column with the id of a call. What has any length is in the last one, which is not padded."""


def _row(line: bytes) -> tuple[str, ...]:
    from msgspec import DecodeError
    from msgspec.json import Decoder

    try:
        record: dict[str, Any] = Decoder(dict[str, Any]).decode(line)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return ("", "unreadable", "", "", "", "")

    def first(*names: str) -> str:
        found = next((record[name] for name in names if record.get(name)), "")
        return ", ".join(map(str, found)) if isinstance(found, (list, dict)) else str(found)

    where = "/".join(part for part in (first("server"), first("tool")) if part)
    if where and not record.get("tool"):
        where = f"{where} {first('method')}".rstrip()
    if chosen := first("credential"):
        where = f"{where} with {chosen}"
    asker = first("principal")
    if first("kind") == "decision" and not asker.startswith("os-user:"):
        # Over HTTP several come to one process; on stdio the first record says who it is.
        where = f"{where or first('method')} by {asker}"
    return (
        first("at")[:19],
        first("kind"),
        first("effect", "status", "what", "reason", "version"),
        where or first("method", "principal"),
        first("id"),
        _observed(record) or first("rules", "cause") or _done(record) or first("error", "detail", "policies"),
    )


_DONE = {"findings": "removed", "unredacted": "left", "neutralised": "neutralised"}


def _done(record: dict[str, Any]) -> str:
    """What was done to a result, or to a notification."""
    done = {said: record[name] for name, said in _DONE.items() if record.get(name)}
    return "; ".join(f"{said} {', '.join(map(str, found))}" for said, found in done.items())


def _observed(record: dict[str, Any]) -> str:
    """What policies that are only observed would have done."""
    would = record.get("observed")
    if not isinstance(would, dict):
        return ""
    rules = would.get("rules")
    by = ", ".join(map(str, rules)) if isinstance(rules, list) else ""
    cause = "" if by and would.get("cause") == "rule" else str(would.get("cause"))
    verb = "refused" if record.get("kind") == "decision" else "withheld"
    return f"would be {verb} ({' '.join(filter(None, (cause, by)))})"
