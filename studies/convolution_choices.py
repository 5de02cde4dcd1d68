"""Choices that decide in a convolution (docs/convolution.md): pooling, how kernels learn, windows,
regions, number of kernels.

All networks but the last two have about as many weights as the first. --data digits: scikit-learn's
8x8 digits, a split of its own for each seed, tested on the test images. --data mnist: networks
present each of the first 50,000 training images once and are tested on the other 10,000. *No
pooling*: there are as many regions as patches, and windows are two or three pixels apart. *Mean of
times*: the pooled spike is the mean over all patches of a region, and a patch without a spike
counts as the end of the read. *Without labels*: the STDP rule of docs/stdp.md learns patches that
are not dark; its states, centred and scaled to the spread of random kernels, are the kernels.
Writes results/convolution/convolution_choices_DATA.json, for the digits in three minutes on one
core, for MNIST in 20 minutes. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from memristive.cli.script import Record, add_resume, apply_settings, make_parser, run
from memristive.learning.build import initial_network
from memristive.learning.convolve import EMULATORS, settings
from memristive.learning.rule import LayeredRule
from memristive.learning.stdp_learning import MnistLearning, draw_start, learn_digits
from memristive.learning.training import learn
from memristive.network.decisions import score_row
from memristive.network.design import EARLIEST, MEAN, Convolution
from memristive.network.networks import Network
from studies.convolution import data_of

PATCHES = 50_000  # from which the rule without labels learns
LEAST_LIGHT = 0.08  # mean level of a patch from which it learns
SHAPE = ["change", "kernels", "window", "regions", "stride"]
# What differs if the mean of times is pooled: the best of 18 settings for digits, on held-out
# training images. Mean times are late. They must not come after output neurons that fire unasked.
MEAN_DESIGN = dataclasses.replace(EMULATORS, hidden_bias=0.9, output_bias=0.9)
MEAN_RULE: dict[str, Any] = {"hidden_dose": 100e-3, "margin": 40e-6, "start_drive_spread": 0.4}


@dataclass(frozen=True)
class Choice:
    """One network of the comparison.

    `change`: difference from the first network of the dataset, for the table ("" for the first).
    `learned`: how its `kernels` (their number) learn: "errors", "random" (not at all) or "without
    labels". `window`, `stride`, `regions` and `pooling` are the fields of `Convolution`.
    """

    change: str
    kernels: int
    window: int
    regions: int
    stride: int = 1
    learned: str = "errors"
    pooling: str = EARLIEST


CHOICES = {
    "digits": (
        Choice("", 16, 3, 2),
        Choice("no pooling", 8, 3, 3, 2),
        Choice("mean of times", 16, 3, 2, pooling=MEAN),
        Choice("random kernels", 16, 3, 2, learned="random"),
        Choice("kernels learned without labels", 16, 3, 2, learned="without labels"),
        Choice("window", 18, 2, 2),
        Choice("window", 14, 4, 2),
        Choice("window", 12, 5, 2),
        Choice("regions", 40, 3, 1),
        Choice("regions", 8, 3, 3),
        Choice("half the weights", 8, 3, 2),
        Choice("twice the weights", 32, 3, 2),
    ),
    "mnist": (
        Choice("", 32, 7, 4),
        Choice("no pooling", 10, 7, 8, 3),
        Choice("mean of times", 32, 7, 4, pooling=MEAN),
        Choice("random kernels", 32, 7, 4, learned="random"),
        Choice("kernels learned without labels", 32, 7, 4, learned="without labels"),
        Choice("window", 36, 5, 4),
        Choice("window", 28, 9, 4),
        Choice("window", 24, 11, 4),
        Choice("regions", 74, 7, 2),
        Choice("regions", 48, 7, 3),
        Choice("regions", 16, 7, 6),
        Choice("half the weights", 16, 7, 4),
        Choice("twice the weights", 64, 7, 4),
    ),
}


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks, print their means."""
    parser = add_resume(make_parser(__doc__, "convolution"))
    parser.add_argument("--data", choices=CHOICES, default="digits", help="default: digits")
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    _, default = settings(data=options.data)
    if options.data == "mnist":
        default = dataclasses.replace(default, presentations=50_000)
    (rule,) = apply_settings(options, rule=default)
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
        (choice, dataclasses.replace(rule, seed=rule.seed + number), options.data)
        for number in range(options.seeds)
        for choice in chosen
    ]
    rows = record.run_tasks(train_and_test, tasks, [rule.presentations] * len(tasks))
    record.write({"rows": rows}, ngspice=False)
    found = pd.DataFrame(rows).groupby([*SHAPE, "weights"], sort=False).strict_accuracy
    print(found.agg(["mean", "std"]).to_string())


def train_and_test(task: tuple[Choice, LayeredRule, str]) -> dict[str, Any]:
    """Train one network; return its scores on the test images as a row. `task`: choice, rule, name
    of the images. Runs in a worker.
    """
    choice, rule, name = task
    data = data_of(name, held_out=name == "mnist", seed=rule.seed)
    convolution = Convolution(
        *data.shape, choice.window, choice.stride, choice.regions, pooling=choice.pooling
    )
    design = EMULATORS
    if choice.pooling == MEAN:
        design, rule = MEAN_DESIGN, dataclasses.replace(rule, **MEAN_RULE)
    if choice.learned != "errors":
        rule = dataclasses.replace(rule, hidden_dose=0.0)
    network = initial_network(
        (choice.kernels,), 10, data.training.levels, rule, design, convolution=convolution
    )
    if choice.learned == "without labels":
        network = with_kernels(network, kernels_without_labels(network, data.training.levels, rule))
    trained = learn(network, rule, *data.training).network
    return {
        **dataclasses.asdict(choice),
        "seed": rule.seed,
        "weights": sum(layer.neurons * layer.rows for layer in network.layers),
        **score_row(data.test.labels, trained.first_spikes(data.test.levels)),
    }


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
