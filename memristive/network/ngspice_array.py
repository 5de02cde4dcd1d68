"""Differential crossbar of two-terminal devices that learns in ngspice: reads of many images, writes of any cells.

Writes last nanoseconds and reads milliseconds, or the other way round. So each is a transient of its own, and the states are
carried over. A subcircuit's parameters are fixed when ngspice loads it, so that each transient loads its circuit: for 60 cells
that takes 16 ms, a twentieth of the transient.
"""

import numpy as np

from memristive.network.setup import Setup, edges
from memristive.network.solvers import read_solver
from memristive.network.spike_decoding import first_spikes
from memristive.network.two_terminal import array_network
from memristive.spice.session import NgspiceSession
from snn_circuit import OFF, names


class NgspiceArray:
    """Crossbar of two-terminal devices whose columns form pairs. The positive columns come first.

    Parameters
    ----------
    setup : Setup
        Its `array` gives the devices and the number of pulses of one write.
    states : array, columns x rows
        States of the devices' model.
    """

    def __init__(self, setup: Setup, states: np.ndarray) -> None:
        assert setup.array
        self._setup, self._array, self.states = setup, setup.array, np.array(states, float)

    def read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read images one by one, each from the same states: what a read moves is not kept.

        Parameters
        ----------
        images : array, n x rows, levels 0 to 1

        Returns
        -------
        spikes : array, n x classes, s
            nan for silent neurons.
        membranes : array, n x classes, V
            At the end of the read.
        """
        setup, schedule, classes = self._setup, self._setup.schedule, len(self.states) // 2
        circuit = array_network(self._array, setup.neuron, self.states, [OFF] * images.shape[1], None, schedule.phi_voltage,
                                title="read of pairs", pairs=True)
        vectors = names("membrane", classes) + names("output", classes)
        loaded = NgspiceSession().load(circuit, read_solver(setup, self.states, images), vectors)
        spikes, last = [], []
        for image in images:
            points = [edges(0.0, 1.0, schedule.rise, schedule.input_voltage * level)[:3] for level in image.tolist()]
            loaded.alter({f"vinput_{i} pwl": np.ravel(corners) for i, corners in enumerate(points)})
            waves = loaded.run(schedule.pulse)
            membranes, outputs = waves.stack(vectors[:classes]), waves.stack(vectors[classes:])
            spikes.append(first_spikes(waves.time, membranes, outputs, setup.neuron, 0.0, schedule.pulse))
            last.append(membranes[:, -1])
        loaded.unload()
        return np.array(spikes), np.array(last)

    def write(self, cells: np.ndarray, up: bool) -> None:
        """Write the cells flagged in `cells` (columns x rows) in one direction, column after column; sources hold the columns."""
        schedule, (columns, rows) = self._setup.device_pulses(up), cells.shape
        order = np.flatnonzero(cells.any(axis=1))  # a selected column without rows would only disturb
        if not len(order):
            return
        volts = self._array.row_voltage(up)
        inputs = [schedule.train(volts * cells[order, i]) for i in range(rows)]
        controls = [schedule.train(schedule.phi_voltage * (order == j)) for j in range(columns)]
        circuit = array_network(self._array, self._setup.neuron, self.states, inputs, controls, schedule.phi_voltage,
                                neurons=False, title="writes of pairs", up=up)
        vectors = self._array.state_names(columns, rows)
        loaded = NgspiceSession().load(circuit, self._array.writing(schedule.pulse), vectors)
        self.states = loaded.run(schedule.stop(len(order))).stack(vectors)[:, -1].reshape(columns, rows)
        loaded.unload()
