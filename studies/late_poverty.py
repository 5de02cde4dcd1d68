"""Cost of a poor capacitor in a synapse that writes late: leak, spread, offset, pulses at a time.

One layer of one pair learns MNIST's grey 10x10 images. All settings are those of
`memristive.learning.build`, except one property of the synapses, which is varied: the share that
they forget with each presentation, the spread of the dose at which they are due, the offset of
their windows, or the pulses for which they wait. The last series is a passive array, in which each
pulse moves half-selected cells by the share r of a step. There late writes are compared with
fractions that are rounded at random.

Closed form, strict accuracy on all test images. Writes results/devices/late_poverty.json and
figures/late_poverty.png in four minutes on two cores. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.measured_device import device_record, load_device
from memristive.learning.training import Learning, train
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts
from plotting import COLOURS, WIDTH, over_seeds
from studies.device_learning import DeviceRun

DEVICES = ("pcmo", "epiram", "taox-hfox")
HALF_SELECTED = "half-selected"
# Fields of `PulseWrites` and their values. A share of 1e-4 is a time constant of 10,000
# presentations.
SERIES: dict[str, tuple[float, ...]] = {
    "late_forget": (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2),
    "late_spread": (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    "late_offset": (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    "late_pulses": (1, 2, 4, 8, 16),
    HALF_SELECTED: (0.0, 0.02, 0.05, 0.1, 0.2),
}
LABELS = {
    "late_forget": "forgotten in a presentation",
    "late_spread": "spread of the limits",
    "late_offset": "offset of the windows",
    "late_pulses": "pulses at a time",
    HALF_SELECTED: "r of half-selected cells",
}


@dataclass(frozen=True)
class ChangedRun:
    """Training of a `run` in which some fields of `PulseWrites` (`changes`) and of the rule
    (`rule_changes`) have other values: the point `value` of a `series`.
    """

    run: DeviceRun
    series: str
    value: float | str
    changes: dict[str, Any]
    rule_changes: dict[str, Any] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        """Train and test the network; return its accuracy and the pulses of a cell as a row of the
        record.
        """
        network, rule = self.run.prepared()
        assert network.pulses
        pulses = dataclasses.replace(network.pulses, **self.changes)
        # as many as with late writes
        presentations = dataclasses.replace(self.run, late=True).presentations
        rule = dataclasses.replace(rule, presentations=presentations, **self.rule_changes)
        learning = Learning.start(dataclasses.replace(network, pulses=pulses), rule)
        counts, dataset = no_counts(network), self.run.dataset
        for _ in train(learning, rule, *dataset.training, counts=counts):
            pass
        spikes = learning.network.first_spikes(dataset.test.levels)
        return {
            "device": self.run.device,
            "layers": self.run.layers,
            "late": self.run.late,
            "seed": self.run.seed,
            "series": self.series,
            "value": self.value,
            "strict_accuracy": score_row(dataset.test.labels, spikes)["strict_accuracy"],
            "pulses_per_cell": float(
                np.concatenate([of.sum(axis=0).ravel() for of in counts.pulses]).mean()
            ),
        }


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    points = [(True, name, value) for name in SERIES for value in SERIES[name]]
    points += [(False, HALF_SELECTED, r) for r in SERIES[HALF_SELECTED]]
    runs = [
        ChangedRun(DeviceRun(device, seed=seed, late=late), name, value, changed(name, value))
        for device in DEVICES
        for seed in range(1, options.seeds + 1)
        for late, name, value in points
    ]
    record = Record(
        options,
        "late_poverty",
        {
            "devices": {name: device_record(load_device(name)) for name in DEVICES},
            "seeds": options.seeds,
            "series": SERIES,
        },
    )
    rows = record.run_tasks(ChangedRun.result, runs, [1] * len(runs))
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    print_means(table)
    record.plot(poverty_figure(table))


def print_means(table: pd.DataFrame) -> None:
    """Print means over the seeds for each point of each series."""
    points = ["device", "layers", "late", "series", "value"]
    means = table.groupby(points, sort=False).mean(numeric_only=True).drop(columns="seed")
    print_rows(
        [
            {str(name): value for name, value in row.items()}
            for row in means.reset_index().to_dict("records")
        ]
    )


def changed(name: str, value: float) -> dict[str, Any]:
    """Return the fields of `PulseWrites` that change at a point of a series: the property `name`
    has the `value`. A synapse that gets several pulses at a time also waits for as many.
    """
    if name == HALF_SELECTED:
        return {"disturb_up": value, "disturb_down": value}
    return {"late": value, name: int(value)} if name == "late_pulses" else {name: value}


def poverty_figure(table: pd.DataFrame) -> Figure:
    """Draw accuracy, and below it pulses a cell, over each property of the capacitors: means over
    the seeds, and bars from the lowest to the highest.
    """
    figure, axes = plt.subplots(2, len(SERIES), figsize=(WIDTH * 1.25, 4.6), sharex="col")
    for axis in axes[0, 1:-1]:  # the last one falls much lower
        axis.sharey(axes[0, 0])
    for axis in axes[1, 1:]:
        axis.sharey(axes[1, 0])
    table = table.assign(accuracy=100 * table.strict_accuracy)
    axes[0, -1].set_title("(another scale)")
    for column, name in zip(axes.T, SERIES, strict=True):
        found = table[table.series == name]
        for device, colour in zip(DEVICES, COLOURS, strict=False):
            for late, style, fill in ((True, "o-", colour), (False, "o--", "white")):
                runs = found[(found.device == device) & (found.late == late)].groupby("value")
                x = np.array(list(runs.groups), float)
                look = {"fmt": style, "color": colour, "markerfacecolor": fill, "markersize": 5}
                label = device if late else f"{device}, rounded"
                over_seeds(column[0], x, runs.accuracy, label=label, **look)
                over_seeds(column[1], x, runs.pulses_per_cell, **look)
        if name == "late_forget":
            column[0].set_xscale("symlog", linthresh=1e-5)
        elif name == "late_pulses":
            column[0].set_xscale("log", base=2)
            column[1].xaxis.set_major_formatter("{x:g}")
        column[1].set_yscale("log")
        column[1].set_xlabel(LABELS[name])
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel("pulses a cell")
    figure.legend(
        *axes[0, -1].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=6,
        title=f"means of {table.seed.nunique()} seeds, bars: lowest to highest",
    )
    return figure


if __name__ == "__main__":
    run(main)
