"""Which gradient do layers follow? The angle between what the local rule writes and the exact gradient of spike times.

For training images that the rule writes for, before learning and after it: the rule's change of all states against the steepest
descent of the lag t_right - t_wrong, layer by layer (docs/layers.md). Closed form, MNIST's grey 10x10 images. Writes
figures/layer_gradient.png and layer_gradient_results.json. About a minute.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import dataclasses
import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from memristive.cli.command_line import draw, make_parser, progress, whole_number
from memristive.io.claims import claimed
from memristive.io.results import results_path, write_results
from memristive.multilayer.layer_gradient import angle, lag_gradient
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, train
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.engines import CLOSED_FORM
from memristive.single_layer.error_rule import offender
from memristive.spice.parameters import ParameterError
from plotting import BLUE, GREY, VERMILLION, WIDTH
from studies.layer_experiments import TASKS, LayeredPlan, learn

NAME = "layer_gradient"
SEARCHED = 20_000  # training images among which errors are looked for


def measure(network: LayeredNetwork, rule: LayeredRule, image: np.ndarray, label: int, wrong: int) -> dict[str, float]:
    """Angles in degrees between the rule's first write for one error and the steepest descent, and what the write does.

    Also: the share of the hidden write's square that goes to neurons without a gradient, how many of the others are written with
    its sign, the angle of these alone, and how much earlier in s the right neuron leads after the write, where a silent neuron
    counts as one that fires when the window ends.
    """
    learning = LayeredLearning.begin(network, rule)
    for _ in train(learning, rule, image[None], np.array([label])):
        pass
    writes = [after - before for after, before in zip(learning.network.states, network.states, strict=True)]
    descent = [-gradient for gradient in lag_gradient(network, image, label, wrong)]
    found = {"output": angle(writes[-1], descent[-1]),
             "output_column": float(np.mean([angle(writes[-1][j], descent[-1][j]) for j in (label, wrong)])),
             "hidden": angle(writes[0], descent[0])}
    # A hidden column is written with the image times one number, and its gradient is the same image times another.
    sizes, slopes = (np.append(image, 1.0) @ columns.T for columns in (writes[0], descent[0]))
    able, written = slopes != 0, np.abs(sizes) > 1e-3 * np.abs(sizes).max()
    found["without_gradient"] = float((sizes[~able]**2).sum() / (sizes**2).sum())
    found["same_sign"] = float(np.mean(np.sign(sizes[able & written]) == np.sign(slopes[able & written])))
    found["hidden_with_gradient"] = angle(sizes * able, slopes)
    times = [np.nan_to_num(one.first_spikes(image[None])[0], nan=network.design.window) for one in (network, learning.network)]
    before, after = (spikes[label] - spikes[wrong] for spikes in times)
    found["gain"] = float(before - after)
    return found


def errors_of(network: LayeredNetwork, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
              count: int) -> tuple[list[tuple[int, int, int]], int]:
    """Up to `count` errors as (image, right neuron, wrong neuron), and how many more with a silent right neuron came between."""
    found: list[tuple[int, int, int]] = []
    silent = 0
    for k, (times, label) in enumerate(zip(network.first_spikes(images[:SEARCHED]), labels.tolist(), strict=False)):
        wrong = offender(times, label, rule.margin)
        if np.isnan(times[label]):
            silent += 1
        elif wrong is not None:
            found.append((k, label, wrong))
        if len(found) == count:
            break
    return found, silent


def main(arguments: list[str] | None = None) -> None:
    """Run the study with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "nothing is simulated here; studies.layers writes a network's netlist",
                                   "--voltages": "the study trains its own"})
    parser.add_argument("--presentations", type=whole_number(1, 10**8), default=600_000, metavar="N",
                        help="training images presented (default: 600000)")
    parser.add_argument("--hidden", type=whole_number(1, 10000), default=200, metavar="N", help="hidden neurons (default: 200)")
    parser.add_argument("--errors", type=whole_number(1, SEARCHED), default=500, metavar="N",
                        help="errors measured before and after learning (default: 500)")
    options = parser.parse_args(arguments)
    task = TASKS["mnist"]
    rule = dataclasses.replace(task.rule, presentations=options.presentations)
    plan = LayeredPlan(task, rule, (options.hidden,))
    made_with = {**plan.as_dict(), "errors": options.errors, "engine": CLOSED_FORM}
    with claimed([(results_path(options.figures, NAME), made_with)], [], options.force):
        data = plan.data()
        network = plan.begin(data)
        once = dataclasses.replace(rule, presentations=1)  # of which every write has the whole first dose
        measured: dict[str, dict[str, Any]] = {}
        for when in ("before learning", "after learning"):
            if measured:
                network = learn(LayeredLearning.begin(network, rule), rule, data).network
            chosen, silent = errors_of(network, rule, data.images, data.labels, options.errors)
            if not chosen:
                raise ParameterError(f"{when} there is no error to measure: of {SEARCHED} training images {silent} leave the "
                                     f"right neuron silent, the others are right ({options.hidden} hidden neurons: try more)")
            rows = [measure(network, once, data.images[k], label, wrong)
                    for k, label, wrong in progress(chosen, len(chosen), when, "error")]
            measured[when] = {"errors": len(rows), "right_neuron_silent": silent, "quartiles": quartiles(rows),
                              "lead_grew": float(np.mean([row["gain"] > 0 for row in rows])),
                              "degrees": {layer: [round(row[layer], 1) for row in rows] for layer in ("hidden", "output")}}
        print(f"wrote {write_results(options.figures, NAME, None, made_with, measured)}")
    print_angles(measured)
    draw(options, NAME, angles_figure, measured)


def quartiles(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """Lower quartile, median and upper quartile of everything measured."""
    return {name: np.nanquantile([row[name] for row in rows], [0.25, 0.5, 0.75]).tolist() for name in rows[0]}


def print_angles(measured: dict[str, dict[str, Any]]) -> None:
    """Print medians and quartiles as an aligned table."""
    said = {"hidden": "hidden layer (degrees)", "hidden_with_gradient": "its neurons that have a gradient (degrees)",
            "output": "output layer (degrees)", "output_column": "one output column (degrees)",
            "without_gradient": "share of the hidden write without gradient", "same_sign": "hidden neurons written with its sign"}
    print(f"{'median (quartiles)':<46}" + "".join(f"{when:>24}" for when in measured))
    for name, words in said.items():
        columns = [found["quartiles"][name] for found in measured.values()]
        print(f"{words:<46}" + "".join(f"{f'{middle:.3g} ({low:.3g} to {high:.3g})':>24}" for low, middle, high in columns))
    print(f"{'errors measured; right neuron silent':<46}"
          + "".join(f"{found['errors']:>18}; {found['right_neuron_silent']:>4}" for found in measured.values()))
    grew = "".join(f"{found['lead_grew']:>24.1%}" for found in measured.values())
    print(f"{'writes after which the right neuron leads more':<46}{grew}")


def angles_figure(measured: dict[str, dict[str, Any]]) -> Figure:
    """Histograms of the angles of hidden and output layer, before and after learning."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    bins = np.arange(0, 181, 3)
    for axis, layer in zip(axes, ("hidden", "output"), strict=True):
        for (when, found), colour in zip(measured.items(), (GREY, BLUE), strict=True):
            angles = found["degrees"][layer]
            axis.hist(angles, bins, weights=np.full(len(angles), 100 / len(angles)), color=colour, alpha=0.6,
                      label=f"{when}: median {np.nanmedian(angles):.0f}°")
        axis.axvline(90, color=VERMILLION, linestyle=":", label="a random direction")
        axis.set(xlim=(0, 100), xlabel="angle to the steepest descent (degrees)", title=f"{layer} layer")
        axis.set_xticks(range(0, 101, 15))
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left" if layer == "hidden" else "upper center")
    axes[0].set_ylabel("errors (%)")
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
