"""What comes with mcpguard besides its code: the packs of policies and the pages of the documentation.

Law of this file: a checkout shows its own files, and an installation those that were installed with it.
"""

import re
import sys
import sysconfig
from collections.abc import Iterator
from hashlib import sha256
from importlib import resources
from pathlib import Path
from shlex import quote

from msgspec import Struct

from mcpguard.core.tables import read_table

_SHARE = "share/mcpguard"
_SERVER = re.compile(r"(?m)^    server: ([a-z0-9_-]+)$")
_NAMES = re.compile(r"(?m)\A# For `[^`]+`(?=, until)|^policy: \S+$")
_PACKAGE = Path(__file__).parents[2]


SECRET_COLUMN = re.compile(
    r"(?i)pass(w|c|key|phrase)|pwd|secret|credential|token|jwt|cvv|cvc"
    r"|(api|access|auth|private|signing|encryption|master|recovery)_?key"
    r"|(recovery|backup|security|verification|auth|login|reset)_?codes?$|security_?answer|social_?security|ssn"
    r"|(^|_)salt$|(^|_)[th]?otp(_|$)|(^|_)pin(_hash)?$|(?-i:Otp|Pin$|Salt$)"
)
"""The name of a column that the packs for databases refuse, as their rules `secret-columns` have it."""


def shipped(name: str) -> Path | None:
    """The file or folder `name`, such as `policies/git.yaml` or `docs`; None where it was not installed."""
    return next((root / name for root in _roots() if (root / name).exists()), None)


def command_for_extra(extra: str) -> str:
    """What installs the libraries of an extra, such as "console", for this mcpguard and no other."""
    return f"{quote(sys.executable)} -m pip install 'mcpguard-gateway[{extra}]'"


def _roots() -> Iterator[Path]:
    checkout = _PACKAGE.parents[1]
    if _PACKAGE.parent.name == "src" and (checkout / "pyproject.toml").is_file():
        yield checkout
    yield Path(sysconfig.get_path("data")) / _SHARE
    yield Path(sysconfig.get_path("data", sysconfig.get_preferred_scheme("user"))) / _SHARE
    yield _PACKAGE.parent / _SHARE  # `pip install --target`


def pack_for(policy: str, server: str) -> str | None:
    """The text of the policy `policy`, such as `git/careful.yaml`, for the server `server`; None where it was
    not installed."""
    path = shipped(f"policies/{policy}")
    if path is None:
        return None
    pack = policy.partition("/")[0].removesuffix(".yaml")
    text = path.read_text("utf-8").replace(f"server: {pack}\n", f"server: {server}\n")
    return text.replace(f"\npolicy: {pack}", f"\npolicy: {server}", 1)


_DECLARED = "Tools that declare themselves read-only may be called, and all others need approval."
_ASKING = """
  # Other tools were usable before mcpguard, so they are not refused: a person decides.
  - id: may-change
    effect: ask
    when: >-
      !(has(tool.annotations.readOnlyHint) && tool.annotations.readOnlyHint == true
      && has(tool.firstAnnotations.readOnlyHint) && tool.firstAnnotations.readOnlyHint == true)
    message: This tool does not declare itself read-only, so a person has to approve the call.
"""


def declared_for(server: str) -> str:
    """The text of a policy for the server `server` that goes by what its tools declare: the built-in one, and
    a person is asked about what that one refuses."""
    text = resources.files("mcpguard.config").joinpath("read_only.yaml").read_text("utf-8")
    rules = text[text.index("version:") :].replace("policy: read-only", f"policy: {server}-declared")
    rules = re.sub(r"description: >-\n(  .*\n)+", f"description: {_DECLARED}\n", rules) + _ASKING
    for effect in ("allow", "ask", "deny"):
        rules = rules.replace(f"    effect: {effect}\n", f"    effect: {effect}\n    server: {server}\n")
    return (
        f"# For `{server}`, until you write a policy for it. A tool declares that it only reads: a\n"
        f"# claim of the server, not a proof.\n{rules}"
    )


class ShippedVersion(Struct, frozen=True):
    """A policy that came with some version of mcpguard: its name, such as `git/careful.yaml`, and what this
    version has under that name, for the same server."""

    name: str
    newest: str
    is_newest: bool


def version_of(text: str) -> ShippedVersion | None:
    """None for a policy that was never shipped, apart from the names of its server and of itself: what is to
    be said of others is for those who make them, and not for whoever uses them."""
    server, digest = _SERVER.search(text), pack_digest(text)
    name = next((one for one, digests in shipped_digests().items() if digest in digests), None)
    if server is None or name is None:
        return None
    newest = declared_for(server[1]) if name == DECLARED else pack_for(name, server[1])
    return None if newest is None else ShippedVersion(name, newest, pack_digest(newest) == digest)


DECLARED = "declared"
"""The name of the policy that goes by what tools declare."""


def pack_digest(text: str) -> str:
    """The same for every server that a pack is for: 16 hex digits of SHA-256."""
    server = _SERVER.search(text)
    if server is not None:
        text = text.replace(f"server: {server[1]}\n", "server:\n")
    return sha256(_NAMES.sub("", text).encode()).hexdigest()[:16]


def shipped_digests() -> dict[str, list[str]]:
    """Name -> digests of its versions, that of this one among them."""
    lines = read_table(__package__, "packs.txt").splitlines()
    return {name: digests for name, *digests in map(str.split, lines)}
