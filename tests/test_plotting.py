"""Every figure, drawn from data of the size it is meant for: labelled with units, no text on another, saved whole."""

import itertools
import os
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

import memristor_figures
import plotting
from benchmarks.growth import growth_figure
from benchmarks.soak import soak_figure
from datasets import Dataset, digits_012345, xpue
from memristive.cli.page_figures import lead_histogram, learning_figure, membranes_figure
from memristive.io.files import FileProblem
from studies import iv
from studies.stdp_window import window_figure
from tools import schematics

DIGITS = tuple("0123456789")


def waveforms(count, pulses, seconds):
    """Non-uniform time points and `count` trapezoidal waveforms with `pulses` pulses."""
    time = np.sort(np.concatenate([np.linspace(0, seconds, 60), *(
        k * seconds / pulses + np.array([0, 1e-5, 2e-3, 2.01e-3]) for k in range(pulses))]))
    shape = ((time * pulses / seconds) % 1 < 0.3).astype(float)
    return time, np.outer(np.linspace(0.5, 1, count), shape)


def charging(classes, pulses, period=6e-3):
    """Membranes and outputs of `classes` neurons that charge towards different voltages in each of `pulses` pulses."""
    time = np.sort(np.concatenate([k * period + np.geomspace(1e-6, 0.9 * period, 80) for k in range(pulses)]))
    rising = -np.expm1(-(time % period) / 150e-6)
    finals = np.array([[3 + (j - k) % classes for k in (time / period).astype(int)] for j in range(classes)])
    membranes = finals * rising
    return time, membranes, (membranes > 4).astype(float), [k * period for k in range(pulses)]


def spikes(classes):
    times = 80e-6 + 300e-6 * np.random.default_rng(3).random((classes, classes))
    times[0, 1:4] = times[0, 0]  # ties
    times[1] = np.nan  # all silent
    return times


T = np.linspace(0, 10e-3, 500)
SINE = np.sin(2e3 * np.pi * T)
GENERATOR = np.random.default_rng(1)
MNIST_LIKE = Dataset("mnist", GENERATOR.random((10, 100)), DIGITS, (10, 10))
FIGURES = {
    "theoretical_iv": lambda: memristor_figures.theoretical_figure(SINE, SINE),
    "memristor_iv": lambda: iv.loop_figure(T, SINE, 1.5 * SINE, 18e3 * (1 + SINE)),
    "memristor_iv micro": lambda: iv.loop_figure(T / 100, SINE, 2e-6 * SINE, 0.02 * (1 + SINE)),
    "fingerprints": lambda: iv.fingerprints_figure([(10.0**k, SINE, SINE, 10.0**-k) for k in range(3, 9)]),
    "stdp_window": lambda: window_figure(T - 5e-3, SINE, T - 5e-3, SINE),
    "dataset_images 4": lambda: plotting.dataset_images(xpue()),
    "dataset_images 6": lambda: plotting.dataset_images(digits_012345()),
    "dataset_images 10": lambda: plotting.dataset_images(MNIST_LIKE),
    "pulses few": lambda: plotting.pulses(*waveforms(15, 6, 90e-3), "input"),
    "pulses many": lambda: plotting.pulses(*waveforms(100, 10, 60e-3), "input"),
    "pulses control": lambda: plotting.pulses(*waveforms(10, 10, 60e-3), "control", DIGITS),
    "memristor_states few": lambda: plotting.memristor_states(*waveforms(90, 6, 90e-3), 6, 15),
    "memristor_states many": lambda: plotting.memristor_states(*waveforms(1000, 10, 60e-3), 10, 100),
    "weight_images": lambda: plotting.weight_images(MNIST_LIKE.patterns, (10, 10), DIGITS),
    "weight_images before": lambda: plotting.weight_images(MNIST_LIKE.patterns, (10, 10), DIGITS, np.ones((10, 100))),
    "learning_curve": lambda: learning_figure(np.linspace(0.1, 0.9, 50000), np.arange(50000)),
    "spike_raster": lambda: plotting.spike_raster(spikes(10), DIGITS),
    "spike_raster silent": lambda: plotting.spike_raster(np.full((4, 4), np.nan), "X+U="),
    "confusion": lambda: plotting.confusion(GENERATOR.integers(0, 1001, (10, 12)), DIGITS, ["tied", "silent"]),
    "confusion 2": lambda: plotting.confusion(GENERATOR.integers(0, 1001, (2, 4)), "ab", ["tied", "silent"], "samples"),
    "lead_histogram": lambda: lead_histogram([*np.geomspace(1e-7, 1e-4, 500), np.inf, np.nan]),
    "lead_histogram narrow": lambda: lead_histogram(np.linspace(10e-6, 20e-6, 50)),
    "growth": lambda: growth_figure([(1000, 1.2, 0.04), (4000, 5.5, 0.15), (7840, 13, 0.41)]),
    "soak": lambda: soak_figure(0.03 + 0.005 * GENERATOR.random(2000), 60 + np.arange(2000) / 1e4),
} | {f"membranes {n}": lambda n=n: draw_membranes(n) for n in (4, 6, 10)}
SCHEMATICS = {"circuit_memristor": schematics.circuit_memristor, "circuit_network": schematics.circuit_network,
              "circuit_self_learning": schematics.circuit_self_learning, "circuit_layers": schematics.circuit_layers}


def draw_membranes(classes):
    time, membranes, outputs, starts = charging(classes, classes)
    return membranes_figure(time, membranes, outputs, 4.0, DIGITS[:classes], starts)


@pytest.fixture(autouse=True)
def without_windows():
    plotting.style()
    yield
    plt.close("all")


def visible_texts(figure):
    """All texts of a drawn figure: labels, titles, legends, annotations, tick labels within the axes' limits."""
    figure.canvas.draw()
    tick_labels = {id(label): axis.axison and low <= place <= high
                   for axis in figure.axes for scale in (axis.xaxis, axis.yaxis) for minor in (True, False)
                   for low, high in [sorted(scale.get_view_interval())]
                   for place, label in zip(scale.get_ticklocs(minor=minor), scale.get_ticklabels(minor=minor),
                                           strict=False)}
    return [text for text in figure.findobj(matplotlib.text.Text)
            if text.get_text().strip() and text.get_visible() and tick_labels.get(id(text), True)]


def overlaps(texts):
    """Pairs of texts that share more than a pixel."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2)
            if min(one.x1, two.x1) - max(one.x0, two.x0) > 1 and min(one.y1, two.y1) - max(one.y0, two.y0) > 1]


def outside(texts, figure):
    """Texts that the edge of the figure cuts."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [text for text, box in boxes
            if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.bbox.x1 or box.y1 > figure.bbox.y1]


UNIT = re.compile(r"\(.*\b(V|kV|mV|A|µA|ms|µs|s|Hz|MB)\b|\(%\)")
# Axes whose quantity has no unit say what they count or list.
UNITLESS = ("current / peak current", "pixel level", "input", "class (", "images", "image presented", "presentations",
            "decision", "true class", "cells (number)", "reads (number)", "before", "after")


def without_unit(figure):
    """Axis labels that name no unit, and axes with ticks but without a label."""
    labels = [label for axis in figure.axes if axis.axison for label in (axis.get_xlabel(), axis.get_ylabel())]
    bare = [axis for axis in figure.axes if axis.axison and not axis.get_xlabel()
            and any(tick.label1.get_visible() and tick.label1.get_text() for tick in axis.xaxis.get_major_ticks())]
    return [label for label in labels if label and not UNIT.search(label) and not label.startswith(UNITLESS)] + bare


@pytest.mark.parametrize("name", [*FIGURES, *SCHEMATICS])
def test_figure_is_legible_and_its_axes_have_units(name):
    figure = (FIGURES | SCHEMATICS)[name]()
    texts = visible_texts(figure)
    assert len(texts) > 4
    assert overlaps(texts) == []
    assert outside(texts, figure) == []
    assert min(text.get_fontsize() for text in texts) >= 9
    assert figure.get_figwidth() <= 8
    assert without_unit(figure) == []


def test_checks_of_legibility_notice_what_they_are_for():
    figure, axis = plt.subplots(figsize=(3, 2))
    axis.set(xlabel="time", title="a title far too long for a figure of three inches, so that its edges cut it off")
    axis.text(0.5, 0.5, "one")
    axis.text(0.51, 0.52, "two")
    texts = visible_texts(figure)
    assert ("one", "two") in overlaps(texts)
    assert any(text.startswith("a title") for text in outside(texts, figure))
    assert without_unit(figure) == ["time"]


def test_units_bring_the_largest_number_between_one_and_a_thousand():
    for values, factor, unit in (([1e-6, -2e-6], 1e6, "µA"), ([0.5], 1e3, "mA"), ([1.0], 1, "A"), ([4e3], 1e-3, "kA")):
        assert plotting.prefixed(values, "A") == (pytest.approx(factor), unit)


def test_non_uniform_time_is_drawn_where_it_belongs():
    time = np.array([0, 1e-3, 1.001e-3, 1.002e-3, 1.003e-3, 10e-3])  # most points lie within 3 us of 10 ms
    rows = np.tile([0, 0, 1.0, 1.0, 0, 0], (30, 1))
    image = plotting.pulses(time, rows, "input").axes[0].images[0].get_array()
    assert image[0].argmax() / image.shape[1] == pytest.approx(0.1, abs=0.01)


def test_shares_of_a_confusion_matrix_are_of_the_true_class():
    """Rows are true classes: of four images of b one is taken for a, of a's ninety-six none."""
    axis = plotting.confusion([[96, 0, 0], [1, 3, 0]], "ab", ["silent"]).axes[0]
    shown, = axis.collections
    assert np.reshape(shown.get_array(), (2, 3)).tolist() == [[100, 0, 0], [25, 75, 0]] and shown.get_clim() == (0, 100)
    counts = {text.get_position(): text.get_text() for text in axis.texts}
    assert counts[0, 1] == "1" and counts[1, 1] == "3" and counts[0, 0] == "96"
    inks = {text.get_position(): text.get_color() for text in axis.texts}
    assert (inks[0, 1], inks[1, 1]) == ("white", plotting.BLACK)  # of which cividis is dark below a half, bright above
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"] and axis.yaxis_inverted()
    assert [label.get_text() for label in axis.get_xticklabels()] == ["a", "b", "silent"]


def test_weights_before_and_after_have_one_scale_that_holds_them_all():
    """States before lie below and above those after; the colour bar goes with any of the images."""
    before, after = np.array([[1.0, 9.0], [2.0, 2.0]]), np.array([[3.0, 5.0], [4.0, 4.0]])
    for figure, range_, count in ((plotting.weight_images(after, (1, 2), "ab", before), (1, 9), 4),
                                  (plotting.weight_images(after, (1, 2), "ab"), (3, 5), 2)):
        images = figure.axes[0].images
        assert len(images) == count and {image.get_clim() for image in images} == {range_}
        assert [image.get_array().tolist() for image in images[-2:]] == [[[3, 5]], [[4, 4]]]
    alike = plotting.weight_images(np.full((3, 4), 3.0), (2, 2), "abc").axes[0].images
    assert len({image.get_clim() for image in alike}) == 1  # the last of equal ones had a colour of its own


def test_each_image_stands_upright_below_its_title_and_beside_the_name_of_its_row():
    before, after = np.arange(12.0).reshape(3, 4), 20 + np.arange(12.0).reshape(3, 4)
    axis = plotting.weight_images(after, (2, 2), "abc", before).axes[0]
    assert axis.yaxis_inverted() and len(axis.images) == 6
    for k, (image, title, pixels) in enumerate(zip(axis.images, axis.texts, [*before, *after], strict=False)):
        left, right, low, high = image.get_extent()
        assert left < right and low > high and image.origin == "upper"  # its first row of pixels is the upper one
        x, y = title.get_position()
        assert (title.get_text(), x) == ("abc"[k % 3], pytest.approx((left + right) / 2)) and high - 0.5 < y < high
        assert image.get_array().tolist() == pixels.reshape(2, 2).tolist()
        name, row = axis.texts[6 + k // 3], axis.images[k // 3 * 3].get_extent()
        assert name.get_text() == ("before", "after")[k // 3] and name.get_position()[1] == pytest.approx((low + high) / 2)
        assert list(row[2:]) == [low, high]
    assert {image.get_clim() for image in plotting.dataset_images(xpue()).axes[0].images} == {(0, 1)}


def test_each_class_has_a_panel_of_its_own_cells():
    states = np.arange(6.0)[:, None] * np.ones(5)
    figure = plotting.memristor_states(np.linspace(0, 10e-3, 5), states, 2, 3, "ab")
    shown = {axis.get_title(): [line.get_ydata()[0] for line in axis.lines] for axis in figure.axes}
    assert shown == {"class a": [0, 1, 2], "class b": [3, 4, 5]}


def test_a_cell_is_called_written_by_where_it_ends():
    """One rises, one falls, one stays low, one above half of the highest state, which tells."""
    time = np.linspace(0, 10e-3, 5)
    states = np.array([np.linspace(0, 7, 5), np.linspace(6, 1, 5), np.full(5, 0.5), np.full(5, 4.0)])
    figure = plotting.memristor_states(time, states, 2, 2, "ab")
    written, other = (line.get_color() for line in figure.legends[0].get_lines())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["written cells", "other cells"]
    panels = {axis.get_title(): axis.lines for axis in figure.axes}
    assert [line.get_color() for line in panels["class a"]] == [written, other]
    assert [line.get_color() for line in panels["class b"]] == [other, written]
    assert panels["class b"][1].get_ydata().tolist() == [4.0] * 5 and panels["class a"][0].get_xdata()[-1] == pytest.approx(10)


def test_each_class_of_a_map_of_states_has_its_label_at_its_rows():
    """Of three classes of forty cells each one stands at a voltage of its own."""
    states = np.repeat([[1.0], [5.0], [3.0]], 40, axis=0) * np.ones(20)
    axis = plotting.memristor_states(np.linspace(0, 10e-3, 20), states, 3, 40, "abc").axes[0]
    image, = axis.images
    assert image.get_extent() == pytest.approx([0, 10, 119.5, -0.5])  # ms; the first cell on top, a row for each
    rows = {label.get_text(): image.get_array()[round(place)] for place, label in zip(axis.get_yticks(), axis.get_yticklabels(),
                                                                                      strict=True)}
    assert {label: set(row.tolist()) for label, row in rows.items()} == {"a": {1.0}, "b": {5.0}, "c": {3.0}}
    assert [line.get_ydata()[0] for line in axis.lines] == [39.5, 79.5]


def test_stacked_pulses_say_the_volts_of_their_full_height():
    """Of pulses of 1.5 V and 3 V for 5 ms: the first trace is the highest line, half as high as the second."""
    time, shape = np.linspace(0, 5e-3, 6), np.array([0, 1, 1, 1, 1, 0.0])
    axis = plotting.pulses(time, np.outer([1.5, 3.0], shape), "input", "ab").axes[0]
    assert "(full height 3 V)" in axis.get_ylabel() and axis.get_xlabel() == "time (ms)"
    first, second = (line.get_ydata() for line in axis.lines)
    assert np.ptp(second) == pytest.approx(2 * np.ptp(first)) and first.min() > second.max() - 1e-9
    assert axis.lines[0].get_xdata()[-1] == pytest.approx(5.0)
    places = dict(zip((label.get_text() for label in axis.get_yticklabels()), axis.get_yticks(), strict=True))
    assert first.min() < places["a"] < first.min() + 0.75 and second.min() < places["b"] < second.min() + 0.75


def test_a_running_accuracy_is_drawn_in_per_cent_over_the_presentations():
    top, bottom = learning_figure(np.array([0.25, 0.5, 0.875]), np.array([1, 2, 2])).axes
    assert top.get_ylabel() == "running accuracy (%)"
    assert top.lines[0].get_xydata().tolist() == [[1, 25], [2, 50], [3, 87.5]]
    assert bottom.lines[0].get_xydata().tolist() == [[1, 1], [2, 2], [3, 2]] and bottom.get_ylim()[0] == 0
    assert learning_figure([0.5], [1], np.array([500])).axes[0].lines[0].get_xydata().tolist() == [[500, 50]]


def test_each_image_has_a_mark_for_each_neuron_that_fired():
    fired = spikes(6)
    axis = plotting.spike_raster(fired, DIGITS[:6]).axes[0]
    marks = sorted(t.get_text() for t in axis.texts)
    assert marks == sorted(str(j) for row in fired for j in np.flatnonzero(np.isfinite(row)))
    right = [t for t in axis.texts if matplotlib.colors.same_color(t.get_bbox_patch().get_facecolor(), plotting.BLUE)]
    assert sorted(t.get_text() for t in right) == [str(j) for j in range(6) if np.isfinite(fired[j, j])]
    for text in right:
        assert text.get_position()[0] == pytest.approx(1e6 * fired[int(text.get_text()), int(text.get_text())])
    rows = np.split(np.array([text.get_position() for text in axis.texts]), np.cumsum(np.isfinite(fired).sum(axis=1))[:-1])
    named = zip((label.get_text() for label in axis.get_yticklabels()), axis.get_yticks(), strict=True)
    for k, (times, marks, (label, place)) in enumerate(zip(fired, rows, named, strict=True)):
        assert label == str(k) and sorted(marks[:, 0]) == pytest.approx(sorted(1e6 * times[np.isfinite(times)]))
        assert len(marks) == 0 or place == pytest.approx((marks[:, 1].min() + marks[:, 1].max()) / 2)
        for lane in set(marks[:, 1]):  # of which no mark hides another
            assert np.diff(np.sort(marks[marks[:, 1] == lane, 0]), append=np.inf).min() >= 0.03e6 * np.ptp(fired[fired > 0])


def test_median_of_the_leads_leaves_out_silent_and_lonely_neurons():
    axis = lead_histogram([1e-6, 3e-6, 5e-6, np.inf, np.inf, np.nan]).axes[0]
    assert axis.get_legend().get_texts()[0].get_text() == "median 3 µs"
    assert "2 more" in axis.get_title()


@pytest.mark.parametrize(("leads", "scale"), [(np.geomspace(1e-7, 1e-4, 101), "log"), (np.linspace(10e-6, 20e-6, 101), "linear")])
def test_every_lead_is_counted_where_it_belongs_in_microseconds(leads, scale):
    """Leads of more than one power of ten would all be in the first bar of a linear scale."""
    axis = lead_histogram(leads).axes[0]
    assert axis.get_xscale() == scale
    middle = np.median(leads) * 1e6
    assert axis.lines[0].get_xdata() == pytest.approx([middle, middle])
    assert sum(bar.get_height() for bar in axis.patches) == 101
    assert axis.patches[0].get_x() == pytest.approx(leads[0] * 1e6)
    for bar in axis.patches[:-1]:
        low, high = bar.get_x(), bar.get_x() + bar.get_width()
        assert abs(bar.get_height() - np.sum((low <= leads * 1e6) & (leads * 1e6 < high))) <= 1  # on an edge


def test_each_membrane_panel_starts_with_its_own_pulse():
    time, membranes, outputs, starts = charging(4, 4)
    figure = membranes_figure(time, membranes, outputs, 4.0, DIGITS[:4], starts)
    axes = np.reshape(figure.axes, (4, 2))
    for k, (panel, below) in enumerate(zip(axes[::2].flat, axes[1::2].flat, strict=True)):
        lines, finals = panel.lines[:4], [3 + (j - k) % 4 for j in range(4)]
        assert panel.get_title() == f"{k} presented"
        assert panel.get_xlim() == (0, 1000)
        for line, final in zip(lines, finals, strict=True):
            micro, volts = line.get_xydata().T
            assert volts[micro > 0] == pytest.approx(-final * np.expm1(-micro[micro > 0] / 150), rel=1e-6) and micro[-1] >= 1000
        assert panel.lines[4].get_ydata() == [4.0, 4.0]
        assert [line.get_ydata()[-1] + j > 0.5 for j, line in enumerate(below.lines)] == [final > 4 for final in finals]
    assert figure.legends[0].get_texts()[-1].get_text() == "threshold 4 V"
    some = membranes_figure(time, membranes, outputs, 4.0, DIGITS[:4], starts[1:])  # not a pattern of each class
    assert [axis.get_title() for axis in some.axes if axis.get_title()] == ["image 1", "image 2", "image 3"]


def test_the_theoretical_curve_is_current_over_voltage_of_one_period(monkeypatch):
    figures = []
    monkeypatch.setattr(memristor_figures.command_line, "draw", lambda options, name, figure, *xy: figures.append(figure(*xy)))
    memristor_figures.main([])
    voltage, current = figures[0].axes[0].lines[0].get_xydata().T
    t = np.linspace(0, 2 * np.pi, len(voltage))
    assert voltage == pytest.approx(np.sin(t), abs=1e-9) and current == pytest.approx(np.exp(-np.cos(t)) * np.sin(t), abs=1e-9)
    assert figures[0].axes[0].get_xlabel().endswith("(V)") and figures[0].axes[0].get_ylabel().endswith("(A)")


def test_saving_the_same_data_twice_gives_the_same_bytes_and_closes_the_figure(tmp_path):
    paths = [plotting.save(FIGURES["fingerprints"](), tmp_path / name, "loops") for name in ("a", "b")]
    assert paths[0] == tmp_path / "a" / "loops.png"
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not plt.get_fignums()
    assert plt.imread(paths[0]).shape[1] == 8 * plotting.RESOLUTION


def test_saving_where_nothing_can_be_written_says_where_and_why(tmp_path):
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "figures"
    with pytest.raises(FileProblem, match=rf"{folder}.*\.png cannot be written: Not a directory"):
        plotting.save(FIGURES["theoretical_iv"](), folder, "iv")
    assert os.listdir(tmp_path) == ["file"]


def test_schematics_are_drawn_and_saved(tmp_path):
    paths = schematics.draw_circuits(tmp_path)
    assert [path.name for path in paths] == [f"{name}.png" for name in SCHEMATICS]
    for path in paths:
        assert (plt.imread(path)[..., :3].min(axis=2) < 0.5).mean() > 0.005  # ink
