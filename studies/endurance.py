"""Trainings of a network whose cells wear out, one after the other.

One layer of pairs learns MNIST's grey 10x10 images again and again, each time from a new random
start and in another order. A cell sticks where it is after its number of pulses: log-normal, with a
mean of 200 and a spread of half of it. Devices endure more; the number of trainings grows in
proportion. Synapses write late, or round their doses at random at once. Cells have the steps and
the noise of the preset epiram.

Closed form, strict accuracy on all test images. Writes results/devices/drift_endurance.json and
figures/drift_endurance.png. Two minutes on one core. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.datasets import matching_dataset
from memristive.devices.measured_device import device_record, load_device
from memristive.learning.build import build
from memristive.network.chip import Chip
from memristive.plotting import COLOURS, WIDTH, over_seeds
from memristive.scores.decisions import score_row
from studies.drift import learned

ENDURANCE, SPREAD = 200.0, 0.5
TRAININGS, PRESENTATIONS = 12, 30_000
WAYS = {"late": True, "at once": False}


@dataclass(frozen=True)
class EnduranceRun:
    """Trainings of one network, one after the other, on the chip number `seed`; `way`: a key of
    `WAYS`.
    """

    way: str
    seed: int

    def result(self) -> list[dict[str, Any]]:
        """Return a row of the record for each training."""
        device = dataclasses.replace(
            load_device("epiram"), endurance=ENDURANCE, endurance_spread=SPREAD
        )
        dataset, rows, network = matching_dataset("mnist"), [], None
        for number in range(1, TRAININGS + 1):
            start, rule = build(
                dataset.training.levels,
                10,
                device=device,
                late=WAYS[self.way],
                chip=Chip(seed=self.seed),
                presentations=PRESENTATIONS,
                seed=100 * self.seed + number,
            )
            if network:
                worn = network.layers[0].write_gains == 0
                states = np.where(worn, network.states[0], start.states[0])
                start = dataclasses.replace(network, states=(states,), held=())
            network, pulses = learned(start, rule, dataset.training)
            stuck = float((network.layers[0].write_gains == 0).mean())
            score = score_row(dataset.test.labels, network.first_spikes(dataset.test.levels))
            rows.append(
                {
                    **dataclasses.asdict(self),
                    "training": number,
                    "pulses_per_cell": pulses,
                    "stuck": stuck,
                    "strict_accuracy": score["strict_accuracy"],
                }
            )
        return rows


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    runs = [EnduranceRun(way, seed) for way in WAYS for seed in range(1, options.seeds + 1)]
    record = Record(
        options,
        "drift_endurance",
        {
            "device": device_record(load_device("epiram")),
            "endurance": ENDURANCE,
            "spread": SPREAD,
            "presentations": PRESENTATIONS,
            "seeds": options.seeds,
        },
    )
    found = record.run_tasks(EnduranceRun.result, runs, [TRAININGS] * len(runs))
    rows = [row for of_run in found for row in of_run]
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    means = table.groupby(["way", "training"], sort=False).mean(numeric_only=True).reset_index()
    shown = [{str(name): value for name, value in row.items()} for row in means.to_dict("records")]
    print_rows(shown, drop=["seed"])
    record.plot(endurance_figure(table))


def endurance_figure(table: pd.DataFrame) -> Figure:
    """Draw accuracy and the share of worn cells over the number of trainings: means over the seeds,
    and bars from the lowest to the highest.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharex=True)
    table = table.assign(accuracy=100 * table.strict_accuracy, worn=100 * table.stuck)
    for way, colour in zip(WAYS, COLOURS, strict=False):
        found = table[table.way == way].groupby("training")
        for axis, values in zip(axes, (found.accuracy, found.worn), strict=True):
            over_seeds(axis, np.array(list(found.groups), float), values, color=colour, label=way)
    for axis, label in zip(axes, ("test accuracy (%)", "worn cells (%)"), strict=True):
        axis.set(xlabel="trainings", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    return figure


if __name__ == "__main__":
    run(main)
