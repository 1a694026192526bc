"""`pathWithin(paths, folders)`: whether a path, or each of a list, is one of the folders or below one.

Law of this file: paths are compared as text, case and all. A symbolic link below a folder may lead out of
it, and that is seen by the file system only. Where case alone decides, there is no answer, since some file
systems ignore it.
"""

from __future__ import annotations

from mcpguard.core.functions.each import of_each
from mcpguard.core.functions.function import Function, FunctionError, Parameter
from mcpguard.core.functions.paths.reading import PurePath, read_path
from mcpguard.core.functions.web.networks import as_list


def path_within(paths: str | list[str], folders: str | list[str]) -> bool:
    """Whether a path, or each of a list, is one of `folders` or below one. Raises FunctionError for a path or
    a folder as `read_path` does, for a folder with `..`, for a mix of relative and absolute paths, where a
    folder holds a path only if case is ignored, and for a list as `of_each` does."""
    holders = [_folder(one) for one in as_list(folders)]
    return of_each(paths, lambda path: _within(read_path("pathWithin", path), holders))


def _within(inner: PurePath, holders: list[PurePath]) -> bool:
    if any(holder.absolute != inner.absolute for holder in holders):
        raise FunctionError("pathWithin() cannot compare a relative path with an absolute one")
    if any(_holds(holder.steps, inner.steps) for holder in holders):
        return True
    folded = _folded(inner)
    if any(_holds(_folded(holder), folded) for holder in holders):
        raise FunctionError("a path differs from a folder only in case")
    return False


def _folder(text: str) -> PurePath:
    if ".." in text.split("/"):
        raise FunctionError("a folder must be written without `..`")
    return read_path("pathWithin", text)


def _holds(folder: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return path[: len(folder)] == folder


def _folded(path: PurePath) -> tuple[str, ...]:
    return tuple(step.casefold() for step in path.steps)


PATH_WITHIN = Function(
    name="pathWithin",
    summary="Whether a path is one of the folders or below it, once `.`, `..` and `//` are resolved as text. "
    "For a list of paths it is true if all are and false if none is; an empty list, or one in which only "
    "some are, is an error. "
    "Both must be absolute or both relative. Anything that a shell, a decoder or another platform could "
    "read differently is an error. Symbolic links are not resolved.",
    parameters=(Parameter("paths", "strings"), Parameter("folders", "strings")),
    gives="a bool",
    call=path_within,
    examples=(
        'pathWithin("/srv/data/report.txt", "/srv/data")',
        'pathWithin("/srv/data", ["/srv/data/", "/tmp"])',
        'pathWithin("/srv/data/a/..//./b", "/srv/data")',
        '!pathWithin("/srv/data/../secret", "/srv/data")',
        '!pathWithin("/srv/database", "/srv/data")',
        'pathWithin("src/main.py", "src") && pathWithin("docs/a.md", ".")',
        'pathWithin(["/srv/data/a", "/srv/data/b"], "/srv/data")',
        '!pathWithin(["/etc/a", "/srv/data/../b"], "/srv/data")',
        'pathWithin("/srv/data/na\u00efve file (1).txt", "/srv/data")',
    ),
    errors=(
        'pathWithin("report.txt", "/srv/data")',
        'pathWithin("../report.txt", ".")',
        'pathWithin("~/report.txt", ".")',
        'pathWithin("/srv/data/%2e%2e/secret", "/srv/data")',
        'pathWithin("/srv/data/..\\\\secret", "/srv/data")',
        'pathWithin("/SRV/data/report.txt", "/srv/data")',
        'pathWithin("file:///srv/data/report.txt", "/srv/data")',
        'pathWithin("/proc/self/root/srv/data", "/")',
        'pathWithin(["/srv/data/a", "/etc/passwd"], "/srv/data")',
        'pathWithin([], "/srv/data")',
    ),
)
"""The entry of the table."""
