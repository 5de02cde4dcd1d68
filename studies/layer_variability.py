"""Do two layers survive a chip whose devices differ? Ex situ (carried to the chip) against in situ (learned on it), MNIST 10x10.

Spread from device to device of cells (gain and write gain) and of neurons (threshold), reference columns included, as
studies/device_variability.py has it for one layer. Trained and tested in closed form, 100 hidden neurons, 300,000 presentations,
five chips a spread. --ngspice N then lets ngspice read the first N test images on chip 1 at 2 and 10 %, both ways. Writes
figures/imperfect_layers.png and imperfect_layers_results.json. About 3 minutes on one core, and half a second an image.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import dataclasses
import functools
import sys
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from memristive.cli.command_line import draw, make_parser, refuse_resume_with_force, whole_number
from memristive.cli.evaluation import worker_count
from memristive.cli.experiments import SIZE
from memristive.cli.monte_carlo import run_everywhere
from memristive.io.claims import NotOverwritten, claimed
from memristive.io.earlier import count_rows, earlier_kept
from memristive.io.files import FileProblem
from memristive.io.predictions import Partial
from memristive.io.results import kept_results, load_results, refuse_other_rows, results_path, write_results
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE
from memristive.single_layer.scores import largest_deviation, spikes_within
from memristive.single_layer.spike_decoding import strict_decision
from memristive.spice.session import NgspiceSession
from memristive.variability.chip import Chip
from plotting import BLUE, GREY, VERMILLION, WIDTH
from studies.layer_experiments import TASKS, LayeredData, LayeredPlan, learn, read_tests, scores, warn_of_layers

NAME = "imperfect_layers"
SPREADS = (0.01, 0.02, 0.05, 0.1, 0.2)
JUDGED = (0.02, 0.1)  # spreads at which ngspice reads chip 1
ROUTES = {"in situ": (BLUE, "-", "learned on the chip (in situ)"), "ex situ": (VERMILLION, "--", "carried to the chip (ex situ)")}
ROW = {"spread": float, "seed": int, "route": tuple(ROUTES), "strict_accuracy": float}  # what is needed of one
JUDGED_ROW = {**ROW, "samples": int, "closed_form_accuracy": float, "decided_otherwise": int,
              "largest_deviation": float | None}


@dataclass(frozen=True)
class Case:
    """A chip with the network that it is given; `states` None: it learns on the chip."""

    spread: float
    seed: int
    rule: LayeredRule
    hidden: int
    states: tuple[np.ndarray, ...] | None = None

    @property
    def plan(self) -> LayeredPlan:
        """Which network on which chip."""
        chip = Chip(cell_gain=self.spread, cell_write_gain=self.spread, neuron_threshold=self.spread, seed=self.seed)
        return LayeredPlan(TASKS["mnist"], self.rule, (self.hidden,), chip=chip if self.spread else None)

    @property
    def route(self) -> str:
        """Its key in `ROUTES`."""
        return "in situ" if self.states is None else "ex situ"

    @property
    def name(self) -> tuple[float, int, str]:
        """What it is, as its row says."""
        return self.spread, self.seed, self.route


@functools.cache
def images() -> LayeredData:
    """MNIST, once in a worker."""
    return TASKS["mnist"].data(SIZE, LayeredRule.seed)


def network_of(case: Case) -> LayeredNetwork:
    """The network on its chip, after learning there, or with the states brought along."""
    data, network = images(), case.plan.begin(images())
    if case.states is not None:
        return dataclasses.replace(network, states=case.states)
    return learn(LayeredLearning.begin(network, case.rule), case.rule, data).network


def judge(case: Case) -> dict[str, Any]:
    """The row of a case. Runs in a worker."""
    data = images()
    found = scores(data.test_labels, network_of(case).first_spikes(data.test_images))
    return {"spread": case.spread, "seed": case.seed, "route": case.route, **found}


def judge_in_ngspice(case: Case, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """What ngspice says of a case's network on the first `count` test images, and the closed form of the same."""
    data, network, partial = images(), network_of(case), partial_of(case, options)
    found, exact = (read_tests(network, data.test_images[:count], data.test_labels[:count], engine, partial, options.jobs)
                    for engine in (NGSPICE, CLOSED_FORM))
    decided = np.array([[strict_decision(times) for times in spikes] for spikes in (found, exact)])
    simulated, computed = (scores(data.test_labels[:count], spikes) for spikes in (found, exact))
    return {"spread": case.spread, "seed": case.seed, "route": case.route, **simulated,
            "closed_form_accuracy": computed["strict_accuracy"], "decided_otherwise": int(np.sum(decided[0] != decided[1])),
            "largest_deviation": largest_deviation(found, exact, network.design.window)}


def main(arguments: list[str] | None = None) -> None:
    """Run the study with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "studies.layers writes the netlist of a network on its chip",
                                   "--voltages": "the study trains its own"})
    parser.add_argument("--presentations", type=whole_number(1, 10**8), default=300_000, metavar="N",
                        help="training images presented to each network (default: 300000)")
    parser.add_argument("--hidden", type=whole_number(1, 10000), default=100, metavar="N", help="hidden neurons (default: 100)")
    parser.add_argument("--chips", type=whole_number(1, 1000), default=5, metavar="N", help="chips of each spread (default: 5)")
    parser.add_argument("--ngspice", type=whole_number(0, 10000), default=0, metavar="N",
                        help="test images that ngspice reads on chip 1 at 2 and 10 %% (default: none)")
    parser.add_argument("--resume", action="store_true", help="go on: keep what the results file holds already")
    parser.add_argument("--jobs", type=whole_number(1, 1024), default=worker_count(), metavar="N",
                        help="worker processes (default: one a core)")
    options = parser.parse_args(arguments)
    refuse_resume_with_force(parser, options)
    rule = dataclasses.replace(TASKS["mnist"].rule, presentations=options.presentations)
    made_with = {"spreads": list(SPREADS), "chips": options.chips, "hidden": options.hidden, "learning": rule.as_dict(),
                 "engine": CLOSED_FORM}
    reads = [partial_of(Case(spread, 1, rule, options.hidden, states), options)
             for spread in JUDGED for states in (None, ()) if options.ngspice]
    with claimed([(results_path(options.figures, NAME), made_with)], [read.path for read in reads], options.force), \
            earlier_kept(options.figures, NAME, rows_and_reads, resumable=True):
        refuse_to_forget(options)
        for read in reads:
            read.refuse_another(options.force)
        found: dict[str, Any] = {"ideal": None, "rows": [], "judged": []}
        if options.resume:
            found = kept_results(options.figures, NAME, {"ideal": float, "rows": ROW, "judged": JUDGED_ROW})
        ideal = network_of(Case(0.0, 0, rule, options.hidden))
        warn_of_layers(ideal, images().test_images, options=False)
        found["ideal"] = scores(images().test_labels, ideal.first_spikes(images().test_images))["strict_accuracy"]
        print(f"an ideal chip: {found['ideal']:.2%}", flush=True)
        work = [Case(spread, seed, rule, options.hidden, states) for spread in SPREADS
                for seed in range(1, options.chips + 1) for states in (None, ideal.states)]
        _spread(options, found, made_with, work)
        _judged(options, found, made_with, [case for case in work if case.seed == 1 and case.spread in JUDGED])
    print_rows(found)
    draw(options, NAME, spread_figure, summary(found["rows"]), found["ideal"])


def partial_of(case: Case, options: argparse.Namespace) -> Partial:
    """Where the decisions go that ngspice has made of a case's network when a run ends early: each has a file of its own."""
    name = f"{NAME}_{case.spread:g}_{case.route.replace(' ', '_')}"
    return Partial.of(options.figures, name, {**case.plan.as_dict(), "route": case.route})


def rows_and_reads(results: dict[str, Any]) -> float:
    """How much there is to lose: networks that were trained, and images that ngspice has read."""
    return count_rows(results) + sum(row["samples"] for row in results.get("judged", []))


def refuse_to_forget(options: argparse.Namespace) -> None:
    """Raise NotOverwritten if a run from the start would leave out images that ngspice has read.

    Raises FileProblem if the file that is there does not say how many: then neither can --resume know what is left to read.
    """
    path = results_path(options.figures, NAME)
    if options.force or not path.is_file():
        return
    judged = load_results(options.figures, NAME).get("judged", [])
    if not isinstance(judged, list) or not all(isinstance(row, dict) and type(row.get("samples")) is int for row in judged):
        raise FileProblem(f"{path}: its 'judged' are none of an earlier run; --force starts afresh")
    read = max((row["samples"] for row in judged), default=0)
    if read > options.ngspice and not options.resume:
        raise NotOverwritten(f"{path} holds reads of {read} images by ngspice; --resume keeps them, --force starts afresh")


def _identity(row: dict[str, Any]) -> tuple[float, int, str]:
    """The name of the case that a row is of."""
    return row["spread"], row["seed"], row["route"]


def _spread(options: argparse.Namespace, found: dict[str, Any], made_with: dict[str, Any], work: list[Case]) -> None:
    """Add the rows of all cases still to do to what was `found`, each as soon as it is there."""
    done = [_identity(row) for row in found["rows"]]
    refuse_other_rows(results_path(options.figures, NAME), done, [case.name for case in work])
    work = [case for case in work if case.name not in done]
    for row in run_everywhere(judge, work, [case.rule.presentations for case in work], options.jobs, None, "presentation"):
        found["rows"] = sorted([*found["rows"], row], key=lambda one: (one["spread"], one["route"], one["seed"]))
        found["summary"] = summary(found["rows"])
        write_results(options.figures, NAME, None, made_with, found)


def _judged(options: argparse.Namespace, found: dict[str, Any], made_with: dict[str, Any], work: list[Case]) -> None:
    """Let ngspice read some chips' networks; what it has read before of as many images is kept."""
    kept = {_identity(row) for row in found["judged"] if row["samples"] >= options.ngspice}
    session = NgspiceSession() if options.ngspice else None
    for case in work if session else []:
        if case.name not in kept:
            rest = [row for row in found["judged"] if _identity(row) != case.name]
            found["judged"] = [*rest, judge_in_ngspice(case, options.ngspice, options)]
            write_results(options.figures, NAME, session, made_with, found)
        partial_of(case, options).drop(options.ngspice)  # also what a stop after the results had left


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean, lowest and highest accuracy of the chips of each spread and route."""
    groups: dict[tuple[float, str], list[float]] = {}
    for row in rows:
        groups.setdefault((row["spread"], row["route"]), []).append(row["strict_accuracy"])
    return [{"spread": spread, "route": route, "chips": len(values), "mean": float(np.mean(values)), "low": min(values),
             "high": max(values)} for (spread, route), values in sorted(groups.items())]


def print_rows(found: dict[str, Any]) -> None:
    """Print the accuracies as aligned tables."""
    print(f"{'spread':>6}  {'route':<8}  {'mean':>7}  {'lowest':>7}  {'highest':>7}  chips")
    for row in summary(found["rows"]):
        print(f"{row['spread']:>6.0%}  {row['route']:<8}  {row['mean']:>7.2%}  {row['low']:>7.2%}  {row['high']:>7.2%}  "
              f"{row['chips']:>5}")
    for row in found["judged"]:
        print(f"chip {row['seed']} at {row['spread']:.0%}, {row['route']}: {row['strict_accuracy']:.2%} of {row['samples']} "
              f"images in ngspice, {row['closed_form_accuracy']:.2%} in closed form; {row['decided_otherwise']} decided "
              f"otherwise, {spikes_within(row['largest_deviation'])}")


def spread_figure(rows: list[dict[str, Any]], ideal: float) -> Figure:
    """Accuracy against spread: mean of the chips as a line, lowest to highest as a band."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    for route, (colour, dashes, label) in ROUTES.items():
        chosen = [row for row in rows if row["route"] == route]
        spreads = [0.0, *(100 * row["spread"] for row in chosen)]
        low, mean, high = (np.array([100 * ideal, *(100 * row[key] for row in chosen)]) for key in ("low", "mean", "high"))
        axis.plot(spreads, mean, dashes, color=colour, marker="o", markersize=4, label=label)
        axis.fill_between(spreads, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.axhline(100 * ideal, color=GREY, linewidth=0.8, zorder=0)
    axis.set(xlabel="spread of cells and thresholds (%)", ylabel="strict test accuracy (%)", ylim=(0, 100),
             title=f"Two layers on chips that differ (bands: lowest to highest of {rows[0]['chips']} chips)")
    axis.grid(alpha=0.3)
    axis.set_xticks([0, *(100 * spread for spread in SPREADS)])
    axis.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    from studies import layer_variability as imperfect_layers  # by which workers find what they run

    sys.exit(run(imperfect_layers.main))
