"""The experiments that can be run: for each dataset its patterns, pulses, network and rule parameters, in one place."""

import argparse
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets import ENCODINGS, Dataset, digits_012345, encode, load_mnist, mnist_templates, xpue
from memristive.cli.command_line import quantities
from memristive.io.files import ROOT
from memristive.io.voltages import Voltages, VoltagesError
from memristive.single_layer.engines import CLOSED_FORM, ENGINES, NGSPICE
from memristive.single_layer.error_rule import ErrorDrivenRule
from memristive.single_layer.pulses import Schedule
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from memristor import MemristorParameters
from snn_circuit import ALIKE, Devices, NetworkParameters, NeuronParameters

VOLTAGES = ROOT / "voltages"
RULES = ("hebbian", "error-driven")
SIZE = 10  # MNIST images are shrunk to size x size; the paper's size


@dataclass(frozen=True)
class Experiment:
    """One dataset with all that its training and inference depend on."""

    dataset: Dataset
    schedule: Schedule
    rule: ErrorDrivenRule
    network: NetworkParameters = NetworkParameters()
    encoding: str = "binary"
    chip: Chip | None = None  # None: an ideal one

    @property
    def devices(self) -> Devices:
        """The single devices of its chip."""
        return self.chip.devices(self.network) if self.chip else ALIKE

    def held(self, states: np.ndarray) -> np.ndarray:
        """`states` (classes x inputs, V) as its chip holds them: what is stuck is stuck."""
        return self.chip.held(states) if self.chip else states

    @property
    def name(self) -> str:
        """Stem of the experiment's figures and results."""
        return self._name("")

    def _name(self, rule: str) -> str:
        rows, columns = self.dataset.shape
        other_size = self.dataset.name == "mnist" and rows != SIZE
        return (self.dataset.name + rule + ("_grey" if self.encoding == "grey" else "")
                + (f"_{rows}x{columns}" if other_size else "") + ("_chip" if self.chip else ""))

    def stem(self, rule: str, engine: str = NGSPICE) -> str:
        """Stem of the files of one rule, as in voltages/mnist_error_driven_grey.json; of what the closed form learned from
        errors, as in voltages/mnist_closed_form_grey.json.
        """
        learned = rule if engine == NGSPICE else engine
        return self._name("" if learned == "hebbian" else "_" + re.sub(r"\W+", "_", learned))

    def voltages_path(self, rule: str, engine: str = NGSPICE) -> Path:
        """Default voltages file of one rule, trained by an engine."""
        return VOLTAGES / f"{self.stem(rule, engine)}.json"

    def training_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Images (n x inputs, 0 to 1) and labels that the error-driven rule learns from."""
        if self.dataset.name != "mnist":
            return self.dataset.patterns, np.arange(len(self.dataset.patterns))
        arrays = load_mnist("x_train", "y_train")
        return encode(arrays["x_train"], self.dataset.shape[0], self.encoding), arrays["y_train"]


def xpue_experiment() -> Experiment:
    """XPUE: 9 inputs, 4 classes (Jurj 2024)."""
    rule = ErrorDrivenRule(presentations=200, start_state=7.0, dose=50e-3, margin=10e-6)
    return Experiment(xpue(), Schedule(), rule)


def digits_experiment() -> Experiment:
    """012345: 15 inputs, 6 classes (Jurj 2024)."""
    rule = ErrorDrivenRule(presentations=600, start_state=7.0, dose=50e-3, margin=5e-6)
    return Experiment(digits_012345(), Schedule(), rule)


def mnist_experiment(size: int = SIZE, encoding: str = "binary") -> Experiment:
    """MNIST shrunk to size x size: 2 ms pulses (Jurj 2024); the feedback keeps the membranes of binary images in range."""
    schedule = Schedule(pulse=2e-3, period=6e-3, sampling_step=11e-6)
    feedback = NeuronParameters.feedback_resistance * SIZE**2 / size**2
    rule = ErrorDrivenRule()
    if encoding == "grey":
        rule = ErrorDrivenRule(presentations=36000, start_state=4.5, dose=100e-3, margin=1e-6)
    network = NetworkParameters(MemristorParameters(), NeuronParameters(feedback_resistance=feedback))
    return Experiment(mnist_templates(size, encoding), schedule, rule, network, encoding)


def add_engine(parser: argparse.ArgumentParser, what: str) -> None:
    """The option that chooses who does `what`."""
    parser.add_argument("--engine", choices=ENGINES, default=NGSPICE, help=f"what {what}: the simulator, or the formula of the "
                        "same circuit, which is a hundred times quicker (docs/closed_form.md; default: ngspice)")


def trained_by(voltages: Voltages) -> str:
    """The engine that trained `voltages`; files that do not say are older than the choice."""
    return CLOSED_FORM if voltages.origin.get("engine") == CLOSED_FORM else NGSPICE


def stem_for(experiment: Experiment, voltages: Voltages) -> str:
    """Stem of the files about what reads `voltages`: as those of their training, whoever trained them."""
    return experiment.stem(voltages.rule or "hebbian", trained_by(voltages))


def add_size_and_encoding(parser: argparse.ArgumentParser) -> None:
    """The options that only MNIST has."""
    parser.add_argument("--size", type=int, default=SIZE, choices=range(4, 29), metavar="N",
                        help="shrink images to N x N pixels, 4 to 28 (default: 10)")
    parser.add_argument("--encoding", choices=ENCODINGS, default="binary",
                        help="pixels on or off (the paper's), or voltages proportional to grey levels (default: binary)")


def network_of(voltages: Voltages, default: NetworkParameters, path: str | Path) -> NetworkParameters:
    """The `NetworkParameters` a voltages file was trained with; `default` for the paper's flat layout, which has none."""
    if not voltages.origin:
        return default
    try:
        stored = voltages.origin["network"]
        return NetworkParameters(MemristorParameters(**stored["memristor"]), NeuronParameters(**stored["neuron"]))
    except (KeyError, TypeError, ParameterError) as error:
        raise VoltagesError(f"{path}: its network parameters cannot be used: {error}") from error


def with_room(given: Mapping[str, Any], default: Schedule) -> dict[str, Any]:
    """`given`, for what no period has a bearing on: a pulse too long for the `default`'s has one three times as long."""
    pulse = given.get("pulse", default.pulse) + given.get("rise", default.rise)
    return {**given, **({"period": 3 * pulse} if pulse >= default.period else {})}


OF_THE_TRAINING = {"input_voltage": "that of the training, or 1 V if its file does not say"}  # defaults in --help


def schedule_of(voltages: Voltages, default: Schedule, given: Mapping[str, Any], path: str | Path) -> Schedule:
    """The `default` schedule with what is `given`, and if that is no input voltage, with the one of the training."""
    stored = (voltages.origin or {}).get("schedule")
    trained = {"input_voltage": stored["input_voltage"]} if isinstance(stored, Mapping) and "input_voltage" in stored else {}
    try:
        default = quantities(default, trained)
    except (ParameterError, TypeError) as error:
        raise VoltagesError(f"{path}: its input voltage cannot be used: {error}") from error
    return quantities(default, given)


def say_of_cells_that_are_off(engine: str, memristor: MemristorParameters, *states: np.ndarray) -> None:
    """Say how many cells, in `states` (arrays, V) that an `engine` trained, ngspice would write otherwise; nothing if none."""
    share = np.mean(np.concatenate([np.ravel(layer) for layer in states]) < memristor.threshold_voltage)
    if engine == CLOSED_FORM and share:
        print(f"{share:.2%} of the cells are below Vto: they conduct in neither engine, but ngspice writes them otherwise than "
              "the closed form did (docs/closed_form.md)")


def written_with(voltages: Voltages) -> dict[str, Any]:
    """What wrote the `voltages`, beside the network, as their file says it: a rule, pulses, the mapping of software's weights."""
    return {"learning": voltages.origin.get("learning"),
            "written_with": {key: voltages.origin.get(key) for key in ("schedule", "mapping")}}


def describe(experiment: Experiment, **more: Any) -> dict[str, Any]:
    """All parameters of a run as plain numbers, for the files that record how a result was made."""
    return {"dataset": experiment.dataset.name, "shape": list(experiment.dataset.shape), "encoding": experiment.encoding,
            "network": experiment.network.as_dict(), "schedule": dataclasses.asdict(experiment.schedule),
            **({"chip": experiment.chip.as_dict()} if experiment.chip else {}), **more}
