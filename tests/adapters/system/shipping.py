"""What comes with mcpguard, as a later version would bring it."""

from pathlib import Path

import pytest

from mcpguard.adapters.system import shipped as shipping


def ship(patch: pytest.MonkeyPatch, folder: Path, name: str, more: str = "# A hole is closed.\n") -> None:
    """Let `folder` be what is shipped: the policy `name` as it is, after the lines `more`."""
    now = shipping.shipped(f"policies/{name}")
    assert now is not None
    path = folder / "policies" / name
    path.parent.mkdir(parents=True)
    path.write_text(more + now.read_text("utf-8"))
    patch.setattr(shipping, "_roots", lambda: iter([folder]))
