"""The whole network of layers in one transient, triggers and all: what reads layer by layer are held against."""

import itertools

import numpy as np

from memristive.multilayer.layer_netlist import layer_names, layered_network
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.single_layer.spike_decoding import first_spikes
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import OFF

# A switch flips at a time point, up to a step late: the step is the error of a spike, and every layer adds its own.
WITNESS = Solver(max_step=0.2e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")


class WholeNetwork:
    """A `LayeredNetwork` in one circuit, loaded once."""

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, solver: Solver = WITNESS) -> None:
        self._network = network
        self._membranes = [layer_names("membrane", layer, neurons) for layer, neurons in enumerate(network.sizes[1:])]
        self._outputs = [layer_names("row", layer, neurons) for layer, neurons in enumerate(network.sizes[1:], 1)]
        circuit = layered_network(network.parameters, network.design, network.states, [OFF] * network.sizes[0],
                                  chip=network.chip)
        self._circuit = session.load(circuit, solver, [*itertools.chain(*self._membranes, *self._outputs)])
        self._circuit.alter({"vpulse pwl": self._edge(1.0)})

    def _edge(self, volts: float) -> list[float]:
        return [0.0, 0.0, self._network.design.rise, volts, 1.0, volts]

    def read(self, image: np.ndarray, stop: float) -> list[np.ndarray]:
        """First spike times in s of each layer up to `stop` s (nan: none). `image`: inputs, levels 0 to 1.

        Raises SimulationError.
        """
        volts = (image * self._network.design.row_voltage).tolist()
        self._circuit.alter({f"vrow_0_{k} pwl": self._edge(level) for k, level in enumerate(volts)})
        waves, neuron = self._circuit.run(stop), self._network.design.driving(self._network.parameters.neuron)
        chips = self._network.chip or [None] * len(self._network.states)
        return [first_spikes(waves.time, waves.stack(membranes), waves.stack(outputs), neuron, 0.0, stop,
                             None if chip is None else neuron.threshold * chip.threshold)
                for membranes, outputs, chip in zip(self._membranes, self._outputs, chips, strict=True)]
