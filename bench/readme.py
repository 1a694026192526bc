"""The figures in docs/speed.md and README.md: a mode of three benchmarks, `--readme`.

In docs/speed.md they stand between `<!-- bench -->` and `<!-- /bench -->`, those over HTTP behind
`<!-- bench http -->`. Each benchmark writes its own part and leaves the other. The short table between
`<!-- speed -->` and `<!-- /speed -->` of README.md is made from that page.
"""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
PARTS = {
    "stdio": ("<!-- bench -->", "<!-- bench http -->"),
    "http": ("<!-- bench http -->", "<!-- /bench -->"),
    "inspection": ("<!-- bench inspection -->", "<!-- /bench inspection -->"),
    "short": ("<!-- speed -->", "<!-- /speed -->"),
}
SMALL, SDK = (f"With the {server} as upstream, modern era" for server in ("small server", "SDK's server"))
SHORT = (
    ("a call over stdio, p50", "ms", "", "p50 ms"),
    ("calls a second over stdio, pipelined", "", "", "pipelined/s"),
    ("`initialize`", "ms", "", "initialize ms"),
    ("memory", "MB", "", "memory MB"),
    ("a call over HTTP to a small server, p50", "ms", SMALL, "p50 ms"),
    ("a call over HTTP to the SDK's server, p50", "ms", SDK, "p50 ms"),
)
"""What the short table shows: its name and unit, the text before the table of the page, and the column."""


def add_option(parser):
    said = "write the tables into FILE too (docs/speed.md if none is named, and from there into README.md)"
    parser.add_argument("--readme", nargs="?", type=Path, const=PAGE, metavar="FILE", help=said)


def write(path, part, tables):
    """Replace one part in the file. Raises ValueError if its marks are not there, once and in order."""
    text = path.read_text("utf-8")
    begin, end = PARTS[part]
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{path} must have {begin} and {end}, each once")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n\n{tables.strip()}\n\n{end}{after}", "utf-8")
    if path == PAGE:
        write(README, "short", short(PAGE.read_text("utf-8")))


def short(page):
    """The table of README.md, from the text of docs/speed.md."""
    lines = ["| | mcpguard | FastMCP's proxy | ratio |", "|---|---|---|---|"]
    for name, unit, before, column in SHORT:
        table = re.search(re.escape(before) + r".*?\n(\|.*?)\n\n", page, re.DOTALL)[1]
        head, *rows = (
            [cell.strip(" *") for cell in line.strip("|").split("|")] for line in table.split("\n")
        )
        rows = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
        ours, theirs = rows["mcpguard"], rows["FastMCP proxy"]
        cells = [f"{float(row[column].replace(',', '')):,g} {unit}".strip() for row in (ours, theirs)]
        ratio = rows.get("mcpguard / FastMCP proxy", {}).get(column) or ours["p50 / FastMCP proxy"]
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines)


if __name__ == "__main__":
    write(README, "short", short(PAGE.read_text("utf-8")))
