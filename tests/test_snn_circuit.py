"""The crossbar: connections, currents, writes; columns that are independent of each other."""

import numpy as np
import pytest

from memristor import channel_current, raised_state, state_rate
from snn_circuit import OFF, names, network, state_names

# No two cells, columns or inputs have a value in common: a swapped wire changes every sum.
# V, 3 classes x 4 inputs
STATES = np.array([[2.1, 4.4, 3.2, 2.7], [4.9, 2.3, 2.9, 3.6], [3.3, 3.8, 5.1, 2.5]])
VOLTS = np.array([0.35, 0.55, 0.8, 1.05])  # V, at the inputs
CLASSES, INPUTS = STATES.shape


@pytest.fixture
def driven(parameters, step):
    """driven(states): the network in some states, its inputs at VOLTS from 10 us on."""

    def build(states, volts=VOLTS, **settings):
        return network(parameters, states, [step(volt) for volt in volts], **settings)

    return build


@pytest.mark.parametrize("controls", [None, [OFF] * CLASSES])
def test_each_membrane_settles_at_the_sum_of_its_own_cells_currents(
    simulate, driven, parameters, controls
):
    membranes = names("membrane", CLASSES)
    waves = simulate(driven(STATES, controls=controls), membranes, 2e-3, max_step=10e-6)
    gates = raised_state(parameters.memristor, STATES, VOLTS)
    expected = 1e3 * channel_current(parameters.memristor, gates, VOLTS).sum(axis=1)
    # The gates' lift is known to 0.1 % of the input's voltage; the columns' sums differ by more
    # than 1 %.
    assert waves.stack(membranes)[:, -1] == pytest.approx(expected, rel=1e-3)
    assert np.abs(expected[:, None] / expected - 1)[~np.eye(CLASSES, dtype=bool)].min() > 0.01


@pytest.mark.parametrize("neurons", [True, False])
def test_each_cell_integrates_its_own_input_while_its_own_phi_is_high(
    simulate, parameters, neurons
):
    windows = np.array([0.4e-3, 0.7e-3, 1.1e-3])  # s, a phi of its own length for each class
    inputs = [[(0, 0), (1e-4, volt), (2e-3, volt), (2.1e-3, 0)] for volt in (*VOLTS[:3], 0.0)]
    controls = [
        [(0, 0), (2e-4, 0), (2.01e-4, 1.2), (2e-4 + window, 1.2), (2.01e-4 + window, 0)]
        for window in windows
    ]
    cells = state_names(CLASSES, INPUTS)
    waves = simulate(
        network(parameters, STATES, inputs, controls, neurons),
        cells,
        2.2e-3,
        max_step=1e-4,
        reltol=1e-5,
    )
    changes = waves.stack(cells)[:, -1].reshape(CLASSES, INPUTS) - STATES
    expected = np.outer(windows, state_rate(parameters.memristor, [*VOLTS[:3], 0.0]))
    # Meyer's capacitances keep charge to about 1 % where a gate is charged while lifted; 2 mV: the
    # solver and the leak.
    assert changes == pytest.approx(expected, rel=0.015, abs=2e-3)
