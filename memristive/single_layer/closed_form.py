"""The closed form of reading and writing a crossbar: exact to nanoseconds, without a simulator (docs/closed_form.md).

A column's current is constant once the input has risen: the channels' square law at gate voltages that the input has lifted.
Membranes are then exponentials, and spikes are logarithms. All shapes may have leading axes for chips that differ from each
other: states are ... x classes x inputs, and so may be the arrays of `Cells`; those of `Neurons` are ... x classes.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from memristive.single_layer.setup import Schedule, Setup, Values, check_levels, check_write, write_window
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters, first_write_offset, raised_state, read_current, trained_state
from snn_circuit import CellValues, NeuronParameters, NeuronValues, Wires

# Column currents are needed while the input is at these shares of its level (Gauss and Legendre's nodes for its edge), at the
# level, and a little below it: for the column's conductance.
NODES, WEIGHTS = (values / 2 for values in np.polynomial.legendre.leggauss(3))
SHARES = np.array([*(0.5 + NODES), 1.0, 1.0])
BELOW = np.array([0.0, 0.0, 0.0, 0.0, 1e-3])  # V
GRAZING = 2e-3  # share of the threshold: the spike of a membrane that settles so near to it depends on its last digits
SLOWEST_EDGE = 1.0  # of the time constant: the longest edge for which the nodes are good for nanoseconds
LEAST_GAIN = 1e4  # of the op-amps, whose errors enter to first order: leads are off by 0.1 us at 1e3
LARGEST_DROP = 0.3e-5  # (Rout/Rf + Rout/Rstage) / gain, left out of the column's voltage: spikes are off by tens of ns
SLOWEST_GATE = 1e-6  # V s, C_gate / (Kp W/L): spikes are off by 50 ns, for the charge that gates push into columns
STILL_GAIN = 1e7  # of the op-amps, from which on columns do not move
LARGEST_CAPACITOR = 3.0  # of C_gate: at 20 spikes are off by 5 to 40 ns, near the threshold by 2 us
MANY = 50  # images from which on a table of all currents is faster
BATCH = 2000  # images at a time, which bounds the memory
LEVELS = 1024  # different pixel levels up to which cells' currents are tabulated


class ClosedFormWarning(UserWarning):
    """The parameters are outside the range in which the closed form is exact to nanoseconds."""


@dataclass(frozen=True)
class Arrays:
    """Base of frozen dataclasses whose fields are floats or arrays."""

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Return a copy with `change` made to every array; floats, which broadcast anyway, stay."""
        arrays = {name: change(value) for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return dataclasses.replace(self, **arrays) if arrays else self


@dataclass(frozen=True)
class Cells(Arrays):
    """Parameters of a crossbar's cells: floats, or arrays that broadcast against its states (... x classes x inputs)."""

    gain: Values  # A/V^2, Kp W/L of the channel
    threshold_voltage: Values  # V, Vto of the channel
    transconductance: Values  # S, K, the write gain
    capacitance: Values  # F, the explicit memory capacitor C
    gate_capacitance: Values  # F, of the channel's gate
    leak_resistance: Values  # ohm
    leak_per_volt: Values  # S/V
    lowest_state: Values  # V
    highest_state: Values  # V

    @classmethod
    def of(cls, parameters: MemristorParameters, chip: CellValues | None = None) -> Cells:
        """Return cells that are all alike, except for the values of a `chip`."""
        alike = cls(*(getattr(parameters, field.name) for field in dataclasses.fields(cls)))
        return dataclasses.replace(alike, **vars(chip)) if chip else alike

    @property
    def memory_capacitance(self) -> Values:
        """Capacitance that the transconductance charges, C + C_gate, in F."""
        return self.capacitance + self.gate_capacitance

    def leak(self, mean: Values) -> Values:
        """Return the leak in ohm at a mean voltage in V across the synapse."""
        if not np.any(self.leak_per_volt):
            return self.leak_resistance
        return 1 / (1 / self.leak_resistance + self.leak_per_volt * np.abs(mean))

    @property
    def write_time_constant(self) -> Values:
        """Time constant R_leak (C + C_gate) in s with which a cell leaks while it is written."""
        return self.leak_resistance * self.memory_capacitance


@dataclass(frozen=True)
class Neurons(Arrays):
    """Parameters of a crossbar's neurons: floats, or arrays that broadcast against ... x classes."""

    feedback_resistance: Values  # ohm, of the summing stage: volts per column ampere
    membrane_gain: Values  # settled membrane voltage per volt of the summing stage
    amplifier_gain: Values  # of the summing stage's op-amp, which leaves the column at 1 / gain of its output
    rail: Values  # V, the most that the two stages give
    threshold: Values  # V, of the membrane
    time_constant: Values  # s, of the membrane
    dropped: Values = 0.0  # of a stage's output, by its op-amp's output resistance

    @classmethod
    def of(cls, parameters: NeuronParameters, chip: NeuronValues | None = None) -> Neurons:
        """Return neurons that are all alike, except for the values of a `chip`."""
        p = parameters
        # An inverting op-amp of finite gain lacks its noise gain / gain: 1 in the summing, 3 in the inverting stage; its output
        # resistance adds what it drops.
        lacking = (4 * (1 + p.amplifier_output_resistance / p.stage_resistance)
                   + p.amplifier_output_resistance / p.feedback_resistance) / p.amplifier_gain
        alike = cls(p.feedback_resistance, p.membrane_gain / (1 + lacking), p.amplifier_gain,
                    float(p.highest_drive(p.feedback_resistance)), p.threshold, p.time_constant,
                    p.amplifier_output_resistance * (1 / p.feedback_resistance + 1 / p.stage_resistance))
        return dataclasses.replace(
            alike, threshold=chip.threshold, feedback_resistance=chip.feedback_resistance,
            rail=p.highest_drive(chip.feedback_resistance),
            time_constant=p.membrane_resistance * chip.membrane_capacitance) if chip else alike


@dataclass(frozen=True)
class Race(Arrays):
    """Membranes and spikes while images are presented; every array is ... x images x classes."""

    settled: np.ndarray  # V, settled membrane
    risen: np.ndarray  # V, membrane at the end of the input's edge
    spikes: np.ndarray  # s after the pulse's start, nan for silent neurons
    railed: np.ndarray  # the stages are at their rail: the spike is good to 1 % of the distance to the threshold
    grazing: np.ndarray  # the membrane settles so near to its threshold that neither spike nor silence is reliable
    early: np.ndarray  # fires within the input's edge: a rough time

    @property
    def doubtful(self) -> np.ndarray:
        """Mask of the spikes that are not exact to nanoseconds."""
        return self.railed | self.grazing | self.early


@dataclass(frozen=True)
class Crossbar:
    """Crossbar with its neurons and pulses in closed form.

    Parameters
    ----------
    cells : Cells
    neurons : Neurons
    schedule : Schedule
    phi_share : float
        Threshold of the write switch as a share of phi.
    """

    cells: Cells
    neurons: Neurons
    schedule: Schedule
    phi_share: float

    @classmethod
    def of(cls, setup: Setup) -> Crossbar:
        """Return the crossbar of a `setup`; raise ParameterError if its wires have resistance.

        Then columns depend on each other, and there is no closed form.
        """
        if setup.devices.wires != Wires():
            raise ParameterError("row_resistance and column_resistance have no closed form; use ngspice or crossbar_of")
        return cls(Cells.of(setup.memristor, setup.devices.cells), Neurons.of(setup.neuron, setup.devices.neurons),
                   setup.schedule, setup.memristor.switch_threshold / setup.schedule.phi_voltage)

    @cached_property
    def for_images(self) -> tuple[Neurons, np.ndarray]:
        """Neurons with an axis for images, and the membrane's gain from the drive at each of `NODES` until the edge's end."""
        neurons, rise = self.neurons.map(lambda values: values[..., None, :]), self.schedule.rise
        shares = (rise / np.asarray(neurons.time_constant))[None]
        nodes, weights = (values.reshape(-1, *[1] * (shares.ndim - 1)) for values in (NODES, WEIGHTS))
        edge = weights * shares * np.exp(-shares * (0.5 - nodes))
        return neurons, edge if edge.ndim > 1 else edge[:, None, None]

    @property
    def doubts(self) -> list[str]:
        """Reasons for which no spike is exact to nanoseconds, whatever the images, each with its parameter."""
        gate, gain = np.asarray(self.cells.gate_capacitance), np.min(self.neurons.amplifier_gain)
        return [doubt for doubt, applies in (
            ("the input's edge (schedule.rise) is longer than the membranes' time constant",
             np.any(self.schedule.rise > SLOWEST_EDGE * np.asarray(self.neurons.time_constant))),
            (f"the op-amps' gain (neuron.amplifier_gain) is below {LEAST_GAIN:g}", gain < LEAST_GAIN),
            ("the op-amps' output resistance (neuron.amplifier_output_resistance) lifts the columns",
             np.max(self.neurons.dropped) / gain > LARGEST_DROP),
            ("the channels take long to charge their gates (memristor.length, kp, oxide_thickness)",
             np.max(gate / self.cells.gain) > SLOWEST_GATE),
            ("the memory capacitor (memristor.capacitance) holds the gates where they are, though their columns move",
             np.max(self.cells.capacitance / gate) > LARGEST_CAPACITOR and gain < STILL_GAIN),
        ) if applies]

    def warn_of_doubts(self) -> None:
        """Warn of each of the `doubts`."""
        for doubt in self.doubts:
            warnings.warn(f"the closed form is not exact here: {doubt}; compare with ngspice", ClosedFormWarning, stacklevel=3)

    def first_spikes(self, states: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return the first spike times in s (... x images x classes), nan for silent neurons; arguments as in `race`."""
        return self.race(states, images).spikes

    def race(self, states: np.ndarray, images: np.ndarray, jitter: Values = 0.0) -> Race:
        """Present images.

        Parameters
        ----------
        states : array, ... x classes x inputs, V
        images : array, n x inputs
            Levels from 0 to 1.
        jitter : array, ... x images x classes, V, or float
            Read noise: shift of the thresholds.

        Raises
        ------
        ParameterError
            The images do not fit the states, or a level is outside 0 to 1.
        """
        check_levels("images", images, np.shape(states)[-1])
        return self._race(np.concatenate(list(self._currents(states, images)), axis=-2), jitter)

    def read(self, states: np.ndarray, image: np.ndarray) -> Race:
        """Present one image (inputs) as `race`; the arrays are ... x classes."""
        return self.race(states, image[None]).map(lambda values: values[..., 0, :])

    def with_jitter(self, jitter: np.ndarray) -> Crossbar:
        """Return the crossbar with thresholds shifted by `jitter` in V (... x classes): read noise."""
        return dataclasses.replace(self, neurons=dataclasses.replace(self.neurons, threshold=self.neurons.threshold + jitter))

    def _driven_currents(self, states: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Return column currents in A (SHARES x ... x classes) with the input at each of `SHARES` of its level, less `BELOW`."""
        driven = image.nonzero()[0]
        cells = self.cells.map(lambda values: values[..., driven] if np.shape(values)[-1] > 1 else values)
        axes = (-1, *[1] * states.ndim)
        volts = np.maximum(SHARES.reshape(axes) * (self.schedule.input_voltage * image[driven]) - BELOW.reshape(axes), 0.0)
        return read_current(cells, states[..., driven], volts).sum(axis=-1)

    def _currents(self, states: np.ndarray, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yield `_driven_currents` for batches of `images`: SHARES x ... x images x classes.

        With few pixel levels, as in 8-bit images, every cell's current at every level is tabulated. A batch is then the
        product of a sparse matrix (which pixel has which level) with the table.
        """
        levels = np.unique(images) if len(images) >= MANY else np.array([])
        levels = levels[levels != 0]
        if not 0 < len(levels) <= LEVELS:
            for image in images:
                yield self._driven_currents(states, image)[..., None, :]
            return
        from scipy.sparse import csr_array  # here: the import takes longer than a few reads
        cells = self.cells.map(lambda values: values[..., None])
        tables = [read_current(cells, states[..., None], np.maximum(share * self.schedule.input_voltage * levels - below, 0.0))
                  for share, below in zip(SHARES, BELOW, strict=True)]
        *leading, classes, inputs, _ = tables[0].shape
        flat = np.concatenate([table.reshape(-1, inputs * len(levels)) for table in tables]).T
        for first in range(0, len(images), BATCH):
            batch = images[first:first + BATCH]
            image, pixel = np.nonzero(batch)
            place = pixel * len(levels) + np.searchsorted(levels, batch[image, pixel])
            which = csr_array((np.ones(len(place)), (image, place)), shape=(len(batch), inputs * len(levels)))
            yield np.moveaxis((which @ flat).reshape(len(batch), len(SHARES), *leading, classes), 0, -2)

    def _race(self, currents: np.ndarray, jitter: Values = 0.0) -> Race:
        """Return spikes for column currents (SHARES x ... x images x classes)."""
        neurons, edge = self.for_images
        tau, threshold = neurons.time_constant, neurons.threshold + jitter
        # The column is not quite at ground: its conductance takes some of its current.
        conductance = (currents[-2] - currents[-1]) / BELOW[-1]
        resistance = neurons.feedback_resistance / (1 + neurons.feedback_resistance * conductance / neurons.amplifier_gain)
        stages = resistance * currents[:-1]
        drive = neurons.membrane_gain * np.minimum(stages, neurons.rail)
        settled = drive[-1]
        # Neurons may have fewer axes than cells, whose chips differ: the axis of NODES stays the first.
        risen = (edge.reshape(len(edge), *[1] * (drive.ndim - edge.ndim), *edge.shape[1:]) * drive[:-1]).sum(axis=0)
        early, over = risen > threshold, settled - threshold
        with np.errstate(divide="ignore", invalid="ignore"):
            spikes = self.schedule.rise + tau * np.log((settled - risen) / over)
            if early.any():  # currents grow about linearly over the edge, membranes with the square of time
                spikes = np.where(early, self.schedule.rise * np.sqrt(threshold / risen), spikes)
        spikes[~((over > 0) & (spikes <= self.schedule.pulse))] = np.nan
        return Race(settled, risen, spikes, stages[-1] >= neurons.rail, np.abs(over) < GRAZING * threshold, early)

    def column(self, j: int) -> Cells:
        """Return the cells of class j."""
        return self.cells.map(lambda values: values[..., j if values.shape[-2] > 1 else 0, :] if values.ndim > 1 else values)

    def write(self, states: np.ndarray, image: np.ndarray, sign: int, pulse: Values, cells: Cells | None = None) -> np.ndarray:
        """Return states after one write.

        While phi is above the switch's threshold, dX/dt = (K V - X' / R_leak) / (C + C_gate), with the lifted gate X' and the
        mean input V over that window. This is exact for a channel that conducts: its gate's charge is (C + C_gate) X.

        Parameters
        ----------
        states : array, ... x inputs, V
        image : array, ... x inputs
            Levels from 0 to 1.
        sign : int
            1 potentiates, -1 depresses.
        pulse : float or array that broadcasts with `states`
            Width in s.
        cells : Cells, optional
            Cells of the written columns, needed where cells differ (`column`).

        Raises
        ------
        ParameterError
            The image does not fit the states, a level is outside 0 to 1, or a pulse is not above 0 s.
        """
        check_write(states, image, pulse)
        return self.written(states, sign * self.schedule.input_voltage * np.asarray(image, float), pulse, cells or self.cells)

    def write_column(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
                     cells: Cells) -> np.ndarray:
        """Write a `column` of one crossbar (states: classes x inputs, V) as `write`; return its states."""
        return self.write(states[column], image, sign, pulse, cells)

    def written(self, states: np.ndarray, volts: np.ndarray, pulse: Values, cells: Cells) -> np.ndarray:
        """Return states (V) after a write by `volts` across the cells, which broadcast with them."""
        window, area = write_window(pulse, self.phi_share)
        lift = raised_state(cells, states, volts) - states
        mean = volts * (area / window)
        charged = cells.transconductance * cells.leak(mean) * volts * (area / window) - lift
        written = states + (charged - states) * self.leaked(cells, window, mean)
        return np.clip(written, cells.lowest_state, cells.highest_state)

    @staticmethod
    def leaked(cells: Cells, window: Values, mean: Values = 0.0) -> np.ndarray:
        """Return the share of X that leaks in a write of `window` s with a mean input of `mean` V."""
        return -np.expm1(-window / np.asarray(cells.leak(mean) * cells.memory_capacitance))


def crossbar_of(setup: Setup) -> Crossbar:
    """Return the closed form of a `setup`; through wires with resistance, currents are solved numerically."""
    if setup.devices.wires == Wires():
        return Crossbar.of(setup)
    from memristive.single_layer.wire_solver import WiredCrossbar  # here: importing SciPy's solver takes 0.2 s
    return WiredCrossbar.of(setup)


def hebbian_state(setup: Setup) -> float:
    """Return X in V of a full pixel after a Hebbian write from X = 0, with edges, leak, lifted gate and first-write offset."""
    memristor, schedule = setup.memristor, setup.schedule
    share = memristor.switch_threshold / schedule.phi_voltage
    window, area = schedule.pulse + schedule.rise * (1 - 2 * share), schedule.pulse - schedule.rise * share**2
    final = float(trained_state(memristor, schedule.input_voltage, area))
    lift = float(raised_state(memristor, final / 2, schedule.input_voltage)) - final / 2
    tau = float(Cells.of(memristor).leak(schedule.input_voltage * area / window)) * memristor.memory_capacitance
    return -(final * tau / window - lift) * float(np.expm1(-window / tau)) + first_write_offset(memristor)
