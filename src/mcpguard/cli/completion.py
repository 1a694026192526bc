"""`mcpguard completion`: what a shell needs to complete the commands of mcpguard."""

import argparse
from collections.abc import Iterable, Iterator
from importlib import import_module
from shlex import quote

from msgspec import Struct

from mcpguard.cli import VERBS
from mcpguard.cli.parser import OneOf, Parser

_PATHS = ("FILE", "FOLDER", "PATH")


class Option(Struct, frozen=True):
    """`names` are its spellings, none for a positional argument; `value` is what stands for its value, "" for
    a flag. `choices` are all values that it takes, () where they are not a short list."""

    names: tuple[str, ...]
    value: str
    summary: str
    choices: tuple[str, ...] = ()

    @property
    def path(self) -> bool:
        return any(word in self.value for word in _PATHS)


class Command(Struct, frozen=True):
    """`words` lead to it, `mcpguard` among them; `options` has positional arguments too."""

    words: tuple[str, ...]
    summary: str
    options: tuple[Option, ...]
    commands: tuple["Command", ...] = ()
    examples: tuple[str, ...] = ()

    def all(self) -> Iterator["Command"]:
        """This one and all below it, as they are listed."""
        yield self
        for one in self.commands:
            yield from one.all()


def tree() -> Command:
    """`mcpguard` with all its verbs. Imports every verb."""
    verbs = []
    for verb, (place, summary) in VERBS.items():
        module = import_module(f"mcpguard.cli.{place}")
        parser = Parser(prog=f"mcpguard {verb}", description=summary)
        module.add_arguments(parser)
        verbs.append(_command(("mcpguard", verb), summary, parser, module.EXAMPLES))
    own = (
        Option(("-h", "--help"), "", "list the verbs"),
        Option(("-V", "--version"), "", "print the version"),
    )
    return Command(("mcpguard",), "an enforcing proxy for the Model Context Protocol", own, tuple(verbs))


def _command(
    words: tuple[str, ...], summary: str, parser: argparse.ArgumentParser, examples: tuple[str, ...] = ()
) -> Command:
    options, commands = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, one in action.choices.items():
                commands.append(_command((*words, name), said.get(name, ""), one))
        elif action.help != argparse.SUPPRESS:
            options.append(_option(action))
    return Command(words, summary, tuple(options), tuple(commands), examples)


def _option(action: argparse.Action) -> Option:
    choices = tuple(map(str, action.choices or ()))
    value = action.metavar or "|".join(choices) or action.dest.upper()
    if isinstance(action.type, OneOf):
        choices = tuple(action.type.names)
    if action.nargs == 0:
        value = ""
    summary = " ".join((action.help or "").split())
    return Option(tuple(action.option_strings), str(value), summary, choices)


EXAMPLES = (
    "mcpguard completion bash > ~/.local/share/bash-completion/completions/mcpguard",
    "mcpguard completion zsh > ~/.zfunc/_mcpguard                    (a folder of your fpath)",
    "mcpguard completion fish > ~/.config/fish/completions/mcpguard.fish",
)

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads it")


def execute(args: argparse.Namespace) -> int:
    """0."""
    print(script(args.shell), end="")
    return 0


def script(shell: str) -> str:
    """The completion for one of SHELLS. It needs no mcpguard to run."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](tree())


def _where(command: Command) -> str:
    return " ".join(command.words)


def _steps(root: Command) -> str:
    """The pattern of all words that lead one command further."""
    return " | ".join(quote(_where(one)) for one in root.all() if one is not root)


def _positional(command: Command) -> list[Option]:
    return [one for one in command.options if not one.names]


def _all_after(root: Command, files: str, words: str) -> list[str]:
    return [
        _after(one, option, files, words)
        for one in root.all()
        for option in one.options
        if option.names and option.value
    ]


def _after(command: Command, option: Option, files: str, words: str) -> str:
    """The case of what follows `option`: `files` or `words` completes it, or nothing does."""
    does = files if option.path else f"{words} {' '.join(option.choices)}" if option.choices else ":"
    pattern = " | ".join(quote(f"{_where(command)}:{name}") for name in option.names)
    return f"    {pattern}) {does}; return ;;"


def _bash(root: Command) -> str:
    after = _all_after(root, "_mcpguard_files", "_mcpguard_words")
    cases = []
    for one in root.all():
        names = [sub.words[-1] for sub in one.commands] + [n for opt in one.options for n in opt.names]
        names += [choice for opt in _positional(one) for choice in opt.choices]
        paths = any(opt.path for opt in _positional(one))
        files = " _mcpguard_add_files;" if paths else ""
        cases.append(f"    {quote(_where(one))}) _mcpguard_words {quote(' '.join(names))};{files} ;;")
    return f"""\
# mcpguard's completion for bash, made by `mcpguard completion bash`.
_mcpguard_words() {{ COMPREPLY=($(compgen -W "$*" -- "$word")); }}
_mcpguard_files() {{ COMPREPLY=(); _mcpguard_add_files; }}
_mcpguard_add_files() {{
  local IFS=$'\\n'
  COMPREPLY+=($(compgen -f -- "$word"))
  compopt -o filenames 2>/dev/null
}}
_mcpguard() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} where=mcpguard i
  COMPREPLY=()
  if [[ $word == = ]]; then word=; elif [[ $before == = ]]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$where ${{COMP_WORDS[i]}}" in
    {_steps(root)}) where="$where ${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$where:$before" in
{_lines(after)}
  esac
  case "$where" in
{_lines(cases)}
  esac
}}
complete -F _mcpguard mcpguard
"""


def _zsh(root: Command) -> str:
    after = _all_after(root, "_files", "compadd --")
    cases = []
    for one in root.all():
        subs = [_described(sub.words[-1], sub.summary) for sub in one.commands]
        subs += [_described(choice, "") for opt in _positional(one) for choice in opt.choices]
        options = [_described(name, opt.summary) for opt in one.options for name in opt.names]
        files = " _files;" if any(opt.path for opt in _positional(one)) else ""
        lists = f"commands=({' '.join(subs)}); options=({' '.join(options)})"
        cases.append(f"    {quote(_where(one))}) {lists};{files} ;;")
    return f"""\
#compdef mcpguard
# mcpguard's completion for zsh, made by `mcpguard completion zsh`.
_mcpguard() {{
  local where=mcpguard i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    case "$where ${{words[i]}}" in
    {_steps(root)}) where="$where ${{words[i]}}" ;;
    esac
  done
  case "$where:${{words[CURRENT-1]}}" in
{_lines(after)}
  esac
  case "$where" in
{_lines(cases)}
  esac
  (( $#commands )) && _describe command commands
  _describe -o option options
}}
if [[ $funcstack[1] == _mcpguard ]]; then _mcpguard "$@"; else compdef _mcpguard mcpguard; fi
"""


def _described(name: str, summary: str) -> str:
    return quote(f"{name.replace(':', chr(92) + ':')}:{summary}" if summary else name)


def _fish(root: Command) -> str:
    lines = []
    for one in root.all():
        at = f"complete -c mcpguard -n '__mcpguard_at {_where(one)}'"
        for sub in one.commands:
            lines.append(f"{at} -a {_fished(sub.words[-1])} -d {_fished(sub.summary)}")
        for opt in one.options:
            lines.append(" ".join([at, *_fish_option(opt)]))
    return f"""\
# mcpguard's completion for fish, made by `mcpguard completion fish`.
function __mcpguard_at
    set -l where mcpguard
    for word in (commandline -opc)[2..]
        switch "$where $word"
            case {" ".join(_fished(_where(one)) for one in root.all() if one is not root)}
                set where "$where $word"
        end
    end
    test "$where" = "$argv"
end
complete -c mcpguard -f
{_lines(lines)}
"""


def _fish_option(option: Option) -> list[str]:
    words = [f"-{'l' if name.startswith('--') else 's'} {name.lstrip('-')}" for name in option.names]
    if option.choices:
        words.append(f"{'-x ' * bool(option.names)}-a {_fished(' '.join(option.choices))}")
    elif option.path:
        words.append(f"{'-r ' * bool(option.names)}-F")
    elif option.names and option.value:
        words.append("-x")
    return [*words, f"-d {_fished(option.summary)}"]


def _fished(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)
