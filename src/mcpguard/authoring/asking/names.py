"""The names that a condition on the calls on record may read, and what a call has of them.

Law of this file: that no call matches says something only if one could: a constant that a name never has is
a mistake, and one that it has for no call on record is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcpguard.adapters.audit.indexing import CallFacts
from mcpguard.authoring.asking.story import CAUSES, STATUS
from mcpguard.core.conditions.cel_text import string_value, tokens_of
from mcpguard.core.conditions.choices import compared
from mcpguard.core.conditions.names import Vocabulary
from mcpguard.core.errors import did_you_mean
from mcpguard.core.model import Json, split_principal

VOCABULARY = Vocabulary(
    names={
        "id": "string",
        "at": "timestamp",
        "action": "string",
        "method": "string",
        "server": "string",
        "tool": "map",
        "subject": "string",
        "prompt": "map",
        "resource": "map",
        "args": "map",
        "principal": "map",
        "client": "map",
        "session": "map",
        "effect": "string",
        "cause": "string",
        "rules": "list",
        "status": "string",
        "findings": "list",
        "observed": "map",
        "shadow": "string",
        "ms": "number",
        "credentials": "list",
        "approval": "string",
        "ticket": "string",
        "message": "string",
        "error": "string",
        "policy": "string",
        "trace": "string",
        "token": "string",
        "sent": "number",
        "received": "number",
    },
    members={
        ("tool",): ("name", "digest"),
        ("prompt",): ("name",),
        ("resource",): ("uri",),
        ("principal",): ("id", "source", "name", "human", "actor"),
        ("observed",): ("cause", "rules"),
        ("client",): ("agent", "claims"),
        ("client", "claims"): ("name", "version"),
        ("session",): ("name", "labels", "facts"),
    },
    values={
        "effect": ("allow", "ask", "deny"),
        "cause": ("", "rule", *CAUSES),
        "status": ("", *STATUS),
    },
)
"""The names of policies where a policy has them, and those of records. `findings` are the kinds of what was
removed, as in a policy; `policy` is the digest; `observed` and `shadow` are what policies that are only
observed, and rules in shadow mode, would have refused."""

SHARED = frozenset(VOCABULARY.names) - {
    *("id", "at", "subject", "prompt", "resource", "args", "ms", "credentials", "approval", "ticket"),
    *("message", "error", "trace", "token", "sent", "received"),
}
"""What is known of a call from its facts alone."""


def view_of_facts(facts: CallFacts) -> dict[str, Json]:
    """What conditions may read of all calls with these facts."""
    source, name = split_principal(facts.principal)
    client, _, version = facts.client.rpartition("/")
    return {
        "action": facts.method,
        "method": facts.method,
        "server": facts.server,
        "tool": {"name": facts.tool, "digest": facts.tool_digest},
        "principal": {
            "id": name,
            "source": source,
            "name": facts.principal,
            "human": facts.human,
            "actor": facts.actor,
        },
        "client": {"agent": facts.agent, "claims": {"name": client, "version": version}},
        "session": {"name": facts.session, "labels": list(facts.labels), "facts": list(facts.facts)},
        "effect": facts.effect,
        "cause": facts.cause,
        "rules": list(facts.rules),
        "status": facts.status,
        "findings": list(facts.kinds),
        "policy": facts.policy_digest,
        "observed": {
            "cause": (facts.observed or facts.withheld or ("",))[0],
            "rules": [*facts.observed[1:], *facts.withheld[1:]],
        },
        "shadow": "; ".join(filter(None, (facts.shadow, facts.result_shadow))),
    }


def unrecorded(text: str, all_facts: Iterable[CallFacts]) -> Iterator[str]:
    """A sentence for each constant of the condition `text` that no call on record has where it is compared
    with."""
    constants = [(path, string_value(token.text)) for path, token in compared(tokens_of(text), SHARED)]
    views = [view_of_facts(facts) for facts in all_facts] if constants else []
    for path, wanted in dict.fromkeys(constants):
        known = {value for view in views for value in _values_at(view, path)}
        if wanted not in known:
            hint = did_you_mean(wanted, known)
            yield f'no call on record has the {path} "{wanted}"{hint and f"; {hint}"}'


def _values_at(view: Json, path: str) -> Iterator[str]:
    for step in path.split("."):
        view = view.get(step) if isinstance(view, dict) else None
    yield from (one for one in (view if isinstance(view, list) else [view]) if isinstance(one, str))
