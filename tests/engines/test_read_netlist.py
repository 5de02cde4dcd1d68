"""Netlists of reads: the program ngspice runs that of each kind of network, and prints the spikes
of the closed form; with wires, those of the engine.
"""

import re

import numpy as np
import pytest

from memristive import netlist, read
from memristive.parameters import ParameterError
from tests.helpers import ROOT, measured_spikes
from tests.network.kinds import IMAGE, KINDS


def spikes_of(text, folder):
    """The first spikes that the program prints for a netlist of two classes."""
    (folder / "read.cir").write_text(text, encoding="utf-8")
    return measured_spikes(folder / "read.cir", 2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_fires_as_the_closed_form(kind, tmp_path):
    network = KINDS[kind]()
    expected = read(network, IMAGE[None], engine="ngspice" if network.wired else "closed-form")[0]
    assert np.isfinite(expected).any()
    found = spikes_of(netlist(network, IMAGE), tmp_path)
    assert found == pytest.approx(expected, abs=0.1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("kind", "finer"),
    [("paper", 10), ("two hidden, chip", 10), ("two pairs, hidden, chip", 10), ("convolution", 3)],
)
def test_with_fine_steps_the_program_agrees_within_ten_nanoseconds(kind, finer, tmp_path):
    network = KINDS[kind]()
    text, changes = netlist(network, IMAGE), []

    def shorter(found):
        changes.append(found[0])
        return f"{found[1]}{float(found[2]) / finer!r} uic"

    text = re.sub(r"^(\.tran .* 0 )(\S+) uic$", shorter, text, flags=re.MULTILINE)
    assert len(changes) == 1
    text = re.sub(r" reltol=\S+", " reltol=1e-6", text)
    expected = read(network, IMAGE[None])[0]
    expected[expected > 250e-6] = np.nan  # the closed form is less exact there
    assert spikes_of(text, tmp_path)[np.isfinite(expected)] == pytest.approx(
        expected[np.isfinite(expected)], abs=10e-9
    )


def test_the_seed_chooses_the_noise_as_in_a_read(tmp_path):
    network = KINDS["read noise"]()
    one, other = (read(network, IMAGE[None], seed=seed)[0] for seed in (0, 1))
    assert np.nanmax(np.abs(one - other)) > 1e-6
    found = spikes_of(netlist(network, IMAGE, seed=1), tmp_path)
    assert found == pytest.approx(other, abs=0.1e-6, nan_ok=True)


def test_the_netlist_of_the_page_reads_a_vertical_bar():
    vertical, horizontal = measured_spikes(ROOT / "docs/convolution.cir", 2)
    assert vertical < horizontal


def test_an_image_of_another_size_is_named():
    with pytest.raises(ParameterError, match="image"):
        netlist(KINDS["hidden"](), IMAGE[:-1])
