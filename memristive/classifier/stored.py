"""Format of the file that `MemristiveClassifier.save` writes."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from memristive.files import States, Vector
from memristive.network.chip import Chip
from memristive.network.design import Convolution
from memristive.parameters import ParameterError, Parameters, quantity
from memristor import MemristorParameters
from snn_circuit import NeuronParameters

VERSION = 3
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
    convolution: Convolution | None = None
    margin: float | None
    memristor: MemristorParameters | None
    neuron: NeuronParameters | None
    pairs: int
    random_state: int | None
    verbose: int

    newer: ClassVar = ("late", "convolution")


@dataclass(frozen=True, kw_only=True)
class StoredClassifier(Parameters):
    """Parameters, scaling and voltages of a fitted `MemristiveClassifier`."""

    format: Literal["in-situ memristive classifier"]
    version: int = quantity(VERSION, VERSION, VERSION, "", "of the format")
    parameters: dict[str, Any]
    estimator: StoredEstimator
    device: dict[str, Any] | None = None
    trained_by: Engine
    presentations: int = quantity(0, 0, 10**15, "", "so far")
    seed: int = quantity(0, 0, 2**32 - 1, "", "of the initial states")
    margin: float = quantity(0.0, 0.0, 1e-2, "s", "that suits the training data")
    classes: tuple[Any, ...]
    features: int = quantity(1, 1, 10**6, "", "of a sample")
    feature_names: tuple[str, ...] | None
    low: Vector
    span: Vector
    voltages: tuple[States, ...]

    newer: ClassVar = ("device",)

    def check(self) -> None:
        """Raise ParameterError unless the classes are labels of one type, and scaling and names are
        those of all features.
        """
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
