"""The rule of one synapse, and the STDP window with the neuron's own spike."""

import numpy as np
import pandas as pd
import pytest

from memristive.network.design import Schedule
from memristive.parameters import ParameterError
from memristive.stdp.stdp_circuit import SelfLearningSetup, constants
from memristor import MemristorParameters
from snn_circuit import NeuronParameters
from studies.synapse_rule import measure_window, measure_writes

SETUP = SelfLearningSetup(
    MemristorParameters(leak_resistance=1e9),
    NeuronParameters(feedback_resistance=10e3),
    Schedule(pulse=0.6e-3, period=6e-3),
)
K = constants(SETUP)
TAU = K.leak * (K.c + K.cox)


def test_writes_follow_the_closed_form():
    """A write moves the state towards the leak times the input."""
    writes = pd.DataFrame(measure_writes(SETUP.memristor, K, [2e-3, 8e-3]))
    assert len(writes) == 18 and writes.measured_V.to_numpy() == pytest.approx(
        writes.closed_form_V, abs=6e-3
    )
    leaking = writes[writes.input_V == 0]  # without an input the gate is C + C_gate at any X
    assert leaking.measured_V.to_numpy() == pytest.approx(
        leaking.state_V * np.exp(-leaking.dose_s / TAU), abs=6e-3
    )


def test_overlap_with_the_spike_potentiates_and_a_spike_alone_depresses():
    window = pd.DataFrame(measure_window(SETUP, K, np.linspace(-1.5e-3, 1.5e-3, 7)))
    assert window.measured_V.to_numpy() == pytest.approx(window.closed_form_V, abs=10e-3)
    assert window.difference_s.to_numpy() == pytest.approx(
        np.linspace(-1.5e-3, 1.5e-3, 7), abs=0.2e-3
    )
    together = window.difference_s.abs().argmin()
    assert together == window.spike_duration_s.argmax() and window.measured_V[together] > 0.15
    assert (window.measured_V[window.difference_s.abs() > 1e-3] < -0.2).all()
    (shorter,) = measure_window(SETUP, K, np.zeros(1), pre=0.2e-3)
    assert shorter["measured_V"] < window.measured_V[3] - 0.1
    with pytest.raises(ParameterError, match="state"):
        measure_window(SETUP, K, np.linspace(-1.5e-3, 1.5e-3, 9), state=6.0)
