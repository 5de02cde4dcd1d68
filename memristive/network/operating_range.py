"""Operating range of membranes and writes: silent neurons, clipping stages, unsettled membranes, rounding."""

import dataclasses
import warnings
from dataclasses import dataclass

import numpy as np

from memristive.devices.channel import read_current
from memristive.network.closed_form import Crossbar
from memristive.network.setup import Levels, Setup, as_patterns
from memristive.spice.parameters import ParameterError
from memristor import rounding, trained_state
from snn_circuit import NeuronParameters, Wires

USUAL = 1.7  # times the threshold: where the largest pattern's membrane settles in the paper's networks
LEAST = 1.1  # times the threshold: where the smallest pattern's membrane should settle
MOST = 0.9  # of the rail: where the largest pattern's membrane may settle
FEEDBACK = NeuronParameters.__dataclass_fields__["feedback_resistance"].metadata  # allowed range
SETTLED = 1e-3  # share of the threshold: a membrane voltage that moves a spike by 0.1 us
ROUNDED = 1e-3  # relative error of X above which a warning is due


class OperatingRangeWarning(UserWarning):
    """Membranes clip or stay silent, patterns overlap, or writes are rounded."""


@dataclass(frozen=True)
class OperatingRange:
    """Summary of a network's membranes on a set of images, to compare with threshold and rail.

    On a chip, membranes are scaled as if each neuron had the nominal threshold.

    Parameters
    ----------
    images : int
        Number of images.
    by_class : bool
        Image k is the pattern of neuron k, which should fire.
    silent : int
        Images on which no neuron fires; with `by_class`, patterns whose neuron does not fire.
    clipped : int
        Images on which a stage reaches its rail.
    highest : float
        Highest settled membrane in V if there were no rails.
    lowest : float
        Lowest settled membrane in V of the neurons that should fire.
    risen : float
        Share of its settled voltage that a membrane reaches within the pulse.
    left_over : float
        Voltage in V that is left of a membrane when the next image begins; 0 for separate reads.
    rounding : float
        Upper bound of the relative error of X by rounding in the longest write in ngspice.
    neuron : NeuronParameters
    """

    images: int
    by_class: bool
    silent: int
    clipped: int
    highest: float
    lowest: float
    risen: float
    left_over: float
    rounding: float
    neuron: NeuronParameters

    @property
    def problems(self) -> list[str]:
        """Messages on what is out of range, each with the parameter to change."""
        neuron, threshold = self.neuron, self.neuron.threshold
        found = []
        if self.highest <= 0:
            found.append("no cell conducts: all neurons stay silent; raise schedule.pulse, schedule.input_voltage or "
                         "memristor.transconductance")
        elif self.highest < threshold:
            found.append(f"all neurons stay silent: the highest membrane settles at {self.highest:.3g} V, the threshold is "
                         f"{threshold:g} V; {self._resistor()}")
        elif self.clipped:
            found.append(f"membranes clip on {self.clipped} of {self.images} images: the highest would settle at "
                         f"{self.highest:.3g} V, the rail is at {rail(neuron):.3g} V, and neurons that clip fire together; "
                         f"{self._resistor()}")
        elif self.by_class and self.silent and self.lowest < threshold:
            found.append(f"no spike on {self.silent} of {self.images} images: the lowest membrane settles at "
                         f"{self.lowest:.3g} V, the threshold is {threshold:g} V; {self._resistor()}")
        elif self.silent == self.images or (self.by_class and self.silent):
            found.append(f"no spike on {self.silent} of {self.images} images: membranes are too slow, with a time constant of "
                         f"{neuron.time_constant:.3g} s they reach {self.risen:.0%} of their settled voltage within a pulse; "
                         "raise schedule.pulse or lower neuron.membrane_capacitance")
        if self.left_over >= SETTLED * threshold:
            found.append(f"membranes have not settled when the next pattern begins: {self.left_over:.2g} V are left; raise "
                         "schedule.period or lower neuron.membrane_capacitance")
        if self.rounding > ROUNDED:
            found.append(f"ngspice rounds X by up to {self.rounding:.2%} in a write this long; raise memristor.switch_on to 1e3")
        return found

    def _resistor(self) -> str:
        """Return advice for a message: the feedback resistor that would bring the membranes between threshold and rail."""
        needed = suitable_feedback(self.neuron, self.highest, self.lowest, all_fire=self.by_class)
        if needed is None:
            return "no feedback resistor alone brings all membranes between threshold and rail"
        change = "raise" if needed > self.neuron.feedback_resistance else "lower"
        return f"{change} neuron.feedback_resistance to {needed:.4g} ohm"


def rail(neuron: NeuronParameters) -> float:
    """Return the highest voltage in V at which the stages let a membrane settle."""
    return float(neuron.highest_drive(neuron.feedback_resistance) * neuron.membrane_gain)


def suitable_feedback(neuron: NeuronParameters, highest: float, lowest: float, all_fire: bool = True) -> float | None:
    """Return the feedback resistor in ohm that puts the membranes between threshold and rail; None if there is none.

    Parameters
    ----------
    neuron : NeuronParameters
        With the present resistor.
    highest, lowest : float
        Settled membranes in V with the present resistor: the highest, and the lowest of those that should fire.
    all_fire : bool
        True: the lowest of them must reach the threshold, too.
    """
    if highest <= 0 or (all_fire and lowest <= 0):
        return None
    wanted = max(USUAL * neuron.threshold, LEAST * neuron.threshold * highest / lowest) if lowest > 0 else np.inf
    needed = min(neuron.feedback_resistance * wanted / highest, _feedback_within_rail(neuron, highest))
    fires = needed * (lowest if all_fire else highest) >= neuron.feedback_resistance * neuron.threshold
    return needed if fires and FEEDBACK["low"] <= needed <= FEEDBACK["high"] else None


def _feedback_within_rail(neuron: NeuronParameters, highest: float) -> float:
    """Return the feedback in ohm with which a membrane would settle at `MOST` of the rail instead of `highest` V."""
    per_ohm = highest / neuron.transresistance  # A of the column
    drop, load = neuron.amplifier_output_resistance, 1 + neuron.amplifier_output_resistance / neuron.stage_resistance
    return min((-MOST * neuron.rail_low / per_ohm - drop) / load, MOST * neuron.inverting_rail_high / per_ohm / load)


def settled_membranes(setup: Setup, states: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the settled membranes in V (images x classes) of a network without rails whose devices are all alike.

    `states`: classes x inputs in V; `images`: n x inputs, 0 to 1.
    """
    memristor, volts = setup.memristor, setup.schedule.input_voltage * images
    currents = [read_current(memristor, states, row).sum(axis=1) for row in volts]
    return setup.neuron.transresistance * np.array(currents)


def operating_range(setup: Setup, states: np.ndarray, images: np.ndarray, by_class: bool = False, consecutive: bool = False,
                    write: float = 0.0) -> OperatingRange:
    """Compute the operating range in closed form; resistance of wires is ignored.

    Parameters
    ----------
    setup : Setup
    states : array, classes x inputs, V
    images : array, n x inputs, levels 0 to 1
    by_class : bool
        Image k is the pattern of neuron k, which should fire.
    consecutive : bool
        The images follow each other in one transient.
    write : float
        Longest write in s.
    """
    crossbar = Crossbar.of(setup.replace(devices=dataclasses.replace(setup.devices, wires=Wires())))
    race, neurons = crossbar.race(states, images), crossbar.neurons
    settled = crossbar.without_rails().race(states, images).settled * (setup.neuron.threshold / neurons.threshold)
    fires, tau = ~np.isnan(race.spikes), float(np.max(neurons.time_constant))
    schedule, risen = setup.schedule, -float(np.expm1(-setup.schedule.pulse / tau))
    kept = float(np.exp(-(schedule.period - schedule.pulse - schedule.rise) / tau)) if consecutive else 0.0  # over the pause
    should_fire = np.diag(settled) if by_class else settled.max(axis=1)
    return OperatingRange(
        images=len(images), by_class=by_class, silent=int(np.sum(~(np.diag(fires) if by_class else fires.any(axis=1)))),
        clipped=int(race.railed.any(axis=1).sum()), highest=float(settled.max()), lowest=float(should_fire.min()),
        risen=risen, left_over=kept * risen * float(race.settled.max()),
        rounding=rounding(setup.memristor, write), neuron=setup.neuron)


def warn_of_range(setup: Setup, states: np.ndarray, images: np.ndarray, by_class: bool = False, consecutive: bool = False,
                  write: float = 0.0) -> None:
    """Warn of each problem, and of a pattern that contains another; arguments as in `operating_range`."""
    for problem in operating_range(setup, states, images, by_class, consecutive, write).problems:
        warnings.warn(problem, OperatingRangeWarning, stacklevel=3)
    contained = contained_patterns(images) if by_class else []
    if contained:
        inner, outer = contained[0]
        warnings.warn(f"pattern {outer} contains pattern {inner}: on pattern {inner}, neuron {outer} fires no later than neuron "
                      f"{inner}", OperatingRangeWarning, stacklevel=3)


def contained_patterns(patterns: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs (inner, outer) of patterns (classes x inputs) of which the outer has every pixel of the inner."""
    count = len(patterns)
    return [(inner, outer) for inner in range(count) for outer in range(count)
            if inner != outer and np.all(patterns[outer][patterns[inner] > 0] >= patterns[inner][patterns[inner] > 0])]


def fit_feedback_resistor(setup: Setup, patterns: Levels) -> Setup:
    """Return `setup` with the feedback resistor that suits `patterns` trained by the Hebbian rule.

    With this resistor, the largest pattern's membrane settles at 1.7 thresholds, as in the paper's networks. It settles higher
    if the smallest pattern could not fire otherwise, but always below the rail.

    Parameters
    ----------
    setup : Setup
    patterns : array or lists, classes x inputs, levels 0 to 1

    Raises
    ------
    ParameterError
        The patterns are not classes x inputs, a pattern has no pixel that is on, or no resistor fits.
    """
    patterns = as_patterns(patterns)
    empty = np.flatnonzero(~patterns.any(axis=1))
    if len(empty):
        raise ParameterError(f"pattern {empty[0]} has no pixel that is on: its neuron could never fire")
    if setup.array:
        settled = setup.neuron.transresistance * np.diag(setup.array.currents(setup.array.trained(patterns), patterns))
    else:
        states = trained_state(setup.memristor, setup.schedule.input_voltage * patterns, setup.schedule.pulse)
        settled = np.diag(settled_membranes(setup, states, patterns))
    needed = suitable_feedback(setup.neuron, float(settled.max()), float(settled.min()))
    if needed is None:
        raise ParameterError(f"no feedback resistor fits: membranes settle at {settled.min():.3g} to {settled.max():.3g} V, the "
                             f"threshold is {setup.neuron.threshold:g} V and the rail {rail(setup.neuron):.3g} V")
    return setup.replace(neuron=dataclasses.replace(setup.neuron, feedback_resistance=needed))
