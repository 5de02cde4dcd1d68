"""Figures of the studies from made-up results, no two of which are alike: every line, band and image is where it belongs."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

import plotting
from datasets import Dataset
from memristive.multilayer.layer_rule import LayeredRule
from memristive.stdp.pattern_learning import Learned
from plotting import BLUE, COLOURS, GREY, ORANGE, SKY
from studies import gradient_angle as layer_gradient
from studies import hidden_neurons, iv, layers_figures, own_data
from studies import layer_variability as imperfect_layers
from studies import synapse_rule as instar
from studies import unsupervised_figures as stdp_figures
from studies.device_variability import summary
from studies.device_variability_figures import FIGURES, ROUTES
from studies.engine_agreement_figure import engines_figure
from studies.stdp_window import window_figure
from tests.learning.test_layers import random_network
from tests.test_plotting import outside, visible_texts

IDEAL = {"grey": 0.91, "binary": 0.83}
US = 1e-6


@pytest.fixture(autouse=True)
def without_windows():
    yield
    plt.close("all")


def points(line):
    """Of a line, rounded, as (x, y) pairs."""
    return [(round(float(x), 6), round(float(y), 6)) for x, y in zip(*line.get_data(), strict=True)]


def ends(collection):
    """Of a band: x, lowest and highest y."""
    corners = collection.get_paths()[0].vertices
    return [(round(float(x), 6), *(round(float(found(corners[corners[:, 0] == x, 1])), 6) for found in (min, max)))
            for x in np.unique(corners[:, 0])]


def chips(section, kinds, keys, encodings=("grey",), routes=("in situ",)):
    """Rows of three chips each, whose accuracies are all different."""
    asked = list(itertools.product(encodings, kinds, routes, keys))
    return [{"section": section, "encoding": encoding, "kind": kind, "route": route, "key": key,
             "accuracy": 0.4 + 0.4 * k / len(asked) + extra}
            for k, (encoding, kind, route, key) in enumerate(asked) for extra in (0.0, 0.01, 0.05)]


def shown(rows, scale, ideal=None, **what):
    """The line and the band of those `rows` that are `what`, in per cent, behind an ideal chip where there is one."""
    found = [row for row in summary(rows) if all(row[name] == value for name, value in what.items())]
    found = [{"key": 0.0, "mean": ideal, "low": ideal, "high": ideal}] * (ideal is not None) + found
    of = [[round(float(number), 6) for number in (scale * row["key"], *(100 * row[name] for name in ("mean", "low", "high")))]
          for row in found]
    return [(x, mean) for x, mean, _, _ in of], [(x, low, high) for x, _, low, high in of]


def test_spreads_and_stuck_cells_are_drawn_panel_by_panel_and_route_by_route():
    kinds, encodings = ("neurons", "cells", "both"), ("grey", "binary")
    rows = chips("spread", kinds, (0.1, 0.02), encodings, tuple(ROUTES))
    axes = FIGURES["spread"].draw(summary(rows), IDEAL).axes
    for axis, (encoding, kind) in zip(axes, itertools.product(encodings, kinds), strict=True):
        *lines, ideal = axis.lines
        for line, band, route in zip(lines, axis.collections, ROUTES, strict=True):
            start = None if route == "software" else IDEAL[encoding]  # the regression's weights are not the ideal chip's
            assert (points(line), ends(band)) == shown(rows, 100, start, encoding=encoding, kind=kind, route=route)
            assert line.get_color() == ROUTES[route][0] and line.get_label() == ROUTES[route][2]
        assert set(ideal.get_ydata()) == {100 * IDEAL[encoding]}
    stuck = chips("stuck", ("half off, half on",), (0.05, 0.01), encodings, ("in situ", "ex situ"))
    for axis, encoding in zip(FIGURES["stuck"].draw(summary(rows + stuck), IDEAL).axes, encodings, strict=True):
        for line, band, route in zip(axis.lines[:2], axis.collections, ("in situ", "ex situ"), strict=True):
            assert (points(line), ends(band)) == shown(stuck, 100, IDEAL[encoding], encoding=encoding, route=route)
        assert set(axis.lines[2].get_ydata()) == {100 * IDEAL[encoding]} and encoding in axis.get_title()


def test_noise_forgetting_and_recovery_are_drawn_over_what_is_varied():
    reads, writes = chips("read noise", ("10", "2"), (0.0, 0.1, 0.005)), chips("write noise", ("",), (3.0, 0.1))
    left, right = FIGURES["noise"].draw(summary(reads + writes), IDEAL).axes
    for line, band, margin in zip(left.lines, left.collections, ("2", "10"), strict=False):  # by size; no noise has no place here
        noisy = [row for row in reads if row["key"] > 0]
        assert (points(line), ends(band)) == shown(noisy, 1e3, kind=margin) and line.get_label() == f"{margin} µs"
    assert (points(right.lines[0]), ends(right.collections[0])) == shown(writes, 100)
    assert left.get_ylim() == (40, 100)  # below the lowest, 40 %
    old = chips("retention", ("0.1", "0"), (0.7, 0.0, 0.1))
    axis, = FIGURES["retention"].draw(summary(old), IDEAL).axes
    for line, band, spread in zip(axis.lines, axis.collections, ("0", "0.1"), strict=False):
        assert (points(line), ends(band)) == shown(old, 1, kind=spread)
        assert line.get_label() == f"rates spread by {100 * float(spread):g} %"
    again = chips("recovery", ("2% spread, from ex-situ weights", "2% spread, from fresh cells"), (300.0, 100.0))
    axis, = FIGURES["recovery"].draw(summary(again), IDEAL).axes
    for line, kind, dashes in zip(axis.lines, ("2% spread, from ex-situ weights", "2% spread, from fresh cells"), ("-", "--"),
                                  strict=False):
        assert points(line) == shown(again, 1, kind=kind)[0]
        assert line.get_linestyle() == dashes and line.get_label() == kind.replace("% ", " % ")


def test_layers_on_chips_and_of_all_sizes_are_drawn_with_their_lowest_and_highest():
    rows = [{"spread": spread, "route": route, "seed": seed, "strict_accuracy": 0.5 + spread + 0.1 * (route == "ex situ") + extra}
            for spread in (0.02, 0.1) for route in ("in situ", "ex situ") for seed, extra in ((1, 0.0), (2, 0.01), (3, 0.05))]
    axis, = imperfect_layers.spread_figure(imperfect_layers.summary(rows), 0.97).axes
    for line, band, base in zip(axis.lines[:2], axis.collections, (50, 60), strict=True):
        assert points(line) == [(0, 97), (2, base + 4), (10, base + 12)]
        assert ends(band) == [(0, 97, 97), (2, base + 2, base + 7), (10, base + 10, base + 15)]
    assert set(axis.lines[2].get_ydata()) == {97}
    sizes = hidden_neurons.summary([{"hidden": hidden, "strict_accuracy": 0.8 + hidden / 1000 + extra}
                                    for hidden in (0, 25, 100) for extra in (0.0, 0.01, 0.05)])
    axis, = hidden_neurons.accuracy_figure(sizes, 600).axes
    assert points(axis.lines[0]) == [(25, 84.5), (100, 92)]
    bars = [[round(y, 6) for y in bar[:, 1]] for bar in axis.containers[0].lines[2][0].get_segments()]
    assert bars == [[82.5, 87.5], [90, 95]]
    assert {round(y, 6) for line in axis.lines if line.get_linestyle() == "--" for y in line.get_ydata()} == {82}


def test_angles_are_counted_in_per_cent_of_the_errors_of_their_layer():
    degrees = {"before": {"hidden": [10.0] * 3 + [50.0], "output": [20.0, 40.0]}, "after": {"hidden": [70.0], "output": [5.0]}}
    axes = layer_gradient.angles_figure({when: {"degrees": found} for when, found in degrees.items()}).axes
    for axis, layer in zip(axes, ("hidden", "output"), strict=True):
        for bars, angles in zip(axis.containers, (degrees[when][layer] for when in degrees), strict=True):
            for bar in bars:
                counted = sum(bar.get_x() <= angle < bar.get_x() + 3 for angle in angles)
                assert bar.get_height() == pytest.approx(100 * counted / len(angles))
        assert {f"{when}: median {np.median(found[layer]):.0f}°" for when, found in degrees.items()} < set(
            axis.get_legend_handles_labels()[1])


def test_both_engines_spikes_and_their_difference_are_those_of_each_network():
    form = np.array([[50.0, 60.0, np.nan], [70.0, 400.0, 80.0]]) * US  # the late one is not drawn
    networks = [(name, form + k * US, form + k * US + (20 + k) * 1e-9) for k, name in enumerate(("mnist", "one more"))]
    both, difference, falling = engines_figure(networks, (2e-6, 1e-6), [[8.0, 3.0], [9.0, 4.0]]).axes
    for k in range(2):
        x = np.array([50.0, 60, 70, 80]) + k
        assert both.lines[k].get_xdata() == pytest.approx(x) and both.lines[k].get_ydata() == pytest.approx(x + 0.02 + k / 1000)
        assert difference.lines[k].get_xdata() == pytest.approx(x) and difference.lines[k].get_ydata() == pytest.approx(20 + k)
        assert points(falling.lines[k]) == [(2, 8 + k), (1, 3 + k)]


def test_hidden_neurons_are_shown_beneath_the_class_that_they_help_most():
    network = random_network((4, 3, 2), seed=5)
    first, last = network.states
    last[:, :-1] = [[5.0, 6.0, 4.0], [7.0, 4.0, 3.0]]  # the first neuron helps B, the others A
    axes = [axis for axis in layers_figures.hidden_images(network, (2, 2), "AB").axes if axis.images]
    assert [axis.get_title() for axis in axes] == ["A", "A", "B"]
    for axis, neuron in zip(axes, (1, 2, 0), strict=True):
        assert np.array_equal(axis.images[0].get_array(), first[neuron, :-1].reshape(2, 2))


def test_a_raster_tells_by_colour_who_helps_and_by_a_line_what_decides():
    late_helps = np.array([[6.0, 3.0, 6.0], [5.0, 5.0, 5.0]])  # of the first class: neuron 1 helps the other one
    _, axis = plt.subplots()
    layers_figures._hidden_spikes(axis, np.array([30.0, 20.0, np.nan]), np.hstack([late_helps, np.ones((2, 1))]), 0)
    dots = axis.collections[-1]
    assert dots.get_offsets().tolist() == [[20, 0], [30, 1]]
    assert [to_hex(colour) for colour in dots.get_facecolors()] == [ORANGE.lower(), BLUE.lower()]
    network, image = random_network((4, 3, 2), seed=5), np.linspace(0.4, 1.0, 4)
    network.states[1][:, -1] = 8.0, 9.0  # both outputs fire
    last = network.first_spikes(image[None])[0] / US
    assert np.isfinite(last).all()
    _, upper, lower = layers_figures.raster(network, image, (2, 2), int(np.argmax(last)), "AB").axes
    for axis in (upper, lower):
        assert axis.lines[-1].get_xdata()[0] == pytest.approx(last.min())
    outputs = lower.collections[0]
    assert outputs.get_offsets().tolist() == [[pytest.approx(time), j] for j, time in enumerate(last)]
    wanted = [to_rgba(BLUE if j == np.argmax(last) else GREY) for j in range(2)]
    assert [tuple(colour) for colour in outputs.get_facecolors().tolist()] == wanted


def test_a_back_read_is_sorted_by_what_is_read_with_who_is_written():
    computed, settled = np.array([0.1, 0.3, 0.2]), np.array([0.9, 0.1, 0.0])
    simulated = computed + np.array([0.01, 0.02, 0.04])
    upper, lower = layers_figures.back_read(simulated, computed, settled, LayeredRule(reach=0.5), "").axes
    bars = sorted((bar.get_x() + 0.4, bar.get_height(), to_hex(bar.get_facecolor()) == SKY.lower()) for bar in upper.patches)
    assert [written for *_, written in bars] == [False, False, True]
    assert [height for _, height, _ in bars] == [0.3, 0.2, 0.1]
    assert upper.collections[0].get_offsets()[:, 1].tolist() == pytest.approx([0.32, 0.24, 0.11])
    assert lower.collections[0].get_offsets()[:, 1].tolist() == pytest.approx([20, 40, 10])  # mV, ngspice less closed form


def test_one_devices_figures_show_each_quantity_on_its_own_axis():
    time = np.linspace(0, 4e-3, 5)
    loop, state, voltage = iv.loop_figure(time, np.arange(5.0), 1e-6 * np.arange(5.0) ** 2, 10 + np.arange(5.0)).axes
    assert points(loop.lines[0]) == [(0, 0), (1, 1), (2, 4), (3, 9), (4, 16)] and "µA" in loop.get_ylabel()
    assert points(state.lines[0]) == [(k, 10 + k) for k in range(5)] and "V" in state.get_ylabel()
    assert points(voltage.lines[0]) == [(k, k) for k in range(5)] and "ms" in voltage.get_xlabel()
    loops, areas = iv.fingerprints_figure([(1e3, np.arange(3.0), np.ones(3), 0.5), (5e3, np.arange(3.0), np.zeros(3), 0.1)]).axes
    assert points(areas.lines[0]) == [(1e3, 0.5), (5e3, 0.1)]
    assert loops.lines[0].get_ydata().tolist() == [1, 1, 1] and loops.lines[0].get_label() == "1 kHz"
    axis, = window_figure([-1e-3, 2e-3], [0.1, 0.2], [-2e-3, 1e-3], [0.3, 0.4]).axes
    assert [points(line) for line in axis.lines[:2]] == [[(-2, 0.3), (1, 0.4)], [(-1, 0.1), (2, 0.2)]]


def test_the_instar_rules_figures_have_ngspices_points_on_the_closed_forms_lines():
    shape = (len(instar.STATES), len(instar.VOLTS), 2)
    measured = np.arange(np.prod(shape)).reshape(shape) / 10
    fine, curves = np.array([0, 1e-3, 3e-3]), np.arange(np.prod((*shape[:2], 3))).reshape(*shape[:2], 3) / 20
    axes = instar.rule_figure(np.array([1e-3, 2e-3]), measured, fine, curves, np.array([0.1, 2.3, 4.5])).axes
    for v, axis in enumerate(axes):
        assert set(axis.lines[0].get_ydata()) == {(0.1, 2.3, 4.5)[v]}  # where X tends to
        for s, (line, dots) in enumerate(zip(axis.lines[1::2], axis.lines[2::2], strict=True)):
            assert line.get_ydata() == pytest.approx(curves[s, v]) and line.get_xdata() == pytest.approx([0, 1, 3])
            assert dots.get_ydata() == pytest.approx(measured[s, v]) and dots.get_xdata() == pytest.approx([1, 2])
            assert line.get_color() == dots.get_color() == COLOURS[s]
    axis, = instar.own_window_figure(*map(np.array, ([-1e-3, 1e-3], [0.1, 0.2], [-2e-3, 1e-3], [0.3, 0.4]))).axes
    assert [points(line) for line in axis.lines[:2]] == [[(-2, 0.3), (1, 0.4)], [(-1, 0.1), (1, 0.2)]]


def test_a_raster_of_ones_own_data_has_every_neurons_spikes_under_its_name():
    spikes = np.array([[10.0, 20.0], [40.0, np.nan], [30.0, 5.0]]) * US
    axis, = own_data.raster(spikes, np.array([0, 1, 0]), ["left", "right"]).axes
    assert [line.get_label() for line in axis.lines] == ["left", "right"]
    assert [line.get_xdata() == pytest.approx(spikes[:, j] / US, nan_ok=True) for j, line in enumerate(axis.lines)] == [True] * 2
    assert [text.get_text() for text in axis.get_yticklabels()] == ["left", "right", "left"]


@pytest.fixture
def learned():
    """Four presentations of two patterns to three neurons of 2 x 2 pixels and their complements, and the patterns."""
    states, homeostasis = np.arange(5 * 3 * 8).reshape(5, 3, 8) / 100, np.arange(15).reshape(5, 3) / 100
    patterns = Dataset("two", np.array([[1.0, 0, 0, 0], [0, 1.0, 1.0, 0]]), ("A", "B"), (2, 2))
    return Learned(2, np.array([0, 1, 1, 0]), np.array([2, 1, 1, 2]), states, homeostasis), patterns


def image_of(states):
    """Pixels on the left, complements on the right."""
    return np.hstack(states.reshape(2, 2, 2))


def test_weights_stand_under_their_presentation_and_beside_their_neurons_pattern(learned, monkeypatch):
    run, dataset = learned
    monkeypatch.setattr(stdp_figures, "snapshots", lambda presentations: np.array([0, 1, presentations]))
    axes = [axis for axis in stdp_figures.weights_over_time(run, dataset).axes if axis.images]
    titles = [int(axis.get_title()) for axis in axes if axis.get_title()]
    assert titles == [0, 1, 4]
    for place, axis in enumerate(axes):
        neuron, when = place // len(titles), titles[place % len(titles)]
        assert np.array_equal(axis.images[0].get_array(), image_of(run.states[when, neuron]))
    names = [axis.get_ylabel().split("\n")[1] for axis in axes[::len(titles)]]
    assert names == ["pattern –", "pattern B", "pattern A"]


def test_winners_have_their_patterns_colour_and_thresholds_rise_with_homeostasis(learned):
    run, dataset = learned
    own = np.linspace(1.0, 2.0, len(run.homeostasis[0]))
    upper, lower = stdp_figures.winners_and_thresholds(run, dataset, own).axes
    assert [(points(line), line.get_label()) for line in upper.lines] == [([(0, 2), (3, 2)], "A"), ([(1, 1), (2, 1)], "B")]
    for neuron, line in enumerate(lower.lines):
        assert line.get_ydata() == pytest.approx(own[neuron] + run.homeostasis[:, neuron])


def test_a_frame_shows_the_pattern_and_every_neuron_after_it(learned, tmp_path, monkeypatch):
    run, dataset = learned
    frames, show = [], stdp_figures._frame

    def seen(figure, axes, drawn, *more):
        show(figure, axes, drawn, *more)
        bold = [axis.get_title() for axis in axes[1:] if axis.title.get_fontweight() == "bold"]
        frames.append((*(image.get_array() for image in drawn), bold))
    monkeypatch.setattr(stdp_figures, "_frame", seen)
    stdp_figures.save_animation(run, dataset, tmp_path, "moving")
    for n, (pattern, *neurons, bold) in enumerate(frames):
        assert np.array_equal(pattern, dataset.patterns[run.order[n]].reshape(2, 2))
        assert all(np.array_equal(seen, image_of(run.states[n + 1, j])) for j, seen in enumerate(neurons))
        assert bold == [f"neuron {run.winners[n]}"]
    assert len(frames) == 4


def test_fields_of_mnist_stand_under_their_digit_and_over_the_images_presented():
    states, digits = np.arange(3 * 6 * 4).reshape(3, 6, 4) / 10, np.array([7, 1, 3, 0, 9, 2])
    axes = [axis for axis in stdp_figures.receptive_fields(states[-1], digits, (2, 2)).axes if axis.images]
    for axis, neuron in zip(axes, np.argsort(digits), strict=False):
        if axis.get_title():
            assert axis.get_title() == str(digits[neuron])
            assert np.array_equal(axis.images[0].get_array(), states[-1, neuron].reshape(2, 2))
    axes = [axis for axis in stdp_figures.fields_over_time(states, 1000, (2, 2)).axes if axis.images]
    assert [axis.get_title() for axis in axes[:3]] == ["0", "1,000", "2,000"]
    for place, axis in enumerate(axes):
        assert np.array_equal(axis.images[0].get_array(), states[place % 3, place // 3].reshape(2, 2))
    winners = np.array([0, 0, 0, 1, 2, -1, 1, 1, 2])
    upper, lower = stdp_figures.thresholds_over_time(1.0 + states[..., 0], winners, 3000).axes
    assert points(upper.lines[1]) == [(3.0 * k, round(1.0 + states[k, 1, 0], 6)) for k in range(3)]
    assert [(line.get_label(), line.get_ydata().tolist()) for line in lower.lines] == [
        ("first third of the run", [3, 0, 0, 0, 0, 0]), ("last third of the run", [2, 1, 0, 0, 0, 0])]


def test_published_accuracies_stand_beside_under_their_sources_names():
    found = [stdp_figures.Accuracy("grey", 100, 0.9, 0.89), stdp_figures.Accuracy("binary", 50, 0.8, None)]
    axis, = stdp_figures.accuracy_against_neurons(found, (("one", 100, 0.7), ("other", 300, 0.6), ("one", 400, 0.75))).axes
    named = {line.get_label(): points(line) for line in axis.lines if not line.get_label().startswith("_")}
    assert named == {"grey 10x10, read by ngspice": [(100, 89)], "one": [(100, 70), (400, 75)], "other": [(300, 60)]}


def test_names_bars_and_legends_of_small_networks_and_long_names_are_whole():
    names = ["Iris-versicolor", "Quercus-petraea", "Fagus-sylvatica", "Betula-pendula", "Acer-campestre", "Iris-setosa"]
    confusions = [plotting.confusion(np.eye(n, n + 2, dtype=int), names[:n], ("tied", "silent"), "samples") for n in (4, 6)]
    hidden = [layers_figures.hidden_images(random_network((4, count, 2), seed=5), (2, 2), "AB") for count in (3, 12, 30)]
    for figure in (*confusions, *hidden):
        figure.canvas.draw()
        texts = visible_texts(figure)
        assert outside(texts, figure) == []
        boxes = [np.array(label.get_window_extent()) for label in figure.axes[0].get_xticklabels() if label.get_text()]
        straight = not any(label.get_rotation() for label in figure.axes[0].get_xticklabels())
        assert not straight or all(one[1, 0] < two[0, 0] for one, two in itertools.pairwise(boxes))
    sizes = hidden_neurons.summary([{"hidden": size, "strict_accuracy": share} for size, share in
                                    ((0, 0.9), (25, 0.6), (25, 0.9), (100, 0.9), (100, 0.99))])
    axis, = hidden_neurons.accuracy_figure(sizes, 600).axes
    low, high = axis.get_ylim()
    assert low < 60 and high > 99  # every seed


def test_thresholds_of_more_neurons_than_colours_are_told_apart():
    many = len(COLOURS) + 2
    learned = Learned(2, np.array([0, 1]), np.array([0, 1]), np.zeros((3, many, 9)), np.zeros((3, many)))
    task = Dataset("two", np.zeros((2, 9)), ("A", "B"), (3, 3))
    _, lower = stdp_figures.winners_and_thresholds(learned, task, np.full(many, 4.0)).axes
    looks = [(line.get_color(), line.get_linestyle()) for line in lower.lines]
    assert len(set(looks)) == many


def test_marks_of_a_rasters_legend_are_in_no_panel():
    figure = layers_figures.raster(random_network((4, 3, 2), seed=5), np.full(4, 0.7), (2, 2), 0, "AB")
    assert all(axis.get_legend() is None for axis in figure.axes) and len(figure.legends) == 1


@pytest.mark.parametrize(("spikes", "said"), [
    ([76.5, 76.51, np.nan], "undecided: two outputs fire within 20 ns, after 76.5 µs; outputs stay high"),
    ([90.0, 76.5, 76.55], "the first output decides, after 76.5 µs; outputs stay high"), ([np.nan] * 3, "no output fires")])
def test_a_raster_says_who_decides_only_where_somebody_does(spikes, said):
    axis = plt.figure().subplots()
    layers_figures._output_spikes(axis, np.array(spikes), 0, "ABC")
    assert axis.get_title() == said


def test_the_learning_curve_of_a_size_is_its_first_seeds():
    rows = [{"hidden": hidden, "seed": seed, "presentations": [100, 600], "running_accuracy": [0.5, 0.9 + seed / 100]}
            for hidden in (0, 25, 100, 400) for seed in (1, 2)]
    axis, = hidden_neurons.learning_figure(rows).axes
    assert [points(line) for line in axis.lines] == [[(100, 50), (600, 9)]] * 4  # % wrong
