"""Layers in closed form: held against integrated membranes, the cell's own equations, and what learning must do."""

import dataclasses
import itertools

import numpy as np
import pytest

from memristive.multilayer import layer_kernel
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_network import (
    LayerChip,
    LayeredLearning,
    LayeredNetwork,
    begin,
    device,
    presentation_order,
    thresholds_per_volt,
    train,
)
from memristive.multilayer.layer_rule import LayeredRule, falling, overlaps, plastic
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters, raised_state, read_current, state_rate
from snn_circuit import NetworkParameters, NeuronParameters

XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


def random_network(sizes, seed=0, spread=0.8):
    """A network whose neurons fire: states scattered around a little more than X_ref."""
    rng = np.random.default_rng(seed)
    pairs = itertools.pairwise(sizes)
    return LayeredNetwork(tuple(rng.normal(6.0, spread, (above, below + 1)) for below, above in pairs))


def integrated(network, image, step):
    """First spike times in s by integrating every membrane over the linear edge and the steps, as the circuit does."""
    design, neuron, memristor = network.design, network.parameters.neuron, network.parameters.memristor
    time = np.arange(step / 2, design.window, step)
    rows = np.append(image, 1.0)[:, None] * np.minimum(time / design.rise, 1.0)
    result = []
    for states in network.states:
        currents = [read_current(memristor, states[:, k, None], volts) - read_current(memristor, design.reference_state, volts)
                    for k, volts in enumerate(rows)]
        current = np.sum(currents, axis=0)
        membrane = np.zeros(len(states))
        spikes = np.full(len(states), np.nan)
        decay = np.exp(-step / neuron.time_constant)
        for n in range(len(time)):
            membrane = decay * membrane + (1 - decay) * design.transresistance * current[:, n]
            spikes[np.isnan(spikes) & (membrane >= neuron.threshold)] = time[n] + step / 2
        result.append(spikes)
        bias = np.minimum(time / design.rise, 1.0)
        rows = np.vstack([time > np.where(np.isnan(spikes), np.inf, spikes)[:, None], bias])
    return result


@pytest.mark.parametrize("sizes", [(6, 5, 3), (5, 6, 5, 3)])
def test_spikes_approach_those_of_integrated_membranes_as_the_step_falls(sizes):
    network, image = random_network(sizes), np.linspace(0.2, 1.0, sizes[0])
    closed = [times[0] for times in network.forward(image[None])]
    assert all(np.sum(~np.isnan(times)) >= 2 for times in closed)
    worst = []
    for step in (400e-9, 50e-9):
        found = integrated(network, image, step)
        assert all(np.array_equal(np.isnan(a), np.isnan(b)) for a, b in zip(closed, found, strict=True))
        worst.append(max(np.nanmax(np.abs(a - b)) for a, b in zip(closed, found, strict=True)))
    assert worst[1] < 0.1e-6
    assert worst[1] < worst[0] / 3


@pytest.mark.parametrize("volts", [0.05, 0.5, 1.0, -0.1])
def test_kernels_current_is_the_cells(volts):
    network = random_network((2, 2))
    states = np.array([-3.0, 0.0, 0.3, 0.9, 2.0, 5.0, 9.0]) if volts > 0 else np.array([2.0, 5.0, 9.0])
    found = [layer_kernel.current.py_func(device(network), state, volts) for state in states]
    memristor = MemristorParameters()
    gate = raised_state(memristor, states, volts)
    exact = memristor.gain * (gate * volts - volts**2 / 2) if volts < 0 else read_current(memristor, states, volts)
    assert found == pytest.approx(exact, rel=1e-12, abs=1e-20)


def test_back_read_shows_differences_of_states_to_five_millivolts():
    network = random_network((30, 40, 4), spread=1.0)
    errors = np.array([0.0, 1.0, 0.0, -1.0])
    expected = (network.states[1][1] - network.states[1][3])[:-1]
    found = network.read_back(1, errors)
    assert np.abs(found - expected).max() < 5e-3
    assert found - expected == pytest.approx(-2.8e-3, abs=2e-4)  # what the gates' lift takes
    # Errors that do not sum to 0: the reference column carries the rest.
    alone = network.read_back(1, np.array([0.0, 1.0, 0.0, 0.0]))
    assert alone == pytest.approx((network.states[1][1] - network.design.reference_state)[:-1], abs=5e-3)


def test_back_read_through_hidden_columns_is_the_sum_of_their_errors_however_large_they_are():
    network = random_network((30, 40, 25, 4), spread=1.0)
    errors = np.random.default_rng(4).normal(0.1, 1.0, 25)
    expected = (errors @ (network.states[1] - network.design.reference_state))[:-1]
    for size in (0.1, 1.0, 5.0):  # no error is amplified because others are small
        assert network.read_back(1, size * errors) / size == pytest.approx(expected, abs=20e-3 * max(1.0, size))
    assert np.abs(expected).max() > 3.0


def test_a_silent_network_is_silent_and_a_driven_one_fires_at_the_logarithm():
    quiet = LayeredNetwork((np.full((2, 3), 5.0),))
    assert np.isnan(quiet.first_spikes(np.ones((1, 2)))).all()
    network = LayeredNetwork((np.array([[5.0, 5.0, 8.0]]),))  # the bias alone
    current = read_current(MemristorParameters(), 8.0, 1.0) - read_current(MemristorParameters(), 5.0, 1.0)
    drive = network.design.transresistance * current / network.parameters.neuron.threshold
    assert drive == pytest.approx(3 * thresholds_per_volt(network.parameters, network.design), rel=3e-3)
    spike = network.first_spikes(np.zeros((1, 2)))[0, 0]
    assert spike == pytest.approx(150e-6 * np.log(drive / (drive - 1)) + 0.5e-6, abs=1e-9)


def test_a_chips_thresholds_and_channels_count():
    network = random_network((4, 3), spread=0.3)
    plain = network.first_spikes(np.ones((1, 4)))
    same = LayerChip(np.ones((4, 5)), np.ones((3, 5)), np.ones(3))
    assert np.array_equal(dataclasses.replace(network, chip=(same,)).first_spikes(np.ones((1, 4))), plain, equal_nan=True)
    high = dataclasses.replace(same, threshold=np.array([1.0, 1.5, 1.0]))
    later = dataclasses.replace(network, chip=(high,)).first_spikes(np.ones((1, 4)))[0]
    assert later[1] > plain[0, 1] and later[0] == plain[0, 0]
    more = dataclasses.replace(same, channel=np.vstack([np.ones((3, 5)), np.full((1, 5), 1.01)]))
    assert np.all(dataclasses.replace(network, chip=(more,)).first_spikes(np.ones((1, 4)))[0] > plain[0])


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="needs 4 rows, bias included, got 3"):
        LayeredNetwork((np.ones((3, 5)), np.ones((2, 3))))


def test_pieces_of_the_rule():
    assert falling(0, 10) == 1.0 and falling(5, 10) == 0.5
    rows = np.array([10e-6, 40e-6, np.nan])
    assert overlaps(rows, 30e-6, 150e-6) == pytest.approx([20e-6, 0.0, 0.0])
    assert overlaps(rows, np.nan, 150e-6) == pytest.approx([140e-6, 110e-6, 0.0])
    assert plastic(np.array([1.0, -2.0]), np.array([0.95, 0.8]), 0.9, 1.0).tolist() == [1.0, 0.0]
    assert plastic(np.array([1.5, -3.0]), np.array([0.95, 0.95]), 0.9, 3.0).tolist() == [0.5, -1.0]


def learn(rule, hidden=(16,), **more):
    """XOR, one presentation after another; returns the training."""
    learning = LayeredLearning.begin(begin(hidden, 2, XOR[0], rule), rule)
    for _ in train(learning, rule, *XOR, **more):
        pass
    return learning


RULE = LayeredRule(presentations=400, hidden_dose=0.1, output_dose=0.3, start_weight=0.5, start_weight_spread=1.0)


def test_first_write_moves_label_up_offender_down_and_the_hidden_columns_by_what_they_read_back():
    rule = dataclasses.replace(RULE, presentations=1, margin=1e-4)
    before = begin((16,), 2, XOR[0], rule)
    image, label = XOR[0][k := presentation_order(rule, 4, 0, 1)[0]], XOR[1][k]
    times = before.forward(image[None])
    after = learn(rule).network
    change = after.states[1] - before.states[1]
    high = overlaps(np.append(times[0][0], 0.5e-6), times[1][0, label], 150e-6) / 150e-6
    # Less what leaks: window x X / 3.55 s, with windows up to a pulse of 0.2 ms.
    assert change[label] == pytest.approx(rule.output_dose * high, abs=6e-4)
    assert (change[1 - label] <= 1e-12).all() and change[1 - label].min() < -0.01
    written = np.abs(after.states[0] - before.states[0]).max(axis=1) > 0
    back = before.read_back(1, np.array([1.0, -1.0]) * (1 if label == 0 else -1))
    expected = rule.hidden_dose * back[:, None] * np.append(image, 1.0)
    assert (after.states[0] - before.states[0])[written] == pytest.approx(expected[written], abs=6e-4)
    assert written.sum() >= np.sum(~np.isnan(times[0]))


def test_a_written_column_leaks_where_its_rows_are_dark_and_no_other_does():
    """dX/dt = -X / (R_leak (C + C_gate)) while the column is written, which the bright rows say for how long."""
    memristor = MemristorParameters(leak_resistance=1e9)
    start = np.array([[5.0, 6.0, 5.5], [5.0, 6.0, 5.5]])
    learning = LayeredLearning.begin(LayeredNetwork((start,), NetworkParameters(memristor=memristor)),
                                     LayeredRule(presentations=1, output_dose=0.1))
    for _ in train(learning, LayeredRule(presentations=1, output_dose=0.1), np.array([[1.0, 0.0]]), np.array([0])):
        pass
    written, other = learning.network.states[0]
    seconds = 0.1 / float(state_rate(memristor, 1.0))
    left = np.exp(-seconds / (memristor.leak_resistance * memristor.memory_capacitance))
    assert left < 0.99 and written[1] == pytest.approx(6.0 * left, rel=3e-4)
    assert written[0] == pytest.approx(5.0 * left + 0.1, rel=1e-3) and np.array_equal(other, start[1])


def test_a_column_leaks_for_as_long_as_it_is_open():
    """Which is as long as the row is high that has been high for longest, not as long as a whole dose would take."""
    network = LayeredNetwork((np.full((1, 3), 5.0),), NetworkParameters(memristor=MemristorParameters(leak_resistance=1e9)))
    kernel_device, states = device(network), np.full((3, 1), 5.0)
    for pulse in (2e-4, -2e-4):
        states[:] = 5.0
        layer_kernel.write(kernel_device, states, np.ones((3, 1)), 0, np.array([0.5, 0.25, 0.0]), pulse)
        leak = 1 / (1e9 * network.parameters.memristor.memory_capacitance)
        assert states[:, 0] == pytest.approx(5.0 + kernel_device.rate * pulse * np.array([0.5, 0.25, 0.0]) - leak * 1e-4 * 5.0)


def test_each_epoch_presents_every_image_once_in_an_order_of_its_own():
    order = presentation_order(RULE, 20, 0, 60).reshape(3, 20)
    assert np.array_equal(np.sort(order), np.tile(np.arange(20), (3, 1)))
    assert len({*map(tuple, order.tolist())}) == 3
    assert np.array_equal(presentation_order(RULE, 20, 17, 43), order.ravel()[17:43])


def test_training_taken_up_again_is_the_same_to_the_last_bit():
    whole = learn(RULE, block=100)
    first = LayeredLearning.begin(begin((16,), 2, XOR[0], RULE), RULE)
    steps = train(first, RULE, *XOR, block=50)
    for _ in range(3):
        next(steps)
    resumed = LayeredLearning.restored(begin((16,), 2, XOR[0], RULE), first.arrays())
    assert resumed.done == 150
    for _ in train(resumed, RULE, *XOR, block=70):
        pass
    assert all(np.array_equal(a, b) for a, b in zip(whole.network.states, resumed.network.states, strict=True))
    assert np.array_equal(whole.history, resumed.history)


@pytest.mark.parametrize("hidden", [(16,), (16, 12)])
def test_xor_which_no_single_layer_can_is_learned(hidden):
    right = 0
    for seed in range(4):
        rule = dataclasses.replace(RULE, presentations=2000, seed=seed)
        times = learn(rule, hidden).network.first_spikes(XOR[0])
        right += np.array_equal(np.nan_to_num(times, nan=1).argmin(axis=1), XOR[1])
    assert right == 4


def test_later_layers_start_as_the_rule_says():
    rule = LayeredRule(start_weight=0.4, start_weight_spread=1.1)
    states = begin((300, 200), 100, np.random.default_rng(3).random((20, 6)), rule).states[1:]
    assert [layer.shape for layer in states] == [(200, 301), (100, 201)]
    for layer in states:
        assert (layer.mean() - 5.0, layer.std()) == pytest.approx((0.4, 1.1), abs=0.03)


def test_running_accuracy_is_of_the_last_thousand_presentations():
    rule = dataclasses.replace(RULE, presentations=3000)
    learning = LayeredLearning(random_network((2, 3, 2)), np.zeros((3000, 2), bool), 1990)
    learning.history[1000:1990, 0] = np.arange(990) % 3 > 0
    for done, accuracy in itertools.islice(train(learning, rule, *XOR, block=10), 1):
        assert done == 2000 and accuracy == learning.history[1000:2000, 0].mean() > 0.6


def test_start_gives_the_first_layer_the_drive_that_was_asked_for():
    rng = np.random.default_rng(3)
    images = rng.random((300, 50))
    network = begin((400,), 10, images, LayeredRule(start_drive=2.0, start_drive_spread=0.5))
    per_volt = thresholds_per_volt(NetworkParameters(), LayerDesign())
    drives = np.hstack([images, np.ones((300, 1))]) @ (network.states[0] - 5.0).T * per_volt
    assert drives.mean() == pytest.approx(2.0, abs=0.2)
    assert drives.std(axis=1).mean() == pytest.approx(0.5, rel=0.15)


def test_a_network_begun_has_the_design_and_parameters_it_was_begun_with_and_starts_by_them():
    """20 kV/A x 0.13 mA/V^2 x 0.5 V / 2 V: 0.65 thresholds a volt."""
    design = LayerDesign(row_voltage=0.5, reference_state=7.0)
    parameters, images = NetworkParameters(neuron=NeuronParameters(threshold=2.0)), np.random.default_rng(3).random((300, 50))
    rule = LayeredRule(start_drive=2.0, start_drive_spread=0.5, start_weight=0.4, start_weight_spread=0.1)
    network = begin((400,), 10, images, rule, design, parameters)
    assert network.design == design and network.parameters == parameters
    drives = np.hstack([images, np.ones((300, 1))]) @ (network.states[0] - 7.0).T * 0.65
    assert drives.mean() == pytest.approx(2.0, abs=0.2) and drives.std(axis=1).mean() == pytest.approx(0.5, rel=0.15)
    assert network.states[1].mean() == pytest.approx(7.4, abs=0.02)


@pytest.mark.parametrize(("window", "fires"), [(150e-6, False), (300e-6, True)])
def test_a_read_lasts_as_long_as_the_designs_window(window, fires):
    """A bias of 2.09 V above X_ref, by which a membrane settles at 1.36 thresholds, fires after some 200 us."""
    for states in ((np.array([[5.0, 7.09]]),), (np.array([[5.0, 7.09]]), np.array([[5.0, 7.09]]))):
        network = LayeredNetwork(states, design=LayerDesign(window=window))
        spike, = network.first_spikes(np.zeros((1, 1)))[0]
        assert spike == pytest.approx(200e-6 if fires else np.nan, abs=5e-6, nan_ok=True)
