"""Secrets in arguments become variables, where the server takes one; and texts with secrets in them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from urllib.parse import unquote

from mcpguard.core.secret import Unprinted
from mcpguard.onboarding.discovery.entry import Entry, Place
from mcpguard.onboarding.discovery.programs import Program, known
from mcpguard.onboarding.discovery.references import Stays

_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_JOINED = re.compile(r"(-e|--env=)([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_OPTION = re.compile(r"(--?[A-Za-z][\w.-]*)=(.*)", re.DOTALL)
_SHELLS = ("docker", "podman", "nerdctl")


class Text(Unprinted, frozen=True):
    """A text in parts: (text, whether it is a secret)."""

    parts: tuple[tuple[str, bool], ...]

    @classmethod
    def plain(cls, text: str) -> Text:
        """A text without a secret."""
        return cls(((text, False),))

    def said(self, say: Callable[[str], str]) -> Text:
        """With `say` done to what is not secret."""
        return Text(tuple((text if hidden else say(text), hidden) for text, hidden in self.parts))

    def shown(self) -> str:
        """With the secrets left out."""
        return "".join("" if hidden else text for text, hidden in self.parts)


def text_of(entry: Entry, place: Place, value: str, offset: int = 0) -> Text:
    """`value`, which stands at `place` of `entry` from `offset` on, in parts."""
    parts: list[tuple[str, bool]] = []
    at = 0
    for one in sorted(one for one in entry.secrets if one.place == place and one.start >= offset):
        parts.append((value[at : one.start - offset], False))
        parts.append((value[one.start - offset : one.end - offset], True))
        at = one.end - offset
    parts.append((value[at:], False))
    return Text(tuple((text, hidden) for text, hidden in parts if text or not hidden))


def environment_of(entry: Entry) -> tuple[list[str], dict[str, Text]]:
    """The arguments of `entry` without secrets, and its variables with those. Raises Stays."""
    env = {name: text_of(entry, ("env", name), value) for name, value in entry.env.items()}
    secret = {one.place[1] for one in entry.secrets if one.place[0] == "args"}
    program = known(entry)
    words: list[str] = []
    before = ""
    for index, word in enumerate(entry.args):
        if index not in secret:
            words.append(word)
        elif program is not None and program.password and (split := _without_password(entry, index)):
            address, password = split
            if env.setdefault(program.password, password) != password:
                raise Stays(f"has {program.password} twice with different values")
            words.append(address)
        else:
            name, left, start = _moved(entry, program, before, index, words)
            text = text_of(entry, ("args", index), word[start:], start)
            if env.setdefault(name, text) != text:
                raise Stays(f"has {name} twice with different values")
            words = left
        before = word
    return words, env


def _without_password(entry: Entry, index: int) -> tuple[str, Text] | None:
    """The address of a database in an argument, and its password; None where that is not its only secret."""
    found = [one for one in entry.secrets if one.place == ("args", index)]
    word = entry.args[index]
    start, end = found[0].start, found[0].end
    if len(found) > 1 or word[start - 1 : start] != ":" or word[end : end + 1] != "@":
        return None
    return word[: start - 1] + word[end:], Text(((unquote(word[start:end]), True),))


def _moved(
    entry: Entry, program: Program | None, before: str, index: int, words: list[str]
) -> tuple[str, list[str], int]:
    """The variable for the secret in argument `index`, the words before it that stay, and where it begins."""
    word, command = entry.args[index], os.path.basename(entry.command)
    pair = _PAIR.fullmatch(word)
    joined = _JOINED.fullmatch(word)
    if joined and command in _SHELLS:
        return joined[2], [*words, joined[1] + joined[2]], joined.start(3)
    if pair and command in _SHELLS and before in ("-e", "--env"):
        return pair[1], [*words, pair[1]], pair.start(2)
    if pair and command == "env" and all(_PAIR.fullmatch(one) for one in entry.args[:index]):
        return pair[1], words, pair.start(2)
    variables = {} if program is None else program.variables
    option = _OPTION.fullmatch(word)
    if option and option[1] in variables:
        return variables[option[1]], words, option.start(2)
    if before in variables and before.startswith("-"):
        return variables[before], words[:-1], 0
    if "" in variables and not option and not before.startswith("--"):
        return variables[""], words, 0
    raise Stays(
        f"has a secret in argument {index + 1}, which every process on this machine can read: give it to the "
        "server in a variable or a file, if it takes one, and import again"
    )
