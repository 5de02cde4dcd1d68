"""The study of costs on committed networks: both boundaries, kinds of lines, other technologies."""

import pytest

from memristive.commands import costs
from memristive.io.records import load_results
from memristive.ledger import ASSUMED, Ledger, Line
from tests.helpers import outputs


def ledgers(folder, *arguments):
    costs.main([*arguments, *outputs(folder), "--force"])
    (path,) = folder.glob("costs_*.json")
    record = load_results(path)
    return record, {
        name: Ledger(tuple(Line(**line) for line in lines))
        for name, lines in record["ledgers"].items()
    }


def test_a_saved_network_gets_a_ledger_whose_assumptions_can_be_changed(tmp_path):
    record, found = ledgers(tmp_path, "voltages/xpue.json", "--training")
    inference, training = found["inference"], found["training"]
    assert record["shorter"][0]["strict_accuracy"] == 1.0
    assert inference.sum(pins=True) < inference.sum() < training.sum()
    # five pixels of 1 V through some mS, for the time of the decision
    cells = 5 * 1.3e-4 * 7 * record["times_s"]["inference"]["read"]
    assert 0.3 * cells < inference.sum(pins=True) < 4 * cells
    doubled = ledgers(tmp_path, "voltages/xpue.json", "--set", "technology.supply=2.4")[1]
    known = inference.sum() - inference.sum(kind=ASSUMED)
    assert doubled["inference"].sum(pins=True) == inference.sum(pins=True)
    assert doubled["inference"].sum() - known == pytest.approx(
        2 * inference.sum(kind=ASSUMED), 0.01
    )


def test_a_network_that_is_ten_times_as_fast_has_op_amps_of_ten_times_the_bandwidth(tmp_path):
    """Their first stages draw ten times as much: 12 op-amps of 10.05 uA at 1.2 V."""
    watts = []
    for number in ("1", "10"):
        record, found = ledgers(tmp_path / number, "voltages/xpue.json", "--faster", number)
        bias = sum(line.joules for line in found["inference"].lines if "bias" in line.name)
        watts.append(bias / record["times_s"]["inference"]["read"])
    assert watts[1] - watts[0] == pytest.approx(9 * 12 * 10.05e-6 * 1.2, rel=1e-3)
