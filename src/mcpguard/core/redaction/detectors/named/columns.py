"""What the names of columns say about the cells below them, in a text or a JSON value."""

from collections.abc import Iterable

from mcpguard.core.redaction.detectors.named.values import given, said

CELLS = 64
"""So many columns of a table are read."""
MARKS = b" \t\r\"'`*"
"""What stands around the text of a cell."""
_VALUES = frozenset(["value", "val", "setting", "content", "config_value", "option_value", "meta_value"])
_KEYS = frozenset(
    [
        "name",
        "key",
        "variable",
        "parameter",
        "option",
        "config_key",
        "option_name",
        "meta_key",
        "setting_name",
    ]
)


class Columns:
    """The signals that column names give about the cells below them."""

    __slots__ = ("_key", "_said", "_value", "count")

    def __init__(self, names: list[str]) -> None:
        low = [name.strip(" \t\r\"'`*[]").lower() for name in names]
        self.count = len(names)
        self._said = {
            at: given(strength) for at, name in enumerate(low) if (strength := said(name.replace(" ", "_")))
        }
        self._value = next((at for at, name in enumerate(low) if name in _VALUES), -1)
        self._key = next((at for at, name in enumerate(low) if name in _KEYS), -1)

    def any(self) -> bool:
        """Whether they say anything."""
        return bool(self._said) or (self._value >= 0 and self._key >= 0)

    def of(self, cells: list[bytes]) -> Iterable[tuple[int, str]]:
        """Which cells of a row to judge, and what is said of them."""
        yield from self._said.items()
        if self._value >= 0 and self._key >= 0:
            name = cells[self._key].strip(MARKS).decode("utf-8", "replace")
            if strength := said(name):
                yield self._value, given(strength)
