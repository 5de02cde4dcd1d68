"""1T1R cells whose gate voltage sets the level: how often must a device be written?

X of each cell is its gate voltage, which the error rule moves. A device gets RESET and SET when X
has moved by a step since its last write (docs/writes_gate.md). One layer of one pair of the cells
of C. Li et al. (preset li-1t1r) learns MNIST's grey 10x10 images. All settings are those of
`memristive.learning.build`, except one property, which is varied: the step, the scatter of a write,
the share of stuck cells, or the leak of X towards the middle of its range or towards 0 V. Scatter
and stuck cells are also tried with a write at each dose, as in the published chip. Networks of
64-54-10 neurons learn 8x8 images, as that chip did.

Closed form, strict accuracy on all test images. Writes results/devices/gate_commit.json and
figures/gate_commit.png in five minutes on two cores. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from datasets import matching_dataset
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.measured_device import GATE_DEVICES, device_record
from memristive.learning.build import build
from memristive.learning.training import Learning, train
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts
from plotting import COLOURS, WIDTH, over_seeds

LI, WANG = "li-1t1r", "wang-1t1r"
PRESENTATIONS = {10: 100_000, 8: 200_000}  # of images of 10x10 and of 8x8 pixels
HIDDEN = {10: (), 8: (54,)}
PUBLISHED = 0.9171  # Li et al., 8x8 images, 64-54-10
# Shares of the range of gate voltages (step), of the range of conductance (scatter), of the cells,
# and of X - rest in one presentation (leak).
SERIES: dict[str, tuple[float, ...]] = {
    "step": (0.0, 0.01, 0.02, 0.04, 0.08, 0.12, 0.2),
    "scatter": (0.0, 0.02, 0.045, 0.09, 0.15),
    "stuck": (0.0, 0.05, 0.11, 0.2, 0.3),
    "leak": (0.0, 1e-7, 1e-6, 1e-5, 1e-4),
}
LABELS = {
    "step": "step of X before a write",
    "scatter": "scatter of a write",
    "stuck": "stuck cells",
    "leak": "leak in a presentation",
}
LOWEST = 82  # % in the figure; a strong leak leaves less
WAITS, AT_ONCE, TO_GROUND = WAYS = ("with a step", "at each dose", "leak towards 0 V")


@dataclass(frozen=True)
class GateRun:
    """Training of a network of the preset `device` on images of `size` x `size` pixels. The
    property `series` has the `value`; in the series "usual" none is changed. `way` is one of
    `WAYS`.
    """

    device: str = LI
    size: int = 10
    seed: int = 1
    way: str = WAITS
    series: str = "usual"
    value: float = 0.0

    def result(self) -> dict[str, Any]:
        """Train and test the network; return its accuracy and the writes of a cell as a row of the
        record.
        """
        device, dataset = GATE_DEVICES[self.device], matching_dataset("mnist", self.size)
        if self.series == "scatter":
            device = dataclasses.replace(device, write_noise=self.value)
        if self.series == "stuck":
            device = dataclasses.replace(device, stuck=self.value)
        network, rule = build(
            dataset.training.levels,
            10,
            HIDDEN[self.size] or None,
            device,
            presentations=PRESENTATIONS[self.size],
            seed=self.seed,
        )
        pulses = network.pulses
        assert pulses
        changes: dict[str, Any] = {}
        if self.series == "step":
            changes["gate_step"] = self.value * (device.gate_high - device.gate_low)
        if self.series == "leak":
            changes["late_forget"] = self.value
        if self.way == AT_ONCE:
            changes["gate_step"] = 0.0
        if self.way == TO_GROUND:
            changes["gate_rest"] = 0.0
        network = dataclasses.replace(network, pulses=dataclasses.replace(pulses, **changes))
        learning, counts = Learning.start(network, rule), no_counts(network)
        for _ in train(learning, rule, *dataset.training, counts=counts):
            pass
        spikes = learning.network.first_spikes(dataset.test.levels)
        written = np.concatenate([of_layer.sum(axis=0).ravel() for of_layer in counts.pulses])
        return {
            **dataclasses.asdict(self),
            "strict_accuracy": score_row(dataset.test.labels, spikes)["strict_accuracy"],
            "writes_per_cell": float(written.mean()),
        }


def all_runs(seeds: int) -> list[GateRun]:
    """Return all trainings of the study, each once for every seed from 1 to `seeds`."""
    points = [GateRun(), GateRun(way=AT_ONCE), GateRun(WANG), GateRun(WANG, way=AT_ONCE)]
    points += [GateRun(series=name, value=x) for name in SERIES for x in SERIES[name]]
    points += [
        GateRun(series=name, value=x, way=AT_ONCE)
        for name in ("scatter", "stuck")
        for x in SERIES[name]
    ]
    points += [GateRun(series="leak", value=x, way=TO_GROUND) for x in SERIES["leak"]]
    points += [GateRun(size=8), GateRun(size=8, way=AT_ONCE)]
    return [
        dataclasses.replace(point, seed=seed) for point in points for seed in range(1, seeds + 1)
    ]


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    runs = all_runs(options.seeds)
    record = Record(
        options,
        "gate_commit",
        {
            "devices": {name: device_record(device) for name, device in GATE_DEVICES.items()},
            "seeds": options.seeds,
            "presentations": PRESENTATIONS,
            "series": SERIES,
        },
    )
    rows = record.run_tasks(
        GateRun.result, runs, [PRESENTATIONS[task.size] * (10 - task.size + 1) for task in runs]
    )
    record.write({"published_accuracy": PUBLISHED, "rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    means = table.groupby(["device", "size", "way", "series", "value"], sort=False)
    print_rows(
        [
            {str(name): value for name, value in row.items()}
            for row in means.mean(numeric_only=True).reset_index().to_dict("records")
        ],
        drop=["seed"],
    )
    record.plot(commit_figure(table))


def commit_figure(table: pd.DataFrame) -> Figure:
    """Draw accuracy, and below it writes of a cell, over each property: means over the seeds, and
    bars from the lowest to the highest.
    """
    figure, axes = plt.subplots(
        2, len(SERIES), figsize=(WIDTH * 1.25, 4.6), sharex="col", sharey="row"
    )
    table = table.assign(accuracy=100 * table.strict_accuracy)
    for column, name in zip(axes.T, SERIES, strict=True):
        for way, colour in zip(WAYS, COLOURS, strict=False):
            found = table[(table.series == name) & (table.way == way)].groupby("value")
            x = 100 * np.array(list(found.groups), float)
            over_seeds(column[0], x, found.accuracy, color=colour, label=way)
            over_seeds(column[1], x, found.writes_per_cell, color=colour)
        if name == "leak":
            column[0].set_xscale("symlog", linthresh=1e-5)
            column[1].set_xticks([0.0, 1e-5, 1e-3], ["0", "$10^{-5}$", "$10^{-3}$"])
        column[1].set_yscale("log")
        column[1].set_xlabel(f"{LABELS[name]} (%)")
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel("writes of a cell")
    axes[0, 0].set_ylim(LOWEST, 100 * table.strict_accuracy.max() + 0.5)
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        title=f"means of {table.seed.nunique()} seeds, bars: lowest to highest",
    )
    return figure


if __name__ == "__main__":
    run(main)
