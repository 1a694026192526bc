"""What tells the versions of the packs apart, for `mcpguard doctor`."""

from __future__ import annotations

from pathlib import Path

from mcpguard.adapters.system.shipped import DECLARED, declared_for, pack_digest, shipped_digests

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "src" / "mcpguard" / "adapters" / "system" / "packs.txt"
_REMARK = "# Each pack with the digests of its versions. scripts/reference adds to it and removes nothing.\n"


def packs() -> str:
    """The table as it is, with the packs of the working tree."""
    folder = ROOT / "policies"
    texts = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.yaml")}
    now = {name: text for name, text in texts.items() if not name.endswith("_test.yaml")}
    known = {name: dict.fromkeys(digests) for name, digests in shipped_digests().items()}
    for name, text in {**now, DECLARED: declared_for("git")}.items():
        known.setdefault(name, {})[pack_digest(text)] = None
    return _REMARK + "".join(f"{name} {' '.join(known[name])}\n" for name in sorted(known))
