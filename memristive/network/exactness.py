"""Estimates of what the closed form leaves out, and which parameter is to blame if it matters.

Each estimate is the shift of a typical spike in s. docs/circuit.md compares the doubts
that follow from them with transients of whole networks.
"""

import numpy as np

from memristive.closed_form.neuron import NODES, WEIGHTS
from memristive.devices.cells import Cells
from memristive.network.crossbar import Neurons
from memristive.network.layer import Layer
from memristor import raised_state, read_current

# share of the membranes' time constant: 10 ns for the paper's 150 us, half of the resolution
BOUND = 1 / 15_000
# dt / tau by a relative change of the drive D: 1 / (D - 1), at a drive of 1.5 thresholds
SENSITIVITY = 2.0
# Share of the gates' charge that is left if a reference column or the other cells of pairs subtract
# theirs.
UNCANCELLED = 0.1
# Longest edges over the time constant: of a layer whose rows all rise at once, for which the edge
# is integrated, and of several layers, for which it is a delayed step.
LONGEST_EDGE, LONGEST_EDGE_OF_LAYERS = 1.0, 1 / 15
LEAST_GAIN = 1e3  # of the op-amps: at 100, spikes are off by 10 to 60 ns
EDGE = np.linspace(0, 1, 65)  # shares of the input's voltage, for integrals over its edge
THERMAL = 25.85e-3  # V


def shifts(layer: Layer, states: np.ndarray, alone: bool = True) -> dict[str, float]:
    """Return the estimated shift of a spike in s by each effect that the closed form leaves out,
    with a description of the effect, which names parameters. `states`: columns x rows, V.
    `alone`: False for one of several layers, whose edge counts as a delayed step.
    """
    cells, neuron = Cells.of(layer.memristor, layer.devices.cells), layer.neuron
    cells = cells.at(slice(0, len(states)))
    volts = EDGE[:, None, None] * layer.row_voltage
    currents = np.asarray(read_current(cells, states, volts)).sum(axis=-1)  # edge x columns
    column = int(np.argmax(currents[-1]))
    if not currents[-1, column] > 0:
        return {}
    edge = currents[:, column] / currents[-1, column]

    # The lifted gate pushes the charge of its half of the channel into the column.
    start = np.asarray(raised_state(cells, states, volts)) - cells.threshold_voltage
    conducts = states > cells.threshold_voltage
    drain = np.maximum(start - volts, 0.0)
    capacitance = (
        2 / 3 * cells.gate_capacitance * (1 - (drain / np.where(conducts, start + drain, 1.0)) ** 2)
    )
    pushed = np.trapezoid(np.where(conducts, capacitance, 0.0), start, axis=0).sum(axis=-1)
    bright = currents[-1] > currents[-1, column] / 2
    subtracts = layer.stages > 0

    # Three currents stand for all of the edge, or the full one for a current that grows linearly.
    nodes = sum(
        weight * np.interp(node, EDGE, edge) for node, weight in zip(NODES, WEIGHTS, strict=True)
    )
    counted = nodes if alone else 0.5
    # A delayed step stands for an edge of several layers. A membrane that a single row drives fast
    # enough fires within that edge, where its voltage grows with the square of time.
    full = np.asarray(
        read_current(layer.memristor, layer.with_reference(states), layer.row_voltage)
    )
    single = full - full[-1] if layer.synapses.reference else full
    drive = float(neuron.transresistance * single.max() / neuron.threshold)
    early = 0.0
    if not alone and drive > 2 * neuron.time_constant / layer.rise:
        charged = neuron.time_constant / drive  # s, by an ideal step
        early = float(layer.rise / 2 + charged - np.sqrt(2 * layer.rise * charged))
    kinked = layer.rise * abs(float(counted - np.trapezoid(edge, EDGE))) * (not layer.timed)

    # Each junction to bulk conducts Is / (25.85 mV) at the column, which is not quite at ground.
    leaking = states.shape[1] * layer.memristor.junction_current / THERMAL
    taken = neuron.feedback_resistance * leaking / neuron.amplifier_gain
    return {
        "the channels take long to charge their gates (memristor.length, kp, oxide_thickness)": (
            float(np.max(pushed[bright] / currents[-1, bright]))
            * (UNCANCELLED if subtracts else 1.0)
        ),
        "channels saturate during the input's edge (input_voltage or row_voltage, rise)": kinked,
        "the junctions to bulk (memristor.junction_current) load the columns": (
            SENSITIVITY * neuron.time_constant * taken
        ),
        "neurons fire within the edge of a row (rise, output_gain, transresistance)": early,
    }


def doubts_of(layers: tuple[Layer, ...], states: tuple[np.ndarray, ...]) -> list[str]:
    """Return reasons why spikes of the closed form may be wrong by more than the share `BOUND` of
    the membranes' time constant; each reason names a parameter.

    Parameters
    ----------
    layers : tuple of Layer
    states : tuple of arrays, columns x rows, V
        Of each layer.
    """
    largest: dict[str, float] = {}
    for layer, own in zip(layers, states, strict=True):
        for reason, shift in shifts(layer, own, len(layers) == 1).items():
            if shift > BOUND * layer.neuron.time_constant:
                largest[reason] = max(shift, largest.get(reason, 0.0))
    reasons = [f"{reason}: about {1e9 * shift:.2g} ns" for reason, shift in largest.items()]
    longest = LONGEST_EDGE if len(layers) == 1 else LONGEST_EDGE_OF_LAYERS
    first = layers[0]
    tau = float(np.min(Neurons.of(first.neuron, first.devices.neurons).time_constant))
    if first.rise > longest * tau:
        reasons.append(
            f"the input's edge (rise) lasts {first.rise:g} s, more than {longest:.2g} of the "
            f"membranes' time constant, {tau:g} s"
        )
    if first.neuron.amplifier_gain < LEAST_GAIN:
        reasons.append(
            f"the op-amps' gain (neuron.amplifier_gain) is {first.neuron.amplifier_gain:g}, below "
            f"{LEAST_GAIN:g}"
        )
    return reasons
