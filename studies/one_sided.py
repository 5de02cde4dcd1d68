"""Can devices with one gradual direction learn, by late writes and by rounded ones?

Pairs of each preset with one gradual direction are refreshed when a cell runs out of room
(docs/devices.md). One layer learns MNIST of 10x10 pixels in 100,000 presentations, two layers
(400-100-10) in 120,000, and both learn scikit-learn's digits in 60,000. All settings follow from
the device (memristive.learning.build). Rounded writes, which need many more pulses, are tried in
one layer only. In two layers on MNIST, pcm has one seed, and taox is not tried. Closed form, strict
accuracy on all test images, with the pulses and refreshes of a cell and the energy of all pulses.

Writes results/devices/one_sided.json and figures/one_sided.png in half an hour on two cores. Ctrl-C
saves a checkpoint for --resume.
"""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

import plotting
from memristive.accounting.dissipation import write_costs
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.measured_device import ONE_SIDED_DEVICES, device_record
from memristive.learning.training import Learning, train
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts
from studies.device_learning import DIGITS, MNIST, DeviceRun

# most seeds of two layers on MNIST, where these devices need hundreds of pulses a cell
SLOW = {"pcm": 1, "taox": 0}


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
        for late in ((True, False) if layers == 1 else (True,))
        for seed in range(1, options.seeds + 1)
        if data == DIGITS or layers == 1 or seed <= SLOW.get(device, seed)
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
    record.plot(plotting.one_sided_steps(list(ONE_SIDED_DEVICES.values())))


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


if __name__ == "__main__":
    run(main)
