"""A local folder of wheels, as `--find-links` takes it: ours as it is built, the others from what is installed.

No test fetches anything: a distribution that is installed is packed again into the wheel that it came from.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from itertools import product
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.pages import ROOT

OURS = "mcpguard-gateway"


def index(folder: Path) -> Path:
    """Fill `folder` with our wheel, and with all that it needs; gives our wheel."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    for name in needed(OURS) - {OURS}:
        pack(metadata.distribution(name), folder)
    return wheel


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The names of all distributions that `name` needs here, its own among them."""
    found, waiting = {name}, [(name, extras)]
    while waiting:
        one, wanted = waiting.pop()
        for text in metadata.requires(one) or ():
            asked = Requirement(text)
            marker = asked.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                continue
            other = canonicalize_name(asked.name)
            if other not in found or asked.extras:
                found.add(other)
                waiting.append((other, frozenset(asked.extras)))
    return found


def pack(installed: metadata.Distribution, folder: Path) -> None:
    """The wheel of an installed distribution, without programs and compiled files (binary distribution format)."""
    tags = [line.removeprefix("Tag: ") for line in (installed.read_text("WHEEL") or "").splitlines()]
    parts = [tag.split("-") for tag in tags if tag.count("-") == 2 and ":" not in tag]
    python, abi, platform = (".".join(dict.fromkeys(each)) for each in zip(*parts, strict=True))
    assert len(parts) == len(list(product(python.split("."), abi.split("."), platform.split("."))))
    name = installed.metadata["Name"].replace("-", "_").replace(".", "_")
    with ZipFile(
        folder / f"{name}-{installed.version}-{python}-{abi}-{platform}.whl", "w", ZIP_STORED
    ) as made:
        for file in installed.files or ():
            if ".." in file.parts or file.suffix == ".pyc" or file.name in ("INSTALLER", "REQUESTED"):
                continue
            if file.name == "RECORD":
                made.writestr(str(file), "".join(f"{one},,\n" for one in installed.files or ()))
            else:
                made.write(str(installed.locate_file(file)), str(file))


def uv() -> str:
    """The program that `uvx` belongs to."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert found, "uv is one of the development requirements"
    return found
