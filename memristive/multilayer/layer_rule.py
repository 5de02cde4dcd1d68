"""The rule by which layers learn from their errors, once for both engines: who is written, for how long, in which direction.

Everything here is local to a row or a column and works on what the circuit shows: spike times, membranes, back-read currents
(docs/layers.md). Plain array functions: `layer_kernel` compiles these very functions.
"""

from dataclasses import dataclass

import numpy as np

from memristive.spice.parameters import Parameters, quantity


@dataclass(frozen=True)
class LayeredRule(Parameters):
    """Parameters of the rule; the defaults were chosen on held-out training images of MNIST (grey 10x10, 200 hidden neurons).

    Doses fall linearly to 0 over the run. Starts are normal distributions, of what matters to a neuron: for the first layer its
    settled membrane in thresholds, for later layers a cell's X - X_ref.
    """

    presentations: int = quantity(1_500_000, 1, 10**9, "", "training images presented in all")
    hidden_dose: float = quantity(60e-3, 0.0, 10.0, "", "change of X of a hidden cell at a full pixel, per volt read back")
    output_dose: float = quantity(120e-3, 0.0, 10.0, "V", "change of X of an output cell, per time constant of overlap")
    margin: float = quantity(4.5e-6, 0.0, 1e-2, "s", "time by which the right neuron has to lead")
    error_scale: float = quantity(3.0, 1e-3, 1e6, "V", "what is read back through hidden columns (V^2) is divided by this")
    reach: float = quantity(0.9, 0.0, 10.0, "", "share of the threshold that a hidden membrane has to settle at to be written")
    start_drive: float = quantity(1.0, -100.0, 100.0, "", "mean settled membrane of hidden neurons, in thresholds")
    start_drive_spread: float = quantity(1.5, 0.0, 100.0, "", "standard deviation of the same, over neurons")
    start_weight: float = quantity(0.23, -10.0, 10.0, "V", "mean of X - X_ref in later layers")
    start_weight_spread: float = quantity(0.46, 0.0, 10.0, "V", "standard deviation of the same, over cells")
    seed: int = quantity(1, 0, 2**32 - 1, "", "of the start and of the order of presentation")


def falling(done: int, presentations: int) -> float:
    """The share of the first dose that the presentation after `done` others gives."""
    return 1.0 - done / presentations


def errors(count: int, label: int, wrong: int) -> np.ndarray:
    """What the output columns (`count`) are driven with in a back-read: 1 for `label`, -1 for the offender (none if below 0)."""
    result = np.zeros(count)
    result[label] = 1.0
    if wrong >= 0:
        result[wrong] = -1.0
    return result


def overlaps(rows: np.ndarray, spike: float, window: float) -> np.ndarray:
    """How long in s each row is high before its column's neuron fires: `rows` and `spike` in s, nan for silent ones.

    A silent neuron's write lasts as long as the read could have. This is the sign and the order of the spike time's gradient.
    """
    until = window if np.isnan(spike) else spike
    return np.where(rows < until, until - rows, 0.0)  # comparisons with nan are false: a silent row is not written


def plastic(read_back: np.ndarray, settled: np.ndarray, reach: float, scale: float) -> np.ndarray:
    """The errors (V) of the neurons that are written: those whose membrane settles (in thresholds) at `reach` or above.

    `read_back` is divided by a `scale`: 1 behind the last layer, the rule's `error_scale` behind a hidden one.
    """
    return np.where(settled >= reach, read_back / scale, 0.0)
