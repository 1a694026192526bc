"""How long a replay takes: a folder of evidence once more under other policies.

    python bench/replay.py [--records 100000]

Aim: 100,000 records in at most 60 s, and a policy that lets one of them more through is found. No two calls
have the same arguments, so that no verdict is used twice; with `same` they are ten kinds of calls.
"""

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.authoring.replay.past import past
from mcpguard.authoring.replay.replaying import Replay
from mcpguard.core.evidence.records import Closed, Decided, Opened, Outcome
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.protocol.jsonrpc import encode

NOW = datetime.now(UTC) - timedelta(days=1)
RULES = """\
version: 1
policy: git
rules:
  - {{id: outside, effect: deny, when: '!pathWithin(args.path, ["/srv/repo"])', message: Not there.}}
  - {{id: secrets, effect: deny, when: 'args.path.endsWith(".env"){but}', message: Not that.}}
  - {{id: tainted, effect: deny, tools: [push], when: '"untrusted" in session.labels'}}
  - {{id: push, effect: ask, tools: [push], when: 'args.branch == "main"'}}
  - {{id: read, effect: allow, tools: ["get_*", "list_*"]}}
  - {{id: write, effect: allow, tools: [push, commit], when: 'args.branch != "release"'}}
"""
BUT = ' && args.path != "/srv/repo/one.env"'
TOOLS = ("get_file", "list_files", "commit", "push")


def policies(but: str = "") -> PolicySet:
    """Those of then; `but` loosens one."""
    return PolicySet([compile_policy(RULES.format(but=but), "git.yaml", OPT_IN)])


def write(folder: Path, count: int, same: bool) -> None:
    """A chain of so many records: a decision each, and what came of it where that is allowed."""
    audit, digest = AuditFile(folder), policies().digest
    audit.write(Opened(NOW, "0", 1, "os-user:ada", ("git",), digest, format=2))
    kinds = 10 if same else count
    for number in range(count // 2):
        kind = number % kinds
        args = {"path": f"/srv/repo/src/file-{kind}.py", "branch": f"topic-{kind}", "text": "x" * 200}
        env = number == count // 4
        args = {**args, "path": "/srv/repo/one.env"} if env else args
        tool = TOOLS[kind % len(TOOLS)]
        at, id_ = NOW + timedelta(milliseconds=number), f"1f0c9a1e-{number}"
        effect, cause, rules = "allow", "", ("git/read",) if tool[3] in "_t" else ("git/write",)
        if env:
            effect, cause, rules = "deny", "rule", ("git/secrets",)
        audit.write(
            Decided(
                at,
                id_,
                "os-user:ada",
                "tools/call",
                effect,
                "git",
                tool,
                "e" * 64,
                cause=cause,
                rules=rules,
                policy_digest=digest,
                args=sha256(encode(args)).hexdigest(),
                arguments=args,
                session="s",
            )
        )
        if not env:
            audit.write(Outcome(at, id_, "ok", 1.0))
    audit.close(Closed(NOW, "done"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000)
    count = parser.parse_args().records
    for same in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), count * 2, same)
            for said, but in (
                ("the same policies", ""),
                ("one loosened", ' && args.path != "/srv/repo/one.env"'),
            ):
                clock, cpu = time.perf_counter(), time.process_time()
                report = Replay(policies(but), [policies()]).take(past(Path(folder)))
                clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
                kind = "ten kinds of calls" if same else "each call another"
                print(
                    f"{report.decisions:,} decisions, {kind}, {said}: {clock:.1f} s ({cpu:.1f} s of "
                    f"processor); loosened {report.loosened}, tightened {report.tightened}, otherwise "
                    f"{report.otherwise}, unsaid {report.unsaid}"
                )


if __name__ == "__main__":
    main()
