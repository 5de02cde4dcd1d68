"""Networks that several tests of multilayer networks share."""

import dataclasses
import itertools

import numpy as np

from memristive.multilayer.layer_netlist import LayerChip
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.multilayer.layer_rule import LayeredRule

XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
RULE = LayeredRule(presentations=400, hidden_dose=0.1, output_dose=0.3, start_weight=0.5, start_weight_spread=1.0)


def random_network(sizes, seed=0, spread=0.8):
    """A network whose neurons fire: states scattered around a little more than X_ref."""
    rng = np.random.default_rng(seed)
    return LayeredNetwork(tuple(rng.normal(6.0, spread, (above, below + 1)) for below, above in itertools.pairwise(sizes)))


def on_a_chip(network):
    """The same states on devices that all differ by up to 20 %."""
    rng, layers = np.random.default_rng(11), []
    for states in network.states:
        neurons, rows = states.shape
        channel, write, threshold = (rng.uniform(0.8, 1.2, shape) for shape in ((neurons + 1, rows), (neurons, rows), neurons))
        layers.append(LayerChip(channel, write, np.ones((neurons, rows)), threshold))
    return dataclasses.replace(network, chip=tuple(layers))


def deviations(found, exact):
    """Largest difference in s of the spikes that both have, for each layer."""
    return [np.nanmax(np.abs(a - b)) for a, b in zip(found, exact, strict=True)]
