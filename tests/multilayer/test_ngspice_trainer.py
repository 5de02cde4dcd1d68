"""Layers in ngspice: layer by layer against the whole network in one transient, and both against the closed form."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from memristive.multilayer import layer_ngspice as layer_readout
from memristive.multilayer.full_transient import WholeNetwork
from memristive.multilayer.layer_netlist import LayerChip, layered_network
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, begin, train
from memristive.multilayer.layer_ngspice import READING_LAYERS, WRITING_LAYERS, BackReader, ColumnWriter, LayeredReader
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.layer_sessions import read_in_ngspice, train_in_ngspice
from memristive.multilayer.ngspice_trainer import LayeredTeacher
from memristive.single_layer.pulses import WRITING
from memristive.spice.errors import SimulationError
from snn_circuit import OFF
from tests.learning.test_layers import RULE, XOR, random_network

SIZES = (9, 12, 8, 4)


@pytest.fixture(scope="module")
def network() -> LayeredNetwork:
    return random_network(SIZES, seed=5, spread=1.0)


def on_a_chip(network: LayeredNetwork) -> LayeredNetwork:
    """The same states on devices of which every one has gains and a threshold of its own."""
    rng, layers = np.random.default_rng(11), []
    for states in network.states:
        neurons, rows = states.shape
        layers.append(LayerChip(*(rng.uniform(0.8, 1.2, shape) for shape in ((neurons + 1, rows), (neurons, rows), neurons))))
    return dataclasses.replace(network, chip=tuple(layers))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Grey levels, some rows dark."""
    rng = np.random.default_rng(7)
    return rng.random((5, SIZES[0])) * (rng.random((5, SIZES[0])) < 0.7)


def deviations(found, exact):
    """Largest difference in s of spikes that both have, layer by layer; what only the closed form has came after the read."""
    return [np.nanmax(np.abs(a - b)) for a, b in zip(found, exact, strict=True)]


def errors_of_reads(ngspice, network, images, solver):
    """Largest deviation in s from the closed form of any spike of a read layer by layer; the decisions must be the same."""
    reader, found = LayeredReader(ngspice, network, solver), []
    for image in images:
        times, settled = reader.read(network, image)
        exact = [layer[0] for layer in network.forward(image[None])]
        assert np.sum(~np.isnan(times[-1])) >= 2
        assert np.nanargmin(times[-1]) == np.nanargmin(exact[-1])
        assert settled[0] == pytest.approx(drives(network, image), abs=5e-3)
        found += deviations(times, exact)
    return max(found)


def test_read_layer_by_layer_agrees_with_the_closed_form_the_better_the_finer_the_steps(ngspice, network, images):
    assert errors_of_reads(ngspice, network, images, READING_LAYERS) < 0.05e-6
    # Most of that is the op-amps', whose gain the closed form takes for infinite.
    neuron = dataclasses.replace(network.parameters.neuron, amplifier_gain=1e7)
    network = dataclasses.replace(network, parameters=dataclasses.replace(network.parameters, neuron=neuron))
    coarse, fine = (errors_of_reads(ngspice, network, images, READING_LAYERS.tightened(factor)) for factor in (0.5, 4))
    assert coarse < 0.1e-6
    assert fine < min(3e-9, coarse / 10)


def test_a_chips_threshold_below_half_an_outputs_height_counts(ngspice, network, images):
    """Membranes are not outputs, of which those above half their height are high."""
    low = on_a_chip(network)
    for layer in low.chip:
        layer.threshold[0] = 0.06  # 0.24 V of 4 V; outputs are 1 V high
    reader = LayeredReader(ngspice, low, READING_LAYERS.tightened())
    for image in images:
        times, exact = reader.read(low, image)[0], [layer[0] for layer in low.forward(image[None])]
        assert max(deviations(times, exact)) < 0.05e-6
        assert np.nanargmin(times[-1]) == np.nanargmin(exact[-1])


def drives(network, rows, layer=0):
    """Where a layer's membranes settle, in thresholds, whose `rows` (bias left out) are that high, in row voltages."""
    from memristor import read_current
    rows, memristor = np.append(rows, 1.0), network.parameters.memristor
    currents = read_current(memristor, network.states[layer], rows)
    reference = read_current(memristor, network.design.reference_state, rows)
    thresholds = network.parameters.neuron.threshold
    if network.chip:
        currents, reference = currents * network.chip[layer].channel[:-1], reference * network.chip[layer].channel[-1]
        thresholds = thresholds * network.chip[layer].threshold
    return network.design.transresistance * (currents - reference).sum(axis=1) / thresholds


def test_hidden_neurons_are_watched_for_the_whole_window_while_learning(ngspice, network, images):
    """Who fires after the decision, and where the membranes behind settle then, decides who is written."""
    exact = [layer[0] for layer in network.forward(images[:1])]
    first = int(np.nanargmin(exact[-1]))
    over = np.nanmin(exact[-1]) + layer_readout.MARGIN  # when a read that is wanted for its first spike alone has ended
    assert np.nanmax(exact[0]) > over
    for label in (None, first):
        times, settled = LayeredReader(ngspice, network).read(network, images[0], 1, label)
        watched = np.inf if label is not None else over
        for found, spikes in zip(times[:-1], exact[:-1], strict=True):
            assert np.array_equal(~np.isnan(found), spikes < watched)
        expected = drives(network, (exact[0] < watched).astype(float), 1)
        assert settled[1] == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("late", [False, True], ids=["in one run", "again where it fires later than foretold"])
def test_a_single_output_neuron_is_read(ngspice, network, images, monkeypatch, late):
    first = np.nanargmin(network.first_spikes(images[:1])[0])
    lone = dataclasses.replace(network, states=(*network.states[:-1], network.states[-1][[first]]))
    exact, reader, stops, run = lone.first_spikes(images[:1])[0], LayeredReader(ngspice, lone), [], LayeredReader._run
    monkeypatch.setattr(LayeredReader, "_run", lambda reader, *given: stops.append(given[2]) or run(reader, *given))
    if late:
        monkeypatch.setattr(layer_readout, "MARGIN", -exact[0] / 2)
    times = reader.read(lone, images[0])[0][-1]
    assert times == pytest.approx(exact, abs=0.1e-6) and stops[1:] == [lone.design.window] * late


def test_a_call_that_is_left_early_leaves_no_circuits_behind(ngspice, network, images):
    def held():
        return {*ngspice._engine._circuits, *ngspice._engine._waiting}
    before, reads = held(), read_in_ngspice(network, images)
    next(reads)
    assert held() - before
    reads.close()
    assert not held() - before


def test_a_chips_reads_agree_with_the_closed_form_of_the_same_chip(ngspice, network, images):
    chip = on_a_chip(network)
    reader = LayeredReader(ngspice, chip, READING_LAYERS.tightened())
    apart = 0.0
    for image in images:
        times, settled = reader.read(chip, image)
        exact = [layer[0] for layer in chip.forward(image[None])]
        apart = max(apart, *deviations(exact, [layer[0] for layer in network.forward(image[None])]))
        assert max(deviations(times, exact)) < 0.05e-6
        assert np.sum(~np.isnan(times[-1])) >= 2
        assert settled[0] == pytest.approx(drives(chip, image), abs=5e-3)
        _, settled = reader.read(chip, image, label=int(np.nanargmin(exact[-1])))
        assert settled[1] == pytest.approx(drives(chip, (~np.isnan(exact[0])).astype(float), 1), abs=5e-3)  # who is in reach
    assert apart > 5e-6  # devices alike would be seen


def test_a_chips_back_reads_and_writes_agree_with_the_closed_form(ngspice, network):
    chip = on_a_chip(network)
    errors = np.array([0.4, -0.2, 1.0, -0.7])
    found = BackReader(ngspice, chip, 2).read(chip.states[2], errors)
    assert found == pytest.approx(chip.read_back(2, errors), abs=1e-3)
    assert np.abs(found - network.read_back(2, errors)).max() > 0.1
    writer = ColumnWriter(ngspice, chip, SIZES[2] + 1, chip.chip[2])
    column, ones = np.full(SIZES[2] + 1, 5.0), np.ones(SIZES[2] + 1)
    rise = [writer.write(column, ones, ones, 60e-6, place) - column for place in (2, 0)]
    assert rise[0] / rise[1] == pytest.approx(chip.chip[2].write[2] / chip.chip[2].write[0], rel=2e-2)


@pytest.mark.parametrize("chip", [False, True])
def test_rows_lent_to_one_image_after_the_other_and_columns_in_blocks_read_as_the_closed_form(ngspice, monkeypatch, chip):
    monkeypatch.setattr(layer_readout, "ROWS", 4)
    monkeypatch.setattr(layer_readout, "BLOCK_CELLS", 30)
    network = random_network((17, 15, 11, 4), seed=2, spread=1.0)
    network = on_a_chip(network) if chip else network
    rng, reader = np.random.default_rng(1), LayeredReader(ngspice, network)
    for driven in (6, 7, 5, 8, 7, 12, 6):
        image = np.zeros(17)
        image[rng.permutation(17)[:driven]] = rng.uniform(0.3, 1.0, driven)
        times, _ = reader.read(network, image)
        exact = [layer[0] for layer in network.forward(image[None])]
        assert max(deviations(times, exact)) < 0.1e-6
        network = dataclasses.replace(network, states=tuple(states + rng.normal(0, 0.2, states.shape) * (rng.random(
            states.shape) < 0.3) for states in network.states))  # as after a write


@pytest.mark.parametrize("chip", [False, True])
def test_whole_network_in_one_transient_agrees_with_the_closed_form_and_with_reads_layer_by_layer(ngspice, network, images, chip):
    network, stop = on_a_chip(network) if chip else network, 100e-6
    whole, reader = WholeNetwork(ngspice, network), LayeredReader(ngspice, network)
    for image in images[:1 if chip else 2]:
        found = whole.read(image, stop)
        exact = [layer[0] for layer in network.forward(image[None])]
        assert np.sum(~np.isnan(found[-1])) >= 2
        for layer, (times, wanted) in enumerate(zip(found, exact, strict=True)):
            assert np.array_equal(np.isnan(times), ~(wanted < stop - 1e-6))
            # A switch flips at a time point, up to a step late or, within its hysteresis, early; then the output rises in 0.1 us.
            assert np.nanmax(np.abs(times - wanted)) < 0.3e-6 * (layer + 1)
        # Where no switch has come between, the two ways differ by what the steps leave alone.
        assert deviations(reader.read(network, image)[0], found)[0] < 0.03e-6


def test_every_cell_of_the_whole_network_has_its_place(network):
    text = str(layered_network(network.parameters, network.design, network.states, [OFF] * SIZES[0]))
    for layer, (rows, columns) in enumerate(itertools.pairwise(SIZES)):
        assert len(set(re.findall(rf"(?i)xcell_{layer}_\d+_\d+", text))) == (columns + 1) * (rows + 1)  # reference, bias


def test_back_read_shows_what_the_closed_form_says_and_the_differences_to_five_millivolts(ngspice, network):
    reader = BackReader(ngspice, network, 2)
    for errors in (np.array([1.0, 0, -1, 0]), np.array([0.0, 1, 0, 0]), np.array([0.4, -0.2, 1.0, -0.7])):
        found = reader.read(network.states[2], errors)
        assert found == pytest.approx(network.read_back(2, errors), abs=1e-3)
        expected = (errors @ (network.states[2] - network.design.reference_state))[:-1]
        assert np.abs(found - expected).max() < 5e-3
    changed = network.states[2] + 0.25
    errors = np.array([1.0, 0, 0, 0])
    assert reader.read(changed, errors) - reader.read(network.states[2], errors) == pytest.approx(0.25, abs=2e-3)


def test_back_read_through_a_hidden_layer_shows_what_the_closed_form_says(ngspice, network):
    reader, states = BackReader(ngspice, network, 1), network.states[1]
    errors = np.random.default_rng(5).normal(1.0, 1.5, len(states))  # V
    assert abs(errors.sum()) > 2.0  # for the reference column to carry
    found = reader.read(states, errors)
    assert found == pytest.approx(network.read_back(1, errors), abs=2e-3)
    assert found == pytest.approx((errors @ (states - network.design.reference_state))[:-1], abs=0.1)


@pytest.mark.parametrize(("sign", "switch_threshold"), [(1, 0.5), (-1, 0.5), (1, 1.3)])  # phi of 1.2 V would not open 1.3 V
def test_write_is_the_overlap_of_row_and_window(ngspice, network, sign, switch_threshold):
    device = dataclasses.replace(network.parameters.memristor, switch_threshold=switch_threshold)
    network = dataclasses.replace(network, parameters=dataclasses.replace(network.parameters, memristor=device))
    writer = ColumnWriter(ngspice, network, 5)
    column = np.array([3.0, 4.0, 5.0, 6.0, 7.0])
    levels, high = np.array([1.0, 0.5, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.3, 1.0, 0.7])
    pulse = 60e-6
    found = writer.write(column, levels, high, sign * pulse)
    memristor = network.parameters.memristor
    rate = memristor.transconductance / memristor.memory_capacitance
    leak = pulse * column / (memristor.leak_resistance * memristor.memory_capacitance)
    assert found == pytest.approx(column + sign * rate * pulse * levels * high - leak, abs=2e-4)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("pulse", [0.3e-6, -2e-6, 20e-6, -20e-6])
def test_a_write_is_exact_for_cells_below_their_row_too(ngspice, network, alike, pulse):
    """With the usual steps they ended up to 4 mV too high, whatever the dose; where rows rise one by one all were 0.5 mV off."""
    rng, writer = np.random.default_rng(2), ColumnWriter(ngspice, network, 65)
    column = np.append(rng.uniform(0.6, 1.4, 6), 5 + rng.normal(0, 0.2, 59))
    levels, high = rng.random(65), np.ones(65) if alike else rng.random(65)
    memristor = network.parameters.memristor
    assert writer.write(column, levels, high, pulse) - column == pytest.approx(
        memristor.transconductance / memristor.memory_capacitance * pulse * levels * high
        - abs(pulse) * column / (memristor.leak_resistance * memristor.memory_capacitance), abs=0.1e-3)


def test_a_write_that_has_no_end_with_tight_tolerances_has_one_with_the_usual_ones(ngspice, network):
    class Endless:
        alter = staticmethod(lambda changes: None)

        def run(self, stop):
            raise SimulationError("timestep too small")
    writer, usual = ColumnWriter(ngspice, network, 5), ColumnWriter(ngspice, network, 5)
    writer._circuits[True, WRITING_LAYERS] = Endless()
    column, ones = np.linspace(3, 7, 5), np.ones(5)
    assert writer.write(column, ones, ones, 20e-6) == pytest.approx(usual.write(column, ones, ones, 20e-6), abs=1e-3)
    writer._circuits[True, WRITING] = Endless()
    with pytest.raises(SimulationError):
        writer.write(column, ones, ones, 20e-6)


@pytest.mark.parametrize("alike", [True, False])
def test_write_too_short_for_ngspices_tolerances_comes_at_a_lower_voltage(ngspice, network, alike):
    """What is read back may be next to nothing; a column of 65 rows stopped ngspice at pulses of 0.4 ns and 1 V."""
    rng, writer = np.random.default_rng(2), ColumnWriter(ngspice, network, 65)
    levels, column = rng.random(65) * (rng.random(65) < 0.6), 5 + rng.normal(0, 0.2, 65)
    high = np.ones(65) if alike else rng.random(65)
    memristor = network.parameters.memristor
    rate = memristor.transconductance / memristor.memory_capacitance
    for pulse in (-1e-16, 3e-13, -0.4e-9, 4e-10, 3e-9, -20e-9):
        found = writer.write(column, levels, high, pulse) - column
        assert found == pytest.approx(rate * pulse * levels * high, rel=1e-2, abs=5e-6)


def test_a_latched_output_keeps_its_spike_when_the_membrane_falls(simulate, network):
    # The bias makes the neuron fire, then a strong inhibiting row steps up at 100 us.
    cells = LayeredNetwork((np.array([[1.0, 9.0]]),))
    late = [(0.0, 0.0), (100e-6, 0.0), (100.1e-6, 1.0), (1.0, 1.0)]
    circuit = layered_network(cells.parameters, cells.design, cells.states, [late])
    for source in circuit.elements:
        if source.name.lower() == "vpulse":
            source.values = [(0.0, 0.0), (1e-6, 1.0), (1.0, 1.0)]
    waves = simulate(circuit, ["membrane_0_0", "row_1_0"], 300e-6)
    assert waves["membrane_0_0"][-1] < dataclasses.replace(cells.parameters.neuron).threshold - 0.2
    assert waves["row_1_0"][-1] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("hidden", "chip", "scale"), [((6,), False, 1), ((6,), True, 1), ((6, 5), False, 1), ((6, 5), False, 3)])
def test_teaching_in_ngspice_finds_the_errors_and_makes_the_writes_of_the_closed_form(ngspice, hidden, chip, scale):
    images, labels = XOR
    rule = dataclasses.replace(RULE, presentations=12, error_scale=scale * RULE.error_scale)
    start = begin(hidden, 2, images, rule)
    start = on_a_chip(start) if chip else start
    closed, circuit = LayeredLearning.begin(start, rule), LayeredLearning.begin(start, rule)
    for _ in train(closed, rule, images, labels):
        pass
    steps = list(LayeredTeacher(ngspice, start, rule, images, labels).presentations(circuit))
    assert circuit.history[:, 1].sum() >= 4
    assert np.array_equal(circuit.history, closed.history)
    assert steps[-1] == (12, closed.history[:, 0].mean())
    for ours, theirs, before in zip(circuit.network.states, closed.network.states, start.states, strict=True):
        assert ours == pytest.approx(theirs, abs=3e-3)
        assert np.abs(theirs - before).max() > 0.05


def test_an_image_that_is_right_by_too_little_counts_as_right_and_is_written_for():
    """As in the closed form: what learning curves and running accuracies are made of."""
    generator = np.random.default_rng(3)
    images, labels = generator.random((30, 6)), np.arange(30) % 3
    images[np.arange(30), labels] = 1.0
    taught, rule = LayeredRule(presentations=600, margin=4e-6), LayeredRule(presentations=12, margin=20e-6, hidden_dose=1e-3)
    start = LayeredLearning.begin(begin((8,), 3, images, taught), taught)
    list(train(start, taught, images, labels))
    found = []
    for run in (train, train_in_ngspice):
        learning = LayeredLearning.begin(start.network, rule)
        list(run(learning, rule, images, labels))
        found.append(learning.history)
    assert np.array_equal(*found) and found[0].all(axis=1).any()


def test_who_is_in_reach_on_a_chip_goes_by_his_own_threshold_in_whatever_block(ngspice, monkeypatch):
    network, settled = on_a_chip(random_network((17, 15, 11, 4), seed=2, spread=1.0)), []
    for cells in (30, 2500):
        monkeypatch.setattr(layer_readout, "BLOCK_CELLS", cells)
        settled.append(LayeredReader(ngspice, network).read(network, np.random.default_rng(1).random(17), label=0)[1][1])
    assert settled[0] == pytest.approx(settled[1], abs=1e-3)
