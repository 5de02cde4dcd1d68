"""Measured devices in the paper's emulator: ngspice against the curves of each device, pulse by
pulse.

A device's mean steps give the emulator's parameters (docs/devices.md). ngspice applies a sweep of
pulses up and down, and reads the conductance after each. Writes results/devices/device_presets.json
and figures/device_presets.png in 10 s.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from memristive import plotting
from memristive.cli.parallel import run_tasks
from memristive.cli.script import Record, add_jobs, make_parser, run, table
from memristive.devices.characterise import apply_pulses
from memristive.devices.measured_device import (
    DEVICES,
    MeasuredDevice,
    device_record,
    emulator,
)

HEADING = (
    "device",
    "pulses up, down",
    "steps up",
    "steps down",
    "on/off",
    "noise: write, read",
    "largest deviation in ngspice",
)
MOST = 256  # pulses that a sweep has in one direction
ROUNDING = 1e-6  # error of a number of pulses, which must not add a pulse
PANELS = 3  # of the figure, side by side


def main(arguments: list[str] | None = None) -> None:
    """Simulate the conductance of all presets over pulses; save, print and draw it."""
    parser = add_jobs(make_parser(__doc__, "devices", parameters=False))
    options = parser.parse_args(arguments)
    record = Record(
        options,
        "device_presets",
        {"devices": {name: device_record(device) for name, device in DEVICES.items()}},
    )
    found = dict(
        run_tasks(
            measure, list(DEVICES.values()), options.jobs, options.scheduler, description="devices"
        )
    )
    curves = [found[k] for k in range(len(DEVICES))]
    rows = [
        {
            "device": curve.device.name,
            "largest_deviation_share_of_range": curve.deviation,
        }
        for curve in curves
    ]
    record.write({"rows": rows})
    print(
        table(HEADING, [(*described(curve.device), f"{curve.deviation:.2%}") for curve in curves])
    )
    lines = -(-len(curves) // PANELS)
    figure, axes = plt.subplots(lines, PANELS, figsize=(plotting.WIDTH, 2.5 * lines), squeeze=False)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    for axis, curve in zip(axes.flat, curves, strict=False):
        draw_curve(axis, curve)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        title="each device has a scale of its own",
    )
    record.plot(figure)


def described(device: MeasuredDevice) -> tuple[str, ...]:
    """Return the texts of a device's row under `HEADING`, without the last column. Steps are shares
    of the range, at the first and at the last pulse of a sweep.
    """
    return (
        device.name,
        f"{device.pulses(True):.0f}, {device.pulses(False):.0f}",
        f"{device.up[0]:.2%} to {device.up[-1]:.2%}",
        f"{device.down[-1]:.2%} to {device.down[0]:.2%}",
        f"{device.on_off_ratio:.3g}",
        f"{device.write_noise:.1%}, {device.read_noise:.1%}",
    )


@dataclass(frozen=True, eq=False)
class Curve:
    """Conductance over a sweep of pulses up, then down: by the device's mean steps (`law`), and
    simulated in ngspice.
    """

    device: MeasuredDevice
    pulses_up: int
    law: np.ndarray  # S
    simulated: np.ndarray  # S

    @property
    def deviation(self) -> float:
        """Largest deviation of ngspice from the device, as a share of the conductance range."""
        span = self.device.highest_conductance - self.device.lowest_conductance
        return float(np.abs(self.simulated - self.law).max() / span)


def measure(device: MeasuredDevice) -> Curve:
    """Return a device's conductance over a sweep; ngspice reads it after every pulse. Raises
    SimulationError.
    """
    up, down = (
        int(np.ceil(min(device.pulses(direction), MOST) - ROUNDING)) for direction in (True, False)
    )
    rise = device.after(0.0, np.arange(up + 1))
    law = device.conductance(
        np.concatenate([rise, device.after(rise[-1], np.arange(1, down + 1), False)])
    )
    return Curve(device, up, law, apply_pulses(emulator(device), [1] * up + [-1] * down))


def draw_curve(axis: Axes, curve: Curve) -> None:
    """Draw the conductance over pulses: the device's as a line, ngspice's as points."""
    factor, unit = plotting.prefixed(curve.law, "S")
    axis.plot(curve.law * factor, color=plotting.BLACK, label="device")
    axis.plot(
        curve.simulated * factor,
        "o",
        color=plotting.VERMILLION,
        markersize=2.5,
        markevery=4,
        label="ngspice",
    )
    axis.set(xlabel="pulses", ylabel=f"conductance ({unit})", title=curve.device.name)


if __name__ == "__main__":
    run(main)
