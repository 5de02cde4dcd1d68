"""Convergence and both engines, checked: each experiment again, tightened, the closed form against ngspice, and ngspice's
command line program on the same netlists. About 8 minutes.

Tightened: all tolerances and steps a tenth (of the training, which is tight already: a half). Prints the largest change of each
comparison and its bound as soon as it is found. Exit code 1 if one is broken. Writes figures/verify_results.json; stopped, what
it has found so far, unless more was there.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets import load_mnist
from memristive.cli.command_line import make_parser, progress, whole_number
from memristive.cli.evaluation import WANTED, read_all, worker_count
from memristive.cli.experiments import Experiment, digits_experiment, mnist_experiment, xpue_experiment
from memristive.io.claims import claimed
from memristive.io.earlier import earlier_kept
from memristive.io.files import ROOT
from memristive.io.results import load_results, results_path, write_results
from memristive.single_layer.hebbian import hebbian_network, infer, train_hebbian
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.pulses import READING, TRAINING
from memristive.single_layer.spike_decoding import strict_decision
from memristive.spice.session import NgspiceMissing, NgspiceSession, SimulationError, Solver, netlist_text
from snn_circuit import state_names
from studies.engine_agreement import Network, compare_leads, compare_scores, compare_writes, networks, tested
from studies.training_agreement import COURSES, compare_training

VOLTAGE_BOUND = 1e-3  # of the on-cells' voltage
TIGHT_TRAINING = TRAINING.tightened(2)  # it is near the tightest that ngspice can follow already
SPIKE_BOUND = 1e-6  # s
PROGRAM_BOUND = 1e-3  # V
DECISIONS_BOUND = 10  # of the 10,000 test images: those that the engines may decide differently
ACCURACY_BOUND = 0.3  # points of accuracy
CHANGED_BOUND = 0.5  # % of the images: those that may be decided differently
ALIKE_BOUND = 1e-2  # of the presentations of a training on both engines: those that may be decided differently
STATE_BOUND = 0.3e-3  # V, after one presentation from the same states
WIDTH = 80  # characters of a comparison's name
ALL_SPIKES = 1000  # more than there are neurons: read to the end of the pulse


@dataclass(frozen=True)
class Row:
    """What a comparison found: its largest change, which must not exceed the bound."""

    name: str
    change: float
    bound: float
    unit: str

    @property
    def broken(self) -> bool:
        """Whether the bound is exceeded, or the change no number at all."""
        return not self.change <= self.bound


Comparison = Callable[[NgspiceSession, argparse.Namespace], Iterable[Row]]


def experiments() -> list[Experiment]:
    """The paper's three experiments."""
    return [xpue_experiment(), digits_experiment(), mnist_experiment()]


def experiments_converge(session: NgspiceSession, options: argparse.Namespace) -> Iterable[Row]:
    """Training and inference as usual and tightened."""
    for experiment in experiments():
        parameters, schedule, patterns = experiment.network, experiment.schedule, experiment.dataset.patterns

        def watch(runs: Iterable, name: str = experiment.name, count: int = len(patterns)) -> Iterable:
            return progress(runs, count, f"{name}, tightened", "class")

        usual = train_hebbian(session, parameters, schedule, patterns).states
        tight = train_hebbian(session, parameters, schedule, patterns, TIGHT_TRAINING, watch).states
        bound = VOLTAGE_BOUND * float(usual[patterns > 0].mean())
        yield Row(f"{experiment.name}: trained voltages", float(np.abs(tight - usual).max()), bound, "V")
        spikes = infer(session, parameters, schedule, usual, patterns).spikes
        exact = infer(session, parameters, schedule, usual, patterns, READING.tightened(), watch).spikes
        yield Row(f"{experiment.name}: spike times", largest(spikes, exact) * 1e6, SPIKE_BOUND * 1e6, "us")


def reads_converge(session: NgspiceSession, options: argparse.Namespace) -> Iterable[Row]:
    """Reads of test images as the test script does them, tightened, and by the closed form."""
    for network in networks():
        experiment, count = network.experiment, options.images
        images = network.images(count)
        usual, tight = (Reader(session, experiment.network, experiment.schedule, 10, solver)
                        for solver in (READING, READING.tightened()))
        spikes = np.array([usual.spikes(network.states, image, WANTED) for image in images])
        exact = np.array([tight.spikes(network.states, image, ALL_SPIKES)
                          for image in progress(images, count, f"{network.name}, tightened", "image")])
        yield Row(f"{network.name}: spikes of {count} test images", largest(spikes, waited_for(spikes, exact)) * 1e6,
                  SPIKE_BOUND * 1e6, "us")
        _, share = compare_leads(network, exact)
        yield Row(f"{network.name}: the closed form's leads, / (5 ns + 0.2 %)", share, 1.0, "")


def accuracies_converge(session: NgspiceSession, options: argparse.Namespace) -> Iterable[Row]:
    """Accuracies and decisions of test images, everything as usual against training and reading tightened."""
    labels = load_mnist("y_test", first=options.decisions)["y_test"]
    for network in networks():
        experiment, images = network.experiment, network.images(options.decisions)
        tight = network.states
        if network.rule == "hebbian":
            tight = train_hebbian(session, experiment.network, experiment.schedule, experiment.dataset.patterns,
                                  TIGHT_TRAINING).states
        usual, exact = (np.array([strict_decision(times, network.resolution) for times in read(network, states, images, solver)])
                        for states, solver in ((network.states, READING), (tight, READING.tightened())))
        gained = abs(float(np.mean(usual == labels) - np.mean(exact == labels)))
        yield Row(f"{network.name}: accuracy on {len(labels)} test images", 100 * gained, ACCURACY_BOUND, "points")
        yield Row(f"{network.name}: decisions on {len(labels)} test images", 100 * float(np.mean(usual != exact)),
                  CHANGED_BOUND, "%")


def read(network: Network, states: np.ndarray, images: np.ndarray, solver: Solver) -> np.ndarray:
    """First spike times in s of `images` on all cores, with a progress bar."""
    experiment = network.experiment
    with progress(range(len(images)), len(images), f"{network.name}{', tightened' * (solver != READING)}", "image") as bar:
        return read_all(experiment.network, experiment.schedule, states, images, worker_count(),
                        watch=lambda indices, _: bar.update(len(indices)), report=bar.write, solver=solver)


def engines_decide_alike(session: NgspiceSession, options: argparse.Namespace) -> Iterable[Row]:
    """The closed form against the results of all test images that ngspice's tests left in figures/."""
    for network in networks():
        scores = load_results(ROOT / "figures", tested(network.name))
        yield Row(f"{network.name}: images right, silent or tied of {scores['samples']}, both engines",
                  compare_scores(network, scores), DECISIONS_BOUND, "")


def engines_write_alike(session: NgspiceSession, options: argparse.Namespace) -> Iterable[Row]:
    """Random writes on both engines."""
    _, share = compare_writes(session, options.writes)
    yield Row(f"{options.writes} writes on both engines, / (0.15 mV + 0.2 % of the dose)", share, 1.0, "")


def engines_learn_alike(session: NgspiceSession, options: argparse.Namespace) -> Iterable[Row]:
    """A training of a few presentations, each from the same states on both engines."""
    found = compare_training(session, options.presentations, COURSES[0])
    yield Row(f"{options.presentations} presentations on both engines: decided differently",
              1 - found["decided_alike"] / options.presentations, ALIKE_BOUND, "")
    yield Row(f"{options.presentations} presentations on both engines: states after each", found["states_differ_by_at_most"],
              STATE_BOUND, "V")


def program_agrees(session: NgspiceSession, options: argparse.Namespace) -> Iterable[Row]:
    """Trained voltages from the session against ngspice's own program, on the netlist that --netlist writes."""
    for experiment in experiments():
        parameters, schedule, patterns = experiment.network, experiment.schedule, experiment.dataset.patterns
        cells = state_names(*patterns.shape)
        states = train_hebbian(session, parameters, schedule, patterns, whole=True).states
        text = netlist_text(hebbian_network(parameters, schedule, patterns), TRAINING, schedule.stop(len(patterns)), cells, cells)
        program = run_program(text, cells).reshape(patterns.shape)
        yield Row(f"{experiment.name}: against the ngspice program", float(np.abs(states - program).max()), PROGRAM_BOUND, "V")


COMPARISONS: list[Comparison] = [experiments_converge, reads_converge, accuracies_converge, engines_decide_alike,
                                 engines_write_alike, engines_learn_alike, program_agrees]


def main(arguments: list[str] | None = None) -> int:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "the training and inference scripts write the netlists verified here",
                                   "--voltages": "the committed voltages are verified"})
    for option, count, meaning in (("--images", 50, "MNIST test images read tightly, of each voltages file"),
                                   ("--decisions", 2000, "MNIST test images decided as usual and tightened, by each network"),
                                   ("--writes", 1000, "random writes done by both engines"),
                                   ("--presentations", 200, "length of the training that both engines do")):
        parser.add_argument(option, type=whole_number(1, 10000), default=count, metavar="N", help=f"{meaning} (default: {count})")
    options = parser.parse_args(arguments)
    made_with = {"training": TIGHT_TRAINING.as_dict(), "reading": READING.tightened().as_dict(),
                 **{name: getattr(options, name) for name in ("images", "decisions", "writes", "presentations")}}
    if shutil.which("ngspice") is None:
        raise NgspiceMissing("the program ngspice was not found (Debian, Ubuntu: apt-get install ngspice)")
    files = [(results_path(options.figures, "verify"), made_with)]
    with claimed(files, (), options.force), earlier_kept(options.figures, "verify"):
        return _verify(options, made_with)


def _verify(options: argparse.Namespace, made_with: dict[str, Any]) -> int:
    """Make all comparisons, print and keep each; the exit code."""
    session = NgspiceSession()
    rows: list[Row] = []
    for comparison in COMPARISONS:
        for row in comparison(session, options):
            if not rows:
                print(f"{'comparison':<{WIDTH}}  {'largest change':>16}  {'bound':>10}")
            print(f"{row.name:<{WIDTH}}  {row.change:>13.5g} {row.unit:<2}  {row.bound:>7.4g} {row.unit:<2} "
                  f"{'  BROKEN' if row.broken else ''}".rstrip(), flush=True)
            rows.append(row)
            found = [{"experiment": row.name, "largest_change": row.change, "bound": row.bound, "unit": row.unit} for row in rows]
            written = write_results(options.figures, "verify", session, made_with, {"rows": found})
    print(f"wrote {written}")
    return 1 if any(row.broken for row in rows) else 0


def largest(spikes: np.ndarray, exact: np.ndarray) -> float:
    """Largest change of a spike time in s; infinite if a neuron fires in one and not in the other, nan if none fires at all."""
    if not np.array_equal(np.isnan(spikes), np.isnan(exact)):
        return np.inf
    changes = np.abs(spikes - exact)[np.isfinite(spikes)]
    return float(changes.max()) if changes.size else np.nan


def waited_for(spikes: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The `exact` spikes that usual reads, which saw `spikes` (both images x classes, s), had to see as well; else nan.

    A read that saw `WANTED` ended with the last of them; one that saw fewer went on until no other neuron would fire.
    """
    ended = np.sum(~np.isnan(spikes), axis=1, keepdims=True) >= WANTED
    late = np.isnan(spikes) & ended & (exact > np.fmax.reduce(spikes, axis=1, keepdims=True) - SPIKE_BOUND)
    return np.where(late, np.nan, exact)


def run_program(text: str, nodes: list[str]) -> np.ndarray:
    """The last value of `nodes` when ngspice's command line program runs a netlist unchanged. Raises SimulationError."""
    with tempfile.TemporaryDirectory() as folder:
        netlist = Path(folder) / "circuit.cir"
        netlist.write_text(text)
        done = subprocess.run(["ngspice", "-n", "-b", str(netlist)], capture_output=True, text=True)
    columns: list[str] = []
    last: dict[str, float] = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if words[:1] == ["Index"]:
            columns = words[1:]
        elif columns and len(words) == len(columns) + 1 and words[0].isdigit():
            last.update(zip(columns, map(float, words[1:]), strict=True))
    if done.returncode or not all(node in last for node in nodes):
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split()[-30:])
        raise SimulationError(f"the program ngspice ended with {done.returncode} or without the states: {said}")
    return np.array([last[node] for node in nodes])


if __name__ == "__main__":
    sys.exit(run(main))
