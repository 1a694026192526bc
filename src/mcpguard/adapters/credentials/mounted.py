"""`${file:/run/secrets/token}`: a file that an operator put there; its path may have spaces in it."""

import os
import stat
from shlex import quote

from mcpguard.adapters.system.files import without_waiting
from mcpguard.core.errors import CredentialError, MissingError
from mcpguard.core.secret import CredentialRef, Secret

_MAX_SIZE = 64 * 1024


class MountedFile:
    """Implements `ports.CredentialSource`: the whole text of a file (UTF-8) less one newline at its end.

    The path is absolute or begins with `~`. Links are followed, since Kubernetes mounts secrets as links.
    The file is regular, has 1 to 65,536 bytes and is closed to "others": a credential that every local
    account can read is not one.
    """

    def get(self, ref: CredentialRef) -> Secret:
        path = os.path.expanduser(ref.name)
        if not os.path.isabs(path):
            raise CredentialError(f"{ref} must be an absolute path or begin with ~/")
        try:
            with open(path, "rb", opener=without_waiting) as file:
                _refuse_unsafe(ref, path, os.fstat(file.fileno()))
                data = file.read(_MAX_SIZE + 1)
        except FileNotFoundError:
            said = f"{ref} does not exist"
            raise MissingError(said, f"`mcpguard secret set {quote(str(ref))}` writes it") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a valid path"
            raise CredentialError(f"{ref} cannot be read: {reason}") from None
        return Secret(_text(ref, data))

    def has(self, ref: CredentialRef) -> bool:
        try:
            self.get(ref)
        except CredentialError:
            return False
        return True


def _refuse_unsafe(ref: CredentialRef, path: str, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise CredentialError(f"{ref} is not a regular file")
    if facts.st_mode & stat.S_IRWXO:
        raise CredentialError(
            f"{ref} is open to every account on this machine: `chmod o= {quote(path)}` "
            "(Docker: `mode: 0400` of the secret; Kubernetes: `defaultMode: 0400` of the volume)"
        )


def _text(ref: CredentialRef, data: bytes) -> str:
    if len(data) > _MAX_SIZE:
        raise CredentialError(f"{ref} is larger than 64 KiB: it is not a credential")
    try:
        value = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise CredentialError(f"{ref} is not UTF-8 text") from None
    if not value:
        raise CredentialError(f"{ref} is empty: write the credential into it")
    return value
