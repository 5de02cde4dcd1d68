"""Operating range of multilayer networks: stages at their op-amps' rails, silent or dominant neurons, cells that diverge.

The summing stage of a column with the current I gives -R_f I, where R_f is its feedback resistor. The reference column (with
pairs: the negative columns) has a stage that gives R_f I_ref. The neuron's inverting stage then gives R_f (I - I_ref). None of
these three stages may clip before the neuron's spike. Clipping after the spike has no effect.
"""

import warnings

import numpy as np

from memristive.devices.channel import ChannelValues, read_current
from memristive.network import kernel
from memristive.network.closed_form import LEAST_GAIN
from memristive.network.networks import KernelArrays, Network
from memristive.network.operating_range import OperatingRangeWarning
from memristive.network.spike_decoding import first_two, strict_decision

STAGES = ("summing stage", "inverting stage", "negative input's inverting stage")
MOST = 200  # largest number of images that `layered_problems` examines, which takes a second for large networks
AGREED = 0.3e-6  # s for each layer: difference of the engines, so that smaller shifts of spikes by rails need no warning
SILENT_SHARE = 0.05  # largest share of images for which no neuron of a layer fires
EXCESS = 0.25  # largest share of images that one neuron wins above the share of its class
FEW = 5  # least number of images a class from which shares of winners are taken
NEEDED = 2  # least number of hidden neurons that fire, per class: networks of few classes learn well with 15 of 100 neurons
DIVERGED = 70.0  # V: X of networks that learn well stays below 60 V, in diverging ones it reaches hundreds


def rails(network: Network) -> np.ndarray:
    """Return the highest voltages in V that the stages of each layer can give: layers x `STAGES`."""
    found = [layer.stages() for layer in network.layers]
    return np.array([(np.min(each.highest_sum), each.highest_inverse, np.min(each.highest_negative)) for each in found], float)


def required_stage_voltages(network: Network, images: np.ndarray) -> np.ndarray:
    """Return the highest voltages that the stages would have to give before their neurons fire, if there were no rails.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1

    Returns
    -------
    array, n x layers x `STAGES`, V
    """
    arrays, spikes = KernelArrays(network, rails=False), network.forward(images, rails=False)
    required = np.zeros((len(images), len(network.states), len(STAGES)))
    for layer, below in enumerate([images, *spikes[:-1]]):
        for image, levels in enumerate(below):
            up, down, times = _stage_volts(network, arrays, layer, levels)
            before = times[:, None] < np.where(np.isnan(spikes[layer][image]), np.inf, spikes[layer][image])
            required[image, layer] = [np.max(volts, initial=0.0, where=before) for volts in (up, up - down, down)]
    return required


def _stage_volts(network: Network, arrays: KernelArrays, k: int,
                 levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the outputs of a layer's stages after each step of its rows, and the times of the steps in s.

    The outputs are two arrays, steps x neurons in V: of the summing stages, and of the negative input's stages. `levels`: for
    layer 0 an image, whose rows all step up together, for a later layer the spikes of the layer below in s.
    """
    layer, scale, start = arrays.layers[k], arrays.work.scale[k], network.start_time
    up, down = (scale[0] * layer.neurons[kernel.BIAS])[None], np.zeros((1, network.sizes[k + 1]))
    if k == 0:
        volts = network.design.row_voltage * network.read_levels(levels[None])[0, :, None]
        currents = read_current(ChannelValues(*layer.cells[:4]), arrays.states[0], volts).sum(axis=0)
        positive, negative = currents[:-1], currents[-1]
        if network.design.pairs:
            positive, negative = currents.reshape(2, network.design.pairs, -1).sum(axis=1)
        return up + scale[0] * positive, down + scale[1] * negative, np.array([start])
    order = np.argsort(levels)[:np.sum(~np.isnan(levels))]  # nan is sorted last
    steps = arrays.work.weights[k][:, np.append(-1, order)].cumsum(axis=1)  # after the bias
    return up + steps[0], down + steps[1], np.append(start, levels[order])


def layered_problems(network: Network, images: np.ndarray, hidden_dose: str = "rule.hidden_dose",
                     output_dose: str = "rule.output_dose", labels: np.ndarray | None = None) -> list[str]:
    """Return a message for each quantity that is out of range, with the parameter to change.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1
        At most `MOST` of them are examined.
    hidden_dose, output_dose : str
        Names of the parameters that set the doses of the hidden layers and of the last layer, for the messages.
    labels : array, n, optional
        Classes of the images, with which class neurons that win too many images or none are found.
    """
    part = slice(None, None, max(1, -(-len(images) // MOST)))
    images = images[part]
    doses = [*[hidden_dose] * (len(network.states) - 1), output_dose]
    neuron, design = network.parameters.neuron, network.design
    problems, silent = _clipping_problems(network, images, doses), False
    for layer, (states, spikes, dose) in enumerate(zip(network.states, network.forward(images), doses, strict=True), 1):
        if np.abs(states).max() > DIVERGED:
            problems.append(f"cells of layer {layer} diverge, to {states.min():.3g} to {states.max():.3g} V; lower {dose}")
        last, fired = layer == len(network.states), ~np.isnan(spikes)
        found = _silence(layer, fired, 0 if last else network.sizes[-1])
        if last and labels is not None and not found:
            found = _dominance(spikes, labels[part])
        if found and not (last and silent):  # class neurons suffer from silent hidden layers
            advice = ["train longer"] * last + [f"lower {dose} to half"] + ["leave out the hidden layers"] * (len(doses) > 1)
            problems.append(f"{found}; {', or '.join(advice)}")
            silent = True
    if neuron.amplifier_gain < LEAST_GAIN:
        problems.append(f"neuron.amplifier_gain is {neuron.amplifier_gain:g}, below {LEAST_GAIN:g}: the closed form is not exact")
    if design.rise > neuron.time_constant / 2:
        problems.append(f"design.rise is {design.rise:g} s, above half the time constant ({neuron.time_constant:.3g} s): "
                        "the closed form is not exact")
    return problems


def _silence(layer: int, fired: np.ndarray, classes: int) -> str:
    """Return a message if too few neurons of a layer fire, else "".

    `fired`: images x neurons. `classes`: number of classes for a hidden layer, 0 for the last layer, which has a neuron for each.
    """
    silent, used = (~fired.any(axis=1)).mean(), int(fired.any(axis=0).sum())
    if silent > SILENT_SHARE:
        return f"no neuron of layer {layer} fires for {silent:.0%} of {len(fired)} images"
    if used < min(fired.shape[1] / 2, NEEDED * classes):
        return f"only {used} of {fired.shape[1]} neurons of layer {layer} ever fire, for {classes} classes"
    return ""


def _dominance(spikes: np.ndarray, labels: np.ndarray) -> str:
    """Return a message if a class neuron wins far more images than its class has, or none, else "".

    `spikes`: images x classes, s; `labels`: images. Fewer than `FEW` images a class say nothing.
    """
    classes = spikes.shape[1]
    if len(labels) < FEW * classes:
        return ""
    members = np.bincount(labels, minlength=classes)
    won = np.bincount([decision for decision in map(strict_decision, spikes) if decision >= 0], minlength=classes)
    most = int(np.argmax(won - members))
    if won[most] - members[most] > EXCESS * len(labels):
        return (f"class neuron {most} wins {won[most] / len(labels):.0%} of {len(labels)} images, its class has "
                f"{members[most] / len(labels):.0%}")
    lost = np.flatnonzero((won == 0) & (members >= FEW))
    return f"class neurons {', '.join(map(str, lost))} win none of {len(labels)} images" if len(lost) else ""


def _clipping_problems(network: Network, images: np.ndarray, doses: list[str]) -> list[str]:
    """Return a list with a message if clipping matters, else an empty one.

    Clipping matters if it changes decisions, or if it moves first spikes by more than the two engines differ without it.
    """
    required, limits = required_stage_voltages(network, images).max(axis=0), rails(network)
    if (required <= limits).all():
        return []
    free, clipped = network.forward(images, rails=False)[-1], network.first_spikes(images)
    changed = sum(strict_decision(one) != strict_decision(other) for one, other in zip(free, clipped, strict=True))
    moved = float(np.abs(first_two(free, network.design.window) - first_two(clipped, network.design.window)).max())
    if not changed and moved < AGREED * len(network.states):
        return []
    layer, stage = np.unravel_index(np.argmax(required / limits), limits.shape)
    return [f"stages clip: the {STAGES[stage]} of layer {layer + 1} would need {required[layer, stage]:.3g} V, its rail is at "
            f"{limits[layer, stage]:.3g} V; spikes move by up to {moved * 1e6:.2g} us, and {changed} of {len(images)} images are "
            f"classified differently; lower {doses[layer]} or design.stage_swing"]


def warn_of_layers(network: Network, images: np.ndarray, hidden_dose: str = "rule.hidden_dose",
                   output_dose: str = "rule.output_dose", labels: np.ndarray | None = None, name: str = "") -> None:
    """Issue each message of `layered_problems` as a warning, after a `name` of the network; other arguments are the same."""
    for problem in layered_problems(network, images, hidden_dose, output_dose, labels):
        warnings.warn(f"{name}: {problem}" if name else problem, OperatingRangeWarning, stacklevel=3)
