"""One training on both engines, presentation by presentation: a part of `studies.engine_agreement`, and of verify.py.

In step, the closed form takes over ngspice's states before each presentation. Free, both engines go their own way from one start:
then the smallest difference of a write stays, and one decision that falls otherwise makes two trainings of them.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.cli.command_line import progress
from memristive.cli.experiments import Experiment, mnist_experiment
from memristive.io.voltages import load_voltages
from memristive.single_layer.engines import ClosedFormEngine, Engine, NgspiceEngine
from memristive.single_layer.error_rule import SIMULTANEOUS, ErrorDrivenRule, LearningState, Teacher, begin, offender, order
from memristive.single_layer.pulses import READING, WRITING
from memristive.spice.session import NgspiceSession, Solver

APART = 0.1  # V, spread of the cells where a training starts from cells that are not alike
# What a write of ngspice lacks is the moment at which phi's switch opens and closes: known to a step. At usual steps a column's
# cells are written up to 0.3 % too much or too little, all alike; at steps of 10 ns 0.001 %.
TIGHT_WRITING = Solver(max_step=10e-9, reltol=1e-6, trtol=7.0, chgtol=1e-15, method="trap")


class Heard:
    """An engine whose last spike times can be looked at."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.rate, self.write = engine.name, engine.rate, engine.write
        self._spikes = engine.spikes
        self.last = np.array([])

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """As `Engine.spikes`."""
        self.last = self._spikes(states, image, wanted)
        return self.last


@dataclass(frozen=True)
class Choice:
    """What one read decides, and how far in s it is from deciding otherwise (infinite: there is nothing to decide)."""

    answered: bool  # the right neuron was first
    offender: int | None  # the neuron to be depressed
    writes: bool
    lead: float  # of the right neuron over the first other one; below 0 it comes after
    beyond_margin: float  # that lead less the margin
    among_others: float  # from the first other neuron to the next one

    @classmethod
    def of(cls, spikes: np.ndarray, label: int, margin: float) -> "Choice":
        """Of first spike times in s (classes, nan for silent ones), where the right neuron is `label`."""
        times = np.where(np.isnan(spikes), np.inf, spikes)
        first, second = np.sort(np.delete(times, label))[:2]
        lead = first - times[label] if np.isfinite([first, times[label]]).any() else np.nan
        wrong, silent = offender(spikes, label, margin), bool(np.isnan(spikes[label]))
        answered = not silent and label == int(np.argmax(times <= times.min() + SIMULTANEOUS))
        among = second - first if np.isfinite(first) else np.inf
        return cls(answered, wrong, wrong is not None or silent, float(lead), float(lead - margin), float(among))

    @property
    def decision(self) -> tuple[bool, int | None, bool]:
        """What it decides."""
        return self.answered, self.offender, self.writes

    @property
    def nearest(self) -> float:
        """The smallest change of a difference of spikes in s that would decide otherwise; spikes that tie do not count."""
        edges = [self.lead, self.beyond_margin, self.among_others if self.writes else np.inf]
        return min((abs(edge) for edge in edges if abs(edge) > SIMULTANEOUS), default=np.inf)


@dataclass(frozen=True)
class Course:
    """A training to be done on both engines."""

    name: str
    in_step: bool
    start: str = "alike"  # cells: "alike", "apart" (`APART`), "trained" (the committed network)
    tightened: bool = False  # ngspice's reads tightened, its writes by `TIGHT_WRITING`


COURSES = (Course("in step", True), Course("free, cells alike at the start", False),
           Course("free, cells alike at the start, tightened", False, "alike", True),
           Course("free, cells 0.1 V apart at the start, tightened", False, "apart", True),
           Course("free, from the trained network, tightened", False, "trained", True))


def start_of(course: Course, experiment: Experiment, rule: ErrorDrivenRule) -> LearningState:
    """The state that both engines start from."""
    learning = begin(rule, *experiment.dataset.patterns.shape)
    if course.start == "apart":
        learning.states = learning.states + APART * np.random.default_rng(rule.seed).standard_normal(learning.states.shape)
    if course.start == "trained":
        path = experiment.voltages_path("error-driven")
        classes, inputs = learning.states.shape
        learning.states = load_voltages(path, "mnist", classes, inputs, (experiment.encoding,)).states
    return learning


def compare_training(session: NgspiceSession, presentations: int, course: Course) -> dict[str, Any]:
    """The same presentations of MNIST's binary images on both engines: what they decided otherwise, how far states are apart (V).

    States: after any presentation in step, after the last one free. `otherwise` has each presentation decided otherwise in step,
    and the first one free: what follows is another training.
    """
    experiment = mnist_experiment()
    rule = dataclasses.replace(experiment.rule, presentations=presentations)
    images, labels = experiment.training_images()
    classes, inputs = experiment.dataset.patterns.shape
    solvers = (READING.tightened(), TIGHT_WRITING) if course.tightened else (READING, WRITING)
    engines = (Heard(NgspiceEngine(session, experiment.network, experiment.schedule, classes, inputs, *solvers)),
               Heard(ClosedFormEngine(experiment.network, experiment.schedule, classes, inputs)))
    by_ngspice, by_form = (start_of(course, experiment, rule) for _ in engines)
    teachers = [Teacher(engine, rule, images, labels) for engine in engines]
    right, start, apart = labels[order(rule, len(labels))], by_form.states, np.zeros((classes, inputs))
    otherwise: list[dict[str, Any]] = []
    alike, nearest = 0, np.inf
    for k in progress(range(presentations), presentations, course.name, "image"):
        if course.in_step:
            by_form.states = by_ngspice.states.copy()
        teachers[0].present(by_ngspice)
        teachers[1].present(by_form)
        simulated, computed = (Choice.of(engine.last, int(right[k]), rule.margin) for engine in engines)
        same = simulated.decision == computed.decision
        alike += same
        nearest = min(nearest, computed.nearest)
        now = np.abs(by_form.states - by_ngspice.states)
        if same or not course.in_step:
            apart = np.maximum(apart, now) if course.in_step else now
        if not same and (course.in_step or not otherwise):
            otherwise.append({"presentation": k, "ngspice": vars(simulated), "closed_form": vars(computed)})
    same_rows = (by_ngspice.history == by_form.history).mean(axis=0)
    return {"course": course.name, "presentations": presentations, "wrote": int(by_ngspice.history[:, 1].sum()),
            "decided_alike": alike, "answered_alike": float(same_rows[0]), "wrote_alike": float(same_rows[1]),
            "otherwise": otherwise, "nearest_to_otherwise": nearest, "states_differ_by_at_most": float(apart.max()),
            "states_differ_by_mean": float(apart.mean()), "states_moved_by": float(np.abs(by_ngspice.states - start).mean())}


def print_training(found: dict[str, Any]) -> None:
    """Print what was found of one course."""
    print(f"{found['course']}: {found['decided_alike']} of {found['presentations']} presentations decided alike (nearest: "
          f"{found['nearest_to_otherwise'] * 1e9:.2f} ns from otherwise), {found['wrote']} wrote; states differ by up to "
          f"{found['states_differ_by_at_most'] * 1e6:.1f} uV, in the mean by {found['states_differ_by_mean'] * 1e6:.2f} uV of "
          f"{found['states_moved_by'] * 1e3:.1f} mV moved")
    for case in found["otherwise"]:
        said = [", ".join(f"{key} {case[engine][key] * 1e9:.2f} ns" for key in ("lead", "beyond_margin", "among_others"))
                for engine in ("ngspice", "closed_form")]
        print(f"  otherwise in presentation {case['presentation']}: in ngspice {said[0]}; in the closed form {said[1]}")
