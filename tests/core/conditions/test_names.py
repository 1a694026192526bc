"""A condition on a member that a name does not have is refused when it is loaded: it would never hold."""

from __future__ import annotations

import pytest

from mcpguard.core.conditions.cel import ConditionError
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.names import MEMBERS
from tests.rows import each


@each("name", ["cpp", "python"])
@each(
    ("text", "offset", "sentence"),
    [
        ("has(tool.descripton)", 4, "`tool` has no `descripton`; did you mean `description`?"),
        ("tool.inputSchem.type == 'x'", 0, "`tool` has no `inputSchem`; did you mean `inputSchema`?"),
        ('"x" in session.label', 7, "`session` has no `label`; did you mean `labels`?"),
        ("principal.group == 'a'", 0, "`principal` has no `group`; did you mean `groups`?"),
        ("client.name == 'a'", 0, "`client` has no `name`; it has agent, claims"),
        ("client.claims.vendor == 'a'", 0, "`client.claims` has no `vendor`; it has name, version"),
        ("true || resource['url'] == ''", 8, "`resource` has no `url`; did you mean `uri`?"),
        ("'descripton' in tool", 0, "`tool` has no `descripton`; did you mean `description`?"),
        ("'email' in principal", 0, "`principal` has no `email`; it has id, source, groups, claims"),
        ("tool[args.x] == 'a'", 4, "select a member of `tool` by its name"),
        ("client.claims[action] == 'a'", 13, "select a member of `client.claims` by its name"),
        ("args.a.exists(x, x == prompt.titel)", 22, "`prompt` has no `titel`; did you mean `title`?"),
        ("texts(tool.descr).size() == 0", 6, "`tool` has no `descr`; did you mean `description`?"),
    ],
)
def test_an_unknown_member_is_a_mistake_with_its_place(
    name: str, text: str, offset: int, sentence: str
) -> None:
    with pytest.raises(ConditionError) as raised:
        engine(name).compile(text)  # type: ignore[arg-type]
    assert (offset, sentence) in raised.value.mistakes


@each("name", ["cpp", "python"])
@each(
    "text",
    [
        "has(tool.inputSchema.properties.anything.description)",
        "tool.annotations.custom == 1 || has(tool._meta.x)",
        "'x' in tool.annotations",
        "'a' in principal.claims && principal.claims[action] == 'b'",
        "'x' in session.labels && session.tools['s/t'] > 1",
        "'description' in tool && principal.groups[0] == 'a'",
        "args.tool.nope == 1 && result.anything.at[0].all == 2",
        "tool.exists(k, k == args.x) && action in ['a']",
        "resource.uriTemplate == '' || prompt.arguments[0].name == 'a'",
    ],
)
def test_what_a_server_a_token_or_a_call_gives_has_any_members(name: str, text: str) -> None:
    engine(name).compile(text)  # type: ignore[arg-type]


def test_the_names_with_listed_members_are_those_that_mcpguard_makes() -> None:
    assert {path[0] for path in MEMBERS} == {"tool", "prompt", "resource", "principal", "client", "session"}
