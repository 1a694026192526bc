"""shell(text): what a shell would run, from the text alone.

Law of this file: `programs` is complete, or `code` is true, or the text is refused. Source: POSIX.1-2024,
XCU 2 (Shell Command Language), as far as sh, bash, dash, BusyBox and zsh agree on it.
"""

from __future__ import annotations

import unicodedata

from mcpguard.core.functions.function import Function, FunctionError, Parameter, check_size
from mcpguard.core.functions.shell.reading import Reading
from mcpguard.core.model import Json

LIMIT = 4096
"""The longest text, in characters."""

_HIDDEN = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"))
"""Unicode categories from which only a space, a tab and a line feed are accepted."""


def shell(text: str, folder: str = "") -> dict[str, Json]:
    """The facts of `SHELL.fields` for a command line that is run in `folder`, an absolute path. Raises
    FunctionError: see the law above."""
    check_size("shell", text, LIMIT)
    if any(char not in " \t\n" and unicodedata.category(char) in _HIDDEN for char in text):
        raise FunctionError("shell() does not read control characters, or blanks but space, tab and LF")
    reading = _read(Reading(text, folder))
    if reading.functions or (reading.unrolled and reading.resets):
        reading = _read(Reading(text, folder, redefined=True))
    return reading.result()


def _read(reading: Reading) -> Reading:
    # The parser costs a start some milliseconds, so it is imported where a text needs it.
    from mcpguard.core.functions.shell.tree import read_tree

    while reading.texts:
        depth, inner, reading.places.here = reading.texts.pop()
        if not inner.strip(" \t\n"):
            raise FunctionError("shell() found no command")
        read_tree(inner.encode(), reading, depth)
    return reading


SHELL = Function(
    name="shell",
    summary="What a shell would run if it were given `text`; nothing is run.",
    parameters=(Parameter("text", "string"), Parameter("folder", "string", optional=True)),
    gives="A map; an error if shells could read the text differently, or if a program's name is not "
    "literal. With `folder`, the absolute path in which the text runs, `reads`, `writes` and "
    "`folders` are absolute, too.",
    call=shell,
    prepare=lambda: shell("git log"),
    fields={
        "programs": "Names of all programs that could run, sorted: wrappers (`env`, `sudo`, `xargs`, "
        "`sh -c`, `find -exec`) and what they run. A program outside the system's folders "
        "is listed with its path too; `find -delete` counts as `rm`.",
        "unknown": "Those of them that shell() does not know, and so could run anything.",
        "commands": "Each command: `program`, `args` (after quote removal), `path` (as written), `code` (as "
        "`code` of all, for this one: false for `sed` in `make | sed p`) and `line`: "
        "path and arguments, separated by blanks. A blank within an argument is U+00A0 there, and so is an "
        "empty one, so `[^ ]+` is one argument: `line.matches('^git commit( -a| -m [^ ]+)+$')`.",
        "redirects": "Each redirect: `operator` and `target`; for here-documents the text.",
        "reads": "Files that redirects read, and that arguments of known programs make them read, as "
        "they are called from where the text begins to run: after `cd src` the file "
        "`a` is `src/a`. A glob counts as the folder that it looks in. What a program such as "
        "`ls` or `grep -r` reads without being given a file, which is the folder that it runs in, "
        "is not named.",
        "writes": "Files that redirects, and known programs by their arguments, write, delete or "
        "change; not `/dev/null`.",
        "outside": "Those of `reads` and `writes` that are not certainly below `folder`, or below the folder "
        "in which the text runs: pathWithin() says no, or cannot say it.",
        "indirect": "Whether there are more files than `reads` and `writes` name: their names come from "
        "a file (`file -f`, `wc --files0-from`), from a pipe (`xargs`) or out of a "
        "variable.",
        "secrets": "Words that name a file with secrets, or could by a glob or a variable, as secretName() "
        "says: of `reads` and `writes`, of globs but for those of programs that only list (`ls`), of the "
        "arguments of git and find, of globs that choose what is read (`find -name`, `grep --include`, "
        "`rg -g`), or of all programs where `code` is true. Also a folder that is copied, moved or "
        "linked, if it is known to hold such files (`secrets`). Not all that `grep -r` finds.",
        "obeyed": "Words that name a file which programs run or obey by themselves, as obeyedFile() says: of "
        "`writes`, and of the arguments of `changes`, or of all programs where `code` is true. Also a folder "
        "that is copied, moved or linked, if it is known to hold such files (`.venv`).",
        "folders": "Folders other than the first one that something runs in, after `cd` or by `git -C`.",
        "obeys": "Programs that obey files of the folder that they run in, such as its "
        "configuration, hooks or build files: git, make, test runners, linters, package "
        "managers. Whoever can write there can make them run anything. In another of the "
        "`folders` they count as `code`.",
        "sends": "Programs that use the network.",
        "changes": "Programs that change something, as their names say: `rm`, `cp`, `kill`, `git "
        "commit`, `sudo`.",
        "pipes": "Whether there is a pipe.",
        "substitutions": "Whether there is a command or process substitution, but for a whole argument "
        "`<(...)` and for `\"$(cat <<'EOF' ...)\"`, which is read as the text that it stands for.",
        "expansions": "Whether there is a variable, a glob, braces, a tilde or arithmetic anywhere, so "
        "that an argument differs from what is written.",
        "background": "Whether something runs in the background.",
        "assignments": "Names of variables that are set, but for those of `for` whose values are written "
        "out: its body is read once for each.",
        "functions": "Names of functions and aliases that are defined.",
        "code": "Whether more could run or change than the programs' names suggest: a program or an "
        "option is unknown, an interpreter or a shell is given code, an option names a "
        "program, a configuration or a file to write, or a variable that programs obey is "
        "set.",
        "simple": "Whether all commands are known and only read: nothing is unknown, sent, changed, "
        "written, set or defined, no argument depends on a variable or on a command, and "
        "globs cannot become options. Look at `programs`, `reads` and `obeys` besides.",
    },
    examples=(
        'shell("git log -3 | grep fix").programs == ["git", "grep"]',
        'shell("sudo -u root env A=1 \\"r\\"m -rf x").programs == ["env", "rm", "sudo"]',
        'shell("sh -c \\"ls; rm x\\"").programs == ["ls", "rm", "sh"]',
        'shell("ls \'a b\' c").commands == [{"program": "ls", "args": ["a b", "c"], "path": "ls", '
        '"line": "ls a\\u00a0b c", "code": false}]',
        'shell("git commit -m \'Fix it\'").commands[0].line.matches("^git commit -m [^ ]+$")',
        '!shell("git commit -m x -n").commands[0].line.matches("^git commit( -a| -m [^ ]+)+$")',
        'shell("ls > out.txt").writes == ["out.txt"] && shell("sort -o out.txt a").writes == ["out.txt"]',
        'shell("cd src && grep -n x *.py 2>/dev/null | head -5").simple && !shell("ls $HOME").simple',
        'shell("cd src && cat a.py < b").reads == ["src", "src/a.py", "src/b"]',
        'shell("cat a.py", "/srv/project").reads == ["/srv/project/a.py"]',
        'shell("cat /srv/project/a ../b", "/srv/project").outside == ["/srv/project/../b"]',
        'shell("cat src/a.py .env").secrets == [".env"] && shell("git show HEAD:.env").secrets != []',
        'shell("rg -g .env x").secrets != [] && shell("rg -g *.py x").secrets == []',
        'shell("cat deploy/*").secrets != [] && shell("ls deploy/*").secrets == []',
        'shell("cp x .git/hooks/pre-push").obeyed != [] && shell("cat .vscode/tasks.json").obeyed == []',
        'shell("git log -5").obeys == ["git"] && !shell("git push --force").simple',
        'shell("git -C sub status").code && shell("git -C sub status").folders == ["sub"]',
        'shell("frobnicate x").unknown == ["frobnicate"] && shell("frobnicate x").code',
        'shell("python -c 1").code && shell("git -c core.pager=x log").code && shell("ls --frob").code',
        'shell("file -f list.txt").indirect && shell("curl -s https://example.com/").sends == ["curl"]',
        'shell("echo $(rm x)").programs == ["echo", "rm"]',
        'shell("for f in a b; do head $f; done").reads == ["a", "b"]',
        'shell("diff <(sort a) <(sort b)").simple && !shell("echo $(sort a)").simple',
    ),
    errors=('shell("$x y").simple', 'shell("ls \\"").simple', 'shell("l\\\\\\ns").simple'),
)
