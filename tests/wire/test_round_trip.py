"""Source code that is read through mcpguard and written back is what it was, byte by byte.

The files are of packages that others wrote and of the standard library. Each one that may differ is listed here
with what was judged about it.
"""

import hashlib
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from tests.wire.session import SERVERS

ENDINGS = {".py", ".pyi", ".md", ".rst", ".txt", ".json", ".js", ".mjs", ".ts", ".css", ".html", ".toml", ".yaml", ".yml", ".sh", ".h", ".cfg"}  # fmt: skip
LARGEST = 64 * 1024
FILES = 200
JUDGED = {
    "apprise/plugins/github.py": "the beginning of a token of GitHub, in a comment",
    "apprise/plugins/google_chat.py": "a key of Google's form in an address, in a comment",
    "apprise/plugins/slack.py": "a webhook and tokens of Slack's forms, in comments",
    "apprise/plugins/twist.py": "a token of 40 digits under the name `token`, in a comment",
    "apprise/plugins/workflows.py": "a signature of Azure's form in an address, in a comment",
    "apprise/plugins/office365.py": "a random value in an answer of Microsoft, in a comment",
    "httpx2/_urls.py": "a password in a URL, in a docstring",
    "pydantic/networks.py": "a password in a URL, in a docstring",
    "oauthlib/oauth2/rfc6749/request_validator.py": "a random value under the name `access_token`, in a docstring",
    "oauthlib/oauth2/rfc6749/tokens.py": "a random value under the name `access_token`, in a docstring",
    "oauthlib/oauth1/rfc5849/parameters.py": "a random value under the name `oauth_consumer_key`, in a docstring",
    "requests_oauthlib/oauth1_session.py": "a random value under the name `oauth_token`, in a docstring",
    "jinja2/_identifier.py": "hidden characters, which are made visible; so it is not written back",
}  # fmt: skip
"""By path, why a file does not come through unchanged: what reads like a real secret, or is hidden, in it. What is
refused is not written, so no file is spoilt."""


def sources():
    """The same files on every machine with the same packages: a selection by the hash of their paths."""
    roots = [Path(sysconfig.get_path("purelib")), Path(os.__file__).parent]
    found = {}
    for root in roots:
        for folder, names, files in os.walk(root):
            names[:] = [one for one in names if one not in ("__pycache__", "test", "tests", "site-packages")]
            for name in files:
                path = Path(folder, name)
                if path.suffix in ENDINGS and 0 < path.stat().st_size <= LARGEST:
                    found[str(path.relative_to(root))] = path
    order = sorted(found, key=lambda name: hashlib.sha256(name.encode()).digest())
    texts = ((name, found[name]) for name in order if name not in JUDGED)
    chosen = dict([(name, path) for name, path in texts if is_text(path)][: FILES - len(JUDGED)])
    return chosen | {name: roots[0] / name for name in JUDGED}


def is_text(path):
    try:
        path.read_bytes().decode()
    except ValueError:
        return False
    return True


def test_files_of_real_packages_come_back_unchanged_unless_they_hold_a_secret(session, tmp_path):
    (tmp_path / "files").mkdir()
    entry = {"command": sys.executable, "args": [str(SERVERS / "files.py"), str(tmp_path / "files")]}
    guard = session({"files": entry})
    known = sources()
    differing = {}
    for number, (name, path) in enumerate(known.items()):
        read, wrote = f"{number}-read", f"{number}-wrote"
        shutil.copyfile(path, tmp_path / "files" / read)
        text = guard.text("read_file", path=read)
        answer = guard.call("write_file", path=wrote, content=text)["result"]
        if answer.get("isError"):
            differing[name] = text[max(0, text.find("[REDACTED:") - 60) :][:200]
        else:
            assert (tmp_path / "files" / wrote).read_bytes() == path.read_bytes(), name
    assert len(known) == FILES
    assert {name: where for name, where in differing.items() if name not in JUDGED} == {}
