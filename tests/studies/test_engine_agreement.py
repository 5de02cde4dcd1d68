"""Reads and writes on both engines: differences are found and have the right size."""

import dataclasses

import numpy as np
import pytest

from memristive.io.predictions import save_decisions
from memristive.io.results import load_results
from memristive.single_layer.spike_decoding import TIED
from studies import engine_agreement
from studies.engine_agreement import compare_decisions, compare_leads, compare_writes, networks, ngspice_spikes


@pytest.fixture(scope="module")
def network():
    return networks()[1]


@pytest.fixture
def exact(network):
    """The closed form's spikes of 20 images."""
    return network.crossbar.first_spikes(network.states, network.images(20)).copy()


def test_decisions_and_delays_are_compared(network, exact):
    spikes = exact + 30e-9
    first, second = np.argsort(exact[4])[:2]
    spikes[4, second] = spikes[4, first] + 10e-9  # a tie
    spikes[7, np.argsort(exact[7])[0]] = np.nan  # the second one is now the first
    row, different = compare_decisions(network, spikes)
    assert (row["images"], row["spikes"], row["decisions_that_differ"]) == (20, np.isfinite(spikes).sum(), 2)
    assert row["ngspice_later_ns_median"] == row["ngspice_later_ns_highest"] == pytest.approx(30)
    assert row["ngspice_later_ns_lowest"] == pytest.approx(1e9 * (exact[4, first] - exact[4, second]) + 40)
    assert row["leads_differ_max_ns"] == pytest.approx(max(
        1e9 * (exact[4, second] - exact[4, first]) - 10, *1e9 * np.abs(np.diff(np.diff(np.sort(exact[7])[:3])))))
    assert [(found["image"], found["ngspice"]) for found in different] == [(4, TIED), (7, np.argsort(exact[7])[1])]
    assert different[0]["lead_ngspice_ns"] == pytest.approx(10)


def test_leads_are_compared_with_their_bound(network, exact):
    assert compare_leads(network, exact + 50e-9) == pytest.approx((0, 0), abs=1e-6)  # alike for all neurons
    later = exact.copy()
    later[3, np.argmin(exact[3])] -= 1e-6
    difference, share = compare_leads(network, later)
    lead = np.diff(np.sort(exact[3])[:2])[0]
    assert (difference, share) == pytest.approx((1e-6, 1e-6 / (5e-9 + 2e-3 * lead)))
    alone = np.where(exact == np.nanmin(exact, axis=1, keepdims=True), exact, np.nan)
    assert compare_leads(network, alone) == (np.inf, np.inf)
    dark = dataclasses.replace(network, states=np.zeros((10, 100)))
    assert np.isnan(compare_leads(dark, np.full((1, 10), np.nan))).all()


def test_random_writes_agree(ngspice):
    largest, share = compare_writes(10)
    assert 1e-6 < largest < 1e-3 and share < 1


def test_study_compares_the_tests_of_all_networks(ngspice, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_agreement, "WRITES", 3)
    for network in networks():
        spikes = network.crossbar.first_spikes(network.states, network.images(30))
        save_decisions(tmp_path / f"{network.name.replace('mnist', 'mnist_test')}_decisions.csv.gz",
                       network.dataset.test.labels[:30], spikes, network.resolution, network.setup.schedule)
        assert ngspice_spikes(network, tmp_path) == pytest.approx(spikes, abs=0.06e-9, nan_ok=True)
    engine_agreement.main(["--images", "1", "--results", str(tmp_path), "--figures", str(tmp_path)])
    record = load_results(tmp_path / "engines.json")
    assert [row["network"] for row in record["rows"]] == [network.name for network in networks()]
    assert all(abs(row["ngspice_later_ns_median"]) < 0.1 and row["decisions_that_differ"] == 0 for row in record["rows"])
    errors = np.array([step["rms_difference_ns"] for step in record["steps"]]).reshape(3, -1)
    assert (errors[:, -1] < errors[:, 0] / 10).all() and record["writes"]["share_of_bound"] < 1
