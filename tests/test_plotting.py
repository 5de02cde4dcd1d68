"""Figures show their data where they belong: units, scales, positions."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from memristive import plotting


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


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_the_ending_gives_the_format_and_the_same_data_the_same_bytes(tmp_path, kind, start):
    for name in "ab":
        plotting.save(plotting.confusion([[2, 0, 1]], "a"), tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert (tmp_path / f"a.{kind}").read_bytes().startswith(start) and not plt.get_fignums()
