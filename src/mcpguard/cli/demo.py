"""`mcpguard demo`: a real client, real servers, and what mcpguard does between them, in some seconds."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import plain, style
from mcpguard.cli.audit.rows import LOOKS, shown, width
from mcpguard.core.errors import McpGuardError
from mcpguard.demo.stage import DemoFolder, stage

if TYPE_CHECKING:
    from mcpguard.demo.play import LineMark, Tally

EXAMPLES = (
    "mcpguard demo",
    "mcpguard demo --keep     (leaves its configuration, policy and evidence, to try things out)",
)

_INTRODUCTION = "A real client, mcpguard and two real tool servers. Nothing you see is made up."
_WIDEST = 120
_SIGNS = ("allowed", "denied", "redacted", "verified", "altered")
_LINES = 12
_TELLING = re.compile(
    r"(?P<redacted>\[REDACTED:[^\]]*\])|(?P<denied>Refused by mcpguard\s\([^)]*\)|Unknown tool)"
    r"|(?P<altered>ALTERED|was altered)|(?P<verified>^intact)"
)
"""Words in what came back that have the colour of a mark."""
_NEXT = (
    (
        "mcpguard import --dry-run",
        "shows how your clients' servers would move behind mcpguard; changes nothing",
    ),
    (
        "mcpguard wrap -- uvx mcp-server-git --repository ~/src/project",
        "in place of a server's command in your client",
    ),
    (
        "mcpguard check --config mcpguard.yaml",
        "checks a policy of your own; `mcpguard demo --keep` leaves one",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("--keep", action="store_true", help="keep the demo's folder, and print its path")


def execute(args: argparse.Namespace) -> int:
    """0 if every check held, 1 if one did not. Raises McpGuardError if the demo cannot run.

    Afterwards nothing is left: no process, and no file unless `--keep` was given.
    """
    _require_git()
    teller = StoryPrinter()
    try:
        # What is slow, or leaves a file behind when it is interrupted, comes before the first line.
        import tempfile
        from importlib import import_module

        import_module("mcpguard.demo.play")
        tempfile.gettempdir()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Whatever ends the demo, it cleans up as after Ctrl-C.
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
        teller.introduce()
        with stage(args.keep) as made:
            tally = _perform(made, teller)
    except BrokenPipeError:
        raise
    except (OSError, CalledProcessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip()
        raise McpGuardError(f"the demo's folder could not be made or removed: {reason}") from None
    if args.keep:
        print(f"\nkept in {made.folder}")
    return teller.conclude(tally)


def _require_git() -> None:
    if find_spec("mcp_server_git") is None:
        raise McpGuardError("the demo needs the Git MCP server: pip install mcp-server-git")
    if shutil.which("git") is None:
        raise McpGuardError("the demo needs git, which is not in PATH: install it and try again")


def _perform(made: DemoFolder, teller: StoryPrinter) -> Tally | None:
    import anyio
    from mcp import MCPError

    from mcpguard.demo.play import play, prove

    try:
        calls = anyio.run(play, made, teller)
        if calls is None:
            raise KeyboardInterrupt
        return prove(made, calls, teller)
    except (MCPError, OSError, ExceptionGroup) as error:
        teller.check(False, "verified", f"the session broke: {type(error).__name__}")
        if made.log.exists():
            said = made.log.read_text("utf-8", "replace").splitlines()
            teller.back("\n".join(said[-_LINES:]))
        return None


class StoryPrinter:
    """Prints the story in 40 to 120 columns, as the terminal has them; implements `demo.play.Narrator`."""

    def __init__(self) -> None:
        self._width = width(_WIDEST)
        self._claims = 0
        self._failed: list[str] = []
        self._steps = 0

    def introduce(self) -> None:
        """The first lines: what it is, and the signs."""
        self._print(self._wrapped(_INTRODUCTION), "bold")
        self._print_signs({name: name for name in _SIGNS}, "   ")

    def title(self, text: str) -> None:
        self._steps += 1
        print()
        self._print(self._wrapped(f"{self._steps}. {text}", hanging=3), "bold")

    def say(self, text: str) -> None:
        self._print(self._wrapped(text, 3))

    def call(self, text: str) -> None:
        first, *rest = self._wrapped(text, 5)
        print(f"   {style(shown('→'), 'bold')} {style(first.lstrip(), 'bold')}")
        self._print(rest, "bold")

    def back(self, text: str) -> None:
        """What came back, word for word: its first lines, as far as they fit."""
        lines = text.strip().splitlines()
        for line in lines[:_LINES]:
            self._quote("\n".join(self._wrapped(line, room=5)))
        if len(lines) > _LINES:
            self._quote(shown(f"… and {len(lines) - _LINES} more lines"))

    def decisions(self, rows: Sequence[tuple[LineMark, str, str]]) -> None:
        wide = max((len(tool) for _, tool, _ in rows), default=0)
        for mark, tool, rules in rows:
            self._marked(mark, f"{tool:{wide}}  {rules}")

    def check(self, held: bool, mark: LineMark, claim: str) -> None:
        self._claims += 1
        if held:
            self._marked(mark, claim)
            return
        self._failed.append(claim)
        self._print(self._wrapped(f"NO {claim}", 3, hanging=3), "red")

    def conclude(self, tally: Tally | None) -> int:
        """The last lines, and the exit code: 0 if every claim held, 1 if not."""
        print()
        if self._failed:
            print(style(f"{len(self._failed)} of {self._claims} checks failed:", "red"))
            for claim in self._failed:
                self._print(self._wrapped(claim, 2))
            return 1
        print(style(f"All {self._claims} checks held.", "green") + " What to try next:")
        for command, what in _NEXT:
            self._print(self._wrapped(command, 3, hanging=3), "bold")
            self._print(self._wrapped(what, 6))
        if tally is not None:
            print()
            counts = {
                "allowed": f"{tally.allowed} calls allowed",
                "denied": f"{tally.denied} denied",
                "redacted": f"{tally.redacted} values redacted",
                "verified": f"{tally.records} records verified",
            }
            self._print_signs(counts, shown(" · "))
        return 0

    def _marked(self, name: str, text: str) -> None:
        sign, _, colour = LOOKS[name]
        first, *rest = self._wrapped(text, 15, hanging=0 if self._width >= 60 else -10)
        print(f"   {style(f'{shown(sign)} {name:8}', colour)}  {first.lstrip()}")
        self._print(rest)
        sys.stdout.flush()

    def _quote(self, text: str) -> None:
        def tinted(found: re.Match[str]) -> str:
            colour = LOOKS[found.lastgroup or ""][2]
            return "\n".join(style(part, colour) for part in found[0].split("\n"))

        for line in _TELLING.sub(tinted, text).split("\n"):
            print(f"   {style(shown('│'), 'dim')} {line}".rstrip())

    def _print_signs(self, words: dict[str, str], between: str) -> None:
        """On one line if they fit, else on several."""
        line, used = "", 0
        for name, text in words.items():
            sign, _, colour = LOOKS[name]
            piece = f"{shown(sign)} {text}"
            if used and used + len(between) + len(piece) > self._width:
                print(line)
                line, used = "", 0
            line += (between if used else "") + style(piece, colour)
            used += (len(between) if used else 0) + len(piece)
        print(line, flush=True)

    def _print(self, lines: Sequence[str], look: str = "") -> None:
        for line in lines:
            print(style(line, look) if look else line)

    def _wrapped(self, text: str, indent: int = 0, room: int = 0, hanging: int = 0) -> list[str]:
        """Lines that fit with `room` columns to spare, the later ones indented by `hanging` more."""
        from textwrap import wrap

        blanks = " " * indent, " " * (indent + hanging)
        return wrap(
            shown(plain(text)),
            self._width - room,
            initial_indent=blanks[0],
            subsequent_indent=blanks[1],
            break_on_hyphens=False,
        )
