"""What redaction would remove from the texts in some folders: hits a MB, by kind, and where each stands.

    python bench/false_hits.py [--half 0|1] FOLDER...

For text that no rule was tuned on, such as installed packages, node_modules and manual pages, of which nearly
none has a secret in it. Each hit is for a person to judge, so the line is shown with what is in it. `--half`
takes every other file, by the checksum of its path: rules are tuned on the files of one half and measured on
those of the other.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.redactor import Redactor

LARGEST = 3_000_000
AROUND = 60


def texts(folder: Path, half: int | None) -> Iterator[tuple[Path, bytes]]:
    """The files of `folder` that are texts in UTF-8."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            continue
        if half is not None and crc32(str(path.relative_to(folder)).encode()) % 2 != half:
            continue
        text = path.read_bytes()
        try:
            text.decode()
        except UnicodeDecodeError:
            continue
        if 0 not in text[:8000]:
            yield path, text


def shown(text: bytes, start: int, end: int) -> str:
    """The line around a hit."""
    line = max(text.rfind(b"\n", 0, start) + 1, start - AROUND)
    before, hit = text[line:start], text[start : min(end, start + AROUND)]
    return f"{before.decode(errors='replace')}\u27e6{hit.decode(errors='replace')}\u27e7"


def main() -> None:
    """Print the hits, and how many there are a MB."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folders", nargs="+", type=Path)
    arguments.add_argument("--half", type=int, choices=(0, 1))
    chosen = arguments.parse_args()
    redactor = Redactor(b"key")
    kinds: Counter[str] = Counter()
    size = files = 0
    for folder in chosen.folders:
        for path, text in texts(folder, chosen.half):
            size, files = size + len(text), files + 1
            try:
                spans = redactor.places(text)
            except InspectionError as error:
                print(f"{path}: withheld: {error}")
                continue
            for span in spans:
                kinds[span.kind] += 1
                line = text.count(b"\n", 0, span.start) + 1
                print(f"{path}:{line}: {span.kind}: {shown(text, span.start, span.end)}")
    total = sum(kinds.values())
    rate = total / max(size, 1) * 1e6
    print(f"{total} hits in {files} files of {size / 1e6:.1f} MB: {rate:.3f} a MB; {dict(kinds)}")


if __name__ == "__main__":
    main()
