"""Engines: emulators by name, and a subcircuit in each cell, against the closed form, conductances
and the whole netlist.
"""

import dataclasses
import functools
import itertools

import numpy as np
import pytest

from memristive.devices.measured_device import emulator
from memristive.devices.spice_model import load_model
from memristive.engines.engine import ModelCells, NgspiceNetwork
from memristive.engines.read_netlist import netlist
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import measured_design, measured_parameters
from memristive.learning.training import Learning, learn, train
from memristive.network.chip import Chip
from memristive.network.convolution import Convolution
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import ParameterError
from tests.helpers import measured_spikes
from tests.network.networks import drives, pulses_of

pytestmark = pytest.mark.usefixtures("ngspice")


@functools.cache
def cells_of(name, scheme):
    """Characterised once."""
    return ModelCells(load_model(name), scheme)


def half_of(device, scheme):
    """Fields of pulses for the half-selected cells of a scheme."""
    passive = scheme == "v/2"
    return {"disturb_up": device.half_up * passive, "disturb_down": device.half_down * passive}


def network_of(name, sizes, seed, scheme="v/2", low=0.2, pairs=1):
    """Return the cells of a model, and a network of random states in the middle of the range."""
    rng, cells = np.random.default_rng(seed), cells_of(name, scheme)
    emulated = emulator(cells.device)
    states = tuple(
        emulated.state(low + (1 - 2 * low) * rng.random(((2 * pairs or 1) * above, below + 1)))
        for below, above in itertools.pairwise(sizes)
    )
    design = measured_design(emulated, pairs, 1.0, hidden_bias=1.8, output_bias=1.8)
    return cells, Network(
        states,
        measured_parameters(emulated),
        design,
        pulses=pulses_of(emulated, whole=0, **half_of(cells.device, scheme)),
    )


# the last one bends with the state
@pytest.mark.parametrize(("name", "pairs"), [("wox", 1), ("wox", 0), ("yakopcic", 2)])
def test_subcircuits_read_grey_images_as_the_closed_form(name, pairs):
    cells, network = network_of(name, (5, 4, 3), 1, pairs=pairs)
    images = np.random.default_rng(2).random((3, 5))
    times, settled, _ = cells.read_images(network, images)
    for simulated, exact in zip(times, network.forward(images), strict=True):
        assert np.isfinite(exact).any()
        assert simulated == pytest.approx(exact, abs=60e-9, nan_ok=True)
    expected = drives(network, images)
    assert (
        np.isfinite(expected).any()
        and np.abs(settled[0] - expected)[np.isfinite(expected)].max() < 1e-3
    )


def test_a_back_read_sums_the_subcircuits_weights():
    cells, network = network_of("yakopcic", (4, 3), 3)
    errors = np.array([1.0, -1.0, 0.0])
    simulated = NgspiceNetwork(network, cells=cells).layers[0].read_back(network.states[0], errors)
    siemens = cells.found.map.conductance(cells.states(network.states[0]))[:, :-1]
    volts_per_siemens = 1 / network.parameters.memristor.gain
    assert simulated == pytest.approx(
        errors @ (siemens[:3] - siemens[3:]) * volts_per_siemens, abs=1e-3
    )


@pytest.mark.parametrize("scheme", ["1t1r", "v/2"])
def test_hidden_layers_of_subcircuits_learn_as_the_closed_form(scheme):
    cells, network = network_of("wox", (3, 4, 2), 4, scheme, low=0.3)
    rule = LayeredRule(presentations=6, hidden_dose=0.1, output_dose=0.2, margin=20e-6)
    images, labels = np.random.default_rng(5).random((6, 3)), np.arange(6) % 2
    learning = Learning.start(network, rule)
    training = train(learning, rule, images, labels, engine=NgspiceNetwork(network, cells=cells))
    step = network.pulses.step
    for k in range(rule.presentations):
        exact = dataclasses.replace(learning, history=learning.history.copy())
        next(train(exact, rule, images, labels, block=1))
        next(training)
        assert np.array_equal(learning.history[k], exact.history[k])
        hidden, output = (
            np.abs(ours - theirs).max()
            for ours, theirs in zip(learning.network.states, exact.network.states, strict=True)
        )
        # V^2/2 in the emulator's channel: its back-read is lower by half the voltage for each of
        # the four driven columns.
        assert (
            output < 0.12 * step
            and hidden < 1.05 * rule.hidden_dose * 4 * network.design.back_voltage / 2
        )
    assert learning.history[:, 1].sum() >= 3
    assert all(
        np.abs(ours - before).max() > step
        for ours, before in zip(learning.network.states, network.states, strict=True)
    )


def test_filaments_with_a_gate_learn_as_the_closed_form():
    """Their gates move by the same law, and after RESET the level is that of the gate."""
    cells, network = network_of("stanford_1t1r", (3, 2), 4, low=0.3)
    rule = LayeredRule(presentations=4, output_dose=0.1, margin=50e-6)
    images, labels = np.random.default_rng(5).random((4, 3)), np.arange(4) % 2
    circuit, closed = (
        learn(network, rule, images, labels, engine=engine)
        for engine in (NgspiceNetwork(network, cells=cells), "closed-form")
    )
    assert np.array_equal(circuit.history, closed.history) and circuit.history[:, 1].sum() >= 2
    assert circuit.network.waiting[0] == pytest.approx(closed.network.waiting[0], abs=1e-9)
    window = np.ptp(network.pulses.levels)
    apart = np.abs(circuit.network.states[0] - closed.network.states[0]) / window
    moved = np.abs(closed.network.states[0] - network.states[0]) / window
    assert apart.max() < 0.01 and moved.max() > 0.1


# the last one bends with the state
@pytest.mark.parametrize(
    ("name", "pairs", "kinds"),
    [
        ("wox", 1, ()),
        ("wox", 0, ()),
        ("yakopcic", 1, ()),
        ("wox", 1, (Convolution(2, 3, 2, regions=1),)),
    ],
)
def test_the_program_reads_a_netlist_of_subcircuits_as_the_closed_form(
    name, pairs, kinds, tmp_path
):
    cells, network = network_of(name, (4, 3, 2), 2, pairs=pairs)
    network = dataclasses.replace(network, kinds=kinds)
    image, path = np.random.default_rng(6).random(network.sizes[0]), tmp_path / "read.cir"
    path.write_text(netlist(network, image, cells=cells), encoding="utf-8")
    expected = network.first_spikes(image[None])[0]
    assert np.isfinite(expected).all()
    assert measured_spikes(path, 2) == pytest.approx(expected, abs=0.1e-6)
    with pytest.raises(ParameterError, match="chip"):
        netlist(network_on_chip(network, Chip(cell_gain=0.1)), image, cells=cells)
