"""How far the closed form is off where it says that it does not hold: what docs/closed_form.md says of it, on two test images."""

import dataclasses

import numpy as np
import pytest

from datasets import encode, load_mnist
from memristive.cli.experiments import mnist_experiment
from memristive.io.files import ROOT
from memristive.io.voltages import load_voltages
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.pulses import READING


@pytest.mark.parametrize(("memristor", "neuron", "least", "most"), [
    ({}, {}, -4e-9, -1e-9), ({"length": 1e-3}, {"feedback_resistance": 10}, -0.26e-6, -0.13e-6),
    ({"length": 1e-2}, {"feedback_resistance": 100}, -26e-6, -14e-6),
    ({}, {"amplifier_output_resistance": 1e3}, 10e-9, 60e-9), ({}, {"amplifier_output_resistance": 3e3}, 0.2e-6, 70.5e-6)])
def test_spikes_are_off_by_what_the_page_says(memristor, neuron, least, most, ngspice):
    """`feedback_resistance`: times the usual one."""
    experiment = mnist_experiment()
    states = load_voltages(ROOT / "voltages" / "mnist_error_driven.json", "mnist", 10, 100).states
    network = experiment.network
    given = {name: value * network.neuron.feedback_resistance if name == "feedback_resistance" else value
             for name, value in neuron.items()}
    network = dataclasses.replace(network, memristor=dataclasses.replace(network.memristor, **memristor),
                                  neuron=dataclasses.replace(network.neuron, **given))
    images = encode(load_mnist("x_test", first=2)["x_test"], encoding="binary")
    reader = Reader(ngspice, network, experiment.schedule, 10, READING.tightened())
    off = np.array([reader.spikes(states, image, 3) for image in images]) - Crossbar.of(
        network, experiment.schedule).first_spikes(states, images)
    assert np.isfinite(off).sum() >= 6 and least < np.nanmin(off) <= np.nanmax(off) < most
