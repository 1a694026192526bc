"""A machine of its own for a test: systemd as its process 1, in namespaces, with the units of configs/deploy.

It needs root, the programs of util-linux and iproute2, and control groups of the second version. Nothing that
it writes outlives it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.docs.pages import ROOT
from tests.wire.session import eventually

SYSTEMD = Path("/usr/lib/systemd/systemd")
NEEDED = ("unshare", "nsenter", "systemctl", "ip", "curl")
SECONDS = 60


def missing() -> str:
    """Why no machine can be made here; "" if one can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent or not SYSTEMD.exists():
        return f"needs {', '.join(absent or ['systemd'])}"
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "mount -t cgroup2 cgroup2 /mnt"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else "needs a kernel with cgroup2, and the right to mount it"


class Machine:
    """One that has booted."""

    def __init__(self, folder: Path) -> None:
        """`folder` is empty."""
        self._groups = Path(tempfile.mkdtemp(dir=folder))
        made = Path(tempfile.mkdtemp(dir=folder))
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", self._groups], check=True)
        self._group = Path(tempfile.mkdtemp(prefix="mcpguard-", dir=self._groups))
        about = [str(made), str(ROOT), sys.base_prefix, sysconfig.get_path("purelib")]
        join = f'echo $$ > {self._group}/cgroup.procs; exec "$@"'
        namespaces = ["--mount", "--pid", "--cgroup", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        boot = ["bash", str(ROOT / "tests" / "install" / "boot.sh"), *about]
        self._process = subprocess.Popen(
            ["sh", "-c", join, "sh", "unshare", *namespaces, *boot],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._first = 0
        eventually(self._booted, "that systemd has booted", SECONDS)

    def _booted(self) -> bool:
        if not self._first:
            children = (
                Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            )
            if self._process.poll() is not None:
                raise AssertionError(self._process.communicate()[0].decode())
            if not children or Path(f"/proc/{children[0]}/comm").read_text() != "systemd\n":
                return False
            self._first = int(children[0])
        return self.run("systemctl", "is-system-running", checked=False).strip() in ("running", "degraded")

    def run(self, *words: str, checked: bool = True) -> str:
        """What a program of the machine prints, errors too."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._first), "--all", *words],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert not checked or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def write(self, path: str, text: str) -> None:
        """Have a file with this text."""
        subprocess.run(
            ["nsenter", "--target", str(self._first), "--all", "tee", path],
            input=text,
            text=True,
            stdout=subprocess.DEVNULL,
            timeout=SECONDS,
            check=True,
        )

    def about(self, name: str, unit: str = "mcpguard.service") -> str:
        """What systemd says of a unit."""
        return self.run("systemctl", "show", unit, "--value", "--property", name).strip()

    def journal(self) -> str:
        """What the service has said."""
        return self.run("journalctl", "--unit", "mcpguard.service", "--no-pager", "--output", "cat")

    def end(self) -> None:
        """All its processes, and what stood for them."""
        if self._first:
            os.kill(self._first, signal.SIGKILL)
        self._process.kill()
        self._process.communicate(timeout=SECONDS)
        groups = sorted(self._group.rglob("cgroup.procs"), key=lambda path: -len(path.parts))
        for one in groups:
            eventually(lambda file=one: not file.read_text(), "that its processes have ended", SECONDS)  # type: ignore[misc]
            one.parent.rmdir()
        subprocess.run(["umount", self._groups], check=True)
