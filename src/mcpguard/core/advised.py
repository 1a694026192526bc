"""Commands in our own sentences, as a person has to type them: with the configuration that is in use.

A sentence is written where something is known, which is often far from where the configuration was named; so
whoever prints sentences, or sends them, completes the commands in them.
"""

import re
from collections.abc import Callable
from typing import Any

READERS = (
    "approvals", "approve", "check", "console", "deny", "doctor", "explain", "import", "install", "lock",
    "pins", "replay", "report", "secret check", "secret login", "secret logout", "session", "snapshot",
    "suggest", "test", "top",
)  # fmt: skip
"""The commands that a sentence may advise and that read the configuration of `--config`."""

_RECORDS = "key(?! --new)", "heads", "stats", "tail", "verify", r"show(?: [\w-]+)?"
"""The same of `audit`. Where a path follows, the records are there; a new key is for no configuration yet."""

_COMMAND = re.compile(
    rf"`(mcpguard (?:(?:{'|'.join(READERS)})(?= |`)|audit (?:{'|'.join(_RECORDS)})(?= -|`))[^`]*)`"
)


def completed(text: str, option: Callable[[], str]) -> str:
    """`text` with ` --config FILE`, as `option` gives it, in each command between backquotes that would read
    another configuration without it; `option` gives "" where none would."""
    if "`mcpguard " not in text:
        return text
    return _COMMAND.sub(lambda found: found[0] if "--config" in found[1] else f"`{found[1]}{option()}`", text)


def completed_in(value: Any, option: Callable[[], str]) -> Any:
    """The same for each text in a value of JSON."""
    if type(value) is str:
        return completed(value, option)
    if type(value) is dict:
        return {key: completed_in(one, option) for key, one in value.items()}
    return [completed_in(one, option) for one in value] if type(value) is list else value
