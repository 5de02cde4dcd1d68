"""Evidence for docs/circuit.md: where the closed form is exact, and that doubts name the rest.

For which parameters are spikes of the closed form exact, and is each other parameter named?

Three networks of nine inputs have random weights: the paper's layer, pairs of EpiRAM, and two
layers of emulators. One parameter at a time takes values from its default to both ends of the range
that `quantity` allows. The transresistance follows, so that the largest drive stays the same;
otherwise neurons would be silent or stages clip. Each network reads two grey images in closed form,
and in a transient of the whole network with fine steps. Two things are recorded: the largest
difference between spikes before 250 us, and the doubts of `Network.doubts`. All times scale with
the membranes' time constant, whose default is 150 us.

The transient is a reference only where its own steps do not matter. In ngspice a cell loses charge
if its row rises by 0.3 to 25 mV in a time step. So that a row rises by 0.5 mV, steps are shorter
during slow edges, and a difference above the bound without a
doubt counts only if such short steps confirm it. Spikes of stages that clip are not compared.

Writes results/one_layer/closed_form_range.json. Ten minutes on one core. Ctrl-C saves a
checkpoint for --resume.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.devices.measured_device import load_device
from memristive.engines.whole_network import STEPPED, WholeNetwork
from memristive.learning.build import initial_network
from memristive.learning.settings import learning_of
from memristive.network.design import LayerDesign, Schedule
from memristive.network.networks import Network
from memristive.parameters import ParameterError, SimulationError
from memristor import MemristorParameters, read_current
from snn_circuit import Cells, NetworkParameters, NeuronParameters

BOUND = 10e-9  # s
CLEAR = 250e-6  # s: later spikes belong to membranes that settle little above the threshold
MEASURED_AT = NeuronParameters().time_constant
SEED, INPUTS, NEURONS = 7, 9, 4
# V per time step: ngspice loses charge below the first, little below the second
COARSE_STEP, FINE_STEP = 30e-3, 0.5e-3
PAPER, PAIRS, LAYERS = "the paper's layer", "pairs of EpiRAM", "two layers"
# Parameters of reads. A layer's design sets the feedback resistor and the transconductance.
DEVICE = (
    *("capacitance", "width", "length", "oxide_thickness", "kp"),
    *("threshold_voltage", "junction_current"),
)
NEURON = (
    *("stage_resistance", "membrane_resistance", "membrane_capacitance", "threshold"),
    *("amplifier_gain", "amplifier_output_resistance"),
)
PAPERS_NEURON = ("feedback_resistance", "membrane_transconductance")
DESIGN = (
    *("reference_state", "stage_swing", "row_voltage", "hidden_bias", "output_bias"),
    *("output_gain", "rise"),
)
DECADES = 3
MOST_STEPS = 30_000  # of a transient
THRESHOLDS = (-1000.0, -100.0, -10.0, -3.0, -1.0, 1.0, 2.0, 3.0)  # V, beside the default Vto
AREAS = (2.0, 3.0, 5.0, 10.0)  # factors on both sides of the channel, "memristor.size"


@dataclass(frozen=True)
class Point:
    """One `value` of the parameter `name` of a `network`, whose `part` is memristor, neuron or
    design.
    """

    network: str
    part: str
    name: str
    value: float

    def changed(self) -> Network:
        """Return the network with this value, and the same largest drive as before. Raise
        ParameterError if this takes a transresistance that is not allowed.
        """
        start = CASES[self.network]()
        names = ("width", "length") if self.name == "size" else (self.name,)
        parts = {**vars(start.parameters), "design": start.design}
        parts[self.part] = dataclasses.replace(parts[self.part], **dict.fromkeys(names, self.value))
        scale = parts["neuron"].time_constant / MEASURED_AT
        paper = isinstance(start.design, Schedule)
        longer = ("pulse", "period", "sampling_step") if paper else ("window",)
        parts["design"] = dataclasses.replace(
            parts["design"], **{name: scale * getattr(start.design, name) for name in longer}
        )
        found = made(start, parts)
        factor = drive(start) / drive(found)
        part, name = (
            ("design", "transresistance")
            if not paper
            else ("neuron", "membrane_transconductance")
            if self.name in ("feedback_resistance", "threshold", "membrane_resistance")
            else ("neuron", "feedback_resistance")
        )
        now = getattr(parts[part], name)
        parts[part] = dataclasses.replace(parts[part], **{name: now * factor})
        return made(start, parts)

    def result(self) -> dict[str, Any]:
        """Return the largest difference in s between the engines, scaled to the default time
        constant, and the doubts, as a row. Runs in a worker.
        """
        row: dict[str, Any] = dataclasses.asdict(self) | {"spikes": 0, "doubts": []}
        try:
            network = self.changed()
        except ParameterError:
            return row | {"outcome": "no drive: the transresistance would be out of range"}
        row["doubts"] = network.doubts
        tau = network.parameters.neuron.time_constant
        images, stop = pictures(), min(1.1 * CLEAR * tau / MEASURED_AT, network.design.window)
        found = network.forward(images)
        if not any(np.any(layer < CLEAR * tau / MEASURED_AT) for layer in found):
            return row | {"outcome": "no spike"}
        free = network.forward(images, rails=False)
        if any(not np.array_equal(*pair, equal_nan=True) for pair in zip(found, free, strict=True)):
            return row | {"outcome": "a stage clips"}
        worst = None
        for step in steps(network, tau)[: 1 if row["doubts"] else 2]:
            try:
                difference, spikes = compared(network, images, found, step, stop, tau)
            except SimulationError:
                return row | {"outcome": "ngspice does not converge", "difference_s": worst}
            row["spikes"] = spikes
            worst = difference if worst is None else min(worst, difference)
            if worst <= BOUND:
                break
        return row | {"outcome": "", "difference_s": worst}


def made(start: Network, parts: dict[str, Any]) -> Network:
    """Return the network `start` with other `parts`: memristor, neuron and design."""
    parameters = NetworkParameters(parts["memristor"], parts["neuron"])
    return dataclasses.replace(start, parameters=parameters, design=parts["design"])


def pictures() -> np.ndarray:
    """Return two grey images, with some dark pixels (2 x inputs)."""
    rng = np.random.default_rng(SEED)
    return rng.random((2, INPUTS)) * (rng.random((2, INPUTS)) < 0.7)


def papers_layer() -> Network:
    """Return the paper's layer, whose neurons fire at 100 to 200 us."""
    states = np.random.default_rng(SEED).normal(5.0, 1.0, (NEURONS, INPUTS))
    neuron = NeuronParameters(feedback_resistance=3e3)
    return Network((states,), NetworkParameters(neuron=neuron), Schedule())


def pairs_of_epiram() -> Network:
    """Return one layer of pairs of EpiRAM with states anywhere in their range."""
    given, rule = learning_of(load_device("epiram"), 1, 1)
    network = initial_network((), NEURONS, pictures(), rule, **given)
    curve = network.parameters.memristor.curve
    assert curve
    states = np.random.default_rng(SEED).uniform(curve.low, curve.high, network.states[0].shape)
    return dataclasses.replace(network, states=(states,))


def two_layers() -> Network:
    """Return two layers of emulators with a reference column each."""
    rng = np.random.default_rng(SEED)
    shapes = ((6, INPUTS + 1), (NEURONS, 7))
    return Network(tuple(rng.normal(6.0, 1.0, shape) for shape in shapes))


CASES = {PAPER: papers_layer, PAIRS: pairs_of_epiram, LAYERS: two_layers}


def drive(network: Network) -> float:
    """Return the largest drive of the first layer without rails and bias, in thresholds, for the
    bright image.
    """
    parameters, design, states = network.parameters, network.design, network.states[0]
    cells = Cells.of(parameters.memristor)
    level = np.ones(states.shape[1])

    def current(of: np.ndarray) -> np.ndarray:
        return read_current(cells, of, design.row_voltage * level).sum(axis=-1)

    if isinstance(design, Schedule):
        ohms, currents = parameters.neuron.transresistance, current(states)
    else:
        assert isinstance(design, LayerDesign)
        half = len(states) // 2
        ohms = design.transresistance
        currents = (
            current(states[:half]) - current(states[half:])
            if design.pairs
            else current(states) - current(np.full(states.shape[1], design.reference_state))
        )
    found = float(currents.max()) * ohms / parameters.neuron.threshold
    if not found > 0:
        raise ParameterError("no column conducts")
    return found


def steps(network: Network, tau: float) -> tuple[float, float]:
    """Return the longest steps in s of the two references: the first steps over the charge that
    ngspice loses, the second is so short that little is lost.
    """
    slope = network.design.row_voltage / network.design.rise  # V/s
    usual = STEPPED.max_step * tau / MEASURED_AT
    longest = usual if len(network.states) > 1 else 10 * usual
    fine = min(usual, FINE_STEP / slope)
    coarse = max(usual, COARSE_STEP / slope)
    return (coarse if coarse <= longest else fine), fine


def compared(
    network: Network,
    images: np.ndarray,
    found: list[np.ndarray],
    step: float,
    stop: float,
    tau: float,
) -> tuple[float, int]:
    """Return the largest difference in s between the spikes `found` in closed form and those of a
    transient with this `step`, scaled to the default time constant, and the number of spikes.
    """
    step = max(step, stop / MOST_STEPS)
    whole = WholeNetwork(network, dataclasses.replace(STEPPED, max_step=step))
    clear, worst, spikes = CLEAR * tau / MEASURED_AT, 0.0, 0
    for k, image in enumerate(images):
        for layer, expected in zip(found, whole.read(image, stop), strict=True):
            early = (expected < clear) | (layer[k] < clear)
            ends = [np.nan_to_num(times, nan=stop)[early] for times in (layer[k], expected)]
            worst = max(worst, float(np.abs(np.subtract(*ends)).max(initial=0.0)))
            spikes += int(early.sum())
    return worst * MEASURED_AT / tau, spikes


def values(default: float, low: float, high: float) -> Iterator[float]:
    """Yield a parameter's values: the default times 1/3 and 3, then up to `DECADES` powers of
    ten, then both ends. A default of 0 stands for 1.
    """
    size = abs(default) or 1.0
    bounds = sorted((abs(low), abs(high))) if default < 0 else [max(low, 0.0), high]
    for end in bounds:
        if end > 0:
            decades = int(abs(math.log10(end / size)))
            way = 1 if end > size else -1
            for power in (0.5, *range(1, min(decades, DECADES) + 1)):
                if power <= abs(math.log10(end / size)):
                    yield math.copysign(size * 10.0 ** (way * power), default or 1.0)
            yield math.copysign(end, default or 1.0)


def points() -> Iterator[Point]:
    """Yield all points of the study."""
    for case, make in CASES.items():
        network = make()
        papers = case == PAPER
        parts: dict[str, tuple[Any, tuple[str, ...]]] = {
            "memristor": (network.parameters.memristor, DEVICE),
            "neuron": (network.parameters.neuron, NEURON + PAPERS_NEURON * papers),
            "design": (network.design, ("input_voltage", "rise") if papers else DESIGN),
        }
        for part, (of, names) in parts.items():
            fields = {field.name: field for field in dataclasses.fields(of)}
            for name in names:
                limits, default = fields[name].metadata, getattr(of, name)
                if name == "threshold_voltage":
                    found = [default, *(default + volts for volts in THRESHOLDS)]
                else:
                    found = list(values(default, limits["low"], limits["high"]))
                yield from (Point(case, part, name, value) for value in found)
        device = network.parameters.memristor
        yield from (Point(case, "memristor", "size", device.width * k) for k in AREAS)


def main(arguments: list[str] | None = None) -> None:
    """Compare both engines at all points, save, print."""
    parser = add_resume(make_parser(__doc__, "one_layer", parameters=False))
    options = parser.parse_args(arguments)
    parameters = {
        "seed": SEED,
        "inputs": INPUTS,
        "bound_s": BOUND,
        "clear_s": CLEAR,
        "solver": STEPPED.as_dict(),
        "memristor": MemristorParameters().as_dict(),
    }
    record = Record(options, "closed_form_range", parameters)
    tasks = list(dict.fromkeys(points()))
    rows = record.run_tasks(Point.result, tasks)
    record.write({"rows": rows}, ngspice=True)
    off = [row for row in rows if (row.get("difference_s") or 0.0) > BOUND]
    print(f"{len(rows)} points, {len(off)} off by more than {1e9 * BOUND:g} ns; without a doubt:")
    print_rows([row for row in off if not row["doubts"]], drop=["outcome", "spikes"])


if __name__ == "__main__":
    run(main)
