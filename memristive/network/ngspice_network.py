"""Networks of layers in ngspice: the forward pass over layers, which every engine of a layer shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from memristive.devices.channel import Values
from memristive.network.layer import ColumnDose
from memristive.network.networks import Network, read_generator
from memristive.network.ngspice_layer import MARGIN, NgspiceLayer
from memristive.network.setup import Schedule
from memristive.network.solvers import READING_LAYERS
from memristive.spice.session import Solver

if TYPE_CHECKING:
    from memristive.network.subcircuit_layers import ModelCells


class NgspiceNetwork:
    """Network in ngspice, one `NgspiceLayer` for each layer; the states may change between two calls.

    Parameters
    ----------
    network : Network
    solver : Solver
    cells : ModelCells, optional
        SPICE model in every cell; None: emulators.
    """

    def __init__(self, network: Network, solver: Solver = READING_LAYERS, cells: ModelCells | None = None) -> None:
        self.layers: list[Any] = [cells.layer(layer) if cells else NgspiceLayer(layer, solver) for layer in network.layers]
        self._window, self._emulated = network.design.window, cells is None

    def read(self, network: Network, image: np.ndarray, wanted: int = 2, label: int | None = None,
             rng: np.random.Generator | None = None, jitter: Values = 0.0) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Read one image.

        Parameters
        ----------
        network : Network
            Network to read, of the same shape and parameters as this one.
        image : array, inputs, levels 0 to 1
        wanted : int
            The read ends once this many output neurons have fired, as the closed form predicts, or at the end of the window.
        label : int, optional
            For learning. The read also waits for this output neuron. Hidden neurons are read for the whole window, because
            their settled membranes decide which of them are written.
        rng : Generator, optional
            Generator of the read noise, if the devices have any.
        jitter : array, classes, V, or float
            Shift of the thresholds in the paper's layer.

        Returns
        -------
        times : list of arrays, neurons, s
            First spikes of each layer; nan for a neuron that has not fired by the end of the read.
        settled : list of arrays, neurons
            Membranes in thresholds at which neurons would settle if rows that are high at the end of the read stayed high.

        Raises
        ------
        SimulationError
            ngspice cannot complete a transient.
        """
        if not self._emulated:
            return self.forward(network, image)
        if isinstance(network.design, Schedule):  # ngspice's own drives end the read, also if wires have resistance
            times, membranes = self.layers[0].read(network.states[0], image, wanted, jitter=jitter)
            return [times], [membranes]
        wanted = min(wanted, network.sizes[-1])
        predicted, noise = network.drawn(image[None], rng or read_generator(0))
        stop = min(_decided(predicted[-1][0], wanted, label) + MARGIN, self._window)
        times, settled = self.forward(network, image, noise, stop, stop if label is None else self._window)
        if stop < self._window and np.isinf(_decided(times[-1], wanted, label)):
            times, settled = self.forward(network, image, noise)
        return times, settled

    def forward(self, network: Network, image: np.ndarray, noise: Sequence[Any] = (),
                stop: float | None = None, hidden_stop: float | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return times and settled membranes of all layers as `read` does. Layers of SPICE models take n x inputs."""
        first_stop, *stops = [*[hidden_stop or self._window] * (len(self.layers) - 1), stop or self._window]
        levels = network.design.read_levels(image) if self._emulated else image  # subcircuits bend by themselves
        found = [self.layers[0].read(network.states[0], levels, 0, first_stop, noise[0] if noise else None)]
        for k, until in enumerate(stops, 1):
            found.append(self.layers[k].read_steps(network.states[k], found[-1][0], until, noise[k] if noise else None))
        return [times for times, _ in found], [settled for _, settled in found]

    def read_back(self, network: Network, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read through a layer (counted from 0) of `errors` (neurons), as `Network.read_back` does."""
        return np.asarray(self.layers[layer].read_back(network.states[layer], errors))

    def write(self, network: Network, layer: int, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the states of a layer (columns x rows, V) after writes of its columns, one after the other."""
        return np.asarray(self.layers[layer].write(network.states[layer], doses, rng))

    def reset(self) -> None:
        """Restore the initial state of all circuits, because old states in undriven rows move spikes by nanoseconds."""
        for layer in self.layers:
            layer.reset()

    def unload(self) -> None:
        """Remove all circuits from ngspice."""
        for layer in self.layers:
            layer.unload()


def _decided(spikes: np.ndarray, wanted: int, label: int | None) -> float:
    """Return the time in s at which `wanted` neurons and the neuron of the `label` have fired, inf if they never do."""
    times = np.where(np.isnan(spikes), np.inf, spikes)
    return float(max(np.sort(times)[wanted - 1], 0.0 if label is None else times[label]))
