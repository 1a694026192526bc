"""The figures in README.md: a mode of both relay benchmarks, `--readme`.

They stand between `<!-- bench -->` and `<!-- /bench -->`, those over HTTP behind `<!-- bench http -->`. Each
benchmark writes its own part and leaves the other.
"""

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
PARTS = {
    "stdio": ("<!-- bench -->", "<!-- bench http -->"),
    "http": ("<!-- bench http -->", "<!-- /bench -->"),
}


def add_option(parser):
    said = "write the tables into FILE too, README.md if none is named"
    parser.add_argument("--readme", nargs="?", type=Path, const=README, metavar="FILE", help=said)


def write(path, part, tables):
    """Replace one part in the file. Raises ValueError if its marks are not there, once and in order."""
    text = path.read_text("utf-8")
    begin, end = PARTS[part]
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{path} must have {begin} and {end}, each once")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n\n{tables.strip()}\n\n{end}{after}", "utf-8")
