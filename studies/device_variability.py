"""Do weights survive a chip whose devices differ? Ex situ (carried to the chip) against in situ (learned on it), MNIST 10x10.

Monte Carlo in the closed form: ten chips for each spread of neurons, of cells, of both; stuck cells; read noise against the
rule's margin; write noise; forgetting; and the routes between: some presentations on the chip after weights from outside,
weights written and verified cell by cell, neurons measured as well. The rule and all its parameters are those of the training
scripts. Reads voltages/mnist_ex_situ.json and mnist_ex_situ_grey.json (of python -m studies.ex_situ; with --short, grey alone).
Writes figures/imperfect_chips*.png and figures/imperfect_chips_results.json; with --short, a tenth of it to
figures/imperfect_chips_short*. About 15 minutes on two idle cores, a minute with --short.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets import encode, load_mnist
from memristive.cli.command_line import draw, make_parser, refuse_resume_with_force, whole_number
from memristive.cli.evaluation import check_scheduler, worker_count
from memristive.cli.experiments import Experiment, describe, mnist_experiment
from memristive.cli.monte_carlo import run_everywhere
from memristive.io.claims import claimed
from memristive.io.earlier import earlier_kept
from memristive.io.files import FileProblem
from memristive.io.results import kept_results, load_results, not_of_a_run, refuse_other_rows, results_path, write_results
from memristive.io.voltages import Voltages, load_voltages, states_of
from memristive.single_layer.engines import CLOSED_FORM
from memristive.single_layer.error_rule import ErrorDrivenRule
from memristive.variability.chip import Chip
from memristive.variability.chip_batch import Ensemble
from studies.device_variability_figures import FIGURES, ROUTES

POINT = ("section", "encoding", "kind", "route", "key")  # what a point of the results is told by
SPREADS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
KINDS = {"both": ("neuron_threshold", "cell_gain", "cell_write_gain"), "neurons": ("neuron_threshold",),
         "cells": ("cell_gain", "cell_write_gain")}
STUCK = (0.01, 0.02, 0.05, 0.1, 0.2)
READ_NOISE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # V
MARGINS = (0.0, 0.5e-6, 1e-6, 2e-6, 4e-6, 8e-6)  # s
WRITE_NOISE = (0.1, 0.3, 1.0, 3.0)
RECOVERY = (100, 300, 1000, 3000, 10000)  # presentations
AGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # time constants since training
DECAY_SPREADS = (0.0, 0.1, 0.3)


@dataclass(frozen=True)
class Extent:
    """How much is run: chips for each spread, chips for everything else, ..."""

    chips: int = 10
    few: int = 5
    encodings: tuple[str, ...] = ("grey", "binary")
    spreads: tuple[float, ...] = SPREADS
    sections: tuple[str, ...] = ("spread", "stuck", "read noise", "write noise", "retention", "recovery")


LONG, SHORT = Extent(), Extent(3, 3, ("grey",), (0.02, 0.1), ("spread",))


@dataclass(frozen=True)
class Case:
    """Chips that learn from the same images; `keys`, one a chip, is what is varied. `fresh`: from cells that are all alike.

    `ideal`: the states of an ideal chip that has learned by the same rule, the ex-situ weights; `software`: those that a logistic
    regression would have. `routes`: what is tested.
    """

    section: str
    encoding: str
    kind: str
    chips: tuple[Chip, ...]
    keys: tuple[float, ...]
    rule: ErrorDrivenRule
    ideal: np.ndarray
    software: np.ndarray
    routes: tuple[str, ...] = ("in situ",)
    fresh: bool = True


@functools.cache  # of a worker: several cases use the same images
def images_of(encoding: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels."""
    images, labels = mnist_experiment(encoding=encoding).training_images()
    test = load_mnist("x_test", "y_test")
    return images, labels, encode(test["x_test"], 10, encoding), test["y_test"].astype(int)


def learned(ensemble: Ensemble, states: np.ndarray, rule: ErrorDrivenRule, encoding: str) -> np.ndarray:
    """The states (chips x classes x inputs, V) after the whole run of the rule."""
    images, labels, _, _ = images_of(encoding)
    for now in ensemble.learn(states, rule, images, labels):
        last = now
    return last


def judge(case: Case) -> list[dict[str, Any]]:
    """A row for each chip and route of the `case`: what it is, and its accuracy on the test images. Runs in a worker."""
    experiment = mnist_experiment(encoding=case.encoding)
    ensemble = Ensemble(case.chips, experiment.network, experiment.schedule)
    _, _, images, labels = images_of(case.encoding)
    start = np.full_like(case.ideal, case.rule.start_state) if case.fresh else case.ideal
    tested: dict[str, Callable[[], np.ndarray]] = {
        "in situ": functools.partial(learned, ensemble, start, case.rule, case.encoding),
        "ex situ": lambda: case.ideal, "software": lambda: case.software,
        "verified": lambda: ensemble.programmed(case.ideal, calibrated=False),
        "calibrated": lambda: ensemble.programmed(case.ideal, calibrated=True)}
    rows = []
    for route in case.routes:
        states = tested[route]()
        if case.section == "retention":
            rows += _ages(case, ensemble, states, images, labels)
            continue
        accuracies = ensemble.accuracies(states, images, labels)
        rows += [_row(case, chip, key, route, accuracy)
                 for chip, key, accuracy in zip(case.chips, case.keys, accuracies, strict=True)]
    return rows


def _row(case: Case, chip: Chip, key: float, route: str, accuracy: float) -> dict[str, Any]:
    return {"section": case.section, "encoding": case.encoding, "kind": case.kind, "key": key, "route": route,
            "seed": chip.seed, "accuracy": float(accuracy)}


def _ages(case: Case, ensemble: Ensemble, states: np.ndarray, images: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """Rows for what is left of the trained states as they grow old; kind: the spread of the cells' decay rates."""
    rows = []
    for spread in DECAY_SPREADS:
        for age in AGES:
            aged = [dataclasses.replace(chip, decay_rate=1.0, decay_spread=spread).kept(own, age)
                    for chip, own in zip(case.chips, states, strict=True)]
            accuracies = ensemble.accuracies(np.array(aged), images, labels)
            rows += [_row(case, chip, age, "in situ", accuracy) | {"kind": f"{spread:g}"}
                     for chip, accuracy in zip(case.chips, accuracies, strict=True)]
    return rows


def software(encoding: str) -> Voltages:
    """The weights of a logistic regression as states, which `python -m studies.ex_situ` wrote."""
    path = mnist_experiment(encoding=encoding).voltages_path("ex-situ")
    return load_voltages(path, "mnist", 10, 100, (encoding,))


def cases(extent: Extent, encoding: str, rule: ErrorDrivenRule, ideal: np.ndarray, software: np.ndarray) -> Iterator[Case]:
    """All ensembles of one encoding."""
    def case(section: str, kind: str, chips: list[tuple[float, Chip]], **more: Any) -> Case:
        keys, members = zip(*chips, strict=True)
        given: dict[str, Any] = {"rule": rule, "ideal": ideal, "software": software} | more
        return Case(section, encoding, kind, members, keys, **given)

    def chip(kind: str, seed: int, spread: float) -> Chip:
        spreads: dict[str, Any] = dict.fromkeys(KINDS[kind], spread)
        return Chip(seed=seed, **spreads)

    seeds, few = range(1, extent.chips + 1), range(1, extent.few + 1)
    routes = ("in situ", "ex situ", "software", "verified", "calibrated")
    for kind in KINDS:
        yield case("spread", kind, [(spread, chip(kind, seed, spread)) for spread in extent.spreads for seed in seeds],
                   routes=routes)
    yield case("stuck", "half off, half on", [(share, Chip(seed=seed, stuck_off=share / 2, stuck_on=share / 2))
                                              for share in STUCK for seed in few], routes=routes[:2])
    if encoding == "binary":
        return
    both = {spread: [chip("both", seed, spread) for seed in few] for spread in (0.02, 0.1)}
    for count in RECOVERY:
        shorter = dataclasses.replace(rule, presentations=count)
        for spread, chips in both.items():
            for start, fresh in (("ex-situ weights", False), ("fresh cells", True)):
                yield case("recovery", f"{spread:.0%} spread, from {start}", [(float(count), one) for one in chips],
                           rule=shorter, fresh=fresh)
    yield case("write noise", "", [(noise, Chip(seed=seed, write_noise=noise)) for noise in WRITE_NOISE for seed in few])
    yield case("retention", f"{DECAY_SPREADS[0]:g}", [(AGES[0], one) for one in both[0.1]])
    for margin in MARGINS:
        yield case("read noise", f"{margin * 1e6:g}", [(noise, Chip(seed=seed, read_noise=noise)) for noise in (0.0, *READ_NOISE)
                                                       for seed in few[:3]], rule=dataclasses.replace(rule, margin=margin))


def left_of(case: Case, rows: list[dict[str, Any]]) -> list[Case]:
    """The `case` with the chips alone that have no row yet; nothing if all have."""
    done = {(row["key"], row["seed"]) for row in rows
            if (row["section"], row["encoding"], row["kind"]) == (case.section, case.encoding, case.kind)}
    left = [(key, chip) for key, chip in zip(case.keys, case.chips, strict=True) if (key, chip.seed) not in done]
    if not left:
        return []
    keys, chips = zip(*left, strict=True)
    return [dataclasses.replace(case, keys=keys, chips=chips)]


def ideal_chip(experiment: Experiment) -> tuple[np.ndarray, float]:
    """States of an ideal chip after the rule, and its test accuracy."""
    encoding = experiment.encoding
    ensemble = Ensemble([Chip()], experiment.network, experiment.schedule)
    states = learned(ensemble, np.full((10, 100), experiment.rule.start_state), experiment.rule, encoding)
    return states[0], float(ensemble.accuracies(states, *images_of(encoding)[2:])[0])


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "nothing is simulated here; the test script writes a chip's netlist",
                                   "--voltages": "the study trains its own, but for those of studies.ex_situ"})
    parser.add_argument("--short", action="store_true", help="three chips, grey images, spreads of 2 and 10 %% alone")
    parser.add_argument("--resume", action="store_true", help="go on: keep what the results file holds already")
    parser.add_argument("--jobs", type=whole_number(1, 1024), default=worker_count(), metavar="N",
                        help="worker processes (default: one a core)")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT",
                        help="use the workers of this Dask scheduler instead (pip install -r requirements/cluster.txt)")
    options = parser.parse_args(arguments)
    refuse_resume_with_force(parser, options)
    if options.scheduler == "":
        parser.error("--scheduler is empty; expected tcp://HOST:PORT")
    if options.scheduler and options.jobs != worker_count():
        parser.error("--jobs has no bearing on a run with --scheduler: its workers do the work")
    extent, stem = (SHORT, "imperfect_chips_short") if options.short else (LONG, "imperfect_chips")
    experiments = {encoding: mnist_experiment(encoding=encoding) for encoding in extent.encodings}
    used = {encoding: describe(experiment, learning=experiment.rule.as_dict()) for encoding, experiment in experiments.items()}
    path = results_path(options.figures, stem)
    outside = {encoding: software(encoding) for encoding in experiments}
    mapped = {encoding: voltages.origin.get("mapping") for encoding, voltages in outside.items()}
    known = {encoding: states_of(voltages) for encoding, voltages in outside.items()}
    made_with = {**used, "extent": dataclasses.asdict(extent), "engine": CLOSED_FORM, "software": mapped,  # trained and tested
                 "software_voltages": known}
    checksums = {encoding: said["states"]["number"] for encoding, said in known.items()}
    with claimed([(path, made_with)], [], options.force), earlier_kept(options.figures, stem, resumable=True):
        if options.scheduler:
            check_scheduler(options.scheduler)
        results: dict[str, Any] = {"ideal": {}, "rows": [], "software_states": checksums}
        if options.resume:
            rows = kept_rows(path, extent, experiments, checksums)
            results |= {"rows": rows, "summary": summary(rows)}  # ideal chips learn again, whatever comes
        judge_all(options, extent, experiments, outside, results,
                  lambda: write_results(options.figures, stem, None, made_with, results))
        print(f"wrote {path}")
        print_summary(results["summary"])
        draw_all(options, stem, results)


def judge_all(options: argparse.Namespace, extent: Extent, experiments: Mapping[str, Experiment],
              outside: Mapping[str, Voltages], results: dict[str, Any], store: Callable[[], object]) -> None:
    """Train and test what has no row in `results` yet, and `store()` them with each new row."""
    for encoding, experiment in experiments.items():
        states, results["ideal"][encoding] = ideal_chip(experiment)
        print(f"ideal chip, {encoding}: {results['ideal'][encoding]:.2%} after {experiment.rule.presentations} presentations",
              flush=True)
        planned = cases(extent, encoding, experiment.rule, states, outside[encoding].states)
        work = [left for case in planned if case.section in extent.sections for left in left_of(case, results["rows"])]
        sizes = [len(case.chips) * case.rule.presentations for case in work]
        for rows in run_everywhere(judge, work, sizes, options.jobs, options.scheduler, "presentation"):
            by_name = {_identity(row): row for row in results["rows"] + rows}
            results["rows"] = [by_name[name] for name in sorted(by_name)]  # they end in another order each time
            results["summary"] = summary(results["rows"])
            store()


def draw_all(options: argparse.Namespace, stem: str, results: Mapping[str, Any]) -> None:
    """The figures of those sections that have rows."""
    for name, figure in FIGURES.items():
        if any(row["section"] in figure.sections for row in results["rows"]):
            draw(options, f"{stem}_{name}", figure.draw, results["summary"], results["ideal"])


def _identity(row: dict[str, Any]) -> tuple:
    return tuple(row[name] for name in ("section", "encoding", "kind", "key", "route", "seed"))


def kept_rows(path: Path, extent: Extent, experiments: Mapping[str, Experiment],
              checksums: Mapping[str, int]) -> list[dict[str, Any]]:
    """The rows that `--resume` goes on with.

    Raises FileProblem if some are none of a case's, since what draws them would fail, or of states from software with other
    `checksums` (by encoding).
    """
    row = {"section": extent.sections, "encoding": extent.encodings, "kind": str, "key": float, "route": tuple(ROUTES),
           "seed": int, "accuracy": float}
    stem = path.name.removesuffix("_results.json")
    rows = kept_results(path.parent, stem, {"ideal": dict, "rows": row})["rows"]
    kinds = {(case.section, case.kind) for encoding, experiment in experiments.items()
             for case in cases(extent, encoding, experiment.rule, np.empty(0), np.empty(0))}
    kinds |= {("retention", f"{spread:g}") for spread in DECAY_SPREADS}
    if not all((row["section"], row["kind"]) in kinds for row in rows):
        raise not_of_a_run(path, "rows")
    refuse_other_rows(path, names := [_identity(row) for row in rows], names)
    if load_results(path.parent, stem).get("software_states") != checksums and any(row["route"] == "software" for row in rows):
        raise FileProblem(f"{path} cannot be gone on with: its rows of 'software' are of other voltages than those of "
                          "`python -m studies.ex_situ` that are here now; --force starts afresh")
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean, lowest and highest accuracy of the chips of each section, encoding, kind, key and route."""
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in POINT), []).append(row["accuracy"])
    return [dict(zip(POINT, group, strict=True)) | {"chips": len(values), "mean": float(np.mean(values)), "low": min(values),
                                                    "high": max(values)} for group, values in sorted(groups.items())]


def print_summary(found: list[dict[str, Any]]) -> None:
    """Print the accuracies as an aligned table."""
    print(f"{'section':<12} {'images':<7} {'kind':<32} {'route':<11} {'varied':>8} {'mean':>7} {'low':>7} {'high':>7}")
    for row in found:
        print(f"{row['section']:<12} {row['encoding']:<7} {row['kind']:<32} {row['route']:<11} "
              f"{row['key']:>8g} {row['mean']:>7.2%} {row['low']:>7.2%} {row['high']:>7.2%}")


if __name__ == "__main__":
    from studies import device_variability as imperfect_chips  # by which workers find what they run

    sys.exit(run(imperfect_chips.main))
