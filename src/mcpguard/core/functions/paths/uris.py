"""`filePath()`: the path that a `file:` URI is about, for the functions that read paths.

Law of this file: one reading or none. A URI is read only where every reader takes the same path from it:
escapes are undone once, and what would be undone again, or ends the path for some of them, is an error.
Source: RFC 8089, section 2; WHATWG URL, section 4.4.
"""

from urllib.parse import unquote_to_bytes

from mcpguard.core.expressions import expression
from mcpguard.core.functions.function import Function, FunctionError, Parameter, check_size

LIMIT = 8192
"""Characters of a URI."""

_URI = expression(r"file://(?:localhost)?(/[^?#\\\x00-\x20\x7f]*)")
_CONTROL = expression(r"[\x00-\x1f\x7f]")
_ESCAPE = expression(r"%(?:25|2[fF]|5[cC]|00)|%(?![0-9A-Fa-f]{2})")
"""What some readers undo again, what ends a name or separates names after all, and a bare `%`."""


def file_path(uri: str) -> str:
    """The absolute path of a `file:` URI of this machine, as it stands there, with `.` and `..`. Raises
    FunctionError for other URIs and for one that programs read differently."""
    check_size("filePath", uri, LIMIT)
    found = _URI.fullmatch(uri)
    if found is None:
        raise FunctionError(
            "filePath() reads `file:///…` and `file://localhost/…`, without `?`, `#`, blanks and backslashes"
        )
    if _ESCAPE.search(found[1]):
        raise FunctionError("a `file:` URI has an escape that programs read differently")
    try:
        path = unquote_to_bytes(found[1]).decode()
    except UnicodeDecodeError:
        raise FunctionError("the escapes in a `file:` URI must be UTF-8") from None
    if path.startswith("//") or _CONTROL.search(path):
        raise FunctionError("a `file:` URI names a host in its path, or has a control character in it")
    return path


FILE_PATH = Function(name="filePath", parameters=(Parameter("uri", "string"),), call=file_path)
