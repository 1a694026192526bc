"""The functions that conditions may call: `sql/`, `shell/`, `web/`, `paths/`, `texts.py` and `detect.py`.

`function.py` says what one is. To add one: a `Function` in the module of its subject, or in a new one, a line
in `PLACES`, and a section of `functions.txt`, whose conditions are its tests and stand in the reference.
"""

from __future__ import annotations

from collections.abc import ItemsView, ValuesView
from importlib import import_module
from typing import Any

from mcpguard.core.functions.function import (
    Function,
    FunctionError,
    Holds,
    Parameter,
    ReturnedTexts,
    apply,
    nothing_held,
)

PLACES = {
    "sql": ("sql.function", "SQL"),
    "shell": ("shell.function", "SHELL"),
    "url": ("web.urls", "URL"),
    "hostIn": ("web.networks", "HOST_IN"),
    "isPrivateHost": ("web.networks", "IS_PRIVATE_HOST"),
    "cidr": ("web.networks", "CIDR"),
    "pathWithin": ("paths.reading", "PATH_WITHIN"),
    "filePath": ("paths.uris", "FILE_PATH"),
    "secretName": ("paths.naming", "SECRET_NAME"),
    "obeyedFile": ("paths.naming", "OBEYED_FILE"),
    "diffFiles": ("paths.diff_files", "DIFF_FILES"),
    "texts": ("texts", "TEXTS"),
    "glob": ("texts", "GLOB"),
    "detect": ("detect", "DETECT"),
    "json": ("texts", "JSON"),
}
"""The module of each function and its name there, in the order of the reference."""


class _LazyTable(dict[str, Function]):
    """Knows the names at once and imports a function when a policy calls it: most call none or two."""

    def __missing__(self, name: str) -> Function:
        module, constant = PLACES[name]
        function: Function = getattr(import_module(f"{__name__}.{module}"), constant)
        self[name] = function
        return function

    def __contains__(self, name: object) -> bool:
        return name in PLACES or super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        if name not in self:
            return default
        return self[name]

    def items(self) -> ItemsView[str, Function]:  # type: ignore[override]
        return {name: self[name] for name in dict.fromkeys((*PLACES, *self))}.items()

    def values(self) -> ValuesView[Function]:  # type: ignore[override]
        return dict(self.items()).values()


FUNCTIONS: dict[str, Function] = _LazyTable()
"""By name, in the order of the reference."""

__all__ = [
    "FUNCTIONS",
    "Function",
    "FunctionError",
    "Holds",
    "Parameter",
    "ReturnedTexts",
    "apply",
    "nothing_held",
]
