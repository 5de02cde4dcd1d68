"""Evidence for docs/layers.md: how far the local rule is from the gradient of spike times.

Which gradient do layers follow? The angle between the writes of the local rule and the exact
gradient of spike times.

The study looks at training images after which the rule writes, before and after the training. The
change of all states by one write is compared, layer by layer, with the steepest descent of the lag
t_right - t_wrong: the time from the wrong neuron's spike to the right neuron's (docs/layers.md).
In each hidden layer some neurons are written against their gradient. The study counts these
neurons, and their share of the write. Closed form, MNIST's grey 10x10 images, networks of one and
of two hidden layers. Writes results/layers/layer_gradient.json and figures/layer_gradient.png.
Eight minutes on two cores, a minute with --seeds 1. Ctrl-C saves a checkpoint for --resume.

The gradient follows from the closed form. Let z = exp(t / tau), with the time t and the membrane's
time constant tau. Row k steps up at z_k and has the weight w_k in thresholds. The neuron fires at z
= sum(w_k z_k) / (sum(w_k) - 1), with sums over the rows that step up before z. So dz/dw_k = (z_k -
z) / (sum(w_k) - 1) and dz/dz_k = w_k / (sum(w_k) - 1). A neuron of the first layer has a constant
drive u in thresholds from the start z_start on. It fires at z = z_start u / (u - 1), so dz/du =
-z_start / (u - 1)^2. The chain rule gives the rest.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.script import Record, add_resume, apply_settings, make_parser, run
from memristive.closed_form import kernel_arrays
from memristive.datasets import Images, matching_dataset
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule, first_wrong_neuron
from memristive.learning.training import learn
from memristive.network.networks import KernelArrays, Network
from memristive.parameters import ParameterError
from memristive.plotting import BLUE, GREY, VERMILLION, WIDTH
from memristor import ChannelValues, read_current

RULE = LayeredRule(presentations=600_000)
SEARCHED = 20_000  # training images among which errors are searched
STEP = 1e-4  # V, of the central difference that approximates a channel's dI/dX


STAGES = ("before learning", "after learning")


@dataclass(frozen=True)
class Case:
    """A network of MNIST whose writes are measured before and after its training.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of each hidden layer.
    rule : LayeredRule
    errors : int
        Most errors to be measured at each stage.
    """

    hidden: tuple[int, ...]
    rule: LayeredRule
    errors: int

    def rows(self) -> list[dict[str, Any]]:
        """Train the network; return a row for each error that was measured."""
        training = matching_dataset("mnist").training
        network, rows = initial_network(self.hidden, 10, training.levels, self.rule), []
        # doses fall over a training: its only write has the whole first dose
        once = dataclasses.replace(self.rule, presentations=1)
        case = {"hidden": "-".join(map(str, self.hidden)), "seed": self.rule.seed}
        for stage in STAGES:
            if stage == STAGES[1]:
                network = learn(network, self.rule, *training).network
            errors = find_errors(network, self.rule, training)[: self.errors]
            if not errors:
                raise ParameterError(
                    f"{stage} no error was found in {SEARCHED} training images; use other numbers "
                    "of hidden neurons"
                )
            rows += [
                {**case, "stage": stage} | measure(network, once, training.levels[k], label, wrong)
                for k, label, wrong in errors
            ]
        return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure angles before and after trainings, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "layers"))
    parser.add_argument(
        "--hidden", nargs="+", default=["200", "200-100"], help="default: 200 200-100"
    )
    parser.add_number("--errors", 1, SEARCHED, 100, "errors measured before and after the training")
    parser.add_common("--seeds", 5)
    options = parser.parse_args(arguments)
    (rule,) = apply_settings(options, rule=RULE)
    cases = [
        Case(hidden_sizes(text), dataclasses.replace(rule, seed=seed), options.errors)
        for text in options.hidden
        for seed in range(rule.seed, rule.seed + options.seeds)
    ]
    record = Record(
        options,
        "layer_gradient",
        {
            "rule": dataclasses.asdict(rule),
            "hidden": options.hidden,
            "errors": options.errors,
            "seeds": options.seeds,
        },
    )
    sizes = [rule.presentations * len(case.hidden) for case in cases]
    rows = [row for of_case in record.run_tasks(Case.rows, cases, sizes) for row in of_case]
    record.write({"rows": rows}, ngspice=False)
    medians = pd.DataFrame(rows).groupby(["hidden", "stage"], sort=False).median(numeric_only=True)
    print("medians", medians.T.to_string(float_format="{:.4g}".format), sep="\n")
    record.plot(angles_figure([row for row in rows if row["hidden"] == rows[0]["hidden"]]))


def hidden_sizes(text: str) -> tuple[int, ...]:
    """Return the neurons of each hidden layer of a text such as "200-100".

    Raises
    ------
    ParameterError
        The text is not made of numbers from 1 with - between them.
    """
    numbers = text.split("-")
    if not all(number.isdecimal() and int(number) > 0 for number in numbers):
        raise ParameterError(f"--hidden takes sizes such as 200 or 200-100, got {text}")
    return tuple(int(number) for number in numbers)


def find_errors(
    network: Network, rule: LayeredRule, training: Images
) -> list[tuple[int, int, int]]:
    """Return errors among the first `SEARCHED` training images, each as (number of the image, right
    neuron, wrong neuron).

    Errors with a silent right neuron are left out, because they have no lag.
    """
    times = network.first_spikes(training.levels[:SEARCHED])
    errors = [
        (k, label, first_wrong_neuron(times[k], label, rule.margin))
        for k, label in enumerate(training.labels[:SEARCHED].tolist())
        if not np.isnan(times[k, label])
    ]
    return [(k, label, wrong) for k, label, wrong in errors if wrong is not None]


def measure(
    network: Network, rule: LayeredRule, image: np.ndarray, label: int, wrong: int
) -> dict[str, float]:
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
        Angles in degrees between write and steepest descent: in the output layer, in its two
        written columns (their mean), and in the first hidden layer. Then, for each hidden layer,
        with its number k from 1: `written_degrees_k`, the angle in the neurons that have a
        gradient; `opposite_neurons_k`, the share of the written neurons with a gradient whose
        write has the opposite sign; `opposite_write_k`, their share of the write (sum of squares);
        `without_gradient_k`, the share of the write that goes to neurons without a gradient. Last,
        `lead_gain_s`, the time by which the write improves the right neuron's lead; a silent neuron
        counts as firing at the end of the window.
    """
    written = learn(network, rule, image[None], np.array([label])).network
    writes = [after - before for after, before in zip(written.states, network.states, strict=True)]
    descent = [-gradient for gradient in lag_gradient(network, image, label, wrong)]
    hidden: dict[str, float] = {}
    for k in range(len(network.states) - 1):
        write, down = writes[k], descent[k]
        able, done = (down != 0).any(axis=1), (write != 0).any(axis=1)
        against = (write * down).sum(axis=1) < 0
        squares = (write**2).sum(axis=1)
        hidden |= {
            f"written_degrees_{k + 1}": angle(write[able], down[able]),
            f"opposite_neurons_{k + 1}": share_of(against.sum(), (able & done).sum()),
            f"opposite_write_{k + 1}": share_of(squares[against].sum(), squares.sum()),
            f"without_gradient_{k + 1}": share_of(squares[~able].sum(), squares.sum()),
        }
    before, after = (
        spikes[label] - spikes[wrong]
        for spikes in (
            np.nan_to_num(one.first_spikes(image[None])[0], nan=network.design.window)
            for one in (network, written)
        )
    )
    return {
        "output_degrees": angle(writes[-1], descent[-1]),
        "output_column_degrees": float(
            np.mean([angle(writes[-1][j], descent[-1][j]) for j in (label, wrong)])
        ),
        "hidden_degrees": angle(writes[0], descent[0]),
        **hidden,
        "lead_gain_s": float(before - after),
    }


def share_of(part: float, whole: float) -> float:
    """Return the share of a `part` in the `whole`; nan if there is nothing."""
    return float(part / whole) if whole else math.nan


def lag_gradient(
    network: Network, image: np.ndarray, label: int, wrong: int
) -> tuple[np.ndarray, ...]:
    """Return the derivatives of t_label - t_wrong, the lag between two output neurons, with respect
    to all states.

    Both neurons must fire, and cells are single ones, not differential pairs.

    Parameters
    ----------
    network : Network
    image : array, inputs, levels 0 to 1
    label, wrong : int
        Output neurons.

    Returns
    -------
    tuple of arrays, s/V
        One for each layer, neurons x rows with the bias.
    """
    tau = network.parameters.neuron.time_constant
    z = [
        np.exp(np.nan_to_num(times[0], nan=np.inf) / tau) for times in network.forward(image[None])
    ]
    start = math.exp(network.start_time / tau)
    by_spike = np.zeros(len(z[-1]))  # derivative of the lag with respect to each neuron's z
    by_spike[label], by_spike[wrong] = tau / z[-1][label], -tau / z[-1][wrong]
    result: list[np.ndarray] = []
    for layer in range(len(z) - 1, 0, -1):
        rows = np.append(z[layer - 1], start)
        weights, slopes = weights_and_slopes(
            network, layer, np.full(len(rows), network.design.row_voltage)
        )
        # -inf: no influence on the lag, as silent neurons
        spikes = np.where(by_spike != 0, z[layer], -np.inf)[:, None]
        before = rows < spikes
        by_sum = (by_spike / ((weights * before).sum(axis=1) - 1))[:, None]
        result.insert(0, by_sum * np.where(before, rows - spikes, 0.0) * slopes)
        by_spike = (by_sum * np.where(before, weights, 0.0)).sum(axis=0)[:-1]
    weights, slopes = weights_and_slopes(
        network, 0, np.append(image, 1.0) * network.design.row_voltage
    )
    drives = weights.sum(axis=1)
    by_drive = np.where(np.isfinite(z[0]), by_spike * -start / (drives - 1) ** 2, 0.0)
    return by_drive[:, None] * slopes, *result


def weights_and_slopes(
    network: Network, layer: int, volts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the contribution of each cell to the settled membrane of its neuron, and its
    derivative by the cell's state.

    Parameters
    ----------
    network : Network
    layer : int
        Counted from 0.
    volts : array, rows, V
        Voltages of the rows, the bias last.

    Returns
    -------
    weights : array, neurons x rows
        Contributions in thresholds.
    slopes : array, neurons x rows, 1/V
        Derivatives.
    """
    arrays = KernelArrays(network)
    channel, states = ChannelValues(*arrays.layers[layer].cells[:4]), arrays.states[layer]
    stages, threshold = (
        network.layers[layer].circuits.stages,
        arrays.layers[layer].neurons[kernel_arrays.THRESHOLD],
    )
    scale = stages.membrane_gain * arrays.work.scale[layer] / threshold
    low, middle, high = (
        read_current(channel, states + change, volts[:, None]) for change in (-STEP, 0.0, STEP)
    )
    weights = scale[0] * middle[:, :-1] - scale[1] * middle[:, -1:]
    return weights.T, (scale[0] * (high - low)[:, :-1]).T / (2 * STEP)


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """Return the angle in degrees between two arrays, taken as vectors; nan if one of them is 0."""
    size = math.sqrt(float((one**2).sum() * (other**2).sum()))
    return (
        math.degrees(math.acos(max(-1.0, min(1.0, float((one * other).sum()) / size))))
        if size
        else math.nan
    )


def angles_figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw histograms of the angles of hidden and output layer, before and after the training."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    bins = np.arange(0, 181, 3)
    for axis, layer in zip(axes, ("hidden", "output"), strict=True):
        for stage, colour in (("before learning", GREY), ("after learning", BLUE)):
            angles = [row[f"{layer}_degrees"] for row in rows if row["stage"] == stage]
            axis.hist(
                angles,
                bins,
                weights=np.full(len(angles), 100 / len(angles)),
                color=colour,
                alpha=0.6,
                label=f"{stage}: median {np.nanmedian(angles):.0f}°",
            )
        axis.axvline(90, color=VERMILLION, linestyle=":", label="a random direction")
        axis.set(
            xlim=(0, 100), xlabel="angle to the steepest descent (degrees)", title=f"{layer} layer"
        )
        axis.set_xticks(range(0, 101, 15))
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left" if layer == "hidden" else "upper center")
    axes[0].set_ylabel("errors (%)")
    return figure


if __name__ == "__main__":
    run(main)
