"""`mcpguard snapshot`: what the configured servers offer, as a file for `mcpguard check --snapshot`."""

import argparse
from pathlib import Path

from mcpguard.adapters.system.terminal import plain
from mcpguard.cli.parser import add_config, configured, to_stderr
from mcpguard.core.errors import McpGuardError

EXAMPLES = ("mcpguard snapshot --out snapshot.json", "mcpguard snapshot --config mcpguard.yaml github")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_config(parser)
    parser.add_argument("--out", metavar="FILE", help="write to FILE instead of standard output")
    parser.add_argument(
        "servers", nargs="*", metavar="SERVER", help="only these servers (default: all that are not disabled)"
    )


def execute(args: argparse.Namespace) -> int:
    """0 where every list of every server came, else 1; what came is written. Raises ConfigError, and
    McpGuardError for a server that there is not or a file that cannot be written."""
    from mcpguard.authoring.snapshot import refused_when_validated, survey, write_snapshot

    config = configured(args.config)
    names = args.servers or [*config.served]
    unknown = [name for name in names if name not in config.servers]
    if unknown:
        known = ", ".join(config.servers)
        raise McpGuardError(f"there is no server {plain(unknown[0])!r}; there are {known}")
    snapshot, failed = survey(config, names)
    for problem in failed.values():
        to_stderr(plain(problem))
    for warning in refused_when_validated(snapshot).values():
        to_stderr(f"warning: {plain(warning)}")
    if failed and not snapshot.servers:
        return 1
    text = write_snapshot(snapshot)
    if args.out is None:
        print(text, end="")
    else:
        _write(args.out, text)
    return 1 if failed else 0


def _write(out: str, text: str) -> None:
    try:
        Path(out).write_text(text, "utf-8")
    except OSError as error:
        raise McpGuardError(f"{out} cannot be written: {error.strerror}") from None
