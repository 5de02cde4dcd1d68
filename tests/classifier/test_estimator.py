"""The classifier against scikit-learn's own checks, and its two engines against each other."""

import copy
import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from memristive.classifier import MemristiveClassifier
from memristive.network.chip import Chip
from memristive.network.networks import network_on_chip
from memristor import MemristorParameters
from snn_circuit import NeuronParameters
from tests.helpers import printed

CHIP = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1, seed=3)
DEVICES = {
    "memristor": MemristorParameters(kp=1e-4, transconductance=1e-8),
    "neuron": NeuronParameters(threshold=3.0),
}


@pytest.fixture(scope="module")
def iris():
    features, labels = load_iris(return_X_y=True)
    return features, np.array(["setosa", "versicolor", "virginica"])[labels]


@pytest.fixture(scope="module")
def fitted(iris):
    return MemristiveClassifier((6,), epochs=30, random_state=1).fit(*iris)


def same_voltages(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.voltages_, other.voltages_, strict=True))


# scikit-learn


@parametrize_with_checks([MemristiveClassifier((20,))])
def test_check_of_scikit_learn(estimator, check):
    check(estimator)


def test_random_state_is_the_start_and_the_order(iris, fitted):
    assert same_voltages(clone(fitted).fit(*iris), fitted)
    assert not np.array_equal(
        clone(fitted).set_params(random_state=2).fit(*iris).voltages_[0], fitted.voltages_[0]
    )
    # complements and the bias row
    assert [states.shape for states in fitted.voltages_] == [(6, 9), (3, 7)]


# Decisions


def test_the_first_spike_decides(iris, fitted):
    times = fitted.spike_times(iris[0])
    ordered = np.sort(times, axis=1)
    clear = ~np.isnan(ordered[:, 1])
    first = np.nanargmin(np.where(np.isnan(times), 1.0, times), axis=1)
    assert np.array_equal(fitted.predict(iris[0])[clear], fitted.classes_[first][clear])
    leads = fitted.decision_function(iris[0])
    assert leads.max(axis=1)[clear] == pytest.approx(
        (ordered[:, 1] - ordered[:, 0])[clear], rel=1e-12
    )
    silent = np.isnan(times)
    assert silent.any()
    assert leads[silent] == pytest.approx(
        (np.nanmin(times, axis=1) - fitted.network_.design.window)[np.where(silent)[0]]
    )


def test_curves_and_calibration_of_scikit_learn_take_the_probabilities(iris):
    """A sample of which no neuron fires is as likely of each class. On held-out samples of three
    and of two classes, the ranks and the probabilities suit the truth.
    """
    features, labels = iris
    for kept in (slice(0, 150), slice(50, 150)):
        rows, classes = features[kept], labels[kept]
        model = MemristiveClassifier((6,), random_state=1).fit(rows[::2], classes[::2])
        found, truth = model.predict_proba(rows[1::2]), classes[1::2]
        columns = found if found.shape[1] > 2 else found[:, 1]
        assert roc_auc_score(truth, columns, multi_class="ovr") > 0.95
        assert log_loss(truth, found) < 0.5 * np.log(found.shape[1])
        times = model.spike_times(rows[1::2])
        assert np.array_equal(found.argmax(axis=1), np.nanargmin(times, axis=1))
    silent = MemristiveClassifier((), epochs=1, random_state=1).fit(features, labels)
    states = tuple(np.zeros_like(of) for of in silent.network_.states)
    silent.network_ = dataclasses.replace(silent.network_, states=states)
    assert silent.predict_proba(features) == pytest.approx(np.full((150, 3), 1 / 3))


def test_curved_borders_are_learned_by_many_small_writes():
    features, labels = make_moons(800, noise=0.1, random_state=1)  # a straight line separates 88 %
    model = MemristiveClassifier(epochs=400, dose=0.03, random_state=1).fit(
        features[:400], labels[:400]
    )
    assert model.score(features[400:], labels[400:]) > 0.95


# Parameters


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "spectre"},
        {"dose": "x"},
        {"chip": Chip(write_noise=0.3)},
    ],
)
def test_invalid_parameters_are_refused(iris, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MemristiveClassifier(**wrong).fit(*iris)


def test_weights_are_carried_to_another_chip(iris, fitted):
    """Deviations change the devices and the stuck cells, and nothing else; the classifier itself
    stays.
    """
    before, chip = fitted.spike_times(iris[0]), dataclasses.replace(CHIP, stuck_off=0.1)
    carried = fitted.carried_to(chip)
    expected = network_on_chip(fitted.network_, chip).first_spikes(fitted.encoding_.levels(iris[0]))
    assert np.array_equal(carried.spike_times(iris[0]), expected, equal_nan=True)
    assert not np.array_equal(expected, before, equal_nan=True)
    for same in (
        fitted,
        fitted.carried_to(Chip(seed=5)),
        fitted.carried_to("ideal"),
        fitted.carried_to(CHIP).carried_to(None),
    ):
        assert np.array_equal(same.spike_times(iris[0]), before, equal_nan=True)


@pytest.mark.parametrize("changed", [{"chip": CHIP}, {"hidden": (5,)}])
def test_a_trained_network_cannot_get_other_devices(iris, fitted, changed):
    model = copy.deepcopy(fitted).set_params(**changed)
    for use in (lambda: model.predict(iris[0]), lambda: model.partial_fit(*iris)):
        with pytest.raises(ValueError, match=next(iter(changed))):
            use()


# Learning online


def test_partial_fit_continues(iris):
    order = np.random.default_rng(3).permutation(150)
    features, labels = iris[0][order], iris[1][order]

    def learn(interrupted):
        model = MemristiveClassifier((12,), dose=0.15, random_state=1)
        for _ in range(8):
            model.partial_fit(features, labels, classes=np.unique(labels))
            model = pickle.loads(pickle.dumps(model)) if interrupted else model
        return model

    model = learn(interrupted=False)
    assert same_voltages(model, learn(interrupted=True))
    assert model.n_presentations_ == 8 * 150 and model.score(features, labels) > 0.85
    before = model.voltages_
    model.partial_fit(features[:3], labels[:3])
    # a few writes, no new start
    assert max(np.abs(a - b).max() for a, b in zip(before, model.voltages_, strict=True)) < 0.3


def test_partial_fit_gives_a_fifth_of_the_dose(iris):
    """The bias cell shows the whole dose, because its row is high for one time constant if the
    right neuron never leads.
    """
    model = MemristiveClassifier((), dose=0.1, margin=1e-2, random_state=1)
    model.partial_fit(iris[0][::50], iris[1][::50], classes=np.unique(iris[1]))
    before = model.voltages_[0]
    moved = model.partial_fit(iris[0][:1], iris[1][:1]).voltages_[0] - before
    assert moved.max() == pytest.approx(0.2 * 0.1, rel=1e-3)


# ngspice


def test_the_exported_netlist_gives_the_same_first_spikes(iris, tmp_path):
    model = MemristiveClassifier((8,), epochs=10, random_state=1, chip=CHIP, **DEVICES).fit(*iris)
    for sample in iris[0][[20, 120]]:
        waves = printed(model.export_netlist(tmp_path / "read.cir", sample))
        high = np.array([waves[f"output_{j}"] > 0.5 for j in range(3)])
        spikes = np.where(high.any(axis=1), waves["time"][high.argmax(axis=1)], np.inf)
        assert model.classes_[np.argmin(spikes)] == model.predict([sample])[0]
        assert min(spikes) == pytest.approx(np.nanmin(model.spike_times([sample])), abs=0.6e-6)


def test_pixels_of_a_convolution_beyond_those_of_fit_are_clipped_with_a_warning():
    images = 16 * np.random.default_rng(1).random((12, 4, 4))
    model = MemristiveClassifier(3, convolution={}, epochs=1).fit(images, np.arange(12) % 2)
    bright = images.copy()
    bright[0, 0, 0] = 1000.0
    with pytest.warns(UserWarning, match="1 of 192"):
        found = model.spike_times(bright)
    assert np.array_equal(found[1:], model.spike_times(images)[1:], equal_nan=True)


# Files


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        DEVICES,
        {"encoding": "plain"},
    ],
)
def test_a_loaded_classifier_reads_and_learns_as_the_saved_one(iris, tmp_path, parameters):
    frame = pd.DataFrame(iris[0], columns=list("abcd"))
    model = MemristiveClassifier(**{"hidden": (6,), **parameters}, epochs=3, random_state=1).fit(
        frame, iris[1]
    )
    loaded = MemristiveClassifier.load(model.save(tmp_path / "model.json"))
    assert np.array_equal(loaded.spike_times(frame), model.spike_times(frame), equal_nan=True)
    assert loaded.predict(frame).tolist() == model.predict(frame).tolist()
    assert same_voltages(loaded.partial_fit(frame, iris[1]), model.partial_fit(frame, iris[1]))
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("names", [[3, 10, 200]])
def test_class_labels_survive_a_file(iris, tmp_path, names):
    labels = np.array(names)[np.arange(150) % 3]
    model = MemristiveClassifier((), epochs=1, random_state=np.random.RandomState(3)).fit(
        iris[0], labels
    )
    loaded = MemristiveClassifier.load(model.save(tmp_path / "model.json"))
    assert (
        loaded.classes_.tolist() == model.classes_.tolist()
        and loaded.classes_.dtype == model.classes_.dtype
    )
