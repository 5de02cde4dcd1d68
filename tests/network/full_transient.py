"""The whole multilayer network in one transient, with triggers: the reference for reads layer by layer."""

import itertools

import numpy as np

from memristive.network.layers import LayeredNetwork
from memristive.network.netlists import layered_network
from memristive.network.spike_decoding import first_spikes
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import OFF, names

# A switch flips at a time point, up to one step late, and each layer adds its delay.
FULL_READING = Solver(max_step=0.2e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")


class FullTransient:
    """A `LayeredNetwork` in one circuit, loaded once."""

    def __init__(self, network: LayeredNetwork, solver: Solver = FULL_READING) -> None:
        self._network, last = network, len(network.states) - 1
        self._membranes = [names(f"membrane_{layer}", count) for layer, count in enumerate(network.sizes[1:])]
        self._outputs = [names("output" if layer == last else f"row_{layer + 1}", count)
                         for layer, count in enumerate(network.sizes[1:])]
        circuit = layered_network(network.parameters, network.design, network.states, [OFF] * network.sizes[0],
                                  devices=network.devices)
        self._circuit = NgspiceSession().load(circuit, solver, [*itertools.chain(*self._membranes, *self._outputs)])
        self._circuit.alter({"vpulse pwl": self._edge(1.0)})

    def _edge(self, volts: float) -> list[float]:
        return [0.0, 0.0, self._network.design.rise, volts, 1.0, volts]

    def read(self, image: np.ndarray, stop: float) -> list[np.ndarray]:
        """Return the first spike times of all layers.

        Parameters
        ----------
        image : array, inputs, levels 0 to 1
        stop : float
            End of the transient in s.

        Returns
        -------
        list of arrays, neurons, s
            nan for a neuron that has not fired by `stop`.

        Raises
        ------
        SimulationError
            ngspice cannot complete the transient.
        """
        volts = (self._network.design.read_levels(image) * self._network.design.row_voltage).tolist()
        self._circuit.alter({f"vrow_0_{k} pwl": self._edge(level) for k, level in enumerate(volts)})
        waves, neuron = self._circuit.run(stop), self._network.design.driving(self._network.parameters.neuron)
        values = [self._network.of_layer(layer).neurons for layer in range(len(self._network.states))]
        return [first_spikes(waves.time, waves.stack(membranes), waves.stack(outputs), neuron, 0.0, stop,
                             None if neurons is None else neurons.threshold)
                for membranes, outputs, neurons in zip(self._membranes, self._outputs, values, strict=True)]
