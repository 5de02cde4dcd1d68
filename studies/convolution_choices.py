"""What decides in a convolution: pooling, how kernels learn, windows, regions, number of kernels
(docs/convolution.md).

All networks but the last two have about as many weights as the first, 6,730. They present each of
the first 50,000 MNIST training images once and are tested on the other 10,000, so that test images
choose nothing. *No pooling*: as many regions as patches, which are three pixels apart. *Without
labels*: the STDP rule of docs/stdp.md learns patches that are not dark; its states, centred and
scaled to the spread of random kernels, are the kernels. Writes
results/convolution/convolution_choices.json in 15 minutes on one core. Ctrl-C saves a checkpoint
for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from memristive.cli.script import Record, add_resume, apply_settings, make_parser, run
from memristive.learning.build import initial_network
from memristive.learning.convolve import EMULATORS, RULE
from memristive.learning.rule import LayeredRule
from memristive.learning.stdp_learning import MnistLearning, draw_start, learn_digits
from memristive.learning.training import learn
from memristive.network.decisions import score_row
from memristive.network.design import Convolution
from memristive.network.networks import Network
from studies.convolution import LARGE, data_of

PATCHES = 50_000  # from which the rule without labels learns
LEAST_LIGHT = 4.0  # sum of the levels of a patch from which it learns


@dataclass(frozen=True)
class Choice:
    """One network of the comparison."""

    name: str
    kernels: int = 32
    window: int = 7
    regions: int = 4
    stride: int = 1
    learned: str = "errors"  # or "random", "without labels"


CHOICES = (
    Choice("as in the text: 32 kernels of 7x7, 4x4 regions"),
    Choice("no pooling: 10 kernels, 8x8 patches", 10, regions=8, stride=3),
    Choice("random kernels", learned="random"),
    Choice("kernels learned without labels", learned="without labels"),
    Choice("36 kernels of 5x5", 36, 5),
    Choice("28 kernels of 9x9", 28, 9),
    Choice("24 kernels of 11x11", 24, 11),
    Choice("74 kernels, 2x2 regions", 74, regions=2),
    Choice("48 kernels, 3x3 regions", 48, regions=3),
    Choice("16 kernels, 6x6 regions", 16, regions=6),
    Choice("16 kernels of 7x7: half the weights", 16),
    Choice("64 kernels of 7x7: twice the weights", 64),
)


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks, print their means."""
    parser = add_resume(make_parser(__doc__, "convolution"))
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    default = dataclasses.replace(RULE, presentations=50_000)
    (rule,) = apply_settings(options, rule=default)
    choices = [dataclasses.asdict(choice) for choice in CHOICES]
    record = Record(
        options,
        "convolution_choices",
        {"learning": rule.as_dict(), "choices": choices, "seeds": options.seeds},
    )
    tasks = [
        (choice, dataclasses.replace(rule, seed=rule.seed + number))
        for number in range(options.seeds)
        for choice in CHOICES
    ]
    rows = record.run_tasks(train_and_test, tasks, [rule.presentations] * len(tasks))
    record.write({"rows": rows}, ngspice=False)
    found = pd.DataFrame(rows).groupby("choice", sort=False)
    print(found[["weights", "strict_accuracy"]].mean().to_string())


def train_and_test(task: tuple[Choice, LayeredRule]) -> dict[str, Any]:
    """Train one network and score the held-out images. Runs in a worker."""
    choice, rule = task
    data = data_of("mnist", True)
    convolution = Convolution(LARGE, LARGE, choice.window, choice.stride, choice.regions)
    if choice.learned != "errors":
        rule = dataclasses.replace(rule, hidden_dose=0.0)
    network = initial_network(
        (choice.kernels,), 10, data.training.levels, rule, EMULATORS, convolution=convolution
    )
    if choice.learned == "without labels":
        network = with_kernels(network, kernels_without_labels(network, data.training.levels, rule))
    trained = learn(network, rule, *data.training).network
    return {
        "choice": choice.name,
        "seed": rule.seed,
        "weights": sum(layer.neurons * layer.rows for layer in network.layers),
        **score_row(data.test.labels, trained.first_spikes(data.test.levels)),
    }


def kernels_without_labels(network: Network, images: np.ndarray, rule: LayeredRule) -> np.ndarray:
    """Return the states in V (kernels x pixels) that the STDP rule learns from random patches."""
    assert network.convolution
    rng, places = np.random.default_rng([rule.seed, 8]), network.convolution.patches[:, 1:-1]
    patches = np.concatenate(
        [
            images[n, places[rng.integers(len(places), size=20)]]
            for n in rng.integers(len(images), size=PATCHES // 5)
        ]
    )
    patches = patches[patches.sum(axis=1) >= LEAST_LIGHT][:PATCHES]
    learning = MnistLearning(neurons=network.layers[0].neurons, epochs=1, seed=rule.seed)
    found, order = draw_start(learning, patches.shape[1], len(patches))
    for _ in learn_digits(learning, found, patches, order):
        pass
    return found.states


def with_kernels(network: Network, learned: np.ndarray) -> Network:
    """Return the network with learned kernels (kernels x pixels), centred and with the spread of
    its own ones.
    """
    states, rest = network.states[0].copy(), network.design.reference_state
    centred = learned - learned.mean(axis=1, keepdims=True)
    states[:, :-1] = rest + centred / centred.std() * (states[:, :-1] - rest).std()
    return dataclasses.replace(network, states=(states, *network.states[1:]))


if __name__ == "__main__":
    run(main)
