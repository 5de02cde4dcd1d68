"""The crossbar: who is connected to whom, and what a column may not notice of the others."""

import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from memristive.single_layer.pulses import READING
from memristive.spice.parameters import ParameterError
from memristive.spice.session import SimulationError
from memristor import channel_current, raised_state, state_rate
from snn_circuit import OFF, names, network, state_changes, state_names
from tests.helpers import ROOT

# No two cells, columns or inputs have a value in common: a swapped wire changes every sum.
STATES = np.array([[2.1, 4.4, 3.2, 2.7], [4.9, 2.3, 2.9, 3.6], [3.3, 3.8, 5.1, 2.5]])  # V, 3 classes x 4 inputs
VOLTS = np.array([0.35, 0.55, 0.8, 1.05])  # V, at the inputs
CLASSES, INPUTS = STATES.shape


def lines_of(circuit, start):
    """The netlist's lines that begin with `start`, each as a list of words."""
    return [line.split() for line in str(circuit).lower().splitlines() if line.lower().startswith(start)]


@pytest.fixture
def driven(parameters, step):
    """driven(states): the network in some states, its inputs at VOLTS from 10 us on; the same for parts of it."""
    def build(states, volts=VOLTS, **settings):
        return network(parameters, states, [step(volt) for volt in volts], **settings)
    return build


@pytest.mark.parametrize("neurons", [True, False])
@pytest.mark.parametrize("controls", [None, [OFF] * CLASSES])
@pytest.mark.parametrize("inputs", [None, [OFF] * INPUTS])
def test_every_cell_joins_its_own_input_column_and_phi(parameters, inputs, controls, neurons):
    circuit = network(parameters, STATES, inputs, controls, neurons)
    kind = "read_memristor" if controls is None else "memristor"
    cells = {words[0]: words[1:] for words in lines_of(circuit, "xcell_")}
    assert cells == {f"xcell_{j}_{i}": [f"column_{j}", f"input_{i}", *([] if controls is None else [f"phi_{j}"]), kind,
                                        f"x0={STATES[j, i]}"] for j in range(CLASSES) for i in range(INPUTS)}
    assert len(lines_of(circuit, "xcell_")) == CLASSES * INPUTS
    sources = Counter({"vinput": INPUTS} if inputs else {"einput": INPUTS, "vpulse": 1})
    sources += Counter({} if controls is None else {"vphi": CLASSES})
    sources += Counter({} if neurons else {"vcolumn": CLASSES})
    top = str(circuit).lower().rpartition(".ends")[2].splitlines()
    assert Counter(re.split("[_ ]", line)[0] for line in top if line.startswith(("v", "e"))) == sources
    columns = {words[0]: words[1:] for words in lines_of(circuit, "xneuron_")}
    assert columns == ({f"xneuron_{j}": [f"column_{j}", "0", f"membrane_{j}", f"output_{j}", "lapicque_neuron"]
                        for j in range(CLASSES)} if neurons else {})
    # One model serves all cells: a model per cell would load slowly.
    assert len(lines_of(circuit, ".model")) == 1 + (controls is not None) + neurons


@pytest.mark.parametrize(("inputs", "controls", "found"), [
    ([OFF] * 3, None, "got 3 inputs"), ([OFF] * 5, None, "got 5 inputs"), (None, [OFF] * 4, "and 4 controls"),
    ([OFF] * 4, [OFF] * 2, "got 4 inputs and 2 controls")])
def test_sources_that_do_not_fit_the_cells_are_refused(parameters, inputs, controls, found):
    with pytest.raises(ParameterError, match=f"3 x 4 states need as many sources, .*{found}"):
        network(parameters, STATES, inputs, controls)


@pytest.mark.parametrize("controls", [None, [OFF] * CLASSES])
def test_each_membrane_settles_at_the_sum_of_its_own_cells_currents(simulate, driven, parameters, controls):
    membranes = names("membrane", CLASSES)
    waves = simulate(driven(STATES, controls=controls), membranes, 2e-3, max_step=10e-6)
    gates = raised_state(parameters.memristor, STATES, VOLTS)
    expected = 1e3 * channel_current(parameters.memristor, gates, VOLTS).sum(axis=1)
    # The gates' lift is known to 0.1 % of the input's voltage; the columns' sums differ by more than 1 %.
    assert waves.stack(membranes)[:, -1] == pytest.approx(expected, rel=1e-3)
    assert np.abs(expected[:, None] / expected - 1)[~np.eye(CLASSES, dtype=bool)].min() > 0.01


@pytest.mark.parametrize("neurons", [True, False])
def test_each_cell_integrates_its_own_input_while_its_own_phi_is_high(simulate, parameters, neurons):
    windows = np.array([0.4e-3, 0.7e-3, 1.1e-3])  # s, a phi of its own length for each class
    inputs = [[(0, 0), (1e-4, volt), (2e-3, volt), (2.1e-3, 0)] for volt in (*VOLTS[:3], 0.0)]
    controls = [[(0, 0), (2e-4, 0), (2.01e-4, 1.2), (2e-4 + window, 1.2), (2.01e-4 + window, 0)] for window in windows]
    cells = state_names(CLASSES, INPUTS)
    waves = simulate(network(parameters, STATES, inputs, controls, neurons), cells, 2.2e-3, max_step=1e-4, reltol=1e-5)
    changes = waves.stack(cells)[:, -1].reshape(CLASSES, INPUTS) - STATES
    expected = np.outer(windows, state_rate(parameters.memristor, [*VOLTS[:3], 0.0]))
    # Meyer's capacitances keep charge to about 1 % where a gate is charged while lifted; 2 mV: the solver and the leak.
    assert changes == pytest.approx(expected, rel=0.015, abs=2e-3)


def test_network_without_neurons_trains_like_one_with_neurons(simulate, parameters):
    inputs = [[(0, 0), (1e-4, volt), (2e-3, volt), (2.1e-3, 0)] for volt in VOLTS]
    controls = [[(0, 0), (1e-5, 1.2), (length, 1.2), (length + 1e-5, 0)] for length in (1e-3, 2.3e-3, 1.6e-3)]
    cells = state_names(CLASSES, INPUTS)
    ends = [simulate(network(parameters, STATES, inputs, controls, neurons), cells, 2.5e-3, max_step=1e-4,
                     reltol=1e-5).stack(cells)[:, -1] for neurons in (True, False)]
    # The virtual ground is a ground to 1e-5 of the amplifier's output; what is left is the solver's.
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)
    assert np.abs(ends[0] - STATES.ravel()).min() > 0.4  # and it did train


@pytest.mark.parametrize("column", range(CLASSES))
def test_column_alone_has_the_waveforms_it_has_in_the_network(simulate, driven, column):
    one = simulate(driven(STATES[[column]]), ["membrane_0", "xcell_0_2.gate"], 4e-4)
    whole = simulate(driven(STATES), [f"membrane_{column}", f"xcell_{column}_2.gate"], 4e-4)
    times = np.linspace(0, 4e-4, 200)
    for alone, together in (("membrane_0", f"membrane_{column}"), ("xcell_0_2.gate", f"xcell_{column}_2.gate")):
        waves = [np.interp(times, w.time, w[name]) for w, name in ((one, alone), (whole, together))]
        assert waves[0] == pytest.approx(waves[1], rel=1e-4, abs=1e-4)  # other time points, at reltol 1e-6


def test_altered_network_behaves_as_one_built_that_way(ngspice, simulate, driven, parameters):
    membranes = names("membrane", CLASSES)
    loaded = ngspice.load(network(parameters, np.full((CLASSES, INPUTS), 2.2), None), READING, membranes)
    changes = {f"einput_{i} gain": volt for i, volt in enumerate(VOLTS)} | {"vpulse pwl": [0, 0, 10e-6, 1]}
    cells = [(j, i) for j in range(CLASSES) for i in range(INPUTS)]
    before = loaded.run(3e-4).stack(membranes)
    loaded.alter(changes | state_changes(cells, STATES.ravel()))
    after = loaded.run(3e-4).stack(membranes)[:, -1]
    again = loaded.run(3e-4).stack(membranes)[:, -1]
    built = simulate(driven(STATES), membranes, 3e-4, **READING.as_dict()).stack(membranes)[:, -1]
    ngspice.unload(loaded)
    assert np.abs(before).max() < 1e-9
    assert after == pytest.approx(built, rel=1e-6)  # the same equations and steps, another way to write the sources
    assert (again == after).all()  # a run leaves nothing behind


def test_netlist_with_its_changes_runs_in_ngspices_program_as_in_the_session(ngspice, driven, parameters, tmp_path):
    """To rerun by hand what was altered: all of a network of subcircuits is there, and the printing that is added here."""
    membranes = names("membrane", CLASSES)
    loaded = ngspice.load(network(parameters, np.full((CLASSES, INPUTS), 2.2), None), READING, membranes)
    loaded.alter({f"einput_{i} gain": volt for i, volt in enumerate(VOLTS)} | {"vpulse pwl": [0, 0, 10e-6, 1]})
    expected, text = loaded.run(3e-4).stack(membranes)[:, -1], loaded.netlist_with_changes(3e-4)
    ngspice.unload(loaded)
    prints = "".join(f"print {node}[length({node})-1]\n" for node in membranes)
    (tmp_path / "again.cir").write_text(text.replace(".endc", f"{prints}.endc"))
    said = subprocess.run(["ngspice", "-n", "-b", tmp_path / "again.cir"], capture_output=True, text=True, timeout=60).stdout
    assert [float(value) for value in re.findall(r"(?m)^membrane_.* = (\S+)$", said)] == pytest.approx(expected, rel=1e-5)
    assert expected.min() > 0.1


def test_circuits_of_one_session_do_not_mix(ngspice, driven):
    nodes = [names("membrane", count) for count in (3, 1, 2)]
    wide = ngspice.load(driven(STATES), READING, nodes[0])
    narrow = ngspice.load(driven(STATES[2:] + 0.3), READING, nodes[1])
    ends = {circuit: circuit.run(2e-4).stack(saved)[:, -1] for circuit, saved in ((wide, nodes[0]), (narrow, nodes[1]))}
    assert not np.isclose(ends[wide], ends[narrow], rtol=0.01).any()
    for circuit, saved in ((wide, nodes[0]), (narrow, nodes[1]), (narrow, nodes[1]), (wide, nodes[0])):
        assert (circuit.run(2e-4).stack(saved)[:, -1] == ends[circuit]).all()
    wide.alter(state_changes([(0, 0)], [6.0]))
    moved = wide.run(2e-4).stack(nodes[0])[:, -1]
    assert moved[0] > ends[wide][0] + 0.1
    assert (moved[1:] == ends[wide][1:]).all()  # no other column
    assert (narrow.run(2e-4).stack(nodes[1])[:, -1] == ends[narrow]).all()  # nor the same cell of the other circuit
    third = ngspice.load(driven(STATES[:2] + 1.0), READING, nodes[2])
    assert third.run(2e-4).stack(nodes[2])[:, -1].shape == (2,)
    ngspice.unload(wide)  # an older circuit than `narrow`, then a newer one, then one more to come
    assert (narrow.run(2e-4).stack(nodes[1])[:, -1] == ends[narrow]).all()
    ngspice.unload(third)
    fourth = ngspice.load(driven(STATES[:2] + 2.0), READING, nodes[2])
    assert (narrow.run(2e-4).stack(nodes[1])[:, -1] == ends[narrow]).all()
    ngspice.unload(fourth)
    ngspice.unload(narrow)


REFUSED = r"""
import numpy as np
from PySpice.Spice.Netlist import Circuit
from memristive.single_layer.pulses import READING
from memristive.spice.session import NgspiceSession, SimulationError
from snn_circuit import NetworkParameters, network

def voltage(circuit):
    return circuit.run(1e-4)["membrane_0"][-1]

session = NgspiceSession()
circuits = [session.load(network(NetworkParameters(), [[state]], [[(0, 0), (1e-5, 1)]]), READING, ["membrane_0"])
            for state in (2.0, 4.0)]
before = [voltage(circuit) for circuit in circuits]
for netlist in (".ic v(nowhere)=1", "Q1 a 0"):
    wrong = Circuit("wrong")
    wrong.raw_spice = f"V1 a 0 1\nR1 a 0 1\n{netlist}\n"
    try:
        session.load(wrong, READING, ["a"])
    except SimulationError as error:
        print("refused" if "refused the netlist" in str(error) else error)
    print("same" if [voltage(circuit) for circuit in reversed(circuits)] == before[::-1] else "mixed up")
"""


def test_refused_netlist_leaves_the_session_as_it_was(tmp_path):
    # In a process of its own: ngspice may be left in a state that the other tests must not see.
    done = subprocess.run([sys.executable, "-c", REFUSED], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.stdout.split() == ["refused", "same"] * 2, done.stdout + done.stderr
    assert len(list(tmp_path.glob("failed_*.cir"))) == 2  # kept, to be rerun by hand


def test_unknown_vector_is_named(simulate, driven):
    with pytest.raises(SimulationError, match=r"no vector 'membrane_7', only .*membrane_1"):
        simulate(driven(STATES), ["membrane_1"], 1e-4)["membrane_7"]


def test_network_of_28_by_28_inputs_and_10_classes_loads_and_runs(ngspice, parameters):
    states = np.full((10, 784), 2.4)
    states[3], states[7, 700] = 3.2, 5.0
    loaded = ngspice.load(network(parameters, states, None), READING, names("membrane", 10))
    loaded.alter({"einput_700 gain": 0.9, "vpulse pwl": [0.0, 0.0, 10e-6, 1.0]})
    waves = loaded.run(60e-6)
    ngspice.unload(loaded)
    gates = raised_state(parameters.memristor, states[:, 700], 0.9)
    settled = 1e3 * channel_current(parameters.memristor, gates, 0.9)
    expected = settled * -np.expm1(-(waves.time[-1] - 5e-6) / parameters.neuron.time_constant)
    # The edge counts as a step in its middle; the gates rise with it, which delays them by some 0.1 us of 55.
    assert waves.stack(names("membrane", 10))[:, -1] == pytest.approx(expected, rel=0.01)
