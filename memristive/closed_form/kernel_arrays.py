"""Arrays of layers for the compiled kernel, the compiled formulas (laws) of cells and neurons, and
access to single cells and neurons.

Arrays of cells are rows x columns here, so that a row's cells are neighbours in memory. With pairs,
columns are ordered by polarity (positive first), then by pair, then by neuron. A reference column
is the last one. The laws stand in memristor.py and neuron.py. A time t is kept as z = exp(t / tau),
with z = inf for a neuron that stays silent until the read ends. The drive of a neuron is the
voltage at which its membrane would settle, in thresholds.
"""

import math
from typing import Any, NamedTuple

import numpy as np

import memristor
from memristive.closed_form import neuron
from memristive.closed_form.neuron import Stages
from memristive.compiled import compiled
from memristor import ChannelValues

# lets sums be vectorised; infinities and nan keep their meaning
SAFE_MATH = {"contract", "reassoc", "arcp", "nsz"}
current = compiled(memristor.read_current, inline="always", fastmath=SAFE_MATH)
raised_state = compiled(memristor.raised_state, inline="always")
conductance = compiled(memristor.conductance, inline="always")
column_resistance, negative_resistance, settled_membrane, spike_time, edge_gain = (
    compiled(law, inline="always")
    for law in (
        neuron.column_resistance,
        neuron.negative_resistance,
        neuron.settled_membrane,
        neuron.spike_time,
        neuron.edge_gain,
    )
)

EMPTY, EMPTY_TABLE = np.zeros(0), np.zeros((0, 0))  # no noise

Arrays = tuple[np.ndarray, ...]

# Indices into the array of a layer's cells: parameters x rows x columns, with a single row if all
# rows are alike. GAIN to PINCH are the fields of `memristor.Channel`. RATE is K / (C + C_gate), or
# 0 for a cell that cannot be written. LEAK is 1 / (R_leak (C + C_gate)). NOISE is the cell's write
# noise over the nominal one. Units are SI.
GAIN, VTO, SHARE, PINCH, RATE, LEAK, NOISE = range(7)
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
    flow: Any = None  # `Flow` of a measured device, its write curves
    noise: float = 0.0  # V of X, standard deviation of one reading of a cell


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
    """Work space: quantities that follow from the states, and results of a read. Fields of type
    `Arrays` have one array for each layer.
    """

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
    winners: Arrays  # outputs of a convolution: the patch of the earliest spike
    # 3 x kernels, V: the least and the most that the curves of the channels add to the sum of the
    # `weights`, for each unit of level x (1 - level); and the voltage up to which this sum ranks
    # the patches
    bends: Arrays
    times: Arrays  # outputs, s: `spikes` as `kernel.keep_times` converts them


class Seen(NamedTuple):
    """Results of a read: fields of type `Arrays` have one array for each layer."""

    times: Arrays  # outputs, s: first spikes; nan: silent
    settled: Arrays  # outputs, thresholds: settled membranes
    winners: Arrays  # outputs, as in `Work`
    window: float  # s, duration of a read
    tau: float  # s, time constant of the membranes
    start: float  # s, time at which the bias rows step up


@compiled(inline="always")
def values_of(cells: np.ndarray, k: int, c: int) -> ChannelValues:
    """Return the channel's parameters of one of the `cells` (of a `LayerArrays`), in column `c`;
    `k` is its row, or 0 if all rows are alike.
    """
    return ChannelValues(
        cells[GAIN, k, c], cells[VTO, k, c], cells[SHARE, k, c], cells[PINCH, k, c]
    )


@compiled(inline="always")
def row_of(cells: np.ndarray, i: int) -> int:
    """Return the index of row `i` in the array `cells`, which has a single row if all rows are
    alike.
    """
    return i if cells.shape[1] > 1 else 0


@compiled(inline="always")
def stages_of(layer: LayerArrays, j: int) -> Stages:
    """Return the stages of neuron `j`."""
    n = layer.neurons
    return Stages(n[0, j], n[1, j], n[2, j], n[3, j], n[4, j], n[5, j], n[6, j], n[7, j])


@compiled(inline="always")
def loaded(cells: np.ndarray, k: int, c: int, state: float) -> float:
    """Return the conductance in S with which a cell at `state` (V) loads its column `c`; `k` as in
    `values_of`.
    """
    return conductance(values_of(cells, k, c), state)


@compiled(inline="always")
def noise_of(layer: LayerArrays, noise: np.ndarray, i: int, j: int) -> tuple[float, float]:
    """Return the currents in A of row `i` of `noise` in the positive columns of neuron `j`, and in
    its negative ones or the reference column.
    """
    if layer.noise == 0.0:
        return 0.0, 0.0
    neurons = layer.neurons.shape[1]
    return noise[i, j], noise[i, neurons + j if layer.pairs else neurons]


@compiled
def last_z(timing: Timing) -> float:
    """Return z = exp(t / tau) at the end t of the longest read."""
    return math.exp(timing.window / timing.tau)


@compiled(inline="always")
def step_spike(
    layer: LayerArrays, timing: Timing, last: float, j: int, drive: float, raised: float
) -> float:
    """Return the spike of neuron `j`, as z = exp(t / tau); inf if there is none up to the z `last`.

    All rows step up together at the image's start.

    `drive`: settled membrane in thresholds without noise. `raised`: threshold with threshold noise
    over the threshold without.
    """
    start = (
        timing.start
        if layer.neurons[TAU, j] == timing.tau
        else timing.start ** (timing.tau / layer.neurons[TAU, j])
    )
    z = start * drive / (drive - raised) if drive > raised else np.inf
    if layer.neurons[TAU, j] != timing.tau and z < np.inf:
        z = z ** (layer.neurons[TAU, j] / timing.tau)
    return z if z <= last else np.inf
