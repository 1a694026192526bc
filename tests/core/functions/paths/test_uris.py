"""`filePath()` gives the one path that programs take from a `file:` URI, or an error."""

import pytest

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.paths.uris import LIMIT, file_path
from tests.rows import each


@each(
    ("uri", "path"),
    [
        ("file:///srv/a.txt", "/srv/a.txt"),
        ("file://localhost/srv/a.txt", "/srv/a.txt"),
        ("file:///", "/"),
        ("file:///srv/a%20b%C3%A9.txt", "/srv/a b\u00e9.txt"),
        ("file:///srv/%2e%2e/etc", "/srv/../etc"),
        ("file:///C:/a", "/C:/a"),
    ],
)
def test_the_path_is_given_with_its_escapes_undone_once(uri: str, path: str) -> None:
    assert file_path(uri) == path


@each(
    ("uri", "said"),
    [
        ("https://example.com/a", "file:///"),
        ("FILE:///a", "file:///"),
        ("file:/a", "file:///"),
        ("file://server/a", "file:///"),
        ("file:///a?b", "without"),
        ("file:///a#b", "without"),
        ("file:///a b", "without"),
        ("file:///a\\b", "without"),
        ("file:///a%2Fb", "differently"),
        ("file:///a%5cb", "differently"),
        ("file:///%252e", "differently"),
        ("file:///100%", "differently"),
        ("file:///a%00", "differently"),
        ("file:///%ff", "UTF-8"),
        ("file:////server/a", "names a host"),
        ("file:///a%0a", "control character"),
        ("file:///" + "a" * LIMIT, "at most"),
    ],
)
def test_what_programs_read_differently_is_an_error(uri: str, said: str) -> None:
    with pytest.raises(FunctionError, match=said):
        file_path(uri)
