"""Progress bars, and lines that several scripts print."""

import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib.ticker import EngFormatter
from tqdm import tqdm

from memristive.cli.options import table
from memristive.io.files import check_overwriting, report, write_file
from memristive.network.closed_form import hebbian_state
from memristive.network.energy import HIGHEST
from memristive.network.setup import Setup

T = TypeVar("T")


def progress(steps: Iterable[T], total: int, description: str, unit: str) -> "tqdm[T]":
    """Return `steps` with a progress bar on a terminal, shown after two seconds."""
    return tqdm(steps, total=total, desc=description, unit=unit, delay=2, dynamic_ncols=True, leave=False, disable=None)


def print_rows(rows: Sequence[Mapping[str, Any]], drop: Sequence[str] = ()) -> None:
    """Print the rows of a record as a table without the columns in `drop`; nothing if there are no rows."""
    import pandas as pd  # here: the import takes half a second

    if rows:
        print(pd.DataFrame(rows).drop(columns=list(drop)).to_string(index=False, float_format="{:.4g}".format, na_rep=""))


def print_energy(what: str, energy: Mapping[str, float], note: str = "") -> None:
    """Print the energies in J that `energy.read_energy` or `write_energy` measured."""
    if math.isnan(energy["inputs"]):
        print(f"energy of {what}: unknown above {HIGHEST:g} V, where the channels' junctions conduct")
        return
    joules = EngFormatter("J", places=2)
    columns = f", {joules(energy['columns'])} from the columns" if "columns" in energy else ""
    print(f"energy of {what}: {joules(energy['inputs'])} from the inputs, {joules(energy['phi'])} from phi{columns} "
          f"(op-amps and transconductances are ideal and not counted{note})")


def write_netlist(path: Path | None, text: Callable[[], str], force: bool, others: Iterable[str | Path | None] = ()) -> None:
    """Write a netlist if the user gave a path; print how to run it.

    `text` returns the netlist and is called only then, because that of a large network takes seconds. `others`: as in
    `check_overwriting`.
    """
    if path is not None:
        check_overwriting(path, None, force, others)
        write_file(path, text())
        report(f"wrote {path}; run it with: ngspice -b {shlex.quote(str(path))}")


def print_training(setup: Setup, labels: Sequence[str], patterns: np.ndarray, states: np.ndarray, seconds: float) -> None:
    """Print the range of trained states of each class, beside what the closed form or the devices' curves predict.

    States of two-terminal devices are printed as shares of the conductance range, because the curves predict these.
    """
    def limits(cells: np.ndarray) -> str:
        return f"{cells.min():{form}} to {cells.max():{form}}" if len(cells) else "-"

    array, columns, form = setup.array, {"X/V": states}, ".4f"
    if array:
        columns, form = {"simulated": array.shares(states), "expected": array.trained(patterns)}, "z.1%"
    rows = []
    for j, (label, pattern) in enumerate(zip(labels, patterns, strict=True)):
        row: list[object] = [label]
        for pixels in (pattern > 0, pattern == 0):
            row += [int(pixels.sum()), *(limits(values[j][pixels]) for values in columns.values())]
        rows.append(row)
    shares = ": shares of the conductance range" if array else ""
    print(f"trained {states.shape[0]} x {states.shape[1]} cells in {seconds:.2f} s{shares}")
    print(table(("class", "on", *columns, "off", *columns), rows))
    if array:
        return
    print(f"closed form for a full pixel, with edges, leak and offset: {hebbian_state(setup):.4f} V; "
          f"time constant of the leak: {setup.memristor.write_time_constant:.3g} s")


def print_decisions(labels: Sequence[str], decisions: Sequence[str], spikes: np.ndarray, leads: Sequence[float]) -> None:
    """Print the decision, first spike time and lead of each presented pattern."""
    def microseconds(seconds: float) -> str:
        return "fires alone" if math.isinf(seconds) else "-" if math.isnan(seconds) else f"{seconds * 1e6:.3f}"

    firsts = [np.nan if np.isnan(times).all() else float(np.nanmin(times)) for times in spikes]
    print(table(("pattern", "decision", "first spike/us", "lead/us"),
                [(label, decision, microseconds(first), microseconds(lead))
                 for label, decision, first, lead in zip(labels, decisions, firsts, leads, strict=True)]))


def print_scores(scores: Mapping[str, Any], labels: Sequence[str]) -> None:
    """Print the scores that `scores.summary` computed, one a line, with the names of the classes."""
    def percent(share: float) -> str:
        return "-" if np.isnan(share) else f"{share:.1%}"

    low, high = scores["strict_interval_95"]
    rows = [("images", str(scores["samples"])),
            ("strict accuracy", f"{scores['strict_accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})")]
    if "paper_rule_accuracy" in scores:
        rows += [("paper's rule", f"{scores['paper_rule_accuracy']:.2%}"),
                 ("paper's rule, first 100", f"{scores['paper_rule_first_100']:.0%}")]
    rows += [("top-3 accuracy", f"{scores['top3_accuracy']:.2%}"),
             ("silent", str(scores["silent"])),
             ("tied", f"{scores['tied']} (lead up to {scores['resolution'] * 1e6:.3g} us)"),
             ("recall by class", "  ".join(f"{label}: {percent(value)}"
                                           for label, value in zip(labels, scores["recall"], strict=True)))]
    if "equal_templates" in scores:
        rows.append(("two best templates equal", f"{scores['equal_templates']:.2%} of the images: tied or silent"))
    print(table(("score", "value"), rows))
    if "read_energy" in scores:
        print_energy("presenting the first image", scores["read_energy"])
