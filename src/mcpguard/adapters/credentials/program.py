"""`command`: a program that prints a credential, such as those of password managers and clouds.

Law of this file: nothing that the program says is shown or logged, its standard error is thrown away, and
its process group is never alive longer than its timeout or than mcpguard: what left that, as the agent of
gpg does, is left alone. No shell interprets it, and what was printed is in no message.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, json

from mcpguard.adapters.credentials.environ import variable
from mcpguard.adapters.system.files import failure_of
from mcpguard.adapters.system.guarded import end, found, lack_of, start
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Lease, Secret
from mcpguard.gateway.ports import Mint

if TYPE_CHECKING:
    from mcpguard.config.credentials import CommandEntry, JsonEntry

_MOST = 10**15
EPOCH = 1_000_000_000
"""A number above it is a time (seconds since 1970), below it a length of time in seconds."""


def read_output(output: bytes, entry: CommandEntry, now: float) -> Lease:
    """The lease in what was printed at `now` (seconds since 1970). Raises ValueError with the end of a
    sentence whose beginning is the program."""
    try:
        text = output.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("printed something that is not UTF-8 text") from None
    if not text.strip():
        raise ValueError("printed nothing")
    if entry.json_ is None:
        return Lease(Secret(text), entry.ttl_seconds)
    value, seconds = _from_json(output, entry.json_, now)
    return Lease(Secret(value), entry.ttl_seconds if seconds is None else seconds)


def _from_json(output: bytes, wanted: JsonEntry, now: float) -> tuple[str, float | None]:
    try:
        found = json.decode(output)
    except (DecodeError, RecursionError):
        raise ValueError("printed something that is not JSON (`json`)") from None
    value = _at(found, wanted.value)
    if type(value) is not str or not value:
        raise ValueError(f"printed JSON without a string at `{wanted.value}` (`json.value`)")
    if wanted.expires is None:
        return value, None
    seconds = _seconds(_at(found, wanted.expires), now)
    if seconds is None:
        raise ValueError(
            f"printed JSON without a time at `{wanted.expires}` (`json.expires`): expected a number of "
            "seconds, or a string such as 2026-01-31T10:00:00Z, with its zone"
        )
    if seconds <= 0:
        raise ValueError("printed a credential that has already expired")
    return value, seconds


def _at(value: Any, keys: str) -> Any:
    for key in keys.split("."):
        value = value.get(key) if type(value) is dict else None
    return value


def _seconds(value: Any, now: float) -> float | None:
    if type(value) is str:
        try:
            value = float(value) if value.strip().isdecimal() else _moment(value)
        except ValueError:
            return None
    if type(value) not in (int, float) or not -_MOST < value < _MOST:
        return None
    return float(value) - now if value > EPOCH else float(value)


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment.timestamp()


MOST_BYTES = 64 * 1024
"""A program that prints more is killed: that is not a credential."""

_LOOK_MS = 50
"""How often it is looked whether a program has ended whose children keep its output open."""

TOLD = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
        "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "SSH_AUTH_SOCK", "GNUPGHOME", "GPG_TTY",
        "PASSWORD_STORE_DIR", "BITWARDENCLI_APPDATA_DIR", "OP_ACCOUNT", "OP_CONFIG_DIR",
        "VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", "BAO_ADDR", "BAO_NAMESPACE", "BAO_CACERT",
        "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
        "CLOUDSDK_CONFIG", "CLOUDSDK_ACTIVE_CONFIG_NAME", "AZURE_CONFIG_DIR",
        "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
    }
)  # fmt: skip
"""Variables that every such program gets: where things are. What is a credential itself has to be named."""


def command_of(made: CommandEntry | tuple[str, ...]) -> CommandEntry:
    """The long form of what may be written in a short one."""
    from mcpguard.config.credentials import CommandEntry

    return CommandEntry(argv=made) if isinstance(made, tuple) else made


class CommandMint(Mint):
    """Implements `ports.Mint`: each lease runs the program once."""

    def __init__(
        self,
        name: str,
        made: CommandEntry | tuple[str, ...],
        _secret: Callable[[CredentialRef], Secret] | None = None,
    ) -> None:
        self._name = f"credential:{name}"
        self._entry = command_of(made)

    def lease(self) -> Lease:
        entry, environment = self._entry, self._environment()
        path = found(entry.argv[0], environment.get("PATH"))
        if path is None:
            raise self._problem(lack_of(entry.argv[0], environment.get("PATH")))
        output = self._run([path, *entry.argv[1:]], environment)
        try:
            return read_output(output, entry, time.time())
        except ValueError as error:
            raise self._problem(str(error)) from None

    def _environment(self) -> dict[str, str]:
        named = {name: variable(name) for name in (*TOLD, *self._entry.env)}
        return {name: value for name, value in named.items() if value is not None}

    def _run(self, words: list[str], environment: dict[str, str]) -> bytes:
        deadline = time.monotonic() + self._entry.timeout_seconds
        try:
            process = start(words, environment, "mcpguard-credential", subprocess.PIPE)
        except OSError as problem:
            raise self._problem(f"cannot be started: {failure_of(problem)}") from None
        try:
            output = self._output(process, deadline)
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            seconds = self._entry.timeout_seconds
            raise self._problem(f"took longer than {seconds:g} seconds (`timeout_seconds`)") from None
        finally:
            end(process)
        if status:
            raise self._problem(self._failed(status))
        return output

    def _output(self, process: subprocess.Popen[bytes], deadline: float) -> bytes:
        """All that it prints until it ends, whoever else still has its output open."""
        assert process.stdout is not None  # noqa: S101
        fd, output = process.stdout.fileno(), bytearray()
        os.set_blocking(fd, False)
        ready = select.poll()  # Not `select`: a descriptor may be above 1023.
        ready.register(fd, select.POLLIN)
        while True:
            ended, data = process.poll() is not None, _read(fd)
            output += data or b""
            if len(output) > MOST_BYTES:
                raise self._problem(f"printed more than {MOST_BYTES // 1024} KiB: that is not a credential")
            if data == b"" or (ended and data is None):
                return bytes(output)
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired([], 0)
            if data is None:
                ready.poll(_LOOK_MS)

    def _failed(self, status: int) -> str:
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        unset = [name for name in self._entry.env if variable(name) is None]
        hint = f"; not set, and named in `env`: {', '.join(unset)}" if unset else ""
        return (
            f"{ended}: run it yourself to see why (its output is not shown, since it may be a secret){hint}"
        )

    def _problem(self, said: str) -> CredentialError:
        return CredentialError(f"{self._name} is unavailable: '{self._entry.argv[0]}' {said}")


def _read(fd: int) -> bytes | None:
    """What is there, b"" at the end, None for nothing yet."""
    try:
        return os.read(fd, MOST_BYTES)
    except BlockingIOError:
        return None
