"""Checks of a trained network: silent and dominant neurons, clipping stages, diverging cells,
unsettled membranes, rounding.

The summing stage of a column with the current I gives -R_f I, where R_f is its feedback resistor.
The reference column (with pairs: the negative columns) has a stage that gives R_f I_ref. The
neuron's inverting stage then gives R_f (I - I_ref). None of these three stages may clip (reach its
rail) before the neuron's spike. Clipping after the spike has no effect.
"""

import dataclasses
import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.cells import Wires
from memristive.network.crossbar import Crossbar
from memristive.network.design import Setup
from memristive.network.inputs import as_images
from memristive.parameters import ParameterError
from memristive.scores.decisions import RESOLUTION, decide, first_two
from memristor import read_current, rounding, trained_state
from snn_circuit import NeuronParameters

if TYPE_CHECKING:
    from memristive.network.networks import Network

# times the threshold: where the largest pattern's membrane settles in the paper's networks
USUAL = 1.7
LEAST_DRIVE = 1.1  # times the threshold: where the smallest pattern's membrane should settle
WITHIN_RAIL = 0.9  # of the rail: where the largest pattern's membrane may settle
FEEDBACK = NeuronParameters.__dataclass_fields__["feedback_resistance"].metadata  # allowed range
SPIKE_SHIFT = 1e-3  # share of the threshold: a membrane voltage that moves a spike by 0.1 us
ROUNDED = 1e-3  # relative error of X above which a warning is due
# largest number of images that `layered_problems` examines, which takes a second for large networks
# s for each layer: difference of the engines, so that smaller shifts of spikes by rails need no
# warning
AGREED = 0.3e-6
SILENT_SHARE = 0.05  # largest share of images for which no neuron of a layer fires
EXCESS = 0.25  # largest share of images that one neuron wins above the share of its class
FEW = 5  # least number of images a class from which shares of winners are taken
# least number of hidden neurons that fire, per class: networks of few classes learn well with 15 of
# 100 neurons
NEEDED = 2
# V: X of networks that learn well stays below 60 V, in diverging ones it reaches hundreds
DIVERGED = 70.0


class OperatingRangeWarning(UserWarning):
    """Membranes clip, neurons stay silent, patterns overlap, or writes are rounded."""


def rail(neuron: NeuronParameters) -> float:
    """Return the highest voltage in V at which the stages let a membrane settle."""
    return float(neuron.highest_drive(neuron.feedback_resistance) * neuron.membrane_gain)


def suitable_feedback(
    neuron: NeuronParameters, highest: float, lowest: float, all_fire: bool = True
) -> float | None:
    """Return the feedback resistor in ohm with which the membranes settle between threshold and
    rail. None if there is no such resistor.

    Parameters
    ----------
    neuron : NeuronParameters
        With the present resistor.
    highest, lowest : float
        Settled membranes in V with the present resistor: the highest of all, and the lowest of the
        neurons that should fire.
    all_fire : bool
        True: the lowest of these membranes must reach the threshold, too.
    """
    if highest <= 0 or (all_fire and lowest <= 0):
        return None
    wanted = (
        max(USUAL * neuron.threshold, LEAST_DRIVE * neuron.threshold * highest / lowest)
        if lowest > 0
        else np.inf
    )
    needed = min(
        neuron.feedback_resistance * wanted / highest,
        neuron.highest_feedback(highest / neuron.transresistance, WITHIN_RAIL),
    )
    fires = (
        needed * (lowest if all_fire else highest) >= neuron.feedback_resistance * neuron.threshold
    )
    return needed if fires and FEEDBACK["low"] <= needed <= FEEDBACK["high"] else None


def settled_membranes(setup: Setup, states: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the settled membranes in V (images x classes) of a network without rails whose devices
    are all alike.

    `states`: classes x inputs in V, or shares of the conductance range of two-terminal devices;
    `images`: n x inputs, 0 to 1.
    """
    if setup.array:
        return setup.neuron.transresistance * setup.array.currents(states, images)
    memristor, volts = setup.memristor, setup.schedule.input_voltage * images
    currents = [read_current(memristor, states, row).sum(axis=1) for row in volts]
    return setup.neuron.transresistance * np.array(currents)


def range_problems(
    setup: Setup,
    states: np.ndarray,
    images: np.ndarray,
    by_class: bool = False,
    consecutive: bool = False,
    write: float = 0.0,
) -> list[str]:
    """Return a message for each quantity of the paper's layer that is out of range, with the
    parameter to change, in closed form without the resistance of wires.

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
    race, neurons, neuron = crossbar.race(states, images), crossbar.neurons, setup.neuron
    free = dataclasses.replace(crossbar, neurons=neurons.without_rails())
    # as if each neuron of a chip had the nominal threshold
    settled = free.race(states, images).settled * (neuron.threshold / neurons.threshold)
    fires, tau = ~np.isnan(race.spikes), float(np.max(neurons.time_constant))
    silent = ~(np.diag(fires) if by_class else fires.any(axis=1))
    should_fire = np.diag(settled) if by_class else settled.max(axis=1)
    highest, lowest = float(settled.max()), float(should_fire.min())
    clipped, found = int(race.railed.any(axis=1).sum()), []
    if clipped or silent.all() or (by_class and silent.any()):
        kind, count = (
            ("membranes clip, so that neurons fire together,", clipped)
            if clipped
            else ("no spike", silent.sum())
        )
        advice = "membranes are too slow: raise schedule.pulse or lower neuron.membrane_capacitance"
        if clipped or (lowest if by_class else highest) < neuron.threshold:
            needed = suitable_feedback(neuron, highest, lowest, all_fire=by_class)
            advice = (
                f"set neuron.feedback_resistance to {needed:.4g} ohm"
                if needed
                else "no feedback resistor alone brings all membranes between threshold and rail"
            )
        found.append(
            f"{kind} on {count} of {len(images)} images: those of neurons that should fire settle "
            f"from {lowest:.3g} V on, the highest at {highest:.3g} V, the threshold is "
            f"{neuron.threshold:g} V and the rail {rail(neuron):.3g} V; {advice}"
        )
    schedule = setup.schedule
    pause = schedule.period - schedule.pulse - schedule.rise
    left = float(race.settled.max()) * np.exp(-pause / tau) * -np.expm1(-schedule.pulse / tau)
    if consecutive and left >= SPIKE_SHIFT * neuron.threshold:
        found.append(
            f"membranes have not settled when the next pattern begins: {left:.2g} V are left; "
            "raise schedule.period or lower neuron.membrane_capacitance"
        )
    if (rounded := rounding(setup.memristor, write)) > ROUNDED:
        found.append(
            f"ngspice rounds X by up to {rounded:.2%} in a write this long; raise "
            "memristor.switch_on to 1e3"
        )
    return found


def warn_of_range(setup: Setup, states: np.ndarray, images: np.ndarray, **kind: Any) -> None:
    """Issue each of the `range_problems`, which takes the same arguments, as a warning; with
    `by_class` also warn of a pattern that contains another one.
    """
    problems = range_problems(setup, states, images, **kind)
    if kind.get("by_class"):
        problems += contained(images)[:1]
    for problem in problems:
        warnings.warn(problem, OperatingRangeWarning, stacklevel=3)


def contained(patterns: np.ndarray) -> list[str]:
    """Return a message for each of the `patterns` (classes x inputs) that another one contains."""
    pairs = itertools.permutations(range(len(patterns)), 2)
    return [
        f"pattern {outer} contains pattern {inner}: on pattern {inner}, neuron {outer} fires no "
        f"later than neuron {inner}"
        for inner, outer in pairs
        if np.all(patterns[outer][on := patterns[inner] > 0] >= patterns[inner][on])
    ]


def fit_feedback_resistor(
    setup: Setup, patterns: ArrayLike, states: np.ndarray | None = None
) -> Setup:
    """Return `setup` with the feedback resistor that suits `patterns` trained by the Hebbian rule.

    With this resistor, the largest pattern's membrane settles at 1.7 thresholds, as in the paper's
    networks. It settles higher if the smallest pattern could not fire otherwise, but always below
    the rail.

    Parameters
    ----------
    setup : Setup
    patterns : array_like, classes x inputs, levels 0 to 1
    states : array, classes x inputs, optional
        States that a training has reached: X in V, or of two-terminal devices shares of the
        conductance range. None: those that the closed form or the devices' curves predict.

    Raises
    ------
    ParameterError
        The patterns are not classes x inputs, a pattern has no pixel that is on, or no resistor
        fits.
    """
    patterns = as_images(patterns, name="patterns", empty=False)
    empty = np.flatnonzero(~patterns.any(axis=1))
    if len(empty):
        raise ParameterError(
            f"pattern {empty[0]} has no pixel that is on: its neuron could never fire"
        )
    if states is None and setup.array:
        states = setup.array.trained(patterns)
    elif states is None:
        states = trained_state(
            setup.memristor, setup.schedule.input_voltage * patterns, setup.schedule.pulse
        )
    settled = np.diag(settled_membranes(setup, states, patterns))
    needed = suitable_feedback(setup.neuron, float(settled.max()), float(settled.min()))
    if needed is None:
        raise ParameterError(
            f"no feedback resistor fits: membranes settle at {settled.min():.3g} to "
            f"{settled.max():.3g} V, the threshold is {setup.neuron.threshold:g} V and the rail "
            f"{rail(setup.neuron):.3g} V"
        )
    return setup.replace(neuron=dataclasses.replace(setup.neuron, feedback_resistance=needed))


def layered_problems(
    network: "Network",
    images: np.ndarray,
    hidden_dose: str = "rule.hidden_dose",
    output_dose: str = "rule.output_dose",
    labels: np.ndarray | None = None,
) -> list[str]:
    """Return a message for each quantity that is out of range, with the parameter to change, in
    closed form without the resistance of wires.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1
        At most `Kind.examined` of them are examined, fewer if reads are slow. They are
        drawn at random, because the classes of a user's images may come in turn.
    hidden_dose, output_dose : str
        Names of the parameters that set the doses of the hidden layers and of the last layer, for
        the messages.
    labels : array, n, optional
        Classes of the images. If they are given, neurons that win too many images, or none, are
        also reported, and hidden layers of which no or too few neurons fire.
    """
    most = min(layer.kind.examined for layer in network.layers)
    part = np.sort(np.random.default_rng(1).permutation(len(images))[:most])
    images, classes = images[part], network.sizes[-1]
    if network.wired:
        devices = (dataclasses.replace(of, wires=Wires()) for of in network.devices or ())
        network = dataclasses.replace(network, devices=tuple(devices))
    doses = " and ".join(dict.fromkeys([hidden_dose, output_dose][-len(network.states) :]))
    diverging = [
        f"cells of layer {layer} diverge, to {states.min():.3g} to {states.max():.3g} V; lower "
        f"{doses} to a tenth"
        for layer, states in enumerate(network.states, 1)
        if np.abs(states).max() > DIVERGED
    ]
    if diverging:  # the cause of all others, as clipping is below
        return diverging
    forward = network.forward(images)
    problems, paper = _clipping_problems(network, images, forward), []
    if network.paper:
        paper = range_problems(network.setup, network.states[0], images)
        problems = problems and paper
    if problems:
        return problems
    wrong = np.ones(len(images), bool)
    if labels is not None:
        labels = np.asarray(labels)[part]
        wrong = decide(forward[-1], RESOLUTION)[0] != labels
    silent = False
    for layer, spikes in enumerate(forward, 1):
        last, fired = layer == len(network.states), ~np.isnan(spikes)
        # a silent hidden layer can be the right answer for a class
        quiet, used = ~fired.any(axis=1), int(fired.any(axis=0).sum())
        enough, found = labels is not None and len(images) >= FEW * classes, ""
        dark = (last or labels is not None) and (quiet & wrong).mean() > SILENT_SHARE
        if dark:
            found = (
                f"no neuron of layer {layer} fires for {quiet.mean():.0%} of {len(fired)} images"
            )
        elif enough and not last and used < min(fired.shape[1] / 2, NEEDED * classes):
            found = (
                f"only {used} of {fired.shape[1]} neurons of layer {layer} ever fire, for "
                f"{classes} classes"
            )
        elif enough and last:
            found = _dominance(spikes, np.asarray(labels))
        if found and paper:  # the cause
            problems = paper
        elif found and not (last and silent):  # class neurons suffer from silent hidden layers
            # noise outweighs small doses
            advice = ["let synapses write late"] * network.way.rounds
            if network.paper and dark:
                advice = ["raise neuron.feedback_resistance"]
            elif last:
                advice = advice or ["train five times as long"]
            else:
                advice += [f"lower {doses} to a tenth"]
            problems.append(f"{found}; {', or '.join(advice)}")
            silent = True
    return problems


def _dominance(spikes: np.ndarray, labels: np.ndarray) -> str:
    """Return a message if a class neuron wins far more images than its class has, or none, else "".

    `spikes`: images x classes, s; `labels`: images.
    """
    classes = spikes.shape[1]
    members = np.bincount(labels, minlength=classes)
    decided = decide(spikes, RESOLUTION)[0]
    won = np.bincount(decided[decided >= 0], minlength=classes)
    most = int(np.argmax(won - members))
    if won[most] - members[most] > EXCESS * len(labels):
        return (
            f"class neuron {most} wins {won[most] / len(labels):.0%} of {len(labels)} images, its "
            f"class has {members[most] / len(labels):.0%}"
        )
    lost = np.flatnonzero((won == 0) & (members >= FEW))
    return (
        f"class neurons {', '.join(map(str, lost))} win none of {len(labels)} images"
        if len(lost)
        else ""
    )


def _clipping_problems(
    network: "Network", images: np.ndarray, forward: list[np.ndarray]
) -> list[str]:
    """Return a list with a message if clipping matters, else an empty one. `forward`: first spikes
    of all layers.

    Clipping matters if it changes decisions, or if it moves first spikes by more than the two
    engines differ without clipping.
    """
    free = network.forward(images, rails=False)
    one, other = (decide(of[-1], RESOLUTION)[0] for of in (free, forward))
    changed = int(np.sum(one != other))
    window = network.design.window
    moved = float(np.abs(first_two(free[-1], window) - first_two(forward[-1], window)).max())
    if not changed and moved < AGREED * len(network.states):
        return []
    layer = next(
        k for k in range(len(free)) if not np.array_equal(free[k], forward[k], equal_nan=True)
    )
    return [
        f"stages of layer {layer + 1} clip: spikes move by up to {moved * 1e6:.2g} us, and "
        f"{changed} of {len(images)} images are classified differently; lower design.stage_swing "
        "to half"
    ]


def warn_of_layers(
    network: "Network",
    images: np.ndarray,
    hidden_dose: str = "rule.hidden_dose",
    output_dose: str = "rule.output_dose",
    labels: np.ndarray | None = None,
    name: str = "",
) -> None:
    """Issue each message of `layered_problems`, which takes the same arguments, as a warning. Each
    warning begins with the `name` of the network. Without images there is none.
    """
    if not len(images):
        return
    for problem in layered_problems(network, images, hidden_dose, output_dose, labels):
        warnings.warn(
            f"{name}: {problem}" if name else problem, OperatingRangeWarning, stacklevel=3
        )
