"""Can devices with one gradual direction learn, by late writes and by rounded ones?

Pairs of each preset with one gradual direction are refreshed when a cell runs out of room
(docs/devices.md). One layer learns MNIST of 10x10 pixels in 100,000 presentations, two layers
(400-100-10) in 120,000, and both learn scikit-learn's digits in 60,000. All settings follow from
the device (memristive.learning.build). Two layers that write rounded have one seed, because they
get so many pulses. Closed form, strict accuracy on all test images, with the
pulses and refreshes of a cell and the energy of all pulses.

Writes results/devices/one_sided.json and figures/one_sided.png in half an hour on two cores. Ctrl-C
saves a checkpoint for --resume.
"""

import dataclasses
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.accounting.dissipation import write_costs
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.measured_device import ONE_SIDED_DEVICES, MeasuredDevice, device_record
from memristive.learning.training import Learning, train
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts
from plotting import BLUE, GREY, VERMILLION, WIDTH
from studies.device_learning import DIGITS, MNIST, DeviceRun

BANDS = ((0.1, 0.9), (0.25, 0.75))  # quantiles between which the figure is filled


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    runs = [
        DeviceRun(device, layers, seed=seed, data=data, late=late)
        for data in (MNIST, DIGITS)
        for layers in (1, 2)
        for device in ONE_SIDED_DEVICES
        for late in (True, False)
        for seed in range(1, (options.seeds if late or layers == 1 else 1) + 1)
    ]
    record = Record(
        options,
        "one_sided",
        {
            "devices": {name: device_record(of) for name, of in ONE_SIDED_DEVICES.items()},
            "seeds": options.seeds,
        },
    )
    rows = record.run_tasks(evaluate, runs, [one.layers**2 for one in runs])
    record.write({"rows": rows}, ngspice=False)
    means = pd.DataFrame(rows).groupby(["data", "layers", "device", "late"], sort=False)
    found = means.mean(numeric_only=True).drop(columns="seed").reset_index()
    print_rows(
        [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]
    )
    record.plot(steps_figure(list(ONE_SIDED_DEVICES.values())))


def evaluate(task: DeviceRun) -> dict[str, Any]:
    """Train and test a network; return its scores and the costs of its writes as a row. Rounded
    writes get as many presentations as late ones.
    """
    network, rule = task.prepared()
    presentations = dataclasses.replace(task, late=True).presentations
    rule = dataclasses.replace(rule, presentations=presentations)
    learning, counts, dataset = Learning.start(network, rule), no_counts(network), task.dataset
    for _ in train(learning, rule, *dataset.training, counts=counts):
        pass
    device = ONE_SIDED_DEVICES[task.device]
    abrupt = 0 if device.one_sided and device.one_sided.sign > 0 else 1
    refreshes = np.concatenate([of_layer[abrupt].ravel() for of_layer in counts.pulses])
    return {
        **{name: getattr(task, name) for name in ("data", "layers", "device", "late", "seed")},
        **score_row(dataset.test.labels, learning.network.first_spikes(dataset.test.levels)),
        "refreshes_per_cell": float(refreshes.mean()),
        **write_costs(device, counts),
    }


def steps_figure(devices: list[MeasuredDevice]) -> Figure:
    """Draw the distributions of both kinds of pulses of each device over the state before."""
    figure, axes = plt.subplots(2, len(devices), figsize=(WIDTH, 4.4), sharex=True, sharey="row")
    for column, device in zip(axes.T, devices, strict=True):
        assert device.one_sided
        tables = (device.one_sided.gradual, device.one_sided.abrupt)
        for axis, table, colour in zip(column, tables, (BLUE, VERMILLION), strict=True):
            values = np.array(table)
            x, shares = np.linspace(0, 1, values.shape[1]), np.linspace(0, 1, len(values))
            at = {
                share: np.array([np.interp(share, shares, of) for of in values.T])
                for share in (0.5, *(end for band in BANDS for end in band))
            }
            for low, high in BANDS:
                axis.fill_between(x, at[low], at[high], color=colour, alpha=0.3, linewidth=0)
            axis.plot(x, at[0.5], color=colour)
        column[0].axhline(0, color=GREY, linewidth=1.0)
        column[0].set_title(device.name)
        column[1].set_xlabel("x before the pulse")
    axes[0, 0].set_ylabel("change of x, gradual pulse")
    axes[1, 0].set_ylabel("x after an abrupt pulse")
    return figure


if __name__ == "__main__":
    run(main)
