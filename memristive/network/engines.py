"""Engines: what reads, reads back and writes a network, one image at a time. `ngspice_network` has those that simulate."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from memristive.devices.channel import Values
from memristive.network.layer import ColumnDose
from memristive.network.networks import READ_BLOCK, Network, read_generator
from memristive.network.setup import CLOSED_FORM, ENGINES, check_levels
from memristive.spice.parameters import ParameterError
from memristive.spice.session import temporary_circuits

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


def make_engine(name: str, network: Network) -> Engine:
    """Return the engine called `name`, "ngspice" or "closed-form" (that of the paper's layer in NumPy), for a network.

    Raises ParameterError if the name is unknown.
    """
    check_engine(name)
    if name == CLOSED_FORM:
        return WiredClosedForm(network)
    from memristive.network.ngspice_network import NgspiceNetwork  # here: the closed form needs no circuits
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
