"""One ngspice transient: start-up, training images with labels, test images without; its netlist,
its outputs and energies.

Times, voltages and options follow the contest mnist4-circuit-learning-v0
(docs/transistors.md).
"""

import functools
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memristive.parameters import Fields, FloatOrArray, SimulationError
from memristive.spice.power import positive_energy
from transistors.circuit import (
    BIAS,
    CONTROLS,
    EDGE,
    HIGH,
    LOW,
    MODELS,
    SLOT,
    TARGET,
    LearnerParameters,
    netlist,
)

STARTUP = 20e-3  # s
STEP = 10e-6  # s, the longest step
ON = 3.0  # V, of reset, learn and clock
OPTIONS = ".options reltol=1e-5 abstol=1e-12 vntol=1e-7 temp=27"
# solves the same equations as ngspice's default solver in two thirds of the time; needs ngspice 42
KLU = " klu"
TITLE = ".title transistors that learn from their errors"
READ_AT = 0.9  # of an image's slot
PATTERN_PASSES = 6  # presentations of each pattern
RESOLUTION = 1e-6  # V, below which the two highest scores are tied
TIED = -1  # predicted class of a tie
TROUBLE = re.compile(
    r"\baborted\b|\bfatal\b|^\s*error|singular matrix", re.IGNORECASE | re.MULTILINE
)
Trace = dict[str, np.ndarray]  # "time" in s and saved vectors in V and A, by their ngspice names


@dataclass(frozen=True)
class Transient:
    """Images of one transient in order (images x inputs, 0 to 1), each with its label (-1: none).

    `learning` is True for the images that the circuit learns from.
    """

    images: np.ndarray
    labels: np.ndarray
    learning: np.ndarray
    classes: int = 10

    @property
    def inputs(self) -> int:
        """Number of pixels."""
        return self.images.shape[1]

    @property
    def driven(self) -> list[str]:
        """Names of the driven pins, in the contest's order."""
        return [
            *BIAS,
            *CONTROLS,
            *(f"in{i}" for i in range(self.inputs)),
            *(f"target{c}" for c in range(self.classes)),
        ]

    @property
    def outputs(self) -> list[str]:
        """Names of the output pins."""
        return [f"out{c}" for c in range(self.classes)]

    @property
    def begins(self) -> np.ndarray:
        """Start of each image in s."""
        return STARTUP + np.arange(len(self.images)) * SLOT

    @property
    def stop(self) -> float:
        """End of the transient in s."""
        return STARTUP + len(self.images) * SLOT


def orders(count: int, passes: int) -> tuple[np.ndarray, np.random.Generator]:
    """Return the indices of `count` training images in `passes` passes, each shuffled anew, and the
    generator that shuffled them.
    """
    rng = np.random.default_rng(0)
    return np.concatenate([rng.permutation(count) for _ in range(passes)]), rng


def pattern_transient(patterns: np.ndarray) -> Transient:
    """Return a transient that tests all `patterns` (classes x pixels), learns them in several
    passes and tests them again. Beside each pattern stands its complement.

    So all images have the same sum. The circuit's score is a mean of its inputs, weighted by
    conductances. Only with equal sums does a conductance above or below the mean of its column act
    as a signed weight.
    """
    images, every = np.hstack([patterns, 1 - patterns]), np.arange(len(patterns))
    shown = np.concatenate([every, orders(len(every), PATTERN_PASSES)[0], every])
    learning = np.ones(len(shown), bool)
    learning[: len(every)] = learning[-len(every) :] = False
    return Transient(images[shown], np.where(learning, shown, -1), learning, classes=len(every))


def sources(transient: Transient) -> list[str]:
    """Return the netlist lines of all drivers, each with an ammeter in series: V_pin carries the
    current of the pin.

    The waveforms are behavioural sources of time, as in the contest. ngspice could step over their
    edges, because they set no breakpoints. So two pulse sources set them: the clock at every image,
    and a guard without connection during start-up.
    """
    values = {name: np.full(len(transient.images), volts) for name, volts in BIAS.items()}
    values |= {
        "reset": np.zeros(len(transient.images)),
        "learn": np.where(transient.learning, ON, 0.0),
    }
    values |= {
        f"in{i}": LOW + (HIGH - LOW) * transient.images[:, i] for i in range(transient.inputs)
    }
    values |= {
        f"target{c}": np.where(transient.labels == c, TARGET, 0.0) for c in range(transient.classes)
    }
    lines = []
    for name in transient.driven:
        if name == "clock":
            times = f"{STARTUP:.16g} {EDGE:.16g} {EDGE:.16g} {SLOT / 2 - EDGE:.16g} {SLOT:.16g}"
            lines.append(f"V_clock clock 0 PULSE(0 {ON:g} {times})")
            continue
        points = _corners(transient, values[name], name == "reset")
        lines += [f"V_{name} {name} drive_{name} 0", f"B_{name} drive_{name} 0 V=pwl(time,"]
        lines += [f"+ {t:.16g}, {v:.16g}," for t, v in points[:-1]] + [
            f"+ {points[-1][0]:.16g}, {points[-1][1]:.16g})"
        ]
    guard = f"{EDGE:.16g} {EDGE:.16g} {STARTUP - 2 * EDGE:.16g} {2 * transient.stop:.16g}"
    return [*lines, f"V_guard guard 0 PULSE(0 1 0 {guard})"]


def _corners(transient: Transient, values: np.ndarray, reset: bool) -> list[tuple[float, float]]:
    """Return the corners (s, V) of a waveform with these `values` (V) during the images; between
    two equal values there is no corner. `reset`: the waveform is high during start-up.
    """
    before = values[0] if len(set(values)) == 1 else 0.0
    points = [(0.0, 0.0), (EDGE, before), (STARTUP, before)]
    if reset:
        points = [(0.0, 0.0), (EDGE, ON), (STARTUP - EDGE, ON), (STARTUP, 0.0)]
    for begin, value in zip(transient.begins, values, strict=True):
        points += [(begin + EDGE, value), (begin + SLOT, value)]
    return [
        point
        for k, point in enumerate(points)
        if k in (0, len(points) - 1) or not points[k - 1][1] == point[1] == points[k + 1][1]
    ]


def deck(circuit: str, transient: Transient, save: Sequence[str] = ()) -> str:
    """Return the complete netlist for ``ngspice -b -r``: models, drivers, circuit, loads, and what
    to save. `circuit`: lines of the elements; `save`: internal nodes beside the pins.
    """
    driven, outputs = transient.driven, transient.outputs
    pins = " ".join([*driven, *outputs])
    loads = [
        f"{kind}load{c} {name} 0 {value}"
        for c, name in enumerate(outputs)
        for kind, value in (("R", "1g"), ("C", "1p"))
    ]
    saved = [
        *(f"v({name})" for name in [*outputs, *driven]),
        *(f"i(V_{name})" for name in driven),
        *(f"v(xlearner.{node})" for node in save),
    ]
    return "\n".join(
        [
            TITLE,
            MODELS,
            OPTIONS + KLU,
            *sources(transient),
            f".subckt learner {pins}",
            circuit.rstrip(),
            ".ends learner",
            f"Xlearner {pins} learner",
            *loads,
            *(f".save {' '.join(saved[k : k + 20])}" for k in range(0, len(saved), 20)),
            f".tran {STEP:.16g} {transient.stop:.16g} 0 {STEP:.16g} uic",
            ".end",
            "",
        ]
    )


def batch_netlist(
    parameters: LearnerParameters, patterns: np.ndarray, labels: Sequence[str]
) -> str:
    """Return a netlist for `ngspice -b` alone: it learns `patterns` (two or more, classes x pixels)
    with these names, and prints which it recognises before and after.
    """
    transient, count = pattern_transient(patterns), len(labels)
    words = [re.sub(r"[^\w+=-]", "_", label) for label in labels]  # others may be commands
    text = deck(netlist(parameters, range(count), transient.inputs), transient)
    text = text.replace(f"{KLU}\n", "\n", 1)  # older versions of ngspice do not know it
    lines = [".control", "run"]
    tests = np.flatnonzero(~transient.learning)
    for title, part in (("Before learning:", tests[:count]), ("After learning:", tests[count:])):
        lines += ["echo", f"echo {title}"]
        for pattern, at in enumerate(transient.begins[part] + READ_AT * SLOT):
            lines += [f"meas tran score{c} find v(out{c}) at={at:.9g}" for c in range(count)]
            others = [f"score{c}" for c in range(count) if c != pattern]
            highest = functools.reduce(lambda a, b: f"max({a}, {b})", others)
            lines += [
                f"let lead = score{pattern} - {highest}",
                "let millivolts = floor(1e5*lead + 0.5)/100",
                "if lead > 1e-6",
                f"echo {words[pattern]} is recognised: its score leads by $&millivolts mV",
                "else",
                f"echo {words[pattern]} is not recognised",
                "end",
            ]
    return text.removesuffix(".end\n") + "\n".join([*lines, "quit 0", ".endc", ".end", ""])


def simulate(text: str, stop: float) -> Trace:
    """Run a netlist with .tran and .save by ``ngspice -b -r``; return its trace. `stop`: end of the
    transient in s.

    Raises
    ------
    SimulationError
        ngspice stopped early or printed an error. Its log is searched, because an aborted run still
        writes data and returns 0.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "learner.cir").write_text(text)
        done = subprocess.run(
            ["ngspice", "-n", "-b", "-r", "trace.raw", "learner.cir"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
        )
        if done.returncode or TROUBLE.search(done.stdout):
            lines = [line for line in done.stdout.splitlines() if TROUBLE.search(line)]
            raise SimulationError(f"ngspice failed on the learner: {' '.join(lines)[:300]!r}")
        header, _, data = (folder / "trace.raw").read_bytes().partition(b"Binary:\n")
    names = [line.split()[1].lower() for line in header.decode().split("\n") if line[:1] == "\t"]
    points = np.frombuffer(data, "<f8").reshape(-1, len(names))
    if abs(points[-1, 0] - stop) > 1e-9 * stop:
        raise SimulationError(f"ngspice's trace ends at {points[-1, 0]:g} s instead of {stop:g} s")
    return dict(zip(names, points.T, strict=True))


def sampled(trace: Trace, name: str, times: FloatOrArray) -> np.ndarray:
    """Return the vector `name` of a trace (V or A) at `times` in s (any shape), interpolated."""
    return np.asarray(np.interp(times, trace["time"], trace[name]))


def predictions(trace: Trace, transient: Transient, shown: np.ndarray) -> np.ndarray:
    """Return the class with the highest output for the images `shown` (indices) of the transient,
    `TIED` for two outputs within 1 uV.
    """
    times = transient.begins[shown] + READ_AT * SLOT
    outputs = np.array([sampled(trace, f"v({name})", times) for name in transient.outputs]).T
    second, first = np.sort(outputs, axis=1)[:, -2:].T
    return np.where(first - second <= RESOLUTION, TIED, outputs.argmax(axis=1))


def score(trace: Trace, transient: Transient, labels: np.ndarray) -> Fields:
    """Return by name the contest's numbers: correct test images, predictions, and the energies in J
    that the drivers deliver.

    The test images are the last ones of the transient; `labels` are theirs.
    """
    shown = np.arange(len(transient.images))[-len(labels) :]
    predicted = predictions(trace, transient, shown)
    first = int(transient.learning.argmax())
    start, trained = (
        STARTUP + SLOT * slot for slot in (first, first + int(transient.learning.sum()))
    )

    def energy(begin: float, end: float) -> float:
        return sum(
            positive_energy(trace["time"], -trace[f"v({name})"] * trace[f"i(v_{name})"], begin, end)
            for name in transient.driven
        )

    return {
        "accuracy": float(np.mean(predicted == labels)),
        "correct": int(np.sum(predicted == labels)),
        "images": len(labels),
        "tied": int(np.sum(predicted == TIED)),
        "predictions": predicted.tolist(),
        "inference_J_per_image": energy(trained, float(trace["time"][-1])) / len(labels),
        "training_J": energy(start, trained),
    }
