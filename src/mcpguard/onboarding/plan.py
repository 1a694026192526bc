"""What an import would do: which servers move in, under which names, and what every file would be.

Law of this file: it reads, and changes nothing.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mcpguard.config.terms import OWN_POLICY
from mcpguard.core.errors import ConfigError
from mcpguard.onboarding import configuration, disk
from mcpguard.onboarding.changed import encoded
from mcpguard.onboarding.conversion import (
    convert,
    corrected,
    kept_timeouts,
    longest_timeouts,
    passed_on,
    variables,
    which_server,
)
from mcpguard.onboarding.discovery.clients import words_of
from mcpguard.onboarding.discovery.completing import Answer, no_answer
from mcpguard.onboarding.discovery.entry import Entry, NotMoved, Place
from mcpguard.onboarding.discovery.programs import SecretText
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces, folder_of, parsed, view_of
from mcpguard.onboarding.edit import called, numbered, replaced
from mcpguard.onboarding.formats import Unreadable, Way
from mcpguard.onboarding.journal import Edit
from mcpguard.onboarding.naming import ClientLists, EditedFile, MovedServer, leads_out
from mcpguard.onboarding.policies import (
    HiddenTools,
    MachineFacts,
    Params,
    PolicyFiles,
    expect_params,
    hidden_policy,
    machine,
    pack_of,
    policy_for,
    present_params,
    refusal_of,
    values_for,
)

Origin = tuple[ClientFile, Entry]


class PlannedServer(Struct, kw_only=True):
    """A server of mcpguard's configuration to be, from one entry or from several that say the same.
    `settings` is as the configuration has it; `fresh`: it is not in there yet."""

    name: str
    settings: dict[str, Any]
    origins: list[Origin]
    notes: tuple[str, ...]
    fresh: bool = True
    policy: str = ""
    params: Params = {}
    unset: dict[str, str] = {}

    @property
    def hidden(self) -> list[HiddenTools]:
        """What its clients do not show of it."""
        found = [_hidden(*origin) for origin in self.origins]
        return [one for one in dict.fromkeys(found) if one.any]

    def set_params(self) -> Iterator[tuple[str, list[str]]]:
        """The params of its policy that have values, with these as `--set` takes them."""
        yield from (
            (name, items) for name, value in self.params.items() if (items := configuration.items_of(value))
        )

    def stood_in(self, found: ClientFile, table: Way) -> bool:
        """Whether one of its entries is in that table of `found`."""
        return any(where.path == found.path and one.where[:-1] == table for where, one in self.origins)


class ImportPlan(Struct, kw_only=True):
    """All of it. `left` are entries that stay, with the reason; `broken` are sentences on files that cannot
    be used. `secrets` are those to store, by name; `policies` the new texts of files. `set` are values for
    policies that are in the configuration, by server and param; `views` are the clients (name and title) and
    projects ("" for none) that the servers are of."""

    config: Path
    config_before: str = ""
    config_after: str = ""
    servers: list[PlannedServer] = []
    left: list[tuple[ClientFile, Entry, str]] = []
    broken: list[str] = []
    secrets: dict[str, str] = {}
    policies: dict[Path, str] = {}
    clients: list[EditedFile] = []
    set: dict[tuple[str, str], list[str]] = {}
    lost: list[str] = []
    """Sentences on names in lists of clients that have no effect any more."""
    observed: list[str] = []
    """The servers whose policies are only observed at first, and `until` which day."""
    until: str = ""
    views: list[tuple[str, str, str]] = []

    off: dict[tuple[str, str, str], HiddenTools] = {}
    """By client, project and server, what the client does not show, as `views` name them."""

    def switched_off(self, client: str, project: str, server: str) -> HiddenTools:
        """The tools of `server` that the client did not show in `project`, or where it is not one of that
        project's servers, everywhere."""
        everywhere = self.off.get((client, "", server), HiddenTools(client))
        return self.off.get((client, project, server), everywhere)

    @property
    def changes(self) -> bool:
        return bool(self.clients) or self.config_after != self.config_before

    @property
    def split(self) -> list[str]:
        """A sentence for each name under which clients have different servers."""
        named: dict[str, dict[str, str]] = {}
        for server in self.servers:
            for found, entry in server.origins:
                named.setdefault(configuration.server_name(entry.name), {}).setdefault(
                    server.name, found.client.title
                )
        said = []
        for name, servers in named.items():
            titles, number = list(dict.fromkeys(servers.values())), len(servers)
            have = f"{' and '.join(titles)} {'has' if len(titles) == 1 else 'have'}"
            if number > 1:
                said.append(
                    f"{name}: {have} {number} different servers for this name, each with a process and a "
                    f"policy of its own: {', '.join(servers)}"
                )
        return said

    def __repr__(self) -> str:
        return "<ImportPlan>"


class ImportWishes(Struct, frozen=True, kw_only=True):
    """What the person asked for. `servers` are names of entries, empty for all; `secret` and `plain` are
    (server, place) that are secrets, or are not; `params` are values for params of the policies of servers.
    `answer` says what a client would ask for; `launcher` is the entry of mcpguard. `observe` is the last day
    on which the policies of what moves in are only observed, "" where they are enforced at once."""

    launcher: dict[str, Any]
    servers: frozenset[str] = frozenset()
    secret: tuple[tuple[str, Place], ...] = ()
    plain: tuple[tuple[str, Place], ...] = ()
    params: tuple[tuple[tuple[str, str], list[str]], ...] = ()
    answer: Answer = no_answer
    observe: str = ""


def make_plan(
    founds: Iterable[ClientFile],
    wishes: ImportWishes,
    places: SearchPlaces,
    config: Path,
    environ: Mapping[str, str],
    stored: Callable[[str], str | None],
    reference: Callable[[str], str],
    others: Iterable[ClientFile] = (),
) -> ImportPlan:
    """The plan for the files `founds`; `others` are those of all clients. `stored(name)` is the secret of
    that name, None for none; `reference` is how the configuration says it. Raises ConfigError where the
    configuration that is there is broken, and MoveError where a client would be shut out."""
    before = configuration.read(config)
    plan = ImportPlan(config=config, config_before=before)
    if before:
        configuration.checked(before, str(config))
    others, founds = list(others), list(founds)
    agreed = {one.path for one in founds if not leads_out(one, places)}
    # A project's file that nobody has agreed to says nothing about what this person works with.
    known = [one for one in others if one.file.scope == "user" or one.path in agreed]
    around = machine(known, places)
    lists = ClientLists(founds, others, places)
    maker = _Maker(plan, wishes, places, environ, stored, reference, around, lists)
    for found in founds:
        if problem := found.problem or maker.elsewhere(found):
            plan.broken.append(problem)
        else:
            maker.take(found)
    maker.write(others)
    return plan


class _Maker:
    def __init__(
        self,
        plan: ImportPlan,
        wishes: ImportWishes,
        places: SearchPlaces,
        environ: Mapping[str, str],
        stored: Callable[[str], str | None],
        reference: Callable[[str], str],
        around: MachineFacts,
        lists: ClientLists,
    ) -> None:
        self._around, self._lists = around, lists
        self._plan, self._wishes, self._places, self._environ = plan, wishes, places, environ
        self._stored, self._reference = stored, reference
        self._known = configuration.entries(plan.config_before)
        written = configuration.checked(plan.config_before, "").policies if plan.config_before else ()
        self._files = PolicyFiles(plan.config, (one if isinstance(one, str) else one.file for one in written))
        self._targets: dict[Path, Path] = {}
        self._chosen: dict[str, str] = {}
        self._params: dict[Path, Params] = {}

    def elsewhere(self, found: ClientFile) -> str:
        """Why what a link leads to is not edited under this name, "" where it is."""
        if any("\ud800" <= char <= "\udfff" for char in str(found.path)):
            return (
                f"{found.path}: is in a folder whose name is not UTF-8, which a configuration cannot contain"
            )
        if leads_out(found, self._places):
            return f"{found.path}: leads out of the project to {found.target}, so it was left alone"
        first = self._targets.setdefault(found.target, found.path)
        return (
            "" if first == found.path else f"{found.path}: is the same file as {first}, and moves in with it"
        )

    def take(self, found: ClientFile) -> None:
        names = self._wishes.servers
        wanted = [one for one in found.entries if not one.guarded and (not names or one.name in names)]
        if not wanted:
            return
        try:
            disk.refuse_irreplaceable(found.target)
            self._edited(found, [entry.where for entry in wanted], [])
        except (Unreadable, disk.MoveError) as error:
            self._plan.broken.append(str(error))
            self._plan.left += [(found, entry, "is in a file that cannot be edited") for entry in wanted]
            return
        # A mcpguard that had no server to start would not start itself.
        working = {one.where[:-1] for one in found.entries if one.guarded and not one.disabled}
        for entry in sorted(wanted, key=lambda one: one.disabled):
            try:
                if entry.disabled and entry.where[:-1] not in working:
                    raise NotMoved(
                        "is disabled, and no enabled server beside it moves: enable it, and import again"
                    )
                self._lists.refuse_unwelcome(found, entry, self._ours(found, entry))
                self._settle(found, entry)
                working.add(entry.where[:-1])
            except NotMoved as reason:
                self._plan.left.append((found, entry, str(reason)))

    def _ours(self, found: ClientFile, server: Entry) -> str:
        """What the entry of mcpguard is called, or will be, that stands in place of `server` in `found`."""
        table = server.where[:-1]
        entry = found.client.entry(self._wishes.launcher, view_of(found, table, self._places))
        mine = set(words_of(entry))
        there = (one.name for one in found.entries if one.where[:-1] == table and mine <= set(one.args))
        return next(there, called(entry))

    def _edited(self, found: ClientFile, gone: list[Way], mine: list[PlannedServer]) -> EditedFile:
        """`found` with an entry of mcpguard in each table that loses some, and what was done."""
        edits, now = [], found
        for table in dict.fromkeys(way[:-1] for way in gone):
            ways = [way for way in gone if way[:-1] == table]
            entry = found.client.entry(self._wishes.launcher, view_of(found, table, self._places))
            here = [one.settings for one in mine if one.stood_in(found, table)]
            entry |= passed_on(found.client, variables(here))
            entry |= kept_timeouts((one for one in found.entries if one.where in ways), here)
            now = parsed(now, encoded(now, replaced(now, ways, entry)))
            edits.append(Edit(ways, entry))
        return EditedFile(found, now.text, edits, [])

    def _settle(self, found: ClientFile, entry: Entry) -> None:
        yes = {place for name, place in self._wishes.secret if name == entry.name}
        no = {place for name, place in self._wishes.plain if name == entry.name}
        entry = corrected(entry, yes, no)
        converted = convert(found, entry, self._places, self._environ, self._wishes.answer)
        off = _hidden(found, entry)
        if off.any and (refusal := refusal_of(hidden_policy("server", [off], "off"), {})):
            raise NotMoved(f"has switched-off tools that no policy can hide: {refusal}")
        plain, number = configuration.server_name(entry.name), 1
        name = plain
        while not self._place(name, found, entry, converted.settings, converted.notes):
            number += 1
            name = f"{plain[:28]}-{number}"

    def _place(
        self, name: str, found: ClientFile, entry: Entry, raw: dict[str, Any], notes: tuple[str, ...]
    ) -> bool:
        """Whether the server could be called `name`; then it is."""
        settings, secrets = self._filled(name, raw)
        other = next((one for one in self._plan.servers if one.name == name), None)
        if other is not None:
            if configuration.same(which_server(other.settings), which_server(settings)):
                other.settings |= longest_timeouts(other.settings, settings) if other.fresh else {}
                other.origins.append((found, entry))
                return True
            return False
        fresh = name not in self._known
        if not fresh:
            there = self._known[name]
            if not configuration.same(which_server(there), which_server(settings)):
                return False
            settings = there
        try:
            alone = {name: {**settings, "disabled": False}}
            configuration.extended("", "server", configuration.ConfigAddition(servers=alone))
        except ConfigError as error:
            raise NotMoved(
                f"cannot be expressed in mcpguard's configuration: {error.problems[0].message}"
            ) from None
        server = PlannedServer(
            name=name, settings=settings, origins=[(found, entry)], notes=notes, fresh=fresh
        )
        if fresh and not self._add_policy(server, entry):
            return False
        self._chosen |= secrets
        self._plan.secrets |= {key: value for key, value in secrets.items() if self._stored(key) is None}
        self._plan.servers.append(server)
        return True

    def _filled(self, server: str, raw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """`raw` with references in place of secrets, and those by name."""
        secrets: dict[str, str] = {}

        def said(key: str, text: SecretText) -> str:
            parts = []
            for value, hidden in text.parts:
                parts.append(self._reference(self._named(server, key, value, secrets)) if hidden else value)
            return "".join(parts)

        settings = dict(raw)
        for key in ("env", "headers"):
            if key in raw:
                settings[key] = {name: said(name, text) for name, text in raw[key].items()}
        if "url" in raw:
            settings["url"] = said("url", raw["url"])
        return settings, secrets

    def _named(self, server: str, key: str, value: str, secrets: dict[str, str]) -> str:
        """The first name for `value` that nothing else has."""
        plain = f"{server}/{re.sub(r'[^A-Za-z0-9._-]', '-', key)}"
        known = {**self._chosen, **secrets}
        name = next(one for one in numbered(plain) if known.get(one, self._stored(one) or value) == value)
        secrets[name] = value
        return name

    def _add_policy(self, server: PlannedServer, entry: Entry) -> bool:
        """Whether there is a policy for it, which no other one stands in the way of. Raises NotMoved."""
        pack = pack_of(entry).partition("/")[0]
        found, written = server.origins[0][0], entry.where[:-1]
        entry = replace(
            entry, args=tuple(server.settings.get("args", ())), cwd=server.settings.get("cwd", "")
        )
        values = values_for(pack, entry, folder_of(found, written, self._places), self._around)
        values |= {param: chosen for (name, param), chosen in self._wishes.params if name == server.name}
        chosen = policy_for(server.name, entry, values)
        if self._files.is_named_as_another(chosen.text):
            return False
        if refusal := refusal_of(chosen.text, chosen.params):
            raise NotMoved(f"would need a policy that cannot be loaded: {refusal}")
        server.policy, server.params, server.unset = chosen.said, chosen.params, chosen.unset
        expect_params(server.name, self._wishes.params, {*chosen.params, *chosen.unset})
        self._params[self._files.add(server.name, lambda _: chosen.text)] = chosen.params
        return True

    def write(self, others: Iterable[ClientFile]) -> None:
        """The texts of the configuration and of the clients' files. `others` are all files of clients."""
        plan = self._plan
        fresh = {one.name: one.settings for one in plan.servers if one.fresh}
        plan.config_after = plan.config_before
        for server in plan.servers:
            if server.hidden:
                make = partial(hidden_policy, server.name, server.hidden)
                self._params[self._files.add(f"{server.name}-switched-off", make)] = {}
        plan.set = {
            key: values
            for key, values in self._wishes.params
            if not any(one.fresh and one.name == key[0] for one in plan.servers)
        }
        if plan.servers or plan.set:
            policies = {f"policies/{path.name}": self._params[path] for path in self._files.texts}
            known = () if configuration.has_clients(plan.config_before) else self._known
            clients = configuration.views_of(plan.config, known, self._moving_entries(), others)
            params = present_params(plan.config, plan.set)
            more = configuration.ConfigAddition(
                servers=fresh, policies=policies, params=params, clients=clients
            )
            more.observe = self._observed(fresh)
            plan.config_after = configuration.extended(plan.config_before, str(plan.config), more)
        plan.policies = {path: text for path, text in self._files.texts.items() if not path.exists()}
        files: dict[Path, tuple[ClientFile, list[Entry]]] = {}
        for server in plan.servers:
            for found, entry in server.origins:
                files.setdefault(found.path, (found, []))[1].append(entry)
        for found, entries in files.values():
            plan.clients.append(self._edited(found, [one.where for one in entries], plan.servers))
        plan.clients, plan.lost = self._lists.name(list(self._moved()), plan.clients)
        plan.lost += configuration.outside_arguments(self._known, plan.set)
        own = plan.config.with_name(OWN_POLICY)
        if plan.servers and not plan.config_before.strip() and own.exists():
            plan.lost = [*plan.lost, f"{own} is from before, and what it allows for good is allowed again"]

    def _moved(self) -> Iterator[MovedServer]:
        """What moves and is enabled, with what the entry of mcpguard is called that stands in its place."""
        now = {one.found.path: parsed(one.found, encoded(one.found, one.text)) for one in self._plan.clients}
        for server in self._plan.servers:
            for found, entry in server.origins:
                table, ours = entry.where[:-1], self._ours(now[found.path], entry)
                stood = [one.name for one in found.entries if one.where[:-1] == table and one.guarded]
                folder = folder_of(found, table, self._places)
                if not entry.disabled:
                    yield MovedServer(found, entry.name, folder, ours, ours not in stood, server.name)

    def _moving_entries(self) -> Iterator[tuple[ClientFile, str, str]]:
        """(file, project, server) for each entry that moves in."""
        for server in self._plan.servers:
            for found, entry in server.origins:
                project = view_of(found, entry.where[:-1], self._places)
                view = (found.client.name, found.client.title, project)
                if view not in self._plan.views:
                    self._plan.views.append(view)
                self._plan.off[found.client.name, project, server.name] = _hidden(found, entry)
                yield found, project, server.name

    def _observed(self, fresh: Iterable[str]) -> dict[str, Any]:
        """`observe` of the configuration to be. Raises MoveError where there is one that is over."""
        plan, names = self._plan, list(fresh)
        if not (self._wishes.observe and names):
            return {}
        there = configuration.observation(plan.config_before)
        if there is not None and there.at(datetime.now(UTC)) != "on":
            raise disk.MoveError(
                f"`observe` in {plan.config} is of {there.until} and has no effect: remove it there, and "
                "import again; nothing was done"
            )
        plan.observed, plan.until = names, self._wishes.observe if there is None else there.until
        return {"until": plan.until, "servers": names}


def _hidden(found: ClientFile, entry: Entry) -> HiddenTools:
    return HiddenTools(found.client.name, entry.hidden, entry.only)
