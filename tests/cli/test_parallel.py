"""Tasks on cores and on a Dask cluster: the same results, workers that die, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
import warnings
from argparse import Namespace

import numpy as np
import psutil
import pytest

from memristive.cli.parallel import run_tasks
from memristive.cli.reading import read_images
from memristive.cli.script import Record
from memristive.io.records import NotOverwritten, checkpoint_path
from memristive.network.chip import Chip, on_chip
from memristive.network.crossbar import Crossbar
from memristive.network.design import Schedule, Setup
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import ParameterError, SimulationError
from memristive.scores.checks import OperatingRangeWarning
from snn_circuit import NeuronParameters
from tests.helpers import ROOT, wait_until


def square(number):
    return number**2


def warn(number):
    """Warn of the task's number, as a network in a worker does of its operating range."""
    warnings.warn(f"task {number}", OperatingRangeWarning, stacklevel=1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_warnings_of_workers_reach_the_main_process(jobs):
    with pytest.warns(OperatingRangeWarning) as warned:
        list(run_tasks(warn, range(3), jobs))
    assert sorted(str(one.message) for one in warned) == ["task 0", "task 1", "task 2"]


def die(task):
    """Kill this process at task 2: once if the task names a file, else each time; return the number
    of other tasks.
    """
    number, path = task
    if number == 2 and not (path and path.exists()):
        if path:
            path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_each_task_is_done_once_on_any_number_of_workers(jobs, count):
    before = signal.getsignal(signal.SIGINT)
    assert sorted(run_tasks(square, range(count), jobs)) == [(k, k**2) for k in range(count)]
    assert signal.getsignal(signal.SIGINT) is before  # a single task must not disable Ctrl-C


def test_a_worker_that_dies_once_costs_only_its_tasks_again(tmp_path):
    found = dict(run_tasks(die, [(k, tmp_path / "died") for k in range(5)], 2))
    assert found == {k: k for k in range(5)} and (tmp_path / "died").exists()


def test_a_worker_that_dies_twice_ends_the_run():
    with pytest.raises(SimulationError, match="--jobs"):
        list(run_tasks(die, [(k, None) for k in range(5)], 2))


WORK = """
import pathlib, sys, time
from memristive.cli.script import exit_code
from memristive.cli.parallel import run_tasks
def work(path):
    pathlib.Path(path).touch()
    time.sleep(600)
sys.exit(exit_code(lambda paths: list(run_tasks(work, paths, 2)), sys.argv[1:]))
"""


def workers(session):
    """Return the living workers in a session of processes."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            inside = os.getsid(process.pid) == session
        except ProcessLookupError:
            continue
        if (
            inside
            and process.info["status"] != psutil.STATUS_ZOMBIE
            and "popen_loky" in " ".join(process.info["cmdline"] or ())
        ):
            found.append(process.pid)
    return found


@pytest.mark.parametrize("busy", [False, True])
def test_ctrl_c_ends_parent_and_workers_without_a_traceback(busy, tmp_path):
    """Send Ctrl-C to all processes, as a terminal does, while workers load their libraries or are
    at work (`busy`).
    """
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(tmp_path / "1"), str(tmp_path / "2")],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len(list(tmp_path.iterdir()) if busy else workers(process.pid)) == 2, 600)
    for pid in workers(process.pid):
        os.kill(pid, signal.SIGINT)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    # joblib's threads may print lines as well
    assert process.returncode == 130 and "-c: stopped by Ctrl-C\n" in errors
    assert "KeyboardInterrupt" not in errors  # as in the traceback of a worker
    wait_until(lambda: not workers(process.pid), 600)


# Images

SETUP = Setup(
    neuron=NeuronParameters(feedback_resistance=4e3), schedule=Schedule(pulse=2e-3, period=6e-3)
)
STATES = np.random.default_rng(1).uniform(2.5, 3.0, (10, 25))
NETWORK = Network.of(SETUP, STATES)
IMAGES = (np.random.default_rng(2).random((60, 25)) < 0.2).astype(float)


@pytest.fixture(scope="module")
def alone(ngspice):
    """Spikes read in this process."""
    return read_images(NETWORK, IMAGES, jobs=1)


def test_spikes_do_not_depend_on_the_number_of_workers(alone):
    assert read_images(NETWORK, IMAGES, jobs=2).tobytes() == alone.tobytes()


def test_each_chip_has_its_reads_and_each_image_its_noise(alone):
    """A circuit stays loaded from range to range, but not from one chip to another."""
    chips = [Chip(10, 25, seed, neuron_threshold=0.1, read_noise=0.05) for seed in (1, 2)]
    networks = [network_on_chip(NETWORK, chip) for chip in chips]
    exact = [read_images(network, IMAGES[:52], "closed-form") for network in networks]
    for k in (0, 1, 0):
        found = read_images(networks[k], IMAGES[:52], jobs=1)
        seen = np.isfinite(found) & np.isfinite(exact[k])
        assert seen.any(axis=1).sum() > 40 and found[seen] == pytest.approx(
            exact[k][seen], abs=1e-6
        )
    quiet = Crossbar.of(on_chip(SETUP, chips[0])).first_spikes(STATES, IMAGES[:52])
    assert np.nanmax(np.abs(quiet - exact[0])) > 1e-6
    assert read_images(NETWORK, IMAGES[:3], jobs=1).tobytes() == alone[:3].tobytes()


# Dask


def test_dask_workers_give_the_same_bytes(alone):
    """A scheduler with two worker processes on this machine; without workers, or at a wrong
    address, one error.
    """
    from dask import distributed

    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        host="127.0.0.1",
        env={"PYTHONPATH": str(ROOT)},
    ) as cluster:
        found = read_images(NETWORK, IMAGES, scheduler=cluster.scheduler_address)
        assert found.tobytes() == alone.tobytes()
        cluster.scale(0)
        wait_until(lambda: not cluster.scheduler.workers)
        with pytest.raises(ParameterError, match="--nthreads 1"):
            list(run_tasks(square, range(3), scheduler=cluster.scheduler_address))


def square_once_interrupted(task):
    """The square of a number; stops once, as by Ctrl-C, where its file does not exist."""
    number, file = task
    if file is not None and not file.exists():
        file.touch()
        raise KeyboardInterrupt
    return {"square": number**2}


def test_tasks_go_on_from_their_checkpoint(tmp_path):
    options = Namespace(jobs=1, scheduler=None, resume=False, force=False, results=tmp_path)
    record = Record(options, "record", {"tasks": 4})
    tasks = [(1, None), (2, None), (3, tmp_path / "file"), (4, None)]
    with pytest.raises(KeyboardInterrupt):
        record.run_tasks(square_once_interrupted, tasks, [1] * 4)
    with pytest.raises(NotOverwritten, match="--resume"):
        record.run_tasks(square_once_interrupted, tasks, [1] * 4)
    options.resume = True
    unfinished = [(5, None), (6, None), *tasks[2:]]  # the first two are not computed again
    found = record.run_tasks(square_once_interrupted, unfinished, [1] * 4)
    assert [one["square"] for one in found] == [1, 4, 9, 16] and checkpoint_path(
        record.path
    ).exists()
