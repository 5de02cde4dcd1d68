"""Convolutions in closed form, compiled by numba: the pooled spike of each kernel in each region.

Reading all patches by the law of the channel would spend most of its time on patches that lose.
Therefore a screening first reads all patches with straight channels, whose currents are in
proportion to the level. The current of a real channel is larger by an amount with known bounds
(`bend_of`). Only patches that may win within these bounds are then read by the law, so that the
result is exact.
"""

import numpy as np

from memristive.closed_form.kernel_arrays import (
    BIAS,
    SAFE_MATH,
    THRESHOLD,
    LayerArrays,
    Timing,
    Work,
    conductance,
    current,
    last_z,
    noise_of,
    row_of,
    settled_membrane,
    stages_of,
    step_spike,
    values_of,
)
from memristive.compiled import compiled
from memristor import ChannelValues

# of a rail: kernels whose stages stay below it whatever the image is are screened
BELOW_RAIL = 0.9
ABOVE = 1.125  # of the full voltage: the slope there bounds slopes at lower voltages
ROUNDED = 1e-9  # V: sums of currents differ by less if only their order differs


@compiled
def bend_of(cell: ChannelValues, state: float, volts: float) -> tuple[float, float]:
    """Return a lower and an upper bound in A of a channel's current beyond a straight line.

    Both are divided by level x (1 - level). The straight line joins the currents at 0 V and at
    `volts` V. Let p be the current divided by the voltage. Up to the pinch-off p is a concave
    function of the voltage, because it is the sum of a straight line and of the geometric mean of
    two straight lines. So from any voltage to `volts`, p falls at least as steeply as on average
    between 0 and `volts`, and at most as steeply as just above `volts`. For a channel that pinches
    off below `volts` other bounds hold: its current is at most the tangent at 0 V, and at most the
    current at `volts`.
    """
    at_rest, full = conductance(cell, state), current(cell, state, volts)
    if cell.pinch * (state - cell.threshold_voltage) < ABOVE * volts:
        return 0.0, 2.0 * max(full, volts * at_rest - full)
    beyond = (full - current(cell, state, ABOVE * volts) / ABOVE) / (ABOVE - 1.0)
    return volts * at_rest - full, beyond


@compiled
def bend(
    layer: LayerArrays,
    volts: float,
    states: np.ndarray,
    scale: np.ndarray,
    bends: np.ndarray,
    written: np.ndarray,
) -> None:
    """Update `bends` (bounds, explained in `Work`) of kernels whose states have changed. `written`
    (kernels) is not 0 for these. `volts`: voltage in V of a row at level 1.
    """
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
    patches: np.ndarray,
    sums: np.ndarray,
    greys: np.ndarray,
    rows: np.ndarray,
    levels: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Read all patches of an `image` (levels of the rows) with straight channels.

    Fills `sums` (patches x kernels, V: output of the summing stage less the output of the negative
    stage) and `greys` (patches: the sum of level x (1 - level)). It also fills the indices `rows`
    of the driven rows and their `levels` (both patches x rows), and the `counts` of driven rows
    (patches).
    """
    scale, kernels = work.scale[0], layer.neurons.shape[1]
    weights, bias = work.weights[0][0] - work.weights[0][1], scale[0] * layer.neurons[BIAS]
    for p in range(len(patches)):
        grey, count = 0.0, 0
        for j in range(kernels):
            sums[p, j] = bias[j]
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


@compiled(fastmath=SAFE_MATH)
def patch_current(
    cells: np.ndarray,
    states: np.ndarray,
    rows: np.ndarray,
    levels: np.ndarray,
    volts: float,
    c: int,
) -> float:
    """Return the current in A of column `c` while the `rows` (indices) are at `levels` x `volts` V,
    and all others at 0 V. `states`: rows x columns, V.
    """
    result = 0.0
    for n in range(len(rows)):
        i = rows[n]
        result += current(values_of(cells, row_of(cells, i), c), states[i, c], levels[n] * volts)
    return result


@compiled
def raise_bounds(
    bounds: np.ndarray, sums: np.ndarray, grey: float, least: np.ndarray, limits: np.ndarray
) -> None:
    """Raise `bounds` (kernels, V) to the bound that one patch gives: min(sums + grey x least,
    limits).

    They are lower bounds on the largest voltage with which any patch of a region drives the
    membranes. `sums`, `grey`: of the patch, as in `screen`. `least`, `limits`: kernels, from
    `Work.bends`.
    """
    for j in range(len(bounds)):
        bounds[j] = max(bounds[j], min(sums[j] + grey * least[j], limits[j]))


@compiled
def read_patches(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    work: Work,
    image: np.ndarray,
    patches: np.ndarray,
) -> None:
    """Read the `patches` of an `image` (levels of the rows), and fill the pooled spikes (z),
    settled membranes and winning patches: the fields `spikes`, `drives` and `winners` of `work`.

    A screening with straight channels, whose error has bounds, finds the few patches that may win
    in their region. Only these are read by the law of the channel.
    """
    kernels, cells = layer.neurons.shape[1], layer.cells
    sums, greys = np.empty((len(patches), kernels)), np.empty(len(patches))
    shape, counts = (len(patches), len(states)), np.empty(len(patches), np.int64)
    rows, levels = np.empty(shape, np.int64), np.empty(shape)
    screen(layer, work, image, patches, sums, greys, rows, levels, counts)
    scale, spikes, drives = work.scale[0], work.spikes[0], work.drives[0]
    surely = np.full((len(drives) // kernels, kernels), -np.inf)
    seen, last, volts = np.zeros(len(surely), np.bool_), last_z(timing), timing.row_voltage
    least, most, limits = work.bends[0][0], work.bends[0][1], work.bends[0][2]
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
                drives[k], work.winners[0][k] = drive, p
    for k in range(len(drives)):
        spikes[k] = step_spike(layer, timing, last, k % kernels, drives[k], 1.0)
