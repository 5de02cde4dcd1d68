"""The rule of a synapse that learns by itself, and the STDP window whose post event is the neuron's own spike."""

import dataclasses
import json

import numpy as np
import pytest

from memristive.spice.parameters import ParameterError
from studies import synapse_rule as instar
from studies.synapse_rule import STATES, VOLTS, Instar, closed_form, foretold_change, foretold_rule, measure_rule, measure_window

STUDY = Instar(doses=3, pairings=7)


def test_a_write_moves_the_state_towards_the_leak_times_the_input(ngspice):
    doses, measured, exact = measure_rule(ngspice, STUDY)
    assert measured.shape == (len(STATES), len(VOLTS), len(doses))
    assert np.abs(measured - exact).max() < 6e-3  # 0.2 % of the largest change
    tau = STUDY.leak_resistance * STUDY.device.memory_capacitance
    leaked = np.array(STATES)[:, None] * np.exp(-doses / tau)  # without an input the gate is C + C_gate at any X
    assert measured[:, 0] == pytest.approx(leaked, abs=6e-3)
    assert np.all(np.diff(measured[0, 2]) > 0) and np.all(np.diff(measured[2, 1]) < 0)
    fine, curves, limits = foretold_rule(STUDY, 13)
    places = np.searchsorted(fine, doses - 1e-9)
    assert fine[places] == pytest.approx(doses) and curves[..., places] == pytest.approx(exact, abs=6e-3)  # but for edges
    assert curves[..., 0] == pytest.approx(np.repeat(np.array(STATES)[:, None], 3, 1))
    later = closed_form(STUDY.device, 4.5, [(10 * tau, 1.0)])
    assert limits == pytest.approx([0, 2.5 - 0.23, later], abs=0.03) and 0.4 < 5.0 - limits[2] < 0.5  # what the input lifts


def test_the_neurons_own_spike_potentiates_what_overlaps_it_and_depresses_the_rest(ngspice):
    differences, measured, exact, spikes = measure_window(ngspice, STUDY)
    assert [foretold_change(STUDY, *pair) for pair in zip(differences, spikes, strict=True)] == pytest.approx(exact)
    assert np.argmax(spikes) == np.argmin(np.abs(differences)) and spikes.min() > 0.7 * spikes.max()
    assert np.abs(measured - exact).max() < 10e-3
    assert differences == pytest.approx(np.linspace(-1.5e-3, 1.5e-3, 7), abs=0.2e-3)  # a synapse in time hastens it
    assert measured[np.argmin(np.abs(differences))] > 0.15  # LTP
    assert np.all(measured[np.abs(differences) > 1e-3] < -0.2)  # LTD
    _, (_, shorter, _), _, _ = measure_window(ngspice, dataclasses.replace(STUDY, pre_duration=0.2e-3, pairings=3))
    assert shorter < measured[3] - 0.1  # of less overlap
    assert instar.own_spike_circuit(Instar(leak_resistance=5e8)).network.memristor.leak_resistance == 5e8


def test_a_closed_form_in_pieces_is_the_closed_form_of_the_whole():
    whole = closed_form(STUDY.device, 2.0, [(2e-3, 1.0)])
    assert closed_form(STUDY.device, 2.0, [(1e-3, 1.0), (1e-3, 1.0)]) == pytest.approx(whole, abs=1e-3)
    assert closed_form(STUDY.device, 2.0, [(0.0, 1.0)]) == pytest.approx(2.0)


@pytest.mark.parametrize("state", [3.5, 6.0])
def test_synapse_that_makes_the_neuron_fire_by_itself_is_refused(ngspice, state):
    """Two spikes were taken for one, with the pause between them."""
    with pytest.raises(ParameterError, match=rf"fires \d times, not once, .* from {state:g} V, .* a lower --state"):
        measure_window(ngspice, dataclasses.replace(STUDY, state=state, pairings=9))


def test_largest_deviations_are_those_of_the_worst_write_and_the_worst_pairing(tmp_path, monkeypatch, capsys):
    """Measurements are played: nine writes and three pairings, one of each off by 3 mV and by -4 mV, the others by less."""
    doses, exact, changes = np.array([1e-3, 2e-3, 3e-3]), np.full((3, 3, 3), 2.0), np.array([-0.4, 0.2, 0.3])
    writes, pairings = exact + 1e-3, changes + np.array([1e-3, -4e-3, 0.0])
    writes[1, 2, 0] = 2.003
    monkeypatch.setattr(instar, "measure_rule", lambda *_: (doses, writes, exact))
    drawn, spikes = {}, np.array([5e-4, 6e-4, 9e-4])
    monkeypatch.setattr(instar, "measure_window", lambda *_: (doses, pairings, changes, spikes))
    monkeypatch.setattr(instar, "draw", lambda options, name, plot, *data: drawn.update({name: data}))
    instar.main(["--figures", str(tmp_path)])
    found = json.loads((tmp_path / "instar_results.json").read_text(encoding="utf-8"))
    assert found["deviation_V"] == pytest.approx(3e-3) and found["window_deviation_V"] == pytest.approx(4e-3)
    said = capsys.readouterr().out
    assert "largest deviation from the closed form 3 mV" in said and "largest deviation 4 mV" in said
    differences, points, times, curve = drawn["instar_window"]  # each pairing's own spike makes the line
    assert np.array_equal(differences, doses) and np.array_equal(points, pairings)
    assert times[[0, -1]] == pytest.approx(doses[[0, -1]])
    assert curve[[0, -1]] == pytest.approx([foretold_change(Instar(), doses[k], spikes[k]) for k in (0, -1)])
    assert curve[0] - curve[-1] > 0.1
