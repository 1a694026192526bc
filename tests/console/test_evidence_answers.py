"""What the console reads in the sentences of evidence about tickets."""

from __future__ import annotations

from mcpguard.console.evidence import Place, SeenNotice, answer_steps
from mcpguard.core.evidence.records import Noticed
from tests.console.desk import NOW
from tests.rows import each

ASKED = "ticket ab12 for the call c-1 of os-user:ada: resources/read {}, sha256 of the arguments 00ff"


def steps(*said: tuple[str, ...]):  # type: ignore[no-untyped-def]
    """Of notices: what, the sentence, and the ticket if it is a member of its own."""
    notices = [Noticed(NOW, what, "s", one, ticket="".join(more)) for what, one, *more in said]
    return answer_steps([SeenNotice(one, Place("f", 1, "")) for one in notices])


@each("target", ["a", "a, sha256 of the arguments 11", "a: b c", "a\nb", "x by os-user:eve"])
def test_a_question_names_its_call_and_what_it_is_for(target: str) -> None:
    asked, given = steps(
        ("approval-asked", ASKED.format(target)),
        (
            "approval-given",
            "ticket ab12 of os-user:ada by os-user:bob (console); the assertion of the passkey: {}",
        ),
    )
    assert (asked.ticket, asked.call, asked.target) == ("ab12", "c-1", target)
    assert (given.call, given.target) == ("c-1", target)
    assert given.who == "os-user:bob (console) with a passkey"


@each(
    ("what", "said"),
    [
        ("approval-asked", "ticket ab12 for the call c-1 of os-user:ada: resources/read a"),
        ("approval-asked", "ticket ab12 for the call c-1 of os-user:ada, sha256 of the arguments 00ff"),
        ("approval-asked", "ticket ab12, sha256 of the arguments 00ff"),
        ("approval-given", "ticket ab12 of os-user:ada"),
        ("approval-given", "ticket ab12; the assertion of the passkey: {}"),
        ("approval-void", "ticket ab12 of os-user:ada"),
    ],
)
def test_a_sentence_of_another_form_is_shown_as_it_stands(what: str, said: str) -> None:
    (step,) = steps((what, said))
    assert (step.ticket, step.detail, step.call, step.who) == ("ab12", said, "", "")


def test_a_refusal_that_was_taken_back_is_a_step_and_so_is_one_that_could_not_be() -> None:
    said = "ticket ab12 of os-user:ada by os-user:bob"
    _, ended, void = steps(
        ("approval-asked", ASKED.format("a")),
        ("refusal-ended", said, "ab12"),
        ("change-void", f"refusal-ended: {said} (console): it is locked", "ab12"),
        ("change-void", "label-cleared: private of session s: it is locked"),
    )
    assert (ended.call, ended.who, ended.void) == ("c-1", "os-user:bob", "")
    assert (void.call, void.detail) == ("c-1", f"refusal-ended: {said} (console): it is locked")


@each("what", ["approval-given", "approval-refused", "approval-ended", "refusal-ended"])
def test_what_did_not_count_is_said_where_it_stands(what: str) -> None:
    said = "ticket ab12 of os-user:ada by os-user:bob (terminal)"
    void = "approval-void" if what in ("approval-given", "approval-refused") else "change-void"
    _, other, late = steps(
        ("approval-asked", ASKED.format("a")),
        ("approval-given", said.replace("bob", "eve"), "ab12"),
        (what, said, "ab12"),
        (void, f"{what}: {said}: the ticket ab12 was approved by os-user:eve", "ab12"),
    )
    assert other.void == ""
    assert (late.who, late.void) == ("os-user:bob (terminal)", "the ticket ab12 was approved by os-user:eve")


def test_sentences_that_are_made_to_take_long_hold_nobody_up() -> None:
    target = ": a" * 20_000
    said = [("approval-asked", ASKED.format(target + end)) for end in ("\n", ", sha256") * 20]
    said += [("approval-given", f"ticket ab12 of {' by a' * 12_000}\n")] * 40
    assert len(steps(*said)) == 80
