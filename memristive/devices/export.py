"""A measured device for other programs, as text: a SPICE subcircuit, Verilog-A, aihwkit.

The subcircuit and the Verilog-A module have two pins and hold the same equations (docs/export.md):
a pulse of the laboratory moves the state x by the device's mean step, and a read does not move it.
They use only what ngspice, LTspice, Xyce and Verilog-A share: piecewise-linear functions are sums
of max(). The file for aihwkit holds the noises, too.
"""

import json
import re
import textwrap

import numpy as np

from memristive.devices.measured_device import MeasuredDevice
from memristive.devices.write_curve import WriteCurve
from memristive.parameters import Fields, ParameterError
from memristive.spice.session import one_line

# ohm: the state's leak, without which an operating point has no solution. Its time constant is so
# many pulses.
RETENTION = 1e8
KINK = 1e-6  # change of a slope, in units of the function, that rounding may cause
WIDTH = 100  # columns of a file
MOST_NODES = 63  # of aihwkit's steps, on graphics processors
FORWARD, BACKWARD = "V(row,column)", "V(column,row)"


def identifier(name: str) -> str:
    """Return the `name` of a device, changed such that SPICE and Verilog-A accept it."""
    word = re.sub(r"\W", "_", name.lower(), flags=re.ASCII)
    return word if word[:1].isalpha() else f"device_{word}"


def spice_library(device: MeasuredDevice) -> str:
    """Return a SPICE library with the device as a subcircuit, whose node x is the state.

    Raises ParameterError for pulses that `check_pulses` refuses.
    """
    check_pulses(device)
    up, down = (_rate(device, way) for way in (True, False))
    statements = [
        f".subckt {identifier(device.name)} row column params: x0=0",
        f"Cstate x 0 {device.width_up:.12g} ic={{x0}}",
        f"Rstate x 0 {RETENTION:g}",
        f"Istate 0 x {{x0/{RETENTION:g}}}",
        f"Gup 0 x value={{{up}}}",
        f"Gdown x 0 value={{{down}}}",
        f"Gdevice row column value={{{_current(device)}}}",
        f".ends {identifier(device.name)}",
    ]
    lines = [f"* {line}" for line in _described(device, "subcircuit", "Parameter")]
    for statement in statements:
        first, *more = _wrapped(statement, WIDTH - 2)
        lines += [first, *(f"+ {line}" for line in more)]
    return "\n".join(lines) + "\n"


def model_file(device: MeasuredDevice) -> Fields:
    """Return the content of the model file (docs/own_model.md) of the exported library."""
    name = identifier(device.name)
    return {
        "file": f"{name}.lib",
        "subcircuit": name,
        "row_pin": 1 if device.voltage_up > 0 else 2,
        "state_node": "x",
        "initial_parameter": "x0",
        "up": {"voltage": abs(device.voltage_up), "width": device.width_up},
        "down": {"voltage": -abs(device.voltage_down), "width": device.width_down},
        "read_voltage": device.read_voltage,
    }


def verilog_a(device: MeasuredDevice) -> str:
    """Return the device as a Verilog-A module, whose node x is the state.

    The node `moved` holds the change of the state, so that a simulation starts at x0, whether or
    not it begins with an operating point. Raises ParameterError for pulses that `check_pulses`
    refuses.
    """
    check_pulses(device)
    name, indent = identifier(device.name), "    "
    statements = [
        f"up = {_rate(device, True)};",
        f"down = {_rate(device, False)};",
        f"I(row,column) <+ {_current(device)};",
        f"I(moved) <+ ddt({device.width_up:.12g}*V(moved)) + V(moved)/{RETENTION:g} - up + down;",
        "V(x) <+ x0 + V(moved);",
    ]
    body = [line for text in statements for line in _wrapped(text, WIDTH - len(indent))]
    return "\n".join(
        [
            *(f"// {line}" for line in _described(device, "module", "Instance parameter")),
            '`include "disciplines.vams"',
            f"module {name}(row, column);",
            "  inout row, column;",
            "  electrical row, column, x, moved;",
            '  (* type="instance", desc="state at the start" *) parameter real x0 = 0 from [0:1];',
            "  real up, down;",
            "  analog begin",
            *(indent + line for line in body),
            "  end",
            "endmodule",
            "",
        ]
    )


def aihwkit_parameters(device: MeasuredDevice) -> Fields:
    """Return the arguments of aihwkit's ``PiecewiseStepDevice``, with the weights -1 to 1.

    In aihwkit the noise of a step is in proportion to the step. Its factor is chosen such that the
    noise of the mean step is the device's write noise.

    References
    ----------
    aihwkit.readthedocs.io, aihwkit.simulator.configs.devices.PiecewiseStepDevice.
    """
    nodes = np.linspace(0, 1, min(max(len(device.up), len(device.down)), MOST_NODES))
    return {
        "w_min": -1.0,
        "w_max": 1.0,
        "dw_min": 2 * device.mean_step,
        "piecewise_up": (device.step(nodes) / device.mean_step).tolist(),
        "piecewise_down": (device.step(nodes, False) / device.mean_step).tolist(),
        "dw_min_std": device.write_noise / device.mean_step,
        "dw_min_dtod": device.spread,
        **dict.fromkeys(("w_min_dtod", "w_max_dtod", "up_down", "up_down_dtod"), 0.0),
    }


def files(device: MeasuredDevice) -> dict[str, str]:
    """Return all files of an exported device: their content by the name of the file. Raises
    ParameterError for a device whose levels a gate sets, or with one gradual direction.
    """
    if device.levels or device.one_sided:
        raise ParameterError(
            f"{device.name} has a gate or one gradual direction, and exported models have two pins "
            "and steps in both: its numbers stand in the device file"
        )
    name = identifier(device.name)
    return {
        f"{name}.lib": spice_library(device),
        f"{name}.json": json.dumps(model_file(device), indent=1) + "\n",
        f"{name}.va": verilog_a(device),
        "aihwkit.json": json.dumps(aihwkit_parameters(device), indent=1) + "\n",
    }


def check_pulses(device: MeasuredDevice) -> None:
    """Raise ParameterError unless pulses up and down have opposite signs, and voltages larger than
    the read voltage.
    """
    up, down = device.voltage_up, device.voltage_down
    if up * down >= 0:
        raise ParameterError(
            f"voltage_up and voltage_down of device {device.name} must have opposite signs, got "
            f"{up:g} and {down:g} V: exported models tell the directions apart by the sign"
        )
    if min(abs(up), abs(down)) <= device.read_voltage:
        raise ParameterError(
            f"pulses of device {device.name} must exceed its read voltage of "
            f"{device.read_voltage:g} V, got {up:g} and {down:g} V: exported models do not move in "
            "reads"
        )


def hinges(variable: str, x: np.ndarray, y: np.ndarray) -> str:
    """Return the text of the piecewise-linear function of `variable` through the points (x, y). Its
    first and its last line continue beyond the points.

    It is a sum of max(), which SPICE and Verilog-A share, with a term for each kink.
    """

    def less(offset: float) -> str:
        return f"{variable}{-offset:+.12g}" if offset else variable

    def times(factor: float, operand: str) -> str:
        return f"{factor:+.12g}*{operand}"

    slopes = np.diff(y) / np.diff(x)
    least = KINK * np.abs(y).max() / np.ptp(x)
    terms = []
    if abs(slopes[0]) > least:
        terms = [times(slopes[0], f"({less(x[0])})" if x[0] else variable)]
    terms += [
        times(change, f"max({less(place)},0)")
        for place, change in zip(x[1:-1], np.diff(slopes), strict=True)
        if abs(change) > least
    ]
    return " ".join([f"{y[0]:.12g}"] * bool(y[0] or not terms) + terms).removeprefix("+")


def _rate(device: MeasuredDevice, up: bool) -> str:
    """Return the expression of the current in A that moves the state V(x) in one direction. It
    charges a capacitor, whose value in F is the width in s of a pulse up. So a full pulse at state
    x changes V(x) by the step there.
    """
    rates = [tuple(device.rates(way).tolist()) for way in (True, False)]
    x, y = WriteCurve(0.0, 1.0, *rates).points(up)
    volts, drive = _drive(device, up)
    forward = (device.voltage_up > 0) == up
    faster = 1.0 if up else device.width_up / device.width_down
    voltage = hinges(FORWARD if forward else BACKWARD, volts, drive * faster)
    return f"({voltage}) * ({hinges('V(x)', x, y)})"


def _drive(device: MeasuredDevice, up: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays: voltages, as positive numbers in V, and the rate of the state at each of
    them. The rate is a share of the rate at the voltage V of a pulse.

    Straight lines go from the read voltage, at which nothing moves, through V/3 and V/2 to V.
    """
    full = abs(device.voltage_up if up else device.voltage_down)
    third, half = (device.third_up, device.half_up) if up else (device.third_down, device.half_down)
    rest = [(0.0, 0.0), (device.read_voltage, 0.0)]
    measured = [(full / 3, third), (full / 2, half), (full, 1.0)]
    points = np.array(rest + [point for point in measured if point[0] > device.read_voltage])
    return points[:, 0], points[:, 1]


def _current(device: MeasuredDevice) -> str:
    """Return the expression of the current in A from row to column: the voltage times the
    conductance. The conductance depends on the voltage up to the read voltage and is constant
    beyond.
    """
    span = device.highest_conductance - device.lowest_conductance
    curve = np.array(device.read_curve)
    volts = np.linspace(0, device.read_voltage, len(curve))
    bend = hinges(f"abs({FORWARD})", np.append(volts, 2 * volts[-1]), np.append(curve, 1.0))
    # writes end slightly beyond the bounds, where a straight line may be negative
    share = "min(max(V(x),0),1)"
    current = f"{FORWARD} * ({device.lowest_conductance:.12g} {span:+.12g}*{share})"
    return current if bend == "1" else f"{current} * ({bend})"


def _described(device: MeasuredDevice, kind: str, parameter: str) -> list[str]:
    """Return the comment of a model file as lines: what the file holds, and its conventions."""
    text = (
        f"Memristor {device.name}, exported by memristive from its mean steps.",
        f"Source: {' '.join(device.source.split()) or 'not given'}.",
        f"Pins of the {kind} {identifier(device.name)}: row, column. Voltages count from row to "
        f"column. A pulse of {device.voltage_up:g} V and {device.width_up:g} s raises the "
        f"conductance by one step, one of {device.voltage_down:g} V and {device.width_down:g} s "
        f"lowers it. Nothing moves up to the read voltage, {device.read_voltage:g} V.",
        f"Node x: the state, from 0 at {device.lowest_conductance:.4g} S to 1 at "
        f"{device.highest_conductance:.4g} S. {parameter} x0: the state at the start. Writes end "
        "at the bounds. The capacitor has as many F as a pulse up has seconds, so a current of "
        "1 A moves x by 1 in one pulse. Noise is left out.",
    )
    return [line for part in text for line in textwrap.wrap(one_line(part), WIDTH - 3)]


def _wrapped(text: str, width: int) -> list[str]:
    """Return `text` in lines that break at spaces."""
    return textwrap.wrap(
        text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
