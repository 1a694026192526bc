"""`pathWithin(paths, folders, base)`: whether a path, or each of a list, is one of the folders or below one.

Law of this file: paths are compared as text, case and all. A symbolic link below a folder may lead out of
it, and that is seen by the file system only. Where a path is in no folder as it stands, but would be in
one for some program or file system (case, globs, what stands behind a `#`), there is no answer.
"""

from __future__ import annotations

from mcpguard.core.functions.function import Function, FunctionError, Parameter, as_list, of_each
from mcpguard.core.functions.paths.reading import HERE, PurePath, read_path


def path_within(paths: str | list[str], folders: str | list[str], base: str | None = None) -> bool:
    """Whether a path, or each of a list, is one of `folders` or below one; relative ones, of both, begin in
    `base`. Raises FunctionError for a path or a folder as `read_path` does, for a folder with `..`, for a
    `base` that is not absolute, for a mix of relative and absolute paths without one, where a folder holds
    a path only by another reading of it, and for a list as `of_each` does."""
    start = HERE if base is None else _base(base)
    holders = [_folder(one, start) for one in as_list(folders)]
    return of_each(paths, lambda path: _within(read_path("pathWithin", path, start), holders))


def _within(inner: PurePath, holders: list[PurePath]) -> bool:
    if any(holder.absolute != inner.absolute for holder in holders):
        raise FunctionError(
            "pathWithin() compares a relative path with an absolute folder only if its third argument is the "
            "folder in which relative paths start"
        )
    if any(inner.steps[: len(holder.steps)] == holder.steps for holder in holders):
        return True
    if any(_could_hold(holder, inner) for holder in holders):
        raise FunctionError(
            "a path is in a folder only if case is ignored, brackets are expanded or a space or `#` ends it"
        )
    return False


def _could_hold(folder: PurePath, path: PurePath) -> bool:
    return len(folder.steps) <= len(path.steps) and all(
        step.could_be(other.name) for step, other in zip(path.steps, folder.steps, strict=False)
    )


def _folder(text: str, base: PurePath = HERE) -> PurePath:
    if ".." in text.split("/"):
        raise FunctionError("a folder must be written without `..`")
    return read_path("pathWithin", text, base)


def _base(text: str) -> PurePath:
    if not text.startswith("/"):
        raise FunctionError("the folder in which relative paths start must be absolute")
    return _folder(text)


PATH_WITHIN = Function(
    name="pathWithin",
    summary="Whether a path is one of the folders or below it, once `.`, `..` and `//` are resolved as text. "
    "For a list of paths it is true if all are and false if none is; an empty list, or one in which only "
    "some are, is an error. "
    "Both must be absolute or both relative, unless `base` says in which absolute folder relative ones "
    "start. Symbolic links are not resolved. A path is read if it consists of letters and digits of any "
    "script, spaces within a name, `-._+,@=&:;#()[]{}`, a `~` at the end of a name (`backup~`) and one `%` "
    "before a space, a `.` or the end of a name (`100%.txt`). Anything that a shell, a library, a decoder "
    "or another platform may replace is an error: `~/x`, `$HOME`, `%TEMP%`, `%2e`, backquotes, quotes, "
    "backslashes, `!`, `*`, `?`, `{a,b}`. Brackets, braces and `#` are read, but it is an error where the "
    "answer depends on them: for a program that expands globs, `/srv/[d]ata` is `/srv/data`.",
    parameters=(
        Parameter("paths", "strings"),
        Parameter("folders", "strings", check=_folder),
        Parameter("base", "string", optional=True, check=_base),
    ),
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
        'pathWithin("src/[id]/page.tsx", "/srv/data", "/srv/data") && pathWithin(".", "/srv", "/srv")',
        '!pathWithin("../secret", "/srv/data", "/srv/data")',
        'pathWithin(["/srv/data/100%.txt", "/srv/data/C#/{{name}}/@types"], "/srv/data")',
    ),
    errors=(
        'pathWithin("report.txt", "/srv/data")',
        'pathWithin("../report.txt", ".")',
        'pathWithin("~/report.txt", ".")',
        'pathWithin("/srv/data/report.txt", "~/data")',
        'pathWithin("/srv/data/..${EMPTY}/secret", "/srv/data")',
        'pathWithin("/srv/[d]ata/x", "/srv/data")',
        'pathWithin("report.txt", "/srv/data", "data")',
        'pathWithin("/srv/data/%2e%2e/secret", "/srv/data")',
        'pathWithin("/srv/data/..\\\\secret", "/srv/data")',
        'pathWithin("/SRV/data/report.txt", "/srv/data")',
        'pathWithin("file:///srv/data/report.txt", "/srv/data")',
        'pathWithin("/proc/self/root/srv/data", "/")',
        'pathWithin(["/srv/data/a", "/etc/passwd"], "/srv/data")',
        'pathWithin([], "/srv/data")',
    ),
)
