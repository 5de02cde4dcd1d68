"""Chips whose devices differ: their statistics, their netlists, and both engines on the same chip."""

import dataclasses
import re

import numpy as np
import pytest
from scipy.optimize import brentq

from memristive.cli.experiments import VOLTAGES
from memristive.io.voltages import load_voltages
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader, WiredWriter, Writer
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import PRESETS, Chip, deviation
from memristive.variability.chip_engines import chip_engine
from memristor import MemristorParameters, read_current
from snn_circuit import OFF, NetworkParameters, network
from tests.conftest import TIGHT

SPREADS = ("cell_gain", "cell_write_gain", "cell_capacitance", "neuron_threshold", "neuron_gain", "neuron_time_constant")


def chip_of(spread, **more):
    """A chip all of whose devices deviate by `spread`, their Vto by that share of a volt; some of its cells are stuck."""
    return Chip(seed=3, cell_threshold=spread, stuck_off=0.02, stuck_on=0.02, **dict.fromkeys(SPREADS, spread), **more)


@pytest.fixture(scope="module")
def trained():
    """Committed error-driven states by encoding."""
    return {encoding: load_voltages(VOLTAGES / f"mnist_error_driven{ending}.json", "mnist", 10, 100, (encoding,)).states
            for encoding, ending in (("binary", ""), ("grey", "_grey"))}


def leads(spikes):
    """By how much the first neuron of each image leads the second, in s."""
    order = np.sort(spikes, axis=-1)  # nan, the silent ones, last
    return order[..., 1] - order[..., 0]


def test_ideal_chip_is_the_nominal_network(parameters, mnist_schedule, trained, digit_images):
    nominal, chip = Crossbar.of(parameters, mnist_schedule), Chip().crossbar(parameters, mnist_schedule)
    images = digit_images["grey"]
    assert chip.first_spikes(trained["grey"], images) == pytest.approx(nominal.first_spikes(trained["grey"], images),
                                                                      rel=1e-12, nan_ok=True)
    assert Chip().ideal
    assert not any(PRESETS[name].ideal for name in PRESETS if name != "ideal")
    assert (Chip().held(trained["grey"]) == trained["grey"]).all()


@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_spreads_have_the_mean_and_the_deviation_that_they_say(parameters, spread):
    chip = Chip(classes=200, inputs=200, cell_threshold=spread, **dict.fromkeys(SPREADS, spread))
    cells, neurons = chip.cells(parameters.memristor), chip.neurons(parameters.neuron)
    for values, nominal in ((cells.gain, parameters.memristor.gain), (cells.capacitance, parameters.memristor.capacitance),
                            (cells.transconductance, parameters.memristor.transconductance)):
        assert values.mean() == pytest.approx(nominal, rel=4 * spread / 200, abs=0)  # four standard errors of 40,000 devices
        assert values.std() == pytest.approx(spread * nominal, rel=0.03, abs=0)
        assert (values > 0).all()
    assert cells.threshold_voltage.std() == pytest.approx(spread, rel=0.02)
    assert neurons.threshold.std() == pytest.approx(spread * parameters.neuron.threshold, rel=0.25)  # 200 neurons
    independent = np.corrcoef([np.log(cells.gain).ravel(), np.log(cells.capacitance).ravel(), cells.threshold_voltage.ravel(),
                               np.log(cells.transconductance).ravel()])
    assert np.abs(independent - np.eye(4)).max() < 0.02


def test_spread_stretches_the_same_draws_and_seeds_are_different_chips(parameters):
    def logs(**chip):
        return np.log(Chip(**chip).cells(parameters.memristor).gain / parameters.memristor.gain)
    small, large = logs(cell_gain=0.05), logs(cell_gain=0.1, cell_threshold=0.1)
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] == pytest.approx(1.0)
    assert large.std() / small.std() == pytest.approx(2, rel=0.01)
    assert abs(np.corrcoef(small.ravel(), logs(cell_gain=0.05, seed=2).ravel())[0, 1]) < 0.15


def test_a_seed_gives_the_same_chip_for_ever(parameters):
    # Committed voltages and results name their chip by its seed: these numbers must not change.
    spreads = dict.fromkeys((*SPREADS, "cell_threshold"), 0.1)
    chip = Chip(seed=5, classes=2, inputs=3, stuck_off=0.25, stuck_on=0.25, write_noise=0.3, read_noise=1.0, decay_rate=1.0,
                decay_spread=0.1, **spreads)
    memristor, neuron = parameters.memristor, parameters.neuron
    cells, neurons, sigma = chip.cells(memristor), chip.neurons(neuron), np.sqrt(np.log1p(0.1**2))
    held = chip.held(np.full((2, 3), 3.0))
    assert held.tolist() == [[7, 3, 3], [3, 3, 0]]
    wires = dataclasses.replace(chip, row_resistance=1.5, column_resistance=2.5).devices(parameters).wires
    assert (wires.row, wires.column) == (1.5, 2.5)
    drawn = {"gain": cells.gain[0, 1] / memristor.gain, "write gain": cells.transconductance[0, 1] / memristor.transconductance,
             "capacitance": cells.capacitance[0, 1] / memristor.capacitance,
             "neuron threshold": neurons.threshold[1] / neuron.threshold,
             "feedback": neurons.feedback_resistance[1] / neuron.feedback_resistance,
             "membrane": neurons.membrane_capacitance[1] / neuron.membrane_capacitance,
             "decay": -np.log(chip.kept(np.full((2, 3), 1.0), 1.0)[0, 1])}
    normal = {name: float((np.log(value) + sigma**2 / 2) / sigma) for name, value in drawn.items()}
    assert normal == pytest.approx({"gain": -1.6041764, "write gain": -2.052891, "capacitance": 1.8281193,
                                    "neuron threshold": -0.6511568, "feedback": 0.6788442, "membrane": -1.4630635,
                                    "decay": -1.508474}, rel=1e-6)
    assert cells.threshold_voltage[0, :2] - memristor.threshold_voltage == pytest.approx([0.08312426, -0.13282868], rel=1e-6)
    assert chip.jitter("test", 0) == pytest.approx([0.5616602, -1.7994815], rel=1e-6)
    assert chip.jitter("test", 300) == pytest.approx([3.0456338, 1.8324482], rel=1e-6)
    assert chip.write_factors(0, 1) == pytest.approx([0.8794361, 0.6055903, 0.9453525], rel=1e-6)
    assert chip.write_factors(257, 1) == pytest.approx([1.3026818, 1.1546499, 1.073501], rel=1e-6)


@pytest.mark.parametrize(("off", "on"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_a_chip_may_be_stuck_altogether(off, on):
    chip = Chip(seed=2, classes=20, inputs=30, stuck_off=off, stuck_on=on, stuck_state=6.0)
    held = chip.held(np.full((20, 30), 3.0))
    assert chip.stuck.all()
    assert (held == 0).mean() == pytest.approx(off, abs=0.1)
    assert (held == 6).mean() == pytest.approx(on, abs=0.1)


def test_stuck_cells_stand_where_they_are_stuck_and_take_no_write(parameters, mnist_schedule):
    chip = Chip(classes=100, inputs=100, stuck_off=0.1, stuck_on=0.05, stuck_state=6.5)
    held = chip.held(np.full((100, 100), 3.0))
    assert [(held == volts).mean() for volts in (0.0, 6.5)] == pytest.approx([0.1, 0.05], abs=0.01)
    assert (chip.stuck == (held != 3.0)).all()
    fewer = dataclasses.replace(chip, stuck_off=0.05)
    assert not (fewer.stuck & ~chip.stuck).any()  # a chip with more faults has those of one with fewer
    crossbar = chip.crossbar(parameters, mnist_schedule)
    written = chip.held(crossbar.write(held, np.ones(100), 1, 50e-6))
    assert (written[chip.stuck] == held[chip.stuck]).all()
    assert (written[~chip.stuck] > 3.05).all()
    assert np.array_equal(chip.cells(parameters.memristor).transconductance == 0, chip.stuck)


def test_what_is_forgotten_decays_with_its_time_constant():
    states = np.full((10, 100), 4.0)
    assert Chip(decay_rate=0.5).kept(states, 2.0) == pytest.approx(4.0 * np.exp(-1.0))
    spread = Chip(decay_rate=0.5, decay_spread=0.3, stuck_on=0.1)
    left = spread.kept(states, 2.0)
    assert (left[spread.stuck] == spread.stuck_state).all()
    assert np.std(np.log(left[~spread.stuck])) == pytest.approx(0.3, rel=0.1)


def test_netlist_shows_each_device_with_its_own_values():
    parameters = NetworkParameters(MemristorParameters(width=50e-6))  # a channel that is not square
    chip = chip_of(0.1)
    cells, neurons = chip.cells(parameters.memristor), chip.neurons(parameters.neuron)
    text = str(network(parameters, np.full((10, 100), 3.0), None, [OFF] * 10, devices=chip.devices(parameters)))
    for j, i in ((0, 0), (3, 71), (9, 99)):
        line = re.search(rf"^Xcell_{j}_{i} (.*)$", text, re.MULTILINE)[1]
        shown = {key: float(value) for key, value in re.findall(r"(\w+)=(\S+)", line)}
        assert shown["w"] / shown["l"] * parameters.memristor.kp == pytest.approx(cells.gain[j, i])
        assert shown["w"] * shown["l"] == pytest.approx(parameters.memristor.width * parameters.memristor.length)
        assert shown["vto"] == pytest.approx(cells.threshold_voltage[j, i])
        assert shown["k"] == pytest.approx(cells.transconductance[j, i], rel=1e-5, abs=0)
        assert shown["c"] == pytest.approx(cells.capacitance[j, i], rel=1e-5, abs=0)
    for j in range(10):
        line = re.search(rf"^Xneuron_{j} (.*)$", text, re.MULTILINE)[1]
        shown = {key: float(value) for key, value in re.findall(r"(\w+)=(\S+)", line)}
        assert shown == pytest.approx({"threshold": neurons.threshold[j], "feedback": neurons.feedback_resistance[j],
                                       "capacitance": neurons.membrane_capacitance[j]})


@pytest.mark.parametrize("encoding", ["binary", "grey"])
@pytest.mark.parametrize("spread", [0.02, 0.1])
def test_both_engines_see_the_same_chip(ngspice, parameters, mnist_schedule, trained, digit_images, encoding, spread):
    chip = chip_of(spread)
    states, images = chip.held(trained[encoding]), digit_images[encoding][:6]
    reader = Reader(ngspice, parameters, mnist_schedule, 10, TIGHT, chip)
    simulated = np.array([reader.spikes(states, image, wanted=10) for image in images])
    computed = chip.crossbar(parameters, mnist_schedule).first_spikes(states, images)
    assert (np.isnan(simulated) == np.isnan(computed)).all()
    early = computed < 400e-6  # a membrane that grazes its threshold crosses it at the mercy of the last digit
    assert early.sum() > 30
    assert simulated[early] == pytest.approx(computed[early], abs=20e-9)
    assert leads(simulated) == pytest.approx(leads(computed), abs=5e-9, rel=2e-3)
    # The deviation is there: the nominal network's spikes are elsewhere.
    nominal = Crossbar.of(parameters, mnist_schedule).first_spikes(states, images)
    assert np.nanmedian(np.abs(nominal - simulated)) > 1e-6


def test_read_noise_is_the_same_jitter_of_the_threshold_in_both_engines(ngspice, parameters, mnist_schedule, trained,
                                                                        digit_images):
    chip = chip_of(0.02, read_noise=0.05)
    states, image = chip.held(trained["grey"]), digit_images["grey"][1]
    reader = Reader(ngspice, parameters, mnist_schedule, 10, TIGHT, chip)
    crossbar = chip.crossbar(parameters, mnist_schedule)
    quiet = reader.spikes(states, image, wanted=10)
    # The last is far more than noise: a trigger that stayed where it was would fire tens of microseconds late.
    for jitter in (chip.jitter("test", 0), chip.jitter("test", 300), np.linspace(-1.5, 1.5, 10)):
        noisy = dataclasses.replace(crossbar, neurons=dataclasses.replace(crossbar.neurons,
                                                                          threshold=crossbar.neurons.threshold + jitter))
        simulated = reader.spikes(states, image, wanted=10, jitter=jitter)
        assert simulated == pytest.approx(noisy.read(states, image).spikes, abs=20e-9)
        assert np.abs(simulated - quiet).max() > 0.5e-6
    assert reader.spikes(states, image, wanted=10) == pytest.approx(quiet, abs=1e-9)
    assert reader.spikes(states, image, wanted=10, jitter=np.zeros(10)) == pytest.approx(quiet, abs=1e-9)
    draws = np.array([chip.jitter("test", k) for k in range(2000)])
    assert draws.std() == pytest.approx(0.05, rel=0.02)
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.1  # of each read its own
    assert not (chip.jitter("learning", 0) == draws[0]).any()


def test_both_engines_write_the_same_chip(ngspice, parameters, mnist_schedule, trained, digit_images):
    chip = dataclasses.replace(chip_of(0.1, write_noise=0.3), stuck_off=0.0)
    writer = Writer(ngspice, parameters, mnist_schedule, 100)
    cells, crossbar, states = chip.cells(parameters.memristor), chip.crossbar(parameters, mnist_schedule), trained["grey"]
    for column, sign in ((3, 1), (7, -1)):
        own, image = cells.of(slice(column, column + 1), slice(None)), digit_images["grey"][column]
        factors = chip.write_factors(5, column)
        assert factors.std() == pytest.approx(0.3, rel=0.3)
        own = dataclasses.replace(own, transconductance=own.transconductance * factors)
        simulated = writer.write(states[column], image, sign, 50e-6, own) - states[column]
        of_column = dataclasses.replace(crossbar.cells.map(lambda values, j=column: values[j]),
                                        transconductance=own.transconductance[0])
        computed = crossbar.write(states[column], image, sign, 50e-6, of_column) - states[column]
        assert simulated == pytest.approx(computed, rel=4e-3, abs=0.1e-3)
        assert np.abs(computed).max() > 0.05


@pytest.fixture(scope="module")
def small():
    """A chip of 3 x 4 cells whose wires resist next to nothing, states of its cells, an image, and a network for it."""
    chip = dataclasses.replace(chip_of(0.1), classes=3, inputs=4, row_resistance=1e-6, column_resistance=1e-6, stuck_off=0.0)
    states = np.random.default_rng(5).uniform(3, 5, (3, 4))
    parameters = NetworkParameters()
    neuron = dataclasses.replace(parameters.neuron, feedback_resistance=5e3)
    return chip, states, np.array([1.0, 0.0, 0.6, 0.9]), dataclasses.replace(parameters, neuron=neuron)


def test_wires_that_hardly_resist_change_nothing(ngspice, mnist_schedule, small):
    chip, states, image, parameters = small
    bare = dataclasses.replace(chip, row_resistance=0.0, column_resistance=0.0)
    wired = Reader(ngspice, parameters, mnist_schedule, 3, TIGHT, chip).spikes(states, image, wanted=3)
    assert wired == pytest.approx(bare.crossbar(parameters, mnist_schedule).read(states, image).spikes, abs=10e-9)
    column = chip.cells(parameters.memristor).of(slice(1, 2), slice(None))
    gains = column.transconductance * [1.3, 1.0, 0.8, 1.1]  # this write's own noise
    whole = WiredWriter(ngspice, parameters, mnist_schedule, chip).write(states, 1, image, 1, 50e-6, gains[0])
    column = dataclasses.replace(column, transconductance=gains)
    alone = Writer(ngspice, parameters, mnist_schedule, 4).write(states[1], image, 1, 50e-6, column)
    assert whole == pytest.approx(alone, abs=0.1e-3)


def test_cells_of_any_threshold_forget_towards_zero_while_they_are_written(ngspice, parameters, mnist_schedule):
    """A leak that takes 80 of 4,000 mV in a write: cells that differ in Vto alone lose alike, with own capacitors not."""
    leaky = dataclasses.replace(parameters, memristor=dataclasses.replace(
        parameters.memristor, leak_resistance=1e9, capacitance=1e-12))
    for chip, apart in ((Chip(classes=2, inputs=20, cell_threshold=0.3), 0.05e-3),
                        (Chip(classes=2, inputs=20, cell_threshold=0.3, cell_capacitance=0.4), 0.2)):
        states = np.full((2, 20), 4.0)
        simulated, computed = (chip_engine(name, ngspice, leaky, mnist_schedule, chip).write(states, 1, np.zeros(20), 1, 70e-6)
                               for name in ("ngspice", "closed-form"))
        assert simulated == pytest.approx(computed, rel=0, abs=0.25e-3)
        assert np.ptp(simulated) < apart and 3.9 < simulated.mean() < 3.97
    assert np.ptp(simulated) > 5e-3


def test_a_write_through_wires_opens_its_own_column_alone(ngspice, mnist_schedule, small):
    chip, states, image, parameters = small
    gains = chip.cells(parameters.memristor).transconductance
    fresh, used = (WiredWriter(ngspice, parameters, mnist_schedule, chip) for _ in range(2))
    used.write(states, 0, image, 1, 50e-6, gains[0])
    for writer in (fresh, used):
        writer.write(states, 1, image, 1, 50e-6, gains[1])
    with pytest.raises(ParameterError, match="images must be levels from 0 to 1"):
        used.write(states, 1, 2 * image, 1, 50e-6, gains[1])
    # The phi of the column written before must be low again: all cells of the crossbar end as in a circuit never used.
    fresh, used = (writer._circuit.run(60e-6).stack(writer._states)[:, -1].reshape(states.shape) for writer in (fresh, used))
    assert used == pytest.approx(fresh, abs=1e-4)
    assert (np.abs(used - states) < 1e-3).all(axis=1).tolist() == [True, False, True]


def test_each_wire_has_the_resistance_of_its_kind(parameters):
    """Of 2 x 3 cells: a row's wire from column to column, a column's from row to row."""
    chip = Chip(classes=2, inputs=3, row_resistance=100.0, column_resistance=30.0)
    text = str(network(parameters, np.full((2, 3), 4.0), None, devices=chip.devices(parameters)))
    wires = re.findall(r"^R(row|wire)_\d+_\d+ \S+ \S+ (\S+)$", text, re.MULTILINE)
    assert sorted(wires) == [("row", "100.0")] * 6 + [("wire", "30.0")] * 6


def test_wires_take_their_share_of_the_voltage(simulate, parameters):
    """One cell: its channel and the row's wire in series. (A column's wire would lift the gate as well, through the source.)"""
    chip = Chip(classes=1, inputs=1, row_resistance=450.0)
    circuit = network(parameters, np.array([[4.0]]), [[(0.0, 0.0), (10e-6, 1.0)]], devices=chip.devices(parameters))
    waves = simulate(circuit, ["membrane_0"], 3e-3)
    current = brentq(lambda i: read_current(parameters.memristor, 4.0, 1 - 450 * i) - i, 0, 1e-3)
    assert waves["membrane_0"][-1] == pytest.approx(parameters.neuron.transresistance * current, rel=1e-3)
    alone = float(read_current(parameters.memristor, 4.0, 1.0))
    assert current < 0.85 * alone


def test_rows_far_from_the_neuron_and_columns_far_from_the_source_carry_less(simulate, parameters):
    chip = Chip(classes=2, inputs=3, row_resistance=100.0, column_resistance=30.0)
    sources = [[(0.0, 0.0), (10e-6, 1.0)]] + [OFF] * 2

    def membranes(driven):
        inputs = [sources[0] if i == driven else OFF for i in range(3)]
        circuit = network(parameters, np.full((2, 3), 4.0), inputs, devices=chip.devices(parameters))
        waves = simulate(circuit, ["membrane_0", "membrane_1"], 2e-3)
        return np.array([waves["membrane_0"][-1], waves["membrane_1"][-1]])
    first, last = membranes(0), membranes(2)
    assert first[0] > first[1]
    assert (last > first).all()


@pytest.mark.parametrize(("field", "value", "words"), [
    ("cell_gain", -0.1, "cell_gain must be 0 to 2, got -0.1"), ("read_noise", float("nan"), "read_noise must be .* got nan"),
    ("neuron_threshold", "0.1", "neuron_threshold must be"), ("stuck_off", 1.5, "stuck_off must be 0 to 1")])
def test_a_chip_that_cannot_be_is_refused(field, value, words):
    with pytest.raises(ParameterError, match=words):
        Chip(**{field: value})


def test_a_chip_of_another_shape_or_with_wires_in_the_closed_form_is_refused(parameters, mnist_schedule):
    with pytest.raises(ParameterError, match="10 x 100 cells, the network needs 10 x 784"):
        Chip().check_shape(10, 784)
    with pytest.raises(ParameterError, match="shares of all cells"):
        Chip(stuck_off=0.6, stuck_on=0.6)
    with pytest.raises(ParameterError, match=r"^a chip whose wires resist has no closed form; use ngspice.* whole network$"):
        Chip(row_resistance=1.0).crossbar(parameters, mnist_schedule)


def test_deviation_says_its_kind_its_distribution_and_what_was_published():
    field = deviation(2.0, "V", "d2d", "normal", "spread of Vto", "0.01 (someone)", 0.5)
    assert field.default == 0.5
    assert field.metadata == {
        "low": 0.0, "high": 2.0, "unit": "V", "meaning": "d2d, normal: spread of Vto; published: 0.01 (someone)", "whole": False,
        "kind": "d2d", "distribution": "normal", "published": "0.01 (someone)"}
    assert deviation(2.0, "V", "d2d", "normal", "spread", "none").default == 0.0


def test_closed_form_of_a_chip_has_its_devices_one_by_one(parameters, mnist_schedule):
    """Each array of the crossbar is that of the chip, and what no chip changes stays nominal."""
    chip, nominal = chip_of(0.1), Crossbar.of(parameters, mnist_schedule)
    found = chip.crossbar(parameters, mnist_schedule)
    cells, neurons = chip.cells(parameters.memristor), chip.neurons(parameters.neuron)
    for name in ("gain", "threshold_voltage", "transconductance", "capacitance"):
        assert np.array_equal(getattr(found.cells, name), getattr(cells, name)) and getattr(cells, name).std() > 0
    assert found.cells.gate_capacitance == nominal.cells.gate_capacitance
    assert np.array_equal(found.neurons.threshold, neurons.threshold)
    assert np.array_equal(found.neurons.feedback_resistance, neurons.feedback_resistance)
    assert found.neurons.time_constant == pytest.approx(parameters.neuron.membrane_resistance * neurons.membrane_capacitance)
    assert found.neurons.membrane_gain == nominal.neurons.membrane_gain and found.schedule == mnist_schedule
