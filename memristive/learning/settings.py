"""Settings of a network that suit its device and its images.

Three numbers of a device decide about one layer (docs/devices.md). If steps depend on the state x,
pulses pull all cells to one state. *Memory* M is the number of pulses after which a cell has
forgotten its earlier writes. *Balance* is the state to which cells are pulled. It stands for the
weight zero: otherwise the pull would move all cells to a weight that nobody learned. *Pulse noise*
is the random part of one pulse, as a share of the range: write noise, and the rounding to whole
pulses. The settings `FINE` suit pulses without noise, `COARSE` noisy pulses. The settings of a
device are weighted geometric means of both. These constants were chosen on held-out training images
of MNIST.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.devices.measured_device import Emulator, MeasuredDevice, emulator, load_device
from memristive.learning.rule import LayeredRule
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign
from memristive.network.kinds import DENSE, Kind
from memristive.network.networks import thresholds_per_volt
from memristive.network.recipe import LATE, Dense, Recipe
from memristive.parameters import as_whole
from memristive.writing.gate import gate_settings
from memristive.writing.late import late_settings
from memristive.writing.one_sided import check_pairs, one_sided_settings
from memristive.writing.ways import PulseWrites
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

# default; a larger gain, as reads are at a low voltage
MEASURED_NEURON = NeuronParameters(amplifier_gain=1e7)
# the paper's cells in a column: 1 A if all rows are high, half of what an op-amp of 10 ohm can give
MOST_CELLS = 1600
# V of the summing stages with every cell at the middle of its range, 16 V with every cell at its
# upper end
STAGE_SWING = 8.0
PAIRS = LayerDesign.__dataclass_fields__["pairs"].metadata  # allowed range

# One layer. Doses are numbers of pulses.
NOISE = 6e-4  # pulse noise at which FINE and COARSE have equal weights
# dose over M: a network writes a cell some hundred times, and all writes together stay below the
# memory
FINE_DOSE = 1e-3
# factor on FINE_DOSE if steps up grow with x: later pulses then multiply earlier writes, wrong ones
# as well
GROWING = 0.3
FINE_WRITE = 0.0017  # largest fine dose as a share of the range: small against the weights
# dose over M step / noise: in M pulses a cell forgets noise as it forgets the weight
COARSE_DOSE = 7e-3
# largest coarse dose, in pulses and as a share of the range
COARSE_PULSES, COARSE_WRITE = 2.4, 0.024
LATE_DOSE = 0.6  # first dose over the dose at which a synapse is due
# V, of a back-read through hidden layers that write late, and of convolutions. At the usual 0.1 V
# channels bend. This adds a constant to the errors of all hidden neurons: -3 mV with emulators, up
# to -0.2 V with devices, where kernels fall silent and a dense layer loses 0.7 points.
BACK_VOLTAGE = 2e-3
# first dose of cells whose level is set by the gate, as a share of the range of gate voltages; of a
# convolution
GATE_DOSE, CONVOLVED_GATE_DOSE = 0.016, 0.022


# Emulators with several hidden layers. V times rows, and V, largest dose; V per V of dose, and V,
# least scale of errors; thresholds
DEEP_DOSE, LARGEST_DEEP_DOSE = 4.8, 0.03
DEEP_ERROR_SCALE, LEAST_ERROR_SCALE = 130.0, 10.0
DEEP_START, DEEP_START_SPREAD = 2.0, 1.5


@dataclass(frozen=True)
class DeviceSettings:
    """Settings of a network of a device.

    They follow from the noise of a pulse and from `memory`, the number of pulses after which a cell
    has forgotten a write.

    Parameters
    ----------
    gain : float
        Drive, in thresholds, of a row at level 1 with the largest weight. It is small for noisy
        pulses: then each cell has a small effect, and the sum over many rows averages the noise.
    output_bias, hidden_bias : float
        Constant drives in thresholds, because weights start at 0 and neurons must fire without
        them.
    margin : float
        Lead in s that the right neuron needs at the start of the training. It is large for noisy
        pulses, because a lead has to survive the noise of later writes.
    final_margin : float
        Share of the first margin that is left at the end.
    final_dose : float
        Share of the first dose that is left at the end.
    output_gain : float
        Gain of the last layer over the first.
    hidden_dose : float
        Dose of hidden cells over the dose of output cells.
    reach : float
        Share of the threshold above which the membrane of a hidden neuron must settle for the
        neuron to be written.
    start_drive_spread, start_weight_spread : float
        Standard deviations at the start: of the drives of hidden neurons in thresholds, and of
        output weights as a share of the range.
    """

    gain: float
    output_bias: float
    margin: float
    final_margin: float
    final_dose: float
    hidden_bias: float = 0.0
    output_gain: float = 1.0
    hidden_dose: float = 0.0
    reach: float = 0.9
    start_drive_spread: float = 0.0
    start_weight_spread: float = 0.0

    def towards(self, other: "DeviceSettings", weight: float) -> "DeviceSettings":
        """Return geometric means of these values and the values of `other`, which count with the
        `weight` (0 to 1).
        """
        return DeviceSettings(
            **{
                name: float(value ** (1 - weight) * vars(other)[name] ** weight)
                for name, value in vars(self).items()
            }
        )


FINE = DeviceSettings(gain=1.0, output_bias=1.8, margin=4e-6, final_margin=0.7, final_dose=0.09)
COARSE = DeviceSettings(
    gain=0.2, output_bias=2.2, margin=90e-6, final_margin=0.05, final_dose=0.045
)
DEVICE_PRESENTATIONS = 200_000  # most of devices
LATE_PRESENTATIONS = 100_000  # for which the doses of late writes were chosen
LATE_CONVOLVED = 40_000  # the same for convolutions
LATE_ONE = DeviceSettings(
    gain=0.2, output_bias=1.65, margin=15e-6, final_margin=0.4, final_dose=0.02
)
GATE = DeviceSettings(gain=0.23, output_bias=1.8, margin=12e-6, final_margin=0.5, final_dose=0.04)
# Convolutions. The starts, doses and margin of MNIST come from a study in software, the ones of
# digits were chosen on held-out training images. The gain of a kernel's weights is ten times the
# gain of an output cell, because a window has few rows and the layer above has many. Neurons have
# up to five time constants for their spikes, so that a patch that fits a kernel partly also counts.
CONVOLUTION_WINDOW = 750e-6  # s, longest read of a patch, and of the layers above
CONVOLUTION_DESIGN = LayerDesign(
    hidden_bias=0.5, output_bias=1.3, window=CONVOLUTION_WINDOW, back_voltage=BACK_VOLTAGE
)
CONVOLUTION_RULE = LayeredRule(
    presentations=600_000,
    hidden_dose=50e-3,
    output_dose=4.6e-3,
    margin=7.5e-6,
    start_drive=0.0,
    start_drive_spread=0.5,
    start_weight=0.0,
    start_weight_spread=0.03,
)
# Fields of the rule that differ for digits, chosen on held-out training images.
CONVOLUTION_DIGITS: dict[str, Any] = {
    "presentations": 40_000,
    "output_dose": 30e-3,
    "margin": 20e-6,
    "start_drive_spread": 0.8,
    "start_weight_spread": 0.1,
}
# of these, what measured devices take: their doses and weights follow from their pulses
CHANGES_OF_DEVICES = ("presentations", "margin", "start_drive_spread")
# The first dose is that at which a synapse is due, if it writes late, otherwise a pulse.
CONVOLUTION_DEVICES = DeviceSettings(
    gain=1.5,
    output_bias=1.3,
    margin=7.5e-6,
    final_margin=1.0,
    final_dose=0.02,
    hidden_bias=0.5,
    output_gain=0.3,
    hidden_dose=0.18,
    start_drive_spread=0.5,
    start_weight_spread=0.06,
)

# Two or more convolutions. Chosen on held-out digits and MNIST (20,000 and 15,000 presentations),
# the scale of errors of devices on digits alone (epiram, late). With a hidden bias below 0.8 a
# kernel above others falls silent, because most of its rows stay low.
STACKED_DESIGN: dict[str, Any] = {"hidden_bias": 0.8, "output_bias": 1.0}
STACKED_SCALE, STACKED_DEVICE_SCALE, STACKED_REACH = 0.66, 2.0, 0.5
STACKED_OUTPUT_SPREAD, STACKED_MARGIN = 0.01, 0.7


def measured_parameters(
    emulator: Emulator, neuron: NeuronParameters | None = None
) -> NetworkParameters:
    """Return the parameters of a network whose cells are the `emulator` of a device. `neuron`: None
    for `MEASURED_NEURON`.
    """
    return NetworkParameters(emulator.memristor, neuron or MEASURED_NEURON)


def measured_design(
    emulator: Emulator, pairs: int, gain: float, neuron: NeuronParameters | None = None, **more: Any
) -> LayerDesign:
    """Return the design of layers of measured devices.

    Reads are at the device's read voltage, writes at +1 V and -1 V. The device's balance is the
    weight 0, where cells start and a reference column stays.

    Parameters
    ----------
    emulator : Emulator
    pairs : int
        Differential pairs of a synapse; 0: single cells, and a reference column.
    gain : float
        Drive, in thresholds, of a full pixel through a synapse of weight 1, which is the whole
        range of conductance.
    neuron : NeuronParameters, optional
    **more
        Other fields of `LayerDesign`.
    """
    window, read_voltage = emulator.high - emulator.low, emulator.device.read_voltage
    threshold = (neuron or MEASURED_NEURON).threshold
    transresistance = (
        gain * threshold / (emulator.memristor.gain * window * read_voltage * max(1, pairs))
    )
    rest = float(emulator.state(emulator.device.balance))
    reference, middle = (
        state - emulator.memristor.threshold_voltage for state in (rest, float(emulator.state(0.5)))
    )
    return LayerDesign(
        reference_state=rest,
        transresistance=transresistance,
        stage_swing=STAGE_SWING * reference / middle,
        row_voltage=read_voltage,
        write_voltage=1.0,
        pairs=pairs,
        read_curve=emulator.device.read_curve,
        **({"back_voltage": read_voltage} | more),
    )


def measured_pulses(emulator: Emulator, late: bool = False) -> PulseWrites:
    """Return the pulses that write the device of an `emulator`: whole ones, with its noises, and an
    access switch in series with each device.

    `late`: each synapse has a poor capacitor in front of its devices, the paper's emulator, which
    adds up doses until pulses are due (docs/writes_late.md). Raises ParameterError if a device that
    is written at its gate shall write late.
    """
    device, window = emulator.device, emulator.high - emulator.low
    more = (late_settings(device) if late else {}) | one_sided_settings(emulator)
    if device.levels:
        return PulseWrites(**gate_settings(emulator))
    return PulseWrites(
        device.mean_step * window,
        emulator.pulse,
        device.write_noise * window,
        # a column adds up the noises of many devices, of which only the mean square counts
        device.read_noise * window * math.hypot(1.0, device.read_noise_spread),
        noise_curve=device.noise_curve,
        model=device.model,
        model_sha256=device.model_sha256,
        **more,
    )


def memory(device: MeasuredDevice) -> float:
    """Return the number of pulses after which a cell has forgotten a write; inf for flat curves.

    It is the inverse of the mean slope of the device's two curves of steps over x.
    """
    slopes = sum(float(np.abs(np.diff(curve)).sum()) for curve in (device.up, device.down))
    return 2 / slopes if slopes else np.inf


def pulse_noise(device: MeasuredDevice) -> float:
    """Return the standard deviation of the random part of one pulse, as a share of the range: write
    noise and rounding. Fractions of pulses are rounded at random, which for half a pulse has a
    standard deviation of half a step.
    """
    return float(np.hypot(device.write_noise, device.mean_step / 2))


def half_at(middle: float, value: float) -> float:
    """Return a weight from 0 to 1 for a `value` of 0 or above: 1/2 at `middle`, and growing with
    the value.
    """
    return 1 - middle**2 / (middle**2 + value**2)


def single_layer(
    emulated: Emulator, pairs: int, pulses: PulseWrites
) -> tuple[DeviceSettings, float]:
    """Return the settings of one layer of a device, and its first dose in V."""
    device = emulated.device
    step, forgotten, noise = device.mean_step, memory(device), pulse_noise(device)
    values, weight, coarse = GATE, 0.0, 1.0
    if pulses.levels:
        fine = GATE_DOSE * (pulses.gate_high - pulses.gate_low) / pulses.step
    elif pulses.late:
        values, fine = LATE_ONE, pulses.late * LATE_DOSE
    else:
        weight = half_at(NOISE, noise)
        values = FINE.towards(COARSE, weight)
        grows = device.up[-1] - device.up[0] > device.down[-1] - device.down[0]
        fine = min(FINE_WRITE / step, FINE_DOSE * forgotten * (GROWING if grows else 1.0))
        averaged = noise / math.sqrt(max(1, pairs))  # of the sum of all pairs
        coarse = min(COARSE_PULSES, COARSE_WRITE / step, COARSE_DOSE * forgotten * step / averaged)
    # A write changes one of the pairs, which carries a share of the weight, so the dose grows with
    # the number of pairs.
    return values, max(1, pairs) * fine ** (1 - weight) * coarse**weight * pulses.step


# presentations of each image, and at least in all, then with several hidden layers of devices,
# whose features take longer to form; most of emulators
EPOCHS, LEAST, LEAST_DEEP, EMULATOR_PRESENTATIONS = 40, 3000, 40_000, 1_500_000

# What a network with hidden layers shall do on its own images, in thresholds. Then the same numbers
# suit images with few and with many bright rows, few and many neurons, and any range of cells.
# standard deviation over images of a hidden neuron's drive at the start; its mean is 0
START_SPREAD = 0.9
START_SHARE = 0.4  # standard deviation of a start weight, as a share of the range
FIRES = 1.6  # settled membrane that reaches the threshold at the end of the window
HIDDEN_MOVE = 0.2  # by which a first write of each cell moves a hidden drive for its own image
# pulses of a first write to a hidden cell over M: more would soon erase what the cell has learned
HIDDEN_FORGET = 0.003
OUTPUT_MOVE = 0.08  # the same for an output neuron
OUTPUT_SPREAD = 0.1  # as START_SPREAD
OVERLAP = 0.2  # share of hidden neurons that fire times their overlap in time constants
FIRING_REACH = 1.5  # drive from which a hidden neuron is written: only those that fire
DEEP_REACH = 0.0  # the same with several hidden layers: otherwise silent neurons stay silent
OUTPUT_BIAS = 1.9
DEEP_MARGIN, DEEP_FINAL_MARGIN, DEEP_FINAL_DOSE = 15e-6, 0.26, 0.03


def hidden_layers(
    images: np.ndarray,
    sizes: Sequence[int],
    doses: int,
    span: float,
    dose_span: float,
    most: float = math.inf,
) -> tuple[float, dict[str, Any], dict[str, Any]]:
    """Return the gain, the fields of the design and the fields of the rule of a network with hidden
    layers.

    `sizes`: neurons of the layers. `images`: as they are read, n x inputs.

    A weight moves by twice a dose if it is written `doses` times. `span` is the range of a weight
    in V, and `dose_span` the range of what doses change.
    """
    power = [float((images**2).sum(axis=1).mean() + 1)]  # with the bias row
    distinct = [max(float(images.var(axis=0).sum()), 1e-3)]  # what tells images apart
    for size in sizes[:-1]:  # neurons drive the next layer as rows of an image do
        distinct.append(OVERLAP * size * distinct[-1] / power[-1])
        power.append(OVERLAP * size + 1)
    # all hidden layers have the same gain: the geometric mean of what suits each
    gain = START_SPREAD / START_SHARE / math.prod(distinct) ** (0.5 / len(sizes))
    output = OUTPUT_SPREAD / START_SHARE / math.sqrt(OVERLAP * sizes[-1])
    error = math.sqrt(2) * START_SHARE * span
    design = {
        "hidden_bias": FIRES,
        "output_bias": OUTPUT_BIAS,
        "output_gain": output / gain,
    }
    rule = {
        "hidden_dose": min(
            doses * HIDDEN_MOVE * dose_span / (gain * power[-1] * error),
            doses * HIDDEN_FORGET * most / error,
        ),
        "output_dose": doses * OUTPUT_MOVE * dose_span / (output * OVERLAP * sizes[-1]),
        "final_dose": DEEP_FINAL_DOSE,
        "margin": DEEP_MARGIN,
        "final_margin": DEEP_FINAL_MARGIN,
        "reach": FIRING_REACH,
        "start_drive": 0.0,
        "start_drive_spread": START_SPREAD * math.sqrt(power[0] / distinct[0]),
        "start_weight": 0.0,
        "start_weight_spread": START_SHARE * span,
    }
    if above := sizes[1:]:
        # Half the neurons add up to an error of the layer below. There, a write moves drives as
        # in the last hidden layer.
        grown = math.prod(math.sqrt(size / 2) for size in above) * power[0] / power[-1]
        rule["error_scale"] = START_SHARE * span * grown ** (1 / len(above))
        rule["reach"] = DEEP_REACH
    return gain, design, rule


def of_values(
    emulated: Emulator,
    pairs: int,
    values: DeviceSettings,
    pulses: PulseWrites,
    dose: float,
    **more: Any,
) -> tuple[dict[str, Any], LayeredRule]:
    """Return the arguments that make a network with `initial_network`, and its learning rule, from
    `values` of the settings. `settings_of` chooses these values for a device.

    `emulated` is the emulator of the device, `dose` the first dose of output cells in V. `more` are
    other fields of `LayerDesign`.
    """
    check_pairs(pulses, pairs)
    design = measured_design(
        emulated,
        pairs,
        values.gain,
        hidden_bias=values.hidden_bias,
        output_bias=values.output_bias,
        output_gain=values.output_gain,
        **more,
    )
    # a dose of a gate is one of its voltage, and errors of hidden neurons stay states
    read_back = emulated.high - emulated.low if pulses.levels else 1.0
    rule = LayeredRule(
        hidden_dose=values.hidden_dose * dose / read_back,
        output_dose=dose,
        final_dose=values.final_dose,
        margin=values.margin,
        final_margin=values.final_margin,
        reach=values.reach,
        start_drive=0.0,
        start_drive_spread=values.start_drive_spread,
        start_weight=0.0,
        start_weight_spread=values.start_weight_spread * (emulated.high - emulated.low),
    )
    return {"parameters": measured_parameters(emulated), "design": design, "pulses": pulses}, rule


def convolution_settings(
    device: str | MeasuredDevice | None = None,
    pairs: int = 1,
    late: bool = False,
    changes: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], LayeredRule]:
    """Return the arguments that make a network with a convolution, for `initial_network`, and its
    learning rule.

    Parameters
    ----------
    device : str or MeasuredDevice, optional
        None: emulators and a reference column.
    pairs : int
        With a `device`: differential pairs of a synapse; 0: single cells.
    late : bool
        With a `device`: synapses write late.
    changes : dict, optional
        Fields of the rule that differ from those for MNIST, as in `CONVOLUTION_DIGITS`. Measured
        devices take some of them (`CHANGES_OF_DEVICES`).

    Raises
    ------
    ParameterError
        The device is unknown, or synapses of the device cannot write late.
    """
    changes = changes or {}
    if device is None:
        return {"design": CONVOLUTION_DESIGN}, dataclasses.replace(CONVOLUTION_RULE, **changes)
    emulated = emulator(load_device(device) if isinstance(device, str) else device)
    pulses = measured_pulses(emulated, late=late)
    dose = max(1, pairs) * (
        CONVOLVED_GATE_DOSE * (pulses.gate_high - pulses.gate_low)
        if pulses.levels
        else pulses.step * (pulses.late if late else 1)
    )
    circuit = {"window": CONVOLUTION_WINDOW, "back_voltage": BACK_VOLTAGE}
    made, rule = of_values(emulated, pairs, CONVOLUTION_DEVICES, pulses, dose, **circuit)
    few = {name: value for name, value in changes.items() if name in CHANGES_OF_DEVICES}
    return made, dataclasses.replace(
        rule, **{"presentations": CONVOLUTION_RULE.presentations, **few}
    )


def presented(images: int) -> int:
    """Return the number of presentations of a convolution that learns this number of `images`.

    For digits and MNIST it is the number that was chosen there. In between, the more images there
    are, the fewer times each is shown.
    """
    return min(CONVOLUTION_RULE.presentations, round(217 * images**0.72))


def suited_changes(
    convolutions: Sequence[Convolution], kernels: Sequence[int], presentations: int
) -> dict[str, Any]:
    """Return the fields of the rule, as in `CONVOLUTION_DIGITS`, for images of one's own.

    They lie between the settings that were chosen for digits and for MNIST. The dose and the start
    of output cells follow from the number of outputs of the convolution. The start of the kernels
    follows from the pixels of the window, the margin from the number of presentations.
    """
    digits, rows = CONVOLUTION_DIGITS, convolutions[0].window ** 2
    outputs = kernels[-1] * convolutions[-1].regions ** 2
    more = max(1.0, presentations / digits["presentations"])
    if len(convolutions) > 1:
        per_volt = thresholds_per_volt(NetworkParameters(), CONVOLUTION_DESIGN)
        return {
            "presentations": presentations,
            "output_dose": OUTPUT_MOVE / (per_volt * OVERLAP * outputs),
            "margin": STACKED_MARGIN * digits["margin"] / more**0.36,
            "start_weight_spread": STACKED_OUTPUT_SPREAD
            / (per_volt * math.sqrt(OVERLAP * outputs)),
        }
    return {
        "presentations": presentations,
        "output_dose": digits["output_dose"] * (64 / outputs) ** 0.82,
        "margin": digits["margin"] / more**0.36,
        "start_drive_spread": digits["start_drive_spread"] * (9 / rows) ** 0.28,
        "start_weight_spread": digits["start_weight_spread"] * (64 / outputs) ** 0.5,
    }


@dataclass(frozen=True)
class Settings:
    """Circuit, pulses and rule of a network with layers."""

    hidden: tuple[int, ...]
    kinds: tuple[Kind, ...]
    design: LayerDesign
    parameters: NetworkParameters
    pulses: PulseWrites | None
    rule: LayeredRule


def settings_of(
    recipe: Recipe, device: MeasuredDevice | None, shape: tuple[int, ...], images: np.ndarray
) -> Settings:
    """Return the settings of a recipe for `images` (n x inputs), whose `shape` the user gave."""
    assert recipe.layers is not None
    late = recipe.write == LATE
    sizes = [layer.neurons for layer in recipe.layers if isinstance(layer, Dense)]
    learning = recipe.of_group("rule")
    convolutions: list[Convolution] = []
    made: dict[str, Any] = {}
    rule = LayeredRule()
    if recipe.convolutions:
        kernels: list[int] = []
        for k, layer in enumerate(recipe.convolutions, 1):
            channels, below = sum(kernels[-1:]), k < len(recipe.convolutions)
            convolution, count = layer.on(shape, channels, below)
            convolutions, kernels = [*convolutions, convolution], [*kernels, count]
            shape = (1, *[convolution.regions] * 2)
        sizes = [*kernels, *sizes]
        presentations = as_whole(
            "presentations", learning.get("presentations", presented(len(images))), 1, 10**9
        )
        changes = suited_changes(convolutions, kernels, presentations)
        made, rule = convolution_settings(device, recipe.pairs, late, changes)
        if device is None:
            made["design"] = dataclasses.replace(made["design"], pairs=recipe.pairs)
        if len(convolutions) > 1:
            made["design"] = dataclasses.replace(made["design"], **STACKED_DESIGN)
            scale = STACKED_DEVICE_SCALE if device else STACKED_SCALE
            rule = dataclasses.replace(rule, error_scale=scale, reach=STACKED_REACH)
    else:
        made, rule = dense(device, sizes, images, recipe)
    rule = dataclasses.replace(recipe.applied("rule", rule), seed=recipe.seed)
    if late and (convolutions or not sizes):
        rule = recipe.applied("rule", with_late_doses(rule, bool(convolutions)))
    parameters, pulses = made.get("parameters"), made.get("pulses")
    parameters = parameters or emulators(images.shape[1], sizes, convolutions, recipe.pairs)
    parameters = NetworkParameters(
        recipe.applied("memristor", parameters.memristor),
        recipe.applied("neuron", parameters.neuron),
    )
    return Settings(
        tuple(sizes),
        tuple(convolutions),
        recipe.applied("design", made["design"]),
        parameters,
        pulses and recipe.applied("pulses", pulses),
        rule,
    )


def emulators(
    inputs: int, sizes: Sequence[int], convolutions: Sequence[Convolution], pairs: int
) -> NetworkParameters:
    """Return the paper's cells for a network with `inputs` rows, `sizes` of its hidden layers, its
    first `convolutions` and `pairs` of a synapse. Cells of columns with more than MOST_CELLS are
    narrower.
    """
    kinds: list[Kind] = [*convolutions, *[DENSE] * (len(sizes) + 1 - len(convolutions))]
    rows, below = [], inputs
    for kind, neurons in zip(kinds, [*sizes, 0], strict=True):
        rows.append(kind.rows_on(below) + 1)
        below = kind.outputs_of(neurons)
    width = MemristorParameters.width * min(1.0, MOST_CELLS / (max(rows) * (pairs or 1)))
    return NetworkParameters(MemristorParameters(width=width))


def dense(
    device: MeasuredDevice | None, sizes: Sequence[int], images: np.ndarray, recipe: Recipe
) -> tuple[dict[str, Any], LayeredRule]:
    """Return parameters, design and pulses of a network without a convolution, and its rule.
    `sizes`: of hidden layers; `images`: n x inputs.
    """
    pairs, rule = recipe.pairs, LayeredRule(presentations=dense_presentations(len(images), recipe))
    if device is None:
        design = LayerDesign(pairs=pairs)
        fields: dict[str, Any] = deep_emulators(images.shape[1]) if len(sizes) > 1 else {}
        return {"design": design}, dataclasses.replace(rule, **fields)
    emulated, late = emulator(device), recipe.write == LATE
    pulses = measured_pulses(emulated, late)
    check_pairs(pulses, pairs)
    neuron = recipe.applied("neuron", MEASURED_NEURON)  # its threshold is the unit of drives
    if not sizes:
        values, dose = single_layer(emulated, pairs, pulses)
        made, found = of_values(emulated, pairs, values, pulses, dose, neuron=neuron)
        return made, dataclasses.replace(found, presentations=rule.presentations)
    span = emulated.high - emulated.low
    dose_span = pulses.gate_high - pulses.gate_low if pulses.levels else span
    levels = measured_design(emulated, pairs, 1.0).read_levels(images)
    most = math.inf if late or pulses.levels else memory(device) * pulses.step
    # a write moves both cells of a pair, but only one of a one-sided pair, and no reference cell
    doses = max(1, pairs) * (1 if pairs and not pulses.one_sided else 2)
    gain, circuit, fields = hidden_layers(levels, sizes, doses, span, dose_span, most)
    if late:
        circuit["back_voltage"] = BACK_VOLTAGE
    made = {
        "parameters": measured_parameters(emulated),
        "design": measured_design(emulated, pairs, gain, neuron, **circuit),
        "pulses": pulses,
    }
    return made, dataclasses.replace(rule, **fields)


def deep_emulators(rows: int) -> dict[str, Any]:
    """Return the fields of the rule of emulators with several hidden layers, for images of `rows`
    rows. All layers must fire from the start, and errors grow on their way back, in proportion to
    the dose.
    """
    dose = min(DEEP_DOSE / rows, LARGEST_DEEP_DOSE)
    return {
        "output_dose": dose,
        "hidden_dose": 2 * dose,
        "error_scale": max(DEEP_ERROR_SCALE * dose, LEAST_ERROR_SCALE),
        "start_drive": DEEP_START,
        "start_drive_spread": DEEP_START_SPREAD,
    }


def dense_presentations(images: int, recipe: Recipe) -> int:
    """Return the presentations of a network without a convolution for a number of `images`.

    Each image is shown 40 times, of few images more often. Devices get no more presentations than
    help on MNIST, and late writes half as many.
    """
    most = (
        DEVICE_PRESENTATIONS // (1 + (recipe.write == LATE))
        if recipe.device
        else EMULATOR_PRESENTATIONS
    )
    least = LEAST_DEEP if recipe.device and len(recipe.layers or ()) > 1 else LEAST
    return min(most, max(EPOCHS * images, least))


def with_late_doses(rule: LayeredRule, convolution: bool = False) -> LayeredRule:
    """Return the rule of a network that writes late, whose doses suit its number of presentations.

    Doses of `settings_of` suit 100,000 presentations. With fewer ones most synapses would not reach
    a pulse. So doses grow with the root of 100,000 / presentations, as the sum of doses of random
    signs does (held-out images of MNIST, 1,000 to 30,000 presentations, five presets). Doses of a
    `convolution` suit 40,000 and grow with the fourth root. With the root some of its networks
    failed (held-out digits, 3,000 presentations, three presets, five seeds).
    """
    suited, power = (LATE_CONVOLVED, 0.25) if convolution else (LATE_PRESENTATIONS, 0.5)
    grown = max(1.0, suited / rule.presentations) ** power
    return dataclasses.replace(
        rule, output_dose=grown * rule.output_dose, hidden_dose=grown * rule.hidden_dose
    )
