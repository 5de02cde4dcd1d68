"""Control for the learning rule: online gradient descent (softmax, in software) on a crossbar of the same devices.

The same cells, reads, pulses and noise as a network of one layer; only the rule differs. After every image each column is written
in proportion to its error, label minus softmax of the drives.
"""

import numpy as np

from memristive.compiled import compiled
from memristive.learning.layered_training import epoch_order, write_generator
from memristive.learning.rule import LayeredRule
from memristive.network import kernel
from memristive.network.kernel import Counts, Layer, Pulse, Pulses, Work
from memristive.network.layers import KernelArrays, LayeredNetwork, no_counts, pulse_values, with_bias


@compiled
def _descend(layer: Layer, pulse: Pulse, pulses: Pulses, counts: Counts, states: np.ndarray, work: Work, images: np.ndarray,
             rows: np.ndarray, labels: np.ndarray, order: np.ndarray, doses: np.ndarray, rng: np.random.Generator) -> None:
    """Present images[order], and write all columns after each; `doses` in V for an error of 1.

    `images`: levels of the rows in writes; `rows`: in reads.
    """
    drives, spikes = work.drives[0], work.spikes[0]
    classes = len(drives)
    everyone = np.ones(classes)
    for n in range(len(order)):
        image = images[order[n]]
        kernel.draw((layer,), pulse, work, rows[order[n]], rng)
        kernel.read_first(layer, pulse, states, work.scale[0], rows[order[n]], work.noise[0], everyone, spikes, drives)
        shares = np.exp(drives - drives.max())
        errors = -shares / shares.sum()
        errors[labels[order[n]]] += 1.0
        pair = n % max(1, layer.pairs)
        for j in range(classes):
            for polarity in range(2 if layer.pairs else 1):
                c, dose = (polarity * layer.pairs + pair) * classes + j, doses[n] * errors[j] * (1 - 2 * polarity)
                kernel.write_pulses(layer, pulse, pulses, states, c, image, dose, counts, 0, work.loads[0], rng)
        kernel.refresh(layer, pulse.row_voltage, states, work.loads[0], work.scale[0], work.weights[0], everyone)


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
    counts, arrays = no_counts(network), KernelArrays(network)
    doses = rule.output_dose * rule.final_dose ** (np.arange(rule.presentations) / rule.presentations)
    _descend(arrays.layers[0], arrays.pulse, pulse_values(network.pulses), counts, arrays.states[0], arrays.work,
             with_bias(images), network.read_levels(images), np.asarray(labels, np.int64),
             epoch_order(rule, len(images), 0, rule.presentations), doses, write_generator(rule, 0))
    return arrays.trained(network), counts


def gradient_accuracy(network: LayeredNetwork, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose label has the largest drive."""
    return float(np.mean(np.argmax(network.drives(images), axis=1) == labels))
