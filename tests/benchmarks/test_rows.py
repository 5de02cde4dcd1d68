"""Rows of docs/performance.md: what is timed is the test or the learning alone, and stands in the unit of its column."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import closed_form, growth, scripts


@pytest.fixture
def put(monkeypatch):
    """put(benchmark): a list that takes the rows, by column, that the benchmark would put into the page."""
    def caught(benchmark):
        rows = []

        def keep(section, text):
            header, _, *found = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("|")]
            rows.extend(dict(zip(map(str.strip, header), map(str.strip, row), strict=True)) for row in found)
        monkeypatch.setattr(benchmark, "put", keep)
        return rows
    return caught


class Clock:
    """Stands still, but for what `takes` so many seconds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def takes(self, *seconds, result=()):
        """A function whose calls take so long one after the other, and then return `result`."""
        left = iter(seconds)

        def call(*_):
            self.now += next(left)
            return result
        return call


@pytest.fixture
def clock(monkeypatch):
    """The clock of `benchmarks.closed_form` and `benchmarks.growth`."""
    found = Clock()
    monkeypatch.setattr(closed_form, "time", SimpleNamespace(process_time=found))
    monkeypatch.setattr(growth, "time", SimpleNamespace(perf_counter=found))
    return found


def test_medians_of_one_layer_are_of_rounds_that_compile_nothing(monkeypatch, clock):
    """20,000 presentations in 2.5, 8 and 4 s."""
    monkeypatch.setattr(closed_form, "load_mnist", lambda *_: {"x_test": np.zeros((2, 28, 28), np.uint8), "y_test": [0, 1]})
    monkeypatch.setattr(closed_form, "ClosedFormEngine", lambda *_: SimpleNamespace(spikes=clock.takes(100.0)))
    monkeypatch.setattr(closed_form.Crossbar, "of", lambda *_: SimpleNamespace(first_spikes=clock.takes(1.0, 7.0, 3.0)))
    learn = clock.takes(2.5, 8.0, 4.0)
    monkeypatch.setattr(closed_form, "Teacher", lambda *_: SimpleNamespace(presentations=learn))
    assert closed_form.measure(4, "grey") == (3.0, 5000.0)


def test_medians_of_two_layers_are_of_rounds_that_compile_nothing(monkeypatch, clock):
    network = SimpleNamespace(first_spikes=clock.takes(200.0, 1.0, 7.0, 3.0))
    plan = SimpleNamespace(rule=None, begin=lambda data: None,
                           data=lambda: SimpleNamespace(images=None, labels=None, test_images=None))
    monkeypatch.setattr(closed_form, "LayeredPlan", lambda *_: plan)
    monkeypatch.setattr(closed_form, "LayeredLearning", SimpleNamespace(begin=lambda *_: SimpleNamespace(network=network)))
    monkeypatch.setattr(closed_form, "train", clock.takes(100.0, 2.5, 8.0, 4.0))
    assert closed_form.measure_layers(4, 3) == (3.0, 5000.0)


def test_rows_of_the_closed_form(monkeypatch, put):
    monkeypatch.setattr(closed_form, "CASES", ((10, "binary"),))
    monkeypatch.setattr(closed_form, "LAYERS", ((14, 300),))
    monkeypatch.setattr(closed_form, "measure", lambda size, encoding: (1.25, 8000.0))
    monkeypatch.setattr(closed_form, "measure_layers", lambda size, hidden: (2.75, 4000.0))
    monkeypatch.setattr(closed_form, "resource", SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda _: SimpleNamespace(
        ru_maxrss=300 * 1024)))
    rows = put(closed_form)
    closed_form.main([])
    assert rows == [{"images": "10x10 binary", "10,000 tested/s": "1.25", "presentations a s": "8000", "60,000 learned/s": "7.5",
                     "peak/MB": "300"},
                    {"images": "14x14 grey, 300 hidden", "10,000 tested/s": "2.75", "presentations a s": "4000",
                     "60,000 learned/s": "15.0", "peak/MB": "300"}]


def test_rows_of_growth(monkeypatch, put, clock):
    """Three images, read in 3, 40 and 8 ms."""
    monkeypatch.setattr(growth, "SIZES", (20,))
    monkeypatch.setattr(growth, "NgspiceSession", lambda: None)
    monkeypatch.setattr(growth, "load_mnist", lambda *_, **__: {"x_test": None})
    monkeypatch.setattr(growth, "encode", lambda *_: [0, 1, 2])
    monkeypatch.setattr(growth, "mnist_experiment", lambda size: SimpleNamespace(
        network=None, schedule=None, dataset=SimpleNamespace(patterns=None)))
    monkeypatch.setattr(growth, "train_hebbian", clock.takes(6.0, result=SimpleNamespace(states=None)))
    monkeypatch.setattr(growth, "Reader", lambda *_: SimpleNamespace(spikes=clock.takes(0.003, 0.040, 0.008)))
    monkeypatch.setattr(growth, "whole_network_read", lambda *_: 0.7)
    points, rows = [], put(growth)
    monkeypatch.setattr(growth, "growth_figure", points.extend)
    monkeypatch.setattr(growth.plotting, "save", lambda *_: "figures/growth.png")
    growth.main([])
    assert rows == [{"inputs": "20x20", "cells": "4000", "train/s": "6.00", "train/cell/ms": "1.50", "read/image/ms": "8.0",
                     "read/image/cell/us": "2.0", "whole network/ms": "700", "whole/cell/us": "175"}]
    assert points == [(4000, 6.0, pytest.approx(0.008))]


def test_a_whole_read_takes_as_long_as_ngspice_runs(monkeypatch, clock):
    circuit, unloaded = SimpleNamespace(run=clock.takes(0.7)), []
    session = SimpleNamespace(load=clock.takes(50.0, result=circuit), unload=unloaded.append)
    monkeypatch.setattr(growth, "read_network", clock.takes(100.0))
    experiment = SimpleNamespace(network=None, schedule=SimpleNamespace(pulse=2e-3))
    assert growth.whole_network_read(session, experiment, [0] * 10, None) == pytest.approx(0.7) and unloaded == [circuit]


def test_rows_of_scripts_are_medians_of_their_rounds(monkeypatch, put):
    """In wall s, CPU s and MB; the first script simulates no image."""
    measured = {"device.py": iter([(1.0, 0.25, 60.0), (9.0, 0.75, 90.0), (2.0, 0.5, 70.0)]),
                "test.py": iter([(14.0, 8.0, 100.0), (10.0, 4.0, 400.0), (30.0, 5.0, 150.0)])}
    monkeypatch.setattr(scripts, "CASES", [(["device.py"], 0, 1), (["test.py", "--jobs", "2"], 200, 400)])
    monkeypatch.setattr(scripts, "measure", lambda command, folder: next(measured[command[0]]))
    rows = put(scripts)
    scripts.main(["--rounds", "3"])
    assert rows == [{"script": "device.py", "wall/s": "2.00", "CPU/s": "0.50", "peak/MB": "70", "CPU/image/ms": "-",
                     "CPU/image/cell/us": "-"},
                    {"script": "test.py --jobs 2", "wall/s": "14.00", "CPU/s": "5.00", "peak/MB": "150", "CPU/image/ms": "25.0",
                     "CPU/image/cell/us": "62.5"}]
