"""What `mcpguard check` says of servers: whether they can be started, with which credentials, and where they
may write; and of `clients`: who sees nothing, and what nobody sees.

Law of this file: nothing is started, nothing is asked of a source of credentials, and no value is printed.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.util import find_spec

from mcpguard.adapters.credentials import MINTS, library_missing
from mcpguard.adapters.system.guarded import found, misread, not_found
from mcpguard.adapters.upstreams.process.inherited import child_environment, executable, not_startable
from mcpguard.adapters.upstreams.process.own_folder import not_from_here, relative_command
from mcpguard.authoring.check.codes import shown, wrong
from mcpguard.authoring.check.exposure import starting
from mcpguard.authoring.check.lints.entry import PlacedRule, placed_rules
from mcpguard.authoring.check.relied import installation, relied_on
from mcpguard.authoring.findings import Finding, fine
from mcpguard.config.loading import Config, Credential, Server
from mcpguard.config.references import ENTRY, texts_in
from mcpguard.config.servers import ViewEntry
from mcpguard.config.user_state import user_state
from mcpguard.core.document.constraints import Path
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import CredentialError
from mcpguard.core.legible import utc
from mcpguard.core.policy.compiled import CompiledPolicy
from mcpguard.core.policy.placeholders import placeholders_in
from mcpguard.core.redaction.held.search import weakness
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef, Secret, Template, ends_at


def chosen(config: Config, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    """Each rule with a `credential` or a placeholder: whether what it names is there, and for the servers
    that the rule matches."""
    for placed in placed_rules(compiled):
        name = placed.written.credential
        for said in _unusable(config, placed, name, True) if name else ():
            yield shown("C106", placed.problem(("credential",), said))
        yield from _for_others(config, placed)
        for one in placeholders_in(placed.written.argument):
            for ref in one.template.refs:
                for said in _unusable(config, placed, ref.name, False):
                    yield shown("C106", placed.problem(("argument", *one.place), said))


def _for_others(config: Config, placed: PlacedRule) -> Iterator[Finding]:
    """A rule whose credential is for some principals, and that allows the calls of others too."""
    condition, entry = placed.rule.condition, config.credentials.get(placed.written.credential or "")
    looks = condition is not None and "principal" in condition.reads
    if entry is not None and entry.principals and not looks:
        said = (
            f"`{entry.name}` is for {', '.join(entry.principals)} only: calls of others are allowed, but "
            f"fail; check `principal` in `when`"
        )
        yield shown("C122", placed.problem(("credential",), said))


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
    placed = placed_rules(compiled)
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
                f"others {_named(first)}: these are two processes. The server is `stateful`, and neither "
                "knows the other's state"
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
    """The program of a `command` that is not there, or the library that another kind needs."""
    from mcpguard.adapters.credentials.program import command_of

    command = command_of(entry.made) if entry.kind == "command" else None
    if command is not None and found(command.argv[0], os.environ.get("PATH")) is None:
        said = not_found(command.argv[0], os.environ.get("PATH"))
        code = "C119" if misread(command.argv[0]) else "C102"
        yield wrong(code, document.problem(("credentials", entry.name, "command"), said))
    library = MINTS[entry.kind].library
    if library and find_spec(library) is None:
        said = library_missing(entry.kind)
        yield wrong("C102", document.problem(("credentials", entry.name, entry.kind), said))


def plain_in(entry: Credential, document: Document, redactor: Redactor) -> Iterator[Finding]:
    """What looks like a credential itself in what makes one, such as a word of a command."""
    for path, text in texts_in((entry.kind,), entry.made):
        kinds = sorted({finding.kind for finding in redactor.inspect(text).findings})
        if kinds:
            said = f"looks like a credential in plain text ({', '.join(kinds)}): keep it in the keychain"
            yield wrong("C103", document.problem(("credentials", entry.name, *path), said))


Plain = Callable[[Server, Redactor], Iterable[tuple[Path, str]]]
"""Where a server holds a credential that only its name tells, and how that was known."""


def servers(
    config: Config,
    document: Document,
    redactor: Redactor,
    plain: Plain,
    *,
    files_only: bool,
    answered: Collection[str] | None = None,
) -> Iterator[Finding]:
    """Each server in turn; `redactor` learns the values of their credentials, unless `files_only`: then none
    is read. Only some have `answered` where all were asked."""
    machine = () if files_only else (user_state(), installation())
    relied = [*relied_on(config, *machine)]
    for name, server in config.servers.items():
        at = ("servers", name)
        if server.disabled:
            yield wrong("C003", document.problem(at, f"{name} is disabled: it is not served"))
        else:
            found = [*_program_problems(server, document)] if server.url is None else []
            if files_only:
                found = [one for one in found if not one.machine]
            else:
                found += _credential_problems(config, server, document, redactor)
            yield from found
            if not found and (answered is None or name in answered):
                said = f"{name} is well-formed" if files_only else _ready(config, server, answered)
                yield fine(document.problem(at, ""), said)
            yield from starting(config, server, relied, document)
        yield from in_urls(server, document)
        yield from _plain_credentials(server, document, redactor, plain)
    for entry in config.credentials.values():
        yield from programs(entry, document)
        yield from plain_in(entry, document, redactor)


def _ready(config: Config, server: Server, answered: Collection[str] | None) -> str:
    needs = ", ".join(map(str, server.credentials))
    said = "can be started" if server.url is None else "is well configured (not contacted)"
    if answered is not None:
        said = "answers"
    asked = any(_is_asked(config, ref) for ref in server.credentials)
    later = " (not requested; `mcpguard secret check` does that)" if asked else ""
    return f"{server.name} {said}{', with ' + needs if needs else ''}{later}"


def _credential_problems(
    config: Config, server: Server, document: Document, redactor: Redactor
) -> Iterator[Finding]:
    for path, template in _templates(server):
        for ref in template.refs:
            for one in _plain(config, ref):
                as_it_is = one == ref or config.credentials[ref.name].kind == "value"
                of_header = path[0] == "headers" and as_it_is
                for code, said in _trouble(one, redactor, of_header):
                    yield wrong(code, document.problem(("servers", server.name, *path), said))
            if said := _without_keychain(config, ref):
                yield wrong("C102", document.problem(("servers", server.name, *path), said))


def _templates(server: Server) -> Iterator[tuple[tuple[str, ...], Template]]:
    if server.url is not None:
        yield ("url",), server.url
    for key in ("env", "headers"):
        for name, template in getattr(server, key).items():
            yield (key, name), template


def _program_problems(server: Server, document: Document) -> Iterator[Finding]:
    literal = {key: value.texts[0] for key, value in server.env.items() if not value.refs}
    path = child_environment(os.environ, literal).get("PATH")
    cwd = None if server.cwd is None else str(server.cwd)
    if cwd is None and not server.in_client_folder and relative_command(server.command):
        message = misread(server.command) or not_from_here([f"the command '{server.command}'"])
        yield wrong("C119", document.problem(("servers", server.name, "command"), message))
    elif executable(server.command, path, cwd) is None:
        message = not_startable(server.command, path, cwd)
        yield wrong(
            "C119" if misread(server.command) else "C101",
            document.problem(("servers", server.name, "command"), message),
        )
    if server.cwd is not None and not server.cwd.is_dir():
        place = document.problem(("servers", server.name, "cwd"), f"{server.cwd} is not a folder")
        yield wrong("C101", place)


def _plain(config: Config, ref: CredentialRef) -> Iterable[CredentialRef]:
    """What can be read without asking anybody: `ref` itself, or what its entry is made of."""
    return sorted(config.credentials[ref.name].sources) if ref.source == ENTRY else (ref,)


def _is_asked(config: Config, ref: CredentialRef) -> bool:
    """Whether somebody has to be asked for `ref`: a program or a service."""
    return ref.source == ENTRY and config.credentials[ref.name].kind != "value"


def _without_keychain(config: Config, ref: CredentialRef) -> str:
    """Why the keychain, which alone has what a login gave, cannot be asked for it; "" if it can."""
    if ref.source != ENTRY or config.credentials[ref.name].kind != "oauth":
        return ""
    from mcpguard.adapters.credentials.oauth.grants import Grants

    try:
        Grants().ready(ref.name)
    except CredentialError as error:
        return f"the login of {ref} cannot be read: {error}"
    return ""


def expired(secret: Secret) -> str:
    """When it ended, as it says itself, the rest of a sentence; "" where it does not say, or still counts."""
    end, now = ends_at(secret), datetime.now(UTC)
    if end is None or end > now.timestamp():
        return ""
    # A time long ago has no date.
    when = f" at {utc(end)}" if end > 0 else ""
    return f"expired{when}: get a new one from its issuer"


def _trouble(ref: CredentialRef, redactor: Redactor, of_header: bool = False) -> Iterator[tuple[str, str]]:
    """Why `ref` could not be injected, or should not be: it must be there and such that it can be guarded; if
    it is `of_header`, it has to fit there."""
    from mcpguard.adapters.credentials import value_of

    try:
        secret = value_of(ref)
        redactor.hold(str(ref), secret)
    except CredentialError as error:
        yield "C102", str(error)
        return
    if of_header:
        from mcpguard.adapters.upstreams.wires.address import UNFIT, fits_in_header

        if not fits_in_header(secret):
            yield "C102", f"{ref} {UNFIT}"
    if said := expired(secret):
        yield "C117", f"the value of {ref} {said}"
    if said := weakness(secret):
        yield (
            "C115",
            f"the value of {ref} {said}, so it can be guessed, and is removed from every result in which it "
            "appears: replace it with a long random one, or write it here as it is if it is not a secret",
        )


def _plain_credentials(
    server: Server, document: Document, redactor: Redactor, plain: Plain
) -> Iterator[Finding]:
    # The name of a variable is a part of some formats, so it is inspected together with its value.
    texts: list[tuple[Path, object]] = [
        (path, {path[-1]: "".join(template.texts)}) for path, template in _templates(server)
    ]
    texts += [(("args", index), argument) for index, argument in enumerate(server.args)]
    texts.append((("command",), server.command))
    how = {path: sorted({one.kind for one in redactor.inspect(text).findings}) for path, text in texts}
    named = {path: "by its name" if why == "name" else why for path, why in plain(server, redactor)}
    for path, kinds in how.items():
        if kinds or path in named:
            known = ", ".join(kinds) or named[path]
            message = f"looks like a credential in plain text ({known}){_instead(server.name, path)}"
            yield wrong("C103", document.problem(("servers", server.name, *path), message))


def _instead(server: str, path: Path) -> str:
    if path[0] in ("args", "command"):
        return ", which every process on this machine can read: pass it to the server in a variable"
    name = f"{server}/{path[-1]}"
    return f": `mcpguard secret set {name}` and refer to it as ${{keyring:{name}}}"


def clients(config: Config, document: Document) -> Iterator[Finding]:
    """Every client and project in turn, and the servers that are in none."""
    if not config.clients:
        return
    for name, entry in config.clients.items():
        for place, whose, servers in _views(name, entry):
            yield from _disabled(config, document, (place, whose, servers))
    if config.agent is not None and config.agent not in config.clients:
        said = f"`{config.agent}` is not among the `clients`, so mcpguard does not start without `--agent`"
        yield wrong("C008", document.problem(("agent",), said))
    views = [view for name, entry in config.clients.items() for view in _views(name, entry)]
    seen = {server for _, _, servers in views for server in servers}
    for server, about in config.servers.items():
        if server not in seen and not about.disabled:
            said = f"no client sees {server}: name it under `clients`, or remove it"
            yield wrong("C009", document.problem(("servers", server), said))


_View = tuple[Path, str, tuple[str, ...]]
"""Where a list of servers stands, whose it is, and what is in it."""


def _views(name: str, entry: ViewEntry) -> Iterator[_View]:
    if entry.servers:
        yield ("clients", name, "servers"), f"the client `{name}`", entry.servers
    for folder, servers in entry.projects.items():
        yield ("clients", name, "projects", folder), f"the project {folder} of `{name}`", servers


def _disabled(config: Config, document: Document, view: _View) -> Iterator[Finding]:
    at, whose, servers = view
    off = [server for server in servers if config.servers[server].disabled]
    if len(off) == len(servers):
        said = f"every server of {whose} is disabled, so mcpguard does not start for it"
        yield wrong("C007", document.problem(at, said))
        return
    for server in off:
        said = f"{server} is disabled, so {whose} does not have it"
        yield wrong("C006", document.problem((*at, servers.index(server)), said))
