"""Imperfect chips: device-to-device spread (d2d), cycle-to-cycle noise (c2c), stuck cells, decay.

A `Chip` is a description and a seed. Both determine all cells and neurons, so that both engines
simulate the same chip. Each deviation has its own stream of random numbers. So if two chips have
the same seed and one spread differs, nothing else differs, and the larger spread scales the same
random numbers. A relative spread multiplies nominal values by log-normal factors of mean 1. A
spread in V adds normal numbers of mean 0.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from memristive.devices.cells import Cells, Devices, NeuronValues, Wires
from memristive.devices.measured_device import MeasuredDevice, emulator
from memristive.devices.neuron_model import MeasuredNeuron
from memristive.files import FileProblem, read_json, restored
from memristive.network.design import Setup
from memristive.parameters import ParameterError, Parameters, did_you_mean, quantity
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

MIXED_SIGNAL = (
    "about 0.2 in uncalibrated mixed-signal neurons "
    "(Zendrikov, Solinas, Indiveri, Neuromorph. Comput. Eng. 3, 2023)"
)
LI_FIT = "aihwkit's fit to the capacitor cell of Li et al., VLSI 2018"
PYCLLN = "PyCLLN's default"
COPPER = "0.3 to 3 ohm (Joksas et al., Nat. Commun. 11, 2020, take 0.35 and 0.32 ohm)"
OF_DEVICE = "device"  # in place of a chip: its cells differ as the measured devices do
STUCK = "0.0175 and 0.0904 in a 4 Mb HfO2 array (C.-Y. Chen et al., IEEE Trans. Comput. 64, 2015)"


def deviation(
    high: float, unit: str, kind: str, distribution: str, meaning: str, published: str
) -> float:
    """Return a field of `Chip` (a `quantity` from 0 to `high`) whose help names the kind (d2d or
    c2c), the distribution and a published value.
    """
    return quantity(
        0.0, 0.0, high, unit, f"{kind}, {distribution}: {meaning}; published: {published}"
    )


@dataclass(frozen=True)
class Chip(Parameters):
    """One chip of classes x inputs cells. The defaults are an ideal chip, without any deviation.

    `read_noise` is the threshold noise of the neurons. The read noise of a cell's conductance
    belongs to the device (`MeasuredDevice`), not to the chip.
    """

    classes: int = quantity(10, 1, 10**4, "", "columns of the chip")
    inputs: int = quantity(100, 1, 10**5, "", "rows of the chip")
    seed: int = quantity(1, 0, 2**32 - 1, "", "which chip of its kind")
    cell_gain: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the channels' gain Kp W/L",
        f"0.005 ({PYCLLN}); 0.07 ({LI_FIT}: w_max_dtod)",
    )
    cell_threshold: float = deviation(
        100.0,
        "V",
        "d2d",
        "normal",
        "spread of the channels' threshold Vto",
        f"0.010 ({PYCLLN}); law of areas: Pelgrom et al., IEEE J. Solid-State Circuits 24, 1989",
    )
    cell_write_gain: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the write gain K",
        f"0.1 ({LI_FIT}: dw_min_dtod)",
    )
    cell_capacitance: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the explicit memory capacitor",
        "0.01 at 0.5 fF (Tripathi, Murmann, IEEE Trans. Circuits Syst. I 61, 2014)",
    )
    cell_write_noise: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the noise of a measured device's pulses",
        "none; memristive fit measures it",
    )
    neuron_threshold: float = deviation(
        2.0, "", "d2d", "log-normal", "relative spread of the firing threshold", MIXED_SIGNAL
    )
    neuron_gain: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the summing stage's feedback",
        MIXED_SIGNAL,
    )
    neuron_time_constant: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the membrane's time constant",
        MIXED_SIGNAL,
    )
    neuron_leak: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the membrane's resistance, which slows it and lowers I_th",
        "0.06 in GF180MCU (docs/silicon.md)",
    )
    row_write_gain: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the write gain K of all cells of a row: its pump",
        "0.08 in GF180MCU (docs/silicon.md)",
    )
    stuck_off: float = deviation(
        1.0, "", "d2d", "uniform", "share of cells that stand at 0 V, whatever is written", STUCK
    )
    stuck_on: float = deviation(
        1.0, "", "d2d", "uniform", "share of cells that stand at stuck_state", STUCK
    )
    stuck_state: float = quantity(
        7.0, 0.0, 1000.0, "V", "X of the cells that are stuck on: the paper's on-state"
    )
    stuck_anywhere: float = deviation(
        1.0,
        "",
        "d2d",
        "uniform",
        "share of cells that stand anywhere between stuck_lowest and stuck_state",
        "0.11 (C. Li et al., Nat. Commun. 9, 2385, 2018)",
    )
    stuck_lowest: float = quantity(
        0.0, -1000.0, 1000.0, "V", "lowest X of the cells that are stuck anywhere"
    )
    write_noise: float = deviation(
        5.0,
        "",
        "c2c",
        "normal",
        "spread of what each write does to each cell, relative to the dose",
        f"0.3 ({LI_FIT}: dw_min_std)",
    )
    read_noise: float = deviation(
        10.0,
        "V",
        "c2c",
        "normal",
        "threshold noise: shift of each neuron's threshold, drawn anew for each read",
        f"0.005 ({PYCLLN})",
    )
    decay_rate: float = deviation(
        1e6,
        "1/s",
        "d2d",
        "its mean",
        "X decays to 0 V at this rate, 1 / time constant",
        "0.1 to 10 for a capacitor without a refresh; set by its transistor's leak",
    )
    decay_spread: float = deviation(
        2.0,
        "",
        "d2d",
        "log-normal",
        "relative spread of the cells' decay rates",
        f"0.3 ({LI_FIT}: lifetime_dtod)",
    )
    row_resistance: float = deviation(
        1e6, "ohm", "d2d", "the same everywhere", "a row's wire from one column to the next", COPPER
    )
    column_resistance: float = deviation(
        1e6, "ohm", "d2d", "the same everywhere", "a column's wire from one row to the next", COPPER
    )

    newer: ClassVar = (
        *("cell_write_noise", "stuck_anywhere", "stuck_lowest", "neuron_leak", "row_write_gain"),
    )

    def check(self) -> None:
        if not self.stuck_off + self.stuck_anywhere + self.stuck_on <= 1:
            raise ParameterError(
                "stuck_off, stuck_anywhere and stuck_on are shares of all cells, got "
                f"{self.stuck_off:g}, {self.stuck_anywhere:g} and {self.stuck_on:g}"
            )

    @property
    def deviations(self) -> list[str]:
        """Names of the deviations that are not 0. `decay_spread` and `stuck_lowest` are left out:
        they have no effect without another deviation.
        """
        return [
            field.name
            for field in dataclasses.fields(self)
            if field.default == 0
            and field.name not in ("decay_spread", "stuck_lowest")
            and getattr(self, field.name) != 0
        ]

    @property
    def ideal(self) -> bool:
        """True if nothing deviates, so that the seed has no effect."""
        return not self.deviations

    def check_shape(self, classes: int, inputs: int) -> None:
        """Raise ParameterError unless the chip has `classes` x `inputs` cells."""
        if (self.classes, self.inputs) != (classes, inputs):
            raise ParameterError(
                f"the chip has {self.classes} x {self.inputs} cells, the network needs {classes} x "
                f"{inputs}"
            )

    def devices(self, parameters: NetworkParameters) -> Devices:
        """Return the values of all cells and neurons, spread around the nominal `parameters`, and
        the wires.
        """
        return Devices(
            self.cells(parameters.memristor),
            self.neurons(parameters.neuron),
            Wires(self.row_resistance, self.column_resistance),
        )

    def cells(self, memristor: MemristorParameters) -> Cells:
        """Return the parameters of the cells (classes x inputs), spread around
        `memristor`. The write gain of a stuck cell is 0.
        """
        threshold = memristor.threshold_voltage + self.cell_threshold * self._normal(
            "cell_threshold"
        )
        write_gain = self._factor("cell_write_gain", memristor.transconductance)
        write_gain = write_gain * self._factor("row_write_gain", 1.0)
        return Cells(
            self._factor("cell_gain", memristor.gain),
            threshold,
            np.where(self.stuck, 0.0, write_gain),
            self._factor("cell_capacitance", memristor.capacitance),
            memristor.gate_capacitance,
            memristor.leak_resistance,
            memristor.curve,
            self._factor("cell_write_noise", 1.0),
        )

    def neurons(self, neuron: NeuronParameters) -> NeuronValues:
        """Return the parameters of the neurons (arrays, classes), spread around
        `neuron`.
        """
        leak = self._factor("neuron_leak", 1.0)
        return NeuronValues(
            self._factor("neuron_threshold", neuron.threshold) / leak,
            self._factor("neuron_gain", neuron.feedback_resistance),
            self._factor("neuron_time_constant", neuron.membrane_capacitance) * leak,
        )

    @property
    def stuck(self) -> np.ndarray:
        """Array (classes x inputs) with True for each cell that cannot be written."""
        return ~np.isnan(self.with_stuck_cells(np.full((self.classes, self.inputs), np.nan)))

    def with_stuck_cells(self, states: np.ndarray) -> np.ndarray:
        """Return `states` (... x classes x inputs, V) with the stuck cells at their fixed
        values.
        """
        draw = _generator(self.seed, "stuck").random((self.classes, self.inputs))
        stuck = np.where(
            draw < self.stuck_off,
            0.0,
            np.where(draw >= 1 - self.stuck_on, self.stuck_state, states),
        )
        if self.stuck_anywhere:
            place = _generator(self.seed, "stuck_anywhere").random(draw.shape)
            somewhere = self.stuck_lowest + place * (self.stuck_state - self.stuck_lowest)
            within = (draw >= self.stuck_off) & (draw < self.stuck_off + self.stuck_anywhere)
            stuck = np.where(within, somewhere, stuck)
        return stuck

    def after_decay(self, states: np.ndarray, seconds: float) -> np.ndarray:
        """Return `states` (... x classes x inputs, V) after `seconds` of decay, exp(-rate t). Stuck
        cells keep their values.
        """
        rates = self._factor("decay_spread", self.decay_rate)
        return self.with_stuck_cells(states * np.exp(-rates * seconds))

    def threshold_noise(self, stream: str, count: int) -> np.ndarray:
        """Return the threshold noise of one read: shifts of the neurons' thresholds (classes, V),
        `read_noise` times normal numbers. `stream` and `count` (the number of the read) select the
        random numbers.
        """
        return self.read_noise * self._noise(f"read {stream}", count, self.classes)

    def write_factors(self, count: int, column: int) -> np.ndarray:
        """Return the write noise of a `column` in presentation number `count`: for each of its
        cells (inputs) a factor on the dose.
        """
        return 1 + self.write_noise * self._noise(f"write {column}", count, self.inputs)

    def _noise(self, stream: str, count: int, size: int) -> np.ndarray:
        """Return `size` standard normal numbers of a named `stream`, for the read or write number
        `count`.
        """
        return _block(self.seed, stream, count // NOISE_ROWS, size)[count % NOISE_ROWS]

    def _normal(self, name: str) -> np.ndarray:
        shapes = {"neuron": (self.classes,), "row": (self.inputs,)}
        shape = shapes.get(name.partition("_")[0], (self.classes, self.inputs))
        return _generator(self.seed, name).standard_normal(shape)

    def _factor(self, name: str, nominal: float) -> np.ndarray:
        """Return `nominal` times a log-normal factor for each cell or neuron: mean 1, relative
        standard deviation as in the field `name`.
        """
        sigma = np.sqrt(np.log1p(getattr(self, name) ** 2))
        return nominal * np.exp(sigma * self._normal(name) - sigma**2 / 2)


def load_chip(name: str, classes: int, inputs: int) -> Chip:
    """Return a chip of classes x inputs cells: a preset by name, or a JSON file with fields of
    `Chip`.

    Raises ParameterError for an unknown name, a damaged file, or a chip of another shape.
    """
    if name in PRESETS:
        return dataclasses.replace(PRESETS[name], classes=classes, inputs=inputs)
    try:
        content = read_json(name, "a chip file")
        fields = {key: value for key, value in content.items() if key not in ("format", "version")}
        chip = restored(Chip, {"classes": classes, "inputs": inputs} | fields, partial=True)
    except (FileProblem, ParameterError) as error:
        raise ParameterError(
            f"chip {name!r} is none of {', '.join(PRESETS)} and no usable chip file: {error}"
            f"{did_you_mean(name, PRESETS)}"
        ) from None
    chip.check_shape(classes, inputs)
    return chip


def device_chip(device: MeasuredDevice, seed: int = 1) -> Chip | None:
    """Return the chip whose cells differ as devices of one kind do; None: they do not differ.

    A spread of steps becomes a spread of the write gain K. A spread of the range becomes a spread
    of the channel's gain, and a spread of the lowest conductance a spread of the channel's
    threshold.
    """
    emulated = emulator(device)
    chip = Chip(
        seed=seed,
        cell_gain=device.range_spread,
        cell_threshold=device.lowest_spread * (emulated.high - emulated.low),
        cell_write_gain=device.spread,
        cell_write_noise=device.write_noise_spread,
    )
    return None if chip.ideal else chip


def neuron_chip(neuron: MeasuredNeuron, seed: int = 1) -> Chip:
    """Return the chip whose neurons differ as draws of one measured neuron do.

    Raises ParameterError if the neuron was measured without mismatch.
    """
    if not neuron.draws:
        raise ParameterError(
            f"neuron {neuron.name} states no spread: measure it again with --draws 20; its foundry "
            "must know mismatch"
        )
    return Chip(
        seed=seed,
        neuron_threshold=neuron.threshold_spread,
        neuron_time_constant=neuron.time_constant_spread,
        neuron_leak=neuron.leak_spread,
    )


def chosen_chip(
    chip: str | Chip | None,
    device: MeasuredDevice | None = None,
    shape: tuple[int, int] = (1, 1),
    seed: int = 1,
    neuron: MeasuredNeuron | None = None,
) -> Chip | None:
    """Return the chip that a user chose; None if `chip` is None.

    It is a chip, the name of a preset or file (`load_chip`, with this `shape`), or "device": then
    it is the `device_chip` of a measured device or the `neuron_chip` of a `neuron`, with this
    `seed`.

    Raises ParameterError as `load_chip` does, and for "device" without a `device`.
    """
    if chip == OF_DEVICE and neuron:
        return neuron_chip(neuron, seed)
    if chip == OF_DEVICE:
        if device is None:
            raise ParameterError("chip 'device' is for measured devices: give a device")
        own = device_chip(device, seed)
        if own is None:
            raise ParameterError(
                f"chip 'device': {device.name} states no spread from device to device; measure "
                "several devices (docs/fit.md), or give a chip"
            )
        return own
    if isinstance(chip, str):
        return load_chip(chip, *shape)
    return chip


def on_chip(setup: Setup, chip: Chip | None) -> Setup:
    """Return `setup` with the devices of a `chip`; None leaves `setup` unchanged."""
    return setup.replace(devices=chip.devices(setup.parameters)) if chip else setup


NOISE_ROWS = 256  # rows of noise drawn at a time


def _generator(seed: int, stream: str, block: int = 0) -> np.random.Generator:
    """Return the generator of a chip's random numbers for one `block` of a named stream."""
    return np.random.default_rng([seed, block, *stream.encode()])


@functools.lru_cache(maxsize=256)
def _block(seed: int, stream: str, block: int, size: int) -> np.ndarray:
    return _generator(seed, stream, block).standard_normal((NOISE_ROWS, size))


# Presets, each with its source; seed and shape are set separately.
PRESETS = {
    "ideal": Chip(),
    # aihwkit 1.2, CapacitorPresetDevice: w_max_dtod, dw_min_dtod, dw_min_std, lifetime_dtod, fitted
    # to Y. Li et al., Capacitor- based Cross-point Array, VLSI 2018.
    "li-2018": Chip(cell_gain=0.07, cell_write_gain=0.1, write_noise=0.3, decay_spread=0.3),
    # The spreads of transistors and of reading that PyCLLN uses for its coupled learning networks.
    "pyclln": Chip(cell_threshold=10e-3, cell_gain=0.005, read_noise=5e-3),
    # The faults of the HfO2 array of C.-Y. Chen et al., IEEE Trans. Comput. 64, 2015.
    "chen-2015": Chip(stuck_off=0.0175, stuck_on=0.0904),
    # Cells and neurons with 10 % spread, as an uncalibrated chip may have.
    "ten-percent": Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1),
}
