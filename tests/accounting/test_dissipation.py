"""Energies counted twice: what sources deliver is what the parts take that they feed; the closed
form agrees with ngspice.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from memristive.accounting import dissipation
from memristive.accounting.dissipation import read_energies, write_energies
from memristive.datasets import xpue
from memristive.devices.cells import cell_changes
from memristive.devices.measured_device import emulator
from memristive.devices.spice_model import load_model
from memristive.engines.engine import ModelCells
from memristive.engines.ngspice_layer import BACK_RISE, BACK_STOP, WRITE_EDGE
from memristive.engines.read_netlist import SOLVER as READ
from memristive.engines.read_netlist import read_voltages, with_steps
from memristive.engines.solvers import (
    READING,
    WRITING,
    WRITING_LAYERS,
    read_solver,
)
from memristive.learning.settings import measured_design, measured_parameters, measured_pulses
from memristive.network.chip import Chip
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign, edges
from memristive.network.netlists import back_circuit, dense_circuit, layered_network
from memristive.network.networks import Network, network_on_chip
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR, array_network
from memristive.scores.decisions import end_of_read
from memristive.spice.session import run_once
from memristive.writing.at_once import ColumnDose
from memristive.writing.pulses import pulse_energies
from memristor import ISOLATED
from snn_circuit import OFF, NeuronParameters, state_changes
from snn_circuit import network as network_of_cells
from tests.accounting.balance import balance
from tests.network.networks import measured_network, random_network

pytestmark = pytest.mark.usefixtures("ngspice")
GREY = np.random.default_rng(7).random(9)
FARADS = 1e-9  # of a row: large, so that the lines are a visible part


def paired(sizes):
    """Two pairs of emulators in each synapse, and resistors at the bias rows."""
    rng, design = np.random.default_rng(4), LayerDesign(pairs=2, hidden_bias=1.5, output_bias=1.2)
    return Network(
        tuple(
            rng.normal(6.0, 0.5, (4 * above, below + 1))
            for below, above in itertools.pairwise(sizes)
        ),
        design=design,
    )


def convolution():
    """Two kernels of 3x3 pixels, which read the four patches of a 4x4 image."""
    rng = np.random.default_rng(8)
    design = LayerDesign(hidden_bias=0.5, output_bias=1.3, window=300e-6)
    states = rng.normal(6.0, 0.5, (2, 10)), rng.normal(6.0, 0.5, (3, 9))
    return Network(states, design=design, kinds=(Convolution(4, 4, 3, regions=2),))


def stack():
    """Two kernels of 2x2 pixels, and above them two of 2x2 spikes in two channels."""
    rng = np.random.default_rng(8)
    design = LayerDesign(hidden_bias=0.9, output_bias=1.3, window=300e-6)
    kinds = Convolution(4, 4, 2, regions=3), Convolution(3, 3, 2, regions=2, channels=2)
    states = [rng.normal(6.0, 0.5, (2, 5)), rng.normal(5.5, 0.5, (2, 9)), rng.normal(6, 1, (3, 9))]
    return Network(tuple(states), design=design, kinds=kinds)


def networks():
    yield "one layer", random_network((9, 4), seed=5, spread=1.0)
    yield "two layers", random_network((9, 12, 4), seed=5, spread=1.0)
    chip = Chip(cell_gain=0.5, seed=3)
    yield "chip", network_on_chip(random_network((9, 12, 4), seed=5, spread=1.0), chip)
    yield "pairs", paired((9, 6, 4))
    yield "convolution", convolution()
    yield "two convolutions", stack()
    yield "measured", measured_network("epiram", (5,), 2, noise=False)
    patterns = xpue().patterns
    yield "paper", Network.of(xpue().setup, 5.0 * patterns + 1.0)


NETWORKS = dict(networks())


def read(network):
    image = np.resize(GREY, network.sizes[0])
    times = [layer[0] for layer in network.forward(image[None])]
    return image, times, float(end_of_read(times[-1], network.design.window))


@pytest.mark.parametrize("name", ["one layer", "two layers", "pairs", "measured"])
def test_the_sources_of_a_read_deliver_what_the_parts_take_that_they_feed(name):
    network = NETWORKS[name]
    image, times, stop = read(network)
    design = network.design
    levels = (design.row_voltage * network.read_levels(image[None])[0]).tolist()
    rows = [[(0.0, 0.0), (design.rise, level), (1.0, level)] for level in [*levels[:-1], 1.0]]
    circuit = layered_network(network, rows[:-1])
    circuit["Vpulse"].values = rows[-1]
    for k in range(len(levels)):
        circuit.C(f"line_{k}", f"row_0_{k}", circuit.gnd, FARADS)
    found = balance(circuit, dataclasses.replace(READING, max_step=design.rise / 20), stop)
    assert found.in_parts == pytest.approx(found.at_pins, rel=0.01)
    assert found.of("cline") == pytest.approx(FARADS / 2 * np.square(levels).sum(), rel=0.01, abs=0)
    expected = read_energies(network, image, times, stop)
    at_pins = expected[0].rows + sum(drawn.bias for drawn in expected)
    assert found.at_pins - found.of("cline") == pytest.approx(at_pins, rel=0.01)
    for k, drawn in enumerate(expected):  # cells of each layer, without its bias row
        bias = f"_{network.layers[k].rows - 1}"
        own = [name for name in found.parts if name.startswith(f"xcell_{k}_")]
        taken = sum(found.parts[name] for name in own if not name.endswith(bias))
        # triggers act at time points
        assert taken == pytest.approx(drawn.rows, rel=0.03, abs=1e-15)


@pytest.mark.parametrize("name", ["convolution", "two convolutions"])
def test_a_convolution_takes_what_the_pins_deliver_in_all_patches(name):
    """One transient: the patches in turn, latches, and the layers above, which they drive."""
    network = NETWORKS[name]
    image, times, _ = read(network)
    assert all((of_layer < network.design.window).any() for of_layer in times)
    window = network.design.window
    solver = with_steps(READ, network)
    kinds, tau = network.kinds, network.parameters.neuron.time_constant
    circuit = kinds[0].circuit(
        dense_circuit, network, read_voltages(network, image), "convolution", None, ()
    )
    found = balance(circuit, solver, sum(kind.before(window, tau) for kind in kinds) + window)
    assert found.in_parts == pytest.approx(found.at_pins, rel=0.01)
    expected = read_energies(network, image, times, window)
    at_pins = expected[0].rows + sum(drawn.bias for drawn in expected)
    assert found.at_pins == pytest.approx(at_pins, rel=0.01)
    for k, drawn in enumerate(expected):  # cells of each layer, without its bias row
        bias = f"_{network.layers[k].rows - 1}"
        own = [name for name in found.parts if name.startswith(f"xcell_{k}_")]
        taken = sum(found.parts[name] for name in own if not name.endswith(bias))
        assert taken == pytest.approx(drawn.rows, rel=0.03, abs=1e-15)


def isolated(parameters):
    """Return parameters of cells whose junctions to bulk do not conduct at negative voltages."""
    memristor = dataclasses.replace(parameters.memristor, junction_current=ISOLATED)
    return dataclasses.replace(parameters, memristor=memristor)


@pytest.mark.parametrize("volts", [0.1, -0.1])
@pytest.mark.parametrize("name", ["one layer", "two layers"])
def test_a_write_takes_what_its_rows_deliver(name, volts):
    """Rows of the first layer have the levels of the shares, rows of later layers their times."""
    network, k = NETWORKS[name], len(NETWORKS[name].states) - 1
    layer, shares = network.layers[k], np.linspace(0, 1, network.layers[k].rows)
    pulse, levels = abs(volts / layer.write_rate), np.where(layer.timed, shares > 0, shares)
    edge, high = WRITE_EDGE * pulse, np.where(layer.timed, shares, 1.0)
    end = 3 * edge + pulse
    ups = np.where(high < 1, end - pulse * high, 2 * edge)
    rows = [
        [(0, 0), (up - edge / 2, 0), (up + edge / 2, v), (end + 2 * edge, v), (end + 3 * edge, 0)]
        for up, v in zip(ups, np.sign(volts) * levels, strict=True)
    ]
    states = layer.with_reference(network.states[k])
    parameters, closed = isolated(network.parameters), [OFF] * len(states)
    circuit = network_of_cells(parameters, states, rows, closed, neurons=False)
    solver = dataclasses.replace(WRITING_LAYERS, max_step=edge)
    found = balance(circuit, solver, end + 4 * edge).at_pins
    expected, _ = write_energies(network, k, ColumnDose(1, volts, shares))
    assert expected.rows + expected.bias == pytest.approx(found, rel=0.01, abs=0)


@pytest.mark.parametrize(("volts", "error"), [(3.0, 0.01), (0.02, 0.01), (-0.5, 0.02)])
def test_a_write_of_the_papers_layer_takes_what_its_rows_deliver(volts, error):
    network, dose = NETWORKS["paper"], ColumnDose(1, volts, xpue().patterns[1])
    seconds, schedule = volts / network.layers[0].write_rate, network.design
    pulse, rise = abs(seconds), min(schedule.rise, abs(seconds) / 10)
    rows = [edges(0.0, pulse, rise, level) for level in np.sign(volts) * dose.shares]
    phi = [edges(0.0, pulse, rise, schedule.phi_voltage * (j == 1)) for j in range(4)]
    parameters, stop = isolated(network.parameters), pulse + 2 * rise
    circuit = network_of_cells(parameters, network.states[0], rows, phi, neurons=False)
    found = balance(circuit, dataclasses.replace(WRITING, max_step=stop / 1000), stop)
    assert found.at_pins == pytest.approx(write_energies(network, 0, dose)[0].rows, rel=error)


def test_a_read_of_the_papers_layer_takes_what_its_rows_deliver():
    network = NETWORKS["paper"]
    image, times, stop = read(network)
    rows = [edges(0.0, stop, network.design.rise, level) for level in image]
    circuit = network.setup.crossbar(network.states[0], rows, [OFF] * 4)
    solver = read_solver(network.setup, network.states[0], image)
    found = balance(circuit, solver, stop + 2 * network.design.rise)
    expected = read_energies(network, image, times, stop)[0].rows
    assert found.at_pins == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", ["two layers", "chip", "pairs", "convolution"])
def test_a_back_read_takes_what_its_columns_deliver(name):
    network = NETWORKS[name]
    layer, states = network.layers[1], network.states[1][:, :-1]
    errors = np.eye(network.sizes[-1])[1] - np.eye(network.sizes[-1])[2]
    circuit = back_circuit(layer)
    changes = state_changes(np.ndindex(states.shape), states.ravel().tolist(), "cell_0")
    circuit["Vpulse"].values = [(0.0, 0.0), (BACK_RISE, 1.0), (1.0, 1.0)]
    for j, volts in enumerate(layer.back_voltage * layer.synapses.errors(errors)):
        circuit[f"Ecolumn_0_{j}"].voltage_gain = float(volts)
    if layer.devices.cells is not None:
        cells = layer.devices.cells.at(slice(None), slice(-1))
        changes |= cell_changes(cells, network.parameters.memristor, name="cell_0")
    solver = dataclasses.replace(WRITING, max_step=BACK_STOP / 100)
    found = balance(circuit, solver, BACK_STOP, changes=changes).at_pins
    expected = dissipation.back_read_energy(network, 1, errors)
    assert expected == pytest.approx(found, rel=0.01, abs=0)


@pytest.mark.parametrize(("scheme", "half"), [(ONE_TRANSISTOR, 0.0), (HALF, 0.5)])
def test_pulses_cost_what_selected_and_half_selected_devices_take(scheme, half):
    cells = ModelCells(load_model("vteam"), scheme)
    array, width, numbers = cells.array, cells.model.width_up, np.array([1.0, 0.0, 1.0, 1.0])
    emulated = emulator(cells.device)
    states = emulated.state(np.random.default_rng(2).uniform(0.3, 0.7, (3, 4)))
    network = Network(
        (states,),
        measured_parameters(emulated),
        measured_design(emulated, 0, 1.0),
        pulses=measured_pulses(emulated),
    )
    sign, edge = 1 / (2 if half else 1), 0.01 * width
    volts = array.model.voltage_up
    rows = [edges(0.1 * width, width, edge, sign * volts * number) for number in numbers]
    phi = [edges(0.1 * width, width, edge, float(j == 1)) for j in range(3)]
    model_states = cells.states(states)
    circuit = array_network(array, NeuronParameters(), model_states, rows, phi, 1.0, neurons=False)
    found = balance(circuit, array.writing(width / 10), 1.3 * width, behind=("device_",))
    assert found.in_parts == pytest.approx(found.at_pins, rel=0.01, abs=0)
    expected = pulse_energies(network.layers[0], states, 1, numbers, volts**2 * width, half)
    chosen = sum(found.of(f"xcell_1_{i}") for i in (0, 2, 3))
    assert chosen == pytest.approx(expected[0], rel=0.01, abs=0)
    assert found.of("xcell") - chosen == pytest.approx(expected[1], rel=0.01, abs=1e-6 * chosen)


def test_columns_that_are_written_together_change_as_alone_and_cost_the_longest_write():
    """Rows stay high for the longest write, and each phi ends after its own time."""
    alone = NETWORKS["one layer"]
    layer, edge, longest = alone.layers[0], 0.4e-6, 20e-6
    levels, seconds = np.append(GREY, 1.0), np.array([20e-6, 5e-6, 0.0, 12e-6, 0.0])
    states = layer.with_reference(alone.states[0])
    rows = [edges(edge, longest + 4 * edge, edge, level) for level in levels]
    phi = [edges(3 * edge, time, edge, 1.0) if time else OFF for time in seconds]
    circuit = network_of_cells(alone.parameters, states, rows, phi, neurons=False)
    solver = dataclasses.replace(WRITING_LAYERS, max_step=edge)
    stop = longest + 8 * edge
    found = balance(circuit, solver, stop)
    assert found.in_parts == pytest.approx(found.at_pins, rel=0.01)
    gates = [f"xcell_{c}_{k}.gate" for c, k in np.ndindex(states.shape)]
    waves = run_once(circuit, solver, gates, stop)
    moved = waves.stack(gates)[:, -1].reshape(states.shape) - states
    assert moved == pytest.approx(layer.write_rate * np.outer(seconds, levels), abs=1e-4)
    alone_longest, _ = write_energies(alone, 0, ColumnDose(0, layer.write_rate * longest, levels))
    overlap = (longest + 4 * edge) / (longest * (1 + 3.5 * WRITE_EDGE))  # rows are high for longer
    assert found.at_pins == pytest.approx(
        (alone_longest.rows + alone_longest.bias) * overlap, rel=0.02
    )


def test_a_faster_network_decides_alike_in_a_tenth_of_the_time_and_energy():
    slow = NETWORKS["two layers"]
    fast, times = slow.faster(10), [layer[0] for layer in slow.forward(GREY[None])]
    assert fast.forward(GREY[None])[-1] * 10 == pytest.approx(times[-1][None], rel=1e-9)
    stop = float(np.nanmax(times[-1]))
    for k, drawn in enumerate(read_energies(slow, GREY, times, stop)):
        shorter = read_energies(fast, GREY, [of / 10 for of in times], stop / 10)[k]
        assert shorter.bias * 10 == pytest.approx(drawn.bias, rel=1e-9)
