"""Operating range of membranes and writes: silent neurons, clipping stages, unsettled membranes, rounding."""

import dataclasses
import warnings
from dataclasses import dataclass

import numpy as np

from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.setup import Schedule, Setup, Values, check_levels
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters, channel_current, raised_state, rounding, trained_state
from snn_circuit import NeuronParameters, Wires

USUAL = 1.7  # times the threshold: where the largest pattern's membrane settles in the paper's networks
LEAST = 1.1  # times the threshold: where the smallest pattern's membrane should settle
MOST = 0.9  # of the rail: where the largest pattern's membrane may settle
MOST_OHMS = NeuronParameters.__dataclass_fields__["feedback_resistance"].metadata["high"]
SETTLED = 1e-3  # share of the threshold: a membrane voltage that moves a spike by 0.1 us
ROUNDED = 1e-3  # relative error of X above which a warning is due


class OperatingRangeWarning(UserWarning):
    """Membranes clip or stay silent, patterns overlap, or writes are rounded."""


@dataclass(frozen=True)
class OperatingRange:
    """Membranes of a network on a set of images, against threshold and rail."""

    images: int  # number of images
    own: bool  # image k is the pattern of neuron k, which should fire
    silent: int  # images on which no neuron fires; with `own`, images whose own neuron does not fire
    clipped: int  # images on which a stage reaches its rail
    highest: float  # V, highest settled membrane if there were no rails
    lowest: float  # V, lowest settled membrane of those that should fire
    risen: float  # share of its settled voltage that a membrane reaches within the pulse
    left_over: float  # V, left of a membrane when the next pattern begins; 0 if reads are apart
    rounding: float  # relative error of X in ngspice, by rounding in the longest write
    neuron: NeuronParameters

    @property
    def rail(self) -> float:
        """Highest voltage in V at which the stages let a membrane settle."""
        return rail(self.neuron)

    @property
    def problems(self) -> list[str]:
        """Describe what is out of range, one line each, with the parameter to change."""
        neuron, threshold = self.neuron, self.neuron.threshold
        found = []
        if self.highest <= 0:
            found.append("no cell conducts: all neurons stay silent; raise schedule.pulse, schedule.input_voltage or "
                         "memristor.transconductance")
        elif self.highest < threshold:
            found.append(f"all neurons stay silent: the highest membrane settles at {self.highest:.3g} V, the threshold is "
                         f"{threshold:g} V; {self._resistor('raise')}")
        elif self.clipped:
            found.append(f"membranes clip on {self.clipped} of {self.images} images: the highest would settle at "
                         f"{self.highest:.3g} V, the rail is at {self.rail:.3g} V, and neurons that clip fire together; "
                         f"{self._resistor('lower')}")
        elif self.own and self.silent and self.risen * self.lowest < threshold <= self.lowest:
            found.append(f"membranes are too slow: with a time constant of {neuron.time_constant:.3g} s they reach "
                         f"{self.risen:.0%} of their settled voltage within a pulse; raise schedule.pulse or lower "
                         "neuron.membrane_capacitance")
        elif self.own and self.silent:
            found.append(f"no spike on {self.silent} of {self.images} images: the lowest membrane settles at "
                         f"{self.lowest:.3g} V, the threshold is {threshold:g} V; {self._resistor('raise')}")
        if self.left_over >= SETTLED * threshold:
            found.append(f"membranes have not settled when the next pattern begins: {self.left_over:.2g} V are left; raise "
                         "schedule.period or lower neuron.membrane_capacitance")
        if self.rounding > ROUNDED:
            found.append(f"ngspice rounds X by up to {self.rounding:.2%} in a write this long; raise memristor.switch_on to 1e3")
        return found

    def _resistor(self, change: str) -> str:
        """Name the feedback resistor that would bring all membranes between threshold and rail."""
        needed = suitable_feedback(self.neuron, self.highest, self.lowest)
        if needed is None:
            return "no feedback resistor alone brings all membranes between threshold and rail"
        return f"{change} neuron.feedback_resistance to about {needed:.3g} ohm"


def rail(neuron: NeuronParameters) -> float:
    """Return the highest voltage in V at which the stages let a membrane settle."""
    return float(neuron.highest_drive(neuron.feedback_resistance) * neuron.membrane_gain)


def suitable_feedback(neuron: NeuronParameters, highest: float, lowest: float) -> float | None:
    """Return the feedback resistor in ohm that puts all membranes between threshold and rail, or None.

    Parameters
    ----------
    neuron : NeuronParameters
        With the present resistor.
    highest, lowest : float
        Settled membranes in V with the present resistor: the highest, and the lowest of those that should fire.
    """
    if not 0 < lowest <= highest:
        return None
    wanted = max(USUAL * neuron.threshold, LEAST * neuron.threshold * highest / lowest)
    needed = min(neuron.feedback_resistance * wanted / highest, _feedback_within_rail(neuron, highest))
    fires = needed * lowest >= neuron.feedback_resistance * neuron.threshold
    return needed if 0 < needed <= MOST_OHMS and fires else None


def _feedback_within_rail(neuron: NeuronParameters, highest: float) -> float:
    """Return the feedback in ohm that moves a membrane from `highest` V to `MOST` of the rail."""
    per_ohm = highest / neuron.transresistance  # A of the column
    drop, load = neuron.amplifier_output_resistance, 1 + neuron.amplifier_output_resistance / neuron.stage_resistance
    return min((-MOST * neuron.rail_low / per_ohm - drop) / load, MOST * neuron.inverting_rail_high / per_ohm / load)


def settled_membranes(setup: Setup, states: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the settled membranes in V (images x classes) if there were no rails, all devices alike.

    `states`: classes x inputs in V; `images`: n x inputs, 0 to 1.
    """
    memristor, volts = setup.memristor, setup.schedule.input_voltage * images
    currents = [channel_current(memristor, raised_state(memristor, states, row), row).sum(axis=1) for row in volts]
    return setup.neuron.transresistance * np.array(currents)


def risen_share(schedule: Schedule, time_constant: Values) -> Values:
    """Return the share of its settled voltage that a membrane at rest reaches within a pulse."""
    return -np.expm1(-schedule.pulse / time_constant)


def after_pause(schedule: Schedule, volts: Values, time_constant: Values) -> Values:
    """Return the voltage in V that the pause between two pulses leaves of membranes at `volts` V."""
    return volts * np.exp(-(schedule.period - schedule.pulse - schedule.rise) / time_constant)


def operating_range(setup: Setup, states: np.ndarray, images: np.ndarray, own: bool = False,
                    write: float = 0.0) -> OperatingRange:
    """Compute the operating range in closed form; resistance of wires is ignored.

    Parameters
    ----------
    setup : Setup
    states : array, classes x inputs, V
    images : array, n x inputs, levels 0 to 1
    own : bool
        Image k is the pattern of neuron k, and the images follow each other in one transient.
    write : float
        Longest write in s.
    """
    unwired = setup.replace(devices=dataclasses.replace(setup.devices, wires=Wires()))
    race = Crossbar.of(unwired).race(states, images)
    settled, fires = settled_membranes(setup, states, images), ~np.isnan(race.spikes)
    tau = float(np.max(Crossbar.of(unwired).neurons.time_constant))
    should_fire = np.diag(settled) if own else settled.max(axis=1)
    left = float(after_pause(setup.schedule, np.max(race.settled), tau)) if own else 0.0
    return OperatingRange(len(images), own, int(np.sum(~(np.diag(fires) if own else fires.any(axis=1)))),
                          int(race.railed.any(axis=1).sum()), float(settled.max()), float(should_fire.min()),
                          float(risen_share(setup.schedule, tau)), left, rounding(setup.memristor, write), setup.neuron)


def warn_of_range(setup: Setup, states: np.ndarray, images: np.ndarray, own: bool = False, write: float = 0.0) -> None:
    """Warn of what is out of range; arguments as in `operating_range`."""
    for problem in operating_range(setup, states, images, own, write).problems:
        warnings.warn(problem, OperatingRangeWarning, stacklevel=3)
    contained = contained_patterns(images) if own else []
    if contained:
        inner, outer = contained[0]
        warnings.warn(f"pattern {outer} contains pattern {inner}: both neurons fire together on pattern {inner}",
                      OperatingRangeWarning, stacklevel=3)


def contained_patterns(patterns: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs (inner, outer) of patterns (classes x inputs) of which the outer has every pixel of the inner."""
    count = len(patterns)
    return [(inner, outer) for inner in range(count) for outer in range(count)
            if inner != outer and np.all(patterns[outer][patterns[inner] > 0] >= patterns[inner][patterns[inner] > 0])]


def fit_feedback_resistor(setup: Setup, patterns: np.ndarray) -> Setup:
    """Return `setup` with the feedback resistor that suits `patterns` trained by the Hebbian rule.

    The largest pattern's membrane settles at 1.7 thresholds, as in the paper's networks, or as much higher as the smallest
    pattern needs to fire, but below the rail.

    Parameters
    ----------
    setup : Setup
    patterns : array, classes x inputs, levels 0 to 1

    Raises
    ------
    ParameterError
        A pattern has no pixel that is on, or no resistor fits.
    """
    check_levels("patterns", patterns, patterns.shape[-1])
    empty = np.flatnonzero(~patterns.any(axis=1))
    if len(empty):
        raise ParameterError(f"pattern {empty[0]} has no pixel that is on: its neuron could never fire")
    memristor: MemristorParameters = setup.memristor
    states = trained_state(memristor, setup.schedule.input_voltage * patterns, setup.schedule.pulse)
    own = np.diag(settled_membranes(setup, states, patterns))
    needed = suitable_feedback(setup.neuron, float(own.max()), float(own.min()))
    if needed is None:
        raise ParameterError(f"no feedback resistor fits: membranes settle at {own.min():.3g} to {own.max():.3g} V, the "
                             f"threshold is {setup.neuron.threshold:g} V and the rail {rail(setup.neuron):.3g} V")
    return setup.replace(neuron=dataclasses.replace(setup.neuron, feedback_resistance=needed))
