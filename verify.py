"""Convergence and agreement: each experiment with tightened tolerances, ngspice against the closed form, and ngspice's program.

Tightened means all tolerances and steps a tenth (of the training, which is tight already: a half). Prints the largest change
of each comparison beside its bound; the exit code is 1 if a bound is broken. Writes results/verify.json. About 8 minutes.

--images: test images of each MNIST network read as usual and tightened. --decisions: test images decided as usual and
tightened. --writes: random writes on both engines. --presentations: length of a training on both engines.
"""

import dataclasses
import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from datasets import Dataset, digits_012345, mnist, xpue
from memristive.cli.main import run
from memristive.cli.options import make_parser
from memristive.cli.parallel_reads import NEURONS, read_images
from memristive.cli.progress import progress
from memristive.io.files import check_overwriting, report
from memristive.io.results import load_results, write_results
from memristive.learning.hebbian import hebbian_netlist, infer, train_hebbian
from memristive.network.scores import deviations, summary
from memristive.network.solvers import READING, TRAINING
from memristive.spice.errors import NgspiceMissing, SimulationError
from snn_circuit import state_names
from studies.agreement import Network, compare_leads, compare_training, compare_writes, networks, one_layer, read

VOLTAGE_BOUND = 1e-3  # of the voltage of trained cells
TIGHT_TRAINING = TRAINING.tightened(2)  # ngspice can hardly follow tighter tolerances
SPIKE_BOUND = 1e-6  # s
PROGRAM_BOUND = 1e-3  # V
DECISIONS_BOUND = 10  # test images of 10,000 that the engines may decide differently
ACCURACY_BOUND = 0.3  # percentage points
CHANGED_BOUND = 0.5  # % of the images that may be decided differently
ALIKE_BOUND = 1e-2  # share of the presentations of a training that the engines may decide differently
STATE_BOUND = 0.3e-3  # V, after one presentation from the same states
ALL_SPIKES = 1000  # more than there are neurons: read to the end of the pulse

COUNTS = {"images": 50, "decisions": 2000, "writes": 1000, "presentations": 200}
EXPERIMENTS = (xpue(), digits_012345(), mnist())
Row = tuple[str, float, float, str]  # name, largest change, its bound, unit


def main(arguments: list[str] | None = None) -> int:
    """Make all comparisons, print and save them."""
    parser = make_parser(__doc__, parameters=False)
    for option, count in COUNTS.items():
        parser.add_number(f"--{option}", 1, 10_000, count, f"number of {option}")
    options = parser.parse_args(arguments)
    if shutil.which("ngspice") is None:
        raise NgspiceMissing("the program ngspice was not found (Debian, Ubuntu: apt-get install ngspice)")
    record = options.results / "verify.json"
    parameters = {name: getattr(options, name) for name in COUNTS}
    check_overwriting(record, parameters, options.force)

    rows = check(itertools.chain(
        *map(experiment_converges, EXPERIMENTS),
        *(reads_converge(network, options.images) for network in networks()),
        *(accuracy_converges(network, options.decisions) for network in networks()),
        *map(engines_decide_alike, networks()),
        engines_write_alike(options.writes),
        engines_learn_alike(options.presentations),
        *map(program_agrees, EXPERIMENTS)))
    write_results(record, parameters, {"rows": rows})
    return int(any(row["broken"] for row in rows))


def check(comparisons: Iterable[Row]) -> list[dict[str, Any]]:
    """Print each comparison as soon as it is made; return the rows of the record."""
    rows = []
    for name, change, bound, unit in comparisons:
        broken = not change <= bound  # also nan
        report(f"{name:<75}  {change:>10.5g} {unit:<6}  bound {bound:.4g} {'  BROKEN' * broken}".rstrip())
        rows.append({"comparison": name, "largest_change": change, "bound": bound, "unit": unit, "broken": broken})
    return rows


def experiment_converges(dataset: Dataset) -> Iterator[Row]:
    """Compare training and inference as usual and tightened."""
    setup, patterns, name = dataset.setup, dataset.patterns, dataset.name
    watch = partial(progress, total=len(patterns), description=name, unit="class")
    usual, tight = (train_hebbian(setup, patterns, solver, watch).states for solver in (TRAINING, TIGHT_TRAINING))
    bound = VOLTAGE_BOUND * float(usual[patterns > 0].mean())
    yield f"{name}: trained voltages", float(np.abs(tight - usual).max()), bound, "V"
    spikes = infer(setup, usual, patterns).spikes
    exact = infer(setup, usual, patterns, READING.tightened(), watch).spikes
    yield f"{name}: spike times", largest_change(spikes, exact, setup.schedule.pulse) * 1e6, SPIKE_BOUND * 1e6, "us"


def reads_converge(network: Network, count: int) -> Iterator[Row]:
    """Compare reads of test images as usual, tightened, and in closed form."""
    spikes = read(network, count, READING, network.name)
    exact = read(network, count, READING.tightened(), f"{network.name}, tightened", ALL_SPIKES)
    change = largest_change(spikes, exact, network.setup.schedule.pulse)
    yield f"{network.name}: spikes of {count} test images", change * 1e6, SPIKE_BOUND * 1e6, "us"
    yield f"{network.name}: leads in closed form, / (5 ns + 0.2 %)", compare_leads(network, exact)[1], 1.0, ""


def accuracy_converges(network: Network, count: int) -> Iterator[Row]:
    """Compare decisions on test images as usual, and with training and reads tightened."""
    images, labels, tight = network.images(count), network.dataset.test.labels[:count], network.states
    if network.rule == "hebbian":
        tight = train_hebbian(network.setup, network.dataset.patterns, TIGHT_TRAINING).states
    usual = network.decisions(read_images(network.setup, network.states, images))
    exact = network.decisions(read_images(network.setup, tight, images, solver=READING.tightened()))
    gained, changed = 100 * abs(np.mean(usual == labels) - np.mean(exact == labels)), 100 * np.mean(usual != exact)
    yield f"{network.name}: accuracy on {count} test images", float(gained), ACCURACY_BOUND, "points"
    yield f"{network.name}: decisions on {count} test images", float(changed), CHANGED_BOUND, "%"


def engines_decide_alike(network: Network) -> Iterator[Row]:
    """Compare the closed form with the committed scores of all test images in ngspice."""
    committed = load_results(f"results/{network.name.replace('mnist', 'mnist_test')}.json")
    count = committed["samples"]
    spikes = network.crossbar.first_spikes(network.states, network.images(count))
    found = summary(network.dataset.test.labels[:count], spikes, network.resolution)
    changes = [count * (found["strict_accuracy"] - committed["strict_accuracy"]),
               *(found[kind] - committed[kind] for kind in ("silent", "tied"))]
    yield (f"{network.name}: images right, silent or tied of {count}, both engines", round(max(map(abs, changes))),
           DECISIONS_BOUND, "")


def engines_write_alike(count: int) -> Iterator[Row]:
    """Compare random writes on both engines."""
    yield f"{count} writes on both engines, / (0.15 mV + 0.2 % of the dose)", compare_writes(count)[1], 1.0, ""


def engines_learn_alike(count: int) -> Iterator[Row]:
    """Compare a training, each presentation from the same states on both engines."""
    dataset = mnist()
    row = compare_training(one_layer(dataset, dataclasses.replace(dataset.rule, presentations=count)), count)["rows"][0]
    yield f"{count} presentations on both engines: decided differently", 1 - row["decided_alike"] / count, ALIKE_BOUND, ""
    yield f"{count} presentations on both engines: states after each", row["states_differ_max_V"], STATE_BOUND, "V"


def program_agrees(dataset: Dataset) -> Iterator[Row]:
    """Compare trained voltages with those of ngspice's program, on the netlist that --netlist writes."""
    states = train_hebbian(dataset.setup, dataset.patterns, whole=True).states
    program = run_program(hebbian_netlist(dataset.setup, dataset.patterns), state_names(*states.shape)).reshape(states.shape)
    yield f"{dataset.name}: against the ngspice program", float(np.abs(states - program).max()), PROGRAM_BOUND, "V"


def largest_change(spikes: np.ndarray, exact: np.ndarray, window: float) -> float:
    """Return the largest change in s from usual reads (images x classes, s) to `exact` ones; nan if no neuron fires.

    A usual read ends with its `NEURONS`th spike, with fewer at the end of the `window`, as exact ones do. So it may lack spikes
    that came after its end.
    """
    ends = np.nan_to_num(np.sort(spikes, axis=1)[:, NEURONS - 1], nan=window)
    changes = deviations(spikes, exact, ends, np.full(len(exact), window))
    return float(np.fmax.reduce(changes, axis=None))


def run_program(text: str, nodes: list[str]) -> np.ndarray:
    """Return the last values of `nodes` when ngspice's program runs a netlist. Raises SimulationError."""
    done = subprocess.run(["ngspice", "-n", "-b"], input=text, capture_output=True, text=True)
    columns: list[str] = []
    last: dict[str, float] = {}
    for words in map(str.split, done.stdout.splitlines()):
        if words[:1] == ["Index"]:
            columns = words[1:]
        elif columns and len(words) == len(columns) + 1 and words[0].isdigit():
            last.update(zip(columns, map(float, words[1:]), strict=True))
    if done.returncode or not last.keys() >= set(nodes):
        raise SimulationError(f"the program ngspice ended with {done.returncode}: {done.stderr.strip()[-200:]!r}")
    return np.array([last[node] for node in nodes])


if __name__ == "__main__":
    sys.exit(run(main))
