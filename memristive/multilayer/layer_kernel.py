"""Closed form of multilayer networks, compiled by numba: one presentation after the other, as online learning needs it.

Arrays are rows x neurons here (the last row is the bias), so that a row's cells are neighbours in memory. Spike times are
z = exp(t / tau), inf for neurons that are silent within the window. A neuron driven by steps at z_k with weights w_k (in
thresholds) fires at z = sum(w z_k) / (sum(w) - 1), over the k before z (H. Mostafa, IEEE TNNLS 29, 3227, 2018).
Compiling takes half a minute, once: `compiled` keeps the result until this file or one that it imports changes.
"""

import math
from typing import NamedTuple

import numpy as np

from memristive.compiled import compiled
from memristive.multilayer import layer_rule
from memristive.single_layer import error_rule

first_wrong_neuron = compiled(error_rule.first_wrong_neuron)
dose_factor = compiled(layer_rule.dose_factor)
margin_factor = compiled(layer_rule.margin_factor)
drawn_pulses = compiled(layer_rule.drawn_pulses)
written_pair = compiled(layer_rule.written_pair)
output_errors = compiled(layer_rule.output_errors)
overlap_times = compiled(layer_rule.overlap_times)
hidden_errors = compiled(layer_rule.hidden_errors)

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
    rate: float  # V/s of a written cell at the rows' voltage of writes
    leak: float  # 1/s
    pairs: int  # differential pairs of a synapse; 0: one cell, and a reference column
    bound: float  # V, X that writes of either sign approach if the leak is in proportion to |V|
    decay: float  # 1/s at the rows' voltage of writes: rate of that approach; 0: the leak is a resistor
    lowest: float  # V, clamps of X
    highest: float  # V


class Chip(NamedTuple):
    """Deviations of the devices of a chip, relative to 1: one array for each layer."""

    channel: Arrays  # gains of the channels, rows x columns; without pairs, one more column for the reference
    write: Arrays  # gains of the writes, rows x columns
    leak: Arrays  # leak conductances, rows x columns
    threshold: Arrays  # neurons, divided by their layer's gain
    bias: Arrays  # neurons, constant drive in thresholds


class Pulses(NamedTuple):
    """Pulses that write a measured device; `step` = 0: none, a write lasts as long as its dose."""

    step: float  # V, mean change of X by one pulse
    width: tuple[float, float]  # s, of a pulse down and up
    whole: bool
    noise: float  # V, standard deviation of what one pulse adds
    at_random: bool  # which pair of a synapse is written


class Counts(NamedTuple):
    """Pulses that writes have cost: one array for each layer."""

    pulses: Arrays  # rows x columns
    conducted: Arrays  # 2 x rows x columns, sum of pulses x conductance in S at the read voltage, downwards and upwards
    writes: Arrays  # columns, writes of at least one pulse


class Doses(NamedTuple):
    """Parameters of a `LayeredRule` that a training needs."""

    presentations: int
    hidden_dose: float
    output_dose: float
    final_dose: float
    margin: float
    final_margin: float
    error_scale: float
    reach: float


@compiled(inline="always", fastmath=SAFE_MATH)
def current(device: Device, state: float, volts: float) -> float:
    """Return the cell current in A as `memristor.read_current` does; `volts` may be negative, as in back-reads."""
    start = max(state - device.threshold_voltage, 0.0)
    drop = min(volts, device.pinch * start)
    mean = start - device.half_share * drop
    return device.half_gain * drop * (mean + math.sqrt(max(mean * mean - device.third * (drop * drop), 0.0)))


@compiled(fastmath=SAFE_MATH)
def pair_drives(device: Device, chip: Chip, states: np.ndarray, image: np.ndarray, drives: np.ndarray) -> None:
    """Fill `drives` as `input_drives`, for columns in the order polarity, pair, neuron."""
    channel, columns, neurons = chip.channel[0], states.shape[1], len(drives)
    currents = np.zeros(columns)
    for i in range(len(image)):
        if image[i] != 0.0:
            volts = image[i] * device.row_voltage
            for c in range(columns):
                currents[c] += channel[i, c] * current(device, states[i, c], volts)
    for j in range(neurons):
        drives[j] = 0.0
        for p in range(device.pairs):
            drives[j] += currents[p * neurons + j] - currents[(device.pairs + p) * neurons + j]
        drives[j] = drives[j] * device.scale / chip.threshold[0][j] + chip.bias[0][j]


@compiled(fastmath=SAFE_MATH)
def input_drives(device: Device, chip: Chip, states: np.ndarray, image: np.ndarray, drives: np.ndarray) -> None:
    """Fill `drives` with the settled membranes of the first layer, in thresholds; `image`: levels of the rows and the bias."""
    if device.pairs:
        pair_drives(device, chip, states, image, drives)
        return
    channel, threshold, columns = chip.channel[0], chip.threshold[0], len(drives)
    drives.fill(0.0)
    for i in range(len(image)):
        if image[i] != 0.0:
            volts = image[i] * device.row_voltage
            reference = channel[i, columns] * current(device, device.reference_state, volts)
            for j in range(columns):
                drives[j] += channel[i, j] * current(device, states[i, j], volts) - reference
    for j in range(columns):
        drives[j] *= device.scale / threshold[j]
    for j in range(columns):
        drives[j] += chip.bias[0][j]


@compiled
def weigh(device: Device, chip: Chip, layer: int, states: np.ndarray, weights: np.ndarray, j: int) -> None:
    """Fill column `j` of `weights` with the settled membrane, in thresholds, that each row would cause alone."""
    rows, neurons = weights.shape
    channel, columns, volts = chip.channel[layer], states.shape[1], device.row_voltage
    factor = device.scale / chip.threshold[layer][j]
    for i in range(rows):
        if device.pairs == 0:
            reference = channel[i, columns] * current(device, device.reference_state, volts)
            weights[i, j] = factor * (channel[i, j] * current(device, states[i, j], volts) - reference)
        else:
            total = 0.0
            for p in range(device.pairs):
                c, opposite = p * neurons + j, (device.pairs + p) * neurons + j
                total += (channel[i, c] * current(device, states[i, c], volts)
                          - channel[i, opposite] * current(device, states[i, opposite], volts))
            weights[i, j] = factor * total


@compiled
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


@compiled
def fire(device: Device, weights: np.ndarray, bias: np.ndarray, steps: np.ndarray, spikes: np.ndarray,
         drives: np.ndarray) -> None:
    """Fill `spikes` (z) and `drives` (settled membranes in thresholds) of a layer; rows step up at `steps` (z, without bias).

    `bias`: constant drive of each neuron in thresholds.
    """
    rows, columns = weights.shape
    times = np.empty(rows)
    for k in range(rows - 1):
        times[k] = steps[k]
    times[rows - 1] = device.start
    last = math.exp(device.window / device.tau)
    order = in_order(times, last)
    above = device.start * bias
    spikes.fill(np.inf)
    drives[:] = bias
    for position in range(len(order)):
        k = order[position]
        until = times[order[position + 1]] if position + 1 < len(order) else last
        for j in range(columns):
            drives[j] += weights[k, j]
            above[j] += weights[k, j] * times[k]
            if drives[j] > 1.0 and spikes[j] == np.inf and above[j] <= until * (drives[j] - 1.0):
                spikes[j] = above[j] / (drives[j] - 1.0)


@compiled
def forward(device: Device, chip: Chip, states: Arrays, weights: Arrays, image: np.ndarray, spikes: Arrays,
            drives: Arrays) -> None:
    """Present an `image`: fill `spikes` (z) and `drives` (settled membranes in thresholds) of every layer."""
    input_drives(device, chip, states[0], image, drives[0])
    last = math.exp(device.window / device.tau)
    for j in range(len(drives[0])):
        drive = drives[0][j]
        z = device.start * drive / (drive - 1.0) if drive > 1.0 else np.inf
        spikes[0][j] = z if z <= last else np.inf
    for layer in range(1, len(states)):
        fire(device, weights[layer], chip.bias[layer], spikes[layer - 1], spikes[layer], drives[layer])


@compiled
def seconds(device: Device, z: np.ndarray) -> np.ndarray:
    """Return the spike times `z` in s; nan for silent neurons."""
    times = np.empty(len(z))
    for j in range(len(z)):
        times[j] = device.tau * math.log(z[j]) if z[j] < np.inf else np.nan
    return times


@compiled
def read_back(device: Device, states: np.ndarray, channel: np.ndarray, errors: np.ndarray, volts: float) -> np.ndarray:
    """Return sum(error x (X - X_ref)) of each row (without the bias), read with each column at `volts` times its error.

    The reference column carries the negative sum of the errors. With pairs it is the mean of sum(error x (X+ - X-)): the
    negative columns carry the negative errors.
    """
    rows, columns = states.shape
    neurons = len(errors)
    rest = 0.0 if device.pairs else -errors.sum()
    result = np.zeros(rows - 1)
    for k in range(rows - 1):
        total = 0.0
        for c in range(columns):
            error = errors[c % neurons]
            if error != 0.0:
                error = -error if c >= max(1, device.pairs) * neurons else error
                total += channel[k, c] * current(device, states[k, c], volts * error)
        if rest != 0.0:
            total += channel[k, columns] * current(device, device.reference_state, volts * rest)
        result[k] = total / (2 * device.half_gain * volts * max(1, device.pairs))
    return result


@compiled(inline="always")
def clamped(device: Device, state: float) -> float:
    """Return X in V between the clamps of the cell."""
    return min(max(state, device.lowest), device.highest)


@compiled
def write(device: Device, chip: Chip, pulses: Pulses, counts: Counts, layer: int, states: np.ndarray, c: int, high: np.ndarray,
          dose: float, rng: np.random.Generator) -> None:
    """Write column `c`: a `dose` in V, of which row i gets the share `high[i]`; negative: at the negative voltage."""
    if pulses.step == 0.0 and device.decay == 0.0:
        pulse = dose / device.rate
        window = abs(pulse) * high.max()
        for i in range(len(high)):
            change = device.rate * chip.write[layer][i, c] * pulse * high[i] - device.leak * window * states[i, c]
            states[i, c] = clamped(device, states[i, c] + change)
        return
    up = 1 if dose > 0 else 0
    width, conducted = pulses.width[up], counts.conducted[layer][up]
    retained, any_pulse = math.exp(-device.decay * width), False
    for i in range(len(high)):
        time, noise = high[i] * abs(dose) / device.rate, 0.0
        if pulses.step > 0.0:
            number, noise = drawn_pulses(high[i] * abs(dose) / pulses.step, pulses.whole, retained, rng)
            time = number * width
            if number > 0.0:
                any_pulse = True
                counts.pulses[layer][i, c] += number
                conducted[i, c] += number * current(device, states[i, c], device.row_voltage) / device.row_voltage
        if time > 0.0:
            leak = chip.leak[layer][i, c]
            bound = math.copysign(device.bound * chip.write[layer][i, c] / leak, dose)
            written = bound + (states[i, c] - bound) * math.exp(-device.decay * leak * time)
            states[i, c] = clamped(device, clamped(device, written) + pulses.noise * noise)
    counts.writes[layer][c] += any_pulse


@compiled
def correct(device: Device, chip: Chip, doses: Doses, pulses: Pulses, counts: Counts, states: Arrays, weights: Arrays,
            image: np.ndarray, spikes: Arrays, drives: Arrays, label: int, wrong: int, done: int,
            rng: np.random.Generator) -> None:
    """Read back from the last layer to the first, then make all writes of a presentation; `done` were before it."""
    last = len(states) - 1
    share = dose_factor(done, doses.presentations, doses.final_dose)
    found = [output_errors(len(spikes[last]), label, wrong)]
    for layer in range(last, 0, -1):
        volts, scale = (device.back_voltage, 1.0) if layer == last else (device.error_voltage, doses.error_scale)
        back = read_back(device, states[layer], chip.channel[layer], found[-1], volts)
        found.append(hidden_errors(back, drives[layer - 1], doses.reach, scale))
    for layer in range(last + 1):
        dose = share * (doses.output_dose if layer == last else doses.hidden_dose)
        errors = found[last - layer]
        times = seconds(device, spikes[layer])
        rows, high = seconds(device, spikes[layer - 1]), image
        pair = written_pair(done, max(1, device.pairs), pulses.at_random, rng)
        for j in range(len(times)):
            if errors[j] == 0.0:
                continue
            if layer:
                high = overlap_times(np.append(rows, device.tau * math.log(device.start)), times[j], device.window) / device.tau
            write(device, chip, pulses, counts, layer, states[layer], pair * len(times) + j, high, dose * errors[j], rng)
            if device.pairs:
                opposite = (device.pairs + pair) * len(times) + j
                write(device, chip, pulses, counts, layer, states[layer], opposite, high, -dose * errors[j], rng)
            if layer:
                weigh(device, chip, layer, states[layer], weights[layer], j)


@compiled
def all_weights(device: Device, chip: Chip, states: Arrays, weights: Arrays) -> None:
    """Fill the `weights` of all layers but the first, whose rows have different voltages."""
    for layer in range(1, len(states)):
        for j in range(weights[layer].shape[1]):
            weigh(device, chip, layer, states[layer], weights[layer], j)


@compiled
def present(device: Device, chip: Chip, states: Arrays, weights: Arrays, images: np.ndarray, spikes: Arrays, drives: Arrays,
            times: Arrays) -> None:
    """Fill `times` (s; for each layer an array images x neurons) with the first spikes."""
    for n in range(len(images)):
        forward(device, chip, states, weights, images[n], spikes, drives)
        for layer in range(len(states)):
            times[layer][n] = seconds(device, spikes[layer])


@compiled
def train(device: Device, chip: Chip, doses: Doses, pulses: Pulses, counts: Counts, states: Arrays, weights: Arrays,
          images: np.ndarray, labels: np.ndarray, order: np.ndarray, done: int, spikes: Arrays, drives: Arrays,
          history: np.ndarray, rng: np.random.Generator) -> None:
    """Present images[order] after `done` earlier presentations; fill `history` (presentations x (right, written))."""
    for n in range(len(order)):
        image, label = images[order[n]], labels[order[n]]
        forward(device, chip, states, weights, image, spikes, drives)
        times = seconds(device, spikes[-1])
        wrong = first_wrong_neuron(times, label, doses.margin * margin_factor(done + n, doses.presentations, doses.final_margin))
        silent = np.isnan(times[label])
        history[n, 0] = not silent and not (times < times[label]).any()
        history[n, 1] = silent or wrong is not None
        if history[n, 1]:
            target = -1 if wrong is None else int(wrong)
            correct(device, chip, doses, pulses, counts, states, weights, image, spikes, drives, label, target, done + n, rng)
