"""Chips whose devices differ: their statistics, ngspice with every deviation, names and files."""

import dataclasses
import json

import numpy as np
import pytest

from memristive.engines.engine import NgspiceNetwork
from memristive.network.chip import Chip, load_chip
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import ParameterError
from memristive.writing.at_once import ColumnDose
from memristor import MemristorParameters
from tests.network.networks import after_a_write, random_network

SPREADS = (
    "cell_gain",
    "cell_write_gain",
    "cell_capacitance",
    "neuron_threshold",
    "neuron_gain",
    "neuron_time_constant",
)


def spread_chip(spread, **more):
    """Return a chip whose devices all deviate by `spread`, their Vto by that share of a volt."""
    return Chip(**{"seed": 3, "cell_threshold": spread, **dict.fromkeys(SPREADS, spread), **more})


@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_spreads_have_their_mean_and_deviation(parameters, spread):
    chip = spread_chip(spread, classes=200, inputs=200)
    cells, neurons, memristor = (
        chip.cells(parameters.memristor),
        chip.neurons(parameters.neuron),
        parameters.memristor,
    )
    for values, nominal in (
        (cells.gain, memristor.gain),
        (cells.capacitance, memristor.capacitance),
        (cells.transconductance, memristor.transconductance),
    ):
        # four standard errors of 40,000 devices
        assert values.mean() == pytest.approx(nominal, rel=4 * spread / 200, abs=0)
        assert values.std() == pytest.approx(spread * nominal, rel=0.03, abs=0)
        assert (values > 0).all()
    assert cells.threshold_voltage.std() == pytest.approx(spread, rel=0.02)
    # 200 neurons
    assert neurons.threshold.std() == pytest.approx(spread * parameters.neuron.threshold, rel=0.25)
    correlations = np.corrcoef(
        [
            np.log(cells.gain).ravel(),
            np.log(cells.capacitance).ravel(),
            cells.threshold_voltage.ravel(),
            np.log(cells.transconductance).ravel(),
        ]
    )
    assert np.abs(correlations - np.eye(4)).max() < 0.02


def test_a_seed_always_gives_the_same_chip(parameters):
    """Committed voltages and results name their chip by its seed: these numbers must not change."""
    chip = spread_chip(
        0.1,
        seed=5,
        classes=2,
        inputs=3,
        stuck_off=0.25,
        stuck_on=0.25,
        write_noise=0.3,
        read_noise=1.0,
        decay_rate=1.0,
        decay_spread=0.1,
    )
    memristor, neuron = parameters.memristor, parameters.neuron
    cells, neurons, sigma = chip.cells(memristor), chip.neurons(neuron), np.sqrt(np.log1p(0.1**2))
    assert chip.with_stuck_cells(np.full((2, 3), 3.0)).tolist() == [[7, 3, 3], [3, 3, 0]]
    drawn = [
        cells.gain[0, 1] / memristor.gain,
        cells.transconductance[0, 1] / memristor.transconductance,
        cells.capacitance[0, 1] / memristor.capacitance,
        neurons.threshold[1] / neuron.threshold,
        neurons.feedback_resistance[1] / neuron.feedback_resistance,
        neurons.membrane_capacitance[1] / neuron.membrane_capacitance,
        -np.log(chip.after_decay(np.full((2, 3), 1.0), 1.0)[0, 1]),
    ]
    assert (np.log(drawn) + sigma**2 / 2) / sigma == pytest.approx(
        [-1.6041764, -2.052891, 1.8281193, -0.6511568, 0.6788442, -1.4630635, -1.508474], rel=1e-6
    )
    assert cells.threshold_voltage[0, :2] == pytest.approx([0.08312426, -0.13282868], rel=1e-6)
    assert chip.threshold_noise("test", 300) == pytest.approx([3.0456338, 1.8324482], rel=1e-6)
    assert chip.write_factors(257, 1) == pytest.approx([1.3026818, 1.1546499, 1.073501], rel=1e-6)


def test_stuck_cells_keep_their_state_and_take_no_write(mnist_setup):
    chip = Chip(classes=100, inputs=100, stuck_off=0.1, stuck_on=0.05, stuck_state=6.5)
    states = chip.with_stuck_cells(np.full((100, 100), 3.0))
    assert [(states == volts).mean() for volts in (0.0, 6.5)] == pytest.approx(
        [0.1, 0.05], abs=0.01
    )
    assert (chip.stuck == (states != 3.0)).all()
    fewer = dataclasses.replace(chip, stuck_off=0.05)
    # a chip with more faults has those of one with fewer
    assert not (fewer.stuck & ~chip.stuck).any()
    gains = chip.cells(mnist_setup.memristor).transconductance
    assert ((gains == 0) == chip.stuck).all()


def test_states_decay_with_the_time_constant_of_each_cell():
    states = np.full((10, 100), 4.0)
    assert Chip(decay_rate=0.5).after_decay(states, 2.0) == pytest.approx(4.0 * np.exp(-1.0))
    chip = Chip(decay_rate=0.5, decay_spread=0.3, stuck_on=0.1)
    left = chip.after_decay(states, 2.0)
    assert (left[chip.stuck] == chip.stuck_state).all()
    assert np.std(np.log(left[~chip.stuck])) == pytest.approx(0.3, rel=0.1)


def test_cells_of_any_threshold_leak_towards_zero_while_they_are_written(ngspice, mnist_setup):
    """The leak takes 80 of 4,000 mV. Cells that differ only in Vto lose alike, those with other
    capacitors do not.
    """
    leaky = mnist_setup.replace(
        memristor=MemristorParameters(leak_resistance=1e9, capacitance=1e-12)
    )
    for capacitance, low, high in ((0.0, 0.0, 0.05e-3), (0.4, 5e-3, 0.2)):
        chip = Chip(classes=2, inputs=20, cell_threshold=0.3, cell_capacitance=capacitance)
        network = network_on_chip(Network.of(leaky, np.full((2, 20), 4.0)), chip)
        dose, dark = 70e-6 * network.layers[0].write_rate, np.zeros(20)
        write, cells = ColumnDose(1, dose, dark), network.devices[0].cells.at(1)
        simulated = NgspiceNetwork(network).write(network, 0, [write], np.random.default_rng(0))[1]
        computed = after_a_write(leaky, cells, network.states[0][1], dark, dose)
        assert simulated == pytest.approx(computed, rel=0, abs=0.25e-3)
        assert low <= np.ptp(simulated) < high and 3.9 < simulated.mean() < 3.97


EVERYTHING = Chip(
    cell_gain=0.1,
    cell_threshold=0.1,
    cell_write_gain=0.1,
    cell_capacitance=0.3,
    neuron_threshold=0.1,
    neuron_gain=0.1,
    neuron_time_constant=0.1,
    seed=5,
)


def test_deviations_of_layers_are_independent():
    network = random_network((200, 200, 200))
    chips = (EVERYTHING, dataclasses.replace(EVERYTHING, seed=4))
    one, other = ([of.cells for of in network_on_chip(network, chip).devices] for chip in chips)
    drawn = [one[0].gain, one[1].gain, one[0].transconductance, other[0].gain]
    assert all(values.shape == (201, 201) for values in drawn)  # with bias row and reference
    correlations = np.corrcoef([np.log(values).ravel() for values in drawn])
    assert np.abs(correlations - np.eye(4)).max() < 0.02


def test_chip_file_gives_the_chip_back(tmp_path):
    chip = Chip(seed=7, classes=4, inputs=9, cell_gain=0.1, read_noise=5e-3, stuck_state=6.0)
    (tmp_path / "chip.json").write_text(json.dumps(chip.as_dict()))
    assert load_chip(str(tmp_path / "chip.json"), 4, 9) == chip


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ('{"inputs": 784}', "784"),
        (None, "chip.json"),
    ],
)
def test_unusable_chip_file_is_refused(tmp_path, content, word):
    path = tmp_path / "chip.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ParameterError, match=word):
        load_chip(str(path), 4, 9)


def test_a_rows_pump_writes_all_its_cells_alike():
    chip = Chip(4, 5000, row_write_gain=0.08)
    gains = chip.cells(MemristorParameters()).transconductance
    assert (gains == gains[0]).all()
    assert gains[0].std() / gains[0].mean() == pytest.approx(0.08, rel=0.05)
