"""`mcpguard`, imported as far as `mcpguard run` imports it: `python -m tests.servers.warm_mcpguard [MODULE ...] SOCKET`
imports these modules too, then forks for each request. Its arguments are those of mcpguard, or `-c CODE ...` as Python
takes them."""

import sys
from importlib import import_module

import mcpguard.cli.run
import mcpguard.config.loading
import mcpguard.serve.app  # noqa: F401
from mcpguard.cli import main
from tests.servers import warm


def begin():
    """Run what `sys.argv` says."""
    if sys.argv[1] != "-c":
        sys.exit(main(sys.argv[1:]))
    code = sys.argv[2]
    del sys.argv[1:3]
    exec(code, {"__name__": "__main__"})


if __name__ == "__main__":
    for name in sys.argv[1:-1]:
        import_module(name)
    warm.serve(sys.argv[-1], begin)
