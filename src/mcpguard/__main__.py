"""`python -m mcpguard` is the `mcpguard` command."""

import sys

from mcpguard.cli import main

if __name__ == "__main__":
    sys.exit(main())
