"""`mcpguard audit`: verify that the evidence is as it was written, print it, and ask it."""

import argparse
import os
import re
from pathlib import Path

from mcpguard.cli.audit.export import add_export, export
from mcpguard.cli.audit.proof import add_key, add_verify, print_heads, print_key, verify_chains
from mcpguard.cli.audit.query import add_filters, add_query, positive, query
from mcpguard.cli.audit.show import show
from mcpguard.cli.audit.stats import add_stats, stats
from mcpguard.cli.audit.tail import add_tail, tail
from mcpguard.cli.parser import configured_if_any
from mcpguard.config.loading import evidence_folder
from mcpguard.core.errors import AuditError

EXAMPLES = (
    "mcpguard audit verify",
    "mcpguard audit verify audit/ --json",
    "mcpguard audit verify audit/ --expect 20260801T070000Z-311-5f0c9a1e.jsonl:3b9a...",
    "mcpguard audit verify --public-key mcpguard-audit-public-1:3q2+7w...= --heads heads.txt",
    "mcpguard audit heads",
    "mcpguard audit key --new",
    "mcpguard audit key --new --to /etc/mcpguard/audit.key",
    "mcpguard audit show -n 50",
    "mcpguard audit show --observed",
    "mcpguard audit show 4f1c09aa-17",
    "mcpguard audit show --denied --since 2h",
    "mcpguard audit tail -f",
    "mcpguard audit stats --by tool --since 7d",
    'mcpguard audit query \'tool.name == "git_push" && args.remote != "origin"\' --since 3d',
    "mcpguard audit export --format csv --since 7d --to calls.csv",
    "mcpguard audit export --format cef --to syslog+tcp://siem.example:601 --follow --cursor siem.cursor",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, most with `[PATH]`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser(
        "verify",
        help="verify that nothing was altered (exit code 1 if something was, 3 if only a newer mcpguard "
        "can tell)",
    )
    add_verify(check)
    shown = actions.add_parser(
        "show",
        help="show everything recorded about the call ID; without one, print the last records",
    )
    shown.add_argument("id", nargs="?", metavar="ID", help="the id of a call, as quoted in a refusal")
    shown.add_argument("-n", type=positive, default=20, metavar="N", help="how many records (default: 20)")
    shown.add_argument(
        "--observed",
        action="store_true",
        help="only what policies in observe mode would have refused or withheld",
    )
    add_filters(shown)
    asked = actions.add_parser("query", help="print the calls that match a condition")
    add_query(asked)
    tailed = actions.add_parser("tail", help="print the last calls, and with -f new calls as they happen")
    add_tail(tailed)
    counted = actions.add_parser("stats", help="count calls by server, tool, principal, rule and more")
    add_stats(counted)
    heads = actions.add_parser("heads", help="print the head of each chain as FILE:HASH, not verified")
    add_key(actions.add_parser("key", help="print the public key that verifies signatures, or create a key"))
    exported = actions.add_parser(
        "export", help="convert the evidence to another format, or send it to another system"
    )
    add_export(exported)
    for action in (check, shown, asked, tailed, counted, heads, exported):
        action.add_argument(
            "path", nargs="?", type=Path, metavar="PATH", help="a chain, or a folder of chains"
        )
        action.add_argument("--config", metavar="FILE", help="use the audit folder of this configuration")
    for action in (check, shown, asked, tailed, counted, heads):
        action.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    """1 where something was altered; AuditError where there is nothing to read."""
    if args.action == "key":
        return print_key(args)
    if args.action == "show" and args.id is not None and not _is_id(args.id):
        if args.path is not None or not Path(args.id).exists():
            raise AuditError(
                f"{args.id} is neither the id of a call, such as 4f1c09aa-17, nor a file or folder"
            )
        args.id, args.path = None, Path(args.id)
    if args.action == "query" and args.condition:
        _sort_out(args)
    path = args.path or audit_folder(args.config)
    if args.action == "export":
        return export(path, args)
    if args.action == "heads":
        return print_heads(path, args)
    if args.action == "verify":
        return verify_chains(path, args)
    asked = {"show": show, "query": query, "tail": tail, "stats": stats}
    return asked[args.action](path, args)


def _sort_out(args: argparse.Namespace) -> None:
    """Take a path as one even if it stands first. Raises AuditError for one that does not exist."""
    if os.path.exists(args.condition) and (args.path is None or not os.path.exists(args.path)):
        args.condition, args.path = "" if args.path is None else str(args.path), Path(args.condition)
    elif _PATH.fullmatch(args.condition):
        raise AuditError(
            f"{args.condition} is neither a file or folder that exists nor a condition; either may be left "
            "out of `mcpguard audit query 'CEL' PATH`"
        )


_PATH = re.compile(r"[\w.~-]*(?:/[\w.@~+-]*)+|[\w.-]+\.jsonl(?:\.gz)?")
"""What looks like a path and is not a condition."""


def _is_id(text: str) -> bool:
    """Whether it is the id of a call, and not a file or folder."""
    return re.fullmatch(r"\w+-\d+", text) is not None and not Path(text).exists()


def audit_folder(option: str | None) -> Path:
    """Where the evidence of the configuration `option`, or of the one that is found, is."""
    return evidence_folder(configured_if_any(option))
