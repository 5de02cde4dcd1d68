"""The paper's values (Jurj 2024, sections 2 and 3), on which all of its numbers rest, in the
library, the scripts and the datasets.
"""

import dataclasses

import pytest

from memristive.datasets import digits_012345, mnist, xpue
from memristive.network.design import Setup
from tests.helpers import page

PAPER = {
    "memristor": {
        "transconductance": 5e-9,
        "leak_resistance": 1e12,
        "capacitance": 100e-15,
        "width": 100e-6,
        "length": 100e-6,
        "oxide_thickness": 100e-9,
        "kp": 130e-6,
        "threshold_voltage": 0.0,
        "switch_threshold": 0.5,
        "switch_on": 1e-3,
        "switch_off": 1e20,
    },
    "neuron": {
        "feedback_resistance": 1e3,
        "stage_resistance": 10e3,
        "membrane_transconductance": 1.0,
        "membrane_resistance": 1.0,
        "membrane_capacitance": 150e-6,
        "threshold": 4.0,
        "hysteresis": 0.1,
        "output_high": 1.0,
        "load_resistance": 1e3,
    },
    "schedule": {
        "pulse": 5e-3,
        "period": 15e-3,
        "rise": 10e-6,
        "input_voltage": 1.0,
        "phi_voltage": 1.2,
        "sampling_step": 10e-6,
    },
}
MNIST = {"pulse": 2e-3, "period": 6e-3, "sampling_step": 11e-6}


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group in PAPER for name in PAPER[group]]
)
def test_defaults_are_the_values_of_the_paper(group, name):
    assert getattr(getattr(Setup(), group), name) == PAPER[group][name]


@pytest.mark.parametrize(
    ("script", "dataset", "pulses"),
    [("XPUE", xpue, {}), ("012345", digits_012345, {}), ("MNIST", mnist, MNIST)],
)
def test_scripts_and_datasets_have_the_values_of_the_paper(script, dataset, pulses):
    schedule = dataclasses.replace(Setup().schedule, **pulses)
    module = page(f"{script}_memristive_training.py")
    assert dataset().setup == Setup(schedule=schedule)
    assert Setup(module.MEMRISTOR, module.NEURON, module.SCHEDULE) == dataset().setup
