"""Which gradient do layers follow? The angle between the writes of the local rule and the exact gradient of spike times.

The study looks at training images after which the rule writes, before and after the training. The change of all states by one
write is compared, layer by layer, with the steepest descent of the lag t_right - t_wrong: the time from the wrong neuron's
spike to the right neuron's (docs/layers.md). Closed form, MNIST's grey 10x10 images. Writes results/layers/layer_gradient.json
and figures/layer_gradient.png. About a minute.
"""

import dataclasses
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from datasets import Images, matching_dataset
from memristive.cli.script import Record, apply_settings, make_parser, progress, run
from memristive.io.voltages import describe_network
from memristive.learning.build import initial_network
from memristive.learning.gradient import angle, lag_gradient
from memristive.learning.rule import LayeredRule, first_wrong_neuron
from memristive.learning.training import BLOCK, learn
from memristive.network.checks import warn_of_layers
from memristive.network.networks import Network
from memristive.spice.parameters import ParameterError
from plotting import BLUE, GREY, VERMILLION, WIDTH

RULE = LayeredRule(presentations=600_000)
SEARCHED = 20_000  # training images among which errors are searched


def main(arguments: list[str] | None = None) -> None:
    """Measure angles, train, measure again, plot."""
    parser = make_parser(__doc__, "layers")
    parser.add_common("--hidden", [200], "default: 200")
    parser.add_number("--errors", 1, SEARCHED, 400, "errors measured before and after the training")
    options = parser.parse_args(arguments)

    # 1. Data and untrained network.
    (rule,) = apply_settings(options, rule=RULE)
    dataset = matching_dataset("mnist")
    network = initial_network(tuple(options.hidden), 10, dataset.training.levels, rule)
    record = Record(options, "layer_gradient", {
        **describe_network(dataset.name, dataset.shape, network, rule), "errors": options.errors})

    # 2. Measure one write for each error, before and after the training.
    once = dataclasses.replace(rule, presentations=1)  # doses fall over a training: its only write has the whole first dose
    rows: list[dict[str, Any]] = []
    for stage in ("before learning", "after learning"):
        if stage == "after learning":
            watch = partial(progress, total=-(-rule.presentations // BLOCK), description="learning", unit=f"{BLOCK} images")
            network = learn(network, rule, *dataset.training, watch=watch).network
            warn_of_layers(network, dataset.test.levels, labels=dataset.test.labels, name="the trained network")
        errors = find_errors(network, rule, dataset.training)[:options.errors]
        if not errors:
            raise ParameterError(f"{stage} no error was found in {SEARCHED} training images; use other numbers of hidden neurons")
        rows += [{"stage": stage, **measure(network, once, dataset.training.levels[k], label, wrong)}
                 for k, label, wrong in progress(errors, len(errors), stage, "error")]

    # 3. Save, print, plot.
    record.write({"rows": rows}, ngspice=False)
    print("medians", pd.DataFrame(rows).groupby("stage", sort=False).median().T.to_string(float_format="{:.4g}".format), sep="\n")
    record.plot(angles_figure(rows))


def find_errors(network: Network, rule: LayeredRule, training: Images) -> list[tuple[int, int, int]]:
    """Return errors among the first `SEARCHED` training images, each as (number of the image, right neuron, wrong neuron).

    Errors with a silent right neuron are left out, because they have no lag.
    """
    times = network.first_spikes(training.levels[:SEARCHED])
    errors = [(k, label, first_wrong_neuron(times[k], label, rule.margin))
              for k, label in enumerate(training.labels[:SEARCHED].tolist()) if not np.isnan(times[k, label])]
    return [(k, label, wrong) for k, label, wrong in errors if wrong is not None]


def measure(network: Network, rule: LayeredRule, image: np.ndarray, label: int, wrong: int) -> dict[str, float]:
    """Compare the rule's write for one error with the steepest descent.

    Parameters
    ----------
    network : Network
    rule : LayeredRule
        Rule with a single presentation, whose write has the first dose.
    image : array, inputs, levels 0 to 1
    label, wrong : int
        Right neuron, and the wrong neuron that fires too early.

    Returns
    -------
    dict
        Angles in degrees between write and steepest descent: in the output layer, in its two written columns (their mean), in
        the hidden layer, and in the hidden neurons that have a gradient. Then the share of the hidden write (sum of squares) in
        neurons without a gradient. Last, the time in s by which the write improves the right neuron's lead, where a silent
        neuron counts as one that fires when the window ends.
    """
    written = learn(network, rule, image[None], np.array([label])).network
    writes = [after - before for after, before in zip(written.states, network.states, strict=True)]
    descent = [-gradient for gradient in lag_gradient(network, image, label, wrong)]
    # A hidden column is written with the image times a number, and its gradient is the image times another number.
    sizes, slopes = (np.append(image, 1.0) @ columns.T for columns in (writes[0], descent[0]))
    able = slopes != 0
    before, after = (spikes[label] - spikes[wrong] for spikes in
                     (np.nan_to_num(one.first_spikes(image[None])[0], nan=network.design.window) for one in (network, written)))
    return {"output_degrees": angle(writes[-1], descent[-1]),
            "output_column_degrees": float(np.mean([angle(writes[-1][j], descent[-1][j]) for j in (label, wrong)])),
            "hidden_degrees": angle(writes[0], descent[0]),
            "hidden_share_without_gradient": float((sizes[~able]**2).sum() / (sizes**2).sum()),
            "hidden_with_gradient_degrees": angle(sizes * able, slopes),
            "lead_gain_s": float(before - after)}


def angles_figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw histograms of the angles of hidden and output layer, before and after the training."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    bins = np.arange(0, 181, 3)
    for axis, layer in zip(axes, ("hidden", "output"), strict=True):
        for stage, colour in (("before learning", GREY), ("after learning", BLUE)):
            angles = [row[f"{layer}_degrees"] for row in rows if row["stage"] == stage]
            axis.hist(angles, bins, weights=np.full(len(angles), 100 / len(angles)), color=colour, alpha=0.6,
                      label=f"{stage}: median {np.nanmedian(angles):.0f}°")
        axis.axvline(90, color=VERMILLION, linestyle=":", label="a random direction")
        axis.set(xlim=(0, 100), xlabel="angle to the steepest descent (degrees)", title=f"{layer} layer")
        axis.set_xticks(range(0, 101, 15))
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left" if layer == "hidden" else "upper center")
    axes[0].set_ylabel("errors (%)")
    return figure


if __name__ == "__main__":
    run(main)
