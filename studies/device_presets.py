"""Measured devices in the paper's emulator: update curves in ngspice against the published law, and I-V loops.

A device's curve over identical pulses gives the emulator's parameters (docs/devices.md). ngspice applies a full sweep of pulses
up and down, and reads the conductance after each. Writes results/device_presets.json and figures/device_presets.png in 10 s.
`python memristor.py --device NAME` does the same for one device, with its I-V loop.
"""

import sys
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

import plotting
from memristive.cli.main import run
from memristive.cli.options import add_jobs, make_parser, table
from memristive.cli.parallel import run_tasks
from memristive.devices.measured_device import DEVICES, MeasuredDevice, device_record, emulator
from memristive.devices.pulse_train import apply_pulses
from memristive.io.files import check_overwriting
from memristive.io.results import write_results

HEADING = ("device", "pulses up, down", "A up, down", "on/off", "R_on/ohm", "noise", "largest deviation in ngspice")


def main(arguments: list[str] | None = None) -> None:
    """Simulate the update curves of all presets, save, print and draw them."""
    parser = add_jobs(make_parser(__doc__, parameters=False))
    options = parser.parse_args(arguments)
    record = options.results / "device_presets.json"
    parameters = {"devices": {name: device_record(device) for name, device in DEVICES.items()}}
    check_overwriting(record, parameters, options.force)
    found = dict(run_tasks(measure, list(DEVICES.values()), options.jobs, options.scheduler, description="devices"))
    curves = [found[k] for k in range(len(DEVICES))]
    rows = [{"device": curve.device.name, "largest_deviation_share_of_range": curve.deviation,
             "rms_deviation_share_of_range": curve.rms} for curve in curves]
    write_results(record, parameters, {"rows": rows})
    print(table(HEADING, [(*described(curve.device), f"{curve.deviation:.2%}") for curve in curves]))
    figure, axes = plt.subplots(2, 3, figsize=(plotting.WIDTH, 5.0))
    for axis, curve in zip(axes.flat, curves, strict=True):
        draw_curve(axis, curve)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    plotting.save(figure, options.figures / "device_presets.png")


def list_devices() -> None:
    """Print the presets, for `python memristor.py --devices`."""
    print(table((*HEADING[:-1], "material"),
                [(*described(device), device.source.partition(";")[0]) for device in DEVICES.values()]))
    print("sources: docs/devices.md")


def described(device: MeasuredDevice) -> tuple[str, ...]:
    """Return a device's row of a table."""
    factor, unit = plotting.prefixed([1 / device.highest_conductance], "ohm")
    return (device.name, f"{device.pulses_up}, {device.pulses_down}", f"{device.curvature_up:g}, {device.curvature_down:g}",
            f"{device.on_off_ratio:g}", f"{factor / device.highest_conductance:.3g} {unit.removesuffix('ohm')}".strip(),
            f"{device.cycle_noise:.1%}")


@dataclass(frozen=True, eq=False)
class Curve:
    """Conductance over a full sweep of pulses up, then down: law and ngspice."""

    device: MeasuredDevice
    law: np.ndarray  # S
    simulated: np.ndarray  # S

    @property
    def residuals(self) -> np.ndarray:
        """Deviations of ngspice from the law as shares of the conductance range."""
        return (self.simulated - self.law) / (self.device.highest_conductance - self.device.lowest_conductance)

    @property
    def deviation(self) -> float:
        """Largest deviation."""
        return float(np.abs(self.residuals).max())

    @property
    def rms(self) -> float:
        """Root mean square of the deviations."""
        return float(np.sqrt(np.mean(self.residuals**2)))


def measure(device: MeasuredDevice) -> Curve:
    """Return a device's curves; ngspice applies and reads every pulse. Raises SimulationError."""
    up, down = np.arange(device.pulses_up + 1), np.arange(1, device.pulses_down + 1)
    law = device.conductance(np.concatenate([device.after(0.0, up), device.after(1.0, down, False)]))
    simulated = apply_pulses(emulator(device), [1] * device.pulses_up + [-1] * device.pulses_down)
    return Curve(device, law, simulated)


def draw_curve(axis: Axes, curve: Curve) -> None:
    """Draw the published law and ngspice's points."""
    factor, unit = plotting.prefixed(curve.law, "S")
    axis.plot(curve.law * factor, color=plotting.BLACK, label="published law")
    axis.plot(curve.simulated * factor, "o", color=plotting.VERMILLION, markersize=2.5, markevery=4, label="ngspice")
    axis.set(xlabel="pulses", ylabel=f"conductance ({unit})", title=curve.device.name)


if __name__ == "__main__":
    sys.exit(run(main))
