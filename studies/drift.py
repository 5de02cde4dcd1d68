"""Evidence for docs/drift.md: a year of drift, relearning in situ, and trainings until cells wear.

One layer of pairs that write late learns MNIST's grey 10x10 images. Then all cells drift, each with
an exponent of its own. Each age is tested before and after the network has learned in situ again.
Series vary the spread of the exponents, the cells (pairs, a reference column, pairs high or low in
their range), trainings that go on in between, and what follows a column of drifting cells: the
thresholds of the neurons, or their gain. Cells have the steps and the noise of the preset epiram.

--endurance: a network learns again and again, each time from a new random start and in another
order. A cell sticks where it is after its number of pulses: log-normal, with a mean of 200 and a
spread of half of it. Devices endure more; the number of trainings grows in proportion.

Closed form, strict accuracy on all test images. Writes results/devices/drift.json and
figures/drift.png in ten minutes on one core, with --endurance drift_endurance in two. Ctrl-C saves
a checkpoint for --resume.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.accounting.overview import costs
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.datasets import matching_dataset
from memristive.devices.measured_device import device_record, load_device
from memristive.learning.build import build
from memristive.learning.rule import LayeredRule, Rule
from memristive.learning.training import Learning, train
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.networks import Network
from memristive.plotting import COLOURS, GREY, WIDTH, over_seeds
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts

DRIFT, SPREADS, SPREAD = 0.05, (0.01, 0.02, 0.04), 0.02
YEAR = 3.15e7  # s
AGES = (1.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, YEAR)
PRESENTATIONS = 100_000
HIDDEN = 50
RELEARNED, RELEARNED_AT = (1000, 3000, 10_000), (1e3, 1e5, 1e7)  # presentations, ages in s
# on the doses of the training. On held-out images at an age of 1e7 s (--choose), 1 is the smallest
# that comes within half a point of the best.
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
HELD_OUT = 10_000  # last training images
PAIRS, REFERENCE, HIGH, LOW, LAYERS = KINDS = (
    *("pairs", "reference column", "high pairs", "low pairs", "two layers"),
)
FOLLOWING = ("thresholds follow", "gain follows")
SHIFTS = {HIGH: 0.2, LOW: -0.2}  # of the pairs, as shares of the range
# A training that goes on: so many sessions up to 1e7 s, evenly over time or over its logarithm.
SESSIONS, LAST, TOGETHER = 7, 1e7, 3000
OLD_CLOCKS = "by the logarithm, clocks go on"  # no device: a write does not restart the drift
SPACINGS: dict[str, Callable[..., np.ndarray]] = {
    "evenly": np.linspace,
    "by the logarithm": np.geomspace,
    OLD_CLOCKS: np.geomspace,
}
LATER = (1e3, 1e5, 1e7)  # s, after relearning
OLD, RELEARNING, CHOOSING = PARTS = ("ages", "relearning", "choosing")


# endurance
ENDURANCE, WEAR_SPREAD = 200.0, 0.5
TRAININGS, SHORT = 12, 30_000
WAYS = {"late": True, "at once": False}


@dataclass(frozen=True)
class DriftRun:
    """A trained network of one `kind` whose cells drift with a `spread` of their exponents. `seed`:
    of the training, and of the chip, which gives the exponents. `part`: of `PARTS`; choosing tries
    relearning with all `FACTORS`, on held-out images.
    """

    part: str = OLD
    kind: str = PAIRS
    spread: float = SPREAD
    seed: int = 1

    def prepared(self) -> tuple[Network, Rule]:
        """Return the untrained network and its rule."""
        device = dataclasses.replace(load_device("epiram"), drift=DRIFT, drift_spread=self.spread)
        network, rule = build(
            self.images[0],
            10,
            HIDDEN if self.kind == LAYERS else None,
            device,
            pairs=int(self.kind != REFERENCE),
            late=True,
            chip=Chip(seed=self.seed),
            presentations=PRESENTATIONS,
            seed=self.seed,
        )
        curve = network.parameters.memristor.curve
        assert curve
        shift = SHIFTS.get(self.kind, 0.0) * curve.span
        return dataclasses.replace(network, states=tuple(x + shift for x in network.states)), rule

    @property
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of the training."""
        training = matching_dataset("mnist").training
        stop = len(training.labels) - HELD_OUT * (self.part == CHOOSING)
        return training.levels[:stop], training.labels[:stop]

    def accuracy(self, network: Network) -> dict[str, float]:
        """Return the strict accuracy, the share of silent neurons and the first spike in s (mean
        over the images).
        """
        dataset = matching_dataset("mnist")
        levels, labels = dataset.test
        if self.part == CHOOSING:
            levels, labels = (part[-HELD_OUT:] for part in dataset.training)
        spikes = network.first_spikes(levels)
        first = np.nan_to_num(spikes, nan=network.design.window).min(axis=1)
        return {
            "strict_accuracy": score_row(labels, spikes)["strict_accuracy"],
            "silent": float(np.isnan(spikes).mean()),
            "first_spike_s": float(first.mean()),
        }

    def result(self) -> list[dict[str, Any]]:
        """Train, age, test and relearn; return rows of the record."""
        return [{**dataclasses.asdict(self), **row} for row in self.rows()]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each test."""
        start, rule = self.prepared()
        network, pulses = learned(start, rule, self.images)
        if self.part == RELEARNING:
            yield from self.relearned(network, rule)
            if self.seed == 1 and self.spread == SPREAD:
                yield from self.energies(start, network, rule)
            return
        if self.part == CHOOSING:
            old = network.aged(LAST)
            for n, factor in itertools.product(RELEARNED, FACTORS):
                again, pulses = learned(old, relearning(rule, n, factor), self.images)
                row = {"case": "chosen", "relearned": n, "factor": factor, "pulses": pulses}
                yield {**row, **self.accuracy(again)}
            return
        yield {"case": "trained", "pulses": pulses, "x": height(network), **self.accuracy(network)}
        for age in AGES:
            old = network.aged(age)
            yield {"case": "aged", "age": age, **self.accuracy(old)}
            if age in RELEARNED_AT and self.kind in (PAIRS, LAYERS) and self.spread == SPREAD:
                followed = network.aged(age, follow=True)
                for case, of in zip(
                    FOLLOWING, (with_thresholds(old, followed), followed), strict=True
                ):
                    yield {"case": case, "age": age, **self.accuracy(of)}

    def relearned(self, network: Network, rule: Rule) -> Iterator[dict[str, Any]]:
        """Yield a row for each test of a trained `network` that learns again."""
        row: dict[str, Any]
        for age, n in itertools.product(RELEARNED_AT, RELEARNED):
            again, pulses = learned(network.aged(age), relearning(rule, n), self.images)
            row = {"relearned": n, "pulses": pulses, "written": float((again.ages[0] == 0).mean())}
            yield {"case": "relearned", "age": age, **row, **self.accuracy(again)}
            if age == LAST and n == TOGETHER and self.spread in (0.0, SPREAD):
                for wait in LATER:
                    later = again.aged(wait)
                    yield {"case": "waited", "age": wait, "relearned": n, **self.accuracy(later)}
                    twice, pulses = learned(later, relearning(rule, n), self.images)
                    row = {"case": "relearned twice", "age": wait, "relearned": n, "pulses": pulses}
                    yield {**row, **self.accuracy(twice)}
        for name, spaced in SPACINGS.items() if (self.kind, self.spread) == (PAIRS, SPREAD) else ():
            now, pulses, before = network, 0.0, 0.0
            for k, age in enumerate(spaced(LAST / 1e6, LAST, SESSIONS).tolist()):
                now = now.aged(age - before)
                if age == LAST:
                    row = {"case": f"before the last session, {name}", "relearned": TOGETHER}
                    yield {"age": age, **row, **self.accuracy(now)}
                step = relearning(rule, TOGETHER // SESSIONS)
                step = dataclasses.replace(step, seed=1000 * self.seed + k)
                again, more = learned(now, step, self.images)
                now = with_ages(again, now.ages) if name == OLD_CLOCKS else again
                pulses, before = pulses + more, age
                row = {"case": f"sessions, {name}", "relearned": TOGETHER, "pulses": pulses}
                yield {"age": age, **row, **self.accuracy(now)}

    def energies(self, start: Network, network: Network, rule: Rule) -> Iterator[dict[str, Any]]:
        """Yield a row with the energy of the training from `start`, and of each relearning."""
        old = network.aged(LAST)
        tasks = [(PRESENTATIONS, start, rule)]
        tasks += [(n, old, relearning(rule, n)) for n in RELEARNED]
        for n, first, of in tasks:
            found = costs(first, *self.images, of, sample=20, device="epiram", start=first)
            joules = found.ledgers["training"].sum()
            yield {"case": "energy", "relearned": n, "joules": joules, "errors": found.errors}


def relearning(rule: Rule, presentations: int, factor: float = 1.0) -> LayeredRule:
    """Return the rule with which a trained network learns again: `factor` times the doses of the
    training.
    """
    assert isinstance(rule, LayeredRule)
    return dataclasses.replace(
        rule,
        presentations=presentations,
        output_dose=factor * rule.output_dose,
        hidden_dose=factor * rule.hidden_dose,
    )


def learned(network: Network, rule: Rule, images: tuple[Any, Any]) -> tuple[Network, float]:
    """Return a network after a training, and the mean number of pulses of a cell."""
    learning, counts = Learning.start(network, rule), no_counts(network)
    for _ in train(learning, rule, *images, counts=counts):
        pass
    cells = sum(states.size for states in network.states)
    return learning.network, float(sum(of.sum() for of in counts.pulses)) / cells


def with_ages(network: Network, ages: tuple[np.ndarray, ...]) -> Network:
    """Return a network of pairs with other `ages` of its cells."""
    past = tuple(map(np.stack, zip(ages, network.states, strict=True)))
    return dataclasses.replace(network, past=past)


def height(network: Network) -> float:
    """Return the mean x of all cells."""
    curve = network.parameters.memristor.curve
    assert curve
    return float(
        (np.concatenate([of.ravel() for of in network.states]).mean() - curve.low) / curve.span
    )


def with_thresholds(old: Network, followed: Network) -> Network:
    """Return an aged network whose thresholds follow the column that the gain of `followed`
    follows, while the currents of the bias resistors stay as they were when it was young.
    """
    before, after = old.design, followed.design
    assert isinstance(before, LayerDesign) and isinstance(after, LayerDesign)
    factor = after.transresistance / before.transresistance
    biases = {name: factor * getattr(after, name) for name in ("output_bias", "hidden_bias")}
    return dataclasses.replace(followed, design=dataclasses.replace(after, **biases))


def main(arguments: list[str] | None = None) -> None:
    """Train, age and relearn all networks; save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3)
    parser.add_argument("--choose", action="store_true", help="try doses on held-out images only")
    parser.add_argument(
        "--endurance",
        action="store_true",
        help="trainings one after the other until cells wear out",
    )
    options = parser.parse_args(arguments)
    if options.endurance:
        return wear(options)
    seeds = range(1, options.seeds + 1)
    runs = [DriftRun(CHOOSING, seed=seed) for seed in seeds]
    if not options.choose:
        runs = [
            DriftRun(part, kind, spread, seed)
            for part, kinds in ((OLD, KINDS), (RELEARNING, (PAIRS, REFERENCE)))
            for kind in kinds
            for spread in ((0.0, *SPREADS) if kind == PAIRS else (SPREAD,))
            for seed in seeds
        ]
    record = Record(
        options,
        "drift" + "_choose" * options.choose,
        {"device": device_record(load_device("epiram")), "drift": DRIFT, "seeds": options.seeds},
    )
    found = record.run_tasks(DriftRun.result, runs, [1 + 3 * (of.kind == LAYERS) for of in runs])
    rows = [row for of_run in found for row in of_run]
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    keys = [key for key in ("kind", "spread", "case", "age", "relearned", "factor") if key in table]
    means = table.groupby(keys, sort=False, dropna=False).mean(numeric_only=True).reset_index()
    shown = [{str(name): value for name, value in row.items()} for row in means.to_dict("records")]
    print_rows(shown, drop=["seed"])
    if not options.choose:
        record.plot(drift_figure(table))


def drift_figure(table: pd.DataFrame) -> Figure:
    """Draw accuracies over age: before and after relearning for three spreads, then the kinds of
    cells, and what else helps. Means over the seeds, bars from the lowest to the highest.
    """
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH * 1.3, 3.6), sharey=True)
    table = table.assign(accuracy=100 * table.strict_accuracy)

    def draw(axis: Any, rows: pd.DataFrame, **style: Any) -> None:
        groups = rows.groupby("age")
        over_seeds(axis, np.array(list(groups.groups), float), groups.accuracy, **style)

    pairs = table[(table.kind == PAIRS) & (table.spread == SPREAD)]
    for spread, colour in zip(SPREADS, COLOURS, strict=False):
        of = table[(table.kind == PAIRS) & (table.spread == spread)]
        draw(axes[0], of[of.case == "aged"], color=colour, label=f"spread {spread:g}")
        again = of[(of.case == "relearned") & (of.relearned == 3000)]
        draw(axes[0], again, color=colour, fmt="s:", mfc="white")
    for kind, colour in zip((PAIRS, REFERENCE, HIGH, LOW), COLOURS, strict=False):
        of = table[(table.kind == kind) & (table.spread == SPREAD) & (table.case == "aged")]
        draw(axes[1], of, color=colour, label=kind)
    draw(axes[2], pairs[pairs.case == "aged"], color=GREY, label="never relearned")
    once = pairs[(pairs.case == "relearned") & (pairs.relearned == TOGETHER)]
    draw(axes[2], once, color=COLOURS[0], fmt="s:", mfc="white", label="once, at this age")
    for name, colour in zip(SPACINGS, COLOURS[1:], strict=False):
        sessions = pairs[pairs.case == f"sessions, {name}"]
        draw(axes[2], sessions, color=colour, label=f"sessions, {name}")
    titles = ("squares: relearned", "cells", "3,000 presentations in all")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_xscale("log")
        axis.set(xlabel="age (s)", title=title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize="x-small")
    axes[0].set_ylabel("test accuracy (%)")
    return figure


@dataclass(frozen=True)
class EnduranceRun:
    """Trainings of one network, one after the other, on the chip number `seed`; `way`: a key of
    `WAYS`.
    """

    way: str
    seed: int

    def result(self) -> list[dict[str, Any]]:
        """Return a row of the record for each training."""
        device = dataclasses.replace(
            load_device("epiram"), endurance=ENDURANCE, endurance_spread=WEAR_SPREAD
        )
        dataset, rows, network = matching_dataset("mnist"), [], None
        for number in range(1, TRAININGS + 1):
            start, rule = build(
                dataset.training.levels,
                10,
                device=device,
                late=WAYS[self.way],
                chip=Chip(seed=self.seed),
                presentations=SHORT,
                seed=100 * self.seed + number,
            )
            if network:
                worn = network.layers[0].write_gains == 0
                states = np.where(worn, network.states[0], start.states[0])
                start = dataclasses.replace(network, states=(states,), waiting=())
            network, pulses = learned(start, rule, dataset.training)
            stuck = float((network.layers[0].write_gains == 0).mean())
            score = score_row(dataset.test.labels, network.first_spikes(dataset.test.levels))
            rows.append(
                {
                    **dataclasses.asdict(self),
                    "training": number,
                    "pulses_per_cell": pulses,
                    "stuck": stuck,
                    "strict_accuracy": score["strict_accuracy"],
                }
            )
        return rows


def wear(options: argparse.Namespace) -> None:
    """Train networks until their cells wear out, save, print, plot."""
    runs = [EnduranceRun(way, seed) for way in WAYS for seed in range(1, options.seeds + 1)]
    record = Record(
        options,
        "drift_endurance",
        {
            "device": device_record(load_device("epiram")),
            "endurance": ENDURANCE,
            "spread": WEAR_SPREAD,
            "presentations": SHORT,
            "seeds": options.seeds,
        },
    )
    found = record.run_tasks(EnduranceRun.result, runs, [TRAININGS] * len(runs))
    rows = [row for of_run in found for row in of_run]
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    means = table.groupby(["way", "training"], sort=False).mean(numeric_only=True).reset_index()
    shown = [{str(name): value for name, value in row.items()} for row in means.to_dict("records")]
    print_rows(shown, drop=["seed"])
    record.plot(endurance_figure(table))


def endurance_figure(table: pd.DataFrame) -> Figure:
    """Draw accuracy and the share of worn cells over the number of trainings: means over the seeds,
    and bars from the lowest to the highest.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharex=True)
    table = table.assign(accuracy=100 * table.strict_accuracy, worn=100 * table.stuck)
    for way, colour in zip(WAYS, COLOURS, strict=False):
        found = table[table.way == way].groupby("training")
        for axis, values in zip(axes, (found.accuracy, found.worn), strict=True):
            over_seeds(axis, np.array(list(found.groups), float), values, color=colour, label=way)
    for axis, label in zip(axes, ("test accuracy (%)", "worn cells (%)"), strict=True):
        axis.set(xlabel="trainings", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    return figure


if __name__ == "__main__":
    run(main)
