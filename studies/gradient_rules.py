"""Evidence for docs/layers.md: no better rule up to three layers, and why four fail.

Would the exact gradient learn better than the local rule, and why do four hidden layers fail?

Networks of 1 to 4 hidden layers learn scikit-learn's digits by four rules, which differ in
what they write after an error (docs/layers.md):

- "local": the rule of the circuit, w_label - w_wrong;
- "two factors": w_label / A_label - w_wrong / A_wrong. The drive A of an output neuron follows from
  the time t of its spike, A = 1 / (1 - exp(-t / tau)), exactly if all rows rise at the start;
- "exact": the gradient of the lag t_label - t_wrong, derived in `studies.gradient_angle`. In each
  layer the write has the direction of steepest descent, and the length of the local rule's write,
  so the rules differ in direction only;
- "exact signs", four hidden layers only: the local rule, except that each neuron with a gradient is
  written with the sign of its gradient.

There is no lag, and hence no gradient, if the label's neuron or all others are silent. All rules
then write as the local rule does.

Two starts are compared. The "usual" one is that of `MemristiveClassifier` up to three hidden
layers. In "equal parts", the mean neuron of each layer fires at the end of its part of the window,
because the weights allow for the times at which the rows rise. A third, "narrow", start changes
one thing of the usual one: the last of four hidden layers has weights as wide as those of the
layer before. Each kind of network has its own dose, from `FACTORS` times the usual one. The dose
is chosen with another seed, on images that no network is tested with. The seeds give the split of
the other images, the start and the order of images; tests are paired t tests over the seeds.

Writes results/layers/gradient_rules.json. 20 minutes on one core. Ctrl-C saves a checkpoint for
--resume.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel
from sklearn.model_selection import train_test_split

from memristive.classifier import defaults
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.closed_form import kernel, kernel_arrays
from memristive.closed_form.neuron import Stages
from memristive.compiled import compiled
from memristive.datasets import Images, matching_dataset
from memristive.learning.rule import (
    Doses,
    LayeredRule,
    dose_factor,
    first_wrong_neuron,
    hidden_errors,
    output_errors,
    overlap_times,
)
from memristive.network.design import LayerDesign
from memristive.network.networks import (
    KernelArrays,
    Network,
    with_bias,
)
from memristive.scores.decisions import score_row
from memristive.writing import at_once
from snn_circuit import NetworkParameters
from studies.gradient_angle import STEP, share_of

LOCAL, TWO, SIGNS, EXACT = range(4)
RULES = {"local": LOCAL, "two factors": TWO, "exact signs": SIGNS, "exact": EXACT}
USUAL, NARROW, PARTS = "usual", "narrow", "equal parts"
CLASSES, DESIGN = 10, LayerDesign()
FACTORS = (0.5, 1.0, 2.0)  # on the usual dose
CHOOSING = 101  # seed of the networks that choose the dose
MEMBRANE_GAIN = Stages._fields.index("membrane_gain")


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
                    stage: spike_statistics(network, test.levels)
                    | {
                        f"opposite {name}": opposite_signs(
                            network, self.learning(1, 1.0), of, training
                        )
                        for name, of in (("local", LOCAL), ("two factors", TWO))
                    }
                    for stage, network in (("before", before), ("after", after))
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


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks, compare them, save, print."""
    parser = add_resume(make_parser(__doc__, "layers", parameters=False))
    parser.add_common("--seeds", 5)
    parser.add_number("--most", 1, 8, 4, "hidden layers at most")
    parser.add_number("--neurons", 1, 10_000, 100, "neurons of each hidden layer")
    parser.add_number("--presentations", 1, 10**8, 8_000, "training images presented in all")
    options = parser.parse_args(arguments)
    sizes = {name: getattr(options, name) for name in ("seeds", "most", "neurons", "presentations")}
    record = Record(options, "gradient_rules", {**sizes, "factors": FACTORS})
    pairs = [
        (start, rule) for start in (USUAL, PARTS) for rule in ("local", "two factors", "exact")
    ]
    kinds = [(layers, *pair) for layers in range(1, options.most + 1) for pair in pairs]
    if options.most > 1:
        kinds += [(options.most, USUAL, "exact signs"), (options.most, NARROW, "local")]
    cases = [
        Case((options.neurons,) * layers, start, rule, options.seeds, options.presentations)
        for layers, start, rule in kinds
    ]
    works = [case.presentations * len(case.hidden) ** 2 for case in cases]
    rows = [row for of_case in record.run_tasks(Case.rows, cases, works) for row in of_case]
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
    train_compiled(
        way,
        arrays.layers,
        arrays.timing,
        Doses(*(getattr(rule, name) for name in Doses._fields)),
        arrays.states,
        arrays.work,
        with_bias(training.levels),
        training.labels,
        rule.order(len(training.levels), 0, rule.presentations),
        counts,
        np.random.default_rng(0),
    )
    return arrays.trained(network), counts


@compiled
def train_compiled(
    way: int,
    layers: tuple[kernel_arrays.LayerArrays, ...],
    timing: kernel_arrays.Timing,
    doses: Doses,
    states: kernel_arrays.Arrays,
    work: kernel_arrays.Work,
    images: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    counts: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Present the images of the indices `order`, and write after errors; `states`, `work` and
    `counts` change in place. Arguments are those of `rule.train_compiled`.
    """
    for n in range(len(order)):
        image, label = images[order[n]], labels[order[n]]
        wrong, writes, lag = look(layers, timing, doses, states, work, image, label)
        if not writes:
            continue
        counts[0] += 1
        counts[1] += not lag
        used = way if lag or way < SIGNS else LOCAL
        found = local_errors(used, layers, timing, doses, states, work, label, wrong, rng)
        exact = exact_errors(layers, timing, work, label, wrong) if used >= SIGNS else found
        share = dose_factor(n, doses.presentations, doses.final_dose)
        for k in range(len(states)):
            dose = share * (doses.output_dose if k == len(states) - 1 else doses.hidden_dose)
            write_layer(used, k, layers, timing, states, work, image, dose, found[k], exact[k])


@compiled
def look(
    layers: tuple[kernel_arrays.LayerArrays, ...],
    timing: kernel_arrays.Timing,
    doses: Doses,
    states: kernel_arrays.Arrays,
    work: kernel_arrays.Work,
    image: np.ndarray,
    label: int,
) -> tuple[int, bool, bool]:
    """Read an image; return the first wrong neuron (-1: none), True if the rule writes, and True if
    there is a lag.
    """
    kernel.read_image(layers, timing, states, work, image, label, kernel_arrays.EMPTY)
    times = kernel.seconds(timing, work.spikes[-1])
    wrong = first_wrong_neuron(times, label, doses.margin)
    silent = np.isnan(times[label])
    return (
        -1 if wrong is None else int(wrong),
        silent or wrong is not None,
        not silent and wrong is not None,
    )


@compiled
def local_errors(
    way: int,
    layers: tuple[kernel_arrays.LayerArrays, ...],
    timing: kernel_arrays.Timing,
    doses: Doses,
    states: kernel_arrays.Arrays,
    work: kernel_arrays.Work,
    label: int,
    wrong: int,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Return the errors of each layer's neurons as `rule.correct` reads them back, output errors
    over the drives with two factors.
    """
    last = len(states) - 1
    errors = output_errors(len(work.spikes[last]), label, wrong)
    if way == TWO:
        # 1 / A = 1 - exp(-t / tau), over its value at the end of the window, which silent ones have
        end = kernel_arrays.last_z(timing)
        errors *= (1.0 - 1.0 / np.minimum(work.spikes[last], end)) / (1.0 - 1.0 / end)
    found = [errors]
    for k in range(last, 0, -1):
        volts, scale = (
            (timing.back_voltage, 1.0) if k == last else (timing.error_voltage, doses.error_scale)
        )
        back = kernel.read_back(layers[k], states[k], found[-1], volts, rng)
        found.append(hidden_errors(back, work.drives[k - 1], doses.reach, scale))
    return found[::-1]


@compiled(error_model="numpy")
def exact_errors(
    layers: tuple[kernel_arrays.LayerArrays, ...],
    timing: kernel_arrays.Timing,
    work: kernel_arrays.Work,
    label: int,
    wrong: int,
) -> list[np.ndarray]:
    """Return for each layer's neurons the factor that, times `exact_shares`, is the steepest
    descent of the lag in units of tau. The names are those of `gradient_angle.lag_gradient`.
    """
    last = len(layers) - 1
    by_spike, found = np.zeros(len(work.spikes[last])), [np.zeros(0)]
    by_spike[label] = 1.0 / work.spikes[last][label]
    by_spike[wrong] = -1.0 / work.spikes[last][wrong]
    for k in range(last, 0, -1):
        z, rows = work.spikes[k], np.append(work.spikes[k - 1], timing.start)
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
    errors = by_spike * timing.start / (work.drives[0] - 1.0) ** 2
    errors[work.spikes[0] == np.inf] = 0.0
    found.append(errors)
    return found[:0:-1]


@compiled(error_model="numpy")
def exact_shares(
    k: int,
    j: int,
    layers: tuple[kernel_arrays.LayerArrays, ...],
    timing: kernel_arrays.Timing,
    states: kernel_arrays.Arrays,
    work: kernel_arrays.Work,
    image: np.ndarray,
) -> np.ndarray:
    """Return for each row of layer `k` how a change of its cell's X moves the membrane of neuron
    `j` at its spike, in thresholds per V.
    """
    layer, spike, result = layers[k], work.spikes[k][j], np.zeros(states[k].shape[0])
    scale = layer.neurons[MEMBRANE_GAIN, j] / layer.neurons[kernel_arrays.THRESHOLD, j]
    for i in range(len(result)):
        cell = kernel_arrays.values_of(layer.cells, kernel_arrays.row_of(layer.cells, i), j)
        level, risen = image[i] if k == 0 else 1.0, 1.0
        if k:
            row = work.spikes[k - 1][i] if i < len(work.spikes[k - 1]) else timing.start
            risen = max(1.0 - row / spike, 0.0)
        if level * risen > 0.0:
            low, high = (
                kernel_arrays.current(cell, states[k][i, j], level * timing.row_voltage),
                kernel_arrays.current(cell, states[k][i, j] + STEP, level * timing.row_voltage),
            )
            result[i] = risen * scale * work.scale[k][0, j] * (high - low) / STEP
    return result


@compiled(error_model="numpy")
def write_layer(
    way: int,
    k: int,
    layers: tuple[kernel_arrays.LayerArrays, ...],
    timing: kernel_arrays.Timing,
    states: kernel_arrays.Arrays,
    work: kernel_arrays.Work,
    image: np.ndarray,
    dose: float,
    errors: np.ndarray,
    exact: np.ndarray,
) -> None:
    """Write layer `k` in place: by its local `errors`, with the signs of the `exact` ones, or along
    the exact gradient.
    """
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
            if way == SIGNS and exact[j] != 0.0:
                errors[j] = math.copysign(errors[j], exact[j])
    if way == EXACT:
        for j in range(len(exact)):
            if exact[j] != 0.0:
                high[j] = exact_shares(k, j, layers, timing, states, work, image)
                of_exact += exact[j] ** 2 * (high[j] ** 2).sum()
        errors, dose = exact, math.sqrt(length / of_exact) if of_exact > 0.0 else 0.0
    for j in range(len(errors)):
        signed = dose * errors[j]
        if signed != 0.0:
            moved[j], seconds = 1.0, signed / layers[k].nominal_rate
            work.loads[k][j] = at_once.write_at_once(
                layers[k], timing, states[k], j, high[j], seconds, kernel_arrays.EMPTY
            )
    kernel.refresh(
        layers[k],
        timing.row_voltage,
        states[k],
        work.loads[k],
        work.scale[k],
        work.weights[k],
        moved,
    )


def opposite_signs(network: Network, rule: LayeredRule, way: int, images: Images) -> list[float]:
    """Return for each hidden layer the share of the neurons with a gradient, among those that an
    error writes, whose error has the wrong sign. It is nan if no error on the `images` has a lag.
    """
    arrays, counts = KernelArrays(network), np.zeros((len(network.states) - 1, 2), np.int64)
    count_opposite(
        way,
        arrays.layers,
        arrays.timing,
        Doses(*(getattr(rule, name) for name in Doses._fields)),
        arrays.states,
        arrays.work,
        with_bias(images.levels),
        images.labels,
        counts,
        np.random.default_rng(0),
    )
    return [share_of(*of_layer) for of_layer in counts.tolist()]


@compiled
def count_opposite(
    way: int,
    layers: tuple[kernel_arrays.LayerArrays, ...],
    timing: kernel_arrays.Timing,
    doses: Doses,
    states: kernel_arrays.Arrays,
    work: kernel_arrays.Work,
    images: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Add to `counts` (hidden layers x 2) the neurons with a wrong sign, and all that have both an
    error and a gradient.
    """
    for n in range(len(images)):
        wrong, _, lag = look(layers, timing, doses, states, work, images[n], labels[n])
        if lag:
            found = local_errors(way, layers, timing, doses, states, work, labels[n], wrong, rng)
            exact = exact_errors(layers, timing, work, labels[n], wrong)
            for k in range(len(counts)):
                agreement = found[k] * exact[k]
                counts[k, 0] += (agreement < 0.0).sum()
                counts[k, 1] += (agreement != 0.0).sum()


def spike_statistics(network: Network, images: np.ndarray) -> dict[str, list[float]]:
    """Return for each layer the share of neurons that fire, and the standard deviation of their
    spikes over the neurons of an image in time constants, both as means over the images.
    """
    tau, result = network.parameters.neuron.time_constant, dict[str, list[float]]()
    for times in network.forward(images):
        fires = ~np.isnan(times)
        several = times[fires.sum(axis=1) > 1]
        spread = np.nanstd(several, axis=1).mean() / tau if len(several) else math.nan
        result.setdefault("fires", []).append(float(fires.mean()))
        result.setdefault("spread", []).append(float(spread))
    return result


if __name__ == "__main__":
    run(main)
