"""A floating gate that a rising input lifts, and the current a read then finds: by plain integration, and by its charge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memristor import MemristorParameters, channel_current, raised_state, read_current


def integrated_gate(cell, state, voltage, steps=10000):
    """The lifted gate by plain integration of Meyer's capacitances over the rising input."""
    x, step = np.array(state, float), np.asarray(voltage, float) / steps
    for k in range(steps):
        v = (k + 0.5) * step
        source, drain = x - cell.threshold_voltage, np.maximum(x - cell.threshold_voltage - v, 0.0)
        to_drain, to_source = (2 / 3 * cell.gate_capacitance * (1 - (other / (source + drain))**2) for other in (source, drain))
        x = x + to_drain * step / (cell.capacitance + to_drain + to_source)
    return x


@pytest.mark.parametrize("cell", [
    MemristorParameters(), MemristorParameters(capacitance=4e-12, threshold_voltage=0.7),
    MemristorParameters(capacitance=1e-15, oxide_thickness=30e-9, threshold_voltage=-0.3)])
def test_lift_is_the_integral_of_the_gates_capacitances(cell):
    overdrive = np.array([0.02, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 3.0, 7.0])[:, None]
    voltage = np.array([0.01, 0.3, 1.0, 2.5])
    state = cell.threshold_voltage + overdrive + np.zeros(4)
    # The plain integration errs by a step where a channel pinches off.
    assert raised_state(cell, state, voltage) == pytest.approx(integrated_gate(cell, state, voltage), abs=2e-5)


@pytest.mark.parametrize("vto", [0.0, 0.5])
def test_a_gate_whose_channel_is_off_stays_where_it_is(vto):
    """Nothing couples it to the input, however high."""
    states = vto + np.array([-3.0, -0.2, 0.0])
    for volts in (0.3, 1.0, 5.0):
        assert raised_state(MemristorParameters(threshold_voltage=vto), states, volts) == pytest.approx(states, rel=1e-15)


def charge(cell, gate, voltage):
    """All charge on the floating node, in C: the memory capacitor's and Meyer's, for a channel that conducts."""
    s = np.maximum(gate - cell.threshold_voltage, 0.0)
    d = np.maximum(gate - cell.threshold_voltage - voltage, 0.0)
    return cell.capacitance * gate + 2 / 3 * cell.gate_capacitance * (s * s + s * d + d * d) / (s + d)


@given(st.floats(0.01, 20.0), st.floats(-15.0, 15.0), st.floats(-2.0, 2.0), st.floats(1e-15, 1e-11))
def test_floating_gate_keeps_its_charge_at_any_input_voltage(overdrive, voltage, threshold, capacitance):
    cell = MemristorParameters(threshold_voltage=threshold, capacitance=capacitance)
    state = threshold + overdrive
    raised = raised_state(cell, state, voltage)
    before, after = charge(cell, state, 0.0), charge(cell, raised, voltage)
    assert after == pytest.approx(before, rel=1e-9, abs=1e-9 * cell.memory_capacitance)


@given(st.floats(-5.0, 20.0), st.floats(0.0, 15.0), st.floats(-2.0, 2.0), st.floats(1e-15, 1e-11))
def test_read_current_is_the_square_law_of_the_lifted_gate(state, voltage, threshold, capacitance):
    cell = MemristorParameters(threshold_voltage=threshold, capacitance=capacitance, width=70e-6)
    expected = channel_current(cell, raised_state(cell, state, voltage), voltage)
    assert read_current(cell, state, voltage) == pytest.approx(expected, rel=1e-9, abs=1e-18)
