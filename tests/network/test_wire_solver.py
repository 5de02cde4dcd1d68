"""Crossbars with resistive wires: the solver against ngspice, an independent nodal analysis, and
the closed form.
"""

import numpy as np
import pytest
from badcrossbar.compute import compute

from memristive.engines.engine import make_engine
from memristive.io.voltages import load_voltages
from memristive.network.chip import Chip
from memristive.network.crossbar import Crossbar
from memristive.network.design import Setup
from memristive.network.networks import Network, network_on_chip
from memristive.network.wire_solver import WiredCrossbar, WireSolver
from memristive.parameters import ParameterError
from memristive.scores.decisions import lead
from memristive.writing.at_once import ColumnDose
from memristor import ISOLATED, MemristorParameters
from snn_circuit import Cells, Devices, NeuronParameters, Wires, network
from tests.helpers import ROOT
from tests.network.networks import paper_layer


def wired(setup, ohm):
    """Return a setup whose rows and columns have `ohm` from cell to cell."""
    return setup.replace(devices=Devices(wires=Wires(ohm, ohm)))


@pytest.fixture(scope="module")
def trained():
    """Committed error-driven states by encoding."""
    return {
        encoding: load_voltages(ROOT / "voltages" / f"mnist_error_driven{ending}.json").states
        for encoding, ending in (("binary", ""), ("grey", "_grey"))
    }


@pytest.mark.parametrize("ohm", [0.1, 0.35])
@pytest.mark.parametrize("encoding", ["binary", "grey"])
def test_leads_agree_with_ngspice(ngspice, mnist_setup, trained, digit_images, encoding, ohm):
    setup, states, images = (
        wired(mnist_setup, ohm),
        trained[encoding],
        digit_images[encoding][[0, 3]],
    )
    layer = paper_layer(setup)
    simulated = [lead(layer.read(states, image, 2)[0]) for image in images]
    layer.unload()
    assert [
        lead(spikes) for spikes in WiredCrossbar.of(setup).first_spikes(states, images)
    ] == pytest.approx(simulated, rel=0.01)


def test_currents_agree_with_badcrossbar():
    """badcrossbar (Joksas, Mehonic, SoftwareX 12, 2020) gets each channel as the resistor that it
    is at its voltages.
    """
    random = np.random.default_rng(1)
    states, volts = random.uniform(-1, 6, (10, 100)), random.uniform(0, 1, 100)
    solver = WireSolver(Cells.of(MemristorParameters()), Wires(0.35, 0.2))
    rows, columns = solver.nodes(states, volts[None])[:, 0]
    currents = solver.cell_currents(states, rows, columns)
    with np.errstate(divide="ignore"):
        resistances = np.where(currents == 0, np.inf, (rows - columns) / currents)
    found = compute(volts[:, None], resistances.T, r_i_word_line=0.35, r_i_bit_line=0.2)
    assert solver.currents(states, volts[None])[0] == pytest.approx(
        found.currents.output[0], rel=1e-6
    )
    assert rows == pytest.approx(found.voltages.word_line.T, abs=1e-6) and columns.max() > 0.05


def test_wires_without_resistance_have_the_closed_form(mnist_setup, trained, digit_images):
    ideal = mnist_setup.replace(neuron=NeuronParameters(amplifier_gain=1e8))
    solved = (
        WiredCrossbar.of(wired(ideal, 1e-6)).race(trained["grey"], digit_images["grey"]).settled
    )
    assert solved == pytest.approx(
        Crossbar.of(ideal).race(trained["grey"], digit_images["grey"]).settled, rel=5e-5
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_writes_through_wires_agree_with_ngspice(ngspice, sign):
    setup = Setup(MemristorParameters(junction_current=ISOLATED))
    chip = Chip(
        classes=3,
        inputs=5,
        row_resistance=30.0,
        column_resistance=20.0,
        cell_gain=0.1,
        cell_write_gain=0.1,
    )
    states, image = (
        np.random.default_rng(2).uniform(2, 6, (3, 5)),
        np.array([1.0, 0.0, 0.4, 1.0, 0.8]),
    )
    network, dose = (
        network_on_chip(Network.of(setup, states), chip),
        ColumnDose(1, sign * 0.1, image),
    )
    simulated, solved = (
        make_engine(name, network).write(network, 0, [dose], np.random.default_rng(0))[1]
        - states[1]
        for name in ("ngspice", "closed-form")
    )
    assert solved == pytest.approx(simulated, abs=0.5e-3)
    # the column is lifted above the idle row
    assert 0.03 < np.abs(solved).max() < 0.095 and np.sign(solved[1]) == -sign


def test_depressions_through_wires_need_isolated_junctions():
    network = network_on_chip(Network.of(Setup(), np.full((2, 3), 4.0)), Chip(row_resistance=1.0))
    with pytest.raises(ParameterError, match="junction_current"):
        make_engine("closed-form", network).write(
            network, 0, [ColumnDose(0, -0.1, np.ones(3))], np.random.default_rng(0)
        )


def test_klu_changes_no_current(simulate, parameters):
    states = np.random.default_rng(3).uniform(2, 6, (4, 10))
    circuit = str(
        network(
            parameters,
            states,
            [[(0.0, 0.0), (10e-6, 1.0)]] * 10,
            devices=Devices(wires=Wires(2.0, 2.0)),
        )
    )
    assert ".options klu" in circuit
    membranes = [[f"membrane_{j}" for j in range(4)]] * 2
    with_klu, without = (
        simulate(text, names, 0.5e-3, max_step=20e-6).stack(names)
        for text, names in zip(
            (circuit, circuit.replace(".options klu", "")), membranes, strict=True
        )
    )
    assert with_klu == pytest.approx(without, rel=1e-6)
