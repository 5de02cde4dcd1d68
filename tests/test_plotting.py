"""Figures show their data where they belong: units, scales, positions."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import plotting
from memristive.cli.script import make_parser
from memristive.learning.hebbian import Inference
from memristive.network.design import Schedule, Setup


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("values", "factor", "unit"),
    [
        ([1e-6, -2e-6], 1e6, "µA"),
        ([0.5], 1e3, "mA"),
        ([1.0], 1, "A"),
        ([4e3], 1e-3, "kA"),
        ([0.0], 1, "A"),
    ],
)
def test_units_bring_the_largest_number_between_one_and_a_thousand(values, factor, unit):
    assert plotting.prefixed(values, "A") == (pytest.approx(factor), unit)


def test_non_uniform_time_is_drawn_where_it_belongs():
    # most points lie within 3 us of 10 ms
    time = np.array([0, 1e-3, 1.001e-3, 1.002e-3, 1.003e-3, 10e-3])
    rows = np.tile([0, 0, 1.0, 1.0, 0, 0], (30, 1))
    image = plotting.pulses(time, rows, "input").axes[0].images[0].get_array()
    assert image[0].argmax() / image.shape[1] == pytest.approx(0.1, abs=0.01)


def test_shares_of_a_confusion_matrix_are_of_the_true_class():
    axis = plotting.confusion([[96, 0, 0, 0], [1, 3, 0, 0]], "ab").axes[0]
    (shown,) = axis.collections
    assert np.reshape(shown.get_array(), (2, 4)).tolist() == [[100, 0, 0, 0], [25, 75, 0, 0]]
    assert {text.get_position(): text.get_text() for text in axis.texts}[0, 1] == "1"


@pytest.mark.parametrize("states", [[[3.0, 5.0], [4.0, 4.0]], [[3.0, 3.0], [3.0, 3.0]]])
def test_all_weight_images_have_one_scale(states):
    images = plotting.weight_images(np.array(states), (1, 2), "ab").axes[0].images
    assert len({image.get_clim() for image in images}) == 1
    assert [image.get_array().tolist() for image in images] == [[row] for row in states]


def test_each_membrane_panel_starts_with_its_pulse():
    setup, time = Setup(schedule=Schedule(pulse=2e-3, period=6e-3)), np.linspace(0, 12e-3, 6001)
    rising = -np.expm1(-(time % 6e-3) / 150e-6)
    membranes = rising * np.where(time < 6e-3, 1, 2) * np.array([[3.0], [5.0]])
    result = Inference(
        time, membranes, (membranes > 4).astype(float), np.array([[np.nan, 2e-4], [1.5e-4, 1e-4]])
    )
    figure = plotting.membranes(result, setup, "ab")
    for panel, finals in zip(figure.axes[:2], ([3, 5], [6, 10]), strict=True):
        for line, final in zip(panel.lines, finals, strict=False):
            micro, volts = line.get_xydata()[1:].T
            assert (
                volts == pytest.approx(-final * np.expm1(-micro / 150), abs=1e-6)
                and micro[-1] >= 1000
            )


@pytest.mark.parametrize("leads", [np.geomspace(1e-7, 1e-4, 101), np.linspace(10e-6, 20e-6, 101)])
def test_every_lead_is_counted_and_lonely_and_silent_neurons_are_left_out(leads):
    axis = plotting.lead_histogram([*leads, np.inf, np.nan]).axes[0]
    assert sum(bar.get_height() for bar in axis.patches) == 101
    assert axis.lines[0].get_xdata()[0] == pytest.approx(1e6 * np.median(leads))
    assert axis.patches[0].get_x() == pytest.approx(1e6 * leads[0])


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_the_ending_gives_the_format_and_the_same_data_the_same_bytes(tmp_path, kind, start):
    for name in "ab":
        plotting.save(plotting.confusion([[2, 0, 1]], "a"), tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert (tmp_path / f"a.{kind}").read_bytes().startswith(start) and not plt.get_fignums()


def test_a_pdf_holds_no_type_3_fonts_which_publishers_refuse(tmp_path):
    plotting.save(plotting.confusion([[2, 0, 1]], "a"), tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/Type3" not in content and b"/CIDFontType2" in content


def test_panels_have_letters_colour_bars_and_pictures_have_none(tmp_path):
    figure, axes = plt.subplots(2, 2)
    axes[0, 0].set_title("cells")
    figure.colorbar(axes[0, 1].imshow([[0, 1]]))
    axes[1, 0].set(xticks=[], yticks=[])
    plotting.save(figure, tmp_path / "a.png")
    titles = [axis.get_title() or axis.get_title("left") for axis in figure.axes]
    assert titles == ["(a) cells", "(b)", "", "(c)", ""]
    alone = plotting.confusion([[2, 0, 1]], "a")
    plotting.save(alone, tmp_path / "b.png")
    assert "(a)" not in alone.axes[0].get_title()


def test_a_vector_file_stands_beside_each_picture_if_wanted(tmp_path):
    with plt.rc_context():
        make_parser(None).parse_args(["--pdf"])
        plotting.save(plotting.confusion([[2, 0, 1]], "a"), tmp_path / "name_0.5.png")
    plotting.save(plotting.confusion([[2, 0, 1]], "a"), tmp_path / "without.png")
    assert {path.name for path in tmp_path.iterdir()} == {
        "name_0.5.png",
        "name_0.5.pdf",
        "without.png",
    }


def test_bars_go_from_the_lowest_to_the_highest_seed():
    table = pd.DataFrame({"x": [1, 1, 1, 2, 2, 2], "y": [1.0, 2.0, 6.0, 4.0, 4.0, 4.0]})
    axis = plt.figure().subplots()
    plotting.over_seeds(axis, [1, 2], table.groupby("x").y)
    (bars,) = axis.containers
    line, _, (spans,) = bars.lines
    assert line.get_ydata().tolist() == [3, 4]
    assert [span[:, 1].tolist() for span in spans.get_segments()] == [[1, 6], [4, 4]]
