"""Values that stand in the drawn circuits are those of the circuits that are simulated unasked."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from memristive.stdp.stdp_circuit import SelfLearningParameters
from snn_circuit import NeuronParameters
from tools import schematics


@pytest.fixture
def texts():
    """texts(figure): all that is written in it."""
    yield lambda figure: [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    plt.close("all")


def test_a_neurons_resistors_capacitor_and_threshold(texts):
    neuron, written = NeuronParameters(), texts(schematics.circuit_network())
    assert (neuron.feedback_resistance, neuron.stage_resistance, neuron.load_resistance) == (1e3, 1e4, 1e3)
    assert [written.count(ohms) for ohms in ("1 kΩ", "10 kΩ", "1 Ω")] == [2, 3, 1]  # feedback and load; the stage's; the leak
    assert (neuron.membrane_transconductance, neuron.membrane_resistance, neuron.membrane_capacitance) == (1.0, 1.0, 150e-6)
    assert "1 S" in written and "150 µF" in written and neuron.threshold == 4.0 and "4 V" in written


def test_what_closes_the_loop_of_a_neuron_that_learns_by_itself(texts):
    learning, written = SelfLearningParameters(), texts(schematics.circuit_self_learning())
    assert (learning.homeostasis_capacitance, learning.homeostasis_resistance) == (1e-9, 320e6)
    assert "1 nF" in written and "320 MΩ" in written
    assert any("phi j = 1.2 × output j" in text for text in written)
    assert learning.inhibition_threshold == 0.5 and any("sum to > 0.5 V" in text.replace("\n", " ") for text in written)
