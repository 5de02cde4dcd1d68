"""Networks in closed form, compiled by numba: reads and back-reads. `kernel_patches` reads a
convolution, the files of `memristive.writing` write.

A read has two forms. The cheap form serves all neurons. It replaces the input's edge by an ideal
step, so that a column's current is constant until another row steps up. A time t is kept as z =
exp(t / tau), with z = inf for a neuron that stays silent until the read ends. The drive of a neuron
is the voltage at which its membrane would settle, in thresholds. If the drive steps by u_k at the
times z_k, the neuron fires at z = sum(u_k z_k) / (sum(u_k) - 1), with sums over the steps before z
(H. Mostafa, IEEE TNNLS 29, 3227, 2018). The exact form integrates over the input's edge. Networks
of one layer use it for the neurons that decide: the label's, and those near the first spike.

Arguments that are None leave out what a kind of network does not need, so that it is not compiled.
"""

import math

import numpy as np

import memristor
from memristive.closed_form.kernel_arrays import (
    BIAS,
    GAIN,
    PINCH,
    SAFE_MATH,
    SHARE,
    TAU,
    THRESHOLD,
    VTO,
    Arrays,
    LayerArrays,
    Timing,
    Work,
    column_resistance,
    current,
    edge_gain,
    last_z,
    loaded,
    negative_resistance,
    noise_of,
    row_of,
    settled_membrane,
    spike_time,
    stages_of,
    step_spike,
    values_of,
)
from memristive.closed_form.kernel_patches import bend, read_patches
from memristive.closed_form.neuron import NODES, WEIGHTS
from memristive.compiled import compiled
from memristor import ChannelValues

EXACT_WITHIN = 2e-6  # s: neurons that fire within this time after the first are computed exactly
# so are neurons with more than this share of the first one's drive, as late spikes are sensitive to
# it
NEAR = 0.99
# V, a small rise of a column: the change of its current over it gives the column's conductance
BELOW = 1e-3
EVERYONE = -1  # instead of a label: all neurons are computed exactly
RUN = 32  # times that are sorted by insertion


@compiled(fastmath=SAFE_MATH)
def column_currents(
    cells: np.ndarray, states: np.ndarray, levels: np.ndarray, volts: float, currents: np.ndarray
) -> None:
    """Fill `currents` (columns) with the currents in A that flow while row i is at `levels[i]` x
    `volts` V. `cells`: of a `LayerArrays`; `states`: rows x columns, V.
    """
    currents.fill(0.0)
    for i in range(len(levels)):
        if levels[i] != 0.0:
            k, level = row_of(cells, i), levels[i] * volts
            for c in range(len(currents)):
                currents[c] += current(values_of(cells, k, c), states[i, c], level)


@compiled(inline="always")
def split(layer: LayerArrays, currents: np.ndarray, j: int) -> tuple[float, float]:
    """Return two sums of `currents` (columns, A; or conductances) for neuron `j`: over its positive
    columns, and over its negative columns or the reference column.
    """
    if layer.pairs == 0:
        return currents[j], currents[len(currents) - 1] if layer.reference else 0.0
    positive, negative, neurons = 0.0, 0.0, layer.neurons.shape[1]
    for p in range(layer.pairs):
        positive += currents[p * neurons + j]
        negative += currents[(layer.pairs + p) * neurons + j]
    return positive, negative


@compiled
def refresh(
    layer: LayerArrays,
    volts: float,
    states: np.ndarray,
    work: Work,
    number: int,
    patches: Arrays | None,
    written: np.ndarray,
) -> None:
    """Update `scale`, `weights` and `bends` in the `work` of a layer, whose `number` counts from 0,
    for neurons whose states have changed. `written` (neurons) is not 0 for these.

    The conductances `loads` must be up to date. `volts`: voltage in V of a row at level 1.
    `patches`: as in `read_image`.
    """
    neurons, cells = layer.neurons.shape[1], layer.cells
    loads, scale, weights = work.loads[number], work.scale[number], work.weights[number]
    for j in range(neurons):
        if written[j] == 0.0:
            continue
        stages = stages_of(layer, j)
        positive, negative = split(layer, loads, j)
        scale[0, j], scale[1, j] = (
            column_resistance(stages, positive + layer.neurons[BIAS, j] / volts),
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
    if patches is not None and number == 0 and len(patches[0]):
        bend(layer, volts, states, scale, work.bends[number], written)


def prepare(
    layers: tuple[LayerArrays, ...],
    timing: Timing,
    states: Arrays,
    work: Work,
    patches: Arrays | None,
) -> None:
    """Fill the fields `loads`, `scale`, `weights` and, of a convolution, `bends` of `work` for all
    layers. A dense first layer has no weights, because its rows have different voltages.
    """
    for k, layer in enumerate(layers):
        channels = ChannelValues(*layer.cells[[GAIN, VTO, SHARE, PINCH]])
        work.loads[k][:] = memristor.conductance(channels, states[k]).sum(axis=0)
        every = np.ones(layer.neurons.shape[1])
        refresh(layer, timing.row_voltage, states[k], work, k, patches, every)


@compiled
def draw(
    layers: tuple[LayerArrays, ...],
    timing: Timing,
    work: Work,
    image: np.ndarray,
    patches: Arrays | None,
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
                    power = 0.0
                    if patches is not None and len(patches[0]):
                        for row in patches[0][i, 1:]:
                            power += image[row] * image[row]
                    else:
                        for level in image:
                            power += level * level
                    power = math.sqrt(power)
                for c in range(currents.shape[1]):
                    currents[i, c] = unit * power * rng.standard_normal()


@compiled
def read_first(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    work: Work,
    image: np.ndarray,
    raised: np.ndarray,
) -> None:
    """Fill the fields `spikes` and `drives` (without noise) of `work` for a dense first layer, by
    the cheap form of a read (see the module docstring).

    `image`: levels of the rows. `raised`: threshold with threshold noise over the threshold
    without, for each neuron.
    """
    scale, noise, spikes, drives = work.scale[0], work.noise[0], work.spikes[0], work.drives[0]
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


@compiled
def in_order(times: np.ndarray, last: float) -> np.ndarray:
    """Return the indices of those `times` (or z) that are below `last`, sorted by time; equal times
    keep their order.

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


@compiled
def race(
    layer: LayerArrays,
    timing: Timing,
    work: Work,
    number: int,
    raised: np.ndarray,
    times: np.ndarray,
    order: np.ndarray,
    first: int,
    spikes: np.ndarray,
    drives: np.ndarray,
) -> None:
    """Fill `spikes` and `drives` of the neurons of layer `number` by the cheap form of a read.

    Its rows step up at `times` (rows, z); `order` has the indices of those that do. Before each
    step, and at the end of the read, the loop checks which membranes have crossed the threshold.
    `raised`: threshold with threshold noise over the threshold without, for each neuron.
    `first`: of the rows of noise currents.
    """
    scale, weights, noise = work.scale[number], work.weights[number], work.noise[number]
    neurons, last = len(drives), last_z(timing)
    alike = (layer.neurons[TAU] == timing.tau).all()
    up, down, above = scale[0] * layer.neurons[BIAS], np.zeros(neurons), np.empty(neurons)
    for j in range(neurons):
        drives[j] = settled_membrane(stages_of(layer, j), up[j], 0.0) / layer.neurons[THRESHOLD, j]
        above[j] = drives[j] * timing.start ** (timing.tau / layer.neurons[TAU, j])
    spikes.fill(np.inf)
    now = np.empty(neurons)
    for position in range(len(order) + 1):
        now.fill(times[order[position]] if position < len(order) else last)
        if not alike:
            for j in range(neurons):
                now[j] **= timing.tau / layer.neurons[TAU, j]
        if crossed(above, now, drives, raised):
            for j in range(neurons):
                over = drives[j] - raised[j]
                if over > 0.0 and above[j] <= now[j] * over:
                    power = 1.0 if alike else layer.neurons[TAU, j] / timing.tau
                    spikes[j] = (above[j] / over) ** power if not alike else above[j] / over
                    above[j] = np.inf  # it has fired
        if position == len(order):
            break
        k = order[position]
        plus, minus = weights[0, k], weights[1, k]
        if layer.noise > 0.0:
            plus, minus = plus.copy(), minus.copy()
            for j in range(neurons):
                more, less = noise_of(layer, noise, first + k, j)
                plus[j] += scale[0, j] * more
                minus[j] += scale[1, j] * less
        step_up(layer, plus, minus, now, up, down, above, drives)


@compiled
def step_up(
    layer: LayerArrays,
    plus: np.ndarray,
    minus: np.ndarray,
    now: np.ndarray,
    up: np.ndarray,
    down: np.ndarray,
    above: np.ndarray,
    drives: np.ndarray,
) -> None:
    """Add to the outputs of the stages, `up` and `down`, what a row gives that steps up `now`.

    A function of its own, which numba vectorises. Arguments are as in `race`.
    """
    for j in range(len(drives)):
        up[j] += plus[j]
        down[j] += minus[j]
        drive = settled_membrane(stages_of(layer, j), up[j], down[j])
        drive /= layer.neurons[THRESHOLD, j]
        above[j] += (drive - drives[j]) * now[j]
        drives[j] = drive


@compiled
def crossed(above: np.ndarray, now: np.ndarray, drives: np.ndarray, raised: np.ndarray) -> int:
    """Return how many membranes are above the threshold at `now`; a function of its own, which
    numba vectorises. `now`, `drives` and `raised` (neurons) are as within `race`; `above` (neurons)
    holds drives times start^(tau / tau of the neuron).
    """
    count = 0
    for j in range(len(above)):
        count += above[j] <= now[j] * (drives[j] - raised[j])
    return count


@compiled
def read_next(
    layer: LayerArrays,
    timing: Timing,
    work: Work,
    number: int,
    raised: np.ndarray,
) -> None:
    """Fill the fields `spikes` and `drives` (without noise) of `work` for a dense layer above the
    first, whose `number` counts from 0. `raised`: as in `race`.
    """
    times = np.append(work.spikes[number - 1], timing.start)
    order = in_order(times, last_z(timing))
    race(
        *(layer, timing, work, number, raised, times, order, 0),
        *(work.spikes[number], work.drives[number]),
    )


@compiled
def unclipped_drives(layer: LayerArrays, timing: Timing, work: Work, number: int) -> np.ndarray:
    """Return what each row adds to the drive of each neuron of layer number `number`, in thresholds
    (rows x neurons), and in the last line the drives without a row. Empty if a stage could reach a
    rail, if rows have noise, or if time constants differ: then drives are no sums of these.
    """
    scale, weights = work.scale[number], work.weights[number]
    rows, neurons = weights.shape[1], weights.shape[2]
    result, up, down = np.empty((rows + 1, neurons)), np.zeros(neurons), np.zeros(neurons)
    for i in range(rows):
        for j in range(neurons):
            up[j] += weights[0, i, j]
            down[j] += weights[1, i, j]
            result[i, j] = weights[0, i, j] - weights[1, i, j]
    for j in range(neurons):
        stages, start = stages_of(layer, j), scale[0, j] * layer.neurons[BIAS, j]
        highest = min(stages.highest_sum, stages.highest_inverse)
        alike = layer.noise == 0.0 and layer.neurons[TAU, j] == timing.tau
        if not alike or up[j] + start > highest or down[j] > stages.highest_negative:
            return np.empty((0, neurons))
        result[rows, j] = start
        for i in range(rows + 1):
            result[i, j] *= stages.membrane_gain / layer.neurons[THRESHOLD, j]
    return result


@compiled
def unclipped_race(
    added: np.ndarray,
    timing: Timing,
    raised: np.ndarray,
    times: np.ndarray,
    order: np.ndarray,
    spikes: np.ndarray,
    drives: np.ndarray,
) -> None:
    """Do what `race` does, several times as fast, with the `added` drives of `unclipped_drives`."""
    drives[:] = added[-1]
    above, last = drives * timing.start, last_z(timing)
    now = np.empty(len(drives))
    spikes.fill(np.inf)
    for position in range(len(order) + 1):
        now.fill(times[order[position]] if position < len(order) else last)
        if crossed(above, now, drives, raised):
            for j in range(len(drives)):
                over = drives[j] - raised[j]
                if over > 0.0 and above[j] <= now[j] * over:
                    spikes[j], above[j] = above[j] / over, np.inf
        if position < len(order):
            add_row(added[order[position]], now, above, drives)


@compiled
def add_row(row: np.ndarray, now: np.ndarray, above: np.ndarray, drives: np.ndarray) -> None:
    """Add a row that steps up `now`; a function of its own, which numba vectorises."""
    for j in range(len(row)):
        drives[j] += row[j]
        above[j] += row[j] * now[j]


@compiled
def read_windows(
    layer: LayerArrays, timing: Timing, work: Work, number: int, patches: np.ndarray
) -> None:
    """Read a convolution above the first layer: fill `spikes`, `drives` and `winners` of `work`.

    Of each kernel and region the earliest spike is kept, or without a spike the highest drive. The
    `number` of the layer counts from 0; `patches` are as in `read_image`.
    """
    below = np.append(work.spikes[number - 1], timing.start)
    order, rows, kernels = (
        in_order(below, last_z(timing)),
        patches.shape[1] - 1,
        len(work.scale[number][0]),
    )
    spikes, drives, winners = work.spikes[number], work.drives[number], work.winners[number]
    spikes.fill(np.inf)
    drives.fill(-np.inf)
    found, settled, raised = np.empty(kernels), np.empty(kernels), np.ones(kernels)
    row_at, events = np.empty(len(below), np.int64), np.empty(rows, np.int64)
    added = unclipped_drives(layer, timing, work, number)
    for p in range(len(patches)):
        own, count = patches[p, 1:], 0
        row_at.fill(-1)
        for i in range(rows):
            row_at[own[i]] = i
        for input in order:
            if row_at[input] >= 0:
                events[count] = row_at[input]
                count += 1
        if len(added):
            unclipped_race(added, timing, raised, below[own], events[:count], found, settled)
        else:
            race(
                *(layer, timing, work, number, raised, below[own], events[:count], p * rows),
                *(found, settled),
            )
        for j in range(kernels):
            k = patches[p, 0] * kernels + j
            if found[j] < spikes[k] or (found[j] == spikes[k] and settled[j] > drives[k]):
                spikes[k], drives[k], winners[k] = found[j], settled[j], p


@compiled(fastmath=SAFE_MATH)
def add_edge_currents(
    cells: np.ndarray,
    states: np.ndarray,
    image: np.ndarray,
    volts: float,
    c: int,
    currents: np.ndarray,
) -> None:
    """Add the currents in A of column `c` to `currents`, which has five values.

    Rows are at `volts` times the levels of the `image`. The first three values are the currents
    with the input at the shares `NODES` of its level (points of a quadrature over the edge). The
    fourth is that at the full level, the fifth that at the full level with the column `BELOW` V
    above ground.
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
            below = states[i, c] - cell.share * BELOW  # the memory capacitor holds the gate
            currents[4] += current(cell, below, level - BELOW)


@compiled
def membranes(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    image: np.ndarray,
    noise: np.ndarray,
    j: int,
) -> tuple[float, float]:
    """Return the membrane of neuron `j` of the first layer in V, settled and at the end of the
    input's edge, while an `image` (levels of the rows) is read. `noise`: as in `Work`.
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
    load = (currents[0, 3] - currents[0, 4]) / BELOW + bias / timing.row_voltage
    up = column_resistance(stages, load)
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


@compiled
def read_exactly(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    work: Work,
    image: np.ndarray,
    label: int,
    raised: np.ndarray,
) -> None:
    """Compute the fields `spikes` and `drives` (without noise) of `work` by the exact form of a
    read, in a network of one layer (see the module docstring).

    Only the neurons that decide are computed again: the neuron of `label`, and neurons near the
    first spike. If `label` is EVERYONE, all are. `raised`: threshold with threshold noise over the
    threshold without, for each neuron.
    """
    noise, spikes, drives = work.noise[0], work.spikes[0], work.drives[0]
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
def read_image(
    layers: tuple[LayerArrays, ...],
    timing: Timing,
    states: Arrays,
    work: Work,
    image: np.ndarray,
    patches: Arrays | None,
    label: int,
    noise: np.ndarray,
) -> None:
    """Present an `image` (levels of the rows), and fill the fields `spikes` and `drives` of `work`
    for every layer.

    The noise currents are those in `work.noise`, filled by `draw`. `patches`: of each layer, as in
    `Convolution.patches`, empty for a dense layer; None: all layers are dense. `label`: neuron that
    must be exact in a network of one layer, or EVERYONE. `noise`: threshold noise of the output
    neurons (shifts in V, 1 x neurons), or an empty table.
    """
    last = len(states) - 1
    raised = np.ones(len(work.spikes[last]))
    if len(noise):
        for j in range(len(raised)):
            raised[j] += noise[0, j] / layers[last].neurons[THRESHOLD, j]
    of_first = np.ones(len(work.spikes[0])) if last else raised
    if patches is not None and len(patches[0]):
        read_patches(layers[0], timing, states[0], work, image, patches[0])
    else:
        read_first(layers[0], timing, states[0], work, image, of_first)
    if len(layers) == 1:
        read_exactly(layers[0], timing, states[0], work, image, label, raised)
    if len(layers) > 1:
        for k in range(1, len(layers)):
            if patches is not None and len(patches[k]):
                read_windows(layers[k], timing, work, k, patches[k])
            else:
                above = raised if k == last else np.ones(len(work.spikes[k]))
                read_next(layers[k], timing, work, k, above)


@compiled
def keep_times(timing: Timing, work: Work, first: int) -> None:
    """Fill the field `times` of `work` from its `spikes`, for all layers from number `first` on."""
    for k in range(first, len(work.spikes)):
        for j in range(len(work.spikes[k])):
            z = work.spikes[k][j]
            work.times[k][j] = timing.tau * math.log(z) if z < np.inf else np.nan


@compiled
def read_back(
    layer: LayerArrays,
    states: np.ndarray,
    errors: np.ndarray,
    volts: float,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return the sum of error x (X - X_ref) over the neurons, for each row without the bias row, in
    V times the unit of the `errors` (neurons). `states`: rows x columns, V.

    The sums are read as currents of the rows while each column is at `volts` times its error. The
    reference column carries the negative sum of the errors. With pairs, the negative columns carry
    the negative errors. The result is then the sum of error x (X+ - X-), averaged over the pairs.
    `rng`: of the read noise; None for none.
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
        if rng is not None and layer.noise > 0.0:
            result[i] += (
                layer.noise
                * math.sqrt((carried * carried).sum())
                / max(1, layer.pairs)
                * rng.standard_normal()
            )
    return result


@compiled
def read_images(
    layers: tuple[LayerArrays, ...],
    timing: Timing,
    states: Arrays,
    work: Work,
    images: np.ndarray,
    patches: Arrays | None,
    noise: np.ndarray,
    times: Arrays,
    rng: np.random.Generator | None,
) -> None:
    """Present all `images`, and fill `times` with the first spikes in s: for each layer an array,
    images x neurons.

    `noise`: shifts in V of the output neurons' thresholds, images x neurons; an empty table for
    none. `patches`: as in `read_image`. `rng`: of the read noise; None for none.
    """
    label = np.int64(EVERYONE)  # a constant would compile `read_image` anew
    for n in range(len(images)):
        if rng is not None:
            draw(layers, timing, work, images[n], patches, rng)
        read_image(layers, timing, states, work, images[n], patches, label, noise[n : n + 1])
        keep_times(timing, work, 0)
        for k in range(len(states)):
            for j in range(len(work.times[k])):
                times[k][n, j] = work.times[k][j]
