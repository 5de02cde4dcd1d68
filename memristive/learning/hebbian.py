"""The paper's method: Hebbian training in one ngspice transient, and inference by first spikes
(Jurj 2024, section 3).

Data flow: patterns -> pulses -> netlist -> ngspice -> waveforms -> states or spike times ->
decisions.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from memristive.engines.solvers import READING, TRAINING, driven_rows, read_solver, training_solver
from memristive.network.crossbar import predicted_spikes
from memristive.network.design import Setup
from memristive.network.inputs import as_images
from memristive.network.two_terminal import DeviceArray, pulses_of_a_class
from memristive.parameters import ParameterError
from memristive.scores.checks import (
    OperatingRangeWarning,
    contained,
    fit_feedback_resistor,
    warn_of_range,
)
from memristive.scores.decisions import decide, first_spikes, resolution_of
from memristive.spice.pyspice import Circuit
from memristive.spice.session import (
    SimulationError,
    Solver,
    Watch,
    named_classes,
    netlist_text,
    run_once,
)
from snn_circuit import names

if TYPE_CHECKING:
    from memristive.devices.measured_device import MeasuredDevice

# s: longest read of two-terminal devices, which each read disturbs; spikes fall within half of it
SHORT_READ = 1e-3


@dataclass(frozen=True)
class Training:
    """Waveforms of a training: voltages in V over `time` in s, and the final `states` (classes x
    inputs, V).

    `inputs` are the voltages of the rows (inputs x times) and `controls` the phi (classes x times).
    `states_over_time` holds X of all cells, class by class (cells x times). `setup` is for
    reads: the feedback resistor of two-terminal devices follows from the states that they have
    reached.
    """

    time: np.ndarray
    inputs: np.ndarray
    controls: np.ndarray
    states_over_time: np.ndarray
    states: np.ndarray
    setup: Setup


def array_setup(setup: Setup, device: "MeasuredDevice", scheme: str, patterns: np.ndarray) -> Setup:
    """Return `setup` with two-terminal devices in the place of emulators.

    Pulses, read voltage and feedback resistor follow from the device file. The resistor brings the
    membranes of trained patterns into their usual range, if the states follow the device's curves;
    `train_hebbian` adapts it to the states that ngspice reaches. Reads are shorter than with
    emulators, because a read may move the state of a device with two terminals.

    Parameters
    ----------
    setup : Setup
    device : MeasuredDevice
        Device that names its SPICE model (``python -m memristive measure``).
    scheme : str
        "1t1r" or "v/2" (`memristive.network.two_terminal`).
    patterns : array, classes x inputs, 0 or 1

    Raises
    ------
    ParameterError
        The device names no model, the model is missing, or no feedback resistor fits.
    """
    from memristive.devices.measured_device import model_of  # emulators need none

    array = DeviceArray(
        model_of(device), device, scheme, pulses_of_a_class(device, scheme, len(patterns))
    )
    pulse = min(setup.schedule.pulse, SHORT_READ)
    schedule = dataclasses.replace(
        setup.schedule,
        input_voltage=device.read_voltage,
        pulse=pulse,
        period=min(setup.schedule.period, 3 * pulse),
    )
    return fit_feedback_resistor(setup.replace(schedule=schedule, array=array), patterns)


def hebbian_network(setup: Setup, patterns: np.ndarray) -> Circuit:
    """Return the netlist that trains `patterns` (classes x inputs, 0 to 1).

    While class j's pattern is at the rows, only phi_j is high.
    """
    schedule, (classes, inputs) = setup.writing, patterns.shape
    sources = [schedule.train(schedule.input_voltage * patterns[:, i]) for i in range(inputs)]
    controls = [schedule.train(schedule.phi_voltage * np.eye(classes)[j]) for j in range(classes)]
    return setup.crossbar(
        setup.start_states(patterns.shape),
        sources,
        controls,
        neurons=False,
        title="in-situ Hebbian training",
    )


def inference_network(setup: Setup, states: np.ndarray, patterns: np.ndarray) -> Circuit:
    """Return the netlist that presents `patterns` (images x inputs, 0 to 1) one after the other to
    cells with `states` (classes x inputs, V), and writes nothing.

    The emulator's open switch (1e20 ohm) cuts off transconductance and leak, so the netlist
    contains only the parts of a cell that a read needs, as in every other read.
    """
    schedule = setup.schedule
    sources = [
        schedule.train(schedule.input_voltage * patterns[:, i]) for i in range(patterns.shape[1])
    ]
    return setup.crossbar(states, sources, title="inference")


def hebbian_netlist(setup: Setup, patterns: np.ndarray, labels: Sequence[object] = ()) -> str:
    """Return the netlist of `hebbian_network` as text for the program ngspice. `patterns`: classes
    x inputs, 0 to 1; `labels`: names of the classes.
    """
    classes, inputs = patterns.shape
    cells = setup.state_names(classes, inputs)
    comments = [
        f"Hebbian training of {named_classes(labels, classes)}: while class j's pattern is at the "
        "inputs, phi_j is high.",
        f"Saved: {cells[0].replace('0_0', 'j_i')} (state X of class j, input i), input_i, phi_j.",
    ]
    saved = cells + names("input", inputs) + names("phi", classes)
    return netlist_text(
        hebbian_network(setup, patterns),
        training_solver(setup),
        setup.writing.stop(classes),
        saved,
        cells,
        comments,
    )


def inference_netlist(
    setup: Setup, states: np.ndarray, patterns: np.ndarray, labels: Sequence[object]
) -> str:
    """Return the netlist of `inference_network` (same arguments) as text for the program ngspice.
    `labels`: names of the classes.
    """
    comments = [
        f"Inference: {len(patterns)} images one after the other; neurons stand for "
        f"{named_classes(labels, len(states))}.",
        "Saved: membrane_j, output_j (high: neuron j has fired). The first spike of an image names "
        "its class.",
    ]
    nodes = names("membrane", len(states)) + names("output", len(states))
    return netlist_text(
        inference_network(setup, states, patterns),
        read_solver(setup, states, patterns),
        setup.schedule.stop(len(patterns)),
        nodes,
        nodes,
        comments,
    )


def train_hebbian(
    setup: Setup, patterns: ArrayLike, solver: Solver = TRAINING, watch: Watch = lambda steps: steps
) -> Training:
    """Train all classes in one ngspice transient. Rows that no pattern drives, and their cells,
    stay at 0 V.

    Parameters
    ----------
    setup : Setup
    patterns : array_like, classes x inputs
        Levels from 0 to 1, one pattern for each class.
    solver : Solver
    watch : callable
        Wraps the iterator over the presentations, e.g. with a progress bar.

    Returns
    -------
    Training

    Raises
    ------
    ParameterError
        The patterns are not classes x inputs, or a level is outside 0 to 1.
    SimulationError
        ngspice cannot complete the transient.

    Warns
    -----
    OperatingRangeWarning
        Membranes clip or neurons stay silent on the trained patterns, one pattern contains another,
        or ngspice rounds a long write. Two-terminal devices would read patterns wrongly.
    """
    patterns = as_images(patterns, name="patterns", empty=False)
    chosen = training_solver(setup, solver)
    try:
        training = _train(setup, patterns, chosen, watch)
    except SimulationError:
        if chosen == solver:
            raise
        # edges of nanoseconds stop the adapted solver
        training = _train(setup, patterns, solver, watch)
    if setup.array:
        fitted = setup_of_reads(setup, setup.array.shares(training.states), patterns)
        return dataclasses.replace(training, setup=fitted)
    warn_of_range(
        setup,
        training.states,
        patterns,
        by_class=True,
        consecutive=True,
        write=setup.schedule.pulse,
    )
    return training


def setup_of_reads(setup: Setup, x: np.ndarray, patterns: np.ndarray) -> Setup:
    """Return `setup` with the feedback resistor that suits the shares `x` of the conductance range
    (classes x inputs) which a training of `patterns` (classes x inputs) has reached. Warn if reads
    would not name the classes.
    """
    try:
        setup = fit_feedback_resistor(setup, patterns, x)
    except ParameterError as error:
        warnings.warn(str(error), OperatingRangeWarning, stacklevel=3)
    resolution = resolution_of("hebbian", setup.neuron)
    spikes = predicted_spikes(setup, x, patterns)
    wrong = int(np.sum(decide(spikes, resolution)[0] != np.arange(len(patterns))))
    if wrong:
        advice = [*contained(patterns), "try other pulses in the model file, or the other --scheme"]
        warnings.warn(
            f"{wrong} of {len(patterns)} patterns will be read wrongly or not at all: cells have "
            f"reached {x[patterns > 0].min():.1%} of the range or more in pixels that are on, and "
            f"up to {x[patterns == 0].max(initial=0):.1%} in the others; {advice[0]}",
            OperatingRangeWarning,
            stacklevel=3,
        )
    return setup


def _train(setup: Setup, patterns: np.ndarray, solver: Solver, watch: Watch) -> Training:
    classes, inputs = patterns.shape
    rows = np.arange(inputs) if setup.array else driven_rows(patterns, setup.devices)
    part = setup.replace(devices=setup.devices.of_rows(rows))
    cells = part.state_names(classes, len(rows))
    *pauses, stop = [setup.writing.stop(k) for k in range(1, classes + 1)]
    waves = run_once(
        hebbian_network(part, patterns[:, rows]),
        solver,
        names("input", len(rows)) + names("phi", classes) + cells,
        stop,
        pauses=pauses,
        watch=watch,
    )
    voltages = np.zeros((inputs, len(waves.time)))
    voltages[rows] = waves.stack(names("input", len(rows)))
    over_time = np.zeros((classes, inputs, len(waves.time)))
    over_time[:, rows] = waves.stack(cells).reshape(classes, len(rows), -1)
    return Training(
        waves.time,
        voltages,
        waves.stack(names("phi", classes)),
        over_time.reshape(classes * inputs, -1),
        over_time[:, :, -1].copy(),
        setup,
    )


@dataclass(frozen=True)
class Inference:
    """Waveforms of an inference: voltages in V over `time` in s, and first `spikes` in s (images x
    classes, nan: silent).

    `membranes` and `outputs`: of the neurons (classes x times).
    """

    time: np.ndarray
    membranes: np.ndarray
    outputs: np.ndarray
    spikes: np.ndarray


def infer(
    setup: Setup,
    states: ArrayLike,
    patterns: ArrayLike,
    solver: Solver = READING,
    watch: Watch = lambda steps: steps,
) -> Inference:
    """Present patterns to trained cells in one ngspice transient.

    Parameters
    ----------
    setup : Setup
    states : array_like, classes x inputs, V
    patterns : array_like, images x inputs
        Levels from 0 to 1.
    solver : Solver
    watch : callable
        Wraps the iterator over the presentations, e.g. with a progress bar.

    Returns
    -------
    Inference
        Spike times count from the start of each pulse.

    Raises
    ------
    ParameterError
        The patterns do not fit the states, or a level is outside 0 to 1.
    SimulationError
        ngspice cannot complete the transient.

    Warns
    -----
    OperatingRangeWarning
        Membranes clip, neurons stay silent, or membranes have not settled when the next pattern
        begins.
    """
    if isinstance(states, Training):
        raise ParameterError("states must be classes x inputs, got a Training: give its states")
    states, schedule = np.asarray(states, float), setup.schedule
    patterns = as_images(patterns, states.shape[1], "patterns", empty=False)
    classes = len(states)
    *pauses, stop = [schedule.stop(k) for k in range(1, len(patterns) + 1)]
    waves = run_once(
        inference_network(setup, states, patterns),
        read_solver(setup, states, patterns, solver),
        names("membrane", classes) + names("output", classes),
        stop,
        pauses=pauses,
        watch=watch,
    )
    membranes, outputs = (
        waves.stack(names("membrane", classes)),
        waves.stack(names("output", classes)),
    )
    spikes = [
        first_spikes(
            waves.time,
            membranes,
            outputs,
            setup.neuron,
            schedule.start(k),
            schedule.pulse,
            setup.thresholds,
        )
        for k in range(len(patterns))
    ]
    if not setup.array:
        warn_of_range(setup, states, patterns, consecutive=True)
    return Inference(waves.time, membranes, outputs, np.array(spikes))
