"""`glob(text, patterns)`: whether a text matches one of the globs.

Law of this file: the globs are those of a rule's `tools`, and mean the same. The work is bounded by the
length of the text times that of the patterns: each `*` is tried once (an atomic group), never again.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

from mcpguard.core.functions.function import Function, FunctionError, Parameter, as_list, check_size

LIMIT = 4096
"""Characters of the text, and of all patterns together."""


def glob(text: str, patterns: str | list[str]) -> bool:
    """Whether the whole of `text` matches one of `patterns`. Raises FunctionError for a text or patterns
    above LIMIT, for an empty pattern and for a NUL in either."""
    check_size("glob", text, LIMIT)
    globs = as_list(patterns)
    check_size("glob", "".join(globs), LIMIT)
    if not all(globs):
        raise FunctionError("glob() does not accept an empty pattern")
    return any(_compiled(one).match(text) is not None for one in globs)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


GLOB = Function(
    name="glob",
    summary="Whether a whole text matches one of the globs, which work as in a rule's `tools`: `*` is any "
    "text (also with `/` in it), `?` one character, `[seq]` and `[!seq]` one of a set; they are "
    "case-sensitive. For files use `pathWithin`, for hosts `hostIn`.",
    parameters=(Parameter("text", "string"), Parameter("patterns", "strings")),
    gives="a bool",
    call=glob,
    examples=(
        'glob("release/1.2", "release/*")',
        'glob("main", ["main", "release-?"]) && !glob("Main", "main")',
        'glob("a/b/c", "a*c") && !glob("abcd", "a*c")',
        'glob("file[1]", "file[[]1]") && glob("b7", "[!a]?")',
    ),
    errors=('glob("main", "")', 'glob("main", ["main", ""])'),
)
