"""Where the stages of layers reach their rails, ngspice leaves the closed form: what is foretold of it comes."""

import dataclasses
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datasets import encode, load_mnist
from memristive.classifier.estimator import MemristiveClassifier
from memristive.io.files import ROOT
from memristive.multilayer import clipping as layer_range
from memristive.multilayer.clipping import StagesClip, complaint, rails, wanted, within_rails
from memristive.multilayer.layer_netlist import LayerChip, LayerDesign
from memristive.multilayer.layer_network import LayeredNetwork, begin
from memristive.multilayer.layer_ngspice import LayeredReader
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.layer_sessions import read_in_ngspice
from memristive.single_layer.spike_decoding import strict_decision
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters
from studies.layer_experiments import TASKS, load_network
from tests.learning.test_layers import random_network
from tests.learning.test_layers_in_ngspice import on_a_chip

IMAGES = np.array([[1.0, 1.0], [1.0, 0.5]])


def neurons(**changes):
    return NetworkParameters(neuron=NeuronParameters(**changes))


def summing(share):
    return LayeredNetwork((share * np.array([[10.0, 9.0, 11.0], [8.0, 9.0, 10.5]]),))


def summing_above(share):
    """Of the second layer, once the first one's neurons have fired, but before its own have."""
    outputs = np.array([[-60.0, 15.5, 28.0], [6.0, 7.0, 8.0]])
    return LayeredNetwork((np.array([[8.0, 6.0, 6.0], [6.0, 7.0, 7.0]]), share * outputs))


def inverting(share):
    return LayeredNetwork((np.array([[share * 15.3] * 3, [6.0, 7.5, 7.0]]),), neurons(rail_low=-60.0))


def reference(share):
    return LayeredNetwork((np.array([[7.5, 7.5, 7.5], [6.0, 7.5, 7.0]]),), neurons(inverting_rail_high=10 / share))


def loaded_reference(share):
    """Its output resistance drops what all inverting stages of the layer draw."""
    states = 6 + 0.01 * np.arange(36)[:, None] * np.ones(3)
    return LayeredNetwork((states,), neurons(amplifier_output_resistance=285.0 * share))


def on_chip(share):
    rng = np.random.default_rng(1)
    return on_a_chip(LayeredNetwork((5 + 10 * share * rng.normal(0, 1, (6, 3)), np.full((3, 7), 6.0))))


def apart(ngspice, network, expected):
    """Largest difference in s of a last layer's spikes in ngspice from those of `expected`, which have to come."""
    reader = LayeredReader(ngspice, network)
    found = [reader.read(network, image, len(network.states[-1]))[0][-1] for image in IMAGES]
    assert np.array_equal(np.isnan(found), np.isnan(expected[-1]))
    return np.nanmax(np.abs(found - expected[-1]))


@pytest.mark.parametrize(("network", "beyond", "words"), [
    (summing, 1.05, "wanted of the summing stage in layer 1, which gives 19.9 V at most; a smaller output would help"),
    (summing_above, 1.2, "wanted of the summing stage in layer 2, which gives 19.9 V at most; a smaller output would help"),
    (inverting, 1.1, "wanted of the inverting stage in layer 1, which gives 20.5 V at most; a smaller output would help"),
    (reference, 1.05, "wanted of the reference column's inverting stage in layer 1"),
    (loaded_reference, 1.1, "9.49 V at most; fewer neurons in that layer would help"),
    (on_chip, 1.3, "wanted of the summing stage in layer 1, which gives 19.9 V at most; a smaller hidden would help")])
def test_ngspice_leaves_the_closed_form_at_the_rail_and_the_complaint_speaks(ngspice, network, beyond, words):
    below, above = network(0.98), network(beyond)
    shares = [(wanted(each, IMAGES).max(axis=0) / rails(each)).max() for each in (below, above)]
    assert 0.9 < shares[0] <= 1 < shares[1] < 1.2
    assert apart(ngspice, below, below.forward(IMAGES)) < 0.1e-6
    assert complaint(below, IMAGES) == ""
    for free, railed in zip(below.forward(IMAGES), within_rails(below, IMAGES), strict=True):
        assert railed == pytest.approx(free, nan_ok=True)  # which the rails do not bear on
    assert apart(ngspice, above, above.forward(IMAGES)) > 0.5e-6
    assert apart(ngspice, above, within_rails(above, IMAGES)) < 0.2e-6
    assert words in complaint(above, IMAGES, "hidden", "output")
    most = wanted(above, IMAGES).max(axis=0)
    assert f"; {most.flat[np.argmax(most / rails(above))]:.3g} V wanted" in complaint(above, IMAGES)
    assert complaint(above, IMAGES[::-1]) == complaint(above, IMAGES)  # of whichever image wants the most


def test_what_clips_after_a_neurons_spike_changes_nothing(ngspice):
    """The bias makes both outputs fire before the hidden neurons do, whose cells would take the stages far beyond their rails."""
    late = LayeredNetwork((np.full((2, 3), 6.2), np.array([[69.0, 69.0, 11.0], [69.0, 69.0, 10.0]])))
    hidden, outputs = late.forward(IMAGES)
    assert np.nanmin(hidden) > outputs.max()
    assert (wanted(late, IMAGES) <= rails(late)).all() and complaint(late, IMAGES) == ""
    assert apart(ngspice, late, [hidden, outputs]) < 0.1e-6


def test_clips_that_move_spikes_less_than_the_engines_differ_are_not_spoken_of():
    network = summing(1.03)  # just beyond: 1 us
    assert (wanted(network, IMAGES) > rails(network)).any() and complaint(network, IMAGES)
    hidden = np.array([[5.0, 5.0, 69.0], [5.0, 5.0, 6.5]])  # the first fires at once, clipped or not
    network = LayeredNetwork((hidden, np.array([[5.0, 6.0, 7.0], [5.0, 5.0, 7.0]])))
    free, railed = network.forward(IMAGES), within_rails(network, IMAGES)
    assert (wanted(network, IMAGES) > rails(network)).any() and (free[0] != railed[0]).any()
    assert complaint(network, IMAGES) == ""


def test_clips_that_move_spikes_little_but_tie_them_are_spoken_of():
    network = LayeredNetwork((np.array([[20.0], [30.0]]) * np.ones(201),))
    assert "1 of 1 images are decided otherwise, first spikes move by 0.25 us" in complaint(network, np.ones((1, 200)))


@pytest.fixture(scope="module")
def clipped():
    """A classifier that learned wine with a dose twenty times the highest of those chosen by itself, and every other wine."""
    features, labels = load_wine(return_X_y=True)
    with pytest.warns(StagesClip) as said:
        model = MemristiveClassifier((), dose=2.0, random_state=1).fit(features[::2], labels[::2])
    return model, features[1::2], labels[1::2], [str(warning.message) for warning in said]


def test_what_is_said_to_be_decided_otherwise_is_what_ngspice_decides_otherwise(clipped):
    model, features, labels, _ = clipped
    images = model.encoding_.levels(features[::6])
    found = [strict_decision(spikes) for spikes in read_in_ngspice(model.network_, images)]
    free, railed = ([strict_decision(spikes) for spikes in each] for each in (
        model.network_.first_spikes(images), within_rails(model.network_, images)[-1]))
    assert found == railed
    otherwise = np.sum(np.array(found) != free)
    assert otherwise > len(images) / 2 and model.score(features, labels) > 0.8
    assert f"{otherwise} of {len(images)} images are decided otherwise" in complaint(model.network_, images)


def test_classifier_warns_once_a_network_and_names_the_dose(clipped, tmp_path):
    model, features, labels, said = clipped
    assert len(said) == 1 and "\n" not in said[0] and said[0].endswith("a smaller dose (it is 2 V) would help")
    again = MemristiveClassifier.load(model.save(tmp_path / "clipped.json"))
    with pytest.warns(StagesClip, match=r"it is 2 V") as warned:
        again.partial_fit(features, labels)
    assert len(warned) == 1 and warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.partial_fit(features, labels)
        assert complaint(again.network_, again.encoding_.levels(features))
        with pytest.raises(StagesClip):
            again.set_params(dose=3.0).fit(features, labels)
    assert again._rule.output_dose == 3.0  # what was learned is there


@pytest.mark.parametrize("components", [5, 10, 15])
def test_cells_do_not_run_away_where_classes_of_few_features_overlap(components):
    """Digits behind a few principal components: with 2.4 V over their number X reached 640 V, and 62, 75, 67 % were right."""
    features, labels = load_digits(return_X_y=True)
    features = PCA(components, random_state=0).fit(features[::2]).transform(features)
    model = MemristiveClassifier(random_state=1).fit(features[::2], labels[::2])
    software = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(features[::2], labels[::2])
    assert max(np.abs(states).max() for states in model.voltages_) < 20
    assert model.score(features[1::2], labels[1::2]) > software.score(features[1::2], labels[1::2]) - 0.01


def test_that_the_second_spike_alone_moves_is_told(monkeypatch):
    """With it a read ends. What the stages would have to give, and spikes, are played."""
    network = LayeredNetwork((np.full((2, 3), 6.0),))
    monkeypatch.setattr(layer_range, "wanted", lambda network, images: 1.1 * rails(network)[None])
    monkeypatch.setattr(layer_range, "within_rails", lambda *_: [np.array([[50e-6, 90e-6]])])
    monkeypatch.setattr(LayeredNetwork, "first_spikes", lambda *_: np.array([[50e-6, 60e-6]]))
    assert "0 of 1 images are decided otherwise, first spikes move by 30 us" in complaint(network, IMAGES[:1])


@pytest.mark.parametrize("row_voltage", [1.0, 0.5])
def test_stages_want_ten_volts_of_cells_at_the_reference_and_of_a_chips_cells_by_their_own_gains(row_voltage):
    """10 V are the design's, at any row voltage, with all three rows up; a dark row's cells want nothing."""
    network = LayeredNetwork((np.full((2, 3), 5.0),), design=LayerDesign(row_voltage=row_voltage))
    assert wanted(network, IMAGES[:1])[0, 0] == pytest.approx([10.0, 0.0, 10.0], rel=0.01, abs=1e-9)
    weak = dataclasses.replace(network, states=(np.zeros((2, 3)),))  # membranes below 0 V fire no neuron
    assert wanted(weak, IMAGES[:1])[0, 0] == pytest.approx([0.0, 0.0, 10.0], rel=0.01)
    channel = np.array([[3.0, 1.0, 1.5], [3.0, 1.0, 1.0], [3.0, 1.0, 1.0]])
    network = dataclasses.replace(network, chip=(LayerChip(channel, np.ones((2, 3)), np.ones(2)),))
    assert wanted(network, np.array([[0.0, 1.0]]))[0, 0] == pytest.approx([25 / 3, 5 / 3, 20 / 3], rel=0.01)


@pytest.mark.parametrize(("layers", "moved", "said"), [(1, 0.29e-6, False), (1, 0.31e-6, True), (2, 0.59e-6, False),
                                                       (2, 0.61e-6, True)])
def test_the_engines_agree_to_three_tenths_of_a_microsecond_a_layer(monkeypatch, layers, moved, said):
    """What stages would have to give, and spikes, are played."""
    network = LayeredNetwork((np.full((2, 3), 6.2),) * layers)
    monkeypatch.setattr(layer_range, "wanted", lambda network, images: 1.1 * rails(network)[None])
    monkeypatch.setattr(layer_range, "within_rails", lambda *_: [np.array([[50e-6, 60e-6 + moved]])])
    monkeypatch.setattr(LayeredNetwork, "first_spikes", lambda *_: np.array([[50e-6, 60e-6]]))
    assert ("stages clip" in complaint(network, IMAGES[:1])) == said


@pytest.mark.parametrize(("layer", "words"), [(0, "cells of layer 1 have run away, to -150 to 7 V"), (1, "of layer 2 have")])
def test_cells_that_have_run_away_are_spoken_of_where_nothing_clips(layer, words):
    """Far below 0 V they conduct nothing, as at 0 V."""
    states = [np.full((2, 3), 6.2), np.full((2, 3), 7.0)]
    states[layer][0, 0] = -69.0
    assert complaint(LayeredNetwork(tuple(states)), IMAGES) == ""
    states[layer][0, 0] = -71.0
    assert "have run away, to -71 to" in complaint(LayeredNetwork(tuple(states)), IMAGES)
    states[layer][0, 0], states[0][1, 0] = -150.0, 7.0
    said = complaint(LayeredNetwork(tuple(states)), IMAGES, "hidden", "output")
    assert words in said and said.endswith(f"a smaller {('hidden', 'output')[layer]} may help")


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
@pytest.mark.parametrize("hidden", [(100,), ()])
def test_no_stage_clips_in_classifiers_as_they_are(load, hidden):
    features, labels = load(return_X_y=True)
    model = MemristiveClassifier(hidden, epochs=None if len(labels) < 1000 else 5, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(features, labels)
    assert (wanted(model.network_, model.encoding_.levels(features[::5])) < 0.9 * rails(model.network_)).all()


@pytest.mark.parametrize("name", ["mnist", "xor"])
def test_no_stage_clips_in_the_networks_that_are_kept(name):
    network, _ = load_network(ROOT / "voltages" / f"layers_{name}.json", TASKS[name], 10)
    images = encode(load_mnist()["x_test"][:100], 10, "grey") if name == "mnist" else np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    assert (wanted(network, images) < 0.9 * rails(network)).all() and complaint(network, images) == ""


def test_of_many_images_a_part_is_looked_at(monkeypatch):
    monkeypatch.setattr(layer_range, "MOST", 3)
    many = np.repeat(IMAGES, 4, axis=0)
    assert "of 3 images" in complaint(summing(1.2), many[:7]) and "of 2 images" in complaint(summing(1.2), many[:4])


@pytest.mark.parametrize(("design", "neuron", "words"), [
    ({}, {}, None), ({}, {"amplifier_gain": 1e4}, None),
    ({}, {"amplifier_gain": 5e3}, "gain of 5000 is below 10000, and the closed form knows no gain"),
    ({"rise": 100e-6}, {}, "edge of 0.0001 s is not short beside the membranes' time constant of 0.00015 s"),
    ({"rise": 70e-6}, {}, None)])
def test_what_an_engine_does_not_follow_is_said(design, neuron, words):
    parameters = NetworkParameters(neuron=NeuronParameters(**neuron))
    network = begin((4,), 2, np.ones((1, 3)), LayeredRule(), LayerDesign(**design), parameters)
    said = complaint(network, np.ones((1, 3)))
    assert words in said and said.startswith("the engines may part") if words else said == ""


@pytest.mark.parametrize(("design", "vto", "off"), [
    ({}, 0.0, 0.1e-6), ({"row_voltage": 5.0, "reference_state": 2.5}, 0.0, 0.3e-6), ({"row_voltage": 7.0}, 0.0, 0.3e-6),
    ({"reference_state": 1.2}, 0.0, 0.15e-6), ({}, 3.8, 0.15e-6)])
def test_cells_that_are_not_well_above_their_rows_are_read_as_the_closed_form_says(ngspice, design, vto, off):
    """With the usual steps spikes were microseconds off, of trained networks up to 65 us. What counts is X_ref - Vto."""
    rng = np.random.default_rng(1)
    images = rng.random((4, 6))
    parameters = NetworkParameters(memristor=MemristorParameters(threshold_voltage=vto))
    network = begin((8,), 2, images, LayeredRule(start_drive=3.0, start_weight=0.6), LayerDesign(**design), parameters)
    found = np.array([LayeredReader(ngspice, network).read(network, image, label=0)[0][-1] for image in images])
    exact = network.first_spikes(images)
    assert np.isfinite(exact).all() and found == pytest.approx(exact, abs=off)


@pytest.mark.parametrize("rise", [1e-3, 150e-6])
def test_read_that_is_over_before_its_input_has_risen_is_refused(rise):
    with pytest.raises(ParameterError, match=rf"rise must be below the window, got {rise:g} s for 0\.00015 s"):
        LayerDesign(rise=rise)


@pytest.mark.parametrize(("moved", "silent"), [((0,), 1), ((1,), 2), ((2,), None), ((), None)])
def test_a_hidden_layer_of_which_no_neuron_fires_is_said(moved, silent):
    """Large doses had silenced them without a word: what is left is decided by the bias, and looks like a network."""
    network = random_network((3, 5, 4, 2), seed=2, spread=1.5)
    states = [np.full_like(layer, 1.0) if k in moved else layer for k, layer in enumerate(network.states)]
    network = dataclasses.replace(network, states=tuple(states))  # gates that carry no more than their reference
    images = np.random.default_rng(1).random((6, 3))
    fired = [not np.isnan(spikes).all() for spikes in network.forward(images)]
    assert [*fired, False].index(False) == (moved[0] if moved else 3)
    said = complaint(network, images, "hidden", "output")
    words = f"no neuron of hidden layer {silent} fires for any of 6 images: what follows decides by its bias alone, and errors " \
            "reach nothing below; a smaller hidden may help"
    assert said == (words if silent else "") and complaint(network, images[:0]) == ""


@pytest.mark.parametrize("images", [[[0.0, 0.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]]])
def test_a_hidden_layer_that_fires_for_some_image_is_not_silent(images):
    """Whichever of them it is."""
    network = LayeredNetwork((np.array([[7.0, 7.0, 4.0], [6.5, 7.0, 4.0]]), np.array([[6.0, 7.0, 7.0], [7.0, 6.0, 7.0]])))
    assert [not np.isnan(spikes).all() for spikes in network.forward(np.array(images))[0]] == [image[0] > 0 for image in images]
    assert complaint(network, np.array(images)) == ""
