"""The IV, fingerprint and STDP experiments of memristor.py and the curve of memristor_figures.py."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import memristor_figures
from memristive.cli import command_line
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters
from memristor_figures import theoretical_iv
from studies import device, iv
from studies.iv import IV_TRANSCONDUCTANCE, IvExperiment, closed_form_iv, fingerprints, iv_experiment, state_swing
from studies.stdp_window import StdpExperiment, stdp_experiment, stdp_state_change
from tests.helpers import ROOT

IV_DEVICE = dataclasses.replace(MemristorParameters(), transconductance=IV_TRANSCONDUCTANCE)
DEVICE = MemristorParameters()
PNG = b"\x89PNG\r\n"


def run_script(*arguments):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=120)


def batch_ngspice(netlist):
    """The rows that `ngspice -b` prints for the netlist's .print line, without their index: time points x vectors."""
    done = subprocess.run(["ngspice", "-b", str(netlist)], capture_output=True, text=True, timeout=120, check=True)
    rows = re.findall(r"^\d+\t([-+.e\d\s]+?)\s*$", done.stdout, re.MULTILINE)
    return np.array([[float(word) for word in row.split()] for row in rows])


@pytest.fixture(scope="module")
def loops(ngspice):
    return fingerprints(ngspice, IV_DEVICE, IvExperiment())


def test_loops_are_pinched_at_the_origin(loops):
    assert max(loop.residue for loop in loops) < 1e-3


def test_lobe_area_falls_with_frequency_and_in_the_end_inversely(loops):
    areas = np.array([loop.lobe_area for loop in loops])
    assert np.all(np.diff(areas) < 0)
    # i = Kp X v with X = X0 + swing (1 - cos) encloses 2/3 Kp swing A^2, as a share of the peak Kp X0 A; swing ~ 1 / f.
    for loop in loops[-2:]:
        swing = loops[0].frequency / loop.frequency
        assert loop.lobe_area == pytest.approx(2 / 3 * swing, rel=2 * swing + 0.02)


def test_loop_is_single_valued_at_high_frequency(loops):
    assert loops[0].width > 0.3
    assert loops[-1].width < 1e-3


@pytest.mark.parametrize(("amplitude", "frequency", "start"), [(1.0, 1e3, 0.0), (0.7, 1.3e3, 5e3), (1.6, 450.0, 900.0)])
def test_iv_loop_agrees_with_closed_form(ngspice, amplitude, frequency, start):
    time, voltage, current, state = iv_experiment(ngspice, IV_DEVICE, amplitude, frequency, 1.2, start, periods=3)
    exact_state, exact_current = closed_form_iv(IV_DEVICE, time, amplitude, frequency, start)
    # The closed form leaves out the lift of the gate by up to half the input voltage, of about 10 kV of swing.
    lift = amplitude / 2 / state_swing(IV_DEVICE, amplitude, frequency)
    assert np.abs(state - exact_state).max() < (lift + 2e-4) * np.ptp(exact_state)
    assert np.abs(current - exact_current).max() < (lift + 4e-4) * np.abs(exact_current).max()
    assert voltage == pytest.approx(amplitude * np.sin(2 * np.pi * frequency * time), abs=1e-6 * amplitude)


def test_state_returns_after_each_period_but_for_the_leak(ngspice):
    # At 17 kV the default switch of 1 milliohm rounds by 1e-16 * 17 kV / 1 milliohm = 2 nA, up to a sixth of the leak.
    device = dataclasses.replace(IV_DEVICE, switch_on=1e3)
    time, _, _, state = iv_experiment(ngspice, device, 1.0, 1e3, 1.2, 8e3, periods=4)
    mean = 8e3 + state_swing(device, 1.0, 1e3)
    lost = mean * time[-1] / (device.leak_resistance * device.memory_capacitance)
    assert 8e3 - state[-1] == pytest.approx(lost, rel=0.02)  # the solver may err by 1e-5 of X, 0.4 % of this
    assert closed_form_iv(device, time[-1], 1.0, 1e3, 8e3)[0] == pytest.approx(8e3 - lost, abs=0.01 * lost)


@pytest.fixture(scope="module")
def stdp(ngspice):
    experiment = StdpExperiment()
    return experiment.differences, stdp_experiment(ngspice, DEVICE, experiment)


def leak(experiment, device=DEVICE):
    """The most that the leak takes from X in one window, in V, and 2 mV for ngspice's gate charge."""
    highest = experiment.initial_state + 3
    return highest * experiment.phi_window / (device.leak_resistance * device.memory_capacitance) + 2e-3


def test_stdp_window_agrees_with_closed_form(stdp):
    experiment = StdpExperiment()
    differences, changes = stdp
    exact = stdp_state_change(DEVICE, experiment.pre_pulse(), experiment.phi_window, differences)
    assert changes == pytest.approx(exact, abs=leak(experiment))


def test_coincident_spikes_potentiate_late_post_spikes_depress_distant_ones_do_nothing(stdp):
    differences, changes = stdp
    rate = DEVICE.transconductance / DEVICE.memory_capacitance
    at = {round(difference * 1e3, 3): change for difference, change in zip(differences, changes, strict=True)}
    assert at[0.0] == pytest.approx(rate * 1.0 * 2e-3, rel=0.01)  # 1 V, the whole window of 2 ms; the edges take 0.3 %
    assert at[3.0] == pytest.approx(rate * -0.5 * 2e-3, rel=0.01)  # -0.5 V, the whole window
    distant = (differences < -2.1e-3) | (differences > 6.1e-3)
    assert np.abs(changes[distant]).max() < leak(StdpExperiment()) < 0.003 * at[0.0]


def test_other_polarity_gives_hebbian_order(ngspice):
    experiment = StdpExperiment(pre_voltage=-0.8, tail_voltage=0.6, pre_duration=1.5e-3, pairings=9)
    changes = stdp_experiment(ngspice, DEVICE, experiment)
    exact = stdp_state_change(DEVICE, experiment.pre_pulse(), experiment.phi_window, experiment.differences)
    assert changes == pytest.approx(exact, abs=leak(experiment))
    assert changes[4] < -1  # t_post - t_pre = 0
    assert changes[5] > 1  # 2.5 ms


def test_closed_form_of_stdp_is_the_overlap_of_window_and_pulse():
    spike = [0.0, 1e-9, 2e-3, 2e-3 + 1e-9], [0.0, 3.0, 3.0, 0.0]  # next to a rectangle of 3 V
    rate = DEVICE.transconductance / DEVICE.memory_capacitance
    for difference, overlap in ((-2e-3, 0), (-0.5e-3, 0.5e-3), (0.2e-3, 1e-3), (1.4e-3, 0.6e-3), (2.1e-3, 0)):
        change = stdp_state_change(DEVICE, spike, 1e-3, difference)
        assert change == pytest.approx(rate * 3 * overlap, rel=1e-5, abs=1e-7)


def test_experiments_refuse_phi_below_the_switch_threshold_and_edges_longer_than_pulses(ngspice):
    with pytest.raises(ParameterError, match="phi_voltage must exceed switch_threshold"):
        iv_experiment(ngspice, IV_DEVICE, 1.0, 1e3, 0.4, 0.0, 1)
    with pytest.raises(ParameterError, match="rise must be below every duration"):
        StdpExperiment(rise=3e-3)


def test_theoretical_curve_is_a_pinched_loop():
    voltage, current = theoretical_iv()
    assert current[np.isclose(voltage, 0, atol=1e-12)] == pytest.approx(0, abs=1e-12)
    # Shoelace formula over the lobe at positive voltages: the integral of exp(-cos t) sin t cos t over 0 to pi is -2/e.
    v, i = voltage[:len(voltage) // 2 + 1], current[:len(voltage) // 2 + 1]
    assert abs(np.sum(v[:-1] * i[1:] - v[1:] * i[:-1])) / 2 == pytest.approx(2 / np.e, rel=1e-4)


def test_memristor_script_writes_iv_and_fingerprints_and_a_netlist_that_ngspice_runs_unchanged(tmp_path):
    netlist = tmp_path / "iv.cir"
    done = run_script("memristor.py", "--periods", "2", "--frequency", "800", "--figures", tmp_path,
                      "--netlist", netlist)
    assert done.returncode == 0, done.stderr
    assert "IV: 1 V at 800 Hz, K = 0.0002 S, C + C_gate = 3.553 pF" in done.stdout
    for name in ("memristor_iv.png", "memristor_fingerprints.png"):
        assert f"wrote {tmp_path / name}" in done.stdout
        assert (tmp_path / name).read_bytes().startswith(PNG)
    results = json.loads((tmp_path / "memristor_results.json").read_text())
    assert results["parameters"]["experiment"]["frequency"] == 800
    assert results["peak_state_V"] == pytest.approx(2 * state_swing(IV_DEVICE, 1.0, 800), rel=1e-3)
    assert results["peak_state_V"] == pytest.approx(results["closed_form_peak_state_V"], rel=1e-3)
    rows = batch_ngspice(netlist)  # time, input, state, current
    assert rows[:, 2].max() == pytest.approx(results["peak_state_V"], rel=1e-4)
    assert rows[:, 3].max() == pytest.approx(results["peak_current_A"], rel=1e-4)


def test_deviations_are_shares_of_the_closed_forms_swing_and_peak():
    """Made-up waveforms: the closed form's own, but for one state 7 % of the swing and one current 5 % of the peak away."""
    experiment, time = IvExperiment(initial_state=1e3), np.linspace(0, 2e-3, 400)
    state, current = closed_form_iv(IV_DEVICE, time, 1.0, 1e3, 1e3)
    swing, peak = state.max() - state.min(), np.abs(current).max()
    state[100] -= 0.07 * swing
    current[50], current[300] = current[50] - 0.05 * peak, current[300] + 0.03 * peak
    results = iv._iv_results(IV_DEVICE, experiment, time, current, state, [])
    assert results["state_deviation"] == pytest.approx(0.07) and results["current_deviation"] == pytest.approx(0.05)


def test_memristor_script_measures_stdp_and_writes_a_netlist_that_ngspice_runs_unchanged(tmp_path):
    netlist = tmp_path / "stdp.cir"
    done = run_script("memristor.py", "--stdp", "--pairings", "3", "--initial-state", "2.5", "--figures", tmp_path,
                      "--netlist", netlist)
    assert done.returncode == 0, done.stderr
    assert "STDP: 3 pairings from X = 2.5 V, K = 5e-09 S" in done.stdout
    assert (tmp_path / "memristor_stdp.png").read_bytes().startswith(PNG)
    results = json.loads((tmp_path / "memristor_stdp_results.json").read_text())
    assert results["measured_V"] == pytest.approx(results["closed_form_V"], abs=leak(StdpExperiment()))
    apart = np.abs(np.subtract(results["measured_V"], results["closed_form_V"]))
    assert apart.min() < 0.9 * apart.max() and results["deviation_V"] == pytest.approx(apart.max())
    assert f"largest deviation from the closed form {apart.max() * 1e3:.2g} mV" in done.stdout
    state = batch_ngspice(netlist)[:, 3]  # time, input, phi, state
    assert state[-1] - 2.5 == pytest.approx(results["measured_V"][1], rel=1e-3)


def test_memristor_figures_script_draws_the_theoretical_curve(tmp_path):
    done = run_script("memristor_figures.py", "--figures", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {tmp_path / 'memristor_theoretical_iv.png'}\n"
    assert (tmp_path / "memristor_theoretical_iv.png").read_bytes().startswith(PNG)


def run_here(capsys, main, arguments):
    """Exit code, output and errors of a script's main function, run as the script runs it but in this process."""
    try:
        code = command_line.run(main, arguments)
    except SystemExit as exit_:
        code = exit_.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize(("script", "arguments", "code", "reason"), [
    (device, ["--voltages", "x"], 2, "--voltages is refused: one memristor has no trained voltages"),
    (device, ["--phi-voltage", "0.3"], 2, "phi_voltage must exceed switch_threshold"),
    (device, ["--phi-window", "0.1"], 2, "unrecognized arguments: --phi-window"),
    (memristor_figures, ["--voltages", "x"], 2, "--voltages is refused: the theoretical curve"),
    (memristor_figures, ["--netlist", "x"], 2, "--netlist is refused: there is no circuit"),
    (memristor_figures, ["--figures", "/dev/null/x"], 1, "memristor_theoretical_iv.png cannot be written"),
])
def test_scripts_refuse_in_one_line_what_they_cannot_do(capsys, script, arguments, code, reason):
    exit_code, output, errors = run_here(capsys, script.main, arguments)
    assert exit_code == code and reason in errors
    assert errors.count("\n") == 1
    assert output == ""


@pytest.mark.parametrize(("options", "default"), [([], "0.0002 S"), (["--stdp"], "5e-09 S")])
def test_help_states_the_transconductance_of_the_experiment_asked_for(capsys, options, default):
    code, output, _ = run_here(capsys, device.main, [*options, "--help"])
    assert code == 0
    assert f"K, charges the memory per volt across the synapse (default: {default})" in " ".join(output.split())


@pytest.mark.parametrize("crossings", [(-0.4, 0.1, 0.2), (0.1, 0.4, -0.2), (0.1, 0.2, -0.4)])
def test_residue_is_the_largest_current_where_the_voltage_crosses_zero(monkeypatch, crossings):
    """Of a made-up loop that is not pinched: shares of its peak current, 2 mA, at the beginning, middle and end of a period."""
    experiment, time = IvExperiment(), np.linspace(0, 2, 4001)
    current = 2e-3 * np.interp(time, [0, 1, 1.25, 1.5, 1.75, 2], [0, crossings[0], 1, crossings[1], -1, crossings[2]])
    monkeypatch.setattr(iv, "iv_experiment", lambda *given, **more: (time / 50.0, np.sin(2 * np.pi * time), current, current))
    assert iv._loop(None, MemristorParameters(), experiment, 50.0, 0.0).residue == pytest.approx(0.4)


@pytest.mark.parametrize("frequency", [5e3, 1e5])
def test_current_that_charges_the_gate_does_not_ring(ngspice, monkeypatch, frequency):
    """The trapezoidal rule drew a band of half the figure for a loop: the current turned at each step."""
    parameters, solver = MemristorParameters(), iv.iv_solver(frequency)
    runs = []
    for chosen in (solver, dataclasses.replace(solver, max_step=solver.max_step / 10)):
        monkeypatch.setattr(iv, "iv_solver", lambda frequency, chosen=chosen: chosen)
        time, voltage, current, _ = iv_experiment(ngspice, parameters, 1.0, frequency, 1.2, 0.0, periods=4)
        assert (np.diff(np.sign(np.diff(current))) != 0).sum() < 40
        runs.append((np.interp(np.linspace(0, 4 / frequency, 900), time, current), iv.residue(voltage, current)))
    (loop, residue), (exact, exact_residue) = runs
    apart = np.quantile(np.abs(loop - exact), 0.97)  # where the current jumps, a step may overshoot
    assert apart < 0.02 * np.abs(exact).max() and residue == pytest.approx(exact_residue, rel=0.05)


def test_loops_that_do_not_repeat_are_shares_of_their_own_peak_and_said(ngspice, tmp_path, capsys):
    """A leak that empties X within the two periods: the first period's peak was taken, and nothing said."""
    loop = iv._loop(ngspice, dataclasses.replace(IV_DEVICE, leak_resistance=1e8), IvExperiment(), 1e3, 8.96e3)
    assert np.abs(loop.current).max() == pytest.approx(1)
    for options, leaks, rounds in (("", [], False), ("--frequency 60", [], True), ("--frequency 60 --switch-on 1e3", [], False), (
            "--leak-resistance 1e9", [f"{-np.expm1(-2e-3 / (1e9 * IV_DEVICE.memory_capacitance)):.0%}"], False)):
        device.main(["--figures", str(tmp_path), "--force", *options.split()])
        said = capsys.readouterr().out
        found = re.findall("through the leak X falls by (.*) of where", said), "ngspice's X may be off by" in said
        assert found == (leaks, rounds), options


def test_where_the_networks_own_loop_opens_is_as_documented(tmp_path, capsys):
    told = " ".join((ROOT / "docs" / "circuit.md").read_text(encoding="utf-8").split())

    def run(*options):
        device.main(["--transconductance", "5e-9", "--figures", str(tmp_path), "--force", *options])
        return json.loads((tmp_path / "memristor_results.json").read_text(encoding="utf-8"))
    shares = {loop["frequency_Hz"]: loop["residue"] for loop in run()["fingerprints"]}
    assert "fingerprints, all from X = 0.224 V, currents" in capsys.readouterr().out
    assert (f"loops that start at X = 0.22 V, {shares[20e3]:.1%} of the peak flows at 20 kHz, {shares[100e3]:.1%} at 100 kHz"
            ).replace("%", " %") in told
    assert f"from X = 0, {run('--frequency', '5000')['residue']:.1%} at 5 kHz".replace("%", " %") in told
    conducting = run("--frequency", "100000", "--initial-state", "2.8")
    assert f", {conducting['residue']:.2%} at 100 kHz".replace("%", " %") in told


@pytest.mark.parametrize(("crossings", "share"), [((0.0, 0.0, 0.0), 0.0), ((0.5, 0.0, 0.2), 0.25), ((0.5, -1.0, 0.2), 0.5)])
def test_residue_of_a_loop_is_its_largest_current_at_zero_volts(crossings, share):
    """Three crossings, each between two steps, where the voltage is a quarter of the way; what is at the start does not count."""
    voltage = np.array([0.0, 0.5, -1.5, -0.5, 1.5, 0.5, -1.5, -3.0])
    current = np.array([0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -2.0])
    for k, there in zip((1, 3, 5), crossings, strict=True):
        current[k:k + 2] = there - 0.1, there + 0.3
    assert iv.residue(voltage, current) == pytest.approx(share)
    assert iv.residue(voltage, -current) == pytest.approx(share) and iv.residue(voltage, 0 * current) == 0


@pytest.mark.parametrize(("options", "said"), [
    ([], []),
    (["--leak-resistance", "1e9"], ["it leaves the leak out, by which X falls within 0.0036 s: by up to 2.5 V in a window"]),
    (["--initial-state", "0.5"], ["it does not know that below Vto the gate's capacitance is another"])])
def test_what_the_closed_form_of_the_window_leaves_out_is_said(tmp_path, monkeypatch, capsys, options, said):
    drawn = []
    monkeypatch.setattr("studies.stdp_window.draw", lambda *given: drawn.extend(given))
    device.main(["--stdp", "--figures", str(tmp_path), *options])
    lines = capsys.readouterr().out.splitlines()
    found = json.loads((tmp_path / "memristor_stdp_results.json").read_text(encoding="utf-8"))
    *_, differences, measured, fine, curve = drawn
    assert np.interp(differences, fine, curve) == pytest.approx(found["closed_form_V"], abs=0.01)
    assert list(measured) == pytest.approx(found["measured_V"])
    for name, extreme in (("highest", max), ("lowest", min)):
        line, = (line for line in lines if line.startswith(name))
        assert f"change of X {extreme(found['measured_V']):+8.4f} V" in line
    line, = (line for line in lines if line.startswith("largest deviation"))
    assert line.partition(" mV")[2] == "".join(f" ({'; '.join(said)})" * bool(said))


@pytest.mark.parametrize(("options", "closed_form", "pinched"), [
    ([], True, True), (["--transconductance", "5e-9"], False, False), (["--transconductance", "1e-6"], True, True),
    (["--transconductance", "5e-9", "--frequency", "5000"], False, False)])
def test_loops_that_are_not_pinched_and_a_closed_form_that_does_not_hold_are_said(tmp_path, monkeypatch, capsys, options,
                                                                                  closed_form, pinched):
    drawn = {}
    monkeypatch.setattr(iv, "draw", lambda arguments, name, figure, *given: drawn.update({name: given}))
    device.main(["--figures", str(tmp_path), *options])
    said = capsys.readouterr().out
    assert ("the closed form holds where X swings by far more" in said) is not closed_form
    assert ("not all loops are pinched" in said) is not pinched and drawn["memristor_fingerprints"][1] is pinched
    residue = json.loads((tmp_path / "memristor_results.json").read_text(encoding="utf-8"))["residue"]
    assert drawn["memristor_iv"][-1] is (residue < 0.01) is ("--frequency" not in options)
    title = "Pinched hysteresis loop" if drawn["memristor_iv"][-1] else "Hysteresis loop, open at 0 V"
    assert iv.loop_figure(*drawn["memristor_iv"]).axes[0].get_title() == title


@pytest.mark.parametrize("phi_voltage", [0.6, 1.2, 5.0])
def test_post_spike_writes_for_exactly_its_window(phi_voltage):
    """While phi is above the switch's threshold, edges included."""
    experiment, threshold = StdpExperiment(phi_voltage=phi_voltage), MemristorParameters().switch_threshold
    times, volts = np.transpose(experiment.post_window(0.0, threshold))
    above = [np.interp(threshold, side[1], side[0]) for side in ((times[:2], volts[:2]), (times[:1:-1], volts[:1:-1]))]
    assert above[1] - above[0] == pytest.approx(experiment.phi_window, rel=1e-9)


def test_a_pairing_lasts_until_after_its_latest_window_and_its_pre_pulse():
    for experiment in (StdpExperiment(tail_duration=30e-3), StdpExperiment(phi_window=40e-3)):
        times, _ = experiment.pre_pulse()
        window = experiment.post_window(experiment.largest_difference, 0.5)
        assert experiment.duration >= max(experiment.pre_time + times[-1], window[-1][0])


def test_width_and_lobe_of_a_loop_are_those_of_its_branches(monkeypatch):
    """A loop is played whose current rises all along the last period, from 0 to its peak, while the voltage is a sine."""
    time = np.linspace(0, 2e-3, 4001)
    phase = np.maximum(time * 1e3 - 1, 0)
    monkeypatch.setattr(iv, "iv_experiment", lambda *_, periods: (time, np.sin(2 * np.pi * phase), 5e-6 * phase, None))
    loop = iv._loop(None, IV_DEVICE, IvExperiment(), 1e3, 0.0)
    assert loop.width == pytest.approx(1 / 3) and loop.lobe_area == pytest.approx(1 / np.pi, rel=1e-4)
    experiment, ones = IvExperiment(), np.linspace(0, 1, 5)
    kept, = iv._iv_results(IV_DEVICE, experiment, 1e-3 * ones, ones, ones, [loop])["fingerprints"]
    assert kept == {"frequency_Hz": 1e3, "lobe_area_V": loop.lobe_area, "width": loop.width, "residue": loop.residue}
