"""Classifiers of measured devices, with single cells and with differential pairs."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from memristive.classifier import MemristiveClassifier
from memristive.devices.measured_device import device_record, load_device
from tests.helpers import ROOT

X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize("late", [False, True])
def test_ngspice_learns_and_reads_with_the_subcircuit_of_a_models_device(ngspice, late):
    device = ROOT / "results/devices/vteam_device.json"
    fits = [
        MemristiveClassifier(
            (), engine=engine, device=device, pairs=1, late=late, epochs=1, random_state=1
        ).fit(X[::10], Y[::10])
        for engine in ("closed-form", "ngspice")
    ]
    closed, circuit = (fit.network_.states[0] for fit in fits)
    # A read that differs by nanoseconds could write another pulse, so most cells are compared, not
    # all.
    assert np.quantile(np.abs(circuit - closed), 0.9) < 0.1 * fits[0].network_.pulses.step
    assert not np.array_equal(circuit, closed)
    assert fits[1].spike_times(X[:3]) == pytest.approx(
        fits[0].spike_times(X[:3]), abs=5e-6, nan_ok=True
    )


@pytest.mark.parametrize("options", [{}, {"device": "ag-si", "late": True}])
def test_hidden_layers_of_devices_learn_by_default(options):
    features, labels = load_digits(return_X_y=True)
    model = MemristiveClassifier((50,), **{"device": "epiram"} | options, random_state=1)
    assert model.fit(features[::2], labels[::2]).score(features[1::2], labels[1::2]) > 0.9


def test_a_saved_classifier_needs_no_device_file(tmp_path):
    device = tmp_path / "mine.json"
    device.write_text(json.dumps(device_record(load_device("epiram")) | {"name": "mine"}))
    model = MemristiveClassifier(device=str(device), late=True, pairs=1, epochs=2, random_state=1)
    predicted = model.fit(X, Y).predict(X)
    path = model.save(tmp_path / "model.json")
    device.unlink()
    assert (MemristiveClassifier.load(path).predict(X) == predicted).all()
