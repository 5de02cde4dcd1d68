"""Netlists of reads: the program ngspice prints the spikes of the closed form for each kind of
network; with wires, the spikes of the engine.
"""

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
    assert found == pytest.approx(expected, abs=30e-9, nan_ok=True)


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
