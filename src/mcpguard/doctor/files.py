"""Reading files of others without trusting them.

Law of this file: nothing here waits, follows a loop or reads more than it says.
"""

import os
import stat
from pathlib import Path

from mcpguard.authoring.findings import Unchecked

SIZE_LIMIT = 1 << 20
"""The largest file that is looked into, in bytes."""


def text_of(path: Path) -> str | Unchecked | None:
    """The text of a regular file; None where there is none, or where it is something else.

    Bytes that are not UTF-8 become U+FFFD. A link is followed.
    """
    try:
        # Opening a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return Unchecked(str(path), _reason(error))
    try:
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        return Unchecked(str(path), _reason(error))
    if len(data) > SIZE_LIMIT:
        return Unchecked(str(path), f"larger than {SIZE_LIMIT} bytes")
    return data.decode("utf-8-sig", "replace")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not a valid path"
