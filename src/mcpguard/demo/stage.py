"""What the demo plays on: a folder of its own, with a repository, a configuration and a policy in it.

Law of this file: everything that is made lies in that folder, which goes when the demo ends, however it
ends; the user's git configuration plays no part.
"""

import os
import secrets
import shutil
import signal
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from json import dumps
from pathlib import Path

from msgspec import Struct

_CONFIG = """\
version: 1
agent: demo-client
servers:
  git:
    command: {python}
    args: [-m, mcp_server_git, --repository, {repository}]
    env: {{HOME: {home}, GIT_CONFIG_GLOBAL: /dev/null, GIT_CONFIG_NOSYSTEM: "1"}}
  shop:
    command: {python}
    args: [-m, mcpguard.demo.token_server]
    env:
      SHOP_TOKEN: "${{env:DEMO_TOKEN}}"   # only mcpguard has DEMO_TOKEN; the client never does
      SHOP_TOKEN_SHA256: "{fingerprint}"
policies: [policy.yaml]
limits: {{list_seconds: 60}}
audit: {{path: audit}}
"""

POLICY = """\
version: 1
policy: demo
description: What the agent of the demo may do. What no rule allows is refused.
rules:
  - id: read
    effect: allow
    server: git
    tools: [git_status, git_log, git_show, "git_diff*", git_branch]
  - id: branch
    effect: allow
    server: git
    tools: [git_create_branch]
  - id: branch-names
    effect: deny
    server: git
    tools: [git_create_branch]
    when: '!args.branch_name.startsWith("agent/")'
    message: An agent's branch begins with agent/, such as agent/fix-typo.
  - id: orders
    effect: allow
    server: shop
"""

_SETTINGS = "[notify]\nchannel = orders\napi_key = {key}\n"


class DemoFolder(Struct, frozen=True):
    """The folder and what the demo must be able to look for: both values are random and of this run.

    `token` is what mcpguard injects; `key` is what somebody committed to the repository.
    """

    folder: Path
    token: str
    key: str

    @property
    def repository(self) -> Path:
        """A git repository with the key in one commit."""
        return self.folder / "repository"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def config(self) -> Path:
        """The configuration of `mcpguard run`."""
        return self.folder / "mcpguard.yaml"

    @property
    def audit(self) -> Path:
        return self.folder / "audit"

    @property
    def received(self) -> Path:
        """A copy of every byte that mcpguard sent to the client."""
        return self.folder / "received.jsonl"

    @property
    def log(self) -> Path:
        """What mcpguard and the servers said on standard error."""
        return self.folder / "stderr.log"

    @property
    def fingerprint(self) -> str:
        """By this the shop knows its token."""
        return sha256(self.token.encode()).hexdigest()

    def branches(self) -> list[str]:
        """The branches of the repository, as git itself tells them."""
        return _git(self, "-C", str(self.repository), "branch", "--format=%(refname:short)").split()

    def environment(self) -> dict[str, str]:
        """For git and the servers: a home of their own, nothing of the user's or the machine's own."""
        own = {
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "TZ": "UTC",
        }
        return {"PATH": os.environ.get("PATH", os.defpath), **own}


@contextmanager
def stage(keep: bool = False) -> Iterator[DemoFolder]:
    """A stage that is set. Its folder is removed at the end, or stays if `keep`."""
    # Its name is known before it is made, so that no interrupt can come between making and knowing.
    folder = Path(tempfile.gettempdir()).resolve() / f"mcpguard-demo-{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700)
        made = DemoFolder(folder, "shop-" + secrets.token_urlsafe(24), _made_up_key())
        made.home.mkdir()
        _write_settings(made)
        _commit_the_key(made)
        yield made
    finally:
        if not keep and folder.exists():
            with _uninterrupted():
                shutil.rmtree(folder)


def _made_up_key() -> str:
    letters = string.ascii_letters + string.digits
    return "ghp" + "_" + "".join(secrets.choice(letters) for _ in range(36))


def _write_settings(made: DemoFolder) -> None:
    # A JSON string is a YAML string.
    config = _CONFIG.format(
        python=dumps(sys.executable),
        repository=dumps(str(made.repository)),
        home=dumps(str(made.home)),
        fingerprint=made.fingerprint,
    )
    made.config.write_text(config, "utf-8")
    (made.folder / "policy.yaml").write_text(POLICY, "utf-8")


def _commit_the_key(made: DemoFolder) -> None:
    _git(made, "init", "--quiet", "--initial-branch=main", "--template=", str(made.repository))
    for name, text, message in (
        ("README.md", "# The shop\n", "Begin"),
        ("settings.ini", _SETTINGS.format(key=made.key), "Add the settings of the notifier"),
    ):
        (made.repository / name).write_text(text, "utf-8")
        _git(made, "-C", str(made.repository), "add", name)
        author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        _git(made, "-C", str(made.repository), *author, "commit", "--quiet", "-m", message)


def _git(made: DemoFolder, *words: str) -> str:
    # A commit may start a housekeeper in the background, which would outlive the demo.
    command = ["git", "-c", "maintenance.auto=false", "-c", "gc.auto=0", *words]
    done = finished(command, made.environment())
    done.check_returncode()
    return done.stdout


def finished(
    command: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A short command and what it said. An interrupt waits for its end: nothing runs on unseen."""
    with _uninterrupted():
        return subprocess.run(
            command, env=environment, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
