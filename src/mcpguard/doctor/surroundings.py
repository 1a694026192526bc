"""Where `mcpguard doctor` looks: whose home, which folder, which system, and mcpguard's configuration there.

Law of this file: a check takes all of it from here, so that it can be shown a made-up machine. Files of
others are not trusted: reading one never waits, follows a loop or takes more than a limit.
"""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from mcpguard.adapters.system.files import read_regular
from mcpguard.authoring.check.relied import installation
from mcpguard.authoring.findings import Unchecked
from mcpguard.config.loading import Config, config_option, evidence_folder, load_config
from mcpguard.config.policies import read_document
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import ConfigError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.onboarding.discovery.reading import SearchPlaces


class MachineSurroundings(Struct, frozen=True):
    """What is looked at. `home` is None where the user has none, `settings` its folder of settings (None
    too). `state` is mcpguard's folder of state, `system` is `/`, or a folder that stands for it (`proc/…`
    below it is read). `programs` are the folders and files that mcpguard is made of."""

    home: Path | None
    settings: Path | None
    project: Path
    environ: Mapping[str, str]
    uid: int
    now: datetime
    platform: str
    state: Path
    system: Path
    programs: tuple[Path, ...]

    @property
    def places(self) -> SearchPlaces | None:
        """Where the clients of this user and this folder have their files; None without a home."""
        if self.home is None:
            return None
        if self.platform == "darwin":
            return SearchPlaces(self.home, self.home / "Library" / "Application Support", self.project)
        return SearchPlaces(self.home, self.settings or self.home / ".config", self.project)


class CheckSubject(Struct, frozen=True):
    """What every check gets: the surroundings, and mcpguard's configuration at `path` as far as it is right.

    `config` and `document` are None where it is missing or wrong; then `problem` says what is wrong, or is
    None. What is found in plain text goes to `redactor`, so that no report can show it.
    """

    at: MachineSurroundings
    redactor: Redactor
    path: Path
    config: Config | None = None
    document: Document | None = None
    problem: ConfigError | None = None

    @property
    def audit(self) -> Path:
        """The folder of evidence."""
        named = self.config.audit.path if self.config else None
        return named or self.at.state / "audit"

    @property
    def sessions(self) -> Path:
        named = self.config.session_folder if self.config else None
        return named or self.at.state / "sessions"

    @property
    def option(self) -> str:
        """` --config FILE` where a command would not find this configuration by itself, else ""."""
        return config_option(self.path, self.at.environ)

    def line(self, *way: str | int) -> int:
        """The line of something in the configuration, from 1; 0 where nobody knows."""
        return self.document.problem(way, "").line if self.document else 0


def here(project: Path) -> MachineSurroundings:
    """This machine and this user."""
    home = _home()
    return MachineSurroundings(
        home=home,
        settings=_settings(home, os.environ),
        project=project,
        environ=os.environ,
        uid=os.geteuid(),
        now=datetime.now(UTC),
        platform=sys.platform,
        state=evidence_folder(None).parent,
        system=Path("/"),
        programs=installation(),
    )


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def _settings(home: Path | None, environ: Mapping[str, str]) -> Path | None:
    if sys.platform != "darwin" and (named := environ.get("XDG_CONFIG_HOME")):
        return Path(named)
    return None if home is None else home / ".config"


def examined(at: MachineSurroundings, path: Path, redactor: Redactor, *, named: bool) -> CheckSubject:
    """The subject for the configuration at `path`. Raises ConfigError where it was `named` and is not
    there."""
    path = path.absolute()
    if not named and not os.path.lexists(path):
        return CheckSubject(at, redactor, path)
    try:
        config = load_config(path)
        document = Document(read_document(path, ConfigError), str(path), ConfigError)
    except ConfigError as error:
        if not os.path.lexists(path):
            raise
        return CheckSubject(at, redactor, path, problem=error)
    return CheckSubject(at, redactor, path, config, document)


SIZE_LIMIT = 1 << 20
"""The largest file that is looked into, in bytes."""


def text_of(path: Path) -> str | Unchecked | None:
    """The text of a regular file, or None.

    Bytes that are not UTF-8 become U+FFFD. A link is followed.
    """
    try:
        data = read_regular(path, SIZE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Unchecked(str(path), error.strerror or "cannot be read")
    if data is None:
        return None
    if len(data) > SIZE_LIMIT:
        return Unchecked(str(path), f"larger than {SIZE_LIMIT} bytes")
    return data.decode("utf-8-sig", "replace")
