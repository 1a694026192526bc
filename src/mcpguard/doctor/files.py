"""Reading files of others without trusting them.

Law of this file: nothing here waits, follows a loop or reads more than it says.
"""

from pathlib import Path

from mcpguard.adapters.system.files import read_regular
from mcpguard.authoring.findings import Unchecked

SIZE_LIMIT = 1 << 20
"""The largest file that is looked into, in bytes."""


def text_of(path: Path) -> str | Unchecked | None:
    """The text of a regular file; None where there is none, or where it is something else.

    Bytes that are not UTF-8 become U+FFFD. A link is followed.
    """
    try:
        data = read_regular(path, SIZE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Unchecked(str(path), error.strerror or "cannot be read")
    if data is None:
        return None
    if len(data) > SIZE_LIMIT:
        return Unchecked(str(path), f"larger than {SIZE_LIMIT} bytes")
    return data.decode("utf-8-sig", "replace")
