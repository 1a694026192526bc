"""Servers that are written with the SDK, in a process that has imported it and them: `python -m tests.servers.warm_sdk
[FOLDER] MODULE ... SOCKET` imports the modules, from FOLDER (a path) if they are there, then forks for each request, whose
arguments are those of `python -m`, or `-c CODE ...`."""

import os
import runpy
import sys
from importlib import import_module

from tests.servers import warm


def begin():
    """Run what `sys.argv` says."""
    del sys.argv[0]
    if sys.argv[0] != "-c":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        code = sys.argv.pop(1)
        exec(code, {"__name__": "__main__"})


if __name__ == "__main__":
    names = sys.argv[1:-1]
    if os.sep in names[0]:
        sys.path.insert(0, names.pop(0))
    for name in ("mcp.server.stdio", *names):
        import_module(name)
    warm.serve(sys.argv[-1], begin)
