"""Compare ngspice with the closed form: reads, writes and trainings of the same networks in both
engines.

reads: three networks of one layer that the repository contains. The closed form reads the test
images, and its spikes are compared with those that MNIST_memristor_test.py recorded. ngspice reads
a few images again with tolerances and longest step divided by ten, and with ever shorter steps.
Random writes are compared, too. Writes results/one_layer/engines.json and figures/engines.png in 5
minutes. layers: both engines read test images with a network that studies.layers wrote. Writes
results/layers/layers_in_ngspice_NAME.json. With 200 hidden neurons an image takes a third of a
second. Ctrl-C saves a checkpoint for --resume. layers-training: a network of several layers is
trained. The closed form makes the first presentations, and both engines go on from there. Writes
results/layers/layers_in_step_NAME.json. MNIST with 100 hidden neurons and 500 presentations takes
five minutes.

A training is compared in two courses. "In step": before each presentation the closed form gets
ngspice's states, so differences do not add up. "Free": both engines start from the same states and
go on alone, so one decision that differs changes all later writes.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

import plotting
from datasets import DATASETS, Dataset, Images, matching_dataset, mnist
from memristive.cli.reading import NEURONS, ranges, read_range
from memristive.cli.script import (
    Parser,
    Record,
    add_resume,
    keep_apart,
    make_parser,
    print_rows,
    progress,
    run,
)
from memristive.engines.engine import NgspiceNetwork
from memristive.engines.ngspice_layer import NgspiceLayer
from memristive.engines.solvers import READING_LAYERS
from memristive.io.records import FileProblem, load_decisions
from memristive.io.voltages import describe_network, load_network, load_voltages
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, present, train, write_generator
from memristive.network.crossbar import Crossbar
from memristive.network.design import Setup
from memristive.network.networks import Network
from memristive.parameters import ParameterError
from memristive.scores.checks import warn_of_layers
from memristive.scores.decisions import (
    RESOLUTION,
    decide,
    deviations,
    end_of_read,
    largest_deviation,
    lead,
    resolution_of,
    score_row,
)
from memristive.spice.session import Solver, temporary_circuits
from memristive.writing.at_once import ColumnDose

NETWORKS = {
    "mnist": "Hebbian",
    "mnist_error_driven": "error-driven, binary",
    "mnist_error_driven_grey": "error-driven, grey",
}
# s, share of the lead: their sum bounds the difference of two leads
LEAD_BOUND, LEAD_SHARE = 5e-9, 2e-3
# V, share of the dose: their sum bounds the difference of two written states
WRITE_BOUND, WRITE_SHARE = 0.15e-3, 2e-3
# s, steps of ngspice; those of membranes are five times as long
STEPS = (8e-6, 4e-6, 2e-6, 1e-6, 0.4e-6, 0.2e-6)
LATEST = 300e-6  # s: later spikes are left out, because they need many steps and decide nothing
# of a whole training of several layers, over which the doses fall linearly to zero
PRESENTATIONS = 60_000
Spikes = Sequence[np.ndarray]  # first spikes in s of each layer, images x neurons


def main(arguments: list[str] | None = None) -> None:
    """Run one of the comparisons."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, folder: str, run_it: Callable[[argparse.Namespace], None]) -> Parser:
        part = commands.add_parser(
            name,
            help=run_it.__doc__,
            parents=[make_parser(None, folder, parameters=False)],
            add_help=False,
            allow_abbrev=False,
        )
        part.set_defaults(run_it=run_it)
        return part

    part = command("reads", "one_layer", agree_on_reads)
    part.add_common("--samples", 200, "with tightened tolerances; default: 200")
    part.add_number("--writes", 1, 10**6, 1000, "random writes")
    part = add_resume(command("layers", "layers", agree_on_layers))
    part.add_argument("--data", choices=DATASETS, default="mnist", help="dataset (default: mnist)")
    part.add_argument(
        "--voltages", type=Path, metavar="FILE", help="network (default: voltages/layers_NAME.json)"
    )
    part.add_common("--samples", 200)
    part = command("layers-training", "layers", agree_on_layers_training)
    part.add_argument("--data", choices=DATASETS, default="mnist", help="dataset (default: mnist)")
    part.add_common("--hidden", [100], "default: 100")
    part.add_number("--after", 0, 10**9, 20_000, "presentations before, in closed form")
    part.add_number("--stretch", 1, 10**9, 500, "presentations in ngspice")
    options = parser.parse_args(arguments)
    options.run_it(options)


# Reads and writes of one layer


@dataclass(frozen=True)
class Trained:
    """Trained network of one layer that the repository contains."""

    name: str
    states: np.ndarray  # classes x inputs, V
    setup: Setup
    dataset: Dataset
    rule: str

    @cached_property
    def exact(self) -> np.ndarray:
        """Spike times in s of the test images in closed form, images x classes."""
        return Crossbar.of(self.setup).first_spikes(self.states, self.dataset.test.levels)

    def decisions(self, spikes: np.ndarray) -> np.ndarray:
        """Return the strict decisions (images) for first spike times (images x classes, s)."""
        return decide(spikes, resolution_of(self.rule, self.setup.neuron))[0]


def networks() -> list[Trained]:
    """Return the trained networks of one layer that the repository contains."""
    voltages = {name: load_voltages(f"voltages/{name}.json", "mnist", 10, 100) for name in NETWORKS}
    return [
        Trained(name, found.states, found.setup(), mnist(encoding=found.encoding), found.rule)
        for name, found in voltages.items()
    ]


def agree_on_reads(options: argparse.Namespace) -> None:
    """Compare reads and writes of one layer."""
    record = Record(
        options,
        "engines",
        {
            "tight": READING_LAYERS.tightened().as_dict(),
            "images": options.samples,
            "steps_us": [step * 1e6 for step in STEPS],
        },
    )
    compared = [(network, ngspice_spikes(network, options.results)) for network in networks()]

    # 1. Reads: usual ones, tightened ones, and ever shorter steps.
    rows, steps, drawn = [], [], []
    for network, spikes in compared:
        tight = read(
            network, options.samples, READING_LAYERS.tightened(), f"{network.name}, tightened"
        )
        (difference, share), usual = compare_leads(tight, network.exact), spikes[: len(tight)]
        changed = largest_deviation(usual, tight, network.setup.schedule.pulse)
        computed = network.decisions(network.exact[: len(spikes)])
        rows.append(
            {
                "network": network.name,
                "images": len(spikes),
                "decisions_that_differ": int(np.sum(network.decisions(spikes) != computed)),
                "leads_differ_max_ns": compare_leads(spikes, network.exact)[0] * 1e9,
                "tight_images": len(tight),
                "tight_leads_differ_max_ns": difference * 1e9,
                "tight_leads_share_of_bound": share,
                "decisions_that_tolerances_change": int(
                    np.sum(network.decisions(usual) != network.decisions(tight))
                ),
                "spikes_that_tolerances_change_max_ns": (changed or 0.0) * 1e9,
            }
        )
        errors = [error * 1e9 for error in compare_steps(network, min(20, options.samples))]
        steps += [
            {"network": network.name, "step_us": step * 1e6, "rms_difference_ns": error}
            for step, error in zip(STEPS, errors, strict=True)
        ]
        drawn.append((network.exact[: len(tight)], tight, errors))

    # 2. Writes.
    largest, largest_share = compare_writes(options.writes)
    writes = {
        "count": options.writes,
        "cells_differ_max_V": largest,
        "share_of_bound": largest_share,
    }

    # 3. Save, print, plot.
    record.write({"rows": rows, "steps": steps, "writes": writes})
    print(pd.DataFrame(rows).set_index("network").T.to_string(float_format="{:.4g}".format))
    print(
        f"{options.writes} writes: cells differ by up to {largest * 1e3:.3f} mV, "
        f"{largest_share:.2f} of the bound"
    )
    record.plot(engines_figure(drawn))


def ngspice_spikes(network: Trained, folder: Path) -> np.ndarray:
    """Load ngspice's spike times (images x classes, s) from the record of MNIST_memristor_test.py
    in a folder.

    Raises FileProblem if it is missing.
    """
    path = folder / f"{network.name.replace('mnist', 'mnist_test')}_decisions.csv.gz"
    if not path.exists():
        raise FileProblem(
            f"{path} does not exist: run MNIST_memristor_test.py --voltages "
            f"voltages/{network.name}.json first"
        )
    return load_decisions(path).filter(like="spike_").to_numpy() * 1e-6


def compare_leads(spikes: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """Compare the leads of ngspice's `spikes` with those of the closed form, `exact` (images x
    classes, s).

    Returns the largest difference in s, and the largest ratio of a difference to its allowed bound,
    which follows from `LEAD_BOUND` and `LEAD_SHARE`. Both are infinite if an image has a lead in
    one engine only.
    """
    leads = np.array(
        [[lead(times) for times in engine] for engine in (spikes, exact[: len(spikes)])]
    )
    finite = np.isfinite(leads)  # infinite: a single neuron fires; nan: none
    if not np.array_equal(finite[0], finite[1]):
        return np.inf, np.inf
    differences, bounds = (
        np.ptp(leads[:, finite[0]], axis=0),
        LEAD_BOUND + LEAD_SHARE * leads[1, finite[0]],
    )
    return float(differences.max(initial=0.0)), float((differences / bounds).max(initial=0.0))


def compare_steps(network: Trained, count: int) -> list[float]:
    """Compare spike times of the first `count` test images between the engines.

    Returns the root mean square difference in s for each entry of `STEPS`, the longest time steps
    that ngspice may take.
    """
    found, exact = [], network.exact[:count]
    for step in STEPS:
        spikes = read(
            network,
            count,
            dataclasses.replace(READING_LAYERS, max_step=step),
            f"steps of {step:g} s",
        )
        used = np.isfinite(spikes) & (exact < LATEST)
        found.append(float(np.sqrt(np.mean((spikes - exact)[used] ** 2))))
    return found


def read(network: Trained, count: int, solver: Solver, description: str) -> np.ndarray:
    """Read the first `count` test images in ngspice; return the spike times in s, count x
    classes.
    """
    reader = NgspiceLayer(Network.of(network.setup, network.states).layers[0], solver)
    return np.array(
        [
            reader.read(network.states, image, NEURONS)[0]
            for image in progress(network.dataset.test.levels[:count], count, description, "image")
        ]
    )


def compare_writes(count: int) -> tuple[float, float]:
    """Make `count` random writes in both engines: states of 2 to 5 V, doses of 0.2 to 200 mV up and
    down, grey images.

    Returns the largest difference of a cell in V, and the largest ratio of a difference to its
    bound (`WRITE_BOUND`, `WRITE_SHARE`).
    """
    setup, generator = mnist().setup, np.random.default_rng(1)
    crossbar, (layer,) = Crossbar.of(setup), Network.of(setup, np.zeros((1, 100))).layers
    writer, rate = NgspiceLayer(layer), layer.write_rate
    largest = largest_share = 0.0
    for _ in progress(range(count), count, "random writes", "write"):
        column = generator.uniform(2.0, 5.0, 100)
        image = np.where(generator.random(100) < 0.5, generator.random(100), 0.0)
        dose, sign = (
            float(np.exp(generator.uniform(np.log(0.2e-3), np.log(0.2)))),
            int(generator.choice([1, -1])),
        )
        written = writer.write(column[None], [ColumnDose(0, sign * dose, image)], generator)
        difference = float(
            np.abs(written[0] - crossbar.write(column, image, sign, dose / rate)).max()
        )
        largest, largest_share = (
            max(largest, difference),
            max(largest_share, difference / (WRITE_BOUND + WRITE_SHARE * dose)),
        )
    return largest, largest_share


def engines_figure(networks: list[tuple[np.ndarray, np.ndarray, list[float]]]) -> Figure:
    """Draw spike times of both engines, their difference, and how this difference falls with
    ngspice's longest step.

    `networks` holds for each network its spikes (images x classes, s) in closed form and with
    ngspice's tightened tolerances, and the results of `compare_steps` in ns.
    """
    figure = plt.figure(figsize=(plotting.WIDTH, 5.2))
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2), height_ratios=(3, 2))
    both = figure.add_subplot(grid[0, 0])
    difference = figure.add_subplot(grid[1, 0], sharex=both)
    falling = figure.add_subplot(grid[:, 1])
    for (exact, tight, errors), label, colour, marker in zip(
        networks, NETWORKS.values(), plotting.COLOURS, "osv", strict=False
    ):
        used = np.isfinite(exact) & np.isfinite(tight) & (exact < LATEST)
        x, y = exact[used] * 1e6, tight[used] * 1e6
        both.plot(x, y, marker, color=colour, markersize=3, label=label)
        difference.plot(x, (y - x) * 1e3, marker, color=colour, markersize=2)
        falling.loglog(np.array(STEPS) * 1e6, errors, marker + "-", color=colour)
    both.set(ylabel="spike in ngspice (µs)", title="Two engines, one circuit")
    both.legend()
    difference.set(xlabel="spike in the closed form (µs)", ylabel="difference (ns)")
    falling.set(
        xlabel="ngspice's largest step (µs)",
        ylabel="difference, root mean square (ns)",
        title="Smaller steps",
    )
    falling.xaxis.set(
        major_locator=LogLocator(subs=(1, 2, 5)),
        major_formatter="{x:g}",
        minor_locator=NullLocator(),
    )
    falling.yaxis.set_major_formatter("{x:g}")
    for axis in (difference, falling):
        axis.grid(alpha=0.3)
    return figure


# Reads of several layers


def agree_on_layers(options: argparse.Namespace) -> None:
    """Compare reads of a network of several layers."""
    # 1. The network, and images that it has not seen.
    path = options.voltages or Path(f"voltages/layers_{options.data}.json")
    keep_apart(options, path)
    network, rule, voltages = load_network(path, options.data)
    dataset = matching_dataset(options.data, voltages.shape[0], rule.seed if rule else 1)
    images, labels = dataset.test.first(options.samples)
    record = Record(
        options,
        f"layers_in_ngspice_{path.stem.removeprefix('layers_')}",
        {
            "voltages": path,
            "samples": len(images),
            **describe_network(dataset.name, dataset.shape, network, rule, voltages.engine),
        },
        others=[path],
    )
    warn_of_layers(network, images, labels=labels, name=path.stem)

    # 2. Read all images, and compare spikes and decisions with the closed form.
    tasks = ranges(network, images)
    parts = record.run_tasks(read_range, tasks, [len(task.images) for task in tasks])
    found = [
        np.vstack([np.array(part, float) for part in layer]) for layer in zip(*parts, strict=True)
    ]
    exact = network.forward(images)
    rows, differing = compare_layers(found, exact, network.design.window)
    scores = {"ngspice": score_row(labels, found[-1]), "closed_form": score_row(labels, exact[-1])}
    record.write({"rows": rows, "decided_differently": differing, **scores})
    print_rows(rows)
    print_rows(differing)
    print_rows([{"engine": engine, **row} for engine, row in scores.items()])


def compare_layers(
    spikes: Spikes, exact: Spikes, window: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare first spikes of each layer (images x neurons, s) in ngspice, `spikes`, and in closed
    form, `exact`.

    Returns a row for each layer with its differences, and a row for each image that the engines
    decide differently. A read ends at its second output spike, or after the `window` (s). If only
    one engine has a spike, the other engine's neuron can only have fired after the end of its read.
    The difference counts from there.
    """
    ends = [end_of_read(times[-1], window) for times in (spikes, exact)]
    largest = np.transpose(
        [
            np.fmax.reduce(deviations(one, two, *ends), axis=1, initial=0.0)
            for one, two in zip(spikes, exact, strict=True)
        ]
    )
    differing = np.flatnonzero(
        decide(spikes[-1], RESOLUTION)[0] != decide(exact[-1], RESOLUTION)[0]
    )
    rows = [
        {
            "read": "layer by layer",
            "compared_with": "closed form",
            "layer": layer,
            "images": len(largest),
            "largest_difference_s": most,
            "mean_largest_difference_s": mean,
            "decided_differently": len(differing),
        }
        for layer, (most, mean) in enumerate(
            zip(largest.max(axis=0), largest.mean(axis=0), strict=True), 1
        )
    ]
    return rows, [{"image": int(k), "lead_s": lead(exact[-1][k])} for k in differing]


# Trainings


def agree_on_layers_training(options: argparse.Namespace) -> None:
    """Compare a part of a training of several layers."""
    # 1. Data, rule and network.
    dataset = matching_dataset(options.data)
    rule = dataclasses.replace(dataset.layer_rule, presentations=PRESENTATIONS)
    if options.after + options.stretch > PRESENTATIONS:
        raise ParameterError(
            f"--after and --stretch must add up to at most {PRESENTATIONS}, got {options.after} "
            f"and {options.stretch}"
        )
    images, labels = dataset.training
    network = initial_network(tuple(options.hidden), len(dataset.labels), images, rule)
    record = Record(
        options,
        f"layers_in_step_{dataset.name}",
        {
            **describe_network(dataset.name, dataset.shape, network, rule),
            "after": options.after,
            "stretch": options.stretch,
        },
    )

    # 2. The closed form makes the first presentations, then both engines go on.
    start = Learning.start(network, rule)
    if options.after:
        steps = train(start, rule, images, labels, block=options.after)
        next(done for done, _ in steps if done == options.after)
    warn_of_layers(
        start.network, images, labels=labels if options.after else None, name=dataset.name
    )
    with temporary_circuits():
        circuits = NgspiceNetwork(start.network)

        def in_ngspice(learning: Learning) -> None:
            index = rule.order(len(labels), learning.done, learning.done + 1)[0]
            present(
                learning,
                rule,
                circuits,
                images[index],
                int(labels[index]),
                write_generator(rule, learning.done),
            )

        results = compare_training(start, in_ngspice, rule, dataset.training, options.stretch)

    # 3. Save and print.
    record.write(results)
    print_rows(results["rows"])
    print_rows(results["different"])


def compare_training(
    start: Learning,
    in_ngspice: Callable[[Learning], Any],
    rule: LayeredRule,
    training: Images,
    count: int,
) -> dict[str, Any]:
    """Train with the same `count` presentations in both engines, in step and free (see the
    beginning of this file).

    `in_ngspice` makes one presentation in ngspice and updates the training that it gets.

    Returns
    -------
    dict
        `rows`: for each course (in step, free) and layer, the largest difference of states between
        the engines. In step this is the largest one after any presentation that both engines decide
        alike; free it is the one after the last presentation. Cells that do not conduct before and
        after are listed apart, because ngspice writes them differently (docs/closed_form.md).
        `different`: the presentations that the engines decide differently; for the course "free"
        only the first of them. `answered_right`, `wrote`: numbers of presentations in ngspice that
        were right, and that wrote.
    """

    def in_closed_form(learning: Learning) -> None:
        next(train(learning, rule, *training, block=1))

    circuit, free, threshold = start, start, start.network.parameters.memristor.threshold_voltage
    apart = {course: np.zeros((len(start.network.states), 2)) for course in ("in step", "free")}
    alike, different = dict.fromkeys(apart, 0), list[dict[str, Any]]()
    for k in progress(range(start.done, start.done + count), count, "training in ngspice", "image"):
        before = {"in step": circuit, "free": free}
        after = {course: advanced(in_closed_form, learning) for course, learning in before.items()}
        simulated = advanced(in_ngspice, circuit)
        for course, learning in before.items():
            same = decision(circuit, simulated) == decision(learning, after[course])
            alike[course] += same
            if same and course == "in step":
                apart[course] = np.maximum(
                    apart[course], differences(simulated, after[course], circuit, threshold)
                )
            if not same and (course == "in step" or k - start.done + 1 == alike[course] + 1):
                index = rule.order(len(training.labels), k, k + 1)[0]
                spikes = learning.network.first_spikes(training.levels[index][None])[0]
                different.append(
                    {
                        "course": course,
                        "presentation": k,
                        **gaps(spikes, int(training.labels[index])),
                    }
                )
        circuit, free = simulated, after["free"]
    apart["free"], moved = (
        differences(circuit, other, start, threshold) for other in (free, start)
    )
    rows = [
        {
            "course": course,
            "layer": layer,
            "presentations": count,
            "decided_alike": alike[course],
            "states_moved_max_V": most.max(),
            "states_differ_max_V": conducting,
            "not_conducting_differ_max_V": not_conducting,
        }
        for course, layers in apart.items()
        for layer, (most, (conducting, not_conducting)) in enumerate(
            zip(moved, layers, strict=True), 1
        )
    ]
    right, wrote = circuit.history[start.done : start.done + count].sum(axis=0).tolist()
    return {"rows": rows, "different": different, "answered_right": right, "wrote": wrote}


def advanced(present: Callable[[Learning], Any], learning: Learning) -> Learning:
    """Return a copy of the training `learning` after one more presentation, which `present`
    makes.
    """
    result = dataclasses.replace(learning, history=learning.history.copy())
    present(result)
    return result


def decision(before: Learning, after: Learning) -> tuple[bool, list[int]]:
    """Return the outcome of the presentation between the trainings `before` and `after`: True if
    the answer was right, and the indices of the output columns that were written.
    """
    written = (after.network.states[-1] != before.network.states[-1]).any(axis=1)
    return bool(after.history[before.done, 0]), np.flatnonzero(written).tolist()


def gaps(times: np.ndarray, label: int) -> dict[str, float]:
    """Return two times in s: from the label's spike to the first wrong spike, and from there to the
    second wrong spike.

    A wrong neuron that stays silent counts as one that fires at infinity.
    """
    others = np.sort(np.nan_to_num(np.append(np.delete(times, label), np.nan), nan=np.inf))
    return {
        "lead_s": float(others[0] - times[label]),
        "among_others_s": float(others[1] - others[0]),
    }


def differences(one: Learning, other: Learning, before: Learning, threshold: float) -> np.ndarray:
    """Return each layer's largest difference of states in V (layers x 2) between `one` training and
    the `other`.

    The first column covers cells that conduct in both trainings and in the one `before`, which
    means that X is above the `threshold` (V). The second column covers all other cells.
    """
    found = []
    for a, b, was in zip(
        one.network.states, other.network.states, before.network.states, strict=True
    ):
        conducting = np.minimum(np.minimum(a, b), was) > threshold
        found.append(
            [np.abs(a - b).max(initial=0.0, where=cells) for cells in (conducting, ~conducting)]
        )
    return np.array(found)


if __name__ == "__main__":
    run(main)
