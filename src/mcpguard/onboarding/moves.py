"""A plan carried out, and taken back.

Law of this file: whatever ends it, at whatever step, nothing is lost: what is known of a move is on disk
before it is done, and where each file stands is seen from what it is, not from what was planned.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from mcpguard.config.terms import OWN_POLICY
from mcpguard.core.errors import McpGuardError
from mcpguard.core.secret import Unprinted
from mcpguard.onboarding import disk
from mcpguard.onboarding.changed import encoded, is_another, uses_us, without_us
from mcpguard.onboarding.discovery.clients import words_of
from mcpguard.onboarding.discovery.reading import BOM, ClientFile
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.formats import Unreadable
from mcpguard.onboarding.journal import AddedNames, Edit, ImportMove, MoveJournal, Role, Step, mark, new_key
from mcpguard.onboarding.plan import ImportPlan
from mcpguard.onboarding.vault import Vault, vault_of


class PendingWrite(Unprinted, frozen=True):
    """A step and the bytes that its file is to have."""

    step: Step
    data: bytes


def writings(plan: ImportPlan) -> list[PendingWrite]:
    """Every file that `plan` changes, in order: policies, the configuration, then clients. Raises MoveError
    where a file is not what the plan saw."""
    found = [writing("policy", path, text.encode(), None) for path, text in plan.policies.items()]
    if plan.config_after != plan.config_before:
        found.append(config_writing(plan.config, plan.config_before, plan.config_after))
    found += [client_writing(one.found, one.text, one.edits, one.added) for one in plan.clients]
    return found


def config_writing(config: Path, was: str, text: str) -> PendingWrite:
    """`text` for the configuration, which was read as `was`. Raises MoveError where it is not that now."""
    path = config.resolve()
    before = path.read_bytes() if path.exists() else None
    if (before or b"").decode("utf-8-sig", "replace") != was:
        raise MoveError(
            f"{path} was changed by another program in the meantime: nothing was written; try again"
        )
    mark = BOM.encode() if before and before.startswith(BOM.encode()) else b""
    return writing("config", path, mark + text.encode(), None if before is None else disk.digest_of(before))


def client_writing(
    found: ClientFile, text: str, edits: list[Edit], added: list[AddedNames], *, new: bool = False
) -> PendingWrite:
    """`text` for a client's file, in which `edits` are made and names `added`; `new`: it is not there."""
    one = writing("client", found.target, encoded(found, text), None if new else found.digest)
    one.step.client, one.step.place = found.client.name, found.file.path
    one.step.edits, one.step.added = edits, added
    return one


def writing(role: Role, path: Path, data: bytes, before: str | None) -> PendingWrite:
    """`data` for the file at `path`, which has the digest `before` now (None: it is not there)."""
    after = disk.digest_of(data)
    return PendingWrite(Step(role=role, path=str(path), before=before, after=after), data)


def needs_vault(todo: list[PendingWrite]) -> bool:
    """Whether what a file was is to be encrypted, so that the vault must keep the key."""
    return any(one.step.before is not None for one in todo)


def carry_out(
    journal: MoveJournal, vault: Vault, secrets: dict[str, str], todo: list[PendingWrite]
) -> ImportMove:
    """Store `secrets` in `vault`, then write `todo`. The lock is held.

    Raises McpGuardError where a step cannot be taken; it says whether all that was done has been taken back.
    """
    for one in todo:
        disk.refuse_irreplaceable(Path(one.step.path))
    name = journal.next_name()
    for number, one in enumerate(todo):
        one.step.sealed = "" if one.step.before is None else f"{number}.sealed"
    key, random = new_key(), token_hex(4)  # A keychain may serve more than one state folder.
    move = ImportMove(
        name=name,
        vault=vault.kind,
        vault_folder=str(vault.folder),
        key=f"mcpguard-import/{name}-{random}" if secrets or needs_vault(todo) else "",
        secrets=list(secrets),
        steps=[one.step for one in todo],
        marks={one: mark(key, value) for one, value in secrets.items()},
    )
    begun = False
    try:
        journal.keep(move)
        begun = True
        _steps(journal, move, vault, key, secrets, todo)
    except KeyboardInterrupt:
        take_back(journal, move)
        raise
    except McpGuardError as error:
        said = _taken_back(journal, move) if begun else "nothing was changed"
        raise MoveError(f"{error}; {said}") from None
    return move


def _taken_back(journal: MoveJournal, move: ImportMove) -> str:
    """Takes `move` back, and says whether that worked."""
    try:
        refused = take_back(journal, move).refused
    except McpGuardError as error:
        refused = [str(error)]
    if refused:
        return f"not everything could be reverted ({refused[0]}): run `mcpguard undo`"
    return "all changes were reverted"


def _steps(
    journal: MoveJournal,
    move: ImportMove,
    vault: Vault,
    key: str,
    secrets: dict[str, str],
    todo: list[PendingWrite],
) -> None:
    if move.key:
        vault.put(move.key, key)
    for one in todo:
        if one.step.sealed:
            data = Path(one.step.path).read_bytes()
            if disk.digest_of(data) != one.step.before:
                raise MoveError(f"{one.step.path} was changed by another program in the meantime: try again")
            journal.seal(move, one.step, data, key)
    for name, value in secrets.items():
        if vault.get(name) not in (None, value):
            raise MoveError(f"the secret {name} was stored by another program in the meantime: try again")
        vault.put(name, value)
    for one in todo:
        path = Path(one.step.path)
        disk.make_folder(path.parent)
        disk.write(path, one.data, expected=one.step.before)
    move.state = "done"
    journal.keep(move)


class UndoOutcome(Struct):
    """The outcome of taking a move back: `restored` are files that are as they were, `entries` changed ones
    in which the entries are, `removed` the policies and secrets that are gone with it, `refused` and `kept`
    sentences on what is not."""

    restored: list[str] = []
    entries: list[str] = []
    removed: list[str] = []
    refused: list[str] = []
    kept: list[str] = []


def take_back(journal: MoveJournal, move: ImportMove, client: str = "", newer: bool = False) -> UndoOutcome:
    """Put back what `move` changed, of `client` only if it is given; `newer`: a later move is still in force.

    In a file that has changed since, the entries take the place of the one of mcpguard, or it stays as it is.
    Raises McpGuardError where the vault or a file is unavailable. Doing it twice does no harm.
    """
    back = UndoOutcome()
    restore_clients(journal, move, back, client)
    restore_rest(journal, move, back, newer)
    return back


def restore_clients(journal: MoveJournal, move: ImportMove, back: UndoOutcome, client: str = "") -> None:
    """The first half of `take_back`: the files of clients."""
    vault = vault_of(move.vault, Path(move.vault_folder))
    for step in reversed(_clients(move)):
        if client in ("", step.client):
            _restore(journal, move, vault, step, back)


def in_use(moves: Iterable[ImportMove]) -> bool:
    """Whether a client's file that one of `moves` changed still starts mcpguard. Raises MoveError."""
    return any(uses_us(step) for move in moves for step in _clients(move))


def stays(move: ImportMove, moves: Iterable[ImportMove]) -> bool:
    """Whether `move` changed no client's file, only the configuration of clients of `moves` that use it."""
    return not _clients(move) and in_use(moves)


def _clients(move: ImportMove) -> list[Step]:
    return [one for one in move.steps if one.role == "client"]


def restore_rest(journal: MoveJournal, move: ImportMove, back: UndoOutcome, newer: bool = False) -> None:
    """The second half of `take_back`: the configuration, policies and secrets, once no client needs them."""
    if in_use([move]):
        return
    vault = vault_of(move.vault, Path(move.vault_folder))
    text = _configuration(journal, move, vault, back)
    policies = reversed([one for one in move.steps if one.role == "policy"])
    used = [Path(step.path) for step in policies if _still_used(step, text, back)]
    for folder in dict.fromkeys(path.parent for path in used):
        names = [path.name for path in used if path.parent == folder]
        back.kept.append(
            f"{folder / names[0]} stays: it is in use"
            if len(names) == 1
            else f"{len(names)} policies in {folder} stay: they are in use"
        )
    if newer:
        return
    others = _other_configurations(journal, move)
    for name in move.secrets:
        if vault.reference(name) in others + text:
            back.kept.append(f"the secret {name} is still used")
        elif is_another(move, vault, name):
            back.kept.append(f"the secret {name} was changed after the import, so it was kept")
        else:
            back.removed += [vault.place(name)] * (vault.get(name) is not None)
            vault.remove(name)
    journal.forget_sealed(move)
    if move.key:
        vault.remove(move.key)
    move.state = "undone"
    journal.keep(move)


def _restore(journal: MoveJournal, move: ImportMove, vault: Vault, step: Step, back: UndoOutcome) -> None:
    path = Path(step.path)
    disk.sweep(path)
    now = disk.digest(path)
    if now == step.before or step.back:
        return
    if now != step.after:
        if move.state == "open" and step.sealed and not journal.has_sealed(move, step):
            step.back = True  # The import ended before it wrote to any client.
        elif now is not None and (step.added or uses_us(step)):
            _put_entries_back(journal, move, vault, step, back)
        else:
            what = "was removed" if now is None else "was changed"
            back.kept.append(f"{path} {what} after the import, so it was left alone")
        return
    if step.before is None:
        disk.remove(path)
    else:
        disk.write(path, journal.unseal(move, step, vault.get(move.key)), expected=step.after)
    back.restored.append(str(path))


def _put_entries_back(
    journal: MoveJournal, move: ImportMove, vault: Vault, step: Step, back: UndoOutcome
) -> None:
    path = Path(step.path)
    data = path.read_bytes()
    try:
        was = journal.unseal(move, step, vault.get(move.key)) if step.sealed else b""
        fresh, lost = without_us(step, was, data)
    except (Unreadable, MoveError) as error:
        why = str(error).removeprefix(f"{path}: ")
        back.refused.append(f"{path} was changed after the import, so it was left alone ({why})")
        return
    if fresh != data:
        disk.write(path, fresh, expected=disk.digest_of(data))
        back.entries.append(str(path))
    back.kept += [f"{path}: {one} is missing, and so are the servers that it contained" for one in lost]
    step.back = True
    journal.keep(move)


def _configuration(journal: MoveJournal, move: ImportMove, vault: Vault, back: UndoOutcome) -> str:
    """Put the configuration back, if nobody has changed it, and give its text as it is then."""
    text = ""
    for step in move.steps:
        if step.role == "config":
            path = Path(step.path)
            disk.sweep(path)
            if disk.digest(path) in (step.before, step.after):
                _restore(journal, move, vault, step, back)
            else:
                back.kept.append(f"{path} stays with the changes that you made to it")
            text = path.read_text("utf-8", "replace") if path.exists() else ""
            if not text and (own := path.with_name(OWN_POLICY)).exists():
                back.kept.append(f"{own} stays: it has the rules for what you allowed for good")
            _tidy(path.parent)
    return text


def _other_configurations(journal: MoveJournal, move: ImportMove) -> str:
    """The texts of the configurations that other moves made or serve: a secret may be used there."""
    texts = []
    for one in journal.moves():
        if one.name != move.name and one.state != "undone":
            words = [words_of(edit.entry) for step in one.steps for edit in step.edits]
            served = [each[each.index("--config") + 1] for each in words]
            written = [step.path for step in one.steps if step.role == "config"]
            paths = {Path(name) for name in (*served, *written)}
            texts += [path.read_text("utf-8", "replace") for path in sorted(paths) if path.is_file()]
    return "\n".join(texts)


def _still_used(step: Step, text: str, back: UndoOutcome) -> bool:
    """Remove a policy, unless a person has changed it or the configuration, `text`, still uses it: whether
    that is so."""
    path = Path(step.path)
    disk.sweep(path)
    now = disk.digest(path)
    if now not in (None, step.after):
        back.kept.append(f"{path} stays: you changed it")
        return False
    if now is not None and f"policies/{path.name}" in text:
        return True
    if now is not None:
        disk.remove(path)
        back.removed.append(str(path))
    _tidy(path.parent)
    _tidy(path.parent.parent)
    return False


def _tidy(folder: Path) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        pass  # Something is in it, or it is gone.


def changed(move: ImportMove, client: str = "") -> list[Step]:
    """The files of `client`, or of all, that somebody has changed after `move`, and that start mcpguard."""
    clients = [one for one in _clients(move) if one.sealed and client in ("", one.client)]
    return [one for one in clients if uses_us(one) and disk.digest(Path(one.path)) != one.after]


def unseal(journal: MoveJournal, move: ImportMove, step: Step) -> bytes:
    """What the file of `step` was before `move`. Raises McpGuardError."""
    vault = vault_of(move.vault, Path(move.vault_folder))
    return journal.unseal(move, step, vault.get(move.key))


def recover(journal: MoveJournal) -> list[str]:
    """Take back what an import that did not finish has done. The lock is held.

    Raises MoveError where that cannot be done, since a file was changed.
    """
    said: list[str] = []
    for move in reversed(journal.moves()):
        if move.state == "open":
            back = take_back(journal, move)
            if back.refused:
                raise MoveError(
                    f"an import did not finish, and {back.refused[0]}: see `mcpguard undo --beside`"
                )
            said.append("an earlier import did not finish: its changes were reverted")
    return said
