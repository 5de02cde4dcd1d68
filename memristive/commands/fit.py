"""Fit your devices: mean steps and noises from readings after pulses, and their spread.

FILE.csv holds readings after identical pulses, in the order of measurement. Its layouts are in
docs/your_files.md:

- a row for each reading, with columns conductance (or resistance, current), direction (up or down)
  or voltage, and optionally pulse, sweep and device,
- a column of readings during pulses up, and one during pulses down,
- a row for each read and each pulse, with columns voltage and current.

With several devices of one kind, the device file holds their mean curves and noises, and how much
they differ from device to device. A network draws each cell from these spreads. If mean pulses miss
the readings by more than 20 % of the range without read noise, no device file is written.

If one pulse of a direction crosses most of the range, the device has one gradual direction, and its
file holds the distributions of both kinds of pulses (docs/devices.md).

A table with the columns time (s, min, h or d) and conductance has readings without pulses, at
times since the last write. Then the laws of drift and of relaxation are fitted, and the better one
goes into a copy of the device file that --device names.

Writes the device file own/NAME_device.json, for --device of other scripts, the record
own/device_fit_NAME.json and own/device_fit_NAME.png. About 3 s for each device.
"""

import argparse
import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.parallel import run_tasks
from memristive.cli.script import OWN, Record, add_jobs, make_parser, table
from memristive.devices.curve_fit import PulseFit, fit_pulses
from memristive.devices.device_spread import (
    DevicesFit,
    Readings,
    combine_devices,
    fit_device,
    values_of,
)
from memristive.devices.measured_device import MeasuredDevice, device_record, load_device
from memristive.devices.one_sided_fit import fit_one_sided, is_one_sided
from memristive.devices.retention import DRIFT, LAWS, RELAXATION, fit_retention
from memristive.io.readings import read_file, read_over_time, read_readings
from memristive.io.records import check_overwriting, report, to_json, write_file
from memristive.learning.settings import MEASURED_NEURON, STAGE_SWING
from memristive.parameters import Fields, ParameterError

# values of several devices in the printed table: name, unit, and what the spread is a share of
KIND_ROWS = {
    "range": ("range", " S", "mean"),
    "lowest": ("lowest conductance / range", "%", "range"),
    "gain": ("steps", "", "mean"),
    "up_over_down": ("steps up / steps down", "", ""),
    "write_noise": ("write noise", "%", "mean"),
    "read_noise": ("read noise", "%", "mean"),
}
ABRUPT = 0.3  # share of the range: a device with a larger step is called abrupt
GAP = 0.1  # share of the range: a larger part without a pulse brings a warning
# rms, shares of the range, of readings about the replay: from the first on, a warning if noise does
# not explain them; from the second on, the device file holds it; from the third, there is none
MISSED, FAR, MISFIT = 0.05, 0.1, 0.2
EXPLAINED = 1.25  # times the rms that noise explains, which 99 % of fits without misfit stay below
# Inputs of 20x20 pixels. If all cells conduct, the summing stage gives 16 V, and its rail is at 20
# V. So the op-amp's output resistance of 10 ohm may take 4 V, which is a current of 0.4 A: 10 mS a
# cell at 0.1 V.
ROWS = 400
# most sweeps, and readings of a sweep, that the figure shows
SHOWN_SWEEPS, SHOWN_READINGS = 100, 5000
# bins of x, whose measured steps a dot of the figure averages
SHOWN_STEPS = 10
SHOWN_ROWS = 5
USUAL = 1e-9  # S: the highest conductance of a memristor is seldom below this


def main(arguments: list[str] | None = None) -> None:
    """Read, fit, save, print, plot."""
    parser = add_jobs(make_parser(__doc__, parameters=False))
    parser.set_defaults(results=OWN, figures=OWN)
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="measured readings")
    parser.add_argument("--name", help="name of the device (default: the file's)")
    parser.add_argument(
        "--read-voltage",
        type=float,
        default=0.1,
        metavar="V",
        help="of the measurement (default: 0.1 V)",
    )
    add_decimal(parser)
    parser.add_common("--device", None, "to which a table of readings over time belongs")
    options = parser.parse_args(arguments)
    name = options.name or options.file.stem
    device_file = options.results / f"{name}_device.json"
    if options.device:
        load_device(options.device)  # a wrong name ends here, not after the fit
    file = read_file(options.file, options.decimal)
    over_time = read_over_time(options.file, options.read_voltage, file)
    if over_time:
        save_retention(*over_time, options, name, device_file)
        return
    save_fit(*read_readings(options.file, options.read_voltage, file), options, name, device_file)


def add_decimal(parser: argparse.ArgumentParser) -> None:
    """Add the option with the mark of decimals in a table of readings."""
    parser.add_argument(
        "--decimal", choices=(",", "."), default="", help="mark of a table's decimals, if unclear"
    )


def save_fit(
    tasks: list[Readings],
    checksum: int,
    options: argparse.Namespace,
    name: str,
    device_file: Path,
) -> tuple[float, Figure]:
    """Fit the readings of all devices, print, plot and save the fit. Return the largest distance of
    a device's readings from mean pulses (rms, share of the range); 0 for one gradual direction. And
    the figure.

    `options` have the file, its read voltage, and what `add_jobs` and `Record` need.
    """
    device = {
        "name": name,
        "read_voltage": options.read_voltage,
        "source": f"fitted to {options.file.name}, checksum {checksum:08x}",
    }
    record = Record(
        options,
        f"device_fit_{name}",
        {"file": options.file.name, "read_voltage": options.read_voltage, "readings": checksum},
        others=[options.file],
    )
    check_overwriting(device_file, device, options.force, [options.file], "--results DIR")

    if is_one_sided(cells := [(one.conductance, one.direction, one.pulses) for one in tasks]):
        return 0.0, save_one_sided(fit_one_sided(cells, **device), device_file, record)
    fit: PulseFit | DevicesFit
    if tasks[0].name:
        done = dict(
            run_tasks(
                fit_device, tasks, options.jobs, options.scheduler, description="fitting devices"
            )
        )
        fit = combine_devices([done[k] for k in range(len(tasks))], **device)
        results = kind_results(fit)
    else:
        (one,) = tasks
        fit = fit_pulses(one.conductance, one.direction, pulses=one.pulses, **device)
        used = len(fit.reading) + len(fit.left_out)
        if (count := len(one.conductance)) > used:
            report(f"fitted the first {used:,} of {count:,} readings")
        results = {
            "standard_errors": fit.errors,
            "intervals_95": fit.intervals,
            "equal_noises": fit.equal_noises,
            "rms_share_of_range": fit.rms,
            "largest_share_of_range": fit.largest,
        }
    if isinstance(fit, PulseFit):
        fits = {"": fit}
        print_fit(fit)
        figure = pulse_figure(fit)
    else:
        fits = {f"device {one.name}: ": one.fit for one in fit.devices}
        print_kind(fit)
        figure = plotting.steps(fit.device, [one.fit.device for one in fit.devices])
    record.plot(figure)
    for one, (words, result) in zip(tasks, fits.items(), strict=True):
        warn_of_single(result, one, words)
        if result.missed > MISFIT:
            raise ParameterError(
                f"{words}mean pulses miss the readings by {result.missed:.0%} of the range (rms, "
                f"without read noise), more than {MISFIT:.0%}: no device file was written. Are all "
                "pulses alike, and each reading after as many as the table states? Compare the "
                "curves of the figure with its dots"
            )
    if (missed := max(result.missed for result in fits.values())) > FAR:
        fit = dataclasses.replace(fit, device=dataclasses.replace(fit.device, misfit=missed))
    write_file(device_file, to_json(device_record(fit.device)))
    report(f"wrote {device_file}; use it with: --device {device_file}")
    record.write({"device": dataclasses.asdict(fit.device), **results}, ngspice=False)
    return missed, figure


def save_retention(
    time: np.ndarray,
    conductance: np.ndarray,
    devices: np.ndarray,
    options: argparse.Namespace,
    name: str,
    device_file: Path,
) -> None:
    """Fit both laws of time to readings without pulses, print them, and write the device of
    --device with the better one.
    """
    fit = fit_retention(time, conductance, devices)
    values = {
        DRIFT: f"exponent {fit.exponents.mean():.3g} from {fit.start:g} s on",
        RELAXATION: f"time constant {fit.time_constant:.3g} s towards {fit.rest:.3g} S",
    }
    rows = [
        (law, f"{fit.criteria[law]:.3g}", f"{fit.residuals[law]:.2%}", values.get(law, ""))
        for law in LAWS
    ]
    print(table(("law", "criterion, 0: best", "rms residual", "fitted"), rows))
    if not options.device:
        print("give the device file with --device FILE to write the better law into a copy of it")
        return
    base = load_device(options.device)
    changes: Fields = fit.changes(base.lowest_conductance, base.highest_conductance)
    print(", ".join(f"{field} {value:.3g}" for field, value in changes.items() if value))
    source = f"{base.source}; {fit.law} fitted to {options.file.name}"
    device = dataclasses.replace(base, name=name, source=source, **changes)
    own = {"name": name, "source": source}
    check_overwriting(device_file, own, options.force, [options.file], "--results DIR")
    write_file(device_file, to_json(device_record(device)))
    report(f"wrote {device_file}; use it with: --device {device_file}")


def save_one_sided(device: MeasuredDevice, device_file: Path, record: Record) -> Figure:
    """Save, print and plot a device with one gradual direction; return the figure."""
    pulses = device.one_sided
    assert pulses
    write_file(device_file, to_json(device_record(device)))
    report(f"wrote {device_file}; use it in pairs with: --device {device_file} --late")
    record.write({"device": dataclasses.asdict(device)}, ngspice=False)
    way, other = ("up", "down") if pulses.sign > 0 else ("down", "up")
    print(
        f"one gradual direction, {way}: steps of {pulses.mean_step:.1%} of the range with a noise "
        f"of {pulses.noise:.1%} (means over the range); pulses {other} end at "
        f"{np.mean(pulses.abrupt):.2f} of the range"
    )
    figure = plotting.one_sided_steps([device])
    record.plot(figure)
    return figure


def kind_results(kind: DevicesFit) -> Fields:
    """Return a dict with the fit of several devices of one kind, for the record."""
    return {
        "standard_errors": kind.errors,
        "spreads": {key: spread._asdict() for key, spread in kind.spreads.items()},
        "devices": [
            {
                "name": one.name,
                **values_of(one.fit, kind.device),
                "standard_errors": one.errors,
                "intervals_95": one.fit.intervals,
                "equal_noises": one.fit.equal_noises,
                "rms_share_of_range": one.fit.rms,
            }
            for one in kind.devices
        ],
    }


def print_kind(kind: DevicesFit) -> None:
    """Print the mean steps of several devices, and their other values with spreads; warn of devices
    that do not fit, and of gaps in the data.
    """
    print_steps(kind.device, kind.errors)
    rows = []
    for key, (label, unit, relative) in KIND_ROWS.items():
        spread, scale = kind.spreads[key], 100.0 if unit == "%" else 1.0
        shown = [f"{scale * value:.3g}{unit}" for value in spread[:2]]
        percent = [f"{100 * value:.2g}%" for value in spread[2:]]
        rows.append((label, *shown, *percent, relative))
    print(table(("value", "mean", "standard error", "spread", "standard error", "of"), rows))
    if count := sum(one.fit.equal_noises for one in kind.devices):
        print(
            f"readings of {count} of {len(kind.devices)} devices cannot tell write noise and read "
            "noise apart: there both are taken as equal"
        )
    for one in kind.devices:
        warn_of_misses(one.fit, f"device {one.name}: ")
    starts = (np.concatenate([one.fit.starts(up) for one in kind.devices]) for up in (True, False))
    warn_of_device(kind.device, *starts)


def print_steps(device: MeasuredDevice, errors: Fields) -> None:
    """Print the range and the steps with their standard errors."""
    x = np.linspace(0, 1, 5)
    columns = [x]
    for word in ("up", "down"):
        columns += [
            100 * device.step(x, word == "up"),
            100 * np.interp(x, np.linspace(0, 1, len(device.up)), errors[word]),
        ]
    print(
        f"{device.lowest_conductance:.4g} S at x = 0, {device.highest_conductance:.4g} S at x = 1; "
        "a pulse moves x by (%)"
    )
    rows = [[f"{value:.2f}" for value in row] for row in np.transpose(columns)]
    print(table(("x", "up", "standard error", "down", "standard error"), rows))


def print_fit(fit: PulseFit) -> None:
    """Print steps with standard errors, noises with intervals, and how closely a replay with mean
    steps, without noise, follows the readings; warn of gaps in the data.
    """
    device = fit.device
    print_steps(device, fit.errors)
    for kind in ("write", "read"):
        noise, (low, high) = getattr(device, f"{kind}_noise"), fit.intervals[f"{kind}_noise"]
        print(f"{kind} noise {noise:.2%} of the range ({low:.2%} to {high:.2%}, 95% interval)")
    if fit.equal_noises:
        print(
            "these readings cannot tell write noise and read noise apart: the device file holds "
            "the likeliest noises of equal size; read after fewer pulses, or measure more sweeps"
        )
    print(
        f"replay of mean pulses: {fit.rms:.2%} (rms) from the readings, {fit.largest:.2%} at most"
    )
    warn_of_misses(fit)
    warn_of_device(device, fit.starts(True), fit.starts(False))


def warn_of_misses(fit: PulseFit, name: str = "") -> None:
    """Warn if a replay with mean steps, without noise, misses the readings by more than the noises
    explain. The warning begins with `name`.
    """
    expected = np.sqrt(np.mean(fit.band**2))
    if fit.rms > max(MISSED, EXPLAINED * expected):
        warnings.warn(
            f"{name}mean pulses miss the readings by {fit.rms:.0%} of the range (rms), noise "
            f"explains {expected:.0%}: see if the curves of the figure follow its dots",
            stacklevel=2,
        )


def warn_of_single(fit: PulseFit, readings: Readings, name: str = "") -> None:
    """Warn of single readings far from those around, by their rows in the file."""
    rows = readings.rows if readings.rows is not None else np.arange(len(readings.direction)) + 1
    for indices, what in (
        (fit.left_out, "and were left out; their pulses count to the next reading"),
        (
            fit.jumps,
            "and stay in the fit, as the next one does not return: noises are too large if "
            "these are not the device's",
        ),
    ):
        if len(indices):
            shown = ", ".join(map(str, rows[indices[:SHOWN_ROWS]]))
            warnings.warn(
                f"{name}readings lie more than six standard deviations from those around, {what}. "
                f"Rows: {shown}"
                + f" and {len(indices) - SHOWN_ROWS} more"
                * (len(indices) > SHOWN_ROWS),
                stacklevel=2,
            )


def warn_of_device(device: MeasuredDevice, up: np.ndarray, down: np.ndarray) -> None:
    """Warn of unusual conductances, which may have another unit, and of ranges of x in which no
    pulse started. Print a line if one pulse moves x by a large part of its range.

    `up`, `down`: x before the pulses of each direction.
    """
    if device.highest_conductance < USUAL:
        warnings.warn(
            f"conductances up to {device.highest_conductance:.2g} S are unusually low: check the "
            "unit",
            stacklevel=2,
        )
    # with every cell at its upper end
    feedback = 2 * STAGE_SWING / (ROWS * device.highest_conductance * device.read_voltage)
    if MEASURED_NEURON.highest_sum(feedback) < 2 * STAGE_SWING:
        warnings.warn(
            f"conductances up to {device.highest_conductance:.2g} S are too high for op-amps: "
            f"{ROWS} cells take {2 * STAGE_SWING / feedback:.2g} A at {device.read_voltage:g} V; "
            "check the unit and --read-voltage",
            stacklevel=2,
        )
    for word, starts in (("up", up), ("down", down)):
        before = np.clip(starts, 0, 1)
        largest, states = float(device.step(before, word == "up").max()), np.sort([0, *before, 1])
        widest = int(np.diff(states).argmax())
        if largest > ABRUPT:
            print(f"abrupt: one pulse {word} moves x by {largest:.0%}")
        if states[widest + 1] - states[widest] > GAP:
            warnings.warn(
                f"no pulse {word} starts between x = {states[widest]:.2f} and "
                f"{states[widest + 1]:.2f}: there the curve is a guess",
                stacklevel=2,
            )


def pulse_figure(fit: PulseFit) -> Figure:
    """Draw the fit: measured sweeps beside a replay with the fitted mean steps, and these steps
    over x.

    A band shows the standard deviation of readings about the replay. Of many sweeps every second,
    third, and so on is drawn, and of long sweeps the beginning.
    """
    device, grid = fit.device, np.linspace(0, 1, len(fit.device.up))
    factor, unit = plotting.prefixed(device.highest_conductance, "S")
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.WIDTH, 3.4))
    noise = device.read_noise
    # the state stays in its range
    band = [np.clip(fit.replay + sign * fit.band, -noise, 1 + noise) for sign in (-1, 1)]
    sweeps = np.split(np.arange(len(fit.state)), np.flatnonzero(fit.direction == 0)[1:])
    for sweep in (one[:SHOWN_READINGS] for one in sweeps[:: -(-len(sweeps) // SHOWN_SWEEPS)]):
        read, mean, low, high = (
            factor * device.conductance(x[sweep]) for x in (fit.reading, fit.replay, *band)
        )
        pulses = fit.pulses[sweep].cumsum()
        lines = [
            *left.plot(pulses, read, ".", color=plotting.SKY, markersize=4),
            *left.plot(pulses, mean, "--", color=plotting.BLACK, linewidth=1.0),
            left.fill_between(pulses, low, high, color=plotting.GREY, alpha=0.2, linewidth=0),
        ]
    left.set(xlabel="pulses", ylabel=f"conductance ({unit})", title=device.name)
    figure.legend(
        lines, ["readings", "mean pulses", "standard deviation"], loc="outside lower left", ncols=3
    )
    for word, colour in (("up", plotting.BLUE), ("down", plotting.VERMILLION)):
        near = pd.DataFrame(dict(zip(("x", "step"), fit.steps(word == "up"), strict=True)))
        bins = near.groupby((near["x"] * SHOWN_STEPS).round())
        near, count = bins.mean(), bins.size()
        curve, error = device.step(grid, word == "up"), fit.errors[word]
        right.fill_between(
            grid, 100 * (curve - error), 100 * (curve + error), color=colour, alpha=0.2, linewidth=0
        )
        right.plot(grid, 100 * curve, color=colour, label=word)
        right.scatter(near["x"], 100 * near["step"], 35 * count / count.max() + 3, color=colour)
    right.axhline(0, color=plotting.GREY, linewidth=0.7)
    right.set(
        xlabel="x, share of the range",
        ylabel="step of a pulse (% of the range)",
        title="dots: mean measured steps (small: of few)",
    )
    right.legend()
    return figure
