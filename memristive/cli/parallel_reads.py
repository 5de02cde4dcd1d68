"""Reads of many images on all cores or on a cluster. A task is a range of images; circuits stay loaded between tasks."""

from typing import NamedTuple

import joblib
import numpy as np

from memristive.cli.parallel import run_tasks
from memristive.network.checks import warn_of_range
from memristive.network.engines import NgspiceNetwork, check_engine, read, reads
from memristive.network.networks import READ_BLOCK, Network
from memristive.network.setup import CLOSED_FORM, NGSPICE, Schedule
from memristive.network.solvers import READING_LAYERS
from memristive.spice.session import Solver

RANGE = 50  # images in a task of the paper's layer: a second of work
CHECKED = 100  # images whose membranes are compared with threshold and rail
NEURONS = 3  # spikes to wait for in the paper's layer, for the top-3 accuracy

_readers: dict[str, NgspiceNetwork] = {}  # the last reader of this process, by its network


class Range(NamedTuple):
    """Task of `read_range`: `images` (n x inputs, levels 0 to 1); the noise depends on the number `first` of the first one."""

    network: Network
    images: np.ndarray
    first: int
    solver: Solver


def ranges(network: Network, images: np.ndarray, solver: Solver = READING_LAYERS) -> list[Range]:
    """Return the tasks that read all `images`."""
    size = RANGE if isinstance(network.design, Schedule) else READ_BLOCK
    return [Range(network, images[k:k + size], k, solver) for k in range(0, len(images), size)]


def read_range(task: Range) -> list[np.ndarray]:
    """Return the first spikes of each layer in ngspice (images x neurons, s; nan: silent, or after the end of the read)."""
    network, images, first, solver = task
    key = joblib.hash((network, solver))
    if key not in _readers:
        for reader in _readers.values():
            reader.unload()
        _readers.clear()
        _readers[key] = NgspiceNetwork(network, solver)
    _readers[key].reset()  # the result does not depend on earlier ranges
    spikes = reads(network, images, _readers[key], NEURONS if isinstance(network.design, Schedule) else 2, first=first)
    return [np.array(layer) for layer in zip(*spikes, strict=True)]


def read_images(network: Network, images: np.ndarray, engine: str = NGSPICE, solver: Solver = READING_LAYERS,
                jobs: int | None = None, scheduler: str | None = None) -> np.ndarray:
    """Return the first spike times of all images.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1
    engine : str
        "ngspice" or "closed-form".
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
        Membranes of the paper's layer clip or stay silent on the first 100 images.
    ClosedFormWarning
        The closed form is not exact for these parameters.
    """
    check_engine(engine)
    if isinstance(network.design, Schedule):
        warn_of_range(network.setup, network.states[0], images[:CHECKED])
    if engine == CLOSED_FORM:
        return read(network, images)
    tasks = ranges(network, images, solver)
    found = dict(run_tasks(read_range, tasks, jobs, scheduler, [len(task.images) for task in tasks], "reading"))
    return np.vstack([found[k][-1] for k in range(len(tasks))])
