"""The closed form of reading and writing: against a plain integration, against ngspice at falling steps, and its own limits."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memristive.single_layer.closed_form import BATCH, MANY, Cells, Crossbar, Neurons
from memristive.single_layer.compiled_read import CompiledRead
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.pulses import READING, Schedule
from memristive.single_layer.spike_decoding import lead
from memristive.spice.parameters import ParameterError
from memristive.spice.session import Solver
from memristor import MemristorParameters, channel_current, raised_state, read_current, state_rate, trained_state
from snn_circuit import NetworkParameters, NeuronParameters


@pytest.fixture(scope="module")
def crossbar(parameters, mnist_schedule):
    return Crossbar.of(parameters, mnist_schedule)


@pytest.fixture(scope="module")
def states():
    """States of 10 x 100 cells that keep races close."""
    return 3.0 + np.random.default_rng(5).normal(0, 0.05, (10, 100))


def integrated_spikes(parameters, schedule, states, image, step=4e-9):
    """First spikes by plain integration of the membranes, currents at every instant of the input's edge."""
    neuron, spikes = parameters.neuron, np.full(len(states), np.nan)
    membrane = np.zeros(len(states))
    for k in range(int(600e-6 / step)):
        time = (k + 0.5) * step
        if k == 0 or time < schedule.rise + step:
            level = min(time / schedule.rise, 1.0)
            volts = level * schedule.input_voltage * image
            drive = neuron.feedback_resistance * channel_current(
                parameters.memristor, raised_state(parameters.memristor, states, volts), volts).sum(axis=1)
            drive = np.minimum(drive, -neuron.rail_low)
        change = step / neuron.time_constant * (drive - membrane)
        crosses = np.isnan(spikes) & (membrane + change >= neuron.threshold)
        with np.errstate(divide="ignore", invalid="ignore"):
            spikes = np.where(crosses, k * step + step * (neuron.threshold - membrane) / change, spikes)
        membrane = membrane + change
    return spikes


@pytest.mark.parametrize("grey", [False, True])
def test_spikes_are_those_of_a_plain_integration(parameters, mnist_schedule, crossbar, digit_images, grey):
    image = digit_images["grey" if grey else "binary"][2]
    base = np.linspace(0.4, 8.2, 10)[:, None] * np.ones(100)  # from silence to early spikes, pinched channels among them
    states = base + np.random.default_rng(3).normal(0, 0.3, (10, 100))
    exact = integrated_spikes(parameters, mnist_schedule, states, image)
    ideal = dataclasses.replace(crossbar.neurons, amplifier_gain=1e12, membrane_gain=1.0)
    race = dataclasses.replace(crossbar, neurons=ideal).read(states, image)
    assert 3 <= np.isfinite(exact).sum() < 10
    assert not race.doubtful.any()
    assert race.spikes == pytest.approx(exact, abs=5e-9, nan_ok=True)  # the integration's own step is 4 ns


def test_spikes_of_ngspice_tend_to_the_closed_form_as_its_step_falls(
        ngspice, parameters, mnist_schedule, crossbar, states, digit_images):
    images, states = digit_images["grey"][:3], states + 1.5
    exact = np.array([crossbar.read(states, image).spikes for image in images])
    early = exact < 400e-6
    errors = []
    for step in (20e-6, 5e-6, 1e-6):
        reader = Reader(ngspice, parameters, mnist_schedule, 10, Solver(max_step=step, reltol=1e-6, chgtol=1e-16))
        spikes = np.array([reader.spikes(states, image, 10) for image in images])
        errors.append(float(np.sqrt(np.mean((spikes - exact)[early]**2))))
    # Trapezoidal integration: about a sixteenth for a quarter of the step.
    assert errors[1] < 0.25 * errors[0]
    assert errors[2] < 0.25 * errors[1]
    assert errors[2] < 3e-9


@pytest.mark.parametrize("encoding", ["binary", "grey"])
def test_leads_of_tight_reads_are_those_of_the_closed_form(
        ngspice, parameters, mnist_schedule, crossbar, states, digit_images, encoding):
    reader = Reader(ngspice, parameters, mnist_schedule, 10, READING.tightened())
    states = states + (1.5 if encoding == "grey" else 0.0)
    for image in digit_images[encoding][:8]:
        exact = lead(crossbar.read(states, image).spikes)
        assert lead(reader.spikes(states, image, 2)) == pytest.approx(exact, abs=5e-9, rel=2e-3)


@pytest.mark.parametrize("encoding", ["binary", "grey"])
def test_batches_are_the_single_reads(crossbar, states, digit_images, encoding):
    images = np.tile(digit_images[encoding], (BATCH // 40 + 1, 1))  # more than one batch
    if encoding == "grey":
        images = np.round(images * 64) / 64  # so few levels that they are tabulated
    single = np.array([crossbar.read(states, image).spikes for image in images[:40]])
    batch = crossbar.race(states, images)
    assert batch.spikes.shape == (len(images), 10)
    assert batch.spikes[:40] == pytest.approx(single, rel=1e-12, nan_ok=True)
    assert np.array_equal(batch.spikes[-40:], batch.spikes[:40], equal_nan=True)
    many = 0.99 * digit_images["grey"] + 1e-6 * np.arange(4000).reshape(40, 100)  # levels beyond all tables
    assert crossbar.first_spikes(states, many) == pytest.approx(
        np.array([crossbar.read(states, image).spikes for image in many]), rel=1e-12, nan_ok=True)


def test_dark_images_make_no_neuron_fire_alone_or_in_a_batch(crossbar, states):
    for count in (1, MANY, BATCH + 1):
        race = crossbar.race(states, np.zeros((count, 100)))
        assert race.spikes.shape == (count, 10) and np.isnan(race.spikes).all()
        assert not race.settled.any()


def spread_out(crossbar, generator, chips):
    """Every array of cells and neurons with a spread of its own, for `chips` chips of 10 x 100 cells."""
    def spread(parts, shape):
        return dataclasses.replace(parts, **{name: value * generator.lognormal(0, 0.03, shape) + 0.01 * (value == 0)
                                             for name, value in vars(parts).items()})
    return dataclasses.replace(crossbar, cells=spread(crossbar.cells, (chips, 10, 100)),
                               neurons=spread(crossbar.neurons, (chips, 10)))


@pytest.mark.parametrize("encoding", ["binary", "grey"])
def test_chips_together_are_chips_one_by_one(crossbar, states, digit_images, encoding):
    chips = spread_out(crossbar, np.random.default_rng(2), 3)
    images = digit_images[encoding][:5]
    together = chips.first_spikes(np.stack([states, states + 0.1, states - 0.1]), images)
    assert together.shape == (3, 5, 10)
    for k, shift in enumerate((0.0, 0.1, -0.1)):
        def alone(values, k=k):
            return values[k]
        chip = dataclasses.replace(chips, cells=chips.cells.map(alone), neurons=chips.neurons.map(alone))
        assert together[k] == pytest.approx(chip.first_spikes(states + shift, images), rel=1e-12, nan_ok=True)
        assert together[k, 0] == pytest.approx(chip.read(states + shift, images[0]).spikes, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("shape", [(10, 1), (1, 100), (3, 10, 1), (3, 1, 100), (3, 10, 100)])
def test_cells_that_share_values_are_cells_that_each_have_them(crossbar, states, digit_images, shape):
    """An axis of 1 is broadcast, read alone or in a batch whose few levels are tabulated, at any input voltage."""
    crossbar = dataclasses.replace(crossbar, schedule=dataclasses.replace(crossbar.schedule, input_voltage=1.3))
    gains = crossbar.cells.gain * np.random.default_rng(4).lognormal(0, 0.1, shape)
    shared, each = (dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, gain=gain))
                    for gain in (gains, np.broadcast_to(gains, (3, 10, 100)).copy()))
    images = np.round(np.tile(digit_images["grey"][:9], (MANY // 9 + 1, 1)) * 16) / 16
    several = np.stack([states, states + 0.1, states - 0.1]) + 1.0
    batch = shared.race(several, images)
    for k, image in enumerate(images[:9]):
        read = shared.read(several, image)
        for chip in range(3):
            one = dataclasses.replace(each, cells=each.cells.map(lambda values, chip=chip: values[chip]))
            expected = one.read(several[chip], image)
            for found, wanted in ((read.settled, expected.settled), (batch.settled[:, k], expected.settled),
                                  (read.spikes, expected.spikes), (batch.spikes[:, k], expected.spikes)):
                assert np.nanmin(wanted) < np.nanmax(wanted)
                assert found[chip] == pytest.approx(wanted, rel=1e-12, nan_ok=True)


def test_two_inputs_of_which_one_is_driven_are_that_one(crossbar):
    gains, states = crossbar.cells.gain * np.array([[40.0, 50.0], [60.0, 70.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])
    both, first = (dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, gain=gain))
                   for gain in (gains, gains[:, :1]))
    assert both.read(states, np.array([0.7, 0.0])).settled == pytest.approx(first.read(states[:, :1], np.array([0.7])).settled)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Neurons) if field.name != "dropped"])
def test_every_neurons_own_parameter_counts(crossbar, states, digit_images, field):
    base, image = crossbar.neurons, digit_images["binary"][0]
    if field == "rail":
        base = dataclasses.replace(base, rail=5.0)
    values = np.full(10, getattr(base, field))
    values[3] *= 0.97
    before = dataclasses.replace(crossbar, neurons=base).read(states, image).spikes
    after = dataclasses.replace(crossbar, neurons=dataclasses.replace(base, **{field: values})).read(states, image).spikes
    assert np.flatnonzero(before != after).tolist() == [3]
    assert (abs(after[3] / before[3] - 1) < 1e-3) == (field == "amplifier_gain")
    sooner = {"threshold", "time_constant"}
    assert (after[3] < before[3]) == (field in sooner)


def test_column_is_off_ground_by_what_its_amplifier_lacks(crossbar, states, digit_images):
    """A column at 1 / gain of its stage's output drives its cells by so much less: solved here, one step of Newton's there."""
    gain, image = 1e3, digit_images["grey"][3]
    weak = dataclasses.replace(crossbar, neurons=dataclasses.replace(crossbar.neurons, amplifier_gain=gain))
    stage = np.zeros(10)
    for _ in range(20):
        volts = np.maximum(image - stage[:, None] / gain, 0.0)
        stage = crossbar.neurons.feedback_resistance * read_current(crossbar.cells, states, volts).sum(axis=1)
    assert weak.read(states, image).settled == pytest.approx(crossbar.neurons.membrane_gain * stage, rel=2e-5)
    assert (weak.read(states, image).settled < 0.998 * crossbar.read(states, image).settled).all()


def test_neurons_arrays_follow_from_the_parameters():
    parameters = NeuronParameters(feedback_resistance=700.0, membrane_transconductance=1.3, membrane_resistance=0.8,
                                  rail_low=-9.0)
    neurons = Neurons.of(parameters)
    # Less what op-amps with a gain of 1e5 lack.
    assert neurons.feedback_resistance * neurons.membrane_gain == pytest.approx(parameters.transresistance * (1 - 4e-5), rel=1e-6)
    assert neurons.rail == pytest.approx(9.0 / (1 + 10 / 700 + 10 / 1e4))
    assert Crossbar.of(NetworkParameters(), Schedule()).phi_share == pytest.approx(0.5 / 1.2)
    poor = NeuronParameters(feedback_resistance=500.0, stage_resistance=1e3, amplifier_output_resistance=250.0,
                            amplifier_gain=100.0)
    assert Neurons.of(poor).membrane_gain == pytest.approx(poor.membrane_transconductance * poor.membrane_resistance / 1.055)
    assert Neurons.of(NeuronParameters(inverting_rail_high=7.0)).rail == pytest.approx(7.0 / (1 + 10 / 1e4))
    assert Cells.of(MemristorParameters(capacitance=2e-13)).memory_capacitance == MemristorParameters(
        capacitance=2e-13).memory_capacitance


def test_form_says_where_it_does_not_hold(parameters, mnist_schedule, crossbar):
    image = np.where(np.arange(100) < 20, 1.0, 0.0)
    grid = np.linspace(0.5, 5.0, 20001)
    settled = parameters.neuron.transresistance * 20 * read_current(parameters.memristor, grid, 1.0)
    wanted = np.array([2.0, 3.99, 3.994, 4.0075, 4.011, 8.0])
    states = np.interp(wanted, settled, grid)[:, None] * np.ones(100)
    race = crossbar.read(states, image)
    assert race.settled == pytest.approx(wanted, rel=5e-4)  # less what the op-amps lack
    assert np.isnan(race.spikes).tolist() == [True, True, True, False, False, False]
    assert race.grazing.tolist() == race.doubtful.tolist() == [False, False, True, True, False, False]
    strong = crossbar.read(np.full((1, 100), 60.0), image)
    assert strong.railed.all()
    assert strong.settled == pytest.approx(20.0 / 1.011, rel=1e-4)
    hasty = Crossbar.of(parameters, dataclasses.replace(mnist_schedule, rise=900e-6))
    assert not hasty.holds
    assert crossbar.holds
    early = hasty.read(np.full((1, 100), 2.5), image)
    assert (early.early & early.doubtful & ~early.railed & ~early.grazing).all()


def test_rail_counts_at_the_inputs_full_level(crossbar, states, digit_images):
    image = digit_images["grey"][0]
    stage = crossbar.read(states, image).settled / crossbar.neurons.membrane_gain
    rail = stage * np.where(np.arange(10) < 4, 0.99, 1.01)
    race = dataclasses.replace(crossbar, neurons=dataclasses.replace(crossbar.neurons, rail=rail)).read(states, image)
    assert race.railed.tolist() == race.doubtful.tolist() == [True] * 4 + [False] * 6


def test_neurons_that_fire_within_the_edge_have_a_rough_time_the_others_their_exact_one(parameters, mnist_schedule):
    schedule = dataclasses.replace(mnist_schedule, rise=150e-6)
    states, image = np.linspace(1.7, 2.8, 10)[:, None] * np.ones(100), np.where(np.arange(100) < 40, 1.0, 0.0)
    race = Crossbar.of(parameters, schedule).read(states, image)
    exact = integrated_spikes(parameters, schedule, states, image, step=1e-7)
    assert race.early.tolist() == (race.risen > 4.0).tolist() == (exact < 150e-6).tolist()
    assert 3 <= race.early.sum() <= 7 and np.isfinite(exact).all()
    assert race.spikes[~race.early] == pytest.approx(exact[~race.early], abs=1e-7)
    assert race.spikes[race.early] == pytest.approx(exact[race.early], rel=0.05)
    assert race.spikes[race.early] == pytest.approx(150e-6 * np.sqrt(4.0 / race.risen[race.early]))  # currents that grow linearly


def test_spike_after_the_pulse_is_none(parameters, mnist_schedule):
    states, image = np.full((1, 100), 2.7), np.where(np.arange(100) < 20, 1.0, 0.0)
    spike = Crossbar.of(parameters, mnist_schedule).read(states, image).spikes[0]
    assert np.isfinite(spike)
    for pulse, fires in ((spike * 1.01, True), (spike * 0.99, False)):
        shorter = dataclasses.replace(mnist_schedule, pulse=pulse)
        assert np.isfinite(Crossbar.of(parameters, shorter).read(states, image).spikes[0]) == fires


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("device", [
    {}, {"width": 60e-6, "transconductance": 8e-9, "leak_resistance": 5e10, "switch_threshold": 0.8}])
def test_write_is_that_of_ngspice(ngspice, mnist_schedule, sign, device):
    parameters = NetworkParameters(memristor=MemristorParameters(**device))
    crossbar, generator = Crossbar.of(parameters, mnist_schedule), np.random.default_rng(8)
    column = generator.uniform(2.0, 5.0, 100)
    image = np.where(generator.random(100) < 0.6, generator.random(100), 0.0)
    writer = Writer(ngspice, parameters, mnist_schedule, 100)
    for dose in (2e-3, 20e-3, 0.2):
        pulse = dose / float(state_rate(parameters.memristor, 1.0))
        written = writer.write(column, image, sign, pulse)
        # Meyer's capacitances in ngspice's steps lose up to 0.2 mV of charge over the input's edges.
        assert crossbar.write(column, image, sign, pulse) == pytest.approx(written, abs=0.1e-3 + 1e-3 * dose)
        assert np.abs(written - column).max() > 0.85 * dose


def test_write_without_leak_is_rate_times_voltage_times_width_and_with_it_relaxes(crossbar):
    column, image = np.linspace(1.5, 6.0, 100), np.linspace(0.0, 1.0, 100)
    tight = dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, leak_resistance=1e18), phi_share=0.0)
    for sign in (1, -1):
        written = tight.write(column, image, sign, 1e-4)
        assert written - column == pytest.approx(trained_state(MemristorParameters(), sign * image, 1e-4), abs=1e-9)
    leaky = dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, leak_resistance=1e9))
    # For ever, the lifted gate tends to K R V; its lift is taken at the start.
    rest = leaky.write(column, image, 1, 1.0)
    gate = raised_state(MemristorParameters(), rest[50:], image[50:])
    assert gate == pytest.approx(5.0 * image[50:] * (1 - 0.1 * (5 / 12)**2) / (1 + 0.1 / 6), rel=3e-3)


def test_written_cells_have_their_own_gains(crossbar):
    column, image = np.full(100, 3.0), np.ones(100)
    own = dataclasses.replace(Cells.of(MemristorParameters()), transconductance=5e-9 * np.linspace(0.5, 1.5, 100))
    change = crossbar.write(column, image, 1, 1e-5, own) - column
    assert change / change[0] == pytest.approx(np.linspace(1.0, 3.0, 100), rel=2e-3)


@settings(max_examples=30)
@given(st.floats(0.5, 8.0), st.floats(0.05, 1.0))
def test_stronger_cells_fire_no_later(state, level):
    crossbar = Crossbar.of(NetworkParameters(), Schedule())
    image = np.full(30, level)
    weaker, stronger = crossbar.read(np.full((2, 30), [[state], [state * 1.05]]), image).spikes
    assert np.isnan(weaker) or stronger < weaker


@pytest.mark.parametrize("alike", [True, False])
def test_compiled_read_is_the_read(crossbar, states, digit_images, alike):
    if not alike:
        several = spread_out(crossbar, np.random.default_rng(6), 1)
        crossbar = dataclasses.replace(several, cells=several.cells.map(lambda values: values[0]),
                                       neurons=several.neurons.map(lambda values: values[0]))
    images = [*digit_images["binary"][:4], *digit_images["grey"][:4], np.zeros(100), 1e-4 * digit_images["grey"][0]]
    railed = states + np.where(np.arange(10) < 2, 25.0, 0.0)[:, None] - np.where(np.arange(10) > 7, 5.0, 0.0)[:, None]
    for schedule in (crossbar.schedule, dataclasses.replace(crossbar.schedule, rise=200e-6),
                     dataclasses.replace(crossbar.schedule, pulse=110e-6)):
        of_schedule = dataclasses.replace(crossbar, schedule=schedule)
        compiled, fired = CompiledRead(of_schedule, 10, 100), 0
        for image in images:
            expected = of_schedule.read(railed, image).spikes
            assert compiled(railed, image) == pytest.approx(expected, rel=1e-9, nan_ok=True)
            fired += np.isfinite(expected).sum()
        assert 10 < fired < 90


def test_column_has_its_own_cells_or_those_that_all_share(crossbar):
    """Arrays by class and input give a class's row, arrays by input alone (a class axis of 1) the only one, floats themselves."""
    gains, thresholds = np.arange(12.0).reshape(3, 4), np.arange(4.0)[None]
    mixed = dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, gain=gains, threshold_voltage=thresholds))
    column = mixed.column(2)
    assert column.gain.tolist() == [8.0, 9.0, 10.0, 11.0] and column.threshold_voltage.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert column.transconductance == crossbar.cells.transconductance
    assert mixed.column(0).gain.tolist() == [0.0, 1.0, 2.0, 3.0]
    pair = dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, gain=gains[:2], capacitance=np.arange(4.0)))
    assert pair.column(1).gain.tolist() == [4.0, 5.0, 6.0, 7.0] and pair.column(1).capacitance.tolist() == [0.0, 1.0, 2.0, 3.0]
    several = dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, gain=np.arange(24.0).reshape(2, 3, 4)))
    assert several.column(1).gain.tolist() == [[4.0, 5.0, 6.0, 7.0], [16.0, 17.0, 18.0, 19.0]]


def test_write_is_proportional_to_the_input_voltage_and_takes_levels_of_any_type(crossbar):
    column = np.full(3, 4.0)
    double = dataclasses.replace(crossbar, schedule=dataclasses.replace(crossbar.schedule, input_voltage=2.0))
    tight = {"cells": dataclasses.replace(crossbar.cells, leak_resistance=1e18)}
    once, twice = (one.write(column, np.ones(3), 1, 1e-5, **tight) - column for one in (crossbar, double))
    assert twice == pytest.approx(2 * once, rel=1e-3) and (once > 0).all()
    whole, real = (crossbar.write(column, image, 1, 1e-5) for image in ([1, 0, 1], np.array([1.0, 0.0, 1.0])))
    assert whole.tolist() == real.tolist()
    for pulse in (0.0, np.array([1e-5, -1e-6, 1e-5]), np.array([1e-5, np.inf, 1e-5])):
        with pytest.raises(ParameterError, match=r"a write's pulse must be above 0 s, and finite, got (0|-1e-06|1e-05)$"):
            crossbar.write(column, np.ones(3), 1, pulse)
