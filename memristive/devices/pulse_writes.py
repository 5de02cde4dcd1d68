"""Writes of identical pulses to one column of a crossbar of measured devices, in either engine."""

import math

import numpy as np

from memristive.devices.measured_device import Emulator
from memristive.single_layer.engines import Engine
from memristive.single_layer.setup import Setup, write_window


def write_pulses(engine: Engine, setup: Setup, emulator: Emulator, states: np.ndarray, column: int, numbers: np.ndarray,
                 rng: np.random.Generator | None = None) -> np.ndarray:
    """Return the states of a column after a number of identical pulses for each row.

    Parameters
    ----------
    engine : Engine
        Of this `setup`.
    setup : Setup
        From `measured_setup`.
    emulator : Emulator
        With ``array=True``.
    states : array, classes x inputs, V
    column : int
    numbers : array, inputs
        Pulses for each row, all of them 0 or above (potentiation), or 0 or below (depression). Fractions are shorter pulses.
    rng : Generator, optional
        Adds the device's cycle-to-cycle noise to each pulse.

    Returns
    -------
    array, inputs, V

    Raises
    ------
    SimulationError
        ngspice cannot complete the transient.
    """
    sign = 1 if np.max(numbers) > 0 else -1
    width = (emulator.pulse_up if sign > 0 else emulator.pulse_down) / setup.schedule.input_voltage
    _, area = write_window(1.0, setup.memristor.switch_threshold / setup.schedule.phi_voltage)
    states, counts, window = states.copy(), np.abs(numbers), emulator.high - emulator.low
    for pulse in range(math.ceil(counts.max())):
        driven = np.clip(counts - pulse, 0.0, 1.0)
        states[column] = engine.write(states, column, driven, sign, width / float(area))
        if rng is not None:
            noise = emulator.device.cycle_noise * window * rng.standard_normal(len(counts)) * (driven > 0)
            states[column] = np.clip(states[column] + noise, emulator.low, emulator.high)
    return np.asarray(states[column])
