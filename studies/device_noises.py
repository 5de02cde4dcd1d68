"""Evidence for docs/fit.md: how often the intervals of a fit hold the truth.

Coverage of the intervals of a fitted device's noises: the share that holds the truth.

The preset epiram is simulated with known noises. Sweeps of 60 pulses up and 60 down are read after
every pulse, every fifth or every tenth. From these readings alone, as `python -m memristive fit`
would, the device is fitted. The rows count the fits whose 95 % interval holds the true noise, and
those that cannot tell the two noises apart.

Writes results/devices/device_noises.json in ten minutes. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pandas as pd

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.curve_fit import fit_pulses
from memristive.devices.device_spread import simulated
from memristive.devices.measured_device import MeasuredDevice, load_device

SWEEPS, EVERY = (1, 5), (1, 5, 10)  # sweeps up and down; pulses between two readings
PULSES = 60  # of one direction
# shares of the range
NOISES: dict[str, Any] = {"write_noise": 0.02, "read_noise": 0.01}


def main(arguments: list[str] | None = None) -> None:
    """Simulate, fit, count; save, print."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 100, "measurements of each kind; default: 100")
    options = parser.parse_args(arguments)
    known = {"device": "epiram", **NOISES, "seeds": options.seeds}
    record = Record(options, "device_noises", known)
    tasks = list(itertools.product(SWEEPS, EVERY, range(options.seeds)))
    found = pd.DataFrame(record.run_tasks(measured, tasks))
    counts = found.groupby(["sweeps", "every"], sort=False).sum().astype(int).reset_index()
    rows: list[Any] = counts.to_dict("records")
    record.write({"rows": rows}, ngspice=False)
    print_rows(rows)


def measured(task: tuple[int, int, int]) -> dict[str, Any]:
    """Simulate sweeps of a device with known noises, which are read after every pulse or every so
    many, and fit the readings; return whether each interval holds the true noise in S. `task`:
    number of sweeps, pulses between two readings, seed. Runs in a worker.
    """
    sweeps, every, seed = task
    device = dataclasses.replace(load_device("epiram"), **NOISES)
    direction = np.append(0, np.tile(np.repeat([1, -1], PULSES // every), sweeps))
    pulses, rng = np.where(direction, every, 0), np.random.default_rng([seed, sweeps, every])
    readings = simulated(device, np.zeros(len(direction)), direction, pulses, rng)
    fit = fit_pulses(readings, direction, pulses=pulses)
    scale = width(fit.device) / width(device)
    return {
        "sweeps": sweeps,
        "every": every,
        "fits": 1,
        **{
            name: bool(low * scale <= getattr(device, name) <= high * scale)
            for name, (low, high) in fit.intervals.items()
        },
        "equal_noises": fit.equal_noises,
    }


def width(device: MeasuredDevice) -> float:
    """Return the range of a device's conductance in S."""
    return device.highest_conductance - device.lowest_conductance


if __name__ == "__main__":
    run(main)
