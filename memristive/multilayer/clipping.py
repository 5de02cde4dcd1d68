"""Where the stages of layers would have to give more than their op-amps' rails, of which the closed form of layers knows nothing.

Each column's summing stage gives -R_f I, the reference column's is inverted and goes to all neurons of the layer, whose inverting
stages give R_f (I - I_ref). Until its spike a neuron needs all three; what clips after it changes nothing (docs/layers.md).
"""

from collections.abc import Iterator

import numpy as np

from memristive.multilayer.layer_network import LayeredNetwork, start_delay
from memristive.single_layer.closed_form import LEAST_GAIN
from memristive.single_layer.spike_decoding import first_two, strict_decision
from memristor import read_current
from snn_circuit import NeuronParameters

MOST = 200  # images that are looked at: a second for large networks
REFERENCE = "reference column's inverting stage"
AGREED = 0.3e-6  # s a layer: to which both engines agree on a whole network's spikes
ASTRAY = 70.0  # V: X of networks that learned well stays below 60 V as a rule, that of those without an end reaches hundreds
STAGES = ("summing stage", "inverting stage", REFERENCE)


class StagesClip(UserWarning):
    """Stages of a `MemristiveClassifier` would give more than their rails, its cells have run away, or hidden ones are silent."""


def rails(network: LayeredNetwork) -> np.ndarray:
    """The most in V that the stages of each layer give: layers x `STAGES`."""
    found = []
    for layer, states in enumerate(network.states):
        neuron = _neuron(network, layer)
        found.append((neuron.highest_sum(neuron.feedback_resistance), neuron.highest_inverse(),
                      neuron.highest_inverse(len(states))))
    return np.array(found, float)


def wanted(network: LayeredNetwork, images: np.ndarray) -> np.ndarray:
    """The most in V that the stages of each layer would have to give before their neurons fire, were there no rails.

    Images x layers x `STAGES`. `images`: n x inputs, levels 0 to 1.
    """
    spikes = network.forward(images)
    found = np.zeros((len(images), len(network.states), len(STAGES)))
    for layer in range(len(network.states)):
        neuron = _neuron(network, layer)
        currents = _of_images(network, images) if layer == 0 else _of_spikes(network, layer, spikes[layer - 1])
        for image, (volts, times) in enumerate(currents):
            before = times < np.where(np.isnan(spikes[layer][image]), np.inf, spikes[layer][image])[:, None]
            columns, reference = neuron.feedback_resistance * volts[:-1], neuron.feedback_resistance * volts[-1]
            found[image, layer] = [np.max(each, initial=0.0, where=before) for each in
                                   (columns, columns - reference, np.broadcast_to(reference, columns.shape))]
    return found


def within_rails(network: LayeredNetwork, images: np.ndarray) -> list[np.ndarray]:
    """As `LayeredNetwork.forward`, first spike times in s of every layer, but of stages that give no more than their rails."""
    spikes: list[np.ndarray] = []
    for layer, limits in enumerate(rails(network)):
        currents = _of_spikes(network, layer, spikes[-1]) if layer else _of_images(network, images)
        spikes.append(np.array([_race(network, layer, limits, amperes, times) for amperes, times in currents]))
    return spikes


def _race(network: LayeredNetwork, layer: int, limits: np.ndarray, amperes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """First spikes in s of a layer's neurons, whose columns carry `amperes` ((neurons + reference) x steps) from `times` on, and
    whose stages (`STAGES`) give no more than `limits` in V.
    """
    neuron, (most, inverted, reference) = _neuron(network, layer), limits
    volts = neuron.feedback_resistance * amperes
    drives = np.minimum(np.minimum(volts[:-1], most) - np.minimum(volts[-1], min(most, reference)), inverted)
    chip = 1.0 if network.chip is None else network.chip[layer].threshold[:, None]
    drives *= neuron.membrane_gain / (neuron.threshold * chip)
    spikes, membranes = np.full(len(drives), np.nan), np.zeros(len(drives))
    for drive, begin, end in zip(drives.T, times, np.append(times[1:], network.design.window), strict=True):
        rising = np.flatnonzero(np.isnan(spikes) & (drive > 1))
        crossing = begin + neuron.time_constant * np.log((drive[rising] - membranes[rising]) / (drive[rising] - 1))
        spikes[rising[crossing <= end]] = crossing[crossing <= end]
        membranes = drive + (membranes - drive) * np.exp((begin - end) / neuron.time_constant)
    return spikes


def _of_images(network: LayeredNetwork, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `_of_spikes`, of the first layer, whose rows all rise with the image: one step each."""
    for image in images:
        levels = np.append(image, 1.0)
        driven = np.flatnonzero(levels)
        yield _currents(network, 0, driven, levels[driven]).sum(axis=1, keepdims=True), np.array([_start(network)])


def _of_spikes(network: LayeredNetwork, layer: int, spikes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each image: the columns' currents in A after each step of a row, (neurons + reference) x steps, and when in s it comes.

    `spikes`: those of the layer below, in s, images x neurons; the bias steps first.
    """
    rows = network.states[layer].shape[1]
    each = _currents(network, layer, np.arange(rows), np.ones(rows))
    for times in spikes:
        order = np.argsort(times)[:np.sum(~np.isnan(times))]  # nan is sorted last
        yield np.cumsum(each[:, np.append(rows - 1, order)], axis=1), np.append(_start(network), times[order])


def _neuron(network: LayeredNetwork, layer: int) -> NeuronParameters:
    return network.design.neuron(network.parameters.neuron, network.parameters.memristor, network.states[layer].shape[1])


def _start(network: LayeredNetwork) -> float:
    """When in s the image's edge counts as a step."""
    return start_delay(network.design.rise, network.parameters.neuron.time_constant)


def _currents(network: LayeredNetwork, layer: int, rows: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Of the cells in A, (neurons + reference) x `rows`, each row at its level (in row voltages)."""
    states = network.states[layer][:, rows]
    states = np.vstack([states, np.full(len(rows), network.design.reference_state)])
    found = read_current(network.parameters.memristor, states, levels * network.design.row_voltage)
    return found if network.chip is None else found * network.chip[layer].channel[:, rows]


def complaint(network: LayeredNetwork, images: np.ndarray, hidden_dose: str = "dose", output_dose: str = "dose") -> str:
    """What stages that clip change on `images` (n x inputs, levels 0 to 1; at most `MOST` of them are looked at), and what would
    help; if they change nothing that the two engines agree on, which cells have run away, which hidden layer is silent, or what
    else of the network the closed form does not follow, or "". The doses: what the parameters are called by which the cells of
    hidden layers and of the last one grow.
    """
    doses = [*[hidden_dose] * (len(network.states) - 1), output_dose]
    some = images[::max(1, -(-len(images) // MOST))]
    return (_clips(network, some, doses) or _run_away(network, doses)
            or "; ".join(filter(None, (_silenced(network, some, hidden_dose), _doubts(network)))))


def _clips(network: LayeredNetwork, images: np.ndarray, doses: list[str]) -> str:
    asked, most = wanted(network, images), rails(network)
    if not (asked > most).any():
        return ""
    free, railed = network.first_spikes(images), within_rails(network, images)[-1]
    otherwise = sum(strict_decision(ours) != strict_decision(theirs) for ours, theirs in zip(free, railed, strict=True))
    moved = float(np.abs(first_two(free, network.design.window) - first_two(railed, network.design.window)).max())
    if not otherwise and moved < AGREED * len(network.states):
        return ""
    top = asked.max(axis=0)
    layer, stage = (int(k) for k in np.unravel_index(np.argmax(top / most), most.shape))
    remedy = "fewer neurons in that layer" if STAGES[stage] == REFERENCE else f"a smaller {doses[layer]}"
    return (f"stages clip, which ngspice knows and the closed form does not: {otherwise} of {len(images)} images are decided "
            f"otherwise, first spikes move by {moved * 1e6:.2g} us; {top[layer, stage]:.3g} V wanted of the {STAGES[stage]} in "
            f"layer {layer + 1}, which gives {most[layer, stage]:.3g} V at most; {remedy} would help")


def _run_away(network: LayeredNetwork, doses: list[str]) -> str:
    farthest = [np.abs(states).max() for states in network.states]
    layer = int(np.argmax(farthest))
    if farthest[layer] <= ASTRAY:
        return ""
    states = network.states[layer]
    return (f"cells of layer {layer + 1} have run away, to {states.min():.3g} to {states.max():.3g} V, as where errors do not "
            f"end and each writes; a smaller {doses[layer]} may help")


def _silenced(network: LayeredNetwork, images: np.ndarray, hidden_dose: str) -> str:
    silent = [np.isnan(spikes).all() for spikes in network.forward(images)[:-1]] if len(images) else []
    if not any(silent):
        return ""
    return (f"no neuron of hidden layer {silent.index(True) + 1} fires for any of {len(images)} images: what follows decides by "
            f"its bias alone, and errors reach nothing below; a smaller {hidden_dose} may help")


def _doubts(network: LayeredNetwork) -> str:
    """What of the design and the devices the closed form of layers does not follow."""
    design, neuron = network.design, network.parameters.neuron
    found = [doubt for doubt, applies in (
        (f"the op-amps' gain of {neuron.amplifier_gain:g} is below {LEAST_GAIN:g}, and the closed form knows no gain",
         neuron.amplifier_gain < LEAST_GAIN),
        (f"the input's edge of {design.rise:g} s is not short beside the membranes' time constant of {neuron.time_constant:.3g} "
         "s, and the closed form takes it for a step", design.rise > neuron.time_constant / 2)) if applies]
    return "the engines may part by microseconds and decide otherwise: " * bool(found) + "; ".join(found)
