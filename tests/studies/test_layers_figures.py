"""Figures of layers whose number, reach or start is not the usual one."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from memristive.multilayer.layer_rule import LayeredRule
from plotting import BLUE, GREY, ORANGE, SKY
from studies import layers_figures
from tests.learning.test_layers import random_network


@pytest.fixture(autouse=True)
def without_windows():
    yield
    plt.close("all")


def test_of_two_hidden_layers_the_last_alone_says_whom_it_helps():
    network, image = random_network((4, 3, 5, 2), seed=5), np.linspace(0.4, 1.0, 4)
    for states in network.states:
        states[:, -1] = 9.0  # the bias makes all fire
    network.states[-1][:, :-1] = [[6, 4, 6, 4, 6], [5, 5, 5, 5, 5]]  # neurons 0, 2 and 4 help the first class
    figure = layers_figures.raster(network, image, (2, 2), 0, "AB")
    _, first, second, _ = figure.axes
    assert np.isfinite(np.concatenate([times[0] for times in network.forward(image[None])])).all()
    assert {to_hex(colour) for colour in first.collections[-1].get_facecolors()} == {GREY.lower()}
    assert {to_hex(colour) for colour in second.collections[-1].get_facecolors()} == {BLUE.lower(), ORANGE.lower()}
    order = np.argsort(network.forward(image[None])[1][0])
    helps = [to_hex(colour) == BLUE.lower() for colour in second.collections[-1].get_facecolors()]
    assert helps == [neuron % 2 == 0 for neuron in order]


def test_hidden_neurons_of_a_layer_below_another_stand_under_no_class():
    figure = layers_figures.hidden_images(random_network((4, 3, 5, 2), seed=5), (2, 2), "ABCDE")
    assert [axis.get_title() for axis in figure.axes if axis.images] == ["", "", ""]
    assert figure.get_suptitle() == "Hidden neurons' weights"


def test_colours_of_weights_reach_as_far_to_either_side_of_no_weight():
    network = random_network((4, 3, 2), seed=5)
    network.states[0][:] = 3.0  # 5 V has no weight
    images = [axis.images[0] for axis in layers_figures.hidden_images(network, (2, 2), "AB").axes if axis.images]
    assert [image.get_clim() for image in images] == [(3, 7)] * 3


def test_who_is_written_is_whose_membrane_reaches_the_rules_own_share_of_the_threshold():
    rule = LayeredRule(reach=0.8)
    computed, settled = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.9, 0.8, 0.79, 0.0])
    upper, _ = layers_figures.back_read(np.zeros(4), computed, settled, rule, "").axes
    bars = sorted((bar.get_x(), to_hex(bar.get_facecolor()) == SKY.lower()) for bar in upper.patches)
    assert [written for _, written in bars] == [True, True, False, False]
    assert "closed form, written (membrane at 0.8 thresholds or above)" in upper.get_legend_handles_labels()[1]
