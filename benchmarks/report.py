"""What the benchmarks share: aligned tables, and their place in docs/performance.md."""

import argparse
from collections.abc import Sequence

from memristive.io.files import ROOT, atomic_write

PERFORMANCE = ROOT / "docs" / "performance.md"


def options_of(description: str | None) -> argparse.ArgumentParser:
    """The parser of a benchmark: what is asked or mistyped sets none off."""
    return argparse.ArgumentParser(description=description, allow_abbrev=False,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; cells are text, the first column left, the others right."""
    table = [header, *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(header))]
    lines = [[cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))]
             for row in table]
    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [lines[0], rule, *lines[1:]])


def put(section: str, text: str) -> None:
    """Replace the text between the marks of `section` in docs/performance.md."""
    begin, end = f"<!-- {section} -->", f"<!-- end of {section} -->"
    page = PERFORMANCE.read_text(encoding="utf-8")
    before, rest = page.split(begin)
    _, after = rest.split(end)
    atomic_write(PERFORMANCE, f"{before}{begin}\n{text}\n{end}{after}")
    print(f"wrote {PERFORMANCE.relative_to(ROOT)}, section '{section}'")
