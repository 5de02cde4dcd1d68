"""Evidence for docs/convolution.md: pooling, kernels that learn, and late writes decide.

Choices that decide in a convolution (docs/convolution.md): pooling, how kernels learn, windows,
regions, number of kernels, and how devices are written.

--data digits: scikit-learn's 8x8 digits, a split of its own for each seed, tested on the test
images. All choices of a seed share split, order of images and seed of the start, so accuracies are
compared in pairs by Wilcoxon's signed ranks: some seeds fail, therefore differences are skewed.
Holm's method corrects p for the number of comparisons. *No pooling*: there are as many regions as
patches. *Without labels*: the STDP rule of docs/learning.md learns patches that are not dark; its
states, centred and scaled to the spread of random kernels, are the kernels. Dense networks have
settings of their own. --data devices: the same digits, cells of epiram that are written rounded and
late. *Kernels learned rounded*: the kernels of another network, which stay as they are.

Writes results/convolution/convolution_choices_DATA.json, on one core in 20 minutes for the digits
and in 30 for the devices. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.datasets import Dataset, matching_dataset
from memristive.devices.measured_device import load_device
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import (
    CONVOLUTION_CHANGES,
    CONVOLUTION_DESIGN,
    convolution_settings,
)
from memristive.learning.training import learn
from memristive.network.design import Convolution
from memristive.network.networks import Network
from memristive.scores.decisions import score_row
from memristive.stdp.stdp_learning import MnistLearning, draw_start, learn_digits

PATCHES = 50_000  # from which the rule without labels learns
ROUNDED = "four regions, rounded"
LEAST_LIGHT = 0.08  # mean level of a patch from which it learns
# Of dense networks of emulators, by the number of hidden neurons: the best of 12 and of seven
# settings, on held-out training images of three seeds.
DENSE_RULES = {
    0: LayeredRule(output_dose=30e-3, margin=10e-6, start_drive=1.7, start_drive_spread=0.5),
    11: LayeredRule(start_drive_spread=1.0, start_weight=0.0),
}


@dataclass(frozen=True)
class Choice:
    """One network of the comparison.

    `change`: difference from the first network of the dataset, for the table ("" for the first).
    `learned`: how its `kernels` (their number) learn: "errors", "random" (not at all), "without
    labels", or the `change` of the network with devices whose kernels it takes. `window`, `stride`
    and `regions` are the fields of `Convolution`. A `window` of 0 stands for a dense network; then
    `kernels` are hidden neurons, 0 of them if there is one layer. `against`: change of the network
    with which this one is compared, None for no comparison. `device`: name of a preset; "" for
    emulators. Its cells write `late` or rounded.
    """

    change: str
    kernels: int
    window: int
    regions: int
    stride: int = 1
    learned: str = "errors"
    against: str | None = None
    device: str = ""
    late: bool = False


CHOICES = {
    "digits": (
        Choice("", 16, 3, 2),
        Choice("dense, one layer", 0, 0, 0, against=""),
        Choice("dense, 11 hidden", 11, 0, 0, against=""),
        Choice("random kernels", 16, 3, 2, learned="random", against=""),
        Choice("kernels learned without labels", 16, 3, 2, learned="without labels", against=""),
        Choice("window of 2x2", 18, 2, 2, against=""),
        Choice("window of 4x4", 14, 4, 2, against=""),
        Choice("window of 5x5", 12, 5, 2, against=""),
        Choice("one region", 40, 3, 1, against=""),
        Choice("nine regions", 8, 3, 3, against=""),
        Choice("one region, as many kernels", 16, 3, 1, against=""),
        Choice("nine regions, as many kernels", 16, 3, 3, against=""),
        Choice("half the kernels", 8, 3, 2, against=""),
        Choice("twice the kernels", 32, 3, 2, against=""),
        Choice("no pooling, all patches", 2, 3, 6, against=""),
        Choice("no pooling, every second patch", 8, 3, 3, 2, against="nine regions"),
        Choice(
            "no pooling, every second patch, as many kernels",
            *(16, 3, 3, 2),
            against="nine regions, as many kernels",
        ),
    ),
    "devices": (
        Choice("four regions, rounded", 16, 3, 2, device="epiram"),
        Choice("four regions, late", 16, 3, 2, device="epiram", late=True),
        Choice("kernels learned rounded, rounded", 16, 3, 2, learned=ROUNDED, device="epiram"),
    ),
}


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks, save, print their means and comparisons."""
    parser = add_resume(make_parser(__doc__, "convolution", parameters=False))
    parser.add_argument("--data", choices=CHOICES, default="digits", help="default: digits")
    parser.add_common("--seeds", 20)
    options = parser.parse_args(arguments)
    _, rule = convolution_settings(changes=CONVOLUTION_CHANGES["digits"])
    chosen = CHOICES[options.data]
    record = Record(
        options,
        f"convolution_choices_{options.data}",
        {
            "dataset": options.data,
            "learning": rule.as_dict(),
            "choices": [dataclasses.asdict(choice) for choice in chosen],
            "seeds": options.seeds,
        },
    )
    tasks = [
        (choice, dataclasses.replace(rule, seed=rule.seed + number))
        for number in range(options.seeds)
        for choice in chosen
    ]
    rows = record.run_tasks(train_and_test, tasks)
    compared = comparisons(rows)
    record.write({"rows": rows, "comparisons": compared}, ngspice=False)
    found = pd.DataFrame(rows).groupby(["change", "weights"], sort=False).strict_accuracy
    print(found.agg(["mean", "std"]).to_string())
    print_rows(compared)


def train_and_test(task: tuple[Choice, LayeredRule]) -> dict[str, Any]:
    """Train one network; return its scores on the test images as a row. Runs in a worker."""
    choice, rule = task
    data = matching_dataset("digits", seed=rule.seed)
    network = trained(choice, rule, data)
    return {
        **dataclasses.asdict(choice),
        "seed": rule.seed,
        "weights": sum(layer.neurons * layer.rows for layer in network.layers),
        **score_row(data.test.labels, network.first_spikes(data.test.levels)),
    }


def trained(choice: Choice, rule: LayeredRule, data: Dataset) -> Network:
    """Return the trained network of a choice."""
    made, own = settings_of(choice, rule)
    convolution = None
    if choice.window:
        convolution = Convolution(*data.shape, choice.window, choice.stride, choice.regions)
    if choice.learned != "errors":
        own = dataclasses.replace(own, hidden_dose=0.0)
    hidden, levels = (choice.kernels,) if choice.kernels else (), data.training.levels
    network = initial_network(hidden, 10, levels, own, **made, convolution=convolution)
    if choice.learned == "without labels":
        network = with_kernels(network, kernels_without_labels(network, levels, own))
    if choice.learned == ROUNDED:
        other = dataclasses.replace(choice, learned="errors")
        kernels = trained(other, rule, data).states[0]
        network = dataclasses.replace(network, states=(kernels, *network.states[1:]))
    return learn(network, own, *data.training).network


def settings_of(choice: Choice, rule: LayeredRule) -> tuple[dict[str, Any], LayeredRule]:
    """Return the arguments that make the network of a choice, for `initial_network`, and its rule,
    with the presentations and the seed of `rule`, the rule of convolutions of emulators.
    """
    made: dict[str, Any] = {"design": CONVOLUTION_DESIGN}
    own = rule
    if choice.device:
        device, changes = load_device(choice.device), CONVOLUTION_CHANGES["digits"]
        made, own = convolution_settings(device, late=choice.late, changes=changes)
    elif not choice.window:
        made, own = {}, DENSE_RULES[choice.kernels]
    same = {"presentations": rule.presentations, "seed": rule.seed}
    return made, dataclasses.replace(own, **same)


def comparisons(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the comparisons of choices that name another one (`against`).

    Parameters
    ----------
    rows : list of dict
        Of all choices and seeds, with `change`, `against`, `seed` and `strict_accuracy`.

    Returns
    -------
    list of dict
        `difference`: mean over the seeds of the accuracy minus that of the other choice; `std`:
        standard deviation of these differences; `p`: of Wilcoxon's signed ranks; `p_holm`:
        corrected by Holm's method for the number of comparisons.
    """
    accuracies = pd.DataFrame(rows).pivot(index="seed", columns="change", values="strict_accuracy")
    found: list[dict[str, Any]] = []
    pairs = ((row["change"], row["against"]) for row in rows if row["against"] is not None)
    for change, against in dict.fromkeys(pairs):
        differences = accuracies[change] - accuracies[against]
        found.append(
            {
                "change": change,
                "against": against,
                "difference": float(differences.mean()),
                "std": float(differences.std()),
                "p": float(wilcoxon(differences.round(9)).pvalue),  # ties stay ties
            }
        )
    largest = 0.0
    for rank, row in enumerate(sorted(found, key=lambda row: row["p"])):
        largest = max(largest, min(1.0, (len(found) - rank) * row["p"]))
        row["p_holm"] = largest
    return found


def kernels_without_labels(network: Network, images: np.ndarray, rule: LayeredRule) -> np.ndarray:
    """Return the states in V (kernels x pixels) that the STDP rule learns from random patches of
    `images` (n x inputs, levels).
    """
    assert network.convolution
    rng, places = np.random.default_rng([rule.seed, 8]), network.convolution.patches[:, 1:-1]
    patches = np.concatenate(
        [
            images[n, places[rng.integers(len(places), size=20)]]
            for n in rng.integers(len(images), size=PATCHES // 5)
        ]
    )
    patches = patches[patches.mean(axis=1) >= LEAST_LIGHT][:PATCHES]
    learning = MnistLearning(neurons=network.layers[0].neurons, epochs=1, seed=rule.seed)
    found, order = draw_start(learning, patches.shape[1], len(patches))
    for _ in learn_digits(learning, found, patches, order):
        pass
    return found.states


def with_kernels(network: Network, learned: np.ndarray) -> Network:
    """Return the network with the `learned` kernels (kernels x pixels) in place of its own,
    centred, and scaled to the spread of the replaced kernels.
    """
    states, rest = network.states[0].copy(), network.design.reference_state
    centred = learned - learned.mean(axis=1, keepdims=True)
    states[:, :-1] = rest + centred / centred.std() * (states[:, :-1] - rest).std()
    return dataclasses.replace(network, states=(states, *network.states[1:]))


if __name__ == "__main__":
    run(main)
