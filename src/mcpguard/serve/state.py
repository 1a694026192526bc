"""Where the state of sessions is, by what a configuration says."""

from collections.abc import Callable

from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.store.state import SharedState
from mcpguard.config.loading import Config
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.ports import Clock


def state_of(
    config: Config,
    clock: Clock,
    value: Callable[[CredentialRef], Secret],
    to_loop: Callable[[Callable[[], object]], object] = lambda call: call(),
    *,
    updates: bool = False,
) -> SharedState:
    """The store of `config`, not open yet. `value` gives what a reference stands for, `to_loop` is as
    `PostgresStore` takes it, and `updates` as `SqliteStore` does."""
    state = config.session_postgres
    if state is None:
        folder, synced = config.session_folder or default_folder(), config.audit.durability != "flush"
        return SqliteStore(folder, config.session_idle_seconds, clock, synced=synced, updates=updates)
    # Imported where it is needed: most processes are the only ones, or on one machine.
    from mcpguard.adapters.store.postgres import PostgresStore

    return PostgresStore(lambda: value(state), config.session_idle_seconds, clock, to_loop)
