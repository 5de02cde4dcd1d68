"""The netlist that a MemristiveClassifier exports, run by the ngspice program: it decides as the classifier does."""

import subprocess

import numpy as np
import pytest
from sklearn.datasets import load_iris

from memristive.classifier.estimator import MemristiveClassifier
from memristive.variability.chip import Chip

CHIP = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1, seed=3)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def crossings(path):
    """When each of three outputs reaches half its height in s (inf: never), in the netlist that ngspice runs by itself."""
    said = subprocess.run(["ngspice", "-b", str(path)], capture_output=True, text=True, timeout=120, check=False).stdout
    rows = np.array([line.split() for line in said.splitlines() if line[:1].isdigit() and len(line.split()) == 5], float)
    return [rows[np.argmax(output > 0.5), 1] if (output > 0.5).any() else np.inf for output in rows[:, 2:].T]


@pytest.mark.parametrize(("chip", "epochs"), [(None, 30), (CHIP, 5)])
def test_exported_netlist_decides_as_predicted(tmp_path, iris, chip, epochs):
    model = MemristiveClassifier(hidden=(6,), epochs=epochs, random_state=1, chip=chip).fit(*iris)
    sample = iris[0][[120]]
    found = crossings(model.export_netlist(tmp_path / "read.cir", sample[0]))
    assert np.argmin(found) == model.predict(sample)[0]
    assert min(found) == pytest.approx(np.nanmin(model.spike_times(sample)), abs=0.6e-6)


def test_spikes_of_two_layers_that_are_less_than_a_microsecond_apart_are_told_apart(tmp_path, iris):
    features, labels = iris
    model = MemristiveClassifier((30, 20), random_state=1).fit(features[::2], labels[::2])
    order = np.sort(np.nan_to_num(model.spike_times(features[1::2]), nan=1.0))
    leads = order[:, 1] - order[:, 0]
    close = features[1::2][(leads > 0.3e-6) & (leads < 1.5e-6)]
    assert len(close)
    for sample in close:
        found = crossings(model.export_netlist(tmp_path / "read.cir", sample))
        assert np.flatnonzero(found == np.min(found)).tolist() == model.predict([sample]).tolist()  # one alone, and the right one
