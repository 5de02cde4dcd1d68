"""Layers of measured devices: differential pairs and whole pulses, in ngspice against the closed
form, and by their laws.
"""

import dataclasses
import math

import numpy as np
import pytest

from memristive.closed_form import kernel
from memristive.devices.measured_device import DEVICES, PRESETS, MeasuredDevice, emulator
from memristive.devices.write_curve import drawn_number
from memristive.engines.engine import read
from memristive.learning.build import build, initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import measured_design, measured_parameters, measured_pulses
from memristive.learning.training import Learning, learn, train
from memristive.network.chip import Chip, device_chip
from memristive.network.convolution import Convolution
from memristive.network.design import ENGINES, LayerDesign
from memristive.network.networks import KernelArrays, Network, network_on_chip
from memristive.writing.pulses import no_counts, write_pulses
from memristor import MemristorParameters, read_current
from snn_circuit import NetworkParameters, NeuronParameters
from tests.network.networks import PULSED_IMAGES as IMAGES
from tests.network.networks import PULSED_RULE as RULE
from tests.network.networks import drives, layer_of
from tests.network.networks import measured_network as network

LABELS = np.arange(8) % 3
LATE = {"late": 1.2, "late_pulses": 2, "late_forget": 0.03, "late_spread": 0.2, "late_offset": 0.1}
GATE = {"gate_step": 0.05, "gate_forget": 0.03}
STUCK = Chip(cell_write_gain=0.1, stuck_anywhere=0.2, stuck_lowest=-1.5, stuck_state=1.5)
SPREAD = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1)
KIND = MeasuredDevice(
    "kind",
    write_noise=0.01,
    noise_curve=(0.2, 0.9, 1.6),
    spread=0.1,
    range_spread=0.2,
    lowest_spread=0.05,
    write_noise_spread=0.4,
)


@pytest.mark.parametrize(
    ("device", "hidden", "pairs", "chip", "changes", "kinds"),
    [
        ("epiram", (), 2, None, {}, ()),
        ("pcmo", (5,), 2, SPREAD, {}, ()),
        ("taox-tio2", (5,), 0, None, {}, ()),
        ("noisy", (), 0, None, {}, ()),
        ("noisy", (), 1, None, {"whole": 0}, ()),
        ("pcmo", (), 1, None, LATE, ()),
        ("ag-si", (5,), 2, SPREAD, LATE, ()),
        ("noisy", (5,), 1, device_chip(KIND, 2), {"noise_curve": KIND.noise_curve}, ()),
        ("noisy", (4,), 1, None, LATE, (Convolution(2, 3, window=2, regions=1),)),
        ("li-1t1r", (), 1, None, GATE, ()),
        ("bent-1t1r", (5,), 2, STUCK, GATE, ()),
    ],
)
def test_ngspice_trains_pulse_by_pulse_as_the_closed_form(
    ngspice, device, hidden, pairs, chip, changes, kinds
):
    net = network_on_chip(network(device, hidden, pairs, kinds), chip)
    net = dataclasses.replace(net, pulses=dataclasses.replace(net.pulses, **changes))
    closed, circuit = (learn(net, RULE, IMAGES, LABELS, engine=engine) for engine in ENGINES[::-1])
    assert np.array_equal(circuit.history, closed.history) and circuit.history[:, 1].sum() >= 3
    for ours, theirs, before in zip(
        circuit.network.states, closed.network.states, net.states, strict=True
    ):
        assert ours == pytest.approx(theirs, abs=1e-3)  # V, of a window of 3 V
        assert np.abs(theirs - before).max() > 0.1
    for ours, theirs in zip(circuit.network.waiting, closed.network.waiting, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)
    assert ("late" in changes or "gate_step" in changes) == any(
        held.any() for held in circuit.network.waiting
    )


def test_cells_of_a_chip_differ_as_the_devices_of_a_kind_do():
    """Conductances at both ends, from the law of a cell, and write gains of 5,000 cells."""
    emulated, chip = emulator(KIND), dataclasses.replace(device_chip(KIND), classes=50, inputs=100)
    cells, volts = chip.cells(emulated.memristor), KIND.read_voltage
    low, high = (read_current(cells, emulated.state(x), volts) / volts for x in (0.0, 1.0))
    span = KIND.highest_conductance - KIND.lowest_conductance
    assert high.mean() == pytest.approx(KIND.highest_conductance, rel=0.02)
    assert np.std(high - low) / span == pytest.approx(KIND.range_spread, rel=0.05)
    assert np.std(low / (high - low)) == pytest.approx(KIND.lowest_spread, rel=0.05)
    gains = cells.transconductance / emulated.memristor.transconductance
    assert np.std(gains) == pytest.approx(KIND.spread, rel=0.05)
    assert np.std(cells.write_noise) == pytest.approx(KIND.write_noise_spread, rel=0.1)


@pytest.mark.parametrize("x", [0.25, 0.75])
def test_the_noise_of_a_pulse_is_that_of_the_cell_at_its_state(x):
    """One pulse of 4,000 rows; noise curve by hand: halfway between its points."""
    emulated = emulator(KIND)
    chip = dataclasses.replace(Chip(), cell_write_noise=KIND.write_noise_spread)
    net = Network(
        (np.full((2, 4001), emulated.state(x)),),
        measured_parameters(emulated),
        measured_design(emulated, 1, 1.0),
        pulses=measured_pulses(emulated),
    )
    net = network_on_chip(net, chip)
    arrays = KernelArrays(net)
    write_pulses(
        *(arrays.layers[0], arrays.timing, arrays.ways.pulses, arrays.states[0], 0, np.ones(4001)),
        *(net.pulses.step, no_counts(net), 0, arrays.work.loads[0], np.random.default_rng(1)),
    )
    moved = (arrays.states[0][:, 0] - net.states[0][0]) / (emulated.high - emulated.low) - 0.01
    noise = 0.01 * (0.55 if x < 0.5 else 1.25)
    own = net.devices[0].cells.write_noise[0]
    assert np.std(moved / own) == pytest.approx(noise, rel=0.05)
    large = own > np.median(own)
    assert np.std(moved[large]) > 1.5 * np.std(moved[~large])


def test_a_synapse_that_writes_late_adds_up_doses_and_forgets():
    """Two rows, a dose of 0.4 pulses for each write of the first: after 0.4 and 0.76, the third one
    makes 1.084 pulses.
    """
    net = network("epiram", (), 1)
    net = dataclasses.replace(
        net,
        pulses=dataclasses.replace(net.pulses, late=1.0, late_pulses=2, late_forget=-np.log(0.9)),
    )
    rule = dataclasses.replace(
        RULE, presentations=4, output_dose=0.4 * net.pulses.step, final_dose=1.0, margin=1e-2
    )
    image, counts, found = np.array([[1.0, 0, 0, 0, 0, 0]]), no_counts(net), []
    learning = Learning(net, np.zeros((4, 2), bool))
    for _ in train(learning, rule, image, np.array([0]), block=1, counts=counts):
        found.append(
            (learning.network.waiting[0][0, 0] / net.pulses.step, counts.pulses[0][:, 0, 0].sum())
        )
    assert found == [pytest.approx(row) for row in ((0.36, 0), (0.684, 0), (0.0, 2), (0.36, 2))]
    assert counts.pulses[0][:, 1:6].sum() == 0


def test_windows_of_late_synapses_have_their_width_and_their_shift():
    """Both limits of a synapse's window shift together: its middle scatters by `late_offset`, half
    its width by `late_spread`.
    """
    net = network("pcmo", (), 1)
    pulses = dataclasses.replace(net.pulses, **LATE)
    net = dataclasses.replace(net, states=(np.zeros((40, 400)),), pulses=pulses)
    low, high = KernelArrays(net).ways.late.limits[0] / (pulses.late * pulses.step)
    assert np.mean(high - low) / 2 == pytest.approx(1, abs=0.01)
    assert np.std(high - low) / 2 == pytest.approx(0.2, rel=0.03)
    assert np.std(high + low) / 2 == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pair_of_one_cell_has_the_signs_of_a_calculation_by_hand(ngspice, engine):
    """X of the first neuron's cells at the input is 8 V (positive) and 5 V (negative), of the
    second one's 5 V and 8 V.

    The first one gets 130 uA/V^2 x 3 V x 1 V = 390 uA and settles at 20 kohm x 390 uA = 7.8 V: it
    crosses 4 V after 150 us x ln(7.8 / 3.8). The second one gets -390 uA. If the second one is
    right, its positive cells rise.
    """
    net = Network(
        (np.array([[8.0, 5.0], [5.0, 5.0], [5.0, 5.0], [8.0, 5.0]]),),
        design=LayerDesign(pairs=1),
        parameters=NetworkParameters(
            MemristorParameters(kp=130e-6), NeuronParameters(threshold=4.0)
        ),
    )
    rule, image = LayeredRule(presentations=1, output_dose=0.1), np.ones((1, 1))
    learning = learn(net, rule, image, np.array([1]), engine=engine)
    assert read(net, image, engine)[0] == pytest.approx(
        [150e-6 * math.log(7.8 / 3.8), math.nan], abs=2e-6, nan_ok=True
    )
    assert np.sign(np.round(learning.network.states[0] - net.states[0], 2)).tolist() == [
        [-1, -1],
        [1, 1],
        [1, 1],
        [-1, -1],
    ]
    errors = np.array([1.0, -1.0])
    found = (
        net.read_back(0, errors)
        if engine == "closed-form"
        else layer_of(net, 0).read_back(net.states[0], errors)
    )
    assert found == pytest.approx([(8 - 5) - (5 - 8)], abs=0.05)


@pytest.mark.parametrize(("device", "pairs"), [("linear", 0), ("scattered", 2)])
def test_the_noise_of_reading_has_its_size_in_both_engines(ngspice, device, pairs):
    """Drives scatter by noise x gain x sqrt(sum level^2): for a column and its reference, or for
    two pairs of half the gain. Of cells that differ, the squares add up.

    Both engines draw the same.
    """
    net, image = network(device, (), pairs), IMAGES[0]
    # all neurons fire
    net = dataclasses.replace(net, design=dataclasses.replace(net.design, output_bias=3.0))
    found = drives(net, np.tile(image, (2000, 1)))
    noise = 0.01 * (np.sqrt(2) if device == "scattered" else 1)
    expected = noise * np.sqrt((image @ image + 1) * (2 if not pairs else 2 / pairs))
    assert found.std(axis=0) == pytest.approx(expected, rel=0.06)
    many = np.tile(image, (60, 1))
    exact, found = net.first_spikes(many), read(net, many, "ngspice", wanted=3)
    assert np.ptp(exact, axis=0).min() > 1e-6 and found == pytest.approx(exact, abs=20e-9)
    assert np.array_equal(net.first_spikes(many), exact) and not np.array_equal(
        net.first_spikes(many, seed=1), exact
    )


@pytest.mark.parametrize(("pairs", "squares"), [(0, 0.09 + 4 + 1.7**2), (2, 4 * (0.09 + 4) / 2**2)])
def test_the_noise_of_a_back_read_grows_with_its_errors(pairs, squares):
    """Each column adds the noise of a cell, 0.03 V, times its error: the reference column carries
    -(0.3 - 2), each cell of two pairs half of the error.
    """
    net, errors = network("linear", (5,), pairs), np.array([0.3, -2.0, 0.0])
    arrays, rng = KernelArrays(net), np.random.default_rng(1)
    back = (arrays.layers[1], arrays.states[1], errors, net.design.back_voltage)
    compiled = np.array([kernel.read_back(*back, rng) for _ in range(2000)])
    for_ngspice = np.array([net.layers[1].back_noise(errors, rng) for _ in range(2000)])
    for found in (compiled, for_ngspice):
        assert found.std(axis=0) == pytest.approx(np.full(5, 0.03 * squares**0.5), rel=0.06)


def test_pairs_write_opposite_cells_and_take_turns():
    net = network("epiram", (), 2, whole=0, noise=False)
    learning, counts = Learning.start(net, RULE), no_counts(net)
    turns = []
    for _ in train(learning, RULE, IMAGES, LABELS, block=1, counts=counts):
        turns.append(np.array(counts.writes[0]).reshape(2, 2, 3).sum(axis=(0, 2)))
    written = np.diff(np.array(turns), axis=0, prepend=0.0) > 0
    wrote = np.flatnonzero(learning.history[:, 1])
    assert len(wrote) > 2 and all(written[k].tolist() == [k % 2 == 0, k % 2 == 1] for k in wrote)
    up, down = np.split(learning.network.states[0] - net.states[0], 2)
    assert (up * down <= 0).all() and np.abs(up).max() > 0.01


@pytest.mark.parametrize("scheme", ["v/2", "v/3"])
def test_a_write_moves_each_cell_by_the_voltage_across_it(scheme):
    """A linear device, so that steps add up in any order: the drivers' voltages, interval by
    interval, give its changes.
    """
    device = MeasuredDevice(
        down=(1 / 80,) * 2, half_up=0.2, half_down=0.1, third_up=0.06, third_down=0.03
    )
    emulated, rule = (
        emulator(device),
        dataclasses.replace(RULE, presentations=1, start_drive_spread=0.0),
    )
    steps = {
        1.0: 0.01,
        -1.0: -1 / 80,
        0.5: 0.2 * 0.01,
        -0.5: -0.1 / 80,
        0.333: 0.06 * 0.01,
        -0.333: -0.03 / 80,
        0.0: 0.0,
    }
    # row that waits, column that is not written, in V
    waiting, beside = (0.0, 0.0) if scheme == "v/2" else (-1 / 6, 1 / 6)
    shares = (0.2, 0.1) if scheme == "v/2" else (0.06, 0.03)
    pulses = dataclasses.replace(
        measured_pulses(emulated),
        whole=0,
        disturb_up=shares[0],
        disturb_down=shares[1],
        thirds=int(scheme == "v/3"),
    )
    net = initial_network(
        (),
        3,
        IMAGES,
        rule,
        measured_design(emulated, 1, 1.0),
        measured_parameters(emulated),
        pulses,
    )
    learning = Learning.start(net, rule)
    # no bias, silent: only neuron 2 is written, + up and - down
    list(train(learning, rule, IMAGES[:1], np.array([2])))
    levels, expected = np.append(IMAGES[0], 1.0), np.zeros((6, 7))
    for column, sign in ((2, 1), (5, -1)):
        ends = np.unique(levels)
        for begin, end in zip(np.append(0.0, ends), ends, strict=False):
            rows = sign * np.where(levels >= end, 0.5, waiting)
            columns = sign * np.where(np.arange(6) == column, -0.5, beside)
            volts = np.round(rows[None] - columns[:, None], 3)
            expected += (
                np.vectorize(steps.get)(volts) * (end - begin) * rule.output_dose / pulses.step
            )
    assert np.abs(expected[[0, 1, 3, 4]]).max() > 1e-3
    assert (learning.network.states[0] - net.states[0]) / 3 == pytest.approx(expected, abs=1e-12)


def test_counts_hold_the_pulses_of_each_cell_and_its_conductance_in_each_direction():
    """One error: each written cell rises, or falls, by its pulses."""
    net, device = network("alox-hfo2", (), 1, noise=False), DEVICES["alox-hfo2"]
    counts, rule = no_counts(net), dataclasses.replace(RULE, presentations=1, margin=1e-2)
    learning = Learning.start(net, rule)
    list(train(learning, rule, IMAGES, (LABELS + 1) % 3, counts=counts))
    for pulses, conducted, states, before in zip(
        counts.pulses, counts.conducted, learning.network.states, net.states, strict=True
    ):
        moved = (states - before).T
        assert moved.any() and np.array_equal(pulses, np.round(pulses))
        for up, cells in ((1, moved > 0), (0, moved < 0)):
            assert np.array_equal(conducted[up] > 0, cells)
            siemens = device.conductance(emulator(device).share(before.T[cells]))
            assert conducted[up][cells] == pytest.approx(pulses[up][cells] * siemens, rel=0.01)


def test_a_fraction_of_a_pulse_is_rounded_up_with_its_probability():
    rng = np.random.default_rng(1)
    wanted = np.array([0.0, 0.25, 1.5, 3.0])
    drawn = np.array([[drawn_number(number, 1, rng) for number in wanted] for _ in range(4000)])
    assert set(np.unique(drawn[:, 1])) == {0.0, 1.0} and set(np.unique(drawn[:, 2])) == {1.0, 2.0}
    assert drawn.mean(axis=0) == pytest.approx(wanted, abs=0.04)
    assert [drawn_number(number, 0, rng) for number in wanted] == wanted.tolist()
    few, many = np.array([[drawn_number(x, 4, rng) for x in (1.0, 5.5)] for _ in range(4000)]).T
    assert set(few) == {0.0, 4.0} and set(many) == {5.0, 6.0}  # below and above four pulses
    assert few.mean() == pytest.approx(1.0, abs=0.1) and many.mean() == pytest.approx(5.5, abs=0.04)


def test_a_gate_waits_for_its_step_and_sets_the_level():
    """The gate moves from 1.15 V by 0.045 V in each write of the first input, and is due after 0.09
    V. The pair's cells then have the levels of 1.24 V and 1.06 V, 0.6 and 0.4 of the range.
    """
    net = network("li-1t1r", (), 1, noise=False)
    net = dataclasses.replace(net, states=(0 * net.states[0],), waiting=())
    assert net.pulses.gate_rest == pytest.approx(1.15)
    pulses = dataclasses.replace(net.pulses, gate_step=0.0899, gate_forget=0.0)
    net = dataclasses.replace(net, pulses=pulses)
    rule = dataclasses.replace(
        RULE, presentations=2, output_dose=0.045, final_dose=1.0, margin=1e-2
    )
    image, counts, found = np.array([[1.0, 0, 0, 0, 0, 0]]), no_counts(net), []
    learning = Learning(net, np.zeros((2, 2), bool))
    for _ in train(learning, rule, image, np.array([0]), block=1, counts=counts):
        x = emulator(PRESETS["li-1t1r"]).share(learning.network.states[0])
        found.append(
            (
                learning.network.waiting[0][0, 0, 0],
                x[0, 0],
                x[3, 0],
                counts.pulses[0][:, 0, 0].sum(),
            )
        )
    assert found == [
        pytest.approx(row)
        for row in (
            (1.195, 0.5, 0.5, 0),
            (1.24, 0.6, 0.4, 1),
        )
    ]
    assert counts.pulses[0][:, 1:6].sum() == 0
    # SET at the new level, after RESET from the old one where the gate has fallen
    siemens = PRESETS["li-1t1r"].conductance([[0.0, 0.5], [0.6, 0.4]]) * [[0, 1], [1, 1]]
    assert counts.conducted[0][:, 0, [0, 3]] == pytest.approx(siemens, rel=0.01)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("always", "risen"), [(0, 0.9), (1, 0.55)])
def test_a_rising_gate_leaves_a_cell_above_its_level_unless_each_set_begins_with_reset(
    ngspice, engine, always, risen
):
    """All cells at 0.9 of the range. The gates move by 0.045 V from 1.15 V, to the levels 0.55 and
    0.45: RESET lets the falling cell fall, and `gate_reset` the rising one as well.
    """
    net, emulated = network("li-1t1r", (), 1, noise=False), emulator(PRESETS["li-1t1r"])
    pulses = dataclasses.replace(net.pulses, gate_step=0.0, gate_reset=always)
    states, gates = np.full((6, 7), emulated.state(0.9)), np.full((2, 7, 6), 1.15)
    net = dataclasses.replace(net, pulses=pulses, states=(states,), waiting=(gates,))
    rule = dataclasses.replace(RULE, presentations=1, output_dose=0.045, margin=1e-2)
    image = np.array([[1.0, 0, 0, 0, 0, 0]])
    after = emulated.share(learn(net, rule, image, np.array([0]), engine=engine).network.states[0])
    assert after[[0, 3], 0] == pytest.approx([risen, 0.45], abs=1e-3)
    assert after[:, 1:6] == pytest.approx(np.full((6, 5), 0.9))


def test_gates_leak_to_their_rest_and_the_next_write_sees_it():
    """A first write at 1.24 V. Half of the way to 1.15 V is lost before the next dose, -0.09 V."""
    net = network("li-1t1r", (), 1, noise=False)
    pulses = dataclasses.replace(net.pulses, gate_step=0.0, gate_forget=np.log(2))
    net = dataclasses.replace(net, states=(0 * net.states[0],), waiting=(), pulses=pulses)
    rule = dataclasses.replace(RULE, presentations=1, output_dose=0.09, final_dose=1.0, margin=1e-2)
    image, found = np.array([[1.0, 0, 0, 0, 0, 0]]), []
    for label in (0, 1):
        net = learn(net, rule, image, np.array([label])).network
        found.append(net.waiting[0][:, 0, 0])
    assert np.array(found) == pytest.approx(np.array([[1.195, 1.24], [1.1275, 1.105]]))
    x = emulator(PRESETS["li-1t1r"]).share(net.states[0])
    assert x[0, 0] == pytest.approx((1.105 - 0.7) / 0.9)


def test_a_stuck_cell_stands_anywhere_and_is_never_written():
    images = np.random.default_rng(1).random((30, 6))
    net, rule = build(images, 3, device="li-1t1r", presentations=60, seed=2)
    stuck = net.layers[0].write_gains == 0
    net = dataclasses.replace(net, pulses=dataclasses.replace(net.pulses, gate_step=0.0))
    emulated = emulator(PRESETS["li-1t1r"])
    x = emulated.share(net.states[0])
    assert 0 < stuck.mean() < 0.3 and np.ptp(x[stuck]) > 0.3
    assert x[~stuck].std() == pytest.approx(0.045, rel=0.5)
    after = learn(net, rule, images, np.arange(30) % 3).network
    moved = after.states[0] != net.states[0]
    assert not moved[stuck].any() and moved[~stuck].mean() > 0.5
