"""Networks of measured devices that learn MNIST: settings chosen on held-out training images, training, and what it costs."""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasets import Dataset
from memristive.devices.measured_device import DEVICES, LINEAR, MeasuredDevice, emulator
from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_kernel import Counts
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, initial_network, no_counts, train_layers
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.measured_layers import measured_design, measured_parameters, measured_pulses
from memristive.variability.chip import Chip
from studies.layer_experiments import layered_dataset, score_row
from studies.sgd_control import gradient_accuracy, train_by_gradient

SETTINGS = Path(__file__).with_name("measured_networks.csv")
KEY = ("rule", "aim", "device", "layers", "pairs", "whole_pulses")
DATA, HIDDEN = {1: "mnist", 2: "mnist_central"}, {1: (), 2: (100,)}
ERRORS, SGD = "errors", "sgd"  # learning rules
ACCURACY, COST = "accuracy", "cost"  # settings with the best held-out accuracy; with the fewest pulses at equal accuracy
ENDURANCE = 1e5  # pulses that a cell survives
IDEAL = MeasuredDevice("ideal", 1000, 1000, LINEAR, LINEAR, on_off_ratio=50.0, source="straight lines without noise")
ALL = {"ideal": IDEAL, **DEVICES}


@dataclass(frozen=True)
class Task:
    """A network of one measured device to be trained and tested.

    Parameters
    ----------
    device : str
        One of `ALL`.
    layers : int
        1: MNIST's grey 10x10 images. 2: 100 hidden neurons on the central 20x20 pixels.
    pairs : int
        Differential pairs of a synapse; 0: single cells.
    whole, noise : bool
        Whole pulses, or pulses of any width; with the device's cycle-to-cycle noise or without.
    seed : int
    rule : str
        `ERRORS`: first spikes and local writes. `SGD`: gradient descent in software, one layer.
    aim : str
        `ACCURACY` or `COST`.
    spread : float
        Device-to-device spread of all cells and neurons of the chip.
    route : str
        "in situ": learned on the chip; "ex situ": learned on an ideal one and carried to the chip.
    presentations : int
        0: as the settings say.
    """

    device: str
    layers: int = 1
    pairs: int = 1
    whole: bool = True
    noise: bool = True
    seed: int = 1
    rule: str = ERRORS
    aim: str = ACCURACY
    spread: float = 0.0
    route: str = "in situ"
    presentations: int = 0

    @property
    def dataset(self) -> Dataset:
        """Images that the network learns."""
        return layered_dataset(DATA[self.layers])

    def prepared(self) -> tuple[LayeredNetwork, LayeredRule]:
        """Return the untrained network, on an ideal chip, and its rule."""
        chosen = load_settings()[self.rule, self.aim, self.device, self.layers, self.pairs, int(self.whole)]
        emulated = emulator(ALL[self.device], array=True)
        pulses = measured_pulses(emulated, self.whole, self.noise)
        design = measured_design(emulated, self.pairs, chosen["gain"], hidden_bias=chosen["hidden_bias"],
                                 output_bias=chosen["output_bias"], output_gain=chosen["output_gain"])
        rule = LayeredRule(
            presentations=self.presentations or int(chosen["presentations"]), hidden_dose=chosen["hidden_dose"] * pulses.step,
            output_dose=chosen["output_dose"] * pulses.step, final_dose=chosen["final_dose"], margin=chosen["margin_us"] * 1e-6,
            final_margin=chosen["final_margin"], reach=chosen["reach"], start_drive=0.0,
            start_drive_spread=chosen["start_drive_spread"], start_weight=0.0,
            start_weight_spread=chosen["start_weight_spread"] * (emulated.high - emulated.low), seed=self.seed)
        network = initial_network(HIDDEN[self.layers], 10, self.dataset.training.levels, rule, design,
                                  measured_parameters(emulated), pulses)
        return network, rule

    def on_chip(self, network: LayeredNetwork) -> LayeredNetwork:
        """Return the network on the task's chip."""
        if self.spread == 0:
            return network
        chip = Chip(cell_gain=self.spread, cell_write_gain=self.spread, cell_leak=self.spread, neuron_threshold=self.spread,
                    seed=self.seed)
        return dataclasses.replace(network, chip=layer_chips(chip, network.sizes, self.pairs))

    def trained(self) -> tuple[LayeredNetwork, LayeredRule, Counts]:
        """Return the network after its training, in closed form, its rule, and the pulses of its cells."""
        (network, rule), training = self.prepared(), self.dataset.training
        if self.route == "in situ":
            network = self.on_chip(network)
        if self.rule == SGD:
            network, counts = train_by_gradient(network, rule, training.levels, training.labels)
            return network, rule, counts
        learning, counts = LayeredLearning.start(network, rule), no_counts(network)
        for _ in train_layers(learning, rule, training.levels, training.labels, counts=counts):
            pass
        return self.on_chip(learning.network), rule, counts


@functools.cache
def load_settings() -> dict[Any, dict[Any, float]]:
    """Return the settings of all networks by `KEY`; doses in pulses, gain and biases in thresholds, margin in us."""
    return pd.read_csv(SETTINGS).set_index(list(KEY)).to_dict("index")


def evaluate(task: Task) -> dict[str, Any]:
    """Train and test a network; return scores and costs as a row. Runs in a worker."""
    network, rule, counts = task.trained()
    test = task.dataset.test
    if task.rule == SGD:
        scores = {"samples": len(test.labels), "strict_accuracy": gradient_accuracy(network, test.levels, test.labels)}
    else:
        scores = score_row(test.labels, network.first_spikes(test.levels))
    columns = ("device", "layers", "pairs", "whole", "noise", "seed", "rule", "aim", "spread", "route")
    return {**{name: getattr(task, name) for name in columns}, "presentations": rule.presentations, **scores,
            **write_costs(ALL[task.device], counts)}


def write_costs(device: MeasuredDevice, counts: Counts) -> dict[str, float]:
    """Return what the writes of a training cost, with the pulses of the laboratory.

    The energy is that of the pulses in the cells, with the conductance that each had at the read voltage.
    """
    pulses = np.concatenate([layer.ravel() for layer in counts.pulses])
    per_siemens = (device.voltage_down**2 * device.width_down, device.voltage_up**2 * device.width_up)
    energy = sum(float(siemens.sum()) * factor for layer in counts.conducted
                 for siemens, factor in zip(layer, per_siemens, strict=True))
    return {"pulses_per_cell": float(pulses.mean()), "most_pulses": float(pulses.max()), "write_energy_J": energy,
            "column_writes": sum(float(layer.sum()) for layer in counts.writes),
            "share_beyond_endurance": float((pulses > ENDURANCE).mean())}
