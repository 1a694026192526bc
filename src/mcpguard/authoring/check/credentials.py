"""What `mcpguard check` says of credentials that rules choose, and of those that stand where they are seen.

Law of this file: nothing is asked of a source.
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase

from mcpguard.authoring.check.codes import shown, wrong
from mcpguard.authoring.check.lints.entry import PlacedRule
from mcpguard.authoring.findings import Finding
from mcpguard.config.loading import Config, Credential, Server
from mcpguard.config.references import texts_in
from mcpguard.core.document.reading import Document
from mcpguard.core.policy.compiled import CompiledPolicy
from mcpguard.core.policy.placeholders import placeholders_in
from mcpguard.core.redaction.redactor import Redactor


def chosen(config: Config, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    """Each rule with a `credential` or a placeholder: whether what it names is there, and for the servers
    that the rule matches."""
    for policy in compiled:
        for index, rule in enumerate(policy.rules):
            placed, name = PlacedRule(policy, index), rule.written.credential
            for said in _unusable(config, placed, name, True) if name else ():
                yield shown("C106", placed.problem(("credential",), said))
            for one in placeholders_in(rule.written.argument):
                for ref in one.template.refs:
                    for said in _unusable(config, placed, ref.name, False):
                        yield shown("C106", placed.problem(("argument", *one.place), said))


def _unusable(config: Config, placed: PlacedRule, name: str, with_site: bool) -> Iterator[str]:
    entry = config.credentials.get(name)
    if entry is None:
        yield f"the configuration has no entry `{name}` in `credentials`, so every such call is refused"
        return
    for server in config.servers.values():
        if not server.disabled and any(fnmatchcase(server.name, glob) for glob in placed.servers):
            if server.name not in entry.servers:
                yield (
                    f"`{name}` is not bound to the server `{server.name}`, so such calls to it are "
                    f"refused: restrict the rule with `server`, or add `{server.name}` to the `servers` "
                    "of the entry"
                )
            elif with_site and not (entry.env if server.url is None else entry.headers):
                site = "env" if server.url is None else "headers"
                yield (
                    f"`{name}` has no `{site}`, so the server `{server.name}` would not get it when a rule "
                    "chooses it"
                )


def split(config: Config, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    """Each rule that sends calls of a `stateful` server to a different process than the first rule does."""
    placed = [PlacedRule(policy, index) for policy in compiled for index in range(len(policy.rules))]
    for server in config.servers.values():
        if server.disabled or not server.stateful:
            continue
        rules = [one for one in placed if _lets_call(one, server.name)]
        if any(one.written.credential and not one.written.when and not one.written.tools for one in rules):
            # Where that rule holds, its credential is used whatever other rules hold too.
            rules = [one for one in rules if one.written.credential]
        first = rules[0].written.credential if rules else None
        for one in [rule for rule in rules if rule.written.credential != first]:
            said = (
                f"calls to `{server.name}` by this rule use {_named(one.written.credential)}, and those by "
                f"others {_named(first)}: that is two processes. The server is `stateful`, and neither knows "
                "what was done in the other"
            )
            yield shown("C114", one.problem(("credential",) if one.written.credential else (), said))


def _lets_call(placed: PlacedRule, server: str) -> bool:
    rule = placed.written
    matched = any(fnmatchcase(server, glob) for glob in placed.servers)
    return matched and rule.effect != "deny" and rule.on == "call" and rule.mode == "enforce"


def _named(credential: str | None) -> str:
    return f"`{credential}`" if credential else "its own credentials"


def in_urls(server: Server, document: Document) -> Iterator[Finding]:
    """A reference in the query of a `url`."""
    if server.url is None:
        return
    before = ""
    for text in server.url.texts[:-1]:
        before += text
        if "?" in before:
            said = (
                "a credential in the query of a URL ends up in logs: use `headers` if the server accepts "
                "it there"
            )
            yield wrong("C107", document.problem(("servers", server.name, "url"), said))
            return


def programs(entry: Credential, document: Document) -> Iterator[Finding]:
    """The program of a `command` that is not there."""
    from mcpguard.adapters.credentials.program import command_of
    from mcpguard.adapters.system.guarded import found

    command = command_of(entry.made) if entry.kind == "command" else None
    if command is not None and found(command.argv[0], os.environ.get("PATH")) is None:
        said = f"the command '{command.argv[0]}' was not found; give its full path or fix PATH"
        yield wrong("C102", document.problem(("credentials", entry.name, "command"), said))


def plain_in(entry: Credential, document: Document, redactor: Redactor) -> Iterator[Finding]:
    """What looks like a credential itself in what makes one, such as a word of a command."""
    for path, text in texts_in((entry.kind,), entry.made):
        kinds = sorted({finding.kind for finding in redactor.inspect(text).findings})
        if kinds:
            said = f"looks like a credential in plain text ({', '.join(kinds)}): keep it in the keychain"
            yield wrong("C103", document.problem(("credentials", entry.name, *path), said))
