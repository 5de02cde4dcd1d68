"""Which emulator behaves like your device? Fit a measured curve and check the fit in ngspice.

FILE.csv holds potentiation and depression over identical pulses, in one of two layouts: columns pulse, conductance and direction
(up or down), or two columns, one for each direction, row by row. Conductances are in S. Pulse 0, or the first row of two columns,
is the reading before the first pulse; if pulses count from 1, the last reading of the other direction stands for it. A column
sweep separates sweeps; in the first layout, so does a pulse number that returns. Sweeps are averaged.

Writes the device file results/NAME_device.json, for --device of other scripts, the record results/device_fit_NAME.json and
figures/device_fit_NAME.png. With --kind iv the columns are time (s), voltage (V) and current (A) of a loop, and no device file is
written. About 2 s.
"""

import dataclasses
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import plotting
from memristive.cli.main import run
from memristive.cli.options import Parser, make_parser, table
from memristive.devices.curve_fit import LIMITS, LoopFit, PulseFit, fit_loop, fit_pulses
from memristive.devices.measured_device import device_record, emulator
from memristive.devices.pulse_train import apply_pulses
from memristive.io.files import check_overwriting, report, to_json, write_file
from memristive.io.results import write_results
from memristive.spice.parameters import ParameterError

POOR = 0.1  # residual, share of the range, from which on a fit deserves a look


def main(arguments: list[str] | None = None) -> None:
    """Read, fit, check in ngspice, save, print, plot."""
    parser: Parser = make_parser(__doc__, parameters=False)
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="measured curve")
    parser.add_argument("--kind", choices=("pulses", "iv"), default="pulses", help="pulse curves (default) or an I-V loop")
    parser.add_argument("--name", help="name of the device (default: that of the file)")
    parser.add_argument("--read-voltage", type=float, default=0.1, metavar="V", help="of the measurement (default: 0.1 V)")
    options = parser.parse_args(arguments)
    name = options.name or options.file.stem
    record, device_file = options.results / f"device_fit_{name}.json", options.results / f"{name}_device.json"
    parameters = {"file": options.file.name, "kind": options.kind, "read_voltage": options.read_voltage}
    for file in (record, device_file):
        check_overwriting(file, parameters, options.force, others=[options.file])
    data = read_table(options.file)

    if options.kind == "iv":
        loop = fit_loop(*loop_columns(data))
        print_result = partial(print_loop, loop)
        results = {"memristor": loop.memristor.as_dict(), "start_V": loop.start, "standard_errors": loop.errors,
                   "rms_share_of_peak": loop.rms, "largest_share_of_peak": loop.largest}
        figure = loop_figure(loop, *loop_columns(data))
    else:
        up, down = pulse_columns(data)
        fit = fit_pulses(up, down, name, read_voltage=options.read_voltage, source=f"fitted to {options.file.name}")
        simulated = simulate(fit)
        print_result = partial(print_fit, fit, simulated)
        results = {"device": dataclasses.asdict(fit.device), "standard_errors": fit.errors, "rms_share_of_range": fit.rms,
                   "largest_share_of_range": fit.largest} | ngspice_residuals(fit, simulated)
        figure = pulse_figure(fit, simulated, up, down)
        write_file(device_file, to_json({**device_record(fit.device), **parameters}))
        report(f"wrote {device_file}" + f"; use it with: --device {device_file}" * (simulated is not None))
    write_results(record, parameters, results)
    print_result()
    plotting.save(figure, options.figures / f"device_fit_{name}.png")


def read_table(path: Path) -> pd.DataFrame:
    """Return a file of columns between commas, semicolons or tabs. Raises ParameterError."""
    try:
        data = pd.read_csv(path, sep="[,;\t]", engine="python", comment="#")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ParameterError(f"{path} cannot be read as a table: {error}") from None
    data.columns = [str(column).strip().lower() for column in data.columns]
    if data.isna().any().any():
        raise ParameterError(f"{path}: column {data.columns[data.isna().any()][0]!r} has missing values")
    return data


def numbers(data: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as numbers. Raises ParameterError."""
    values = pd.to_numeric(data[column], errors="coerce")
    if values.isna().any():
        raise ParameterError(f"column {column!r} must hold numbers, got {data[column][values.isna()].iloc[0]!r}")
    return np.asarray(values, float)


def pulse_columns(data: pd.DataFrame) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the sweeps up and down: conductances in S after 0, 1, 2, ... pulses. Raises ParameterError."""
    if "direction" in data.columns:
        for column in ("pulse", "conductance"):
            if column not in data.columns:
                raise ParameterError(f"column {column!r} is missing, found {', '.join(data.columns)}")
        direction = data["direction"].astype(str).str.strip().str.lower()
        if not direction.isin(["up", "down"]).all():
            raise ParameterError(f"direction must be up or down, got {direction[~direction.isin(['up', 'down'])].iloc[0]!r}")
        sweeps, first = [], []
        for wanted in ("up", "down"):
            part = data[direction == wanted]
            pulse, conductance = numbers(part, "pulse"), numbers(part, "conductance")
            starts = np.flatnonzero(np.diff(pulse) <= 0) + 1
            sweeps.append([run for run in np.split(conductance, starts) if len(run)])
            first.append(pulse.min(initial=np.inf))
        if all(sweeps):
            ends = [float(np.mean([run[-1] for run in runs])) for runs in sweeps]
            sweeps = [[np.append(end, run) for run in runs] if start >= 1 else runs  # no reading before the first pulse
                      for start, end, runs in zip(first, ends[::-1], sweeps, strict=True)]
        return sweeps[0], sweeps[1]
    columns = [column for column in data.columns if column != "sweep"]
    if len(columns) != 2:
        raise ParameterError(f"expected columns pulse, conductance, direction, or two columns, found {', '.join(data.columns)}")
    groups = [part for _, part in data.groupby("sweep")] if "sweep" in data.columns else [data]
    return [numbers(part, columns[0]) for part in groups], [numbers(part, columns[1]) for part in groups]


def loop_columns(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return time, voltage and current of a loop. Raises ParameterError."""
    for column in ("time", "voltage", "current"):
        if column not in data.columns:
            raise ParameterError(f"column {column!r} is missing, found {', '.join(data.columns)}")
    return numbers(data, "time"), numbers(data, "voltage"), numbers(data, "current")


def simulate(fit: PulseFit) -> np.ndarray | None:
    """Return ngspice's conductances (S) for a sweep up and down; None if the emulator cannot follow the curve."""
    device = fit.device
    try:
        emulated = emulator(device)
    except ParameterError as error:
        warnings.warn(f"{error}; the device file holds the fit, no emulator", stacklevel=2)
        return None
    return apply_pulses(emulated, [1] * device.pulses_up + [-1] * device.pulses_down)


def ngspice_residuals(fit: PulseFit, simulated: np.ndarray | None) -> dict[str, float]:
    """Return rms and largest residual of ngspice against the measured means, as shares of the range."""
    if simulated is None:
        return {}
    device = fit.device
    measured = np.concatenate([fit.up, fit.down[1:]])
    residual = (simulated - measured) / (device.highest_conductance - device.lowest_conductance)
    return {"ngspice_rms_share_of_range": float(np.sqrt(np.mean(residual**2))),
            "ngspice_largest_share_of_range": float(np.abs(residual).max())}


def print_fit(fit: PulseFit, simulated: np.ndarray | None) -> None:
    """Print the fitted values with standard errors, and the residuals."""
    device = fit.device
    rows = [("highest conductance (S)", f"{device.highest_conductance:.4g}", f"{fit.errors['highest_conductance']:.1g}"),
            ("lowest conductance (S)", f"{device.lowest_conductance:.4g}", f"{fit.errors['lowest_conductance']:.1g}"),
            ("on/off ratio", f"{device.on_off_ratio:.4g}", ""),
            ("pulses up, down", f"{device.pulses_up}, {device.pulses_down}", ""),
            ("curvature A up", f"{device.curvature_up:.4g}", f"{fit.errors['curvature_up']:.1g}"),
            ("curvature A down", f"{device.curvature_down:.4g}", f"{fit.errors['curvature_down']:.1g}"),
            ("cycle-to-cycle noise, share of the range", f"{device.cycle_noise:.2%}", ""),
            ("residual of the law, rms and largest", f"{fit.rms:.2%}", f"{fit.largest:.2%}")]
    found = ngspice_residuals(fit, simulated)
    if found:
        rms, largest = found.values()
        rows.append(("residual of ngspice, rms and largest", f"{rms:.2%}", f"{largest:.2%}"))
    print(table(("quantity", "value", "error or largest"), rows))
    if fit.largest > POOR:
        warnings.warn(f"the law misses a point by {fit.largest:.0%} of the range: see the figure", stacklevel=2)


def print_loop(fit: LoopFit) -> None:
    """Print the fitted emulator with standard errors, and the residuals."""
    values = {**fit.memristor.as_dict(), "start": fit.start}
    for name, (low, high) in LIMITS.items():
        if not 1.01 * low < values[name] < 0.99 * high:
            warnings.warn(f"{name} is at its limit of {values[name]:g}: this loop does not determine it", stacklevel=2)
    units = {"transconductance": "S", "leak_resistance": "ohm", "kp": "A/V^2", "threshold_voltage": "V", "start": "V"}
    rows = [(f"{name} ({units[name]})", f"{values[name]:.4g}", f"{error:.1g}") for name, error in fit.errors.items()]
    rows.append(("residual, rms and largest", f"{fit.rms:.2%}", f"{fit.largest:.2%}"))
    print(table(("quantity", "value", "error or largest"), rows))


def pulse_figure(fit: PulseFit, simulated: np.ndarray | None, up: list[np.ndarray], down: list[np.ndarray]) -> Figure:
    """Draw all sweeps and their means, the fitted law, and ngspice's emulator."""
    device = fit.device
    factor, unit = plotting.prefixed(fit.up, "S")
    figure, axis = plt.subplots(figsize=(plotting.WIDTH, 3.8))
    for begin, sweeps, mean in ((0, up, fit.up), (device.pulses_up, down, fit.down)):
        pulses, first = begin + np.arange(len(mean)), begin == 0
        for k, sweep in enumerate(sweeps):
            axis.plot(pulses, factor * sweep, ".-", color=plotting.SKY, markersize=4, linewidth=0.6,
                      label="measured" if first and k == 0 else None)
        if len(sweeps) > 1:
            axis.plot(pulses, factor * mean, "o", color=plotting.BLUE, markersize=4, label="mean" if first else None)
    fine = np.linspace(0, 1, 200)
    axis.plot(fine * device.pulses_up, factor * device.conductance(device.curve(fine)), color=plotting.BLACK, label="fitted law")
    axis.plot(device.pulses_up + fine * device.pulses_down, factor * device.conductance(device.curve(fine, False)),
              color=plotting.BLACK)
    if simulated is not None:
        axis.plot(np.arange(len(simulated)), factor * simulated, "--", color=plotting.VERMILLION, label="emulator in ngspice")
    axis.set(xlabel="pulses", ylabel=f"conductance ({unit})", title=device.name)
    axis.legend()
    return figure


def loop_figure(fit: LoopFit, time: np.ndarray, voltage: np.ndarray, current: np.ndarray) -> Figure:
    """Draw the measured loop and the fitted emulator's."""
    factor, unit = plotting.prefixed(current, "A")
    figure, axis = plt.subplots(figsize=(plotting.WIDTH, 3.8))
    axis.plot(voltage, factor * current, "o", color=plotting.SKY, markersize=4, label="measured")
    axis.plot(voltage, factor * fit.current, color=plotting.BLACK, label="emulator")
    axis.set(xlabel="voltage (V)", ylabel=f"current ({unit})")
    plotting.cross(axis)
    axis.legend()
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
