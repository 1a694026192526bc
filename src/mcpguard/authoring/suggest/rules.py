"""The text of a rule and of its tests, made of one call that a person was shown.

Law of this file: a value stands in a condition only if the person saw it whole, and what is written means
exactly the call: each argument is fixed, or is there with any value, and there is no other.
"""

from __future__ import annotations

import json
import re

from mcpguard.core.errors import McpGuardError
from mcpguard.core.model import Json, Principal
from mcpguard.core.policy.session import name_of
from mcpguard.core.policy.terms import RESERVED
from mcpguard.core.policy.tickets import Ticket, arguments_digest

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_ID = re.compile(r"[^A-Za-z0-9._-]+")
_GLOB = re.compile(r"[*?\[]")


class SuggestError(McpGuardError):
    """A rule that cannot be written for the person. The sentence says why, and what to do."""


def constant(value: Json) -> str:
    """`value` as a constant of CEL, which YAML reads too where it is a text; what cannot be seen is
    escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def shown_arguments(ticket: Ticket, free: tuple[str, ...]) -> dict[str, Json]:
    """The arguments of the call. Raises SuggestError where one that is not free was not shown as it is."""
    try:
        shown = json.loads(ticket.shown)
    except (ValueError, RecursionError):
        shown = None
    if not isinstance(shown, dict) or shown.keys() != ticket.parts.keys():
        raise SuggestError("the names of the arguments were redacted, so no condition can name them")
    for name in ticket.parts:
        if name not in free and arguments_digest(shown[name]) != ticket.parts[name]:
            raise SuggestError(
                f"the argument {constant(name)} was redacted, so no condition can hold it: leave it open "
                f"(`--any`), or write the rule yourself"
            )
    return shown


def caller_of(ticket: Ticket) -> tuple[str, str]:
    """The source and the id of whoever made the call. Both may have a colon, so the session says where one
    ends and the other begins. Raises SuggestError where it does not."""
    text = ticket.principal
    for at in [index for index, character in enumerate(text) if character == ":"]:
        source, who = text[:at], text[at + 1 :]
        if name_of(Principal(who, source), ticket.agent) == ticket.session:
            return source, who
    raise SuggestError(f"it is not known who made the call of ticket {ticket.id}")


def rule_id(ticket: Ticket) -> str:
    """The id of its rule: what is called, and the number of the ticket."""
    name = _NO_ID.sub("-", ticket.target).strip("-._")[:40] or "call"
    return f"{name}-{ticket.id}"


def glob_of(name: str) -> str:
    """The glob that matches this name alone."""
    return _GLOB.sub(r"[\g<0>]", name)


def rule_text(ticket: Ticket, shown: dict[str, Json], free: tuple[str, ...]) -> list[str]:
    """The lines of the rule, without indentation."""
    lines = [f"- id: {rule_id(ticket)}", "  effect: allow", f"  server: {constant(ticket.server)}"]
    lines.append(f"  tools: [{constant(glob_of(ticket.target))}]")
    lines.append(f"  approves: [{', '.join(ticket.rules)}]")
    first, *more = _clauses(ticket, shown, free)
    lines += ["  when: |", f"    {first}", *(f"    && {clause}" for clause in more)]
    return [f"# Asked by {', '.join(ticket.rules)}, approved with ticket {ticket.id}.", *lines]


def _clauses(ticket: Ticket, shown: dict[str, Json], free: tuple[str, ...]) -> list[str]:
    source, who = caller_of(ticket)
    clauses = [
        f"principal.source == {constant(source)} && principal.id == {constant(who)}",
        f"client.agent == {constant(ticket.agent or '')}",
        f"size(args) == {len(shown)}",
    ]
    for name, value in shown.items():
        clauses.append(_there(name) if name in free else f"{_member(name)} == {constant(value)}")
    return clauses


def _member(name: str) -> str:
    plain = _IDENTIFIER.fullmatch(name) and name not in RESERVED
    return f"args.{name}" if plain else f"args[{constant(name)}]"


def _there(name: str) -> str:
    member = _member(name)
    return f"has({member})" if member.startswith("args.") else f"{constant(name)} in args"


def case_text(ticket: Ticket, name: str, args: dict[str, Json], expect: str, agent: str | None) -> list[str]:
    """The lines of a test, without indentation."""
    source, who = caller_of(ticket)
    call = f"server: {constant(ticket.server)}, tool: {constant(ticket.target)}, args: {constant(args)}"
    return [
        f"- name: {constant(name)}",
        f"  principal: {{source: {constant(source)}, id: {constant(who)}}}",
        f"  agent: {constant(agent or '')}",
        f"  call: {{{call}}}",
        f"  expect: {expect}",
    ]
