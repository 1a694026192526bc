"""A file of one kind where another is expected."""

import pytest

from mcpguard.authoring.tests.cases import PolicyTests
from mcpguard.config.file import ConfigFile
from mcpguard.core.document.reading import read
from mcpguard.core.document.written import Written
from mcpguard.core.errors import DocumentError
from mcpguard.core.policy.written import Policy
from tests.rows import each

CONFIGURATION = "version: 1\nservers: {a: {env: {T: hunter22}}}\npolicies: [p.yaml]\n"
OF_A_CLIENT = "inputs: []\nservers: {a: {env: {T: hunter22}}}\n"
POLICY = "version: 1\npolicy: p\nrules: [{id: hunter22}]\n"
TESTS = "version: 1\npolicies: [p.yaml]\ntests: [{name: hunter22}]\n"


@each(
    ("text", "type_", "said"),
    [
        (
            POLICY,
            ConfigFile,
            "3:1: this is a policy (`rules`), and a configuration (`servers`) is expected here",
        ),
        (
            OF_A_CLIENT,
            ConfigFile,
            "1:1: this is a client's own list of servers (`inputs`), and a configuration (`servers`) is expected "
            "here; `mcpguard help import` says how",
        ),
        (
            TESTS,
            ConfigFile,
            "3:1: this is a file of policy tests (`tests`), and a configuration (`servers`) is",
        ),
        (
            CONFIGURATION,
            Policy,
            "2:1: this is a configuration (`servers`), and a policy (`rules`) is expected",
        ),
        (
            CONFIGURATION,
            PolicyTests,
            "2:1: this is a configuration (`servers`), and a file of policy tests (",
        ),
        (POLICY, PolicyTests, "3:1: this is a policy (`rules`), and a file of policy tests (`tests`) is"),
    ],
)
def test_a_file_of_another_kind_is_one_mistake_and_none_of_its_values_is_shown(
    text: str, type_: type[Written], said: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        read(text, "x.yaml", type_)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"x.yaml:{said}")
    assert "hunter22" not in str(caught.value)


def test_a_file_that_has_the_key_of_its_kind_or_of_none_is_told_its_mistakes() -> None:
    for text in ("version: 1\npolicy: p\nrules: []\nservers: 1\n", "version: 1\npolicy: p\n", "[1]\n"):
        with pytest.raises(DocumentError) as caught:
            read(text, "x.yaml", Policy)
        assert "expected here" not in str(caught.value)
