"""Energies of one error: each write is of its own column, for as long as its rows are high, with
the dose of its layer.
"""

import dataclasses

import numpy as np
import pytest

from memristive.costs.dissipation import write_energies
from memristive.learning.rule import LayeredRule
from memristive.network.design import LayerDesign
from memristive.spice.session import temporary_circuits
from memristive.writing.at_once import ColumnDose
from studies.layers import ErrorExample, error_energies, find_error
from tests.network.networks import random_network

RULE = LayeredRule(hidden_dose=0.3, output_dose=0.06)
IMAGE = np.array([1.0, 0.2, 0.7, 0.4])


@pytest.mark.parametrize("voltage", [1.0, 2.0])
@pytest.mark.parametrize("sizes", [(4, 6, 3), (4, 3)])
def test_writes_take_what_the_closed_form_of_their_doses_says(sizes, voltage, ngspice):
    """Rows of the image are high for the whole write, rows of hidden neurons from their spikes to
    that of the written one.
    """
    network = random_network(sizes, seed=1, spread=1.5)
    network = dataclasses.replace(network, design=LayerDesign(write_voltage=voltage))
    times = [layer[0] for layer in network.forward(IMAGE[None])]
    label, wrong = int(np.argmax(np.nan_to_num(times[-1], nan=1.0))), int(np.nanargmin(times[-1]))
    with temporary_circuits():
        energy = error_energies(network, RULE, ErrorExample(IMAGE, label, wrong))
    levels, last, found = np.append(IMAGE, 1.0), len(sizes) - 2, {}
    for name, column, dose in (("right", label, 0.06), ("wrong", wrong, -0.06)):
        shares = levels
        if last:
            rows = np.append(np.nan_to_num(times[0], nan=1.0), network.start_time)
            end = np.nan_to_num(times[1][column], nan=network.design.window)
            shares = np.maximum(end - rows, 0.0) / 150e-6
        found[f"{name}_output"] = write_energies(network, last, ColumnDose(column, dose, shares))
    if last:
        found["hidden"] = write_energies(network, 0, ColumnDose(0, 0.3, levels))
    assert ("write_hidden_J" in energy) == bool(last)
    for name, (drawn, _) in found.items():
        assert energy[f"write_{name}_J"] == pytest.approx(drawn.rows + drawn.bias, rel=0.02)


def test_the_example_is_the_first_image_that_the_rule_writes_for():
    network = random_network((4, 6, 3), seed=1, spread=1.5)
    images = np.random.default_rng(4).random((200, 4))
    times = network.first_spikes(images)
    fired = (~np.isnan(times)).sum(axis=1) >= 2
    images, ordered = images[fired], np.sort(times[fired], axis=1)
    first, second = np.argsort(times[fired], axis=1)[:, :2].T
    leads = ordered[:, 1] - ordered[:, 0]
    short = int(np.argmin(leads))
    for margin, k, written in ((leads[short] * 1.0001, short, True), (0.0, 0, False)):
        found = find_error(network, LayeredRule(margin=margin), images, first)
        assert (found.label, found.wrong, found.written) == (first[k], second[k], written)
        assert np.array_equal(found.image, images[k])
