"""Ledgers: a training costs the sum of its presentations."""

import dataclasses

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from memristive.accounting import costs, dissipation, overview
from memristive.accounting.costs import Accounts
from memristive.accounting.dissipation import joules_per_siemens, write_costs
from memristive.devices.measured_device import DEVICES
from memristive.engines.ngspice_layer import BACK_STOP
from memristive.engines.solvers import READING
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.ledger import COMPUTED, Technology, stage_load
from memristive.network.chip import Chip
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign, Schedule
from memristive.network.networks import Network, network_on_chip
from memristive.spice.session import run_once
from memristive.writing.at_once import ColumnDose
from memristive.writing.pulses import no_counts
from memristor import state_rate
from tests.network.kinds import IMAGE as PIXELS
from tests.network.kinds import KINDS
from tests.network.networks import (
    MEASURED,
    PULSED_IMAGES,
    PULSED_RULE,
    RULE,
    measured_network,
    random_network,
)

IMAGE = np.random.default_rng(7).random(9)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def joules(value):
    """Return what equals a small `value`, whatever its size."""
    return pytest.approx(value, rel=1e-6, abs=0)


def convolution():
    """Three kernels of 3x3 pixels, which read the four patches of a 4x4 image."""
    rng = np.random.default_rng(8)
    design = LayerDesign(hidden_bias=0.5, output_bias=1.3, output_gain=0.5, window=300e-6)
    states = rng.normal(6.0, 0.5, (3, 10)), rng.normal(6.0, 0.5, (3, 4))
    return Network(states, design=design, kinds=(Convolution(4, 4, 3, regions=1),))


def an_error(network, image):
    """The changes if the second output neuron to fire is the right one."""
    seen = costs.read_in_closed_form(network, image)
    order = np.argsort(seen.times[-1]).tolist()
    return costs.correction(network, RULE, image, order[1], order[0], seen)


def test_kernels_that_won_with_the_same_patch_share_its_play():
    network = convolution()
    found, accounts = an_error(network, np.resize(IMAGE, 16)), Accounts()
    one = found.writes[0][0]
    same = one._replace(column=(one.column + 1) % 3, dose=one.dose / 2)
    other = same._replace(shares=one.shares / 2)

    def write(*doses):
        return accounts.correct(network, dataclasses.replace(found, writes=[[*doses], []]))

    assert write(one, same).times == write(one).times
    assert write(one, same).sum(kind=COMPUTED) == joules(write(one).sum(kind=COMPUTED))
    apart = write(one).times["write"] + write(other).times["write"]
    assert write(one, other).times["write"] == joules(apart)


def test_a_convolution_keeps_a_position_for_each_kernel_and_region():
    network, t = convolution(), Technology()
    image = np.resize(IMAGE, 16)
    ledger = costs.inference(network, image, Accounts())
    times = ledger.times
    lines = {line.name: line.joules for line in ledger.lines}
    # four patches in one region: two bits for each of three kernels
    assert lines["patches: kept positions"] == joules(4 * 3 * 2 * t.memory_energy)
    assert costs.area(network, t)["positions"] == joules(3 * 2 * t.memory_cell * t.feature_size**2)
    # membranes fall for eight time constants of 150 us between two patches
    assert times["read"] - times["decision"] < 1e-6 and ledger.duration == times["read"]
    assert times["decision"] > 4 * (network.design.window + 8 * 150e-6)


def test_a_stack_keeps_the_spikes_of_all_patches_and_reads_errors_back_from_those_that_won():
    """16 patches of the image, and four of the 3x3 maps above, with two kernels each."""
    network, t, image = KINDS["two convolutions, hidden"](), Technology(), PIXELS
    design, tau = network.design, network.parameters.neuron.time_constant
    lines = {line.name: line for line in costs.inference(network, image, Accounts()).lines}
    assert lines["patches: kept spikes"].joules == joules((16 + 4) * 2 * t.comparator_energy)
    # two patches to a region, or a single one; of the layer above each patch is a region
    assert lines["patches: kept positions"].joules == joules(16 * 2 * 2 * t.memory_energy)
    first, second, *dense = network.layers  # the bias row of each is high in each patch
    squares = np.square(first.kind.windows(network.read_levels(image[None])[0])).sum()
    wires = first.width * squares + 4 * second.width + sum(layer.width for layer in dense)
    charged = t.line_capacitance * design.row_voltage**2 / 2
    assert lines["read: wires"].joules == joules(charged * wires)
    times = costs.inference(network, image, Accounts()).times
    assert 0 < times["decision"] - (16 + 4) * (design.window + 8 * tau) < design.window
    seen = costs.read_in_closed_form(network, image)
    order = np.argsort(seen.times[-1]).tolist()
    rule = dataclasses.replace(RULE, reach=0.0)
    found = costs.correction(network, rule, image, order[1], order[0], seen)
    ends = [dissipation.read_energies(network, image, seen.times, stop) for stop in (1e-5, 1e-4)]
    assert ends[0][:2] == ends[1][:2] and ends[0][2:] != ends[1][2:]  # patches take the window
    won = {seen.winners[1][j] for j in np.flatnonzero(found.errors[1])}
    reads = [len(of_layer) for of_layer in found.back_reads]
    assert reads == [0, len(won), 1, 1] and len(won) > 1
    ledger = Accounts().correct(network, found)
    assert ledger.times["back-read"] == joules(sum(reads) * BACK_STOP)


def test_gates_are_written_once_for_all_cells_that_are_due():
    """RESET opens the gates of cells that fall, SET takes their voltages, and reads open all."""
    network = measured_network("li-1t1r", (), 1, noise=False)
    network = dataclasses.replace(network, states=(0.0 * network.states[0],), waiting=())
    device, t = MEASURED["li-1t1r"], Technology()
    rule = dataclasses.replace(PULSED_RULE, output_dose=0.3)
    image = np.ones(PULSED_IMAGES.shape[1])
    seen = costs.read_in_closed_form(network, image)
    found = costs.correction(network, rule, image, 0, 1, seen)
    assert {write.column for write in found.writes[0]} == {0, 1, 3, 4}  # both cells of the pairs
    accounts = Accounts(device=device)
    assert dissipation.device_of(network) == device
    ledger = accounts.correct(network, found)
    seconds = ledger.times
    lines = {line.name: line.joules for line in ledger.lines}
    rows, gates = len(image) + 1, np.concatenate([write.gates for write in found.writes[0]])
    falling = sum(int(write.reset.sum()) for write in found.writes[0])
    assert falling == 2 * rows  # one cell of each pair
    squares = (6 * rows + falling) * t.gate_open**2 + float((gates**2).sum())
    assert lines["write: gate lines"] == joules(t.gate_capacitance * squares)
    moved = np.abs(gates - 1.15)  # V, from the middle of the range
    charge = t.late_capacitance * float(moved.sum())
    assert lines["write: late capacitors"] == joules(charge * t.supply)
    assert lines["write: late comparators"] == joules(2 * 4 * rows * t.comparator_energy)
    assert seconds["commit"] == pytest.approx(2 * t.gate_pulse)
    held = 2 * 6 * rows * t.late_capacitance  # X and that of the last write
    assert costs.area(network, t)["late_capacitors"] == pytest.approx(held / t.capacitor_density)
    # RESET of the middle of 188.6 to 276.8 uS, SET of levels around it
    mean = (188.6e-6 + 276.8e-6) / 2
    expected = t.gate_pulse * mean * (1.7**2 * falling + 2.5**2 * len(gates))
    assert lines[costs.SELECTED] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("late", [False, True])
def test_a_training_costs_the_reads_of_its_presentations_and_its_counted_pulses(late):
    """Doses of 0 leave the network as it is, so each read of the training is a read of it."""
    network = measured_network("epiram", (), 1, noise=False, late=late)
    device, still = DEVICES["epiram"], dataclasses.replace(PULSED_RULE, output_dose=0.0)
    accounts = Accounts(device=device)
    found = costs.training(network, still, PULSED_IMAGES, LABELS, accounts)
    spikes = np.nan_to_num(network.first_spikes(PULSED_IMAGES), nan=network.design.window)
    stops = [
        max(np.sort(times)[1], times[label]) for times, label in zip(spikes, LABELS, strict=True)
    ]
    assert found.ledger.times["read"] == pytest.approx(sum(stops), rel=1e-6)
    assert sum(line.joules for line in found.ledger.lines if "selected" in line.name) == 0

    found = costs.training(network, PULSED_RULE, PULSED_IMAGES, LABELS, accounts)
    trained = learn(network, PULSED_RULE, PULSED_IMAGES, LABELS)
    assert found.errors == trained.history[:, 1].sum() > 0
    assert np.array_equal(found.network.states[0], trained.network.states[0])
    written = sum(line.joules for line in found.ledger.lines if line.name == costs.SELECTED)
    supplied = dataclasses.replace(device, supply_energy=1e-9)
    more = write_costs(supplied, found.counts)["write_energy_J"] - written
    assert more == pytest.approx(1e-9 * found.counts.pulses[0].sum())
    joules, (conducted,) = joules_per_siemens(device), found.counts.conducted
    assert written == pytest.approx(conducted[0].sum() * joules[0] + conducted[1].sum() * joules[1])


def test_a_read_by_hand():
    """Up to the second spike: four neurons of three op-amps, two more of the reference column."""
    network, t = random_network((9, 4), seed=5, spread=1.0), Technology()
    ledger = costs.inference(network, IMAGE, Accounts(), wait=None)
    seconds = ledger.times
    lines, stop = {line.name: line.joules for line in ledger.lines}, seconds["read"]
    assert stop == pytest.approx(np.sort(network.first_spikes(IMAGE[None])[0])[1])
    amperes = Accounts().amplifiers(network, 0)[1]
    assert lines["read: amplifiers, bias"] == joules(amperes * 1.2 * stop)
    membrane = 2 * 4.0 * 1e-12 / 150e-6  # A, of the neuron that has fired
    assert lines["read: membranes"] == joules(membrane * 1.2 * stop)
    wires = t.line_capacitance * 5 * (IMAGE @ IMAGE + 1)  # J, C V^2 with the bias row
    for name in ("read: wires", "read: drivers of wires"):
        assert lines[name] == joules(wires / 2)


def test_the_bias_of_amplifiers_by_hand():
    """Two cells of 0.26 mS at a neuron with 1 kohm: 1.522 mS load the summing stage, 3 uS the
    inverting stage. A trigger has no output stage.
    """
    network = Network((np.array([[2.0, 2.0]]),), design=Schedule())
    number, amperes = Accounts().amplifiers(network, 0)
    first = 2.4 * 2 * np.pi * 10e6 * 1e-12 / 15  # A, 10 MHz into 1 pF
    assert number == 3
    assert amperes == pytest.approx(3 * first + 100 / 30 * (1.52152e-3 + 3e-6) / 15, rel=1e-6)
    # a chip ten times as exact, and ten times as fast
    better = Technology(loop_gain=1000.0, amplifier_bandwidth=100e6)
    assert Accounts(better).amplifiers(network, 0)[1] == pytest.approx(10 * amperes)


@pytest.mark.usefixtures("ngspice")
def test_a_transconductance_of_the_stages_load_times_the_loop_gain_leaves_its_error():
    """1 % of the output: a column of 5 mS, 1 kohm back to it and 10 kohm at the output."""
    gain, (column, feedback, output) = 99.0, (5e-3, 1e-3, 1e-4)
    transconductance = gain * stage_load(column, feedback, output)
    circuit = Circuit("stage")
    circuit.I("column", circuit.gnd, "column", 1e-3)
    circuit.R("cells", "column", circuit.gnd, 1 / column)
    circuit.R("feedback", "column", "out", 1 / feedback)
    circuit.R("output", "out", circuit.gnd, 1 / output)
    circuit.VCCS("stage", "out", circuit.gnd, "column", circuit.gnd, transconductance)
    found = run_once(circuit, READING, ["out"], 1e-6)["out"][-1]
    assert found / (-1e-3 / feedback) == pytest.approx(0.99, abs=1e-4)


def test_each_hidden_layer_has_its_back_read_its_errors_and_the_wires_of_its_spikes():
    network, t = random_network((9, 12, 8, 4), seed=5, spread=1.0), Technology()
    ledger = costs.inference(network, IMAGE, Accounts())
    seconds = ledger.times
    lines = {line.name: line.joules for line in ledger.lines}
    fired = [int(np.sum(of[0] < seconds["read"])) for of in network.forward(IMAGE[None])]
    inside = lines["read: drivers of wires"] - lines["read: wires"]  # rows of 9 and of 5 cells
    assert inside == joules(t.line_capacitance * (9 * fired[0] + 5 * fired[1]))
    cells = 10 * 13 + 13 * 9 + 9 * 5  # emulators: channel and capacitor
    assert costs.area(network, t)["cells"] == joules(cells * (1e-4**2 + 1e-13 / 2e-3))
    found = an_error(network, IMAGE)
    assert Accounts().correct(network, found).times["back-read"] == pytest.approx(2 * 3e-6)
    for write in found.writes[0]:
        assert write.dose == pytest.approx(RULE.hidden_dose * found.errors[0][write.column])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("sign", "volts", "width"), [(1, 5.0, 5e-6), (-1, 3.0, 20e-6)])
def test_pulses_have_the_voltage_and_the_width_of_their_direction(sign, volts, width, late):
    """Three pulses for each of seven cells. Of late synapses all cells are written, up and down,
    after a RESET of the emulators.
    """
    network, t = measured_network("epiram", (), 1, noise=False, late=late), Technology()
    device = dataclasses.replace(DEVICES["epiram"], width_down=20e-6, supply_energy=1e-9)
    write = ColumnDose(0, sign * 3 * network.pulses.step, np.ones(7))
    found = costs.Correction([np.zeros(3)], [[]], [[write]], [[]])
    ledger = Accounts(device=device).correct(network, found)
    seconds = ledger.times
    wires = sum(line.joules for line in ledger.lines if "wires" in line.name)
    expected = t.line_capacitance * (6 * 3 * 7 * volts**2 + 7 * t.supply**2)
    assert wires == joules(expected)
    assert ledger.sum(name="write: supplies within cells", pins=False) == joules(3 * 7 * 1e-9)
    if late:
        assert seconds["commit"] == pytest.approx(network.pulses.late_pulses * 45e-6)
    else:
        assert seconds["write"] == pytest.approx(3 * width + t.driver_step)


def test_each_error_takes_the_time_of_two_doses_which_shrink():
    """A potentiation and a depression, one after the other, in each presentation. The dose falls to
    a quarter, so in the second of two segments it is half the first one.
    """
    network = random_network((9, 2))
    rule = LayeredRule(presentations=2000, output_dose=0.01, final_dose=0.25, margin=1e-2)
    images, labels = np.ones((2, 9)), np.arange(2)
    found = costs.training(network, rule, images, labels, Accounts(), segments=2, samples=2)
    assert found.errors == 2000
    first = 0.01 / float(state_rate(network.parameters.memristor, 1.0))
    seconds = 1.14 * (first + first / 2)  # seven edges of 2 % each
    assert found.ledger.times["write"] == pytest.approx(
        2 * 1000 * (seconds + 2 * Technology().driver_step), rel=1e-3
    )


def test_wear_and_area_are_of_the_cells_of_all_layers():
    """4 hidden neurons of 7 rows and 3 outputs of 5 rows, four devices for each weight."""
    network, t = measured_network("epiram", (4,), 2, late=True), Technology()
    weights = 4 * 7 + 3 * 5
    found = costs.area(network, t)
    assert found["cells"] == joules(4 * weights * 16 * (65e-9) ** 2)
    assert found["neurons"] == pytest.approx(7 * 34e-12)
    assert found["amplifiers"] == pytest.approx(7 * 5 * 1000e-12)
    assert found["late_capacitors"] == pytest.approx(weights * 3.55e-12 / 2e-3)
    counts = no_counts(network)
    counts.pulses[0].fill(0.5)
    counts.pulses[1].fill(1.5)
    wear = costs.wear(counts, 2.0)
    assert wear["mean"] == pytest.approx((28 * 1 + 15 * 3) / weights) and wear["most"] == 3
    assert wear["share_beyond_endurance"] == 15 / weights


def test_late_writes_wait_and_charge_capacitors_meanwhile():
    """Half of the dose at which a synapse is due: no pulse, but half of the window on each
    capacitor.
    """
    network = measured_network("epiram", (), 1, noise=False, late=True)
    pulses = dataclasses.replace(network.pulses, late_spread=0.0)
    network = dataclasses.replace(network, pulses=pulses)
    rule = dataclasses.replace(PULSED_RULE, output_dose=pulses.late * pulses.step / 2)
    ones = np.ones(PULSED_IMAGES.shape[1])
    seen = costs.read_in_closed_form(network, ones)
    found = costs.correction(network, rule, ones, 0, 1, seen)
    ledger = Accounts(device=DEVICES["epiram"]).correct(network, found)
    seconds = ledger.times
    lines = {line.name: line.joules for line in ledger.lines}
    t = Technology()
    cells = 2 * (len(ones) + 1)  # of the right and of the wrong neuron, with the bias row
    assert lines["write: late capacitors"] == pytest.approx(
        cells * t.late_capacitance * t.late_window / 2 * t.supply
    )
    assert lines["write: late comparators"] == joules(2 * cells * t.comparator_energy)
    assert costs.SELECTED not in lines or lines[costs.SELECTED] == 0
    assert seconds["commit"] == 0 and seconds["write"] > 2 * 50e-6


def test_an_overview_counts_half_selected_arrays_the_chip_and_the_mean():
    """Passive arrays have no transistors; the same images twice halve the squared error."""
    network = measured_network("epiram", (), 1, noise=False)
    images = np.random.default_rng(5).random((6, network.sizes[0]))
    once, twice = (overview.costs(network, of) for of in (images, np.tile(images, (2, 1))))
    # standard deviation with n - 1: sqrt(S / 5 / 6) and sqrt(2 S / 11 / 12)
    assert twice.standard_error == joules(once.standard_error * (30 / 66) ** 0.5)
    half = dataclasses.replace(network, pulses=dataclasses.replace(network.pulses, disturb_up=0.01))
    assert half.way.half and half.way.half != network.way.half
    found = overview.costs(half, images).area
    assert found == costs.area(half, Technology())
    assert found["cells"] < once.area["cells"]


def test_the_costs_of_a_training_are_those_on_its_chip():
    network = random_network((9, 3))
    chip = Chip(cell_gain=0.5, neuron_threshold=0.2, seed=2)
    images = np.random.default_rng(6).random((8, 9))
    found = overview.training_costs(
        network_on_chip(network, chip), RULE, images, LABELS, Accounts(), start=network
    )
    learned = learn(network_on_chip(network, chip), RULE, images, LABELS).network
    ideal = learn(network, RULE, images, LABELS).network
    assert np.array_equal(found.network.states[-1], learned.states[-1])
    error = overview.first_errors(network, RULE, images, LABELS, Accounts())
    assert {"read", "write"} <= error.times.keys()
    assert not np.array_equal(found.network.states[-1], ideal.states[-1])
