"""Engines: what reads, reads back and writes a network, one image at a time, in closed form or in ngspice."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from memristive.devices.channel import Values
from memristive.network.layer import ColumnDose
from memristive.network.networks import READ_BLOCK, Network, read_generator
from memristive.network.ngspice_layer import MARGIN, NgspiceLayer
from memristive.network.setup import CLOSED_FORM, ENGINES, Schedule, check_levels
from memristive.network.solvers import READING_LAYERS
from memristive.spice.parameters import ParameterError
from memristive.spice.session import Solver, temporary_circuits

if TYPE_CHECKING:
    from memristive.network.subcircuit_layers import ModelCells

Reads = tuple[list[np.ndarray], list[np.ndarray]]


class Engine(Protocol):
    """Interface to a network whose states may change between two calls, but not its shape and parameters."""

    def read(self, network: Network, image: np.ndarray, wanted: int = 2, label: int | None = None,
             rng: np.random.Generator | None = None, jitter: Values = 0.0) -> Reads:
        """Read an image (inputs, levels 0 to 1); return the first spikes in s and the settled membranes in thresholds.

        Both are lists with an array for each layer. Once `wanted` output neurons and the neuron of the `label` have fired, later
        spikes may be nan, too. `rng` draws the devices' read noise; `jitter` (classes, V) shifts the output neurons' thresholds.
        """

    def read_back(self, network: Network, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read through a layer (counted from 0), as `Network.read_back` does."""

    def write(self, network: Network, layer: int, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the states of a layer (columns x rows, V) after writes of its columns, one after the other."""


class WiredClosedForm:
    """Closed form of the paper's layer in NumPy. With resistive wires currents are solved numerically.

    Without wires `learning.training` uses the compiled kernel, which is faster.
    """

    def __init__(self, network: Network) -> None:
        self._crossbar = network.crossbar

    def read(self, network: Network, image: np.ndarray, wanted: int = 2, label: int | None = None,
             rng: np.random.Generator | None = None, jitter: Values = 0.0) -> Reads:
        """Read one image; all neurons get their spikes."""
        race = self._crossbar.read(network.states[0], image, jitter)
        return [race.spikes], [race.settled / self._crossbar.neurons.threshold]

    def read_back(self, network: Network, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read, in which wires are ignored; the rule needs none in a single layer."""
        return network.read_back(layer, errors)

    def write(self, network: Network, layer: int, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the written states."""
        states, rate = network.states[0].copy(), network.layers[0].write_rate
        for column, dose, shares, factors in doses:
            cells = self._crossbar.cells.at(column)
            cells = dataclasses.replace(cells, transconductance=cells.transconductance * factors)
            written = self._crossbar.write_column(states, column, shares, 1 if dose > 0 else -1, abs(dose) / rate, cells)
            states[column] = np.where(np.equal(cells.transconductance, 0.0), states[column], written)  # 0: a stuck cell
        return states


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


def make_engine(name: str, network: Network) -> Engine:
    """Return the engine called `name`, "ngspice" or "closed-form" (that of the paper's layer in NumPy), for a network.

    Raises ParameterError if the name is unknown.
    """
    check_engine(name)
    if name == CLOSED_FORM:
        return WiredClosedForm(network)
    return NgspiceNetwork(network)


@contextlib.contextmanager
def opened(engine: str | Engine, network: Network) -> Iterator[Engine]:
    """Provide an engine for a network; the circuits of an engine that is given by name are unloaded at the end of the block."""
    if not isinstance(engine, str):
        yield engine
        return
    with temporary_circuits():
        yield make_engine(engine, network)


def reads(network: Network, images: np.ndarray, engine: Engine, wanted: int = 2, seed: int = 0,
          first: int = 0) -> Iterator[list[np.ndarray]]:
    """Yield the first spikes in s of each layer for each image, with the noise of images number `first`, `first` + 1, ..."""
    check_levels("images", images, network.sizes[0])
    rng, noise = read_generator(seed, first), network.jitter("test", first, first + len(images))
    for k, image in enumerate(images):
        rng = read_generator(seed, first + k) if (first + k) % READ_BLOCK == 0 else rng
        yield engine.read(network, image, wanted, rng=rng, jitter=noise[k] if len(noise) else 0.0)[0]


def read(network: Network, images: np.ndarray, engine: str | Engine = CLOSED_FORM, *, wanted: int = 2, seed: int = 0,
         watch: Callable[[Iterator[list[np.ndarray]]], Iterable[list[np.ndarray]]] = lambda steps: steps) -> np.ndarray:
    """Read images, and return the first spikes of the output neurons: the first one names the class.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1
    engine : str or Engine
        "closed-form", "ngspice", or any `Engine`, such as `NgspiceNetwork` with a SPICE model in each cell.
    wanted : int
        In ngspice a read ends once this many output neurons have fired.
    seed : int
        Seed of the devices' read noise.
    watch : callable
        Wraps the iterator over images, e.g. with a progress bar; the closed form reads all at once.

    Returns
    -------
    array, n x classes, s
        nan for a neuron that is silent, or had not fired when its read ended.

    Raises
    ------
    ParameterError
        The engine is unknown, or the images do not fit the network.
    SimulationError
        ngspice cannot complete a transient.
    """
    if engine == CLOSED_FORM:
        network.warn_of_doubts()
        return network.first_spikes(images, seed)
    with opened(engine, network) as own:
        found = [times[-1] for times in watch(reads(network, images, own, wanted, seed))]
    return np.array(found).reshape(-1, network.sizes[-1])


def check_engine(name: str) -> None:
    """Raise ParameterError unless `name` is one of `ENGINES`."""
    if name not in ENGINES:
        raise ParameterError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
