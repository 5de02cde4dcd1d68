"""A training does what its options say: what is given counts, whatever the defaults of another size are."""

import pytest

from workflow.experiments import add_size_and_encoding, mnist_experiment
from workflow.training import chosen_experiment, training_parser


def chosen(*arguments):
    """MNIST's experiment as these options choose it."""
    parser = training_parser("MNIST", mnist_experiment(), add_size_and_encoding)
    return chosen_experiment(mnist_experiment, parser.parse_args([str(word) for word in arguments]))


@pytest.mark.parametrize(("options", "ohms"), [((), 510.2), (("--feedback-resistance", 1000), 1000.0),
                                               (("--feedback-resistance", 1001), 1001.0)])
def test_an_option_given_as_another_sizes_default_counts(options, ohms):
    """1000 ohm is the default of 10x10 images; 14x14 images take 510 unless told otherwise."""
    assert chosen("--size", 14, *options).network.neuron.feedback_resistance == pytest.approx(ohms, rel=1e-3)


def test_an_option_given_as_another_encodings_default_counts():
    assert chosen("--encoding", "grey").rule.presentations == 36000
    assert chosen("--encoding", "grey", "--presentations", 60000).rule.presentations == 60000
