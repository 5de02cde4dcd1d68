"""Cost of a poor capacitor in a synapse that writes late: leak, spread, offset, pulses at a time.

One layer of one pair learns MNIST's grey 10x10 images. From the settings of
`memristive.learning.build`, one property of the capacitors changes at a time: the share that they
forget with each presentation, the spread of the dose at which they are due, the offset of their
windows, and the pulses for which they wait. Another series keeps the remainder after each pulse, as
a digital memory does, and one rounds fractions of a pulse at random, without any memory.

Closed form, strict accuracy on all test images. Writes results/devices/late_poverty.json and
figures/late_poverty.png in three minutes on two cores. Ctrl-C saves a checkpoint for --resume.
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
from memristive.devices.measured_device import device_record, load_device
from memristive.learning.build import initial_network, learning_of
from memristive.learning.training import Learning, train
from memristive.network.decisions import score_row
from memristive.network.networks import no_counts
from plotting import COLOURS, WIDTH

DEVICES = ("pcmo", "epiram", "taox-hfox")
PRESENTATIONS = 100_000
# Fields of `PulseWrites` and their values. A share of 1e-4 is a time constant of 10,000
# presentations.
SERIES: dict[str, tuple[float, ...]] = {
    "late_forget": (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2),
    "late_spread": (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    "late_offset": (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    "late_pulses": (1, 2, 4, 8, 16),
}
LABELS = {
    "late_forget": "forgotten in a presentation",
    "late_spread": "spread of the limits",
    "late_offset": "offset of the windows",
    "late_pulses": "pulses at a time",
}
WAYS: dict[str, dict[str, float]] = {
    "late": {},
    "remainder kept": {"late_keeps": 1, "late_forget": 0.0, "late_spread": 0.0},
}


@dataclass(frozen=True)
class LateRun:
    """Training of one device and seed with `changes` of `PulseWrites`; None: rounded at random."""

    device: str
    seed: int
    series: str
    value: float | str
    changes: dict[str, float] | None

    def result(self) -> dict[str, Any]:
        """Return the accuracy and the pulses of a cell as a row of the record."""
        device, dataset = load_device(self.device), matching_dataset("mnist")
        made, rule = learning_of(device, 1, 1, late=self.changes is not None)
        made["pulses"] = dataclasses.replace(made["pulses"], **(self.changes or {}))
        rule = dataclasses.replace(rule, presentations=PRESENTATIONS, seed=self.seed)
        network = initial_network((), 10, dataset.training.levels, rule, **made)
        learning, counts = Learning.start(network, rule), no_counts(network)
        for _ in train(learning, rule, *dataset.training, counts=counts):
            pass
        spikes = learning.network.first_spikes(dataset.test.levels)
        return {
            "device": device.name,
            "seed": self.seed,
            "series": self.series,
            "value": self.value,
            "strict_accuracy": score_row(dataset.test.labels, spikes)["strict_accuracy"],
            "pulses_per_cell": float(counts.pulses[0].mean()),
        }


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    points: list[tuple[str, float | str, dict[str, float] | None]] = [
        ("way", "rounded at random", None)
    ]
    points += [("way", name, changes) for name, changes in WAYS.items()]
    points += [(name, value, changed(name, value)) for name in SERIES for value in SERIES[name]]
    runs = [
        LateRun(device, seed, *point)
        for device in DEVICES
        for seed in range(1, options.seeds + 1)
        for point in points
    ]
    record = Record(
        options,
        "late_poverty",
        {
            "devices": {name: device_record(load_device(name)) for name in DEVICES},
            "seeds": options.seeds,
            "presentations": PRESENTATIONS,
            "series": SERIES,
        },
    )
    rows = record.run_tasks(LateRun.result, runs, [PRESENTATIONS] * len(runs))
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    means = table.groupby(["device", "series", "value"], sort=False).mean(numeric_only=True)
    print_rows(
        [
            {str(name): value for name, value in row.items()}
            for row in means.reset_index().to_dict("records")
        ],
        drop=["seed"],
    )
    record.plot(poverty_figure(table))


def changed(name: str, value: float) -> dict[str, float]:
    """Return the changes of `PulseWrites` at a point of a series; a synapse waits for all pulses
    that it gets.
    """
    return {"late": value, name: int(value)} if name == "late_pulses" else {name: value}


def poverty_figure(table: pd.DataFrame) -> Figure:
    """Draw accuracy, and below it pulses a cell, over each property of the capacitors."""
    figure, axes = plt.subplots(
        2, len(SERIES), figsize=(WIDTH * 1.25, 4.6), sharex="col", sharey="row"
    )
    for column, name in zip(axes.T, SERIES, strict=True):
        found = table[table.series == name]
        for device, colour in zip(DEVICES, COLOURS, strict=False):
            means = found[found.device == device].groupby("value")
            x = np.array(list(means.groups), float)
            column[0].plot(x, 100 * means.strict_accuracy.mean(), "o-", color=colour, label=device)
            column[1].plot(x, means.pulses_per_cell.mean(), "o-", color=colour)
        if name == "late_forget":
            column[0].set_xscale("symlog", linthresh=1e-5)
        elif name == "late_pulses":
            column[0].set_xscale("log", base=2)
            column[1].xaxis.set_major_formatter("{x:g}")
        column[1].set_yscale("log")
        column[1].set_xlabel(LABELS[name])
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel("pulses a cell")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


if __name__ == "__main__":
    run(main)
