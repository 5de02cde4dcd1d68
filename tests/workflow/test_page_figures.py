"""What pages show and print where little or nothing happens."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import plotting
from datasets import Dataset
from memristive.cli.inference import shown
from memristive.cli.page_figures import membranes_figure
from memristive.cli.training_runs import print_trained
from studies.layers_figures import _hidden_spikes


@pytest.fixture(autouse=True)
def without_windows():
    plotting.style()
    yield
    plt.close("all")


@pytest.mark.parametrize("high", [1.0, 3.0])
def test_outputs_of_silent_neurons_are_drawn_low(high):
    time, membranes, low = np.linspace(0, 1e-3, 20), np.ones((4, 20)), np.full((4, 20), 1e-9)  # V, ngspice's low outputs

    def ends(outputs):
        panel = membranes_figure(time, membranes, outputs, 4.0, "X+U=", [0.0], high, 1e-3).axes[1]
        assert panel.get_ylabel() == f"output ({high:g} V high)"
        return [line.get_ydata()[-1] for line in panel.lines]
    assert ends(low) == pytest.approx([0, -1, -2, -3], abs=1e-6)
    assert ends(low + high) == pytest.approx([0.75, -0.25, -1.25, -2.25], abs=1e-6)
    assert ends(low + 1.2 * high) == pytest.approx([0.75, -0.25, -1.25, -2.25], abs=1e-6)  # none leaves its lane


def test_a_millisecond_is_shown_or_as_much_as_holds_the_first_spikes():
    assert shown(np.array([[2e-4, 3e-3], [np.nan, 9e-4]])) == 1e-3
    assert shown(np.full((2, 2), np.nan)) == 1e-3
    assert shown(np.array([[2e-4, 3e-3], [np.nan, 1.5e-3]])) == pytest.approx(2e-3)


def test_raster_of_silent_neurons_says_so():
    axis, = plotting.spike_raster(np.full((3, 3), np.nan), "abc").axes
    assert [text.get_text() for text in axis.texts] == ["no neuron fires"] and not len(axis.get_xticks())
    axis, = plotting.spike_raster(np.array([[1e-4, np.nan], [np.nan, np.nan]]), "ab").axes
    assert [text.get_text() for text in axis.texts] == ["a"] and len(axis.get_xticks())


def test_hidden_neurons_are_counted_in_whole_numbers():
    for count in (1, 2, 16):
        _, axis = plt.subplots()
        _hidden_spikes(axis, np.where(np.arange(16) < count, 20.0, np.nan), None, 0)
        ticks = axis.get_yticks()
        assert len(ticks) >= 1 and (ticks == np.round(ticks)).all(), count


def test_classes_without_a_lit_or_a_dark_pixel_are_printed(capsys):
    patterns = np.array([[0, 0], [1, 0], [1, 1]])
    print_trained(Dataset("own", patterns, ("a", "b", "c"), (1, 2)), np.array([[0.1, 0.2], [7.0, 0.3], [7.1, 7.2]]), 7.04)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a", "0", "-", "-", "2", "0.1000", "0.2000"] in rows and ["c", "2", "7.1000", "7.2000", "0", "-", "-"] in rows
    assert ["b", "1", "7.0000", "7.0000", "1", "0.3000", "0.3000"] in rows


def test_a_membrane_above_its_threshold_is_within_its_panel():
    volts = np.full((2, 9), 7.0)
    figure = membranes_figure(np.linspace(0, 2e-3, 9), volts, 0 * volts, 4.0, "AB", [0.0, 1e-3])
    assert figure.axes[0].get_ylim()[1] > 7


def test_the_threshold_that_is_drawn_is_the_neurons_own():
    figure = membranes_figure(np.linspace(0, 1e-3, 9), np.ones((2, 9)), np.zeros((2, 9)), 2.5, "AB", [0.0])
    assert list(figure.axes[0].lines[-1].get_ydata()) == [2.5, 2.5]
    assert figure.legends[0].get_texts()[-1].get_text() == "threshold 2.5 V"
