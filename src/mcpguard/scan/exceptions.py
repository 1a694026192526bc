"""What a person has judged already: `exceptions.yaml`, as `--exceptions` names it (format version 1).

Law of this file: an exception has a reason. It hides nothing: what it covers is reported apart, and one that
covers nothing is reported too.
"""

import os
import re
from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase, translate
from pathlib import Path
from typing import Annotated, Literal

from msgspec import json
from pydantic import Field

from mcpguard.config.policies import read_document
from mcpguard.core.document.must import Must, filled
from mcpguard.core.document.reading import Document
from mcpguard.core.document.written import Items, Written, whole
from mcpguard.core.errors import DocumentError
from mcpguard.core.redaction.detectors import HELD, KINDS
from mcpguard.scan.leaks import ENTROPY, Leak
from mcpguard.scan.sources import FILELESS

CREDENTIAL = "credential:"
"""What the kinds of values of the configuration begin with."""


def _is_fingerprint(text: str) -> str:
    return "" if re.fullmatch("[0-9a-f]{16}", text) else "a fingerprint has 16 hexadecimal digits"


def _is_kind(glob: str) -> str:
    if glob.startswith(CREDENTIAL) or any(fnmatchcase(kind, glob) for kind in (*KINDS, ENTROPY)):
        return ""
    if glob == HELD:
        return f"values of the configuration are `{CREDENTIAL}NAME`, or `{CREDENTIAL}*` for all of them"
    return "unknown kind: `mcpguard help reference/detectors` lists them"


class ScanException(Written):
    """Secrets that are none, or that are known and stay."""

    kind: Annotated[str, filled("must not be empty"), Must(_is_kind)] = Field(
        description="A kind, such as `jwt`, or a glob of kinds; those that begin with `credential:` only "
        "where it begins so too."
    )
    path: Annotated[str, filled("must not be empty")] = Field(
        description="A path, or a glob of paths, from the folder of this file on; `*` is any text, also "
        "with `/` in it."
    )
    fingerprint: Annotated[str, Must(_is_fingerprint)] = Field(
        "",
        description="Only in a line with this fingerprint, as `--format json` prints it; it says nothing "
        "about the secret.",
    )
    reason: Annotated[str, filled("must say why")] = Field(description="Why it is known and stays.")


class ScanExceptions(Written):
    """A file of exceptions from `mcpguard scan`."""

    version: Annotated[Literal[1], whole("1")] = Field(description="The version of this format.")
    exceptions: Items[ScanException] = Field(description="The first that covers something gives its reason.")


class Excepted:
    """The exceptions of one file, and which of them were used."""

    def __init__(self, path: Path) -> None:
        """Raises DocumentError."""
        document = Document(read_document(path, DocumentError), str(path))
        self._folder = Path(os.path.abspath(path)).parent
        self._all = [
            (one, re.compile(translate(one.kind)), re.compile(translate(one.path)))
            for one in document.read(ScanExceptions).exceptions
        ]
        self._used: set[int] = set()
        self._in_scope: set[int] = set()

    def looked_at(self, file: str) -> None:
        """This file, an absolute path, is scanned."""
        path = _path(file, self._folder)
        self._in_scope |= {index for index, (_, _, paths) in enumerate(self._all) if paths.match(path)}

    def reason(self, file: str, leak: Leak) -> str:
        """Why a leak in `file`, an absolute path, is excepted; "" where it is not."""
        path = _path(file, self._folder)
        for index, (one, kind, paths) in enumerate(self._all):
            if (
                kind.match(leak.kind)
                and (one.kind.startswith(CREDENTIAL) or not leak.kind.startswith(CREDENTIAL))
                and paths.match(path)
                and one.fingerprint in ("", leak.fingerprint)
            ):
                self._used.add(index)
                return one.reason
        return ""

    def unused(self) -> list[str]:
        """Each exception that covered nothing in what was scanned, or whose file is gone, in words."""
        return [
            f"{one.kind} in {one.path}" + (f" ({one.fingerprint})" if one.fingerprint else "")
            for index, (one, *_) in enumerate(self._all)
            if index not in self._used and (index in self._in_scope or self._is_gone(one.path))
        ]

    def _is_gone(self, path: str) -> bool:
        return path == _named(path) and path not in FILELESS and not os.path.lexists(self._folder / path)


def as_exceptions(found: Iterable[tuple[str, Leak]], folder: Path, today: date) -> str:
    """A file of exceptions, to be put in `folder`, for leaks in files (absolute paths)."""
    entries = {
        (
            _named(_path(file, folder)),
            leak.kind,
            leak.fingerprint,
        ): None
        for file, leak in found
    }
    reason = json.encode(f"Found when this file was written, on {today}; review it.").decode()
    lines = ["version: 1", "exceptions:" if entries else "exceptions: []"]
    for path, kind, fingerprint in entries:
        lines += [f"  - kind: {json.encode(kind).decode()}", f"    path: {json.encode(path).decode()}"]
        lines += [f'    fingerprint: "{fingerprint}"', f"    reason: {reason}"]
    return "\n".join(lines) + "\n"


def _path(file: str, folder: Path) -> str:
    """As exceptions in `folder` call a file."""
    return os.path.relpath(file, folder) if file.startswith("/") else file


def _named(path: str) -> str:
    """The glob that matches this path and no other."""
    return re.sub(r"([*?[])", r"[\1]", path)
