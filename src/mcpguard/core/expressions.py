"""Regular expressions that are compiled at their first use.

A start compiles none of the hundreds that only a hit, or a rare text, needs: that takes longer than to import
the modules that they are in.
"""

import re
from typing import Any, AnyStr, cast

_compile = re.compile


class _Unused:
    """In place of a `re.Pattern` until somebody asks for one of its members, which it keeps from then on."""

    def __init__(self, pattern: Any, flags: int) -> None:
        self._made_of = pattern, flags
        self.pattern = pattern

    def __getattr__(self, name: str) -> Any:
        member = getattr(_compile(*self._made_of), name)
        self.__dict__[name] = member
        return member


def expression(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives, compiled when it is used first; a mistake in `pattern` is raised then."""
    return cast("re.Pattern[AnyStr]", _Unused(pattern, flags))
