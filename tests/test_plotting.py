"""Figures show their data where they belong: units, scales, positions."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from memristive import plotting
from memristive.cli.script import make_parser


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_non_uniform_time_is_drawn_where_it_belongs():
    # most points lie within 3 us of 10 ms
    time = np.array([0, 1e-3, 1.001e-3, 1.002e-3, 1.003e-3, 10e-3])
    rows = np.tile([0, 0, 1.0, 1.0, 0, 0], (30, 1))
    image = plotting.pulses(time, rows, "input").axes[0].images[0].get_array()
    assert image[0].argmax() / image.shape[1] == pytest.approx(0.1, abs=0.01)


def test_each_column_of_panels_has_an_axis_of_time():
    figure = plotting.memristor_states(np.arange(3), np.eye(3), ["X", "+", "L"])
    (drawn,) = {axis.get_xlabel() for axis in figure.axes[1:3]}  # the fourth panel is empty
    assert "(s)" in drawn and not figure.axes[0].get_xlabel() and not figure.axes[3].axison


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_the_ending_gives_the_format_and_the_same_data_the_same_bytes(tmp_path, kind, start):
    for name in "ab":
        plotting.save(plotting.confusion([[2, 0, 1]], "a"), tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert (tmp_path / f"a.{kind}").read_bytes().startswith(start) and not plt.get_fignums()


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
