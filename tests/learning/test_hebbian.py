"""The paper's method in ngspice: training in situ, and inference by first spikes."""

import warnings

import numpy as np
import pytest

from memristive.datasets import digits_012345, mnist, xpue
from memristive.engines.solvers import (
    READING,
    TRAINING,
    driven_rows,
    read_solver,
    training_solver,
)
from memristive.learning.hebbian import (
    hebbian_network,
    infer,
    inference_network,
    train_hebbian,
)
from memristive.network.chip import Chip, on_chip
from memristive.network.crossbar import Crossbar
from memristive.network.design import Schedule, Setup
from memristive.scores import decisions
from memristive.scores.checks import OperatingRangeWarning
from memristive.scores.decisions import HEBBIAN_RESOLUTION, TIED, decide, lead
from memristive.spice.session import run_once
from memristor import MemristorParameters
from snn_circuit import NeuronParameters, names


def class_scatter(states, patterns):
    """Relative difference of the classes, whose pulses are equal: mean states of pixels at 1."""
    means = [row[pattern == 1].mean() for row, pattern in zip(states, patterns, strict=True)]
    return np.ptp(means) / np.mean(means)


@pytest.fixture(scope="module", params=[xpue, digits_012345, mnist])
def trained(request, ngspice):
    """A dataset, its `Training`, and the ends of the presentations that were watched."""
    dataset, watched = request.param(), []

    def watch(steps):
        for step in steps:
            watched.append(step.time[-1])
            yield step

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the paper's networks are within their range
        return dataset, train_hebbian(dataset.setup, dataset.patterns, watch=watch), watched


def test_training_writes_the_closed_form_into_on_cells_equally_and_leaves_off_cells(trained):
    dataset, training, watched = trained
    on, schedule = dataset.patterns > 0, dataset.setup.schedule
    # K * 1 V * pulse / (C + C_gate) in numbers: 5e-9 A for 5 or 2 ms into 3.553 pF.
    expected = 5e-9 * schedule.pulse / 3.5532e-12
    assert training.states[on] == pytest.approx(np.full(on.sum(), expected), rel=2e-3)
    assert np.abs(training.states[~on]).max() < 1e-3
    assert class_scatter(training.states, dataset.patterns) < 2e-4
    # within a step
    assert watched[:-1] == pytest.approx(
        [schedule.start(k) for k in range(1, len(watched))], rel=0.02
    )
    assert len(watched) == len(dataset.patterns)


def test_first_spikes_of_the_inference_are_those_of_the_formula(trained):
    """Within 30 ns, for all patterns: their membranes rise for up to 400 us."""
    dataset, training, _ = trained
    spikes = infer(training.setup, training.states, dataset.patterns).spikes
    formula = Crossbar.of(training.setup).first_spikes(training.states, dataset.patterns)
    assert np.nanmin(spikes, axis=1) == pytest.approx(np.nanmin(formula, axis=1), abs=30e-9)


def test_short_edges_train_classes_equally(ngspice, templates):
    """The usual time steps would leave classes 1.6 % apart, and 56 mV in cells that should be off,
    with edges of 0.1 us.
    """
    setup = templates.setup.replace(schedule=Schedule(pulse=2e-3, period=6e-3, rise=1e-7))
    states = train_hebbian(setup, templates.patterns).states
    assert class_scatter(states, templates.patterns) < 2.5e-4
    assert np.abs(states[templates.patterns == 0]).max() < 1e-3


@pytest.mark.parametrize("volts", [0.5, 0.7, 3.0])
@pytest.mark.filterwarnings("ignore::memristive.scores.checks.OperatingRangeWarning")
def test_channels_that_form_while_they_are_written_train_as_well(ngspice, volts):
    """The capacitance of their gates jumps, so the usual time steps would shrink to nothing."""
    memristor, patterns = MemristorParameters(threshold_voltage=volts), xpue().patterns
    states = train_hebbian(Setup(memristor), patterns).states
    assert class_scatter(states, patterns) < 4e-4
    beyond = states[patterns > 0] - 5e-9 * 5e-3 / memristor.memory_capacitance
    assert beyond == pytest.approx(0.185, abs=0.012)  # V: below Vto the gate takes less charge


def test_identical_patterns_tie(ngspice):
    """Neither training order nor the solver may prefer one; the training warns."""
    patterns = np.array([[1, 1, 1, 0, 1, 0, 0, 1, 0]] * 2, float)
    with pytest.warns(OperatingRangeWarning, match="pattern 1 contains pattern 0"):
        states = train_hebbian(Setup(), patterns).states
    spikes = infer(Setup(), states, patterns).spikes
    assert decide(spikes, HEBBIAN_RESOLUTION)[0].tolist() == [TIED, TIED]
    assert max(lead(times) for times in spikes) < HEBBIAN_RESOLUTION / 2


def whole_run(ngspice, setup, circuit, count, solver):
    """Return the first spikes of `count` images in a run of a given circuit."""
    saved = names("membrane", 2) + names("output", 2)
    loaded = ngspice.load(circuit, solver, saved)
    waves = loaded.run(setup.schedule.stop(count))
    loaded.unload()
    return np.array(
        [
            decisions.first_spikes(
                waves.time,
                waves.stack(saved[:2]),
                waves.stack(saved[2:]),
                setup.neuron,
                setup.schedule.start(k),
                setup.schedule.pulse,
            )
            for k in range(count)
        ]
    )


# half of the rows are never driven
SPARSE = np.array([[0, 1, 1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 1, 0]], float)
UNDRIVEN = ~SPARSE.any(axis=0)
SETUP = Setup(
    neuron=NeuronParameters(feedback_resistance=6.3e3), schedule=Schedule(pulse=2e-3, period=6e-3)
)


def test_rows_that_no_pattern_drives_change_nothing(ngspice):
    """Training and inference leave them out."""
    quick, cells = train_hebbian(SETUP, SPARSE), SETUP.state_names(*SPARSE.shape)
    waves = run_once(
        hebbian_network(SETUP, SPARSE), training_solver(SETUP), cells, SETUP.schedule.stop(2)
    )
    whole = waves.stack(cells)[:, -1].reshape(SPARSE.shape)
    assert quick.states == pytest.approx(whole, abs=2e-4 * whole.max())
    assert (quick.states[:, UNDRIVEN] == 0).all() and np.abs(whole[:, UNDRIVEN]).max() < 1e-4
    states = quick.states + 0.3  # cells of rows at 0 V conduct, too
    spikes = infer(SETUP, states, SPARSE).spikes
    solver = read_solver(SETUP, states, SPARSE)
    assert spikes == pytest.approx(
        whole_run(ngspice, SETUP, inference_network(SETUP, states, SPARSE), 2, solver),
        abs=2e-8,
        nan_ok=True,
    )


def test_wires_with_resistance_need_every_row(ngspice):
    """A row at 0 V whose column is off 0 V, by the current in its wire, is depressed by tens of mV
    at 5 ohm.
    """
    setup = on_chip(SETUP, Chip(2, 8, row_resistance=5.0, column_resistance=5.0))
    assert driven_rows(SPARSE, setup.devices).tolist() == list(range(8))
    undriven = train_hebbian(setup, SPARSE).states[:, UNDRIVEN]
    assert (undriven > -0.1).all() and (undriven < -1e-3).all()


@pytest.mark.filterwarnings("ignore::memristive.scores.checks.OperatingRangeWarning")
def test_on_a_chip_cells_and_neurons_differ(ngspice):
    """Trained according to the gains, read with the channels and thresholds of the chip: against
    its closed form.
    """
    chip = Chip(
        classes=2, inputs=8, seed=3, cell_write_gain=0.3, cell_gain=0.3, neuron_threshold=0.2
    )
    setup, driven = on_chip(SETUP, chip), SPARSE > 0
    found = train_hebbian(setup, SPARSE).states
    gain = chip.cells(SETUP.memristor).transconductance
    assert np.ptp(gain[driven]) > 0.3 * np.mean(gain)
    assert found[driven] / gain[driven] == pytest.approx(
        np.mean(found[driven] / gain[driven]), rel=0.01
    )
    strong = setup.replace(neuron=NeuronParameters(feedback_resistance=8e3))
    strong, states = on_chip(strong, chip), np.full((2, 8), 3.0)
    expected = Crossbar.of(strong).first_spikes(states, SPARSE)
    assert np.ptp(strong.thresholds) > 0.3 and np.isfinite(expected).all()
    assert infer(strong, states, SPARSE).spikes == pytest.approx(expected, abs=1e-6)


def test_tightened_tolerances_change_no_trained_voltage_and_no_spike(ngspice):
    dataset = xpue()
    usual, tight = (
        train_hebbian(dataset.setup, dataset.patterns, solver).states
        for solver in (TRAINING, TRAINING.tightened(2))
    )
    assert tight == pytest.approx(usual, abs=1e-3 * usual.max())
    spikes, exact = (
        infer(dataset.setup, usual, dataset.patterns, solver).spikes
        for solver in (READING, READING.tightened())
    )
    assert spikes == pytest.approx(exact, abs=1e-6, nan_ok=True)
