"""Claims: pieces of README's and the docs' text in which every number is computed from the committed records.

A claim is a page and a piece of its text, its numbers rounded as the page rounds them: it goes red if the page's number changes,
and if the record's does. In a claim "…" stands for whatever the records do not know.
"""

import difflib
import functools
import json
import re

from memristive.io.results import load_results
from tests.helpers import ROOT

WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SEEDS = ("", "seed_2", "seed_3")  # folders within figures/


@functools.cache
def record(name, folder=""):
    """A study's committed results."""
    return load_results(ROOT / "figures" / folder, name)


@functools.cache
def voltages(name):
    """A committed network's file."""
    return json.loads((ROOT / "voltages" / f"{name}.json").read_text(encoding="utf-8"))


def learning(name):
    """Parameters that a training was run with."""
    return record(f"{name}_training")["parameters"]["learning"]


def three_seeds(name):
    """Strict accuracies of a training's three seeds on all test images."""
    return [record(name, folder)["strict_accuracy"] for folder in SEEDS]


def percent(*shares, digits=2):
    """Shares as a page lists them, the sign left to it."""
    return ", ".join(f"{share:.{digits}%}"[:-1] for share in shares)


def span(shares, digits=2):
    """From the lowest of some shares to the highest, in per cent."""
    return f"{percent(min(shares), digits=digits)} to {percent(max(shares), digits=digits)}"


def points(share):
    """A difference of accuracies in points, without what floating point adds to one that ends in 5."""
    return f"{round(share * 100, 6):.1f}"


def microseconds(seconds):
    """Two digits after the point, one from 1 us on."""
    return f"{seconds * 1e6:.{2 if seconds < 1e-6 else 1}f}"


def listed(texts):
    """Texts as a sentence lists them."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def row(*cells):
    """A row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


@functools.cache
def pieces(page):
    """A page's paragraphs, points of lists and rows of tables, each on one line without emphasis."""
    path = ROOT / "README.md" if page == "README" else ROOT / "docs" / f"{page}.md"
    text = path.read_text(encoding="utf-8").replace("**", "").replace("\\\n", "\n")
    return [" ".join(piece.split()) for piece in re.split(r"\n\s*\n|\n(?=\||- |\d\. )", text)]


def label(claim):
    """A claim's page and the first words of its text, for pytest's list."""
    page, text = claim
    return f"{page}: {re.sub(r'[^ -~]|[|`]', '', text)[:60].strip()}"


def check(page, text):
    """Fail unless the page says `text` in exactly one place, no number there going on to either side."""
    pattern = re.compile(r"(?<![\w.,-])" + ".*?".join(map(re.escape, text.split("…"))) + r"(?!\w|[.,]\d)")
    found = sum(len(pattern.findall(piece)) for piece in pieces(page))
    if found == 0:
        shared = [difflib.SequenceMatcher(None, text, piece, autojunk=False).find_longest_match().size for piece in pieces(page)]
        raise AssertionError(f"the page {page} does not say\n{text}\nbut\n{pieces(page)[shared.index(max(shared))]}")
    assert found == 1, f"the page {page} says {found} times\n{text}"
