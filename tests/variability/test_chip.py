"""Chips whose devices differ: their statistics, and both engines on the same chip."""

import dataclasses

import numpy as np
import pytest

from memristive.io.voltages import load_voltages
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader, WiredWriter, Writer
from memristive.single_layer.setup import Setup
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip, on_chip
from memristive.variability.chip_engines import chip_engine
from memristor import MemristorParameters, read_current
from snn_circuit import OFF, NeuronParameters, network
from tests.conftest import TIGHT
from tests.helpers import ROOT

SPREADS = ("cell_gain", "cell_write_gain", "cell_capacitance", "neuron_threshold", "neuron_gain", "neuron_time_constant")


def spread_chip(spread, **more):
    """Return a chip whose devices all deviate by `spread`, their Vto by that share of a volt."""
    return Chip(**{"seed": 3, "cell_threshold": spread, **dict.fromkeys(SPREADS, spread), **more})


@pytest.fixture(scope="module")
def trained():
    """Committed error-driven states by encoding."""
    return {encoding: load_voltages(ROOT / "voltages" / f"mnist_error_driven{ending}.json").states
            for encoding, ending in (("binary", ""), ("grey", "_grey"))}


def test_ideal_chip_is_the_nominal_network(mnist_setup, trained, digit_images):
    spikes = [Crossbar.of(setup).first_spikes(trained["grey"], digit_images["grey"])
              for setup in (mnist_setup, on_chip(mnist_setup, Chip()))]
    assert spikes[1] == pytest.approx(spikes[0], rel=1e-12, nan_ok=True)
    assert Chip().ideal and not spread_chip(0.1).ideal


@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_spreads_have_their_mean_and_deviation(parameters, spread):
    chip = spread_chip(spread, classes=200, inputs=200)
    cells, neurons, memristor = chip.cells(parameters.memristor), chip.neurons(parameters.neuron), parameters.memristor
    for values, nominal in ((cells.gain, memristor.gain), (cells.capacitance, memristor.capacitance),
                            (cells.transconductance, memristor.transconductance)):
        assert values.mean() == pytest.approx(nominal, rel=4 * spread / 200, abs=0)  # four standard errors of 40,000 devices
        assert values.std() == pytest.approx(spread * nominal, rel=0.03, abs=0)
        assert (values > 0).all()
    assert cells.threshold_voltage.std() == pytest.approx(spread, rel=0.02)
    assert neurons.threshold.std() == pytest.approx(spread * parameters.neuron.threshold, rel=0.25)  # 200 neurons
    correlations = np.corrcoef([np.log(cells.gain).ravel(), np.log(cells.capacitance).ravel(), cells.threshold_voltage.ravel(),
                                np.log(cells.transconductance).ravel()])
    assert np.abs(correlations - np.eye(4)).max() < 0.02


def test_a_larger_spread_scales_the_same_draws_and_a_seed_is_another_chip(parameters):
    def logs(**chip):
        return np.log(Chip(**chip).cells(parameters.memristor).gain / parameters.memristor.gain).ravel()
    small, large = logs(cell_gain=0.05), logs(cell_gain=0.1, cell_threshold=0.1)
    assert np.corrcoef(small, large)[0, 1] == pytest.approx(1.0)
    assert large.std() / small.std() == pytest.approx(2, rel=0.01)
    assert abs(np.corrcoef(small, logs(cell_gain=0.05, seed=2))[0, 1]) < 0.15


def test_a_seed_always_gives_the_same_chip(parameters):
    """Committed voltages and results name their chip by its seed: these numbers must not change."""
    chip = spread_chip(0.1, seed=5, classes=2, inputs=3, stuck_off=0.25, stuck_on=0.25, write_noise=0.3, read_noise=1.0,
                       decay_rate=1.0, decay_spread=0.1)
    memristor, neuron = parameters.memristor, parameters.neuron
    cells, neurons, sigma = chip.cells(memristor), chip.neurons(neuron), np.sqrt(np.log1p(0.1**2))
    assert chip.with_stuck_cells(np.full((2, 3), 3.0)).tolist() == [[7, 3, 3], [3, 3, 0]]
    drawn = [cells.gain[0, 1] / memristor.gain, cells.transconductance[0, 1] / memristor.transconductance,
             cells.capacitance[0, 1] / memristor.capacitance, neurons.threshold[1] / neuron.threshold,
             neurons.feedback_resistance[1] / neuron.feedback_resistance,
             neurons.membrane_capacitance[1] / neuron.membrane_capacitance,
             -np.log(chip.after_decay(np.full((2, 3), 1.0), 1.0)[0, 1])]
    assert (np.log(drawn) + sigma**2 / 2) / sigma == pytest.approx(
        [-1.6041764, -2.052891, 1.8281193, -0.6511568, 0.6788442, -1.4630635, -1.508474], rel=1e-6)
    assert cells.threshold_voltage[0, :2] == pytest.approx([0.08312426, -0.13282868], rel=1e-6)
    assert chip.threshold_noise("test", 300) == pytest.approx([3.0456338, 1.8324482], rel=1e-6)
    assert chip.write_factors(257, 1) == pytest.approx([1.3026818, 1.1546499, 1.073501], rel=1e-6)


def test_stuck_cells_keep_their_state_and_take_no_write(mnist_setup):
    chip = Chip(classes=100, inputs=100, stuck_off=0.1, stuck_on=0.05, stuck_state=6.5)
    states = chip.with_stuck_cells(np.full((100, 100), 3.0))
    assert [(states == volts).mean() for volts in (0.0, 6.5)] == pytest.approx([0.1, 0.05], abs=0.01)
    assert (chip.stuck == (states != 3.0)).all()
    fewer = dataclasses.replace(chip, stuck_off=0.05)
    assert not (fewer.stuck & ~chip.stuck).any()  # a chip with more faults has those of one with fewer
    written = chip.with_stuck_cells(Crossbar.of(on_chip(mnist_setup, chip)).write(states, np.ones(100), 1, 50e-6))
    assert (written[chip.stuck] == states[chip.stuck]).all() and (written[~chip.stuck] > 3.05).all()


def test_states_decay_with_the_time_constant_of_each_cell():
    states = np.full((10, 100), 4.0)
    assert Chip(decay_rate=0.5).after_decay(states, 2.0) == pytest.approx(4.0 * np.exp(-1.0))
    chip = Chip(decay_rate=0.5, decay_spread=0.3, stuck_on=0.1)
    left = chip.after_decay(states, 2.0)
    assert (left[chip.stuck] == chip.stuck_state).all()
    assert np.std(np.log(left[~chip.stuck])) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("encoding", ["binary", "grey"])
def test_both_engines_read_the_same_chip(ngspice, mnist_setup, trained, digit_images, encoding):
    chip = spread_chip(0.1, stuck_off=0.02, stuck_on=0.02)
    setup, states, images = on_chip(mnist_setup, chip), chip.with_stuck_cells(trained[encoding]), digit_images[encoding][:5]
    reader = Reader(setup, 10, TIGHT)
    simulated = np.array([reader.spikes(states, image, wanted=10) for image in images])
    computed = Crossbar.of(setup).first_spikes(states, images)
    assert (np.isnan(simulated) == np.isnan(computed)).all()
    early = computed < 400e-6  # later ones settle near their threshold, and depend on the last digit
    assert early.sum() > 30 and simulated[early] == pytest.approx(computed[early], abs=20e-9)
    assert np.nanmedian(np.abs(Crossbar.of(mnist_setup).first_spikes(states, images) - simulated)) > 1e-6


def test_read_noise_shifts_thresholds_in_both_engines(ngspice, mnist_setup, trained, digit_images):
    chip = spread_chip(0.02, read_noise=0.05)
    setup, states, image = on_chip(mnist_setup, chip), trained["grey"], digit_images["grey"][1]
    reader, crossbar = Reader(setup, 10, TIGHT), Crossbar.of(setup)
    quiet = reader.spikes(states, image, wanted=10)
    for noise in (chip.threshold_noise("test", 300), np.linspace(-1.5, 1.5, 10)):
        simulated = reader.spikes(states, image, 10, noise)
        assert simulated == pytest.approx(crossbar.with_jitter(noise).read(states, image).spikes, abs=20e-9)
        assert np.abs(simulated - quiet).max() > 0.5e-6
    assert reader.spikes(states, image, wanted=10) == pytest.approx(quiet, abs=1e-9)
    draws = np.array([chip.threshold_noise("test", k) for k in range(2000)])
    assert draws.std() == pytest.approx(0.05, rel=0.02)
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.1  # reads are independent


def test_both_engines_write_the_same_chip_with_the_same_noise(ngspice, mnist_setup, trained, digit_images):
    chip, states = spread_chip(0.1, write_noise=0.3), trained["grey"]
    engines = [chip_engine(name, mnist_setup, chip, 6) for name in ("ngspice", "closed-form")]
    for column, sign in ((3, 1), (7, -1)):
        image = digit_images["grey"][column]
        simulated, computed = (engine.write(states, column, image, sign, 50e-6) - states[column] for engine in engines)
        assert simulated == pytest.approx(computed, rel=4e-3, abs=0.1e-3)
        assert np.abs(computed).max() > 0.05


def test_cells_of_any_threshold_leak_towards_zero_while_they_are_written(ngspice, mnist_setup):
    """The leak takes 80 of 4,000 mV. Cells that differ only in Vto lose alike, those with other capacitors do not."""
    leaky = mnist_setup.replace(memristor=MemristorParameters(leak_resistance=1e9, capacitance=1e-12))
    for capacitance, low, high in ((0.0, 0.0, 0.05e-3), (0.4, 5e-3, 0.2)):
        chip = Chip(classes=2, inputs=20, cell_threshold=0.3, cell_capacitance=capacitance)
        simulated, computed = (chip_engine(name, leaky, chip).write(np.full((2, 20), 4.0), 1, np.zeros(20), 1, 70e-6)
                               for name in ("ngspice", "closed-form"))
        assert simulated == pytest.approx(computed, rel=0, abs=0.25e-3)
        assert low <= np.ptp(simulated) < high and 3.9 < simulated.mean() < 3.97


def test_wires_of_next_to_no_resistance_change_nothing(ngspice):
    setup = Setup(neuron=NeuronParameters(feedback_resistance=5e3))
    bare = spread_chip(0.1, classes=3, inputs=4)
    wired = on_chip(setup, dataclasses.replace(bare, row_resistance=1e-6, column_resistance=1e-6))
    states, image = np.random.default_rng(5).uniform(3, 5, (3, 4)), np.array([1.0, 0.0, 0.6, 0.9])
    computed = Crossbar.of(on_chip(setup, bare)).read(states, image).spikes
    assert Reader(wired, 3, TIGHT).spikes(states, image, wanted=3) == pytest.approx(computed, abs=10e-9)
    column = bare.cells(setup.memristor).of(slice(1, 2), slice(None))
    column = dataclasses.replace(column, transconductance=column.transconductance * [1.3, 1.0, 0.8, 1.1])
    writer = WiredWriter(wired, 3, 4)
    writer.write(states, 0, image, 1, 50e-6, column.transconductance[0])  # its phi must be low again in the next write
    written = writer.write(states, 1, image, 1, 50e-6, column.transconductance[0])
    assert written == pytest.approx(Writer(setup, 4).write(states[1], image, 1, 50e-6, column), abs=0.1e-3)


def test_row_wires_agree_with_a_nodal_solution(simulate, parameters):
    """Each row is a ladder from its source: the wire to column j carries the currents of columns j and beyond."""
    resistance, states = 200.0, np.random.default_rng(3).uniform(2.5, 4.5, (3, 2))
    chip = Chip(classes=3, inputs=2, row_resistance=resistance)
    volts = np.ones(states.shape)
    for _ in range(200):
        currents = read_current(parameters.memristor, states, volts)
        onward = currents[::-1].cumsum(axis=0)[::-1]
        volts = 1.0 - resistance * onward.cumsum(axis=0)
    circuit = network(parameters, states, [[(0.0, 0.0), (10e-6, 1.0)]] * 2, devices=chip.devices(parameters))
    waves = simulate(circuit, [f"membrane_{j}" for j in range(3)], 3e-3)
    membranes = waves.stack([f"membrane_{j}" for j in range(3)])[:, -1]
    assert membranes == pytest.approx(parameters.neuron.transresistance * currents.sum(axis=1), rel=1e-3)
    assert volts.min() < 0.7


def test_rows_far_from_the_neuron_carry_less(simulate, parameters):
    chip = Chip(classes=1, inputs=3, column_resistance=100.0)
    membranes = []
    for driven in range(3):
        sources = [[(0.0, 0.0), (10e-6, 1.0)] if i == driven else OFF for i in range(3)]
        circuit = network(parameters, np.full((1, 3), 4.0), sources, devices=chip.devices(parameters))
        membranes.append(simulate(circuit, ["membrane_0"], 2e-3)["membrane_0"][-1])
    assert np.diff(membranes).min() > 0.01


@pytest.mark.parametrize(("changes", "name"), [
    ({"cell_gain": -0.1}, "cell_gain"), ({"read_noise": float("nan")}, "read_noise"), ({"neuron_gain": "0.1"}, "neuron_gain"),
    ({"stuck_off": 0.6, "stuck_on": 0.6}, "stuck_on")])
def test_impossible_chip_is_refused(changes, name):
    with pytest.raises(ParameterError, match=name):
        Chip(**changes)


def test_wires_are_refused_by_the_closed_form(mnist_setup):
    with pytest.raises(ParameterError, match="row_resistance"):
        Crossbar.of(on_chip(mnist_setup, Chip(row_resistance=1.0)))
