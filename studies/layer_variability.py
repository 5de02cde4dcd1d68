"""Do two layers survive a chip whose devices differ? Ex situ (carried to the chip) against in situ (learned on it), MNIST 10x10.

Device-to-device spread of cells (gain and write gain) and of neurons (threshold), reference columns included, as in
studies/device_variability.py for one layer. Trained and tested in closed form. Writes results/imperfect_layers.json and
figures/imperfect_layers.png. 5 minutes on two cores. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import plotting
from datasets import matching_dataset
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, apply_settings, make_parser
from memristive.cli.parallel import run_resumable
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.learning.layered_training import initial_network, learn_layers
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip
from memristive.network.clipping import warn_of_layers
from memristive.network.layers import LayeredNetwork, network_on_chip
from memristive.network.scores import score_row
from memristive.network.setup import CLOSED_FORM
from plotting import GREY, WIDTH
from studies.device_variability_figures import ROUTES, band, with_ideal

RULE = LayeredRule(presentations=300_000)
SPREADS = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Task:
    """A network on a chip.

    Parameters
    ----------
    spread : float
        Relative spread of cells and thresholds; 0: an ideal chip.
    seed : int
        Seed of the chip.
    rule : LayeredRule
    hidden : int
    states : tuple of arrays, V, optional
        States that are carried to the chip; None: the network learns on the chip.
    samples : int
        Number of test images.
    """

    spread: float
    seed: int
    rule: LayeredRule
    hidden: int
    states: tuple[np.ndarray, ...] | None = None
    samples: int = 10_000

    def network(self) -> LayeredNetwork:
        """Return the network on its chip, trained there or with the carried states."""
        training, s = matching_dataset("mnist").training, self.spread
        chip = Chip(cell_gain=s, cell_write_gain=s, neuron_threshold=s, seed=self.seed) if s else None
        network = network_on_chip(initial_network((self.hidden,), 10, training.levels, self.rule), chip)
        if self.states is not None:
            return dataclasses.replace(network, states=self.states)
        return learn_layers(network, self.rule, training.levels, training.labels).network


def main(arguments: list[str] | None = None) -> None:
    """Train an ideal network, carry it to all chips, train on all chips, plot."""
    parser = add_jobs(add_resume(make_parser(__doc__)))
    parser.add_number("--hidden", 1, 10_000, 100, "hidden neurons")
    parser.add_number("--chips", 1, 1000, 5, "chips of each spread")
    parser.add_number("--samples", 1, 10_000, 10_000, "only the first N test images")
    options = parser.parse_args(arguments)
    (rule,) = apply_settings(options, rule=RULE)
    record = options.results / "imperfect_layers.json"
    parameters = {"dataset": "mnist", "spreads": SPREADS, "chips": options.chips, "hidden": options.hidden,
                  "samples": options.samples, "learning": rule.as_dict(), "engine": CLOSED_FORM}
    check_overwriting(record, parameters, options.force)

    # 1. An ideal chip, whose states are carried to the others.
    ideal, test = Task(0.0, 0, rule, options.hidden).network(), matching_dataset("mnist").test
    images, labels = test.levels[:options.samples], test.labels[:options.samples]
    warn_of_layers(ideal, images)
    ideal_accuracy = score_row(labels, ideal.first_spikes(images))["strict_accuracy"]

    # 2. All chips, with the states of the ideal one and with a training of their own.
    tasks = [Task(spread, seed, rule, options.hidden, states, options.samples)
             for spread in SPREADS for states in (ideal.states, None) for seed in range(1, options.chips + 1)]
    sizes = [rule.presentations if task.states is None else 1 for task in tasks]
    rows = run_resumable(evaluate, tasks, sizes, options, record, parameters)

    # 3. Save, print, plot.
    accuracies = pd.DataFrame(rows).groupby(["spread", "route"]).strict_accuracy
    spreads = accuracies.agg(chips="size", mean="mean", lowest="min", highest="max").reset_index()
    results = {"ideal_strict_accuracy": ideal_accuracy, "rows": rows, "summary": spreads.to_dict("records")}
    write_results(record, parameters, results, ngspice=False)
    print(f"an ideal chip: {ideal_accuracy:.2%}")
    print(spreads.to_string(index=False))
    plotting.save(spread_figure(spreads, ideal_accuracy), options.figures / "imperfect_layers.png")


def evaluate(task: Task) -> dict[str, Any]:
    """Return the scores of a network. Runs in a worker."""
    network, test = task.network(), matching_dataset("mnist").test
    return {"spread": task.spread, "seed": task.seed, "route": "in situ" if task.states is None else "ex situ",
            **score_row(test.labels[:task.samples], network.first_spikes(test.levels[:task.samples]))}


def spread_figure(spreads: pd.DataFrame, ideal: float) -> Figure:
    """Draw accuracy against spread: the mean of the chips as a line, lowest to highest as a band."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    table = spreads.rename(columns={"mean": "accuracy_mean", "lowest": "accuracy_low", "highest": "accuracy_high"})
    for route in ("in situ", "ex situ"):
        colour, dashes, label = ROUTES[route]
        band(axis, with_ideal(table[table.route == route], "spread", ideal), "spread", 100, color=colour, linestyle=dashes,
             markersize=4, label=label)
    axis.axhline(100 * ideal, color=GREY, linewidth=0.8, zorder=0)
    axis.set(xlabel="spread of cells and thresholds (%)", ylabel="strict test accuracy (%)", ylim=(0, 100),
             title=f"Two layers on chips that differ (bands: lowest to highest of {spreads.chips[0]} chips)")
    axis.grid(alpha=0.3)
    axis.set_xticks([0, *(100 * spread for spread in SPREADS)])
    axis.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    from studies import layer_variability  # workers import what they run

    sys.exit(run(layer_variability.main))
