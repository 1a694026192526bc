"""Tables of facts, as text beside the code: names, words and options that functions know, codes, controls.

Law of this file: a table is part of the program, so the loader of its package reads it, as it reads modules,
when something in it is needed first. A line that begins with `# ` is a remark.
"""

import re
from pkgutil import get_data


def read_table(package: str, name: str) -> str:
    """The table in the file `name` of `package`, without its remarks."""
    data = get_data(package, name)
    assert data is not None  # noqa: S101 - every loader of ours has files
    return re.sub(r"(?m)^#(?: .*)?\n", "", data.decode())


def sections(package: str, name: str) -> dict[str, str]:
    """The parts of a table, each by the text in brackets on the line before it."""
    _, *parts = re.split(r"(?m)^\[(.+)\]\n", read_table(package, name))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def entries(package: str, name: str) -> dict[str, dict[str, str]]:
    """The parts of a table, each as `KEY: TEXT` lines, which go on in lines that begin with four blanks."""
    return {
        title: dict(line.split(": ", 1) for line in lines.replace("\n    ", " ").splitlines() if line)
        for title, lines in sections(package, name).items()
    }


def names(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())
