"""The experiments on one memristor: fingerprints, I-V loop, STDP window, theoretical curve."""

import dataclasses

import numpy as np
import pytest

import memristor_figures
from memristive.commands import loop as device
from memristive.commands.loop import (
    IV_MEMRISTOR,
    IvExperiment,
    closed_form_iv,
    fingerprints,
    iv_experiment,
    state_swing,
)
from memristive.commands.stdp_window import StdpExperiment, stdp_experiment, stdp_in_closed_form
from memristive.io.records import load_results, load_table
from memristor import MemristorParameters
from memristor_figures import theoretical_iv
from tests.helpers import outputs, printed

PAPER = MemristorParameters()


@pytest.fixture(scope="module")
def loops(ngspice):
    return fingerprints(IV_MEMRISTOR, IvExperiment())


def test_loops_are_pinched_at_the_origin(loops):
    assert max(loop["residue"] for loop in loops) < 1e-3


def test_lobe_area_falls_with_frequency_and_in_the_end_inversely(loops):
    areas = np.array([loop["lobe_area_V"] for loop in loops])
    assert np.all(np.diff(areas) < 0)
    # i = Kp X v with X = X0 + swing (1 - cos) encloses 2/3 Kp swing A^2, as a share of the peak Kp
    # X0 A; swing ~ 1 / f.
    for loop in loops[-2:]:
        swing = loops[0]["frequency_Hz"] / loop["frequency_Hz"]
        assert loop["lobe_area_V"] == pytest.approx(2 / 3 * swing, rel=2 * swing + 0.02)


@pytest.mark.parametrize(
    ("amplitude", "frequency", "start", "leak"),
    [
        (1.0, 1e3, 0.0, 1e12),
        (0.7, 1.3e3, 5e3, 1e12),
        (1.6, 450.0, 900.0, 1e12),
        (1.0, 1e3, 0.0, 5e7),
    ],
)
def test_iv_loop_agrees_with_closed_form(ngspice, amplitude, frequency, start, leak):
    memristor = dataclasses.replace(IV_MEMRISTOR, leak_resistance=leak)
    experiment = IvExperiment(
        amplitude=amplitude, frequency=frequency, initial_state=start, periods=3
    )
    time, voltage, current, state = iv_experiment(memristor, experiment)
    exact_state, exact_current = closed_form_iv(memristor, experiment, time)
    # The closed form leaves out the lift of the gate by up to half the input voltage, of about 10
    # kV of swing.
    lift = amplitude / 2 / state_swing(memristor, experiment)
    assert np.abs(state - exact_state).max() < (lift + 4e-4) * np.ptp(exact_state)
    assert np.abs(current - exact_current).max() < (lift + 6e-4) * np.abs(exact_current).max()
    assert voltage == pytest.approx(
        amplitude * np.sin(2 * np.pi * frequency * time), abs=1e-6 * amplitude
    )


def closed_form(experiment):
    return stdp_in_closed_form(PAPER, experiment, experiment.differences)


def test_coincident_spikes_potentiate_late_post_spikes_depress_distant_ones_do_nothing(ngspice):
    experiment = StdpExperiment()
    differences, changes = experiment.differences, stdp_experiment(PAPER, experiment)
    # The leak takes at most this from X in one window; ngspice's gate charge errs by 2 mV.
    leak = 6.0 * experiment.phi_window / PAPER.write_time_constant + 2e-3
    assert changes == pytest.approx(closed_form(experiment), abs=leak)
    rate = PAPER.transconductance / PAPER.memory_capacitance
    # coincident: 1 V, the whole window
    assert changes[20] == pytest.approx(rate * 1.0 * 2e-3, rel=0.01)
    # 3 ms later: the tail of -0.5 V
    assert changes[26] == pytest.approx(rate * -0.5 * 2e-3, rel=0.01)
    assert np.abs(changes[(differences < -2.1e-3) | (differences > 6.1e-3)]).max() < leak


def test_theoretical_curve_is_a_pinched_loop(tmp_path):
    voltage, current = theoretical_iv()
    # Shoelace formula over the lobe at positive voltages: the integral of exp(-cos t) sin t cos t
    # over 0 to pi is -2/e.
    v, i = voltage[: len(voltage) // 2 + 1], current[: len(voltage) // 2 + 1]
    assert abs(np.sum(v[:-1] * i[1:] - v[1:] * i[:-1])) / 2 == pytest.approx(2 / np.e, rel=1e-4)
    memristor_figures.main(["--figures", str(tmp_path)])
    assert (tmp_path / "memristor_theoretical_iv.png").exists()


def run(folder, *arguments):
    device.main([*outputs(folder), *arguments])


@pytest.mark.filterwarnings("error::UserWarning")
def test_iv_experiment_writes_its_record_and_a_netlist_that_ngspice_runs(ngspice, tmp_path):
    run(
        tmp_path, "--set", "iv.periods=2", "iv.frequency=800", "--netlist", str(tmp_path / "iv.cir")
    )
    results, table = (
        load_results(tmp_path / "memristor.json"),
        load_table(tmp_path / "memristor.json"),
    )
    assert results["peak_state_V"] == pytest.approx(
        2 * state_swing(IV_MEMRISTOR, IvExperiment(frequency=800)), rel=1e-3
    )
    assert results["current_deviation"] < 1e-3
    assert table["frequency_Hz"][0] == 800 and table["lobe_area_V"].is_monotonic_decreasing
    waves = list(printed(tmp_path / "iv.cir").values())  # time, input, state, current
    assert [wave.max() for wave in waves[2:]] == pytest.approx(
        [results["peak_state_V"], results["peak_current_A"]], rel=1e-4
    )
