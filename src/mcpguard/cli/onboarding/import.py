"""`mcpguard import`: the servers of your clients move behind mcpguard, their secrets into the keychain."""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from mcpguard.adapters.credentials.keychain import UNENCRYPTED, in_the_open
from mcpguard.adapters.system.terminal import broken, counted, plain, style
from mcpguard.cli.parser import add_client, add_config, confirmed, hidden, number, typed
from mcpguard.config.loading import config_option, find_config
from mcpguard.core.errors import CredentialError, McpGuardError
from mcpguard.core.policy.terms import MOST_DAYS
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.journal import MoveJournal, default_folder
from mcpguard.onboarding.vault import Vault, in_files, tolerant, vault_for

if TYPE_CHECKING:
    from mcpguard.onboarding.discovery.completing import Answer
    from mcpguard.onboarding.discovery.inputs import Input
    from mcpguard.onboarding.discovery.reading import ClientFile
    from mcpguard.onboarding.plan import ImportPlan, ImportWishes, PlannedServer

EXAMPLES = (
    "mcpguard import --dry-run                          (shows what it would do, changes nothing)",
    "mcpguard import",
    "mcpguard import --client cursor --server github --yes",
    "mcpguard import --set github.owners=acme,octocat",
    "mcpguard import --observe=7                        (for a week policies are recorded, not enforced)",
    "mcpguard import --secret github.env.GITHUB_USER --not-secret notes.env.NOTES_KEY",
)

_PLACE = re.compile(r"(.+)\.(?:(env|headers)\.([^.]+)|(args)\.([0-9]+)|(url))")
_PARAM = re.compile(r"([a-z0-9_-]+)\.([A-Za-z_][A-Za-z0-9_]*)=(.+)")
_SHOWN = 8
OBSERVE_DAYS = 14
"""The default of `--observe`."""
_USED = "what is running uses it within seconds; `mcpguard undo` restores the file"
_WEAKER = "every program that runs as you can read them, while a keychain asks first or can be locked"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_client(parser, "--client", "only this client", action="append", default=[])
    parser.add_argument("--server", action="append", default=[], metavar="NAME", help="only this server")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without doing it")
    parser.add_argument("--yes", action="store_true", help="do not ask; leaves the project's files alone")
    parser.add_argument(
        "--project",
        action="store_true",
        help="with `--yes`: also import from the project's files in this folder",
    )
    parser.add_argument(
        "--to",
        choices=("keyring", "file"),
        help="where to store secrets: in the keychain, or in files of mode 0600 next to the configuration, "
        "which is weaker (default: as at the last import, else keyring)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SERVER.PARAM=VALUE",
        help="a value for a server's policy, such as github.owners=acme; separate several with commas. "
        "Also works for a server that is already guarded",
    )
    parser.add_argument(
        "--no-start",
        action="store_true",
        help="do not start the servers afterwards to check that each client still has its tools",
    )
    _add_observe(parser)
    _add_secrets(parser)
    parser.add_argument(
        "--policies", action="store_true", help="only bring unchanged copies of packs up to date"
    )
    add_config(parser)


def _add_observe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--observe",
        nargs="?",
        type=number(1, MOST_DAYS),
        const=OBSERVE_DAYS,
        metavar="DAYS",
        help=f"for this many days (default: {OBSERVE_DAYS}, at most {MOST_DAYS}), only record what the "
        "policies of the imported servers would refuse, and let it through",
    )


def _add_secrets(parser: argparse.ArgumentParser) -> None:
    for option, what in (("--secret", "is a secret"), ("--not-secret", "is not a secret")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="SERVER.env.NAME",
            help=f"this value {what} (also SERVER.headers.NAME, SERVER.args.0, SERVER.url)",
        )


def _say(text: str) -> None:
    print(broken(text))


def execute(args: argparse.Namespace) -> int:
    """0 where all that was asked for is guarded now, 1 where a server stays as it is or the look at what
    clients see failed, 130 where Ctrl-C ended that look, 2 where nothing was done since nobody agreed, or
    where a dry run finds that nothing could be done. Raises McpGuardError where a step cannot be taken; then
    all is as it was."""
    from mcpguard.onboarding import disk
    from mcpguard.onboarding.moves import recover

    journal = MoveJournal(default_folder())
    if args.policies:
        from mcpguard.cli.onboarding.newer import renew

        return renew(args, journal.lock)
    if args.dry_run:
        return _import(args, journal)
    with disk.locked(journal.lock):
        for said in recover(journal):
            print(f"note: {said}")
        return _import(args, journal)


def _import(args: argparse.Namespace, journal: MoveJournal) -> int:
    from mcpguard.onboarding.masking import shown
    from mcpguard.onboarding.moves import carry_out, writings

    config = find_config(args.config, os.environ).absolute()
    vault = vault_for(args.to or journal.last_vault, config)
    plan, founds = _planned(args, config, vault)
    if lines := shown(plan, founds):
        print("\n".join(map(plain, lines.split("\n"))))
    else:
        _say(_nothing(plan, founds))
    _tell(plan, vault)
    code = 1 if plan.left or plan.broken else 0
    if plan.changes and args.dry_run and not _tell_dry(plan, vault):
        return 2
    if not plan.changes or args.dry_run:
        return code
    if not (args.yes or (sys.stdin.isatty() and confirmed("proceed? [y/N] "))):
        print("nothing was done" if sys.stdin.isatty() else "nothing was done: confirm with --yes")
        return 2
    carry_out(journal, vault, plan.secrets, writings(plan))
    if plan.clients:
        code = code if args.no_start else max(code, _looked(plan, journal, vault))
    _after(plan, vault)
    return code


def _looked(plan: ImportPlan, journal: MoveJournal, vault: Vault) -> int:
    """0 where what clients see now was said; the exit code where it could not be, once the import is done."""
    try:
        _look(plan, journal, vault)
    except (KeyboardInterrupt, McpGuardError) as stopped:
        said = "the import is done; only this check of the servers was interrupted"
        by_person = isinstance(stopped, KeyboardInterrupt)
        _say(f"{style('stopped', 'yellow')}  {said}{'' if by_person else plain(f': {stopped}')}")
        return 130 if by_person else 1
    return 0


def _nothing(plan: ImportPlan, founds: list[ClientFile]) -> str:
    if plan.broken or any(found.entries for found in founds):
        return "there is nothing to import"
    return (
        "there is nothing to import: no client has a server in its settings; `mcpguard help start` shows "
        "how to begin without one"
    )


def _planned(args: argparse.Namespace, config: Path, vault: Vault) -> tuple[ImportPlan, list[ClientFile]]:
    """The plan, and the files that it is about."""
    from mcpguard.onboarding.discovery.reading import existing, here
    from mcpguard.onboarding.installing import launcher
    from mcpguard.onboarding.plan import make_plan

    places = here(os.environ, Path.cwd())
    every = list(existing(places))
    _refuse_unknown(args, every, config)
    founds = [one for one in every if not args.client or one.client.name in args.client]
    unasked = args.yes or not (args.dry_run or sys.stdin.isatty())
    if unasked and not args.project:
        founds = _of_the_user(founds)
    wishes = _wishes(args, launcher(config))
    stored = tolerant(vault.get) if args.dry_run else vault.get
    if not args.dry_run and any(not entry.guarded for found in founds for entry in found.entries):
        try:
            vault.ready()
        except CredentialError as error:
            raise CredentialError(f"{error}{in_files(vault, 'import')}. Nothing was changed") from None

    def planned(wishes: ImportWishes) -> ImportPlan:
        return make_plan(founds, wishes, places, config, os.environ, stored, vault.reference, every)

    asking = sys.stdin.isatty() and not (args.yes or args.dry_run)
    if asking:
        wishes = structs.replace(wishes, answer=_inputs())
    plan = planned(wishes)
    if asking and (answers := _asked(plan)):
        plan = planned(structs.replace(wishes, params=(*wishes.params, *answers)))
    return plan, founds


def _refuse_unknown(args: argparse.Namespace, every: list[ClientFile], config: Path) -> None:
    """Raises MoveError for a server that neither a client nor the configuration has, and for a value that no
    entry of its server has."""
    from mcpguard.onboarding import configuration

    have = {entry.name for found in every for entry in found.entries if not entry.guarded}
    known = have | set(configuration.entries(configuration.read(config)))
    for name in (*args.server, *(_place(one)[0] for one in (*args.secret, *args.not_secret))):
        if name not in known:
            those = f"they have {', '.join(sorted(have))}" if have else "no server is left to import"
            raise MoveError(plain(f"no client has a server named {name}: {those}. Nothing was changed"))
    for name, place in map(_place, (*args.secret, *args.not_secret)):
        entries = (one for found in every for one in found.entries if one.name == name and not one.guarded)
        values = {at: None for entry in entries for at, text in entry.texts.items() if text}
        if values and place not in values:
            those = ", ".join(".".join(map(str, at)) for at in values)
            said = f"{name} has no {'.'.join(map(str, place))}; it has {those}. Nothing was changed"
            raise MoveError(plain(said))


def _of_the_user(founds: list[ClientFile]) -> list[ClientFile]:
    """Without the files of the project: others write them, and their servers would run as this user."""
    for found in founds:
        if found.file.scope == "project" and any(not one.guarded for one in found.entries):
            _say(
                f"note: {plain(str(found.path))} belongs to the project and is left alone: review it, "
                "then add --project"
            )
    return [found for found in founds if found.file.scope == "user"]


def _tell_dry(plan: ImportPlan, vault: Vault) -> bool:
    """What is left to say where nothing is done: whether it could be, which it returns, and how."""
    from mcpguard.cli.onboarding.first_look import unset_params

    try:
        if plan.clients:
            vault.ready()
    except CredentialError as error:
        _say(f"{style('to do', 'yellow')}    {plain(str(error))}{in_files(vault, 'import')}")
        _say("nothing was changed; fix this first, then run `mcpguard import` again")
        return False
    for said in unset_params(plan):
        _say(f"{style('to do', 'yellow')}    {plain(said)}")
    print("nothing was changed: the same command without `--dry-run` makes these changes")
    return True


def _wishes(args: argparse.Namespace, launcher: dict[str, Any]) -> ImportWishes:
    from mcpguard.onboarding.plan import ImportWishes

    return ImportWishes(
        launcher=launcher,
        servers=frozenset(args.server),
        secret=tuple(map(_place, args.secret)),
        plain=tuple(map(_place, args.not_secret)),
        params=tuple(map(_param, args.set)),
        observe="" if args.observe is None else f"{datetime.now(UTC) + timedelta(args.observe):%Y-%m-%d}",
    )


def _param(text: str) -> tuple[tuple[str, str], list[str]]:
    found = _PARAM.fullmatch(text)
    values = [one.strip() for one in found[3].split(",") if one.strip()] if found else []
    if not found or not values:
        raise MoveError("write a value as SERVER.PARAM=VALUE, such as github.owners=acme,octocat")
    return (found[1], found[2]), values


def _place(text: str) -> tuple[str, tuple[str | int, ...]]:
    found = _PLACE.fullmatch(text)
    if not found:
        raise MoveError("name the value: SERVER.env.NAME, SERVER.headers.NAME, SERVER.args.0 or SERVER.url")
    if found[4]:
        return found[1], ("args", int(found[5]))
    return found[1], ("url",) if found[6] else (found[2], found[3])


def _tell(plan: ImportPlan, vault: Vault) -> None:
    _tell_servers(plan)
    _tell_files(plan)
    if plan.secrets:
        where = "the keychain" if vault.kind == "keyring" else "files that only you can read"
        count, names = counted(len(plan.secrets), "secret goes", "secrets go"), ", ".join(plan.secrets)
        _say(f"{count} to {where}: {plain(names)}")
        if vault.kind == "file":
            _say(f"note: files are weaker than a keychain: {_WEAKER}")
        elif kind := in_the_open():
            _say(f"note: {UNENCRYPTED.format(kind)}")


def _tell_servers(plan: ImportPlan) -> None:
    for server, names in _alike(plan):
        policy = f": {server.policy}" if server.policy else ": is already in the configuration"
        _say(f"{style('guarded', 'green')}  {plain(', '.join(names))}{policy}")
        for name, values in server.set_params():
            _say(f"  {plain(name)}: {plain(_short(values))}")
        for note in server.notes:
            _say(f"  note: {plain(note)}")
    if plan.observed:
        _say(f"{style('observed', 'yellow')} {_observed(plan)}")
    for said in (*plan.split, *plan.lost):
        _say(f"note: {plain(said)}")
    for said in _left(plan):
        _say(f"{style('stays', 'yellow')}    {said}")
    for (name, param), values in plan.set.items():
        _say(f"set      {plain(name)}.{plain(param)}: {', '.join(map(plain, values))}")


def _alike(plan: ImportPlan) -> list[tuple[PlannedServer, list[str]]]:
    """The servers of the plan; those of which the same is said are one, with the names of all of them."""
    alike: dict[str, tuple[PlannedServer, list[str]]] = {}
    for server in plan.servers:
        own = server.name if server.notes or any(server.params.values()) else ""
        alike.setdefault(f"{own}\0{server.policy}", (server, []))[1].append(server.name)
    return list(alike.values())


def _observed(plan: ImportPlan) -> str:
    names, day = plain(", ".join(plan.observed)), plan.until
    return f"{names}: policies are recorded and not enforced until the end of {day} (UTC)"


def _left(plan: ImportPlan) -> list[str]:
    """A sentence for each reason for which servers stay with their clients."""
    reasons: dict[str, dict[str, None]] = {}
    for found, entry, why in plan.left:
        reasons.setdefault(why, {})[f"{entry.name} ({found.client.title})"] = None
    return [plain(f"{', '.join(names)}{':' * (len(names) > 1)} {why}") for why, names in reasons.items()]


def _short(values: list[str]) -> str:
    more = len(values) - _SHOWN
    return ", ".join(values[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _tell_files(plan: ImportPlan) -> None:
    from mcpguard.onboarding.masking import remains

    for said in plan.broken:
        _say(f"{style('left out', 'yellow')} {plain(said)}")
    for one in plan.clients:
        found, path = one.found, plain(str(one.found.path))
        for line in remains(one.text, plan.secrets.values()):
            _say(f"note: {path} line {line} still contains a secret that was moved: remove it")
        if found.file.scope == "project":
            _say(f"note: {path} may be shared with others, whose mcpguard is installed elsewhere")


def _inputs() -> Answer:
    """Asks the person for what a client would ask for, each input of a file once."""
    known: dict[tuple[Path, str], str] = {}

    def answer(found: ClientFile, asked: Input) -> str | None:
        key = (found.path, asked.name)
        question = plain(f"{found.client.title} would ask for: {asked.question}")
        while key not in known:
            if (value := asked.meant((hidden if asked.password else typed)(question))) is not None:
                known[key] = value
        return known[key]

    return answer


def _asked(plan: ImportPlan) -> list[tuple[tuple[str, str], list[str]]]:
    """What the person answers for params for which this machine says nothing."""
    answers = []
    for server in plan.servers:
        for name, about in server.unset.items():
            _say(f"{plain(server.name)} needs `{plain(name)}` for its policy: {plain(about)}")
            said = typed(f"{plain(name)}, separated by commas (empty for none): ")
            values = [one.strip() for one in said.split(",") if one.strip()]
            if values:
                answers.append(((server.name, name), values))
    return answers


def _after(plan: ImportPlan, vault: Vault) -> None:
    """The last lines: what is to do, what is guarded, what stays, and how to go back."""
    from mcpguard.cli.onboarding.first_look import refused_by_system, unset_params
    from mcpguard.onboarding.installing import alias

    if not plan.clients:
        return _say(f"{style('done', 'green')}     {plain(str(plan.config))} is written: {_USED}")
    if line := alias():
        _say(f"note: `mcpguard` is not in your PATH; for this shell: `{plain(line)}`")
    beside = plain(str(plan.config.parent))
    if vault.kind == "file" and plan.secrets and vault.folder.parent != plan.config.parent:
        _say(f"note: the secrets are in {plain(str(vault.folder))}, since {beside} is in a repository")
    for said in (*unset_params(plan), *refused_by_system(plan)):
        _say(f"{style('to do', 'yellow')}    {plain(said)}")
    titles = sorted({one.found.client.title for one in plan.clients})
    guarded, names = counted(len(plan.servers), "server"), ", ".join(one.name for one in plan.servers)
    _say(f"{style('guarded', 'green')}  {guarded}: {plain(names)}; restart {', '.join(titles)}")
    if plan.observed:
        shows = f"`mcpguard audit show --observed{config_option(plan.config, os.environ)}`"
        _say(f"{style('observed', 'yellow')} {_observed(plan)}; {shows} prints what would be refused")
    stays = _left(plan)
    for said in stays or ["nothing"]:
        _say(f"{style('stays', 'yellow' if stays else 'green')}    {said}")
    rotate = "; replace the secrets that others may have seen" if plan.secrets else ""
    _say(f"{style('undo', 'bold')}     `mcpguard undo` restores every file{rotate}")


def _look(plan: ImportPlan, journal: MoveJournal, vault: Vault) -> None:
    """Say what clients see now, allow the tables that a server of a database lists, with their columns,
    and see to it that instructions of servers reach clients."""
    from mcpguard.cli.onboarding import first_look
    from mcpguard.onboarding import configuration
    from mcpguard.onboarding.moves import carry_out, config_writing
    from mcpguard.onboarding.policies import present_params

    _say(f"starting the servers once, for up to {first_look.SECONDS:g} seconds, to see what clients see …")
    sys.stdout.flush()
    seen = first_look.first_look(plan)
    for line in seen.lines:
        _say(plain(line))
    before = configuration.read(plan.config)
    written = configuration.entries(before)
    eager = tuple(name for name in seen.instructed if "eager" not in written[name])
    if not (seen.found or eager):
        return
    more = configuration.ConfigAddition(params=present_params(plan.config, seen.found), eager=eager)
    after = configuration.extended(before, str(plan.config), more)
    carry_out(journal, vault, {}, [config_writing(plan.config, before, after)])
    if eager:
        has, starts = ("has", "it starts") if len(eager) == 1 else ("have", "they start")
        said = f"instructions for the model, so {starts} when a client connects (`eager`)"
        _say(f"{plain(', '.join(eager))} {has} {said}")
    for server in plan.servers:
        if tables := seen.found.get((server.name, "tables")):
            del server.unset["tables"]
            columns = seen.found.get((server.name, "columns"), [])
            for said in first_look.of_tables(plan, server.name, tables, columns):
                _say(plain(said))
