"""The functions that conditions may call. To add one: a module here with its `Function`, and a line below."""

from __future__ import annotations

from mcpguard.core.functions.cidr import CIDR
from mcpguard.core.functions.detect import DETECT
from mcpguard.core.functions.function import Function, FunctionError, Parameter, apply
from mcpguard.core.functions.glob import GLOB
from mcpguard.core.functions.host_in import HOST_IN
from mcpguard.core.functions.json_text import JSON
from mcpguard.core.functions.path_within import PATH_WITHIN
from mcpguard.core.functions.private_host import IS_PRIVATE_HOST
from mcpguard.core.functions.shell import SHELL
from mcpguard.core.functions.sql import SQL
from mcpguard.core.functions.url import URL

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        SQL,
        SHELL,
        URL,
        HOST_IN,
        IS_PRIVATE_HOST,
        CIDR,
        PATH_WITHIN,
        GLOB,
        DETECT,
        JSON,
    )
}
"""By name, in the order of the reference."""

__all__ = ["FUNCTIONS", "Function", "FunctionError", "Parameter", "apply"]
