"""Format of the file that `MemristiveClassifier.save` writes."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memristive.devices.measured_device import device_of_record, emulator
from memristive.devices.spice_model import check_model
from memristive.files import States, Vector
from memristive.io.networks import network_of
from memristive.io.voltages import VoltagesError, voltages_of
from memristive.learning.build import layers_of
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import measured_design, measured_parameters, measured_pulses
from memristive.network.chip import Chip, chosen_chip
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign
from memristive.network.networks import Network, network_on_chip, thresholds_per_volt
from memristive.network.recipe import AT_ONCE, LATE, Recipe
from memristive.parameters import Fields, ParameterError, Parameters, quantity
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

VERSION = 4
Engine = Literal["closed-form", "ngspice"]


@dataclass(frozen=True, kw_only=True)
class StoredEstimator(Parameters):
    """Parameters of a `MemristiveClassifier`."""

    chip: Chip | str | None
    device: str | None
    dose: float | None
    encoding: Literal["complement", "plain"]
    engine: Engine
    epochs: int | None
    hidden: tuple[int, ...]
    late: bool = False
    convolution: Convolution | tuple[Convolution, ...] | None = None
    margin: float | None
    memristor: MemristorParameters | None
    neuron: NeuronParameters | None
    pairs: int | None
    random_state: int | None
    verbose: int

    newer: ClassVar = ("late", "convolution")

    def check(self) -> None:
        """Raise ParameterError for an empty list of convolutions."""
        if self.convolution == ():
            raise ParameterError("convolution must be null, a convolution, or several, got []")


@dataclass(frozen=True, kw_only=True)
class StoredClassifier(Parameters):
    """Parameters, scaling and voltages of a fitted `MemristiveClassifier`."""

    format: Literal["in-situ memristive classifier"]
    version: int = quantity(VERSION, 3, VERSION, "", "of the format")
    parameters: Fields
    estimator: StoredEstimator
    presentations: int = quantity(0, 0, 10**15, "", "so far")
    classes: tuple[Any, ...]
    features: int = quantity(1, 1, 10**6, "", "of a sample")
    feature_names: tuple[str, ...] | None
    low: Vector
    span: Vector
    network: Fields | None = None  # as in a voltages file
    # of version 3
    voltages: tuple[States, ...] = ()
    device: Fields | None = None
    trained_by: Engine = "closed-form"
    seed: int = quantity(1, 0, 2**32 - 1, "", "of the initial states")
    margin: float = quantity(0.0, 0.0, 1e-2, "s", "that suits the training data")

    newer: ClassVar = ("network", "voltages", "device", "trained_by", "seed", "margin")

    def check(self) -> None:
        """Raise ParameterError unless the classes are labels of one type, and each feature has a
        scaling and a name.
        """
        if self.network is None and not self.voltages:
            raise ParameterError("network is missing")
        kinds = {type(label) for label in self.classes}
        if len(kinds) != 1 or not kinds <= {str, int, float, bool}:
            raise ParameterError(
                f"classes must be all text or all numbers, got {self.classes!r:.60}"
            )
        for name in ("low", "span", "feature_names"):
            value = getattr(self, name)
            if value is not None and len(value) != self.features:
                raise ParameterError(
                    f"{name} must have a value for each of {self.features} features, got "
                    f"{len(value)}"
                )

    def trained(self, path: str | Path) -> tuple[Network, LayeredRule, str]:
        """Return the network, the rule that suits it, and the engine that trained it. Raises
        ParameterError, which names the file `path` and the entry.
        """
        if self.network is None:
            return *self._version_3(), self.trained_by
        try:
            voltages = voltages_of(path, dict(self.network))
            network, rule = network_of(voltages)
        except VoltagesError as error:
            raise ParameterError(str(error)) from error
        if not isinstance(rule, LayeredRule):
            raise ParameterError(f"{path}: learning must be the rule of layers")
        return network_on_chip(network, voltages.chip), rule, voltages.engine

    def _version_3(self) -> tuple[Network, LayeredRule]:
        """Return the network and the rule of a file of version 3, which has no design."""
        given = self.estimator
        pulses, design = None, LayerDesign(pairs=given.pairs or 0)
        parameters = NetworkParameters(
            given.memristor or MemristorParameters(), given.neuron or NeuronParameters()
        )
        device = device_of_record(self.device) if self.device else None
        if device:
            check_model(device.model, device.model_sha256)
            emulated = emulator(device)
            gain = thresholds_per_volt(NetworkParameters(), LayerDesign())
            gain *= emulated.high - emulated.low
            biases = {"hidden_bias": 1.5, "output_bias": 1.5}
            if given.convolution:
                gain, biases = 1.5, {"hidden_bias": 0.5, "output_bias": 1.3, "output_gain": 0.3}
            design = measured_design(emulated, given.pairs or 0, gain, given.neuron, **biases)
            parameters = measured_parameters(emulated, given.neuron)
            pulses = measured_pulses(emulated, late=given.late)
        elif given.convolution:
            design = dataclasses.replace(design, hidden_bias=0.5, output_bias=1.3)
        if given.convolution:
            design = dataclasses.replace(design, window=750e-6, back_voltage=2e-3)
        recipe = Recipe(
            layers_of(given.hidden, given.convolution, ()),
            device,
            LATE if given.late else AT_ONCE,
            given.pairs,
            given.chip,
            self.seed,
        )
        network = Network(
            self.voltages,
            parameters,
            design,
            pulses=pulses,
            kinds=(given.convolution,) if isinstance(given.convolution, Convolution) else (),
        )
        network.check_range()
        chip = chosen_chip(given.chip, device, seed=self.seed)
        rule = LayeredRule(margin=self.margin, seed=self.seed)
        return network_on_chip(dataclasses.replace(network, recipe=recipe), chip), rule
