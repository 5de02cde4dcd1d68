"""Accuracy that layers of measured devices lose if they learn on a chip whose devices differ.

Each preset makes one layer of differential pairs, which learns MNIST 10x10 in closed form, in whole
pulses with the device's noises. Fractions of a pulse are rounded at random, or synapses write late.
Cells (read and write gain) and thresholds of the chip differ by 0, 10 or 20 %. All networks get the
same number of presentations. The network of a seed has the same start and order of images on each
chip, so losses are means of paired differences, with their standard errors.

Writes results/chips/device_spread.json. Ten minutes on one core. Ctrl-C saves a checkpoint for
--resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import pandas as pd

from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.devices.measured_device import DEVICES, device_record, load_device
from memristive.learning.training import learn
from memristive.network.chip import Chip
from memristive.network.networks import network_on_chip
from memristive.scores.decisions import score_row
from studies.device_learning import DeviceRun
from studies.device_variability import DEVIATIONS

PRESENTATIONS = 100_000
SPREADS = (0.0, 0.1, 0.2)
WAYS = {False: "rounded", True: "late"}


@dataclass(frozen=True)
class SpreadRun:
    """Network of a `DeviceRun` that learns on a chip whose devices differ by `spread`."""

    run: DeviceRun
    spread: float
    presentations: int

    def result(self) -> dict[str, Any]:
        """Return the test accuracy of the trained network as a row. Runs in a worker."""
        network, rule = self.run.prepared()
        if self.spread:
            spreads: dict[str, Any] = dict.fromkeys(DEVIATIONS["both"], self.spread)
            network = network_on_chip(network, Chip(seed=self.run.seed, **spreads))
        rule = dataclasses.replace(rule, presentations=self.presentations)
        learned = learn(network, rule, *self.run.dataset.training).network
        test = self.run.dataset.test
        return {
            "device": self.run.device,
            "way": WAYS[self.run.late],
            "spread": self.spread,
            "seed": self.run.seed,
            **score_row(test.labels, learned.first_spikes(test.levels)),
        }


def losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the loss by each spread for each device and way, in points: `accuracy` without spread,
    `loss` and its standard `error` over the seeds.
    """
    accuracy = 100 * rows.pivot_table("strict_accuracy", ["device", "way", "seed"], "spread")
    lost = pd.Series(accuracy.rsub(accuracy[0.0], axis=0).drop(columns=0.0).stack())
    found = lost.groupby(["device", "way", "spread"], sort=False).agg(loss="mean", error="sem")
    return found.join(accuracy[0.0].groupby(["device", "way"]).mean().rename("accuracy"))


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print."""
    parser = add_resume(make_parser(__doc__, "chips", parameters=False))
    parser.add_common("--seeds", 5)
    parser.add_number("--presentations", 100, 10**7, PRESENTATIONS, "of each network")
    options = parser.parse_args(arguments)
    runs = [
        SpreadRun(DeviceRun(device, seed=seed, late=late), spread, options.presentations)
        for device in DEVICES
        for late in WAYS
        for spread in SPREADS
        for seed in range(1, options.seeds + 1)
    ]
    record = Record(
        options,
        "device_spread",
        {
            "devices": {name: device_record(load_device(name)) for name in DEVICES},
            "deviations": list(DEVIATIONS["both"]),
            "presentations": options.presentations,
            "seeds": options.seeds,
        },
    )
    rows = record.run_tasks(SpreadRun.result, runs, [1] * len(runs))
    record.write({"rows": rows}, ngspice=False)
    print(losses(pd.DataFrame(rows)).round(2).to_string())


if __name__ == "__main__":
    run(main)
