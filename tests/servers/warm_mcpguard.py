"""`mcpguard`, imported as far as most of its processes import it: `python -m tests.servers.warm_mcpguard [MODULE ...] SOCKET`
imports these modules too, then forks for each request. Its arguments are those of mcpguard, or `-c CODE ...` as Python
takes them."""

import gc
import re
import sys
import tempfile
from base64 import b64encode
from functools import partial
from importlib import import_module
from pathlib import Path

from mcpguard.adapters.system.tables import keep_tables
from mcpguard.cli import main, run
from mcpguard.cli.parser import Parser, examples
from mcpguard.config.evidence import BoundsEntry
from mcpguard.core import expressions
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.serve import handover
from mcpguard.serve.app import loaded
from mcpguard.serve.handover import read
from tests.servers import warm

OFTEN = (
    "pwd",
    "sqlite3",
    "platformdirs.unix",
    "mcpguard.adapters.transports.http",
    "mcpguard.adapters.upstreams.wires.http",
    "mcpguard.cli.audit.verb",
    "mcpguard.cli.operating.approvals",
    "mcpguard.cli.operating.status",
)
"""What many processes import while they serve, and the commands that most tests ask."""
CONFIG = """
version: 1
servers: {a: {command: "true"}}
policies: [policy.yaml]
"""
POLICY = """
version: 1
policy: warm
rules: [{id: all, effect: allow, when: "args.a == 'a'"}]
"""
ORDINARY = {
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "echo", "version": "1"}},
    "protocolVersion": "2025-11-25",
    "instructions": "The token is in the header; password=see-there, at http://127.0.0.1/a?key=b.",
    "tools": [
        {"name": "secret_length", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
        {"name": "echo", "description": "The tool secret_length", "title": "a: b | c"},
    ],
    "progressToken": 1,
    "nextCursor": "x",
    "secret_page": "secret_x",
}
"""What most servers say: whatever is compiled for it is compiled once."""


def once():
    """What every process does at its start and none differently: models, engine and patterns are made here."""
    keep_tables()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("mcpguard.yaml", CONFIG), ("policy.yaml", POLICY)):
            Path(folder, name).write_text(text)
        path = Path(folder, "mcpguard.yaml")
        loaded(read(path), partial(read, path))
    tempfile.tempdir = None  # Each looks for its own TMPDIR.
    Redactor(bytes(32)).inspect({"a": ["%41", b64encode(b"ghp_" + b"a1" * 18).decode()], **ORDINARY})
    options = Parser(prog="mcpguard run", epilog=examples("mcpguard run"))
    run.add_arguments(options)
    options.parse_known_args(["--config", "mcpguard.yaml"])
    BoundsEntry()
    list(Path(__file__).parent.glob("*-*"))
    re.match("[0-9]{1,4}", "")
    compile_all()
    # What reads a configuration is imported here, so a child would save nothing.
    handover.in_child = lambda reads, _what: reads
    gc.collect()
    gc.freeze()


def compile_all():
    """Compile the patterns of all modules, which a process compiles when it uses them first."""
    for module in [one for name, one in sys.modules.items() if name.startswith("mcpguard.")]:
        for one in vars(module).values():
            if isinstance(one, expressions._Unused):
                for member in ("search", "match", "fullmatch", "finditer", "findall", "sub", "split"):
                    getattr(one, member)


def begin():
    """Run what `sys.argv` says."""
    if sys.argv[1] != "-c":
        sys.exit(main(sys.argv[1:]))
    code = sys.argv[2]
    del sys.argv[1:3]
    exec(code, {"__name__": "__main__"})


if __name__ == "__main__":
    for name in (*OFTEN, *sys.argv[1:-1]):
        import_module(name)
    once()
    warm.serve(sys.argv[-1], begin)
