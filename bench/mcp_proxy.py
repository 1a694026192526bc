"""PyPI's `mcp-proxy`, in a venv of its own in the user's cache folder: it may need another SDK than we do."""

import subprocess
import sys
import venv

import platformdirs

NAME = "mcp-proxy"
INSTALL_SECONDS = 600


def program():
    """Its path; it is installed if it is missing. Raises RuntimeError with a sentence if that fails."""
    folder = platformdirs.user_cache_path("mcpguard-bench") / NAME
    found = folder / "bin" / NAME
    if found.exists():
        return str(found)
    print(f"installing {NAME} into {folder}", file=sys.stderr, flush=True)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", NAME]
    try:
        venv.create(folder, with_pip=True)
        subprocess.run(command, check=True, timeout=INSTALL_SECONDS, stdout=sys.stderr)
    except (OSError, subprocess.SubprocessError) as problem:
        raise RuntimeError("could not be installed") from problem
    if not found.exists():
        raise RuntimeError("has no program of its name")
    return str(found)
