"""What membranes can reach: rails above, threshold below; and the feedback resistor that puts own patterns in between."""

import dataclasses
import math

import numpy as np

from memristive.single_layer.pulses import Schedule, Values, check_levels
from memristive.spice.parameters import ParameterError
from memristor import channel_current, raised_state, trained_state
from snn_circuit import NetworkParameters, NeuronParameters

USUAL = 1.7  # times the threshold: where the largest pattern's membrane settles in the paper's networks
LEAST = 1.1  # times the threshold: where the smallest pattern's membrane should settle
MOST_OHMS = NeuronParameters.__dataclass_fields__["feedback_resistance"].metadata["high"]
MOST_LEAKED = 0.1  # of a state, in the pulse that writes it
AT_REST = 1e-3  # of the threshold: 0.1 us of a spike
MOST = 0.9  # of the rail: where the largest pattern's membrane may settle


def settled_membranes(parameters: NetworkParameters, schedule: Schedule, states: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Membrane voltages in V long after the input's edge, were there no rails: images x classes, by the closed form.

    `states`: classes x inputs in V; `images`: n x inputs, 0 to 1.
    """
    volts = schedule.input_voltage * images
    memristor = parameters.memristor
    currents = [channel_current(memristor, raised_state(memristor, states, row), row).sum(axis=1) for row in volts]
    return parameters.neuron.transresistance * np.array(currents)


def rail(neuron: NeuronParameters) -> float:
    """The highest voltage in V that the stages in front of a membrane let it settle at."""
    return float(neuron.highest_drive(neuron.feedback_resistance) * neuron.membrane_gain)


def complaint(parameters: NetworkParameters, schedule: Schedule, states: np.ndarray, images: np.ndarray,
              own: bool = False, rule: str | None = None) -> str:
    """What is wrong with the range of the membranes on these `images`, and the parameter to change; "" if nothing is.

    `own`: image k is the pattern that neuron k has learned, on which it should fire, and follows image k - 1 in one run. `rule`:
    what made the states. Those of learning from errors hang on the feedback resistor: no value of it can be promised to help.
    """
    neuron, settled = parameters.neuron, settled_membranes(parameters, schedule, states, images)
    rest = _unrested(neuron, schedule, min(float(settled.max()), rail(neuron))) if own else ""
    return from_rest(rest, _out_of_range(neuron, schedule, settled, own, rule))


def from_rest(rest: str, other: str) -> str:
    """Both complaints: what is left of one pattern moves the next one's spikes, and `other` knows nothing of it."""
    return "; from rest, ".join(filter(None, (rest, other)))


def _out_of_range(neuron: NeuronParameters, schedule: Schedule, settled: np.ndarray, own: bool, rule: str | None) -> str:
    """As `complaint`, of membranes that start at rest and settle at `settled` V (images x classes)."""
    highest = settled.max(axis=1)
    top = float(highest.max())
    if top <= 0:
        return ("no cell conducts, all neurons stay silent: train with a longer --pulse, a higher --input-voltage or a higher "
                "--transconductance, or test a chip that forgets at a shorter --age")
    if top < neuron.threshold:
        return (f"all neurons stay silent: the highest membrane settles at {top:.3g} V, below the threshold of "
                f"{neuron.threshold:g} V; {_lift(neuron, np.diag(settled) if own else highest.max(keepdims=True), top, rule)}")
    if rail(neuron) < neuron.threshold:
        return (f"all neurons stay silent: the stages give {rail(neuron):.3g} V at most, below the threshold of "
                f"{neuron.threshold:g} V; training with a lower --threshold or --amplifier-output-resistance would help")
    clipped = int(np.sum(highest >= rail(neuron)))
    if clipped:
        way_out = _below_the_rail(_within_the_rail(neuron, top), rule)
        return (f"membranes clip on {clipped} of {len(settled)} images: {top:.3g} V wanted, the rail is at {rail(neuron):.3g} V, "
                f"and neurons that clip fire together; {way_out}")
    should_fire = np.diag(settled) if own else highest.max(keepdims=True)
    return _unheard(neuron, should_fire, top) or _too_slow(neuron, schedule, float(should_fire.min()))


def _lift(neuron: NeuronParameters, own: np.ndarray, top: float, rule: str | None) -> str:
    """What lifts membranes of which the highest settles at `top` V to where they should, with room below the rail for it.

    `own`: V, of those that should fire.
    """
    if rule == "ex-situ":
        return "studies.ex_situ with a larger --swing would lift it"
    usual = max(USUAL * neuron.threshold, LEAST * neuron.threshold * top / own.min() if own.min() > 0 else 0.0)
    needed = min(neuron.feedback_resistance * usual / top, _within_the_rail(neuron, top))
    if not needed * top > neuron.feedback_resistance * neuron.threshold:
        return (f"the stages give {rail(neuron):.3g} V at most: training with a lower --threshold or "
                "--amplifier-output-resistance would help")
    if needed > MOST_OHMS:
        return ("no feedback resistor makes up for that: train with a longer --pulse, a higher --input-voltage or "
                "--transconductance")
    higher = "a higher --start-state or " if rule == "error-driven" else ""
    return f"{higher}training with --feedback-resistance {_number(needed)} would lift it"


def _below_the_rail(within: float, rule: str | None) -> str:
    """What keeps membranes off the rail, below which they are with a feedback of `within` ohm (not above 0: with none)."""
    if rule == "ex-situ":
        return "studies.ex_situ with a smaller --swing would help"
    if not within > 0:
        return "training with a lower --amplifier-output-resistance would help"
    if rule == "error-driven":
        return f"training with --feedback-resistance near {_number(within)} may help, and a lower --threshold where it silences"
    return f"training with --feedback-resistance {_number(within)} keeps them below it"


def _risen(neuron: NeuronParameters, schedule: Schedule) -> float:
    """The share of its settled voltage that a membrane at rest reaches before a pulse ends, edges apart."""
    return -math.expm1(-schedule.pulse / neuron.time_constant)


def _too_slow(neuron: NeuronParameters, schedule: Schedule, settled: float) -> str:
    """What is to be said of a membrane that would fire, since it settles at `settled` V, if the pulse did not end before."""
    reached = _risen(neuron, schedule) * settled
    if reached >= neuron.threshold:
        return ""
    return (f"membranes are too slow for the pulse: with a time constant of {neuron.time_constant:.3g} s, in "
            f"{schedule.pulse:g} s one reaches {reached:.3g} V of {settled:.3g} V, below the threshold of "
            f"{neuron.threshold:g} V; a longer --pulse, or a training with a lower --membrane-capacitance, would help")


def after_pause(schedule: Schedule, volts: Values, time_constant: Values) -> Values:
    """What in V the pause between two pulses leaves of membranes of a `time_constant` (s) that were at `volts`."""
    return volts * np.exp(-(schedule.period - schedule.pulse - schedule.rise) / time_constant)


def left_over(neuron: NeuronParameters, schedule: Schedule, top: float) -> float:
    """What in V the next pattern finds of a membrane that was at `top` V; 0 if it is too little to move a spike."""
    left = float(after_pause(schedule, top, neuron.time_constant))
    return left if left >= AT_REST * neuron.threshold else 0.0


def _unrested(neuron: NeuronParameters, schedule: Schedule, top: float) -> str:
    """What is to be said if patterns follow each other so quickly that one finds what another has left of `top` V."""
    left = left_over(neuron, schedule, top)
    if not left:
        return ""
    return (f"membranes have not come to rest when the next pattern comes: of {top:.3g} V up to {left:.2g} V are left after "
            f"{schedule.period - schedule.pulse:.3g} s, with a time constant of {neuron.time_constant:.3g} s; a longer --period "
            "or a training with a lower --membrane-capacitance would help")


def _unheard(neuron: NeuronParameters, own: np.ndarray, top: float) -> str:
    """What is to be said of membranes below the threshold; `own`: V on the pattern that each learned, `top`: the highest."""
    silent, lowest = int(np.sum(own < neuron.threshold)), int(np.argmin(own))
    if not silent:
        return ""
    needed = neuron.feedback_resistance * LEAST * neuron.threshold / own[lowest] if own[lowest] > 0 else np.inf
    fits = needed <= min(MOST_OHMS, _within_the_rail(neuron, top))
    way_out = (f"training with --feedback-resistance {_number(needed)} would lift it" if fits
               else "no feedback resistor lifts it and keeps the others below the rail")
    return (f"neurons that stay silent on the patterns they learned: {silent} of {len(own)}; the membrane of neuron {lowest} "
            f"settles at {own[lowest]:.3g} V, below the threshold of {neuron.threshold:g} V; {way_out}")


def _within_the_rail(neuron: NeuronParameters, top: float) -> float:
    """The feedback in ohm with which a membrane that would settle at `top` V settles at `MOST` of the rail; not above 0: none."""
    per_ohm = top / neuron.transresistance  # V of the stages, which is A of the column
    drop, others = neuron.amplifier_output_resistance, 1 + neuron.amplifier_output_resistance / neuron.stage_resistance
    return min((-MOST * neuron.rail_low / per_ohm - drop) / others, MOST * neuron.inverting_rail_high / per_ohm / others)


def _number(value: float) -> str:
    """Three digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.3g}"), trim="-")


def fitted(parameters: NetworkParameters, schedule: Schedule, patterns: np.ndarray) -> NetworkParameters:
    """`parameters` with the feedback resistor that fits `patterns` (classes x inputs, 0 to 1) trained by the Hebbian rule.

    The largest pattern's membrane settles at 1.7 thresholds, as in the paper's networks, or as much higher as the smallest
    pattern needs to fire, but below the rail. Raises ParameterError for a pattern without a pixel or with other levels,
    or if none fits.
    """
    check_levels("patterns", patterns, patterns.shape[-1])
    empty = np.flatnonzero(~patterns.any(axis=1))
    if len(empty):
        raise ParameterError(f"pattern {empty[0]} has no pixel that is on: its neuron could never fire")
    forgets = parameters.memristor.write_time_constant
    if schedule.pulse > MOST_LEAKED * forgets:
        raise ParameterError(f"no feedback resistor fits: with their leak_resistance cells forget within {forgets:.3g} s what a "
                             f"pulse of {schedule.pulse:g} s writes")
    states = trained_state(parameters.memristor, schedule.input_voltage * patterns, schedule.pulse)
    own, neuron = np.diag(settled_membranes(parameters, schedule, states, patterns)), parameters.neuron
    if not own.min() > 0:
        raise ParameterError("no feedback resistor fits: trained cells carry no current")
    wanted = max(USUAL * neuron.threshold, LEAST * neuron.threshold * own.max() / own.min())
    feedback = min(neuron.feedback_resistance * wanted / own.max(), _within_the_rail(neuron, own.max()))
    if not feedback > 0:
        raise ParameterError("no feedback resistor fits: amplifier_output_resistance is too high for currents like these")
    if not feedback <= MOST_OHMS:
        raise ParameterError("no feedback resistor fits: trained cells carry next to no current")
    if own.min() * feedback < neuron.threshold * neuron.feedback_resistance:
        raise ParameterError(f"no feedback resistor fits: below the rail, pattern {np.argmin(own)} would not reach the threshold "
                             f"beside pattern {np.argmax(own)}, which carries {own.max() / own.min():.3g} times its current")
    if own.min() / neuron.feedback_resistance * feedback * _risen(neuron, schedule) < neuron.threshold:
        raise ParameterError(f"no feedback resistor fits: with a time constant of {neuron.time_constant:.3g} s, membranes are "
                             f"too slow for a pulse of {schedule.pulse:g} s")
    resized = dataclasses.replace(neuron, feedback_resistance=float(feedback))
    return dataclasses.replace(parameters, neuron=resized)
