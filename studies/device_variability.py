"""Do weights survive a chip whose devices differ? Ex situ (carried to the chip) against in situ (learned on it), MNIST 10x10.

Monte Carlo in closed form. Chips differ in the spread of neurons, cells or both, in stuck cells, noise and decay. Another
section is the recovery by a short training on the chip. Reads voltages/mnist_ex_situ.json and mnist_ex_situ_grey.json, which
studies.ex_situ writes. Writes results/imperfect_chips.json and figures/imperfect_chips_*.png; with --short, a tenth of it to
imperfect_chips_short*. 15 minutes on two cores, a minute with --short.
"""

import dataclasses
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets import Dataset, mnist
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, apply_settings, make_parser
from memristive.cli.parallel import run_resumable, run_tasks
from memristive.cli.progress import print_rows
from memristive.io.files import check_overwriting
from memristive.io.results import describe, write_results
from memristive.io.voltages import load_voltages
from memristive.learning.crossbar_training import CompiledCrossbar, learn_on_chip, programmed
from memristive.learning.error_rule import ErrorDrivenRule
from memristive.network.chip import Chip
from memristive.network.scores import decide
from memristive.network.setup import CLOSED_FORM
from memristive.network.spike_decoding import RESOLUTION
from studies.device_variability_figures import draw

# Routes of the weights to a chip: learned there; the states of an ideal chip; logistic regression; the ideal chip's currents,
# written and verified cell by cell; and these for columns whose neuron is measured as well.
ROUTES = ("in situ", "ex situ", "software", "verified", "calibrated")
DEVIATIONS = {"both": ("neuron_threshold", "cell_gain", "cell_write_gain"), "neurons": ("neuron_threshold",),
              "cells": ("cell_gain", "cell_write_gain")}
STUCK = (0.01, 0.02, 0.05, 0.1, 0.2)  # share of the cells, half of them off, half on
READ_NOISE = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # V
MARGINS = (0.0, 0.5e-6, 1e-6, 2e-6, 4e-6, 8e-6)  # s
WRITE_NOISE = (0.1, 0.3, 1.0, 3.0)  # share of the dose
RECOVERY = (100, 300, 1000, 3000, 10000)  # presentations
AGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # mean time constants since the training
DECAY_SPREADS = (0.0, 0.1, 0.3)


@dataclass(frozen=True)
class Extent:
    """Size of a run: number of chips for each spread and for everything else, encodings, spreads, sections, test images."""

    chips: int = 10
    few: int = 5
    encodings: tuple[str, ...] = ("grey", "binary")
    spreads: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
    sections: tuple[str, ...] = ("spread", "stuck", "read noise", "write noise", "retention", "recovery")
    samples: int = 10_000


LONG, SHORT = Extent(), Extent(3, 3, ("grey",), (0.02, 0.1), ("spread",))


@dataclass(frozen=True)
class Case:
    """Chips that learn from the same images, by the same rule.

    Parameters
    ----------
    section, encoding : str
    points : sequence of (dict, chips)
        Varied quantities, as columns of the record, and equally many chips for each.
    rule : ErrorDrivenRule
    samples : int
        Number of test images.
    ideal, software : array, classes x inputs, V
        States of the routes "ex situ" and "software".
    routes : tuple of str
    fresh : bool
        In situ, start from cells that are all alike; otherwise from the ideal states.
    """

    section: str
    encoding: str
    points: Sequence[tuple[Mapping[str, Any], Sequence[Chip]]]
    rule: ErrorDrivenRule
    samples: int
    ideal: np.ndarray
    software: np.ndarray
    routes: tuple[str, ...] = ROUTES[:1]
    fresh: bool = True

    @property
    def chips(self) -> list[Chip]:
        """Chips of all points."""
        return [chip for _, chips in self.points for chip in chips]


def cases(extent: Extent, encoding: str, rule: ErrorDrivenRule, ideal: np.ndarray, software: np.ndarray) -> Iterator[Case]:
    """Yield all cases of one encoding."""
    seeds, few = range(1, extent.chips + 1), range(1, extent.few + 1)

    def case(section: str, points: list[Any], rule: ErrorDrivenRule = rule, **more: Any) -> Case:
        return Case(section, encoding, points, rule, extent.samples, ideal, software, **more)

    def chips(seeds: range, names: Sequence[str], value: float) -> list[Chip]:
        deviations: dict[str, Any] = dict.fromkeys(names, value)
        return [Chip(seed=seed, **deviations) for seed in seeds]

    for deviation, names in DEVIATIONS.items():
        yield case("spread", [({"deviation": deviation, "spread": spread}, chips(seeds, names, spread))
                              for spread in extent.spreads], routes=ROUTES)
    yield case("stuck", [({"stuck_share": share}, chips(few, ("stuck_off", "stuck_on"), share / 2)) for share in STUCK],
               routes=ROUTES[:2])
    if encoding == "binary":
        return
    for count in RECOVERY:
        for spread in (0.02, 0.1):
            for start in ("ex-situ weights", "fresh cells"):
                point = {"spread": spread, "start": start, "presentations": count}
                yield case("recovery", [(point, chips(few, DEVIATIONS["both"], spread))], fresh=start == "fresh cells",
                           rule=dataclasses.replace(rule, presentations=count))
    yield case("write noise", [({"write_noise": noise}, chips(few, ["write_noise"], noise)) for noise in WRITE_NOISE])
    yield case("retention", [({"spread": 0.1}, chips(few, DEVIATIONS["both"], 0.1))])
    for margin in MARGINS:
        yield case("read noise", [({"margin_us": 1e6 * margin, "read_noise_V": noise}, chips(few[:3], ["read_noise"], noise))
                                  for noise in READ_NOISE], rule=dataclasses.replace(rule, margin=margin))


@functools.cache  # several cases of a worker use the same images
def data(encoding: str) -> Dataset:
    """Return MNIST."""
    return mnist(encoding=encoding)


def learn(chip: Chip, start: np.ndarray, rule: ErrorDrivenRule, encoding: str) -> np.ndarray:
    """Return the states (classes x inputs, V) after a training on a chip."""
    training = data(encoding).training
    return learn_on_chip(data(encoding).setup, chip, rule, training.levels, training.labels, start)


def accuracy(chip: Chip, states: np.ndarray, encoding: str, samples: int) -> float:
    """Return a chip's strict accuracy on the first test images."""
    test = data(encoding).test
    noise = np.array([chip.threshold_noise("test", k) for k in range(samples)]) if chip.read_noise else None
    states = chip.with_stuck_cells(states)
    spikes = CompiledCrossbar(data(encoding).setup, chip).first_spikes(states, test.levels[:samples], noise)
    return float(np.mean(decide(spikes, RESOLUTION)[0] == test.labels[:samples]))


def ideal_chip(task: tuple[str, ErrorDrivenRule, int]) -> tuple[np.ndarray, float]:
    """Return the states of an ideal chip that has learned, and its test accuracy."""
    encoding, rule, samples = task
    states = learn(Chip(), np.full(data(encoding).patterns.shape, rule.start_state), rule, encoding)
    return states, accuracy(Chip(), states, encoding, samples)


def measure(case: Case) -> list[dict[str, Any]]:
    """Return rows of the record: for each point and route, the test accuracies of all its chips."""
    rows = []
    for route in case.routes:
        for point, chips in case.points:
            aged_states = [aged(case, chip, states_by(route, case, chip)) for chip in chips]
            for versions in zip(*aged_states, strict=True):
                values = [accuracy(chip, states, case.encoding, case.samples)
                          for chip, (_, states) in zip(chips, versions, strict=True)]
                rows.append({"section": case.section, "encoding": case.encoding, **point, **versions[0][0], "route": route,
                             "chips": len(values), "accuracy_mean": float(np.mean(values)), "accuracy_low": min(values),
                             "accuracy_high": max(values), "accuracies": values})
    return rows


def states_by(route: str, case: Case, chip: Chip) -> np.ndarray:
    """Return the states (classes x inputs, V) that a route gives a chip."""
    if route == "in situ":
        start = np.full_like(case.ideal, case.rule.start_state) if case.fresh else case.ideal
        return learn(chip, start, case.rule, case.encoding)
    if route in ("ex situ", "software"):
        return case.ideal if route == "ex situ" else case.software
    return programmed(data(case.encoding).setup, chip, case.ideal, calibrated=route == "calibrated")


def aged(case: Case, chip: Chip, states: np.ndarray) -> list[tuple[dict[str, float], np.ndarray]]:
    """Return further columns, and states: those of all ages for the section "retention", otherwise the given ones."""
    if case.section != "retention":
        return [({}, states)]
    return [({"decay_spread": spread, "age_time_constants": age},
             dataclasses.replace(chip, decay_rate=1.0, decay_spread=spread).after_decay(states, age))
            for spread in DECAY_SPREADS for age in AGES]


def main(arguments: list[str] | None = None) -> None:
    """Train and test all chips, save, plot."""
    parser = add_jobs(add_resume(make_parser(__doc__)))
    parser.add_argument("--short", action="store_true", help="three chips, grey images, only spreads of 2 and 10 %%")
    parser.add_number("--samples", 1, 10_000, 10_000, "only N test images")
    options = parser.parse_args(arguments)
    extent = dataclasses.replace(SHORT if options.short else LONG, samples=options.samples)
    encodings = extent.encodings

    # 1. The rule of the training scripts, and the weights of a logistic regression.
    rules, software = {}, {}
    parameters: dict[str, Any] = {"extent": dataclasses.asdict(extent), "engine": CLOSED_FORM}
    for encoding in encodings:
        voltages = load_voltages(f"voltages/mnist_ex_situ{'_grey' * (encoding == 'grey')}.json", "mnist", 10, 100)
        (rules[encoding],), software[encoding] = apply_settings(options, rule=data(encoding).rule), voltages.states
        parameters[encoding] = {**describe(data(encoding).setup), "learning": dataclasses.asdict(rules[encoding]),
                                "software": voltages.origin.get("mapping")}
    path = options.results / f"imperfect_chips{'_short' * options.short}.json"
    check_overwriting(path, parameters, options.force)

    # 2. Ideal chips learn: their states are the ex-situ weights.
    tasks = [(encoding, rules[encoding], extent.samples) for encoding in encodings]
    ideal = {encodings[k]: found
             for k, found in run_tasks(ideal_chip, tasks, options.jobs, options.scheduler, None, "ideal chips")}
    accuracy = {encoding: ideal[encoding][1] for encoding in encodings}

    # 3. Imperfect chips learn and are tested.
    planned = [case for encoding in encodings
               for case in cases(extent, encoding, rules[encoding], ideal[encoding][0], software[encoding])
               if case.section in extent.sections]
    sizes = [len(case.chips) * case.rule.presentations for case in planned]
    rows = [row for found in run_resumable(measure, planned, sizes, options, path, parameters) for row in found]

    # 4. Save, print, plot.
    write_results(path, parameters, {"ideal": accuracy, "rows": rows}, ngspice=False)
    print(f"accuracy of ideal chips: {accuracy}")
    print_rows(rows, drop=["accuracies"])
    draw(path, options.figures)


if __name__ == "__main__":
    from studies import device_variability  # workers import what they run

    sys.exit(run(device_variability.main))
