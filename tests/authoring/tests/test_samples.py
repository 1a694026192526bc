"""Sample calls as written: what is shared, and what counts for nothing is a mistake at its place."""

from __future__ import annotations

import pytest

from mcpguard.authoring.tests.samples import PostureSamples
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import PolicyError
from tests.rows import each

HEAD = """\
version: 1
postures: {tight: [t.yaml], wide: [w.yaml]}
aims: {refused: 5, asked: 10, allowed: 2, calls: 1}
"""


def read(text: str) -> PostureSamples:
    return Document(text, "calls_test.yaml", PolicyError).read(PostureSamples)


def mistakes(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(PolicyError) as caught:
        read(text)
    return [(one.line, one.column, one.message) for one in caught.value.problems]


def test_a_call_adds_to_its_group_which_adds_to_the_file() -> None:
    written = read(
        HEAD
        + """\
call: {server: s, tool: run, args: {folder: /a}}
groups:
  - name: looking
    ordinary: [wide]
    call: {args: {quiet: true}}
    argument: command
    calls:
      - ls
      - {args: {command: pwd, folder: /b}}
      - {name: the prompt, prompt: run}
      - {server: other, resource: "file:///a", annotations: {a: 1}}
"""
    )
    calls = [sample.call.entry.model_dump(exclude_defaults=True) for sample in written.samples]
    shared = {"quiet": True, "folder": "/a"}
    assert calls == [
        {"server": "s", "tool": "run", "args": {**shared, "command": "ls"}},
        {"server": "s", "tool": "run", "args": {**shared, "command": "pwd", "folder": "/b"}},
        {"server": "s", "prompt": "run", "args": shared},
        {"server": "other", "resource": "file:///a", "args": shared, "annotations": {"a": 1}},
    ]
    assert [sample.name for sample in written.samples] == [
        "ls",
        'run {"folder": "/b", "quiet": true, "command": "pwd"}',
        "the prompt",
        'file:///a {"folder": "/a", "quiet": true}',
    ]


def test_an_argument_of_the_file_is_that_of_its_groups() -> None:
    group = "argument: a\ngroups: [{name: g, harmful: [tight], call: {server: s, tool: t}, calls: [x]}]\n"
    assert read(HEAD + group).samples[0].call.args == {"a": "x"}
    group = group.replace("calls:", "argument: b, calls:")
    assert read(HEAD + group).samples[0].call.args == {"b": "x"}


@each(
    ("group", "said"),
    [
        ("^{name: g, calls: [{server: s, tool: t}]}", "name the postures for which these calls are `ordinary` or `harmful`"),
        ("{name: g, ordinary: [wide], harmful: [^wide], calls: [{server: s, tool: t}]}", "these calls are ordinary for this posture already"),
        ("{name: g, ordinary: [^wild], calls: [{server: s, tool: t}]}", "unknown posture; the file has tight, wide"),
        ("{name: g, ordinary: [wide], calls: ^[]}", "`calls` must not be empty"),
        ("{name: ^' ', ordinary: [wide], calls: [{server: s, tool: t}]}", "a group needs a name: what its calls have in common"),
        ("{name: g, ordinary: [wide], calls: [^{tool: t}]}", "name the `server`, here or in `call` of the group or the file"),
        ("{name: g, ordinary: [wide], calls: [^{server: s}]}", "name what is called: `tool`, `prompt`, `resource` or `action`"),
        ("{name: g, ordinary: [wide], calls: [^{server: s, tool: t, prompt: p}]}", "a call has one target, not tool and prompt"),
        ("{name: g, ordinary: [wide], calls: [{server: s, tool: t}, ^{server: s, tool: t}]}", "another call of this group is the same"),
        ("{name: g, ordinary: [wide], call: {server: s, tool: t}, calls: [^ls]}", "a string is the value of an argument: name it in `argument`, in the group or the file"),
        ("{name: g, ordinary: [wide], calls: [{server: s, ^tol: t}]}", "unknown key `tol`; did you mean `tool`?"),
        ("{name: g, ordinary: [wide], calls: [^1]}", "expected text or a mapping, found a number; put it in quotes"),
    ],
)  # fmt: skip
def test_a_group_that_measures_nothing_is_a_mistake(group: str, said: str) -> None:
    line = f"groups: [{group}]"
    assert (4, line.index("^") + 1, said) in mistakes(f"{HEAD}{line.replace('^', '')}\n")


def test_what_a_file_cannot_do_without() -> None:
    rest = "groups: [{name: g, ordinary: [wide], calls: [{server: s, tool: t}]}]\n"
    assert mistakes("version: 1\npostures: {}\naims: {refused: 500}\ngroups: []\n") == [
        (2, 11, "`postures` must not be empty"),
        (3, 7, "`asked` is missing"),
        (3, 7, "`allowed` is missing"),
        (3, 7, "`calls` is missing"),
        (3, 17, "must be from 0 to 100 %"),
        (4, 9, "`groups` must not be empty"),
    ]
    assert mistakes(HEAD.replace("[w.yaml]", "[]") + rest)[0][2] == "name at least one policy file"
