"""What a session remembers, and what is taken out, follows what an answer can contain, not what its tool is for."""

from __future__ import annotations

from fnmatch import fnmatchcase

from mcpguard.core.policy.compiled import CompiledRule
from tests.packs.packs import ALL, Pack, loaded, tools
from tests.rows import each

ONLY_WHAT_WAS_SENT = {
    "filesystem": {"create_directory", "move_file", "write_file"},
    "github": {
        # An address and a number, the name of a branch, or "done".
        "actions_run_trigger",
        "assign_copilot_to_issue",
        "assign_copilot_to_issue_with_intent",
        "create_branch",
        "delete_pending_pull_request_review",
        "label_write",
        "merge_pull_request",
        "request_copilot_review",
        "request_pull_request_reviewers",
        "resolve_review_thread",
        "set_issue_fields",
        "submit_pending_pull_request_review",
        "unresolve_review_thread",
        "update_pull_request_branch",
        "update_pull_request_draft_state",
        # The same, of an issue or a pull request that changes: without its title and text.
        "issue_write",
        "update_issue_assignees",
        "update_issue_body",
        "update_issue_labels",
        "update_issue_milestone",
        "update_issue_state",
        "update_issue_title",
        "update_issue_type",
        "update_pull_request",
        "update_pull_request_body",
        "update_pull_request_state",
        "update_pull_request_title",
        # What is made, as it was sent.
        "add_comment_to_pending_review",
        "add_issue_comment",
        "add_issue_comment_reaction",
        "add_issue_reaction",
        "add_pull_request_review_comment",
        "add_pull_request_review_comment_reaction",
        "add_reply_to_pull_request_comment",
        "create_issue",
        "create_or_update_file",
        "create_pull_request_review",
        "delete_file",
        "discussion_comment_write",
        "pull_request_review_write",
        "push_files",
        # Who the token belongs to.
        "get_me",
    },
    "memory": {
        "add_observations",
        "create_entities",
        "create_relations",
        "delete_entities",
        "delete_observations",
        "delete_relations",
    },
    "sqlite": {"append_insight", "create_table"},
}
"""Tools whose answers show what was sent, and nothing that others wrote or that was stored before: read in the source of each server."""

LEFT_OUT = {
    "github": {"email"},
    "postgres": {"email", "payment-card", "iban"},
    "sqlite": {"email", "payment-card", "iban"},
}
"""What `read-only` and `careful` of a pack say that they do not show."""


def let_through(pack: Pack) -> dict[str, list[CompiledRule]]:
    """The tools that a pack allows or asks about, each with the rules that do, and those on what it answers."""
    refused = {
        name
        for rule in loaded(pack).rules
        if rule.effect == "deny" and rule.written.when is None
        for name in rule.written.tools or ()
    }
    rules = [rule for rule in loaded(pack).rules if rule.effect != "deny" and rule.written.tools]
    of_each = {
        name: [rule for rule in rules if any(fnmatchcase(name, glob) for glob in rule.written.tools or ())]
        for name in set(tools(pack.server)) - refused
    }
    return {
        name: found for name, found in of_each.items() if any(rule.written.on == "call" for rule in found)
    }


@each("pack", ALL, ids=str)
def test_a_tool_gives_a_label_unless_it_shows_what_was_sent_alone(pack: Pack) -> None:
    told = ONLY_WHAT_WAS_SENT.get(pack.server, set())
    for name, rules in let_through(pack).items():
        assert name in told or any(rule.written.label for rule in rules), name


@each("server", ONLY_WHAT_WAS_SENT)
def test_a_tool_that_is_known_to_show_nothing_exists(server: str) -> None:
    assert ONLY_WHAT_WAS_SENT[server] <= set(tools(server))


@each("pack", ALL, ids=str)
def test_a_resource_or_a_prompt_that_is_read_gives_a_label(pack: Pack) -> None:
    others = [rule for rule in loaded(pack).rules if "tools/call" not in rule.written.action]
    assert [rule.name for rule in others if rule.effect == "allow" and not rule.written.label] == []


@each(
    "pack", [pack for pack in ALL if pack.server in LEFT_OUT and pack.posture != "open-with-guards"], ids=str
)
def test_personal_data_is_taken_out_of_every_answer_that_can_hold_it(pack: Pack) -> None:
    others = [rule for rule in loaded(pack).rules if "tools/call" not in rule.written.action]
    read = {rule.name: [rule] for rule in others if rule.effect == "allow"}
    for name, rules in (let_through(pack) | read).items():
        taken = {kind for rule in rules for kind in rule.written.redact}
        assert taken >= LEFT_OUT[pack.server] or name in ONLY_WHAT_WAS_SENT.get(pack.server, set()) - OWN, (
            name
        )


OWN = {"create_or_update_file", "delete_file", "get_me", "push_files"}
"""Tools that answer with what was sent, and with the address of whoever the token belongs to."""
