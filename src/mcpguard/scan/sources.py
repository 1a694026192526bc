"""What there is to read: one source for each file, blob or input."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from msgspec import Struct

from mcpguard.core.errors import McpGuardError
from mcpguard.scan.windows import Readable

STDIN = "<stdin>"
"""What the input is called."""
COMMIT = "<commit>"
"""What the message of a commit is called, with its author and its committer below."""
TAG = "<tag>"
"""What the message of a tag is called, with who made it below; the path has its name too."""
FILELESS = frozenset({STDIN, COMMIT, TAG})
"""All that is read and is not a file."""


class ScanError(McpGuardError):
    """What was to be scanned cannot be. The sentence says why."""


class ScanSource(Struct, frozen=True):
    """`path` is what reports call it; `file` is the absolute path of the file that it is or was, or one
    of FILELESS. In a history, `commit` (its hash) is the first that has it so, or what a tag is on. `open`
    raises OSError."""

    path: str
    file: str
    open: Callable[[], AbstractContextManager[Readable]]
    commit: str = ""


class Skipped(Struct, frozen=True):
    """Something that could not be read, and why, in one sentence."""

    path: str
    why: str
