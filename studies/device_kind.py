"""Do the spreads of several devices come back from their readings, and do networks of them learn?

Twelve devices of one kind are simulated: the steps of a preset, with known spreads from device to
device and a write noise that grows with x. Each is read after each pulse of three sweeps up and
down. From these readings alone, as `python -m studies.device_fit` would, the kind is fitted. Then
one layer of one pair learns MNIST's grey 10x10 images. First all cells are alike, then one spread
acts at a time, then all of them. The spread of the range also acts on devices with a high on/off
ratio. Cells get pulses at each error, or write late (docs/writes_late.md).

Closed form, strict accuracy on all test images. Writes the readings
results/devices/device_kind.csv, results/devices/device_kind.json and figures/device_kind.png in
some minutes. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from datasets import matching_dataset
from memristive.cli.parallel import run_tasks
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.device_spread import Readings, combine_devices, fit_device, simulated
from memristive.devices.measured_device import (
    MeasuredDevice,
    device_of_record,
    device_record,
    load_device,
)
from memristive.io.records import report, to_json, write_file
from memristive.learning.build import initial_network, learning_of
from memristive.learning.training import Learning, train
from memristive.network.chip import device_chip
from memristive.network.networks import network_on_chip
from memristive.scores.decisions import score_row
from studies.device_fit import kind_figure, kind_results

PRESET, DEVICES, SWEEPS, PULSES = "taox-tio2", 12, 3, 150
SPREADS: dict[str, Any] = {
    "spread": 0.2,
    "range_spread": 0.2,
    "lowest_spread": 0.1,
    "write_noise_spread": 0.4,
    "read_noise_spread": 0.3,
}
KNOWN = dataclasses.replace(
    load_device(PRESET),
    read_noise=0.005,
    noise_curve=(0.5, 1.5),
    name="simulated devices",
    **SPREADS,
)
# the values of `device_spread` that the spreads belong to
VALUES = dict(zip(SPREADS, ("gain", "range", "lowest", "write_noise", "read_noise"), strict=True))
SEED, PRESENTATIONS = 1, 100_000
HIGH_RATIO = 50.0  # on/off ratio of devices that conduct little at x = 0, for comparison


def main(arguments: list[str] | None = None) -> None:
    """Simulate readings, fit the kind, train networks of it; save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3, "networks of each kind; default: 3")
    options = parser.parse_args(arguments)
    record = Record(options, "device_kind", {"known": device_record(KNOWN), "seeds": options.seeds})

    # 1. Readings of all devices, and their fit.
    readings = [measured(seed) for seed in range(DEVICES)]
    fits = dict(run_tasks(fit_device, readings, options.jobs, description="fitting devices"))
    kind = combine_devices([fits[k] for k in range(DEVICES)], KNOWN.name)
    known = [recovered(name, kind.spreads[value]) for name, value in VALUES.items()]
    truth, grid = KNOWN.noise([0, 1]), np.linspace(0, 1, 2)
    known += [
        {"value": f"write noise at x = {x:g}", "known": one, "found": found, "error": error}
        for x, one, found, error in zip(
            grid, truth, kind.write_noise_at, kind.errors["write_noise_at"], strict=True
        )
    ]

    # 2. Networks whose cells are drawn from the kind, or from one of its spreads.
    chosen = {
        "none": only(kind.device),
        **{name: only(kind.device, name) for name in SPREADS if name != "read_noise_spread"},
        "all": kind.device,
    }
    span = kind.device.highest_conductance - kind.device.lowest_conductance
    low = span / (HIGH_RATIO - 1)
    chosen["high_ratio"] = dataclasses.replace(
        chosen["range_spread"], lowest_conductance=low, highest_conductance=low + span
    )
    tasks = [
        KindRun(json.dumps(device_record(device)), label, seed, late)
        for late in (False, True)
        for label, device in chosen.items()
        for seed in range(1, options.seeds + 1)
    ]
    rows = record.run_tasks(KindRun.result, tasks, [PRESENTATIONS] * len(tasks))

    # 3. Save, print, plot.
    table = options.results / "device_kind.csv"
    write_file(table, pd.concat(map(rows_of, readings)).to_csv(index=False))
    report(f"wrote {table}; fit it alone with: python -m studies.device_fit {table}")
    record.write(
        {"recovered": known, "rows": rows, **json.loads(to_json(kind_results(kind)))}, ngspice=False
    )
    print_rows(known)
    print_rows(rows)
    record.plot(kind_figure(kind))


def measured(seed: int) -> Readings:
    """Return readings of one simulated device. It differs from the mean device `KNOWN` at random,
    by the spreads in `SPREADS`; `seed` selects the random numbers.
    """
    rng = np.random.default_rng([SEED, seed])

    def factor(spread: float) -> float:
        sigma = np.sqrt(np.log1p(spread**2))
        return float(rng.lognormal(-(sigma**2) / 2, sigma))

    gain, width, write, read = (
        factor(SPREADS[name])
        for name in ("spread", "range_spread", "write_noise_spread", "read_noise_spread")
    )
    span = KNOWN.highest_conductance - KNOWN.lowest_conductance
    low = width * (
        KNOWN.lowest_conductance + span * KNOWN.lowest_spread * float(rng.standard_normal())
    )
    device = dataclasses.replace(
        KNOWN,
        lowest_conductance=low,
        highest_conductance=low + width * span,
        up=tuple(gain * np.array(KNOWN.up)),
        down=tuple(gain * np.array(KNOWN.down)),
        write_noise=write * KNOWN.write_noise,
        read_noise=read * KNOWN.read_noise,
    )
    direction = np.tile(np.repeat([1, -1], PULSES), SWEEPS)
    direction, pulses = np.append(0, direction), np.append(0, np.ones(len(direction), int))
    start = np.zeros(len(direction))
    values = simulated(device, start, direction, pulses, rng)
    return Readings(f"device {seed + 1}", values, direction, pulses, seed)


def rows_of(readings: Readings) -> pd.DataFrame:
    """Return readings as rows of a table for studies.device_fit."""
    return pd.DataFrame(
        {
            "device": readings.name,
            "pulse": np.append(0, np.tile(np.arange(PULSES) + 1, 2 * SWEEPS)),
            "conductance": readings.conductance,
            "direction": np.where(readings.direction < 0, "down", "up"),
        }
    )


def recovered(name: str, spread: Any) -> dict[str, Any]:
    """Return a row of the record: the known spread called `name`, and the fitted `spread` with its
    standard error.
    """
    return {
        "value": name,
        "known": SPREADS[name],
        "found": spread.spread,
        "error": spread.spread_error,
    }


def only(device: MeasuredDevice, *names: str) -> MeasuredDevice:
    """Return a device with only the spreads in `names`; all other spreads are 0."""
    none: dict[str, Any] = {name: 0.0 for name in SPREADS if name not in names}
    return dataclasses.replace(device, **none)


@dataclass(frozen=True)
class KindRun:
    """Training of a network of a `device` (its record as text). The spreads by which its cells
    differ have the name `label`.
    """

    device: str
    label: str
    seed: int
    late: bool
    presentations: int = PRESENTATIONS

    def result(self) -> dict[str, Any]:
        """Train and test the network; return its scores as a row of the record."""
        device, dataset = device_of_record(json.loads(self.device)), matching_dataset("mnist")
        made, rule = learning_of(device, 1, 1, late=self.late)
        rule = dataclasses.replace(rule, presentations=self.presentations, seed=self.seed)
        network = network_on_chip(
            initial_network((), 10, dataset.training.levels, rule, **made),
            device_chip(device, self.seed),
        )
        learning = Learning.start(network, rule)
        for _ in train(learning, rule, *dataset.training):
            pass
        spikes = learning.network.first_spikes(dataset.test.levels)
        return {
            "spreads": self.label,
            "late": self.late,
            "seed": self.seed,
            **score_row(dataset.test.labels, spikes),
        }


if __name__ == "__main__":
    run(main)
