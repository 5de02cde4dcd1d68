"""Does a training on ngspice and on the closed form decide alike, presentation by presentation? MNIST, binary images.

In step, the closed form takes over ngspice's states before each presentation. Free, both engines start alike and go on alone:
a single decision that differs makes them two trainings. Prints a table and writes results/engines_training.json. About 15
minutes.
"""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets import Dataset, mnist
from memristive.cli.main import run
from memristive.cli.options import make_parser
from memristive.cli.progress import print_rows, progress
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.io.voltages import load_voltages
from memristive.single_layer import error_rule
from memristive.single_layer.engines import ClosedFormEngine, Engine, NgspiceEngine
from memristive.single_layer.solvers import READING, WRITING
from memristive.spice.session import Solver

APART = 0.1  # V, spread of the cells in a training that starts from cells that differ
# ngspice knows the moments at which phi's switch opens and closes to a step. With the usual steps all cells of a column are
# written up to 0.3 % too much or too little, with steps of 10 ns 0.001 %.
TIGHT_WRITING = Solver(max_step=10e-9, reltol=1e-6, trtol=7.0, chgtol=1e-15, method="trap")


@dataclass(frozen=True)
class Course:
    """A training on both engines: in step or free, the cells at its start, and ngspice's tolerances."""

    name: str
    in_step: bool
    start: str = "alike"  # cells: "alike", "apart" (`APART`), "trained" (the committed network)
    tightened: bool = False  # ngspice reads with tightened tolerances and writes with `TIGHT_WRITING`


COURSES = (Course("in step", True), Course("free, cells alike at the start", False),
           Course("free, cells alike at the start, tightened", False, "alike", True),
           Course("free, cells 0.1 V apart at the start, tightened", False, "apart", True),
           Course("free, from the trained network, tightened", False, "trained", True))


class RecordingEngine:
    """An engine that keeps the spikes of its last read."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.rate, self.write, self._spikes = engine.name, engine.rate, engine.write, engine.spikes
        self.last = np.array([])

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """Read as `Engine.spikes`."""
        self.last = self._spikes(states, image, wanted)
        return self.last


@dataclass(frozen=True)
class Decision:
    """Decision of one read, and the differences of spikes in s that it depends on (infinite: nothing to decide)."""

    right: bool  # the right neuron was first
    wrong_neuron: int | None  # neuron to be depressed
    writes: bool
    lead_s: float  # of the right neuron over the first other one; negative if it comes later
    beyond_margin_s: float  # that lead less the margin
    among_others_s: float  # from the first other neuron to the next one

    @classmethod
    def of(cls, spikes: np.ndarray, label: int, margin: float) -> "Decision":
        """Return the decision on first spike times in s (classes, nan: silent), if the right neuron is `label`."""
        times = np.where(np.isnan(spikes), np.inf, spikes)
        first, second = np.sort(np.delete(times, label))[:2]
        lead = first - times[label] if np.isfinite([first, times[label]]).any() else np.nan
        wrong, silent = error_rule.first_wrong_neuron(spikes, label, margin), bool(np.isnan(spikes[label]))
        right = not silent and label == int(np.argmax(times <= times.min() + error_rule.SIMULTANEOUS))
        among = second - first if np.isfinite(first) else np.inf
        return cls(right, wrong, wrong is not None or silent, float(lead), float(lead - margin), float(among))

    def same(self, other: "Decision") -> bool:
        """Return True if both have the same effect."""
        return (self.right, self.wrong_neuron, self.writes) == (other.right, other.wrong_neuron, other.writes)

    @property
    def nearest(self) -> float:
        """Smallest change of a difference of spikes in s that would change the decision; ties do not count."""
        edges = [self.lead_s, self.beyond_margin_s, self.among_others_s if self.writes else np.inf]
        return min((abs(edge) for edge in edges if abs(edge) > error_rule.SIMULTANEOUS), default=np.inf)


def starting_states(course: Course, dataset: Dataset) -> np.ndarray:
    """Return the states (classes x inputs, V) that both engines start from."""
    if course.start == "trained":
        return load_voltages("voltages/mnist_error_driven.json", "mnist", 10, 100).states
    apart = APART * np.random.default_rng(dataset.rule.seed).standard_normal(dataset.patterns.shape)
    return dataset.rule.start_state + apart * (course.start == "apart")


def both_engines(dataset: Dataset, course: Course) -> tuple[Engine, Engine]:
    """Return ngspice and the closed form."""
    classes, inputs = dataset.patterns.shape
    reading, writing = (READING.tightened(), TIGHT_WRITING) if course.tightened else (READING, WRITING)
    return NgspiceEngine(dataset.setup, classes, inputs, reading, writing), ClosedFormEngine(dataset.setup, classes, inputs)


def compare_training(pair: Sequence[Engine], dataset: Dataset, presentations: int,
                     course: Course) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train on two engines with the same presentations.

    Parameters
    ----------
    pair : two engines
        In step, the second takes over the states of the first.
    dataset : Dataset
    presentations : int
    course : Course

    Returns
    -------
    row : dict
        Numbers of equal decisions, and differences of states in V: the largest after any presentation in step, after the last
        one if free.
    different : list of dict
        Both engines' decisions where they differ: on each such presentation in step, on the first one if free.
    """
    rule = dataclasses.replace(dataset.rule, presentations=presentations)
    images, labels = dataset.training.levels, dataset.training.labels
    engines = [RecordingEngine(engine) for engine in pair]
    simulated, computed = (error_rule.initial_state(rule, *dataset.patterns.shape) for _ in engines)
    start = simulated.states = computed.states = starting_states(course, dataset)
    trainers = [error_rule.ErrorDrivenTrainer(engine, rule, images, labels) for engine in engines]
    right = labels[error_rule.presentation_order(rule.seed, presentations, len(labels))]
    apart, alike, nearest = np.zeros(dataset.patterns.shape), 0, np.inf
    different: list[dict[str, Any]] = []
    for k in progress(range(presentations), presentations, course.name, "image"):
        if course.in_step:
            computed.states = simulated.states.copy()
        trainers[0].present(simulated)
        trainers[1].present(computed)
        decisions = [Decision.of(engine.last, int(right[k]), rule.margin) for engine in engines]
        same = decisions[0].same(decisions[1])
        alike += same
        nearest = min(nearest, decisions[1].nearest)
        difference = np.abs(computed.states - simulated.states)
        if same or not course.in_step:
            apart = np.maximum(apart, difference) if course.in_step else difference
        if not same and (course.in_step or not different):
            different += [{"course": course.name, "presentation": k, "engine": engine.name, **vars(decision)}
                          for engine, decision in zip(engines, decisions, strict=True)]
    answered, wrote = (simulated.history == computed.history).mean(axis=0)
    return {"course": course.name, "presentations": presentations, "wrote": int(simulated.history[:, 1].sum()),
            "decided_alike": alike, "answered_alike": float(answered), "wrote_alike": float(wrote), "nearest_s": nearest,
            "states_differ_max_V": float(apart.max()), "states_differ_mean_V": float(apart.mean()),
            "states_moved_mean_V": float(np.abs(simulated.states - start).mean())}, different


def main(arguments: list[str] | None = None) -> None:
    """Train in all courses, save and print the comparisons."""
    parser = make_parser(__doc__, parameters=False)
    parser.add_number("--presentations", 1, 60_000, 2000, "length of each training")
    options = parser.parse_args(arguments)
    record = options.results / "engines_training.json"
    parameters = {"tight_reading": READING.tightened().as_dict(), "tight_writing": TIGHT_WRITING.as_dict(),
                  "presentations": options.presentations, "apart_V": APART}
    check_overwriting(record, parameters, options.force)

    dataset = mnist()
    rows, different = [], []
    for course in COURSES:
        row, others = compare_training(both_engines(dataset, course), dataset, options.presentations, course)
        rows.append(row)
        different += others
    write_results(record, parameters, {"rows": rows, "different": different})
    print_rows(rows)
    print_rows(different)


if __name__ == "__main__":
    sys.exit(run(main))
