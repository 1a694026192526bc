"""`mcpguard`, imported as far as `mcpguard run` imports it: `python -m tests.servers.warm_mcpguard SOCKET` forks for
each request."""

import sys

import mcpguard.cli.run
import mcpguard.config.loading
import mcpguard.serve.app  # noqa: F401
from mcpguard.cli import main
from tests.servers import warm

if __name__ == "__main__":
    warm.serve(sys.argv[1], lambda: sys.exit(main(sys.argv[1:])))
