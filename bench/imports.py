"""What importing a library costs a start: the whole life of a process that does nothing else.

    python bench/imports.py [MODULE ...]      # best of ten, the modules taking turns

A module that is not installed is left out. Decision 0001 quotes msgspec and pydantic.
"""

import subprocess
import sys
import time
from importlib.util import find_spec

MODULES = ("sys", "msgspec", "pydantic.main", "yaml", "asyncio", "cel_expr_python.cel", "celpy", "mcp")
ROUNDS = 10


def life(module):
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return (time.perf_counter() - begun) * 1000


def main():
    modules = [name for name in sys.argv[1:] or MODULES if find_spec(name.split(".")[0])]
    rounds = [[life(module) for module in modules] for _ in range(ROUNDS)]
    for module, times in zip(modules, zip(*rounds, strict=True), strict=True):
        print(f"{min(times):7.1f} ms  {module}")


if __name__ == "__main__":
    main()
