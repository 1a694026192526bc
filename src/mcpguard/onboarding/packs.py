"""The policy that a server gets when it moves in: of a pack for servers that are known, else reading only."""

from __future__ import annotations

import json
import os
import sysconfig
from itertools import pairwise
from pathlib import Path

from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.programs import known

_SHIPPED = "share/mcpguard/policies"
# Where a pack says what may be used -> what an entry says of it.
_FOLDERS = ('["/srv/data"]', '["/srv/repos"]')


def policy_for(name: str, entry: Entry) -> tuple[str, str]:
    """The text of a policy for the server `name`, and a sentence on what it is."""
    program = known(entry)
    text = _shipped(program.policy) if program and program.policy else None
    if program is None or text is None:
        return _reading_only(
            name
        ), "only tools that declare themselves read-only: write a policy to allow more"
    pack = program.policy.partition("/")[0].removesuffix(".yaml")
    text = text.replace(f"server: {pack}\n", f"server: {name}\n")
    posture = program.policy.partition("/")[2].removesuffix(".yaml")
    text = text.replace(f"\npolicy: {pack}", f"\npolicy: {name}", 1)
    said = f"the pack {pack}, {posture}" if posture else f"the policy {pack}"
    folders = _folders(pack, entry)
    for example in _FOLDERS if folders else ():
        text = text.replace(example, json.dumps(folders, ensure_ascii=False))
    needs = "# SET THIS" in text and pack not in ("memory", "fetch", "time") and not folders
    return text, said + (": fill in what is marked SET THIS" if needs else "")


def _folders(pack: str, entry: Entry) -> list[str]:
    """The folders that `entry` gives to its server, where its policy asks for them."""
    words = list(entry.args)
    if pack == "filesystem":
        found = [word for word in words[1:] if os.path.isabs(word)]
    elif pack == "git":
        pairs = pairwise(words)
        named = [value for option, value in pairs if option in ("--repository", "-r")]
        found = [one for one in named if os.path.isabs(one)]
    else:
        return []
    return [one for one in found if one.isprintable() and not set(one) & set("'\"\\")]


def _shipped(policy: str) -> str | None:
    """The text of a shipped policy: of the installation, else of the checkout; None if there is none."""
    folders = [Path(sysconfig.get_path("data")) / _SHIPPED, Path(__file__).parents[3] / "policies"]
    for folder in folders:
        try:
            return (folder / policy).read_text("utf-8")
        except OSError:
            continue
    return None


def _reading_only(name: str) -> str:
    from importlib import resources

    text = resources.files("mcpguard.config").joinpath("read_only.yaml").read_text("utf-8")
    rules = text[text.index("version:") :].replace("policy: read-only", f"policy: {name}-read-only")
    rules = rules.replace("    effect: allow\n", f"    effect: allow\n    server: {name}\n")
    return (
        f"# For `{name}`, until you write a policy for it. A tool declares that it only reads: a\n"
        f"# claim of the server, not a proof.\n{rules}"
    )
