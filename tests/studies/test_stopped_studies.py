"""Studies that compare one thing after the other keep each as soon as it is found, and more of an earlier run."""

import json

import numpy as np
import pytest

from memristive.cli.experiments import Experiment
from studies import dose_and_margin
from studies import engine_agreement as engines
from studies import unsupervised as stdp


class Counted:
    """A function that stands in for a comparison, and stops after some."""

    def __init__(self, function, left):
        self.function, self.left = function, left

    def __call__(self, *given, **more):
        """The comparison, or a stop."""
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.function(*given, **more)


def dose(monkeypatch, left):
    """Three trainings, of which some are finished."""
    monkeypatch.setattr(dose_and_margin, "TRIED", {"grey": [(300, 30e-3, k * 1e-6, 5.2) for k in (1, 2, 3)]})
    monkeypatch.setattr(Experiment, "training_images", lambda experiment: (np.eye(2, 100), np.arange(2)))
    monkeypatch.setattr(dose_and_margin, "held_out_accuracies", Counted(lambda *given: np.arange(6) / 10, left))
    return "dose_and_margin", dose_and_margin.main, ["--encoding", "grey"], lambda found: len(found["runs"])


def courses(monkeypatch, left):
    """Three trainings on both engines."""
    monkeypatch.setattr(engines, "COURSES", [1, 2, 3])
    monkeypatch.setattr(engines, "compare_training", Counted(lambda session, count, course: {"course": course}, left))
    monkeypatch.setattr(engines, "print_training", lambda result: None)
    return "engines_training", engines.main, ["--part", "training"], lambda found: len(found["courses"])


def reads(monkeypatch, left):
    """Two networks and the writes."""
    exact = np.array([[50e-6] + [60e-6] * 9])

    class Network:
        """A network of an image."""

        name, states, resolution = "mnist", None, 2e-8
        crossbar = type("Exact", (), {"first_spikes": staticmethod(lambda states, images: exact)})

        def images(self, count):
            """None."""
            return None
    monkeypatch.setattr(engines, "networks", lambda: [Network(), Network()])
    monkeypatch.setattr(engines, "ngspice_spikes", lambda folder, network: exact)
    monkeypatch.setattr(engines, "compare_decisions", Counted(lambda network, spikes: {"network": "mnist"}, left))
    monkeypatch.setattr(engines, "read_images", lambda *given: exact)
    monkeypatch.setattr(engines, "compare_steps", lambda *given: [1e-9])
    monkeypatch.setattr(engines, "compare_writes", Counted(lambda session, count: (1e-6, 0.1), left - 2))
    for name in ("print_network", "engines_figure"):
        monkeypatch.setattr(engines, name, lambda *given: None)
    monkeypatch.setattr(engines, "save", lambda *given: None)
    return "engines", engines.main, ["--part", "reads"], engines.compared


def seeds(monkeypatch, left):
    """Three short runs of a circuit that learns by itself."""
    monkeypatch.setattr(stdp, "learn", Counted(SHORT["learn"], left))
    for name in ("draw", "save_animation"):
        monkeypatch.setattr(stdp, name, lambda *given: None)
    return "stdp_xpue", stdp.main, ["--seeds", "3", "--presentations", "4"], lambda found: found["runs"]


SHORT = {"learn": stdp.learn}


@pytest.mark.parametrize("study", [dose, courses, reads, seeds])
def test_what_is_found_before_a_stop_stays_unless_more_was_there(study, tmp_path, monkeypatch):
    def found(left):
        name, main, options, count = study(monkeypatch, left)
        try:
            main([*options, "--figures", str(tmp_path)])
        except KeyboardInterrupt:
            assert left < 3
        else:
            assert left >= 3
        path = tmp_path / f"{name}_results.json"
        assert [one.name for one in tmp_path.iterdir() if "earlier" in one.name] == []
        return count(json.loads(path.read_text())) if path.exists() else 0
    assert [found(left) for left in (0, 1, 2, 1, 3, 2)] == [0, 1, 2, 2, 3, 3]
