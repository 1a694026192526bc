"""`mcpguard console`: the local page where a person sees, decides and undoes."""

import argparse

from mcpguard.adapters.system.shipped import command_for_extra
from mcpguard.adapters.system.terminal import style
from mcpguard.cli.parser import add_config, configured, number, person_for
from mcpguard.core.errors import SessionError

EXAMPLES = ("mcpguard console", "mcpguard console --port 8300 --no-browser")

MISSING = (
    "the console needs {}, which is not installed: run `{}` (`mcpguard approvals` works without the console)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--port",
        type=number(0, 65_535),
        default=0,
        metavar="N",
        help="the loopback port to listen on (default: a free one)",
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the link, and do not open it in a browser"
    )
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0 when a person ends it. Raises SessionError where there is no terminal, where a library is missing,
    and where the port is taken."""
    person_for("the console")
    config = configured(args.config)
    try:
        from mcpguard.console.app import serve_console
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("mcpguard"):
            raise
        raise SessionError(MISSING.format(missing.name, command_for_extra("console"))) from None
    print(f"console of {config.path}: Enter prints a new link, Ctrl-C ends it")
    serve_console(config, args.port, not args.no_browser, _print_link)
    return 0


def _print_link(link: str) -> None:
    print(f"open {style(link, 'bold')} (works once, within two minutes)", flush=True)
