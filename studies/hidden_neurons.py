"""How many hidden neurons does it take? Accuracy and learning curves of one layer and of two, MNIST's grey 10x10 images.

Trained and tested in closed form, each size with three seeds, by the rule and doses that were chosen for 200 hidden neurons
(docs/layers.md), with fewer presentations. Writes figures/hidden_neurons_accuracy.png, hidden_neurons_learning.png and
hidden_neurons_results.json. About 4 minutes on one core.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

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
from memristive.io.claims import claimed
from memristive.io.earlier import earlier_kept
from memristive.io.results import kept_results, refuse_other_rows, results_path, write_results
from memristive.multilayer.layer_network import LayeredLearning
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.engines import CLOSED_FORM
from memristive.single_layer.error_rule import learning_curve
from plotting import BLUE, COLOURS, GREY, WIDTH
from studies.layer_experiments import TASKS, LayeredData, LayeredPlan, learn, scores, warn_of_layers

NAME = "hidden_neurons"
ROW = {"hidden": int, "seed": int, "strict_accuracy": float, "presentations": list, "running_accuracy": list}  # what is needed
HIDDEN = (0, 25, 50, 100, 200, 400)  # 0: a single layer
DRAWN = (0, 25, 100, 400)  # learning curves
WINDOW = 5000  # presentations behind a running accuracy
MARKS = 120  # points of a learning curve


@dataclass(frozen=True)
class Case:
    """One network; its seed is the rule's."""

    hidden: int
    rule: LayeredRule

    @property
    def name(self) -> tuple[int, int]:
        """Hidden neurons and seed."""
        return self.hidden, self.rule.seed


@functools.cache
def images() -> LayeredData:
    """MNIST, once in a worker."""
    return TASKS["mnist"].data(SIZE, LayeredRule.seed)


def judge(case: Case) -> dict[str, Any]:
    """The row of a case: accuracy on the test images, and the running accuracy during learning. Runs in a worker."""
    data = images()
    network = LayeredPlan(TASKS["mnist"], case.rule, (case.hidden,) if case.hidden else ()).begin(data)
    learning = learn(LayeredLearning.begin(network, case.rule), case.rule, data)
    accuracy, writes = learning_curve(learning.history, WINDOW)
    marks = np.unique(np.geomspace(min(100, len(accuracy)), len(accuracy), MARKS).astype(int)) - 1
    warn_of_layers(learning.network, data.test_images, options=False)
    found = scores(data.test_labels, learning.network.first_spikes(data.test_images))
    return {"hidden": case.hidden, "seed": case.rule.seed, **found, "writes": int(writes[-1]), "presentations": marks + 1,
            "running_accuracy": accuracy[marks]}


def main(arguments: list[str] | None = None) -> None:
    """Run the study with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "nothing is simulated here; studies.layers writes a network's netlist",
                                   "--voltages": "the study trains its own"})
    parser.add_argument("--presentations", type=whole_number(100, 10**8), default=600_000, metavar="N",
                        help="training images presented to each network (default: 600000)")
    parser.add_argument("--seeds", type=whole_number(1, 100), default=3, metavar="K", help="networks of each size (default: 3)")
    parser.add_argument("--resume", action="store_true", help="go on: keep what the results file holds already")
    parser.add_argument("--jobs", type=whole_number(1, 1024), default=worker_count(), metavar="N",
                        help="worker processes (default: one a core)")
    options = parser.parse_args(arguments)
    refuse_resume_with_force(parser, options)
    rule = dataclasses.replace(TASKS["mnist"].rule, presentations=options.presentations)
    made_with = {"hidden": list(HIDDEN), "seeds": options.seeds, "learning": rule.as_dict(), "engine": CLOSED_FORM}
    with claimed([(results_path(options.figures, NAME), made_with)], [], options.force), \
            earlier_kept(options.figures, NAME, resumable=True):
        rows = kept_results(options.figures, NAME, {"rows": ROW})["rows"] if options.resume else []
        done = [(row["hidden"], row["seed"]) for row in rows]
        work = [Case(hidden, dataclasses.replace(rule, seed=seed)) for hidden in HIDDEN for seed in range(1, options.seeds + 1)]
        refuse_other_rows(results_path(options.figures, NAME), done, [case.name for case in work])
        work = [case for case in work if case.name not in done]
        for row in run_everywhere(judge, work, [options.presentations] * len(work), options.jobs, None, "presentation"):
            rows = sorted([*rows, row], key=lambda one: (one["hidden"], one["seed"]))
            wrote = write_results(options.figures, NAME, None, made_with, {"summary": summary(rows), "rows": rows})
        print(f"wrote {wrote if work else results_path(options.figures, NAME)}")
    print(f"{'hidden':>6}  {'mean':>7}  {'lowest':>7}  {'highest':>7}  seeds")
    for size in summary(rows):
        print(f"{size['hidden']:>6}  {size['mean']:>7.2%}  {size['low']:>7.2%}  {size['high']:>7.2%}  {size['seeds']:>5}")
    draw(options, f"{NAME}_accuracy", accuracy_figure, summary(rows), options.presentations)
    draw(options, f"{NAME}_learning", learning_figure, rows)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean, lowest and highest accuracy of the seeds of each size."""
    groups: dict[int, list[float]] = {}
    for row in rows:
        groups.setdefault(row["hidden"], []).append(row["strict_accuracy"])
    return [{"hidden": hidden, "seeds": len(found), "mean": float(np.mean(found)), "low": min(found), "high": max(found)}
            for hidden, found in sorted(groups.items())]


def accuracy_figure(sizes: list[dict[str, Any]], presentations: int) -> Figure:
    """Test accuracy against hidden neurons, means as a line, lowest to highest seed as bars."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    two = [size for size in sizes if size["hidden"]]
    means = 100 * np.array([size["mean"] for size in two])
    around = np.abs(100 * np.array([[size["low"], size["high"]] for size in two]).T - means)
    axis.errorbar([size["hidden"] for size in two], means, around, color=BLUE, marker="o", markersize=4, capsize=3,
                  label="two layers (mean of the seeds, lowest to highest)")
    for size, mean in zip(two, means, strict=True):
        axis.annotate(f"{mean:.2f}", (size["hidden"], 100 * size["high"]), textcoords="offset points", xytext=(0, 4),
                      ha="center", fontsize=9)
    for single in (size for size in sizes if not size["hidden"]):
        axis.axhline(100 * single["mean"], color=GREY, linestyle="--", label=f"one layer: {single['mean']:.2%}")
    axis.set_xscale("log", base=2)
    axis.set_xticks([size["hidden"] for size in two], [str(size["hidden"]) for size in two])
    axis.set(xlabel="hidden neurons", ylabel="strict test accuracy (%)",
             title=f"MNIST, grey 10x10, {presentations:,} presentations, closed form")
    lowest = 100 * min(*(size["low"] for size in two), *(size["mean"] for size in sizes))
    highest = 100 * max(size["high"] for size in two)
    room = 0.1 * (highest - lowest) + 0.2
    axis.set_ylim(lowest - room, highest + room)
    axis.grid(alpha=0.3)
    axis.legend(loc="center right")
    return figure


def learning_figure(rows: list[dict[str, Any]]) -> Figure:
    """Share of wrong answers during learning over the presentations, the first seed of each size."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.8))
    for colour, hidden in zip(COLOURS, DRAWN, strict=False):
        row = next(one for one in rows if one["hidden"] == hidden)
        name = f"two layers, {hidden} hidden neurons" if hidden else "one layer"
        mark = "o" if len(row["presentations"]) == 1 else ""  # of which no line is drawn
        axis.plot(row["presentations"], 100 * (1 - np.array(row["running_accuracy"])), marker=mark, color=colour, label=name)
    axis.set(xscale="log", yscale="log", xlabel="presentations (training images)", ylabel="wrong while learning (%)",
             title=f"Learning curves (over the last {WINDOW:,} presentations, or all there were; seed 1)")
    axis.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


if __name__ == "__main__":
    from studies import hidden_neurons as hidden_neurons  # by which workers find what they run

    sys.exit(run(hidden_neurons.main))
