"""`mcpguard demo`: a real client, a real server, and what mcpguard does between them, in some seconds."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

from mcpguard.cli.terminal import plain, style, table

if TYPE_CHECKING:
    from mcpguard.demo.stage import Stage

EXAMPLES = (
    "mcpguard demo",
    "mcpguard demo --keep     (leaves its configuration, policy and evidence, to try things out)",
)

_WIDTH = 80
_LINES = 12
_NEXT = (
    ("mcpguard import --dry-run", "what moving in the servers of your clients would do; nothing is changed"),
    ("mcpguard wrap -- uvx mcp-server-git --repository .", "in place of a server's command in your client"),
    ("mcpguard check --config mcpguard.yaml", "your own policy; `mcpguard demo --keep` leaves one"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--keep", action="store_true", help="leave the folder of the demo, and say where it is"
    )


def execute(args: argparse.Namespace) -> int:
    """0 where everything came out as it should, 1 where something did not, 2 where the demo cannot run.

    Afterwards nothing is left: no process, and no file unless `--keep` was given.
    """
    lacking = _lacking()
    if lacking:
        print(f"mcpguard: {lacking}", file=sys.stderr)
        return 2
    from mcpguard.demo.stage import stage

    teller = Teller()
    try:
        _prepare()
        print(style("A client, mcpguard, and two tool servers. Nothing of what you see is made up.", "bold"))
        with stage(args.keep) as made:
            _perform(made, teller)
    except BrokenPipeError:
        raise
    except (OSError, CalledProcessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip()
        print(f"mcpguard: the demo's folder could not be made or removed: {reason}", file=sys.stderr)
        return 2
    code = _end(teller)
    if args.keep:
        print(f"\nkept in {made.folder}")
    return code


def _prepare() -> None:
    """What is slow, or leaves a file behind when it is interrupted, comes before the first line."""
    import tempfile
    from importlib import import_module

    import_module("mcpguard.demo.play")
    tempfile.gettempdir()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Whoever ends the demo, it cleans up as after Ctrl-C.
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def _lacking() -> str:
    """What the demo needs and this machine has not, as a sentence."""
    if find_spec("mcp") is None or find_spec("mcp_server_git") is None:
        return "the demo needs a client and a server: pip install 'mcpguard-gateway[demo]'"
    if shutil.which("git") is None:
        return "the demo needs git, which is not in PATH: install it and try again"
    return ""


def _perform(made: Stage, teller: Teller) -> None:
    import anyio
    from mcp import MCPError

    from mcpguard.demo.evidence import prove
    from mcpguard.demo.play import play

    try:
        calls = anyio.run(play, made, teller)
        if calls is None:
            raise KeyboardInterrupt
        prove(made, calls, teller)
    except (MCPError, OSError, ExceptionGroup) as error:
        teller.check(False, f"the session broke: {type(error).__name__}")
        if made.log.exists():
            said = made.log.read_text("utf-8", "replace").splitlines()
            teller.back("\n".join(said[-_LINES:]))


def _end(teller: Teller) -> int:
    print()
    if teller.failed:
        print(style(f"{len(teller.failed)} of {teller.checks} did not come out as it should:", "red"))
        for claim in teller.failed:
            print(f"  {plain(claim)}")
        return 1
    print(style(f"All {teller.checks} checks held.", "green") + " What you can do next:")
    for command, what in _NEXT:
        print(f"\n  {style(command, 'bold')}\n      {what}")
    return 0


class Teller:
    """Tells the story in a terminal of 80 columns; implements `demo.play.Narrator`.

    `checks` counts the claims, `failed` are those that did not hold.
    """

    def __init__(self) -> None:
        self.checks = 0
        self.failed: list[str] = []
        self._steps = 0

    def title(self, text: str) -> None:
        """A new step."""
        self._steps += 1
        print(f"\n{style(f'{self._steps}. {text}', 'bold')}")

    def say(self, text: str) -> None:
        """A sentence of ours."""
        for line in _wrapped(text, 3):
            print(line)

    def call(self, text: str) -> None:
        """What the client asks for."""
        print(f"   {style('>', 'dim')} {plain(text)}")

    def back(self, text: str) -> None:
        """What came back, word for word: its first lines, as far as they fit."""
        lines = text.strip().splitlines()
        for line in lines[:_LINES]:
            for part in _wrapped(line, 0, _WIDTH - 5) or [""]:
                print(f"   {style('|', 'dim')} {part}".rstrip())
        if len(lines) > _LINES:
            print(f"   {style('|', 'dim')} … and {len(lines) - _LINES} lines more")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Rows of equal length, the first of them the head."""
        head, *body = table(rows).splitlines()
        print(f"   {style(head, 'dim')}")
        for line in body:
            print(f"   {line}")

    def check(self, held: bool, claim: str) -> None:
        """A claim, and whether it held."""
        self.checks += 1
        if not held:
            self.failed.append(claim)
        mark = style("ok", "green") if held else style("NO", "red")
        first, *rest = _wrapped(claim, 6)
        print("\n".join([f"   {mark} {first.lstrip()}", *rest]), flush=True)


def _wrapped(text: str, indent: int, width: int = _WIDTH) -> list[str]:
    from textwrap import wrap

    blank = " " * indent
    return wrap(plain(text), width, initial_indent=blank, subsequent_indent=blank, break_on_hyphens=False)
