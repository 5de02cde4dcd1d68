"""Networks before their training: random states, or those of the paper's layer; settings for
measured devices.

Three numbers of a device decide (docs/devices.md). If steps depend on the state x, pulses
pull all cells to one state. *Memory* M is the number of pulses after which a cell has forgotten its
earlier writes. *Balance* is the state to which cells are pulled, and it stands for the weight zero:
with another reference, the pull would move all cells to a weight that nobody learned. *Pulse noise*
is the random part of one pulse, as a share of the range: write noise, and the rounding to whole
pulses. The settings `FINE` suit pulses without noise, `COARSE` noisy pulses. The settings of a
device are weighted geometric means of both. The constants were chosen on held-out training images
of MNIST.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.measured_device import Emulator, MeasuredDevice, emulator, load_device
from memristive.learning.rule import ErrorDrivenRule, LayeredRule, Rule
from memristive.network.chip import OF_DEVICE, Chip, chosen_chip
from memristive.network.design import Convolution, LayerDesign, Schedule, Setup
from memristive.network.inputs import MOST_NEURONS, as_images, layer_sizes
from memristive.network.networks import (
    Network,
    network_on_chip,
    states_of_weights,
    thresholds_per_volt,
    with_bias,
)
from memristive.network.recipe import AT_ONCE, EXACT, LATE, Conv, Dense, Recipe
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR
from memristive.parameters import ParameterError, as_whole
from memristive.scores.checks import USUAL, settled_membranes
from memristive.writing.gate import gate_settings
from memristive.writing.late import late_settings
from memristive.writing.one_sided import check_pairs, one_sided_settings
from memristive.writing.ways import PulseWrites
from snn_circuit import NetworkParameters, NeuronParameters

# default; a larger gain, as reads are at a low voltage
MEASURED_NEURON = NeuronParameters(amplifier_gain=1e7)
# a third scheme of writing, in closed form only: unselected cells see a third of the voltage
THIRD = "v/3"
# V of the summing stages with every cell at the middle of its range, 16 V with every cell at its
# upper end
STAGE_SWING = 8.0
PAIRS = LayerDesign.__dataclass_fields__["pairs"].metadata  # allowed range

# Names with DEEP are for several layers. Doses are numbers of pulses.
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
DEEP_MEMORY = 110.0  # M at which DEEP_FINE and DEEP_BENT have equal weights
LATE_DOSE, DEEP_LATE_DOSE = 0.6, 0.8  # first dose over the dose at which a synapse is due
# V, of a back-read through hidden layers that write late, and of convolutions. At the usual 0.1 V
# channels bend. This adds a constant to the errors of all hidden neurons: -3 mV with emulators, up
# to -0.2 V with devices, where kernels fall silent and a dense layer loses 0.7 points.
BACK_VOLTAGE = 2e-3
# first doses of cells whose level is set by the gate, as shares of the range of gate voltages
GATE_DOSE, DEEP_GATE_DOSE = 0.016, 0.022
# The coarse dose has half the weight at this pulse noise, DEEP_COARSE at this ratio of pulse noise
# to a step.
DEEP_NOISE, DEEP_RATIO = 2e-3, 2.7
DEEP_FINE_DOSE, DEEP_FINE_WRITE = 4e-3, 0.0104  # as FINE_DOSE and FINE_WRITE
# an output cell of two layers sees few errors, and each should have a chance to write
DEEP_COARSE_DOSE = 0.35
# factor on the gain for pulses of any width: weights without noise may count more
DEEP_EXACT_GAIN = 1.5


@dataclass(frozen=True)
class DeviceSettings:
    """Settings of a network, derived from two numbers of its device: the noise of a pulse and, for
    several layers, the number of pulses after which a cell has forgotten a write (`memory`).

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
        Dose of hidden cells over that of output cells.
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
        """Return geometric means of these values and those of `other`. The values of `other` count
        with the `weight` (0 to 1), these with the rest.
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
DEEP_FINE = DeviceSettings(
    gain=0.27,
    output_bias=1.85,
    margin=9e-6,
    final_margin=0.26,
    final_dose=0.167,
    hidden_bias=1.6,
    output_gain=0.25,
    hidden_dose=0.47,
    reach=0.9,
    start_drive_spread=0.63,
    start_weight_spread=0.42,
)
DEEP_COARSE = DeviceSettings(
    gain=0.6,
    output_bias=1.85,
    margin=45e-6,
    final_margin=0.22,
    final_dose=0.03,
    hidden_bias=2.5,
    output_gain=0.6,
    hidden_dose=1.3,
    reach=0.85,
    start_drive_spread=0.8,
    start_weight_spread=0.15,
)

DEVICE_PRESENTATIONS, DEVICE_EPOCHS = 200_000, 42  # most presentations, and of each image
LATE_PRESENTATIONS = 100_000  # for which the doses of late writes were chosen
LATE_CONVOLVED = 40_000  # the same for convolutions
LATE_ONE = DeviceSettings(
    gain=0.2, output_bias=1.65, margin=15e-6, final_margin=0.4, final_dose=0.02
)
DEEP_LATE = dataclasses.replace(DEEP_FINE, final_dose=0.02)
GATE = DeviceSettings(gain=0.23, output_bias=1.8, margin=12e-6, final_margin=0.5, final_dose=0.04)
DEEP_GATE = DeviceSettings(
    gain=1.4,
    output_bias=1.9,
    margin=14e-6,
    final_margin=0.35,
    final_dose=0.07,
    hidden_bias=2.0,
    output_gain=0.4,
    hidden_dose=1.5,  # for a whole weight read back
    reach=0.9,
    start_drive_spread=0.48,
    start_weight_spread=0.26,
)

# Weights that forget fall to 0: then hidden neurons fire by their bias, and a large gain makes much
# of small weights.
DEEP_BENT = DeviceSettings(
    gain=0.9,
    output_bias=2.0,
    margin=50e-6,
    final_margin=0.24,
    final_dose=0.03,
    hidden_bias=2.8,
    output_gain=0.7,
    hidden_dose=2.0,
    reach=0.85,
    start_drive_spread=0.8,
    start_weight_spread=0.15,
)

# Convolutions. The starts, doses and margin of MNIST come from a study in software, those of digits
# were chosen on held-out training images. The gain of a kernel's weights is ten times that of an
# output cell's, because a window has few rows and the layer above has many. Neurons have up to five
# time constants for their spikes, because a patch that fits a kernel only partly also counts.
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
# Fields of the rule that differ for other images, chosen on held-out training images.
CONVOLUTION_CHANGES: dict[str, dict[str, Any]] = {
    "mnist": {},
    "digits": {
        "presentations": 40_000,
        "output_dose": 30e-3,
        "margin": 20e-6,
        "start_drive_spread": 0.8,
        "start_weight_spread": 0.1,
    },
    "mnist_shifted": {"presentations": 1_200_000},
    "fashion": {"presentations": 1_000_000, "output_dose": 3e-3, "margin": 12e-6},
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


def measured_pulses(
    emulator: Emulator,
    whole: bool = True,
    noise: bool = True,
    scheme: str = ONE_TRANSISTOR,
    late: bool = False,
) -> PulseWrites:
    """Return the pulses that write the device of an `emulator`.

    Parameters
    ----------
    emulator : Emulator
    whole : bool
        True: whole pulses, with fractions rounded at random. False: pulses of any width.
    noise : bool
        True: include the device's write and read noise.
    scheme : str
        "1t1r": an access switch in series with each device. "v/2", "v/3": passive arrays, in which
        a write also moves cells that see a half or a third of its voltage
        (`writing.pulses.disturb`).
    late : bool
        True: each synapse has a poor capacitor in front of its devices, the paper's emulator, which
        adds up doses until pulses are due (docs/writes_late.md).

    Raises
    ------
    ParameterError
        There is no such scheme, or `late` is given for a device that is written at its gate.
    """
    device, window = emulator.device, emulator.high - emulator.low
    more = (late_settings(device) if late else {}) | one_sided_settings(emulator)
    if device.levels:
        return PulseWrites(**gate_settings(emulator, noise))
    shares = {
        ONE_TRANSISTOR: (0.0, 0.0),
        HALF: (device.half_up, device.half_down),
        THIRD: (device.third_up, device.third_down),
    }
    if scheme not in shares:
        raise ParameterError(f"scheme must be one of {', '.join(shares)}, got {scheme!r}")
    return PulseWrites(
        device.mean_step * window,
        emulator.pulse,
        device.write_noise * window * noise,
        # a column adds up the noises of many devices, of which only the mean square counts
        device.read_noise * window * noise * math.hypot(1.0, device.read_noise_spread),
        int(whole),
        *shares[scheme],
        int(scheme == THIRD),
        device.noise_curve,
        model=device.model,
        model_sha256=device.model_sha256,
        **more,
    )


def memory(device: MeasuredDevice) -> float:
    """Return the number of pulses after which a cell has forgotten a write: the inverse of the mean
    slope of the device's two curves of steps over x; inf for flat curves.
    """
    slopes = sum(float(np.abs(np.diff(curve)).sum()) for curve in (device.up, device.down))
    return 2 / slopes if slopes else np.inf


def pulse_noise(device: MeasuredDevice, whole: bool) -> float:
    """Return the standard deviation of the random part of one pulse, as a share of the range: write
    noise and rounding.

    If pulses must be `whole`, fractions are rounded at random. For half a pulse, the rounding has a
    standard deviation of half a step. Pulses of any width are neither rounded nor noisy: the result
    is 0.
    """
    return float(np.hypot(device.write_noise, device.mean_step / 2)) if whole else 0.0


def half_at(middle: float, value: float) -> float:
    """Return a weight from 0 to 1 for a `value` of 0 or above: 1/2 at `middle`, and growing with
    the value.
    """
    return 1 - middle**2 / (middle**2 + value**2)


def learning_of(
    device: MeasuredDevice, layers: int, pairs: int, whole: bool = True, late: bool = False
) -> tuple[dict[str, Any], LayeredRule]:
    """Return the arguments that make a network of a measured device, and its learning rule.

    Parameters
    ----------
    device : MeasuredDevice
    layers : int
        Number of layers.
    pairs : int
        Differential pairs of a synapse; 0: single cells.
    whole : bool
        True: whole pulses with the device's noises. False: pulses of any width without noise.
    late : bool
        True: synapses write late, as in `measured_pulses`.

    Returns
    -------
    devices : dict
        Parameters, design and pulses, as arguments of `initial_network`.
    rule : LayeredRule
        Rule whose presentations and seed are still the defaults.
    """
    emulated, step, forgotten, noise = (
        emulator(device),
        device.mean_step,
        memory(device),
        pulse_noise(device, whole),
    )
    pulses = measured_pulses(emulated, whole, noise=whole, late=late)
    if device.levels:
        values, weight, coarse = GATE if layers == 1 else DEEP_GATE, 0.0, 1.0
        gate_span = pulses.gate_high - pulses.gate_low
        fine = (GATE_DOSE if layers == 1 else DEEP_GATE_DOSE) * gate_span / pulses.step
    elif late:
        values, weight, coarse = LATE_ONE if layers == 1 else DEEP_LATE, 0.0, 1.0
        fine = pulses.late * (LATE_DOSE if layers == 1 else DEEP_LATE_DOSE)
    elif layers == 1:
        weight = half_at(NOISE, noise)
        values = FINE.towards(COARSE, weight)
        grows = device.up[-1] - device.up[0] > device.down[-1] - device.down[0]
        fine = min(FINE_WRITE / step, FINE_DOSE * forgotten * (GROWING if grows else 1.0))
        averaged = max(noise, 1e-12) / math.sqrt(max(1, pairs))  # of the sum of all pairs
        coarse = min(COARSE_PULSES, COARSE_WRITE / step, COARSE_DOSE * forgotten * step / averaged)
    else:
        weight = half_at(DEEP_NOISE, noise)
        values = DEEP_FINE.towards(DEEP_BENT, 1 - half_at(DEEP_MEMORY, forgotten))
        values = values.towards(DEEP_COARSE, half_at(DEEP_RATIO**2, (noise / step) ** 2))
        if not whole:
            values = dataclasses.replace(values, gain=DEEP_EXACT_GAIN * values.gain)
        fine, coarse = min(DEEP_FINE_WRITE / step, DEEP_FINE_DOSE * forgotten), DEEP_COARSE_DOSE
    # A write changes one of the pairs, which carries a share of the weight, so the dose grows with
    # the number of pairs.
    dose = max(1, pairs) * fine ** (1 - weight) * coarse**weight * pulses.step
    more = {"back_voltage": BACK_VOLTAGE} if late and layers > 1 else {}
    return of_values(emulated, pairs, values, pulses, dose, **more)


def of_values(
    emulated: Emulator,
    pairs: int,
    values: DeviceSettings,
    pulses: PulseWrites,
    dose: float,
    **more: Any,
) -> tuple[dict[str, Any], LayeredRule]:
    """Return the arguments that make a network with `initial_network`, and its learning rule, from
    `values` of the settings. `learning_of` chooses these values for a device.

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


def committed(network: Network, rng: np.random.Generator) -> Network:
    """Return a network whose 1T1R cells have been written once, at the gate voltages that belong to
    its states. The scatter of these writes is drawn from `rng`. A network without gates is returned
    unchanged.
    """
    states, waiting = network.way.started(network.states, network.parameters.memristor.curve, rng)
    return dataclasses.replace(network, states=states, waiting=waiting)


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
        Fields of the rule that differ from those for MNIST, as in `CONVOLUTION_CHANGES`. Measured
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
        DEEP_GATE_DOSE * (pulses.gate_high - pulses.gate_low)
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
    """Return how often a convolution presents a number of training `images` in all: as often as
    those of digits and of MNIST, and in between fewer times each the more images there are.
    """
    return min(CONVOLUTION_RULE.presentations, round(217 * images**0.72))


def presented_to_devices(images: int, late: bool) -> int:
    """Return the number of presentations after which dense layers of measured devices no longer
    gain on MNIST and on digits, for a number of training `images`. Late writes need half as many.
    """
    return min(DEVICE_PRESENTATIONS // (1 + late), DEVICE_EPOCHS * images)


def suited_changes(convolution: Convolution, kernels: int, presentations: int) -> dict[str, Any]:
    """Return the fields of the rule, as in `CONVOLUTION_CHANGES`, for images of one's own.

    All lie between two settings that were chosen, those of digits and of MNIST: the dose and the
    start of output cells follow from the number of outputs of the convolution, the start of the
    kernels from the pixels of the window, and the margin from the number of presentations. Other
    doses and margins were no better on MNIST of 14x14 pixels (5,000 images, held-out images).
    """
    digits, rows = CONVOLUTION_CHANGES["digits"], convolution.window**2
    outputs = kernels * convolution.regions**2
    more = max(1.0, presentations / digits["presentations"])
    return {
        "presentations": presentations,
        "output_dose": digits["output_dose"] * (64 / outputs) ** 0.82,
        "margin": digits["margin"] / more**0.36,
        "start_drive_spread": digits["start_drive_spread"] * (9 / rows) ** 0.28,
        "start_weight_spread": digits["start_weight_spread"] * (64 / outputs) ** 0.5,
    }


def stuck_cells(device: MeasuredDevice, seed: int) -> Chip | None:
    """Return a chip whose only deviation is the share of stuck cells of a `device`, at states
    anywhere in its range; None if no cell is stuck.
    """
    emulated = emulator(device)
    return (
        Chip(
            stuck_anywhere=device.stuck,
            stuck_lowest=emulated.low,
            stuck_state=emulated.high,
            seed=seed,
        )
        if device.stuck
        else None
    )


SHOWN = 100  # images whose patches set the start of a convolution
START_STATE = 4.5  # V, for grey images


@overload
def build(images: Recipe, classes: ArrayLike, hidden: ArrayLike | int) -> tuple[Network, Rule]: ...


@overload
def build(
    images: ArrayLike,
    classes: int,
    hidden: int | Sequence[int] | None = None,
    device: str | Path | MeasuredDevice | None = None,
    pairs: int = 1,
    late: bool = False,
    convolution: Convolution | Conv | Mapping[str, Any] | None = None,
    chip: str | Chip | None = None,
    epochs: int | None = None,
    **learning: Any,
) -> tuple[Network, Rule]: ...


def build(
    images: Any,
    classes: Any,
    hidden: Any = None,
    device: str | Path | MeasuredDevice | None = None,
    pairs: int = 1,
    late: bool = False,
    convolution: Convolution | Conv | Mapping[str, Any] | None = None,
    chip: str | Chip | None = None,
    epochs: int | None = None,
    **learning: Any,
) -> tuple[Network, Rule]:
    """Return an untrained network for images, and the rule that suits it.

    ``build(recipe, images, labels)`` makes the network of a `Recipe`. The number of classes may
    stand in the place of the labels. ``build(images, classes, ...)`` is a short form, whose options
    become a recipe.

    Parameters
    ----------
    images : array_like, n x inputs or n x height x width, levels 0 to 1
        Training images, from which the settings follow.
    classes : int
        Two or more.
    hidden : int or sequence of int, optional
        Neurons of each hidden layer. None without a `device`: the paper's layer. With a
        `convolution`: kernels, then the neurons of further hidden layers; None: as many kernels as
        one and a half times the pixels of the window.
    device : str, path or MeasuredDevice, optional
        Device in every cell: a preset, a device file, or a device. None: the paper's emulator.
    pairs : int
        With a `device`: differential pairs of a synapse; 0: single cells, and a reference column.
    late : bool
        With a `device`: each synapse adds up doses on a capacitor until whole pulses are due.
    convolution : Convolution, Conv or dict of its fields, optional
        The first layer reads the image window by window. Fields that a dict lacks follow from the
        images (`Conv`).
    chip : str or Chip, optional
        Deviations of the cells and neurons: a preset, a chip file, or a chip. "device": each cell
        is drawn from the spreads of the device, and wires have resistance if the chip gives one.
        None: all are alike.
    epochs : int, optional
        Presentations of each image, in the place of the rule's `presentations`.
    **learning
        Fields of the rule, such as presentations and seed.

    Raises
    ------
    ParameterError
        The images are not levels from 0 to 1, or are all 0, a number or an option is wrong, the
        device is unknown, or the network cannot have the chip's deviations.
    """
    if isinstance(images, Recipe):
        return built(images, classes, hidden)
    if late and device is None:
        raise ParameterError("late is for measured devices: give a device")
    if epochs is not None and "presentations" in learning:
        raise ParameterError("give epochs or presentations, not both")
    if epochs is not None:
        learning["presentations"] = as_whole("epochs", epochs, 1, 10**6) * len(images)
    rule: dict[str, Any] = dict(learning)
    recipe = Recipe(
        layers_of(hidden, convolution, device),
        device,
        LATE if late else AT_ONCE,
        pairs if device is not None else None,
        chip,
        rule.pop("seed", 1),
        {f"rule.{name}": value for name, value in rule.items()},
    )
    return built(recipe, images, classes)


def layers_of(
    hidden: int | Sequence[int] | None,
    convolution: Convolution | Conv | Mapping[str, Any] | None = None,
    device: Any = None,
) -> tuple[Conv | Dense, ...] | None:
    """Return the layers of a recipe from the options of `build`."""
    sizes = layer_sizes(hidden)
    if convolution is not None:
        kernels = sizes[0] if sizes else None
        return (Conv.of(convolution, kernels), *map(Dense, sizes[1:]))
    return None if hidden is None and device is None else tuple(map(Dense, sizes))


def built(recipe: Recipe, given: ArrayLike, labels: ArrayLike | int) -> tuple[Network, Rule]:
    """Return the untrained network of a `recipe` for images, and its rule. `given` are the images
    and `labels` their labels or the number of classes, as in `build`.
    """
    images = as_images(given, empty=False)
    if not images.any():
        raise ParameterError("images must have levels above 0, got 0 for all: no row has a voltage")
    classes = (
        as_whole("classes", labels, 2, MOST_NEURONS)
        if np.ndim(labels) == 0
        else len(np.unique(labels))
    )
    shape = (classes, images.shape[1])
    device = recipe.device and recipe.applied("device", recipe.device)
    chip = chosen_chip(recipe.chip, device, shape, recipe.seed)
    if recipe.of_group("chip"):
        chip = recipe.applied("chip", chip or Chip(*shape, seed=recipe.seed))
    if chip is None and device and device.stuck:
        chip = stuck_cells(device, recipe.seed)
    if recipe.layers is None:
        setup = paper_setup(images)
        setup = setup.replace(
            memristor=recipe.applied("memristor", setup.memristor),
            neuron=recipe.applied("neuron", setup.neuron),
            schedule=recipe.applied("design", setup.schedule),
        )
        paper = ErrorDrivenRule(**grey_settings(images), seed=recipe.seed)
        rule: Rule = (paper := recipe.applied("rule", paper))
        network = paper_network(setup, paper, *shape)
    else:
        settings = settings_of(recipe, device, np.shape(given), images)
        rule = settings.rule
        network = initial_network(
            settings.hidden,
            classes,
            images,
            rule,
            settings.design,
            settings.parameters,
            settings.pulses,
            settings.convolution,
        )
    if isinstance(recipe.chip, str) and recipe.chip != OF_DEVICE:
        recipe = recipe.replace(chip=chip)  # the file may change
    return dataclasses.replace(network_on_chip(network, chip), recipe=recipe), rule


@dataclass(frozen=True)
class Settings:
    """Circuit, pulses and rule of a network with layers."""

    hidden: tuple[int, ...]
    convolution: Convolution | None
    design: LayerDesign
    parameters: NetworkParameters
    pulses: PulseWrites | None
    rule: LayeredRule


def settings_of(
    recipe: Recipe, device: MeasuredDevice | None, shape: tuple[int, ...], images: np.ndarray
) -> Settings:
    """Return the settings of a recipe for `images` (n x inputs), whose `shape` the user gave."""
    assert recipe.layers is not None
    late, whole = recipe.write == LATE, recipe.write != EXACT
    sizes = [layer.neurons for layer in recipe.layers if isinstance(layer, Dense)]
    learning, convolution = recipe.of_group("rule"), None
    made: dict[str, Any] = {}
    rule = LayeredRule()
    if recipe.convolution:
        convolution, kernels = recipe.convolution.on(shape)
        sizes = [kernels, *sizes]
        presentations = as_whole(
            "presentations", learning.get("presentations", presented(len(images))), 1, 10**9
        )
        changes = suited_changes(convolution, kernels, presentations)
        made, rule = convolution_settings(device, recipe.pairs, late, changes)
        if device is None:
            made["design"] = dataclasses.replace(made["design"], pairs=recipe.pairs)
    elif device:
        made, rule = learning_of(device, 1 + len(sizes), recipe.pairs, whole, late)
    else:
        made["design"] = LayerDesign(pairs=recipe.pairs)
    rule = dataclasses.replace(recipe.applied("rule", rule), seed=recipe.seed)
    if late:
        rule = recipe.applied("rule", with_late_doses(rule, convolution is not None))
    parameters, pulses = made.get("parameters") or NetworkParameters(), made.get("pulses")
    parameters = NetworkParameters(
        recipe.applied("memristor", parameters.memristor),
        recipe.applied("neuron", parameters.neuron),
    )
    return Settings(
        tuple(sizes),
        convolution,
        recipe.applied("design", made["design"]),
        parameters,
        pulses and recipe.applied("pulses", pulses),
        rule,
    )


def with_late_doses(rule: LayeredRule, convolution: bool = False) -> LayeredRule:
    """Return the rule of a network that writes late, whose doses suit its number of presentations.

    Doses of `learning_of` suit 100,000 presentations. Fewer ones would not bring most synapses to a
    pulse, so doses grow with the root of the number that is missing, as the sum of doses of random
    signs does (held-out images of MNIST, 1,000 to 30,000 presentations, five presets). Those of a
    `convolution` suit 40,000 and grow with the fourth root: the root lets some of its networks fail
    (held-out digits, 3,000 presentations, three presets, five seeds).
    """
    suited, power = (LATE_CONVOLVED, 0.25) if convolution else (LATE_PRESENTATIONS, 0.5)
    grown = max(1.0, suited / rule.presentations) ** power
    return dataclasses.replace(
        rule, output_dose=grown * rule.output_dose, hidden_dose=grown * rule.hidden_dose
    )


def grey_settings(images: np.ndarray) -> dict[str, Any]:
    """Return a dict of the fields of an `ErrorDrivenRule` that suit grey `images` (n x inputs)."""
    return {"presentations": min(60_000, 40 * len(images)), "start_state": START_STATE, "dose": 0.1}


def paper_setup(images: np.ndarray) -> Setup:
    """Return the setup of the paper's layer for grey `images` (n x inputs, levels 0 to 1).

    The feedback resistor lets the membranes of an untrained network settle at 1.7 thresholds, as in
    the paper's networks (mean over the first 1,000 images). Pulses last 2 ms.
    """
    images = as_images(images)
    setup = Setup(schedule=Schedule(pulse=2e-3, period=6e-3, sampling_step=11e-6))
    settled = settled_membranes(
        setup, np.full((1, images.shape[1]), START_STATE), images[:1000]
    ).mean()
    feedback = USUAL * setup.neuron.threshold / float(settled) * setup.neuron.feedback_resistance
    return setup.replace(neuron=NeuronParameters(feedback_resistance=feedback))


def paper_network(setup: Setup, rule: ErrorDrivenRule, classes: int, inputs: int) -> Network:
    """Return the paper's layer of a `setup` with all cells at the rule's start state."""
    return Network.of(setup, np.full((classes, inputs), rule.start_state))


def initial_network(
    hidden: tuple[int, ...],
    classes: int,
    images: np.ndarray,
    rule: LayeredRule,
    design: LayerDesign | None = None,
    parameters: NetworkParameters | None = None,
    pulses: PulseWrites | None = None,
    convolution: Convolution | None = None,
) -> Network:
    """Return an untrained network with random states.

    The two cells of a differential pair start equally far above and below `design.reference_state`.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of each hidden layer; kernels of a convolution.
    classes : int
    images : array, n x inputs, levels 0 to 1
        Images over which the membranes of the first layer settle with the mean and the spread that
        the rule gives. A convolution settles over the patches of the first `SHOWN` images.
    rule : LayeredRule
        Distribution of the start and its seed.
    design : LayerDesign, optional
    parameters : NetworkParameters, optional
    pulses : PulseWrites, optional
    convolution : Convolution, optional
        Windows and regions, if the first layer is a convolution.

    Raises
    ------
    ParameterError
        The images are not levels from 0 to 1, or have another size than the convolution reads.
    """
    images = as_images(images)
    if convolution and convolution.inputs != images.shape[1]:
        raise ParameterError(
            f"the convolution reads {convolution.height} x {convolution.width} pixels, the images "
            f"have {images.shape[1]}"
        )
    design, parameters = design or LayerDesign(), parameters or NetworkParameters()
    rng = np.random.default_rng([rule.seed, 1])
    levels = with_bias(design.read_levels(images[: SHOWN if convolution else None]))
    regions = 1
    if convolution:
        places = convolution.patches[:, 1:]
        levels, regions = levels[:, places].reshape(-1, places.shape[1]), convolution.regions**2
    mean, power = levels.sum(axis=1).mean(), (levels**2).sum(axis=1).mean()
    per_volt = thresholds_per_volt(parameters, design)
    sizes = (levels.shape[1] - 1, *hidden, classes)
    outputs = (sizes[1] * regions, *sizes[2:])
    states = [
        rng.normal(
            rule.start_drive / mean / per_volt,
            rule.start_drive_spread / math.sqrt(power) / per_volt,
            (sizes[1], sizes[0] + 1),
        )
    ]
    states += [
        rng.normal(rule.start_weight, rule.start_weight_spread, (above, below + 1))
        for below, above in zip(outputs, sizes[2:], strict=False)
    ]
    return committed(
        Network(
            tuple(states_of_weights(start, design, parameters.memristor) for start in states),
            parameters,
            design,
            pulses=pulses,
            convolution=convolution,
        ),
        rng,
    )
