"""Learning without a teacher, as studies run it: what is presented to which circuit, a whole transient of it, who owns what."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit

from datasets import Dataset, digits_012345, xpue
from memristive.single_layer.operating_range import left_over, rail, settled_membranes
from memristive.single_layer.pulses import Schedule
from memristive.spice.netlist import netlist_text
from memristive.spice.parameters import ParameterError
from memristive.spice.session import LoadedCircuit, NgspiceSession, Waveforms
from memristive.stdp.stdp_circuit import (
    LEARNING,
    SILENT,
    SelfLearningCircuit,
    SelfLearningParameters,
    self_learning_network,
    winners,
)
from memristive.variability.chip import Chip
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters, names, state_names

LEAK = 1e9  # ohm, R_leak: with K = 5e-9 S a written cell tends to 5 V times its input, in 3.55 ms
JUDGED = 10  # presentations a pattern, the last of a run, by which its owner is told
PAUSES = 40  # of a transient, to show how far it is


@dataclass(frozen=True)
class Unsupervised:
    """A data set of patterns and the circuit that is to learn it, one neuron a pattern, by itself."""

    dataset: Dataset
    design: SelfLearningCircuit
    presentations: int
    dual_rail: bool = False  # inputs v and 1 - v, so that all patterns weigh the same
    start: tuple[float, float] = (1.5, 2.5)  # V, each cell's X at first is drawn evenly from this range

    @property
    def patterns(self) -> np.ndarray:
        """What the inputs are given: patterns x inputs, 0 to 1."""
        return both_rails(self.dataset.patterns) if self.dual_rail else self.dataset.patterns


def both_rails(images: np.ndarray) -> np.ndarray:
    """`images` (n x pixels) with their complements: n x 2 pixels."""
    return np.hstack([images, 1 - images])


def _circuit(feedback: float, pulse: float, homeostasis_current: float) -> SelfLearningCircuit:
    network = NetworkParameters(MemristorParameters(leak_resistance=LEAK), NeuronParameters(feedback_resistance=feedback))
    return SelfLearningCircuit(network, SelfLearningParameters(homeostasis_current=homeostasis_current),
                               Schedule(pulse=pulse, period=3e-3))


def unsupervised_xpue() -> Unsupervised:
    """XPUE: 9 inputs, four neurons, 160 presentations."""
    return Unsupervised(xpue(), _circuit(5e3, 0.6e-3, 0.5e-6), 160)


def unsupervised_digits() -> Unsupervised:
    """012345: 30 inputs, since 1 has five pixels where 2 and 3 have eleven; six neurons, 240 presentations."""
    return Unsupervised(digits_012345(), _circuit(3e3, 0.3e-3, 0.2e-6), 240, dual_rail=True)


@dataclass(frozen=True)
class Trial:
    """What chance decides about one run: all follows from the seed."""

    states: np.ndarray  # neurons x inputs, X at first in V
    order: np.ndarray  # presentations, which pattern each shows
    images: np.ndarray  # presentations x inputs, 0 to 1, with flipped pixels
    chip: Chip | None  # whose devices differ


def trial(task: Unsupervised, neurons: int, seed: int, spread: float = 0.0, flipped: float = 0.0) -> Trial:
    """Draw start states, order, the pixels that flip (a share of `flipped`) and the devices' `spread` from one seed.

    Raises ParameterError for fewer neurons than patterns and for no presentations.
    """
    if neurons < len(task.patterns):
        raise ParameterError(f"{len(task.patterns)} patterns cannot each have a neuron of their own among {neurons}; give "
                             f"--neurons {len(task.patterns)} or more")
    if task.presentations < 1:
        raise ParameterError(f"a circuit that learns needs at least one image, got {task.presentations} presentations")
    generator = np.random.default_rng(seed)
    states = generator.uniform(*task.start, (neurons, task.patterns.shape[1]))
    order = generator.integers(0, len(task.patterns), task.presentations)
    pixels = task.dataset.patterns[order]
    pixels = np.where(generator.random(pixels.shape) < flipped, 1 - pixels, pixels)
    chip = None
    if spread:
        chip = Chip(len(states), states.shape[1], seed, cell_gain=spread, cell_write_gain=spread, neuron_threshold=spread)
    return Trial(states, order, both_rails(pixels) if task.dual_rail else pixels, chip)


def thresholds(task: Unsupervised, drawn: Trial) -> np.ndarray:
    """Each neuron's own threshold in V, without what homeostasis adds (neurons)."""
    neuron = task.design.network.neuron
    return np.full(len(drawn.states), neuron.threshold) if drawn.chip is None else drawn.chip.neurons(neuron).threshold


def netlist(task: Unsupervised, drawn: Trial) -> Circuit:
    """The whole circuit of a trial: inputs, crossbar, neurons, phi, inhibition, homeostasis."""
    return self_learning_network(task.design, drawn.states, drawn.images, chip=drawn.chip)


@dataclass(frozen=True)
class Learned:
    """What one transient did, presentation by presentation."""

    patterns: int  # to be learned, also those never shown
    order: np.ndarray  # presentations, the pattern shown
    winners: np.ndarray  # presentations, the neuron that fired first
    states: np.ndarray  # 1 + presentations x neurons x inputs, X in V before each and at the end
    homeostasis: np.ndarray  # 1 + presentations x neurons, V

    @property
    def wins(self) -> np.ndarray:
        """How often, of the last `JUDGED` presentations a pattern, each neuron fired first: patterns x neurons."""
        neurons = self.states.shape[1]
        counts = np.zeros((self.patterns, neurons), int)
        for pattern in range(self.patterns):
            last = self.winners[self.order == pattern][-JUDGED:]
            counts[pattern] = np.bincount(last[last >= 0], minlength=neurons)
        return counts

    @property
    def owners(self) -> np.ndarray:
        """The neuron that fired first most often for each pattern; SILENT where none did."""
        return np.where(self.wins.any(axis=1), self.wins.argmax(axis=1), SILENT)

    @property
    def each_its_own(self) -> bool:
        """Whether every pattern has a neuron of its own."""
        return len(set(self.owners)) == len(self.owners) and SILENT not in self.owners

    @property
    def purity(self) -> float:
        """Share of the judged presentations that the pattern's owner won."""
        shown = sum(min(JUDGED, int(np.sum(self.order == p))) for p in range(self.patterns))
        return float(self.wins.max(axis=1).sum() / shown)


def learn(session: NgspiceSession, task: Unsupervised, drawn: Trial,
          watch: Callable[[float], None] = lambda done: None) -> Learned:
    """Run a trial's transient in ngspice: the circuit learns, nothing else does. `watch(share done)` is called now and then."""
    neurons, inputs = drawn.states.shape
    schedule, presentations = task.design.schedule, len(drawn.order)
    gates, voltages = state_names(neurons, inputs), names("homeostasis", neurons)
    loaded = session.load(netlist(task, drawn), LEARNING, gates + voltages + names("output", neurons))
    try:
        waves = _last(loaded, schedule.stop(presentations), watch)
        before = schedule.period * np.arange(presentations + 1)
        states = np.array([np.interp(before, waves.time, waves[name]) for name in gates])
        homeostasis = np.array([np.interp(before, waves.time, waves[name]) for name in voltages])
        found = winners(waves, task.design, neurons, presentations)
    finally:
        session.unload(loaded)
    return Learned(len(task.patterns), drawn.order, found, states.T.reshape(-1, neurons, inputs), homeostasis.T)


def weak_inhibition(design: SelfLearningCircuit) -> str:
    """What to say of a shunt that need not hold a neuron down; "" if it does."""
    ohms, sure = design.learning.inhibition_resistance, design.sure_inhibition
    return (f"from --inhibition-resistance {sure:.3g} on, here {ohms:g} ohm, membranes that are shunted may still reach their "
            "threshold: neurons may fire together, or fire and hold each other down in turn, where ngspice's steps find no end"
            ) * (ohms >= sure)


def doubts(task: Unsupervised, images: np.ndarray, learned: Learned) -> str:
    """What is wrong with the range of the membranes while `images` were learned, and the parameter to change; "" if nothing is.

    Currents are those before and after each presentation, of a circuit whose devices do not differ.
    """
    network, schedule, neuron = task.design.network, task.design.schedule, task.design.network.neuron
    highest = np.array([max(settled_membranes(network, schedule, states, image[None]).max() for states in learned.states[k:k + 2])
                        for k, image in enumerate(images)])
    top, most = float(highest.max()), rail(neuron)
    left = left_over(neuron, schedule, top)
    silent = "all neurons stay silent: " * bool(np.all(learned.winners == SILENT))
    if top < neuron.threshold:
        return (f"{silent}the highest membrane settles at {top:.3g} V, below the threshold of "
                f"{neuron.threshold:g} V; a higher --feedback-resistance or a lower --threshold would help")
    if most < neuron.threshold:
        return (f"{silent}the stages give {most:.3g} V at most, below the threshold of {neuron.threshold:g} V; "
                "a lower --threshold would help")
    if silent:
        return (f"{silent}membranes are too slow for the pulse: they settle at up to {top:.3g} V, but not within "
                f"{schedule.pulse:g} s with a time constant of {neuron.time_constant:.3g} s; a longer --pulse would help")
    found, clipped = [], int(np.sum(highest >= most))
    if clipped:
        found.append(f"stages clip in {clipped} of {len(images)} presentations: {top:.3g} V wanted of a membrane, the rail is at "
                     f"{most:.3g} V; their columns leave 0 V, so cells are written otherwise (a lower --feedback-resistance, "
                     "--transconductance or --leak-resistance would help)")
    if left:
        found.append("membranes have not come to rest when the next pattern comes: "
                     f"of {top:.3g} V up to {left:.2g} V are left (a longer --period would help)")
    return "; ".join([*found, "of this the closed form knows nothing"] if found else [])


def _last(loaded: LoadedCircuit, stop: float, watch: Callable[[float], None]) -> Waveforms:
    for done, waves in enumerate(loaded.run(stop, list(np.linspace(0, stop, PAUSES + 1)[1:-1])), 1):
        watch(done / PAUSES)
        last = waves
    return last


def foretold(task: Unsupervised, drawn: Trial) -> np.ndarray | None:
    """The winners of a trial by the closed form; None where the devices differ, which it does not know."""
    if drawn.chip is not None:
        return None
    from memristive.stdp.stdp_closed_form import numbers, present_all  # loads numba

    volts = task.design.schedule.input_voltage * drawn.images
    return present_all(drawn.states.copy(), np.zeros(len(drawn.states)), volts, np.arange(len(volts)), numbers(task.design))


def batch_netlist(task: Unsupervised, drawn: Trial) -> str:
    """The circuit as text for `ngspice -b` and nothing else: it learns, then prints who fires for what and what was learned."""
    (neurons, inputs), schedule = drawn.states.shape, task.design.schedule
    gates, outputs, high = state_names(neurons, inputs), names("output", neurons), task.design.network.neuron.output_high / 2
    text = netlist_text(netlist(task, drawn), LEARNING, schedule.stop(len(drawn.order)), gates + outputs, outputs)
    text = re.sub(r"\.print .*\n|\.end\n", "", text)
    lines = [".control", "run", "echo", "echo The neuron that fires at the last presentation of each pattern:",
             f"let fired = {' + '.join(f'(v({output}) gt {high:g})' for output in outputs)}",
             f"let number = {' + '.join(f'{j}*(v({output}) gt {high:g})' for j, output in enumerate(outputs))}"]
    for pattern, label in enumerate(task.dataset.labels):
        shown = np.flatnonzero(drawn.order == pattern)
        if len(shown):
            time = schedule.start(int(shown[-1])) + schedule.pulse
            lines += [f"meas tran fired_{pattern} find fired at={time:.9g}",
                      f"meas tran found_{pattern} find number at={time:.9g}", f"let neuron = floor(found_{pattern} + 0.5)",
                      f"let count = floor(fired_{pattern} + 0.5)", "if count = 1",
                      f"echo pattern {label} is won by neuron $&neuron", "else",
                      f"echo pattern {label} is won by none: $&count neurons fire", "end"]
    lines += ["echo", "echo States learned, V, neuron by neuron:", "let last = length(time) - 1"]
    for j in range(neurons):
        row = gates[j * inputs:(j + 1) * inputs]
        lines += [f"let x{i} = floor(10*v({gate})[last] + 0.5)/10" for i, gate in enumerate(row)]
        lines.append(f"echo neuron {j}: " + " ".join(f"$&x{i}" for i in range(inputs)))
    # Without "quit" ngspice 39 ends with exit code 1: it finds no .print behind the control block.
    return text + "\n".join([*lines, "quit 0", ".endc", ".end", ""])
