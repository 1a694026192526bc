"""Side by side over HTTP: the SDK's server directly, FastMCP's proxy, PyPI's `mcp-proxy`, and mcpguard.

    python bench/relay_http.py             # two tables an upstream; about five minutes
    python bench/relay_http.py --quick     # fewer rounds
    python bench/relay_http.py --readme    # writes them into docs/speed.md and README.md too

All subjects live in one run and take turns in each round, so that a busy minute hits them alike: read the
ratios, not the milliseconds. Each proxy is there twice, with the SDK's own server over standard input and
output, which then is most of each figure, and with a small one, so that the proxies are what counts. The
first row is the SDK's server over HTTP, without a proxy.
mcpguard runs with three CEL rules, a held credential, redaction of it and of all token formats, and the
chained audit log. A subject without figures says why in its row. `mcp-proxy` is installed into a venv of its
own if it is missing (`mcp_proxy.py`).
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import mcp_proxy
import readme
from http_ends import Connection, Refused, Subject
from relay import HERE, guarded, percentile

SERVER = [sys.executable, str(HERE / "subjects" / "sdk_server.py")]
SMALL = [sys.executable, str(HERE / "subjects" / "echo_server.py")]
DIRECT = "SDK server, direct"
BASE = "FastMCP proxy"
SDK = "the SDK's server"
UPSTREAMS = {SDK: [*SERVER, "stdio"], "the small server": SMALL}
ERAS = ("modern", "legacy")
AIMS = {"modern": 0.50, "legacy": 0.40}
"""Of FastMCP's p50, with the SDK's server as upstream."""
HEADING = (
    "Over HTTP (`python bench/relay_http.py`), in one interleaved run, each proxy with its upstream over\n"
    "stdio. The SDK's server is most of each figure; with the small one the proxies are what counts."
)


def subjects(folder, proxy):
    """The command of each subject, with the port that it is told to take, by (upstream, name). `proxy` is the
    program of `mcp-proxy`, None if it is not there."""
    found = {("", DIRECT): [*SERVER, "{port}"]}
    for number, (upstream, command) in enumerate(UPSTREAMS.items()):
        own = folder / str(number)
        own.mkdir()
        fastmcp = [sys.executable, str(HERE / "subjects" / "fastmcp_proxy_http.py"), "{port}", *command]
        found[upstream, BASE] = fastmcp
        found[upstream, mcp_proxy.NAME] = proxy and [proxy, "--port", "{port}", "--", *command]
        found[upstream, "mcpguard"] = [*guarded(own, command), "--http", "127.0.0.1:{port}"]
    return found


def started(commands, running, absent):
    """Start the subjects into `running`; into `absent` goes why `mcp-proxy` is not there."""
    for key, command in commands.items():
        if command is None:
            continue
        try:
            running[key] = Subject(command)
        except RuntimeError:
            if key[1] != mcp_proxy.NAME:
                raise
            absent[key] = "did not start"


def connected(running, era, absent):
    """A warm connection to each subject that speaks the era; into `absent` goes why there is none."""
    found = {}
    for key, subject in running.items():
        try:
            connection = Connection(subject.port, era)
            connection.send(connection.request("tools/list", {}))
            connection.sequential(100, "echo", {"text": "warm"})
            found[key] = connection
        except Refused as refused:
            absent[key] = "does not speak it"
            print(f"{key[1]} does not speak the {era} era: {refused}", file=sys.stderr)
    return found


def measure(connections, rounds, calls):
    """The median over rounds of each figure, by subject."""
    keys = ("p50", "p99", "20 KB", "1 MB")
    rows = {name: {key: [] for key in keys} for name in connections}
    for _ in range(rounds):
        for name, connection in connections.items():
            times = connection.sequential(calls, "echo", {"text": "x" * 200})
            rows[name]["p50"].append(statistics.median(times))
            rows[name]["p99"].append(percentile(times, 0.99))
            for key, count, size in (("20 KB", 20, 20_000), ("1 MB", 5, 1_000_000)):
                rows[name][key].append(statistics.median(connection.sequential(count, "big", {"size": size})))
    return {name: {key: statistics.median(row[key]) for key in keys} for name, row in rows.items()}


def written(upstream, era, figures, absent):
    """One table as docs/speed.md has it."""
    lines = [f"With {upstream} as upstream, {era} era:"]
    if upstream == SDK:
        lines = [f"With {upstream} as upstream, {era} era (aim for mcpguard: {AIMS[era]:.2f} x):"]
    lines += ["", f"| | p50 ms | p99 ms | 20 KB ms | 1 MB ms | p50 / {BASE} |", "|---|---|---|---|---|---|"]
    base = figures.get((upstream, BASE))
    for key in [("", DIRECT), *((upstream, name) for name in (BASE, mcp_proxy.NAME, "mcpguard"))]:
        if key in figures:
            row = figures[key]
            ratio = f"{row['p50'] / base['p50']:.3g} x" if base else ""
            cells = [*(f"{value:.3g}" for value in row.values()), ratio]
        else:
            cells = [absent[key], "", "", "", ""]
        lines.append(f"| {key[1]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def run(folder, proxy, why_not, quick):
    """The figures and what has none, by era."""
    commands = subjects(folder, proxy)
    absent = {key: why_not for key, command in commands.items() if command is None}
    running, found = {}, {}
    try:
        started(commands, running, absent)
        for era in ERAS:
            silent = dict(absent)
            connections = connected(running, era, silent)
            figures = measure(connections, 3 if quick else 15, 100 if quick else 300)
            found[era] = figures, silent
            for connection in connections.values():
                connection.close()
    finally:
        for subject in running.values():
            subject.close()
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--mcp-proxy", metavar="PROGRAM", help="use this one, and install none")
    readme.add_option(parser)
    options = parser.parse_args()
    proxy, why_not = options.mcp_proxy, ""
    try:
        proxy = proxy or mcp_proxy.program()
    except RuntimeError as problem:
        why_not = str(problem)
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), proxy, why_not, options.quick)
    tables = [HEADING, *(written(up, era, *found[era]) for up in UPSTREAMS for era in ERAS)]
    print("\n\n".join(tables))
    if options.readme:
        readme.write(options.readme, "http", "\n\n".join(tables))


if __name__ == "__main__":
    main()
