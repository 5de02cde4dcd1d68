"""Many images on several processes: the same numbers however they are spread, and nothing lost when a worker dies."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import dask
import numpy as np
import pytest
from dask import distributed

from memristive.cli import evaluation
from memristive.cli.evaluation import WorkerDied, read_all
from memristive.cli.experiments import mnist_experiment
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.pulses import READING
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from tests.helpers import ROOT, wait_until


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


def test_read_noise_is_each_images_own_also_in_later_ranges(case, ngspice, monkeypatch):
    experiment, states, images = case
    chip = Chip(classes=10, inputs=25, read_noise=0.05)
    reader = Reader(ngspice, experiment.network, experiment.schedule, 10, chip=chip)
    expected = [reader.spikes(states, image, evaluation.WANTED, chip.jitter("test", k)) for k, image in enumerate(images[:4])]
    monkeypatch.setattr(evaluation, "RANGE", 2)
    seen = []
    found = read_all(experiment.network, experiment.schedule, states, images[:4], chip=chip,
                     watch=lambda indices, spikes: seen.append((list(indices), spikes)))
    assert found == pytest.approx(np.array(expected), abs=1e-9, nan_ok=True)
    assert [indices for indices, _ in seen] == [[0, 1], [2, 3]] and np.array_equal(seen[1][1], found[2:], equal_nan=True)


def test_each_network_and_schedule_is_read_by_a_circuit_of_its_own(case):
    """It stays loaded from range to range, but not from one threshold or input voltage to another."""
    experiment, states, images = case
    lower = dataclasses.replace(experiment.network, neuron=dataclasses.replace(experiment.network.neuron, threshold=3.0))
    weaker = dataclasses.replace(experiment.schedule, input_voltage=0.8)
    for network, schedule in ((experiment.network, experiment.schedule), (lower, experiment.schedule), (lower, weaker)):
        found = read_all(network, schedule, states, images[:2])
        fired, exact = np.isfinite(found), Crossbar.of(network, schedule).first_spikes(states, images[:2])
        assert fired.any(axis=1).all() and found[fired] == pytest.approx(exact[fired], abs=1e-6)


def test_each_chip_is_read_with_devices_of_its_own_in_whatever_order(case):
    """A circuit stays loaded from range to range: not that of another chip, nor an ideal one."""
    experiment, states, images = case
    chips = [Chip(classes=10, inputs=25, seed=1, neuron_threshold=0.1), Chip(classes=10, inputs=25, seed=2, neuron_threshold=0.1),
             None]
    exact = [(chip.crossbar(experiment.network, experiment.schedule) if chip else Crossbar.of(experiment.network,
              experiment.schedule)).first_spikes(states, images[:2]) for chip in chips]
    for k in (0, 1, 2, 1, 0):
        found = read_all(experiment.network, experiment.schedule, states, images[:2], chip=chips[k])
        seen = np.isfinite(found)
        assert seen.any(axis=1).all() and found[seen] == pytest.approx(exact[k][seen], abs=1e-6)


def test_images_are_read_as_exactly_as_is_asked(case, alone, ngspice):
    """verify.py holds tightened reads against usual ones: were both usual, nothing could differ."""
    experiment, states, images = case
    tight = READING.tightened()
    reader = Reader(ngspice, experiment.network, experiment.schedule, 10, tight)
    expected = np.array([reader.spikes(states, image, evaluation.WANTED) for image in images[:3]])
    found = read_all(experiment.network, experiment.schedule, states, images[:3], solver=tight)
    assert found.tobytes() == expected.tobytes() != alone[:3].tobytes()


def test_spike_times_do_not_depend_on_the_number_of_processes(case, alone):
    experiment, states, images = case
    for jobs in (2, 3):
        assert read_all(experiment.network, experiment.schedule, states, images, jobs).tobytes() == alone.tobytes()


def test_the_first_three_neurons_are_seen_to_fire(case):
    """For the top-3 accuracy. All ten would fire, the third long after the second; ngspice does not wait for the last."""
    experiment, images = case[0], (np.arange(25)[None] < 5).astype(float)
    states = np.repeat(np.array([2.6, 2.5, *np.linspace(2.1, 1.8, 8)])[:, None], 25, axis=1)
    found = read_all(experiment.network, experiment.schedule, states, images)
    exact = Crossbar.of(experiment.network, experiment.schedule).first_spikes(states, images)
    assert np.isfinite(exact).all() and exact[0, 2] - exact[0, 1] > 40e-6 and np.isnan(found).any()
    assert found[:, :3] == pytest.approx(exact[:, :3], rel=5e-3)


def test_no_more_workers_are_started_than_there_are_ranges(case, monkeypatch):
    """160 images are four ranges; of a thousand jobs four are started, of one image's one."""
    experiment, states, images = case
    started = []

    def parallel(**options):
        started.append(options["n_jobs"])
        return contextlib.nullcontext()
    monkeypatch.setattr(evaluation, "parallel_config", parallel)
    monkeypatch.setattr(evaluation, "Parallel", lambda **options: lambda tasks: _Results())
    for count in (160, 51, 1):
        with pytest.raises(_Stop):
            read_all(experiment.network, experiment.schedule, states, images[:count], 1000)
    assert started == [4, 2, 1]


class _Stop(Exception):
    pass


class _Results:
    """Results that never come."""

    def __iter__(self):
        raise _Stop

    def close(self):
        pass


def test_a_single_range_may_be_read_in_this_process(case, alone):
    """Two workers are asked for, one range is there: joblib does it here, and this process must not take itself for a worker."""
    experiment, states, images = case
    few = read_all(experiment.network, experiment.schedule, states, images[:3], jobs=2)
    assert few.tobytes() == alone[:3].tobytes()


def test_dask_workers_give_the_same_bytes(case, alone):
    """A real scheduler with two worker processes on this machine."""
    experiment, states, images = case
    root = str(ROOT)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  host="127.0.0.1", env={"PYTHONPATH": root}) as cluster:
        spikes = read_all(experiment.network, experiment.schedule, states, images, scheduler=cluster.scheduler_address)
    assert spikes.tobytes() == alone.tobytes()


def test_cluster_that_cannot_do_the_work_is_refused_at_once(case, tmp_path):
    """No workers, then one started outside the project: Dask itself would wait for ever."""
    experiment, states, images = case
    with distributed.LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1") as cluster:
        address = cluster.scheduler_address
        with pytest.raises(ParameterError, match="has no workers"):
            read_all(experiment.network, experiment.schedule, states, images, scheduler=address)
        worker = subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"],
                                  cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            cluster.wait_for_workers(1, timeout=200)
            with pytest.raises(ParameterError, match="cannot load this project"):
                read_all(experiment.network, experiment.schedule, states, images, scheduler=address)
        finally:
            worker.terminate()
            worker.wait(200)


@pytest.fixture
def poison(case, monkeypatch, tmp_path):
    """Images that kill whoever reads the range 100-149 (as a segmentation fault would), but not before another range is done.

    A dictionary: the images, what to `watch` with, the environment that workers elsewhere need.
    """
    monkeypatch.setattr(evaluation, "read_range", _die_on_nan)
    monkeypatch.setattr(evaluation.tempfile, "TemporaryDirectory", lambda: contextlib.nullcontext(str(tmp_path)))
    images = case[2].copy()
    images[120] = np.nan
    return {"images": images, "watch": lambda indices, spikes: (tmp_path / "kept").touch(), "folder": str(tmp_path)}


def test_dask_workers_that_die_again_and_again_end_the_run(case, poison):
    experiment, states, _ = case
    environment = {"PYTHONPATH": str(ROOT), "KEPT": poison["folder"]}
    with (dask.config.set({"distributed.scheduler.allowed-failures": 1}),
          distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1",
                                   env=environment) as cluster,
          pytest.raises(WorkerDied, match="again and again") as failure):
        read_all(experiment.network, experiment.schedule, states, poison["images"], scheduler=cluster.scheduler_address,
                 watch=poison["watch"])
    assert failure.value.finished.any() and not failure.value.finished[100:150].any()


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


def test_a_second_death_ends_the_run_with_the_range_and_keeps_the_rest(case, alone, poison):
    """The range is named; what others finished is kept."""
    experiment, states, _ = case
    said = []
    with pytest.raises(WorkerDied, match="second time on images 100-149") as failure:
        read_all(experiment.network, experiment.schedule, states, poison["images"], 2, watch=poison["watch"], report=said.append)
    kept = failure.value.finished
    assert said and not kept[100:150].any() and kept.any()
    assert failure.value.spikes[kept].tobytes() == alone[kept].tobytes()


def _die_on_nan(task):
    if np.isnan(task.images).any():
        if task.notes:
            Path(task.notes, f"{task.first}.began").touch()
        wait_until(Path(task.notes or os.environ["KEPT"], "kept").exists)
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


@pytest.mark.parametrize(("threads", "words"), [({"one": 1, "two": 2}, "workers of several threads"), ({}, "has no workers"),
                                                ({"one": 1, "two": 1}, "")])
def test_workers_that_cannot_read_are_refused(threads, words):
    """There is one ngspice in a process."""
    client = SimpleNamespace(nthreads=lambda: threads, run=lambda *_: None, run_on_scheduler=lambda *_: None)
    with pytest.raises(ParameterError, match=f"--scheduler tcp://host:1 .*{words}") if words else contextlib.nullcontext():
        evaluation.check_cluster(client, "tcp://host:1")


@pytest.mark.parametrize(("scheduler", "words"), [("tcp://127.0.0.1", "missing port"), ("tcp://127.0.0.1:1", "Timed out"),
                                                  ("http://127.0.0.1:80", "scheme"), ("", "missing port")])
def test_scheduler_that_is_not_there_is_named(scheduler, words, case, monkeypatch):
    monkeypatch.setattr(evaluation, "CONNECT_WITHIN", 0.5)
    experiment, states, images = case
    for ask in (lambda: evaluation.check_scheduler(scheduler),
                lambda: read_all(experiment.network, experiment.schedule, states, images, scheduler=scheduler)):
        with pytest.raises(ParameterError, match=f"--scheduler {scheduler} cannot be reached: .*{words}"):
            ask()


def test_run_that_is_given_up_between_two_ranges_says_nothing_of_joblibs(case, recwarn):
    experiment, states, images = case

    def stop(*_):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        read_all(experiment.network, experiment.schedule, states, images, jobs=2, watch=stop)
    assert not [str(warning.message) for warning in recwarn if "joblib" in warning.filename]


def test_port_of_something_else_is_no_scheduler(monkeypatch):
    """A Dask client would wait there for ever, whatever its timeout."""
    monkeypatch.setattr(evaluation, "CONNECT_WITHIN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ParameterError, match=f"--scheduler {address} cannot be reached: no answer within 0.5 s"):
            evaluation.check_scheduler(address)


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(1000)])
def test_other_protocols_words_are_no_schedulers(words):
    """Dask takes the first eight bytes for a length: it asked for exabytes of memory."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def talk():
            connection, _ = server.accept()
            with connection:
                connection.sendall(words)
                connection.recv(1)  # until the client leaves
        threading.Thread(target=talk, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ParameterError, match=f"{address} cannot be reached: what answers there is no Dask scheduler"):
            evaluation.check_scheduler(address)


@pytest.mark.parametrize(("name", "fails", "told"), [("ExecutorManagerThread", {}.pop, 0), ("ExecutorManagerThread", [].pop, 1),
                                                     ("of the user's own", {}.pop, 1)])
def test_only_work_that_is_gone_is_missed_in_silence(monkeypatch, name, fails, told):
    """joblib's own thread may look for work that has been taken from it, once in some dozens of Ctrl-C."""
    problems = []
    monkeypatch.setattr(threading, "excepthook", problems.append)
    with evaluation.manager_may_miss_work():
        thread = threading.Thread(target=fails, args=(1,), name=name)
        thread.start()
        thread.join()
    assert len(problems) == told and threading.excepthook == problems.append


def test_only_ranges_that_were_begun_are_run_again_alone(tmp_path, monkeypatch):
    (tmp_path / "50.began").touch()
    tasks = [evaluation.Task(None, None, None, np.zeros((50, 1)), first, str(tmp_path)) for first in (0, 50, 100)]
    again, said = [], []
    monkeypatch.setattr(evaluation, "get_reusable_executor", lambda **_: SimpleNamespace(
        submit=lambda function, task: SimpleNamespace(result=lambda: (task.first, None)), shutdown=lambda **_: None))
    evaluation._run_lost_again(tasks, str(tmp_path), np.zeros(150, bool), np.zeros((150, 1)),
                               lambda first, part: again.append(first), said.append)
    assert again == [50] and "images 50-99 were in work" in said[0]


def test_cores_are_those_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda number: {0}, raising=False)
    assert evaluation.worker_count() == 1
