"""Control for the learning rule: online gradient descent (softmax, in software) on a crossbar of the same devices.

The same cells, reads, pulses and noise as a network of one layer; only the rule differs. After every image each column is written
in proportion to its error, label minus softmax of the drives.
"""

import dataclasses

import numpy as np

from memristive.compiled import compiled
from memristive.multilayer import layer_kernel
from memristive.multilayer.layer_kernel import Chip, Counts, Device, Pulses
from memristive.multilayer.layer_network import (
    LayeredNetwork,
    chip_values,
    device_values,
    epoch_order,
    no_counts,
    pulse_values,
    with_bias,
    write_generator,
)
from memristive.multilayer.layer_rule import LayeredRule


@compiled
def _descend(device: Device, chip: Chip, pulses: Pulses, counts: Counts, states: np.ndarray, images: np.ndarray,
             labels: np.ndarray, order: np.ndarray, doses: np.ndarray, rng: np.random.Generator) -> None:
    """Present images[order], and write all columns after each; `doses` in V for an error of 1."""
    drives = np.empty(len(chip.bias[0]))
    classes = len(drives)
    for n in range(len(order)):
        image = images[order[n]]
        layer_kernel.input_drives(device, chip, states, image, drives)
        shares = np.exp(drives - drives.max())
        errors = -shares / shares.sum()
        errors[labels[order[n]]] += 1.0
        pair = n % max(1, device.pairs)
        for j in range(classes):
            column, dose = pair * classes + j, doses[n] * errors[j]
            layer_kernel.write(device, chip, pulses, counts, 0, states, column, image, dose, rng)
            if device.pairs:
                layer_kernel.write(device, chip, pulses, counts, 0, states, column + device.pairs * classes, image, -dose, rng)


def train_by_gradient(network: LayeredNetwork, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
                      ) -> tuple[LayeredNetwork, Counts]:
    """Train one layer by online gradient descent.

    Parameters
    ----------
    network : LayeredNetwork
        One layer with pulses. Its transresistance sets the slope of the softmax.
    rule : LayeredRule
        Gives presentations, output_dose, final_dose and seed; no margin.
    images : array, n x inputs, levels 0 to 1
    labels : array of int, n

    Returns
    -------
    network : LayeredNetwork
    counts : Counts
        Pulses of each cell.
    """
    counts, states = no_counts(network), np.array(network.states[0].T, order="C")
    doses = rule.output_dose * rule.final_dose ** (np.arange(rule.presentations) / rule.presentations)
    _descend(device_values(network), chip_values(network), pulse_values(network.pulses), counts, states, with_bias(images),
             np.asarray(labels, np.int64), epoch_order(rule, len(images), 0, rule.presentations), doses, write_generator(rule, 0))
    return dataclasses.replace(network, states=(states.T.copy(),)), counts


def gradient_accuracy(network: LayeredNetwork, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose label has the largest drive."""
    device, chip, drives = device_values(network), chip_values(network), np.empty(network.sizes[-1])
    states, right = np.array(network.states[0].T, order="C"), 0
    for image, label in zip(with_bias(images), labels, strict=True):
        layer_kernel.input_drives(device, chip, states, image, drives)
        right += int(np.argmax(drives) == label)
    return right / len(labels)
