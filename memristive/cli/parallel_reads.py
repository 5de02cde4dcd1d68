"""Reads of many images on all cores or on a cluster. A task is a range of images; circuits stay loaded between tasks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from memristive.cli.parallel import run_tasks
from memristive.learning.crossbar_training import CompiledCrossbar
from memristive.network.chip import Chip, on_chip
from memristive.network.closed_form import crossbar_of
from memristive.network.engines import check_engine
from memristive.network.layer import Layer
from memristive.network.layers import READ_BLOCK, LayeredNetwork, read_generator
from memristive.network.ngspice_layer import NgspiceLayer
from memristive.network.ngspice_network import NgspiceNetwork
from memristive.network.operating_range import warn_of_range
from memristive.network.setup import CLOSED_FORM, NGSPICE, Setup
from memristive.network.solvers import READING_LAYERS
from memristive.spice.session import Solver

RANGE = 50  # images in a task: a second of work
CHECKED = 100  # images whose membranes are compared with threshold and rail
NEURONS = 3  # spikes to wait for, for the top-3 accuracy

_readers: dict[Any, Any] = {}  # the last reader of this process, by its key


def _reader(key: Any, make: Callable[[], Any]) -> Any:
    """Return the reader with this `key`, made by `make`. Its circuits stay loaded until a reader with another key is needed."""
    if key not in _readers:
        for reader in _readers.values():
            reader.unload()
        _readers.clear()
        _readers[key] = make()
    return _readers[key]


@dataclass(frozen=True)
class _Range:
    setup: Setup  # the nominal design
    chip: Chip | None
    states: np.ndarray
    images: np.ndarray
    first: int
    solver: Solver


def _read_range(task: _Range) -> np.ndarray:
    reader = _reader((task.setup.network, task.setup.schedule, task.chip, len(task.states), task.solver),
                     lambda: NgspiceLayer(Layer.of_setup(on_chip(task.setup, task.chip), *task.states.shape), task.solver))
    reader.reset()  # the result does not depend on earlier ranges
    noise = [task.chip.threshold_noise("test", k) if task.chip else 0.0
             for k in range(task.first, task.first + len(task.images))]
    return np.array([reader.read(task.states, image, NEURONS, jitter=jitter)[0]
                     for image, jitter in zip(task.images, noise, strict=True)])


def read_images(setup: Setup, states: np.ndarray, images: np.ndarray, engine: str = NGSPICE, chip: Chip | None = None,
                solver: Solver = READING_LAYERS, jobs: int | None = None, scheduler: str | None = None) -> np.ndarray:
    """Return the first spike times of all images.

    Parameters
    ----------
    setup : Setup
        The nominal design, all devices alike.
    states : array, classes x inputs, V
    images : array, n x inputs, levels 0 to 1
    engine : str
        "ngspice" or "closed-form".
    chip : Chip, optional
        Chip whose devices and read noise are simulated; None: all devices alike.
    solver : Solver
        Tolerances and longest step of ngspice.
    jobs, scheduler
        As in `parallel.run_tasks`.

    Returns
    -------
    array, n x classes, s
        nan for a neuron that had not fired when its read ended.

    Raises
    ------
    ParameterError
        The images do not fit the states.
    SimulationError
        ngspice fails, or a worker died twice.

    Warns
    -----
    OperatingRangeWarning
        Membranes clip or stay silent on the first 100 images.
    ClosedFormWarning
        The closed form is not exact for these parameters.
    """
    check_engine(engine)
    warn_of_range(on_chip(setup, chip), states, images[:CHECKED])
    if engine == CLOSED_FORM:
        chip = chip or Chip(*states.shape)
        noise = np.array([chip.threshold_noise("test", k) for k in range(len(images))]) if chip.read_noise else None
        if chip.row_resistance or chip.column_resistance:
            return crossbar_of(on_chip(setup, chip)).race(states, images, 0.0 if noise is None else noise).spikes
        return CompiledCrossbar(setup, chip).first_spikes(states, images, noise)
    tasks = [_Range(setup, chip, states, images[k:k + RANGE], k, solver) for k in range(0, len(images), RANGE)]
    sizes = [len(task.images) for task in tasks]
    found = dict(run_tasks(_read_range, tasks, jobs, scheduler, sizes, "reading"))
    return np.concatenate([found[k] for k in range(len(tasks))])


def layered_tasks(network: LayeredNetwork, images: np.ndarray) -> list[tuple[LayeredNetwork, np.ndarray, int]]:
    """Return tasks for `read_range`: the network, a block of `images` (n x inputs, 0 to 1), the index of its first image."""
    return [(network, images[k:k + READ_BLOCK], k) for k in range(0, len(images), READ_BLOCK)]


def read_range(task: tuple[LayeredNetwork, np.ndarray, int]) -> list[np.ndarray]:
    """Return the first spikes of each layer in ngspice (images x neurons, s; nan: silent, or after the end of the read)."""
    network, images, first = task
    reader, rng = _reader(joblib.hash(network), lambda: NgspiceNetwork(network)), read_generator(0, first)
    reader.reset()  # the result does not depend on earlier ranges
    return [np.array(layer) for layer in zip(*(reader.read(network, image, rng=rng)[0] for image in images), strict=True)]


def read_layers(network: LayeredNetwork, images: np.ndarray, engine: str = NGSPICE, jobs: int | None = None,
                scheduler: str | None = None) -> np.ndarray:
    """Return the first spikes of the output neurons of a network of several layers (images x classes, s; nan: silent).

    `images`: n x inputs, levels 0 to 1. `jobs` and `scheduler`: as in `parallel.run_tasks`. Raises SimulationError.
    """
    if engine == CLOSED_FORM:
        return network.first_spikes(images)
    tasks = layered_tasks(network, images)
    found = dict(run_tasks(read_range, tasks, jobs, scheduler, [len(task[1]) for task in tasks], "reading"))
    return np.vstack([found[k][-1] for k in range(len(tasks))])
