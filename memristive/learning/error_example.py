"""One error of a multilayer network in ngspice: its back-read, and the energy of its read and of its writes."""

from dataclasses import dataclass

import numpy as np

from memristive.learning.rule import LayeredRule, first_wrong_neuron, output_errors, overlap_times
from memristive.network.energy import back_read_energy, layer_write_energy, layers_read_energy
from memristive.network.engines import NgspiceNetwork
from memristive.network.networks import Network
from memristive.spice.session import temporary_circuits

SEARCHED = 2000  # training images among which `find_error` searches


@dataclass(frozen=True)
class ErrorExample:
    """Image after which the rule writes: an example of an error.

    Parameters
    ----------
    image : array, inputs
        Levels 0 to 1.
    label : int
        Class of the image.
    wrong : int
        First wrong neuron, which fires too early.
    written : bool
        False if the network makes no such error. Then `wrong` fires first of the wrong neurons, but late enough.
    """

    image: np.ndarray
    label: int
    wrong: int
    written: bool = True


def find_error(network: Network, rule: LayeredRule, images: np.ndarray, labels: np.ndarray) -> ErrorExample:
    """Return the first image with an error: its right neuron fires, and a wrong neuron fires before it or too soon after it.

    `images` are n x inputs. Without an error among the first 2,000, return the first image with its first wrong neuron.
    """
    images, labels = images[:SEARCHED], labels[:SEARCHED]
    times = network.first_spikes(images)
    for image, label, spikes in zip(images, labels.tolist(), times, strict=True):
        wrong = first_wrong_neuron(spikes, label, rule.margin)
        if wrong is not None and not np.isnan(spikes[label]):
            return ErrorExample(image, label, wrong)
    label = int(labels[0])
    second = next(j for j in np.argsort(times[0]).tolist() if j != label)
    return ErrorExample(images[0], label, second, written=False)


def back_read(network: Network, example: ErrorExample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the back-read of the last layer in ngspice, then in closed form, and the settled membranes of the layer below.

    Each is an array with a value for each neuron of the layer below: back-reads in V, membranes in thresholds.
    """
    last = len(network.states) - 1
    errors = output_errors(network.sizes[-1], example.label, example.wrong)
    with temporary_circuits():
        circuits = NgspiceNetwork(network)
        _, settled = circuits.read(network, example.image, label=example.label)
        simulated = circuits.layers[last].read_back(network.states[last], errors)
    return simulated, network.read_back(last, errors), settled[last - 1]


def error_energies(network: Network, rule: LayeredRule, example: ErrorExample) -> dict[str, float]:
    """Return by name the energies in J of the example's read, back-read and writes, and the duration of the read in s.

    Writes have the first dose. The output columns are those of the right and of the wrong neuron. The hidden column is that of
    a neuron with an error of 1 V.
    """
    last, neuron, rate = len(network.states) - 1, network.parameters.neuron, network.layers[0].write_rate
    layers, seconds = layers_read_energy(network, example.image)
    found = {"read_time_s": seconds} | {f"read_layer_{k}_J": energy for k, energy in enumerate(layers, 1)}
    levels = np.append(example.image, 1.0)
    times = [layer[0] for layer in network.forward(example.image[None])]
    for name, column, sign in (("right", example.label, 1), ("wrong", example.wrong, -1)):
        high, volts = np.ones(len(levels)), levels
        if last:
            rows = np.append(times[last - 1], network.start_time)
            high = overlap_times(rows, times[last][column], network.design.window) / neuron.time_constant
            volts = np.ones(len(high))
        found[f"write_{name}_output_J"] = layer_write_energy(network, last, volts, high, sign * rule.output_dose / rate)
    if last:
        found["back_read_J"] = back_read_energy(network, last, output_errors(network.sizes[-1], example.label, example.wrong))
        found["write_hidden_J"] = layer_write_energy(network, 0, levels, np.ones(len(levels)), rule.hidden_dose / rate)
    return found
