"""Many images on several processes: the same numbers however they are spread, and nothing lost when a worker dies."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from dask import distributed

import evaluation
from evaluation import WorkerDied, read_all
from experiments import mnist_experiment
from readout import Reader


@pytest.fixture(scope="module")
def case():
    """An experiment, states near 3 V with distinct weights, and 160 binary images."""
    generator = np.random.default_rng(3)
    states = 3 + 0.2 * generator.standard_normal((10, 25))
    images = (generator.random((160, 25)) < 0.3).astype(float)
    return mnist_experiment(5), states, images


@pytest.fixture(scope="module")
def alone(case, ngspice):
    """Spike times of the images read one after the other in this process."""
    experiment, states, images = case
    reader = Reader(ngspice, experiment.network, experiment.schedule, 10)
    return np.array([reader.spikes(states, image, evaluation.WANTED) for image in images])


def test_spike_times_do_not_depend_on_the_number_of_processes(case, alone):
    experiment, states, images = case
    for jobs in (2, 3):
        assert read_all(experiment.network, experiment.schedule, states, images, jobs).tobytes() == alone.tobytes()


def test_dask_workers_give_the_same_bytes(case, alone):
    """A real scheduler with two worker processes on this machine."""
    experiment, states, images = case
    root = str(Path(evaluation.__file__).parent)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  host="127.0.0.1", env={"PYTHONPATH": root}) as cluster:
        spikes = read_all(experiment.network, experiment.schedule, states, images, scheduler=cluster.scheduler_address)
    assert spikes.tobytes() == alone.tobytes()


def test_a_killed_worker_costs_only_its_range_again(case, alone):
    """The first worker to finish a range is killed from outside: the run names lost ranges and ends with the same numbers."""
    experiment, states, images = case
    said = []
    killed = threading.Event()

    def kill_one(indices, spikes):
        if not killed.is_set():
            killed.set()
            os.kill(next(iter(_workers())), signal.SIGKILL)

    spikes = read_all(experiment.network, experiment.schedule, states, images, 2, watch=kill_one, report=said.append)
    assert spikes.tobytes() == alone.tobytes()
    assert len(said) == 1 and "worker process died while images" in said[0]


def test_a_second_death_ends_the_run_with_the_range_and_keeps_the_rest(case, alone, monkeypatch):
    """A range that kills whoever reads it (as a segmentation fault would) is named; what others finished is kept."""
    experiment, states, images = case
    poisoned = images.copy()
    poisoned[120] = np.nan  # the worker below dies on it
    monkeypatch.setattr(evaluation, "read_range", _die_on_nan)
    said = []
    with pytest.raises(WorkerDied, match="second time on images 100-149") as failure:
        read_all(experiment.network, experiment.schedule, states, poisoned, 2, report=said.append)
    kept = failure.value.finished
    assert said and not kept[100:150].any() and kept.any()
    assert failure.value.spikes[kept].tobytes() == alone[kept].tobytes()


def _die_on_nan(task):
    if np.isnan(task.images).any():
        Path(task.notes, f"{task.first}.began").touch()
        time.sleep(1.5)  # the others finish a range meanwhile
        os.kill(os.getpid(), signal.SIGSEGV)
    return evaluation_read_range(task)


evaluation_read_range = evaluation.read_range


def _workers():
    """Process ids of this process's joblib workers (not the resource tracker)."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
                command = (folder / "cmdline").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid() and "popen_loky" in command:
                yield int(folder.name)
