"""The paper's layer in ngspice, through circuits that stay loaded: against formulas, the closed form and the whole crossbar."""

import dataclasses

import numpy as np
import pytest

from datasets import xpue
from memristive.devices.channel import channel_current, raised_state
from memristive.learning.hebbian import infer
from memristive.network.checks import fit_feedback_resistor
from memristive.network.chip import Chip, on_chip
from memristive.network.closed_form import Crossbar
from memristive.network.layer import ColumnDose
from memristive.network.setup import WRITE_EDGE, Setup, edges
from memristive.network.solvers import WRITING
from memristive.network.spike_decoding import RESOLUTION, lead, paper_decision, strict_decision
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters, state_rate, trained_state
from snn_circuit import OFF, network, state_changes, state_names
from tests.network.networks import paper_layer

pytestmark = pytest.mark.usefixtures("ngspice")


@pytest.fixture(scope="module")
def trained_states(templates):
    """States as Hebbian training leaves them, with its scatter, and states as the error-driven rule has them."""
    generator = np.random.default_rng(11)
    return {"hebbian": 2.82 * templates.patterns + generator.normal(0, 0.01, templates.patterns.shape),
            "error-driven": 3.0 + generator.normal(0, 0.02, templates.patterns.shape)}


@pytest.fixture
def layer(mnist_setup):
    return paper_layer(mnist_setup)


@pytest.mark.parametrize(("rule", "encoding"), [("hebbian", "binary"), ("error-driven", "grey")])
def test_early_end_of_a_read_changes_no_decision(layer, mnist_schedule, trained_states, digit_images, rule, encoding):
    states, step, silent = trained_states[rule], mnist_schedule.sampling_step, 0
    for image in digit_images[encoding][:6]:
        shortest, early, full = (layer.read(states, image, wanted)[0] for wanted in (1, 3, 11))
        assert strict_decision(early) == strict_decision(full)
        assert paper_decision(shortest, step) == paper_decision(early, step) == paper_decision(full, step)
        first = np.argsort(full, kind="stable")[:min(3, np.sum(~np.isnan(full)))]
        # The length of a run decides its first steps: all times move a little, together.
        assert early[first] == pytest.approx(full[first], abs=0.1e-6)
        if np.isfinite(lead(full)):
            assert lead(early) == pytest.approx(lead(full), rel=1e-3, abs=RESOLUTION / 4)
        silent += np.isnan(full).all()
    assert silent <= 4


@pytest.mark.parametrize(("step", "last"), [(11e-6, 97.5e-6), (60e-6, 118e-6)])
def test_a_read_waits_for_all_spikes_of_the_papers_sample(mnist_setup, step, last):
    """All neurons fire in one sample, the lowest class last: it wins by the paper's rule."""
    setup = mnist_setup.replace(schedule=dataclasses.replace(mnist_setup.schedule, sampling_step=step))
    times, image = np.linspace(last, 89e-6, 10), (np.arange(100) < 20).astype(float)
    settled = setup.neuron.threshold / -np.expm1(-(times - 5e-6) / setup.neuron.time_constant)
    grid = np.linspace(2.0, 6.0, 4001)  # V, states; the closed form of the settled membrane is inverted
    current = channel_current(setup.memristor, raised_state(setup.memristor, grid, 1.0), 1.0)
    states = np.interp(settled, setup.neuron.transresistance * 20 * current, grid)[:, None] * np.ones(100)
    spikes = paper_layer(setup).read(states, image)[0]
    assert spikes == pytest.approx(times, abs=0.7e-6)  # 0.1 % of the gates' lift, and the read's error of 0.3 us
    assert paper_decision(spikes, step) == 0 and strict_decision(spikes) == 9


def test_a_read_depends_on_nothing_read_before(mnist_setup, layer, trained_states):
    generator, images = np.random.default_rng(4), np.zeros((3, 100))
    for image, rows in zip(images, (15, 12, 11), strict=True):  # all in the circuit of 20 rows
        image[generator.choice(100, rows, replace=False)] = generator.uniform(0.5, 1.0, rows)
    for image, name in zip(images, ("hebbian", "error-driven", "hebbian"), strict=True):
        states, new = trained_states[name] + 6.0, paper_layer(mnist_setup)
        fresh = new.read(states, image, 11)[0]
        layer.reset()
        assert not np.isnan(fresh).all() and layer.read(states, image, 11)[0] == pytest.approx(fresh, rel=1e-9, nan_ok=True)
        new.unload()
        assert np.array_equal(new.read(states, image, 11)[0], fresh, equal_nan=True)


def test_failed_read_changes_no_later_one(layer, trained_states, digit_images):
    image, states = digit_images["binary"][0], trained_states["error-driven"]
    good, broken = layer.read(states, image, 3)[0], states + 0.5
    broken[5, np.flatnonzero(image)[3]] = np.nan
    with pytest.raises(ParameterError, match="xcell_0_5_"):
        layer.read(broken, image, 3)
    for levels in (image, digit_images["binary"][7], image):
        layer.reset()
        again = layer.read(states, levels, 3)[0]
    assert again == pytest.approx(good, rel=1e-9, nan_ok=True) and not np.isnan(good).all()


@pytest.mark.parametrize("changes", [{"width": 1e-2}, {"oxide_thickness": 1e-8}, {"width": 1e-3}])
def test_large_gates_keep_their_charge_in_a_read(changes):
    """Membranes would fade from pattern to pattern with the tolerance of charges (chgtol) of usual reads."""
    memristor, patterns = MemristorParameters(**changes), xpue().patterns
    setup = fit_feedback_resistor(Setup(memristor), patterns)
    states = trained_state(memristor, setup.schedule.input_voltage * patterns, setup.schedule.pulse)
    exact = Crossbar.of(setup).first_spikes(states, patterns)
    for found in (infer(setup, states, patterns).spikes,
                  np.array([paper_layer(setup, 4, 9).read(states, image, 5)[0] for image in patterns])):
        both = np.isfinite(found) & np.isfinite(exact)
        assert both.sum() >= 4 and found[both] == pytest.approx(exact[both], abs=3e-6 if "width" in changes else 0.6e-6)


# Writes

def pulse_of(dose):
    """Return the width in s of a write that changes X by `dose` V at 1 V."""
    return dose / float(state_rate(MemristorParameters(), 1.0))


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_writes_of_cells_below_their_input_are_those_of_the_closed_form(spread):
    """The usual time steps would be off by up to 0.8 mV a write. On a chip the cells' thresholds decide about the steps."""
    setup = Setup()
    cells = Chip(1, 6, cell_threshold=spread).cells(setup.memristor)
    start, image = cells.threshold_voltage[0] + np.array([0.1, 0.2, 0.3, 0.5, 0.7, 1.2]), np.ones(6)
    chip = Chip(1, 6, cell_threshold=spread)
    crossbar, layer = Crossbar.of(on_chip(setup, chip)), paper_layer(on_chip(setup, chip), 1, 6)
    states = start
    for sign in 5 * [1, -1]:
        exact = crossbar.write(states, image, sign, pulse_of(0.005), crossbar.cells.at(0))
        states = layer.write(states[None], [ColumnDose(0, sign * 0.005, image)], np.random.default_rng(0))[0]
        assert states == pytest.approx(exact, abs=0.05e-3)
    assert states == pytest.approx(start, abs=0.5e-3)


def test_many_writes_to_two_columns_disturb_no_other_cell(ngspice, parameters):
    """Write disturb in the whole crossbar: ten columns share the inputs, two of them are written."""
    classes, inputs, undriven, dose = 10, 16, 4, 20e-3
    cells, generator = [(j, i) for j in range(classes) for i in range(inputs)], np.random.default_rng(8)
    names, pulse = state_names(classes, inputs), pulse_of(dose)
    circuit = ngspice.load(network(parameters, np.zeros((classes, inputs)), None, [OFF] * classes, neurons=False), WRITING, names)
    start = generator.uniform(2.8, 3.2, (classes, inputs))
    states, written, shape = start, np.zeros((classes, inputs)), np.array(edges(0.0, pulse, WRITE_EDGE * pulse, 1.0))
    for k in range(100):
        image = np.zeros(inputs)
        image[generator.choice(inputs - undriven, 5, replace=False)] = 1.0
        # Seven potentiations of ten in one column, seven depressions of ten in the other.
        column, sign = ((1, 1), (7, -1))[k % 2]
        sign = -sign if k % 20 >= 14 else sign
        changes = {f"einput_{i} gain": volt for i, volt in enumerate(sign * image)} | {"vpulse pwl": shape.ravel()}
        phi = (shape * (1.0, 1.2)).ravel()
        changes |= {f"vphi_{j} pwl": phi if j == column else [0.0, 0.0] for j in range(classes)}
        circuit.alter(changes | state_changes(cells, states.ravel()))
        states = circuit.run(1.2 * pulse).stack(names)[:, -1].reshape(classes, inputs)
        written[column] += sign * dose * image
    circuit.unload()
    moved, driven = states - start, (slice(None), slice(-undriven))
    assert np.abs(written[[1, 7]][driven]).mean() > 0.1  # V
    assert moved[[1, 7]][driven] == pytest.approx((1 - WRITE_EDGE * (0.5 / 1.2)**2) * written[[1, 7]][driven], rel=0.01, abs=3e-3)
    moved[[1, 7], :-undriven] = 0.0
    assert np.abs(moved).max() < 0.003 * start.mean()
