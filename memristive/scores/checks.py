"""Checks of a trained network: silent and dominant neurons, clipping stages, diverging cells,
unsettled membranes, rounding.

The summing stage of a column with the current I gives -R_f I, where R_f is its feedback resistor.
The reference column (with pairs: the negative columns) has a stage that gives R_f I_ref. The
neuron's inverting stage then gives R_f (I - I_ref). None of these three stages may clip (reach its
rail) before the neuron's spike. Clipping after the spike has no effect.
"""

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memristive.closed_form import kernel_arrays
from memristive.network.crossbar import Crossbar
from memristive.network.design import Schedule, Setup
from memristive.network.inputs import as_images
from memristive.network.networks import KernelArrays, Network
from memristive.parameters import ParameterError
from memristive.scores.decisions import first_two, strict_decision
from memristor import ChannelValues, read_current, rounding, trained_state
from snn_circuit import NeuronParameters, Wires

# times the threshold: where the largest pattern's membrane settles in the paper's networks
USUAL = 1.7
LEAST_DRIVE = 1.1  # times the threshold: where the smallest pattern's membrane should settle
WITHIN_RAIL = 0.9  # of the rail: where the largest pattern's membrane may settle
FEEDBACK = NeuronParameters.__dataclass_fields__["feedback_resistance"].metadata  # allowed range
SPIKE_SHIFT = 1e-3  # share of the threshold: a membrane voltage that moves a spike by 0.1 us
ROUNDED = 1e-3  # relative error of X above which a warning is due
STAGES = ("summing stage", "inverting stage", "negative input's inverting stage")
# largest number of images that `layered_problems` examines, which takes a second for large networks
EXAMINED = 200
EXAMINED_SLOW = 20  # the same for the many patches of a convolution, and for resistive wires
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
# Neurons of a hidden layer below which more of them help where smaller doses do not: with 2 to 6
# neurons and three classes, half the dose helped 8 of 69 bad networks, 8 neurons 63.
FEW_HIDDEN = 8


class OperatingRangeWarning(UserWarning):
    """Membranes clip, neurons stay silent, patterns overlap, or writes are rounded."""


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
        Share of the settled voltage that a membrane reaches until the end of the pulse.
    left_over : float
        Voltage in V that a membrane still has when the next image begins; 0 for separate reads.
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
            found.append(
                "no cell conducts: all neurons stay silent; raise schedule.pulse, "
                "schedule.input_voltage or memristor.transconductance"
            )
        elif self.highest < threshold:
            found.append(
                f"all neurons stay silent: the highest membrane settles at {self.highest:.3g} V, "
                f"the threshold is {threshold:g} V; {self._resistor()}"
            )
        elif self.clipped:
            found.append(
                f"membranes clip on {self.clipped} of {self.images} images: the highest would "
                f"settle at {self.highest:.3g} V, the rail is at {rail(neuron):.3g} V, and neurons "
                f"that clip fire together; {self._resistor()}"
            )
        elif self.by_class and self.silent and self.lowest < threshold:
            found.append(
                f"no spike on {self.silent} of {self.images} images: the lowest membrane settles "
                f"at {self.lowest:.3g} V, the threshold is {threshold:g} V; {self._resistor()}"
            )
        elif self.silent == self.images or (self.by_class and self.silent):
            found.append(
                f"no spike on {self.silent} of {self.images} images: membranes are too slow, with "
                f"a time constant of {neuron.time_constant:.3g} s they reach {self.risen:.0%} of "
                "their settled voltage within a pulse; raise schedule.pulse or lower "
                "neuron.membrane_capacitance"
            )
        if self.left_over >= SPIKE_SHIFT * threshold:
            found.append(
                f"membranes have not settled when the next pattern begins: {self.left_over:.2g} V "
                "are left; raise schedule.period or lower neuron.membrane_capacitance"
            )
        if self.rounding > ROUNDED:
            found.append(
                f"ngspice rounds X by up to {self.rounding:.2%} in a write this long; raise "
                "memristor.switch_on to 1e3"
            )
        return found

    def _resistor(self) -> str:
        """Return, as text for a message, the feedback resistor that would bring the membranes
        between threshold and rail, or that there is none.
        """
        needed = suitable_feedback(self.neuron, self.highest, self.lowest, all_fire=self.by_class)
        if needed is None:
            return "no feedback resistor alone brings all membranes between threshold and rail"
        change = "raise" if needed > self.neuron.feedback_resistance else "lower"
        return f"{change} neuron.feedback_resistance to {needed:.4g} ohm"


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

    `states`: classes x inputs in V; `images`: n x inputs, 0 to 1.
    """
    memristor, volts = setup.memristor, setup.schedule.input_voltage * images
    currents = [read_current(memristor, states, row).sum(axis=1) for row in volts]
    return setup.neuron.transresistance * np.array(currents)


def operating_range(
    setup: Setup,
    states: np.ndarray,
    images: np.ndarray,
    by_class: bool = False,
    consecutive: bool = False,
    write: float = 0.0,
) -> OperatingRange:
    """Return the operating range of a network in closed form; the resistance of wires is ignored.

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
    free = dataclasses.replace(crossbar, neurons=neurons.without_rails())
    settled = free.race(states, images).settled * (setup.neuron.threshold / neurons.threshold)
    fires, tau = ~np.isnan(race.spikes), float(np.max(neurons.time_constant))
    schedule, risen = setup.schedule, -float(np.expm1(-setup.schedule.pulse / tau))
    # over the pause
    kept = (
        float(np.exp(-(schedule.period - schedule.pulse - schedule.rise) / tau))
        if consecutive
        else 0.0
    )
    should_fire = np.diag(settled) if by_class else settled.max(axis=1)
    return OperatingRange(
        images=len(images),
        by_class=by_class,
        silent=int(np.sum(~(np.diag(fires) if by_class else fires.any(axis=1)))),
        clipped=int(race.railed.any(axis=1).sum()),
        highest=float(settled.max()),
        lowest=float(should_fire.min()),
        risen=risen,
        left_over=kept * risen * float(race.settled.max()),
        rounding=rounding(setup.memristor, write),
        neuron=setup.neuron,
    )


def warn_of_range(setup: Setup, states: np.ndarray, images: np.ndarray, **kind: Any) -> None:
    """Warn of each of the `problems` of the `operating_range`, which takes the same arguments, and
    of a pattern that contains another.
    """
    found = operating_range(setup, states, images, **kind)
    for problem in found.problems:
        warnings.warn(problem, OperatingRangeWarning, stacklevel=3)
    contained = contained_patterns(images) if found.by_class else []
    if contained:
        inner, outer = contained[0]
        warnings.warn(
            f"pattern {outer} contains pattern {inner}: on pattern {inner}, neuron {outer} fires "
            f"no later than neuron {inner}",
            OperatingRangeWarning,
            stacklevel=3,
        )


def contained_patterns(patterns: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs (inner, outer) of `patterns` (classes x inputs) in which the outer pattern
    contains the inner one: it has all pixels of the inner one.
    """
    count = len(patterns)
    return [
        (inner, outer)
        for inner in range(count)
        for outer in range(count)
        if inner != outer
        and np.all(patterns[outer][patterns[inner] > 0] >= patterns[inner][patterns[inner] > 0])
    ]


def fit_feedback_resistor(setup: Setup, patterns: ArrayLike) -> Setup:
    """Return `setup` with the feedback resistor that suits `patterns` trained by the Hebbian rule.

    With this resistor, the largest pattern's membrane settles at 1.7 thresholds, as in the paper's
    networks. It settles higher if the smallest pattern could not fire otherwise, but always below
    the rail.

    Parameters
    ----------
    setup : Setup
    patterns : array_like, classes x inputs, levels 0 to 1

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
    if setup.array:
        settled = setup.neuron.transresistance * np.diag(
            setup.array.currents(setup.array.trained(patterns), patterns)
        )
    else:
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


def rails(network: Network) -> np.ndarray:
    """Return the highest voltages in V that the stages of each layer can give: layers x stages, in
    the order of `STAGES`.
    """
    found = [layer.circuits.stages for layer in network.layers]
    return np.array(
        [
            (np.min(each.highest_sum), each.highest_inverse, np.min(each.highest_negative))
            for each in found
        ],
        float,
    )


def required_stage_voltages(network: Network, images: np.ndarray) -> np.ndarray:
    """Return the highest voltages that the stages would have to give before their neurons fire, if
    there were no rails.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1

    Returns
    -------
    array, n x layers x stages (in the order of `STAGES`), V
    """
    arrays, spikes = KernelArrays(network, rails=False), network.forward(images, rails=False)
    required = np.zeros((len(images), len(network.states), len(STAGES)))
    for layer, below in enumerate([images, *spikes[:-1]]):
        for image, levels in enumerate(below):
            up, down, times = _stage_volts(network, arrays, layer, levels)
            fired = np.where(np.isnan(spikes[layer][image]), np.inf, spikes[layer][image])
            # all patches of a convolution, because each of them could give the earliest spike
            before = times[:, None] < (np.inf if network.convolution and layer == 0 else fired)
            required[image, layer] = [
                np.max(volts, initial=0.0, where=before) for volts in (up, up - down, down)
            ]
    return required


def _stage_volts(
    network: Network, arrays: KernelArrays, k: int, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the outputs of the stages of layer `k` (counted from 0) after each step of its rows:
    in V, steps x neurons, those of the summing stages and those of the negative inputs' stages; and
    the times of the steps in s.

    `levels`: for layer 0 the levels of an image, for a later layer the first spikes in s of the
    layer below. In layer 0 all rows step up together, so there is one step, or one for each patch
    of a convolution.
    """
    layer, scale, start = arrays.layers[k], arrays.work.scale[k], network.start_time
    up, down = (
        (scale[0] * layer.neurons[kernel_arrays.BIAS])[None],
        np.zeros((1, layer.neurons.shape[1])),
    )
    if k == 0:
        rows = network.read_levels(levels[None])
        if network.convolution:
            rows = rows[0, network.convolution.patches[:, 1:]]
        volts = network.design.row_voltage * rows[:, :, None]
        currents = read_current(ChannelValues(*layer.cells[:4]), arrays.states[0], volts).sum(
            axis=1
        )
        positive, negative = currents[:, :-1], currents[:, -1:]
        if network.design.pairs:
            pairs = currents.reshape(len(rows), 2, network.design.pairs, -1).sum(axis=2)
            positive, negative = pairs[:, 0], pairs[:, 1]
        starts = np.full(len(rows), start)
        return up + scale[0] * positive, down + scale[1] * negative, starts
    order = np.argsort(levels)[: np.sum(~np.isnan(levels))]  # nan is sorted last
    steps = arrays.work.weights[k][:, np.append(-1, order)].cumsum(axis=1)  # after the bias
    return up + steps[0], down + steps[1], np.append(start, levels[order])


def layered_problems(
    network: Network,
    images: np.ndarray,
    hidden_dose: str = "rule.hidden_dose",
    output_dose: str = "rule.output_dose",
    labels: np.ndarray | None = None,
) -> list[str]:
    """Return a message for each quantity that is out of range, with the parameter to change.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1
        At most `EXAMINED` of them are examined, or `EXAMINED_SLOW` if reads are slow.
    hidden_dose, output_dose : str
        Names of the parameters that set the doses of the hidden layers and of the last layer, for
        the messages.
    labels : array, n, optional
        Classes of the images. If they are given, neurons that win too many images, or none, are
        also reported.
    """
    part = _examined(network, len(images))
    images = images[part]
    doses = [*[hidden_dose] * (len(network.states) - 1), output_dose]
    design = network.design
    problems, silent = _clipping_problems(network, images, *doses), False
    paper, forward = isinstance(design, Schedule), network.forward(images)
    wrong = np.ones(len(images), bool)
    if labels is not None:
        labels = np.asarray(labels)[part]
        wrong = np.array([strict_decision(times) for times in forward[-1]]) != labels
    for layer, (states, spikes, dose) in enumerate(
        zip(network.states, forward, doses, strict=True), 1
    ):
        if np.abs(states).max() > DIVERGED:
            problems.append(
                f"cells of layer {layer} diverge, to {states.min():.3g} to {states.max():.3g} V; "
                f"lower {dose}"
            )
        last, fired = layer == len(network.states), ~np.isnan(spikes)
        silence = _silence(layer, fired, wrong, network.sizes[-1], last)
        found = "" if problems and paper else silence
        if last and labels is not None and not found:
            found = _dominance(spikes, labels)
        if found and not (last and silent):  # class neurons suffer from silent hidden layers
            advice = _advice(network, dose, last, bool(silence))
            advice += ["leave out the hidden layers"] * (not last)
            problems.append(f"{found}; {', or '.join(advice)}")
            silent = True
    return problems


def _advice(network: Network, dose: str, longer: bool, silent: bool) -> list[str]:
    """Return what helps neurons that are silent or win too often, for messages. `dose`: name of the
    parameter to lower; `longer`: True if a longer training may help; `silent`: True if neurons are
    silent.
    """
    few = any(neurons < FEW_HIDDEN for neurons in network.sizes[1:-1])
    return (
        ["raise neuron.feedback_resistance"] * (silent and isinstance(network.design, Schedule))
        + ["let synapses write late"] * network.way.rounds  # noise outweighs small doses
        + ["train longer"] * longer
        + (["take more hidden neurons"] if few else [f"lower {dose} to half"])
    )


def _examined(network: Network, count: int) -> np.ndarray:
    """Return the indices of the images, among `count`, that are examined. They are drawn at random,
    because the classes of a user's images may come in turn.
    """
    most = EXAMINED_SLOW if network.convolution or network.wired else EXAMINED
    return np.sort(np.random.default_rng(1).permutation(count)[:most])


def _silence(layer: int, fired: np.ndarray, wrong: np.ndarray, classes: int, last: bool) -> str:
    """Return a message if no neuron of a layer fires on too many images, or if too few neurons of a
    hidden layer ever fire; else "".

    A silent hidden layer can be the right answer for a class, so only images that the network gets
    `wrong` count. `layer`: number for the message. `fired`: images x neurons, True for a spike.
    `classes`: number of classes; a hidden layer needs some neurons for each. `last`: True for the
    last layer.
    """
    silent, used = ~fired.any(axis=1), int(fired.any(axis=0).sum())
    if (silent & wrong).mean() > SILENT_SHARE:
        return f"no neuron of layer {layer} fires for {silent.mean():.0%} of {len(fired)} images"
    if (
        not last
        and len(fired) >= FEW * classes
        and used < min(fired.shape[1] / 2, NEEDED * classes)
    ):
        neurons = fired.shape[1]
        return f"only {used} of {neurons} neurons of layer {layer} ever fire, for {classes} classes"
    return ""


def _dominance(spikes: np.ndarray, labels: np.ndarray) -> str:
    """Return a message if a class neuron wins far more images than its class has, or none, else "".

    `spikes`: images x classes, s; `labels`: images. With fewer than `FEW` images a class nothing is
    reported.
    """
    classes = spikes.shape[1]
    if len(labels) < FEW * classes:
        return ""
    members = np.bincount(labels, minlength=classes)
    won = np.bincount(
        [decision for decision in map(strict_decision, spikes) if decision >= 0], minlength=classes
    )
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


def _clipping_problems(network: Network, images: np.ndarray, *doses: str) -> list[str]:
    """Return a list with a message if clipping matters, else an empty one. `doses`: for each layer
    the name of the parameter that sets its dose, for the message.

    Clipping matters if it changes decisions, or if it moves first spikes by more than the two
    engines differ without clipping.
    """
    if network.wired:  # its closed form has no rails
        return []
    free, clipped = network.forward(images, rails=False)[-1], network.first_spikes(images)
    changed = sum(
        strict_decision(one) != strict_decision(other)
        for one, other in zip(free, clipped, strict=True)
    )
    moved = float(
        np.abs(
            first_two(free, network.design.window) - first_two(clipped, network.design.window)
        ).max()
    )
    if not changed and moved < AGREED * len(network.states):
        return []
    if isinstance(network.design, Schedule):
        return operating_range(network.setup, network.states[0], images).problems
    required, limits = required_stage_voltages(network, images).max(axis=0), rails(network)
    layer, stage = np.unravel_index(np.argmax(required / limits), limits.shape)
    return [
        f"stages clip: the {STAGES[stage]} of layer {layer + 1} would need "
        f"{required[layer, stage]:.3g} V, its rail is at {limits[layer, stage]:.3g} V; spikes move "
        f"by up to {moved * 1e6:.2g} us, and {changed} of {len(images)} images are classified "
        f"differently; lower {doses[layer]} or design.stage_swing"
    ]


def warn_of_layers(
    network: Network,
    images: np.ndarray,
    hidden_dose: str = "rule.hidden_dose",
    output_dose: str = "rule.output_dose",
    labels: np.ndarray | None = None,
    name: str = "",
) -> None:
    """Issue each message of `layered_problems`, which takes the same arguments, as a warning. Each
    warning begins with the `name` of the network.
    """
    for problem in layered_problems(network, images, hidden_dose, output_dose, labels):
        warnings.warn(
            f"{name}: {problem}" if name else problem, OperatingRangeWarning, stacklevel=3
        )


def warn_of_reads(network: Network, images: np.ndarray, spikes: np.ndarray) -> None:
    """Warn of a read in which stages clip, too many images have no spike, or one neuron wins all
    images.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1
        Stages and winners of at most `EXAMINED` of them are examined, or `EXAMINED_SLOW`.
    spikes : array, n x classes, s
        First spikes that the read gave; nan: silent.
    """
    if not len(images):
        return
    part, silent = _examined(network, len(images)), np.isnan(spikes).all(axis=1).mean()
    problems = _clipping_problems(network, images[part], *["the doses"] * len(network.states))
    advice = ", or ".join(_advice(network, "the doses", True, bool(silent > SILENT_SHARE)))
    if problems:
        pass  # the cause of all that follows
    elif silent > SILENT_SHARE:
        if isinstance(network.design, Schedule):
            problems = operating_range(network.setup, network.states[0], images[part]).problems
        problems = problems or [
            f"no class neuron fires for {silent:.0%} of {len(images)} images; {advice}"
        ]
    else:
        winners = [strict_decision(times) for times in spikes[part]]
        enough = network.sizes[-1] > 1 and len(winners) >= FEW * network.sizes[-1]
        if enough and len(set(winners)) == 1 and winners[0] >= 0:
            problems = [
                f"class neuron {winners[0]} wins all of {len(winners)} images; if these have "
                f"several classes, {advice}"
            ]
    for problem in problems:
        warnings.warn(problem, OperatingRangeWarning, stacklevel=3)
