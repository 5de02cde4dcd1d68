"""The closed form of reading and writing a crossbar: exact to nanoseconds, without a simulator
(docs/circuit.md).

A column's current is constant once the input has risen. It follows from the channels' square law
and from the voltage to which the input lifts each gate. Therefore membranes are exponentials of
time, and spike times are logarithms. The laws stand in memristor.py and neuron.py. This module
applies them to images with NumPy, closed_form/kernel.py compiles them for learning.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memristive.closed_form import neuron
from memristive.devices.cells import Cells, NeuronValues, Wires
from memristive.devices.write_curve import moved
from memristive.network.design import FloatOrArray, Schedule, Setup
from memristive.network.inputs import as_images
from memristive.parameters import ParameterError
from memristor import (
    conductance,
    first_write_offset,
    leaked,
    raised_state,
    read_current,
    trained_state,
    written,
)
from snn_circuit import NeuronParameters

# V, a small rise of a column: the change of its current over it gives the column's conductance
BELOW = 1e-3
# row shares and column voltages at which the five currents are taken
SHARES, RISEN = np.array([*neuron.NODES, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 0.0, BELOW])

NO_CLOSED_FORM = (
    "row_resistance and column_resistance of a chip have no closed form: read and train in ngspice "
    "(engine ngspice), or set both to 0"
)


class ClosedFormWarning(UserWarning):
    """The parameters are outside the range in which the closed form is exact to nanoseconds."""


@dataclass(frozen=True)
class Neurons:
    """Parameters of a crossbar's neurons: floats, or arrays with one value for each class."""

    stages: neuron.Stages
    threshold: FloatOrArray  # V, of the membrane
    time_constant: FloatOrArray  # s, of the membrane

    @classmethod
    def of(
        cls, parameters: NeuronParameters, chip: NeuronValues | None = None, loads: int = 0
    ) -> "Neurons":
        """Return neurons with these `parameters`, and with the values of a `chip` where it has any.
        `loads`: number of inverting stages that the negative columns' stage feeds.
        """
        nominal = neuron.stages(parameters, loads)
        if chip is None:
            return cls(nominal, parameters.threshold, parameters.time_constant)
        feedback = chip.feedback_resistance
        own = nominal._replace(feedback=feedback, highest_sum=parameters.highest_sum(feedback))
        return cls(own, chip.threshold, parameters.membrane_resistance * chip.membrane_capacitance)

    def without_rails(self) -> "Neurons":
        """Return neurons whose stages never clip."""
        free = self.stages._replace(
            highest_sum=np.inf, highest_negative=np.inf, highest_inverse=np.inf
        )
        return dataclasses.replace(self, stages=free)

    @property
    def rail(self) -> FloatOrArray:
        """Highest output in V that both the summing and the inverting stage can give."""
        return np.minimum(self.stages.highest_sum, self.stages.highest_inverse)


@dataclass(frozen=True)
class Race:
    """Membranes and spikes while images are presented; every array is images x classes."""

    settled: np.ndarray  # V, settled membrane
    risen: np.ndarray  # V, membrane at the end of the input's edge
    spikes: np.ndarray  # s after the pulse's start, nan for silent neurons
    railed: np.ndarray  # True where a stage is at its rail, so that the spike is less exact


@dataclass(frozen=True)
class Crossbar:
    """Crossbar with its neurons and pulses in closed form.

    Parameters
    ----------
    cells : Cells
    neurons : Neurons
    schedule : Schedule
    """

    cells: Cells
    neurons: Neurons
    schedule: Schedule

    @classmethod
    def of(cls, setup: Setup) -> "Crossbar":
        """Return the crossbar of a `setup`; raise ParameterError if its wires have resistance.

        Through such wires columns depend on each other, so that there is no closed form.
        """
        if setup.devices.wires != Wires():
            raise ParameterError(NO_CLOSED_FORM)
        return cls(
            Cells.of(setup.memristor, setup.devices.cells),
            Neurons.of(setup.neuron, setup.devices.neurons),
            setup.schedule,
        )

    def first_spikes(self, states: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return the first spike times in s (images x classes; nan: silent) while `images` (n x
        inputs, levels) are presented to `states` (classes x inputs, V).
        """
        return self.race(states, images).spikes

    def race(self, states: np.ndarray, images: np.ndarray, jitter: FloatOrArray = 0.0) -> Race:
        """Return the membranes and first spikes while `images` are presented.

        Parameters
        ----------
        states : array, classes x inputs, V
        images : array, n x inputs
            Levels from 0 to 1.
        jitter : array (images x classes) or float, V
            Threshold noise: shift of each neuron's threshold in this read.

        Raises
        ------
        ParameterError
            The images do not fit the states, or a level is outside 0 to 1.
        """
        images = as_images(images, np.shape(states)[-1])
        currents = np.array(list(self._currents(states, images))).reshape(
            -1, len(SHARES), len(states)
        )
        return self.race_of(np.moveaxis(currents, 1, 0), jitter)

    def race_of(self, currents: np.ndarray, jitter: FloatOrArray = 0.0) -> Race:
        """Return the membranes and first spikes for given currents of the columns.

        `currents`: 5 x images x classes, A. The five have the input at the shares `SHARES` of its
        level: three points of the edge, and twice the full level. In the last one the column is
        `BELOW` V above ground. `jitter`: as in `race`.
        """
        neurons, threshold, rise = self.neurons, self.neurons.threshold + jitter, self.schedule.rise
        # The column is not quite at ground: its conductance takes some of its current.
        volts = (
            neuron.column_resistance(neurons.stages, (currents[-2] - currents[-1]) / BELOW)
            * currents[:-1]
        )
        *edge, settled = neuron.settled_membrane(neurons.stages, volts, 0.0)
        risen = np.sum(
            [
                neuron.edge_gain(node, weight, rise, neurons.time_constant) * membrane
                for node, weight, membrane in zip(neuron.NODES, neuron.WEIGHTS, edge, strict=True)
            ],
            axis=0,
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            times = neuron.spike_time(settled, risen, threshold, rise, neurons.time_constant)
            spikes = np.where(settled > threshold, times, np.nan)
        spikes[~(spikes <= self.schedule.pulse)] = np.nan
        return Race(settled, risen, spikes, volts[-1] >= neurons.rail)

    def currents(self, states: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return the currents of the columns in A (images x classes) at full levels; arguments as
        of `first_spikes`.
        """
        return np.array([currents[-2] for currents in self._currents(states, images)]).reshape(
            -1, len(states)
        )

    def read(self, states: np.ndarray, image: np.ndarray) -> Race:
        """Return the `Race` of one image (inputs) with `states` (classes x inputs, V); each of its
        arrays has one value for each class.
        """
        return Race(*(values[0] for values in vars(self.race(states, image[None])).values()))

    def _currents(self, states: np.ndarray, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yield for each image the column currents in A (5 x classes) that `race_of` takes."""
        for image in images:
            driven = image.nonzero()[0]
            volts = (
                SHARES[:, None, None] * (self.schedule.input_voltage * image[driven])
                - RISEN[:, None, None]
            )
            cells = self.cells.at(slice(None), driven)
            # the memory capacitor holds a gate back while its column rises
            held = RISEN[:, None, None] * cells.share
            currents = read_current(cells, states[:, driven] - held, volts).sum(axis=-1)
            waiting = np.flatnonzero(image == 0)  # rows at 0 V, which only load the columns
            yield currents - np.outer(
                RISEN,
                conductance(self.cells.at(slice(None), waiting), states[:, waiting]).sum(axis=-1),
            )


def hebbian_state(setup: Setup) -> float:
    """Return X in V of a full pixel's cell after a Hebbian write from 0 V.

    The value includes the edges, the leak, the lift of the gate, and `first_write_offset`.
    """
    memristor, schedule = setup.memristor, setup.schedule
    share = memristor.switch_threshold / schedule.phi_voltage
    window, area = (
        schedule.pulse + schedule.rise * (1 - 2 * share),
        schedule.pulse - schedule.rise * share**2,
    )
    final = float(trained_state(memristor, schedule.input_voltage, area))
    lift = float(raised_state(memristor, final / 2, schedule.input_voltage)) - final / 2
    leak = Cells.of(memristor).leak
    if memristor.curve:
        return moved(memristor.curve.flow, 0.0, final)
    return float(
        written(0.0, final / (leak * window), lift, leaked(window, leak))
    ) + first_write_offset(memristor)


def predicted_spikes(setup: Setup, x: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the first spikes in s (images x classes; nan: silent) of two-terminal devices, by
    their curves.

    `x` (classes x inputs): shares of the conductance range. `images` (n x inputs): levels 0 to 1.
    Raises ParameterError if wires have resistance.
    """
    assert setup.array
    # also of rows at 0 V
    levels = SHARES[:, None, None] * images - RISEN[:, None, None] / setup.schedule.input_voltage
    return Crossbar.of(setup).race_of(setup.array.currents(x, levels)).spikes
