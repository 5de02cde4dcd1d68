"""Held-out images are not learned from, and a setting's gain is over the first one."""

import numpy as np
import pytest

from memristive.io.results import load_table
from memristive.learning.error_rule import ErrorDrivenRule
from studies import dose_and_margin


def test_rows_compare_each_setting_with_the_first_on_the_same_images(monkeypatch, tmp_path):
    monkeypatch.setattr(dose_and_margin, "TRIED", {"grey": [(300, 60e-3, 1e-6, 5.2), (300, 1e-3, 1e-6, 5.2)]})
    dose_and_margin.main(["--encoding", "grey", "--samples", "240", "--jobs", "1", "--results", str(tmp_path)])
    rows = load_table(tmp_path / "dose_and_margin.json")
    accuracies = np.array(rows.held_out_accuracies.tolist())
    rule = ErrorDrivenRule(300, 5.2, 60e-3, 1e-6, 1)
    assert accuracies[0, 2] == dose_and_margin.held_out_accuracy(("grey", rule, 2, 240))
    assert rows.gain_mean[0] == 0 and rows.gain_mean[1] == pytest.approx((accuracies[1] - accuracies[0]).mean())
    assert accuracies[0].mean() > accuracies[1].mean()  # a dose of 1 mV learns next to nothing
