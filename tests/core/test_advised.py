"""Commands in sentences, completed with the configuration that is in use."""

import argparse
from importlib import import_module

from mcpguard.cli import VERBS
from mcpguard.core.advised import READERS, completed, completed_in
from tests.rows import each

OPTION = " --config /c.yaml"


@each(
    ("said", "made"),
    [
        ("log in: run `mcpguard secret login w` again", "log in: run `mcpguard secret login w{}` again"),
        ("`mcpguard session clear p/a`, or `mcpguard doctor`", "`mcpguard session clear p/a{}`, or `mcpguard doctor{}`"),
        ("`mcpguard audit verify` says which", "`mcpguard audit verify{}` says which"),
        ("`mcpguard audit show --observed`", "`mcpguard audit show --observed{}`"),
        ("`mcpguard audit show n-17`", "`mcpguard audit show n-17{}`"),
        ("`mcpguard audit key`", "`mcpguard audit key{}`"),
        # There the records are.
        ("`mcpguard audit verify /a/b`", None),
        ("`mcpguard audit show n-17 /a/b.jsonl`", None),
        # What reads no configuration, or says already which.
        ("`mcpguard secret set a/b`", None),
        ("`mcpguard audit key --new --to FILE`", None),
        ("`mcpguard status`", None),
        ("`mcpguard help start`", None),
        ("`mcpguard explain n-1 --config /d.yaml`", None),
        ("`mcpguard run` ended", None),
        ("`mcpguard checked`", None),
        ("mcpguard check", None),
        ("`mcpguard check", None),
    ],
)  # fmt: skip
def test_a_command_that_reads_a_configuration_gets_its_option_and_no_other(
    said: str, made: str | None
) -> None:
    expected = said if made is None else made.replace("{}", OPTION)
    assert completed(said, lambda: OPTION) == expected
    assert completed(expected, lambda: OPTION) == expected
    assert completed(said, str) == said


def test_each_text_in_a_value_is_completed() -> None:
    value = {"content": [{"text": "`mcpguard check`"}, 7], "isError": True}
    assert completed_in(value, lambda: OPTION) == {
        "content": [{"text": f"`mcpguard check{OPTION}`"}, 7],
        "isError": True,
    }


def taking_config(parser: argparse.ArgumentParser, words: str) -> set[str]:
    """The commands of a verb that take `--config`: the verb itself, if each of its actions does."""
    inner = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not inner:
        return {words} if "--config" in parser._option_string_actions else set()
    found = {name: taking_config(one, f"{words} {name}") for name, one in inner[0].choices.items()}
    return {words} if all(found.values()) else set().union(*found.values())


def test_the_commands_are_those_that_take_the_option() -> None:
    found: set[str] = set()
    for verb, (place, _) in VERBS.items():
        parser = argparse.ArgumentParser()
        import_module(f"mcpguard.cli.{place}").add_arguments(parser)
        found |= taking_config(parser, verb)
    # Clients start one, a scan reads files, without it `status` shows all that runs, and of `audit` it depends
    # on what follows.
    assert set(READERS) == found - {"run", "scan", "status", "audit"}
