"""Whole networks in one fine transient, every row and every full-size cell in it: the reference for
both engines.
"""

import itertools
import re

import numpy as np

from memristive.network.netlists import layered_network
from memristive.network.networks import Network
from memristive.scores.decisions import first_spikes
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import OFF, names

# outputs that rise within a longer step would be off by a share of it
STEPPED = Solver(max_step=0.1e-6, reltol=1e-6, trtol=100.0, chgtol=1e-9, method="trap")
RAMP = 0.01  # V of the membrane over which a hidden neuron's output rises
# A trigger's switch flips at one of ngspice's time points, up to a step late. This comparator is
# exact for a membrane that rises.
COMPARATOR = """.subckt schmitt_trigger membrane output threshold={threshold}
Bstep output 0 v={high}*min(max((v(membrane)-threshold)/{ramp}+0.5,0),1)
.ends schmitt_trigger"""


class WholeNetwork:
    """A `Network`, with comparators in the place of its triggers."""

    def __init__(self, network: Network, solver: Solver = STEPPED) -> None:
        self._network = network
        circuit = layered_network(network, [OFF] * network.sizes[0])
        neuron = network.layers[-1].neuron
        comparator = COMPARATOR.format(
            threshold=neuron.threshold, high=neuron.output_high, ramp=RAMP
        )
        text = re.sub(
            r"(?is)\.subckt schmitt_trigger.*?\.ends schmitt_trigger", comparator, str(circuit)
        )
        self._membranes = [
            names(f"membrane_{layer}", count) for layer, count in enumerate(network.sizes[1:])
        ]
        self._circuit = NgspiceSession().load(text, solver, list(itertools.chain(*self._membranes)))

    def read(self, image: np.ndarray, stop: float) -> list[np.ndarray]:
        """Return the first spikes of each layer (neurons, s; nan: none by `stop` s) for an `image`
        (levels of the inputs).
        """
        design = self._network.design
        levels = (design.read_levels(image) * design.row_voltage).tolist()
        edge = [0.0, 0.0, design.rise]
        self._circuit.alter(
            {"vpulse pwl": [*edge, 1.0, 1.0, 1.0]}
            | {f"vrow_0_{k} pwl": [*edge, level, 1.0, level] for k, level in enumerate(levels)}
        )
        waves, neuron = self._circuit.run(stop), self._network.parameters.neuron
        values = [
            self._network.layers[layer].devices.neurons for layer in range(len(self._membranes))
        ]
        return [
            first_spikes(
                waves.time,
                waves.stack(membranes),
                None,
                neuron,
                0.0,
                stop,
                value.threshold if value else None,
            )
            for membranes, value in zip(self._membranes, values, strict=True)
        ]
