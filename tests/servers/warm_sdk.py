"""Servers that are written with the SDK, in a process that has imported it and them: `python -m tests.servers.warm_sdk
MODULE ... SOCKET` imports the modules, then forks for each request, whose arguments are those of `python -m`."""

import runpy
import sys
from importlib import import_module

import mcp.server.stdio  # noqa: F401

from tests.servers import warm


def begin():
    """Run the module that `sys.argv` names."""
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in sys.argv[1:-1]:
        import_module(name)
    warm.serve(sys.argv[-1], begin)
