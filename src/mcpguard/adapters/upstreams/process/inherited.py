"""What a server gets of mcpguard's environment, beside what its own `env` says, and which program its command
names there.

Law of this file: a positive list of names, none of which holds a credential (law 3). A proxy's address may
hold one: then it is passed on only to servers whose `env` names it, as every other credential is.
"""

import os
import re
from collections.abc import Mapping

from mcpguard.adapters.system.guarded import not_found, unexecutable

PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
)
"""The variables of ours that every upstream has."""

PROXIES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "NODE_USE_ENV_PROXY",
)
"""By which way a program reaches the network. Each language reads some of them, in one case or the other."""

AUTHORITIES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_USE_SYSTEM_CA",
    "DENO_CERT",
    "DENO_TLS_CA_STORE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "PIP_CERT",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "NPM_CONFIG_CAFILE",
    "npm_config_cafile",
)
"""Whose certificates it trusts, by the documentation of OpenSSL, Python's requests, curl, the AWS SDKs,
Node.js, Deno, git, pip, uv and npm. All are names of files and switches."""

PLACES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""Where its files are if not at their places below HOME (XDG Base Directory Specification)."""

_GIT_SETTING = ("safe.bareRepository", "explicit")
"""A folder that looks like a bare repository, whose settings run programs, can arrive by a checkout."""


def child_environment(environ: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The minimal environment of an upstream (law 3): what every program needs, its own settings, and for git
    one setting beside those of its own."""
    return {**inherited(environ), **own, **_git_setting(own)}


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What of `environ` every upstream gets."""
    names = (*PASSED_ON, *PROXIES, *AUTHORITIES, *PLACES)
    back = kept_back(environ)
    return {name: environ[name] for name in names if name in environ and name not in back}


def kept_back(environ: Mapping[str, str]) -> list[str]:
    """The variables that are not passed on, since they hold the user name or the password of a proxy."""
    return [name for name in PROXIES if "@" in environ.get(name, "")]


def _git_setting(own: Mapping[str, str]) -> dict[str, str]:
    """What adds `_GIT_SETTING` to git's settings of the command scope, which come from the environment;
    nothing where they have it already, or where git refuses them."""
    count = own.get("GIT_CONFIG_COUNT") or "0"
    if not re.fullmatch("[0-9]{1,4}", count):
        return {}
    name, value = _GIT_SETTING
    at = int(count)
    if any(own.get(f"GIT_CONFIG_KEY_{index}", "").lower() == name.lower() for index in range(at)):
        return {}
    return {
        "GIT_CONFIG_COUNT": str(at + 1),
        f"GIT_CONFIG_KEY_{at}": name,
        f"GIT_CONFIG_VALUE_{at}": value,
    }


def executable(command: str, path: str | None, cwd: str | None, mode: int = os.F_OK | os.X_OK) -> str | None:
    """The program that `command` names in the folder `cwd` and the child's PATH, a file with these rights,
    or None."""
    if cwd is not None and os.sep in command:
        command = os.path.join(cwd, command)
    from shutil import which  # It brings three compressors along.

    return which(command, mode, path or os.defpath)


def not_startable(command: str, path: str | None, cwd: str | None) -> str:
    """Why `executable` finds nothing, and what to do."""
    there = executable(command, path, cwd, os.F_OK)
    if there is None:
        return not_found(command, path)
    return f"the command '{command}' {unexecutable(command, there)}"
