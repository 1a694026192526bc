"""The `mcpguard` command.

Each verb is a module of this package with `EXAMPLES`, `add_arguments(parser)` and `execute(args) -> int`;
only the chosen one is imported, since a client waits for `mcpguard run` to start. `onboarding/` has the verbs
that change clients, `authoring/` those for writing policies, `operating/` those for watching, answering and
ending what runs, `audit/` the evidence. What verbs share: `parser.py`, `outputs.py` (`--json`) and
`log_lines.py` (`--log-format`). What a client hears from a `run` or `wrap` that cannot start is in
`unstarted.py`. The one action of `secret` that needs more than the others is in `secret_check.py`.
"""

import codecs
import errno
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import ModuleType

from mcpguard import __version__
from mcpguard.core.errors import DocumentError, McpGuardError

VERBS = {
    "run": ("run", "guard the configured tool servers and serve them to an MCP client"),
    "wrap": ("wrap", "guard one server without a configuration (read-only tools only)"),
    "import": ("onboarding.import", "move your clients' servers behind mcpguard, secrets to a keychain"),
    "undo": ("onboarding.undo", "undo what `import` and `install` changed"),
    "install": ("onboarding.install", "add mcpguard to a client that has no servers yet"),
    "lock": ("onboarding.lock", "restrict a client to mcpguard, or undo that"),
    "check": ("authoring.check", "report what is wrong with a configuration and its policies"),
    "doctor": ("doctor", "find what bypasses or weakens mcpguard on this machine"),
    "scan": ("scan", "find secrets in files, folders, standard input and git history"),
    "test": ("authoring.test", "run the tests of policies, on both engines, with coverage"),
    "explain": ("authoring.explain", "explain a decision, or list what a principal can reach"),
    "replay": ("authoring.replay", "decide recorded calls again, under other policies"),
    "snapshot": ("authoring.snapshot", "save what the configured servers offer, for `check`"),
    "schema": ("authoring.schema", "print the JSON Schema of a file that you write, or of an output"),
    "demo": ("demo", "see calls allowed and denied and a secret redacted, in a minute"),
    "secret": ("secret", "credentials in the keychain: set, list, rm, check, login, logout"),
    "approvals": ("operating.approvals", "list the calls that are waiting for approval"),
    "approve": ("operating.approve", "approve a waiting call"),
    "deny": ("operating.deny", "refuse a waiting call"),
    "console": ("operating.console", "open the local web page: see waiting calls, decide, undo"),
    "pins": ("operating.pins", "list the tools held back because they changed, and accept them"),
    "suggest": ("authoring.suggest", "suggest rules from what was refused, or approved by a person"),
    "session": ("operating.session", "what each agent has done so far: list, show, clear a label, end"),
    "status": ("operating.status", "show what is running and the state of its tool servers"),
    "top": ("operating.top", "watch what is running: servers, calls, denials, tickets"),
    "audit": ("audit.verb", "the evidence: verify, show, query, tail, stats, export, heads, key"),
    "report": ("report", "review access: who reached what, unused grants, zero trust"),
    "completion": ("completion", "print a completion script for bash, zsh or fish"),
    "help": ("help", "print a documentation page, or list all pages"),
}
"""Verb -> the module of this package that does it, and what it does."""

EXAMPLES = (
    "mcpguard demo",
    "mcpguard secret set github/read",
    "mcpguard check --config mcpguard.yaml",
    "mcpguard run --config mcpguard.yaml",
    "mcpguard audit verify",
)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AT_ONCE = 500_000
"""Objects that are made before one looks for garbage: nearly all of a start stay, and looking took a tenth of
it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. No exception escapes.

    0 success; 1 a negative result (an altered audit log, a failed check); 2 wrong usage, or an error that is
    explained in one sentence on standard error; 70 a bug in mcpguard; 130 interrupted, except `run` and
    `wrap`, which shut down cleanly on a signal and exit with 0; 141 the reader of the output went away.
    """
    _open_all()
    gc.set_threshold(_AT_ONCE)
    _without_plugins()
    words = list(sys.argv[1:] if argv is None else argv)
    errors = sys.stderr
    if any(word.startswith("--log-format") for word in words):
        from mcpguard.cli.log_lines import JsonLines, wants_json

        sys.stderr = JsonLines(errors) if wants_json(words) else errors
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 2
        if code:
            _tell_client(words, "".join(getattr(end, "__notes__", ())))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        code, said = _failed(error)
        _tell_client(words, said)
    finally:
        sys.stderr = errors
    return code


def _tell_client(words: list[str], said: str) -> None:
    """Where a client started this, it shows why nothing is served: `said`, if that is not ""."""
    from mcpguard.cli.unstarted import answer_with, serves_a_client

    if said and serves_a_client(words):
        sys.stderr.flush()
        with suppress(KeyboardInterrupt):
            answer_with(said)


def _without_plugins() -> None:
    """Plugins of pydantic that other packages bring would see every document. The module that looks for them
    takes ten milliseconds to find that it may not."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    none = ModuleType("pydantic.plugin._loader")
    none.get_plugins = tuple  # type: ignore[attr-defined]
    sys.modules[none.__name__] = none


def _import_msgspec() -> None:
    """It looks in typing_extensions first for what Python has itself: a third of a megabyte that no call
    needs. What wants that module later gets it."""
    if "msgspec" not in sys.modules and "typing_extensions" not in sys.modules:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
        try:
            import msgspec  # noqa: F401
        finally:
            del sys.modules["typing_extensions"]


def _failed(error: Exception) -> tuple[int, str]:
    """The exit code, and what was written to standard error, "" where nothing is to be said."""
    # The latter is what each access to a terminal that was closed gives.
    closed = isinstance(error, OSError) and error.errno == errno.EIO and error.filename is None
    if isinstance(error, BrokenPipeError) or closed:
        _discard_output()
        return 141, ""
    code = 2
    if isinstance(error, OSError) and error.errno in _FULL:
        _discard_output()
        said = f"the output cannot be written: {error.strerror}"
    elif isinstance(error, OSError) and isinstance(error.filename, str):
        from mcpguard.adapters.system.terminal import plain

        said = f"{plain(error.filename)} cannot be used: {error.strerror}"
    else:
        code, said = 70, f"{type(error).__name__}: this is a bug, please report it"
        print(_frames(error), end="", file=sys.stderr)
    print(f"mcpguard: {said}", file=sys.stderr)
    return code, said


def _open_all() -> None:
    """Whatever of the input, the output and the errors was closed is there, and leads nowhere: else the next
    file that is opened would take its place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    # A name that the terminal cannot show is no reason to fail, and JSON with it stays JSON.
    codecs.register_error("mcpguard", _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="mcpguard")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """`\\uXXXX` for characters that the encoding of the output lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end


def _lines(error: McpGuardError, complete: Callable[[str], str]) -> list[str]:
    """The text to print, with commands that are `complete`: a file name may contain anything, and a faulty
    line of a file may contain a credential. What is indented is an excerpt, in which a column is marked."""
    from mcpguard.adapters.system.terminal import plain

    said = complete(str(error))
    if isinstance(error, DocumentError):
        from mcpguard.core.redaction.redactor import Redactor

        said = Redactor(os.urandom(32)).inspect_text(said)
    return [*map(plain, f"mcpguard: {said}".split("\n"))]


def _in_short(lines: list[str]) -> str:
    """The first mistake of those, without the excerpt, and how many there are."""
    first, *more = (line for line in lines if line[:1] != " ")
    shown = first.removeprefix("mcpguard: ")
    return f"{shown} ({len(more)} more: `mcpguard check` shows all)" if more else shown


def _dispatch(words: list[str]) -> int:
    verb = words[0] if words else "--help"
    if verb in ("-h", "--help"):
        print(_help())
        return 0 if words else 2
    if verb in ("-V", "--version"):
        print(f"mcpguard {__version__}")
        return 0
    if verb not in VERBS:
        print(f"mcpguard: {_unknown(verb)}", file=sys.stderr)
        return 2
    return _run(verb, words[1:])


def _run(verb: str, words: list[str]) -> int:
    from importlib import import_module
    from pathlib import Path

    _import_msgspec()
    from mcpguard.adapters.system.own_process import close_to_others
    from mcpguard.adapters.system.tables import keep_tables
    from mcpguard.cli.parser import Parser, examples

    place, what = VERBS[verb]
    module = import_module(f"mcpguard.cli.{place}")
    epilog = examples(*module.EXAMPLES)
    options = Parser(prog=f"mcpguard {verb}", description=what, epilog=epilog)
    module.add_arguments(options)
    args, unknown = options.parse_known_args(words)
    if len(unknown) == 1 and unknown[0][:1] != "-" and getattr(args, "path", "") is None:
        # After an option argparse takes no place that may be left out.
        args.path, unknown = Path(unknown[0]), []
    if unknown:
        options.refuse(unknown[0], words)
    close_to_others()
    keep_tables()
    try:
        code: int = module.execute(args)
    except McpGuardError as error:
        from mcpguard.adapters.system.terminal import broken
        from mcpguard.cli.parser import completed_for

        complete = completed_for(getattr(args, "config", None))
        lines = _lines(error, complete)
        shown = [line if line[:1] == " " else broken(line, sys.stderr) for line in lines]
        print("\n".join(shown), file=sys.stderr)
        _tell_client([verb, *words], complete(_in_short(lines)))
        return 2
    return code


def _help() -> str:
    from mcpguard.adapters.system.terminal import style, table
    from mcpguard.cli.parser import examples

    return "\n".join(
        [
            f"{style('mcpguard', 'bold')}: an enforcing proxy for the Model Context Protocol",
            "",
            "usage: mcpguard VERB [arguments]   (mcpguard VERB --help for details)",
            "",
            table([(f"  {verb}", what) for verb, (_, what) in VERBS.items()]),
            "",
            "  -V, --version  print the version",
            "",
            examples(*EXAMPLES),
        ]
    )


def _unknown(verb: str) -> str:
    from difflib import get_close_matches

    from mcpguard.adapters.system.terminal import plain

    close = get_close_matches(verb, (*VERBS, "--version", "--help"), 1)
    hint = f"did you mean `mcpguard {close[0]}`?" if close else "`mcpguard --help` lists the verbs"
    return f"unknown verb {plain(verb)!r}: {hint}"


def _discard_output() -> None:
    # The interpreter flushes standard output once more at its end, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _frames(defect: Exception) -> str:
    """Where a defect happened, but not its message: that may quote an argument or a credential."""
    from traceback import format_tb

    return "".join(format_tb(defect.__traceback__))
