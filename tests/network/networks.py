"""Networks that several tests of multilayer networks share."""

import dataclasses
import itertools

import numpy as np

from memristive.devices.cells import Cells, Devices, NeuronValues
from memristive.devices.measured_device import DEVICES, PRESETS, MeasuredDevice, emulator
from memristive.engines.ngspice_layer import NgspiceLayer
from memristive.engines.solvers import READING_LAYERS
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import measured_design, measured_parameters, measured_pulses
from memristive.network.design import write_window
from memristive.network.networks import Network
from memristor import leaked, raised_state, state_rate, written

XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
RULE = LayeredRule(
    presentations=400, hidden_dose=0.1, output_dose=0.3, start_weight=0.5, start_weight_spread=1.0
)

# For trainings in whole pulses; a device whose steps and read current bend as no law does, on 33
# points, with noise.
PULSED_RULE = LayeredRule(
    presentations=8,
    hidden_dose=0.5,
    output_dose=0.3,
    start_drive=0.0,
    start_drive_spread=1.0,
    start_weight=0.0,
    start_weight_spread=0.6,
    margin=50e-6,
    final_dose=0.5,
    final_margin=0.5,
    seed=3,
)
PULSED_IMAGES = np.random.default_rng(0).random((8, 6))
# For layers of few rows, which write large doses.
FEW_RULE = LayeredRule(
    presentations=6,
    hidden_dose=0.1,
    output_dose=0.1,
    margin=50e-6,
    start_drive=0.5,
    start_drive_spread=0.8,
    start_weight=0.0,
    start_weight_spread=0.3,
)
GRID = np.linspace(0, 1, 33)
MEASURED = {
    **DEVICES,
    "li-1t1r": PRESETS["li-1t1r"],
    "bent-1t1r": MeasuredDevice(
        "bent-1t1r",
        up=(1.0, 1.0),
        down=(1.0, 1.0),
        levels=tuple(GRID**2),
        gate_low=0.5,
        gate_high=1.5,
        write_noise=0.03,
        read_noise=0.01,
    ),
    # readings of a cell scatter by 0.01 of the range on average, and from cell to cell by as much
    "scattered": dataclasses.replace(DEVICES["linear"], read_noise_spread=1.0),
    "noisy": MeasuredDevice(
        "noisy",
        up=tuple(0.05 * np.exp(-3 * GRID) + 0.01 * np.sin(6 * GRID) ** 2),
        down=tuple(0.01 + 0.04 * GRID**2),
        write_noise=0.01,
        read_noise=0.02,
        read_curve=(0.7, 0.8, 1.0),
    ),
}


def pulses_of(emulated, late=False, noise=True, **changes):
    """The pulses of a device, with other fields, or without its noises."""
    quiet = {} if noise else {"write_noise": 0.0, "read_noise": 0.0}
    return dataclasses.replace(measured_pulses(emulated, late), **quiet, **changes)


def measured_network(device, hidden, pairs, kinds=(), **pulses):
    """A network of random weights of a measured device for `PULSED_IMAGES` of three classes."""
    emulated = emulator(MEASURED[device])
    return initial_network(
        hidden,
        3,
        PULSED_IMAGES,
        PULSED_RULE,
        measured_design(emulated, pairs, 1.0, hidden_bias=1.2, output_bias=1.5),
        measured_parameters(emulated),
        pulses_of(emulated, **pulses),
        kinds,
    )


def paper_layer(setup, columns=10, rows=100, solver=READING_LAYERS):
    """The layer of a `Setup` in ngspice."""
    return NgspiceLayer(Network.of(setup, np.zeros((columns, rows))).layers[0], solver)


def after_a_write(setup, cells, column, image, volts):
    """States of a column of `cells` after a write by the law of a cell: `volts` at a full row."""
    memristor, schedule = setup.memristor, setup.schedule
    pulse = abs(volts) / float(state_rate(memristor, schedule.input_voltage))
    window, area = write_window(pulse, schedule.phi_share(memristor))
    rows = np.sign(volts) * schedule.input_voltage * image
    charge = cells.transconductance * rows * area / cells.memory_capacitance
    lift = raised_state(cells, column, rows) - column
    return written(column, charge / (window * cells.leak), lift, leaked(window, cells.leak))


def layer_of(network, layer):
    """A layer of a network in ngspice."""
    return NgspiceLayer(network.layers[layer])


def random_network(sizes, seed=0, spread=0.8):
    """A network whose neurons fire: states scattered around a little more than X_ref."""
    rng = np.random.default_rng(seed)
    return Network(
        tuple(
            rng.normal(6.0, spread, (above, below + 1))
            for below, above in itertools.pairwise(sizes)
        )
    )


def devices_of(network, layer, channel=1.0, write=1.0, threshold=1.0):
    """Single devices of a layer, by their deviations relative to 1; arrays broadcast against
    columns x rows, reference last.
    """
    memristor, neuron, states = (
        network.parameters.memristor,
        network.layers[layer].neuron,
        network.states[layer],
    )
    ones = np.ones((len(states) + (network.design.pairs == 0), states.shape[1]))
    cells = dataclasses.replace(
        Cells.of(memristor),
        gain=memristor.gain * channel * ones,
        threshold_voltage=memristor.threshold_voltage * ones,
        transconductance=memristor.transconductance * write * ones,
        capacitance=memristor.capacitance * ones,
    )
    count = np.ones(network.sizes[layer + 1])
    return Devices(
        cells,
        NeuronValues(
            neuron.threshold * threshold * count,
            neuron.feedback_resistance * count,
            neuron.membrane_capacitance * count,
        ),
    )


def on_a_chip(network):
    """The same states on devices that all differ by up to 20 %."""
    rng, layers = np.random.default_rng(11), []
    for layer, states in enumerate(network.states):
        neurons, rows = states.shape
        channel, write = (rng.uniform(0.8, 1.2, (neurons + 1, rows)) for _ in range(2))
        layers.append(devices_of(network, layer, channel, write, rng.uniform(0.8, 1.2, neurons)))
    return dataclasses.replace(network, devices=tuple(layers))


def drives(network, images):
    """Settled membranes of the first layer in thresholds, from its spikes; nan for silent
    neurons.
    """
    elapsed = network.forward(images)[0] - network.start_time
    return 1 / (1 - np.exp(-elapsed / network.parameters.neuron.time_constant))


def with_gain(network, gain):
    """The same states, with op-amps of this gain."""
    neuron = dataclasses.replace(network.parameters.neuron, amplifier_gain=gain)
    return dataclasses.replace(
        network, parameters=dataclasses.replace(network.parameters, neuron=neuron)
    )


def deviations(found, exact):
    """Largest difference in s of the spikes that both have, for each layer."""
    return [np.nanmax(np.abs(a - b)) for a, b in zip(found, exact, strict=True)]
