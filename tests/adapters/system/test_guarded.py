"""What is said of a text that names no program."""

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
    assert not_found(command) == misread(command)
    assert "hunter22" not in misread(command)


@each("command", ["no-such-program", "/opt/My Servers/no-such", "No Such", "", " "])
def test_the_name_of_a_program_that_is_not_there_is_repeated(command: str) -> None:
    assert misread(command) == ""
    assert not_found(command) == f"the command '{command}' was not found; give its full path or fix PATH"
