"""A checkpoint is whole and of this very run, or it is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memristive.cli.experiments import xpue_experiment
from memristive.cli.training_runs import ErrorDrivenRun
from memristive.io.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from memristive.io.voltages import VoltagesError
from memristive.single_layer.error_rule import LearningState, begin

PARAMETERS = {"rule": "error-driven", "learning": {"seed": 1, "dose": 0.02}}


@pytest.fixture
def kept(tmp_path):
    """A checkpoint of 3 presentations: (its path, its progress)."""
    progress = {"states": np.arange(12.0).reshape(3, 4), "done": 3, "history": np.zeros((20, 2), bool), "seconds": 1.5}
    path = tmp_path / "some.checkpoint"
    save_checkpoint(path, progress, PARAMETERS)
    return path, progress


def test_a_checkpoint_lies_beside_its_voltages():
    assert checkpoint_path("some/voltages.json") == Path("some/voltages.json.checkpoint")


def test_a_checkpoint_comes_back_as_it_was_kept(kept):
    path, progress = kept
    loaded = load_checkpoint(path, PARAMETERS, progress)
    assert loaded.keys() == progress.keys()
    for name, value in progress.items():
        assert np.array_equal(loaded[name], value)


def test_an_array_that_the_run_does_not_know_is_left_out(kept):
    """That of a younger version: who goes on names what it takes."""
    path, progress = kept
    save_checkpoint(path, progress | {"younger": np.zeros(3)}, PARAMETERS)
    assert load_checkpoint(path, PARAMETERS, progress).keys() == progress.keys()


def test_flipped_bytes_are_refused_or_change_nothing(kept):
    """Any byte, any bit: a VoltagesError of one line, or the same arrays (a time stamp within the archive)."""
    path, progress = kept
    content = path.read_bytes()
    refused = []

    @given(st.integers(0, len(content) - 1), st.integers(1, 255))
    @settings(max_examples=300)
    def check(at, flip):
        path.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1:])
        try:
            loaded = load_checkpoint(path, PARAMETERS, progress)
        except VoltagesError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused.append(at)
            return
        assert all(np.array_equal(loaded[name], value) for name, value in progress.items())
    check()
    assert len(refused) > 100


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_cut_checkpoint_is_refused(kept, length):
    path, progress = kept
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(VoltagesError, match="not a usable checkpoint"):
        load_checkpoint(path, PARAMETERS, progress)


@pytest.mark.parametrize(("name", "value", "words"), [
    ("states", np.zeros((4, 3)), r"'states' is float64 of shape \(4, 3\), expected float64 of shape \(3, 4\)"),
    ("states", np.zeros((3, 4), int), "'states' is int64"),
    ("states", np.full((3, 4), np.nan), "'states' holds values that are not finite"),
    ("states", np.linspace(-1.1e6, 5.0, 12).reshape(3, 4), "'states' holds -1.1e\\+06, expected voltages"),
    ("history", np.zeros((19, 2), bool), r"'history' is bool of shape \(19, 2\)"),
    ("done", np.array([3]), r"'done' is int64 of shape \(1,\)"),
    ("done", 3.0, "'done' is float64"),
])
def test_wrong_shapes_and_types_are_named(kept, name, value, words):
    path, progress = kept
    save_checkpoint(path, progress | {name: value}, PARAMETERS)
    with pytest.raises(VoltagesError, match=words):
        load_checkpoint(path, PARAMETERS, progress)


def test_states_of_every_layer_are_voltages(kept):
    path, progress = kept
    progress = progress | {f"states_{layer}": np.zeros((2, 3)) for layer in range(2)}
    save_checkpoint(path, progress | {"states_1": np.full((2, 3), 1e9)}, PARAMETERS)
    with pytest.raises(VoltagesError, match=r"'states_1' holds 1e\+09, expected voltages"):
        load_checkpoint(path, PARAMETERS, progress)


class Intruder:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_that_a_checkpoint_holds_is_executed(kept, tmp_path):
    path, progress = kept
    save_checkpoint(path, progress | {"states": np.array([Intruder(tmp_path / "executed")], dtype=object)}, PARAMETERS)
    with pytest.raises(VoltagesError, match=r"some\.checkpoint: is not a usable .* \(no archive of arrays\).*starts afresh"):
        load_checkpoint(path, PARAMETERS, progress)
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(VoltagesError, match=r"none\.checkpoint: no such checkpoint; leave --resume out to start afresh$"):
        load_checkpoint(tmp_path / "none.checkpoint", PARAMETERS, {})


def test_a_missing_array_is_named(kept):
    path, progress = kept
    save_checkpoint(path, {name: value for name, value in progress.items() if name != "history"}, PARAMETERS)
    with pytest.raises(VoltagesError, match=r"some\.checkpoint: has no 'history'"):
        load_checkpoint(path, PARAMETERS, progress)


def test_other_parameters_are_named_as_options(kept):
    path, progress = kept
    with pytest.raises(VoltagesError, match=r"other parameters: --dose \(0\.02 there, 0\.05 now\); give the same"):
        load_checkpoint(path, {"rule": "error-driven", "learning": {"seed": 1, "dose": 0.05}}, progress)
    with pytest.raises(VoltagesError, match=r"other parameters: --seed \(1 there, 2 now\), --dose \(0\.02 there, 0\.05 now\);"):
        load_checkpoint(path, {"rule": "error-driven", "learning": {"seed": 2, "dose": 0.05}}, progress)
    with pytest.raises(VoltagesError, match="other parameters: of another version;"):
        load_checkpoint(path, PARAMETERS | {"younger": 1}, progress)
    save_checkpoint(path, progress, ["no", "names"])
    with pytest.raises(VoltagesError, match="other parameters: of another version;"):
        load_checkpoint(path, PARAMETERS, progress)


@pytest.mark.parametrize(("done", "shown", "seconds"), [(0, 0, 1.0), (-1, 0, 1.0), (21, 0, 1.0), (3, 5, 1.0), (3, 3, -1.0)])
def test_counts_that_the_history_does_not_show_are_refused(tmp_path, done, shown, seconds):
    """Of 20 presentations `done` are said to be over, `shown` have left a trace."""
    experiment = xpue_experiment()
    run = ErrorDrivenRun(None, experiment, "ngspice")
    start = begin(experiment.rule, 4, 9)
    history = np.zeros_like(start.history)
    history[:shown] = True
    path = tmp_path / "some.checkpoint"
    save_checkpoint(path, vars(LearningState(start.states, done, history[:len(start.history)], seconds)), run.parameters)
    if done == 21:
        save_checkpoint(path, vars(LearningState(start.states, len(history) + 1, history, seconds)), run.parameters)
    with pytest.raises(VoltagesError, match="presentations are done, which its history does not show"):
        run._load(path, start)
