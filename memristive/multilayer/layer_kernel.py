"""Closed form of multilayer networks, compiled by numba: one presentation after the other, as online learning needs it.

Arrays are rows x neurons here (the last row is the bias), so that a row's cells are neighbours in memory. Spike times are
z = exp(t / tau), inf for neurons that are silent within the window. A neuron driven by steps at z_k with weights w_k (in
thresholds) fires at z = sum(w z_k) / (sum(w) - 1), over the k before z (H. Mostafa, IEEE TNNLS 29, 3227, 2018).
Compiling takes some seconds. numba stores the result in __pycache__; delete it after a change of layer_rule or error_rule.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from memristive.multilayer import layer_rule
from memristive.single_layer import error_rule

first_wrong_neuron = njit(cache=True)(error_rule.first_wrong_neuron)
dose_factor = njit(cache=True)(layer_rule.dose_factor)
output_errors = njit(cache=True)(layer_rule.output_errors)
overlap_times = njit(cache=True)(layer_rule.overlap_times)
hidden_errors = njit(cache=True)(layer_rule.hidden_errors)

Arrays = tuple[np.ndarray, ...]
SAFE_MATH = {"contract", "reassoc", "arcp", "nsz"}  # lets sums be vectorised; infinities and nan keep their meaning


class Device(NamedTuple):
    """Parameters of cells and neurons."""

    half_gain: float  # A/V^2
    threshold_voltage: float  # V
    half_share: float  # half of C / (C + C_gate)
    third: float  # a third of C_gate / (C + C_gate)
    pinch: float  # overdrive of a lifted gate in saturation, relative to rest
    scale: float  # settled membrane in thresholds per ampere of column current
    reference_state: float  # V
    row_voltage: float  # V
    back_voltage: float  # V, for an error of 1 in the last layer
    error_voltage: float  # V, for an error of 1 V in a hidden layer
    start: float  # z of the step that replaces the input's edge
    window: float  # s
    tau: float  # s
    rate: float  # V/s of a written cell at 1 V
    leak: float  # 1/s


class Chip(NamedTuple):
    """Deviations of the devices of a chip, relative to 1: one array for each layer."""

    channel: Arrays  # gains of the channels, rows x (neurons + 1); the last column is the reference's
    write: Arrays  # gains of the writes, rows x neurons
    threshold: Arrays  # neurons


class Doses(NamedTuple):
    """Parameters of a `LayeredRule` that a training needs."""

    presentations: int
    hidden_dose: float
    output_dose: float
    margin: float
    error_scale: float
    reach: float


@njit(cache=True, inline="always", fastmath=SAFE_MATH)
def current(device: Device, state: float, volts: float) -> float:
    """Return the cell current in A as `memristor.read_current` does; `volts` may be negative, as in back-reads."""
    start = max(state - device.threshold_voltage, 0.0)
    drop = min(volts, device.pinch * start)
    mean = start - device.half_share * drop
    return device.half_gain * drop * (mean + math.sqrt(max(mean * mean - device.third * (drop * drop), 0.0)))


@njit(cache=True, fastmath=SAFE_MATH)
def input_drives(device: Device, states: np.ndarray, channel: np.ndarray, threshold: np.ndarray, image: np.ndarray,
                 drives: np.ndarray) -> None:
    """Fill `drives` with the settled membranes of the first layer, in thresholds; `image`: levels of the rows and the bias."""
    drives.fill(0.0)
    columns = len(drives)
    for i in range(len(image)):
        if image[i] != 0.0:
            volts = image[i] * device.row_voltage
            reference = channel[i, columns] * current(device, device.reference_state, volts)
            for j in range(columns):
                drives[j] += channel[i, j] * current(device, states[i, j], volts) - reference
    for j in range(columns):
        drives[j] *= device.scale / threshold[j]


@njit(cache=True)
def weigh(device: Device, states: np.ndarray, channel: np.ndarray, threshold: np.ndarray, weights: np.ndarray, j: int) -> None:
    """Fill column `j` of `weights` with the settled membrane, in thresholds, that each row would cause alone."""
    rows, columns = states.shape
    for i in range(rows):
        reference = channel[i, columns] * current(device, device.reference_state, device.row_voltage)
        cell = channel[i, j] * current(device, states[i, j], device.row_voltage)
        weights[i, j] = device.scale / threshold[j] * (cell - reference)


@njit(cache=True)
def in_order(times: np.ndarray, last: float) -> np.ndarray:
    """Return the indices of the `times` before `last` in order. Insertion sort: NumPy's sort takes 6 s to compile."""
    order = np.empty(len(times), np.int64)
    count = 0
    for k in range(len(times)):
        if times[k] < last:
            place = count
            while place > 0 and times[order[place - 1]] > times[k]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = k
            count += 1
    return order[:count]


@njit(cache=True)
def fire(device: Device, weights: np.ndarray, steps: np.ndarray, spikes: np.ndarray, drives: np.ndarray) -> None:
    """Fill `spikes` (z) and `drives` (settled membranes in thresholds) of a layer; rows step up at `steps` (z, without bias)."""
    rows, columns = weights.shape
    times = np.empty(rows)
    for k in range(rows - 1):
        times[k] = steps[k]
    times[rows - 1] = device.start
    last = math.exp(device.window / device.tau)
    order = in_order(times, last)
    above = np.zeros(columns)
    spikes.fill(np.inf)
    drives.fill(0.0)
    for position in range(len(order)):
        k = order[position]
        until = times[order[position + 1]] if position + 1 < len(order) else last
        for j in range(columns):
            drives[j] += weights[k, j]
            above[j] += weights[k, j] * times[k]
            if drives[j] > 1.0 and spikes[j] == np.inf and above[j] <= until * (drives[j] - 1.0):
                spikes[j] = above[j] / (drives[j] - 1.0)


@njit(cache=True)
def forward(device: Device, chip: Chip, states: Arrays, weights: Arrays, image: np.ndarray, spikes: Arrays,
            drives: Arrays) -> None:
    """Present an `image`: fill `spikes` (z) and `drives` (settled membranes in thresholds) of every layer."""
    input_drives(device, states[0], chip.channel[0], chip.threshold[0], image, drives[0])
    last = math.exp(device.window / device.tau)
    for j in range(len(drives[0])):
        drive = drives[0][j]
        z = device.start * drive / (drive - 1.0) if drive > 1.0 else np.inf
        spikes[0][j] = z if z <= last else np.inf
    for layer in range(1, len(states)):
        fire(device, weights[layer], spikes[layer - 1], spikes[layer], drives[layer])


@njit(cache=True)
def seconds(device: Device, z: np.ndarray) -> np.ndarray:
    """Return the spike times `z` in s; nan for silent neurons."""
    times = np.empty(len(z))
    for j in range(len(z)):
        times[j] = device.tau * math.log(z[j]) if z[j] < np.inf else np.nan
    return times


@njit(cache=True)
def read_back(device: Device, states: np.ndarray, channel: np.ndarray, column_errors: np.ndarray, volts: float) -> np.ndarray:
    """Return sum(error x (X - X_ref)) of each row (without the bias), read with each column at `volts` times its error.

    The reference column carries the negative sum of the errors.
    """
    rows, columns = states.shape
    rest = -column_errors.sum()
    result = np.zeros(rows - 1)
    for k in range(rows - 1):
        total = 0.0
        for j in range(columns):
            if column_errors[j] != 0.0:
                total += channel[k, j] * current(device, states[k, j], volts * column_errors[j])
        if rest != 0.0:
            total += channel[k, columns] * current(device, device.reference_state, volts * rest)
        result[k] = total / (2 * device.half_gain * volts)
    return result


@njit(cache=True)
def write(device: Device, states: np.ndarray, gain: np.ndarray, j: int, high: np.ndarray, pulse: float) -> None:
    """Write column `j`: row i is driven for the share `high[i]` of a `pulse` in s (negative: at the negative voltage)."""
    window = abs(pulse) * high.max()
    for i in range(len(high)):
        states[i, j] += device.rate * gain[i, j] * pulse * high[i] - device.leak * window * states[i, j]


@njit(cache=True)
def correct(device: Device, chip: Chip, doses: Doses, states: Arrays, weights: Arrays, image: np.ndarray, spikes: Arrays,
            drives: Arrays, label: int, wrong: int, share: float) -> None:
    """Read back from the last layer to the first, then make all writes of one presentation."""
    last = len(states) - 1
    found = [output_errors(len(spikes[last]), label, wrong)]
    for layer in range(last, 0, -1):
        volts, scale = (device.back_voltage, 1.0) if layer == last else (device.error_voltage, doses.error_scale)
        back = read_back(device, states[layer], chip.channel[layer], found[-1], volts)
        found.append(hidden_errors(back, drives[layer - 1], doses.reach, scale))
    for layer in range(last + 1):
        dose = share * (doses.output_dose if layer == last else doses.hidden_dose)
        column_errors = found[last - layer]
        times = seconds(device, spikes[layer])
        rows, high = seconds(device, spikes[layer - 1]), image
        for j in range(len(times)):
            if column_errors[j] == 0.0:
                continue
            if layer:
                high = overlap_times(np.append(rows, device.tau * math.log(device.start)), times[j], device.window) / device.tau
            write(device, states[layer], chip.write[layer], j, high, dose * column_errors[j] / device.rate)
            if layer:
                weigh(device, states[layer], chip.channel[layer], chip.threshold[layer], weights[layer], j)


@njit(cache=True)
def all_weights(device: Device, chip: Chip, states: Arrays, weights: Arrays) -> None:
    """Fill the `weights` of all layers but the first, whose rows have different voltages."""
    for layer in range(1, len(states)):
        for j in range(states[layer].shape[1]):
            weigh(device, states[layer], chip.channel[layer], chip.threshold[layer], weights[layer], j)


@njit(cache=True)
def present(device: Device, chip: Chip, states: Arrays, weights: Arrays, images: np.ndarray, spikes: Arrays, drives: Arrays,
            times: Arrays) -> None:
    """Fill `times` (s; for each layer an array images x neurons) with the first spikes."""
    for n in range(len(images)):
        forward(device, chip, states, weights, images[n], spikes, drives)
        for layer in range(len(states)):
            times[layer][n] = seconds(device, spikes[layer])


@njit(cache=True)
def train(device: Device, chip: Chip, doses: Doses, states: Arrays, weights: Arrays, images: np.ndarray, labels: np.ndarray,
          order: np.ndarray, done: int, spikes: Arrays, drives: Arrays, history: np.ndarray) -> None:
    """Present images[order] after `done` earlier presentations; fill `history` (presentations x (right, written))."""
    for n in range(len(order)):
        image, label = images[order[n]], labels[order[n]]
        forward(device, chip, states, weights, image, spikes, drives)
        times = seconds(device, spikes[-1])
        wrong = first_wrong_neuron(times, label, doses.margin)
        silent = np.isnan(times[label])
        history[n, 0] = not silent and not (times < times[label]).any()
        history[n, 1] = silent or wrong is not None
        if history[n, 1]:
            target = -1 if wrong is None else int(wrong)
            correct(device, chip, doses, states, weights, image, spikes, drives, label, target,
                    dose_factor(done + n, doses.presentations))
