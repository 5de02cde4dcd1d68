"""The two rules as trainings: each begins (or goes on), trains, measures energies, and reports with text and figures."""

import argparse
import dataclasses
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from datasets import Dataset
from memristive.cli.command_line import draw, figures_loaded, print_energy, progress, warn, warn_of_closed_form, warn_of_range
from memristive.cli.experiments import Experiment, describe, say_of_cells_that_are_off
from memristive.cli.kept import kept_if_stopped, save_whole, way_on
from memristive.io.checkpoints import AFRESH, checkpoint_path, load_checkpoint, refuse_progress
from memristive.io.voltages import VoltagesError
from memristive.single_layer.energy import UNCOUNTED, write_energy
from memristive.single_layer.engines import CLOSED_FORM, make_engine
from memristive.single_layer.error_rule import LearningState, Teacher, begin, learning_curve
from memristive.single_layer.hebbian import Training, hebbian_network, read_network, reading, scatter, train_hebbian
from memristive.single_layer.pulses import TRAINING, suited
from memristive.spice.parameters import ParameterError
from memristive.spice.session import NgspiceSession, netlist_text
from memristive.variability.chip_engines import chip_engine
from memristor import check_phi, state_rate, trained_state
from snn_circuit import names, state_names

CHECKPOINT_EVERY = 500  # presentations
ALIKE_TO = 2e-4  # share by which classes may differ: docs/reliability.md
SEEN = 100  # training images that tell whether membranes stay in range


class TrainingRun(ABC):
    """A training of `experiment` by `engine`, in the order of its methods. `states`: what it has come to, in V.

    ngspice's `session` measures energies also of what the closed form trained.
    """

    states: np.ndarray
    checkpoint: Path | None = None

    def __init__(self, session: NgspiceSession, experiment: Experiment, engine: str) -> None:
        check_phi(experiment.schedule.phi_voltage, experiment.network.memristor)
        self.session, self.experiment, self.engine = session, experiment, engine
        self.parameters = describe(experiment, engine=engine)

    @abstractmethod
    def begin(self, path: str | Path, options: argparse.Namespace) -> None:
        """Make ready for a training whose voltages will go to `path`; with --resume from its checkpoint.

        Raises VoltagesError for a checkpoint that cannot be used, NotOverwritten for one that neither --resume nor --force
        speaks of.
        """

    @property
    @abstractmethod
    def longest_write(self) -> float:
        """In s."""

    @abstractmethod
    def netlist(self) -> str:
        """The netlist that --netlist writes."""

    @abstractmethod
    def train(self) -> float:
        """Train; return the seconds it took."""

    def kept(self) -> None:
        """Voltages and results are saved: a checkpoint has done its work."""
        if self.checkpoint:
            self.checkpoint.unlink(missing_ok=True)

    @abstractmethod
    def measure(self) -> dict[str, Any]:
        """What the results say besides voltages and seconds, as plain numbers."""

    @abstractmethod
    def report(self, options: argparse.Namespace, measured: dict[str, Any]) -> None:
        """Print what was `measured` and draw the figures."""


class HebbianRun(TrainingRun):
    """The paper's rule: one pulse a class, everything in one transient."""

    @property
    def longest_write(self) -> float:
        return self.experiment.schedule.pulse

    def begin(self, path: str | Path, options: argparse.Namespace) -> None:
        if self.experiment.chip and self.experiment.chip.write_noise:
            raise ParameterError("write_noise is drawn for each presentation of the error-driven rule; the Hebbian rule writes "
                                 "in one transient: leave it out, or give --rule error-driven")
        self._patterns = self.experiment.dataset.patterns
        self.states = np.zeros_like(self._patterns)

    def netlist(self) -> str:
        schedule, (classes, inputs) = self.experiment.schedule, self._patterns.shape
        cells = state_names(classes, inputs)
        circuit = hebbian_network(self.experiment.network, schedule, self._patterns, self.experiment.devices)
        solver = suited(TRAINING, self.experiment.network.memristor, schedule)
        return netlist_text(circuit, solver, schedule.stop(classes), cells, cells)

    def train(self) -> float:
        start = time.perf_counter()
        self._trained: Training = train_hebbian(
            self.session, self.experiment.network, self.experiment.schedule, self._patterns,
            watch=lambda runs: progress(runs, len(self._patterns), "training", "class"), devices=self.experiment.devices)
        self.states = self.experiment.held(self._trained.states)
        return time.perf_counter() - start

    def measure(self) -> dict[str, Any]:
        network, schedule = self.experiment.network, self.experiment.schedule
        energy = write_energy(self.session, network, schedule, np.zeros_like(self.states), self._patterns[0], 0, schedule.pulse,
                              devices=self.experiment.devices)
        closed_form = float(trained_state(network.memristor, schedule.input_voltage, schedule.pulse))
        return {"closed_form_on": closed_form, "write_energy": energy}

    def report(self, options: argparse.Namespace, measured: dict[str, Any]) -> None:
        figures_loaded()
        import plotting
        dataset, trained, name = self.experiment.dataset, self._trained, self.experiment.name
        print_trained(dataset, self.states, measured["closed_form_on"])
        print_energy("one class's write", measured["write_energy"])
        warn_of_range(self.experiment.network, self.experiment.schedule, self.states, self._patterns, self.experiment.chip,
                      own=True)
        apart = 0.0 if self.experiment.chip else scatter(self.states, self._patterns)
        warn(f"classes differ by {apart:.3%}, more than the {ALIKE_TO:.2%} to which one pulse writes them alike: of templates "
             "that an image overlaps alike this decides, not the image; training with other edges (--rise) may help"
             if apart > ALIKE_TO else "")
        draw(options, f"{name}_images", plotting.dataset_images, dataset)
        draw(options, f"{name}_inputs", plotting.pulses, trained.time, trained.inputs, "input")
        draw(options, f"{name}_controls", plotting.pulses, trained.time, trained.controls, "control", dataset.labels)
        draw(options, f"{name}_states", plotting.memristor_states, trained.time, trained.states_over_time, *self.states.shape,
             dataset.labels)
        draw(options, f"{name}_trained", plotting.weight_images, self.states, dataset.shape, dataset.labels)


def print_trained(dataset: Dataset, states: np.ndarray, closed_form: float) -> None:
    """Print the trained voltages: every cell of a small network, each class's ranges of a large one."""
    if states.size <= 100:
        print("trained voltages in V, class by class, input by input:")
        for label, row in zip(dataset.labels, states, strict=True):
            print(f"  {label}  " + " ".join(f"{value:6.3f}" for value in row))
    lowest_highest = f"{'lowest/V':>8}  {'highest/V':>9}"
    print(f"{'class':>5}  {'on-cells':>8}  {lowest_highest}  {'off-cells':>9}  {lowest_highest}")
    for label, row, pattern in zip(dataset.labels, states, dataset.patterns, strict=True):
        on, off = row[pattern > 0], row[pattern == 0]
        on_range, off_range = (f"{cells.min():8.4f}  {cells.max():9.4f}" if len(cells) else f"{'-':>8}  {'-':>9}"
                               for cells in (on, off))
        print(f"{label:>5}  {len(on):8d}  {on_range}  {len(off):9d}  {off_range}")
    print(f"closed form K*V*t/(C + C_gate) for a full pixel, without the leak: {closed_form:.4f} V")


class ErrorDrivenRun(TrainingRun):
    """Learning from errors, with checkpoints."""

    @property
    def longest_write(self) -> float:
        return self.experiment.rule.dose / float(state_rate(self.experiment.network.memristor,
                                                            self.experiment.schedule.input_voltage))

    def __init__(self, session: NgspiceSession, experiment: Experiment, engine: str) -> None:
        super().__init__(session, experiment, engine)
        self.parameters = describe(experiment, engine=engine, learning=dataclasses.asdict(experiment.rule))

    def begin(self, path: str | Path, options: argparse.Namespace) -> None:
        self.checkpoint = checkpoint = checkpoint_path(path)
        self._again = way_on(options.force)
        start = begin(self.experiment.rule, *self.experiment.dataset.patterns.shape)
        start.states = self.experiment.held(start.states)
        if not (options.resume or options.force):
            refuse_progress(checkpoint, lambda: self._load(checkpoint, start).done, "presentations of this training")
        self._learning = self._load(checkpoint, start) if options.resume else start
        self._images, self._labels = self.experiment.training_images()
        self.states = self._learning.states
        self._at_start = warn_of_range(self.experiment.network, self.experiment.schedule, self.states, self._images[:SEEN],
                                       self.experiment.chip, rule="error-driven", when="at the start ")
        if self.engine == CLOSED_FORM:
            warn_of_closed_form(self.experiment.network, self.experiment.schedule)

    def _load(self, checkpoint: Path, start: LearningState) -> LearningState:
        learning = LearningState(**load_checkpoint(checkpoint, self.parameters, vars(start)))
        if not 0 < learning.done <= len(learning.history) or learning.history[learning.done:].any() or learning.seconds < 0:
            raise VoltagesError(f"{checkpoint}: says that {learning.done} of {len(learning.history)} presentations are done, "
                                f"which its history does not show; {AFRESH}")
        return learning

    def netlist(self) -> str:
        """The first read, with the whole network."""
        experiment = self.experiment
        nodes = names("membrane", len(self.states))
        circuit = read_network(experiment.network, experiment.schedule, self.states, self._images[0], "read of the first image",
                               experiment.devices)
        volts = experiment.schedule.input_voltage * self._images[0]
        solver = reading(experiment.network, self.states, volts, devices=experiment.devices)
        return netlist_text(circuit, solver, experiment.schedule.pulse, nodes, nodes)

    def train(self) -> float:
        """With a progress bar and checkpoints, also one when it is interrupted."""
        experiment, learning = self.experiment, self._learning
        network, schedule = experiment.network, experiment.schedule
        engine = (chip_engine(self.engine, self.session, network, schedule, experiment.chip, learning.done) if experiment.chip
                  else make_engine(self.engine, self.session, network, schedule, *self.states.shape))
        teacher = Teacher(engine, experiment.rule, self._images, self._labels)
        left = experiment.rule.presentations - learning.done
        with (kept_if_stopped(self._save_progress),
              progress(teacher.presentations(learning), left, "learning", "image", quick=0.5) as bar):
            self._present(bar)
            self._save_progress()  # until the results are written, the only place of the history
        self.states = learning.states
        return learning.seconds

    def _present(self, bar: "tqdm[tuple[float, int]]") -> None:
        learning, began = self._learning, time.perf_counter() - self._learning.seconds
        every = CHECKPOINT_EVERY * (100 if self.engine == CLOSED_FORM else 1)  # some seconds' work
        for accuracy, writes in bar:
            learning.seconds = time.perf_counter() - began
            bar.set_postfix(accuracy=f"{accuracy:.1%}", writes=writes, refresh=False)
            if learning.done % every == 0:
                self._save_progress()

    def _save_progress(self) -> str:
        """Write the checkpoint, if anything is done; what to say of it."""
        if not self._learning.done:
            return ""
        assert self.checkpoint
        save_whole(self.checkpoint, vars(self._learning), self.parameters)
        return f"{self._learning.done} presentations are saved in {self.checkpoint}; {self._again}"

    def measure(self) -> dict[str, Any]:
        network, schedule = self.experiment.network, self.experiment.schedule
        image, label = self._images[0], int(self._labels[0])
        energy = {name: write_energy(self.session, network, schedule, self.states, image, label, self.longest_write, sign,
                                     self.experiment.devices)
                  for name, sign in (("potentiation", 1), ("depression", -1))}
        accuracy, writes = learning_curve(self._learning.history)
        marks = slice(CHECKPOINT_EVERY - 1, None, CHECKPOINT_EVERY)
        curve = {"presentations": np.arange(1, len(accuracy) + 1)[marks], "accuracy": accuracy[marks], "writes": writes[marks]}
        return {"write_energy": energy, "presentations": len(accuracy), "writes": int(writes[-1]),
                "running_accuracy": float(accuracy[-1]), "learning_curve": curve}

    def report(self, options: argparse.Namespace, measured: dict[str, Any]) -> None:
        print(f"presented {measured['presentations']} images, wrote after {measured['writes']} of them; last running accuracy "
              f"{measured['running_accuracy']:.2%}")
        warn_of_range(self.experiment.network, self.experiment.schedule, self.states, self._images[:SEEN],
                      self.experiment.chip, rule="error-driven", before=self._at_start)
        say_of_cells_that_are_off(self.engine, self.experiment.network.memristor, self.states)
        for name, joules in measured["write_energy"].items():
            print_energy(f"a write of the first dose, {name}", joules, UNCOUNTED * (name == "depression"))
        figures_loaded()
        import plotting
        from memristive.cli.page_figures import learning_figure
        stem, dataset = self.experiment.stem("error-driven", self.engine), self.experiment.dataset
        draw(options, f"{stem}_learning", learning_figure, *learning_curve(self._learning.history))
        before = self.experiment.held(np.full_like(self.states, self.experiment.rule.start_state))
        draw(options, f"{stem}_trained", plotting.weight_images, self.states, dataset.shape, dataset.labels, before=before)


RUNS: dict[str, type[TrainingRun]] = {"hebbian": HebbianRun, "error-driven": ErrorDrivenRun}
