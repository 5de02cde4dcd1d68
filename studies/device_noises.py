"""Evidence for docs/fit.md: how often the intervals of a fit hold the truth.

Coverage of the intervals of a fitted device's noises: the share that holds the truth.

One preset is simulated with known noises. Sweeps of 60 pulses up and 60 down are read after every
pulse, every fifth or every tenth. From these readings alone, as `python -m memristive fit`
would, the device is fitted. The rows count the fits whose 95 % interval holds the true noise, and
those that cannot tell the two noises apart.

Writes results/devices/device_noises.json in ten minutes. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.curve_fit import fit_pulses
from memristive.devices.device_spread import simulated
from memristive.devices.measured_device import MeasuredDevice, load_device

SWEEPS, EVERY = (1, 5), (1, 5, 10)  # sweeps up and down; pulses between two readings
PULSES = 60  # of one direction


def main(arguments: list[str] | None = None) -> None:
    """Simulate, fit, count; save, print."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 100, "measurements of each kind; default: 100")
    parser.add_argument("--device", default="epiram", help="preset or device file")
    parser.add_argument("--write-noise", type=float, default=0.02, help="share of the range")
    parser.add_argument("--read-noise", type=float, default=0.01, help="share of the range")
    options = parser.parse_args(arguments)
    parameters = {
        "device": options.device,
        "write_noise": options.write_noise,
        "read_noise": options.read_noise,
        "seeds": options.seeds,
    }
    record = Record(options, "device_noises", parameters)
    tasks = [
        Measurement(options.device, options.write_noise, options.read_noise, sweeps, every, seed)
        for sweeps in SWEEPS
        for every in EVERY
        for seed in range(options.seeds)
    ]
    found = pd.DataFrame(record.run_tasks(Measurement.result, tasks, [1] * len(tasks)))
    counts = found.groupby(["sweeps", "every"], sort=False).sum().astype(int).reset_index()
    rows: list[Any] = counts.to_dict("records")
    record.write({"rows": rows}, ngspice=False)
    print_rows(rows)


@dataclass(frozen=True)
class Measurement:
    """Sweeps of one simulated `device` with known noises, read after `every` pulse or every so
    many; `seed` selects the random numbers.
    """

    device: str
    write_noise: float
    read_noise: float
    sweeps: int
    every: int
    seed: int

    def result(self) -> dict[str, Any]:
        """Fit the readings; return whether each interval holds the true noise in S."""
        device = dataclasses.replace(
            load_device(self.device), write_noise=self.write_noise, read_noise=self.read_noise
        )
        count = PULSES // self.every
        direction = np.append(0, np.tile(np.repeat([1, -1], count), self.sweeps))
        pulses = np.where(direction, self.every, 0)
        readings = simulated(
            device,
            np.zeros(len(direction)),
            direction,
            pulses,
            np.random.default_rng([self.seed, self.sweeps, self.every]),
        )
        fit = fit_pulses(readings, direction, pulses=pulses)
        scale = width(fit.device) / width(device)
        return {
            "sweeps": self.sweeps,
            "every": self.every,
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
