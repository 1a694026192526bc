"""The development environment: `.venv-dev` with the project and its tools, made once and kept fresh.

Standard library only. Used by `scripts/test`, `scripts/check` and `scripts/conformance`; run by itself it
makes the environment. That is never `.venv`, which the README makes and clients start mcpguard from:
rebuilding that would break or change what they run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-dev"
BIN = VENV / "bin"
STAMP = VENV / "installed-from"
CONSTRAINTS = ROOT / "constraints.txt"
INSTALL = ("install", "--quiet", "--disable-pip-version-check", "--no-compile")
"""Of most packages only a part is imported; that is compiled then."""
PARALLEL = ("-n", "8")
"""How many processes run the tests: most wait for another one, so eight keep two cores busy."""


def say(text: str) -> None:
    """Tell the person what happens, before it happens."""
    print(f"== {text}", flush=True)


def ready() -> dict[str, str]:
    """Make or refresh `.venv-dev` if needed, and return the environment variables to run its programs with.

    Exits with a sentence where Python is too old or an installation fails.
    """
    if sys.version_info < (3, 11):  # noqa: UP036  (this file runs before anything is installed)
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    if not _fresh():
        _install()
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    variables = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}
    # Containers set it; each of the thousand processes of the tests would compile what it imports.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return variables


def _sources() -> str:
    """What the installation depends on: this Python, the requirements and the exact versions."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (ROOT / "pyproject.toml", CONSTRAINTS):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _fresh() -> bool:
    return STAMP.exists() and STAMP.read_text() == _sources() and _editable()


def _editable() -> bool:
    """Whether the project in `.venv-dev` is this source tree, not a copy that somebody installed."""
    facts = list(VENV.glob("lib/python*/site-packages/mcpguard_gateway-*.dist-info/direct_url.json"))
    if len(facts) != 1:
        return False
    said = json.loads(facts[0].read_text())
    return bool(said.get("dir_info", {}).get("editable")) and said.get("url") == ROOT.as_uri()


def _install() -> None:
    STAMP.unlink(missing_ok=True)
    say(f"making {VENV.name} with Python {sys.version.split()[0]}")
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], "on Debian: apt-get install python3-venv")
    say("installing the project and its tools (some ten seconds with uv, half a minute with pip)")
    pip = [str(BIN / "python"), "-m", "pip"]
    wanted = ["--constraint", str(CONSTRAINTS), "--editable", f"{ROOT}[dev]"]
    if not _with_uv(pip, wanted):
        _run([*pip, *INSTALL, *wanted], "see pip's words above")
    STAMP.write_text(_sources())


def _with_uv(pip: list[str], wanted: list[str]) -> bool:
    """Whether uv installed it, with a quarter of the CPU time."""
    if _other_index(pip):
        return False
    step = [*pip, *INSTALL, "--constraint", str(CONSTRAINTS), "uv"]
    if subprocess.run(step, cwd=ROOT, check=False).returncode:
        return False
    return subprocess.run([*_uv(BIN / "python"), *wanted], cwd=ROOT, check=False).returncode == 0


def _other_index(pip: list[str]) -> bool:
    """Whether pip's settings name another index. uv does not read them, so pip has to install."""
    show = [*pip, "config", "list"]
    settings = subprocess.run(show, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return bool(settings.returncode) or "index" in settings.stdout


def _uv(python: Path) -> list[str]:
    uv = str(python.with_name("uv"))
    return [uv, "pip", "install", "--quiet", "--system-certs", "--python", str(python)]


def installing() -> list[str]:
    """The beginning of a command that installs for this Python: uv's where it is beside it, else pip's."""
    python = Path(sys.executable)
    pip = [str(python), "-m", "pip"]
    return _uv(python) if python.with_name("uv").exists() and not _other_index(pip) else [*pip, *INSTALL]


@contextmanager
def made(folder: Path) -> Iterator[Path | None]:
    """Where to put what belongs into `folder`, None if that exists. It is renamed at the end: a folder that
    exists is complete. Another process that wants it waits instead of doing the same."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as making:
            yield Path(making) / "folder"
            (Path(making) / "folder").rename(folder)


def _run(command: list[str], advice: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"`{' '.join(command[:4])} …` failed ({done.returncode}): {advice}")


if __name__ == "__main__":
    ready()
