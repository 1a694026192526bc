"""What comes with mcpguard besides its code: the packs of policies and the pages of the documentation.

Law of this file: a checkout shows its own files, and an installation those that were installed with it.
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

_SHARE = "share/mcpguard"
_PACKAGE = Path(__file__).parents[2]


def shipped(name: str) -> Path | None:
    """The file or folder `name`, such as `policies/git.yaml` or `docs`; None where it was not installed."""
    return next((root / name for root in _roots() if (root / name).exists()), None)


def _roots() -> Iterator[Path]:
    checkout = _PACKAGE.parents[1]
    if _PACKAGE.parent.name == "src" and (checkout / "pyproject.toml").is_file():
        yield checkout
    yield Path(sysconfig.get_path("data")) / _SHARE
    yield Path(sysconfig.get_path("data", sysconfig.get_preferred_scheme("user"))) / _SHARE
    yield _PACKAGE.parent / _SHARE  # `pip install --target`
