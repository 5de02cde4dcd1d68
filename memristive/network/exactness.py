"""Estimates of what the closed form leaves out, and which parameter is to blame if it matters.

Each estimate is the shift of a typical spike in s. `studies.closed_form_range` compares the doubts
that follow from them with transients of whole networks (docs/closed_form.md).
"""

import numpy as np

from memristive.network.closed_form import Neurons
from memristive.network.layer import Layer
from memristor import conductance
from snn_circuit import Cells

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


def shifts(layer: Layer, states: np.ndarray) -> dict[str, float]:
    """Return the estimated shift of a spike by each effect that the closed form leaves out, in s.

    Parameters
    ----------
    layer : Layer
    states : array, columns x rows, V

    Returns
    -------
    dict
        Shifts by a description of the effect, which names a parameter. An op-amp of gain A leaves
        its column at 1 / A of its output, and the column's conductance G then takes the share R G /
        A of the current. This is in the formulas, but four small parts of it are not.
    """
    cells, neuron, volts = Cells.of(layer.memristor, layer.devices.cells), layer.neuron, layer.row_voltage
    cells = cells.at(slice(0, len(states)))
    gains = Neurons.of(neuron, layer.devices.neurons).stages
    feedback = float(np.max(gains.feedback))
    drop = neuron.amplifier_output_resistance
    each = conductance(cells, states)
    column = int(np.argmax(each.sum(axis=-1)))
    load, conducting = float(each[column].sum()), each > 0
    if not load:
        return {}
    gain = np.broadcast_to(cells.gain, states.shape)
    held = np.broadcast_to(cells.share, states.shape)
    gate = np.broadcast_to(cells.gate_capacitance, states.shape)
    taken = feedback * load / neuron.amplifier_gain
    positive = feedback * load * volts * neuron.membrane_gain / neuron.threshold  # thresholds
    subtracts = layer.reference or layer.pairs > 0
    tau = neuron.time_constant

    def moved(share: float) -> float:
        """Return the shift in s by a relative error of the drive."""
        return SENSITIVITY * tau * share

    on = conducting[column]
    charge = float((gate * (1 - held))[column][on].sum()) / 4 / load
    return {
        "the op-amps' gain (neuron.amplifier_gain) is low": moved(
            taken * (4 + taken) / neuron.amplifier_gain
        ),
        "the op-amps' output resistance (neuron.amplifier_output_resistance) lifts the columns": moved(
            (taken + 1 / neuron.amplifier_gain)
            * drop
            * (1 / feedback + 1 / neuron.stage_resistance)
        ),
        "the memory capacitor (memristor.capacitance) holds the gates where they are, though their "
        "columns move at this neuron.amplifier_gain": moved(
            feedback * volts * float((gain * held)[column][on].sum()) / neuron.amplifier_gain
        ),
        "the bias resistors (design.hidden_bias, design.output_bias) load columns that move at "
        "this neuron.amplifier_gain": moved(
            feedback / layer.bias_resistance / neuron.amplifier_gain * positive
        ),
        "the channels take long to charge their gates (memristor.length, kp, oxide_thickness)": (
            charge * (UNCANCELLED if subtracts else 1.0)
        ),
    }


def doubts_of(layers: tuple[Layer, ...], states: tuple[np.ndarray, ...]) -> list[str]:
    """Return reasons why spikes of the closed form may be wrong by more than `BOUND`; each reason
    names a parameter.

    Parameters
    ----------
    layers : tuple of Layer
    states : tuple of arrays, columns x rows, V
        Of each layer.
    """
    found: dict[str, float] = {}
    for layer, of in zip(layers, states, strict=True):
        for reason, shift in shifts(layer, of).items():
            if shift > BOUND * layer.neuron.time_constant:
                found[reason] = max(shift, found.get(reason, 0.0))
    reasons = [f"{reason}: about {1e9 * shift:.2g} ns" for reason, shift in found.items()]
    longest = LONGEST_EDGE if len(layers) == 1 else LONGEST_EDGE_OF_LAYERS
    tau = float(np.min(Neurons.of(layers[0].neuron, layers[0].devices.neurons).time_constant))
    if layers[0].rise > longest * tau:
        reasons.append(
            f"the input's edge (rise) lasts {layers[0].rise:g} s, more than {longest:.2g} of the "
            f"membranes' time constant, {tau:g} s"
        )
    return reasons
