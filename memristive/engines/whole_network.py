"""Whole networks in one fine transient, every row and every full-size cell in it: the reference for
both engines.
"""

import dataclasses
import itertools
import re

import numpy as np

from memristive.engines.netlists import layered_network
from memristive.network.design import Setup
from memristive.network.networks import Network
from memristive.scores.decisions import first_spikes
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import OFF, names, network

FINE = Solver(max_step=1e-6, reltol=1e-6, trtol=100.0, chgtol=1e-9, method="trap")
# outputs that rise within a step would be off by a share of it
STEPPED = dataclasses.replace(FINE, max_step=0.1e-6)
RAMP = 0.01  # V of the membrane over which a hidden neuron's output rises
# A trigger's switch flips at one of ngspice's time points, up to a step late. This comparator is
# exact for a membrane that rises.
COMPARATOR = """.subckt schmitt_trigger membrane output threshold={threshold}
Bstep output 0 v={high}*min(max((v(membrane)-threshold)/{ramp}+0.5,0),1)
.ends schmitt_trigger"""


class WholeLayer:
    """The paper's layer of a `Setup` with its `states` (classes x inputs, V), whose phi are low."""

    def __init__(self, setup: Setup, states: np.ndarray, solver: Solver = FINE) -> None:
        self._setup = setup
        circuit = network(setup.network, states, None, [OFF] * len(states), devices=setup.devices)
        self._membranes = names("membrane", len(states))
        self._circuit = NgspiceSession().load(circuit, solver, self._membranes)

    def read(self, image: np.ndarray, stop: float) -> list[np.ndarray]:
        """Return a list with the first spikes (classes, s; nan: none by `stop` s) of an `image`
        (levels of the inputs).
        """
        schedule = self._setup.schedule
        self._circuit.alter(
            {"vpulse pwl": [0.0, 0.0, schedule.rise, 1.0, 1.0, 1.0]}
            | {
                f"einput_{i} gain": volts
                for i, volts in enumerate((schedule.input_voltage * image).tolist())
            }
        )
        waves = self._circuit.run(stop)
        membranes = waves.stack(self._membranes)
        return [
            first_spikes(
                waves.time, membranes, None, self._setup.neuron, 0.0, stop, self._setup.thresholds
            )
        ]


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
