"""Write all tables in the documents from the records in results/: python -m tools.tables

A table stands between the lines <!-- table: NAME --> and <!-- end -->, and NAME is a function in `TABLES`.
"""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memristive.io.files import to_json, write_file
from memristive.io.predictions import load_decisions
from memristive.io.results import load_results

RESULTS = Path("results")
QUICK = RESULTS / "quick"  # of a quick reproduction: fewer images in ngspice
PAPER = {"xpue": "100 %", "012345": "100 %", "mnist": "100 %", "test": "60 % of 100"}  # Jurj 2024, section 4


@dataclass(frozen=True)
class Network:
    """A network whose MNIST test is in the results table."""

    name: str  # of its voltages file
    title: str
    rule: str
    encoding: str
    engine: str = "ngspice"  # that trained
    seed: int = 1


def _networks() -> list[Network]:
    found = [Network("mnist", "Hebbian", "hebbian", "binary")]
    for encoding, ending in (("binary", ""), ("grey", "_grey")):
        found.append(Network(f"mnist_ex_situ{ending}", f"logistic regression's weights, {encoding}", "ex-situ", encoding))
        for engine, stem in (("ngspice", "error_driven"), ("closed-form", "closed_form")):
            for seed in (1, 2, 3):
                name = f"mnist_{stem}{ending}" + f"_seed_{seed}" * (seed > 1)
                title = f"learned from errors in {'ngspice' if engine == 'ngspice' else 'closed form'}, {encoding}"
                found.append(Network(name, title, "error-driven", encoding, engine, seed))
    return found


NETWORKS = _networks()


def markdown(heading: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as an aligned Markdown table."""
    cells = [[str(cell) for cell in row] for row in (heading, ["---"] * len(heading), *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(f"| {line} |" for line in lines)


def percent(share: float, digits: int = 2) -> str:
    """Return a share as text."""
    return f"{100 * share:.{digits}f} %"


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation of shares as text."""
    return f"{percent(np.mean(values))} ± {100 * np.std(values, ddof=1):.2f}"


def test_name(network: Network) -> str:
    """Return the stem of the records of a network's MNIST test."""
    return network.name.replace("mnist", "mnist_test", 1)


def in_ngspice(network: Network, ending: str = ".json") -> Path:
    """Return ngspice's record of a test: of all images if there is one, else of a quick reproduction."""
    paths = [folder / f"{test_name(network)}{ending}" for folder in (RESULTS, QUICK)]
    return next((path for path in paths if path.exists()), paths[0])


def write_agreement() -> None:
    """Count the images that the two engines decide differently, for each network, and write results/agreement.json."""
    counts = {}
    for network in NETWORKS:
        computed = load_decisions(RESULTS / f"{test_name(network)}_by_closed_form_decisions.csv.gz")["decision"]
        simulated = load_decisions(in_ngspice(network, "_decisions.csv.gz"))["decision"]
        both = min(len(computed), len(simulated))
        counts[network.name] = {"images": both, "otherwise": int((computed[:both] != simulated[:both]).sum())}
    write_file(RESULTS / "agreement.json", to_json(counts))


def results_table() -> str:
    """Return the MNIST results of all networks of one layer, the paper's training accuracies, and the best of two layers."""
    rows = []
    for name, title in (("xpue", "XPUE"), ("012345", "012345"), ("mnist", "MNIST templates")):
        accuracy = load_results(RESULTS / f"{name}_inference.json")["strict_accuracy"]
        rows.append((f"{title}, training patterns", PAPER[name], percent(accuracy), "", ""))
    hebbian = load_results(in_ngspice(NETWORKS[0]))
    rows += [("MNIST, first 100 test images, the paper's rule", PAPER["test"], percent(hebbian["paper_rule_first_100"]), "", ""),
             ("MNIST, Hebbian, the paper's rule", "", percent(hebbian["paper_rule_accuracy"]), "", "")]
    agreement = load_results(RESULTS / "agreement.json")
    for title in dict.fromkeys(network.title for network in NETWORKS):
        seeds = [network for network in NETWORKS if network.title == title]
        simulated = [load_results(in_ngspice(network)) for network in seeds]
        computed = [load_results(RESULTS / f"{test_name(network)}_by_closed_form.json") for network in seeds]
        means = [spread([found["strict_accuracy"] for found in both]) if len(both) > 1 else percent(both[0]["strict_accuracy"])
                 for both in (simulated, computed)]
        images, otherwise = (sum(agreement[network.name][key] for network in seeds) for key in ("images", "otherwise"))
        rows.append((f"MNIST, {title}", "", f"{means[0]} of {simulated[0]['samples']:,}", means[1], f"{otherwise} of {images:,}"))
    for encoding, ending in (("binary", ""), ("grey", "_grey")):
        software = load_results(RESULTS / f"mnist_ex_situ{ending}_training.json")["software_accuracy"]
        rows.append((f"MNIST, logistic regression in software, {encoding}", "", "", percent(software), ""))
    return markdown(("experiment, strict unless noted", "paper", "ngspice", "closed form", "decided differently"), rows)


TABLES: dict[str, Callable[[], str]] = {"results": results_table}


def write_tables(path: Path) -> bool:
    """Replace the tables in a Markdown file; return if it changed."""
    before = path.read_text(encoding="utf-8")
    after = re.sub(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}",
                   before, flags=re.DOTALL)
    if after != before:
        write_file(path, after)
    return after != before


def main() -> None:
    """Write the tables of README and docs/."""
    for path in [Path("README.md"), *sorted(Path("docs").glob("*.md"))]:
        if write_tables(path):
            print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
