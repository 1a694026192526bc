"""What a reader of evidence says where it was altered: once for each file, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mcpguard.adapters.system.terminal import plain


def trust(altered: Iterable[str]) -> int:
    """The exit code: 1 where chains were altered, and it is said."""
    names = list(altered)
    for name in names:
        warn(name)
    return 1 if names else 0


def warn(name: str) -> None:
    """Say that this chain was altered."""
    print(
        f"mcpguard: {plain(name)} was altered: do not trust what is printed of it; `mcpguard audit verify` "
        "says where",
        file=sys.stderr,
    )
