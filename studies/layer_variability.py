"""Do two layers survive a chip whose devices differ? Ex situ (carried to the chip) against in situ (learned on it), MNIST 10x10.

Device-to-device spread of cells (gain and write gain) and of neurons (threshold), reference columns included, as in
studies/device_variability.py for one layer. Trained and tested in closed form. On chip 1 at 2 and 10 % ngspice reads the first
test images too (--ngspice). Writes results/imperfect_layers.json and figures/imperfect_layers.png. 5 minutes on two cores.
Ctrl-C saves a checkpoint for --resume.
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
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, apply_settings, make_parser
from memristive.cli.parallel import run_resumable
from memristive.cli.progress import print_rows
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.multilayer.clipping import warn_of_layers
from memristive.multilayer.layer_network import LayeredNetwork, initial_network
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.ngspice_trainer import read_in_ngspice
from memristive.single_layer.engines import CLOSED_FORM
from memristive.single_layer.scores import decide, largest_deviation
from memristive.single_layer.spike_decoding import RESOLUTION
from memristive.variability.chip import Chip
from plotting import GREY, WIDTH
from studies.device_variability_figures import ROUTES, band, with_ideal
from studies.layer_experiments import accuracy_summary, layered_dataset, learn, network_on_chip, score_row

RULE = LayeredRule(presentations=300_000)
SPREADS = (0.01, 0.02, 0.05, 0.1, 0.2)
IN_NGSPICE = (0.02, 0.1)  # spreads at which ngspice reads chip 1


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
        Test images that the closed form reads.
    in_ngspice : int
        Test images that ngspice reads as well.
    """

    spread: float
    seed: int
    rule: LayeredRule
    hidden: int
    states: tuple[np.ndarray, ...] | None = None
    samples: int = 10_000
    in_ngspice: int = 0

    def network(self) -> LayeredNetwork:
        """Return the network on its chip, trained there or with the carried states."""
        training, s = layered_dataset("mnist").training, self.spread
        chip = Chip(cell_gain=s, cell_write_gain=s, neuron_threshold=s, seed=self.seed) if s else None
        network = network_on_chip(initial_network((self.hidden,), 10, training.levels, self.rule), chip)
        if self.states is not None:
            return dataclasses.replace(network, states=self.states)
        return learn(network, self.rule, training, bar=not self.spread).network


def main(arguments: list[str] | None = None) -> None:
    """Train an ideal network, carry it to all chips, train on all chips, plot."""
    parser = add_jobs(add_resume(make_parser(__doc__)))
    parser.add_number("--hidden", 1, 10_000, 100, "hidden neurons")
    parser.add_number("--chips", 1, 1000, 5, "chips of each spread")
    parser.add_number("--ngspice", 0, 10_000, 100, "test images that ngspice reads on chip 1 at 2 and 10 %%")
    parser.add_number("--samples", 1, 10_000, 10_000, "only the first N test images")
    options = parser.parse_args(arguments)
    (rule,) = apply_settings(options, rule=RULE)
    record = options.results / "imperfect_layers.json"
    parameters = {"dataset": "mnist", "spreads": SPREADS, "chips": options.chips, "hidden": options.hidden,
                  "samples": options.samples, "ngspice": options.ngspice, "learning": rule.as_dict(), "engine": CLOSED_FORM}
    check_overwriting(record, parameters, options.force)

    # 1. An ideal chip, whose states are carried to the others.
    ideal, test = Task(0.0, 0, rule, options.hidden).network(), layered_dataset("mnist").test
    images, labels = test.levels[:options.samples], test.labels[:options.samples]
    warn_of_layers(ideal, images)
    ideal_accuracy = score_row(labels, ideal.first_spikes(images))["strict_accuracy"]

    # 2. All chips, with the states of the ideal one and with a training of their own.
    tasks = [Task(spread, seed, rule, options.hidden, states, options.samples,
                  options.ngspice * (seed == 1 and spread in IN_NGSPICE))
             for spread in SPREADS for states in (ideal.states, None) for seed in range(1, options.chips + 1)]
    sizes = [rule.presentations if task.states is None else 1 for task in tasks]
    found = run_resumable(evaluate, tasks, sizes, options, record, parameters)
    rows, in_ngspice = [one["row"] for one in found], [one["in_ngspice"] for one in found if one["in_ngspice"]]

    # 3. Save, print, plot.
    spreads = accuracy_summary(rows, "chips", "spread", "route")
    write_results(record, parameters, {"ideal_strict_accuracy": ideal_accuracy, "rows": rows, "summary": spreads,
                                       "in_ngspice": in_ngspice}, ngspice=bool(in_ngspice))
    print(f"an ideal chip: {ideal_accuracy:.2%}")
    print_rows(spreads)
    print_rows(in_ngspice)
    plotting.save(spread_figure(spreads, ideal_accuracy), options.figures / "imperfect_layers.png")


def evaluate(task: Task) -> dict[str, Any]:
    """Return the scores of a network, and those by ngspice for its first `task.in_ngspice` images. Runs in a worker."""
    network, test = task.network(), layered_dataset("mnist").test
    chip = {"spread": task.spread, "seed": task.seed, "route": "in situ" if task.states is None else "ex situ"}
    exact = network.first_spikes(test.levels[:task.samples])
    found: dict[str, Any] = {"row": {**chip, **score_row(test.labels[:task.samples], exact)}, "in_ngspice": None}
    if task.in_ngspice:
        images, labels = test.levels[:task.in_ngspice], test.labels[:task.in_ngspice]
        exact, simulated = network.first_spikes(images), np.array(list(read_in_ngspice(network, images)))
        decisions = [decide(spikes, RESOLUTION)[0] for spikes in (simulated, exact)]
        found["in_ngspice"] = {**chip, **score_row(labels, simulated),
                               "closed_form_strict_accuracy": score_row(labels, exact)["strict_accuracy"],
                               "decided_differently": int(np.sum(decisions[0] != decisions[1])),
                               "largest_deviation_s": largest_deviation(simulated, exact, network.design.window)}
    return found


def spread_figure(rows: list[dict[str, Any]], ideal: float) -> Figure:
    """Draw accuracy against spread: the mean of the chips as a line, lowest to highest as a band."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    table = pd.DataFrame(rows).rename(columns={"mean": "accuracy_mean", "lowest": "accuracy_low", "highest": "accuracy_high"})
    for route in ("in situ", "ex situ"):
        colour, dashes, label = ROUTES[route]
        band(axis, with_ideal(table[table.route == route], "spread", ideal), "spread", 100, color=colour, linestyle=dashes,
             markersize=4, label=label)
    axis.axhline(100 * ideal, color=GREY, linewidth=0.8, zorder=0)
    axis.set(xlabel="spread of cells and thresholds (%)", ylabel="strict test accuracy (%)", ylim=(0, 100),
             title=f"Two layers on chips that differ (bands: lowest to highest of {rows[0]['chips']} chips)")
    axis.grid(alpha=0.3)
    axis.set_xticks([0, *(100 * spread for spread in SPREADS)])
    axis.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    from studies import layer_variability  # workers import what they run

    sys.exit(run(layer_variability.main))
