"""Networks in closed form, compiled by numba: reads and back-reads. `kernel_writes` writes.

Arrays of cells are rows x columns here, so that a row's cells are neighbours in memory. With pairs,
columns are ordered by polarity (positive first), then by pair, then by neuron. A reference column
is the last one. The laws stand in memristor.py and neuron.py.

A read has two forms. The cheap form serves all neurons. It replaces the input's edge by an ideal
step, so that a column's current is constant until another row steps up. A time t is kept as z =
exp(t / tau), with z = inf for a neuron that stays silent until the read ends. The drive of a neuron
is the voltage at which its membrane would settle, in thresholds. If the drive steps by u_k at the
times z_k, the neuron fires at z = sum(u_k z_k) / (sum(u_k) - 1), with sums over the steps before z
(H. Mostafa, IEEE TNNLS 29, 3227, 2018). The exact form integrates over the input's edge. Networks
of one layer use it for the neurons that decide: the label's, and those near the first spike.

Compiling takes half a minute. `compiled` keeps the result until this file, or a file that it
imports, changes.
"""

import math
from typing import NamedTuple

import numpy as np

import memristor
from memristive import neuron
from memristive.compiled import compiled
from memristive.neuron import NODES, WEIGHTS, Stages
from memristor import NO_FLOW, ChannelValues, Flow

# lets sums be vectorised; infinities and nan keep their meaning
SAFE_MATH = {"contract", "reassoc", "arcp", "nsz"}
current = compiled(memristor.read_current, inline="always", fastmath=SAFE_MATH, error_model="numpy")
raised_state = compiled(memristor.raised_state, inline="always", error_model="numpy")
conductance = compiled(memristor.conductance, inline="always")
column_resistance, negative_resistance, settled_membrane, spike_time, edge_gain = (
    compiled(law, inline="always", error_model="numpy")
    for law in (
        neuron.column_resistance,
        neuron.negative_resistance,
        neuron.settled_membrane,
        neuron.spike_time,
        neuron.edge_gain,
    )
)

Arrays = tuple[np.ndarray, ...]
EXACT_WITHIN = 2e-6  # s: neurons that fire within this time after the first are computed exactly
# so are neurons with more than this share of the first one's drive, as late spikes are sensitive to
# it
NEAR = 0.99
# V, a small rise of a column: the change of its current over it gives the column's conductance
BELOW = 1e-3
EMPTY, EMPTY_TABLE = np.zeros(0), np.zeros((0, 0))  # no noise
NO_PATCHES = np.zeros((0, 0), np.int64)
EVERYONE = -1  # instead of a label: all neurons are computed exactly
# of a rail: kernels whose stages stay below it whatever the image is are screened
BELOW_RAIL = 0.9
ABOVE = 1.125  # of the full voltage, where a slope bounds that of the voltages below
RUN = 32  # times that are sorted by insertion
ROUNDED = 1e-9  # V: sums of currents differ by less if only their order differs


# Indices into the array of a layer's cells: parameters x rows x columns, with a single row if all
# rows are alike. GAIN to PINCH are the fields of `memristor.Channel`. RATE is K / (C + C_gate), or
# 0 for a cell that cannot be written. LEAK is 1 / (R_leak (C + C_gate)). Units are SI.
GAIN, VTO, SHARE, PINCH, RATE, LEAK = range(6)
# Indices into the array of a layer's neurons, parameters x neurons: first the `Stages`, then
# threshold in V, time constant in s, and the current in A of the resistor at the bias row.
THRESHOLD, TAU, BIAS = range(len(Stages._fields), len(Stages._fields) + 3)


class LayerArrays(NamedTuple):
    """One layer: its cells, and its neurons with their stages and membranes."""

    cells: np.ndarray
    neurons: np.ndarray
    nominal_gain: float  # A/V^2, of a cell without deviations
    nominal_rate: float  # V/s, rate of X while a full row writes such a cell
    pairs: int  # differential pairs of a synapse; 0: one cell for each synapse
    reference: bool  # the last column is a reference for all neurons
    flow: Flow = NO_FLOW  # write curves of a measured device
    noise: float = 0.0  # V of X, standard deviation of one reading of a cell
    # of a convolution, as in `design.Convolution`; a dense layer has none
    patches: np.ndarray = NO_PATCHES


class Timing(NamedTuple):
    """Voltages and times of reads and writes."""

    rise: float  # s, edge of the input
    window: float  # s, longest read
    tau: float  # s, nominal time constant of the membranes, the unit of z
    start: float  # z of the step that replaces the input's edge
    row_voltage: float  # V, of a full row in a read
    write_voltage: float  # V, in a write
    back_voltage: float  # V, for an error of 1 in the last layer
    error_voltage: float  # V, for an error of 1 V in a hidden layer
    # s for each s of a pulse: time for which phi is above the switch's threshold
    write_window: float
    write_area: float  # s for each s of a pulse: time at full level that gives the same area
    # True: in a write all rows are at their levels for the whole pulse, and lift the gates. False:
    # each row is high for a share of the pulse, and the lift is left out (1e-4 of the dose).
    lifts: bool


class Work(NamedTuple):
    """Quantities that follow from the states, and results of a read: one array for each layer."""

    loads: Arrays  # columns, conductance in S
    # 2 x neurons, V/A: output of a stage per column current, of the summing and of the negative
    # stage
    scale: Arrays
    # 2 x rows x neurons, V that a full row adds to these outputs; a dense first layer has no rows
    weights: Arrays
    spikes: Arrays  # outputs, z
    drives: Arrays  # outputs, settled membranes in thresholds
    # Noise currents of a read in A at full level, one for each input of a stage. In the first layer
    # the array has a row for each patch, or a single one, in later layers as many as the crossbar.
    noise: Arrays
    winners: np.ndarray  # outputs of a convolution: the patch of the earliest spike
    # 3 x kernels, V: the least and the most that the curves of the channels add to the sum of the
    # `weights`, for each unit of level x (1 - level); and the voltage up to which this sum ranks
    # the patches
    bends: np.ndarray


@compiled(inline="always")
def values_of(cells: np.ndarray, k: int, c: int) -> ChannelValues:
    """Return the channel of a cell; `k` is its row, or 0 if all rows are alike."""
    return ChannelValues(
        cells[GAIN, k, c], cells[VTO, k, c], cells[SHARE, k, c], cells[PINCH, k, c]
    )


@compiled(inline="always")
def row_of(cells: np.ndarray, i: int) -> int:
    """Return the index of row `i` in the array `cells`, which has a single row if all rows are
    alike.
    """
    return i if cells.shape[1] > 1 else 0


@compiled(fastmath=SAFE_MATH, error_model="numpy")
def column_currents(
    cells: np.ndarray, states: np.ndarray, levels: np.ndarray, volts: float, currents: np.ndarray
) -> None:
    """Fill `currents` (columns, A) with the currents that flow while row i is at `levels[i]` x
    `volts`.
    """
    currents.fill(0.0)
    for i in range(len(levels)):
        if levels[i] != 0.0:
            k, level = row_of(cells, i), levels[i] * volts
            for c in range(len(currents)):
                currents[c] += current(values_of(cells, k, c), states[i, c], level)


@compiled(inline="always")
def split(layer: LayerArrays, currents: np.ndarray, j: int) -> tuple[float, float]:
    """Return the sums of the column `currents` of neuron `j`: over its positive columns, and over
    its negative ones.
    """
    if layer.pairs == 0:
        return currents[j], currents[len(currents) - 1] if layer.reference else 0.0
    positive, negative, neurons = 0.0, 0.0, layer.neurons.shape[1]
    for p in range(layer.pairs):
        positive += currents[p * neurons + j]
        negative += currents[(layer.pairs + p) * neurons + j]
    return positive, negative


@compiled(inline="always")
def stages_of(layer: LayerArrays, j: int) -> Stages:
    """Return the stages of neuron `j`."""
    n = layer.neurons
    return Stages(n[0, j], n[1, j], n[2, j], n[3, j], n[4, j], n[5, j], n[6, j], n[7, j])


@compiled(inline="always")
def loaded(cells: np.ndarray, k: int, c: int, state: float) -> float:
    """Return the conductance in S with which a cell loads its column."""
    return conductance(values_of(cells, k, c), state)


@compiled(error_model="numpy")
def refresh(
    layer: LayerArrays,
    volts: float,
    states: np.ndarray,
    loads: np.ndarray,
    scale: np.ndarray,
    weights: np.ndarray,
    written: np.ndarray,
) -> None:
    """Update `scale` and `weights` of the neurons flagged in `written`, whose states have changed.

    `loads` must be up to date. `volts`: voltage of a row that is high.
    """
    neurons, cells = layer.neurons.shape[1], layer.cells
    for j in range(neurons):
        if written[j] == 0.0:
            continue
        stages = stages_of(layer, j)
        positive, negative = split(layer, loads, j)
        scale[0, j], scale[1, j] = (
            column_resistance(stages, positive),
            negative_resistance(stages, negative),
        )
        for i in range(weights.shape[1]):
            k, positive, negative = row_of(cells, i), 0.0, 0.0
            for p in range(max(1, layer.pairs)):
                c = p * neurons + j
                positive += current(values_of(cells, k, c), states[i, c], volts)
                if layer.pairs:
                    c += layer.pairs * neurons
                    negative += current(values_of(cells, k, c), states[i, c], volts)
            if layer.reference:
                c = states.shape[1] - 1
                negative = current(values_of(cells, k, c), states[i, c], volts)
            weights[0, i, j], weights[1, i, j] = scale[0, j] * positive, scale[1, j] * negative


@compiled
def prepare(layers: tuple[LayerArrays, ...], timing: Timing, states: Arrays, work: Work) -> None:
    """Fill loads, scales and weights of all layers. A dense first layer has no weights, because its
    rows differ in voltage.
    """
    for k in range(len(states)):
        work.loads[k].fill(0.0)
        for i in range(len(states[k])):
            for c in range(states[k].shape[1]):
                work.loads[k][c] += loaded(
                    layers[k].cells, row_of(layers[k].cells, i), c, states[k][i, c]
                )
        refresh(
            layers[k],
            timing.row_voltage,
            states[k],
            work.loads[k],
            work.scale[k],
            work.weights[k],
            np.ones(layers[k].neurons.shape[1]),
        )
    if len(layers[0].patches):
        every = np.ones(layers[0].neurons.shape[1])
        bend(layers[0], timing.row_voltage, states[0], work.scale[0], work.bends, every)


@compiled
def bend_of(cell: ChannelValues, state: float, volts: float) -> tuple[float, float]:
    """Return bounds in A of what the curve of a channel adds to a straight line through 0 and
    `volts` V, for each unit of level x (1 - level).

    The current over the voltage is p. Up to the pinch-off p falls ever faster, because it is the
    sum of a straight line and of a geometric mean of two. So between 0 and `volts` the slope of p
    is at least the mean one, and at most that just above `volts`. A channel that pinches off before
    has no such bounds; but its current never exceeds the tangent at 0, or the current at `volts`.
    """
    at_rest, full = conductance(cell, state), current(cell, state, volts)
    if cell.pinch * (state - cell.threshold_voltage) < ABOVE * volts:
        return 0.0, 2.0 * max(full, volts * at_rest - full)
    beyond = (full - current(cell, state, ABOVE * volts) / ABOVE) / (ABOVE - 1.0)
    return volts * at_rest - full, beyond


@compiled(error_model="numpy")
def bend(
    layer: LayerArrays,
    volts: float,
    states: np.ndarray,
    scale: np.ndarray,
    bends: np.ndarray,
    written: np.ndarray,
) -> None:
    """Update the `bends` of the kernels flagged in `written`, as `Work` explains them."""
    kernels, cells = layer.neurons.shape[1], layer.cells
    for j in range(kernels):
        if written[j] == 0.0:
            continue
        stages, least, most = stages_of(layer, j), 0.0, 0.0
        up, down = scale[0, j] * layer.neurons[BIAS, j], 0.0
        for i in range(len(states)):
            k, added, taken = row_of(cells, i), np.zeros(2), np.zeros(2)
            for p in range(2 * layer.pairs or 1 + layer.reference):
                side = p // (layer.pairs or 1)
                c = p * kernels + j if layer.pairs or p == 0 else states.shape[1] - 1
                cell = values_of(cells, k, c)
                low, high = bend_of(cell, states[i, c], volts)
                added[side] += low
                taken[side] += high
                largest = volts * conductance(cell, states[i, c])
                up += scale[0, j] * largest * (1 - side)
                down += scale[1, j] * largest * side
            least = min(least, scale[0, j] * added[0] - scale[1, j] * taken[1])
            most = max(most, scale[0, j] * taken[0] - scale[1, j] * added[1])
        clips = up > BELOW_RAIL * stages.highest_sum or down > BELOW_RAIL * stages.highest_negative
        bends[0, j], bends[1, j] = least, most
        bends[2, j] = -np.inf if clips else stages.highest_inverse


@compiled
def draw(
    layers: tuple[LayerArrays, ...],
    timing: Timing,
    work: Work,
    image: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Fill `work.noise` with random currents for one read of an `image` (levels of the rows), if
    devices have read noise.

    In the first layer all rows rise together, so that their noises add to one current for each
    input of a stage, in each patch of a convolution. In later layers rows rise one after the other,
    so that each row has a current of its own.
    """
    for k in range(len(layers)):
        layer, currents = layers[k], work.noise[k]
        if layer.noise > 0.0:
            unit = (
                layer.noise
                * layer.nominal_gain
                * timing.row_voltage
                * math.sqrt(max(1, layer.pairs))
            )
            for i in range(currents.shape[0]):
                power = 1.0
                if k == 0:
                    rows = image[layer.patches[i, 1:]] if len(layer.patches) else image
                    power = math.sqrt((rows * rows).sum())
                for c in range(currents.shape[1]):
                    currents[i, c] = unit * power * rng.standard_normal()


@compiled(inline="always")
def noise_of(layer: LayerArrays, noise: np.ndarray, i: int, j: int) -> tuple[float, float]:
    """Return the noise currents in A of row `i` in the positive columns of neuron `j`, and in its
    negative ones.
    """
    if layer.noise == 0.0:
        return 0.0, 0.0
    neurons = layer.neurons.shape[1]
    return noise[i, j], noise[i, neurons + j if layer.pairs else neurons]


@compiled
def last_z(timing: Timing) -> float:
    """Return z at the end of the longest read."""
    return math.exp(timing.window / timing.tau)


@compiled(inline="always", error_model="numpy")
def step_spike(
    layer: LayerArrays, timing: Timing, last: float, j: int, drive: float, raised: float
) -> float:
    """Return the spike (z) of neuron `j` up to `last` if its rows step up once, at the image."""
    start = (
        timing.start
        if layer.neurons[TAU, j] == timing.tau
        else timing.start ** (timing.tau / layer.neurons[TAU, j])
    )
    z = start * drive / (drive - raised) if drive > raised else np.inf
    if layer.neurons[TAU, j] != timing.tau and z < np.inf:
        z = z ** (layer.neurons[TAU, j] / timing.tau)
    return z if z <= last else np.inf


@compiled(error_model="numpy")
def read_first(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    scale: np.ndarray,
    image: np.ndarray,
    noise: np.ndarray,
    raised: np.ndarray,
    spikes: np.ndarray,
    drives: np.ndarray,
) -> None:
    """Fill `spikes` (z) and `drives` of the first layer by the cheap form.

    `raised`: factors by which noise multiplies the thresholds.
    """
    currents = np.empty(states.shape[1])
    column_currents(layer.cells, states, image, timing.row_voltage, currents)
    last = last_z(timing)
    for j in range(len(drives)):
        positive, negative = split(layer, currents, j)
        more, less = noise_of(layer, noise, 0, j)
        up, down = (
            scale[0, j] * (positive + more + layer.neurons[BIAS, j]),
            scale[1, j] * (negative + less),
        )
        drives[j] = settled_membrane(stages_of(layer, j), up, down) / layer.neurons[THRESHOLD, j]
        spikes[j] = step_spike(layer, timing, last, j, drives[j], raised[j])


@compiled(fastmath=SAFE_MATH)
def add_scaled(result: np.ndarray, factor: float, values: np.ndarray) -> None:
    """Add `factor` x `values` to the `result`; a function of its own, which numba vectorises."""
    for j in range(len(values)):
        result[j] += factor * values[j]


@compiled
def screen(
    layer: LayerArrays,
    work: Work,
    image: np.ndarray,
    sums: np.ndarray,
    greys: np.ndarray,
    rows: np.ndarray,
    levels: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Read all patches of a convolution with straight channels.

    Fills `sums` (patches x kernels, V: what the two stages would give), `greys` (patches: the sum
    of level x (1 - level)), and the driven `rows` (patches x rows) of each patch with their
    `levels` and `counts`.
    """
    patches, scale, kernels = layer.patches, work.scale[0], layer.neurons.shape[1]
    weights, bias = work.weights[0][0] - work.weights[0][1], scale[0] * layer.neurons[BIAS]
    for p in range(len(patches)):
        grey, count = 0.0, 0
        sums[p] = bias
        for i in range(patches.shape[1] - 1):
            level = image[patches[p, 1 + i]]
            if level != 0.0:
                rows[p, count], levels[p, count] = i, level
                count += 1
                grey += level * (1.0 - level)
                add_scaled(sums[p], level, weights[i])
        greys[p], counts[p] = grey, count
        if layer.noise > 0.0:
            for j in range(kernels):
                more, less = noise_of(layer, work.noise[0], p, j)
                sums[p, j] += scale[0, j] * more - scale[1, j] * less


@compiled(fastmath=SAFE_MATH, error_model="numpy")
def patch_current(
    cells: np.ndarray,
    states: np.ndarray,
    rows: np.ndarray,
    levels: np.ndarray,
    volts: float,
    c: int,
) -> float:
    """Return the current in A of column `c` while its `rows` are at `levels` x `volts`."""
    result = 0.0
    for n in range(len(rows)):
        i = rows[n]
        result += current(values_of(cells, row_of(cells, i), c), states[i, c], levels[n] * volts)
    return result


@compiled
def raise_bounds(
    bounds: np.ndarray, sums: np.ndarray, grey: float, least: np.ndarray, limits: np.ndarray
) -> None:
    """Raise the lower `bounds` (kernels, V) of what a region gives to those of one patch."""
    for j in range(len(bounds)):
        bounds[j] = max(bounds[j], min(sums[j] + grey * least[j], limits[j]))


@compiled(error_model="numpy")
def read_patches(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    work: Work,
    image: np.ndarray,
) -> None:
    """Fill `spikes` (z), `drives` and `winners` of a convolution, as `design.Convolution` explains.

    A screening with straight channels, whose error has bounds, finds the few patches that may win
    in their region. Only these are read by the law of the channel.
    """
    patches, kernels, cells = layer.patches, layer.neurons.shape[1], layer.cells
    sums, greys = np.empty((len(patches), kernels)), np.empty(len(patches))
    shape, counts = (len(patches), len(states)), np.empty(len(patches), np.int64)
    rows, levels = np.empty(shape, np.int64), np.empty(shape)
    screen(layer, work, image, sums, greys, rows, levels, counts)
    scale, spikes, drives = work.scale[0], work.spikes[0], work.drives[0]
    surely = np.full((len(drives) // kernels, kernels), -np.inf)
    seen, last, volts = np.zeros(len(surely), np.bool_), last_z(timing), timing.row_voltage
    least, most, limits = work.bends[0], work.bends[1], work.bends[2]
    for p in range(len(patches)):
        raise_bounds(surely[patches[p, 0]], sums[p], greys[p], least, limits)
    surely -= ROUNDED
    drives.fill(-np.inf)
    for p in range(len(patches)):
        region, reference = patches[p, 0], 0.0
        driven, at = rows[p, : counts[p]], levels[p, : counts[p]]
        if counts[p] == 1 and layer.noise == 0.0:  # the bias alone: as in another dark patch
            if seen[region]:
                continue
            seen[region] = True
        for j in range(kernels):
            k = region * kernels + j
            if sums[p, j] + greys[p] * most[j] < surely[region, j]:
                continue
            positive, negative = 0.0, 0.0
            for c in range(j, max(1, layer.pairs) * kernels, kernels):
                positive += patch_current(cells, states, driven, at, volts, c)
                if layer.pairs:
                    c += layer.pairs * kernels
                    negative += patch_current(cells, states, driven, at, volts, c)
            if layer.reference:
                if reference == 0.0:
                    c = states.shape[1] - 1
                    reference = patch_current(cells, states, driven, at, volts, c)
                negative = reference
            more, less = noise_of(layer, work.noise[0], p, j)
            up = scale[0, j] * (positive + more + layer.neurons[BIAS, j])
            down = scale[1, j] * (negative + less)
            drive = settled_membrane(stages_of(layer, j), up, down) / layer.neurons[THRESHOLD, j]
            if drive > drives[k]:
                drives[k], work.winners[k] = drive, p
    for k in range(len(drives)):
        spikes[k] = step_spike(layer, timing, last, k % kernels, drives[k], 1.0)


@compiled
def in_order(times: np.ndarray, last: float) -> np.ndarray:
    """Return the indices of the `times` before `last`, sorted by time; equal times keep their
    order.

    Runs of `RUN` are sorted by insertion and then merged, because NumPy's sort takes 6 s to
    compile.
    """
    order, count = np.empty(len(times), np.int64), 0
    for k in range(len(times)):
        if times[k] < last:
            place, start = count, count - count % RUN
            while place > start and times[order[place - 1]] > times[k]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = k
            count += 1
    order, other, width = order[:count], np.empty(count, np.int64), RUN
    while width < count:
        for start in range(0, count, 2 * width):
            left, right = start, min(start + width, count)
            middle, stop = right, min(start + 2 * width, count)
            for place in range(start, stop):
                if left < middle and (right == stop or times[order[left]] <= times[order[right]]):
                    other[place] = order[left]
                    left += 1
                else:
                    other[place] = order[right]
                    right += 1
        order, other, width = other, order, 2 * width
    return order


@compiled(error_model="numpy")
def read_next(
    layer: LayerArrays,
    timing: Timing,
    scale: np.ndarray,
    weights: np.ndarray,
    noise: np.ndarray,
    steps: np.ndarray,
    raised: np.ndarray,
    spikes: np.ndarray,
    drives: np.ndarray,
) -> None:
    """Fill `spikes` (z) and `drives` of a later layer by the cheap form.

    `steps`: z at which each row steps up, without the bias row. `raised`: factors by which noise
    multiplies the thresholds.
    """
    rows, neurons = weights.shape[1:]
    times = np.empty(rows)
    for k in range(rows - 1):
        times[k] = steps[k]
    times[rows - 1] = timing.start
    last, alike = last_z(timing), (layer.neurons[TAU] == timing.tau).all()
    order = in_order(times, last)
    up, down, above = scale[0] * layer.neurons[BIAS], np.zeros(neurons), np.empty(neurons)
    for j in range(neurons):
        drives[j] = settled_membrane(stages_of(layer, j), up[j], 0.0) / layer.neurons[THRESHOLD, j]
        above[j] = drives[j] * timing.start ** (timing.tau / layer.neurons[TAU, j])
    spikes.fill(np.inf)
    for position in range(len(order)):
        k = order[position]
        until = times[order[position + 1]] if position + 1 < len(order) else last
        for j in range(neurons):
            power = 1.0 if alike else timing.tau / layer.neurons[TAU, j]
            time, end = (times[k], until) if alike else (times[k] ** power, until**power)
            more, less = noise_of(layer, noise, k, j)
            up[j] += weights[0, k, j] + scale[0, j] * more
            down[j] += weights[1, k, j] + scale[1, j] * less
            drive = (
                settled_membrane(stages_of(layer, j), up[j], down[j]) / layer.neurons[THRESHOLD, j]
            )
            above[j] += (drive - drives[j]) * time
            drives[j], over = drive, drive - raised[j]
            if over > 0.0 and spikes[j] == np.inf and above[j] <= end * over:
                spikes[j] = above[j] / over if alike else (above[j] / over) ** (1 / power)


@compiled(fastmath=SAFE_MATH, error_model="numpy")
def add_edge_currents(
    cells: np.ndarray,
    states: np.ndarray,
    image: np.ndarray,
    volts: float,
    c: int,
    currents: np.ndarray,
) -> None:
    """Add the currents in A of column `c` to `currents`, which has five values.

    They are those with the input at the three shares `NODES` of its level, at the level, and at the
    level with the column `BELOW` V above ground.
    """
    for i in range(len(image)):
        if image[i] == 0.0:
            currents[4] -= BELOW * loaded(cells, row_of(cells, i), c, states[i, c])
        else:
            cell, level = values_of(cells, row_of(cells, i), c), volts * image[i]
            currents[0] += current(cell, states[i, c], NODES[0] * level)
            currents[1] += current(cell, states[i, c], NODES[1] * level)
            currents[2] += current(cell, states[i, c], NODES[2] * level)
            currents[3] += current(cell, states[i, c], level)
            currents[4] += current(cell, states[i, c], max(level - BELOW, 0.0))


@compiled(error_model="numpy")
def membranes(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    image: np.ndarray,
    noise: np.ndarray,
    j: int,
) -> tuple[float, float]:
    """Return where the membrane of neuron `j` of the first layer settles, and where the edge leaves
    it, both in V.
    """
    currents, neurons, columns = np.zeros((2, 5)), layer.neurons.shape[1], states.shape[1]
    for p in range(max(1, layer.pairs)):
        add_edge_currents(
            layer.cells, states, image, timing.row_voltage, p * neurons + j, currents[0]
        )
        if layer.pairs:
            add_edge_currents(
                layer.cells,
                states,
                image,
                timing.row_voltage,
                (layer.pairs + p) * neurons + j,
                currents[1],
            )
    if layer.reference:
        add_edge_currents(layer.cells, states, image, timing.row_voltage, columns - 1, currents[1])
    if layer.noise > 0.0:  # the noise currents follow the edge, and do not load the column
        for side in range(2):
            current = noise_of(layer, noise, 0, j)[side]
            for s in range(5):
                currents[side, s] += current * (NODES[s] if s < 3 else 1.0)
    stages, bias = stages_of(layer, j), layer.neurons[BIAS, j]
    up = column_resistance(stages, (currents[0, 3] - currents[0, 4]) / BELOW)
    down = negative_resistance(stages, (currents[1, 3] - currents[1, 4]) / BELOW)
    settled, risen = (
        settled_membrane(stages, up * (currents[0, 3] + bias), down * currents[1, 3]),
        0.0,
    )
    for s in range(3):
        volts = settled_membrane(
            stages, up * (currents[0, s] + NODES[s] * bias), down * currents[1, s]
        )
        risen += edge_gain(NODES[s], WEIGHTS[s], timing.rise, layer.neurons[TAU, j]) * volts
    return settled, risen


@compiled(error_model="numpy")
def read_exactly(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    image: np.ndarray,
    noise: np.ndarray,
    label: int,
    raised: np.ndarray,
    spikes: np.ndarray,
    drives: np.ndarray,
) -> None:
    """Replace `spikes` and `drives` in a network of one layer by those of the exact form.

    Only the neurons that decide are computed again, or all neurons if `label` is EVERYONE.
    """
    first, drive_of_first = np.inf, 0.0
    for j in range(len(spikes)):
        if j != label and spikes[j] <= first:
            first, drive_of_first = spikes[j], drives[j]
    contest = first * math.exp(EXACT_WITHIN / timing.tau)
    for j in range(len(spikes)):
        if (
            label == EVERYONE
            or j == label
            or spikes[j] <= contest
            or drives[j] > NEAR * drive_of_first
        ):
            settled, risen = membranes(layer, timing, states, image, noise, j)
            threshold, time = raised[j] * layer.neurons[THRESHOLD, j], np.inf
            if settled > threshold:
                time = spike_time(settled, risen, threshold, timing.rise, layer.neurons[TAU, j])
            spikes[j] = math.exp(time / timing.tau) if time <= timing.window else np.inf
            drives[j] = settled / layer.neurons[THRESHOLD, j]


@compiled
def read(
    layers: tuple[LayerArrays, ...],
    timing: Timing,
    states: Arrays,
    work: Work,
    image: np.ndarray,
    label: int,
    noise: np.ndarray,
) -> None:
    """Present an `image` (levels of the rows), and fill the spikes and drives of every layer in
    `work`.

    The noise currents are those in `work.noise`, filled by `draw`. `label`: neuron that must be
    exact in a network of one layer, or EVERYONE. `noise`: shift of the output neurons' thresholds
    in V, or an empty array.
    """
    last = len(states) - 1
    raised = (
        1.0 + noise / layers[last].neurons[THRESHOLD]
        if len(noise)
        else np.ones(len(work.spikes[last]))
    )
    of_first = np.ones(len(work.spikes[0])) if last else raised
    if len(layers[0].patches):
        read_patches(layers[0], timing, states[0], work, image)
    else:
        read_first(
            layers[0],
            timing,
            states[0],
            work.scale[0],
            image,
            work.noise[0],
            of_first,
            work.spikes[0],
            work.drives[0],
        )
    if last == 0:
        read_exactly(
            layers[0],
            timing,
            states[0],
            image,
            work.noise[0],
            label,
            raised,
            work.spikes[0],
            work.drives[0],
        )
    for k in range(1, last + 1):
        read_next(
            layers[k],
            timing,
            work.scale[k],
            work.weights[k],
            work.noise[k],
            work.spikes[k - 1],
            raised if k == last else np.ones(len(work.spikes[k])),
            work.spikes[k],
            work.drives[k],
        )


@compiled
def seconds(timing: Timing, z: np.ndarray) -> np.ndarray:
    """Return the spike times `z` in s; nan for silent neurons."""
    times = np.empty(len(z))
    for j in range(len(z)):
        times[j] = timing.tau * math.log(z[j]) if z[j] < np.inf else np.nan
    return times


@compiled(error_model="numpy")
def read_back(
    layer: LayerArrays,
    states: np.ndarray,
    errors: np.ndarray,
    volts: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the sum of error x (X - X_ref) over the neurons, for each row without the bias row.

    The sums are read as currents of the rows while each column is at `volts` times its error. The
    reference column carries the negative sum of the errors. With pairs, the negative columns carry
    the negative errors. The result is then the sum of error x (X+ - X-), averaged over the pairs.
    """
    rows, columns = states.shape
    neurons, cells, result = len(errors), layer.cells, np.zeros(rows - 1)
    carried = np.zeros(columns)
    for c in range(columns):
        carried[c] = (
            errors[c % neurons] if c < max(1, layer.pairs) * neurons else -errors[c % neurons]
        )
    if layer.reference:
        carried[columns - 1] = -errors.sum()
    gain = layer.nominal_gain * volts * max(1, layer.pairs)
    for i in range(rows - 1):
        k, total = row_of(cells, i), 0.0
        for c in range(columns):
            if carried[c] != 0.0:
                total += current(values_of(cells, k, c), states[i, c], volts * carried[c])
        result[i] = total / gain
        if layer.noise > 0.0:
            result[i] += (
                layer.noise
                * math.sqrt((carried * carried).sum())
                / max(1, layer.pairs)
                * rng.standard_normal()
            )
    return result


@compiled
def present(
    layers: tuple[LayerArrays, ...],
    timing: Timing,
    states: Arrays,
    work: Work,
    images: np.ndarray,
    noise: np.ndarray,
    times: Arrays,
    rng: np.random.Generator,
) -> None:
    """Present all `images`, and fill `times` with the first spikes in s: for each layer an array,
    images x neurons.

    `noise`: shifts in V of the output neurons' thresholds, images x neurons; an empty array for
    none.
    """
    for n in range(len(images)):
        draw(layers, timing, work, images[n], rng)
        read(layers, timing, states, work, images[n], EVERYONE, noise[n] if len(noise) else EMPTY)
        for k in range(len(states)):
            times[k][n] = seconds(timing, work.spikes[k])
