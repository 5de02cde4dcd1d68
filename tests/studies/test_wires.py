"""Learning through resistive wires."""

from memristive.learning.rule import ErrorDrivenRule
from studies.wires import WiredRun, evaluate


def test_a_network_learns_through_wires():
    rule = ErrorDrivenRule(presentations=400, start_state=4.5, dose=0.1, margin=1e-6)
    row = evaluate(WiredRun(1, 0.35, True, rule, samples=300))
    assert row["strict_accuracy"] > 0.4
