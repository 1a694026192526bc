"""The policies that the servers of an import get: a pack with values for its params, or the built-in one, and
what clients had switched off.

Law of this file: what it gives is never wider than what the server's client had.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from mcpguard.adapters.system.shipped import declared_for, pack_for
from mcpguard.adapters.system.terminal import plain
from mcpguard.config.policies import read_document
from mcpguard.core.document.reading import read
from mcpguard.core.errors import PolicyError
from mcpguard.core.policy.compiled import compile_policy
from mcpguard.core.policy.terms import as_tuple
from mcpguard.core.policy.written import Policy
from mcpguard.onboarding import configuration
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.programs import known
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.filling import Values
from mcpguard.onboarding.formats.yaml_text import scalar

_POLICY = re.compile(r"(?m)^policy: *([\w.-]+)")

DECLARED = (
    "tools that declare themselves read-only pass, you are asked about others: write a policy to change that"
)


class ChosenPolicy(Struct, frozen=True):
    """The policy of a server: its text, a sentence on what it is, values for its params, and those params for
    which there is nothing, each with what it is."""

    text: str
    said: str
    params: Values = {}
    unset: dict[str, str] = {}


def pack_of(entry: Entry) -> str:
    """The policy for what `entry` starts, such as `git/careful.yaml`; "" for none."""
    program = known(entry)
    return program.policy if program else ""


def policy_for(name: str, entry: Entry, values: Mapping[str, list[str]]) -> ChosenPolicy:
    """The policy for the server `name`; `values` are those that are known for its params. A list of names for
    which nothing is known is empty, so that its rule says what is missing."""
    policy = pack_of(entry)
    text = pack_for(policy, name) if policy else None
    if text is None:
        return ChosenPolicy(declared_for(name), DECLARED)
    pack, _, posture = policy.removesuffix(".yaml").partition("/")
    said = f"the pack {pack}, {posture}" if posture else f"the policy {pack}"
    declared = read(text, policy, Policy).params
    params = {one: values[one] for one in declared if one in values}
    open_ = {one: about for one, about in declared.items() if not (params.get(one) or about.is_set)}
    for one, about in open_.items():
        if about.type == "strings" and one != "folders":
            params.setdefault(one, [])
    unset = {} if pack == "fetch" else {one: about.description for one, about in open_.items()}
    return ChosenPolicy(text, said, params, unset)


def present_params(
    config: Path, wanted: Mapping[tuple[str, str], list[str]]
) -> dict[str, dict[str, list[str]]]:
    """For each policy file of the configuration at `config` the `wanted` values, by server and param, that
    are for it. Raises MoveError for one that no policy takes, or with which its policy is not loaded."""
    found: dict[str, dict[str, list[str]]] = {}
    written = list(_named_in(config)) if wanted else []
    for (server, name), values in wanted.items():
        takes = (one for one in written if _takes(one[2], one[0], server, name))
        file, params, text = next(takes, ("", {}, ""))
        if not file:
            raise MoveError(f"no policy for a server named {server} has a param {name}; nothing was done")
        found.setdefault(file, {})[name] = values
        params[name] = [*(params.get(name) or ()), *values]
        if refusal := refusal_of(text, params):
            said = ", ".join(values)
            raise MoveError(f"{plain(said)} is not a value for {server}.{name}: {refusal}; nothing was done")
    return found


def _takes(text: str, file: str, server: str, param: str) -> bool:
    policy = read(text, file, Policy)
    return param in policy.params and any(server in as_tuple(rule.server) for rule in policy.rules)


def _named_in(config: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(name, params, text) of each policy of the configuration at `config`."""
    text = configuration.read(config)
    for one in configuration.checked(text, str(config)).policies if text.strip() else ():
        file, params = (one, {}) if isinstance(one, str) else (one.file, one.params)
        yield file, dict(params), read_document(config.parent / Path(file).expanduser(), PolicyError)


class PolicyFiles:
    """The files of policies that an import writes, beside those that the configuration has."""

    def __init__(self, config: Path, there: Iterable[str]) -> None:
        """`there` are the policies that the configuration at `config` names."""
        self.texts: dict[Path, str] = {}
        """What is to be in each of them; some are there already."""
        self._folder = config.parent / "policies"
        self._named: dict[str, str] = {}
        for file in there:
            with suppress(PolicyError):
                self._know(read_document(config.parent / Path(file).expanduser(), PolicyError))

    def _know(self, text: str) -> None:
        found = _POLICY.search(text)
        if found:
            self._named[found[1]] = text

    def is_named_as_another(self, text: str) -> bool:
        """Whether there is another policy of this name, with which it could not be loaded."""
        found = _POLICY.search(text)
        return found is not None and self._named.get(found[1], text) != text

    def add(self, name: str, make: Callable[[str], str]) -> Path:
        """The file for the policy that `make` gives for the name of a file: `name`, or what is next to it."""
        number, stem = 1, name
        while not self._has_room(self._path(stem), make(stem)):
            number += 1
            stem = f"{name}-{number}"
        self.texts[self._path(stem)] = make(stem)
        self._know(make(stem))
        return self._path(stem)

    def _path(self, stem: str) -> Path:
        return self._folder / f"{stem}.yaml"

    def _has_room(self, path: Path, text: str) -> bool:
        if self.is_named_as_another(text):
            return False
        if path in self.texts:
            return self.texts[path] == text
        return not path.exists() or path.read_bytes() == text.encode()


def refusal_of(text: str, params: Values) -> str:
    """Why the policy `text` would not be loaded with these values, "" where it would. What a project's file
    says must not stop mcpguard from starting for everybody."""
    from mcpguard.core.redaction.redactor import OPT_IN

    try:
        compile_policy(text, "policy", OPT_IN, None, params)
    except PolicyError as error:
        return error.problems[0].message
    return ""


def expect_params(
    server: str, wanted: Iterable[tuple[tuple[str, str], list[str]]], has: Collection[str]
) -> None:
    """Raises MoveError where one of the `wanted` values is for a param of `server` that its policy lacks."""
    for (name, param), _ in wanted:
        if name == server and param not in has:
            those = ", ".join(sorted(has)) or "none"
            raise MoveError(f"no param {param} for {name}, whose policy has {those}; nothing was done")


class Hidden(Struct, frozen=True):
    """The tools of a server that the client `agent` does not show: those in `names`, and where `only` is
    something, all others."""

    agent: str
    names: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    @property
    def any(self) -> bool:
        """Whether it hides something."""
        return bool(self.names) or self.only is not None


_OFF = "This tool was switched off in the client before mcpguard was put in front of it."


def hidden_policy(server: str, hidden: list[Hidden], policy: str) -> str:
    """The text of the policy `policy`, which goes on hiding these tools."""
    rules = []
    for number, one in enumerate(hidden, 1):
        for kind, when in _conditions(one):
            condition = scalar(f"client.agent == {json.dumps(one.agent)} && {when}")
            rules.append(
                f"  - id: {kind}-{number}\n    effect: deny\n    server: {server}\n    when: {condition}\n"
                f"    message: {_OFF}\n"
            )
    return (
        "# What clients had switched off when their servers moved behind mcpguard.\n"
        f"version: 1\npolicy: {policy}\nowner: mcpguard import\nrules:\n" + "\n".join(rules)
    )


def _conditions(hidden: Hidden) -> list[tuple[str, str]]:
    found = []
    if hidden.names:
        found.append(("switched-off", f"tool.name in {_listed(hidden.names)}"))
    if hidden.only is not None:
        found.append(("not-chosen", f"!(tool.name in {_listed(hidden.only)})"))
    return found


def _listed(names: tuple[str, ...]) -> str:
    """`names` in CEL, which knows what JSON escapes but no half of a character."""
    return json.dumps(names, ensure_ascii=False)
