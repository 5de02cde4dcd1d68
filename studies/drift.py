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

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.accounting.overview import costs
from memristive.cli.runs import learned
from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.datasets import matching_dataset
from memristive.devices.measured_device import device_record, load_device
from memristive.learning.build import build
from memristive.learning.rule import Rule
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.networks import Network
from memristive.plotting import COLOURS, GREY, WIDTH, over_seeds
from memristive.scores.decisions import score_row

DRIFT, SPREADS, SPREAD = 0.05, (0.01, 0.02, 0.04), 0.02
YEAR = 3.15e7  # s
AGES = (1.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, YEAR)
PRESENTATIONS = 100_000
HIDDEN = 50
RELEARNED, RELEARNED_AT = (1000, 3000, 10_000), (1e3, 1e5, 1e7)  # presentations, ages in s
PAIRS, REFERENCE, HIGH, LOW, LAYERS = KINDS = (
    *("pairs", "reference column", "high pairs", "low pairs", "two layers"),
)
FOLLOWING = ("thresholds follow", "gain follows")
SHIFTS = {HIGH: 0.2, LOW: -0.2}  # of the pairs, as shares of the range
# A training that goes on: so many sessions up to 1e7 s, evenly over time or over its logarithm.
SESSIONS, LAST, TOGETHER = 7, 1e7, 3000
SPACINGS: dict[str, Any] = {"evenly": np.linspace, "by the logarithm": np.geomspace}
LATER = (1e3, 1e5, 1e7)  # s, after relearning
OLD, RELEARNING = "ages", "relearning"
# endurance
ENDURANCE, WEAR_SPREAD = 200.0, 0.5
TRAININGS, SHORT = 12, 30_000
WAYS = {"late": True, "at once": False}


@dataclass(frozen=True)
class DriftRun:
    """A trained network of one `kind` whose cells drift with a `spread` of their exponents. `seed`:
    of the training, and of the chip, which gives the exponents. `part`: `OLD` tests at all ages,
    `RELEARNING` after relearning.
    """

    part: str
    kind: str
    spread: float
    seed: int

    def prepared(self) -> tuple[Network, Rule]:
        """Return the untrained network and its rule."""
        device = dataclasses.replace(load_device("epiram"), drift=DRIFT, drift_spread=self.spread)
        network, rule = build(
            matching_dataset("mnist").training.levels,
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

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each test."""
        start, rule = self.prepared()
        network, pulses = trained(start, rule)
        if self.part == RELEARNING:
            yield from self.relearned(network, rule)
            if self.seed == 1 and self.spread == SPREAD:
                yield from energies(start, network, rule)
            return
        yield {"case": "trained", "pulses": pulses, **accuracy(network)}
        for age in AGES:
            yield {"case": "aged", "age": age, **accuracy(network.aged(age))}
            follows = self.kind == LAYERS or (self.kind == PAIRS and self.spread == SPREAD)
            if age in RELEARNED_AT and follows:
                gain = network.aged(age, follow=True)
                pair = with_thresholds(network, gain), gain
                for case, of in zip(FOLLOWING, pair, strict=True):
                    yield {"case": case, "age": age, **accuracy(of)}

    def relearned(self, network: Network, rule: Rule) -> Iterator[dict[str, Any]]:
        """Yield a row for each test of a trained `network` that learns again."""
        row: dict[str, Any]
        for age, n in itertools.product(RELEARNED_AT, RELEARNED):
            again, pulses = trained(network.aged(age), relearning(rule, n))
            row = {"relearned": n, "pulses": pulses, "written": float((again.ages[0] == 0).mean())}
            yield {"case": "relearned", "age": age, **row, **accuracy(again)}
            if age == LAST and n == TOGETHER and self.spread in (0.0, SPREAD):
                for wait in LATER:
                    later = again.aged(wait)
                    yield {"case": "waited", "age": wait, "relearned": n, **accuracy(later)}
                    twice, pulses = trained(later, relearning(rule, n))
                    row = {"case": "relearned twice", "age": wait, "relearned": n, "pulses": pulses}
                    yield {**row, **accuracy(twice)}
        for name, spaced in SPACINGS.items() if (self.kind, self.spread) == (PAIRS, SPREAD) else ():
            now, pulses, before = network, 0.0, 0.0
            for k, age in enumerate(spaced(LAST / 1e6, LAST, SESSIONS).tolist()):
                now = now.aged(age - before)
                step = relearning(rule, TOGETHER // SESSIONS, seed=1000 * self.seed + k)
                now, more = trained(now, step)
                pulses, before = pulses + more, age
                row = {"case": f"sessions, {name}", "relearned": TOGETHER, "pulses": pulses}
                yield {"age": age, **row, **accuracy(now)}


def accuracy(network: Network) -> dict[str, float]:
    """Return the strict accuracy, the share of silent neurons and the first spike in s (mean over
    the images).
    """
    test = matching_dataset("mnist").test
    spikes = network.first_spikes(test.levels)
    first = np.nan_to_num(spikes, nan=network.design.window).min(axis=1)
    return {
        "strict_accuracy": score_row(test.labels, spikes)["strict_accuracy"],
        "silent": float(np.isnan(spikes).mean()),
        "first_spike_s": float(first.mean()),
    }


def energies(start: Network, network: Network, rule: Rule) -> Iterator[dict[str, Any]]:
    """Yield a row with the energy of the training from `start`, and of each relearning."""
    old = network.aged(LAST)
    tasks = [(PRESENTATIONS, start, rule), *((n, old, relearning(rule, n)) for n in RELEARNED)]
    for n, first, of in tasks:
        training = matching_dataset("mnist").training
        found = costs(first, *training, of, sample=20, device="epiram", start=first)
        joules = found.ledgers["training"].sum()
        yield {"case": "energy", "relearned": n, "joules": joules}


def relearning(rule: Rule, presentations: int, **changed: Any) -> Rule:
    """Return the rule with which a trained network learns again, with the doses of its training."""
    return dataclasses.replace(rule, presentations=presentations, **changed)


def trained(network: Network, rule: Rule) -> tuple[Network, float]:
    """Return a network after a training, and the mean number of pulses of a cell."""
    found, counts = learned(network, rule, matching_dataset("mnist").training)
    cells = sum(states.size for states in network.states)
    return found, float(sum(of.sum() for of in counts.pulses)) / cells


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
    """Train, age and relearn all networks, or train them until they wear out; save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 3)
    parser.add_argument(
        "--endurance",
        action="store_true",
        help="trainings one after the other until cells wear out",
    )
    options = parser.parse_args(arguments)
    seeds = range(1, options.seeds + 1)
    if options.endurance:
        name, keys, draw = "drift_endurance", ["way", "training"], endurance_figure
        known: dict[str, Any] = {
            "endurance": ENDURANCE,
            "spread": WEAR_SPREAD,
            "presentations": SHORT,
        }
        runs: list[Any] = [EnduranceRun(way, seed) for way in WAYS for seed in seeds]
    else:
        name, keys, draw = "drift", ["kind", "spread", "case", "age", "relearned"], drift_figure
        known = {"drift": DRIFT}
        runs = [
            DriftRun(part, kind, spread, seed)
            for part, kinds in ((OLD, KINDS), (RELEARNING, (PAIRS, REFERENCE)))
            for kind in kinds
            for spread in {PAIRS: (0.0, *SPREADS), LAYERS: (0.0, SPREAD)}.get(kind, (SPREAD,))
            for seed in seeds
        ]
    known = {"device": device_record(load_device("epiram")), **known, "seeds": options.seeds}
    record = Record(options, name, known)
    found = record.run_tasks(result_of, runs)
    rows = [row for of_run in found for row in of_run]
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    means = table.groupby(keys, sort=False, dropna=False).mean(numeric_only=True)
    print(means.drop(columns="seed").to_string(float_format="{:.4g}".format))
    record.plot(draw(table))


def result_of(run: "DriftRun | EnduranceRun") -> list[dict[str, Any]]:
    """Return rows of the record. Runs in a worker."""
    return [{**dataclasses.asdict(run), **row} for row in run.rows()]


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
    for spread, colour in zip((0.0, *SPREADS), (GREY, *COLOURS), strict=False):
        of = table[(table.kind == PAIRS) & (table.spread == spread)]
        draw(axes[0], of[of.case == "aged"], color=colour, label=f"spread {spread:g}")
        again = of[(of.case == "relearned") & (of.relearned == 3000) & (of.spread > 0)]
        if len(again):
            draw(axes[0], again, color=colour, fmt="s:", mfc="white")
    for kind, colour in zip((PAIRS, REFERENCE, HIGH, LOW, LAYERS), COLOURS, strict=False):
        for spread, style in (
            ((SPREAD, "o-"), (0.0, "o--")) if kind == LAYERS else ((SPREAD, "o-"),)
        ):
            of = table[(table.kind == kind) & (table.spread == spread) & (table.case == "aged")]
            draw(
                axes[1],
                of,
                color=colour,
                fmt=style,
                label=f"{kind}, spread 0" if not spread else kind,
            )
    draw(axes[2], pairs[pairs.case == "aged"], color=GREY, label="never relearned")
    once = pairs[(pairs.case == "relearned") & (pairs.relearned == TOGETHER)]
    draw(axes[2], once, color=COLOURS[0], fmt="s:", mfc="white", label="once, at this age")
    for name, colour in zip(SPACINGS, COLOURS[1:], strict=False):
        sessions = pairs[pairs.case == f"sessions, {name}"]
        draw(axes[2], sessions, color=colour, label=f"sessions, {name}")
    titles = ("squares: relearned", f"spread {SPREAD:g}", "3,000 presentations in all")
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

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each training."""
        device = dataclasses.replace(
            load_device("epiram"), endurance=ENDURANCE, endurance_spread=WEAR_SPREAD
        )
        dataset, network = matching_dataset("mnist"), None
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
            network, pulses = trained(start, rule)
            yield {
                "training": number,
                "pulses_per_cell": pulses,
                "stuck": float((network.layers[0].write_gains == 0).mean()),
                "strict_accuracy": accuracy(network)["strict_accuracy"],
            }


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
