"""A plan as text for a person, in which no secret is shown.

Law of this file: a secret is replaced where it stands, and the whole text goes through the redactor besides.
"""

import os
import re
from collections.abc import Iterable, Iterator
from difflib import unified_diff
from typing import Any

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.reading import ClientFile
from mcpguard.onboarding.edit import called
from mcpguard.onboarding.formats import within
from mcpguard.onboarding.formats.jsonc import flat
from mcpguard.onboarding.plan import ImportPlan

HIDDEN = "********"
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\"/\\]))")


def shown(plan: ImportPlan, every: Iterable[ClientFile]) -> str:
    """What `plan` changes, as a diff. `every` are all files that were read: their secrets are masked."""
    redactor = Redactor(os.urandom(32))
    values = (entry.value_of(one) for found in every for entry in found.entries for one in entry.secrets)
    for number, value in enumerate(values):
        try:
            redactor.hold(f"secret {number}", Secret(value))
        except CredentialError:
            pass  # Too short to be searched for; it is masked where it stands.
    text = "\n".join([*_clients(plan), *_configuration(plan)])
    return redactor.inspect_text(text)


def _clients(plan: ImportPlan) -> Iterator[str]:
    for one in plan.clients:
        found = one.found
        yield f"--- {found.client.title}: {found.path}"
        for server in plan.servers:
            for where, entry in server.origins:
                if where.path == found.path:
                    yield f"-   {flat(entry.name, masked(entry))}"
        for edit in one.edits:
            yield f"+   {flat(called(edit.entry), edit.entry)}"
        for added in one.added:
            way = ".".join(map(str, added.where))
            for name, value in added.names.items():
                yield f"+   {way}: {name if value is None else flat(name, value)}"


def _configuration(plan: ImportPlan) -> Iterator[str]:
    if plan.config_after != plan.config_before:
        yield f"--- {plan.config}"
        before, after = plan.config_before.splitlines(), plan.config_after.splitlines()
        changes = list(unified_diff(before, after, n=0, lineterm=""))[2:]
        yield from (line for line in changes if not line.startswith("@@"))


def remains(text: str, values: Iterable[str]) -> list[int]:
    """The lines of `text` in which one of `values` stands still, as in a comment; from 1."""
    wanted = list(values)
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        # The same text can be written with escapes, as `\/` and `\u0061`.
        plain = _ESCAPE.sub(lambda one: chr(int(one[1], 16)) if one[1] else one[2], line)
        if any(one in line or one in plain for one in wanted):
            found.append(number)
    return found


def masked(entry: Entry) -> dict[str, Any]:
    """The settings of `entry` with its secrets hidden."""
    data: dict[str, Any] = {
        "command": entry.command,
        "args": list(entry.args),
        "env": dict(entry.env),
        "url": entry.url,
        "headers": dict(entry.headers),
    }
    for one in reversed(entry.secrets):
        holder = within(data, one.place[:-1])
        text = holder[one.place[-1]]
        holder[one.place[-1]] = text[: one.start] + HIDDEN + text[one.end :]
    return {key: value for key, value in data.items() if value}
