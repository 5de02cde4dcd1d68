"""Evidence for docs/layers.md: which gradient layers follow, no better rule up to three layers, and
why four fail.

The gradient of spike times follows from the closed form. Let z = exp(t / tau), with the time t and
the membrane's time constant tau. Row k steps up at z_k and has the weight w_k in thresholds. The
neuron fires at z = sum(w_k z_k) / (sum(w_k) - 1), with sums over the rows that step up before z. So
dz/dw_k = (z_k - z) / (sum(w_k) - 1) and dz/dz_k = w_k / (sum(w_k) - 1). A neuron of the first layer
has a constant drive u in thresholds from the start z_start on. It fires at z = z_start u / (u - 1),
so dz/du = -z_start / (u - 1)^2. The chain rule gives the rest.

- angles: how far is the local rule from this gradient? The study looks at training images after
  which the rule writes, before and after the training. The change of all states by one write is
  compared, layer by layer, with the steepest descent of the lag t_right - t_wrong: the time from
  the wrong neuron's spike to the right neuron's. In each hidden layer some neurons are written
  against their gradient. MNIST's grey 10x10 images, networks of one and of two hidden layers.
  Writes results/layers/layer_gradient.json and figures/layer_gradient.png; eight minutes on two
  cores.
- rules: would the exact gradient learn better, and why do four hidden layers fail? Networks of 1 to
  4 hidden layers learn scikit-learn's digits by three rules, which differ in what they write after
  an error. Writes results/layers/gradient_rules.json; 20 minutes on one core.

The three rules:

- "local": the rule of the circuit, w_label - w_wrong;
- "two factors": w_label / A_label - w_wrong / A_wrong. The drive A of an output neuron follows from
  the time t of its spike, A = 1 / (1 - exp(-t / tau)), exactly if all rows rise at the start;
- "exact": the gradient of the lag. In each layer the write has the direction of steepest descent,
  and the length of the local rule's write, so the rules differ in direction only.

There is no lag, and hence no gradient, if the label's neuron or all others are silent. All rules
then write as the local rule does.

Two starts are compared. The "usual" one is that of `MemristiveClassifier` up to three hidden
layers. In "equal parts", the mean neuron of each layer fires at the end of its part of the window,
because the weights allow for the times at which the rows rise. A third, "narrow", start changes
one thing of the usual one: the last of four hidden layers has weights as wide as those of the
layer before. Each kind of network has its own dose, from `FACTORS` times the usual one. The dose
is chosen with another seed, on images that no network is tested with. The seeds give the split of
the other images, the start and the order of images; tests are paired t tests over the seeds.

Ctrl-C saves a checkpoint for --resume.
"""

import argparse
import dataclasses
import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import ttest_rel
from sklearn.model_selection import train_test_split

from memristive.classifier import defaults
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.closed_form import kernel, kernel_arrays
from memristive.closed_form.neuron import Stages
from memristive.compiled import compiled
from memristive.datasets import Images, matching_dataset
from memristive.learning.build import initial_network
from memristive.learning.rule import (
    Doses,
    LayeredRule,
    dose_factor,
    first_wrong_neuron,
    hidden_errors,
    output_errors,
    overlap_times,
)
from memristive.learning.training import learn
from memristive.network.design import LayerDesign
from memristive.network.networks import KernelArrays, Network, with_bias
from memristive.plotting import BLUE, GREY, VERMILLION, WIDTH
from memristive.scores.decisions import score_row
from memristive.writing import at_once
from snn_circuit import NetworkParameters

STEP = 1e-4  # V, of the difference that approximates a channel's dI/dX
# angles
RULE = LayeredRule(presentations=600_000)
SIZES = {"200": (200,), "200-100": (200, 100)}
SEARCHED = 20_000  # training images among which errors are searched
ERRORS = 100  # measured before and after a training
BEFORE, AFTER = "before learning", "after learning"
# rules
LOCAL, TWO, EXACT = range(3)
RULES = {"local": LOCAL, "two factors": TWO, "exact": EXACT}
USUAL, NARROW, PARTS = "usual", "narrow", "equal parts"
CLASSES, DESIGN = 10, LayerDesign()
MOST, NEURONS, PRESENTATIONS = 4, 100, 8_000  # hidden layers, their neurons, images presented
FACTORS = (0.5, 1.0, 2.0)  # on the usual dose
CHOOSING = 101  # seed of the networks that choose the dose
MEMBRANE_GAIN = Stages._fields.index("membrane_gain")


def main(arguments: list[str] | None = None) -> None:
    """Measure angles, or compare rules; save, print, plot."""
    parser = add_resume(make_parser(__doc__, "layers", parameters=False))
    parser.add_argument("name", choices=("angles", "rules"))
    parser.add_common("--seeds", 5)
    options = parser.parse_args(arguments)
    (measure_angles if options.name == "angles" else compare_rules)(options)


# The gradient


class Circuit(NamedTuple):
    """Arguments of the kernel for a network of emulators without noise."""

    layers: tuple[kernel_arrays.LayerArrays, ...]
    timing: kernel_arrays.Timing
    doses: Doses
    states: kernel_arrays.Arrays
    work: kernel_arrays.Work


def circuit_of(arrays: KernelArrays, rule: LayeredRule) -> Circuit:
    """Return the arguments of the kernel for a network's arrays and a rule."""
    doses = Doses(*(getattr(rule, name) for name in Doses._fields))
    return Circuit(arrays.layers, arrays.timing, doses, arrays.states, arrays.work)


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
    of = circuit_of(KernelArrays(network), RULE)
    tau = network.parameters.neuron.time_constant
    found = descents(of, with_bias(image[None])[0], label, wrong)
    return tuple(-tau * of_layer for of_layer in found)


@compiled
def descents(of: Circuit, image: np.ndarray, label: int, wrong: int) -> list[np.ndarray]:
    """Return the steepest descent of the lag in tau/V, for each layer neurons x rows."""
    none = kernel_arrays.EMPTY_TABLE
    kernel.read_image(of.layers, of.timing, of.states, of.work, image, None, label, none)
    exact, found = exact_errors(of, label, wrong), [np.zeros((0, 0)) for _ in range(0)]
    for k in range(len(of.states)):
        down = np.zeros((len(exact[k]), len(of.states[k])))
        for j in range(len(down)):
            if exact[k][j] != 0.0:
                down[j] = exact[k][j] * exact_shares(of, k, j, image)
        found.append(down)
    return found


@compiled
def exact_errors(of: Circuit, label: int, wrong: int) -> list[np.ndarray]:
    """Return for each layer's neurons the factor that, times `exact_shares`, is the steepest
    descent of the lag in units of tau.
    """
    layers, work, last = of.layers, of.work, len(of.layers) - 1
    by_spike, found = np.zeros(len(work.spikes[last])), [np.zeros(0)]
    by_spike[label] = 1.0 / work.spikes[last][label]
    by_spike[wrong] = -1.0 / work.spikes[last][wrong]
    for k in range(last, 0, -1):
        z, rows = work.spikes[k], np.append(work.spikes[k - 1], of.timing.start)
        errors, below = np.zeros(len(z)), np.zeros(len(rows))
        for j in range(len(z)):
            if by_spike[j] == 0.0 or z[j] == np.inf:
                continue
            scale = (
                layers[k].neurons[MEMBRANE_GAIN, j] / layers[k].neurons[kernel_arrays.THRESHOLD, j]
            )
            weights = scale * (work.weights[k][0, :, j] - work.weights[k][1, :, j])
            weights[rows >= z[j]] = 0.0
            by_sum = by_spike[j] / (weights.sum() - 1.0)
            errors[j] = by_sum * z[j]
            below += by_sum * weights
        found.append(errors)
        by_spike = below[:-1]
    errors = by_spike * of.timing.start / (work.drives[0] - 1.0) ** 2
    errors[work.spikes[0] == np.inf] = 0.0
    found.append(errors)
    return found[:0:-1]


@compiled
def exact_shares(of: Circuit, k: int, j: int, image: np.ndarray) -> np.ndarray:
    """Return for each row of layer `k` how a change of its cell's X moves the membrane of neuron
    `j` at its spike, in thresholds per V.
    """
    layer, work, timing = of.layers[k], of.work, of.timing
    spike, result = work.spikes[k][j], np.zeros(of.states[k].shape[0])
    scale = layer.neurons[MEMBRANE_GAIN, j] / layer.neurons[kernel_arrays.THRESHOLD, j]
    for i in range(len(result)):
        cell = kernel_arrays.values_of(layer.cells, kernel_arrays.row_of(layer.cells, i), j)
        level, risen = image[i] if k == 0 else 1.0, 1.0
        if k:
            row = work.spikes[k - 1][i] if i < len(work.spikes[k - 1]) else timing.start
            risen = max(1.0 - row / spike, 0.0)
        if level * risen > 0.0:
            low, high = (
                kernel_arrays.current(cell, of.states[k][i, j], level * timing.row_voltage),
                kernel_arrays.current(cell, of.states[k][i, j] + STEP, level * timing.row_voltage),
            )
            result[i] = risen * scale * work.scale[k][0, j] * (high - low) / STEP
    return result


# Angles


@dataclass(frozen=True)
class Measured:
    """A network of MNIST (`hidden`: key of `SIZES`), measured before and after its training."""

    hidden: str
    seed: int

    def rows(self) -> list[dict[str, Any]]:
        """Train the network; return a row for each error that was measured."""
        training, rule = matching_dataset("mnist").training, self.rule
        network, rows = initial_network(SIZES[self.hidden], 10, training.levels, rule), []
        for stage in (BEFORE, AFTER):
            if stage == AFTER:
                network = learn(network, rule, *training).network
            case = {**dataclasses.asdict(self), "stage": stage}
            rows += [
                case | measure(network, rule, training.levels[k], label, wrong)
                for k, label, wrong in find_errors(network, rule, training)[:ERRORS]
            ]
        return rows

    @property
    def rule(self) -> LayeredRule:
        """Rule of the training."""
        return dataclasses.replace(RULE, seed=self.seed)


def measure_angles(options: argparse.Namespace) -> None:
    """Measure angles before and after trainings, save, print, plot."""
    cases = [Measured(text, seed) for text in SIZES for seed in range(1, options.seeds + 1)]
    record = Record(
        options,
        "layer_gradient",
        {
            "rule": dataclasses.asdict(RULE),
            "hidden": list(SIZES),
            "errors": ERRORS,
            "seeds": options.seeds,
        },
    )
    rows = [row for of_case in record.run_tasks(Measured.rows, cases) for row in of_case]
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    medians = table.groupby(["hidden", "stage"], sort=False).median(numeric_only=True)
    print("medians", medians.T.to_string(float_format="{:.4g}".format), sep="\n")
    record.plot(angles_figure(table[table.hidden == "200"]))


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
    image : array, inputs, levels 0 to 1
    label, wrong : int
        Right neuron, and the wrong neuron that fires too early.

    Returns
    -------
    dict
        Angles in degrees between write and steepest descent in the output layer and in the first
        hidden layer. Then, for each hidden layer, with its number k from 1: `written_degrees_k`,
        the angle in the neurons that have a gradient; `opposite_write_k`, the share of the write
        (sum of squares) that goes against the gradient; `without_gradient_k`, the share that goes
        to neurons without a gradient.
    """
    # doses fall over a training: its only write has the whole first dose
    rule = dataclasses.replace(rule, presentations=1)
    written = learn(network, rule, image[None], np.array([label])).network
    writes = [after - before for after, before in zip(written.states, network.states, strict=True)]
    descent = [-gradient for gradient in lag_gradient(network, image, label, wrong)]
    hidden: dict[str, float] = {}
    for k, (write, down) in enumerate(zip(writes[:-1], descent, strict=False), 1):
        able, against = (down != 0).any(axis=1), (write * down).sum(axis=1) < 0
        squares = (write**2).sum(axis=1)
        hidden |= {
            f"written_degrees_{k}": angle(write[able], down[able]),
            f"opposite_write_{k}": share_of(squares[against].sum(), squares.sum()),
            f"without_gradient_{k}": share_of(squares[~able].sum(), squares.sum()),
        }
    return {
        "output_degrees": angle(writes[-1], descent[-1]),
        "hidden_degrees": angle(writes[0], descent[0]),
        **hidden,
    }


def share_of(part: float, whole: float) -> float:
    """Return the share of a `part` in the `whole`; nan if there is nothing."""
    return float(part / whole) if whole else math.nan


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """Return the angle in degrees between two arrays, taken as vectors; nan if one of them is 0."""
    size = math.sqrt(float((one**2).sum() * (other**2).sum()))
    return math.degrees(math.acos(np.clip((one * other).sum() / size, -1, 1))) if size else math.nan


def angles_figure(table: pd.DataFrame) -> Figure:
    """Draw histograms of the angles of hidden and output layer, before and after the training."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    for axis, layer in zip(axes, ("hidden", "output"), strict=True):
        for stage, colour in ((BEFORE, GREY), (AFTER, BLUE)):
            angles = table.loc[table.stage == stage, f"{layer}_degrees"]
            label = f"{stage}: median {angles.median():.0f}°"
            weights = np.full(len(angles), 100 / len(angles))
            bins = np.arange(0, 181, 3)
            axis.hist(angles, bins, weights=weights, color=colour, alpha=0.6, label=label)
        axis.axvline(90, color=VERMILLION, linestyle=":", label="a random direction")
        axis.set(
            xlim=(0, 100), xlabel="angle to the steepest descent (degrees)", title=f"{layer} layer"
        )
        axis.grid(alpha=0.3)
        axis.legend()
    axes[0].set_ylabel("errors (%)")
    return figure


# Rules


@dataclass(frozen=True)
class Case:
    """Networks of one depth, start and rule, which differ by their seed.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of each hidden layer.
    start : str
        `USUAL` or `PARTS`.
    rule : str
        Key of `RULES`.
    seeds : int
    presentations : int
    """

    hidden: tuple[int, ...]
    start: str
    rule: str
    seeds: int
    presentations: int

    def rows(self) -> list[dict[str, Any]]:
        """Choose the dose, then train and test the networks; return a row for each of them."""
        chosen = matching_dataset("digits").test
        accuracies = [self.accuracy(self.network(CHOOSING, of)[1], chosen) for of in FACTORS]
        factor, rows = FACTORS[int(np.argmax(accuracies))], []
        for seed in range(1, self.seeds + 1):
            training, test = split(seed)
            before, after, counts = self.network(seed, factor)
            row = {
                "layers": len(self.hidden),
                "start": self.start,
                "rule": self.rule,
                "seed": seed,
                "dose_factor": factor,
                "strict_accuracy": self.accuracy(after, test),
                "errors": int(counts[0]),
                "errors_without_lag": int(counts[1]),
            }
            if self.rule == "local":
                row["by_layer"] = {
                    stage: {
                        "fires": [float(np.mean(~np.isnan(t))) for t in of.forward(test.levels)],
                        "opposite": opposite_signs(of, self.learning(1, 1.0), training),
                    }
                    for stage, of in (("before", before), ("after", after))
                }
            rows.append(row)
        return rows

    def learning(self, seed: int, factor: float) -> LayeredRule:
        """Return the rule of `MemristiveClassifier` with its dose times a `factor`."""
        pixels, images = split(seed)[0].levels.shape[1], len(split(seed)[0].levels)
        dose = factor * defaults.suited_dose(pixels, CLASSES, self.hidden)
        rule = defaults.learning_rule(dose, defaults.suited_margin(images), seed, self.hidden)
        return dataclasses.replace(rule, presentations=self.presentations)

    def network(self, seed: int, factor: float) -> tuple[Network, Network, np.ndarray]:
        """Return a network before and after its training, and its counts, as of `train_with`."""
        training, rule = split(seed)[0], self.learning(seed, factor)
        start = {USUAL: usual_start, NARROW: narrow_start, PARTS: start_in_parts}[self.start]
        before = start(rule, training.levels, self.hidden)
        return before, *train_with(RULES[self.rule], before, rule, training)

    @staticmethod
    def accuracy(network: Network, images: Images) -> float:
        """Return the share of `images` that a network decides strictly right."""
        return score_row(images.labels, network.first_spikes(images.levels))["strict_accuracy"]


def compare_rules(options: argparse.Namespace) -> None:
    """Train and test all networks, compare them, save, print."""
    sizes = {"most": MOST, "neurons": NEURONS, "presentations": PRESENTATIONS}
    parameters = {"seeds": options.seeds, **sizes, "factors": FACTORS}
    record = Record(options, "gradient_rules", parameters)
    pairs = list(itertools.product((USUAL, PARTS), RULES))
    kinds = [(layers, *pair) for layers in range(1, MOST + 1) for pair in pairs]
    kinds.append((MOST, NARROW, "local"))
    cases = [
        Case((NEURONS,) * layers, start, rule, options.seeds, PRESENTATIONS)
        for layers, start, rule in kinds
    ]
    rows = [row for of_case in record.run_tasks(Case.rows, cases) for row in of_case]
    comparisons = compare(rows)
    record.write({"rows": rows, "comparisons": comparisons}, ngspice=False)
    means = pd.DataFrame(rows).groupby(["layers", "start", "rule"], sort=False)
    print(means.strict_accuracy.agg(["mean", "std"]).to_string(float_format="{:.4f}".format))
    print_rows(comparisons)


@functools.cache
def split(seed: int) -> tuple[Images, Images]:
    """Return training and test images for a `seed`, a fifth for tests. The 360 images that choose
    the doses are in neither.
    """
    levels, labels = matching_dataset("digits").training
    found = train_test_split(levels, labels, test_size=0.2, random_state=seed, stratify=labels)
    return Images(found[0], found[2]), Images(found[1], found[3])


def compare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare accuracies of networks of equal depth and seed, by paired t tests: each rule with the
    local one at the same start, and the start in equal parts with the usual one.
    """
    groups = pd.DataFrame(rows).groupby(["layers", "start", "rule"], sort=False)
    found = {kind: np.array(of.strict_accuracy) for kind, of in groups}
    result = []
    for (layers, start, rule), ours in found.items():
        for other in dict.fromkeys([(layers, start, "local"), (layers, USUAL, rule)]):
            if other != (layers, start, rule):
                result.append(
                    {
                        "layers": layers,
                        "start": start,
                        "rule": rule,
                        "than_start": other[1],
                        "than_rule": other[2],
                        "better_by": float((ours - found[other]).mean()),
                        "p": float(ttest_rel(ours, found[other]).pvalue),
                    }
                )
    return result


def usual_start(rule: LayeredRule, levels: np.ndarray, hidden: tuple[int, ...]) -> Network:
    """Return an untrained network of `MemristiveClassifier` for images of `levels`, as it starts up
    to three hidden layers.
    """
    devices = {"parameters": NetworkParameters(), "design": DESIGN}
    return defaults.firing_start(rule, levels, hidden, CLASSES, devices)


def narrow_start(rule: LayeredRule, levels: np.ndarray, hidden: tuple[int, ...]) -> Network:
    """Return the network of `usual_start` with smaller weights of its last hidden layer: they have
    the standard deviation of those of the layer before.
    """
    network = usual_start(rule, levels, hidden)
    *others, below, last, outputs = network.states
    rest = DESIGN.reference_state
    states = (*others, below, rest + (last - rest) * below.std() / last.std(), outputs)
    return dataclasses.replace(network, states=states)


def start_in_parts(rule: LayeredRule, levels: np.ndarray, hidden: tuple[int, ...]) -> Network:
    """Return an untrained network whose layers fire one after the other."""
    return defaults.start_in_parts(usual_start(rule, levels, hidden), levels, rule.seed)


def train_with(
    way: int, network: Network, rule: LayeredRule, training: Images
) -> tuple[Network, np.ndarray]:
    """Train a network of emulators without noise by one of the `RULES`.

    Parameters
    ----------
    way : int
        Value of `RULES`.
    network : Network
    rule : LayeredRule
    training : Images

    Returns
    -------
    network : Network
        The trained one.
    counts : array, 2
        Presentations that wrote, and those of them that had no lag.
    """
    arrays, counts = KernelArrays(network), np.zeros(2, np.int64)
    order = rule.order(len(training.levels), 0, rule.presentations)
    of = circuit_of(arrays, rule)
    train_compiled(way, of, with_bias(training.levels), training.labels, order, counts)
    return arrays.trained(network), counts


@compiled
def train_compiled(
    way: int,
    of: Circuit,
    images: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Present the images of the indices `order`, and write after errors; the states and `counts`
    change in place.
    """
    for n in range(len(order)):
        image, label = images[order[n]], labels[order[n]]
        wrong, writes, lag = look(of, image, label)
        if not writes:
            continue
        counts[0] += 1
        counts[1] += not lag
        used = LOCAL if way == EXACT and not lag else way
        found = local_errors(used, of, label, wrong)
        exact = exact_errors(of, label, wrong) if used == EXACT else found
        share = dose_factor(n, of.doses.presentations, of.doses.final_dose)
        for k in range(len(of.states)):
            last = k == len(of.states) - 1
            dose = share * (of.doses.output_dose if last else of.doses.hidden_dose)
            write_layer(used, of, k, image, dose, found[k], exact[k])


@compiled
def look(of: Circuit, image: np.ndarray, label: int) -> tuple[int, bool, bool]:
    """Read an image; return the first wrong neuron (-1: none), True if the rule writes, and True if
    there is a lag.
    """
    none = kernel_arrays.EMPTY_TABLE
    kernel.read_image(of.layers, of.timing, of.states, of.work, image, None, label, none)
    times = kernel.seconds(of.timing, of.work.spikes[-1])
    wrong = first_wrong_neuron(times, label, of.doses.margin)
    silent = np.isnan(times[label])
    return (
        -1 if wrong is None else int(wrong),
        silent or wrong is not None,
        not silent and wrong is not None,
    )


@compiled
def local_errors(way: int, of: Circuit, label: int, wrong: int) -> list[np.ndarray]:
    """Return the errors of each layer's neurons as `rule.correct` reads them back, output errors
    over the drives with two factors.
    """
    timing, last = of.timing, len(of.states) - 1
    spikes = of.work.spikes[last]
    errors = output_errors(len(spikes), label, wrong)
    if way == TWO:
        # 1 / A = 1 - exp(-t / tau), over its value at the end of the window, which silent ones have
        end = kernel_arrays.last_z(timing)
        errors *= (1.0 - 1.0 / np.minimum(spikes, end)) / (1.0 - 1.0 / end)
    found = [errors]
    for k in range(last, 0, -1):
        volts, scale = (
            (timing.back_voltage, 1.0)
            if k == last
            else (timing.error_voltage, of.doses.error_scale)
        )
        back = kernel.read_back(of.layers[k], of.states[k], found[-1], volts, None)
        found.append(hidden_errors(back, of.work.drives[k - 1], of.doses.reach, scale))
    return found[::-1]


@compiled
def write_layer(
    way: int,
    of: Circuit,
    k: int,
    image: np.ndarray,
    dose: float,
    errors: np.ndarray,
    exact: np.ndarray,
) -> None:
    """Write layer `k` in place: by its local `errors`, or along the exact gradient."""
    layer, timing, states, work = of.layers[k], of.timing, of.states[k], of.work
    steps = image
    if k:
        rises = kernel.seconds(timing, work.spikes[k - 1])
        steps = np.append(rises, timing.tau * math.log(timing.start))
    until, high = kernel.seconds(timing, work.spikes[k]), np.zeros((len(errors), len(steps)))
    length, of_exact, moved = 0.0, 0.0, np.zeros(len(errors))
    for j in range(len(errors)):
        if errors[j] != 0.0:
            high[j] = overlap_times(steps, until[j], timing.window) / timing.tau if k else image
            length += (dose * errors[j]) ** 2 * (high[j] ** 2).sum()
    if way == EXACT:
        for j in range(len(exact)):
            if exact[j] != 0.0:
                high[j] = exact_shares(of, k, j, image)
                of_exact += exact[j] ** 2 * (high[j] ** 2).sum()
        errors, dose = exact, math.sqrt(length / of_exact) if of_exact > 0.0 else 0.0
    loads, volts = work.loads[k], timing.row_voltage
    for j in range(len(errors)):
        signed = dose * errors[j]
        if signed != 0.0:
            moved[j], seconds = 1.0, signed / layer.nominal_rate
            loads[j] = at_once.write_at_once(
                layer, None, timing, states, j, high[j], seconds, kernel_arrays.EMPTY
            )
    kernel.refresh(layer, volts, states, loads, work.scale[k], work.weights[k], moved)


def opposite_signs(network: Network, rule: LayeredRule, images: Images) -> list[float]:
    """Return for each hidden layer the share of the neurons with a gradient, among those that an
    error writes, whose local error has the wrong sign. It is nan if no error on the `images` has a
    lag.
    """
    counts = np.zeros((len(network.states) - 1, 2), np.int64)
    of = circuit_of(KernelArrays(network), rule)
    count_opposite(of, with_bias(images.levels), images.labels, counts)
    return [share_of(*of_layer) for of_layer in counts.tolist()]


@compiled
def count_opposite(
    of: Circuit,
    images: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Add to `counts` (hidden layers x 2) the neurons with a wrong sign, and all that have both an
    error and a gradient.
    """
    for n in range(len(images)):
        wrong, _, lag = look(of, images[n], labels[n])
        if lag:
            found = local_errors(LOCAL, of, labels[n], wrong)
            exact = exact_errors(of, labels[n], wrong)
            for k in range(len(counts)):
                agreement = found[k] * exact[k]
                counts[k, 0] += (agreement < 0.0).sum()
                counts[k, 1] += (agreement != 0.0).sum()


if __name__ == "__main__":
    run(main)
