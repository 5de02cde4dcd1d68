"""Circuits far from the usual ones: what their engines do not agree on is said, or does not arise."""

import re
from dataclasses import replace

import numpy as np
import pytest

from memristive.cli import inference, testing, training_runs
from memristive.cli.experiments import xpue_experiment
from memristive.cli.training import training_script
from memristive.io.voltages import Voltages, save_voltages
from memristive.multilayer.layer_network import LayeredLearning
from memristive.multilayer.layer_network import begin as layered_begin
from memristive.multilayer.layer_network import train as train_layers
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.engines import ClosedFormEngine, NgspiceEngine
from memristive.single_layer.operating_range import rail
from memristive.single_layer.pulses import WRITING, Schedule
from memristive.spice.errors import SimulationError
from memristive.spice.parameters import ParameterError
from memristive.stdp import stdp_closed_form as stdp_rule
from memristive.stdp.pattern_learning import doubts, learn, trial, unsupervised_digits, unsupervised_xpue, weak_inhibition
from memristive.stdp.stdp_circuit import SILENT
from memristor import MemristorParameters
from snn_circuit import NetworkParameters
from studies import device, iv, layers
from studies import layer_training_agreement as layers_in_step
from studies import unsupervised as stdp
from studies.layer_experiments import IDLE, refuse_idle, warn_of_layers
from studies.stdp_window import STDP_SOLVER, StdpExperiment, stdp_experiment, stdp_solver, stdp_state_change

DEVICE = MemristorParameters()


def learned(folder, capsys, monkeypatch, *options):
    """What the study of XPUE says on its last lines and on standard error."""
    monkeypatch.setattr(stdp, "draw", lambda *_: None)
    monkeypatch.setattr(stdp, "save_animation", lambda *_: "nothing")
    stdp.main(["--presentations", "30", "--figures", str(folder), *options])
    said = capsys.readouterr()
    return said.out, said.err


@pytest.mark.parametrize(("options", "said"), [
    (["--transconductance", "5e-8"], ["stages clip in"]), (["--feedback-resistance", "2e4"], ["stages clip in"]),
    (["--period", "8e-4"], ["membranes have not come to rest"]),
    (["--feedback-resistance", "2e4", "--period", "8e-4"], ["stages clip in", "membranes have not come to rest"]),
    ([], [])])
def test_learning_of_which_the_closed_form_knows_nothing_says_so(tmp_path, capsys, monkeypatch, options, said):
    out, err = learned(tmp_path, capsys, monkeypatch, *options)
    assert [words for words in ("stages clip in", "membranes have not come to rest") if words in err] == said
    assert err.endswith("of this the closed form knows nothing\n" if said else "")
    assert " 30 of 30\n" in out or said


def farthest_in_step(task, drawn, run):
    """How far in V a presentation's states are at most from those of the closed form that begins where ngspice did."""
    apart, numbers = [], stdp_rule.numbers(task.design)
    for k, image in enumerate(drawn.images):
        states = run.states[k].copy()
        stdp_rule.present(states, run.homeostasis[k].copy(), task.design.schedule.input_voltage * image, numbers)
        apart.append(np.abs(states - run.states[k + 1]).max())
    return max(apart)


def test_over_higher_rails_nothing_clips_and_the_closed_form_knows_all(ngspice):
    usual = unsupervised_xpue()

    def task(**neuron):
        network = replace(usual.design.network, neuron=replace(usual.design.network.neuron, feedback_resistance=5e4, **neuron))
        return replace(usual, design=replace(usual.design, network=network), presentations=20)
    rails = {"rail_low": -800.0, "rail_high": 800.0, "inverting_rail_low": -800.0, "inverting_rail_high": 800.0}
    clipped, free, drawn = task(), task(**rails), trial(usual, 4, 1)
    drawn = replace(drawn, order=drawn.order[:20], images=drawn.images[:20])
    found = learn(ngspice, clipped, drawn)
    assert re.match(r"stages clip in 20 of 20 presentations: [0-9.]+ V wanted of a membrane, the rail is at 20 V",
                    doubts(clipped, drawn.images, found))
    assert farthest_in_step(clipped, drawn, found) > 0.4
    found = learn(ngspice, free, drawn)
    assert doubts(clipped, drawn.images[:2], found).startswith("stages clip in 2 of 2")
    assert doubts(free, drawn.images, found) == "" and farthest_in_step(free, drawn, found) < 0.1


@pytest.mark.parametrize("leak", [5e7, 3e8])
def test_iv_loop_agrees_with_the_closed_form_where_the_leak_matters(ngspice, leak):
    """Of the swing that the sine would make in no time constant of 0.18 ms, half is left."""
    device = MemristorParameters(transconductance=iv.IV_TRANSCONDUCTANCE, leak_resistance=leak)
    time, _, current, state = iv.iv_experiment(ngspice, device, 1.0, 1e3, 1.2, 0.0, periods=3)
    exact_state, exact_current = iv.closed_form_iv(device, time, 1.0, 1e3, 0.0)
    assert np.abs(state - exact_state).max() < 4e-4 * np.ptp(exact_state)
    assert np.abs(current - exact_current).max() < 6e-4 * np.abs(exact_current).max()


def test_circuit_that_never_fires_is_silent_and_says_why(tmp_path, capsys, monkeypatch):
    out, err = learned(tmp_path, capsys, monkeypatch, "--threshold", "15")
    assert re.search(r"^ +1 +- +- +- +- +silent", out, re.MULTILINE)
    volts, = re.findall(r"^warning: all neurons stay silent: the highest membrane settles at ([0-9.]+) V, below", err)
    assert 4 < float(volts) < 15


@pytest.mark.parametrize(("make", "share", "sure"), [(unsupervised_xpue, 0.99, True), (unsupervised_digits, 0.99, True),
                                                     (unsupervised_xpue, 1.01, False)])
def test_inhibition_that_need_not_hold_a_neuron_down_is_said(ngspice, make, share, sure):
    """Right below the bound, a quarter of the membrane's resistance, losers stay low, but for two that fire all but together."""
    task = make()
    ohms = share * 4.0 / (rail(task.design.network.neuron) - 4.0)
    task = replace(task, presentations=12, design=replace(
        task.design, learning=replace(task.design.learning, inhibition_resistance=ohms)))
    said = weak_inhibition(task.design)
    assert said == "" if sure else said.startswith("from --inhibition-resistance 0.251 on, here 0.253")
    found = learn(ngspice, task, trial(task, len(task.patterns), 1))
    second, first = np.sort(np.diff(found.homeostasis, axis=0), axis=1)[:, -2:].T  # thresholds rise while neurons fire
    assert SILENT not in found.winners and np.sum(second > 0.1 * first) <= 1


def test_inhibition_at_which_ngspice_gives_up_was_spoken_of_before(tmp_path, capsys, monkeypatch):
    with pytest.raises(SimulationError, match="Timestep too small"):
        learned(tmp_path, capsys, monkeypatch, "--inhibition-resistance", "3")
    assert capsys.readouterr().err.startswith("warning: from --inhibition-resistance 0.251 on, here 3 ohm, ")


@pytest.mark.parametrize(("options", "reason"), [
    (["--pulse", "5e-5"], "membranes are too slow for the pulse: they settle at up to "),
    (["--threshold", "25", "--feedback-resistance", "50000"], "the stages give 20 V at most, below the threshold of 25 V; "),
    (["--threshold", "15"], "the highest membrane settles at 9.66 V, below the threshold of 15 V; a higher ")])
def test_reason_of_silence_is_the_one_that_it_has(tmp_path, capsys, monkeypatch, options, reason):
    _, err = learned(tmp_path, capsys, monkeypatch, *options)
    assert err.startswith(f"warning: all neurons stay silent: {reason}")


@pytest.mark.parametrize("rise", [0.1e-3, 0.3e-3, 1.5e-3])
def test_windows_with_slow_edges_are_those_of_the_closed_form(ngspice, rise):
    """With the usual step the switch closed too late: up to 0.14 V were wrong."""
    experiment = StdpExperiment(rise=rise, pairings=11)
    exact = stdp_state_change(DEVICE, experiment.pre_pulse(), experiment.phi_window, experiment.differences)
    assert np.abs(stdp_experiment(ngspice, DEVICE, experiment) - exact).max() < 6e-3


def test_steps_are_fine_where_edges_are_slow_and_not_beyond_all_bounds():
    assert stdp_solver(StdpExperiment()) is stdp_solver(StdpExperiment(rise=20e-6)) is STDP_SOLVER
    assert stdp_solver(StdpExperiment(rise=21e-6)).max_step == pytest.approx(2e-6)
    short = StdpExperiment(rise=5e-6, phi_window=50e-6)
    assert stdp_solver(short).max_step == pytest.approx(short.duration / 20_000)
    assert stdp_solver(StdpExperiment(rise=9e-3, phi_window=1.0, pre_duration=1.0, tail_duration=1.0)).max_step == 200e-6


@pytest.mark.parametrize("options", [["--rise", "1.72e-3"], ["--rise", "1.2e-3", "--switch-threshold", "0.1"]])
def test_window_in_which_phi_cannot_rise_is_refused(tmp_path, options):
    with pytest.raises(ParameterError, match=r"rise must be below .*, or phi would have to fall before it has risen"):
        device.main(["--stdp", "--figures", str(tmp_path), *options])


def test_leak_that_counts_is_said_by_how_much(tmp_path, capsys):
    device.main(["--stdp", "--pairings", "5", "--initial-state", "30", "--figures", str(tmp_path)])
    said = capsys.readouterr().out
    assert re.search(r"largest deviation .* \(it leaves the leak out, .*: by up to 0\.018 V in a window\)", said)


def test_current_of_the_gate_is_said_where_it_makes_the_lobes(tmp_path, capsys, monkeypatch):
    drawn = {}
    monkeypatch.setattr(iv, "draw", lambda arguments, name, figure, *given: drawn.update({name: given}))
    device.main(["--length", "1e-3", "--figures", str(tmp_path)])
    said = capsys.readouterr().out
    assert "what charges the gate, up to 0.6% of the peak" in said  # 0.68 % measured
    assert "from 100000 Hz on, lobe area and width are those of the current that charges the gate as well" in said
    marked = iv.fingerprints_figure(*drawn["memristor_fingerprints"]).axes[1]
    assert marked.get_legend_handles_labels()[1] == ["with the gate's current"] and len(marked.lines[1].get_xdata()) == 2
    device.main(["--figures", str(tmp_path), "--force"])
    assert "charges the gate" not in capsys.readouterr().out
    assert len(iv.fingerprints_figure(*drawn["memristor_fingerprints"]).axes[1].lines) == 1


def test_layers_that_clip_from_their_start_are_told_of_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(layers, "draw", lambda *arguments, **more: None)
    layers.main(["--data", "xor", "--start-drive", "10", "--figures", str(tmp_path), "--voltages", str(tmp_path / "xor.json")])
    assert capsys.readouterr().err.endswith("V at most; a smaller --start-drive would help\n")


def test_writes_below_the_threshold_differ_as_documented(ngspice):
    """Of one column, an input at 1 V: in ngspice cells fall further there, and come back by little more than they should."""
    network, schedule = NetworkParameters(), Schedule(pulse=2e-3, period=6e-3)

    def written(states, volts):
        found = []
        for engine in (NgspiceEngine(ngspice, network, schedule, 1, len(states), writing=WRITING.tightened(10)),
                       ClosedFormEngine(network, schedule, 1, len(states))):
            found.append(engine.write(np.array([states]), 0, np.ones(len(states)), int(np.sign(volts)), abs(volts) / engine.rate))
        return found[0] - found[1]
    assert np.abs(written([1.0, 0.8, 0.6], -0.5)).max() < 10e-3  # they stay above
    assert written([0.0, -1.6, -2.0], -2.0) == pytest.approx([-1.15, 0, 0], abs=0.03)
    assert written([-2.0, 0.1], 2.4) == pytest.approx([0.195, 0], abs=0.03)
    step = 0.02
    assert (written([-0.1], -step) / step)[0] == pytest.approx(-17.5, abs=1)


def meyer(overdrive, drop, gate, phi=0.6):
    """Gate capacitances to source, drain and bulk as ngspice has them (F): `overdrive` V over the source, `drop` V from it to the
    drain, `phi` the level 3 model's surface potential (ngspice's manual; Meyer, RCA Review 32, 1971)."""
    if overdrive <= 0:
        bulk = gate * min(-overdrive / phi, 1.0)
        source = 2 / 3 * gate * max(1 + 2 * overdrive / phi, 0.0)
        saturated, drain = drop >= 0.025, 0.0
    else:
        bulk, source, drain, saturated = 0.0, 2 / 3 * gate, 0.0, drop >= overdrive
    if not saturated:
        reach = max(overdrive, 0.025)
        source, drain = (source * (1 - (one / (2 * reach - drop))**2) for one in (reach - drop, reach))
    return source, drain, bulk


def written_by_meyer(state, dose, device, steps=20_000):
    """X in V after a write of `dose` V at an input of 1 or -1 V: the input rises, the pump runs, the input falls."""
    volts, gate = float(np.sign(dose)), device.gate_capacitance
    levels = volts * np.concatenate([np.linspace(0, 1, steps), np.ones(steps), np.linspace(1, 0, steps)])
    pumped = np.repeat([0.0, dose * device.memory_capacitance / steps, 0.0], steps)
    for before, level, charge in zip(levels, levels[1:], pumped[1:], strict=False):
        mean = (before + level) / 2
        source, drain, bulk = meyer(state - device.threshold_voltage - min(mean, 0.0), abs(mean), gate)
        state += (charge + (drain if volts > 0 else source) * (level - before)) / (device.capacitance + source + drain + bulk)
    return state


@pytest.mark.parametrize(("state", "dose"), [(1.0, -0.5), (0.0, -2.0), (-1.6, -2.0), (-0.1, -0.02), (-0.5, -0.1), (-2.0, 2.4),
                                             (-0.3, 0.2), (0.1, 2.4)])
def test_writes_below_the_threshold_are_those_of_meyers_capacitances(ngspice, state, dose):
    """What the closed form leaves out there is no error of ngspice's steps: it follows from the model's own formulas."""
    network, schedule, sign = NetworkParameters(), Schedule(pulse=2e-3, period=6e-3), int(np.sign(dose))
    ours, theirs = ClosedFormEngine(network, schedule, 1, 1), NgspiceEngine(ngspice, network, schedule, 1, 1,
                                                                            writing=WRITING.tightened(10))
    conducting, = ours.write(np.array([[9.0]]), 0, np.ones(1), sign, abs(dose) / ours.rate) - 9.0  # in all that phi is open
    found = theirs.write(np.array([[state]]), 0, np.ones(1), sign, abs(dose) / theirs.rate)
    assert found == pytest.approx(written_by_meyer(state, conducting, network.memristor), abs=0.03)


def test_cells_below_the_threshold_are_apart_in_their_own_number():
    network = layered_begin((), 2, np.ones((1, 2)), LayeredRule())
    states, other = np.array([[1.0, 2.0, -1.0], [1.0, -0.5, 3.0]]), np.array([[1.1, 2.0, -3.0], [1.0, 0.5, 3.2]])
    one, two = (replace(network, states=(given,)) for given in (states, other))
    assert layers_in_step.apart(one, two, two) == [pytest.approx(0.2)]
    assert layers_in_step.apart(one, two, one, on=False) == [pytest.approx(2.0)]
    assert layers_in_step.apart(one, one, one, on=False) == [0.0]
    below = replace(one, states=(np.array([[1.0, 2.0, 1.0], [1.0, 1.0, -0.1]]),))
    assert layers_in_step.apart(one, two, below) == [pytest.approx(0.1)]


def test_step_of_cells_below_the_threshold_is_told(tmp_path, capsys):
    """Ten hidden neurons with a dose that takes cells there: a volt is told of them, and nothing like it of the others."""
    layers_in_step.main(["--data", "digits", "--hidden", "10", "--after", "200", "--stretch", "12", "--presentations", "2000",
                         "--hidden-dose", "0.6", "--figures", str(tmp_path)])
    out = capsys.readouterr().out
    on, off = (float(re.search(words + r"([0-9.e+]+), ", out)[1]) for words in (
        "after the others states were at most ", r"which ngspice writes otherwise .*: at most "))
    assert on < 10 < 100 < off


@pytest.mark.parametrize(("hidden", "option", "refused"), [
    ([], "--error-scale", True), (["8"], "--error-scale", True), (["8", "6"], "--error-scale", False), (["8"], "--reach", False),
    ([], "--reach", True), ([], "--hidden-dose", True), ([], "--start-weight", True), (["8"], "--start-weight", False)])
def test_options_of_more_hidden_layers_than_there_are_are_refused(tmp_path, capsys, hidden, option, refused):
    parser = layers.make_layers_parser()
    options = parser.parse_args(["--hidden", *hidden, option, "0.5"])
    if refused:
        with pytest.raises(SystemExit):
            refuse_idle(parser, options, options.hidden)
        assert f"{option} has no bearing on a network " in capsys.readouterr().err
    else:
        refuse_idle(parser, options, options.hidden)


def test_idle_options_change_no_network():
    """Of a single layer and of one hidden layer, those that are refused, and of two none."""
    rng = np.random.default_rng(1)
    images, labels = rng.random((30, 5)), rng.integers(0, 3, 30)
    for hidden, idle in ((), IDLE[0]), ((4,), IDLE[1]), ((4, 3), ()):
        def states(rule, hidden=hidden):
            learning = LayeredLearning.begin(layered_begin(hidden, 3, images, rule), rule)
            for _ in train_layers(learning, rule, images, labels):
                pass
            return np.concatenate([np.ravel(layer) for layer in learning.network.states])
        usual = LayeredRule(presentations=30, margin=10e-6, start_weight=1.0)
        for name, value in (("hidden_dose", 0.3), ("start_weight", 0.4), ("start_weight_spread", 1.0), ("reach", 5.0),
                            ("error_scale", 30.0), ("output_dose", 0.3), ("start_drive", 2.0)):
            alike = np.array_equal(states(replace(usual, **{name: value})), states(usual))
            assert alike is (name in idle), (hidden, name)


@pytest.mark.parametrize(("spread", "says"), [("20", True), ("0.5", False)])
def test_layers_say_which_cells_ngspice_would_write_otherwise(tmp_path, capsys, monkeypatch, spread, says):
    monkeypatch.setattr(layers, "draw", lambda *arguments, **more: None)
    layers.main(["--data", "digits", "--hidden", "10", "--presentations", "300", "--start-drive-spread", spread, "--samples", "5",
                 "--figures", str(tmp_path), "--voltages", str(tmp_path / "digits.json")])
    assert ("% of the cells are below Vto" in capsys.readouterr().out) is says


@pytest.mark.parametrize(("dose", "says"), [("1", True), ("0.02", False)])
def test_trainings_from_errors_say_so_too(tmp_path, capsys, monkeypatch, dose, says):
    monkeypatch.setattr(training_runs, "draw", lambda *arguments, **more: None)
    training_script("", xpue_experiment, [
        "--rule", "error-driven", "--engine", "closed-form", "--start-state", "1", "--dose", dose, "--presentations", "40",
        "--feedback-resistance", "9000", "--figures", str(tmp_path), "--voltages", str(tmp_path / "xpue.json")])
    assert ("% of the cells are below Vto" in capsys.readouterr().out) is says


@pytest.mark.parametrize(("rule", "words"), [("error-driven", "near"), ("ex-situ", "--swing"), ("hebbian", "keeps them")])
def test_tests_and_inferences_know_what_made_the_states(tmp_path, capsys, monkeypatch, rule, words):
    for page in (testing, inference):
        monkeypatch.setattr(page, "draw", lambda *arguments, **more: None)
    places = ["--figures", str(tmp_path), "--voltages", str(tmp_path / "v.json"), "--force"]
    save_voltages(tmp_path / "v.json", Voltages(np.full((10, 100), 9.0), "mnist", "binary", rule))
    testing.testing_script("", ["--engine", "closed-form", "--samples", "3", *places])
    said = [capsys.readouterr().err]
    save_voltages(tmp_path / "v.json", Voltages(np.full((4, 9), 40.0), "xpue", "binary", rule))
    inference.inference_script("", xpue_experiment, places)
    said.append(capsys.readouterr().err)
    assert all("membranes clip on " in one and words in one for one in said), said


def test_layers_that_stay_silent_are_said_to(capsys):
    images = np.random.default_rng(1).random((3, 4))
    for drive, silent in ((3.0, False), (-3.0, True)):
        network = layered_begin((), 2, images, LayeredRule(start_drive=drive, start_drive_spread=0.0))
        warn_of_layers(network, images)
        said = "warning: no neuron of the last layer fires for any of 3 images\n"
        assert capsys.readouterr().err == said * silent
    some = layered_begin((), 8, images, LayeredRule())
    fired = np.isfinite(some.first_spikes(images))
    assert fired.any() and not fired.all()
    for drawn, given in ((some, images), (network, images[:0])):
        warn_of_layers(drawn, given)
        assert capsys.readouterr().err == ""
