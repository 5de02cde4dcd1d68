"""The experiments' parameters: what scales with the size of the images, and what is the paper's."""

import pytest

from workflow.experiments import digits_experiment, mnist_experiment, xpue_experiment


@pytest.mark.parametrize(("size", "ohms"), [(5, 4000.0), (10, 1000.0), (20, 250.0), (28, 127.55)])
def test_feedback_keeps_membranes_in_range_at_any_size(size, ohms):
    """A fifth of the pixels is on at any size: the column's current grows with the pixels, and the feedback falls."""
    assert mnist_experiment(size).network.neuron.feedback_resistance == pytest.approx(ohms, rel=1e-4)


def test_files_are_named_for_data_rule_encoding_and_size():
    assert mnist_experiment().voltages_path("hebbian").name == "mnist.json"
    assert mnist_experiment(14, "grey").voltages_path("error-driven").name == "mnist_error_driven_grey_14x14.json"
    assert xpue_experiment().stem("error-driven") == "xpue_error_driven"


def test_pulses_are_the_papers():
    for experiment, pulse, period, step in ((xpue_experiment(), 5e-3, 15e-3, 10e-6), (digits_experiment(), 5e-3, 15e-3, 10e-6),
                                            (mnist_experiment(), 2e-3, 6e-3, 11e-6)):
        schedule = experiment.schedule
        assert (schedule.pulse, schedule.period, schedule.sampling_step) == (pulse, period, step)
        assert (schedule.input_voltage, schedule.phi_voltage) == (1.0, 1.2)
