"""Crossbars with resistive wires in ngspice, against an independent nodal analysis; they have no
closed form.
"""

import numpy as np
import pytest
from badcrossbar.compute import compute

import memristive
from memristive.devices.cells import Cells, Devices, Wires
from memristive.network.chip import Chip
from memristive.parameters import ParameterError
from memristor import read_current
from snn_circuit import network


def test_currents_agree_with_badcrossbar(simulate, parameters):
    """badcrossbar (Joksas, Mehonic, SoftwareX 12, 2020) gets each channel as the resistor that it
    is at its voltages.
    """
    rng, shape = np.random.default_rng(1), (4, 10)
    states, volts = rng.uniform(2, 6, shape), rng.uniform(0, 1, 10)
    wires, cells = Wires(0.35, 0.2), Cells.of(parameters.memristor)
    steps = [[(0.0, 0.0), (10e-6, float(level))] for level in volts]
    circuit = network(parameters, states, steps, neurons=False, devices=Devices(wires=wires))
    names = [f"{kind}_{j}_{i}" for kind in ("row", "wire") for j, i in np.ndindex(shape)]
    nodes = simulate(str(circuit), names, 0.2e-3, max_step=1e-6).stack(names)[:, -1]
    rows, columns = nodes.reshape(2, *shape)
    # a gate follows the lower of its channel's ends, less what its capacitor holds back
    currents = read_current(cells, states - cells.share * columns, rows - columns)
    found = compute(
        volts[:, None], ((rows - columns) / currents).T, r_i_word_line=0.35, r_i_bit_line=0.2
    )
    assert rows == pytest.approx(found.voltages.word_line.T, abs=2e-6)
    assert columns == pytest.approx(found.voltages.bit_line.T, abs=2e-6)
    assert columns.max() > 1e-3


def test_wires_are_read_and_trained_in_ngspice_only(ngspice):
    """The closed form is refused in one line; wires delay the spikes of ngspice."""
    images, labels = np.eye(4)[:, :3] + 0.2, np.array([0, 1, 0, 1])
    images = images.clip(0, 1)
    spikes = {}
    for ohm in (0.0, 2.0):
        chip = Chip(row_resistance=ohm, column_resistance=ohm)
        network, rule = memristive.build(images, 2, presentations=2, chip=chip)
        learned = memristive.learn(network, rule, images, labels, engine="ngspice").network
        spikes[ohm] = memristive.read(learned, images, engine="ngspice")
    assert np.nanmean(spikes[2.0] - spikes[0.0]) > 1e-6
    for call in (
        lambda: memristive.learn(network, rule, images, labels),
        lambda: memristive.read(network, images),
    ):
        with pytest.raises(ParameterError, match="row_resistance"):
            call()
