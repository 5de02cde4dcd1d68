"""Closed form of reading and writing: against plain integration, ngspice at falling steps, and
conservation of charge.
"""

import dataclasses

import numpy as np
import pytest

from memristive.closed_form.kernel_arrays import LayerArrays, conductance, current
from memristive.closed_form.kernel_patches import bend, bend_of
from memristive.engines.solvers import READING_LAYERS
from memristive.network.chip import Chip
from memristive.network.crossbar import ClosedFormWarning, Crossbar
from memristive.network.design import LayerDesign, Schedule, Setup
from memristive.network.networks import Network, network_on_chip
from memristive.scores.checks import settled_membranes
from memristor import (
    ChannelValues,
    MemristorParameters,
    raised_state,
    read_current,
)
from snn_circuit import NeuronParameters
from tests.engines.whole_network import STEPPED, WholeNetwork
from tests.network.networks import paper_layer, random_network


@pytest.fixture(scope="module")
def crossbar(mnist_setup):
    return Crossbar.of(mnist_setup)


@pytest.fixture(scope="module")
def states():
    """States of 10 x 100 cells whose first spikes are close."""
    return 3.0 + np.random.default_rng(5).normal(0, 0.05, (10, 100))


def changed(crossbar, part, **values):
    """Return a crossbar with other values of its "cells", "neurons" or "schedule"."""
    return dataclasses.replace(
        crossbar, **{part: dataclasses.replace(getattr(crossbar, part), **values)}
    )


# The lifted gate


def integrated_gate(cell, state, voltage, steps=10000):
    """Integrate Meyer's capacitances over the rising input."""
    x, step = np.array(state, float), np.asarray(voltage, float) / steps
    for k in range(steps):
        v = (k + 0.5) * step
        source, drain = x - cell.threshold_voltage, np.maximum(x - cell.threshold_voltage - v, 0.0)
        to_drain, to_source = (
            2 / 3 * cell.gate_capacitance * (1 - (other / (source + drain)) ** 2)
            for other in (source, drain)
        )
        x = x + to_drain * step / (cell.capacitance + to_drain + to_source)
    return x


@pytest.mark.parametrize(
    "cell",
    [
        MemristorParameters(),
        MemristorParameters(capacitance=4e-12, threshold_voltage=0.7),
        MemristorParameters(capacitance=1e-15, oxide_thickness=30e-9, threshold_voltage=-0.3),
    ],
)
def test_lift_is_the_integral_of_the_gates_capacitances(cell):
    overdrive = np.array([0.02, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 3.0, 7.0])[:, None]
    voltage = np.array([0.01, 0.3, 1.0, 2.5])
    state = cell.threshold_voltage + overdrive + np.zeros(4)
    # The plain integration errs by a step where a channel pinches off.
    assert raised_state(cell, state, voltage) == pytest.approx(
        integrated_gate(cell, state, voltage), abs=2e-5
    )
    # a channel that is off is not coupled
    off = cell.threshold_voltage + np.array([-3.0, -0.2, 0.0])
    assert raised_state(cell, off, 5.0) == pytest.approx(off, rel=1e-15)


# Spikes


def test_neurons_that_fire_within_the_edge_have_a_rough_time_and_the_others_their_exact_one(
    ngspice, mnist_setup
):
    setup = mnist_setup.replace(schedule=dataclasses.replace(mnist_setup.schedule, rise=150e-6))
    states, image = (
        np.linspace(1.7, 2.8, 10)[:, None] * np.ones(100),
        np.where(np.arange(100) < 40, 1.0, 0.0),
    )
    race = Crossbar.of(setup).read(states, image)
    whole = WholeNetwork(Network.of(setup, states), dataclasses.replace(STEPPED, max_step=1e-6))
    (exact,) = whole.read(image, 600e-6)
    early = exact < 150e-6
    assert (
        early.tolist() == (race.risen > 4.0).tolist()
        and 3 <= early.sum() <= 7
        and np.isfinite(exact).all()
    )
    assert race.spikes[~early] == pytest.approx(exact[~early], abs=1e-7)
    assert race.spikes[early] == pytest.approx(exact[early], rel=0.05)


def test_neurons_fire_above_their_threshold_and_rails_are_marked(mnist_setup, crossbar):
    image, grid = np.where(np.arange(100) < 20, 1.0, 0.0), np.linspace(0.5, 5.0, 20001)
    settled = (
        mnist_setup.neuron.transresistance * 20 * read_current(mnist_setup.memristor, grid, 1.0)
    )
    wanted = np.array([2.0, 3.99, 3.994, 4.0075, 4.011, 8.0])
    states, stages = (
        np.interp(wanted, settled, grid)[:, None] * np.ones(100),
        crossbar.neurons.stages,
    )
    race = crossbar.read(states, image)
    # less the error of the op-amps' finite gain
    assert race.settled == pytest.approx(wanted, rel=5e-4)
    assert np.isnan(race.spikes).tolist() == [True, True, True, False, False, False]
    for share, railed in ((0.99, True), (1.01, False)):
        at_rail = stages._replace(highest_sum=share * race.settled / stages.membrane_gain)
        assert (
            changed(crossbar, "neurons", stages=at_rail).read(states, image).railed == railed
        ).all()


# The compiled kernel, on an ideal chip and on one with all deviations

CHIP = Chip(
    seed=3,
    cell_gain=0.1,
    cell_threshold=0.05,
    cell_write_gain=0.1,
    cell_capacitance=0.05,
    neuron_threshold=0.05,
    neuron_gain=0.05,
    neuron_time_constant=0.05,
    stuck_off=0.05,
    stuck_on=0.05,
    write_noise=0.5,
    read_noise=0.05,
)


@pytest.mark.parametrize("chip", [Chip(), CHIP])
def test_compiled_reads_are_the_reads(mnist_setup, states, digit_images, chip):
    images = np.array(
        [
            *digit_images["binary"][:4],
            *digit_images["grey"][:4],
            np.zeros(100),
            1e-4 * digit_images["grey"][0],
        ]
    )
    railed = (
        states
        + np.where(np.arange(10) < 2, 25.0, 0.0)[:, None]
        - np.where(np.arange(10) > 7, 5.0, 0.0)[:, None]
    )
    for pulses in ({}, {"rise": 100e-6}, {"pulse": 110e-6}):
        setup = mnist_setup.replace(schedule=dataclasses.replace(mnist_setup.schedule, **pulses))
        network = network_on_chip(Network.of(setup, railed), chip)
        noise = network.jitter("test", 0, len(images))
        expected = network.crossbar.race(
            network.states[0], images, noise if len(noise) else 0.0
        ).spikes
        assert network.first_spikes(images) == pytest.approx(expected, rel=1e-9, nan_ok=True)
        assert 10 < np.isfinite(expected).sum() < 90 and len(noise) == len(images) * (
            chip.read_noise > 0
        )


# Writes


# Limits of the closed form

STATES, IMAGE = np.array([[5.0] * 9, [5.2] * 9, [4.8] * 9]), np.array([1.0, 1, 1, 0, 1, 0, 0, 1, 0])


@pytest.mark.parametrize(
    ("device", "parameter"),
    [
        ({}, ""),
        ({"length": 2e-4}, ""),
        ({"width": 5e-4, "length": 5e-4}, "memristor.length"),
        ({"kp": 1e-5}, "kp"),
        ({"oxide_thickness": 5e-9}, "oxide_thickness"),
    ],
)
def test_channels_that_charge_their_gates_slowly_are_doubted_and_only_they_are_off(
    ngspice, device, parameter
):
    setup = Setup(MemristorParameters(**device))
    ohms = (
        7 / settled_membranes(setup, STATES, IMAGE[None]).max() * setup.neuron.feedback_resistance
    )
    setup = setup.replace(neuron=NeuronParameters(feedback_resistance=float(ohms)))
    network = Network.of(setup, STATES)
    assert len(network.doubts) == bool(parameter) and all(
        parameter in doubt for doubt in network.doubts
    )
    tight = paper_layer(setup, 3, 9, READING_LAYERS.tightened()).read(STATES, IMAGE, 4)[0]
    error = np.abs(tight - network.first_spikes(IMAGE[None])).max()
    assert error > 1e-8 if parameter else error < 1e-8


@pytest.mark.parametrize(
    ("states", "rise"), [((STATES,), 300e-6), ((STATES, STATES[:, :4]), 20e-6)]
)
def test_long_edges_are_doubted(states, rise):
    design = Schedule() if len(states) == 1 else LayerDesign()
    for seconds, doubted in ((design.rise, False), (rise, True)):
        network = Network(states, design=dataclasses.replace(design, rise=seconds))
        assert bool(network.doubts) == doubted and all("rise" in of for of in network.doubts)
        if doubted:
            with pytest.warns(ClosedFormWarning, match="rise"):
                network.warn_of_doubts()


@pytest.mark.parametrize(("gain", "doubted"), [(30.0, False), (1000.0, True)])
def test_neurons_that_fire_within_the_edge_of_a_row_are_doubted_and_only_they_are_off(
    ngspice, gain, doubted
):
    states = random_network((9, 6, 4), 7).states
    network = Network(states, design=LayerDesign(output_gain=gain))
    assert [("edge of a row" in doubt) for doubt in network.doubts] == [True] * doubted
    spikes = network.forward(IMAGE[None])[-1][0]
    found = WholeNetwork(network, dataclasses.replace(STEPPED, max_step=2e-8)).read(IMAGE, 20e-6)
    early = np.nan_to_num(spikes, nan=1.0) < 15e-6
    assert early.any() and (np.abs(found[-1] - spikes)[early].max() > 20e-9) == doubted


def test_bounds_of_a_bent_channel_hold_at_each_level():
    cell = ChannelValues(1e-4, 1.0, 0.4, 3 / 2.4)
    levels = np.linspace(0.01, 0.99, 99)
    for state in np.linspace(1.05, 4.0, 60):
        low, high = bend_of(cell, state, 0.2)
        straight = levels * current(cell, state, 0.2)
        bent = np.array([current(cell, state, 0.2 * level) for level in levels]) - straight
        rounded = 1e-9 * conductance(cell, state)
        assert (bent >= low * levels * (1 - levels) - rounded).all()
        assert (bent <= high * levels * (1 - levels) + rounded).all()


def test_kernels_whose_negative_stage_may_clip_are_not_screened():
    """One row at 0.2 V: the current of a straight channel bounds that of each stage."""
    cells = np.zeros((7, 1, 2))
    cells[:4, 0] = np.array([[1e-4, 1.0, 0.4, 3 / 2.4]] * 2).T
    states, scale = np.array([[2.0, 3.0]]), np.full((2, 1), 1e4)
    negative = 0.2 * 1e4 * conductance(ChannelValues(*cells[:4, 0, 1]), 3.0)
    for rail, clips in ((1.01 * negative / 0.9, False), (0.99 * negative / 0.9, True)):
        neurons = np.ones((11, 1))
        neurons[10], neurons[[5, 7]], neurons[6] = 0.0, 1e3, rail
        bends = np.zeros((3, 1))
        layer = LayerArrays(cells, neurons, 1.0, 1.0, 1, False)
        bend(layer, 0.2, states, scale, bends, np.ones(1))
        assert np.isneginf(bends[2, 0]) == clips
