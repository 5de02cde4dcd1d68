"""MNIST without labels, as the study runs it: ngspice decides as the closed form."""

from memristive.io.records import load_results, load_table
from studies.unsupervised import main
from tests.helpers import outputs


def test_ten_neurons_learn_without_labels(tmp_path):
    main(
        ["--data", "mnist", "--neurons", "10", "--seed", "3", "--samples", "3", *outputs(tmp_path)]
    )
    path = tmp_path / "mnist_stdp_grey_10_seed_3.json"
    rows = load_table(path)
    assert rows.images.tolist() == [10_000, 3]
    assert load_results(path)["different_decisions"] == []
    assert 0.6 < rows.strict_accuracy[0] < 0.75
