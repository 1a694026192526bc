"""What is said of a text that names no program."""

from pathlib import Path

from mcpguard.adapters.system.guarded import misread, not_found
from tests.rows import each


@each(
    ("command", "said"),
    [
        ("https://h.example/mcp?key=hunter22", "is the address of a remote server: write it as `url`"),
        ("TOKEN=hunter22 npx -y server", "begins with a value for TOKEN: set it under `env`"),
        ("no-such-program --token hunter22", "is 'no-such-program' and its arguments in one string"),
        ("sh hunter22", "is 'sh' and its arguments in one string: write each argument as its own word"),
        ("~/bin/server", "'~/bin/server' begins with ~, which only a shell replaces: give the full path"),
    ],
)
def test_what_is_not_the_name_of_a_program_is_told_what_it_is_without_a_value(
    command: str, said: str
) -> None:
    assert said in misread(command)
    assert not_found(command, None) == misread(command)
    assert "hunter22" not in misread(command)


@each("command", ["no-such-program", "/opt/My Servers/no-such", "No Such", "", " "])
def test_the_name_of_a_program_that_is_not_there_is_repeated(command: str) -> None:
    assert misread(command) == ""
    assert (
        not_found(command, None) == f"the command '{command}' was not found; give its full path or fix PATH"
    )


def test_a_program_that_is_there_and_not_executable_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    place = str(tmp_path / "tool")
    assert not_found(place, None) == f"the command '{place}' is not executable; `chmod +x` it"
    said = f"the command 'tool' is {place}, which is not executable; `chmod +x` it"
    assert not_found("tool", str(tmp_path)) == said
