"""Operating range of multilayer networks: stages at their op-amps' rails, silent neurons, cells that diverge.

The summing stage of a column gives -R_f I. That of the reference column is inverted and goes to all neurons of the layer, whose
inverting stages give R_f (I - I_ref). A neuron needs all three until its spike; clipping after it has no effect. The closed form
has no rails (docs/layers.md).
"""

import warnings
from collections.abc import Iterator

import numpy as np

from memristive.multilayer.layer_network import LayeredNetwork
from memristive.single_layer.closed_form import LEAST_GAIN
from memristive.single_layer.operating_range import OperatingRangeWarning
from memristive.single_layer.spike_decoding import first_two, strict_decision
from memristor import read_current

STAGES = ("summing stage", "inverting stage", "negative input's inverting stage")
MOST = 200  # images that `layered_problems` examines: a second for large networks
AGREED = 0.3e-6  # s for each layer: largest difference of spikes between the closed form and a whole network in ngspice
SILENT_SHARE = 0.05  # of the images, for which no neuron of a hidden layer may fire
NEEDED = 2  # hidden neurons for each class: healthy networks of few classes use 15 of 100 neurons, failing ones less than this
DIVERGED = 70.0  # V: X of networks that learn well stays below 60 V, in diverging ones it reaches hundreds


def rails(network: LayeredNetwork) -> np.ndarray:
    """Return the highest voltages in V that the stages of each layer give: layers x `STAGES`."""
    found = []
    for layer, states in enumerate(network.states):
        neuron = network.neuron(layer)
        found.append((neuron.highest_sum(neuron.feedback_resistance), neuron.highest_inverse(),
                      neuron.highest_inverse(1 if network.design.pairs else len(states))))
    return np.array(found, float)


def required_stage_voltages(network: LayeredNetwork, images: np.ndarray) -> np.ndarray:
    """Return the highest voltages that the stages would have to give before their neurons fire, if there were no rails.

    Parameters
    ----------
    network : LayeredNetwork
    images : array, n x inputs, levels 0 to 1

    Returns
    -------
    array, n x layers x `STAGES`, V
    """
    spikes = network.forward(images)
    required = np.zeros((len(images), len(network.states), len(STAGES)))
    for layer, below in enumerate([images, *spikes[:-1]]):
        feedback = network.neuron(layer).feedback_resistance
        for image, (currents, times) in enumerate(_column_currents(network, layer, below)):
            before = times < np.where(np.isnan(spikes[layer][image]), np.inf, spikes[layer][image])[:, None]
            columns, reference = feedback * currents
            required[image, layer] = [np.max(volts, initial=0.0, where=before) for volts in
                                      (columns, columns - reference, reference)]
    return required


def forward_with_rails(network: LayeredNetwork, images: np.ndarray) -> list[np.ndarray]:
    """Return the first spike times of all layers as `LayeredNetwork.forward` does, with stages that clip at their rails."""
    spikes: list[np.ndarray] = []
    for layer, limits in enumerate(rails(network)):
        currents = _column_currents(network, layer, spikes[-1] if layer else images)
        spikes.append(np.array([_clipped_spikes(network, layer, limits, amperes, times) for amperes, times in currents]))
    return spikes


def _clipped_spikes(network: LayeredNetwork, layer: int, limits: np.ndarray, currents: np.ndarray,
                    times: np.ndarray) -> np.ndarray:
    """Return a layer's first spikes in s; `currents` as from `_column_currents`, `limits`: rails of its stages in V."""
    neuron, (summing, inverting, reference) = network.neuron(layer), limits
    volts = neuron.feedback_resistance * currents
    drives = np.minimum(np.minimum(volts[0], summing) - np.minimum(volts[1], min(summing, reference)), inverting)
    chip = 1.0 if network.chip is None else network.chip[layer].threshold[:, None]
    drives *= neuron.membrane_gain / (neuron.threshold * chip)
    spikes, membranes = np.full(len(drives), np.nan), np.zeros(len(drives))
    for drive, begin, end in zip(drives.T, times, np.append(times[1:], network.design.window), strict=True):
        rising = np.flatnonzero(np.isnan(spikes) & (drive > 1))
        crossing = begin + neuron.time_constant * np.log((drive[rising] - membranes[rising]) / (drive[rising] - 1))
        spikes[rising[crossing <= end]] = crossing[crossing <= end]
        membranes = drive + (membranes - drive) * np.exp((begin - end) / neuron.time_constant)
    return spikes


def _column_currents(network: LayeredNetwork, layer: int, below: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positive and negative currents of each image, 2 x neurons x steps in A, and the times of the rows' steps in s.

    `below`: images for layer 0, where all rows step up together; spikes of the layer below (s) for others, after the bias.
    """
    rows = network.states[layer].shape[1]
    for levels in below:
        if layer == 0:
            image = np.append(levels, 1.0)
            driven = np.flatnonzero(image)
            yield (_cell_currents(network, 0, driven, image[driven]).sum(axis=-1, keepdims=True),
                   np.array([network.start_time]))
        else:
            order = np.argsort(levels)[:np.sum(~np.isnan(levels))]  # nan is sorted last
            steps = np.append(rows - 1, order)
            yield (np.cumsum(_cell_currents(network, layer, steps, np.ones(len(steps))), axis=-1),
                   np.append(network.start_time, levels[order]))


def _cell_currents(network: LayeredNetwork, layer: int, rows: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return positive and negative currents of neurons in A, 2 x neurons x `rows`, with each row at its level.

    The last row is the bias, whose resistor adds to the positive current.
    """
    design, neuron, count = network.design, network.neuron(layer), network.sizes[layer + 1]
    states = network.states[layer][:, rows]
    if not design.pairs:
        states = np.vstack([states, np.full(len(rows), design.reference_state)])
    currents = read_current(network.parameters.memristor, states, levels * design.row_voltage)
    if network.chip is not None:
        currents = currents * network.chip[layer].channel[:, rows]
    if design.pairs:
        result = currents.reshape(2, design.pairs, count, len(rows)).sum(axis=1)
    else:
        result = np.stack([currents[:-1], np.broadcast_to(currents[-1], currents[:-1].shape)])
    bias = design.bias(layer == len(network.states) - 1) * neuron.threshold / neuron.transresistance
    result[0] += np.where(rows == network.states[layer].shape[1] - 1, bias, 0.0)
    return result


def layered_problems(network: LayeredNetwork, images: np.ndarray, hidden_dose: str = "rule.hidden_dose",
                     output_dose: str = "rule.output_dose") -> list[str]:
    """Return what is out of range, one line each, with the parameter to change.

    Parameters
    ----------
    network : LayeredNetwork
    images : array, n x inputs, levels 0 to 1
        At most `MOST` of them are examined.
    hidden_dose, output_dose : str
        Names of the parameters that make the cells of hidden layers, and of the last one, grow.
    """
    images = images[::max(1, -(-len(images) // MOST))]
    doses = [*[hidden_dose] * (len(network.states) - 1), output_dose]
    neuron, design = network.parameters.neuron, network.design
    problems = _clipping_problems(network, images, doses)
    for layer, (states, spikes, dose) in enumerate(zip(network.states, network.forward(images), doses, strict=True), 1):
        if np.abs(states).max() > DIVERGED:
            problems.append(f"cells of layer {layer} diverge, to {states.min():.3g} to {states.max():.3g} V; lower {dose}")
        if layer < len(network.states):
            problems += _silence(layer, ~np.isnan(spikes), network.sizes[-1], dose)
    if neuron.amplifier_gain < LEAST_GAIN:
        problems.append(f"neuron.amplifier_gain is {neuron.amplifier_gain:g}, below {LEAST_GAIN:g}: the closed form is not exact")
    if design.rise > neuron.time_constant / 2:
        problems.append(f"design.rise is {design.rise:g} s, above half the time constant ({neuron.time_constant:.3g} s): "
                        "the closed form is not exact")
    return problems


def _silence(layer: int, fired: np.ndarray, classes: int, dose: str) -> list[str]:
    """Return a message if too few neurons of a hidden layer fire; `fired`: images x neurons."""
    silent, used = (~fired.any(axis=1)).mean(), int(fired.any(axis=0).sum())
    if silent > SILENT_SHARE:
        found = f"no neuron of layer {layer} fires for {silent:.0%} of {len(fired)} images"
    elif used < min(fired.shape[1] / 2, NEEDED * classes):
        found = f"only {used} of {fired.shape[1]} neurons of layer {layer} ever fire, for {classes} classes"
    else:
        return []
    return [f"{found}; lower {dose} to half, or leave out the hidden layers"]


def _clipping_problems(network: LayeredNetwork, images: np.ndarray, doses: list[str]) -> list[str]:
    """Return a message if clipping changes decisions, or first spikes by more than the two engines differ anyway."""
    required, limits = required_stage_voltages(network, images).max(axis=0), rails(network)
    if (required <= limits).all():
        return []
    free, clipped = network.first_spikes(images), forward_with_rails(network, images)[-1]
    changed = sum(strict_decision(one) != strict_decision(other) for one, other in zip(free, clipped, strict=True))
    moved = float(np.abs(first_two(free, network.design.window) - first_two(clipped, network.design.window)).max())
    if not changed and moved < AGREED * len(network.states):
        return []
    layer, stage = np.unravel_index(np.argmax(required / limits), limits.shape)
    return [f"stages clip: the {STAGES[stage]} of layer {layer + 1} would need {required[layer, stage]:.3g} V, its rail is at "
            f"{limits[layer, stage]:.3g} V; spikes move by up to {moved * 1e6:.2g} us, and {changed} of {len(images)} images are "
            f"classified differently; lower {doses[layer]} or design.stage_swing"]


def warn_of_layers(network: LayeredNetwork, images: np.ndarray, hidden_dose: str = "rule.hidden_dose",
                   output_dose: str = "rule.output_dose") -> None:
    """Warn of what is out of range; arguments as in `layered_problems`."""
    for problem in layered_problems(network, images, hidden_dose, output_dose):
        warnings.warn(problem, OperatingRangeWarning, stacklevel=3)
