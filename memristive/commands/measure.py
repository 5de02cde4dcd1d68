"""Can your SPICE model learn in a crossbar? Measure it in ngspice: pulses at V, V/2 and V/3, reads,
I-V loops. For a neuron: its column, its spike over the current, its energy.

MODEL.json describes a subcircuit with two pins (memristive/devices/spice_model.py); vteam,
yakopcic, wox, memdiode, molecular, stanford and sky130_reram come with the project, and cells of a
foundry's transistors, gf180mcu_cell and sky130_cell (docs/silicon.md). For a model with a gate as
the third pin, such as stanford_1t1r, the study measures other things: the level over the gate
voltage, after RESET from lower and from higher levels; the influence of earlier writes; and
half-selected cells. x is the conductance as a share of its range. Two sweeps of pulses define the
range, from the subcircuit's default state down, and then up. A sweep ends when its last 100 pulses
have made less than 1 % of the change of the whole sweep, or after 1,000 pulses. Without voltage x
is watched for 1,000 presentations, and the device file of a device that forgets has the time
constant and the rest of its decay.

A file with `pins` describes a neuron (docs/silicon.md); opamp, axon_hillock, gf180mcu and sky130
come with the project. The study writes own/NEURON_neuron.json, for the recipe's neuron.

Writes the device file own/MODEL_device.json, for --device of other scripts, the record
own/spice_device_MODEL.json and own/spice_device_MODEL.png. Files of the project's models go to
results/devices/ and figures/. 5 to 10 s. No file is written if the curves are wrong by more than 20
% of the range.
"""

import argparse
import dataclasses
import tempfile
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import Record, keep_apart, make_parser, table
from memristive.devices.characterise import (
    BLOCK,
    GRID,
    READS,
    STARTS,
    Characterisation,
    characterise,
    step_spread,
)
from memristive.devices.characterise_gate import SIDES, GateCharacterisation, characterise_gate
from memristive.devices.foundry import Process
from memristive.devices.measured_device import (
    LARGEST_MISFIT,
    MeasuredDevice,
    cure_of_misfit,
    device_record,
    warn_of_device,
)
from memristive.devices.neuron_model import (
    FORMAT,
    NeuronModel,
    law,
    load_neuron_model,
    measure_neuron,
    with_spreads,
)
from memristive.devices.neuron_model import PRESETS as NEURONS
from memristive.devices.spice_model import has_entry, load_model
from memristive.io.records import check_overwriting, report, to_json, write_file
from memristive.parameters import Fields, ParameterError, SimulationError
from memristive.progress import progress
from memristive.spice.session import time_limit

ABRUPT = 0.2  # share of the range: a device with a larger step has fewer than five levels
LIMIT = 10.0  # s, of one transient: usual are 0.01 to 1
DRIFT = 0.1  # share of a mean step: reads that move x by more bring a warning
STYLES = {1: "-", 2: "--", 3: ":"}  # of lines for V, V/2 and V/3


def main(arguments: list[str] | None = None) -> None:
    """Read the model, measure, save, print, plot."""
    parser = make_parser(__doc__, "devices", parameters=False)
    parser.add_argument(
        "model",
        metavar="MODEL.json",
        help="model file, or the name of a model that comes with the project",
    )
    parser.add_number("--draws", 0, 10**4, 0, "of a foundry's mismatch, of its neuron or cell")
    options = parser.parse_args(arguments)
    keep_apart(options, options.model)
    neuron = has_entry(NEURONS, options.model, "pins")
    model: Any = (load_neuron_model if neuron else load_model)(options.model)
    if options.draws and (
        options.draws < 3 or not model.foundry or (not neuron and model.has_levels)
    ):
        raise ParameterError(
            f"--draws {options.draws} needs a foundry's neuron or cell, and 3 draws or more"
        )
    if options.draws:
        Process(model.foundry, mismatch=1)  # raises ParameterError if the foundry has none
    if neuron:
        return measure_one_neuron(options, model)
    device_file = options.results / f"{model.name}_device.json"
    pulses = ["voltage_up", "width_up", "voltage_down", "width_down", "read_voltage"]
    pulses += ["gate_low", "gate_high", "gate_open"] if model.has_levels else []
    parameters = {"model": options.model, **{name: getattr(model, name) for name in pulses}}
    parameters |= {"draws": options.draws} if options.draws else {}
    record = Record(options, f"spice_device_{model.name}", parameters, others=[options.model])
    check_overwriting(device_file, parameters, options.force, [options.model], "--results DIR")

    report(f"measuring {model.name} in ngspice")
    for note in model.notes:
        report(f"- {note}")
    measure = characterise_gate if model.has_levels else characterise
    what = "Verilog-A module" if model.verilog_a else "SPICE subcircuit"
    source = f"{what} {model.subcircuit}, measured in ngspice"
    source += f" with transistors of {model.foundry}, typical, 27 C" if model.foundry else ""
    try:
        with (
            tempfile.TemporaryDirectory() as tempfile.tempdir,  # where failed netlists go
            time_limit(LIMIT),
            progress(iter(""), 2 if model.has_levels else 5, model.name, "phase") as bar,
        ):

            def phase(name: str) -> None:
                bar.set_description(name, refresh=False)  # not before two seconds
                bar.update()

            measured: Any = measure(model, source, options.model, phase)
    except SimulationError as error:
        raise SimulationError(model.explained(error)) from None
    finally:
        tempfile.tempdir = None
    describe = measured_gate if model.has_levels else measured_steps
    device, results, drawn = describe(measured)
    if device.misfit > LARGEST_MISFIT:
        raise ParameterError(
            f"{model.name}: no device file, because its curves are wrong by up to "
            f"{device.misfit:.0%} of the range: {cure_of_misfit(device)}"
        )
    if options.draws:
        spread, offset = step_spread(model, measured.map.state(0.5), options.draws)
        device, results["offset_spread"] = dataclasses.replace(device, spread=spread), offset
        print(
            f"{options.draws} cells of mismatch: steps differ by {spread:.1%}, and each write adds "
            f"an offset of {offset:.0%} of a step"
        )
    write_file(device_file, to_json(device_record(device)))
    report(f"wrote {device_file}; use it with: --device {device_file}")
    record.write(results)
    record.plot(drawn)


def measure_one_neuron(options: argparse.Namespace, model: NeuronModel) -> None:
    """Measure the neuron of a neuron file, write its file, print, plot."""
    path = options.results / f"{model.name}_neuron.json"
    parameters = {"model": options.model, "draws": options.draws, **model.as_dict()}
    record = Record(options, f"spice_neuron_{model.name}", parameters, others=[options.model])
    check_overwriting(path, parameters, options.force, [options.model], "--results DIR")
    report(f"measuring {model.name} in ngspice")
    with progress(iter(""), 3 + options.draws, model.name, "phase") as bar:

        def phase(name: str) -> None:
            bar.update()

        neuron = measure_neuron(model, options.model, phase=phase)
        if options.draws:
            neuron = with_spreads(neuron, model, Process(model.foundry), options.draws, phase)
    write_file(path, to_json({"format": FORMAT, **neuron.as_dict()}))
    report(f"wrote {path}; a recipe takes it as its neuron")
    times = np.array(neuron.time)
    rows = [
        ("column without current (mV from the reference)", f"{1e3 * neuron.rest:+.2f}"),
        ("column at spikes, at most (mV)", f"{1e3 * neuron.offset:.2f}"),
        ("fires at (A)", f"{neuron.current[0]:.3g} to {neuron.current[-1]:.3g}"),
        ("after (s)", f"{times[0]:.3g} to {times[-1]:.3g}"),
        ("t0 (s), tau (s), I_th (A)", "{:.3g}, {:.4g}, {:.4g}".format(*neuron.law)),
        ("this law holds at (A)", f"{neuron.law_low:.3g} to {neuron.law_high:.3g}"),
        ("fires again while its current lasts", "yes" if neuron.repeats else "no"),
        ("change of t by other cells", f"{neuron.lift:+.2%}"),
        ("energy of a read (J), power at rest (W)", f"{neuron.energy:.3g}, {neuron.power:.3g}"),
    ]
    print(table(("quantity", "value"), rows))
    if neuron.draws:
        spreads = (neuron.threshold_spread, neuron.time_constant_spread, neuron.leak_spread)
        print("spread of I_th {:.1%}, tau {:.1%}, membrane's resistance {:.1%}".format(*spreads))
    for doubt in neuron.doubts:
        print(doubt)
    record.write(neuron.as_dict())
    drawn, axes = plt.subplots()
    axes.loglog(1e6 * np.array(neuron.current), 1e6 * times, "o", label="ngspice")
    axes.loglog(
        1e6 * np.array(neuron.current),
        1e6 * law(np.array(neuron.current), *neuron.law),
        label="t0 + tau ln(I / (I - I_th))",
    )
    axes.set(xlabel="current of the column (uA)", ylabel="first spike (us)")
    axes.legend()
    record.plot(drawn)


def measured_steps(measured: Characterisation) -> tuple[MeasuredDevice, Fields, Figure]:
    """Print the measurement of a model with two pins; return the device, the results for the
    record, and the figure.
    """
    results = dataclasses.asdict(measured) | {
        "x": GRID,
        "starts": STARTS,
        **{
            name: {
                f"{'up' if up else 'down'} V/{part}": value
                for (up, part), value in getattr(measured, name).items()
            }
            for name in ("steps", "disturb")
        },
        "loops": [
            {"period_s": period, "voltage_V": volts, "current_A": amperes}
            for period, volts, amperes in measured.loops
        ],
    }
    print_result(measured)
    return measured.device, results, figure(measured)


def measured_gate(measured: GateCharacterisation) -> tuple[MeasuredDevice, Fields, Figure]:
    """Print the measurement of a model with a gate; return the device, the results for the record,
    and the figure.
    """
    results = dataclasses.asdict(measured) | {
        "loops": [
            {"gate_V": gate, "voltage_V": volts, "current_A": amperes}
            for gate, volts, amperes in measured.loops
        ]
    }
    print_gate(measured)
    return measured.device, results, gate_figure(measured)


def print_result(measured: Characterisation) -> None:
    """Print steps, r, and the drift by reads."""
    device = measured.device
    both = (True, False)
    rows = [
        (
            "pulse (V, s)",
            f"{device.voltage_up:g}, {device.width_up:g}",
            f"{device.voltage_down:g}, {device.width_down:g}",
        ),
        ("pulses that define the range", *measured.reach[::-1]),
        ("pulses across the range, or 99 % of it", *(f"{device.pulses(up):.4g}" for up in both)),
        (
            "change a pulse, share of the range: mean",
            *(f"{np.mean(curve):.3%}" for curve in (device.up, device.down)),
        ),
        (
            "change a pulse: least, largest",
            *(f"{min(curve):.2%}, {max(curve):.2%}" for curve in (device.up, device.down)),
        ),
        *(
            (
                f"r: step at V/{part} over that at V",
                *(f"{measured.disturb[up, part]:z.2%}" for up in both),
            )
            for part in (2, 3)
        ),
    ]
    print(table(("quantity", "up", "down"), rows))
    print(
        f"conductance {device.lowest_conductance:.4g} to {device.highest_conductance:.4g} S at "
        f"{device.read_voltage:g} V; near 0 V the range is {device.read_curve[0]:.3f} times as wide"
    )
    if not measured.arrived:
        print(
            f"the range is not the device's: its bounds are farther than {max(measured.reach)} "
            "pulses away: try a longer pulse, or a higher voltage"
        )
    drift = np.abs(measured.drift).max()
    steps = drift / device.mean_step
    neglected = (
        f", {steps:.1f} steps, which trainings neglect: lower read_voltage"
        if steps > DRIFT and not device.retention
        else ""
    )
    print(
        f"{READS} reads of {device.width_up:g} s move x by {drift:.2%} of the range at "
        f"most{neglected}"
    )
    print(
        f"the device file's curves follow ngspice's sweeps within {device.misfit:.2%} of the range"
    )
    if device.misfit <= LARGEST_MISFIT:
        warn_of_device(device)
    for way, curve in (("up", device.up), ("down", device.down)):
        if max(curve) > ABRUPT:
            print(
                f"one pulse {way} moves x by up to {max(curve):.0%}: the device is abrupt and has "
                "few levels, so that corrections overshoot: try a shorter pulse, or a lower voltage"
            )


def print_gate(measured: GateCharacterisation) -> None:
    """Print the range of levels, and how far a level depends on what came before."""
    device, (below, above, blind) = measured.device, (measured.levels[side] for side in SIDES)
    span = device.highest_conductance - device.lowest_conductance
    expected, reached = measured.history
    rows = [
        ("levels (S)", f"{below[0]:.4g} to {below[-1]:.4g}"),
        ("gate voltages (V)", f"{device.gate_low:g} to {device.gate_high:g}"),
        ("difference between both sides, after RESET", f"{np.abs(above - below).max() / span:.3%}"),
        ("a SET without RESET ends higher, at most", f"{np.max(blind - below) / span:.2%}"),
        (
            f"error of {len(expected)} random levels: mean, largest",
            f"{np.mean(reached - expected) / span:.2%}, "
            f"{np.abs(reached - expected).max() / span:.2%}",
        ),
        *((f"change by {name}", f"{value:.2g}") for name, value in measured.disturb.items()),
    ]
    print(table(("quantity", "value, or share of the range"), rows))


def gate_figure(measured: GateCharacterisation) -> Figure:
    """Draw I-V loops, levels from both sides, and random levels over those that are expected."""
    drawn, (loops, levels, history) = plt.subplots(1, 3, figsize=(plotting.WIDTH * 1.1, 3.2))
    factor, unit = plotting.prefixed(
        np.concatenate([amperes for *_, amperes in measured.loops]), "A"
    )
    for gate, volts, amperes in measured.loops:
        loops.plot(volts, factor * amperes, label=f"{gate:.2f} V")
    loops.set(xlabel="voltage (V)", ylabel=f"current ({unit})", title="loops")
    plotting.cross(loops)
    loops.legend(title="gate in SET")

    factor, unit = plotting.prefixed(measured.history, "S")
    for (side, siemens), style in zip(measured.levels.items(), ("-", "--", ":"), strict=True):
        levels.plot(measured.gates, factor * siemens, style, label=side)
    levels.set(xlabel="gate voltage of SET (V)", ylabel=f"conductance ({unit})", title="levels")
    levels.legend(fontsize="x-small")

    expected, reached = factor * measured.history
    history.plot(expected, expected, color=plotting.GREY, linewidth=0.8)
    history.plot(expected, reached, "o", markersize=4)
    history.set(
        xlabel=f"level of the gate ({unit})",
        ylabel=f"conductance ({unit})",
        title=f"{len(expected)} random writes",
    )
    return drawn


def figure(measured: Characterisation) -> Figure:
    """Draw I-V loops, sweeps of pulses, and steps at V, V/2 and V/3."""
    drawn, axes = plt.subplot_mosaic(
        [["loops", "sweeps"], ["steps", "steps"]], figsize=(plotting.WIDTH, 6.0)
    )
    loops, sweeps, steps = (axes[name] for name in ("loops", "sweeps", "steps"))
    factor, unit = plotting.prefixed(
        np.concatenate([amperes for *_, amperes in measured.loops]), "A"
    )
    for period, volts, amperes in measured.loops:
        scale, hertz = plotting.prefixed(1 / period, "Hz")
        loops.plot(volts, factor * amperes, label=f"{scale / period:.3g} {hertz}")
    loops.set(xlabel="voltage (V)", ylabel=f"current ({unit})", title="pinched loop")
    plotting.cross(loops)
    loops.legend()

    factor, unit = plotting.prefixed(measured.sweeps, "S")
    for start, sweep in zip(STARTS, measured.sweeps, strict=True):
        sweeps.plot(factor * sweep, label=f"x = {start:.2g}")
    sweeps.axvline(BLOCK, color=plotting.GREY, linewidth=0.6)
    sweeps.set(
        xlabel="pulses", ylabel=f"conductance ({unit})", title=f"{BLOCK} pulses up, {BLOCK} down"
    )
    sweeps.legend(title="start", loc="upper left", bbox_to_anchor=(1, 1))

    for up, colour in ((True, plotting.BLUE), (False, plotting.VERMILLION)):
        for part, style in STYLES.items():
            # at the ends the bound cuts steps off
            percent = 100 * np.maximum(np.abs(measured.steps[up, part]), 1e-9)[1:-1]
            steps.plot(
                GRID[1:-1],
                percent,
                style,
                color=colour,
                label=f"{'up' if up else 'down'}, V/{part}".removesuffix("/1"),
            )
    changes = np.concatenate([np.abs(moves) for moves in measured.steps.values()])
    steps.set(
        xlabel="x",
        ylabel="change of x by a pulse (%)",
        yscale="log",
        ylim=(50 * changes[changes > 1e-8].min(), None),
        title="steps",
    )
    steps.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn
