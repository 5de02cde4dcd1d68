"""The formulas (laws) of the neuron: stages with rails and finite gain, membrane, first spike
(docs/circuit.md).

Each law stands here once, in NumPy's functions, and the kernels compile it. Laws take numbers or
arrays of any shape that broadcast. Networks divide membranes, drives and weights by the threshold
of the neuron: these are "in thresholds".
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memristive.parameters import FloatOrArray

if TYPE_CHECKING:
    from snn_circuit import NeuronParameters

# Nodes of Gauss-Legendre quadrature on the input's edge, as shares of it, and their weights: three
# are exact to nanoseconds.
NODES = (0.5 - math.sqrt(0.15), 0.5, 0.5 + math.sqrt(0.15))
WEIGHTS = (5 / 18, 8 / 18, 5 / 18)


class Stages(NamedTuple):
    """Stages of neurons: a summing stage, an inverting stage, and the stage of the negative
    columns.

    The output of an inverting op-amp of finite gain is too small by the share (noise gain / gain).
    The noise gain of a summing stage depends on the column's conductance (`column_resistance`).
    It is 3 for the inverting stage, and 2 for the negative columns' inverting stage, which feeds
    many neurons. Each op-amp also drops a voltage at its output resistance, as if its gain were
    smaller.
    """

    feedback: FloatOrArray  # ohm, of the summing stage: volts per column ampere
    negative_feedback: FloatOrArray  # ohm, of the negative columns' summing stage
    # of the summing op-amps with their load, which leave a column at 1 / gain of their output
    amplifier_gain: FloatOrArray
    # settled membrane in V per volt of the inverting stage, less what the op-amps lack
    membrane_gain: FloatOrArray
    negative_gain: FloatOrArray  # of the negative columns' inverting stage
    highest_sum: FloatOrArray  # V, rails as the stages reach them
    highest_negative: FloatOrArray  # V
    highest_inverse: FloatOrArray  # V


def stages(parameters: "NeuronParameters", loads: int = 0) -> Stages:
    """Return the stages of neurons with these `parameters` (`snn_circuit.NeuronParameters`).

    `loads`: number of inverting stages that the negative columns' stage feeds.
    """
    p = parameters
    dropped, stage = (
        p.amplifier_output_resistance / p.feedback_resistance,
        p.amplifier_output_resistance / p.stage_resistance,
    )
    lacking = 3 * (1 + stage) / p.amplifier_gain
    negative = 2 * (1 + (1 + loads) * stage) / p.amplifier_gain
    highest = p.highest_sum(p.feedback_resistance)
    return Stages(
        p.feedback_resistance,
        p.feedback_resistance,
        p.amplifier_gain / (1 + stage + dropped),
        p.membrane_gain / (1 + lacking),
        1 / (1 + negative),
        highest,
        np.minimum(highest, p.highest_inverse(loads)),
        p.highest_inverse(),
    )


def column_resistance(stages: Stages, conductance: FloatOrArray) -> FloatOrArray:
    """Return the voltage in V that the summing stage gives for each ampere of its column's current.

    The cells of the column, whose conductances add up to `conductance` (S), take some of the
    current, because the column is not quite at ground.
    """
    return stages.feedback / (1 + (1 + stages.feedback * conductance) / stages.amplifier_gain)


def negative_resistance(stages: Stages, conductance: FloatOrArray) -> FloatOrArray:
    """Return the voltage in V that the negative columns' inverting stage gives for each ampere of
    their current. `conductance`: sum over the cells of these columns in S.
    """
    return (
        stages.negative_gain
        * stages.negative_feedback
        / (1 + (1 + stages.negative_feedback * conductance) / stages.amplifier_gain)
    )


def settled_membrane(stages: Stages, up: FloatOrArray, down: FloatOrArray) -> Any:
    """Return the voltage in V at which membranes settle.

    `up` and `down` are the outputs in V that the summing stage and the stage of the negative
    columns would have without rails.
    """
    difference = np.minimum(up, stages.highest_sum) - np.minimum(down, stages.highest_negative)
    return stages.membrane_gain * np.minimum(difference, stages.highest_inverse)


def edge_gain(
    node: FloatOrArray, weight: FloatOrArray, rise: FloatOrArray, tau: FloatOrArray
) -> FloatOrArray:
    """Return the weight (V per V) with which the drive at one moment of the input's edge enters the
    membrane at the end of the edge.

    The membrane is the sum over three moments, the points of a quadrature: `node` is a moment as a
    share of the edge, from `NODES`, and `weight` its weight, from `WEIGHTS`. `rise`: duration of
    the edge in s. `tau`: time constant of the membrane in s.
    """
    return weight * rise / tau * np.exp(-rise / tau * (1 - node))


def spike_time(
    settled: FloatOrArray,
    risen: FloatOrArray,
    threshold: FloatOrArray,
    rise: FloatOrArray,
    tau: FloatOrArray,
) -> FloatOrArray:
    """Return the first spike in s after the input's start, of membranes that settle above their
    threshold.

    Times within the edge are rough, because the formula assumes that currents grow linearly there,
    and membranes with the square of time.

    Parameters
    ----------
    settled, risen : array_like, V
        Membrane once it has settled, and membrane at the end of the input's edge.
    threshold : array_like, V
    rise, tau : array_like, s
        Duration of the input's edge, and time constant of the membrane.
    """
    early = risen > threshold
    late = tau * np.log(np.maximum((settled - risen) / (settled - threshold), 1.0))
    return (
        rise
        + (1 - early) * late
        + early * rise * (np.sqrt(threshold / np.maximum(risen, threshold)) - 1)
    )


def membrane(
    settled: FloatOrArray, risen: FloatOrArray, elapsed: FloatOrArray, tau: FloatOrArray
) -> FloatOrArray:
    """Return the membrane in V, `elapsed` s after the input has risen.

    It settles at `settled` V, and was at `risen` V at the end of the input's edge. `tau`: time
    constant in s.
    """
    return settled + (risen - settled) * np.exp(-elapsed / tau)


def start_delay(rise: float, tau: float) -> float:
    """Return the delay in s of the ideal step that leaves membranes as a linear edge of `rise` s.

    The delay counts from the start of the edge. `tau`: time constant of the membranes in s.
    """
    return rise + tau * math.log(-math.expm1(-rise / tau) * tau / rise)
