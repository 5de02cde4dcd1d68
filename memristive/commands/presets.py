"""Measured devices in the paper's emulator: ngspice against the curves of each device, pulse by
pulse.

A device's mean steps give the emulator's parameters (docs/devices.md). ngspice applies a sweep of
pulses up and down, and reads the conductance after each. Writes results/devices/device_presets.json
and figures/device_presets.png in 10 s.
"""

import matplotlib.pyplot as plt
import numpy as np

from memristive import plotting
from memristive.cli.script import Record, make_parser, print_rows, run
from memristive.devices.characterise import apply_pulses
from memristive.devices.measured_device import (
    DEVICES,
    MeasuredDevice,
    device_record,
    emulator,
)

MOST = 256  # pulses that a sweep has in one direction
ROUNDING = 1e-6  # error of a number of pulses, which must not add a pulse
PANELS = 3  # of the figure, side by side


def main(arguments: list[str] | None = None) -> None:
    """Simulate the conductance of all presets over pulses; save, print and draw it."""
    options = make_parser(__doc__, "devices", parameters=False).parse_args(arguments)
    devices = {name: device_record(device) for name, device in DEVICES.items()}
    record = Record(options, "device_presets", {"devices": devices})
    lines, rows = -(-len(DEVICES) // PANELS), []
    figure, axes = plt.subplots(lines, PANELS, figsize=(plotting.WIDTH, 2.5 * lines), squeeze=False)
    for axis in axes.flat[len(DEVICES) :]:
        axis.set_axis_off()
    for axis, (name, device) in zip(axes.flat, DEVICES.items(), strict=False):
        law, simulated = sweep(device)
        share = np.abs(simulated - law) / (device.highest_conductance - device.lowest_conductance)
        rows.append({"device": name, "largest_deviation_share_of_range": share.max()})
        factor, unit = plotting.prefixed(law, "S")
        axis.plot(law * factor, color=plotting.BLACK, label="device")
        dots = {"color": plotting.VERMILLION, "markersize": 2.5, "markevery": 4}
        axis.plot(simulated * factor, "o", label="ngspice", **dots)
        axis.set(xlabel="pulses", ylabel=f"conductance ({unit})", title=name)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        title="each device has a scale of its own",
    )
    record.write({"rows": rows})
    print_rows(rows)
    record.plot(figure)


def sweep(device: MeasuredDevice) -> tuple[np.ndarray, np.ndarray]:
    """Return a device's conductance in S over a sweep of pulses up, then down: by its mean steps,
    and as ngspice reads it after every pulse. Raises SimulationError.
    """
    up, down = (
        int(np.ceil(min(device.pulses(direction), MOST) - ROUNDING)) for direction in (True, False)
    )
    rise = device.after(0.0, np.arange(up + 1))
    fall = device.after(rise[-1], np.arange(1, down + 1), False)
    law = device.conductance(np.concatenate([rise, fall]))
    return law, apply_pulses(emulator(device), [1] * up + [-1] * down)


if __name__ == "__main__":
    run(main)
